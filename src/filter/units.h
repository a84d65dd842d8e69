/* units.h: parameters by unit: the neurons of a dense layer, the channels of a
 * convolution (Lan et al. 2019, section 5).
 *
 * An output unit has the kernel's weights along its last axis, its bias and, where
 * there is a batch norm, its gamma and beta: all parameters of a layer, each once. An
 * input unit has the kernel's weights along the axis before the last. */
#ifndef LCA_FILTER_UNITS_H
#define LCA_FILTER_UNITS_H

#include "nn/table.h"

struct lca_units {
    struct lca_layer_units {
        uint32_t n_in, n_out;           /* n_in 0: the layer has no kernel */
        uint64_t in, out;               /* where they begin among those of all layers */
    } *layer;                           /* [table.n_layer], owned */
    uint64_t n_in, n_out;               /* of all layers */
    uint32_t widest;                    /* most units that any layer has, on either side */
};

/* Fills *u, to be cleared. LCA_USAGE for a tensor that does not belong to the layer's
 * output units. */
int lca_units_init(struct lca_units *u, const struct lca_table *t, struct lca_err *err) LCA_MUST_USE;

/* Adds v [P] up by unit: in [u->n_in] (NULL: not wanted) and out [u->n_out], layer
 * after layer; both are overwritten. */
void lca_units_sum(const struct lca_units *u, const struct lca_table *t, const float *v, double *in, double *out);

void lca_units_clear(struct lca_units *u);

#endif
