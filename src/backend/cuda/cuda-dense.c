/* cuda-dense.c: dense layers, by cuBLAS. */
#include "backend/cuda/cuda.h"

/* State: weights and their sums, rows padded so that each begins aligned; bias; its sums. */
struct dense {
    size_t in, out, ld, ld_in;
    float *w, *dw, *bias;
    double *dbias;
    size_t bytes;
};

static struct dense dense_of(const struct lca_geometry *g, void *state)
{
    struct dense s = {.in = lca_shape_size(g->in), .out = lca_shape_size(g->out)};
    s.ld = lca_ld(s.out);
    s.ld_in = lca_ld(s.in);
    char *p = state;
    size_t used = 0;
#define TAKE(what, type, count)                     \
    what = p ? (type *)(void *)(p + used) : NULL;   \
    used += (count) * sizeof(type)
    TAKE(s.dbias, double, s.ld);
    TAKE(s.w, float, s.in * s.ld);
    TAKE(s.dw, float, s.in * s.ld);
    TAKE(s.bias, float, s.ld);
#undef TAKE
    s.bytes = used;
    return s;
}

static size_t dense_state(const struct lca_device *d, const struct lca_geometry *g, uint32_t n_max)
{
    (void)d;
    (void)n_max;
    return dense_of(g, NULL).bytes;
}

static struct lca_cuda_rows rows_of(const struct dense *s, uint32_t n)
{
    return (struct lca_cuda_rows){n, 1, (uint32_t)s->out, s->ld};
}

static void dense_begin(struct lca_device *d, const struct lca_call *c)
{
    struct dense s = dense_of(c->g, c->state);
    lca_cuda_ok(d, lca_cu_copy(d->stream, s.in, s.out, c->kernel, s.out, s.w, s.ld), "dense layer");
    lca_cuda_ok(d, lca_cu_copy(d->stream, 1, s.out, c->bias, s.out, s.bias, s.ld), "dense layer");
}

static void dense_forward(struct lca_device *d, const struct lca_call *c)
{
    struct dense s = dense_of(c->g, c->state);
    struct lca_cuda_matrix x = {c->x, s.ld_in, false}, w = {s.w, s.ld, false};
    lca_cuda_multiply(d, x, w, c->y, s.ld, c->n, s.out, s.in, false);
    lca_cuda_ok(d, lca_cu_bias(d->stream, rows_of(&s, c->n), c->y, s.ld, s.bias, c->relu, c->y), "dense layer");
}

static void dense_backward(struct lca_device *d, const struct lca_call *c)
{
    struct dense s = dense_of(c->g, c->state);
    lca_cuda_ok(d,
                lca_cu_bias_gradient(d->stream, rows_of(&s, c->n), c->dy, c->relu ? c->y : NULL, d->partial, s.dbias),
                "dense layer");
    struct lca_cuda_matrix x = {c->x, s.ld_in, true}, dy = {c->dy, s.ld, false}, w = {s.w, s.ld, true};
    lca_cuda_multiply(d, x, dy, s.dw, s.ld, s.in, s.out, c->n, true);
    if (c->dx)
        lca_cuda_multiply(d, dy, w, c->dx, s.ld_in, c->n, s.in, s.out, c->dx_adds);
}

static void dense_end(struct lca_device *d, const struct lca_call *c)
{
    struct dense s = dense_of(c->g, c->state);
    lca_cuda_ok(d, lca_cu_take_layer(d->stream, s.in, s.out, s.dw, s.ld, c->dkernel, s.dbias, c->dbias), "dense layer");
}

const struct lca_layer_ops lca_cuda_dense = {
    .fuses_relu = true, .reads_x = true, .heavy = true, .state = dense_state, .begin = dense_begin,
    .forward = dense_forward, .backward = dense_backward, .end = dense_end,
};
