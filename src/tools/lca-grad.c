/* lca-grad: the gradient of the loss over whole sets.
 *
 * As a pool worker (--pool): asks lca-integrate for chunks and returns loss and
 * gradient of each. As a filter: a `theta` stream in, one `grad` frame per theta out.
 * --benchmark: how fast it is. One process is one thread: start as many as there are
 * cores. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "base/clock.h"
#include "base/tool.h"
#include "data/dataset.h"
#include "frame/head.h"
#include "link/link.h"
#include "link/worker.h"
#include "nn/chunk.h"
#include "nn/eval.h"
#include "nn/init.h"
#include "nn/net.h"

static struct {
    const char *data, *net, *device, *precision, *pool, *set;
    long examples, chunk;
    bool benchmark, quick, by_class;
    struct lca_link_args link;
} opt = {.device = "cpu", .set = "train"};

static const struct lca_opt opts[] = {
    {"data", 'd', LCA_OPT_STR, &opt.data, "FILE", "Data file made by lca-data.", 0, 0, true},
    {"pool", 'p', LCA_OPT_STR, &opt.pool, "EP", "Work for the lca-integrate that binds this socket (default: "
     "$LCA_CONNECT, where that is set and --in is not given).", 0, 0, false},
    {"net", 'N', LCA_OPT_STR, &opt.net, "NAME|FILE", "Network. Streams bring their own; with --net theirs must be it.",
     0, 0, false},
    {"device", 'D', LCA_OPT_STR, &opt.device, "DEVICE", "cpu, or cpu:avx512, cpu:avx2, cpu:vec4 to hold it to an "
     "instruction set; cuda, or cuda:N for card N, where it was built with CUDA (default cpu).", 0, 0, false},
    {"precision", 0, LCA_OPT_STR, &opt.precision, "P", "On a CUDA device: float32, or tf32 or bf16, which round the factors "
     "of matrix products and convolutions (default float32).", 0, 0, false},
    {"set", 0, LCA_OPT_STR, &opt.set, "NAME", "Filter: the set, train, val or test (default train).", 0, 0, false},
    {"examples", 0, LCA_OPT_INT, &opt.examples, "N", "Filter and benchmark: the first N examples of the set (default: "
     "all; benchmark without --data 55000).", 1, 4e9, false},
    {"chunk", 'c', LCA_OPT_INT, &opt.chunk, "N", "Filter and benchmark: examples per chunk; must divide the set.", 1,
     4e9, false},
    {"by-class", 0, LCA_OPT_FLAG, &opt.by_class, NULL, "Filter and benchmark: a gradient for each class.", 0, 0, false},
    {"benchmark", 0, LCA_OPT_FLAG, &opt.benchmark, NULL, "Time loss and gradient of the set; one line of JSON.", 0, 0,
     true},
    {"quick", 0, LCA_OPT_FLAG, &opt.quick, NULL, "Benchmark: one chunk alone, once if that takes long.", 0, 0, true},
    {0},
};
static const struct lca_opt link_opts[] = {LCA_IN_OPTS(opt.link), LCA_OUT_OPTS(opt.link),
                                           LCA_SAFETY_OPTS(opt.link.safety), {0}};

struct grad {
    struct lca_net net;
    struct lca_dataset data;
    struct lca_images images;       /* all sets, one after the other */
    uint8_t *made_image, *made_label;   /* the benchmark's own */
    struct lca_eval *eval;
    char num[128];
    unsigned slots;
    uint32_t n_cls;
    uint64_t units;
};

static void grad_clear(struct grad *g)
{
    lca_eval_free(g->eval);
    lca_net_clear(&g->net);
    lca_dataset_close(&g->data);
    free(g->made_image);
    free(g->made_label);
}

static int open_data(struct grad *g, struct lca_err *err)
{
    if (!opt.data)
        return lca_fail(err, LCA_USAGE, "--data is needed: a file made by 'lca-data make'");
    if (lca_dataset_open(&g->data, opt.data, err) < 0 || lca_dataset_verify(&g->data, err) < 0)
        return -1;
    g->images = (struct lca_images){g->data.set[0].images, g->data.set[0].labels, 0, lca_dataset_pixels(&g->data)};
    for (int k = 0; k < g->data.sets; k++)
        g->images.n += g->data.set[k].n;
    return 0;
}

