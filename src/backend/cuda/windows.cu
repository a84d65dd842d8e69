/* windows.cu: pools, and the patches that a convolution sees. A thread per number that is
 * written, which gathers what belongs to it: no two threads write to one place. */
#include "backend/cuda/kernels.h"
#include "backend/cuda/launch.cuh"

/* Windows over an image: kh x kw pixels from (oy stride - top, ox stride - left). */
struct windows {
    uint32_t h, w, c, oh, ow;   /* image and windows */
    uint32_t kh, kw, stride, top, left;
    size_t ld, ldo;             /* floats from one example to the next: of images, of windows */
    size_t n;                   /* threads */
};

static struct windows windows_of(const struct lca_geometry *g)
{
    bool all = g->type == LCA_GAP, padded = g->type == LCA_CONV;
    struct windows w = {g->in.h, g->in.w, g->in.c, g->out.h, g->out.w,
                        all ? g->in.h : g->kernel, all ? g->in.w : g->kernel, all ? 1 : g->stride,
                        padded ? g->pad_top : 0, padded ? g->pad_left : 0,
                        lca_ld(lca_shape_size(g->in)), lca_ld(lca_shape_size(g->out)), 0};
    return w;
}

/* Windows [from, to) of `many` that see the pixel at i, counted from before the padding. */
struct range {
    uint32_t from, to;
};

static __device__ inline struct range seeing(uint32_t i, uint32_t kernel, uint32_t stride, uint32_t many)
{
    struct range r;
    r.from = i + 1 > kernel ? (i + 1 - kernel + stride - 1) / stride : 0;
    r.to = i / stride + 1;
    r.to = r.to < many ? r.to : many;
    return r;
}

/* A thread's place in windows or image: example, row, column, channel. */
struct spot {
    size_t e;
    uint32_t y, x, c;
};

static __device__ inline struct spot spot_of(size_t i, uint32_t h, uint32_t w, uint32_t c)
{
    struct spot s;
    s.c = (uint32_t)(i % c);
    i /= c;
    s.x = (uint32_t)(i % w);
    i /= w;
    s.y = (uint32_t)(i % h);
    s.e = i / h;
    return s;
}

/* ---- max ---- */

static __global__ void maxpool(struct windows w, const float *x, float *y)
{
    size_t i = element();
    if (i >= w.n)
        return;
    struct spot s = spot_of(i, w.oh, w.ow, w.c);
    const float *from = x + s.e * w.ld + ((size_t)s.y * w.stride * w.w + (size_t)s.x * w.stride) * w.c + s.c;
    float most = *from;
    for (uint32_t ky = 0; ky < w.kh; ky++)
        for (uint32_t kx = 0; kx < w.kw; kx++) {
            float v = from[((size_t)ky * w.w + kx) * w.c];
            most = v > most ? v : most;
        }
    y[s.e * w.ldo + ((size_t)s.y * w.ow + s.x) * w.c + s.c] = most;
}

cudaError_t lca_cu_maxpool(cudaStream_t s, const struct lca_geometry *g, uint32_t n, const float *x, float *y)
{
    struct windows w = windows_of(g);
    w.n = n * lca_shape_size(g->out);
    LAUNCH(maxpool, w.n, s, w, x, y);
    return cudaGetLastError();
}

/* Whether the pixel at `me` of the window is the first that is `most`. */
static __device__ inline bool first(const struct windows &w, const float *window, uint32_t me_y, uint32_t me_x,
                                    float most)
{
    for (uint32_t ky = 0; ky <= me_y; ky++)
        for (uint32_t kx = 0; kx < w.kw; kx++) {
            if (ky == me_y && kx == me_x)
                return window[((size_t)ky * w.w + kx) * w.c] == most;
            if (window[((size_t)ky * w.w + kx) * w.c] == most)
                return false;
        }
    return false;
}

static __global__ void maxpool_gradient(struct windows w, const float *x, const float *y, const float *dy, float *dx,
                                        bool adds)
{
    size_t i = element();
    if (i >= w.n)
        return;
    struct spot s = spot_of(i, w.h, w.w, w.c);
    struct range ry = seeing(s.y, w.kh, w.stride, w.oh), rx = seeing(s.x, w.kw, w.stride, w.ow);
    float d = 0;
    for (uint32_t oy = ry.from; oy < ry.to; oy++)
        for (uint32_t ox = rx.from; ox < rx.to; ox++) {
            size_t o = s.e * w.ldo + ((size_t)oy * w.ow + ox) * w.c + s.c;
            const float *window = x + s.e * w.ld + ((size_t)oy * w.stride * w.w + (size_t)ox * w.stride) * w.c + s.c;
            if (first(w, window, s.y - oy * w.stride, s.x - ox * w.stride, y[o]))
                d += dy[o];
        }
    float *to = dx + s.e * w.ld + ((size_t)s.y * w.w + s.x) * w.c + s.c;
    *to = adds ? *to + d : d;
}

cudaError_t lca_cu_maxpool_gradient(cudaStream_t s, const struct lca_geometry *g, uint32_t n, const float *x,
                                    const float *y, const float *dy, float *dx, bool adds)
{
    struct windows w = windows_of(g);
    w.n = n * lca_shape_size(g->in);
    LAUNCH(maxpool_gradient, w.n, s, w, x, y, dy, dx, adds);
    return cudaGetLastError();
}

