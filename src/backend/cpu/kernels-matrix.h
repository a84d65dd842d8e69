/* kernels-matrix.h: matrix products of many short rows; part of kernels.h.
 *
 * A block is up to TALL rows by two vectors (or one): its sums stay in registers. Sums
 * run over the inner index in order, in one chain per element, so that results do not
 * depend on how rows are grouped. */

#define PANEL (2 * LANES)
#define EACH_ROW(i, n) _Pragma("GCC unroll 16") for (int i = 0; i < (n); i++)

/* The first n lanes. */
INLINE void put_part(float *p, vec x, size_t n)
{
    float lane[LANES];
    put(lane, x);
    memcpy(p, lane, n * sizeof *p);
}

/* Row i of a block, from three base pointers: few registers address many rows. */
INLINE const float *row_at(const float *a, size_t lda, int i)
{
    return a + (size_t)(i / 3) * 3 * lda + (size_t)(i % 3) * lda;
}

INLINE void multiply_block(const int rows, const int cols, const float *a, size_t lda, uint32_t k, const float *b,
                           float *c, size_t ldc, size_t width, const float *start, size_t ld_start)
{
    vec sum[TALL][2];
    EACH_ROW(i, rows)
        for (int v = 0; v < cols; v++)
            sum[i][v] = start ? get(start + (size_t)i * ld_start + v * LANES) : (vec){0};
    const float *a0 = a, *a3 = a + 3 * lda, *a6 = a3 + 3 * lda, *a9 = a6 + 3 * lda;
    for (uint32_t t = 0; t < k; t++, b += PANEL, a0++, a3++, a6++, a9++) {
        vec w[2];
        for (int v = 0; v < cols; v++)
            w[v] = get(b + v * LANES);
        EACH_ROW(i, rows) {
            const float *row = (i < 3 ? a0 : i < 6 ? a3 : i < 9 ? a6 : a9) + (size_t)(i % 3) * lda;
            vec x = splat(*row);
            for (int v = 0; v < cols; v++)
                sum[i][v] += x * w[v];
        }
    }
    EACH_ROW(i, rows) {
        float *p = c + (size_t)i * ldc;
        for (int v = 0; v < cols; v++) {
            size_t left = width - (size_t)v * LANES;
            if (left >= LANES)
                put(p + v * LANES, sum[i][v]);
            else
                put_part(p + v * LANES, sum[i][v], left);
        }
    }
}

/* case n: for blocks of n rows, n up to TALL */
#if TALL == 12
#define ROW_CASES(block) block(1) block(2) block(3) block(4) block(5) block(6) block(7) block(8) block(9) \
    block(10) block(11) block(12)
#else
#define ROW_CASES(block) block(1) block(2) block(3) block(4) block(5) block(6)
#endif

static void multiply(const float *a, size_t lda, uint32_t m, uint32_t k, const float *b, uint32_t out, float *c,
                     size_t ldc, const float *bias, bool add)
{
    for (uint32_t col = 0; col < out; col += PANEL, b += (size_t)k * PANEL) {
        size_t width = out - col < PANEL ? out - col : PANEL;
        for (uint32_t r = 0; r < m; r += TALL) {
            uint32_t rows = m - r < TALL ? m - r : TALL;
            float *to = c + r * ldc + col;
            const float *from = a + r * lda, *start = add ? to : bias ? bias + col : NULL;
            size_t ld_start = add ? ldc : 0;
#define BLOCK(n)                                                                                      \
    case n: multiply_block(n, 2, from, lda, k, b, to, ldc, width, start, ld_start); break;            \
    case n + TALL: multiply_block(n, 1, from, lda, k, b, to, ldc, width, start, ld_start); break;
            switch (width > LANES ? rows : rows + TALL) {
            ROW_CASES(BLOCK)
            }
#undef BLOCK
        }
    }
}

