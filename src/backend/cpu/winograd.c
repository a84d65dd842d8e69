/* winograd.c: convolutions of 3x3 and 5x5 kernels with stride 1 by Winograd's minimal
 * filtering (Lavin & Gray 2016, here as Toom and Cook's interpolation).
 *
 *   y = A^T [ (G w G^T) . (B^T x B) ] A      one tile: 6x6 inputs, m x m outputs, m = 7 - k
 * in 36 products for each pair of channels where m^2 k^2 are needed otherwise: 144 with a
 * 3x3 kernel, 100 with 5x5. The interpolation points are 0, +-3/4, +-3/2 and infinity:
 * their matrices have exact entries, and they lose least to rounding (relative error of a
 * layer 7e-7, where 0, +-1, +-2 lose 1.4e-6 and a sum of products 1.5e-7).
 *
 * The gradient is the adjoint of the same formula: with D = A dy A^T,
 *   dw = G^T [ sum over tiles of (B^T x B) . D ] G,   dx = B [ (G w G^T) . D ] B^T.
 *
 * For each of the 36 numbers the products of all tiles and channels are one matrix
 * product. Tiles go through a block at a time, so that V, M and D stay in the cache. */
#include <string.h>

#include "backend/cpu/cpu.h"
#include "backend/cpu/method.h"

enum { N = 36, BLOCK_FLOATS = 96 * 1024, BLOCK_LEAST = 48, ROUND = 12, SPREAD = 48 };

struct winograd {
    struct lca_cpu_tiles x, y;
    uint32_t k, in, out;
    uint32_t tiles, block;          /* tiles of an example; at a time */
    size_t ld_in, ld_out;           /* floats of a tile's row in V and M */
    size_t next_in, next_out;       /* floats from one of the 36 to the next */
    size_t size_u, size_ut;         /* floats of one of the 36 */
    float *u, *ut, *du;             /* G w G^T in panels, its transpose; sum of V^T D [36][in][ld_out] */
    float *bias, *dbias;
    float *V, *M, *local;           /* scratch */
    size_t state, scratch;          /* bytes */
};

bool lca_cpu_winograd(const struct lca_geometry *g)
{
    return g->stride == 1 && (g->kernel == 3 || g->kernel == 5) && g->in.c >= 8 && g->out.c >= 8;
}

static size_t up(size_t n, size_t to)
{
    return (n + to - 1) / to * to;
}

static struct winograd winograd_of(const struct lca_device *d, const struct lca_geometry *g, void *state,
                                   void *scratch)
{
    struct winograd s = {.k = g->kernel, .in = g->in.c, .out = g->out.c};
    uint32_t m = 7 - g->kernel, across = (g->out.w + m - 1) / m, down = (g->out.h + m - 1) / m;
    s.x = (struct lca_cpu_tiles){g->in.h, g->in.w, g->in.c, across, down, m, g->pad_top, g->pad_left,
                                 lca_ld(lca_shape_size(g->in))};
    s.y = (struct lca_cpu_tiles){g->out.h, g->out.w, g->out.c, across, down, m, 0, 0, lca_ld(lca_shape_size(g->out))};
    s.tiles = across * down;
    s.ld_in = up(s.in, d->k->panel / 2);
    s.ld_out = up(s.out, d->k->panel / 2);
    size_t block = up(BLOCK_FLOATS / (N * (s.ld_in + s.ld_out)), ROUND);
    s.block = (uint32_t)(block < BLOCK_LEAST ? BLOCK_LEAST : block);
    /* not a power of two: the 36 would fall on the same lines of the cache */
    s.next_in = s.block * s.ld_in + SPREAD;
    s.next_out = s.block * s.ld_out + SPREAD;
    s.size_u = s.in * up(s.out, LCA_CPU_PANEL);
    s.size_ut = s.out * up(s.in, LCA_CPU_PANEL);
    float *p = state;
    size_t used = 0;
#define TAKE(what, count) s.what = p ? p + used : NULL; used += (count)
    TAKE(u, N * s.size_u);
    TAKE(ut, N * s.size_ut);
    TAKE(du, N * s.in * s.ld_out);
    TAKE(bias, up(s.out, LCA_CPU_PANEL));
    TAKE(dbias, s.ld_out);
    s.state = used * sizeof(float);
    p = scratch;
    used = 0;
    TAKE(V, N * s.next_in);
    TAKE(M, N * s.next_out);
    TAKE(local, N * (s.ld_in > s.ld_out ? s.ld_in : s.ld_out));
#undef TAKE
    s.scratch = used * sizeof(float);
    return s;
}

