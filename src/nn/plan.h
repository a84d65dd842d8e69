/* plan.h: the order in which an evaluator goes through a network, and what it keeps.
 *
 * A batch norm needs all examples of a pass before it can say anything about one. So a
 * pass goes in stages: those of one stage are computed slice by slice, all layers for
 * one slice before the next, and a batch norm begins a new stage. A network without
 * batch norm has one stage. Backward the stages come in reverse; within the last one a
 * slice goes forward and back at once.
 *
 * What crosses from stage to stage is kept for all examples of the pass; all else has
 * room for a slice, and is computed again on the way back where backward reads it
 * (heavy layers are kept instead). Kept arrays lie in one block of memory, those that
 * never live at the same time on top of each other. dy of the logits is their y: the
 * loss writes its gradient over it. */
#ifndef LCA_NN_PLAN_H
#define LCA_NN_PLAN_H

#include "nn/net.h"

/* An array of a layer: y, or dy. */
struct lca_plan_array {
    bool kept;              /* for all examples, else for those of a slice */
    size_t at;              /* kept: floats per example of the pass; else floats per slice */
};

struct lca_plan_layer {
    const struct lca_layer_ops *ops;    /* NULL: flatten */
    bool fused;             /* relu: the layer before does it */
    bool relu;              /* that layer */
    bool learns;            /* parameters here or before: a gradient must come through */
    bool again;             /* forward once more on the way back */
    bool adds[2][2];        /* [training][input]: another layer has written the input's dy before */
    unsigned stage;
    struct lca_plan_array y, dy;
};

struct lca_plan {
    unsigned stages;
    uint32_t *room;         /* [stages] examples in a slice; owned */
    bool *image;            /* [stages] whether it reads the input as floats; owned */
    size_t kept, slice;     /* floats: of kept arrays per example; of all others */
    struct lca_plan_layer *layer;       /* [n_layer], owned */
};

/* Fills *p for passes of at most n_max examples; all arrays have lca_ld(size) floats per
 * example. LCA_USAGE when the device cannot compute a layer, which is named. */
int lca_plan_init(struct lca_plan *p, const struct lca_net *net, const struct lca_backend *backend,
                  uint32_t n_max, struct lca_err *err) LCA_MUST_USE;
void lca_plan_clear(struct lca_plan *p);

/* The layer whose y is the input at `from`: skips what changes nothing (flatten, ReLU
 * that the layer before does, dropout unless training); -1: the image. */
int lca_plan_source(const struct lca_plan *p, const struct lca_net *net, int from, bool training);

#endif
