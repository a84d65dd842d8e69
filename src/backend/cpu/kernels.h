/* kernels.h: the kernels of the CPU device, in GCC's vector extension. Included by
 * one file per instruction set, which defines
 *     LANES    floats in a vector: 16, 8 or 4
 *     COLUMNS  vectors in a register tile: 4 x COLUMNS sums stay in registers
 *     TALL     rows of a block of two vectors: 2 x TALL sums stay in registers; 6 or 12
 *     ISA      name; USABLE: expression that is true where it runs
 *     KERNELS  name of the table
 *
 * A tile is four rows (examples, or inputs) by up to COLUMNS vectors of outputs,
 * the last of 16 lanes perhaps half a one (100 outputs are 6.5 vectors, not 7).
 * Sums run over the inner index in order, in one chain per element, so that
 * results do not depend on how examples are grouped. */
#include <math.h>
#include <string.h>

#include "backend/cpu/cpu.h"

typedef float vec __attribute__((vector_size(4 * LANES), aligned(4), may_alias));
typedef int32_t ivec __attribute__((vector_size(4 * LANES), aligned(4), may_alias));
typedef uint32_t uvec __attribute__((vector_size(4 * LANES), aligned(4), may_alias));
#define INLINE static inline __attribute__((always_inline))

INLINE vec splat(float x)
{
    return x - (vec){0};    /* x + 0 would turn -0 into 0 */
}

INLINE vec get(const float *p)
{
    return *(const vec *)p;
}

INLINE void put(float *p, vec x)
{
    *(vec *)p = x;
}

INLINE vec relu_of(vec x)
{
    return (vec)((ivec)x & (x > 0));
}

#if LANES == 16
typedef float half __attribute__((vector_size(32), aligned(4), may_alias));
typedef int32_t ihalf __attribute__((vector_size(32), aligned(4), may_alias));
INLINE half low_of(vec x)
{
    return __builtin_shufflevector(x, x, 0, 1, 2, 3, 4, 5, 6, 7);
}
#else
typedef vec half;       /* there, but never used */
typedef ivec ihalf;
INLINE half low_of(vec x)
{
    return x;
}
#endif

/* The sums of a tile: cols whole vectors and, if tail, a half one. All indices are
 * constants once inlined and unrolled, so that it lives in registers. */
struct tile {
    vec sum[4][COLUMNS];
    half tail[4];
};

#define EACH(i, n) _Pragma("GCC unroll 8") for (int i = 0; i < (n); i++)

INLINE void load_tile(const int cols, const bool tail, struct tile *t, const float *p, size_t ld)
{
    EACH(i, 4) {
        EACH(v, cols)
            t->sum[i][v] = get(p + (size_t)i * ld + v * LANES);
        if (tail)
            t->tail[i] = *(const half *)(p + (size_t)i * ld + cols * LANES);
    }
}

INLINE void store_row(const int cols, const bool tail, const struct tile *t, int i, float *p)
{
    EACH(v, cols)
        put(p + v * LANES, t->sum[i][v]);
    if (tail)
        *(half *)(p + cols * LANES) = t->tail[i];
}

/* sum[i][v] += *x[i] * row[v], the heart of all. With 16 registers the row stays in them
 * and the x come one by one; a wide tile has its x in registers, and the row comes by. */
INLINE void accumulate(const int cols, const bool tail, struct tile *t, const float *const x[4],
                       const float *row)
{
    vec a[4], b[COLUMNS];
    half last = tail ? *(const half *)(row + cols * LANES) : (half){0};
    if (COLUMNS > 3) {
        EACH(i, 4)
            a[i] = splat(*x[i]);
        EACH(v, cols) {
            b[v] = get(row + v * LANES);
            EACH(i, 4)
                t->sum[i][v] += a[i] * b[v];
        }
        EACH(i, 4)
            if (tail)
                t->tail[i] += low_of(a[i]) * last;
        return;
    }
    EACH(v, cols)
        b[v] = get(row + v * LANES);
    EACH(i, 4) {
        a[i] = splat(*x[i]);
        EACH(v, cols)
            t->sum[i][v] += a[i] * b[v];
        if (tail)
            t->tail[i] += low_of(a[i]) * last;
    }
}

