/* concentration.h: on how few classes a neuron's help is concentrated (Lan et al. 2019,
 * supplement; here h_c = max(0, -sum of A_c over the neuron and all steps)). */
#ifndef LCA_LCA_CONCENTRATION_H
#define LCA_LCA_CONCENTRATION_H

#include <stddef.h>

enum { LCA_CONCENTRATION = 3 };

/* r[k-1] = (sum of the k largest h_c) / (sum of all h_c), k = 1, 2, 3, from the sums of
 * A by class, A[c * stride], c < n. Returns the number of classes that the neuron
 * helped, h_c > 0; with none r is NaN. */
unsigned lca_concentration(double r[LCA_CONCENTRATION], const double *A, size_t stride, unsigned n);

#endif