/* ---- average, global too ---- */

static __global__ void avgpool(struct windows w, const float *x, float *y)
{
    size_t i = element();
    if (i >= w.n)
        return;
    struct spot s = spot_of(i, w.oh, w.ow, w.c);
    const float *from = x + s.e * w.ld + ((size_t)s.y * w.stride * w.w + (size_t)s.x * w.stride) * w.c + s.c;
    float sum = 0;
    for (uint32_t ky = 0; ky < w.kh; ky++)
        for (uint32_t kx = 0; kx < w.kw; kx++)
            sum += from[((size_t)ky * w.w + kx) * w.c];
    y[s.e * w.ldo + ((size_t)s.y * w.ow + s.x) * w.c + s.c] = sum * (1 / (float)(w.kh * w.kw));
}

cudaError_t lca_cu_avgpool(cudaStream_t s, const struct lca_geometry *g, uint32_t n, const float *x, float *y)
{
    struct windows w = windows_of(g);
    w.n = n * lca_shape_size(g->out);
    LAUNCH(avgpool, w.n, s, w, x, y);
    return cudaGetLastError();
}

static __global__ void avgpool_gradient(struct windows w, const float *dy, float *dx, bool adds)
{
    size_t i = element();
    if (i >= w.n)
        return;
    struct spot s = spot_of(i, w.h, w.w, w.c);
    struct range ry = seeing(s.y, w.kh, w.stride, w.oh), rx = seeing(s.x, w.kw, w.stride, w.ow);
    float d = 0, part = 1 / (float)(w.kh * w.kw);
    for (uint32_t oy = ry.from; oy < ry.to; oy++)
        for (uint32_t ox = rx.from; ox < rx.to; ox++)
            d += dy[s.e * w.ldo + ((size_t)oy * w.ow + ox) * w.c + s.c] * part;
    float *to = dx + s.e * w.ld + ((size_t)s.y * w.w + s.x) * w.c + s.c;
    *to = adds ? *to + d : d;
}

cudaError_t lca_cu_avgpool_gradient(cudaStream_t s, const struct lca_geometry *g, uint32_t n, const float *dy,
                                    float *dx, bool adds)
{
    struct windows w = windows_of(g);
    w.n = n * lca_shape_size(g->in);
    LAUNCH(avgpool_gradient, w.n, s, w, dy, dx, adds);
    return cudaGetLastError();
}

/* ---- patches ---- */

static __global__ void patches(struct windows w, const float *x, float *patch)
{
    size_t i = element();
    if (i >= w.n)
        return;
    size_t K = (size_t)w.kh * w.kw * w.c, k = i % K;
    struct spot s = spot_of(i / K, w.oh, w.ow, 1);
    uint32_t c = (uint32_t)(k % w.c), kx = (uint32_t)(k / w.c) % w.kw, ky = (uint32_t)(k / w.c) / w.kw;
    uint32_t y = s.y * w.stride + ky - w.top, xx = s.x * w.stride + kx - w.left;     /* wraps where it is outside */
    patch[i] = y < w.h && xx < w.w ? x[s.e * w.ld + ((size_t)y * w.w + xx) * w.c + c] : 0;
}

cudaError_t lca_cu_patches(cudaStream_t s, const struct lca_geometry *g, uint32_t n, const float *x, float *patch)
{
    struct windows w = windows_of(g);
    w.n = (size_t)n * g->out.h * g->out.w * g->kernel * g->kernel * g->in.c;
    LAUNCH(patches, w.n, s, w, x, patch);
    return cudaGetLastError();
}

static __global__ void patches_gradient(struct windows w, const float *dpatch, float *dx, bool adds)
{
    size_t i = element();
    if (i >= w.n)
        return;
    struct spot s = spot_of(i, w.h, w.w, w.c);
    uint32_t y = s.y + w.top, x = s.x + w.left;
    struct range ry = seeing(y, w.kh, w.stride, w.oh), rx = seeing(x, w.kw, w.stride, w.ow);
    float d = 0;
    for (uint32_t oy = ry.from; oy < ry.to; oy++)
        for (uint32_t ox = rx.from; ox < rx.to; ox++) {
            size_t row = (s.e * w.oh + oy) * w.ow + ox;
            size_t k = (((size_t)(y - oy * w.stride) * w.kw) + (x - ox * w.stride)) * w.c + s.c;
            d += dpatch[row * w.kh * w.kw * w.c + k];
        }
    float *to = dx + s.e * w.ld + ((size_t)s.y * w.w + s.x) * w.c + s.c;
    *to = adds ? *to + d : d;
}

cudaError_t lca_cu_patches_gradient(cudaStream_t s, const struct lca_geometry *g, uint32_t n, const float *dpatch,
                                    float *dx, bool adds)
{
    struct windows w = windows_of(g);
    w.n = n * lca_shape_size(g->in);
    LAUNCH(patches_gradient, w.n, s, w, dpatch, dx, adds);
    return cudaGetLastError();
}