static size_t winograd_state(const struct lca_device *d, const struct lca_geometry *g, uint32_t n_max)
{
    (void)n_max;
    return winograd_of(d, g, NULL, NULL).state;
}

static size_t winograd_scratch(struct lca_device *d, const struct lca_geometry *g, uint32_t n_max)
{
    (void)n_max;
    return winograd_of(d, g, NULL, NULL).scratch;
}

/* G [6][k]: powers of the points, divided by the other factors of the interpolation. */
static void matrix_g(uint32_t k, double G[6][5])
{
    const double a = 0.75, b = 1.5, point[5] = {0, a, -a, b, -b};
    const double by[5] = {a * a * b * b, 2 * a * a * (a * a - b * b), 2 * a * a * (a * a - b * b),
                          2 * b * b * (b * b - a * a), 2 * b * b * (b * b - a * a)};
    for (uint32_t i = 0; i < 5; i++) {
        double power = 1 / by[i];
        for (uint32_t j = 0; j < k; j++, power *= point[i])
            G[i][j] = power;
    }
    for (uint32_t j = 0; j < k; j++)
        G[5][j] = j + 1 == k;
}

/* Kernels of WIDE neighbouring output channels together: loops over them vectorise. */
enum { WIDE = 16 };

/* G w G^T of input channel i, output channels o .. o+n-1. */
static void transform(const struct winograd *s, double G[6][5], const float *kernel, uint32_t i, uint32_t o, uint32_t n,
                      float u[N][WIDE])
{
    double w[WIDE] = {0}, half_way[6][5][WIDE] = {{{0}}};
    for (uint32_t y = 0; y < s->k; y++)
        for (uint32_t x = 0; x < s->k; x++) {
            const float *from = kernel + ((size_t)(y * s->k + x) * s->in + i) * s->out + o;
            for (uint32_t v = 0; v < n; v++)
                w[v] = (double)from[v];
            for (uint32_t r = 0; r < 6; r++)
                for (uint32_t v = 0; v < WIDE; v++)
                    half_way[r][x][v] += G[r][y] * w[v];
        }
    for (uint32_t r = 0; r < 6; r++)
        for (uint32_t q = 0; q < 6; q++) {
            double sum[WIDE] = {0};
            for (uint32_t x = 0; x < s->k; x++)
                for (uint32_t v = 0; v < WIDE; v++)
                    sum[v] += half_way[r][x][v] * G[q][x];
            for (uint32_t v = 0; v < WIDE; v++)
                u[6 * r + q][v] = (float)sum[v];
        }
}

/* dw = G^T du G, likewise. */
static void transform_back(const struct winograd *s, double G[6][5], uint32_t i, uint32_t o, uint32_t n, float *dkernel)
{
    const float *du = s->du + i * s->ld_out + o;
    double u[WIDE] = {0}, half_way[6][5][WIDE] = {{{0}}};
    for (uint32_t r = 0; r < 6; r++)
        for (uint32_t q = 0; q < 6; q++) {
            const float *from = du + (6 * r + q) * s->in * s->ld_out;
            for (uint32_t v = 0; v < n; v++)
                u[v] = (double)from[v];
            for (uint32_t x = 0; x < s->k; x++)
                for (uint32_t v = 0; v < WIDE; v++)
                    half_way[r][x][v] += u[v] * G[q][x];
        }
    for (uint32_t y = 0; y < s->k; y++)
        for (uint32_t x = 0; x < s->k; x++) {
            double sum[WIDE] = {0};
            for (uint32_t r = 0; r < 6; r++)
                for (uint32_t v = 0; v < WIDE; v++)
                    sum[v] += G[r][y] * half_way[r][x][v];
            for (uint32_t v = 0; v < n; v++)
                dkernel[((size_t)(y * s->k + x) * s->in + i) * s->out + o + v] = (float)sum[v];
        }
}

