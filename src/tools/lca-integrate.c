/* lca-integrate: from a training path to what each parameter did to the loss.
 *
 * In: a `theta` stream, and a pool of gradient workers. Out: an `lca` stream, A[t,i]
 * of every step t and parameter i (Lan et al. 2019, section 3). Several steps are in
 * flight, so that workers never wait for one to end; frames leave in step order.
 *
 * What a step needs is in lca/steps.h; this file joins it to the links. */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/log.h"
#include "base/tool.h"
#include "frame/head.h"
#include "lca/steps.h"
#include "link/link.h"
#include "link/pool.h"
#include "link/recording.h"
#include "nn/chunk.h"
#include "nn/net.h"

enum { AHEAD = 8 };

static struct {
    const char *pool, *rule, *tolerance, *sets, *emit, *resume;
    long min_pieces, max_pieces, chunk, heldout;
    double pool_wait, lease;
    bool by_class, mixed;
    struct lca_link_args link;
} opt = {.rule = "simpson", .max_pieces = 32, .emit = "lca"};

static const struct lca_opt opts[] = {
    {"pool", 'p', LCA_OPT_STR, &opt.pool, "EP", "Socket for the workers (lca-grad --pool), bound here.", 0, 0, false},
    {"rule", 'r', LCA_OPT_STR, &opt.rule, "RULE", "first-order, trapezoid, midpoint, simpson or boole (default "
     "simpson).", 0, 0, false},
    {"tolerance", 0, LCA_OPT_STR, &opt.tolerance, "X", "Double the pieces of a step until its residual is within X nat "
     "on every set, or 'off' for a fixed number (default 1e-3; midpoint and first-order: off).", 0, 0, false},
    {"min-pieces", 0, LCA_OPT_INT, &opt.min_pieces, "N", "Pieces to begin with, a power of two (default 2; boole 4; "
     "others 1). Simpson from 1 begins with the trapezoid.", 1, 512, false},
    {"max-pieces", 0, LCA_OPT_INT, &opt.max_pieces, "N", "Pieces to end with, a power of two (default 32).", 1, 1024,
     false},
    {"sets", 0, LCA_OPT_STR, &opt.sets, "A,B", "Sets to allocate the loss of: train, val, test (default train, and val "
     "where there is one).", 0, 0, false},
    {"heldout", 0, LCA_OPT_INT, &opt.heldout, "N", "Of each set but train the first N examples (default: all).", 1,
     4e9, false},
    {"chunk", 'c', LCA_OPT_INT, &opt.chunk, "N", "Training examples per chunk, the unit of work; must divide them "
     "(default 5000; 1000 with convolutions, 2500 with batch norm).", 1, 4e9, false},
    {"by-class", 0, LCA_OPT_FLAG, &opt.by_class, NULL, "Also one frame for each class of the label.", 0, 0, false},
    {"emit", 0, LCA_OPT_STR, &opt.emit, "KINDS", "Frames to write: lca, move (d), grad (at theta_t), eff (G), parted by "
     "commas (default lca).", 0, 0, false},
    {"pool-wait", 0, LCA_OPT_NUM, &opt.pool_wait, "SECONDS", "Fail after so long without any worker (default: wait).",
     0.001, 1e9, false},
    {"lease", 0, LCA_OPT_NUM, &opt.lease, "SECONDS", "How long a worker may be at a chunk, at least, before another gets "
     "it too (default 10; more where chunks take long: 8 times what is usual).", 0.001, 1e9, false},
    {"mixed-numerics", 0, LCA_OPT_FLAG, &opt.mixed, NULL, "Let workers of different numerics into one run; its bytes "
     "then depend on who did what.", 0, 0, false},
    {"resume", 0, LCA_OPT_STR, &opt.resume, "FILE", "Go on after a recording of this stream that was cut off: its whole "
     "steps are passed on as they are, those that follow are computed. An empty or missing FILE: all are.", 0, 0, true},
    {0},
};
static const struct lca_opt link_opts[] = {LCA_IN_OPTS(opt.link), LCA_OUT_OPTS(opt.link),
                                           LCA_SAFETY_OPTS(opt.link.safety), {0}};

struct set {
    char name[8];
    uint64_t N, chunk;
};

struct integrate {
    struct lca_link *link;
    struct lca_in *in;
    struct lca_out *out;
    struct lca_pool *pool;

