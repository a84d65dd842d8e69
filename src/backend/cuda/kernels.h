/* kernels.h: kernels of the CUDA device, as functions that launch them.
 *
 * Included by C and by CUDA C++. Pointers are device memory; each launch goes to stream
 * `s` and returns what cudaGetLastError says of it. Activations are [n][ld], ld =
 * lca_ld(size), as in backend.h; "rows" are pixels of all examples, of C channels. The
 * launch configuration depends on sizes alone, never on the card, so that a card of
 * another size adds in the same order. */
#ifndef LCA_BACKEND_CUDA_KERNELS_H
#define LCA_BACKEND_CUDA_KERNELS_H

#include <cuda_runtime_api.h>

#include "backend/backend.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Activations of n examples: pixels rows of C channels each, ld floats from one example
 * to the next. */
struct lca_cuda_rows {
    uint32_t n, pixels, C;
    size_t ld;
};

/* Parts that a sum over rows is made of at most, times channels, times two: doubles of
 * scratch that the sums below need. */
enum { LCA_CUDA_PARTIAL = 1 << 20 };
/* Two for each example, and three for each class and 2,048 of them. */
enum { LCA_CUDA_LOSS_MAX = 400000 };

/* ---- layers.cu ---- */
cudaError_t lca_cu_input(cudaStream_t s, const struct lca_rows *rows, uint32_t n, float *x);
/* y = x + bias, then ReLU if wanted; bias NULL: none. ldx: floats from one example of x to
 * the next. x and y may be the same. */
cudaError_t lca_cu_bias(cudaStream_t s, struct lca_cuda_rows r, const float *x, size_t ldx, const float *bias,
                        bool relu, float *y);
cudaError_t lca_cu_relu(cudaStream_t s, size_t n, const float *x, float *y);
/* dx = dy where x > 0, else 0; added to dx if adds. */
cudaError_t lca_cu_relu_gradient(cudaStream_t s, size_t n, const float *x, const float *dy, float *dx, bool adds);
cudaError_t lca_cu_add(cudaStream_t s, size_t n, const float *x, const float *x2, bool relu, float *y);
/* dx = dy, or += ; with y: dy counts where y > 0. */
cudaError_t lca_cu_give(cudaStream_t s, size_t n, const float *y, const float *dy, float *dx, bool adds);
/* factor = 0 or 1 / (1 - rate), y = x factor, drawn as on the CPU. */
cudaError_t lca_cu_dropout(cudaStream_t s, const struct lca_call *c, float *factor);
cudaError_t lca_cu_dropout_gradient(cudaStream_t s, size_t n, const float *factor, const float *dy, float *dx,
                                    bool adds);
/* to [columns][rows] = from [rows][columns], added if adds. */
cudaError_t lca_cu_transpose(cudaStream_t s, size_t rows, size_t columns, const float *from, float *to, bool adds);
/* to [rows][ld_to] = from [rows][ld_from], `columns` of each row. */
cudaError_t lca_cu_copy(cudaStream_t s, size_t rows, size_t columns, const float *from, size_t ld_from, float *to,
                        size_t ld_to);
/* To bfloat16, to nearest, and back. */
cudaError_t lca_cu_to_bf16(cudaStream_t s, size_t n, const float *from, void *to);
cudaError_t lca_cu_from_bf16(cudaStream_t s, size_t n, const void *from, float *to, bool adds);
/* y = x + bias, then ReLU, x in bfloat16 [n][ld]. */
cudaError_t lca_cu_bias_bf16(cudaStream_t s, struct lca_cuda_rows r, const void *x, const float *bias, bool relu,
                             float *y);
/* (float) of sums; they begin again at 0. */
cudaError_t lca_cu_take(cudaStream_t s, size_t n, double *sum, float *to);
/* The same of a layer's kernel, sums [rows][ld] to [rows][columns], and of its bias [columns]. */
cudaError_t lca_cu_take_layer(cudaStream_t s, size_t rows, size_t columns, float *sum, size_t ld, float *dkernel,
                              double *bias_sum, float *dbias);

/* to += from, in double. */
cudaError_t lca_cu_fold(cudaStream_t s, size_t n, const float *from, double *to);

/* ---- sums.cu ---- */
/* sum [C] += column sums of dy; before that dy = 0 where y <= 0, if y is given. */
cudaError_t lca_cu_bias_gradient(cudaStream_t s, struct lca_cuda_rows r, float *dy, const float *y, double *partial,
                                 double *sum);

/* Batch norm; arrays of C, as in cpu/norm.c. `seen` 0: about becomes the first row of x. */
struct lca_cuda_norm {
    double *sum, *square, *dgamma, *dbeta;
    float *about, *mean, *r, *scale, *shift, *even, *slope;
    uint64_t *seen;
};
cudaError_t lca_cu_norm_observe(cudaStream_t s, struct lca_cuda_rows r, const float *x, const struct lca_cuda_norm *a,
                                double *partial);
cudaError_t lca_cu_norm_settle(cudaStream_t s, uint32_t C, double rows, double eps, const float *gamma,
                               const float *beta, const struct lca_cuda_norm *a);
cudaError_t lca_cu_norm_forward(cudaStream_t s, struct lca_cuda_rows r, const float *x, const struct lca_cuda_norm *a,
                                bool relu, float *y);
/* dy counts where y = scale x + shift > 0, if relu; it is not changed. */
cudaError_t lca_cu_norm_backward(cudaStream_t s, struct lca_cuda_rows r, const float *x, const float *dy, bool relu,
                                 const struct lca_cuda_norm *a, double *partial);
cudaError_t lca_cu_norm_settle_back(cudaStream_t s, uint32_t C, double rows, const struct lca_cuda_norm *a);
cudaError_t lca_cu_norm_spread(cudaStream_t s, struct lca_cuda_rows r, const float *x, const float *dy, bool relu,
                               const struct lca_cuda_norm *a, float *dx, bool adds);

/* lca_backend.loss; sum is device memory. scratch: LCA_CUDA_PARTIAL doubles, n at most
 * LCA_CUDA_LOSS_MAX. */
cudaError_t lca_cu_loss(cudaStream_t s, const struct lca_rows *rows, uint32_t n, uint32_t classes, int only, float *z,
                        bool gradient, double *scratch, struct lca_loss *sum);

/* ---- windows.cu ---- */
cudaError_t lca_cu_maxpool(cudaStream_t s, const struct lca_geometry *g, uint32_t n, const float *x, float *y);
cudaError_t lca_cu_maxpool_gradient(cudaStream_t s, const struct lca_geometry *g, uint32_t n, const float *x,
                                    const float *y, const float *dy, float *dx, bool adds);
cudaError_t lca_cu_avgpool(cudaStream_t s, const struct lca_geometry *g, uint32_t n, const float *x, float *y);
cudaError_t lca_cu_avgpool_gradient(cudaStream_t s, const struct lca_geometry *g, uint32_t n, const float *dy,
                                    float *dx, bool adds);
/* Patches of n examples: [n out.h out.w][kernel kernel in.c], 0 outside the image; and the
 * sums of their gradients where they overlap. */
cudaError_t lca_cu_patches(cudaStream_t s, const struct lca_geometry *g, uint32_t n, const float *x, float *patch);
cudaError_t lca_cu_patches_gradient(cudaStream_t s, const struct lca_geometry *g, uint32_t n, const float *dpatch,
                                    float *dx, bool adds);

#ifdef __cplusplus
}
#endif

#endif
