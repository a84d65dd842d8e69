/* pool.c: max, average and global average pools; those of averages are loops over
 * channels that the compiler vectorises. */
#include <string.h>

#include "backend/cpu/cpu.h"

/* Windows of a geometry, one output pixel after the other. */
struct window {
    uint32_t oy, ox;
    size_t at;                  /* of the top left pixel in an example's input */
};

static bool next_window(const struct lca_geometry *g, struct window *w)
{
    if (++w->ox == g->out.w) {
        w->ox = 0;
        if (++w->oy == g->out.h)
            return false;
    }
    w->at = ((size_t)w->oy * g->stride * g->in.w + (size_t)w->ox * g->stride) * g->in.c;
    return true;
}

/* Pixel (ky, kx) of a window, from its first. */
static size_t inside(const struct lca_geometry *g, uint32_t ky, uint32_t kx)
{
    return ((size_t)ky * g->in.w + kx) * g->in.c;
}

/* Makes dx ready; returns whether windows must add to it. */
static bool adding(const struct lca_call *c)
{
    const struct lca_geometry *g = c->g;
    if (c->dx_adds)
        return true;
    if (g->kernel == g->stride && g->out.h * g->stride == g->in.h && g->out.w * g->stride == g->in.w)
        return false;
    memset(c->dx, 0, c->n * lca_ld(lca_shape_size(g->in)) * sizeof *c->dx);
    return true;
}

static void maxpool_forward(struct lca_device *d, const struct lca_call *c)
{
    d->k->maxpool(c->g, c->x, c->n, c->y);
}

static void maxpool_backward(struct lca_device *d, const struct lca_call *c)
{
    if (c->dx)
        d->k->maxpool_gradient(c->g, c->x, c->y, c->dy, c->n, c->dx, adding(c));
}

static void avgpool_forward(struct lca_device *d, const struct lca_call *c)
{
    (void)d;
    const struct lca_geometry *g = c->g;
    const size_t channels = g->in.c, ld_in = lca_ld(lca_shape_size(g->in)), ld_out = lca_ld(lca_shape_size(g->out));
    const float part = 1 / (float)(g->kernel * g->kernel);
    for (uint32_t e = 0; e < c->n; e++) {
        float *restrict y = c->y + e * ld_out;
        struct window w = {0};
        do {
            memset(y, 0, channels * sizeof *y);
            for (uint32_t ky = 0; ky < g->kernel; ky++)
                for (uint32_t kx = 0; kx < g->kernel; kx++) {
                    const float *restrict p = c->x + e * ld_in + w.at + inside(g, ky, kx);
                    for (size_t i = 0; i < channels; i++)
                        y[i] += p[i];
                }
            for (size_t i = 0; i < channels; i++)
                y[i] *= part;
            y += channels;
        } while (next_window(g, &w));
    }
}

static void avgpool_backward(struct lca_device *d, const struct lca_call *c)
{
    (void)d;
    if (!c->dx)
        return;
    const struct lca_geometry *g = c->g;
    const size_t channels = g->in.c, ld_in = lca_ld(lca_shape_size(g->in)), ld_out = lca_ld(lca_shape_size(g->out));
    const float part = 1 / (float)(g->kernel * g->kernel);
    bool adds = adding(c);
    for (uint32_t e = 0; e < c->n; e++) {
        const float *restrict dy = c->dy + e * ld_out;
        struct window w = {0};
        do {
            for (uint32_t ky = 0; ky < g->kernel; ky++)
                for (uint32_t kx = 0; kx < g->kernel; kx++) {
                    float *restrict p = c->dx + e * ld_in + w.at + inside(g, ky, kx);
                    for (size_t i = 0; i < channels; i++)
                        p[i] = adds ? p[i] + dy[i] * part : dy[i] * part;
                }
            dy += channels;
        } while (next_window(g, &w));
    }
}

static void gap_forward(struct lca_device *d, const struct lca_call *c)
{
    (void)d;
    const size_t channels = c->g->in.c, pixels = (size_t)c->g->in.h * c->g->in.w, ld_in = lca_ld(pixels * channels);
    const float part = 1 / (float)pixels;
    for (uint32_t e = 0; e < c->n; e++) {
        float *restrict y = c->y + e * lca_ld(channels);
        memset(y, 0, channels * sizeof *y);
        for (size_t p = 0; p < pixels; p++) {
            const float *restrict x = c->x + e * ld_in + p * channels;
            for (size_t i = 0; i < channels; i++)
                y[i] += x[i];
        }
        for (size_t i = 0; i < channels; i++)
            y[i] *= part;
    }
}

static void gap_backward(struct lca_device *d, const struct lca_call *c)
{
    (void)d;
    if (!c->dx)
        return;
    const size_t channels = c->g->in.c, pixels = (size_t)c->g->in.h * c->g->in.w, ld_in = lca_ld(pixels * channels);
    const float part = 1 / (float)pixels;
    for (uint32_t e = 0; e < c->n; e++) {
        const float *restrict dy = c->dy + e * lca_ld(channels);
        for (size_t p = 0; p < pixels; p++) {
            float *restrict dx = c->dx + e * ld_in + p * channels;
            for (size_t i = 0; i < channels; i++)
                dx[i] = c->dx_adds ? dx[i] + dy[i] * part : dy[i] * part;
        }
    }
}

const struct lca_layer_ops lca_cpu_maxpool = {
    .reads_x = true, .reads_y = true, .forward = maxpool_forward, .backward = maxpool_backward,
};
const struct lca_layer_ops lca_cpu_avgpool = {.forward = avgpool_forward, .backward = avgpool_backward};
const struct lca_layer_ops lca_cpu_gap = {.forward = gap_forward, .backward = gap_backward};
