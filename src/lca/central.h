/* central.h: mean, deviation, skewness and kurtosis of any number of values, in one
 * pass and in constant memory, with a test of the kurtosis against a normal.
 *
 * Sums of powers of (x - mean) are kept in double and merged pairwise, so that the
 * values of many steps add up without the loss of digits that sums of plain powers
 * have (Pebay, Sandia report SAND2008-6212, equations 1.5 to 2.1). */
#ifndef LCA_LCA_CENTRAL_H
#define LCA_LCA_CENTRAL_H

#include <stddef.h>

/* Zeroed: no values. All in the unit of the values, and its powers. */
struct lca_central {
    double n, mean;
    double m2, m3, m4;          /* sums of (x - mean)^k */
};

/* Adds v[n]. */
void lca_central_add(struct lca_central *c, const float *v, size_t n);

/* Adds all that `other` has seen. */
void lca_central_merge(struct lca_central *c, const struct lca_central *other);

/* Over n, not n - 1. Without spread (or values) skewness and kurtosis are NaN. */
double lca_central_deviation(const struct lca_central *c);      /* sqrt(m2 / n) */
double lca_central_skewness(const struct lca_central *c);       /* sqrt(n) m3 / m2^(3/2) */
double lca_central_kurtosis(const struct lca_central *c);       /* excess: n m4 / m2^2 - 3; 0 for a normal */

/* Test of the kurtosis against that of a normal sample of the same size: z, standard
 * normal under the null, and p, two-sided. Source: Anscombe and Glynn, Biometrika 70
 * (1983) 227, which scipy.stats.kurtosistest computes too. Below 5 values, or without
 * spread, both are NaN. Not meant for tails much lighter than a normal's: z turns
 * positive somewhere below an excess of -1. */
struct lca_test {
    double z, p;
};
struct lca_test lca_central_kurtosis_test(const struct lca_central *c);

#endif
