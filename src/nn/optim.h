/* optim.h: one training step, and what experiments do to it.
 *
 *   SGD    v <- m v + g;  theta <- theta - lr v
 *   Adam   m <- b1 m + (1-b1) g;  v <- b2 v + (1-b2) g^2;
 *          theta <- theta - lr sqrt(1-b2^t)/(1-b1^t) m / (sqrt(v) + 1e-8),  t = 1, 2, ...
 * with b1 0.9 and b2 0.999 (Kingma & Ba 2015, last form of their section 2). All in
 * float, element by element: the same bytes everywhere.
 *
 * Steps count from 0: step t leads from theta_t to theta_t+1. Per layer of the table:
 *   freeze at t0   from step t0 on theta keeps its bits, and momentum is dropped at once
 *   lr, momentum   instead of the common ones; lr follows the common schedule in ratio
 *   delay D        step t applies the gradient of step t-D; the first D steps do nothing */
#ifndef LCA_NN_OPTIM_H
#define LCA_NN_OPTIM_H

#include <stdint.h>

#include "base/err.h"
#include "nn/table.h"

enum lca_optim_kind { LCA_SGD, LCA_ADAM };

struct lca_optim_layer {
    double lr, momentum;    /* NAN: the common one */
    uint64_t freeze;        /* first frozen step; UINT64_MAX: never */
    uint32_t delay;         /* steps */
    size_t ring;            /* where its waiting gradients lie in lca_optim.ring */
};

/* State that a checkpoint keeps: t, m, v and ring. */
struct lca_optim {
    enum lca_optim_kind kind;
    double lr, momentum;
    const struct lca_table *table;      /* borrowed */
    struct lca_optim_layer *layer;      /* [n_layer], owned */
    struct { uint64_t t; double lr; } at[32];   /* common lr from step t on; t ascending */
    unsigned n_at;
    uint64_t t;             /* steps done */
    float *m;               /* [P] momentum, or Adam's first moment; owned */
    float *v;               /* [P] Adam's second moment; NULL with SGD */
    float *ring;            /* [n_ring] gradients that wait, owned */
    size_t n_ring;
};

int lca_optim_init(struct lca_optim *o, const struct lca_table *table, enum lca_optim_kind kind,
                   double lr, double momentum, struct lca_err *err) LCA_MUST_USE;

/* The values of the options --freeze, --layer-lr, --layer-momentum, --delay and
 * --lr-steps; each may be called more than once, all before the first step.
 * LCA_USAGE with the layers' names when there is no such layer. */
int lca_optim_freeze(struct lca_optim *o, const char *layer_at_step,
                     struct lca_err *err) LCA_MUST_USE;
int lca_optim_layer_lr(struct lca_optim *o, const char *layer_is_x,
                       struct lca_err *err) LCA_MUST_USE;
int lca_optim_layer_momentum(struct lca_optim *o, const char *layer_is_x,
                             struct lca_err *err) LCA_MUST_USE;
int lca_optim_delay(struct lca_optim *o, const char *layer_is_d, struct lca_err *err) LCA_MUST_USE;
int lca_optim_lr_steps(struct lca_optim *o, const char *steps, struct lca_err *err) LCA_MUST_USE;

/* The common learning rate of step t. */
double lca_optim_lr(const struct lca_optim *o, uint64_t t);

/* Step o->t: changes theta [P] by the mean gradient grad [P]. */
void lca_optim_step(struct lca_optim *o, float *theta, const float *grad);

void lca_optim_clear(struct lca_optim *o);

#endif
