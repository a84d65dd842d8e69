#include "lca/steps.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"

/* Gradient and loss of all sets at one theta. */
struct node {
    struct node *next;
    uint64_t pt;
    unsigned level, j;              /* j / 2^level of the way; level 0: an end */
    bool done;
    double *g;                      /* [set][row][P], nat: means over the set; NULL: nothing came yet */
    double *loss;                   /* [set][row] */
};

struct step {
    struct step *next;
    struct lca_step_done done;      /* done.a is owned */
    struct node *from, *to;         /* its ends: from is owned, to is the next step's */
    unsigned top;                   /* highest level asked for */
    struct node *between;           /* nodes not yet added to their level, in order; owned */
    double *level[LCA_LEVELS];      /* sums of the levels from 1 on, [set][row][P]; owned */
    bool ready;
};

struct lca_steps {
    struct lca_steps_opts o;
    uint64_t row_len, len;          /* row: P; all sets and rows */
    uint64_t it, next_pt, n;        /* next theta's iteration; steps in flight */
    float *theta;                   /* the newest, of no step yet; owned */
    struct node *whole;             /* its node; owned */
    struct step *steps;             /* in order */
    float *point;                   /* [P] */
    double *G, *all, *all0;         /* [row][P]; sums of rows, [P]: with one row G, and NULL */
    const struct step *G_of;        /* what G and all hold: this step and set */
    unsigned G_set;
};

struct lca_steps *lca_steps_new(const struct lca_steps_opts *o, struct lca_err *err)
{
    struct lca_steps *s = lca_alloc(1, sizeof *s, err);
    if (!s)
        return NULL;
    s->o = *o;
    s->it = o->it;
    s->len = o->n_set * o->rows * o->P;
    s->point = lca_alloc(o->P, sizeof *s->point, err);
    s->G = lca_alloc(o->rows * o->P, sizeof *s->G, err);
    s->all = o->rows > 1 ? lca_alloc(o->P, sizeof *s->all, err) : s->G;
    s->all0 = o->rows > 1 ? lca_alloc(o->P, sizeof *s->all0, err) : NULL;
    if (s->point && s->G && s->all && (s->all0 || o->rows == 1))
        return s;
    lca_steps_free(s);
    return NULL;
}

/* Its end, its midpoint, and two levels of refinement. */
uint64_t lca_steps_bytes(const struct lca_steps_opts *o)
{
    return 4 * o->n_set * o->rows * o->P * sizeof (double);
}

/* nodes */

static void node_free(struct node *n)
{
    if (!n)
        return;
    free(n->g);
    free(n->loss);
    free(n);
}

static struct node *node_new(struct lca_steps *s, struct lca_err *err)
{
    struct node *n = lca_alloc(1, sizeof *n, err);
    if (!n)
        return NULL;
    n->pt = s->next_pt++;
    n->loss = lca_alloc(s->o.n_set * s->o.rows, sizeof *n->loss, err);
    if (n->loss)
        return n;
    node_free(n);
    return NULL;
}

static struct node *node_of(struct lca_steps *s, uint64_t pt, struct lca_err *err)
{
    if (s->whole && s->whole->pt == pt)
        return s->whole;
    for (struct step *st = s->steps; st; st = st->next) {
        if (st->from->pt == pt)
            return st->from;
        for (struct node *n = st->between; n; n = n->next)
            if (n->pt == pt)
                return n;
    }
    lca_fail(err, LCA_INTERNAL, "a result for point %" PRIu64 ", which nobody asked for", pt);
    return NULL;
}

static const double *row_of(const struct lca_steps *s, const double *v, unsigned set, unsigned row)
{
    return v + ((size_t)set * s->o.rows + row) * s->o.P;
}

static double loss_at(const struct lca_steps *s, const struct node *n, unsigned set, int row)
{
    const double *loss = n->loss + set * s->o.rows;
    double sum = 0;
    for (unsigned r = 0; row < 0 && r < s->o.rows; r++)
        sum += loss[r];
    return row < 0 ? sum : loss[row];
}

