/* lca-train: trains a network and tells every step.
 *
 * In: a data file. Out: a `theta` stream: HEAD, then theta_0 .. theta_T, each with
 * what led to it; and, if wanted, a stream of the mini-batch gradients g_0 .. g_T-1.
 * Training is deterministic: seed and options give the bytes, also when it goes on
 * from a checkpoint. It is what it would be without anybody watching (Lan et al. 2019,
 * section 3): mini-batch gradients, SGD with momentum or Adam, no weight decay. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/digest.h"
#include "base/log.h"
#include "base/tool.h"
#include "data/batch.h"
#include "data/dataset.h"
#include "frame/head.h"
#include "link/endpoint.h"
#include "link/link.h"
#include "link/record.h"
#include "nn/checkpoint.h"
#include "nn/chunk.h"
#include "nn/init.h"
#include "nn/net.h"
#include "nn/train.h"

static struct {
    const char *net, *data, *device, *optimizer, *dropout, *lr_steps, *from, *checkpoint, *resume;
    long examples, iterations, batch, seed, checkpoint_every;
    double lr, momentum;
    struct lca_list freeze, layer_lr, layer_momentum, delay, gradients;
    struct lca_link_args link;
} opt = {.device = "cpu", .optimizer = "sgd", .dropout = "on", .examples = 0, .iterations = 0, .batch = 250, .seed = 1,
         .lr = 0, .momentum = 0.9, .checkpoint_every = 100};

static const struct lca_opt opts[] = {
    {"net", 'N', LCA_OPT_STR, &opt.net, "NAME|FILE", "Network: a built-in name or a description (see lca-net).",
     0, 0, false},
    {"data", 'd', LCA_OPT_STR, &opt.data, "FILE", "Data file made by lca-data.", 0, 0, true},
    {"device", 'D', LCA_OPT_STR, &opt.device, "DEVICE", "What computes the gradients of mini-batches: cpu, or where it was "
     "built with CUDA cuda, or cuda:N for card N; each as in lca-grad, with :tf32 or :bf16 after it for another precision "
     "(default cpu). Other devices go to other bits.", 0, 0, true},
    {"examples", 0, LCA_OPT_INT, &opt.examples, "N", "Train on the first N examples (default: all).", 1, 4e9, false},
    {"iterations", 'T', LCA_OPT_INT, &opt.iterations, "N", "Training steps (default: 4 epochs).", 1, 1e9, false},
    {"batch", 'b', LCA_OPT_INT, &opt.batch, "N", "Examples of a mini-batch (default 250).", 1, 1e9, false},
    {"optimizer", 'O', LCA_OPT_STR, &opt.optimizer, "NAME", "sgd or adam (default sgd).", 0, 0, false},
    {"lr", 0, LCA_OPT_NUM, &opt.lr, "X", "Learning rate (default: sgd 0.05, adam 0.002).", 1e-12, 1e6, false},
    {"momentum", 'm', LCA_OPT_NUM, &opt.momentum, "X", "Momentum of sgd, 0 for none (default 0.9).", 0, 0.999999,
     false},
    {"seed", 's', LCA_OPT_INT, &opt.seed, "N", "Seed of initial weights, batches and dropout (default 1).", 0,
     4294967295.0, false},
    {"dropout", 0, LCA_OPT_STR, &opt.dropout, "on|off", "Whether dropout layers act in training (default on).", 0, 0,
     false},
    {"lr-steps", 0, LCA_OPT_STR, &opt.lr_steps, "T=X,...", "From step T on the learning rate is X.", 0, 0, true},
    {"freeze", 0, LCA_OPT_LIST, &opt.freeze, "LAYER[@T]", "Keep a layer as it is from step T on (default 0).", 0, 0,
     true},
    {"layer-lr", 0, LCA_OPT_LIST, &opt.layer_lr, "LAYER=X", "Another learning rate for a layer.", 0, 0, true},
    {"layer-momentum", 0, LCA_OPT_LIST, &opt.layer_momentum, "LAYER=X", "Another momentum for a layer.", 0, 0, true},
    {"delay", 0, LCA_OPT_LIST, &opt.delay, "LAYER=D", "Apply a layer's gradients D steps late.", 0, 0, true},
    {"from", 0, LCA_OPT_STR, &opt.from, "FILE[@T]", "Start from given weights: those of step T in a recorded theta "
     "stream (default: its first).", 0, 0, true},
    {"gradients", 0, LCA_OPT_LIST, &opt.gradients, "EP", "Also write the mini-batch gradient of each step, as a stream "
     "of its own.", 0, 0, true},
    {"checkpoint", 0, LCA_OPT_STR, &opt.checkpoint, "DIR", "Write checkpoints into this folder, and one at the end or "
     "when interrupted.", 0, 0, true},
    {"checkpoint-every", 0, LCA_OPT_INT, &opt.checkpoint_every, "N", "Steps from one checkpoint to the next (default "
     "100).", 1, 1e9, false},
    {"resume", 0, LCA_OPT_STR, &opt.resume, "FILE|DIR", "Go on from a checkpoint, or the last good one of a folder, to "
     "the same bytes; the other options must be those of the run. The folder of --checkpoint may still be empty.", 0, 0, true},
    {0},
};
static const struct lca_opt link_opts[] = {LCA_OUT_OPTS(opt.link), LCA_SAFETY_OPTS(opt.link.safety), {0}};

struct train {
    struct lca_net net;
    struct lca_dataset data;
    const struct lca_set *set;
    struct lca_eval *eval;
    struct lca_optim optim;
    struct lca_batch batch;
    uint32_t N;             /* training examples used */
    uint64_t T;             /* steps */
    bool dropout;
    float *theta, *grad;
    struct lca_checkpoint at;   /* where training stands */
    json_t *def;
    struct lca_out *out, *gradients;
};