/* Where a set begins among all images. */
static uint32_t set_start(const struct grad *g, const struct lca_set *set)
{
    return (uint32_t)(set->labels - g->data.set[0].labels);
}

static int open_net(struct grad *g, const struct lca_frame *head, struct lca_err *err)
{
    if (lca_net_parse(&g->net, head->payload, head->nb, err) < 0)
        return lca_err_prefix(err, "the network of the stream");
    if (g->net.external)
        return lca_fail(err, LCA_USAGE, "the network of the stream, %s, is external: only a program of its own computes "
                        "it (docs/python.md)", g->net.name);
    if (g->net.P != head->u.head.P)
        return lca_fail(err, LCA_CORRUPT, "the stream says %" PRIu64 " parameters, its network has %" PRIu64,
                        head->u.head.P, g->net.P);
    if (opt.net) {
        struct lca_net mine;
        if (lca_net_load(&mine, opt.net, err) < 0)
            return -1;
        bool same = strcmp(mine.json, g->net.json) == 0;
        lca_net_clear(&mine);
        if (!same)
            return lca_fail(err, LCA_USAGE, "--net %s is not the network of the stream, %s", opt.net, g->net.name);
    }
    g->n_cls = g->net.classes;
    return 0;
}

/* --precision is part of the device's name. */
static int name_device(char name[64], struct lca_err *err)
{
    if (opt.precision && strncmp(opt.device, "cuda", 4) != 0)
        return lca_fail(err, LCA_USAGE, "--precision is for --device cuda: %s computes in float32", opt.device);
    if (snprintf(name, 64, "%s%s%s", opt.device, opt.precision ? ":" : "", opt.precision ? opt.precision : "") >= 64)
        return lca_fail(err, LCA_USAGE, "no device '%.40s...'", opt.device);
    opt.device = name;
    return 0;
}

static int device_num(struct grad *g, struct lca_err *err)
{
    const struct lca_backend *b = lca_backend_find(opt.device, err);
    struct lca_device *d = b ? b->open(opt.device, err) : NULL;
    if (!d)
        return -1;
    snprintf(g->num, sizeof g->num, "%s", b->num(d));
    /* what is begun at a time, and as much to go on with */
    g->slots = 2 * (b->host_memory ? 1 : LCA_TICKETS);
    b->close(d);
    return 0;
}

/* ---- pool worker ---- */

struct chunk {
    uint32_t lo, hi;            /* among all images */
};

static int read_units(struct grad *g, const struct lca_frame_head *h, struct chunk *chunk, uint32_t *most,
                      struct lca_err *err)
{
    size_t k, u = 0;
    json_t *entry;
    *most = 0;
    json_array_foreach(json_object_get(h->data, "sets"), k, entry) {
        const char *name = json_string_value(json_object_get(entry, "set"));
        const struct lca_set *set = lca_dataset_find(&g->data, name ? name : "?", err);
        json_int_t N = json_integer_value(json_object_get(entry, "N"));
        json_int_t size = json_integer_value(json_object_get(entry, "chunk"));
        if (!set)
            return -1;
        if (N < 1 || N > (json_int_t)set->n || size < 1 || N % size)
            return lca_fail(err, LCA_CORRUPT, "%" PRId64 " examples of %s in chunks of %" PRId64 ": the data has %u",
                            (int64_t)N, name, (int64_t)size, set->n);
        for (json_int_t lo = 0; lo < N; lo += size, u++) {
            chunk[u].lo = set_start(g, set) + (uint32_t)lo;
            chunk[u].hi = chunk[u].lo + (uint32_t)size;
        }
        if (size > *most)
            *most = (uint32_t)size;
    }
    return 0;
}

/* Jobs that the device is at, in the order in which the pool gave them. */
struct under_way {
    struct lca_job job[LCA_WORKER_SLOTS];
    int n;
    double since;               /* when the first of them had the device for itself */
};

static bool same_job(const struct lca_job *a, const struct lca_job *b)
{
    return a->pt == b->pt && a->u == b->u && a->theta_id == b->theta_id;
}

