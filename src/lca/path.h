/* path.h: quadrature along one training step, and what it allocates.
 *
 * Step t moves theta from a = theta_t to b = theta_t+1. Its loss change is
 *     L(b) - L(a) = sum_i d_i G_i,   d = b - a,   G = integral of the gradient at
 * a + s d over s in [0, 1] (Lan et al. 2019, equations 2 to 5). G is approximated on
 * n equal pieces, n a power of two. Doubling n keeps all nodes, and a rule's weight
 * depends only on the doubling that brought the node in, so that nodes are summed by
 * level as they come:
 *     level 0          s = 0 and s = 1
 *     level k >= 1     s = j / 2^k, j odd
 * and G = sum over levels of weight x (sum of the level's gradients). */
#ifndef LCA_LCA_PATH_H
#define LCA_LCA_PATH_H

#include <stddef.h>

#include "base/err.h"

#define LCA_LEVELS 11               /* levels 0 .. 10: up to 1024 pieces */

enum lca_rule { LCA_FIRST_ORDER, LCA_TRAPEZOID, LCA_MIDPOINT, LCA_SIMPSON, LCA_BOOLE };

/* "first-order", "trapezoid", "midpoint", "simpson", "boole". */
int lca_rule_parse(const char *name, enum lca_rule *rule, struct lca_err *err) LCA_MUST_USE;
const char *lca_rule_name(enum lca_rule rule);

/* Least number of pieces: 1, 1, 1, 2, 4. Simpson's and Boole's rule started with
 * fewer use the lower rule that these pieces allow (trapezoid at 1, Simpson at 2). */
int lca_rule_pieces(enum lca_rule rule);

/* Whether doubling n reuses the nodes: trapezoid, simpson, boole. */
bool lca_rule_refines(enum lca_rule rule);

/* Highest level whose nodes the rule needs on n pieces, or -1 when n is not a power
 * of two within [1, 1024]. Midpoint: nodes (j + 1/2)/n are the odd ones of 2n. */
int lca_path_level(enum lca_rule rule, int n);

/* Weights w[LCA_LEVELS] of the levels on n pieces; the weights of all nodes sum to 1.
 * First order: the node s = 0 alone, which has no weight here (all w are 0). */
int lca_path_weights(enum lca_rule rule, int n, double w[LCA_LEVELS], struct lca_err *err) LCA_MUST_USE;

/* Node j of level k, k >= 1: j = 1, 3, ... 2^k - 1. x[i] = (float)(a + (j/2^k) (b - a))
 * in double. */
void lca_path_node(float *x, const float *a, const float *b, size_t P, unsigned j, unsigned n);

/* One allocation: A = d G rounded once to float.
 *   G     effective gradient [P], the weighted level sums        g0  gradient at a [P]
 *   A     [P], filled, or NULL
 *   sum   sum of d G, before rounding     abs  sum of |d G|     fo  sum of d g0       */
struct lca_path_sums {
    double sum, abs, fo;
};
struct lca_path_sums lca_path_allocate(float *A, const float *a, const float *b, const double *G,
                                       const double *g0, size_t P);

/* sum of d G alone, for the residual while refining. */
double lca_path_change(const float *a, const float *b, const double *G, size_t P);

/* acc[i] += g[i], acc[i] = sum of w[k] rows[k][i]: the folds, in double. */
void lca_path_add(double *acc, const float *g, size_t n);
void lca_path_combine(double *G, const double *const *row, const double *w, int n_rows, size_t P);

#endif
