/* sums.cu: sums over the rows of activations, channel by channel, and what batch norm and
 * the loss make of them.
 *
 * Rows are cut into parts; a block sums one part for up to 32 channels, its threads in float
 * for RUN rows at a time and in double beyond that; a second kernel adds the parts. How
 * rows are cut depends on their number alone. */
#include <math.h>

#include "backend/cuda/kernels.h"
#include "backend/cuda/launch.cuh"

enum { RUN = 32, WARP = 32 };
static const size_t PARTS_MAX = 1024;

/* The cut: width threads side by side for channels, the others for rows. */
struct cut {
    uint32_t width, parts;
    size_t rows, part;          /* rows in all, and in a part */
};

static struct cut cut_of(struct lca_cuda_rows r)
{
    struct cut k = {1, 1, (size_t)r.n * r.pixels, 0};
    while (k.width < r.C && k.width < WARP)
        k.width *= 2;
    size_t least = THREADS / k.width * (size_t)RUN;     /* rows that keep a block busy */
    size_t most = LCA_CUDA_PARTIAL / 2 / r.C;
    size_t parts = (k.rows + least - 1) / least;
    parts = parts < PARTS_MAX ? parts : PARTS_MAX;
    parts = parts < most ? parts : most;
    k.part = (k.rows + parts - 1) / parts;
    k.parts = (uint32_t)((k.rows + k.part - 1) / k.part);
    return k;
}

static __device__ inline size_t at(const struct lca_cuda_rows &r, size_t row)
{
    size_t e = row / r.pixels;
    return e * r.ld + (row - e * r.pixels) * r.C;
}

/* partial[part][2][C]: the sums of what op gives for a row and channel. */
template <typename Op>
static __global__ void part_sums(struct lca_cuda_rows r, struct cut k, Op op, double *partial)
{
    __shared__ double shared[2][THREADS];
    const uint32_t tx = threadIdx.x % k.width, ty = threadIdx.x / k.width, down = THREADS / k.width;
    const uint32_t c = blockIdx.y * k.width + tx;
    double first = 0, second = 0;
    if (c < r.C) {
        size_t row = blockIdx.x * k.part + ty, end = (blockIdx.x + 1) * k.part;
        end = end < k.rows ? end : k.rows;
        while (row < end) {
            float a = 0, b = 0;
#pragma unroll 4
            for (int i = 0; i < RUN && row < end; i++, row += down)
                op(at(r, row) + c, c, a, b);
            first += (double)a;
            second += (double)b;
        }
    }
    shared[0][threadIdx.x] = first;
    shared[1][threadIdx.x] = second;
    __syncthreads();
    for (uint32_t half = down / 2; half > 0; half /= 2) {
        if (ty < half) {
            shared[0][threadIdx.x] += shared[0][threadIdx.x + half * k.width];
            shared[1][threadIdx.x] += shared[1][threadIdx.x + half * k.width];
        }
        __syncthreads();
    }
    if (ty == 0 && c < r.C) {
        partial[(blockIdx.x * (size_t)2) * r.C + c] = shared[0][tx];
        partial[(blockIdx.x * (size_t)2 + 1) * r.C + c] = shared[1][tx];
    }
}

/* A warp adds the parts of one channel to to[c] and, where wanted, to2[c]. */
static __global__ void all_parts(uint32_t C, uint32_t parts, const double *partial, double *to, double *to2)
{
    uint32_t c = blockIdx.x * (THREADS / WARP) + threadIdx.x / WARP, lane = threadIdx.x % WARP;
    if (c >= C)
        return;
    double a = 0, b = 0;
    for (uint32_t p = lane; p < parts; p += WARP) {
        a += partial[((size_t)p * 2) * C + c];
        b += partial[((size_t)p * 2 + 1) * C + c];
    }
    for (int half = WARP / 2; half > 0; half /= 2) {
        a += __shfl_down_sync(0xffffffffu, a, half);
        b += __shfl_down_sync(0xffffffffu, b, half);
    }
    if (lane == 0) {
        to[c] += a;
        if (to2)
            to2[c] += b;
    }
}