    struct lca_frame head;          /* of the theta stream */
    struct lca_buf head_bytes;
    struct lca_net net;
    json_t *def;
    uint64_t P, classes, rows, theta_parts;
    struct set set[LCA_STEPS_SETS];
    unsigned n_set, *unit_set;      /* set of each unit */
    enum lca_rule rule;
    bool refine;
    double tolerance;
    unsigned min_pieces, max_pieces;
    bool with_lca, with_move, with_grad, with_eff;
    uint64_t parts, ahead;

    float *incoming;                /* theta being received */
    uint64_t got, it;               /* parameters of it; iteration expected */
    uint64_t it0, first;            /* first iteration of the run; iterations before ours */

    struct lca_recording past;      /* --resume: what has been recorded, .. */
    struct lca_reader *replay;      /* .. of which this is passed on; NULL: all has been */
    char from[24];                  /* the seq of theta that follows it */

    struct lca_steps *steps;
    bool head_sent, ended;
    char status[16];
    float *A;                       /* [P], the vector being sent */

    uint64_t steps_done, evaluations, at_max;
    double loss_first, loss_last;
};

/* ---- the pool's answers ---- */

static int on_row(void *arg, const struct lca_pool_row *row, struct lca_err *err)
{
    struct integrate *x = arg;
    if ((row->cls >= 0) != opt.by_class)
        return lca_fail(err, LCA_CORRUPT, "pool: a worker answered %s class", opt.by_class ? "without" : "with a");
    return lca_steps_add(x->steps, row->pt, x->unit_set[row->u], row->cls < 0 ? 0 : (unsigned)row->cls,
                         row->first ? row->loss : 0, row->off, row->grad, row->len, err);
}

static int on_point(void *arg, uint64_t pt, struct lca_err *err)
{
    return lca_steps_point(((struct integrate *)arg)->steps, pt, err);
}

static int ask(void *arg, uint64_t pt, uint64_t order, uint64_t it, uint64_t j, uint64_t n, const float *theta,
               struct lca_err *err)
{
    return lca_pool_point(((struct integrate *)arg)->pool, pt, order, it, j, n, theta, err);
}

/* ---- frames ---- */

/* All classes (-1), then each where they are wanted. */
static int last_row(const struct integrate *x)
{
    return opt.by_class ? (int)x->rows - 1 : -1;
}

/* Counts what EOS and the summary tell of a step. */
static void count_step(struct integrate *x, const struct lca_frame_lca *h)
{
    if (h->cls >= 0 || h->off > 0 || strcmp(h->set, x->set[0].name) != 0)
        return;
    if (x->steps_done == 0)
        x->loss_first = h->L0;
    x->loss_last = h->L1;
    x->steps_done++;
    x->evaluations += h->ev;
    x->at_max += x->refine && h->n >= x->max_pieces;
}

static int emit_lca(struct integrate *x, const struct lca_step_done *st, unsigned s, struct lca_err *err)
{
    for (int c = -1; c <= last_row(x); c++) {
        struct lca_frame f = LCA_FRAME(lca);
        struct lca_frame_lca *h = &f.u.lca;
        const double *G;
        if (lca_steps_effective(x->steps, s, c, &G, err) < 0)
            return -1;
        struct lca_path_sums sums = lca_path_allocate(x->A, st->a, st->b, G, lca_steps_gradient(x->steps, s, c), x->P);
        *h = (struct lca_frame_lca){.it = st->it, .set = x->set[s].name, .cls = c, .sum = sums.sum, .abs = sums.abs,
                                    .fo = sums.fo, .n = st->n, .ev = st->evaluated};
        lca_steps_loss(x->steps, s, c, &h->L0, &h->L1);
        h->res = h->L1 - h->L0 - h->sum;
        if (c < 0) {
            h->tr.n = st->n_trace;
            memcpy(h->tr.v, st->residual[s], st->n_trace * sizeof *h->tr.v);
        }
        count_step(x, h);
        if (lca_out_vector(x->out, &f, &h->off, &h->part, x->A, x->P, err) < 0)
            return -1;
    }
    return 0;
}

static int emit_move(struct integrate *x, const struct lca_step_done *st, struct lca_err *err)
{
    struct lca_frame f = LCA_FRAME(move);
    f.u.move.it = st->it;
    for (uint64_t i = 0; i < x->P; i++)
        x->A[i] = (float)((double)st->b[i] - st->a[i]);
    return lca_out_vector(x->out, &f, &f.u.move.off, &f.u.move.part, x->A, x->P, err);
}

