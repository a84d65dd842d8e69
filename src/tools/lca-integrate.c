/* lca-integrate: from a training path to what each parameter did to the loss.
 *
 * In: a `theta` stream, and a pool of gradient workers. Out: an `lca` stream, A[t,i]
 * of every step t and parameter i (Lan et al. 2019, section 3). Several steps are in
 * flight, so that workers never wait for one to end; frames leave in step order.
 *
 * A step has nodes: its two ends, shared with its neighbours ("whole" points), and
 * the points between (lca/path.h). When all nodes wanted are there the rule is
 * applied; while the residual is above the tolerance the pieces are doubled. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/tool.h"
#include "frame/head.h"
#include "lca/path.h"
#include "link/link.h"
#include "link/pool.h"
#include "nn/chunk.h"
#include "nn/net.h"

enum { MAX_SETS = 3, AHEAD = 8 };

static struct {
    const char *pool, *rule, *tolerance, *sets, *emit;
    long min_pieces, max_pieces, chunk;
    double pool_wait;
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
    {"chunk", 'c', LCA_OPT_INT, &opt.chunk, "N", "Training examples per chunk, the unit of work; must divide them "
     "(default 5000; 1000 with convolutions, 2500 with batch norm).", 1, 4e9, false},
    {"by-class", 0, LCA_OPT_FLAG, &opt.by_class, NULL, "Also one frame for each class of the label.", 0, 0, false},
    {"emit", 0, LCA_OPT_STR, &opt.emit, "KINDS", "Frames to write: lca, move (d), grad (at theta_t), eff (G), parted by "
     "commas (default lca).", 0, 0, false},
    {"pool-wait", 0, LCA_OPT_NUM, &opt.pool_wait, "SECONDS", "Fail after so long without any worker (default: wait).",
     0.001, 1e9, false},
    {"mixed-numerics", 0, LCA_OPT_FLAG, &opt.mixed, NULL, "Let workers of different numerics into one run; its bytes "
     "then depend on who did what.", 0, 0, false},
    {0},
};
static const struct lca_opt link_opts[] = {LCA_IN_OPTS(opt.link), LCA_OUT_OPTS(opt.link), {0}};

/* Gradient and loss of all sets at one theta. */
struct node {
    struct node *next;
    uint64_t pt;
    unsigned level, j;              /* j / 2^level of the way; level 0: a whole point */
    bool done;
    double *g;                      /* [set][row][P], nat: means over the set */
    double *loss;                   /* [set][row] */
};

struct step {
    struct step *next;
    uint64_t it;
    float *a, *b;                   /* theta_t (owned), theta_t+1 (the next step's, or last_theta) */
    struct node *from, *to;         /* whole points: from owned, to likewise the next step's */
    unsigned n, top;                /* pieces now; highest level asked for */
    struct node *between;           /* nodes not yet added to their level, in order; owned */
    double *level[LCA_LEVELS];      /* sums of the levels from 1 on, [set][row][P]; owned */
    double trace[8];                /* residual after each doubling, of the worst set */
    unsigned n_trace, evaluated;
    double residual[MAX_SETS][8];
    bool ready;
};

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
    uint64_t P, rows, theta_parts, it0;
    struct set set[MAX_SETS];
    unsigned n_set, *unit_set;      /* set of each unit */
    enum lca_rule rule;
    bool refine;
    double tolerance;
    unsigned min_pieces, max_pieces;
    bool emit_lca, emit_move, emit_grad, emit_eff;
    uint64_t parts, ahead;

    float *incoming;                /* theta being received */
    uint64_t got, it;               /* parameters of it; iteration expected */
    float *last_theta;              /* the newest theta, not yet a step's a; owned */
    struct node *last_whole;        /* its node; owned */
    struct step *steps;             /* in flight, in order */
    uint64_t n_steps, next_pt;
    bool head_sent, ended;
    char status[16];

    float *A, *point;               /* [P] */
    double *G, *all;                /* [row][P], [P]: effective gradient */
    double *all0;                   /* [P]: gradient at theta_t, all classes */

    uint64_t steps_done, evaluations, at_max;
    double loss_first, loss_last;
};

/* ---- numbers ---- */

