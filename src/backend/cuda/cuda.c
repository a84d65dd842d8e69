#include "backend/cuda/cuda.h"
#include "backend/cuda/cudnn-plan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/log.h"
#include "base/version.h"

/* What comes down goes through this much pinned memory at a time. */
enum { STAGING = 1 << 22, BLAS_WORKSPACE = 32 << 20 };

int lca_cuda_parse(const char *device, int *card, enum lca_cuda_precision *precision, struct lca_err *err)
{
    static const char *const name[] = {"float32", "tf32", "bf16"};
    const char *at = device + strlen("cuda");
    *card = 0;
    *precision = LCA_CUDA_FLOAT32;
    if (*at == ':' && at[1] >= '0' && at[1] <= '9') {
        char *end;
        long n = strtol(at + 1, &end, 10);
        *card = n > 9999 ? 9999 : (int)n;
        at = end;
    }
    for (int p = LCA_CUDA_FLOAT32; *at == ':' && p <= LCA_CUDA_BF16; p++)
        if (!strcmp(at + 1, name[p])) {
            *precision = (enum lca_cuda_precision)p;
            return 0;
        }
    if (*at)
        return lca_fail(err, LCA_USAGE,
                        "device %.40s: say cuda, or cuda:N for card N, and after that :tf32 or :bf16 for "
                        "a precision other than float32",
                        device);
    return 0;
}

/* ---- failures ---- */

static bool keep(struct lca_device *d, bool ok, const char *what, const char *why)
{
    if (!ok && !d->failed.text[0])
        lca_fail(&d->failed, LCA_INTERNAL, "CUDA device %d, %s: %s", d->card, what, why);
    return ok;
}

bool lca_cuda_ok(struct lca_device *d, cudaError_t status, const char *what)
{
    return keep(d, status == cudaSuccess, what, cudaGetErrorString(status));
}

bool lca_cuda_blas_ok(struct lca_device *d, cublasStatus_t status, const char *what)
{
    return keep(d, status == CUBLAS_STATUS_SUCCESS, what, cublasGetStatusString(status));
}

bool lca_cuda_dnn_ok(struct lca_device *d, cudnnStatus_t status, const char *what)
{
    return keep(d, status == CUDNN_STATUS_SUCCESS, what, cudnnGetErrorString(status));
}

static int result(const struct lca_device *d, struct lca_err *err)
{
    if (!d->failed.text[0])
        return 0;
    return lca_fail(err, d->failed.status, "%s", d->failed.text);
}

/* ---- opening ---- */

static int choose(struct lca_device *d, const char *device, struct lca_err *err)
{
    int count = 0;
    if (lca_cuda_parse(device, &d->card, &d->precision, err) < 0)
        return -1;
    cudaError_t status = cudaGetDeviceCount(&count);
    if (status != cudaSuccess || count == 0)
        return lca_fail(err, LCA_USAGE, "device %s: no CUDA card can be used here (%s): say --device cpu", device,
                        status == cudaSuccess ? "none found" : cudaGetErrorString(status));
    if (d->card >= count)
        return lca_fail(err, LCA_USAGE, "device %s: this machine has %d CUDA card%s, numbered from 0", device, count,
                        count > 1 ? "s" : "");
    return 0;
}

static int describe(struct lca_device *d, struct lca_err *err)
{
    static const char *const name[] = {"float32", "tf32", "bf16"};
    struct cudaDeviceProp p;
    int blas = 0;
    if (!lca_cuda_ok(d, cudaGetDeviceProperties(&p, d->card), "asking what it is") ||
        !lca_cuda_blas_ok(d, cublasGetVersion(d->blas, &blas), "asking for cuBLAS's version"))
        return result(d, err);
    for (char *c = p.name; *c; c++)
        if (*c == ' ' || *c == '/')
            *c = '-';
    snprintf(d->num, sizeof d->num, "cuda/lca-" LCA_VERSION "/cublas-%d/cudnn-%zu/%.40s/%s", blas, cudnnGetVersion(),
             p.name, name[d->precision]);
    return 0;
}

static void cuda_close(struct lca_device *d);

