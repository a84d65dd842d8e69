/* cuda.h: one NVIDIA GPU as a device: what the files of this folder share.
 *
 * All work of a device goes to one stream, in order; what it brings comes down on another.
 * Operations return nothing: the first failure is kept in the device, and get, put, alloc,
 * bring, arrived and replay report it. Nothing adds
 * floating-point numbers in an order that may change (no atomics; libraries are asked for
 * deterministic algorithms, chosen by rule and not by a stopwatch), so that the same
 * work on the same card gives the same bytes. */
#ifndef LCA_BACKEND_CUDA_CUDA_H
#define LCA_BACKEND_CUDA_CUDA_H

#include <cublas_v2.h>
#include <cuda_runtime_api.h>
#include <cudnn.h>

#include "backend/backend.h"
#include "backend/cuda/kernels.h"

/* float32: products of float32 alone. tf32: convolutions and matrix products round their
 * factors to 11 bits. bf16: to 8 bits. Sums are of float32 in all of them, and all else too. */
enum lca_cuda_precision { LCA_CUDA_FLOAT32, LCA_CUDA_TF32, LCA_CUDA_BF16 };

struct lca_cuda_plan;                   /* a convolution as cuDNN does it: cudnn-plan.h */

struct lca_device {
    int card;
    enum lca_cuda_precision precision;
    cudaStream_t stream, down;
    struct {
        cudaEvent_t computed, brought;
    } ticket[LCA_TICKETS];
    cublasHandle_t blas;
    cudnnHandle_t dnn;
    struct lca_cuda_plan *plan;         /* list of those made so far */
    void *workspace;                    /* of cuDNN, grown when a convolution is made */
    size_t workspace_bytes;
    void *blas_workspace;
    double *partial;                    /* LCA_CUDA_PARTIAL doubles: sums of parts */
    void *staging;                      /* pinned: what comes down goes through it */
    struct lca_err failed;              /* the first failure */
    bool cannot_record;
    char num[128];
};

/* Where "cuda[:CARD][:tf32|:bf16]" points: LCA_USAGE if it is not of that form. */
int lca_cuda_parse(const char *device, int *card, enum lca_cuda_precision *precision, struct lca_err *err) LCA_MUST_USE;

/* Each keeps the failure, if it is one; true if all is well. what: "matrix product of dense1". */
bool lca_cuda_ok(struct lca_device *d, cudaError_t status, const char *what);
bool lca_cuda_blas_ok(struct lca_device *d, cublasStatus_t status, const char *what);
bool lca_cuda_dnn_ok(struct lca_device *d, cudnnStatus_t status, const char *what);

/* c [m][ldc] = op(a) op(b) + add c, row major, op(a) [m][k], op(b) [k][n], in the device's
 * precision. ta: a lies as [k][m]; tb: b as [n][k]. */
struct lca_cuda_matrix {
    const float *at;
    size_t ld;
    bool transposed;
};
void lca_cuda_multiply(struct lca_device *d, struct lca_cuda_matrix a, struct lca_cuda_matrix b, float *c, size_t ldc,
                       size_t m, size_t n, size_t k, bool add);

/* A call's output as rows of channels. */
static inline struct lca_cuda_rows lca_cuda_rows_of(const struct lca_call *c)
{
    const struct lca_shape s = c->g->out;
    return (struct lca_cuda_rows){c->n, s.h * s.w, s.c, lca_ld(lca_shape_size(s))};
}

extern const struct lca_layer_ops lca_cuda_dense, lca_cuda_conv, lca_cuda_batchnorm, lca_cuda_maxpool, lca_cuda_avgpool,
    lca_cuda_gap, lca_cuda_relu, lca_cuda_add, lca_cuda_dropout;

#endif
