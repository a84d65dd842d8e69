/* kernels.h: the kernels of the CPU device, in GCC's vector extension. Included by
 * one file per instruction set, which defines
 *     LANES    floats in a vector
 *     COLUMNS  vectors in a register tile: 4 x COLUMNS sums stay in registers
 *     ISA      name; USABLE: expression that is true where it runs
 *     KERNELS  name of the table
 *
 * A tile is four rows (examples, or inputs) by COLUMNS vectors of outputs. Sums
 * run over the inner index in order, in one chain per element, so that results do
 * not depend on how examples are grouped. */
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

/* sum[i][v] += x[i] * row[v], the heart of all */
#define ACCUMULATE(sum, x, row, cols)                        \
    _Pragma("GCC unroll 8")                                  \
    for (int v_ = 0; v_ < (cols); v_++) {                    \
        vec b_ = get((row) + v_ * LANES);                    \
        _Pragma("GCC unroll 4")                              \
        for (int i_ = 0; i_ < 4; i_++)                       \
            (sum)[i_][v_] += (x)[i_] * b_;                   \
    }
#define EACH_SUM(cols, statement)                            \
    _Pragma("GCC unroll 4")                                  \
    for (int i = 0; i < 4; i++) {                            \
        _Pragma("GCC unroll 8")                              \
        for (int v = 0; v < (cols); v++)                     \
            statement;                                       \
    }
/* Calls tile with each number of columns that n vectors split into. */
#define TILES(ld, tile)                                                          \
    for (size_t col = 0; col < (ld);) {                                          \
        size_t left = ((ld) - col) / LANES;                                      \
        switch (left < COLUMNS ? left : COLUMNS) {                               \
        case 1: tile(1); break;                                                  \
        case 2: tile(2); break;                                                  \
        MORE_TILES(tile)                                                         \
        }                                                                        \
        col += (left < COLUMNS ? left : COLUMNS) * LANES;                        \
    }
#if COLUMNS == 7
#define MORE_TILES(tile) case 3: tile(3); break; case 4: tile(4); break; case 5: tile(5); break; \
        case 6: tile(6); break; case 7: tile(7); break;
#elif COLUMNS == 3
#define MORE_TILES(tile) case 3: tile(3); break;
#else
#define MORE_TILES(tile)
#endif

INLINE void finish(const int cols, vec sum[4][8], float *y, size_t ld, uint32_t rows, bool relu)
{
    if (relu)
        EACH_SUM(cols, sum[i][v] = relu_of(sum[i][v]))
    if (rows == 4) {
        EACH_SUM(cols, put(y + (size_t)i * ld + v * LANES, sum[i][v]))
    } else {
        for (uint32_t i = 0; i < rows; i++)
            for (int v = 0; v < cols; v++)
                put(y + i * ld + v * LANES, sum[i][v]);
    }
}

/* Four rows x[0..3] of k floats; rows beyond the last one repeat it. */
INLINE void forward_tile(const int cols, const float *const x[4], uint32_t k, const float *w, size_t ld,
                         const float *bias, float *y, uint32_t rows, bool relu)
{
    vec sum[4][8];
    EACH_SUM(cols, sum[i][v] = get(bias + v * LANES))
    const float *x0 = x[0], *x1 = x[1], *x2 = x[2], *x3 = x[3];
    for (uint32_t t = 0; t < k; t++, w += ld) {
        vec a[4] = {splat(x0[t]), splat(x1[t]), splat(x2[t]), splat(x3[t])};
        ACCUMULATE(sum, a, w, cols)
    }
    finish(cols, sum, y, ld, rows, relu);
}

static void forward(const float *x, size_t ldx, uint32_t n, uint32_t k, const float *w, size_t ld,
                    const float *bias, float *y, bool relu)
{
#define TILE(c) forward_tile(c, row, k, w + col, ld, bias + col, y + e * ld + col, left_rows, relu)
    for (uint32_t e = 0; e < n; e += 4) {
        uint32_t left_rows = n - e < 4 ? n - e : 4;
        const float *row[4];
        for (uint32_t i = 0; i < 4; i++)
            row[i] = x + (e + (i < left_rows ? i : left_rows - 1)) * ldx;
        TILES(ld, TILE)
    }
#undef TILE
}

/* Inputs k .. k+3 of all examples. x must be readable up to a multiple of 4. */
INLINE void gradient_tile(const int cols, const float *x, size_t ldx, uint32_t n, const float *dy,
                          size_t ld, float *dw)
{
    vec sum[4][8];
    EACH_SUM(cols, sum[i][v] = get(dw + (size_t)i * ld + v * LANES))
    for (uint32_t e = 0; e < n; e++, x += ldx, dy += ld) {
        vec a[4] = {splat(x[0]), splat(x[1]), splat(x[2]), splat(x[3])};
        ACCUMULATE(sum, a, dy, cols)
    }
    EACH_SUM(cols, put(dw + (size_t)i * ld + v * LANES, sum[i][v]))
}