static void round_to(float *A, const double *v, uint64_t P)
{
    for (uint64_t i = 0; i < P; i++)
        A[i] = (float)v[i];
}

static int emit_grad(struct integrate *x, const struct lca_step_done *st, unsigned s, struct lca_err *err)
{
    for (int c = -1; c <= last_row(x); c++) {
        struct lca_frame f = LCA_FRAME(grad);
        double L1;
        f.u.grad = (struct lca_frame_grad){.it = st->it, .set = x->set[s].name, .cls = c};
        lca_steps_loss(x->steps, s, c, &f.u.grad.loss, &L1);
        round_to(x->A, lca_steps_gradient(x->steps, s, c), x->P);
        if (lca_out_vector(x->out, &f, &f.u.grad.off, &f.u.grad.part, x->A, x->P, err) < 0)
            return -1;
    }
    return 0;
}

static int emit_eff(struct integrate *x, const struct lca_step_done *st, unsigned s, struct lca_err *err)
{
    for (int c = -1; c <= last_row(x); c++) {
        struct lca_frame f = LCA_FRAME(eff);
        const double *G;
        f.u.eff = (struct lca_frame_eff){.it = st->it, .set = x->set[s].name, .cls = c};
        if (lca_steps_effective(x->steps, s, c, &G, err) < 0)
            return -1;
        round_to(x->A, G, x->P);
        if (lca_out_vector(x->out, &f, &f.u.eff.off, &f.u.eff.part, x->A, x->P, err) < 0)
            return -1;
    }
    return 0;
}

static int emit(struct integrate *x, const struct lca_step_done *st, struct lca_err *err)
{
    for (unsigned s = 0; s < x->n_set; s++)
        if (emit_lca(x, st, s, err) < 0)
            return -1;
    if (x->with_move && emit_move(x, st, err) < 0)
        return -1;
    for (unsigned s = 0; x->with_grad && s < x->n_set; s++)
        if (emit_grad(x, st, s, err) < 0)
            return -1;
    for (unsigned s = 0; x->with_eff && s < x->n_set; s++)
        if (emit_eff(x, st, s, err) < 0)
            return -1;
    return 0;
}

static int emit_ready(struct integrate *x, struct lca_err *err)
{
    const struct lca_step_done *st;
    if (!x->head_sent || x->replay)
        return 0;
    while ((st = lca_steps_ready(x->steps)) && lca_out_room(x->out)) {
        if (emit(x, st, err) < 0)
            return -1;
        lca_steps_drop(x->steps);
    }
    /* theta_t is done with when A_t has been acknowledged */
    lca_in_done(x->in, lca_out_done(x->out) / x->parts * x->theta_parts);
    return 0;
}

/* ---- going on after a recording ---- */

static int look_back(struct integrate *x, struct lca_err *err)
{
    struct stat s;
    if (!opt.resume)
        return 0;
    if (opt.link.from)
        return lca_fail(err, LCA_USAGE, "--resume finds out where to go on: leave out --from");
    if (stat(opt.resume, &s) < 0 && errno == ENOENT)
        return 0;
    if (lca_recording_look(&x->past, opt.resume, err) < 0)
        return lca_err_prefix(err, "--resume");
    if (x->past.has_head && strcmp(x->past.st, "lca") != 0)
        return lca_fail(err, LCA_USAGE, "--resume %s: this is a %s stream, not lca", opt.resume, x->past.st);
    if (x->past.has_head && (x->past.parts == 0 || x->past.first > 0))
        return lca_fail(err, LCA_USAGE, "--resume %s: it begins within the stream: join it with what comes before",
                        opt.resume);
    if (!x->past.has_head || x->past.next == 0)
        return 0;
    uint64_t steps = x->past.next / x->past.parts;
    snprintf(x->from, sizeof x->from, "%" PRIu64, steps * lca_slices(x->past.P));
    opt.link.from = x->from;
    lca_note("passing on the %" PRIu64 " steps of %s", steps, opt.resume);
    x->replay = lca_reader_open(opt.resume, err);
    return x->replay ? 0 : -1;
}

static void end_replay(struct integrate *x)
{
    lca_reader_close(x->replay);
    x->replay = NULL;
}

