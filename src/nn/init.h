/* init.h: initial weights.
 *
 * Kernels: He-normal, cut off at two standard deviations and rescaled so that the
 * variance is 2 / fan_in, fan_in = kh kw in (Lan et al. 2019, as the Keras
 * initialiser he_normal does). Biases and beta 0, gamma 1. */
#ifndef LCA_NN_INIT_H
#define LCA_NN_INIT_H

#include "nn/net.h"

/* Fills theta [net->P]. Same seed: same bytes. A tensor's values depend on seed and
 * on its place in the table only. */
void lca_init(const struct lca_net *net, uint32_t seed, float *theta);

#endif
