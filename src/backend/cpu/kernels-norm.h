/* kernels-norm.h: batch norm over [n][c], row by row of c channels; part of kernels.h.
 *
 * Sums run 64 rows at a time in float, and over those in double: a chunk has millions of
 * rows. */

INLINE vec get_part(const float *p, size_t n)
{
    if (n == LANES)
        return get(p);
    float lane[LANES] = {0};
    memcpy(lane, p, n * sizeof *p);
    return get(lane);
}

INLINE void put_width(float *p, vec x, size_t n)
{
    if (n == LANES)
        put(p, x);
    else
        put_part(p, x, n);
}

INLINE void add_to(double *sum, vec x, size_t n)
{
    float lane[LANES];
    put(lane, x);
    for (size_t k = 0; k < n; k++)
        sum[k] += (double)lane[k];
}

#define EACH_CHANNEL(col, width, c)                                                       \
    for (size_t col = 0, width; col < (c) && (width = (c) - col < LANES ? (c) - col : LANES, true); col += LANES)

static void norm_observe(const float *x, size_t n, size_t c, const float *about, double *sum, double *square)
{
    EACH_CHANNEL(col, width, c) {
        vec zero = get_part(about + col, width);
        for (size_t first = 0; first < n; first += 64) {
            size_t last = n - first < 64 ? n : first + 64;
            vec s = {0}, q = {0};
            for (size_t e = first; e < last; e++) {
                vec d = get(x + e * c + col) - zero;
                s += d;
                q += d * d;
            }
            add_to(sum + col, s, width);
            add_to(square + col, q, width);
        }
    }
}

static void norm_forward(const float *x, size_t n, size_t c, const float *scale, const float *shift, float *y,
                         bool relu)
{
    EACH_CHANNEL(col, width, c) {
        vec a = get_part(scale + col, width), b = get_part(shift + col, width);
        for (size_t e = 0; e < n; e++) {
            vec v = get(x + e * c + col) * a + b;
            put_width(y + e * c + col, relu ? relu_of(v) : v, width);
        }
    }
}

static void norm_backward(const float *x, const float *y, float *dy, size_t n, size_t c, const float *mean, double *sum,
                          double *product)
{
    EACH_CHANNEL(col, width, c) {
        vec m = get_part(mean + col, width);
        for (size_t first = 0; first < n; first += 64) {
            size_t last = n - first < 64 ? n : first + 64;
            vec s = {0}, q = {0};
            for (size_t e = first; e < last; e++) {
                vec d = get(dy + e * c + col);
                if (y) {
                    d = (vec)((ivec)d & (get(y + e * c + col) > 0));
                    put_width(dy + e * c + col, d, width);
                }
                s += d;
                q += d * (get(x + e * c + col) - m);
            }
            add_to(sum + col, s, width);
            add_to(product + col, q, width);
        }
    }
}

static void norm_spread(const float *x, const float *dy, size_t n, size_t c, const float *mean, const float *scale,
                        const float *even, const float *slope, float *dx, bool adds)
{
    EACH_CHANNEL(col, width, c) {
        vec m = get_part(mean + col, width), a = get_part(scale + col, width);
        vec e0 = get_part(even + col, width), e1 = get_part(slope + col, width);
        for (size_t e = 0; e < n; e++) {
            float *p = dx + e * c + col;
            vec d = a * (get(dy + e * c + col) - e0 - (get(x + e * c + col) - m) * e1);
            if (adds)
                d += get(p);
            put_width(p, d, width);
        }
    }
}