static bool open_streams(struct lca_device *d)
{
    bool ok = lca_cuda_ok(d, cudaStreamCreateWithFlags(&d->stream, cudaStreamNonBlocking), "a stream") &&
              lca_cuda_ok(d, cudaStreamCreateWithFlags(&d->down, cudaStreamNonBlocking), "a stream");
    for (unsigned k = 0; ok && k < LCA_TICKETS; k++)
        ok = lca_cuda_ok(d, cudaEventCreateWithFlags(&d->ticket[k].computed, cudaEventDisableTiming), "an event") &&
             lca_cuda_ok(d, cudaEventCreateWithFlags(&d->ticket[k].brought, cudaEventDisableTiming), "an event");
    return ok;
}

static void close_streams(struct lca_device *d)
{
    for (unsigned k = 0; k < LCA_TICKETS; k++) {
        if (d->ticket[k].computed)
            cudaEventDestroy(d->ticket[k].computed);
        if (d->ticket[k].brought)
            cudaEventDestroy(d->ticket[k].brought);
    }
    if (d->down)
        cudaStreamDestroy(d->down);
    if (d->stream)
        cudaStreamDestroy(d->stream);
}

static struct lca_device *cuda_open(const char *device, struct lca_err *err)
{
    struct lca_device *d = lca_alloc(1, sizeof *d, err);
    if (!d)
        return NULL;
    if (choose(d, device, err) < 0)
        goto fail;
    if (!lca_cuda_ok(d, cudaSetDevice(d->card), "taking it") ||
        !open_streams(d) ||
        !lca_cuda_ok(d, cudaMalloc(&d->blas_workspace, BLAS_WORKSPACE), "memory for cuBLAS") ||
        !lca_cuda_ok(d, cudaMalloc((void **)&d->partial, LCA_CUDA_PARTIAL * sizeof(double)), "memory for sums") ||
        !lca_cuda_ok(d, cudaMallocHost(&d->staging, STAGING), "pinned memory") ||
        !lca_cuda_blas_ok(d, cublasCreate(&d->blas), "starting cuBLAS") ||
        !lca_cuda_blas_ok(d, cublasSetStream(d->blas, d->stream), "starting cuBLAS") ||
        !lca_cuda_blas_ok(d, cublasSetWorkspace(d->blas, d->blas_workspace, BLAS_WORKSPACE), "starting cuBLAS") ||
        !lca_cuda_blas_ok(d, cublasSetAtomicsMode(d->blas, CUBLAS_ATOMICS_NOT_ALLOWED), "starting cuBLAS") ||
        !lca_cuda_dnn_ok(d, cudnnCreate(&d->dnn), "starting cuDNN") ||
        !lca_cuda_dnn_ok(d, cudnnSetStream(d->dnn, d->stream), "starting cuDNN")) {
        result(d, err);
        goto fail;
    }
    if (describe(d, err) == 0)
        return d;
fail:
    cuda_close(d);
    return NULL;
}

static void cuda_close(struct lca_device *d)
{
    if (!d)
        return;
    if (d->stream)
        cudaStreamSynchronize(d->stream);
    if (d->down)
        cudaStreamSynchronize(d->down);
    lca_cuda_plans_free(d);
    if (d->dnn)
        cudnnDestroy(d->dnn);
    if (d->blas)
        cublasDestroy(d->blas);
    cudaFree(d->workspace);
    cudaFree(d->blas_workspace);
    cudaFree(d->partial);
    cudaFreeHost(d->staging);
    close_streams(d);
    free(d);
}

static const char *cuda_num(const struct lca_device *d)
{
    return d->num;
}

/* ---- memory ---- */

/* What is free, but for what cuDNN may want. */
static size_t cuda_room(struct lca_device *d)
{
    const size_t reserve = LCA_CUDA_WORKSPACE_MAX;
    size_t room = 0, all;
    lca_cuda_ok(d, cudaMemGetInfo(&room, &all), "asking for its memory");
    return room > reserve ? room - reserve : 0;
}

static void *cuda_alloc(struct lca_device *d, size_t bytes, struct lca_err *err)
{
    void *p = NULL;
    cudaError_t status = cudaMalloc(&p, bytes ? bytes : 1);
    if (status == cudaErrorMemoryAllocation) {
        cudaGetLastError();     /* an allocation that fails leaves the card well */
        lca_fail(err, LCA_USAGE, "CUDA device %d has %zu MiB free, and %zu MiB more are needed", d->card,
                 cuda_room(d) >> 20, (bytes >> 20) + 1);
        return NULL;
    }
    if (!lca_cuda_ok(d, status, "memory") ||
        !lca_cuda_ok(d, cudaMemsetAsync(p, 0, bytes ? bytes : 1, d->stream), "memory")) {
        cudaFree(p);
        result(d, err);
        return NULL;
    }
    return p;
}

