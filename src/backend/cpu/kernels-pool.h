/* kernels-pool.h: max pools; part of kernels.h. */

#define EACH_WINDOW(g, n)                                   \
    for (uint32_t e = 0; e < (n); e++)                      \
        for (uint32_t oy = 0; oy < (g)->out.h; oy++)        \
            for (uint32_t ox = 0; ox < (g)->out.w; ox++)

/* A window's first float in x, and its pixel's in y. */
INLINE size_t window_in(const struct lca_geometry *g, uint32_t e, uint32_t oy, uint32_t ox)
{
    return e * lca_ld(lca_shape_size(g->in)) + ((size_t)oy * g->stride * g->in.w + (size_t)ox * g->stride) * g->in.c;
}

INLINE size_t window_out(const struct lca_geometry *g, uint32_t e, uint32_t oy, uint32_t ox)
{
    return e * lca_ld(lca_shape_size(g->out)) + ((size_t)oy * g->out.w + ox) * g->out.c;
}

static void maxpool(const struct lca_geometry *g, const float *x, uint32_t n, float *y)
{
    const size_t row = (size_t)g->in.w * g->in.c;
    EACH_WINDOW(g, n) {
        size_t at = window_in(g, e, oy, ox), o = window_out(g, e, oy, ox);
        EACH_CHANNEL(c, width, g->in.c) {
            const float *p = x + at + c;
            vec most = get(p);
            for (uint32_t ky = 0; ky < g->kernel; ky++)
                for (uint32_t kx = 0; kx < g->kernel; kx++) {
                    vec v = get(p + ky * row + (size_t)kx * g->in.c);
                    ivec more = v > most;
                    most = (vec)(((ivec)v & more) | ((ivec)most & ~more));
                }
            put_width(y + o + c, most, width);
        }
    }
}

static void maxpool_gradient(const struct lca_geometry *g, const float *x, const float *y, const float *dy, uint32_t n,
                             float *dx, bool adds)
{
    const size_t row = (size_t)g->in.w * g->in.c;
    EACH_WINDOW(g, n) {
        size_t at = window_in(g, e, oy, ox), o = window_out(g, e, oy, ox);
        EACH_CHANNEL(c, width, g->in.c) {
            vec most = get(y + o + c), d = get(dy + o + c);
            ivec left = {0};
            left = ~left;       /* channels whose largest value is still to come */
            for (uint32_t ky = 0; ky < g->kernel; ky++)
                for (uint32_t kx = 0; kx < g->kernel; kx++) {
                    size_t p = at + c + ky * row + (size_t)kx * g->in.c;
                    ivec here = (get(x + p) == most) & left;
                    left &= ~here;
                    vec v = (vec)((ivec)d & here);
                    if (adds)
                        v += get(dx + p);
                    put_width(dx + p, v, width);
                }
        }
    }
}