/* Passes on recorded steps while there is room. */
static int pass_on(struct integrate *x, struct lca_err *err)
{
    struct lca_frame f = {0};
    int got = 1;
    while (x->replay && got > 0 && lca_out_room(x->out)) {
        got = lca_reader_next(x->replay, &f, err);
        if (got == 0)
            got = lca_fail(err, LCA_CORRUPT, "%s has become shorter", opt.resume);
        if (got < 0 || !lca_kind_is_data(f.kind))
            continue;
        struct lca_frame data = f;
        data.inside = NULL;
        if (f.kind == LCA_KIND_lca)
            count_step(x, &f.u.lca);
        if (lca_out_send(x->out, &data, err) < 0)
            got = -1;
        if (lca_out_next(x->out) == x->past.next)
            end_replay(x);
    }
    lca_frame_clear(&f);
    return got < 0 ? -1 : 0;
}

/* ---- opening ---- */

static int parse_options(struct integrate *x, struct lca_err *err)
{
    if (!opt.pool)
        return lca_fail(err, LCA_USAGE, "--pool is needed: the socket that lca-grad --pool connects to");
    if (lca_rule_parse(opt.rule, &x->rule, err) < 0)
        return -1;
    x->refine = lca_rule_refines(x->rule);
    x->tolerance = 1e-3;
    if (opt.tolerance && strcmp(opt.tolerance, "off") == 0) {
        x->refine = false;
    } else if (opt.tolerance) {
        char *end;
        x->tolerance = strtod(opt.tolerance, &end);
        if (*end || !(x->tolerance > 0) || !isfinite(x->tolerance))
            return lca_fail(err, LCA_USAGE, "--tolerance takes a number above 0 or 'off', not '%s'", opt.tolerance);
        if (!x->refine)
            return lca_fail(err, LCA_USAGE, "--rule %s cannot be refined: give --tolerance off", opt.rule);
    }
    x->min_pieces = opt.min_pieces ? (unsigned)opt.min_pieces : (unsigned)lca_rule_pieces(x->rule);
    x->max_pieces = (unsigned)opt.max_pieces;
    double w[LCA_LEVELS];
    if (lca_path_weights(x->rule, (int)x->min_pieces, w, err) < 0)
        return lca_err_prefix(err, "--min-pieces");
    if (lca_path_weights(LCA_TRAPEZOID, (int)x->max_pieces, w, err) < 0)
        return lca_err_prefix(err, "--max-pieces");
    if (x->refine && x->max_pieces < x->min_pieces)
        return lca_fail(err, LCA_USAGE, "--max-pieces %u is below --min-pieces %u", x->max_pieces, x->min_pieces);
    unsigned doublings = sizeof ((struct lca_f8s *)0)->v / sizeof (double) - 1;     /* a frame lists each residual */
    if (x->refine && x->max_pieces >> doublings > x->min_pieces)
        return lca_fail(err, LCA_USAGE, "--max-pieces %u is more than %u doublings of %u pieces: give --min-pieces",
                        x->max_pieces, doublings, x->min_pieces);
    for (const char *k = opt.emit; *k;) {
        size_t n = strcspn(k, ",");
        bool *which = n == 3 && !strncmp(k, "lca", n) ? &x->with_lca : n == 4 && !strncmp(k, "move", n) ? &x->with_move
                    : n == 4 && !strncmp(k, "grad", n) ? &x->with_grad : n == 3 && !strncmp(k, "eff", n) ? &x->with_eff
                    : NULL;
        if (!which)
            return lca_fail(err, LCA_USAGE, "--emit takes lca, move, grad, eff, not '%.*s'", (int)n, k);
        *which = true;
        k += n + (k[n] == ',');
    }
    if (!x->with_lca)
        return lca_fail(err, LCA_USAGE, "--emit needs lca among its kinds");
    return 0;
}