INLINE void outer_block(const int rows, const int cols, const float *a, size_t lda, const float *b, size_t ldb,
                        uint32_t m, float *c, size_t ldc)
{
    vec sum[TALL][2];
    EACH_ROW(i, rows)
        for (int v = 0; v < cols; v++)
            sum[i][v] = (vec){0};
    for (uint32_t t = 0; t < m; t++, a += lda, b += ldb) {
        vec w[2];
        for (int v = 0; v < cols; v++)
            w[v] = get(b + v * LANES);
        EACH_ROW(i, rows) {
            vec x = splat(a[i]);
            for (int v = 0; v < cols; v++)
                sum[i][v] += x * w[v];
        }
    }
    EACH_ROW(i, rows)
        for (int v = 0; v < cols; v++) {
            float *p = c + (size_t)i * ldc + v * LANES;
            put(p, get(p) + sum[i][v]);
        }
}

/* Each call's sums begin at 0 and are added at its end: rounding errors of millions of
 * rows would grow in a single chain. */
static void outer(const float *a, size_t lda, uint32_t k, const float *b, size_t ldb, uint32_t out, uint32_t m,
                  float *c, size_t ldc)
{
    for (uint32_t col = 0; col < out; col += PANEL) {
        for (uint32_t r = 0; r < k; r += TALL) {
            uint32_t rows = k - r < TALL ? k - r : TALL;
            float *to = c + r * ldc + col;
#define BLOCK(n)                                                                                      \
    case n: outer_block(n, 2, a + r, lda, b + col, ldb, m, to, ldc); break;                           \
    case n + TALL: outer_block(n, 1, a + r, lda, b + col, ldb, m, to, ldc); break;
            switch (out - col > LANES ? rows : rows + TALL) {
            ROW_CASES(BLOCK)
            }
#undef BLOCK
        }
    }
}

/* Sums of the columns of dy [n][c], 64 rows at a time; before that dy = 0 where y <= 0. */
static void channel_gradient(float *dy, const float *y, size_t n, uint32_t c, float *sum)
{
    for (uint32_t col = 0; col < c; col += LANES) {
        size_t width = c - col < LANES ? c - col : LANES;
        vec all = {0};
        for (size_t first = 0; first < n; first += 64) {
            size_t last = n - first < 64 ? n : first + 64;
            vec some = {0};
            for (size_t e = first; e < last; e++) {
                float *p = dy + e * c + col;
                vec d = get(p);
                if (y) {
                    d = (vec)((ivec)d & (get(y + e * c + col) > 0));
                    if (width == LANES)
                        put(p, d);
                    else
                        put_part(p, d, width);
                }
                some += d;
            }
            all += some;
        }
        float lane[LANES];
        put(lane, all);
        for (size_t k = 0; k < width; k++)
            sum[col + k] += lane[k];
    }
}

/* n floats, and up to LANES - 1 more. */
INLINE void copy_past(float *to, const float *from, size_t n)
{
    for (size_t i = 0; i < n; i += LANES)
        put(to + i, get(from + i));
}

/* Rows of patches are written in order, each a little past its end: what comes next
 * overwrites that. */
static void gather(const struct lca_geometry *g, const float *x, uint32_t first, uint32_t n, float *patch)
{
    const uint32_t pixels = g->out.h * g->out.w;
    const size_t c = g->in.c, line = g->kernel * c;
    for (uint32_t r = first; r < first + n; r++) {
        const float *image = x + r / pixels * lca_shape_size(g->in);
        int64_t top = (int64_t)(r % pixels / g->out.w) * g->stride - g->pad_top;
        int64_t left = (int64_t)(r % g->out.w) * g->stride - g->pad_left, right = left + g->kernel;
        int64_t from = left < 0 ? 0 : left, to = right > g->in.w ? g->in.w : right;
        for (int64_t y = top; y < top + g->kernel; y++, patch += line) {
            bool within = y >= 0 && y < g->in.h && to > from;
            if (!within || to - from < g->kernel)
                for (size_t i = 0; i < line; i += LANES)
                    put(patch + i, (vec){0});
            if (within)
                copy_past(patch + (size_t)(from - left) * c, image + ((size_t)y * g->in.w + (size_t)from) * c,
                          (size_t)(to - from) * c);
            /* a line that ends at the border has been written past */
            if (within && right > to)
                for (size_t i = (size_t)(to - left) * c; i < line; i++)
                    patch[i] = 0;
        }
    }
}