static int apply(struct lca_optim *o, const struct lca_list *list,
                 int (*one)(struct lca_optim *, const char *, struct lca_err *), struct lca_err *err)
{
    for (int k = 0; k < list->n; k++)
        if (one(o, list->item[k], err) < 0)
            return -1;
    return 0;
}

static int open_all(struct train *t, struct lca_err *err)
{
    bool adam = strcmp(opt.optimizer, "adam") == 0;
    if (!opt.net || !opt.data)
        return lca_fail(err, LCA_USAGE, "--net and --data are needed: see --help");
    if (!adam && strcmp(opt.optimizer, "sgd") != 0)
        return lca_fail(err, LCA_USAGE, "--optimizer takes sgd or adam, not '%s'", opt.optimizer);
    t->dropout = strcmp(opt.dropout, "on") == 0;
    if (!t->dropout && strcmp(opt.dropout, "off") != 0)
        return lca_fail(err, LCA_USAGE, "--dropout takes on or off, not '%s'", opt.dropout);
    if (opt.lr == 0)
        opt.lr = adam ? 0.002 : 0.05;
    if (lca_net_load(&t->net, opt.net, err) < 0 || lca_dataset_open(&t->data, opt.data, err) < 0 ||
        lca_dataset_verify(&t->data, err) < 0)
        return -1;
    t->set = lca_dataset_find(&t->data, "train", err);
    if (!t->set)
        return -1;
    if (t->net.classes != t->data.classes)
        return lca_fail(err, LCA_USAGE, "%s tells %u classes apart, %s has %u", t->net.name, t->net.classes, opt.data,
                        t->data.classes);
    if (opt.examples > (long)t->set->n)
        return lca_fail(err, LCA_USAGE, "--examples %ld: %s has %u training examples", opt.examples, opt.data,
                        t->set->n);
    t->N = opt.examples ? (uint32_t)opt.examples : t->set->n;
    if (lca_batch_init(&t->batch, (uint32_t)opt.seed, t->N, (uint32_t)opt.batch, err) < 0)
        return -1;
    t->T = opt.iterations ? (uint64_t)opt.iterations : 4 * (uint64_t)t->batch.steps;

    const struct lca_set *test = lca_dataset_find(&t->data, "test", NULL);
    uint32_t chunk = test ? lca_chunk_divisor(&t->net, test->n) : 0;
    uint32_t most = chunk > (uint32_t)opt.batch ? chunk : (uint32_t)opt.batch;
    struct lca_images images = {t->data.set[0].images, t->data.set[0].labels, 0, lca_dataset_pixels(&t->data)};
    for (int k = 0; k < t->data.sets; k++)
        images.n += t->data.set[k].n;
    t->eval = lca_eval_new(&t->net, opt.device, &images, most, err);
    t->theta = lca_alloc(t->net.P, sizeof *t->theta, err);
    t->grad = lca_alloc(t->net.P, sizeof *t->grad, err);
    if (!t->eval || !t->theta || !t->grad ||
        lca_optim_init(&t->optim, &t->net.table, adam ? LCA_ADAM : LCA_SGD, opt.lr, opt.momentum, err) < 0 ||
        apply(&t->optim, &opt.freeze, lca_optim_freeze, err) < 0 ||
        apply(&t->optim, &opt.layer_lr, lca_optim_layer_lr, err) < 0 ||
        apply(&t->optim, &opt.layer_momentum, lca_optim_layer_momentum, err) < 0 ||
        apply(&t->optim, &opt.delay, lca_optim_delay, err) < 0)
        return -1;
    if (opt.lr_steps && lca_optim_lr_steps(&t->optim, opt.lr_steps, err) < 0)
        return -1;
    if (adam && opt.momentum != 0.9)
        lca_note("--momentum has no meaning with adam and is ignored");
    return 0;
}

