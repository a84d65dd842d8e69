/* emulated.cpp: a card that is this CPU: threads of emulated.h, and those functions of the
 * CUDA runtime, cuBLAS and cuDNN that the CUDA device calls. Memory is ordinary memory, of
 * which $EMULATED_MIB (default 8192) can be had; cuDNN has no kernel for anything. Streams
 * do their work late, or by $EMULATED_ORDER=early the first of them at once. With
 * $EMULATED_NO_GRAPHS nothing can be recorded. */
#include "emulated.h"

#include <setjmp.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>

#include <algorithm>
#include <deque>
#include <map>
#include <memory>
#include <vector>

#include <cblas.h>
#include <cublas_v2.h>
#include <cudnn.h>

/* ---- threads ---- */

uint3 threadIdx, blockIdx;
dim3 blockDim, gridDim;

namespace {

enum { STACK = 64 * 1024, MOST = 256 };

struct barrier {
    unsigned arrived, alive, generation;
};

/* A coroutine for each thread of a block, begun once and used again for every block.
 * makecontext gives it a stack; from then on jumps go to and fro, which cost no system call. */
struct fiber {
    jmp_buf at;
    bool begun, done;
    double slot;
} fibers[MOST];

jmp_buf scheduler;
unsigned running;
barrier all, warp[MOST / 32];
const std::function<void()> *body;

void pause()
{
    if (!_setjmp(fibers[running].at))
        _longjmp(scheduler, 1);
}

void meet(barrier &b)
{
    unsigned mine = b.generation;
    if (++b.arrived == b.alive) {
        b.arrived = 0;
        b.generation++;
        return;
    }
    while (b.generation == mine)
        pause();
}

/* A thread that ends no longer keeps others waiting. */
void leave(barrier &b)
{
    if (--b.alive > 0 && b.arrived == b.alive) {
        b.arrived = 0;
        b.generation++;
    }
}

void threads_of_fiber()
{
    for (;;) {
        (*body)();
        fibers[running].done = true;
        leave(all);
        leave(warp[running / 32]);
        pause();
    }
}

void go_on(fiber &f)
{
    if (_setjmp(scheduler))
        return;
    if (f.begun)
        _longjmp(f.at, 1);
    f.begun = true;
    ucontext_t begin;
    getcontext(&begin);
    begin.uc_stack.ss_sp = malloc(STACK);
    begin.uc_stack.ss_size = STACK;
    begin.uc_link = NULL;
    makecontext(&begin, threads_of_fiber, 0);
    setcontext(&begin);
}

void run_block(unsigned threads)
{
    all = {0, threads, 0};
    for (unsigned t = 0; t < threads; t++) {
        if (t % 32 == 0)
            warp[t / 32] = {0, threads - t < 32 ? threads - t : 32, 0};
        fibers[t].done = false;
    }
    while (all.alive > 0)
        for (running = 0; running < threads; running++)
            if (!fibers[running].done) {
                threadIdx = make_uint3(running, 0, 0);
                go_on(fibers[running]);
            }
}

/* ---- streams ---- */

typedef std::vector<std::function<void()>> work;

/* What a stream is asked for waits until somebody waits for it, as late as the order of
 * streams and events allows: what does not wait and should gets wrong numbers. */
struct stream {
    std::deque<std::function<void()>> waiting;
    unsigned long begun;        /* in all, those that are done */
    bool at_once;
};

/* The place in a stream that was last noted; none at first. */
struct event {
    struct stream *in;
    unsigned long after;
};

std::vector<stream *> streams;
work *recording;

/* With EMULATED_ORDER=early the first of a device's two streams runs ahead of the other. */
bool runs_ahead()
{
    static const char *order = getenv("EMULATED_ORDER");
    static unsigned made;
    return made++ % 2 == 0 && order && !strcmp(order, "early");
}

void run_until(stream *s, unsigned long end)
{
    while (s->begun < end) {
        auto next = s->waiting.front();
        s->waiting.pop_front();
        s->begun++;
        next();
    }
}

void run_all(stream *s)
{
    run_until(s, s->begun + s->waiting.size());
}

void submit(cudaStream_t to, std::function<void()> what)
{
    stream *s = (stream *)to;
    if (recording) {
        recording->push_back(what);
        return;
    }
    s->waiting.push_back(what);
    if (s->at_once)
        run_all(s);
}

void run_grid(dim3 grid, unsigned threads, bool meets, const std::function<void()> &each)
{
    gridDim = grid;
    blockDim = dim3(threads);
    body = &each;
    for (blockIdx.y = 0; blockIdx.y < grid.y; blockIdx.y++)
        for (blockIdx.x = 0; blockIdx.x < grid.x; blockIdx.x++) {
            if (meets) {
                run_block(threads);
                continue;
            }
            for (threadIdx.x = 0; threadIdx.x < threads; threadIdx.x++)
                each();
        }
}

}

void __syncthreads()
{
    meet(all);
}

unsigned emulated_lane()
{
    return running % 32;
}