/* Begins what the worker holds, in front of it what has been begun, unless a pool that was
 * lost has taken it from us. */
static int begin_jobs(struct grad *g, struct under_way *at, const struct lca_job *job, int n, const struct chunk *chunk,
                      bool by_class, struct lca_err *err)
{
    int same = 0;
    while (same < at->n && same < n && same_job(&at->job[same], &job[same]))
        same++;
    if (same < at->n) {
        lca_eval_drop(g->eval);
        at->n = 0;
    }
    if (at->n == 0)
        at->since = lca_now();
    for (; at->n < n; at->n++) {
        const struct lca_job *next = &job[at->n];
        if (next->u >= g->units)
            return lca_fail(err, LCA_CORRUPT, "work on unit %" PRIu64 " of %" PRIu64, next->u, g->units);
        lca_eval_theta(g->eval, next->theta_id);
        lca_eval_begin(g->eval, next->theta, chunk[next->u].lo, chunk[next->u].hi, by_class);
        at->job[at->n] = *next;
    }
    return 0;
}

/* Answers the first. */
static int finish_job(struct grad *g, struct lca_worker *w, struct under_way *at, bool by_class, struct lca_loss *sum,
                      struct lca_job_row *row, struct lca_err *err)
{
    struct lca_err why = {0};
    const float *grad;
    const struct lca_job job = at->job[0];
    int n = 0, done = lca_eval_finish(g->eval, &grad, sum, &why);
    double now = lca_now(), sec = now - at->since;
    at->since = now;
    memmove(at->job, at->job + 1, (size_t)--at->n * sizeof *at->job);
    if (done < 0) {
        lca_worker_fail(w, &job, why.text);
        return 0;
    }
    for (uint32_t k = 0; k < (by_class ? g->n_cls : 1); k++)
        if (sum[k].n > 0)
            row[n++] = (struct lca_job_row){by_class ? (int)k : -1, sum[k].n, sum[k].hits, sum[k].loss,
                                            grad + k * g->net.P};
    return lca_worker_done(w, &job, row, n, sec, err);
}

static int work(struct grad *g, struct lca_err *err)
{
    struct lca_frame *head;
    struct lca_job job[LCA_WORKER_SLOTS];
    struct under_way at = {.n = 0};
    struct chunk *chunk = NULL;
    struct lca_job_row *row = NULL;
    struct lca_loss *sum = NULL;
    uint32_t most;
    int result = -1, got;
    struct lca_link *link = lca_link_new(LCA_SIG_WORKER, err);
    if (!link || open_data(g, err) < 0 || device_num(g, err) < 0)
        goto out;
    struct lca_worker_opts o = {.endpoint = opt.pool, .name = opt.link.name, .dev = opt.device, .num = g->num,
                                .data = g->data.sha256, .slots = g->slots};
    bool drop;
    if (lca_link_secure(link, &opt.link.safety, err) < 0 || lca_link_lost(&opt.link, &o.lost, &drop, err) < 0)
        goto out;
    struct lca_worker *w = lca_worker_open(link, &o, err);
    if (!w || (got = lca_worker_head(w, &head, err)) < 0)
        goto out;
    if (got == 0) {
        result = 0;
        goto out;
    }
    g->units = lca_head_units(&head->u.head);
    bool by_class = head->u.head.bycls;
    if (open_net(g, head, err) < 0 || !(chunk = lca_alloc(g->units, sizeof *chunk, err)) ||
        read_units(g, &head->u.head, chunk, &most, err) < 0 ||
        !(g->eval = lca_eval_new(&g->net, opt.device, &g->images, most, err)) ||
        !(sum = lca_alloc(g->n_cls, sizeof *sum, err)) || !(row = lca_alloc(g->n_cls, sizeof *row, err)))
        goto out;
    while ((got = lca_worker_jobs(w, job, (int)lca_eval_ahead(g->eval), err)) > 0)
        if (begin_jobs(g, &at, job, got, chunk, by_class, err) < 0 ||
            finish_job(g, w, &at, by_class, sum, row, err) < 0)
            goto out;
    result = got;
out:
    lca_link_free(link);
    free(chunk);
    free(row);
    free(sum);
    return result;
}

/* ---- filter ---- */