/* what it is */

static json_t *list_json(const struct lca_list *list)
{
    json_t *a = json_array();
    for (int k = 0; k < list->n; k++)
        json_array_append_new(a, json_string(list->item[k]));
    return a;
}

/* Everything that determines theta_0, theta_1, ...; never where it ran. */
static json_t *definition(const struct train *t)
{
    char hex[LCA_SHA256_HEX];
    uint8_t digest[LCA_SHA256_LEN];
    lca_sha256(t->net.json, strlen(t->net.json), digest);
    lca_hex(digest, sizeof digest, hex);
    json_t *def = json_pack("{s:s, s:s, s:s, s:I, s:I, s:s, s:f, s:I}", "network", t->net.name, "network_sha256", hex,
                            "data_sha256", t->data.sha256, "examples", (json_int_t)t->N, "batch",
                            (json_int_t)opt.batch, "optimizer", opt.optimizer, "lr", opt.lr, "seed",
                            (json_int_t)opt.seed);
    if (t->optim.kind == LCA_SGD)
        json_object_set_new(def, "momentum", json_real(opt.momentum));
    json_object_set_new(def, "dropout", json_string(t->dropout ? "on" : "off"));
    const struct {
        const char *key;
        const struct lca_list *list;
    } lists[] = {{"freeze", &opt.freeze}, {"layer_lr", &opt.layer_lr}, {"layer_momentum", &opt.layer_momentum},
                 {"delay", &opt.delay}};
    for (size_t k = 0; k < sizeof lists / sizeof *lists; k++)
        if (lists[k].list->n)
            json_object_set_new(def, lists[k].key, list_json(lists[k].list));
    if (opt.lr_steps)
        json_object_set_new(def, "lr_steps", json_string(opt.lr_steps));
    if (opt.from) {
        lca_sha256(t->theta, t->net.P * sizeof *t->theta, digest);
        lca_hex(digest, sizeof digest, hex);
        json_object_set_new(def, "from_sha256", json_string(hex));
    }
    return def;
}

