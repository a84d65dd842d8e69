/* patches.c: convolution as matrix products of patches.
 *
 * A patch is what one output pixel sees, [kh][kw][in]: a row of a matrix that is
 * multiplied by the kernel. Patches are gathered a block of rows at a time, so that they
 * stay in the cache; a 1x1 kernel of stride 1 needs none. */
#include <string.h>

#include "backend/cpu/cpu.h"
#include "backend/cpu/method.h"

struct patches {
    uint32_t K, out;            /* values of a patch, output channels */
    bool direct;                /* x itself is the matrix of patches */
    size_t ld;                  /* of dw */
    float *w, *wt;              /* kernel, and its transpose, in panels */
    float *dw, *bias, *dbias;
    float *patch;               /* scratch: [block][K] */
    uint32_t block;             /* rows */
    size_t state, scratch;      /* bytes */
};

static size_t panels(size_t columns)
{
    return (columns + LCA_CPU_PANEL - 1) / LCA_CPU_PANEL * LCA_CPU_PANEL;
}

static struct patches patches_of(const struct lca_geometry *g, void *state, void *scratch)
{
    enum { BLOCK_FLOATS = 32 * 1024, TILE = 12, SLACK = 16 };
    struct patches s = {.K = g->kernel * g->kernel * g->in.c, .out = g->out.c, .ld = lca_ld(g->out.c)};
    s.direct = g->kernel == 1 && g->stride == 1;
    s.block = (BLOCK_FLOATS / s.K + TILE - 1) / TILE * TILE;
    s.block = s.block < TILE ? TILE : s.block;
    float *p = state;
    size_t used = 0;
#define TAKE(what, count) s.what = p ? p + used : NULL; used += (count)
    TAKE(w, s.K * panels(s.out));
    TAKE(wt, s.out * panels(s.K));
    TAKE(dw, (s.K + TILE) * s.ld);
    TAKE(bias, panels(s.out));
    TAKE(dbias, s.ld);
#undef TAKE
    s.state = used * sizeof(float);
    s.patch = scratch;
    s.scratch = (s.block * (size_t)s.K + SLACK) * sizeof(float);
    return s;
}

static size_t patches_state(const struct lca_device *d, const struct lca_geometry *g, uint32_t n_max)
{
    (void)d;
    (void)n_max;
    return patches_of(g, NULL, NULL).state;
}

static size_t patches_scratch(struct lca_device *d, const struct lca_geometry *g, uint32_t n_max)
{
    (void)d;
    (void)n_max;
    return patches_of(g, NULL, NULL).scratch;
}

static void patches_begin(struct lca_device *d, const struct lca_call *c)
{
    struct patches s = patches_of(c->g, c->state, c->scratch);
    const uint32_t panel = d->k->panel;
    for (uint32_t k = 0; k < s.K; k++)
        for (uint32_t o = 0; o < s.out; o++) {
            float w = c->kernel[(size_t)k * s.out + o];
            s.w[(o / panel * (size_t)s.K + k) * panel + o % panel] = w;
            s.wt[(k / panel * (size_t)s.out + o) * panel + k % panel] = w;
        }
    memcpy(s.bias, c->bias, s.out * sizeof *s.bias);
}

/* The part of a patch's row ky that lies within the image: n floats from x, at `at` in
 * the patch. */
struct strip {
    size_t x, at, n;
};

static struct strip strip_of(const struct lca_geometry *g, uint32_t oy, uint32_t ox, uint32_t ky)
{
    int64_t iy = (int64_t)oy * g->stride + ky - g->pad_top, left = (int64_t)ox * g->stride - g->pad_left;
    int64_t right = left + g->kernel;
    if (iy < 0 || iy >= g->in.h)
        return (struct strip){0};
    int64_t from = left < 0 ? 0 : left, to = right > g->in.w ? g->in.w : right;
    if (to <= from)
        return (struct strip){0};
    return (struct strip){((size_t)iy * g->in.w + (size_t)from) * g->in.c,
                          ((size_t)ky * g->kernel + (size_t)(from - left)) * g->in.c, (size_t)(to - from) * g->in.c};
}

/* Adds patches of rows first .. first+n-1 to the images at x. */
static void scatter(const struct lca_geometry *g, float *x, uint32_t first, uint32_t n, const float *patch, uint32_t K)
{
    uint32_t pixels = g->out.h * g->out.w;
    for (uint32_t r = first; r < first + n; r++, patch += K) {
        float *image = x + r / pixels * lca_shape_size(g->in);
        uint32_t oy = r % pixels / g->out.w, ox = r % g->out.w;
        for (uint32_t ky = 0; ky < g->kernel; ky++) {
            struct strip s = strip_of(g, oy, ox, ky);
            float *restrict to = image + s.x;
            const float *restrict from = patch + s.at;
            for (size_t i = 0; i < s.n; i++)
                to[i] += from[i];
        }
    }
}

