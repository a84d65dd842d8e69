/* reference-ops.h: every operation of a network in plain C, one loop per index: what
 * the fast kernels must compute, in float (_f) and in double (_d).
 *
 * Activations are dense, [n][h][w][c], channels last: no padding between rows. Shapes,
 * windows and padding are those of the geometry g. Kernels are [in][out] or
 * [kh][kw][in][out]. Gradients (dw, db, dgamma, dbeta, dx, dx2) are added to; dx NULL:
 * not wanted. Outputs may not overlap inputs, but for relu and dropout. */
#ifndef LCA_BACKEND_CPU_REFERENCE_OPS_H
#define LCA_BACKEND_CPU_REFERENCE_OPS_H

#include <stddef.h>
#include <stdint.h>

#include "backend/backend.h"

#define LCA_REFERENCE(real, s)                                                                   \
    void lca_reference_dense_##s(const real *x, const real *w, const real *b, real *y,           \
                                 size_t n, size_t in, size_t out);                               \
    void lca_reference_dense_gradient_##s(const real *x, const real *w, const real *dy,          \
                                          real *dw, real *db, real *dx,                          \
                                          size_t n, size_t in, size_t out);                      \
                                                                                                 \
    /* Cross-correlation: y[o] = b + sum_k x[o stride + k - pad] w[k], x = 0 outside. */         \
    void lca_reference_conv_##s(const struct lca_geometry *g, const real *x, const real *w,      \
                                const real *b, real *y, size_t n);                               \
    void lca_reference_conv_gradient_##s(const struct lca_geometry *g, const real *x,            \
                                         const real *w, const real *dy, real *dw, real *db,      \
                                         real *dx, size_t n);                                    \
                                                                                                 \
    /* The gradient goes to the first largest value of the window, row by row. */                \
    void lca_reference_maxpool_##s(const struct lca_geometry *g, const real *x, real *y,         \
                                   size_t n);                                                    \
    void lca_reference_maxpool_gradient_##s(const struct lca_geometry *g, const real *x,         \
                                            const real *dy, real *dx, size_t n);                 \
    void lca_reference_avgpool_##s(const struct lca_geometry *g, const real *x, real *y,         \
                                   size_t n);                                                    \
    void lca_reference_avgpool_gradient_##s(const struct lca_geometry *g, const real *dy,        \
                                            real *dx, size_t n);                                 \
    void lca_reference_gap_##s(const struct lca_geometry *g, const real *x, real *y, size_t n);  \
    void lca_reference_gap_gradient_##s(const struct lca_geometry *g, const real *dy, real *dx,  \
                                        size_t n);                                               \
                                                                                                 \
    /* y = gamma (x - mean) / sqrt(variance + eps) + beta, per channel; mean and biased          \
     * variance over all n examples, height and width. The gradient flows through both. */       \
    void lca_reference_batchnorm_##s(const struct lca_geometry *g, const real *x,                \
                                     const real *gamma, const real *beta, real *y, size_t n);    \
    void lca_reference_batchnorm_gradient_##s(const struct lca_geometry *g, const real *x,       \
                                              const real *gamma, const real *dy, real *dgamma,   \
                                              real *dbeta, real *dx, size_t n);                  \
                                                                                                 \
    /* These act on n numbers. relu_gradient: y may be the layer's input as well. */             \
    void lca_reference_relu_##s(const real *x, real *y, size_t n);                               \
    void lca_reference_relu_gradient_##s(const real *y, real *dy, size_t n);                     \
    void lca_reference_add_##s(const real *x, const real *x2, real *y, size_t n);                \
    void lca_reference_add_gradient_##s(const real *dy, real *dx, real *dx2, size_t n);          \
    /* y = x / (1 - rate) where kept, else 0. dy goes through it to dx likewise. */              \
    void lca_reference_dropout_##s(const real *x, const uint8_t *kept, double rate, real *y,     \
                                   size_t n);                                                    \
                                                                                                 \
    /* Sum of -log softmax(z)[label]; dz, unless NULL, = softmax - onehot. */                    \
    double lca_reference_loss_##s(const real *z, const uint8_t *label, real *dz,                 \
                                  size_t n, size_t classes);
LCA_REFERENCE(float, f)
LCA_REFERENCE(double, d)
#undef LCA_REFERENCE

#endif
