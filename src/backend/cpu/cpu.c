/* cpu.c: the CPU device: one thread, our own kernels for what they are faster at,
 * OpenBLAS for large matrix products. */
#include "backend/cpu/cpu.h"

#include <cblas.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"

struct lca_device {
    const struct lca_cpu_kernels *k;
    char num[96];
};

/* Up to this size of a hidden layer's weights our kernels, which pack nothing per
 * call, are faster than OpenBLAS (measured: 1.2 to 1.6 times in slices of our size). */
enum { OWN_BYTES = 1024 * 1024 };

static struct lca_device *cpu_open(const char *device, struct lca_err *err)
{
    static const struct lca_cpu_kernels *const all[] = {
#if defined __x86_64__
        &lca_cpu_avx512, &lca_cpu_avx2,
#endif
        &lca_cpu_vec4,
    };
    const char *wanted = !strncmp(device, "cpu:", 4) ? device + 4 : NULL;
    const struct lca_cpu_kernels *k = NULL;
    for (size_t i = 0; !k && i < sizeof all / sizeof *all; i++)
        if ((!wanted || !strcmp(all[i]->isa, wanted)) && all[i]->usable())
            k = all[i];
    if (!k) {
        lca_fail(err, LCA_USAGE, "device %s: not an instruction set of this machine", device);
        return NULL;
    }
    struct lca_device *d = lca_alloc(1, sizeof *d, err);
    if (!d)
        return NULL;
    d->k = k;
    openblas_set_num_threads(1);
    char version[32] = "";
    sscanf(openblas_get_config(), "OpenBLAS %31s", version);
    snprintf(d->num, sizeof d->num, "cpu/openblas-%s-%s/%s", version, openblas_get_corename(),
             k->isa);
    return d;
}

static void cpu_close(struct lca_device *d)
{
    free(d);
}

static const char *cpu_num(const struct lca_device *d)
{
    return d->num;
}

static void *cpu_alloc(struct lca_device *d, size_t bytes, struct lca_err *err)
{
    (void)d;
    return lca_alloc(bytes, 1, err);
}

static void cpu_release(struct lca_device *d, void *p)
{
    (void)d;
    free(p);
}

static int cpu_copy(struct lca_device *d, void *to, const void *from, size_t bytes,
                    struct lca_err *err)
{
    (void)d;
    (void)err;
    memcpy(to, from, bytes);
    return 0;
}

const float *lca_cpu_scale(void)
{
#define S1(i) (float)(i) / 255.0f
#define S4(i) S1(i), S1(i + 1), S1(i + 2), S1(i + 3)
#define S16(i) S4(i), S4(i + 4), S4(i + 8), S4(i + 12)
#define S64(i) S16(i), S16(i + 16), S16(i + 32), S16(i + 48)
    static const float scale[256] = {S64(0), S64(64), S64(128), S64(192)};
    return scale;
}

static void cpu_input(struct lca_device *d, const struct lca_rows *rows, uint32_t n, float *x)
{
    (void)d;
    const float *scale = lca_cpu_scale();
    size_t ld = lca_ld(rows->pixels);
    for (uint32_t e = 0; e < n; e++, x += ld) {
        const uint8_t *p = rows->images + rows->index[e] * rows->pixels;
        for (size_t k = 0; k < rows->pixels; k++)
            x[k] = scale[p[k]];
    }
}

static void cpu_loss(struct lca_device *d, const struct lca_rows *rows, uint32_t n,
                     uint32_t classes,
                     float *z, bool gradient, struct lca_loss *sum)
{
    d->k->loss(rows->label, n, classes, z, gradient, sum);
}

/* Dense. State: packed weights, their sums, the transposed weights, and places. */

struct dense {
    size_t in, out, ld, ld_in, rows;    /* rows: inputs up to a multiple of 4 */
    float *w, *dw, *bias, *dbias, *wt, *zero;
    struct lca_places places;
    size_t bytes;
    bool own;
};

