/* launch.cuh: how kernels of this folder are launched: a thread per element, 256 to a
 * block, each element by itself. */
#ifndef LCA_BACKEND_CUDA_LAUNCH_CUH
#define LCA_BACKEND_CUDA_LAUNCH_CUH

#include <stddef.h>

#include <cuda_runtime.h>

enum { THREADS = 256 };

static inline unsigned blocks_for(size_t n)
{
    return (unsigned)((n + THREADS - 1) / THREADS);
}

#ifdef __CUDACC__
/* Launches kernel over n elements; nothing for none. */
#define LAUNCH(kernel, n, s, ...)                                   \
    do {                                                            \
        if ((n) > 0)                                                \
            kernel<<<blocks_for(n), THREADS, 0, s>>>(__VA_ARGS__);  \
    } while (0)
/* Launches a grid of blocks whose threads work together. */
#define LAUNCH_BLOCKS(kernel, grid, s, ...) kernel<<<grid, THREADS, 0, s>>>(__VA_ARGS__)
#else
#include "emulated.h"           /* tests/emulated: the same on the CPU */
#endif

/* This thread's element. */
static __device__ inline size_t element()
{
    return (size_t)blockIdx.x * THREADS + threadIdx.x;
}

#endif
