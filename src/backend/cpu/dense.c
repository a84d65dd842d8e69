/* dense.c: dense layers. */
#include <cblas.h>
#include <string.h>

#include "backend/cpu/cpu.h"

/* Up to this size of a hidden layer's weights our kernels, which pack nothing per
 * call, are faster than OpenBLAS (measured: 1.2 to 1.6 times in slices of our size). */
enum { OWN_BYTES = 1024 * 1024 };

/* State: packed weights, their sums, the transposed weights, and places. */

struct dense {
    size_t in, out, ld, ld_in, rows;    /* rows: inputs up to a multiple of 4 */
    float *w, *dw, *bias, *dbias, *wt, *zero;
    struct lca_places places;
    size_t bytes;
    bool own;
};

static struct dense dense_of(const struct lca_geometry *g, void *state, uint32_t n_max)
{
    struct dense s = {.in = lca_shape_size(g->in), .out = lca_shape_size(g->out)};
    s.ld = lca_ld(s.out);
    s.ld_in = lca_ld(s.in);
    s.rows = (s.in + 3) / 4 * 4;
    s.own = s.in * s.ld * sizeof(float) <= OWN_BYTES;
    size_t most = s.in > n_max ? s.in : n_max;
    float *p = state;
    size_t used = 0;
#define TAKE(what, type, count)                         \
    what = p ? (type *)(void *)(p + used) : NULL;       \
    used += (count)
    TAKE(s.w, float, s.rows * s.ld);
    TAKE(s.dw, float, s.rows * s.ld);
    TAKE(s.bias, float, s.ld);
    TAKE(s.dbias, float, s.ld);
    TAKE(s.wt, float, s.own ? s.out * s.ld_in : 0);
    TAKE(s.zero, float, s.ld_in);
    TAKE(s.places.at, uint32_t, lca_ld(most));
    TAKE(s.places.four, uint32_t, lca_ld(most));
#undef TAKE
    s.bytes = used * sizeof(float);
    return s;
}

static size_t dense_state(const struct lca_device *d, const struct lca_geometry *g, uint32_t n_max)
{
    (void)d;
    return dense_of(g, NULL, n_max).bytes;
}

static void dense_begin(struct lca_device *d, const struct lca_call *c)
{
    (void)d;
    struct dense s = dense_of(c->g, c->state, c->n_max);
    for (size_t i = 0; i < s.in; i++)
        memcpy(s.w + i * s.ld, c->kernel + i * s.out, s.out * sizeof(float));
    for (size_t o = 0; s.own && !c->rows && o < s.out; o++)
        for (size_t i = 0; i < s.in; i++)
            s.wt[o * s.ld_in + i] = c->kernel[i * s.out + o];
    memcpy(s.bias, c->bias, s.out * sizeof(float));
}

static void dense_forward(struct lca_device *d, const struct lca_call *c)
{
    struct dense s = dense_of(c->g, c->state, c->n_max);
    if (c->rows) {
        d->k->forward_bytes(c->rows, c->n, &s.places, s.w, s.ld, (uint32_t)s.out, s.bias, c->y,
                            c->relu);
        return;
    }
    if (s.own) {
        d->k->forward(c->x, s.ld_in, c->n, (uint32_t)s.in, s.w, s.ld, (uint32_t)s.out, s.bias, c->y,
                      c->relu);
        return;
    }
    for (uint32_t e = 0; e < c->n; e++)
        memcpy(c->y + e * s.ld, s.bias, s.ld * sizeof(float));
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, (blasint)c->n, (blasint)s.out,
                (blasint)s.in,
                1, c->x, (blasint)s.ld_in, s.w, (blasint)s.ld, 1, c->y, (blasint)s.ld);
    for (size_t i = 0; c->relu && i < c->n * s.ld; i++)
        c->y[i] = c->y[i] > 0 ? c->y[i] : 0;
}

static void dense_backward(struct lca_device *d, const struct lca_call *c)
{
    struct dense s = dense_of(c->g, c->state, c->n_max);
    d->k->bias_gradient(c->dy, c->relu ? c->y : NULL, c->n, s.ld, s.dbias);
    if (c->rows) {
        d->k->gradient_bytes(c->rows, c->n, &s.places, c->dy, s.ld, (uint32_t)s.out, s.dw);
        return;
    }
    if (s.own)
        d->k->gradient(c->x, s.ld_in, c->n, (uint32_t)s.in, c->dy, s.ld, (uint32_t)s.out, s.dw);
    else
        cblas_sgemm(CblasRowMajor, CblasTrans, CblasNoTrans, (blasint)s.in, (blasint)s.out,
                    (blasint)c->n,
                    1, c->x, (blasint)s.ld_in, c->dy, (blasint)s.ld, 1, s.dw, (blasint)s.ld);
    if (!c->dx)
        return;
    if (s.own && !c->dx_adds)
        d->k->forward(c->dy, s.ld, c->n, (uint32_t)s.out, s.wt, s.ld_in, (uint32_t)s.in, s.zero,
                      c->dx, false);
    else
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (blasint)c->n, (blasint)s.in,
                    (blasint)s.out,
                    1, c->dy, (blasint)s.ld, s.w, (blasint)s.ld, c->dx_adds, c->dx,
                        (blasint)s.ld_in);
}

static void dense_end(struct lca_device *d, const struct lca_call *c)
{
    (void)d;
    struct dense s = dense_of(c->g, c->state, c->n_max);
    for (size_t i = 0; i < s.in; i++)
        memcpy(c->dkernel + i * s.out, s.dw + i * s.ld, s.out * sizeof(float));
    memcpy(c->dbias, s.dbias, s.out * sizeof(float));
    memset(s.dw, 0, s.rows * s.ld * sizeof(float));
    memset(s.dbias, 0, s.ld * sizeof(float));
}

const struct lca_layer_ops lca_cpu_dense = {
    .bytes = true, .fuses_relu = true, .reads_x = true, .heavy = true, .state = dense_state,
    .begin = dense_begin, .forward = dense_forward, .backward = dense_backward, .end = dense_end,
};
