/* layers.cu: kernels that treat each element by itself. */
#include <cuda_bf16.h>
#include <Random123/philox.h>

#include "backend/cuda/kernels.h"
#include "backend/cuda/launch.cuh"

static __device__ inline void give(float *dx, size_t i, float d, bool adds)
{
    dx[i] = adds ? dx[i] + d : d;
}

/* ---- examples ---- */

static __global__ void input(const uint8_t *images, const uint32_t *index, size_t pixels, size_t ld, size_t n, float *x)
{
    size_t i = element();
    if (i >= n)
        return;
    size_t e = i / pixels, k = i % pixels;
    x[e * ld + k] = (float)images[index[e] * pixels + k] / 255.0f;
}

cudaError_t lca_cu_input(cudaStream_t s, const struct lca_rows *rows, uint32_t n, float *x)
{
    size_t all = n * rows->pixels;
    LAUNCH(input, all, s, rows->images, rows->index, rows->pixels, lca_ld(rows->pixels), all, x);
    return cudaGetLastError();
}

/* ---- bias ---- */

/* Where element i of rows lies: example, and place in it; its channel. */
struct place {
    size_t e, at;
    uint32_t c;
};

static __device__ inline struct place place_of(const struct lca_cuda_rows &r, size_t i)
{
    uint32_t size = r.pixels * r.C;
    struct place p;
    p.e = i / size;
    p.at = i % size;
    p.c = (uint32_t)p.at % r.C;
    return p;
}

static __device__ inline float as_float(float x)
{
    return x;
}

static __device__ inline float as_float(__nv_bfloat16 x)
{
    return __bfloat162float(x);
}

template <typename T>
static __global__ void bias_one(struct lca_cuda_rows r, size_t n, const T *x, size_t ldx, const float *b, bool relu,
                                float *y)
{
    size_t i = element();
    if (i >= n)
        return;
    struct place p = place_of(r, i);
    float v = as_float(x[p.e * ldx + p.at]) + (b ? b[p.c] : 0);
    y[p.e * r.ld + p.at] = relu && !(v > 0) ? 0 : v;
}

/* Four channels at a time of rows without gaps, where C divides into fours. */
static __global__ void bias_four(uint32_t C4, size_t n4, const float4 *x, const float4 *b, bool relu, float4 *y)
{
    size_t i = element();
    if (i >= n4)
        return;
    float4 v = x[i], w = b ? b[(uint32_t)(i % C4)] : make_float4(0, 0, 0, 0);
    v = make_float4(v.x + w.x, v.y + w.y, v.z + w.z, v.w + w.w);
    if (relu)
        v = make_float4(v.x > 0 ? v.x : 0, v.y > 0 ? v.y : 0, v.z > 0 ? v.z : 0, v.w > 0 ? v.w : 0);
    y[i] = v;
}

static bool fours(struct lca_cuda_rows r)
{
    return r.C % 4 == 0 && (size_t)r.pixels * r.C == r.ld;
}

cudaError_t lca_cu_bias(cudaStream_t s, struct lca_cuda_rows r, const float *x, size_t ldx, const float *bias,
                        bool relu, float *y)
{
    size_t n = (size_t)r.n * r.pixels * r.C;
    if (fours(r) && ldx == r.ld)
        LAUNCH(bias_four, n / 4, s, r.C / 4, n / 4, (const float4 *)x, (const float4 *)bias, relu, (float4 *)y);
    else
        LAUNCH(bias_one<float>, n, s, r, n, x, ldx, bias, relu, y);
    return cudaGetLastError();
}

cudaError_t lca_cu_bias_bf16(cudaStream_t s, struct lca_cuda_rows r, const void *x, const float *bias, bool relu,
                             float *y)
{
    size_t n = (size_t)r.n * r.pixels * r.C;
    LAUNCH(bias_one<__nv_bfloat16>, n, s, r, n, (const __nv_bfloat16 *)x, r.ld, bias, relu, y);
    return cudaGetLastError();
}

/* ---- ReLU, add, dropout ---- */

static __global__ void relu(size_t n, const float *x, float *y)
{
    size_t i = element();
    if (i < n)
        y[i] = x[i] > 0 ? x[i] : 0;
}

cudaError_t lca_cu_relu(cudaStream_t s, size_t n, const float *x, float *y)
{
    LAUNCH(relu, n, s, n, x, y);
    return cudaGetLastError();
}

static __global__ void relu_gradient(size_t n, const float *x, const float *dy, float *dx, bool adds)
{
    size_t i = element();
    if (i < n)
        give(dx, i, x[i] > 0 ? dy[i] : 0, adds);
}

cudaError_t lca_cu_relu_gradient(cudaStream_t s, size_t n, const float *x, const float *dy, float *dx, bool adds)
{
    LAUNCH(relu_gradient, n, s, n, x, dy, dx, adds);
    return cudaGetLastError();
}

static __global__ void add(size_t n, const float *x, const float *x2, bool relu, float *y)
{
    size_t i = element();
    if (i >= n)
        return;
    float v = x[i] + x2[i];
    y[i] = relu && !(v > 0) ? 0 : v;
}

cudaError_t lca_cu_add(cudaStream_t s, size_t n, const float *x, const float *x2, bool relu, float *y)
{
    LAUNCH(add, n, s, n, x, x2, relu, y);
    return cudaGetLastError();
}

static __global__ void pass(size_t n, const float *y, const float *dy, float *dx, bool adds)
{
    size_t i = element();
    if (i < n)
        give(dx, i, !y || y[i] > 0 ? dy[i] : 0, adds);
}

cudaError_t lca_cu_give(cudaStream_t s, size_t n, const float *y, const float *dy, float *dx, bool adds)
{
    LAUNCH(pass, n, s, n, y, dy, dx, adds);
    return cudaGetLastError();
}

