/* method.h: the ways of the CPU device to compute a convolution. Both serve every type of
 * call of lca_layer_ops but its flags. */
#ifndef LCA_BACKEND_CPU_METHOD_H
#define LCA_BACKEND_CPU_METHOD_H

#include "backend/backend.h"

/* Any geometry. */
extern const struct lca_layer_ops lca_cpu_conv_patches;

/* Stride 1 and a kernel of 3x3 or 5x5, where the channels make it worth while. */
bool lca_cpu_winograd(const struct lca_geometry *g);
extern const struct lca_layer_ops lca_cpu_conv_winograd;

#endif