/* where it begins */

/* Step `step` of the recorded theta stream in path (UINT64_MAX: its first). */
static int read_theta(struct train *t, const char *path, uint64_t step, struct lca_err *err)
{
    struct lca_frame f = {0};
    json_t *layers = lca_table_json(&t->net.table);
    if (!layers)
        return lca_fail(err, LCA_INTERNAL, "out of memory");
    struct lca_reader *r = lca_reader_open(path, err);
    uint64_t have = 0, last = UINT64_MAX;
    int got = -1;
    while (r && have < t->net.P && (got = lca_reader_next(r, &f, err)) == 1) {
        if (f.kind == LCA_KIND_head && !json_equal(f.u.head.layers, layers)) {
            got = lca_fail(err, LCA_USAGE, "--from %s has the weights of %s, whose layers are not those of %s", path,
                           f.u.head.model, t->net.name);
            break;
        }
        if (f.kind != LCA_KIND_theta)
            continue;
        const struct lca_frame_theta *h = &f.u.theta;
        last = h->it;
        if (step == UINT64_MAX)
            step = h->it;
        uint64_t n = lca_frame_count(&f);
        if (h->it == step && h->off == have && n <= t->net.P - have) {
            memcpy(t->theta + have, f.payload, n * sizeof *t->theta);
            have += n;
        }
    }
    if (got == 0 && last == UINT64_MAX)
        got = lca_fail(err, LCA_USAGE, "--from %s holds no theta: it takes a recorded theta stream", path);
    else if (got == 0)
        got = lca_fail(err, LCA_USAGE, "--from %s has no theta of step %" PRIu64 ": its last is of step %" PRIu64, path,
                       step, last);
    lca_frame_clear(&f);
    lca_reader_close(r);
    json_decref(layers);
    return got < 0 ? -1 : 0;
}

/* --from FILE[@T] */
static int start_from(struct train *t, struct lca_err *err)
{
    char path[4096];
    const char *at = strrchr(opt.from, '@');
    uint64_t step = UINT64_MAX;
    size_t n = strlen(opt.from);
    if (at && at[1] && strspn(at + 1, "0123456789") == strlen(at + 1)) {
        step = strtoull(at + 1, NULL, 10);
        n = (size_t)(at - opt.from);
    }
    if (n >= sizeof path)
        return lca_fail(err, LCA_USAGE, "--from: the path is too long");
    snprintf(path, sizeof path, "%.*s", (int)n, opt.from);
    return read_theta(t, path, step, err);
}

static bool to_socket(const struct lca_list *out)
{
    struct lca_endpoint e;
    for (int k = 0; k < out->n; k++)
        if (lca_endpoint_parse(&e, out->item[k], NULL) == 0 && e.kind == LCA_EP_SOCKET)
            return true;
    return false;
}

static int begin(struct train *t, struct lca_err *err)
{
    if (opt.from) {
        if (start_from(t, err) < 0)
            return -1;
    } else {
        lca_init(&t->net, (uint32_t)opt.seed, t->theta);
    }
    t->def = definition(t);
    if (!t->def)
        return lca_fail(err, LCA_INTERNAL, "out of memory");
    t->at = (struct lca_checkpoint){.def = t->def, .num = lca_eval_num(t->eval), .optim = &t->optim, .theta = t->theta};
    if (opt.checkpoint && lca_checkpoint_dir(opt.checkpoint, opt.resume, err) < 0)
        return -1;
    /* cut off before the first checkpoint was there */
    if (opt.resume && opt.checkpoint && strcmp(opt.resume, opt.checkpoint) == 0 && !lca_checkpoint_any(opt.resume)) {
        lca_note("%s holds no checkpoint yet: beginning at step 0", opt.resume);
        return 0;
    }
    /* readers on a socket come back for frames that they have not had yet: the oldest
     * checkpoint kept is of before those */
    if (opt.resume && lca_checkpoint_load(&t->at, opt.resume, to_socket(&opt.link.out) || to_socket(&opt.gradients),
                                          err) < 0)
        return -1;
    if (t->optim.t > t->T)
        return lca_fail(err, LCA_USAGE, "--resume: the checkpoint is of step %" PRIu64 ", --iterations %" PRIu64
                        " ends before it", t->optim.t, t->T);
    return 0;
}