struct filter {
    uint32_t first, N, chunk;
    float *theta, *mean;
    double *grad;               /* [rows][P], summed over examples */
    struct lca_loss *sum;       /* [rows] */
    uint64_t got;               /* parameters of theta received */
};

static int filter_start(struct grad *g, struct filter *s, struct lca_frame *in, struct lca_out *out,
                        struct lca_err *err)
{
    const char *sha = json_string_value(json_object_get(in->u.head.data, "sha256"));
    if (open_data(g, err) < 0 || open_net(g, in, err) < 0)
        return -1;
    if (!sha || strcmp(sha, g->data.sha256) != 0)
        return lca_fail(err, LCA_USAGE, "%s (%.16s...) is not the data set of the stream (%.16s...)", opt.data,
                        g->data.sha256, sha ? sha : "?");
    const struct lca_set *set = lca_dataset_find(&g->data, opt.set, err);
    uint64_t N, no_chunk;
    if (!set || lca_head_set(&in->u.head, opt.set, &N, &no_chunk, err) < 0)
        return -1;
    if (N < 1 || N > set->n)
        return lca_fail(err, LCA_CORRUPT, "the stream says %" PRIu64 " examples of %s: the data has %u", N, opt.set,
                        set->n);
    if (opt.examples > (long)set->n)
        return lca_fail(err, LCA_USAGE, "--examples %ld: the set has %u", opt.examples, set->n);
    s->N = opt.examples ? (uint32_t)opt.examples : (uint32_t)N;
    s->first = set_start(g, set);
    if (lca_chunk_choose(&g->net, s->N, (uint32_t)opt.chunk, &s->chunk, err) < 0)
        return -1;
    uint32_t rows = opt.by_class ? g->n_cls : 1;
    g->eval = lca_eval_new(&g->net, opt.device, &g->images, s->chunk, err);
    s->theta = lca_alloc(g->net.P, sizeof *s->theta, err);
    s->grad = lca_alloc(rows * g->net.P, sizeof *s->grad, err);
    s->mean = lca_alloc(g->net.P, sizeof *s->mean, err);
    s->sum = lca_alloc(rows, sizeof *s->sum, err);
    if (!g->eval || !s->theta || !s->grad || !s->mean || !s->sum)
        return -1;
    struct lca_frame h = *in;
    h.inside = NULL;
    h.st = "grad";
    h.u.head.parts = 0;
    h.u.head.num = lca_eval_num(g->eval);
    h.u.head.bycls = opt.by_class;
    h.u.head.unit = "nat";
    /* what L is taken over, and in which chunks, is part of what it is */
    h.u.head.data = json_copy(in->u.head.data);
    json_object_set_new(h.u.head.data, "sets", json_pack("[{s:s, s:I, s:I}]", "set", opt.set, "N", (json_int_t)s->N,
                                                         "chunk", (json_int_t)s->chunk));
    h.u.head.prov = lca_prov_add(in->u.head.prov, "lca-grad", json_pack("{s:s, s:I, s:I}", "set", opt.set, "examples",
                                 (json_int_t)s->N, "chunk", (json_int_t)s->chunk));
    int result = h.u.head.prov && h.u.head.data ? lca_out_head(out, &h, err)
                                                : lca_fail(err, LCA_INTERNAL, "out of memory");
    json_decref(h.u.head.data);
    json_decref(h.u.head.prov);
    return result;
}

static int filter_theta(struct grad *g, struct filter *s, uint64_t it, struct lca_out *out, struct lca_err *err)
{
    uint64_t P = g->net.P;
    uint32_t rows = opt.by_class ? g->n_cls : 1;
    const struct lca_eval_units units = {s->first, s->first + s->N, s->chunk};
    lca_eval_theta(g->eval, it + 1);
    if (lca_eval_set(g->eval, s->theta, units, opt.by_class, s->grad, s->sum, err) < 0)
        return -1;
    for (uint32_t r = 0; r < rows; r++) {
        struct lca_frame f = LCA_FRAME(grad);
        f.u.grad.it = it;
        f.u.grad.set = opt.set;
        f.u.grad.cls = opt.by_class ? (int)r : -1;
        f.u.grad.loss = s->sum[r].loss / s->N;
        for (uint64_t i = 0; i < P; i++)
            s->mean[i] = (float)(s->grad[r * P + i] / s->N);
        if (lca_out_wait(out, err) < 0 ||
            lca_out_vector(out, &f, &f.u.grad.off, &f.u.grad.part, s->mean, P, err) < 0)
            return -1;
    }
    return 0;
}