/* Blocks for n warps. */
static unsigned warps(uint32_t n)
{
    return (n + THREADS / WARP - 1) / (THREADS / WARP);
}

template <typename Op>
static cudaError_t sums(cudaStream_t s, struct lca_cuda_rows r, Op op, double *partial, double *to, double *to2)
{
    struct cut k = cut_of(r);
    LAUNCH_BLOCKS(part_sums<Op>, dim3(k.parts, (r.C + k.width - 1) / k.width), s, r, k, op, partial);
    LAUNCH_BLOCKS(all_parts, warps(r.C), s, r.C, k.parts, partial, to, to2);
    return cudaGetLastError();
}

/* ---- bias ---- */

struct bias_op {
    float *dy;
    const float *y;
    __device__ void operator()(size_t i, uint32_t, float &a, float &) const
    {
        float d = dy[i];
        if (y && !(y[i] > 0))
            dy[i] = d = 0;
        a += d;
    }
};

cudaError_t lca_cu_bias_gradient(cudaStream_t s, struct lca_cuda_rows r, float *dy, const float *y, double *partial,
                                 double *sum)
{
    struct bias_op op = {dy, y};
    return sums(s, r, op, partial, sum, NULL);
}

/* ---- batch norm ---- */

static __global__ void begin_about(uint32_t C, const float *x, float *about, const uint64_t *seen)
{
    uint32_t c = (uint32_t)element();
    if (c < C && !*seen)
        about[c] = x[c];
}

static __global__ void set_seen(uint64_t *seen)
{
    if (element() == 0)
        *seen = 1;
}

struct observe_op {
    const float *x, *about;
    __device__ void operator()(size_t i, uint32_t c, float &a, float &b) const
    {
        float v = x[i] - about[c];
        a += v;
        b += v * v;
    }
};

cudaError_t lca_cu_norm_observe(cudaStream_t s, struct lca_cuda_rows r, const float *x, const struct lca_cuda_norm *a,
                                double *partial)
{
    LAUNCH(begin_about, r.C, s, r.C, x, a->about, a->seen);
    LAUNCH(set_seen, 1, s, a->seen);
    struct observe_op op = {x, a->about};
    return sums(s, r, op, partial, a->sum, a->square);
}

static __global__ void settle(uint32_t C, double n, double eps, const float *gamma, const float *beta,
                              struct lca_cuda_norm a)
{
    uint32_t c = (uint32_t)element();
    if (c == 0)
        *a.seen = 0;
    if (c >= C)
        return;
    double from = a.sum[c] / n, mean = (double)a.about[c] + from;
    double variance = fmax(a.square[c] / n - from * from, 0.0);
    double r = 1 / sqrt(variance + eps), scale = (double)gamma[c] * r;
    a.mean[c] = (float)mean;
    a.r[c] = (float)r;
    a.scale[c] = (float)scale;
    a.shift[c] = (float)((double)beta[c] - mean * scale);
    a.sum[c] = a.square[c] = 0;
}

cudaError_t lca_cu_norm_settle(cudaStream_t s, uint32_t C, double rows, double eps, const float *gamma,
                               const float *beta, const struct lca_cuda_norm *a)
{
    LAUNCH(settle, C, s, C, rows, eps, gamma, beta, *a);
    return cudaGetLastError();
}

/* y of batch norm before ReLU: everywhere by the same instruction, so that ReLU's mask is
 * the same forward and back. */
static __device__ inline float normed(float x, float scale, float shift)
{
    return fmaf(x, scale, shift);
}

static __global__ void norm_forward(struct lca_cuda_rows r, size_t n, const float *x, const float *scale,
                                    const float *shift, bool relu, float *y)
{
    size_t i = element();
    if (i >= n)
        return;
    uint32_t size = r.pixels * r.C, c = (uint32_t)(i % size) % r.C;
    size_t o = i / size * r.ld + i % size;
    float v = normed(x[o], scale[c], shift[c]);
    y[o] = relu && !(v > 0) ? 0 : v;
}

