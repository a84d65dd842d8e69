/* steps.h: training steps on their way from theta to the allocation of their loss
 * change (Lan et al. 2019, section 3, with the released code's refinement).
 *
 * A step has nodes: its two ends, shared with its neighbours, and points between
 * (path.h). Whoever owns a struct lca_steps gives it thetas in order; it asks, by a
 * callback, for the gradient at points; the answers come back by lca_steps_add and
 * lca_steps_point in any order of points; lca_steps_settle applies the rule where all
 * nodes of a step are there, and doubles its pieces while a residual is above the
 * tolerance. Steps leave in order, by lca_steps_ready and lca_steps_drop.
 *
 * Arrays in, arrays out: it knows neither links nor networks. All sums are in double,
 * nodes are added by level in order of j, so that the same gradients give the same
 * bytes whenever they came. Values of several sets stand side by side, and each has
 * `rows`: one for all classes together, or one per class. */
#ifndef LCA_LCA_STEPS_H
#define LCA_LCA_STEPS_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "lca/path.h"

#define LCA_STEPS_SETS 3
#define LCA_STEPS_TRACE 8

struct lca_steps;

struct lca_steps_opts {
    uint64_t P;                     /* parameters */
    unsigned n_set, rows;           /* rows: 1, or the number of classes */
    uint64_t N[LCA_STEPS_SETS];     /* examples of each set: sums become means */
    enum lca_rule rule;
    bool refine;
    double tolerance;               /* nat, of every set */
    unsigned min_pieces, max_pieces;
    uint64_t it0;                   /* first step of the run, which pays for both its ends */
    uint64_t it;                    /* step of the first theta to come */
    void *arg;
    /* Asks for the gradient at theta [P] (borrowed for the call), which lies j/n along
     * step it; points of a lower order are wanted first. */
    int (*ask)(void *arg, uint64_t pt, uint64_t order, uint64_t it, uint64_t j, uint64_t n,
               const float *theta, struct lca_err *err);
};

struct lca_steps *lca_steps_new(const struct lca_steps_opts *o, struct lca_err *err) LCA_MUST_USE;
void lca_steps_free(struct lca_steps *s);

/* The next theta [P], from lca_alloc; taken over, also on failure. */
int lca_steps_theta(struct lca_steps *s, float *theta, struct lca_err *err) LCA_MUST_USE;

/* Adds grad [len] to parameters [off, off + len) of a row of a set at point pt, and
 * loss to that row's loss: sums over examples, nat. */
int lca_steps_add(struct lca_steps *s, uint64_t pt, unsigned set, unsigned row, double loss,
                  uint64_t off, const float *grad, uint64_t len, struct lca_err *err) LCA_MUST_USE;

/* All of point pt has been added. */
int lca_steps_point(struct lca_steps *s, uint64_t pt, struct lca_err *err) LCA_MUST_USE;

/* Does what can be done now. Fails when a loss is not finite, naming the step. */
int lca_steps_settle(struct lca_steps *s, struct lca_err *err) LCA_MUST_USE;

uint64_t lca_steps_in_flight(const struct lca_steps *s);

/* The oldest step, when it is settled. */
struct lca_step_done {
    uint64_t it;
    unsigned n, evaluated;          /* pieces; gradients evaluated anew for it */
    const float *a, *b;             /* theta_t, theta_t+1 [P] */
    double residual[LCA_STEPS_SETS][LCA_STEPS_TRACE];   /* nat, after each doubling */
    unsigned n_trace;
};
const struct lca_step_done *lca_steps_ready(const struct lca_steps *s);

/* Of the ready step: losses at its ends (row -1: all rows together), nat. */
void lca_steps_loss(const struct lca_steps *s, unsigned set, int row, double *L0, double *L1);

/* Of the ready step: the gradient averaged along it, and the gradient at theta_t, each
 * [P] in double, nat. Valid until the next call for another set, or the next settle. */
int lca_steps_effective(struct lca_steps *s, unsigned set, int row, const double **G, struct lca_err *err) LCA_MUST_USE;
const double *lca_steps_gradient(struct lca_steps *s, unsigned set, int row);

/* Forgets the ready step. */
void lca_steps_drop(struct lca_steps *s);

/* Bytes that each step in flight holds, roughly. */
uint64_t lca_steps_bytes(const struct lca_steps_opts *o);

#endif