/* HEAD */

/* HEAD of the theta stream, or of the gradients, which are one fewer. Whoever goes on begins
 * at the frames of its checkpoint's step, under the numbers that they always had. */
static int send_head(struct train *t, struct lca_out *out, const char *st, uint64_t vectors, const char *unit,
                     struct lca_err *err)
{
    struct lca_frame f = LCA_FRAME(head);
    if (lca_run_id(t->def, f.run, err) < 0)
        return -1;
    f.st = st;
    struct lca_frame_head *h = &f.u.head;
    h->v = LCA_WIRE_VERSION;
    h->model = t->net.name;
    h->P = t->net.P;
    h->layers = lca_table_json(&t->net.table);
    h->classes = lca_dataset_classes(&t->data, t->set, t->N);
    h->data = json_pack("{s:s, s:s, s:o}", "name", t->data.name, "sha256", t->data.sha256, "sets",
                        lca_dataset_sets(&t->data, t->set, t->N));
    h->parts = lca_slices(t->net.P);
    h->it0 = 0;
    h->it1 = json_integer((json_int_t)vectors);
    h->unit = unit;
    h->num = lca_eval_num(t->eval);
    h->nbmax = lca_slice_bytes(t->net.P);
    h->first = t->optim.t * h->parts;
    h->def = t->def;
    h->prov = lca_prov_add(NULL, "lca-train", json_pack("{s:I}", "iterations", (json_int_t)t->T));
    lca_frame_payload(&f, "|u1", strlen(t->net.json), t->net.json);
    int result = h->layers && h->classes && h->data && h->prov ? lca_out_head(out, &f, err)
                                                               : lca_fail(err, LCA_INTERNAL, "out of memory");
    json_decref(h->layers);
    json_decref(h->classes);
    json_decref(h->data);
    json_decref(h->it1);
    json_decref(h->prov);
    return result;
}

static int open_outputs(struct train *t, struct lca_link *link, struct lca_err *err)
{
    struct lca_out_opts gradients = {.out = &opt.gradients};
    if (!(t->out = lca_out_from_args(link, &opt.link, err)) || send_head(t, t->out, "theta", t->T + 1, "1", err) < 0)
        return -1;
    if (opt.gradients.n == 0)
        return 0;
    if (lca_link_lost(&opt.link, &gradients.lost, &gradients.drop, err) < 0 ||
        !(t->gradients = lca_out_open(link, &gradients, err)))
        return -1;
    return send_head(t, t->gradients, "gradients", t->T, "nat", err);
}

/* the steps */

static int send_theta(struct train *t, struct lca_err *err)
{
    struct lca_frame f = LCA_FRAME(theta);
    struct lca_frame_theta *h = &f.u.theta;
    *h = (struct lca_frame_theta){.it = t->optim.t, .lr = t->at.lr, .mbloss = t->at.mbloss, .epoch = t->at.epoch};
    if (h->it > 0)
        h->mb = (struct lca_bin){t->at.mb, sizeof t->at.mb};
    return lca_out_wait(t->out, err) < 0 ? -1 : lca_out_vector(t->out, &f, &h->off, &h->part, t->theta, t->net.P, err);
}