static __global__ void norm_forward_four(uint32_t C4, size_t n4, const float4 *x, const float4 *scale,
                                         const float4 *shift, bool relu, float4 *y)
{
    size_t i = element();
    if (i >= n4)
        return;
    uint32_t c = (uint32_t)(i % C4);
    float4 v = x[i], a = scale[c], b = shift[c];
    v = make_float4(normed(v.x, a.x, b.x), normed(v.y, a.y, b.y), normed(v.z, a.z, b.z), normed(v.w, a.w, b.w));
    if (relu)
        v = make_float4(v.x > 0 ? v.x : 0, v.y > 0 ? v.y : 0, v.z > 0 ? v.z : 0, v.w > 0 ? v.w : 0);
    y[i] = v;
}

static bool fours(struct lca_cuda_rows r)
{
    return r.C % 4 == 0 && (size_t)r.pixels * r.C == r.ld;
}

cudaError_t lca_cu_norm_forward(cudaStream_t s, struct lca_cuda_rows r, const float *x, const struct lca_cuda_norm *a,
                                bool relu, float *y)
{
    size_t n = (size_t)r.n * r.pixels * r.C;
    if (fours(r))
        LAUNCH(norm_forward_four, n / 4, s, r.C / 4, n / 4, (const float4 *)x, (const float4 *)a->scale,
               (const float4 *)a->shift, relu, (float4 *)y);
    else
        LAUNCH(norm_forward, n, s, r, n, x, a->scale, a->shift, relu, y);
    return cudaGetLastError();
}

struct backward_op {
    const float *x, *dy, *mean, *scale, *shift;
    bool relu;
    __device__ void operator()(size_t i, uint32_t c, float &a, float &b) const
    {
        float v = x[i], d = dy[i];
        if (relu && !(normed(v, scale[c], shift[c]) > 0))
            d = 0;
        a += d;
        b += d * (v - mean[c]);
    }
};

cudaError_t lca_cu_norm_backward(cudaStream_t s, struct lca_cuda_rows r, const float *x, const float *dy, bool relu,
                                 const struct lca_cuda_norm *a, double *partial)
{
    struct backward_op op = {x, dy, a->mean, a->scale, a->shift, relu};
    return sums(s, r, op, partial, a->sum, a->square);
}

static __global__ void settle_back(uint32_t C, double n, struct lca_cuda_norm a)
{
    uint32_t c = (uint32_t)element();
    if (c >= C)
        return;
    double r = (double)a.r[c];
    a.even[c] = (float)(a.sum[c] / n);
    a.slope[c] = (float)(a.square[c] / n * r * r);
    a.dbeta[c] += a.sum[c];
    a.dgamma[c] += a.square[c] * r;
    a.sum[c] = a.square[c] = 0;
}

cudaError_t lca_cu_norm_settle_back(cudaStream_t s, uint32_t C, double rows, const struct lca_cuda_norm *a)
{
    LAUNCH(settle_back, C, s, C, rows, *a);
    return cudaGetLastError();
}

/* dx of one element. */
static __device__ inline float spread_one(float x, float d, float mean, float scale, float shift, float even,
                                          float slope, bool relu)
{
    if (relu && !(normed(x, scale, shift) > 0))
        d = 0;
    return scale * (d - even - (x - mean) * slope);
}

static __global__ void spread(struct lca_cuda_rows r, size_t n, const float *x, const float *dy, bool relu,
                              struct lca_cuda_norm a, float *dx, bool adds)
{
    size_t i = element();
    if (i >= n)
        return;
    uint32_t size = r.pixels * r.C, c = (uint32_t)(i % size) % r.C;
    size_t o = i / size * r.ld + i % size;
    float v = spread_one(x[o], dy[o], a.mean[c], a.scale[c], a.shift[c], a.even[c], a.slope[c], relu);
    dx[o] = adds ? dx[o] + v : v;
}

