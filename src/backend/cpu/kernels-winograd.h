/* kernels-winograd.h: tiles of images to and from the domain in which a convolution is a
 * product number by number; part of kernels.h. See winograd.c for the matrices.
 *
 * Along one axis, with a = 3/4 and b = 3/2 (all constants are exact):
 *   in     B^T: 6 pixels -> 6     out    A^T: 6 -> m pixels, m = 4 or 2
 *   back   A:   m pixels -> 6     give   B:   6 -> 6 pixels
 * Both axes in turn make 36 numbers of each channel. */

#define A1 0.75f
#define A2 0.5625f
#define A3 0.421875f
#define B1 1.5f
#define B2 2.25f
#define B3 3.375f
#define AB 1.265625f    /* a^2 b^2 */
#define AA 2.8125f      /* a^2 + b^2 */

INLINE void tile_in(const vec d[6], vec t[6])
{
    vec e = d[4] - d[2] * B2, o = d[3] - d[1] * B2;
    vec f = d[4] - d[2] * A2, q = d[3] - d[1] * A2;
    t[0] = d[0] * AB + (d[4] - d[2] * AA);
    t[1] = e + o * A1;
    t[2] = e - o * A1;
    t[3] = f + q * B1;
    t[4] = f - q * B1;
    t[5] = d[1] * AB + (d[5] - d[3] * AA);
}

INLINE void tile_out(const int m, const vec t[6], vec y[4])
{
    vec s = t[1] + t[2], d = t[1] - t[2], u = t[3] + t[4], v = t[3] - t[4];
    y[0] = t[0] + s + u;
    if (m == 2) {
        y[1] = d * A1 + (v * B1 + t[5]);
        return;
    }
    y[1] = d * A1 + v * B1;
    y[2] = s * A2 + u * B2;
    y[3] = d * A3 + (v * B3 + t[5]);
}

INLINE void tile_back(const int m, const vec y[4], vec t[6])
{
    vec e = y[0], f = y[0], o = y[1] * A1, q = y[1] * B1;
    if (m == 4) {
        e += y[2] * A2;
        f += y[2] * B2;
        o += y[3] * A3;
        q += y[3] * B3;
    }
    t[0] = y[0];
    t[1] = e + o;
    t[2] = e - o;
    t[3] = f + q;
    t[4] = f - q;
    t[5] = y[m - 1];
}

INLINE void tile_give(const vec t[6], vec d[6])
{
    vec s = t[1] + t[2], o = t[1] - t[2], u = t[3] + t[4], q = t[3] - t[4];
    d[0] = t[0] * AB;
    d[1] = t[5] * AB - o * (A1 * B2) - q * (B1 * A2);
    d[2] = s * -B2 - (t[0] * AA + u * A2);
    d[3] = o * A1 + (q * B1 - t[5] * AA);
    d[4] = t[0] + s + u;
    d[5] = t[5];
}

/* Where a tile's pixels lie. */
struct spot {
    size_t image;               /* floats to the image */
    uint32_t down, across;      /* tiles before it */
    int64_t y, x;               /* pixel of its top left corner, which padding may put outside */
    bool inside;
};

INLINE void spot_set(struct spot *s, const struct lca_cpu_tiles *t, const int size)
{
    s->y = (int64_t)s->down * t->step - t->top;
    s->x = (int64_t)s->across * t->step - t->left;
    s->inside = s->y >= 0 && s->x >= 0 && s->y + size <= t->h && s->x + size <= t->w;
}

INLINE struct spot spot_of(const struct lca_cpu_tiles *t, uint32_t tile, const int size)
{
    uint32_t per = t->across * t->down;
    struct spot s = {.image = tile / per * t->next, .down = tile % per / t->across, .across = tile % t->across};
    spot_set(&s, t, size);
    return s;
}