static int add_set(struct integrate *x, const char *name, size_t len, struct lca_err *err)
{
    struct set *set = &x->set[x->n_set];
    uint64_t unused;
    uint32_t chunk;
    if (x->n_set == LCA_STEPS_SETS || len >= sizeof set->name)
        return lca_fail(err, LCA_USAGE, "--sets takes train, val, test, not '%s'", name);
    snprintf(set->name, sizeof set->name, "%.*s", (int)len, name);
    for (unsigned s = 0; s < x->n_set; s++)
        if (strcmp(x->set[s].name, set->name) == 0)
            return lca_fail(err, LCA_USAGE, "--sets names %s twice", set->name);
    if (lca_head_set(&x->head.u.head, set->name, &set->N, &unused, err) < 0)
        return -1;
    if (set->N < 1 || set->N > UINT32_MAX)
        return lca_fail(err, LCA_CORRUPT, "the stream says %" PRId64 " examples of %s", (int64_t)set->N, set->name);
    /* a chunk that the user gives is for the training set; others follow as they can */
    bool train = strcmp(set->name, "train") == 0;
    uint32_t given = train ? (uint32_t)opt.chunk : 0;
    if (!train && (uint64_t)opt.heldout > set->N)
        return lca_fail(err, LCA_USAGE, "--heldout %ld: the set %s has %" PRIu64 " examples", opt.heldout, set->name,
                        set->N);
    if (!train && opt.heldout)
        set->N = (uint64_t)opt.heldout;
    if (lca_chunk_choose(&x->net, (uint32_t)set->N, given, &chunk, err) < 0)
        return lca_err_prefix(err, "the set %s", set->name);
    set->chunk = chunk;
    x->n_set++;
    return 0;
}

static int choose_sets(struct integrate *x, struct lca_err *err)
{
    uint64_t N, chunk;
    if (!opt.sets) {
        if (add_set(x, "train", 5, err) < 0)
            return -1;
        return lca_head_set(&x->head.u.head, "val", &N, &chunk, NULL) < 0 ? 0 : add_set(x, "val", 3, err);
    }
    if (strncmp(opt.sets, "train", 5) != 0)
        return lca_fail(err, LCA_USAGE, "--sets begins with train");
    for (const char *k = opt.sets; *k;) {
        size_t n = strcspn(k, ",");
        if (add_set(x, k, n, err) < 0)
            return -1;
        k += n + (k[n] == ',');
    }
    return 0;
}

static json_t *sets_json(const struct integrate *x)
{
    json_t *sets = json_array();
    for (unsigned s = 0; s < x->n_set; s++)
        json_array_append_new(sets, json_pack("{s:s, s:I, s:I}", "set", x->set[s].name, "N", (json_int_t)x->set[s].N,
                                              "chunk", (json_int_t)x->set[s].chunk));
    return sets;
}

/* Which set each unit belongs to. */
static int count_units(struct integrate *x, struct lca_err *err)
{
    size_t n = 0;
    for (unsigned s = 0; s < x->n_set; s++)
        n += (size_t)(x->set[s].N / x->set[s].chunk);
    x->unit_set = lca_alloc(n, sizeof *x->unit_set, err);
    if (!x->unit_set)
        return -1;
    n = 0;
    for (unsigned s = 0; s < x->n_set; s++)
        for (uint64_t k = 0; k < x->set[s].N / x->set[s].chunk; k++)
            x->unit_set[n++] = s;
    return 0;
}

/* HEAD of the pool and of the lca stream differ in what only one of them needs. */
static int fill_head(struct integrate *x, struct lca_frame *f, const char *st, struct lca_err *err)
{
    *f = x->head;
    f->inside = NULL;
    f->st = st;
    f->u.head.bycls = opt.by_class;
    f->u.head.rule = lca_rule_name(x->rule);
    f->u.head.unit = "nat";
    f->u.head.nbmax = lca_slice_bytes(x->P);
    f->u.head.def = x->def;
    f->u.head.data = json_copy(x->head.u.head.data);
    if (!f->u.head.data || json_object_set_new(f->u.head.data, "sets", sets_json(x)) < 0)
        return lca_fail(err, LCA_INTERNAL, "out of memory");
    return lca_run_id(x->def, f->run, err);
}

static int open_pool(struct integrate *x, struct lca_err *err)
{
    struct lca_frame f;
    json_t *tolerance = x->refine ? json_real(x->tolerance) : json_string("off");
    x->def = json_copy(x->head.u.head.def);
    if (!x->def || json_object_set_new(x->def, "rule", json_string(lca_rule_name(x->rule))) < 0 ||
        json_object_set_new(x->def, "tolerance", tolerance) < 0 ||
        json_object_set_new(x->def, "min_pieces", json_integer(x->min_pieces)) < 0 ||
        json_object_set_new(x->def, "max_pieces", json_integer(x->refine ? x->max_pieces : x->min_pieces)) < 0 ||
        json_object_set_new(x->def, "sets", sets_json(x)) < 0 ||
        json_object_set_new(x->def, "emit", json_string(opt.emit)) < 0 ||
        json_object_set_new(x->def, "by_class", json_boolean(opt.by_class)) < 0)
        return lca_fail(err, LCA_INTERNAL, "out of memory");
    int result = fill_head(x, &f, "pool", err);
    if (result == 0)
        result = count_units(x, err);
    if (result == 0)
        result = lca_pool_head(x->pool, &f, err);
    json_decref(f.u.head.data);
    return result;
}