static void cuda_release(struct lca_device *d, void *p)
{
    (void)d;
    cudaFree(p);
}

static int cuda_put(struct lca_device *d, void *to, const void *from, size_t bytes, struct lca_err *err)
{
    lca_cuda_ok(d, cudaMemcpyAsync(to, from, bytes, cudaMemcpyHostToDevice, d->stream), "copying to it");
    return result(d, err);
}

static int cuda_get(struct lca_device *d, void *to, const void *from, size_t bytes, struct lca_err *err)
{
    for (size_t at = 0; at < bytes && !d->failed.text[0]; at += STAGING) {
        size_t n = bytes - at < STAGING ? bytes - at : STAGING;
        if (lca_cuda_ok(d, cudaMemcpyAsync(d->staging, (const char *)from + at, n, cudaMemcpyDeviceToHost, d->stream),
                        "copying from it") &&
            lca_cuda_ok(d, cudaStreamSynchronize(d->stream), "computing"))
            memcpy((char *)to + at, d->staging, n);
    }
    return result(d, err);
}

static void *cuda_host(struct lca_device *d, size_t bytes, struct lca_err *err)
{
    void *p = NULL;
    if (cudaMallocHost(&p, bytes ? bytes : 1) != cudaSuccess) {
        cudaGetLastError();
        lca_fail(err, LCA_INTERNAL, "out of memory: %zu MiB that CUDA device %d can write to", (bytes >> 20) + 1, d->card);
        return NULL;
    }
    return p;
}

static void cuda_release_host(struct lca_device *d, void *p)
{
    (void)d;
    cudaFreeHost(p);
}

static int cuda_bring(struct lca_device *d, unsigned ticket, void *to, const void *from, size_t bytes,
                      struct lca_err *err)
{
    cudaEvent_t computed = d->ticket[ticket].computed, brought = d->ticket[ticket].brought;
    if (lca_cuda_ok(d, cudaEventRecord(computed, d->stream), "computing") &&
        lca_cuda_ok(d, cudaStreamWaitEvent(d->down, computed, 0), "computing") &&
        lca_cuda_ok(d, cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToHost, d->down), "copying from it"))
        lca_cuda_ok(d, cudaEventRecord(brought, d->down), "copying from it");
    return result(d, err);
}

static void cuda_hold(struct lca_device *d, unsigned ticket)
{
    lca_cuda_ok(d, cudaStreamWaitEvent(d->stream, d->ticket[ticket].brought, 0), "computing");
}

static int cuda_arrived(struct lca_device *d, unsigned ticket, struct lca_err *err)
{
    lca_cuda_ok(d, cudaEventSynchronize(d->ticket[ticket].brought), "computing");
    return result(d, err);
}

static void cuda_fold(struct lca_device *d, size_t n, const float *from, double *to)
{
    lca_cuda_ok(d, lca_cu_fold(d->stream, n, from, to), "adding gradients");
}

static void cuda_clear(struct lca_device *d, void *p, size_t bytes)
{
    lca_cuda_ok(d, cudaMemsetAsync(p, 0, bytes, d->stream), "clearing memory");
}

/* ---- recorded work ---- */

static bool cuda_record(struct lca_device *d)
{
    return !d->cannot_record && !d->failed.text[0] &&
           lca_cuda_ok(d, cudaStreamBeginCapture(d->stream, cudaStreamCaptureModeThreadLocal), "recording");
}

static void cuda_forget(struct lca_device *d, void *work)
{
    (void)d;
    if (work)
        cudaGraphExecDestroy(work);
}