INLINE void spot_next(struct spot *s, const struct lca_cpu_tiles *t, const int size)
{
    if (++s->across == t->across) {
        s->across = 0;
        if (++s->down == t->down) {
            s->down = 0;
            s->image += t->next;
        }
    }
    spot_set(s, t, size);
}

/* The pixels of a tile that are inside, to or from `local` [size][size][c up to LANES]. */
INLINE void tile_copy(const struct lca_cpu_tiles *t, const struct spot *s, const int size, const float *x, float *local,
                      size_t ld)
{
    for (int i = 0; i < size; i++)
        for (int j = 0; j < size; j++) {
            int64_t y = s->y + i, at = s->x + j;
            float *to = local + (size_t)(i * size + j) * ld;
            if (y < 0 || at < 0 || y >= t->h || at >= t->w) {
                memset(to, 0, ld * sizeof *to);
                continue;
            }
            const float *p = x + s->image + ((size_t)y * t->w + (size_t)at) * t->c;
            for (size_t k = 0; k < ld; k += LANES)
                put(to + k, get(p + k));
        }
}

INLINE void tile_add(const struct lca_cpu_tiles *t, const struct spot *s, const int size, float *x, const float *local,
                     size_t ld)
{
    for (int i = 0; i < size; i++)
        for (int j = 0; j < size; j++) {
            int64_t y = s->y + i, at = s->x + j;
            if (y < 0 || at < 0 || y >= t->h || at >= t->w)
                continue;
            const float *from = local + (size_t)(i * size + j) * ld;
            float *p = x + s->image + ((size_t)y * t->w + (size_t)at) * t->c;
            EACH_CHANNEL(k, width, t->c)
                put_width(p + k, get(p + k) + get(from + k), width);
        }
}

INLINE size_t lanes_up(size_t c)
{
    return (c + LANES - 1) / LANES * LANES;
}

/* tiles -> V: 36 matrices [n][ld], `next` floats from one to the next. */
static void winograd_in(const struct lca_cpu_tiles *t, const float *x, uint32_t first, uint32_t n, float *local,
                        float *V, size_t ld, size_t next)
{
    struct spot s = spot_of(t, first, 6);
    for (uint32_t k = 0; k < n; k++, V += ld, spot_next(&s, t, 6)) {
        const float *p = local;
        size_t row = 6 * ld, col = ld;
        if (s.inside) {
            p = x + s.image + ((size_t)s.y * t->w + (size_t)s.x) * t->c;
            row = (size_t)t->w * t->c;
            col = t->c;
        } else {
            tile_copy(t, &s, 6, x, local, ld);
        }
        for (size_t c = 0; c < t->c; c += LANES) {
            vec half_way[6][6], d[6], r[6];
            EACH(j, 6) {
                EACH(i, 6)
                    d[i] = get(p + (size_t)i * row + (size_t)j * col + c);
                tile_in(d, r);
                EACH(i, 6)
                    half_way[i][j] = r[i];
            }
            EACH(i, 6) {
                tile_in(half_way[i], r);
                EACH(j, 6)
                    put(V + (size_t)(6 * i + j) * next + c, r[j]);
            }
        }
    }
}

/* M -> the tiles of y, with bias [ld], then ReLU if wanted. */
INLINE void tiles_out(const int m, const struct lca_cpu_tiles *t, const float *M, size_t ld, size_t next,
                      uint32_t first, uint32_t n, const float *bias, float *y, bool relu)
{
    struct spot s = spot_of(t, first, m);
    for (uint32_t k = 0; k < n; k++, M += ld, spot_next(&s, t, m)) {
        EACH_CHANNEL(c, width, t->c) {
            vec half_way[4][6], d[6], r[4], b = get(bias + c);
            EACH(j, 6) {
                EACH(i, 6)
                    d[i] = get(M + (size_t)(6 * i + j) * next + c);
                tile_out(m, d, r);
                EACH(i, m)
                    half_way[i][j] = r[i];
            }
            EACH(i, m) {
                if (s.y + i >= t->h)
                    break;
                tile_out(m, half_way[i], r);
                float *p = y + s.image + ((size_t)(s.y + i) * t->w + (size_t)s.x) * t->c + c;
                EACH(j, m) {
                    if (s.x + j >= t->w)
                        break;
                    vec v = r[j] + b;
                    put_width(p + (size_t)j * t->c, relu ? relu_of(v) : v, width);
                }
            }
        }
    }
}