static int send_gradient(struct train *t, struct lca_err *err)
{
    struct lca_frame f = LCA_FRAME(grad);
    struct lca_frame_grad *h = &f.u.grad;
    *h = (struct lca_frame_grad){.it = t->optim.t - 1, .set = "batch", .cls = -1, .loss = t->at.mbloss};
    if (lca_out_wait(t->gradients, err) < 0)
        return -1;
    return lca_out_vector(t->gradients, &f, &h->off, &h->part, t->grad, t->net.P, err);
}

/* Training does not end because there is no room for a checkpoint. */
static void save(struct train *t, uint64_t needed)
{
    struct lca_err why = {0};
    if (opt.checkpoint && lca_checkpoint_save(&t->at, opt.checkpoint, needed, &why) < 0)
        lca_warn("%s; training goes on without it", why.text);
}

/* A checkpoint when one is due; everything up to it is on disk before. */
static int keep(struct train *t, bool last, struct lca_err *err)
{
    if (!opt.checkpoint || (!last && t->optim.t % (uint64_t)opt.checkpoint_every != 0))
        return 0;
    uint64_t needed = lca_out_done(t->out);
    if (lca_out_sync(t->out, err) < 0 || (t->gradients && lca_out_sync(t->gradients, err) < 0))
        return -1;
    if (t->gradients && lca_out_done(t->gradients) < needed)
        needed = lca_out_done(t->gradients);
    save(t, needed / lca_slices(t->net.P));
    return 0;
}

/* One step, from theta_t to theta_t+1. */
static int step(struct train *t, struct lca_err *err)
{
    struct lca_loss sum = {0};
    uint64_t it = t->optim.t;
    const uint32_t *index = lca_batch_at(&t->batch, it, &t->at.epoch);
    t->at.lr = lca_optim_lr(&t->optim, it);
    lca_batch_hash(index, (uint32_t)opt.batch, t->at.mb);
    if (lca_train_step(t->eval, &t->optim, t->theta, t->grad, index, (uint32_t)opt.batch, t->dropout ? opt.seed : -1,
                       &sum, err) < 0)
        return -1;
    t->at.mbloss = sum.loss / (double)sum.n;
    if (!isfinite(t->at.mbloss))
        return lca_fail(err, LCA_INTERNAL, "step %" PRIu64 ": the mini-batch loss is %g: training diverged; "
                        "lower --lr", it, t->at.mbloss);
    if (!lca_train_finite(t->theta, t->net.P))
        return lca_fail(err, LCA_INTERNAL, "step %" PRIu64 ": it led to parameters that are no numbers: training "
                        "diverged; lower --lr", it);
    return t->gradients ? send_gradient(t, err) : 0;
}

static int train(struct train *t, struct lca_link *link, const char **status, struct lca_err *err)
{
    uint64_t first = t->optim.t;
    *status = "ok";
    /* readers may be behind the first of the others when training is cut off */
    if (first == 0)
        save(t, 0);
    for (;;) {
        if (send_theta(t, err) < 0)
            return -1;
        bool end = t->optim.t == t->T, stop = !end && lca_link_want(link) != LCA_SIG_GO;
        if (t->optim.t > first && keep(t, end || stop, err) < 0)
            return -1;
        if (stop)
            *status = "interrupted";
        if (end || stop)
            return 0;
        if (step(t, err) < 0)
            return -1;
    }
}

static json_t *summary(struct train *t, struct lca_err *err)
{
    json_t *final = json_pack("{s:s, s:I, s:I, s:I, s:I, s:s, s:f, s:I}", "network", t->net.name, "parameters",
                              (json_int_t)t->net.P, "iterations", (json_int_t)t->optim.t, "examples", (json_int_t)t->N,
                              "seed", (json_int_t)opt.seed, "optimizer", opt.optimizer, "lr", opt.lr, "batch",
                              (json_int_t)opt.batch);
    if (t->optim.kind == LCA_SGD)
        json_object_set_new(final, "momentum", json_real(opt.momentum));
    const struct lca_set *test = lca_dataset_find(&t->data, "test", NULL);
    if (!test)
        return final;
    uint32_t first = (uint32_t)(test->labels - t->data.set[0].labels), chunk = lca_chunk_divisor(&t->net, test->n);
    struct lca_loss all = {0};
    for (uint32_t lo = 0; lo < test->n; lo += chunk) {
        struct lca_loss sum = {0};
        if (lca_eval_unit(t->eval, t->theta, first + lo, first + lo + chunk, NULL, &sum, err) < 0) {
            json_decref(final);
            return NULL;
        }
        all.loss += sum.loss;
        all.hits += sum.hits;
    }
    json_object_set_new(final, "loss_test", json_real(all.loss / test->n));
    json_object_set_new(final, "accuracy_test", json_real(100.0 * (double)all.hits / test->n));
    return final;
}