static __global__ void spread_four(uint32_t C4, size_t n4, const float4 *x, const float4 *dy, bool relu,
                                   struct lca_cuda_norm a, float4 *dx, bool adds)
{
    size_t i = element();
    if (i >= n4)
        return;
    uint32_t c = (uint32_t)(i % C4);
#define OF(what) ((const float4 *)a.what)[c]
    float4 v = x[i], d = dy[i], m = OF(mean), s = OF(scale), t = OF(shift), e = OF(even), p = OF(slope);
#undef OF
    float4 to = make_float4(spread_one(v.x, d.x, m.x, s.x, t.x, e.x, p.x, relu),
                            spread_one(v.y, d.y, m.y, s.y, t.y, e.y, p.y, relu),
                            spread_one(v.z, d.z, m.z, s.z, t.z, e.z, p.z, relu),
                            spread_one(v.w, d.w, m.w, s.w, t.w, e.w, p.w, relu));
    if (adds) {
        float4 was = dx[i];
        to = make_float4(was.x + to.x, was.y + to.y, was.z + to.z, was.w + to.w);
    }
    dx[i] = to;
}

cudaError_t lca_cu_norm_spread(cudaStream_t s, struct lca_cuda_rows r, const float *x, const float *dy, bool relu,
                               const struct lca_cuda_norm *a, float *dx, bool adds)
{
    size_t n = (size_t)r.n * r.pixels * r.C;
    if (fours(r))
        LAUNCH(spread_four, n / 4, s, r.C / 4, n / 4, (const float4 *)x, (const float4 *)dy, relu, *a, (float4 *)dx,
               adds);
    else
        LAUNCH(spread, n, s, r, n, x, dy, relu, *a, dx, adds);
    return cudaGetLastError();
}

/* ---- loss ---- */

enum { PER_LANE = 256 / WARP };        /* classes of one lane, at most */
static const uint32_t LOSS_PART = 2048; /* examples that a block sums up */

static __device__ inline float warp_max(float v)
{
    for (int half = WARP / 2; half > 0; half /= 2)
        v = fmaxf(v, __shfl_xor_sync(0xffffffffu, v, half));
    return v;
}

static __device__ inline float warp_sum(float v)
{
    for (int half = WARP / 2; half > 0; half /= 2)
        v += __shfl_xor_sync(0xffffffffu, v, half);
    return v;
}

static __device__ inline uint32_t warp_least(uint32_t v)
{
    for (int half = WARP / 2; half > 0; half /= 2) {
        uint32_t other = __shfl_xor_sync(0xffffffffu, v, half);
        v = other < v ? other : v;
    }
    return v;
}

/* A warp per example: each[2 e] its loss, each[2 e + 1] 1 for a hit; -1 where it does not
 * count. */
