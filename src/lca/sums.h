/* sums.h: sums of float32 values in double, each in one fixed order. */
#ifndef LCA_LCA_SUMS_H
#define LCA_LCA_SUMS_H

#include <stdint.h>

/* Sum of v [n]. */
double lca_sum(const float *v, uint64_t n);

/* L2 norm of v [n]: no float's square is too large or too small for double. */
double lca_norm(const float *v, uint64_t n);

/* v [outer][rows][cols], row major, summed over all axes but one and added to
 *   row [rows]      NULL: not wanted
 *   col [cols]
 * A dense kernel is [1][in][out], a convolution's [kh kw][in][out], a bias [1][1][out]. */
void lca_sum_axes(const float *v, uint64_t outer, uint32_t rows, uint32_t cols, double *row, double *col);

#endif