INLINE void finish(const int cols, const bool tail, struct tile *t, float *y, size_t ld,
                   uint32_t rows,
                   bool relu)
{
    if (relu) {
        EACH(i, 4) {
            EACH(v, cols)
                t->sum[i][v] = relu_of(t->sum[i][v]);
            if (tail)
                t->tail[i] = (half)((ihalf)t->tail[i] & (t->tail[i] > 0));
        }
    }
    EACH(i, 4)
        if ((uint32_t)i < rows)
            store_row(cols, tail, t, i, y + (size_t)i * ld);
}

/* Calls tile(cols, tail) for the tiles that out columns split into, from column
 * `col` each. Lanes beyond out fall on padding. */
#define CASE(tile, cols, tail) case 2 * (cols) + (tail): tile(cols, tail); break;
#if LANES == 16
#define HALF_CASES(tile)                                                               \
    CASE(tile, 0, 1) CASE(tile, 1, 1) CASE(tile, 2, 1) CASE(tile, 3, 1)                \
    CASE(tile, 4, 1) CASE(tile, 5, 1) CASE(tile, 6, 1)
#else
#define HALF_CASES(tile)
#endif
#if COLUMNS == 7
#define MORE_CASES(tile)                                                               \
    CASE(tile, 3, 0) CASE(tile, 4, 0) CASE(tile, 5, 0) CASE(tile, 6, 0) CASE(tile, 7, 0)
#elif COLUMNS == 3
#define MORE_CASES(tile) CASE(tile, 3, 0)
#else
#define MORE_CASES(tile)
#endif
#define TILES(out, tile)                                                               \
    for (size_t col = 0, halves; col < (out); col += halves * LANES / 2) {             \
        halves = tile_halves((out) - col);                                             \
        switch (halves) {                                                              \
        CASE(tile, 1, 0)                                                               \
        CASE(tile, 2, 0)                                                               \
        HALF_CASES(tile)                                                               \
        MORE_CASES(tile)                                                               \
        }                                                                              \
    }

/* Width of the next tile in half vectors, of `left` columns. */
INLINE size_t tile_halves(size_t left)
{
    size_t halves = LANES == 16 ? (left + 7) / 8 : (left + LANES - 1) / LANES * 2;
    return halves < 2 * COLUMNS ? halves : 2 * COLUMNS;
}

/* Four rows x[0..3] of k floats; rows beyond the last one repeat it. */
INLINE void forward_tile(const int cols, const bool tail, const float *const x[4], uint32_t k,
                         const float *w, size_t ld,
                         const float *bias, float *y, uint32_t rows, bool relu)
{
    struct tile sum;
    load_tile(cols, tail, &sum, bias, 0);
    const float *x0 = x[0], *x1 = x[1], *x2 = x[2], *x3 = x[3];
    for (uint32_t t = 0; t < k; t++, w += ld) {
        const float *const a[4] = {x0 + t, x1 + t, x2 + t, x3 + t};
        accumulate(cols, tail, &sum, a, w);
    }
    finish(cols, tail, &sum, y, ld, rows, relu);
}

static void forward(const float *x, size_t ldx, uint32_t n, uint32_t k, const float *w, size_t ld,
                    uint32_t out, const float *bias, float *y, bool relu)
{
#define TILE(c, tail) forward_tile(c, tail, row, k, w + col, ld, bias + col, y + e * ld + col, \
                                   left_rows, relu)
    for (uint32_t e = 0; e < n; e += 4) {
        uint32_t left_rows = n - e < 4 ? n - e : 4;
        const float *row[4];
        for (uint32_t i = 0; i < 4; i++)
            row[i] = x + (e + (i < left_rows ? i : left_rows - 1)) * ldx;
        TILES(out, TILE)
    }
