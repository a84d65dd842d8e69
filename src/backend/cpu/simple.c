/* simple.c: layers without parameters, element by element: loops that the compiler
 * vectorises. */
#include "backend/cpu/cpu.h"

static void relu_forward(struct lca_device *d, const struct lca_call *c)
{
    (void)d;
    size_t n = c->n * lca_ld(lca_shape_size(c->g->out));
    for (size_t i = 0; i < n; i++)
        c->y[i] = c->x[i] > 0 ? c->x[i] : 0;
}

static void give(float *dx, size_t i, float d, bool adds)
{
    dx[i] = adds ? dx[i] + d : d;
}

static void relu_backward(struct lca_device *d, const struct lca_call *c)
{
    (void)d;
    size_t n = c->n * lca_ld(lca_shape_size(c->g->out));
    for (size_t i = 0; c->dx && i < n; i++)
        give(c->dx, i, c->x[i] > 0 ? c->dy[i] : 0, c->dx_adds);
}

static void add_forward(struct lca_device *d, const struct lca_call *c)
{
    (void)d;
    size_t n = c->n * lca_ld(lca_shape_size(c->g->out));
    for (size_t i = 0; i < n; i++)
        c->y[i] = c->x[i] + c->x2[i];
    for (size_t i = 0; c->relu && i < n; i++)
        c->y[i] = c->y[i] > 0 ? c->y[i] : 0;
}

static void add_backward(struct lca_device *d, const struct lca_call *c)
{
    (void)d;
    size_t n = c->n * lca_ld(lca_shape_size(c->g->out));
    for (size_t i = 0; c->relu && i < n; i++)
        c->dy[i] = c->y[i] > 0 ? c->dy[i] : 0;
    for (size_t i = 0; c->dx && i < n; i++)
        give(c->dx, i, c->dy[i], c->dx_adds);
    for (size_t i = 0; c->dx2 && i < n; i++)
        give(c->dx2, i, c->dy[i], c->dx2_adds);
}

/* Dropout keeps what it multiplied by, 0 or 1/(1-rate), as its state. */

static size_t dropout_state(const struct lca_device *d, const struct lca_geometry *g, uint32_t n_max)
{
    (void)d;
    return n_max * lca_ld(lca_shape_size(g->out)) * sizeof(float);
}

static void dropout_forward(struct lca_device *d, const struct lca_call *c)
{
    (void)d;
    size_t size = lca_shape_size(c->g->out), ld = lca_ld(size);
    float *factor = c->state, keep = (float)(1 / (1 - c->g->rate));
    uint32_t limit = (uint32_t)(c->g->rate * 0x1p32);
    for (uint32_t e = 0; e < c->n; e++)
        for (size_t i = 0; i < size; i += 4) {
            uint32_t word[4];
            lca_rng_words(&c->rng, c->index + e * size + i, 0, word);
            for (size_t k = 0; k < 4 && i + k < size; k++) {
                size_t at = e * ld + i + k;
                factor[at] = word[k] < limit ? 0 : keep;
                c->y[at] = c->x[at] * factor[at];
            }
        }
}

static void dropout_backward(struct lca_device *d, const struct lca_call *c)
{
    (void)d;
    const float *factor = c->state;
    size_t n = c->n * lca_ld(lca_shape_size(c->g->out));
    for (size_t i = 0; c->dx && i < n; i++)
        give(c->dx, i, c->dy[i] * factor[i], c->dx_adds);
}

const struct lca_layer_ops lca_cpu_relu = {.reads_x = true, .forward = relu_forward, .backward = relu_backward};
const struct lca_layer_ops lca_cpu_add = {.fuses_relu = true, .forward = add_forward, .backward = add_backward};
const struct lca_layer_ops lca_cpu_dropout = {
    .state = dropout_state, .forward = dropout_forward, .backward = dropout_backward,
};
