/* eval-inside.h: an evaluator, as its own files see it: eval.c makes it, eval-pass.c takes
 * examples through the network and back, eval-unit.c has the units of eval.h done. */
#ifndef LCA_NN_EVAL_INSIDE_H
#define LCA_NN_EVAL_INSIDE_H

#include "nn/eval.h"
#include "nn/plan.h"

enum { LCA_EVAL_CLASSES = 256, LCA_EVAL_RECORDED = 8 };

/* A unit's work as a device plays it back: all but its data. */
struct lca_eval_recorded {
    uint32_t n, slice;
    bool gradient, done;    /* done: once, so that all is made that it needs */
    void *work;
};

struct lca_eval {
    const struct lca_net *net;
    const struct lca_backend *backend;
    struct lca_device *device;
    struct lca_images images;
    struct lca_plan plan;
    uint32_t n_max;         /* examples in a unit */
    uint32_t slice;         /* at most in a slice */
    float *kept, *cut;      /* device: the plan's arrays for all examples, and for a slice */
    void **state;           /* [n_layer], device */
    void *scratch;          /* device */
    struct lca_rows rows;   /* device */
    float *x;               /* device, [largest room], the input as floats; NULL if none reads it */
    uint32_t *index;        /* [n_max] */
    uint8_t *label;         /* [n_max] */
    void *d_index, *d_label, *d_images;
    float *theta, *grad;    /* device; the caller's on a host device */
    float *own_theta, *own_grad;
    uint64_t theta_id, has_theta;       /* of the calls now; of what own_theta holds, 0: unknown */
    struct lca_loss *sum;   /* device, [classes] */
    struct lca_eval_recorded recorded[LCA_EVAL_RECORDED];
    unsigned next;          /* the one to be replaced */
};

/* One pass over examples first .. first+n-1 of index and label, for batch norm together. */
struct lca_eval_pass {
    uint32_t first, n;
    const struct lca_rng *dropout;      /* NULL: off */
    int only;                           /* the class whose losses count; -1: all */
};

/* begin and end of all layers; end writes the gradient to e->grad. */
void lca_eval_begin_layers(struct lca_eval *e);
void lca_eval_end_layers(struct lca_eval *e);

/* All stages before the last, forward. */
void lca_eval_forward(struct lca_eval *e, const struct lca_eval_pass *p);

/* The last stage with the loss and, if a gradient is wanted, all stages back. */
void lca_eval_back(struct lca_eval *e, const struct lca_eval_pass *p, bool gradient);

#endif
