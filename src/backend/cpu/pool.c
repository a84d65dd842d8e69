/* pool.c: max, average and global average pools: loops over channels that the compiler
 * vectorises. */
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
    (void)d;
    const struct lca_geometry *g = c->g;
    const size_t channels = g->in.c, ld_in = lca_ld(lca_shape_size(g->in)), ld_out = lca_ld(lca_shape_size(g->out));
    for (uint32_t e = 0; e < c->n; e++) {
        float *restrict y = c->y + e * ld_out;
        struct window w = {0};
        do {
            const float *x = c->x + e * ld_in + w.at;
            memcpy(y, x, channels * sizeof *y);
            for (uint32_t ky = 0; ky < g->kernel; ky++)
                for (uint32_t kx = 0; kx < g->kernel; kx++) {
                    const float *restrict p = x + inside(g, ky, kx);
                    for (size_t i = 0; i < channels; i++)
                        y[i] = p[i] > y[i] ? p[i] : y[i];
                }
            y += channels;
        } while (next_window(g, &w));
    }
}

/* Channels of a window whose gradient has not found its place: the first largest value. */
static void give_first(const float *restrict x, const float *restrict y, const float *restrict dy,
                       float *restrict left, float *restrict dx, size_t channels, bool adds)
{
    for (size_t i = 0; i < channels; i++) {
        float here = x[i] == y[i] ? left[i] : 0, more = here * dy[i];
        left[i] -= here;
        dx[i] = adds ? dx[i] + more : more;
    }
}

static void maxpool_backward(struct lca_device *d, const struct lca_call *c)
{
    (void)d;
    if (!c->dx)
        return;
    const struct lca_geometry *g = c->g;
    const size_t channels = g->in.c, ld_in = lca_ld(lca_shape_size(g->in)), ld_out = lca_ld(lca_shape_size(g->out));
    float *left = c->scratch;
    bool adds = adding(c);
    for (uint32_t e = 0; e < c->n; e++) {
        size_t o = e * ld_out;
        struct window w = {0};
        do {
            size_t at = e * ld_in + w.at;
            for (size_t i = 0; i < channels; i++)
                left[i] = 1;
            for (uint32_t ky = 0; ky < g->kernel; ky++)
                for (uint32_t kx = 0; kx < g->kernel; kx++) {
                    size_t p = at + inside(g, ky, kx);
                    give_first(c->x + p, c->y + o, c->dy + o, left, c->dx + p, channels, adds);
                }
            o += channels;
        } while (next_window(g, &w));
    }
}

static size_t maxpool_scratch(const struct lca_device *d, const struct lca_geometry *g, uint32_t n_max)
{
    (void)d;
    (void)n_max;
    return g->in.c * sizeof(float);
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
    .reads_x = true, .reads_y = true, .scratch = maxpool_scratch, .forward = maxpool_forward,
    .backward = maxpool_backward,
};
const struct lca_layer_ops lca_cpu_avgpool = {.forward = avgpool_forward, .backward = avgpool_backward};
const struct lca_layer_ops lca_cpu_gap = {.forward = gap_forward, .backward = gap_backward};
