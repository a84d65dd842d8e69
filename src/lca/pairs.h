/* pairs.h: how alike the weights of one neuron act: the mean Pearson correlation over all
 * pairs of their series of A (Lan et al. 2019, section 6 of the paper).
 *
 * For n series of T steps, standardised over the steps to z_i (mean 0, mean square 1),
 * the mean over all pairs is
 *     r = (mean_t (sum_i z_i[t])^2 - n) / (n (n - 1)),
 * so that two passes over the steps suffice, each linear in the number of weights: the
 * first for means and deviations, the second for the sums. Constant series are left
 * out; a unit with fewer than two others has r = NaN. All in double.
 *
 * Units of a kernel [window][in][out] (a dense one has window 1): an input is all weights
 * of one `in`, an output all of one `out`. As a baseline stand as many fake units, of as
 * many weights as exist of which no two share an input or an output, min(in, out); which
 * ones is drawn at random. Two series of each weight: A of the step, and A cumulated. */
#ifndef LCA_LCA_PAIRS_H
#define LCA_LCA_PAIRS_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/rng.h"

enum { LCA_PAIRS_STEP, LCA_PAIRS_CUMULATIVE, LCA_PAIRS_SERIES };
enum { LCA_PAIRS_INPUTS, LCA_PAIRS_OUTPUTS, LCA_PAIRS_SIDES };

struct lca_pairs;

/* The fakes are drawn with rng (purpose and seed), from step rng->step on. Memory: 56
 * bytes per weight, and 4 min(in, out) (in + out) for the fakes: at most 64 in all. */
struct lca_pairs *lca_pairs_new(size_t window, size_t in, size_t out, const struct lca_rng *rng,
                                struct lca_err *err) LCA_MUST_USE;
void lca_pairs_free(struct lca_pairs *p);

/* One step of the first pass, A [window][in][out]; then, after all steps, one of the
 * second pass, the same steps in the same order. */
void lca_pairs_measure(struct lca_pairs *p, const float *A);
void lca_pairs_add(struct lca_pairs *p, const float *A);

/* r of each unit of a side, real or fake, into r[in] or r[out]; returns their number. */
size_t lca_pairs_units(const struct lca_pairs *p, int side, int series, bool fake, double *r);

/* Forgets the steps, keeps the fakes. */
void lca_pairs_reset(struct lca_pairs *p);

#endif
