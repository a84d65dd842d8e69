/* reference-net.h: loss and gradient of a whole network in double, from the plain-C
 * operations of backend/cpu/reference-ops.h: what tests hold eval.h to.
 *
 * A loss surface of ReLUs and max pools has kinks, and there a float evaluator or a
 * difference quotient may rightly land on the other side. So the reference can tell
 * the side of every kink (pattern), and what comes of all near ones seen from
 * either side (doubt). */
#ifndef LCA_NN_REFERENCE_NET_H
#define LCA_NN_REFERENCE_NET_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "nn/net.h"

/* Examples of one chunk: batch norm takes its statistics over all of them. */
struct lca_reference_chunk {
    const double *x;            /* [n][pixels], scaled to 0 .. 1 */
    const uint8_t *label;       /* [n] */
    size_t n;
};

enum { LCA_REFERENCE_ALL = -1 };

struct lca_reference_result {
    double loss;                /* nat, summed over the examples that count */
    uint64_t pattern;           /* a hash of which ReLUs are on and which inputs pools pass */
};

/* Loss and, unless grad is NULL, its gradient grad [P] at theta [P]; dropout is off.
 * Examples of class `only` count, or all; the others stay in the statistics.
 *
 * doubt: 0. Else the gradient (not the loss) takes the sides of kinks as if the input
 * of every ReLU and max pool were off by +- |doubt| x its root mean square, with signs
 * that alternate irregularly and turn with the sign of doubt; inputs of exactly 0
 * stay. Results for doubt and -doubt differ where a kink is that near. */
int lca_reference_eval(const struct lca_net *net, const double *theta,
                       const struct lca_reference_chunk *chunk, int only, double doubt,
                       struct lca_reference_result *result, double *grad,
                       struct lca_err *err) LCA_MUST_USE;

#endif
