/* eval-inside.h: an evaluator, as its own files see it: eval.c makes it, eval-pass.c takes
 * examples through the network and back, eval-unit.c has the units of eval.h done. */
#ifndef LCA_NN_EVAL_INSIDE_H
#define LCA_NN_EVAL_INSIDE_H

#include "nn/eval.h"
#include "nn/plan.h"

enum { LCA_EVAL_CLASSES = 256, LCA_EVAL_RECORDED = 16 };

/* A unit's work as a device plays it back: all but its data. */
struct lca_eval_recorded {
    uint32_t n, slice;
    unsigned slot;
    bool gradient, done;    /* done: once, so that all is made that it needs */
    void *work;
};

/* A unit as it is asked for. */
struct lca_eval_ask {
    const float *theta;
    uint32_t lo, hi;
    bool by_class, gradient;
    double *total;          /* device, [rows][P]: gradients are added to it; NULL: they are brought */
};

/* A unit that the device is at, and its results. */
struct lca_eval_slot {
    unsigned at;            /* of e->slot; the ticket of what it brings */
    struct lca_eval_ask ask;
    /* Memory that the device reads from and brings to. */
    uint32_t *index;        /* [n_max], the examples, in order of class */
    uint8_t *label;         /* [n_max] */
    float *sent;            /* [P], theta; NULL on a host device */
    float *grad;            /* [rows][P], or NULL until it is wanted */
    uint32_t rows;
    struct lca_loss *sum;   /* [classes] */
    /* The unit that index and label are of, here and on the device; 0, 0: of none. */
    uint32_t lo, hi;
    uint32_t count[LCA_EVAL_CLASSES];   /* its examples of each class */
    /* Device: index and label, and what one pass leaves. On a host device the first two are
     * those above, and d_grad is NULL until it is wanted. */
    uint32_t *d_index;
    uint8_t *d_label;
    float *d_grad;          /* [P] */
    struct lca_loss *d_sum; /* [classes] */
    int status;             /* of begin, with err */
    struct lca_err err;
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
    void *d_images;
    float *own_theta;       /* device; NULL on a host device */
    uint64_t theta_id, has_theta;       /* of the calls now; of what own_theta holds, 0: unknown */
    double *total;          /* device: of lca_eval_set; NULL until it is wanted, and on a host device */
    uint32_t total_rows;
    struct lca_eval_slot slot[LCA_TICKETS];
    unsigned slots;         /* of them, those in use */
    unsigned oldest, begun; /* units begun and not finished: the first, and how many */
    /* Where the pass now takes examples and theta from, and leaves gradient and losses. */
    const uint32_t *index;
    const uint8_t *label;
    float *theta;           /* only ever read, as lca_call says */
    float *grad;
    struct lca_loss *sum;
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