/* The lca stream's HEAD names the numerics, so it waits for the first worker. */
static int open_out(struct integrate *x, struct lca_err *err)
{
    struct lca_frame f;
    uint64_t vectors = x->n_set * (opt.by_class ? x->rows + 1 : 1);
    x->parts = lca_slices(x->P) * (vectors * (1u + x->with_grad + x->with_eff) + x->with_move);
    int result = fill_head(x, &f, "lca", err);
    f.u.head.parts = x->parts;
    f.u.head.first = x->first * x->parts;
    f.u.head.num = lca_pool_num(x->pool);
    json_int_t it1 = json_integer_value(x->head.u.head.it1);
    f.u.head.it1 = it1 > 0 ? json_integer(it1 - 1) : NULL;
    f.u.head.prov = lca_prov_add(x->head.u.head.prov, "lca-integrate", NULL);
    if (result == 0 && x->past.has_head) {
        result = lca_recording_same(&x->past, opt.resume, &f, err);
        f.u.head.first = 0;
    }
    if (result == 0)
        result = f.u.head.prov ? lca_out_head(x->out, &f, err) : lca_fail(err, LCA_INTERNAL, "out of memory");
    json_decref(f.u.head.prov);
    json_decref(f.u.head.it1);
    json_decref(f.u.head.data);
    x->head_sent = true;
    return result;
}

/* The network of the stream. One that only its workers know is what HEAD says of it. */
static int read_net(struct integrate *x, struct lca_err *err)
{
    const struct lca_frame_head *h = &x->head.u.head;
    struct lca_table table = {0};
    if (lca_net_parse(&x->net, x->head.payload, x->head.nb, err) < 0)
        return -1;
    x->P = x->net.P;
    x->classes = x->net.classes;
    if (!x->net.external)
        return 0;
    if (lca_table_parse(&table, h->layers, h->P, err) < 0)
        return -1;
    x->P = table.P;
    x->classes = json_array_size(h->classes);
    lca_table_clear(&table);
    if (opt.by_class && x->classes == 0)
        return lca_fail(err, LCA_USAGE, "--by-class: the stream has no classes");
    return 0;
}

static int take_head(struct integrate *x, const struct lca_frame *f, struct lca_err *err)
{
    if (lca_head_keep(&x->head, &x->head_bytes, f, err) < 0 || read_net(x, err) < 0)
        return -1;
    x->it0 = x->head.u.head.it0;
    x->theta_parts = lca_slices(x->P);
    if (strcmp(f->st, "theta") != 0 || x->P != x->head.u.head.P || x->P == 0 || x->head.u.head.parts != x->theta_parts)
        return lca_fail(err, LCA_USAGE, "%s is a %s stream: lca-integrate reads a theta stream", lca_in_text(x->in), f->st);
    /* a stream that is gone on with begins at a later step */
    x->it = x->it0 + x->head.u.head.first / x->theta_parts;
    if (x->head.u.head.first % x->theta_parts)
        return lca_fail(err, LCA_USAGE, "%s begins at seq %" PRIu64 ", within a theta of %" PRIu64 " frames: begin "
                        "with --from at a multiple of that", lca_in_text(x->in), x->head.u.head.first, x->theta_parts);
    x->first = x->it - x->it0;
    uint64_t past = x->past.next ? x->past.next / x->past.parts : 0;
    if (x->first > past && (opt.resume || getenv("LCA_RESUME")))
        return lca_fail(err, LCA_USAGE, "%s begins at step %" PRIu64 ", and the steps from %" PRIu64 " on are in no "
                        "recording (--resume FILE): begin the training at step 0, without its checkpoints",
                        lca_in_text(x->in), x->it, x->it0 + past);
    if (x->it < x->it0 + past)
        x->it = x->it0 + past;
    x->rows = opt.by_class ? x->classes : 1;
    if (choose_sets(x, err) < 0 || open_pool(x, err) < 0)
        return -1;
    struct lca_steps_opts o = {.P = x->P, .n_set = x->n_set, .rows = (unsigned)x->rows, .rule = x->rule,
                               .refine = x->refine, .tolerance = x->tolerance, .min_pieces = x->min_pieces,
                               .max_pieces = x->max_pieces, .it0 = x->it0, .it = x->it, .arg = x, .ask = ask};
    for (unsigned s = 0; s < x->n_set; s++)
        o.N[s] = x->set[s].N;
    /* as many steps ahead as a gigabyte and the window of theta allow */
    uint64_t window = lca_in_window(x->in) / x->theta_parts;
    x->ahead = (1u << 30) / lca_steps_bytes(&o);
    x->ahead = x->ahead > AHEAD ? AHEAD : x->ahead < 1 ? 1 : x->ahead;
    if (x->ahead > window - 1)
        x->ahead = window - 1;
    x->A = lca_alloc(x->P, sizeof *x->A, err);
    x->steps = lca_steps_new(&o, err);
    return x->A && x->steps ? 0 : -1;
}

