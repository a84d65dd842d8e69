/* cuda-norm.c: batch norm; the formulas stand in cpu/norm.c. ReLU's mask on the way back
 * comes from x, so that dy is read and never written. */
#include "backend/cuda/cuda.h"

static struct lca_cuda_norm norm_of(const struct lca_geometry *g, void *state, size_t *bytes)
{
    size_t c = lca_ld(g->out.c), used = 0;
    char *p = state;
    struct lca_cuda_norm s;
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
    *bytes = used;
    return s;
}

static size_t norm_state(const struct lca_device *d, const struct lca_geometry *g, uint32_t n_max)
{
    size_t bytes;
    (void)d;
    (void)n_max;
    norm_of(g, NULL, &bytes);
    return bytes;
}

static double rows_in_all(const struct lca_call *c)
{
    return (double)c->total * c->g->out.h * c->g->out.w;
}

static void norm_begin(struct lca_device *d, const struct lca_call *c)
{
    lca_cuda_ok(d, cudaMemsetAsync(c->state, 0, norm_state(d, c->g, c->n_max), d->stream), "batch norm");
}

static void norm_observe(struct lca_device *d, const struct lca_call *c)
{
    size_t bytes;
    struct lca_cuda_norm s = norm_of(c->g, c->state, &bytes);
    lca_cuda_ok(d, lca_cu_norm_observe(d->stream, lca_cuda_rows_of(c), c->x, &s, d->partial), "batch norm");
}

static void norm_settle(struct lca_device *d, const struct lca_call *c)
{
    size_t bytes;
    struct lca_cuda_norm s = norm_of(c->g, c->state, &bytes);
    lca_cuda_ok(d, lca_cu_norm_settle(d->stream, c->g->out.c, rows_in_all(c), c->g->eps, c->gamma, c->beta, &s),
                "batch norm");
}

static void norm_forward(struct lca_device *d, const struct lca_call *c)
{
    size_t bytes;
    struct lca_cuda_norm s = norm_of(c->g, c->state, &bytes);
    lca_cuda_ok(d, lca_cu_norm_forward(d->stream, lca_cuda_rows_of(c), c->x, &s, c->relu, c->y), "batch norm");
}

static void norm_backward(struct lca_device *d, const struct lca_call *c)
{
    size_t bytes;
    struct lca_cuda_norm s = norm_of(c->g, c->state, &bytes);
    lca_cuda_ok(d, lca_cu_norm_backward(d->stream, lca_cuda_rows_of(c), c->x, c->dy, c->relu, &s, d->partial),
                "batch norm");
}

static void norm_settle_back(struct lca_device *d, const struct lca_call *c)
{
    size_t bytes;
    struct lca_cuda_norm s = norm_of(c->g, c->state, &bytes);
    lca_cuda_ok(d, lca_cu_norm_settle_back(d->stream, c->g->out.c, rows_in_all(c), &s), "batch norm");
}

static void norm_spread(struct lca_device *d, const struct lca_call *c)
{
    size_t bytes;
    struct lca_cuda_norm s = norm_of(c->g, c->state, &bytes);
    lca_cuda_ok(d, lca_cu_norm_spread(d->stream, lca_cuda_rows_of(c), c->x, c->dy, c->relu, &s, c->dx, c->dx_adds),
                "batch norm");
}

static void norm_end(struct lca_device *d, const struct lca_call *c)
{
    size_t bytes;
    struct lca_cuda_norm s = norm_of(c->g, c->state, &bytes);
    lca_cuda_ok(d, lca_cu_take(d->stream, c->g->out.c, s.dgamma, c->dgamma), "batch norm");
    lca_cuda_ok(d, lca_cu_take(d->stream, c->g->out.c, s.dbeta, c->dbeta), "batch norm");
}

const struct lca_layer_ops lca_cuda_batchnorm = {
    .fuses_relu = true, .reads_x = true, .state = norm_state, .begin = norm_begin, .observe = norm_observe,
    .settle = norm_settle, .forward = norm_forward, .backward = norm_backward, .settle_back = norm_settle_back,
    .spread = norm_spread, .end = norm_end,
};