static int filter(struct grad *g, struct lca_err *err)
{
    struct filter s = {0};
    struct lca_frame *f, eos = LCA_FRAME(eos);
    int result = -1, got;
    struct lca_out *out = NULL;
    struct lca_link *link = lca_link_new(LCA_SIG_FILTER, err);
    bool apart = link && (!opt.data || lca_link_reads(link, opt.data, err) == 0);
    struct lca_in *in = apart ? lca_in_from_args(link, &opt.link, err) : NULL;
    if (!in || !(out = lca_out_from_args(link, &opt.link, err)))
        goto out;
    eos.u.eos.status = "interrupted";
    while ((got = lca_in_next(in, &f, err)) == 1) {
        if (f->kind == LCA_KIND_head) {
            if (filter_start(g, &s, f, out, err) < 0)
                goto out;
        } else if (f->kind == LCA_KIND_theta) {
            uint64_t off = f->u.theta.off, n = lca_frame_count(f);
            if (off != s.got || n > g->net.P - off || n == 0) {
                lca_fail(err, LCA_CORRUPT, "seq %" PRIu64 ": theta in slices that do not fit", f->seq);
                goto out;
            }
            memcpy(s.theta + off, f->payload, n * sizeof *s.theta);
            s.got = off + n == g->net.P ? 0 : off + n;
            if (s.got == 0 && filter_theta(g, &s, f->u.theta.it, out, err) < 0)
                goto out;
            lca_in_done(in, f->seq + 1);
        } else if (f->kind == LCA_KIND_eos) {
            eos.u.eos.status = f->u.eos.status;
            break;
        } else {
            lca_fail(err, LCA_USAGE, "lca-grad reads a theta stream, and this one has %s frames", lca_kind_name(f->kind));
            goto out;
        }
    }
    if (got == 0)
        lca_in_leave(in);
    if (got < 0 || lca_out_end(out, &eos, err) < 0)
        goto out;
    lca_in_end(in);
    result = 0;
out:
    if (result < 0 && out)
        lca_out_abort(out, err->text);
    lca_link_free(link);
    free(s.theta);
    free(s.grad);
    free(s.mean);
    free(s.sum);
    return result;
}

/* ---- benchmark ---- */

/* Input like handwriting: about one pixel in five is not black. */
static int make_input(struct grad *g, uint32_t n, struct lca_err *err)
{
    size_t pixels = lca_shape_size(g->net.input);
    g->made_image = lca_alloc(n * pixels, 1, err);
    g->made_label = lca_alloc(n, 1, err);
    if (!g->made_image || !g->made_label)
        return -1;
    for (uint32_t i = 0; i < n; i++) {
        struct lca_rng r = {1, LCA_RNG_TEST, i};
        uint32_t w[4];
        for (size_t k = 0; k < pixels; k++) {
            if (k % 8 == 0)
                lca_rng_words(&r, k, 0, w);
            uint32_t half = w[k % 8 / 2] >> 16 * (k % 2) & 0xffff;
            g->made_image[i * pixels + k] = half % 100 < 19 ? (uint8_t)(half >> 8) : 0;
        }
        g->made_label[i] = (uint8_t)lca_rng_below(&r, pixels, g->net.classes);
    }
    g->images = (struct lca_images){g->made_image, g->made_label, n, pixels};
    return 0;
}

/* Least seconds per example of five passes; --quick: of as many as begin within half a second. */
static int time_passes(struct grad *g, const float *theta, uint32_t chunk, double *seconds, struct lca_err *err)
{
    double start = lca_now();
    *seconds = 0;
    for (int k = 0; k < 5 && (k == 0 || !opt.quick || lca_now() - start < 0.5); k++) {
        double s;
        if (lca_eval_time(g->eval, theta, chunk, opt.by_class, 1, &s, err) < 0)
            return -1;
        if (k == 0 || s < *seconds)
            *seconds = s;
    }
    return 0;
}