/* ---- the loop ---- */

static int take_theta(struct integrate *x, const struct lca_frame *f, struct lca_err *err)
{
    const struct lca_frame_theta *t = &f->u.theta;
    uint64_t n = lca_frame_count(f);
    if (t->it < x->it && x->past.next > 0)
        return 0;                   /* a file gives all of them */
    if (t->it != x->it || t->off != x->got || n > x->P - t->off || n == 0)
        return lca_fail(err, LCA_CORRUPT, "%s: seq %" PRIu64 ": theta of step %" PRIu64 " at %" PRIu64 ", expected step %"
                        PRIu64 " at %" PRIu64, lca_in_text(x->in), f->seq, t->it, t->off, x->it, x->got);
    if (!x->incoming && !(x->incoming = lca_alloc(x->P, sizeof *x->incoming, err)))
        return -1;
    memcpy(x->incoming + t->off, f->payload, n * sizeof *x->incoming);
    x->got += n;
    if (x->got < x->P)
        return 0;
    x->got = 0;
    float *theta = x->incoming;
    x->incoming = NULL;
    x->it++;
    return lca_steps_theta(x->steps, theta, err);
}

/* Takes what may be taken. 1: something came. */
static int take(struct integrate *x, struct lca_err *err)
{
    struct lca_frame *f;
    if (x->ended || (x->steps && lca_steps_in_flight(x->steps) >= x->ahead))
        return 0;
    int got = lca_in_poll(x->in, &f, err);
    if (got < 0 && err->status == LCA_USAGE && x->past.next > 0 && !x->steps)
        return lca_err_prefix(err, "cannot go on at step %" PRIu64 " (without its checkpoints training begins at step "
                              "0)", x->past.next / x->past.parts);
    if (got <= 0)
        return got;
    if (f->kind == LCA_KIND_head)
        return take_head(x, f, err) < 0 ? -1 : 1;
    if (f->kind == LCA_KIND_theta)
        return take_theta(x, f, err) < 0 ? -1 : 1;
    if (f->kind != LCA_KIND_eos)
        return lca_fail(err, LCA_USAGE, "%s has %s frames: lca-integrate reads a theta stream", lca_in_text(x->in),
                        lca_kind_name(f->kind));
    if (x->got > 0)
        return lca_fail(err, LCA_CORRUPT, "%s ends within a theta", lca_in_text(x->in));
    snprintf(x->status, sizeof x->status, "%s", f->u.eos.status);
    x->ended = true;
    return 1;
}

static int loop(struct integrate *x, struct lca_err *err)
{
    for (;;) {
        int got = take(x, err);
        if (got < 0)
            return -1;
        if (!x->head_sent && x->steps && lca_pool_num(x->pool) && open_out(x, err) < 0)
            return -1;
        if (x->head_sent && pass_on(x, err) < 0)
            return -1;
        if (x->steps && (lca_steps_settle(x->steps, err) < 0 || emit_ready(x, err) < 0))
            return -1;
        if (x->ended && x->head_sent && !x->replay && lca_steps_in_flight(x->steps) == 0)
            return 0;
        if ((lca_in_left(x->in) || lca_link_want(x->link) == LCA_SIG_STOP) && !x->ended) {
            lca_in_leave(x->in);
            strcpy(x->status, "interrupted");
            x->ended = true;
            end_replay(x);
            if (!x->head_sent)
                return lca_fail(err, LCA_ABORTED, "interrupted before the first worker joined");
        }
        if (lca_link_want(x->link) == LCA_SIG_STOP && !x->head_sent)
            return lca_fail(err, LCA_ABORTED, "interrupted before the first worker joined");
        /* a file is always ready, but must not keep results from being served */
        if (lca_link_wait(x->link, got == 1 ? 0 : 1000, err) < 0)
            return -1;
    }
}