static struct dense dense_of(const struct lca_geometry *g, void *state, uint32_t n_max)
{
    struct dense s = {.in = lca_shape_size(g->in), .out = lca_shape_size(g->out)};
    s.ld = lca_ld(s.out);
    s.ld_in = lca_ld(s.in);
    s.rows = (s.in + 3) / 4 * 4;
    s.own = s.in * s.ld * sizeof(float) <= OWN_BYTES;
    size_t most = s.in > n_max ? s.in : n_max;
    float *p = state;
    size_t used = 0;
#define TAKE(what, type, count)                         \
    what = p ? (type *)(void *)(p + used) : NULL;       \
    used += (count)
    TAKE(s.w, float, s.rows * s.ld);
    TAKE(s.dw, float, s.rows * s.ld);
    TAKE(s.bias, float, s.ld);
    TAKE(s.dbias, float, s.ld);
    TAKE(s.wt, float, s.own ? s.out * s.ld_in : 0);
    TAKE(s.zero, float, s.ld_in);
    TAKE(s.places.at, uint32_t, lca_ld(most));
    TAKE(s.places.four, uint32_t, lca_ld(most));
#undef TAKE
    s.bytes = used * sizeof(float);
    return s;
}

static size_t dense_state(const struct lca_geometry *g, uint32_t n_max)
{
    return dense_of(g, NULL, n_max).bytes;
}

static void dense_begin(struct lca_device *d, const struct lca_call *c)
{
    (void)d;
    struct dense s = dense_of(c->g, c->state, c->n_max);
    for (size_t i = 0; i < s.in; i++)
        memcpy(s.w + i * s.ld, c->kernel + i * s.out, s.out * sizeof(float));
    for (size_t o = 0; s.own && !c->rows && o < s.out; o++)
        for (size_t i = 0; i < s.in; i++)
            s.wt[o * s.ld_in + i] = c->kernel[i * s.out + o];
    memcpy(s.bias, c->bias, s.out * sizeof(float));
}

static void dense_forward(struct lca_device *d, const struct lca_call *c)
{
    struct dense s = dense_of(c->g, c->state, c->n_max);
    if (c->rows) {
        d->k->forward_bytes(c->rows, c->n, &s.places, s.w, s.ld, (uint32_t)s.out, s.bias, c->y,
                            c->relu);
        return;
    }
    if (s.own) {
        d->k->forward(c->x, s.ld_in, c->n, (uint32_t)s.in, s.w, s.ld, (uint32_t)s.out, s.bias, c->y,
                      c->relu);
        return;
    }
    for (uint32_t e = 0; e < c->n; e++)
        memcpy(c->y + e * s.ld, s.bias, s.ld * sizeof(float));
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, (blasint)c->n, (blasint)s.out,
                (blasint)s.in,
                1, c->x, (blasint)s.ld_in, s.w, (blasint)s.ld, 1, c->y, (blasint)s.ld);
    for (size_t i = 0; c->relu && i < c->n * s.ld; i++)
        c->y[i] = c->y[i] > 0 ? c->y[i] : 0;
}

static void dense_backward(struct lca_device *d, const struct lca_call *c)
{
    struct dense s = dense_of(c->g, c->state, c->n_max);
    d->k->bias_gradient(c->dy, c->relu ? c->y : NULL, c->n, s.ld, s.dbias);
    if (c->rows) {
        d->k->gradient_bytes(c->rows, c->n, &s.places, c->dy, s.ld, (uint32_t)s.out, s.dw);
        return;
    }
    if (s.own)
        d->k->gradient(c->x, s.ld_in, c->n, (uint32_t)s.in, c->dy, s.ld, (uint32_t)s.out, s.dw);
    else
        cblas_sgemm(CblasRowMajor, CblasTrans, CblasNoTrans, (blasint)s.in, (blasint)s.out,
                    (blasint)c->n,
                    1, c->x, (blasint)s.ld_in, c->dy, (blasint)s.ld, 1, s.dw, (blasint)s.ld);
    if (!c->dx)
        return;
    if (s.own && !c->dx_adds)
        d->k->forward(c->dy, s.ld, c->n, (uint32_t)s.out, s.wt, s.ld_in, (uint32_t)s.in, s.zero,
                      c->dx, false);
    else
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (blasint)c->n, (blasint)s.in,
                    (blasint)s.out,
                    1, c->dy, (blasint)s.ld, s.w, (blasint)s.ld, c->dx_adds, c->dx,
                        (blasint)s.ld_in);
}

static void dense_end(struct lca_device *d, const struct lca_call *c)
{
    (void)d;
    struct dense s = dense_of(c->g, c->state, c->n_max);
    for (size_t i = 0; i < s.in; i++)
        memcpy(c->dkernel + i * s.out, s.dw + i * s.ld, s.out * sizeof(float));
    memcpy(c->dbias, s.dbias, s.out * sizeof(float));
    memset(s.dw, 0, s.rows * s.ld * sizeof(float));
    memset(s.dbias, 0, s.ld * sizeof(float));
}

