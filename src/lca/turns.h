/* turns.h: changes of sign from one step to the next, per parameter: weight turns (of the
 * movement d) and gradient crossings (of the gradient at whole steps) of Lan et al. 2019. */
#ifndef LCA_LCA_TURNS_H
#define LCA_LCA_TURNS_H

#include <stddef.h>
#include <stdint.h>

/* One step: where now[i] and the value before have opposite signs, count[i] goes up;
 * zeros have none, and are not bridged. sign[n] holds -1, 0, 1 of the step before (0 at
 * the beginning) and then of this one. Returns the number of changes. n < 2^32. */
uint64_t lca_turns(uint32_t *count, int8_t *sign, const float *now, size_t n);

#endif