static json_t *summary(const struct integrate *x)
{
    json_t *final = json_pack("{s:I, s:s, s:o, s:I, s:f}", "chunk", (json_int_t)x->set[0].chunk, "rule",
                              lca_rule_name(x->rule), "tolerance", x->refine ? json_real(x->tolerance)
                                                                             : json_string("off"),
                              "steps_at_max_pieces", (json_int_t)x->at_max, "gradient_evaluations_per_step",
                              x->steps_done ? (double)x->evaluations / (double)x->steps_done : 0.0);
    if (x->steps_done) {
        json_object_set_new(final, "loss_first", json_real(x->loss_first));
        json_object_set_new(final, "loss_last", json_real(x->loss_last));
    }
    return final;
}

static int finish(struct integrate *x, struct lca_err *err)
{
    struct lca_frame eos = LCA_FRAME(eos);
    struct lca_pool_stats stats;
    lca_pool_stats(x->pool, &stats);
    lca_pool_end(x->pool);
    eos.u.eos.status = x->status;
    eos.u.eos.final = summary(x);
    int result = lca_out_end(x->out, &eos, err);
    lca_in_end(x->in);
    /* how busy the workers were differs from run to run: never in the stream */
    if (result == 0) {
        json_object_set_new(eos.u.eos.final, "workers_joined", json_integer((json_int_t)stats.workers));
        json_object_set_new(eos.u.eos.final, "worker_busy", json_real(stats.busy));
        json_object_set_new(eos.u.eos.final, "units_again", json_integer((json_int_t)stats.again));
        result = lca_report(x->link, eos.u.eos.final, err);
    }
    json_decref(eos.u.eos.final);
    return result;
}

static int run(int argc, char **argv, struct lca_err *err)
{
    (void)argc, (void)argv;
    struct integrate x = {0};
    int result = -1;
    if (parse_options(&x, err) < 0 || look_back(&x, err) < 0 ||
        !(x.link = lca_link_new(LCA_SIG_FILTER, err)))
        goto out;
    struct lca_pool_opts pool = {.endpoint = opt.pool, .mixed = opt.mixed, .wait = opt.pool_wait, .lease = opt.lease,
                                 .arg = &x, .row = on_row, .point = on_point};
    if (!(x.in = lca_in_from_args(x.link, &opt.link, err)) || !(x.out = lca_out_from_args(x.link, &opt.link, err)) ||
        !(x.pool = lca_pool_open(x.link, &pool, err)) || loop(&x, err) < 0 || finish(&x, err) < 0)
        goto out;
    result = 0;
out:
    if (result < 0 && x.out)
        lca_out_abort(x.out, err->text);
    lca_link_free(x.link);
    end_replay(&x);
    lca_recording_clear(&x.past);
    lca_steps_free(x.steps);
    free(x.incoming);
    free(x.unit_set);
    free(x.A);
    json_decref(x.def);
    lca_net_clear(&x.net);
    lca_frame_clear(&x.head);
    lca_buf_clear(&x.head_bytes);
    return result;
}

static const struct lca_tool tool = {
    .name = "lca-integrate",
    .summary = "allocate each step's loss change to the parameters",
    .usage = "--pool EP [OPTION]...",
    .about = "Reads a theta stream, has the gradient of the whole training set (and of held-out sets) evaluated along "
             "each step by a pool of lca-grad workers, and writes the loss change that each parameter is answerable "
             "for: A = movement x gradient averaged along the step. The sum of A is the change of the loss up to the "
             "residual, which every frame states.\n\nThe result is the same bytes for any number of workers, also when "
             "some die on the way.\n\nA run that was cut off is gone on with by --resume: what its recording holds is passed on, "
             "to all who read the stream, as if it had just been computed; so they see all of it.",
    .examples = "  lca-train --net mnist-fc --data mnist.data |\n"
                "      lca-integrate --pool ipc:pool --out ipc:lca --expect layers\n"
                "  lca-integrate --in thetas.lca --pool ipc:pool > run.lca",
    .opts = opts,
    .more = link_opts,
    .max_args = 0,
    .built = "cpu",
    .run = run,
};

int main(int argc, char **argv)
{
    return lca_tool_main(&tool, argc, argv);
}
