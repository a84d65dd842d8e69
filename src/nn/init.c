#include "nn/init.h"

#include <math.h>

#include "base/rng.h"

void lca_init(const struct lca_net *net, uint32_t seed, float *theta)
{
    for (unsigned k = 0; k < net->table.n_tensor; k++) {
        const struct lca_tensor *t = &net->table.tensor[k];
        struct lca_rng rng = {seed, LCA_RNG_INIT, k};
        double fan_in = (double)t->len / (double)t->shape[t->n_shape - 1];
        /* the deviation of a standard normal cut off at 2 */
        double sigma = sqrt(2 / fan_in) / 0.8796256610342398;
        for (uint64_t i = 0; i < t->len; i++) {
            float x = t->kind == LCA_GAMMA ? 1 : 0;
            if (t->kind == LCA_KERNEL)
                x = (float)(sigma * lca_rng_truncated(&rng, i, 2));
            theta[t->off + i] = x;
        }
    }
}
