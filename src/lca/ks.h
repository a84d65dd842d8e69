/* ks.h: do two samples come from one distribution? The test of Kolmogorov and Smirnov,
 * two-sided, for samples of continuous values (ties make p too large). */
#ifndef LCA_LCA_KS_H
#define LCA_LCA_KS_H

#include <stddef.h>

#include "base/err.h"

/* Largest distance between the two empirical distribution functions, 0..1. Sorts both;
 * neither may hold a NaN. NaN when one is empty. */
double lca_ks_distance(double *a, size_t n, double *b, size_t m);

/* P(D >= d) over all orders of n + m distinct values, exactly: a walk on the lattice
 * from (0, 0) to (n, m), all walks equally likely, leaves the band of width d. Takes
 * n m steps; only adds, so that small values keep their digits. In *p.
 * Source: Hodges, Arkiv for Matematik 3 (1958) 469. */
int lca_ks_exact(double *p, double d, size_t n, size_t m, struct lca_err *err) LCA_MUST_USE;

/* P(D >= d) for large samples, as scipy.stats.ks_2samp has it: the distribution of the
 * one-sample statistic for round(n m / (n + m)) values. Where n d^2 >= 4 it is twice
 * the one-sided probability (Birnbaum and Tingey, Ann. Math. Stat. 22 (1951) 592),
 * right to 1e-13; below, a power of a matrix (Marsaglia, Tsang and Wang, J. Stat.
 * Softw. 8 (2003) 18), right to 1e-12. In *p. */
int lca_ks_asymptotic(double *p, double d, size_t n, size_t m, struct lca_err *err) LCA_MUST_USE;

#endif
