/* tally.h: how often each size occurs among any number of floats, in constant memory:
 * order statistics, histograms, and the fit of a double Weibull distribution.
 *
 * A tally counts values by their sign, exponent and the first 11 bits after it, so that
 * the values of a cell differ by less than 1/2048 of their size (below 2^-126 by less
 * than 2^-137 in all). Zeros are counted apart. What it answers is exact in counts and
 * ranks, and approximate in size:
 *   - an order statistic is the middle of its cell: within 1/4096 of its size;
 *   - a histogram counts a cell where its middle lies: wrong at most for values within
 *     1/2048 of an edge;
 *   - the fit of a Weibull sees the mean size of each cell, whose sum is kept: shape and
 *     scale differ from those of the values themselves by less than 1e-6 of their size.
 * A second pass over the same values makes the order statistics exact (lca_refine). */
#ifndef LCA_LCA_TALLY_H
#define LCA_LCA_TALLY_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define LCA_TALLY_CELLS (1u << 20)

struct lca_tally {
    uint64_t *count;            /* owned: [LCA_TALLY_CELLS], by the first 20 bits; then zeros */
    double *sum;                /* owned: [LCA_TALLY_CELLS / 2], of the sizes in the cells of both signs */
    uint64_t n;                 /* values, zeros included */
    float min, max;             /* of the values that are not 0; 0 when there are none */
};

int lca_tally_init(struct lca_tally *t, struct lca_err *err) LCA_MUST_USE;
void lca_tally_clear(struct lca_tally *t);

/* Adds v[n], all finite. */
void lca_tally_add(struct lca_tally *t, const float *v, size_t n);
uint64_t lca_tally_zeros(const struct lca_tally *t);

/* The value of rank r, 0 <= r < n, in ascending order: the middle of its cell, 0 for a
 * zero. cell, unless NULL: which one; before: how many values lie in lower cells. */
double lca_tally_rank(const struct lca_tally *t, uint64_t r, uint32_t *cell, uint64_t *before);

/* Quantile q in [0, 1], between the two nearest ranks as numpy.percentile has it; rank
 * says the values (it gets arg). NaN without values. */
double lca_quantile(uint64_t n, double q, double (*rank)(void *arg, uint64_t r), void *arg);

/* The second pass: the last 12 bits of all values that lie in the cells of some ranks. */
#define LCA_REFINE_RANKS 8
struct lca_refine {
    uint32_t cell[LCA_REFINE_RANKS];    /* wanted, each once */
    unsigned n_cell;
    uint64_t *count;                    /* owned: [LCA_REFINE_RANKS][4096] */
};
int lca_refine_init(struct lca_refine *r, struct lca_err *err) LCA_MUST_USE;
void lca_refine_clear(struct lca_refine *r);
void lca_refine_want(struct lca_refine *r, const struct lca_tally *t, uint64_t rank);   /* before the pass */
void lca_refine_add(struct lca_refine *r, const float *v, size_t n);
double lca_refine_rank(const struct lca_refine *r, const struct lca_tally *t, uint64_t rank);   /* a wanted one */

/* A histogram of nonzero values with an edge at 0: `bins` equal widths from lo to hi,
 * moved so that an edge lies at 0, and one bin more so that they still cover the range
 * (39 and 1, as the released code of Lan et al. 2019). Edge k is (first + k) width. Values outside are counted as
 * below and above. A bin holds its lower edge, the last one both. */
#define LCA_HISTOGRAM_BINS 40
struct lca_histogram {
    double width, edge[LCA_HISTOGRAM_BINS + 1];
    uint64_t count[LCA_HISTOGRAM_BINS], below, above;
};
void lca_histogram_edges(struct lca_histogram *h, double lo, double hi);    /* hi >= lo; empties h */
void lca_histogram_add(struct lca_histogram *h, const float *v, size_t n);  /* zeros are left out */
void lca_histogram_tally(struct lca_histogram *h, const struct lca_tally *t);

/* Double Weibull distribution with its centre at 0, fitted by maximum likelihood on the
 * sizes of all nonzero values: density shape/(2 scale) (|x|/scale)^(shape-1)
 * exp(-(|x|/scale)^shape), as in scipy.stats.dweibull with loc 0. The shape solves
 *     sum x^k ln x / sum x^k - 1/k - mean ln x = 0,
 * and scale = (mean x^k)^(1/k). Both NaN where all sizes are equal, or none is. */
struct lca_weibull {
    double shape, scale;
};
struct lca_weibull lca_tally_weibull(const struct lca_tally *t);

/* P(from <= X < to) of that, and of a normal distribution. */
double lca_weibull_between(const struct lca_weibull *w, double from, double to);
double lca_normal_between(double mean, double deviation, double from, double to);

#endif