static void gradient(const float *x, size_t ldx, uint32_t n, uint32_t k, const float *dy, size_t ld,
                     float *dw)
{
#define TILE(c) gradient_tile(c, x + t, ldx, n, dy + col, ld, dw + t * ld + col)
    for (uint32_t t = 0; t < k; t += 4)
        TILES(ld, TILE)
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

INLINE void forward_bytes_tile(const int cols, const uint8_t *const r[4], const uint32_t *at, uint32_t n_at,
                               const float *scale, const float *w, size_t ld, const float *bias,
                               float *y, uint32_t rows, bool relu)
{
    vec sum[4][8];
    EACH_SUM(cols, sum[i][v] = get(bias + v * LANES))
    const uint8_t *r0 = r[0], *r1 = r[1], *r2 = r[2], *r3 = r[3];
    for (uint32_t t = 0; t < n_at; t++) {
        size_t k = at[t];
        vec a[4] = {splat(scale[r0[k]]), splat(scale[r1[k]]), splat(scale[r2[k]]), splat(scale[r3[k]])};
        const float *row = w + k * ld;
        ACCUMULATE(sum, a, row, cols)
    }
    finish(cols, sum, y, ld, rows, relu);
}

static void forward_bytes(const struct lca_rows *rows, uint32_t n, struct lca_places *s, const float *w,
                          size_t ld, const float *bias, float *y, bool relu)
{
    const float *scale = lca_cpu_scale();
#define TILE(c) forward_bytes_tile(c, r, s->at, n_at, scale, w + col, ld, bias + col, \
                                   y + e * ld + col, left_rows, relu)
    for (uint32_t e = 0; e < n; e += 4) {
        uint32_t left_rows = n - e < 4 ? n - e : 4;
        const uint8_t *r[4];
        for (uint32_t i = 0; i < 4; i++)
            r[i] = rows->images + rows->index[e + (i < left_rows ? i : left_rows - 1)] * rows->pixels;
        uint32_t n_at = union_places(r, rows->pixels, s->at);
        TILES(ld, TILE)
    }
#undef TILE
}

INLINE void gradient_bytes_tile(const int cols, const struct lca_places *s, uint32_t n_at,
                                const float *scale, const float *dy, size_t ld, float *dw)
{
    vec sum[4][8];
    EACH_SUM(cols, sum[i][v] = get(dw + (size_t)i * ld + v * LANES))
    for (uint32_t t = 0; t < n_at; t++) {
        uint32_t q = s->four[t];
        vec a[4] = {splat(scale[q & 255]), splat(scale[q >> 8 & 255]), splat(scale[q >> 16 & 255]),
                    splat(scale[q >> 24])};
        const float *row = dy + s->at[t] * ld;
        ACCUMULATE(sum, a, row, cols)
    }
    EACH_SUM(cols, put(dw + (size_t)i * ld + v * LANES, sum[i][v]))
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
                           const float *dy, size_t ld, float *dw)
{
    const float *scale = lca_cpu_scale();
#define TILE(c) gradient_bytes_tile(c, s, n_at, scale, dy + col, ld, dw + k * ld + col)
    for (size_t k = 0; k < rows->pixels; k += 4) {
        uint32_t n_at = 0;
        for (uint32_t e = 0; e < n; e++) {
            uint32_t q = four_bytes(rows->images + rows->index[e] * rows->pixels + k, rows->pixels - k);
            s->at[n_at] = e;      /* kept if q is not 0, without a branch */
            s->four[n_at] = q;
            n_at += q != 0;
        }
        TILES(ld, TILE)
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
    for (int half = LANES / 2; half; half /= 2)
        for (int k = 0; k < half; k++)
            s[k] += s[k + half];
    return s[0];
}

INLINE float max_of(vec x)
{
    float s[LANES];
    put(s, x);
    for (int half = LANES / 2; half; half /= 2)
        for (int k = 0; k < half; k++)
            s[k] = s[k] > s[k + half] ? s[k] : s[k + half];
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

static void loss(const uint8_t *label, uint32_t n, uint32_t classes, float *z, bool gradient_wanted,
                 struct lca_loss *sum)
{
    const size_t ld = lca_ld(classes);
    vec lane;
    for (int k = 0; k < LANES; k++)
        lane[k] = (float)k;
    for (uint32_t e = 0; e < n; e++, z += ld) {
        unsigned c = label[e];
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

static bool usable(void)
{
    return USABLE;
}

const struct lca_cpu_kernels KERNELS = {
    .isa = ISA, .usable = usable, .forward = forward, .gradient = gradient,
    .forward_bytes = forward_bytes, .gradient_bytes = gradient_bytes,
    .bias_gradient = bias_gradient, .loss = loss,
};