static const double *rows_of(const struct integrate *x, const double *v, unsigned s)
{
    return v + (size_t)s * x->rows * x->P;
}

/* The loss of set s at a node: the sum of its rows in order. */
static double loss_at(const struct integrate *x, const struct node *n, unsigned s)
{
    double loss = 0;
    for (uint64_t r = 0; r < x->rows; r++)
        loss += n->loss[s * x->rows + r];
    return loss;
}

/* G of one set, row by row, and `all`, the sum of the rows. First order: the gradient
 * at theta_t itself. */
static int effective(struct integrate *x, const struct step *st, unsigned s, struct lca_err *err)
{
    double w[LCA_LEVELS], weight[LCA_LEVELS + 1];
    const double *source[LCA_LEVELS + 1];
    int n = 0;
    if (lca_path_weights(x->rule, (int)st->n, w, err) < 0)
        return -1;
    if (x->rule == LCA_FIRST_ORDER) {
        source[n] = st->from->g;
        weight[n++] = 1;
    } else if (w[0] != 0) {
        source[n] = st->from->g;
        weight[n++] = w[0];
        source[n] = st->to->g;
        weight[n++] = w[0];
    }
    for (unsigned k = 1; k < LCA_LEVELS; k++) {
        if (w[k] != 0) {
            source[n] = st->level[k];
            weight[n++] = w[k];
        }
    }
    memset(x->all, 0, x->P * sizeof *x->all);
    for (uint64_t r = 0; r < x->rows; r++) {
        const double *row[LCA_LEVELS + 1];
        for (int k = 0; k < n; k++)
            row[k] = rows_of(x, source[k], s) + r * x->P;
        double *G = x->G + r * x->P;
        lca_path_combine(G, row, weight, n, x->P);
        for (uint64_t i = 0; i < x->P; i++)
            x->all[i] += G[i];
    }
    return 0;
}

/* ---- asking the pool ---- */

static struct node *node_new(struct integrate *x, struct lca_err *err)
{
    struct node *n = lca_alloc(1, sizeof *n, err);
    if (!n)
        return NULL;
    n->g = lca_alloc(x->n_set * x->rows * x->P, sizeof *n->g, err);
    n->loss = lca_alloc(x->n_set * x->rows, sizeof *n->loss, err);
    n->pt = x->next_pt++;
    if (n->g && n->loss)
        return n;
    free(n->g);
    free(n->loss);
    free(n);
    return NULL;
}

static void node_free(struct node *n)
{
    if (!n)
        return;
    free(n->g);
    free(n->loss);
    free(n);
}

/* Asks for the nodes of the levels up to `top` that the step does not have. */
static int ask(struct integrate *x, struct step *st, unsigned top, struct lca_err *err)
{
    struct node **end = &st->between;
    while (*end)
        end = &(*end)->next;
    /* the midpoint rule uses its highest level alone */
    unsigned from = x->rule == LCA_MIDPOINT ? top : st->top + 1;
    for (unsigned level = from; level <= top; level++) {
        for (unsigned j = 1; j < 1u << level; j += 2) {
            struct node *n = node_new(x, err);
            if (!n)
                return -1;
            n->level = level;
            n->j = j;
            *end = n;
            end = &n->next;
            lca_path_node(x->point, st->a, st->b, x->P, j, 1u << level);
            if (lca_pool_point(x->pool, n->pt, st->it, st->it, j, 1u << level, x->point, err) < 0)
                return -1;
            st->evaluated++;
        }
    }
    st->top = top;
    return 0;
}

static struct node *node_of(struct integrate *x, uint64_t pt)
{
    if (x->last_whole && x->last_whole->pt == pt)
        return x->last_whole;
    for (struct step *st = x->steps; st; st = st->next) {
        if (st->from->pt == pt)
            return st->from;
        for (struct node *n = st->between; n; n = n->next)
            if (n->pt == pt)
                return n;
    }
    return NULL;
}

static int on_row(void *arg, const struct lca_pool_row *row, struct lca_err *err)
{
    struct integrate *x = arg;
    struct node *n = node_of(x, row->pt);
    if (!n || (row->cls >= 0) != opt.by_class)
        return lca_fail(err, LCA_INTERNAL, "a result for a point or class that was not asked for");
    size_t at = x->unit_set[row->u] * x->rows + (row->cls < 0 ? 0 : (size_t)row->cls);
    if (row->first)
        n->loss[at] += row->loss;
    lca_path_add(n->g + at * x->P + row->off, row->grad, row->len);
    return 0;
}

