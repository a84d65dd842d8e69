/* train.h: one training step on one mini-batch. */
#ifndef LCA_NN_TRAIN_H
#define LCA_NN_TRAIN_H

#include "nn/eval.h"
#include "nn/optim.h"

/* Step o->t with the examples index[0 .. n-1]: their mean gradient, with dropout
 * unless dropout_seed is negative, changes theta [P]. grad [P] is filled with that mean
 * gradient; sum with the losses before the step. */
int lca_train_step(struct lca_eval *e, struct lca_optim *o, float *theta, float *grad,
                   const uint32_t *index, uint32_t n, int64_t dropout_seed,
                   struct lca_loss *sum, struct lca_err *err) LCA_MUST_USE;

/* Whether none of theta[P] is infinite or NaN. */
bool lca_train_finite(const float *theta, uint64_t P);

#endif
