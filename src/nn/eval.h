/* eval.h: loss and gradient of a network on chunks of a data set.
 *
 * The chunk is the unit of work: the same chunk and the same parameters give the
 * same bytes, on devices of the same numerics id, whatever was computed before.
 * Losses add in double; gradients are sums over examples in float, folded over
 * chunks in double. Dropout is off except in lca_eval_batch
 * when asked for (Lan et al. 2019: the loss surface has no dropout). Memory
 * is taken when the evaluator is made, and at the first call of each kind. */
#ifndef LCA_NN_EVAL_H
#define LCA_NN_EVAL_H

#include <stdint.h>

#include "backend/backend.h"
#include "base/err.h"
#include "base/rng.h"
#include "nn/net.h"

struct lca_eval;                    /* opaque */

/* Examples, borrowed as long as the evaluator lives: several sets of one data file
 * may stand in one array one after the other. */
struct lca_images {
    const uint8_t *image;           /* [n][pixels], channels last */
    const uint8_t *label;           /* [n], below the number of classes */
    uint32_t n;
    size_t pixels;
};

/* An evaluator for units of at most n_max examples. Borrows net. NULL when the
 * device cannot compute a layer (it is named), when images do not fit the net, or
 * for want of memory. */
struct lca_eval *lca_eval_new(const struct lca_net *net, const char *device,
                              const struct lca_images *images, uint32_t n_max,
                              struct lca_err *err) LCA_MUST_USE;

/* The numerics id of HEAD.num: "cpu/lca-0.1.0/openblas-0.3.21-Zen/avx512". */
const char *lca_eval_num(const struct lca_eval *e);

/* Names the theta of the calls that follow. Calls of one id have the same theta, which goes to
 * the device once; with 0, as at the beginning, it goes with every call. */
void lca_eval_theta(struct lca_eval *e, uint64_t id);

/* Examples lo .. hi-1 at theta [P]. Fills *sum (nat, summed over the examples) and,
 * unless grad is NULL, grad [P], the gradient of that sum. */
int lca_eval_unit(struct lca_eval *e, const float *theta, uint32_t lo, uint32_t hi,
                  float *grad, struct lca_loss *sum, struct lca_err *err) LCA_MUST_USE;

/* The same by class of the label: grad [classes][P] or NULL, sum [classes]. Rows of
 * classes without examples are zero. The rows add up to lca_eval_unit's, to
 * rounding. A network with batch norm keeps the statistics of the whole unit. */
int lca_eval_classes(struct lca_eval *e, const float *theta, uint32_t lo, uint32_t hi,
                     float *grad, struct lca_loss *sum, struct lca_err *err) LCA_MUST_USE;

/* The same in two halves, by class or not, so that a device goes on while results are on
 * their way and used: begin up to lca_eval_ahead units, finish the one begun first, begin
 * another. theta must stay until then; what went wrong in begin is said by finish. *grad
 * [classes or 1][P] is the evaluator's, until the next begin. The other functions give up
 * what has been begun, and so does drop. */
unsigned lca_eval_ahead(const struct lca_eval *e);
void lca_eval_begin(struct lca_eval *e, const float *theta, uint32_t lo, uint32_t hi, bool by_class);
int lca_eval_finish(struct lca_eval *e, const float **grad, struct lca_loss *sum, struct lca_err *err) LCA_MUST_USE;
void lca_eval_drop(struct lca_eval *e);

/* Consecutive units of `size` examples, the last perhaps smaller. */
struct lca_eval_units {
    uint32_t lo, hi, size;
};

/* Units folded on the device: grad [classes or 1][P], unless NULL, is the sum in double of the
 * gradients of all units in their order, and sum [classes or 1] that of the losses: the same
 * bytes as adding up what lca_eval_unit gives. */
int lca_eval_set(struct lca_eval *e, const float *theta, struct lca_eval_units u, bool by_class, double *grad,
                 struct lca_loss *sum, struct lca_err *err) LCA_MUST_USE;

/* Examples index[0 .. n-1], as in a mini-batch. dropout, unless NULL, turns dropout
 * on, with {seed, LCA_RNG_DROPOUT, training step}. */
int lca_eval_batch(struct lca_eval *e, const float *theta, const uint32_t *index, uint32_t n,
                   const struct lca_rng *dropout, float *grad, struct lca_loss *sum,
                   struct lca_err *err) LCA_MUST_USE;

/* Examples that go through the network at a time, at most what the device asks for;
 * 0: that. For tests and measurements: it changes bits. */
void lca_eval_slice(struct lca_eval *e, uint32_t n);

void lca_eval_free(struct lca_eval *e);

/* Seconds per example of lca_eval_set with gradient over all images in units of `unit`:
 * least of `repeat` passes, or of as many as begin within 15 seconds. */
int lca_eval_time(struct lca_eval *e, const float *theta, uint32_t unit, bool by_class, int repeat,
                  double *seconds, struct lca_err *err) LCA_MUST_USE;

#endif