static int on_point(void *arg, uint64_t pt, struct lca_err *err)
{
    struct integrate *x = arg;
    struct node *n = node_of(x, pt);
    if (!n)
        return lca_fail(err, LCA_INTERNAL, "a point that was not asked for");
    for (unsigned s = 0; s < x->n_set; s++) {
        double N = (double)x->set[s].N;
        for (uint64_t k = 0; k < x->rows; k++)
            n->loss[s * x->rows + k] /= N;
        for (uint64_t i = 0; i < x->rows * x->P; i++)
            n->g[s * x->rows * x->P + i] /= N;
    }
    n->done = true;
    return 0;
}

/* ---- steps ---- */

static void step_free(struct step *st)
{
    for (unsigned k = 0; k < LCA_LEVELS; k++)
        free(st->level[k]);
    while (st->between) {
        struct node *n = st->between;
        st->between = n->next;
        node_free(n);
    }
    node_free(st->from);
    free(st->a);
    free(st);
}

static int new_theta(struct integrate *x, struct lca_err *err)
{
    struct node *whole = node_new(x, err);
    float *theta = x->incoming;
    if (!whole)
        return -1;
    uint64_t step = x->it > x->it0 ? x->it - 1 : x->it;
    struct node *before = x->last_whole;
    float *a = x->last_theta;
    x->last_whole = whole;
    x->last_theta = theta;
    x->incoming = NULL;
    if (!before)
        return lca_pool_point(x->pool, whole->pt, step, x->it, 0, 1, theta, err);
    struct step *st = lca_alloc(1, sizeof *st, err);
    if (!st) {
        node_free(before);
        free(a);
        return -1;
    }
    *st = (struct step){.it = step, .a = a, .b = theta, .from = before, .to = whole, .n = x->min_pieces,
                        .evaluated = x->steps_done + x->n_steps == 0 ? 2 : 1};
    struct step **end = &x->steps;
    while (*end)
        end = &(*end)->next;
    *end = st;
    x->n_steps++;
    if (ask(x, st, (unsigned)lca_path_level(x->rule, (int)st->n), err) < 0)
        return -1;
    return lca_pool_point(x->pool, whole->pt, step, x->it, 0, 1, theta, err);
}

/* Adds nodes to their levels in order of j: the sums must not depend on arrival. */
static void gather(struct integrate *x, struct step *st)
{
    while (st->between && st->between->done) {
        struct node *n = st->between;
        st->between = n->next;
        if (!st->level[n->level]) {
            st->level[n->level] = n->g;
            n->g = NULL;
        } else {
            size_t len = x->n_set * x->rows * x->P;
            for (size_t i = 0; i < len; i++)
                st->level[n->level][i] += n->g[i];
        }
        node_free(n);
    }
}

/* Applies the rule once all nodes are there; refines, or leaves the step ready. */
static int settle(struct integrate *x, struct step *st, struct lca_err *err)
{
    gather(x, st);
    if (st->ready || st->between || !st->from->done || !st->to->done)
        return 0;
    bool within = true;
    for (unsigned s = 0; s < x->n_set; s++) {
        if (effective(x, st, s, err) < 0)
            return -1;
        double change = lca_path_change(st->a, st->b, x->all, x->P);
        double e = loss_at(x, st->to, s) - loss_at(x, st->from, s) - change;
        if (!isfinite(e))
            return lca_fail(err, LCA_INTERNAL, "step %" PRIu64 ": the loss or its gradient on %s is not finite: "
                            "training diverged; lower --lr", st->it, x->set[s].name);
        st->residual[s][st->n_trace] = e;
        within &= fabs(e) <= x->tolerance;
    }
    st->n_trace++;
    unsigned most = sizeof st->residual[0] / sizeof st->residual[0][0];
    if (!x->refine || within || 2 * st->n > x->max_pieces || st->n_trace == most) {
        st->ready = true;
        return 0;
    }
    st->n *= 2;
    return ask(x, st, (unsigned)lca_path_level(x->rule, (int)st->n), err);
}

