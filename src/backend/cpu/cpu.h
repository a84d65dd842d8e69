/* cpu.h: the kernels of the CPU device, one instance per instruction set.
 *
 * Each instance is kernels.h compiled with its own vector length. Weights are
 * packed: [k][ld] with ld = lca_ld(out), padding zero; so are the sums of weight
 * gradients. All row strides are in floats. */
#ifndef LCA_BACKEND_CPU_CPU_H
#define LCA_BACKEND_CPU_CPU_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "backend/backend.h"

/* Scratch of the byte kernels: places where the input is not zero. */
struct lca_places {
    uint32_t *at;           /* [max(pixels, n)] */
    uint32_t *four;         /* [n]: four neighbouring bytes */
};

struct lca_cpu_kernels {
    const char *isa;
    bool (*usable)(void);

    /* y = x w + bias, then ReLU if wanted. y [n][ld], w [k][ld], bias [ld]; out
     * columns of them, the rest padding. */
    void (*forward)(const float *x, size_t ldx, uint32_t n, uint32_t k, const float *w, size_t ld,
                    uint32_t out, const float *bias, float *y, bool relu);
    /* dw += x^T dy. dw [k up to a multiple of 4][ld], dy [n][ld]. */
    void (*gradient)(const float *x, size_t ldx, uint32_t n, uint32_t k, const float *dy, size_t ld,
                     uint32_t out, float *dw);

    /* The same with x = bytes / 255. Products with a zero byte are left out four
     * examples, or four neighbouring bytes, at a time: adding them changes no bit
     * of a finite sum. */
    void (*forward_bytes)(const struct lca_rows *rows, uint32_t n, struct lca_places *s,
                          const float *w,
                          size_t ld, uint32_t out, const float *bias, float *y, bool relu);
    void (*gradient_bytes)(const struct lca_rows *rows, uint32_t n, struct lca_places *s,
                           const float *dy, size_t ld, uint32_t out, float *dw);

    /* sum[ld] += column sums of dy; before that dy = 0 where y <= 0, if y is given. */
    void (*bias_gradient)(float *dy, const float *y, uint32_t n, size_t ld, float *sum);

    /* See lca_backend.loss. */
    void (*loss)(const uint8_t *label, uint32_t n, uint32_t classes, float *z, bool gradient,
                 struct lca_loss *sum);
};

extern const struct lca_cpu_kernels lca_cpu_avx512, lca_cpu_avx2, lca_cpu_vec4;

/* x / 255, correctly rounded, for x = 0 .. 255. */
extern const float *lca_cpu_scale(void);

#endif
