#include "nn/train.h"

#include <string.h>

int lca_train_step(struct lca_eval *e, struct lca_optim *o, float *theta, float *grad,
                   const uint32_t *index, uint32_t n, int64_t dropout_seed,
                   struct lca_loss *sum, struct lca_err *err)
{
    struct lca_rng rng = {(uint32_t)dropout_seed, LCA_RNG_DROPOUT, o->t};
    if (lca_eval_batch(e, theta, index, n, dropout_seed < 0 ? NULL : &rng, grad, sum, err) < 0)
        return -1;
    float each = 1.0f / (float)n;
    for (uint64_t i = 0; i < o->table->P; i++)
        grad[i] *= each;
    lca_optim_step(o, theta, grad);
    return 0;
}

bool lca_train_finite(const float *theta, uint64_t P)
{
    /* by their bits: whole numbers are compared many at a time */
    uint32_t bad = 0;
    for (uint64_t i = 0; i < P; i++) {
        uint32_t bits;
        memcpy(&bits, &theta[i], sizeof bits);
        bad |= (bits & 0x7f800000) == 0x7f800000;
    }
    return !bad;
}