/* ---- frames ---- */

static int emit_set(struct integrate *x, struct step *st, unsigned s, struct lca_err *err)
{
    struct lca_frame f = LCA_FRAME(lca);
    struct lca_frame_lca *h = &f.u.lca;
    const double *g0 = rows_of(x, st->from->g, s);
    if (effective(x, st, s, err) < 0)
        return -1;
    memset(x->all0, 0, x->P * sizeof *x->all0);
    for (uint64_t r = 0; r < x->rows; r++)
        for (uint64_t i = 0; i < x->P; i++)
            x->all0[i] += g0[r * x->P + i];
    for (int c = -1; c < (opt.by_class ? (int)x->rows : 0); c++) {
        const double *G = c < 0 ? x->all : x->G + (size_t)c * x->P;
        struct lca_path_sums sums = lca_path_allocate(x->A, st->a, st->b, G, c < 0 ? x->all0 : g0 + (size_t)c * x->P,
                                                      x->P);
        *h = (struct lca_frame_lca){.it = st->it, .set = x->set[s].name, .cls = c, .sum = sums.sum, .abs = sums.abs,
                                    .fo = sums.fo, .n = st->n, .ev = st->evaluated};
        h->L0 = c < 0 ? loss_at(x, st->from, s) : st->from->loss[s * x->rows + (size_t)c];
        h->L1 = c < 0 ? loss_at(x, st->to, s) : st->to->loss[s * x->rows + (size_t)c];
        h->res = h->L1 - h->L0 - h->sum;
        if (c < 0) {
            h->tr.n = st->n_trace;
            memcpy(h->tr.v, st->residual[s], st->n_trace * sizeof *h->tr.v);
        }
        if (lca_out_vector(x->out, &f, &h->off, &h->part, x->A, x->P, err) < 0)
            return -1;
        if (s == 0 && c < 0) {
            if (x->steps_done == 0)
                x->loss_first = h->L0;
            x->loss_last = h->L1;
        }
    }
    return 0;
}

/* The vectors that go with A: rounded once, by set and class. */
static int emit_vectors(struct integrate *x, struct step *st, bool effective_ones, unsigned s, struct lca_err *err)
{
    const double *rows = effective_ones ? x->G : rows_of(x, st->from->g, s);
    if (effective_ones && effective(x, st, s, err) < 0)
        return -1;
    for (int c = -1; c < (opt.by_class ? (int)x->rows : 0); c++) {
        for (uint64_t i = 0; i < x->P; i++) {
            double sum = 0;
            for (uint64_t r = 0; c < 0 && r < x->rows; r++)
                sum += rows[r * x->P + i];
            x->A[i] = (float)(c < 0 ? sum : rows[(size_t)c * x->P + i]);
        }
        struct lca_frame f = LCA_FRAME(eff);
        f.u.eff = (struct lca_frame_eff){.it = st->it, .set = x->set[s].name, .cls = c};
        uint64_t *off = &f.u.eff.off, *part = &f.u.eff.part;
        if (!effective_ones) {
            f.kind = LCA_KIND_grad;
            f.u.grad = (struct lca_frame_grad){.it = st->it, .set = x->set[s].name, .cls = c};
            f.u.grad.loss = c < 0 ? loss_at(x, st->from, s) : st->from->loss[s * x->rows + (size_t)c];
            off = &f.u.grad.off;
            part = &f.u.grad.part;
        }
        if (lca_out_vector(x->out, &f, off, part, x->A, x->P, err) < 0)
            return -1;
    }
    return 0;
}

static int emit(struct integrate *x, struct step *st, struct lca_err *err)
{
    for (unsigned s = 0; x->emit_lca && s < x->n_set; s++)
        if (emit_set(x, st, s, err) < 0)
            return -1;
    if (x->emit_move) {
        struct lca_frame f = LCA_FRAME(move);
        f.u.move.it = st->it;
        for (uint64_t i = 0; i < x->P; i++)
            x->A[i] = (float)((double)st->b[i] - st->a[i]);
        if (lca_out_vector(x->out, &f, &f.u.move.off, &f.u.move.part, x->A, x->P, err) < 0)
            return -1;
    }
    for (unsigned s = 0; x->emit_grad && s < x->n_set; s++)
        if (emit_vectors(x, st, false, s, err) < 0)
            return -1;
    for (unsigned s = 0; x->emit_eff && s < x->n_set; s++)
        if (emit_vectors(x, st, true, s, err) < 0)
            return -1;
    x->steps_done++;
    x->evaluations += st->evaluated;
    x->at_max += x->refine && st->n >= x->max_pieces;
    return 0;
}