static __global__ void loss(const uint8_t *label, uint32_t n, uint32_t classes, int only, float *z, size_t ld,
                            bool gradient, double *each)
{
    uint32_t e = blockIdx.x * (THREADS / WARP) + threadIdx.x / WARP, lane = threadIdx.x % WARP;
    if (e >= n)
        return;
    const uint32_t c = label[e];
    float *row = z + e * ld, v[PER_LANE];
    if (only >= 0 && c != (uint32_t)only) {
        for (uint32_t k = lane; k < classes; k += WARP)
            row[k] = 0;
        if (lane == 0)
            each[2 * (size_t)e] = 0, each[2 * (size_t)e + 1] = -1;
        return;
    }
    float most = -INFINITY;
#pragma unroll
    for (uint32_t i = 0; i < PER_LANE; i++) {
        uint32_t k = lane + i * WARP;
        v[i] = k < classes ? row[k] : -INFINITY;
        most = v[i] > most ? v[i] : most;
    }
    most = warp_max(most);
    uint32_t first = UINT32_MAX;
    float total = 0, mine = 0;
#pragma unroll
    for (uint32_t i = 0; i < PER_LANE; i++) {
        uint32_t k = lane + i * WARP;
        if (k >= classes)
            continue;
        if (v[i] == most && k < first)
            first = k;
        if (k == c)
            mine = v[i];
        v[i] = expf(v[i] - most);
        total += v[i];
    }
    total = warp_sum(total);
    first = warp_least(first);
    mine = __shfl_sync(0xffffffffu, mine, c % WARP);
    if (lane == 0) {
        each[2 * (size_t)e] = log((double)total) + ((double)most - (double)mine);
        each[2 * (size_t)e + 1] = first == c;
    }
    if (!gradient)
        return;
    float scale = 1.0f / total;
#pragma unroll
    for (uint32_t i = 0; i < PER_LANE; i++) {
        uint32_t k = lane + i * WARP;
        if (k < classes)
            row[k] = v[i] * scale - (k == c ? 1.0f : 0.0f);
    }
}

/* Sums over the examples of a class: loss, hits, how many. */
struct of_class {
    double loss, hits, n;
};

static __device__ inline void add_to(struct of_class &a, const struct of_class &b)
{
    a.loss += b.loss;
    a.hits += b.hits;
    a.n += b.n;
}

/* A block sums a part of the examples for one class: part[part][class]. */
static __global__ void loss_parts(const uint8_t *label, uint32_t n, const double *each, struct of_class *part)
{
    __shared__ struct of_class shared[THREADS];
    struct of_class mine = {0, 0, 0};
    uint32_t end = (blockIdx.x + 1) * LOSS_PART;
    end = end < n ? end : n;
#pragma unroll 4
    for (uint32_t e = blockIdx.x * LOSS_PART + threadIdx.x; e < end; e += THREADS) {
        if (label[e] != blockIdx.y || each[2 * (size_t)e + 1] < 0)
            continue;
        struct of_class one = {each[2 * (size_t)e], each[2 * (size_t)e + 1], 1};
        add_to(mine, one);
    }
    shared[threadIdx.x] = mine;
    __syncthreads();
    for (uint32_t half = THREADS / 2; half > 0; half /= 2) {
        if (threadIdx.x < half)
            add_to(shared[threadIdx.x], shared[threadIdx.x + half]);
        __syncthreads();
    }
    if (threadIdx.x == 0)
        part[blockIdx.x * (size_t)gridDim.y + blockIdx.y] = shared[0];
}

/* A thread per class adds its parts to sum[class]. */
static __global__ void loss_sums(uint32_t classes, uint32_t parts, const struct of_class *part, struct lca_loss *sum)
{
    uint32_t c = (uint32_t)element();
    if (c >= classes)
        return;
    struct of_class all = {0, 0, 0};
    for (uint32_t p = 0; p < parts; p++)
        add_to(all, part[p * (size_t)classes + c]);
    sum[c].loss += all.loss;
    sum[c].hits += (uint64_t)all.hits;
    sum[c].n += (uint64_t)all.n;
}

cudaError_t lca_cu_loss(cudaStream_t s, const struct lca_rows *rows, uint32_t n, uint32_t classes, int only, float *z,
                        bool gradient, double *scratch, struct lca_loss *sum)
{
    if (n == 0)
        return cudaSuccess;
    const uint32_t parts = (n + LOSS_PART - 1) / LOSS_PART;
    struct of_class *part = (struct of_class *)(scratch + 2 * (size_t)n);
    LAUNCH_BLOCKS(loss, warps(n), s, rows->label, n, classes, only, z, lca_ld(classes), gradient, scratch);
    LAUNCH_BLOCKS(loss_parts, dim3(parts, classes), s, rows->label, n, scratch, part);
    LAUNCH(loss_sums, classes, s, classes, parts, part, sum);
    return cudaGetLastError();
}
