/* conv.c: convolution, by the method that suits its geometry. */
#include "backend/cpu/cpu.h"
#include "backend/cpu/method.h"

static const struct lca_layer_ops *method(const struct lca_device *d, const struct lca_geometry *g)
{
    return !d->direct && lca_cpu_winograd(g) ? &lca_cpu_conv_winograd : &lca_cpu_conv_patches;
}

static size_t conv_state(const struct lca_device *d, const struct lca_geometry *g, uint32_t n_max)
{
    return method(d, g)->state(d, g, n_max);
}

static size_t conv_scratch(struct lca_device *d, const struct lca_geometry *g, uint32_t n_max)
{
    return method(d, g)->scratch(d, g, n_max);
}

static void conv_begin(struct lca_device *d, const struct lca_call *c)
{
    method(d, c->g)->begin(d, c);
}

static void conv_forward(struct lca_device *d, const struct lca_call *c)
{
    method(d, c->g)->forward(d, c);
}

static void conv_backward(struct lca_device *d, const struct lca_call *c)
{
    method(d, c->g)->backward(d, c);
}

static void conv_end(struct lca_device *d, const struct lca_call *c)
{
    method(d, c->g)->end(d, c);
}

const struct lca_layer_ops lca_cpu_conv = {
    .fuses_relu = true, .reads_x = true, .heavy = true, .state = conv_state, .scratch = conv_scratch,
    .begin = conv_begin, .forward = conv_forward, .backward = conv_backward, .end = conv_end,
};