static int emit_ready(struct integrate *x, struct lca_err *err)
{
    while (x->steps && x->steps->ready && x->head_sent && lca_out_room(x->out)) {
        struct step *st = x->steps;
        if (emit(x, st, err) < 0)
            return -1;
        x->steps = st->next;
        x->n_steps--;
        step_free(st);
    }
    if (x->head_sent)
        lca_in_done(x->in, lca_out_done(x->out) / x->parts * x->theta_parts);
    return 0;
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
        bool *which = n == 3 && !strncmp(k, "lca", n) ? &x->emit_lca : n == 4 && !strncmp(k, "move", n) ? &x->emit_move
                    : n == 4 && !strncmp(k, "grad", n) ? &x->emit_grad : n == 3 && !strncmp(k, "eff", n) ? &x->emit_eff
                    : NULL;
        if (!which)
            return lca_fail(err, LCA_USAGE, "--emit takes lca, move, grad, eff, not '%.*s'", (int)n, k);
        *which = true;
        k += n + (k[n] == ',');
    }
    if (!x->emit_lca)
        return lca_fail(err, LCA_USAGE, "--emit needs lca among its kinds");
    return 0;
}

static int add_set(struct integrate *x, const char *name, size_t len, struct lca_err *err)
{
    struct set *set = &x->set[x->n_set];
    uint64_t unused;
    uint32_t chunk;
    if (x->n_set == MAX_SETS || len >= sizeof set->name)
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
    uint32_t given = strcmp(set->name, "train") == 0 ? (uint32_t)opt.chunk : 0;
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
    x->parts = lca_slices(x->P) * (vectors * (1u + x->emit_grad + x->emit_eff) + x->emit_move);
    int result = fill_head(x, &f, "lca", err);
    f.u.head.parts = x->parts;
    f.u.head.num = lca_pool_num(x->pool);
    json_int_t it1 = json_integer_value(x->head.u.head.it1);
    f.u.head.it1 = it1 > 0 ? json_integer(it1 - 1) : NULL;
    f.u.head.prov = lca_prov_add(x->head.u.head.prov, "lca-integrate", NULL);
    if (result == 0)
        result = f.u.head.prov ? lca_out_head(x->out, &f, err) : lca_fail(err, LCA_INTERNAL, "out of memory");
    json_decref(f.u.head.prov);
    json_decref(f.u.head.it1);
    json_decref(f.u.head.data);
    x->head_sent = true;
    return result;
}

static int take_head(struct integrate *x, const struct lca_frame *f, struct lca_err *err)
{
    struct lca_frame copy = *f;
    if (lca_frame_encode(&copy, &x->head_bytes, err) < 0 ||
        lca_frame_decode(&x->head, x->head_bytes.data, x->head_bytes.len, err) < 0)
        return -1;
    x->head_bytes.len = 0;
    if (lca_buf_append(&x->head_bytes, f->payload, f->nb, err) < 0 ||
        lca_frame_attach(&x->head, x->head_bytes.data, x->head_bytes.len, err) < 0 ||
        lca_net_parse(&x->net, x->head.payload, x->head.nb, err) < 0)
        return -1;
    x->P = x->head.u.head.P;
    x->it = x->it0 = x->head.u.head.it0;
    x->theta_parts = lca_slices(x->P);
    if (strcmp(f->st, "theta") != 0 || x->P != x->net.P || x->P == 0 || x->head.u.head.parts != x->theta_parts)
        return lca_fail(err, LCA_USAGE, "%s is a %s stream: lca-integrate reads a theta stream", lca_in_text(x->in), f->st);
    x->rows = opt.by_class ? x->net.classes : 1;
    if (choose_sets(x, err) < 0 || open_pool(x, err) < 0)
        return -1;
    /* as many steps ahead as a gigabyte and the window of theta allow */
    uint64_t bytes = x->n_set * x->rows * x->P * sizeof (double) * 4;
    uint64_t window = lca_in_window(x->in) / x->theta_parts;
    x->ahead = (1u << 30) / bytes;
    x->ahead = x->ahead > AHEAD ? AHEAD : x->ahead < 2 ? 2 : x->ahead;
    if (x->ahead > window - 1)
        x->ahead = window - 1;
    x->A = lca_alloc(x->P, sizeof *x->A, err);
    x->point = lca_alloc(x->P, sizeof *x->point, err);
    x->G = lca_alloc(x->rows * x->P, sizeof *x->G, err);
    x->all = lca_alloc(x->P, sizeof *x->all, err);
    x->all0 = lca_alloc(x->P, sizeof *x->all0, err);
    return x->A && x->point && x->G && x->all && x->all0 ? 0 : -1;
}

