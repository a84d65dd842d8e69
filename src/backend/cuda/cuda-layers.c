/* cuda-layers.c: layers without parameters. */
#include "backend/cuda/cuda.h"

static size_t floats(const struct lca_call *c)
{
    return c->n * lca_ld(lca_shape_size(c->g->out));
}

static void relu_forward(struct lca_device *d, const struct lca_call *c)
{
    lca_cuda_ok(d, lca_cu_relu(d->stream, floats(c), c->x, c->y), "ReLU");
}

static void relu_backward(struct lca_device *d, const struct lca_call *c)
{
    if (c->dx)
        lca_cuda_ok(d, lca_cu_relu_gradient(d->stream, floats(c), c->x, c->dy, c->dx, c->dx_adds), "ReLU");
}

static void add_forward(struct lca_device *d, const struct lca_call *c)
{
    lca_cuda_ok(d, lca_cu_add(d->stream, floats(c), c->x, c->x2, c->relu, c->y), "add");
}

static void add_backward(struct lca_device *d, const struct lca_call *c)
{
    const float *y = c->relu ? c->y : NULL;
    if (c->dx)
        lca_cuda_ok(d, lca_cu_give(d->stream, floats(c), y, c->dy, c->dx, c->dx_adds), "add");
    if (c->dx2)
        lca_cuda_ok(d, lca_cu_give(d->stream, floats(c), y, c->dy, c->dx2, c->dx2_adds), "add");
}

/* Dropout keeps what it multiplied by, 0 or 1/(1-rate), as its state. */

static size_t dropout_state(const struct lca_device *d, const struct lca_geometry *g, uint32_t n_max)
{
    (void)d;
    return n_max * lca_ld(lca_shape_size(g->out)) * sizeof(float);
}

static void dropout_forward(struct lca_device *d, const struct lca_call *c)
{
    lca_cuda_ok(d, lca_cu_dropout(d->stream, c, c->state), "dropout");
}

static void dropout_backward(struct lca_device *d, const struct lca_call *c)
{
    if (c->dx)
        lca_cuda_ok(d, lca_cu_dropout_gradient(d->stream, floats(c), c->state, c->dy, c->dx, c->dx_adds), "dropout");
}

static void maxpool_forward(struct lca_device *d, const struct lca_call *c)
{
    lca_cuda_ok(d, lca_cu_maxpool(d->stream, c->g, c->n, c->x, c->y), "max pool");
}

static void maxpool_backward(struct lca_device *d, const struct lca_call *c)
{
    if (c->dx)
        lca_cuda_ok(d, lca_cu_maxpool_gradient(d->stream, c->g, c->n, c->x, c->y, c->dy, c->dx, c->dx_adds),
                    "max pool");
}

static void avgpool_forward(struct lca_device *d, const struct lca_call *c)
{
    lca_cuda_ok(d, lca_cu_avgpool(d->stream, c->g, c->n, c->x, c->y), "average pool");
}

static void avgpool_backward(struct lca_device *d, const struct lca_call *c)
{
    if (c->dx)
        lca_cuda_ok(d, lca_cu_avgpool_gradient(d->stream, c->g, c->n, c->dy, c->dx, c->dx_adds), "average pool");
}

const struct lca_layer_ops lca_cuda_relu = {.reads_x = true, .forward = relu_forward, .backward = relu_backward};
const struct lca_layer_ops lca_cuda_add = {.fuses_relu = true, .forward = add_forward, .backward = add_backward};
const struct lca_layer_ops lca_cuda_dropout = {
    .state = dropout_state, .forward = dropout_forward, .backward = dropout_backward,
};
const struct lca_layer_ops lca_cuda_maxpool = {
    .reads_x = true, .reads_y = true, .forward = maxpool_forward, .backward = maxpool_backward,
};
const struct lca_layer_ops lca_cuda_avgpool = {.forward = avgpool_forward, .backward = avgpool_backward};
const struct lca_layer_ops lca_cuda_gap = {.forward = avgpool_forward, .backward = avgpool_backward};
