/* extremes.h: few out of many: the least, the greatest, some at random. */
#ifndef LCA_LCA_EXTREMES_H
#define LCA_LCA_EXTREMES_H

#include <stdint.h>

#include "base/rng.h"

/* Places of the k <= n least of sign * v[i], i < n, the least first; of equals the
 * lower place first. sign 1: the least, -1: the greatest. No NaN. */
void lca_extremes(const double *v, uint64_t n, double sign, uint64_t *place, uint64_t k);

/* k <= n different numbers below n, in rising order, each set of k equally likely. */
void lca_sample(const struct lca_rng *r, uint64_t n, uint64_t *number, uint64_t k);

#endif
