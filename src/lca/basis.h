/* basis.h: orthonormal directions in the space of parameters.
 *
 * A basis is q [k][n], row major: k directions of n parameters each. */
#ifndef LCA_LCA_BASIS_H
#define LCA_LCA_BASIS_H

#include <stdint.h>

#include "base/err.h"

/* Sum of q[i] v[i], and of q[i]^2 v[i]. */
double lca_dot(const double *q, const float *v, uint64_t n);
double lca_dot_squares(const double *q, const float *v, uint64_t n);

/* The pair of directions a <= b whose scalar product is farthest from 1 (a = b) or 0,
 * and how far: 0 for an orthonormal basis. */
double lca_basis_error(const double *q, uint64_t k, uint64_t n, uint64_t *a, uint64_t *b);

/* Fills q with k <= n orthonormal directions, drawn so that each is equally likely:
 * normal numbers, made orthonormal. The same for the same seed. */
void lca_basis_random(double *q, uint64_t k, uint64_t n, uint32_t seed);

#endif