static void winograd_begin(struct lca_device *d, const struct lca_call *c)
{
    struct winograd s = winograd_of(d, c->g, c->state, c->scratch);
    const uint32_t panel = d->k->panel;
    double G[6][5];
    float u[N][WIDE];
    matrix_g(s.k, G);
    for (uint32_t i = 0; i < s.in; i++)
        for (uint32_t o = 0; o < s.out; o += WIDE) {
            uint32_t n = s.out - o < WIDE ? s.out - o : WIDE;
            transform(&s, G, c->kernel, i, o, n, u);
            for (uint32_t q = 0; q < N; q++)
                for (uint32_t v = 0; v < n; v++) {
                    uint32_t out = o + v;
                    s.u[q * s.size_u + (out / panel * (size_t)s.in + i) * panel + out % panel] = u[q][v];
                    s.ut[q * s.size_ut + (i / panel * (size_t)s.out + out) * panel + i % panel] = u[q][v];
                }
        }
    memcpy(s.bias, c->bias, s.out * sizeof *s.bias);
}

static void winograd_forward(struct lca_device *d, const struct lca_call *c)
{
    struct winograd s = winograd_of(d, c->g, c->state, c->scratch);
    const struct lca_cpu_kernels *k = d->k;
    uint32_t all = c->n * s.tiles;
    for (uint32_t first = 0; first < all; first += s.block) {
        uint32_t n = all - first < s.block ? all - first : s.block;
        k->winograd_in(&s.x, c->x, first, n, s.local, s.V, s.ld_in, s.next_in);
        for (uint32_t q = 0; q < N; q++)
            k->multiply(s.V + q * s.next_in, s.ld_in, n, s.in, s.u + q * s.size_u, s.out, s.M + q * s.next_out,
                        s.ld_out, NULL, false);
        k->winograd_out(&s.y, s.M, s.ld_out, s.next_out, first, n, s.bias, c->y, c->relu);
    }
}

static void winograd_backward(struct lca_device *d, const struct lca_call *c)
{
    struct winograd s = winograd_of(d, c->g, c->state, c->scratch);
    const struct lca_cpu_kernels *k = d->k;
    struct lca_cpu_rows r = lca_cpu_rows(c->g->out, c->n);
    for (uint32_t i = 0; i < r.groups; i++)
        k->channel_gradient(c->dy + i * r.next, c->relu ? c->y + i * r.next : NULL, r.rows, s.out, s.dbias);
    if (c->dx && !c->dx_adds)
        memset(c->dx, 0, c->n * s.x.next * sizeof *c->dx);
    uint32_t all = c->n * s.tiles;
    for (uint32_t first = 0; first < all; first += s.block) {
        uint32_t n = all - first < s.block ? all - first : s.block;
        k->winograd_in(&s.x, c->x, first, n, s.local, s.V, s.ld_in, s.next_in);
        k->winograd_back(&s.y, c->dy, first, n, s.local, s.M, s.ld_out, s.next_out);
        for (uint32_t q = 0; q < N; q++) {
            float *V = s.V + q * s.next_in;
            const float *D = s.M + q * s.next_out;
            k->outer(V, s.ld_in, s.in, D, s.ld_out, s.out, n, s.du + q * s.in * s.ld_out, s.ld_out);
            if (c->dx)      /* V has served, and is the gradient's now */
                k->multiply(D, s.ld_out, n, s.out, s.ut + q * s.size_ut, s.in, V, s.ld_in, NULL, false);
        }
        if (c->dx)
            k->winograd_give(&s.x, s.V, s.ld_in, s.next_in, first, n, s.local, c->dx);
    }
}

static void winograd_end(struct lca_device *d, const struct lca_call *c)
{
    struct winograd s = winograd_of(d, c->g, c->state, c->scratch);
    double G[6][5];
    matrix_g(s.k, G);
    for (uint32_t i = 0; i < s.in; i++)
        for (uint32_t o = 0; o < s.out; o += WIDE)
            transform_back(&s, G, i, o, s.out - o < WIDE ? s.out - o : WIDE, c->dkernel);
    memcpy(c->dbias, s.dbias, s.out * sizeof(float));
    memset(s.du, 0, N * s.in * s.ld_out * sizeof(float));
    memset(s.dbias, 0, s.ld_out * sizeof(float));
}

const struct lca_layer_ops lca_cpu_conv_winograd = {
    .state = winograd_state, .scratch = winograd_scratch, .begin = winograd_begin, .forward = winograd_forward,
    .backward = winograd_backward, .end = winograd_end,
};
