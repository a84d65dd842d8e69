/* reference.c: plain C, in float and in double: the oracle of the tests. */
#include <math.h>

#include "backend/cpu/cpu.h"

#define real float
#define NAME(x) lca_reference_##x##_f
#include "backend/cpu/reference.h"
#undef real
#undef NAME

#define real double
#define NAME(x) lca_reference_##x##_d
#include "backend/cpu/reference.h"
