/* avx512.c: 16 lanes, 32 registers. */
#if defined __x86_64__
#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,bmi,bmi2")
#define LANES 16
#define COLUMNS 7
#define TALL 12
#define ISA "avx512"
#define USABLE (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && \
                __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") && \
                __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi2"))
#define KERNELS lca_cpu_avx512
#include "backend/cpu/kernels.h"
#else
typedef int not_x86;
#endif
