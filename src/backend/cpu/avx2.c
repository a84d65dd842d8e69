/* avx2.c: 8 lanes, 16 registers. */
#if defined __x86_64__
#pragma GCC target("avx2,fma,bmi,bmi2")
#define LANES 8
#define COLUMNS 3
#define TALL 6
#define ISA "avx2"
#define USABLE (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && \
                __builtin_cpu_supports("bmi2"))
#define KERNELS lca_cpu_avx2
#include "backend/cpu/kernels.h"
#else
typedef int not_x86;
#endif