#undef TILE
}

/* Inputs k .. k+3 of all examples. x must be readable up to a multiple of 4. */
INLINE void gradient_tile(const int cols, const bool tail, const float *x, size_t ldx, uint32_t n,
                          const float *dy,
                          size_t ld, float *dw)
{
    struct tile sum;
    load_tile(cols, tail, &sum, dw, ld);
    for (uint32_t e = 0; e < n; e++, x += ldx, dy += ld) {
        const float *const a[4] = {x, x + 1, x + 2, x + 3};
        accumulate(cols, tail, &sum, a, dy);
    }
    finish(cols, tail, &sum, dw, ld, 4, false);
}

static void gradient(const float *x, size_t ldx, uint32_t n, uint32_t k, const float *dy, size_t ld,
                     uint32_t out, float *dw)
{
#define TILE(c, tail) gradient_tile(c, tail, x + t, ldx, n, dy + col, ld, dw + t * ld + col)
    for (uint32_t t = 0; t < k; t += 4)
        TILES(out, TILE)
#undef TILE
}

/* Places where any of four rows of bytes is not zero, in order. */
static uint32_t union_places(const uint8_t *const r[4], size_t pixels, uint32_t *at)
{
    uint32_t n = 0;
    size_t o = 0;
    for (; o + 8 <= pixels; o += 8) {
        uint64_t word = 0, x;
        for (int i = 0; i < 4; i++) {
            memcpy(&x, r[i] + o, 8);
            word |= x;
        }
        /* the top bit of each byte that is not zero */
        const uint64_t low = UINT64_C(0x7f7f7f7f7f7f7f7f);
        word = ((((word & low) + low) | word) & ~low);
        for (; word; word &= word - 1)
            at[n++] = (o + (size_t)(__builtin_ctzll(word) >> 3));
    }
    for (; o < pixels; o++)
        if (r[0][o] | r[1][o] | r[2][o] | r[3][o])
            at[n++] = o;
    return n;
}

INLINE void forward_bytes_tile(const int cols, const bool tail, const uint8_t *const r[4],
                               const uint32_t *at, uint32_t n_at,
                               const float *scale, const float *w, size_t ld, const float *bias,
                               float *y, uint32_t rows, bool relu)
{
    struct tile sum;
    load_tile(cols, tail, &sum, bias, 0);
    const uint8_t *r0 = r[0], *r1 = r[1], *r2 = r[2], *r3 = r[3];
    for (uint32_t t = 0; t < n_at; t++) {
        size_t k = at[t];
        const float *const a[4] = {scale + r0[k], scale + r1[k], scale + r2[k], scale + r3[k]};
        const float *row = w + k * ld;
        accumulate(cols, tail, &sum, a, row);
    }
    finish(cols, tail, &sum, y, ld, rows, relu);
}

static void forward_bytes(const struct lca_rows *rows, uint32_t n, struct lca_places *s,
                          const float *w,
                          size_t ld, uint32_t out, const float *bias, float *y, bool relu)
{
    const float *scale = lca_cpu_scale();
#define TILE(c, tail) forward_bytes_tile(c, tail, r, s->at, n_at, scale, w + col, ld, bias + col, \
                                   y + e * ld + col, left_rows, relu)
    for (uint32_t e = 0; e < n; e += 4) {
        uint32_t left_rows = n - e < 4 ? n - e : 4;
        const uint8_t *r[4];
        for (uint32_t i = 0; i < 4; i++)
            r[i] = rows->images + rows->index[e + (i < left_rows ? i
                                                   : left_rows - 1)] * rows->pixels;
        uint32_t n_at = union_places(r, rows->pixels, s->at);
        TILES(out, TILE)
    }
#undef TILE
}

