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

/* Images cut into tiles. */
struct lca_cpu_tiles {
    uint32_t h, w, c;           /* of an image */
    uint32_t across, down;      /* tiles */
    uint32_t step;              /* pixels from one tile to the next: 4 or 2 */
    uint32_t top, left;         /* pixels of padding before the first tile's first pixel */
    size_t next;                /* floats from one image to the next */
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
    void (*loss)(const uint8_t *label, uint32_t n, uint32_t classes, int only, float *z, bool gradient,
                 struct lca_loss *sum);

    /* c [m][ldc] = a [m][lda] times b, a matrix of k rows and out columns; begun with
     * bias [out up to a panel] or, if add, with c itself, or 0. b is packed in panels of
     * `panel` columns: [panels][k][panel], the last filled up with 0. */
    uint32_t panel;         /* at most LCA_CPU_PANEL */
    void (*multiply)(const float *a, size_t lda, uint32_t m, uint32_t k, const float *b, uint32_t out, float *c,
                     size_t ldc, const float *bias, bool add);
    /* c [k][ldc] += a^T b, a [m][lda] of k columns, b [m][ldb] of out columns. Columns of
     * c up to a multiple of panel / 2 are overwritten, and b is read as far. */
    void (*outer)(const float *a, size_t lda, uint32_t k, const float *b, size_t ldb, uint32_t out, uint32_t m,
                  float *c, size_t ldc);
    /* sum[c] += column sums of dy [n][c]; before that dy = 0 where y <= 0, if y is given. */
    void (*channel_gradient)(float *dy, const float *y, size_t n, uint32_t c, float *sum);

    /* Batch norm of x [n][c].
     *   observe   sum += x - about, square += (x - about)^2
     *   forward   y = scale x + shift, then ReLU if wanted
     *   backward  dy = 0 where y <= 0, if y is given; sum += dy, product += dy (x - mean)
     *   spread    dx = scale (dy - even - (x - mean) slope), added to dx if adds */
    void (*norm_observe)(const float *x, size_t n, size_t c, const float *about, double *sum, double *square);
    void (*norm_forward)(const float *x, size_t n, size_t c, const float *scale, const float *shift, float *y,
                         bool relu);
    void (*norm_backward)(const float *x, const float *y, float *dy, size_t n, size_t c, const float *mean,
                          double *sum, double *product);
    void (*norm_spread)(const float *x, const float *dy, size_t n, size_t c, const float *mean, const float *scale,
                        const float *even, const float *slope, float *dx, bool adds);

    /* Patches of output pixels first .. first+n-1, counted over images that lie without
     * gaps: patch [n][kh kw in], 0 where the image ends. Up to 16 floats more are written. */
    void (*gather)(const struct lca_geometry *g, const float *x, uint32_t first, uint32_t n, float *patch);

    /* Max pool of n images. gradient: dy goes to the first largest value of a window, row
     * by row; dx is written, or added to if adds. */
    void (*maxpool)(const struct lca_geometry *g, const float *x, uint32_t n, float *y);
    void (*maxpool_gradient)(const struct lca_geometry *g, const float *x, const float *y, const float *dy,
                             uint32_t n, float *dx, bool adds);

    /* Tiles first .. first+n-1 of images to 36 matrices [n][ld], `next` floats apart, and
     * back (see winograd.c). ld: the channels up to a multiple of panel / 2. local: scratch of
     * 36 ld floats. `give` adds to dx. */
    void (*winograd_in)(const struct lca_cpu_tiles *t, const float *x, uint32_t first, uint32_t n, float *local,
                        float *V, size_t ld, size_t next);
    void (*winograd_out)(const struct lca_cpu_tiles *t, const float *M, size_t ld, size_t next, uint32_t first,
                         uint32_t n, const float *bias, float *y, bool relu);
    void (*winograd_back)(const struct lca_cpu_tiles *t, const float *dy, uint32_t first, uint32_t n, float *local,
                          float *D, size_t ld, size_t next);
    void (*winograd_give)(const struct lca_cpu_tiles *t, const float *dV, size_t ld, size_t next, uint32_t first,
                          uint32_t n, float *local, float *dx);
};

#define LCA_CPU_PANEL 32

/* The CPU as an open device. */
struct lca_device {
    const struct lca_cpu_kernels *k;
    bool direct;                /* convolutions as sums of products */
    char num[96];
};

/* A slice of activations as rows of `per` floats: rows of all n examples lie one after
 * the other where an example's floats fill its room, else one example is a group. */
struct lca_cpu_rows {
    uint32_t groups, rows;      /* rows: in a group */
    size_t next;                /* floats from one group to the next */
};
struct lca_cpu_rows lca_cpu_rows(struct lca_shape shape, uint32_t n);

extern const struct lca_layer_ops lca_cpu_dense, lca_cpu_conv, lca_cpu_batchnorm, lca_cpu_maxpool, lca_cpu_avgpool,
    lca_cpu_gap, lca_cpu_relu, lca_cpu_add, lca_cpu_dropout;

extern const struct lca_cpu_kernels lca_cpu_avx512, lca_cpu_avx2, lca_cpu_vec4;

/* x / 255, correctly rounded, for x = 0 .. 255. */
extern const float *lca_cpu_scale(void);

#endif