/* The rows that both sides of a layer have in common: groups of whole examples that lie
 * without gaps in x and in y. */
static struct lca_cpu_rows common_rows(const struct lca_call *c, size_t *next_x)
{
    struct lca_cpu_rows in = lca_cpu_rows(c->g->in, c->n), out = lca_cpu_rows(c->g->out, c->n);
    *next_x = lca_ld(lca_shape_size(c->g->in));
    if (in.groups > 1 || out.groups > 1)
        out = (struct lca_cpu_rows){c->n, c->g->out.h * c->g->out.w, lca_ld(lca_shape_size(c->g->out))};
    return out;
}

static void patches_forward(struct lca_device *d, const struct lca_call *c)
{
    struct patches s = patches_of(c->g, c->state, c->scratch);
    size_t next_x;
    struct lca_cpu_rows r = common_rows(c, &next_x);
    for (uint32_t k = 0; k < r.groups; k++) {
        const float *x = c->x + k * next_x;
        float *y = c->y + k * r.next;
        for (uint32_t i = 0; i < r.rows; i += s.block) {
            uint32_t n = r.rows - i < s.block ? r.rows - i : s.block;
            float *to = y + (size_t)i * s.out;
            if (s.direct) {
                d->k->multiply(x + (size_t)i * s.K, s.K, n, s.K, s.w, s.out, to, s.out, s.bias, false);
            } else {
                d->k->gather(c->g, x, i, n, s.patch);
                d->k->multiply(s.patch, s.K, n, s.K, s.w, s.out, to, s.out, s.bias, false);
            }
            for (size_t o = 0; c->relu && o < (size_t)n * s.out; o++)
                to[o] = to[o] > 0 ? to[o] : 0;
        }
    }
}

static void patches_backward(struct lca_device *d, const struct lca_call *c)
{
    struct patches s = patches_of(c->g, c->state, c->scratch);
    size_t next_x;
    struct lca_cpu_rows r = common_rows(c, &next_x);
    if (c->dx && !s.direct && !c->dx_adds)
        memset(c->dx, 0, c->n * lca_ld(lca_shape_size(c->g->in)) * sizeof *c->dx);
    for (uint32_t k = 0; k < r.groups; k++) {
        const float *x = c->x + k * next_x;
        float *dy = c->dy + k * r.next, *dx = c->dx ? c->dx + k * next_x : NULL;
        d->k->channel_gradient(dy, c->relu ? c->y + k * r.next : NULL, r.rows, s.out, s.dbias);
        for (uint32_t i = 0; i < r.rows; i += s.block) {
            uint32_t n = r.rows - i < s.block ? r.rows - i : s.block;
            const float *from = dy + (size_t)i * s.out, *patch = x + (size_t)i * s.K;
            if (!s.direct) {
                d->k->gather(c->g, x, i, n, s.patch);
                patch = s.patch;
            }
            d->k->outer(patch, s.K, s.K, from, s.out, s.out, n, s.dw, s.ld);
            if (dx && s.direct) {
                d->k->multiply(from, s.out, n, s.out, s.wt, s.K, dx + (size_t)i * s.K, s.K, NULL, c->dx_adds);
            } else if (dx) {
                d->k->multiply(from, s.out, n, s.out, s.wt, s.K, s.patch, s.K, NULL, false);
                scatter(c->g, dx, i, n, s.patch, s.K);
            }
        }
    }
}

static void patches_end(struct lca_device *d, const struct lca_call *c)
{
    (void)d;
    struct patches s = patches_of(c->g, c->state, c->scratch);
    for (size_t k = 0; k < s.K; k++)
        memcpy(c->dkernel + k * s.out, s.dw + k * s.ld, s.out * sizeof(float));
    memcpy(c->dbias, s.dbias, s.out * sizeof(float));
    memset(s.dw, 0, s.K * s.ld * sizeof(float));
    memset(s.dbias, 0, s.ld * sizeof(float));
}

const struct lca_layer_ops lca_cpu_conv_patches = {
    .state = patches_state, .scratch = patches_scratch, .begin = patches_begin, .forward = patches_forward,
    .backward = patches_backward, .end = patches_end,
};
