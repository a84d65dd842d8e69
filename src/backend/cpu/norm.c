/* norm.c: batch norm, with the statistics of all examples of a pass.
 *
 *   y = gamma xhat + beta,  xhat = (x - mean) r,  r = 1 / sqrt(variance + eps)
 *   dx = gamma r (dy - mean(dy) - xhat mean(dy xhat))
 * means over examples, height and width. The sums for mean and variance are taken about
 * the first row of the pass, so that a large mean costs no digits. */
#include <math.h>
#include <string.h>

#include "backend/cpu/cpu.h"

struct norm {
    double *sum, *square;               /* observe; then of dy and dy (x - mean) */
    double *dgamma, *dbeta;             /* of all passes back since end */
    float *about, *mean, *r, *scale, *shift, *even, *slope;
    uint64_t *seen;                     /* 1: about is set */
    size_t bytes;
};

static struct norm norm_of(const struct lca_geometry *g, void *state)
{
    size_t c = lca_ld(g->out.c), used = 0;
    char *p = state;
    struct norm s;
#define TAKE(what, type)                            \
    s.what = p ? (type *)(void *)(p + used) : NULL; \
    used += c * sizeof(type)
    TAKE(sum, double);
    TAKE(square, double);
    TAKE(dgamma, double);
    TAKE(dbeta, double);
    TAKE(about, float);
    TAKE(mean, float);
    TAKE(r, float);
    TAKE(scale, float);
    TAKE(shift, float);
    TAKE(even, float);
    TAKE(slope, float);
    TAKE(seen, uint64_t);
#undef TAKE
    s.bytes = used;
    return s;
}

static size_t norm_state(const struct lca_device *d, const struct lca_geometry *g, uint32_t n_max)
{
    (void)d;
    (void)n_max;
    return norm_of(g, NULL).bytes;
}

static void norm_begin(struct lca_device *d, const struct lca_call *c)
{
    (void)d;
    struct norm s = norm_of(c->g, c->state);
    memset(c->state, 0, s.bytes);
}

static void norm_observe(struct lca_device *d, const struct lca_call *c)
{
    struct norm s = norm_of(c->g, c->state);
    struct lca_cpu_rows r = lca_cpu_rows(c->g->out, c->n);
    if (!*s.seen)
        memcpy(s.about, c->x, c->g->out.c * sizeof *s.about);
    *s.seen = 1;
    for (uint32_t k = 0; k < r.groups; k++)
        d->k->norm_observe(c->x + k * r.next, r.rows, c->g->out.c, s.about, s.sum, s.square);
}

static double rows_in_all(const struct lca_call *c)
{
    return (double)c->total * c->g->out.h * c->g->out.w;
}

static void norm_settle(struct lca_device *d, const struct lca_call *c)
{
    (void)d;
    struct norm s = norm_of(c->g, c->state);
    double n = rows_in_all(c);
    for (uint32_t k = 0; k < c->g->out.c; k++) {
        double from = s.sum[k] / n, mean = (double)s.about[k] + from;
        double variance = fmax(s.square[k] / n - from * from, 0);
        double r = 1 / sqrt(variance + c->g->eps), scale = (double)c->gamma[k] * r;
        s.mean[k] = (float)mean;
        s.r[k] = (float)r;
        s.scale[k] = (float)scale;
        s.shift[k] = (float)((double)c->beta[k] - mean * scale);
        s.sum[k] = s.square[k] = 0;
    }
    *s.seen = 0;
}

static void norm_forward(struct lca_device *d, const struct lca_call *c)
{
    struct norm s = norm_of(c->g, c->state);
    struct lca_cpu_rows r = lca_cpu_rows(c->g->out, c->n);
    for (uint32_t k = 0; k < r.groups; k++)
        d->k->norm_forward(c->x + k * r.next, r.rows, c->g->out.c, s.scale, s.shift, c->y + k * r.next, c->relu);
}

static void norm_backward(struct lca_device *d, const struct lca_call *c)
{
    struct norm s = norm_of(c->g, c->state);
    struct lca_cpu_rows r = lca_cpu_rows(c->g->out, c->n);
    for (uint32_t k = 0; k < r.groups; k++)
        d->k->norm_backward(c->x + k * r.next, c->relu ? c->y + k * r.next : NULL, c->dy + k * r.next, r.rows,
                            c->g->out.c, s.mean, s.sum, s.square);
}

static void norm_settle_back(struct lca_device *d, const struct lca_call *c)
{
    (void)d;
    struct norm s = norm_of(c->g, c->state);
    double n = rows_in_all(c);
    for (uint32_t k = 0; k < c->g->out.c; k++) {
        double r = (double)s.r[k];
        s.even[k] = (float)(s.sum[k] / n);
        s.slope[k] = (float)(s.square[k] / n * r * r);
        s.dbeta[k] += s.sum[k];
        s.dgamma[k] += s.square[k] * r;
        s.sum[k] = s.square[k] = 0;
    }
}

static void norm_spread(struct lca_device *d, const struct lca_call *c)
{
    struct norm s = norm_of(c->g, c->state);
    struct lca_cpu_rows r = lca_cpu_rows(c->g->out, c->n);
    for (uint32_t k = 0; k < r.groups; k++)
        d->k->norm_spread(c->x + k * r.next, c->dy + k * r.next, r.rows, c->g->out.c, s.mean, s.scale, s.even,
                          s.slope, c->dx + k * r.next, c->dx_adds);
}

static void norm_end(struct lca_device *d, const struct lca_call *c)
{
    (void)d;
    struct norm s = norm_of(c->g, c->state);
    for (uint32_t k = 0; k < c->g->out.c; k++) {
        c->dgamma[k] = (float)s.dgamma[k];
        c->dbeta[k] = (float)s.dbeta[k];
        s.dgamma[k] = s.dbeta[k] = 0;
    }
}

const struct lca_layer_ops lca_cpu_batchnorm = {
    .fuses_relu = true, .reads_x = true, .state = norm_state, .begin = norm_begin, .observe = norm_observe,
    .settle = norm_settle, .forward = norm_forward, .backward = norm_backward, .settle_back = norm_settle_back,
    .spread = norm_spread, .end = norm_end,
};