static void winograd_out(const struct lca_cpu_tiles *t, const float *M, size_t ld, size_t next, uint32_t first,
                         uint32_t n, const float *bias, float *y, bool relu)
{
    if (t->step == 4)
        tiles_out(4, t, M, ld, next, first, n, bias, y, relu);
    else
        tiles_out(2, t, M, ld, next, first, n, bias, y, relu);
}

/* The tiles of dy -> D. */
INLINE void tiles_back(const int m, const struct lca_cpu_tiles *t, const float *dy, uint32_t first, uint32_t n,
                       float *local, float *D, size_t ld, size_t next)
{
    struct spot s = spot_of(t, first, m);
    for (uint32_t k = 0; k < n; k++, D += ld, spot_next(&s, t, m)) {
        const float *p = local;
        size_t row = (size_t)m * ld, col = ld;
        if (s.inside) {
            p = dy + s.image + ((size_t)s.y * t->w + (size_t)s.x) * t->c;
            row = (size_t)t->w * t->c;
            col = t->c;
        } else {
            tile_copy(t, &s, m, dy, local, ld);
        }
        for (size_t c = 0; c < t->c; c += LANES) {
            vec half_way[6][4], d[4], r[6];
            EACH(j, m) {
                EACH(i, m)
                    d[i] = get(p + (size_t)i * row + (size_t)j * col + c);
                tile_back(m, d, r);
                EACH(i, 6)
                    half_way[i][j] = r[i];
            }
            EACH(i, 6) {
                tile_back(m, half_way[i], r);
                EACH(j, 6)
                    put(D + (size_t)(6 * i + j) * next + c, r[j]);
            }
        }
    }
}

static void winograd_back(const struct lca_cpu_tiles *t, const float *dy, uint32_t first, uint32_t n, float *local,
                          float *D, size_t ld, size_t next)
{
    if (t->step == 4)
        tiles_back(4, t, dy, first, n, local, D, ld, next);
    else
        tiles_back(2, t, dy, first, n, local, D, ld, next);
}

/* The gradient of V -> added to the tiles of dx, which overlap. */
static void winograd_give(const struct lca_cpu_tiles *t, const float *dV, size_t ld, size_t next, uint32_t first,
                          uint32_t n, float *local, float *dx)
{
    struct spot s = spot_of(t, first, 6);
    for (uint32_t k = 0; k < n; k++, dV += ld, spot_next(&s, t, 6)) {
        float *p = s.inside ? dx + s.image + ((size_t)s.y * t->w + (size_t)s.x) * t->c : NULL;
        EACH_CHANNEL(c, width, t->c) {
            vec half_way[6][6], d[6], r[6];
            EACH(j, 6) {
                EACH(i, 6)
                    d[i] = get(dV + (size_t)(6 * i + j) * next + c);
                tile_give(d, r);
                EACH(i, 6)
                    half_way[i][j] = r[i];
            }
            EACH(i, 6) {
                tile_give(half_way[i], r);
                float *to = p ? p + (size_t)i * t->w * t->c + c : NULL;
                EACH(j, 6) {
                    if (to)
                        put_width(to + (size_t)j * t->c, get(to + (size_t)j * t->c) + r[j], width);
                    else
                        put(local + (size_t)(6 * i + j) * ld + c, r[j]);
                }
            }
        }
        if (!s.inside)
            tile_add(t, &s, 6, dx, local, ld);
    }
}