INLINE void gradient_bytes_tile(const int cols, const bool tail, const struct lca_places *s,
                                uint32_t n_at,
                                const float *scale, const float *dy, size_t ld, float *dw)
{
    struct tile sum;
    load_tile(cols, tail, &sum, dw, ld);
    for (uint32_t t = 0; t < n_at; t++) {
        uint32_t q = s->four[t];
        const float *const a[4] = {scale + (q & 255), scale + (q >> 8 & 255), scale + (q >> 16 & 255),
                                   scale + (q >> 24)};
        const float *row = dy + s->at[t] * ld;
        accumulate(cols, tail, &sum, a, row);
    }
    finish(cols, tail, &sum, dw, ld, 4, false);
}

/* Four bytes, the first in the lowest 8 bits; bytes beyond the row are 0. */
INLINE uint32_t four_bytes(const uint8_t *p, size_t left)
{
    uint32_t q = 0;
    if (left >= 4) {
        memcpy(&q, p, 4);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
        q = __builtin_bswap32(q);
#endif
        return q;
    }
    for (size_t i = 0; i < left; i++)
        q |= (uint32_t)p[i] << 8 * i;
    return q;
}

static void gradient_bytes(const struct lca_rows *rows, uint32_t n, struct lca_places *s,
                           const float *dy, size_t ld, uint32_t out, float *dw)
{
    const float *scale = lca_cpu_scale();
#define TILE(c, tail) gradient_bytes_tile(c, tail, s, n_at, scale, dy + col, ld, dw + k * ld + col)
    for (size_t k = 0; k < rows->pixels; k += 4) {
        uint32_t n_at = 0;
        for (uint32_t e = 0; e < n; e++) {
            uint32_t q = four_bytes(rows->images + rows->index[e] * rows->pixels + k,
                                    rows->pixels - k);
            s->at[n_at] = e;      /* kept if q is not 0, without a branch */
            s->four[n_at] = q;
            n_at += q != 0;
        }
        TILES(out, TILE)
    }
#undef TILE
}

static void bias_gradient(float *dy, const float *y, uint32_t n, size_t ld, float *sum)
{
    for (size_t col = 0; col < ld; col += LANES) {
        vec s = get(sum + col);
        for (uint32_t e = 0; e < n; e++) {
            float *p = dy + e * ld + col;
            vec d = get(p);
            if (y) {
                d = (vec)((ivec)d & (get(y + e * ld + col) > 0));
                put(p, d);
            }
            s += d;
        }
        put(sum + col, s);
    }
}

/* e^x for x <= 0: 2^i e^r with |r| <= ln 2 / 2, e^r by its Taylor polynomial of
 * degree 7 (error 1e-8 relative); results below 2^-126 are 0. */
INLINE vec exp_of(vec x)
{
    const float magic = 0x1.8p23f;      /* adding it rounds to a whole number */
    ivec small = x < -87.0f;
    vec t = x * 1.44269504f + magic;
    uvec i = (uvec)t;
    t -= magic;
    vec r = x - t * 0.693359375f;
    r -= t * -2.12194440e-4f;
    vec p = splat(1.0f / 5040);
    p = p * r + 1.0f / 720;
    p = p * r + 1.0f / 120;
    p = p * r + 1.0f / 24;
    p = p * r + 1.0f / 6;
    p = p * r + 0.5f;
    p = p * r + 1.0f;
    p = p * r + 1.0f;
    uvec power = (i << 23) + 0x3f800000;    /* the low bits of magic's sum are the number */
    return (vec)((ivec)(p * (vec)power) & ~small);
}

INLINE float sum_of(vec x)
{
    float s[LANES];
    put(s, x);
    for (int step = LANES / 2; step; step /= 2)
        for (int k = 0; k < step; k++)
            s[k] += s[k + step];
    return s[0];
}

INLINE float max_of(vec x)
{
    float s[LANES];
    put(s, x);
    for (int step = LANES / 2; step; step /= 2)
        for (int k = 0; k < step; k++)
            s[k] = s[k] > s[k + step] ? s[k] : s[k + step];
    return s[0];
}