double emulated_exchange(double value, unsigned from)
{
    unsigned me = running;
    fibers[me].slot = value;
    meet(warp[me / 32]);
    double got = fibers[me / 32 * 32 + from].slot;
    meet(warp[me / 32]);
    return got;
}

void emulated_launch(cudaStream_t s, dim3 grid, unsigned threads, bool meets, std::function<void()> each)
{
    submit(s, [=] { run_grid(grid, threads, meets, each); });
}

/* ---- runtime ---- */

namespace {

size_t used;
std::map<void *, size_t> taken;
std::map<char *, size_t> pinned;

bool is_pinned(const void *p)
{
    auto next = pinned.upper_bound((char *)p);
    return next != pinned.begin() && (char *)p < std::prev(next)->first + std::prev(next)->second;
}

size_t memory()
{
    const char *mib = getenv("EMULATED_MIB");
    return (mib ? strtoull(mib, NULL, 10) : 8192) << 20;
}

}

extern "C" {

cudaError_t cudaGetDeviceCount(int *n)
{
    *n = 1;
    return cudaSuccess;
}

cudaError_t cudaGetDeviceProperties(struct cudaDeviceProp *p, int)
{
    memset(p, 0, sizeof *p);
    strcpy(p->name, "emulated card");
    return cudaSuccess;
}

cudaError_t cudaSetDevice(int) { return cudaSuccess; }
cudaError_t cudaGetLastError(void) { return cudaSuccess; }
const char *cudaGetErrorString(cudaError_t) { return "an error of the emulated card"; }

cudaError_t cudaMalloc(void **p, size_t n)
{
    if (n > memory() - used)
        return cudaErrorMemoryAllocation;
    /* what is read before it is written shows */
    *p = malloc(n);
    memset(*p, 0xff, n);
    taken[*p] = n;
    used += n;
    return cudaSuccess;
}

cudaError_t cudaFree(void *p)
{
    for (stream *s : streams)
        run_all(s);
    used -= p ? taken[p] : 0;
    taken.erase(p);
    free(p);
    return cudaSuccess;
}

cudaError_t cudaMallocHost(void **p, size_t n)
{
    *p = malloc(n);
    memset(*p, 0xff, n);
    pinned[(char *)*p] = n;
    return cudaSuccess;
}

cudaError_t cudaFreeHost(void *p)
{
    pinned.erase((char *)p);
    free(p);
    return cudaSuccess;
}

cudaError_t cudaMemGetInfo(size_t *left, size_t *all)
{
    *all = memory();
    *left = *all - used;
    return cudaSuccess;
}

/* Only pinned memory is read and written when the stream gets there. */
cudaError_t cudaMemcpyAsync(void *to, const void *from, size_t n, enum cudaMemcpyKind kind, cudaStream_t s)
{
    if (kind == cudaMemcpyHostToDevice && !is_pinned(from)) {
        auto now = std::make_shared<std::vector<char>>((const char *)from, (const char *)from + n);
        submit(s, [=] { memcpy(to, now->data(), n); });
        return cudaSuccess;
    }
    submit(s, [=] { memcpy(to, from, n); });
    return kind == cudaMemcpyDeviceToHost && !is_pinned(to) ? cudaStreamSynchronize(s) : cudaSuccess;
}

cudaError_t cudaMemsetAsync(void *p, int value, size_t n, cudaStream_t s)
{
    submit(s, [=] { memset(p, value, n); });
    return cudaSuccess;
}

cudaError_t cudaStreamCreateWithFlags(cudaStream_t *s, unsigned)
{
    *s = (cudaStream_t) new stream{{}, 0, runs_ahead()};
    streams.push_back((stream *)*s);
    return cudaSuccess;
}

cudaError_t cudaStreamDestroy(cudaStream_t s)
{
    run_all((stream *)s);
    streams.erase(std::find(streams.begin(), streams.end(), (stream *)s));
    delete (stream *)s;
    return cudaSuccess;
}

cudaError_t cudaStreamSynchronize(cudaStream_t s)
{
    if (recording)
        return cudaErrorStreamCaptureUnsupported;
    run_all((stream *)s);
    return cudaSuccess;
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t *e, unsigned)
{
    *e = (cudaEvent_t) new event();
    return cudaSuccess;
}

cudaError_t cudaEventDestroy(cudaEvent_t e)
{
    delete (event *)e;
    return cudaSuccess;
}

cudaError_t cudaEventRecord(cudaEvent_t e, cudaStream_t s)
{
    stream *in = (stream *)s;
    *(event *)e = {in, in->begun + in->waiting.size()};
    return cudaSuccess;
}

cudaError_t cudaEventSynchronize(cudaEvent_t e)
{
    event now = *(event *)e;
    if (now.in)
        run_until(now.in, now.after);
    return cudaSuccess;
}

cudaError_t cudaStreamWaitEvent(cudaStream_t s, cudaEvent_t e, unsigned)
{
    event now = *(event *)e;
    if (now.in)
        submit(s, [=] { run_until(now.in, now.after); });
    return cudaSuccess;
}

cudaError_t cudaStreamBeginCapture(cudaStream_t, enum cudaStreamCaptureMode)
{
    recording = new work;
    return cudaSuccess;
}

cudaError_t cudaStreamEndCapture(cudaStream_t, cudaGraph_t *g)
{
    *g = (cudaGraph_t)recording;
    recording = NULL;
    if (!getenv("EMULATED_NO_GRAPHS"))
        return cudaSuccess;
    delete (work *)*g;
    *g = NULL;
    return cudaErrorStreamCaptureInvalidated;
}

cudaError_t cudaGraphInstantiate(cudaGraphExec_t *e, cudaGraph_t g, unsigned long long)
{
    *e = (cudaGraphExec_t) new work(*(work *)g);
    return cudaSuccess;
}

cudaError_t cudaGraphDestroy(cudaGraph_t g)
{
    delete (work *)g;
    return cudaSuccess;
}

cudaError_t cudaGraphLaunch(cudaGraphExec_t e, cudaStream_t s)
{
    for (auto &one : *(work *)e)
        submit(s, one);
    return cudaSuccess;
}

cudaError_t cudaGraphExecDestroy(cudaGraphExec_t e)
{
    delete (work *)e;
    return cudaSuccess;
}

/* ---- cuBLAS ---- */

cublasStatus_t cublasCreate_v2(cublasHandle_t *h)
{
    openblas_set_num_threads(1);
    *h = (cublasHandle_t) new cudaStream_t();
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasDestroy_v2(cublasHandle_t h)
{
    delete (cudaStream_t *)h;
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasSetStream_v2(cublasHandle_t h, cudaStream_t s)
{
    *(cudaStream_t *)h = s;
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasSetWorkspace_v2(cublasHandle_t, void *, size_t) { return CUBLAS_STATUS_SUCCESS; }
cublasStatus_t cublasSetAtomicsMode(cublasHandle_t, cublasAtomicsMode_t) { return CUBLAS_STATUS_SUCCESS; }
const char *cublasGetStatusString(cublasStatus_t) { return "an error of the emulated cuBLAS"; }

cublasStatus_t cublasGetVersion_v2(cublasHandle_t, int *version)
{
    *version = 0;
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasGemmEx(cublasHandle_t h, cublasOperation_t ta, cublasOperation_t tb, int m, int n, int k,
                            const void *alpha, const void *a, cudaDataType, int lda, const void *b, cudaDataType, int ldb,
                            const void *beta, void *c, cudaDataType, int ldc, cublasComputeType_t, cublasGemmAlgo_t)
{
    const float by = *(const float *)alpha, keep = *(const float *)beta;
    submit(*(cudaStream_t *)h, [=] {
        cblas_sgemm(CblasColMajor, ta == CUBLAS_OP_N ? CblasNoTrans : CblasTrans,
                    tb == CUBLAS_OP_N ? CblasNoTrans : CblasTrans, m, n, k, by, (const float *)a, lda, (const float *)b, ldb,
                    keep, (float *)c, ldc);
    });
    return CUBLAS_STATUS_SUCCESS;
}

/* ---- cuDNN ---- */

size_t cudnnGetVersion(void) { return 0; }
const char *cudnnGetErrorString(cudnnStatus_t) { return "an error of the emulated cuDNN"; }

cudnnStatus_t cudnnCreate(cudnnHandle_t *h)
{
    *h = (cudnnHandle_t)malloc(1);
    return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnDestroy(cudnnHandle_t h)
{
    free(h);
    return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnSetStream(cudnnHandle_t, cudaStream_t) { return CUDNN_STATUS_SUCCESS; }

cudnnStatus_t cudnnBackendCreateDescriptor(cudnnBackendDescriptorType_t, cudnnBackendDescriptor_t *)
{
    return CUDNN_STATUS_NOT_SUPPORTED;
}

cudnnStatus_t cudnnBackendDestroyDescriptor(cudnnBackendDescriptor_t) { return CUDNN_STATUS_SUCCESS; }

cudnnStatus_t cudnnBackendSetAttribute(cudnnBackendDescriptor_t, cudnnBackendAttributeName_t, cudnnBackendAttributeType_t,
                                       int64_t, const void *)
{
    return CUDNN_STATUS_NOT_SUPPORTED;
}

cudnnStatus_t cudnnBackendGetAttribute(cudnnBackendDescriptor_t, cudnnBackendAttributeName_t, cudnnBackendAttributeType_t,
                                       int64_t, int64_t *, void *)
{
    return CUDNN_STATUS_NOT_SUPPORTED;
}

cudnnStatus_t cudnnBackendFinalize(cudnnBackendDescriptor_t) { return CUDNN_STATUS_NOT_SUPPORTED; }

cudnnStatus_t cudnnBackendExecute(cudnnHandle_t, cudnnBackendDescriptor_t, cudnnBackendDescriptor_t)
{
    return CUDNN_STATUS_NOT_SUPPORTED;
}

}