int lca_steps_add(struct lca_steps *s, uint64_t pt, unsigned set, unsigned row, double loss, uint64_t off,
                  const float *grad, uint64_t len, struct lca_err *err)
{
    struct node *n = node_of(s, pt, err);
    if (!n)
        return -1;
    if (set >= s->o.n_set || row >= s->o.rows || off > s->o.P || len > s->o.P - off)
        return lca_fail(err, LCA_INTERNAL, "a result for a set, class or parameter that is not there");
    /* a refined step waits for many nodes, of which few are being computed */
    if (!n->g && !(n->g = lca_alloc(s->len, sizeof *n->g, err)))
        return -1;
    size_t at = set * s->o.rows + row;
    n->loss[at] += loss;
    lca_path_add(n->g + at * s->o.P + off, grad, len);
    return 0;
}

int lca_steps_point(struct lca_steps *s, uint64_t pt, struct lca_err *err)
{
    struct node *n = node_of(s, pt, err);
    if (!n)
        return -1;
    if (!n->g)
        return lca_fail(err, LCA_INTERNAL, "point %" PRIu64 " is done without a result", pt);
    for (unsigned set = 0; set < s->o.n_set; set++) {
        double N = (double)s->o.N[set];
        for (unsigned r = 0; r < s->o.rows; r++)
            n->loss[set * s->o.rows + r] /= N;
        double *g = n->g + (size_t)set * s->o.rows * s->o.P;
        for (uint64_t i = 0; i < s->o.rows * s->o.P; i++)
            g[i] /= N;
    }
    n->done = true;
    return 0;
}

/* steps */

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
    free((float *)(uintptr_t)st->done.a);
    free(st);
}

void lca_steps_free(struct lca_steps *s)
{
    if (!s)
        return;
    while (s->steps) {
        struct step *st = s->steps;
        s->steps = st->next;
        step_free(st);
    }
    node_free(s->whole);
    free(s->theta);
    free(s->point);
    if (s->all != s->G)
        free(s->all);
    free(s->G);
    free(s->all0);
    free(s);
}

/* Asks for the nodes up to level `top` that the step does not have. */
static int ask(struct lca_steps *s, struct step *st, unsigned top, struct lca_err *err)
{
    struct node **end = &st->between;
    while (*end)
        end = &(*end)->next;
    /* the midpoint rule uses its highest level alone */
    unsigned from = s->o.rule == LCA_MIDPOINT ? top : st->top + 1;
    for (unsigned level = from; level <= top; level++) {
        for (unsigned j = 1; j < 1u << level; j += 2) {
            struct node *n = node_new(s, err);
            if (!n)
                return -1;
            n->level = level;
            n->j = j;
            *end = n;
            end = &n->next;
            lca_path_node(s->point, st->done.a, st->done.b, s->o.P, j, 1u << level);
            if (s->o.ask(s->o.arg, n->pt, st->done.it, st->done.it, j, 1u << level, s->point, err) < 0)
                return -1;
            st->done.evaluated++;
        }
    }
    st->top = top;
    return 0;
}

int lca_steps_theta(struct lca_steps *s, float *theta, struct lca_err *err)
{
    struct node *before = s->whole, *whole = node_new(s, err);
    float *a = s->theta;
    if (!whole) {
        free(theta);
        return -1;
    }
    s->whole = whole;
    s->theta = theta;
    uint64_t it = s->it++, step = before ? it - 1 : it;
    if (before) {
        struct step *st = lca_alloc(1, sizeof *st, err), **end = &s->steps;
        if (!st) {
            node_free(before);
            free(a);
            return -1;
        }
        st->done = (struct lca_step_done){.it = step, .n = s->o.min_pieces, .a = a, .b = theta,
                                          .evaluated = step == s->o.it0 ? 2 : 1};
        st->from = before;
        st->to = whole;
        while (*end)
            end = &(*end)->next;
        *end = st;
        s->n++;
        if (ask(s, st, (unsigned)lca_path_level(s->o.rule, (int)st->done.n), err) < 0)
            return -1;
    }
    return s->o.ask(s->o.arg, whole->pt, step, it, 0, 1, theta, err);
}

/* Adds nodes to their levels in order of j: the sums must not depend on arrival. */
static void gather(struct lca_steps *s, struct step *st)
{
    while (st->between && st->between->done) {
        struct node *n = st->between;
        st->between = n->next;
        double *sum = st->level[n->level];
        if (!sum) {
            st->level[n->level] = n->g;
            n->g = NULL;
        }
        for (uint64_t i = 0; sum && i < s->len; i++)
            sum[i] += n->g[i];
        node_free(n);
    }
}

