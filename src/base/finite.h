/* finite.h: is every value a number? */
#ifndef LCA_BASE_FINITE_H
#define LCA_BASE_FINITE_H

#include <stdint.h>

/* Place of the first NaN or infinity in v [n]; n: there is none. */
uint64_t lca_finite(const float *v, uint64_t n);

#endif
