/* emulated.h: enough of CUDA C++ for a host compiler to run the kernels of src/backend/cuda
 * on the CPU: one block after the other, its threads as coroutines that meet at
 * barriers. It shows whether kernels compute the right numbers at the right places;
 * nothing of speed, of races within a warp, or of a card's rounding. */
#ifndef TESTS_EMULATED_H
#define TESTS_EMULATED_H

#include <functional>

#include <cuda_runtime.h>

#undef __shared__
#define __shared__ static               /* one block runs at a time */

extern uint3 threadIdx, blockIdx;
extern dim3 blockDim, gridDim;

void __syncthreads();

/* A value of each lane of the warp goes to `slot`; what lane `from` put there comes back. */
double emulated_exchange(double value, unsigned from);
unsigned emulated_lane();

template <typename T> T __shfl_sync(unsigned, T v, int from)
{
    return (T)emulated_exchange((double)v, (unsigned)from % 32);
}

template <typename T> T __shfl_down_sync(unsigned, T v, int by)
{
    unsigned lane = emulated_lane();
    return (T)emulated_exchange((double)v, lane + (unsigned)by < 32 ? lane + (unsigned)by : lane);
}

template <typename T> T __shfl_xor_sync(unsigned, T v, int mask)
{
    return (T)emulated_exchange((double)v, emulated_lane() ^ (unsigned)mask);
}

/* Runs body once for each thread of each block, when the stream gets there. meets: threads
 * wait for each other. */
void emulated_launch(cudaStream_t s, dim3 grid, unsigned threads, bool meets, std::function<void()> body);

/* Arguments are looked at now, as at a launch. */
#define LAUNCH(kernel, n, s, ...)                                                                       \
    do {                                                                                                \
        if ((n) > 0)                                                                                    \
            emulated_launch(s, dim3(blocks_for(n)), THREADS, false, std::bind(kernel, __VA_ARGS__));    \
    } while (0)
#define LAUNCH_BLOCKS(kernel, grid, s, ...)                                                             \
    do {                                                                                                \
        emulated_launch(s, dim3(grid), THREADS, true, std::bind(kernel, __VA_ARGS__));                  \
    } while (0)

#endif