/* ---- the loop ---- */

static int take_theta(struct integrate *x, const struct lca_frame *f, struct lca_err *err)
{
    const struct lca_frame_theta *t = &f->u.theta;
    uint64_t n = lca_frame_count(f);
    if (t->it != x->it || t->off != x->got || n > x->P - t->off)
        return lca_fail(err, LCA_CORRUPT, "%s: seq %" PRIu64 ": theta of step %" PRIu64 " at %" PRIu64 ", expected step %"
                        PRIu64 " at %" PRIu64, lca_in_text(x->in), f->seq, t->it, t->off, x->it, x->got);
    if (!x->incoming && !(x->incoming = lca_alloc(x->P, sizeof *x->incoming, err)))
        return -1;
    memcpy(x->incoming + t->off, f->payload, n * sizeof *x->incoming);
    x->got += n;
    if (x->got < x->P)
        return 0;
    x->got = 0;
    int result = new_theta(x, err);
    x->it++;
    return result;
}

/* Takes what may be taken. 1: something came. */
static int take(struct integrate *x, struct lca_err *err)
{
    struct lca_frame *f;
    if (x->ended || (x->ahead && x->n_steps >= x->ahead))
        return 0;
    int got = lca_in_poll(x->in, &f, err);
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
        if (!x->head_sent && x->all0 && lca_pool_num(x->pool) && open_out(x, err) < 0)
            return -1;
        for (struct step *st = x->steps; st; st = st->next)
            if (settle(x, st, err) < 0)
                return -1;
        if (emit_ready(x, err) < 0)
            return -1;
        if (x->ended && !x->steps && x->head_sent)
            return 0;
        if (lca_link_want(x->link) == LCA_SIG_STOP && !x->ended) {
            lca_in_leave(x->in);
            strcpy(x->status, "interrupted");
            x->ended = true;
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
        result = lca_report(eos.u.eos.final, err);
    }
    json_decref(eos.u.eos.final);
    return result;
}

static int run(int argc, char **argv, struct lca_err *err)
{
    (void)argc, (void)argv;
    struct integrate x = {0};
    int result = -1;
    if (parse_options(&x, err) < 0 || !(x.link = lca_link_new(LCA_SIG_FILTER, err)))
        goto out;
    struct lca_pool_opts pool = {.endpoint = opt.pool, .mixed = opt.mixed, .wait = opt.pool_wait, .arg = &x,
                                 .row = on_row, .point = on_point};
    if (!(x.in = lca_in_from_args(x.link, &opt.link, err)) || !(x.out = lca_out_from_args(x.link, &opt.link, err)) ||
        !(x.pool = lca_pool_open(x.link, &pool, err)) || loop(&x, err) < 0 || finish(&x, err) < 0)
        goto out;
    result = 0;
out:
    if (result < 0 && x.out)
        lca_out_abort(x.out, err->text);
    lca_link_free(x.link);
    while (x.steps) {
        struct step *st = x.steps;
        x.steps = st->next;
        step_free(st);
    }
    node_free(x.last_whole);
    free(x.last_theta);
    free(x.incoming);
    free(x.unit_set);
    free(x.A);
    free(x.point);
    free(x.G);
    free(x.all);
    free(x.all0);
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
             "some die on the way.",
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