/* What fails while it is recorded has not been done: it can be done without. */
static void *cuda_recorded(struct lca_device *d)
{
    cudaGraph_t graph = NULL;
    cudaGraphExec_t work = NULL;
    if (lca_cuda_ok(d, cudaStreamEndCapture(d->stream, &graph), "recording"))
        lca_cuda_ok(d, cudaGraphInstantiate(&work, graph, 0), "recording");
    if (graph)
        cudaGraphDestroy(graph);
    if (!d->failed.text[0])
        return work;
    lca_note("%s: work is asked for anew for each chunk, which is slower and gives the same bytes", d->failed.text);
    cudaGetLastError();
    cuda_forget(d, work);
    d->failed = (struct lca_err){0};
    d->cannot_record = true;
    return NULL;
}

static int cuda_replay(struct lca_device *d, void *work, struct lca_err *err)
{
    lca_cuda_ok(d, cudaGraphLaunch(work, d->stream), "replaying");
    return result(d, err);
}

/* ---- what is no layer's ---- */

/* Examples that go through the network at a time: as many as take a few GiB, which is
 * enough to fill any card. Fixed, since where a chunk is cut changes bits. */
static uint32_t cuda_slice(size_t example, size_t parameters)
{
    (void)parameters;
    size_t n = ((size_t)8 << 30) / example;
    return n < 1 ? 1 : n > LCA_CUDA_LOSS_MAX ? LCA_CUDA_LOSS_MAX : (uint32_t)n;
}

static void cuda_input(struct lca_device *d, const struct lca_rows *rows, uint32_t n, float *x)
{
    lca_cuda_ok(d, lca_cu_input(d->stream, rows, n, x), "reading examples");
}

static void cuda_loss(struct lca_device *d, const struct lca_rows *rows, uint32_t n, uint32_t classes, int only,
                      float *z, bool gradient, struct lca_loss *sum)
{
    if (n > LCA_CUDA_LOSS_MAX)
        keep(d, false, "loss", "more than 400,000 examples at a time");
    else
        lca_cuda_ok(d, lca_cu_loss(d->stream, rows, n, classes, only, z, gradient, d->partial, sum), "loss");
}

void lca_cuda_multiply(struct lca_device *d, struct lca_cuda_matrix a, struct lca_cuda_matrix b, float *c, size_t ldc,
                       size_t m, size_t n, size_t k, bool add)
{
    /* row major c is column major c^T = op(b)^T op(a)^T */
    const float one = 1, begin = add ? 1 : 0;
    cublasComputeType_t type = d->precision == LCA_CUDA_BF16   ? CUBLAS_COMPUTE_32F_FAST_16BF
                               : d->precision == LCA_CUDA_TF32 ? CUBLAS_COMPUTE_32F_FAST_TF32
                                                               : CUBLAS_COMPUTE_32F;
    lca_cuda_blas_ok(d,
                     cublasGemmEx(d->blas, b.transposed ? CUBLAS_OP_T : CUBLAS_OP_N,
                                  a.transposed ? CUBLAS_OP_T : CUBLAS_OP_N, (int)n, (int)m, (int)k, &one, b.at,
                                  CUDA_R_32F, (int)b.ld, a.at, CUDA_R_32F, (int)a.ld, &begin, c, CUDA_R_32F, (int)ldc,
                                  type, CUBLAS_GEMM_DEFAULT),
                     "matrix product");
}

const struct lca_backend lca_backend_cuda = {
    .name = "cuda", .open = cuda_open, .close = cuda_close, .num = cuda_num,
    .alloc = cuda_alloc, .release = cuda_release, .put = cuda_put, .get = cuda_get, .clear = cuda_clear,
    .host = cuda_host, .release_host = cuda_release_host, .bring = cuda_bring, .hold = cuda_hold,
    .arrived = cuda_arrived, .fold = cuda_fold,
    .room = cuda_room, .record = cuda_record, .recorded = cuda_recorded, .replay = cuda_replay, .forget = cuda_forget,
    .roomy = true, .slice = cuda_slice,
    .layer = {[LCA_DENSE] = &lca_cuda_dense, [LCA_CONV] = &lca_cuda_conv, [LCA_MAXPOOL] = &lca_cuda_maxpool,
              [LCA_AVGPOOL] = &lca_cuda_avgpool, [LCA_GAP] = &lca_cuda_gap, [LCA_BATCHNORM] = &lca_cuda_batchnorm,
              [LCA_RELU] = &lca_cuda_relu, [LCA_DROPOUT] = &lca_cuda_dropout, [LCA_ADD] = &lca_cuda_add},
    .input = cuda_input, .loss = cuda_loss,
};