struct draw {
    struct lca_rng rng;
    uint64_t index;
    uint32_t limit;
    float keep;
};

/* A thread draws for four neighbours in an example. */
static __global__ void dropout(struct draw w, size_t n, uint32_t fours, size_t size, size_t ld, const float *x,
                               float *factor, float *y)
{
    size_t t = element();
    if (t >= n)
        return;
    size_t e = t / fours, i = t % fours * 4;
    uint64_t index = w.index + e * size + i;
    philox4x32_key_t key = {{w.rng.seed, w.rng.purpose}};
    philox4x32_ctr_t counter = {{(uint32_t)index, (uint32_t)(index >> 32 & 0xffff), (uint32_t)w.rng.step,
                                 (uint32_t)(w.rng.step >> 32)}};
    philox4x32_ctr_t word = philox4x32(counter, key);
    for (size_t k = 0; k < 4 && i + k < size; k++) {
        size_t at = e * ld + i + k;
        float f = word.v[k] < w.limit ? 0 : w.keep;
        factor[at] = f;
        y[at] = x[at] * f;
    }
}

cudaError_t lca_cu_dropout(cudaStream_t s, const struct lca_call *c, float *factor)
{
    size_t size = lca_shape_size(c->g->out);
    uint32_t fours = (uint32_t)((size + 3) / 4);
    struct draw w = {c->rng, c->index, (uint32_t)(c->g->rate * 4294967296.0), (float)(1 / (1 - c->g->rate))};
    size_t n = (size_t)c->n * fours;
    LAUNCH(dropout, n, s, w, n, fours, size, lca_ld(size), c->x, factor, c->y);
    return cudaGetLastError();
}

static __global__ void dropout_gradient(size_t n, const float *factor, const float *dy, float *dx, bool adds)
{
    size_t i = element();
    if (i < n)
        give(dx, i, dy[i] * factor[i], adds);
}

cudaError_t lca_cu_dropout_gradient(cudaStream_t s, size_t n, const float *factor, const float *dy, float *dx,
                                    bool adds)
{
    LAUNCH(dropout_gradient, n, s, n, factor, dy, dx, adds);
    return cudaGetLastError();
}

/* ---- arrays ---- */

static __global__ void transpose(size_t rows, size_t columns, const float *from, float *to, bool adds)
{
    size_t i = element();
    if (i < rows * columns)
        give(to, i % columns * rows + i / columns, from[i], adds);
}

cudaError_t lca_cu_transpose(cudaStream_t s, size_t rows, size_t columns, const float *from, float *to, bool adds)
{
    LAUNCH(transpose, rows * columns, s, rows, columns, from, to, adds);
    return cudaGetLastError();
}

static __global__ void copy(size_t n, size_t columns, const float *from, size_t ld_from, float *to, size_t ld_to)
{
    size_t i = element();
    if (i < n)
        to[i / columns * ld_to + i % columns] = from[i / columns * ld_from + i % columns];
}

cudaError_t lca_cu_copy(cudaStream_t s, size_t rows, size_t columns, const float *from, size_t ld_from, float *to,
                        size_t ld_to)
{
    LAUNCH(copy, rows * columns, s, rows * columns, columns, from, ld_from, to, ld_to);
    return cudaGetLastError();
}

static __global__ void to_bf16(size_t n, const float *from, __nv_bfloat16 *to)
{
    size_t i = element();
    if (i < n)
        to[i] = __float2bfloat16_rn(from[i]);
}

cudaError_t lca_cu_to_bf16(cudaStream_t s, size_t n, const float *from, void *to)
{
    LAUNCH(to_bf16, n, s, n, from, (__nv_bfloat16 *)to);
    return cudaGetLastError();
}

static __global__ void from_bf16(size_t n, const __nv_bfloat16 *from, float *to, bool adds)
{
    size_t i = element();
    if (i < n)
        give(to, i, __bfloat162float(from[i]), adds);
}

cudaError_t lca_cu_from_bf16(cudaStream_t s, size_t n, const void *from, float *to, bool adds)
{
    LAUNCH(from_bf16, n, s, n, (const __nv_bfloat16 *)from, to, adds);
    return cudaGetLastError();
}

static __global__ void take(size_t n, double *sum, float *to)
{
    size_t i = element();
    if (i >= n)
        return;
    to[i] = (float)sum[i];
    sum[i] = 0;
}

cudaError_t lca_cu_take(cudaStream_t s, size_t n, double *sum, float *to)
{
    LAUNCH(take, n, s, n, sum, to);
    return cudaGetLastError();
}

static __global__ void take_layer(size_t rows, size_t columns, float *sum, size_t ld, float *dkernel, double *bias_sum,
                                  float *dbias)
{
    size_t i = element();
    if (i >= rows * columns)
        return;
    size_t at = i / columns * ld + i % columns;
    dkernel[i] = sum[at];
    sum[at] = 0;
    if (i < columns) {
        dbias[i] = (float)bias_sum[i];
        bias_sum[i] = 0;
    }
}

cudaError_t lca_cu_take_layer(cudaStream_t s, size_t rows, size_t columns, float *sum, size_t ld, float *dkernel,
                              double *bias_sum, float *dbias)
{
    LAUNCH(take_layer, rows * columns, s, rows, columns, sum, ld, dkernel, bias_sum, dbias);
    return cudaGetLastError();
}

static __global__ void fold(size_t n, const float *from, double *to)
{
    size_t i = element();
    if (i < n)
        to[i] += (double)from[i];
}

cudaError_t lca_cu_fold(cudaStream_t s, size_t n, const float *from, double *to)
{
    LAUNCH(fold, n, s, n, from, to);
    return cudaGetLastError();
}