/* Both streams end alike; what has been learnt stands at the end of theta's. */
static int finish(struct train *t, struct lca_link *link, const char *status, struct lca_err *err)
{
    struct lca_frame eos = LCA_FRAME(eos);
    eos.u.eos.status = status;
    if (t->gradients && lca_out_end(t->gradients, &eos, err) < 0)
        return -1;
    json_t *final = summary(t, err);
    if (!final)
        return -1;
    eos.u.eos.final = final;
    int result = lca_out_end(t->out, &eos, err) < 0 ? -1 : lca_report(link, final, err);
    json_decref(final);
    if (result == 0 && strcmp(status, "ok") != 0)
        return lca_fail(err, LCA_ABORTED, "interrupted after step %" PRIu64, t->optim.t);
    return result;
}

static int run(int argc, char **argv, struct lca_err *err)
{
    (void)argc, (void)argv;
    struct train t = {0};
    const char *status;
    struct lca_link *link = NULL;
    int result = -1;
    if (open_all(&t, err) < 0 || begin(&t, err) < 0 || !(link = lca_link_new(LCA_SIG_SOURCE, err)) ||
        lca_link_reads(link, opt.data, err) < 0 || lca_link_reads(link, opt.net, err) < 0 ||
        open_outputs(&t, link, err) < 0 || train(&t, link, &status, err) < 0 || finish(&t, link, status, err) < 0)
        goto out;
    result = 0;
out:
    if (result < 0 && t.gradients)
        lca_out_abort(t.gradients, err->text);
    if (result < 0 && t.out)
        lca_out_abort(t.out, err->text);
    lca_link_free(link);
    json_decref(t.def);
    lca_eval_free(t.eval);
    lca_optim_clear(&t.optim);
    lca_batch_clear(&t.batch);
    lca_dataset_close(&t.data);
    lca_net_clear(&t.net);
    free(t.theta);
    free(t.grad);
    return result;
}

static const struct lca_tool tool = {
    .name = "lca-train",
    .summary = "train a network and tell every step",
    .usage = "--net NET --data FILE [OPTION]...",
    .about = "Trains a network on the training set of a data file and writes its parameters after every step as a "
             "theta stream, for lca-integrate.\n\nThe same options give the same bytes. A first SIGINT ends the "
             "stream after the current step, status interrupted; exit status 130.\n\nWith --checkpoint it can be "
             "gone on with after a crash: the same command with --resume writes the stream from the checkpoint's step "
             "on, the same bytes under the same numbers, so that lca-cat joins the pieces. The last two checkpoints "
             "stay, and those that readers on sockets may still need.",
    .examples = "  lca-train --net mnist-fc --data mnist.data --iterations 10 > thetas.lca\n"
                "  lca-train --net mnist-fc --data mnist.data --optimizer adam | lca-tap --fields it,mbloss\n"
                "  lca-train --net mnist-fc --data mnist.data --checkpoint cp > a.lca                 # killed ...\n"
                "  lca-train --net mnist-fc --data mnist.data --checkpoint cp --resume cp > b.lca     # ... goes on\n"
                "  lca-cat a.lca b.lca > thetas.lca",
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
