/* vec4.c: 4 lanes, what every 64-bit machine has (SSE2, NEON). */
#define LANES 4
#define COLUMNS 2
#define TALL 6
#define ISA "vec4"
#define USABLE true
#define KERNELS lca_cpu_vec4
#include "backend/cpu/kernels.h"
