/* kernels-matrix.h: matrix products of many short rows; part of kernels.h.
 *
 * A block is up to TALL rows by two vectors, or twelve by one: its sums stay in registers. Sums
 * run over the inner index in order, in one chain per element, so that results do not
 * depend on how rows are grouped. */

#define PANEL (2 * LANES)
enum { TALL1 = 12 };        /* rows of a block of one vector */
#define EACH_ROW(i, n) _Pragma("GCC unroll 16") for (int i = 0; i < (n); i++)

/* The first n lanes. Half a vector is common, and one store. */
INLINE void put_part(float *p, vec x, size_t n)
{
    float lane[LANES];
    put(lane, x);
    if (n == LANES / 2)
        memcpy(p, lane, LANES / 2 * sizeof *p);
    else
        memcpy(p, lane, n * sizeof *p);
}

INLINE void multiply_block(const int rows, const int cols, const float *a, size_t lda, uint32_t k, const float *b,
                           float *c, size_t ldc, size_t width, const float *start, size_t ld_start)
{
    vec sum[TALL1][2];
    EACH_ROW(i, rows)
        for (int v = 0; v < cols; v++)
            sum[i][v] = start ? get(start + (size_t)i * ld_start + v * LANES) : (vec){0};
    /* few registers address many rows */
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

/* case n: for blocks of n rows of two vectors, and TALL + n: of one */
#define SIX_ROWS(block) block(1) block(2) block(3) block(4) block(5) block(6)
#define TWELVE_ROWS(block) SIX_ROWS(block) block(7) block(8) block(9) block(10) block(11) block(12)
#if TALL == 12
#define ROW_CASES(two, one) TWELVE_ROWS(two) TWELVE_ROWS(one)
#else
#define ROW_CASES(two, one) SIX_ROWS(two) TWELVE_ROWS(one)
#endif

static void multiply(const float *a, size_t lda, uint32_t m, uint32_t k, const float *b, uint32_t out, float *c,
                     size_t ldc, const float *bias, bool add)
{
    for (uint32_t col = 0; col < out; col += PANEL, b += (size_t)k * PANEL) {
        size_t width = out - col < PANEL ? out - col : PANEL;
        bool two = width > LANES;
        for (uint32_t r = 0, rows; r < m; r += rows) {
            uint32_t most = two ? TALL : TALL1;
            rows = m - r < most ? m - r : most;
            float *to = c + r * ldc + col;
            const float *from = a + r * lda, *start = add ? to : bias ? bias + col : NULL;
            size_t ld_start = add ? ldc : 0;
#define TWO(n) case n: multiply_block(n, 2, from, lda, k, b, to, ldc, width, start, ld_start); break;
#define ONE(n) case TALL + n: multiply_block(n, 1, from, lda, k, b, to, ldc, width, start, ld_start); break;
            switch (two ? rows : TALL + rows) {
            ROW_CASES(TWO, ONE)
            }
#undef TWO
#undef ONE
        }
    }
}

INLINE void outer_block(const int rows, const int cols, const float *a, size_t lda, const float *b, size_t ldb,
                        uint32_t m, float *c, size_t ldc)
{
    vec sum[TALL1][2];
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
        bool two = out - col > LANES;
        for (uint32_t r = 0, rows; r < k; r += rows) {
            uint32_t most = two ? TALL : TALL1;
            rows = k - r < most ? k - r : most;
            float *to = c + r * ldc + col;
#define TWO(n) case n: outer_block(n, 2, a + r, lda, b + col, ldb, m, to, ldc); break;
#define ONE(n) case TALL + n: outer_block(n, 1, a + r, lda, b + col, ldb, m, to, ldc); break;
            switch (two ? rows : TALL + rows) {
            ROW_CASES(TWO, ONE)
            }
#undef TWO
#undef ONE
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

/* One line of a patch of which some is outside the image: n pixels from `from` on, after
 * `before` pixels that are 0. What has been written past its end is 0 again. */
INLINE void copy_border(float *to, const float *from, size_t before, size_t n, size_t kernel, size_t c)
{
    for (size_t i = 0; i < kernel * c; i++)
        to[i] = 0;
    if (n == 0)
        return;
    copy_past(to + before * c, from, n * c);
    for (size_t i = (before + n) * c; i < kernel * c; i++)
        to[i] = 0;
}

/* Lines of patches are written in order, each a little past its end: what comes next
 * overwrites that. */
static void gather(const struct lca_geometry *g, const float *x, uint32_t first, uint32_t n, float *patch)
{
    const uint32_t pixels = g->out.h * g->out.w;
    const size_t c = g->in.c, line = g->kernel * c, row = g->in.w * c;
    const float *image = x + first / pixels * lca_shape_size(g->in);
    uint32_t oy = first % pixels / g->out.w, ox = first % g->out.w;
    for (uint32_t r = 0; r < n; r++) {
        int64_t top = (int64_t)oy * g->stride - g->pad_top, left = (int64_t)ox * g->stride - g->pad_left;
        int64_t bottom = top + g->kernel, right = left + g->kernel;
        if (top >= 0 && left >= 0 && bottom <= g->in.h && right <= g->in.w) {
            const float *from = image + (size_t)top * row + (size_t)left * c;
            for (uint32_t k = 0; k < g->kernel; k++, patch += line, from += row)
                copy_past(patch, from, line);
        } else {
            int64_t from = left < 0 ? 0 : left, to = right > g->in.w ? g->in.w : right;
            for (int64_t y = top; y < bottom; y++, patch += line) {
                bool within = y >= 0 && y < g->in.h && to > from;
                copy_border(patch, within ? image + (size_t)y * row + (size_t)from * c : NULL,
                            within ? (size_t)(from - left) : 0, within ? (size_t)(to - from) : 0, g->kernel, c);
            }
        }
        if (++ox < g->out.w)
            continue;
        ox = 0;
        if (++oy < g->out.h)
            continue;
        oy = 0;
        image += lca_shape_size(g->in);
    }
}