/* log x for x >= 1, in double: 2 atanh((m-1)/(m+1)) + e ln 2. Our own, so that the
 * bits do not depend on the C library. */
INLINE double log_of(double x)
{
    uint64_t bits;
    memcpy(&bits, &x, 8);
    bits += UINT64_C(0x3ff0000000000000) - UINT64_C(0x3fe6a09e667f3bcd);
    double e = (double)((int64_t)(bits >> 52) - 1023);
    bits = (bits & UINT64_C(0xfffffffffffff)) + UINT64_C(0x3fe6a09e667f3bcd);
    double m;                           /* in [sqrt 1/2, sqrt 2) */
    memcpy(&m, &bits, 8);
    double s = (m - 1) / (m + 1), q = s * s;
    double p = 1.0 / 21;
    for (int k = 19; k >= 1; k -= 2)
        p = p * q + 1.0 / k;
    return 2 * s * p + e * 0x1.62e42fefa39efp-1;
}

static void loss(const uint8_t *label, uint32_t n, uint32_t classes, int only, float *z, bool gradient_wanted,
                 struct lca_loss *sum)
{
    const size_t ld = lca_ld(classes);
    vec lane;
    for (int k = 0; k < LANES; k++)
        lane[k] = (float)k;
    for (uint32_t e = 0; e < n; e++, z += ld) {
        unsigned c = label[e];
        if (only >= 0 && c != (unsigned)only) {
            memset(z, 0, ld * sizeof *z);
            continue;
        }
        float zc = z[c];
        vec top = splat(-INFINITY);
        for (size_t k = 0; k < ld; k += LANES) {
            ivec in = lane + (float)k < (float)classes;
            vec x = get(z + k);
            x = (vec)(((ivec)x & in) | ((ivec)splat(-INFINITY) & ~in));
            ivec more = x > top;
            top = (vec)(((ivec)x & more) | ((ivec)top & ~more));
        }
        float most = max_of(top);
        vec total = {0};
        float probability[256];
        for (size_t k = 0; k < ld; k += LANES) {
            ivec in = lane + (float)k < (float)classes;
            vec x = (vec)((ivec)exp_of(get(z + k) - most) & in);
            put(probability + k, x);
            total += x;
        }
        float s = sum_of(total);
        struct lca_loss *to = &sum[c];
        to->loss += log_of((double)s) + ((double)most - (double)zc);
        to->n++;
        if (zc == most) {
            unsigned first = 0;
            while (z[first] != most)
                first++;
            to->hits += first == c;
        }
        if (!gradient_wanted)
            continue;
        vec scale = splat(1.0f / s);
        for (size_t k = 0; k < ld; k += LANES)
            put(z + k, get(probability + k) * scale);
        z[c] -= 1.0f;
    }
}

#include "backend/cpu/kernels-matrix.h"
#include "backend/cpu/kernels-norm.h"
#include "backend/cpu/kernels-pool.h"
#include "backend/cpu/kernels-winograd.h"

static bool usable(void)
{
    return USABLE;
}

const struct lca_cpu_kernels KERNELS = {
    .isa = ISA, .usable = usable, .forward = forward, .gradient = gradient,
    .forward_bytes = forward_bytes, .gradient_bytes = gradient_bytes,
    .bias_gradient = bias_gradient, .loss = loss,
    .panel = PANEL, .multiply = multiply, .outer = outer, .channel_gradient = channel_gradient,
    .norm_observe = norm_observe, .norm_forward = norm_forward, .norm_backward = norm_backward,
    .norm_spread = norm_spread,
    .gather = gather, .maxpool = maxpool, .maxpool_gradient = maxpool_gradient,
    .winograd_in = winograd_in, .winograd_out = winograd_out,
    .winograd_back = winograd_back, .winograd_give = winograd_give,
};
