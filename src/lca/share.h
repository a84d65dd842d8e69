/* share.h: how unevenly an amount is spread over those who have a part in it
 * (Lan et al. 2019: few parameters carry most of the helping). */
#ifndef LCA_LCA_SHARE_H
#define LCA_LCA_SHARE_H

#include <stddef.h>

/* Of n parts, each above 0. All NaN for n = 0. */
struct lca_shares {
    double sum;
    double gini;        /* 2 sum_i i x_i / (n sum x) - (n + 1)/n, x ascending, i from 1: 0 equal, to 1 one has all */
    double carry;       /* least share of the n, 0..1, whose parts make at least `of` of the sum */
    double top;         /* share of the sum, 0..1, that the ceil(n/100) largest have */
};

/* Sorts part[n]. of: 0..1, such as 0.9. */
struct lca_shares lca_shares(double *part, size_t n, double of);

#endif