/* G [row][P] of one set, and `all`, the sum of its rows in order. */
static int effective(struct lca_steps *s, const struct step *st, unsigned set, struct lca_err *err)
{
    double w[LCA_LEVELS], weight[LCA_LEVELS + 1];
    const double *source[LCA_LEVELS + 1], *row[LCA_LEVELS + 1];
    int n = 0;
    if (s->G_of == st && s->G_set == set)
        return 0;
    if (lca_path_weights(s->o.rule, (int)st->done.n, w, err) < 0)
        return -1;
    if (s->o.rule == LCA_FIRST_ORDER || w[0] != 0) {
        source[n] = st->from->g;
        weight[n++] = s->o.rule == LCA_FIRST_ORDER ? 1 : w[0];
    }
    if (w[0] != 0) {
        source[n] = st->to->g;
        weight[n++] = w[0];
    }
    for (unsigned k = 1; k < LCA_LEVELS; k++) {
        if (w[k] != 0) {
            source[n] = st->level[k];
            weight[n++] = w[k];
        }
    }
    if (s->o.rows > 1)
        memset(s->all, 0, s->o.P * sizeof *s->all);
    for (unsigned r = 0; r < s->o.rows; r++) {
        double *G = s->G + r * s->o.P;
        for (int k = 0; k < n; k++)
            row[k] = row_of(s, source[k], set, r);
        lca_path_combine(G, row, weight, n, s->o.P);
        for (uint64_t i = 0; s->o.rows > 1 && i < s->o.P; i++)
            s->all[i] += G[i];
    }
    s->G_of = st;
    s->G_set = set;
    return 0;
}

/* Applies the rule once all nodes are there; refines, or leaves the step ready. */
static int settle(struct lca_steps *s, struct step *st, struct lca_err *err)
{
    struct lca_step_done *d = &st->done;
    gather(s, st);
    if (st->ready || st->between || !st->from->done || !st->to->done)
        return 0;
    bool within = true;
    for (unsigned set = 0; set < s->o.n_set; set++) {
        s->G_of = NULL;
        if (effective(s, st, set, err) < 0)
            return -1;
        double change = lca_path_change(d->a, d->b, s->all, s->o.P);
        double e = loss_at(s, st->to, set, -1) - loss_at(s, st->from, set, -1) - change;
        if (!isfinite(e))
            return lca_fail(err, LCA_INTERNAL, "step %" PRIu64 ": the loss or its gradient is not finite: training "
                            "diverged; lower --lr", d->it);
        d->residual[set][d->n_trace] = e;
        within &= fabs(e) <= s->o.tolerance;
    }
    d->n_trace++;
    if (!s->o.refine || within || 2 * d->n > s->o.max_pieces || d->n_trace == LCA_STEPS_TRACE) {
        st->ready = true;
        return 0;
    }
    d->n *= 2;
    return ask(s, st, (unsigned)lca_path_level(s->o.rule, (int)d->n), err);
}

int lca_steps_settle(struct lca_steps *s, struct lca_err *err)
{
    for (struct step *st = s->steps; st; st = st->next)
        if (settle(s, st, err) < 0)
            return -1;
    return 0;
}

/* the ready step */

uint64_t lca_steps_in_flight(const struct lca_steps *s)
{
    return s->n;
}

const struct lca_step_done *lca_steps_ready(const struct lca_steps *s)
{
    return s->steps && s->steps->ready ? &s->steps->done : NULL;
}

void lca_steps_loss(const struct lca_steps *s, unsigned set, int row, double *L0, double *L1)
{
    *L0 = loss_at(s, s->steps->from, set, row);
    *L1 = loss_at(s, s->steps->to, set, row);
}

int lca_steps_effective(struct lca_steps *s, unsigned set, int row, const double **G, struct lca_err *err)
{
    *G = row < 0 ? s->all : s->G + (size_t)row * s->o.P;
    return effective(s, s->steps, set, err);
}

const double *lca_steps_gradient(struct lca_steps *s, unsigned set, int row)
{
    const double *g = row_of(s, s->steps->from->g, set, row < 0 ? 0 : (unsigned)row);
    if (row >= 0 || s->o.rows == 1)
        return g;
    memset(s->all0, 0, s->o.P * sizeof *s->all0);
    for (unsigned r = 0; r < s->o.rows; r++)
        for (uint64_t i = 0; i < s->o.P; i++)
            s->all0[i] += g[r * s->o.P + i];
    return s->all0;
}

void lca_steps_drop(struct lca_steps *s)
{
    struct step *st = s->steps;
    s->steps = st->next;
    s->n--;
    s->G_of = NULL;
    step_free(st);
}