/* Layers without parameters: loops that the compiler vectorises. */

static void relu_forward(struct lca_device *d, const struct lca_call *c)
{
    (void)d;
    size_t n = c->n * lca_ld(lca_shape_size(c->g->out));
    for (size_t i = 0; i < n; i++)
        c->y[i] = c->x[i] > 0 ? c->x[i] : 0;
}

static void give(float *dx, size_t i, float d, bool adds)
{
    dx[i] = adds ? dx[i] + d : d;
}

static void relu_backward(struct lca_device *d, const struct lca_call *c)
{
    (void)d;
    size_t n = c->n * lca_ld(lca_shape_size(c->g->out));
    for (size_t i = 0; c->dx && i < n; i++)
        give(c->dx, i, c->x[i] > 0 ? c->dy[i] : 0, c->dx_adds);
}

static void add_forward(struct lca_device *d, const struct lca_call *c)
{
    (void)d;
    size_t n = c->n * lca_ld(lca_shape_size(c->g->out));
    for (size_t i = 0; i < n; i++)
        c->y[i] = c->x[i] + c->x2[i];
}

static void add_backward(struct lca_device *d, const struct lca_call *c)
{
    (void)d;
    size_t n = c->n * lca_ld(lca_shape_size(c->g->out));
    for (size_t i = 0; c->dx && i < n; i++)
        give(c->dx, i, c->dy[i], c->dx_adds);
    for (size_t i = 0; c->dx2 && i < n; i++)
        give(c->dx2, i, c->dy[i], c->dx2_adds);
}

/* Dropout keeps what it multiplied by, 0 or 1/(1-rate), as its state. */

static size_t dropout_state(const struct lca_geometry *g, uint32_t n_max)
{
    return n_max * lca_ld(lca_shape_size(g->out)) * sizeof(float);
}

static void dropout_forward(struct lca_device *d, const struct lca_call *c)
{
    (void)d;
    size_t size = lca_shape_size(c->g->out), ld = lca_ld(size);
    float *factor = c->state, keep = (float)(1 / (1 - c->g->rate));
    uint32_t limit = (uint32_t)(c->g->rate * 0x1p32);
    for (uint32_t e = 0; e < c->n; e++)
        for (size_t i = 0; i < size; i += 4) {
            uint32_t word[4];
            lca_rng_words(&c->rng, c->index + e * size + i, 0, word);
            for (size_t k = 0; k < 4 && i + k < size; k++) {
                size_t at = e * ld + i + k;
                factor[at] = word[k] < limit ? 0 : keep;
                c->y[at] = c->x[at] * factor[at];
            }
        }
}

static void dropout_backward(struct lca_device *d, const struct lca_call *c)
{
    (void)d;
    const float *factor = c->state;
    size_t n = c->n * lca_ld(lca_shape_size(c->g->out));
    for (size_t i = 0; c->dx && i < n; i++)
        give(c->dx, i, c->dy[i] * factor[i], c->dx_adds);
}

static const struct lca_layer_ops dense = {
    .bytes = true, .fuses_relu = true, .state = dense_state, .begin = dense_begin,
    .forward = dense_forward, .backward = dense_backward, .end = dense_end,
};
static const struct lca_layer_ops relu = {.forward = relu_forward, .backward = relu_backward};
static const struct lca_layer_ops add = {.forward = add_forward, .backward = add_backward};
static const struct lca_layer_ops dropout = {
    .state = dropout_state, .forward = dropout_forward, .backward = dropout_backward,
};

static const struct lca_backend cpu = {
    .name = "cpu", .open = cpu_open, .close = cpu_close, .num = cpu_num,
    .alloc = cpu_alloc, .release = cpu_release, .put = cpu_copy, .get = cpu_copy,
    .host_memory = true, .slice_bytes = 512 * 1024,
    .layer = {[LCA_DENSE] = &dense, [LCA_RELU] = &relu, [LCA_ADD] = &add, [LCA_DROPOUT] = &dropout},
    .input = cpu_input, .loss = cpu_loss,
};

const struct lca_backend *lca_backend_find(const char *device, struct lca_err *err)
{
    if (!strcmp(device, "cpu") || !strncmp(device, "cpu:", 4))
        return &cpu;
    if (!strcmp(device, "cuda") || !strncmp(device, "cuda:", 5)) {
        lca_fail(err, LCA_USAGE, "device %s: this build has no CUDA", device);
        return NULL;
    }
    lca_fail(err, LCA_USAGE, "no device '%.40s': say cpu", device);
    return NULL;
}