static int benchmark(struct grad *g, struct lca_err *err)
{
    struct rusage usage;
    double seconds;
    uint32_t chunk, n = opt.examples ? (uint32_t)opt.examples : 55000;
    if (!opt.net)
        return lca_fail(err, LCA_USAGE, "--benchmark needs --net");
    if (lca_net_load(&g->net, opt.net, err) < 0)
        return -1;
    if (opt.data) {
        const struct lca_set *set;
        if (open_data(g, err) < 0 || !(set = lca_dataset_find(&g->data, opt.set, err)))
            return -1;
        n = opt.examples ? n : set->n;
        if (n > set->n)
            return lca_fail(err, LCA_USAGE, "--examples %u: the set has %u", n, set->n);
        g->images = (struct lca_images){set->images, set->labels, n, g->images.pixels};
    } else if (make_input(g, n, err) < 0) {
        return -1;
    }
    if (lca_chunk_choose(&g->net, n, (uint32_t)opt.chunk, &chunk, err) < 0)
        return -1;
    if (opt.quick)
        g->images.n = chunk;
    g->eval = lca_eval_new(&g->net, opt.device, &g->images, chunk, err);
    float *theta = lca_alloc(g->net.P, sizeof *theta, err);
    if (!g->eval || !theta) {
        free(theta);
        return -1;
    }
    lca_init(&g->net, 1, theta);
    int result = time_passes(g, theta, chunk, &seconds, err);
    free(theta);
    if (result < 0)
        return -1;
    getrusage(RUSAGE_SELF, &usage);
    printf("{\"net\": \"%s\", \"examples\": %u, \"chunk\": %u, \"by_class\": %s, \"device\": \"%s\", \"num\": \"%s\", "
           "\"threads\": 1, \"us_per_example\": %.4f, \"gflops\": %.2f, \"gb_per_s\": %.2f, \"peak_rss_mib\": %.1f}\n",
           g->net.name, n, chunk, opt.by_class ? "true" : "false", opt.device, lca_eval_num(g->eval), seconds * 1e6,
           3e-9 * (double)g->net.flops / seconds, 4e-9 * (double)g->net.moved / seconds, (double)usage.ru_maxrss / 1024);
    return 0;
}

static int run(int argc, char **argv, struct lca_err *err)
{
    (void)argc, (void)argv;
    struct grad g = {0};
    char device[64];
    const char *connect = getenv("LCA_CONNECT");
    if (name_device(device, err) < 0)
        return -1;
    if (!opt.pool && !opt.link.in && connect && *connect)
        opt.pool = connect;
    int result = opt.benchmark ? benchmark(&g, err) : opt.pool ? work(&g, err) : filter(&g, err);
    grad_clear(&g);
    return result;
}

static const struct lca_tool tool = {
    .name = "lca-grad",
    .summary = "compute the gradient of the loss over whole sets",
    .usage = "--data FILE [--pool EP] [OPTION]...",
    .about = "With --pool it is a worker: it joins the lca-integrate that binds the socket, takes chunks of the data, "
             "and returns the loss and the gradient of each. Workers may come and go during a run; the results are "
             "the same bytes for any number of them. Start one per core: a process is one thread. SIGTERM makes a "
             "worker finish the chunks that it has, leave and exit with 0; a second signal ends it at once, and others "
             "do its chunks.\n\n"
             "Without it is a filter from a theta stream to a grad stream: the mean loss and gradient of a set at "
             "each theta.\n\nWith --benchmark it prints how long loss and gradient take.",
    .examples = "  lca-grad --data mnist.data --pool ipc:pool\n"
                "  lca-grad --data mnist.data --pool at:/shared/run/pool   # the file tells the address\n"
                "  lca-grad --data mnist.data < thetas.lca > grads.lca\n"
                "  lca-grad --data cifar.data --pool ipc:pool --device cuda:1   # a second card joins in\n"
                "  lca-grad --benchmark --net mnist-fc --examples 55000",
    .opts = opts,
    .more = link_opts,
    .max_args = 0,
    .built = LCA_BACKENDS,
    .run = run,
};

int main(int argc, char **argv)
{
    return lca_tool_main(&tool, argc, argv);
}
