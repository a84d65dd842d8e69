/* cuda-conv.c: convolutions: by cuDNN where it has a kernel for the geometry, else as matrix
 * products of patches. */
#include "backend/cuda/cuda.h"
#include "backend/cuda/cudnn-plan.h"

/* Patches are gathered for as many examples as take this many floats, but one at least. */
enum { PATCH_FLOATS = 16 << 20 };

/* State: the kernel as cuDNN has it, [out][kernel][kernel][in] (in bf16 of that type); its
 * gradient in one pass, likewise, in float; sums of that, as in the parameter vector. */
struct conv {
    size_t K, out;              /* values of a patch; channels */
    size_t ld_in, ld_out;
    float *w, *one, *dw, *bias;
    double *dbias;
    size_t bytes;
};

static struct conv conv_of(const struct lca_geometry *g, void *state)
{
    struct conv s = {.K = (size_t)g->kernel * g->kernel * g->in.c, .out = g->out.c};
    s.ld_in = lca_ld(lca_shape_size(g->in));
    s.ld_out = lca_ld(lca_shape_size(g->out));
    char *p = state;
    size_t used = 0;
#define TAKE(what, type, count)                         \
    what = p ? (type *)(void *)(p + used) : NULL;       \
    used += lca_ld(count) * sizeof(type)
    TAKE(s.dbias, double, s.out);
    TAKE(s.w, float, s.K * s.out);
    TAKE(s.one, float, s.K * s.out);
    TAKE(s.dw, float, s.K * s.out);
    TAKE(s.bias, float, s.out);
#undef TAKE
    s.bytes = used;
    return s;
}

static size_t conv_state(const struct lca_device *d, const struct lca_geometry *g, uint32_t n_max)
{
    (void)d;
    (void)n_max;
    return conv_of(g, NULL).bytes;
}

/* ---- patches ---- */

static uint32_t examples_at_once(const struct lca_geometry *g, uint32_t n)
{
    size_t one = (size_t)g->out.h * g->out.w * g->kernel * g->kernel * g->in.c;
    size_t many = PATCH_FLOATS / one;
    many = many < 1 ? 1 : many;
    return many < n ? (uint32_t)many : n;
}

/* Scratch: patches, and the layer's output rows without gaps. */
struct patches {
    uint32_t examples;
    size_t rows;                /* of an example */
    float *patch, *row;
    size_t bytes;
};

static struct patches patches_of(const struct lca_geometry *g, uint32_t n, void *scratch)
{
    struct conv s = conv_of(g, NULL);
    struct patches p = {.examples = examples_at_once(g, n), .rows = (size_t)g->out.h * g->out.w};
    size_t patch = lca_ld(p.examples * p.rows * s.K), row = lca_ld(p.examples * p.rows * s.out);
    p.patch = scratch;
    p.row = scratch ? p.patch + patch : NULL;
    p.bytes = (patch + row) * sizeof(float);
    return p;
}

static uint32_t block(const struct patches *p, uint32_t n, uint32_t first)
{
    return n - first < p->examples ? n - first : p->examples;
}

static void forward_by_patches(struct lca_device *d, const struct lca_call *c, const struct conv *s)
{
    struct patches p = patches_of(c->g, c->n, c->scratch);
    struct lca_cuda_matrix patch = {p.patch, s->K, false}, w = {c->kernel, s->out, false};
    for (uint32_t e = 0, n; e < c->n; e += n) {
        n = block(&p, c->n, e);
        struct lca_cuda_rows r = lca_cuda_rows_of(c);
        r.n = n;
        lca_cuda_ok(d, lca_cu_patches(d->stream, c->g, n, c->x + e * s->ld_in, p.patch), "convolution");
        lca_cuda_multiply(d, patch, w, p.row, s->out, n * p.rows, s->out, s->K, false);
        lca_cuda_ok(d, lca_cu_bias(d->stream, r, p.row, p.rows * s->out, s->bias, c->relu, c->y + e * s->ld_out),
                    "convolution");
    }
}

static void kernel_by_patches(struct lca_device *d, const struct lca_call *c, const struct conv *s)
{
    struct patches p = patches_of(c->g, c->n, c->scratch);
    struct lca_cuda_matrix patch = {p.patch, s->K, true}, row = {p.row, s->out, false};
    for (uint32_t e = 0, n; e < c->n; e += n) {
        n = block(&p, c->n, e);
        lca_cuda_ok(d, lca_cu_patches(d->stream, c->g, n, c->x + e * s->ld_in, p.patch), "convolution");
        lca_cuda_ok(
            d, lca_cu_copy(d->stream, n, p.rows * s->out, c->dy + e * s->ld_out, s->ld_out, p.row, p.rows * s->out),
            "convolution");
        lca_cuda_multiply(d, patch, row, s->dw, s->out, s->K, s->out, n * p.rows, true);
    }
}

static void input_by_patches(struct lca_device *d, const struct lca_call *c, const struct conv *s)
{
    struct patches p = patches_of(c->g, c->n, c->scratch);
    struct lca_cuda_matrix row = {p.row, s->out, false}, w = {c->kernel, s->out, true};
    for (uint32_t e = 0, n; e < c->n; e += n) {
        n = block(&p, c->n, e);
        lca_cuda_ok(
            d, lca_cu_copy(d->stream, n, p.rows * s->out, c->dy + e * s->ld_out, s->ld_out, p.row, p.rows * s->out),
            "convolution");
        lca_cuda_multiply(d, row, w, p.patch, s->K, n * p.rows, s->K, s->out, false);
        lca_cuda_ok(d, lca_cu_patches_gradient(d->stream, c->g, n, p.patch, c->dx + e * s->ld_in, c->dx_adds),
                    "convolution");
    }
}

/* ---- cuDNN ---- */

/* Scratch of cuDNN's way in bf16: x, y (or dy) and dx of that type. */
struct halves {
    char *x, *y, *dx;
    size_t bytes;
};

static struct halves halves_of(const struct lca_geometry *g, uint32_t n, void *scratch)
{
    struct conv s = conv_of(g, NULL);
    size_t x = 2 * n * s.ld_in, y = 2 * n * s.ld_out;
    char *p = scratch;
    return (struct halves){p, p ? p + x : NULL, p ? p + x + y : NULL, 2 * x + y};
}

static size_t conv_scratch(struct lca_device *d, const struct lca_geometry *g, uint32_t n_max)
{
    size_t bytes = patches_of(g, n_max, NULL).bytes;
    if (d->precision != LCA_CUDA_BF16)
        return bytes;
    size_t halves = halves_of(g, n_max, NULL).bytes;
    return bytes > halves ? bytes : halves;
}

static void conv_begin(struct lca_device *d, const struct lca_call *c)
{
    struct conv s = conv_of(c->g, c->state);
    bool half = d->precision == LCA_CUDA_BF16;
    lca_cuda_ok(d, lca_cu_transpose(d->stream, s.K, s.out, c->kernel, half ? s.one : s.w, false), "convolution");
    if (half)
        lca_cuda_ok(d, lca_cu_to_bf16(d->stream, s.K * s.out, s.one, s.w), "convolution");
    lca_cuda_ok(d, lca_cu_copy(d->stream, 1, s.out, c->bias, s.out, s.bias, s.out), "convolution");
}

static void conv_forward(struct lca_device *d, const struct lca_call *c)
{
    struct conv s = conv_of(c->g, c->state);
    const struct lca_cuda_plan *p = lca_cuda_plan(d, c->g, c->n, LCA_CUDA_FORWARD, false);
    if (!p) {
        forward_by_patches(d, c, &s);
    } else if (d->precision == LCA_CUDA_BF16) {
        struct halves h = halves_of(c->g, c->n, c->scratch);
        lca_cuda_ok(d, lca_cu_to_bf16(d->stream, c->n * s.ld_in, c->x, h.x), "convolution");
        lca_cuda_plan_run(d, p, h.x, s.w, h.y);
        lca_cuda_ok(d, lca_cu_bias_bf16(d->stream, lca_cuda_rows_of(c), h.y, s.bias, c->relu, c->y), "convolution");
    } else {
        lca_cuda_plan_run(d, p, c->x, s.w, c->y);
        lca_cuda_ok(d, lca_cu_bias(d->stream, lca_cuda_rows_of(c), c->y, s.ld_out, s.bias, c->relu, c->y),
                    "convolution");
    }
}

static void to_kernel(struct lca_device *d, const struct lca_call *c, const struct conv *s, const struct halves *h)
{
    const struct lca_cuda_plan *p = lca_cuda_plan(d, c->g, c->n, LCA_CUDA_TO_KERNEL, false);
    if (!p) {
        kernel_by_patches(d, c, s);
        return;
    }
    if (d->precision == LCA_CUDA_BF16) {
        lca_cuda_ok(d, lca_cu_to_bf16(d->stream, c->n * s->ld_in, c->x, h->x), "convolution");
        lca_cuda_ok(d, lca_cu_to_bf16(d->stream, c->n * s->ld_out, c->dy, h->y), "convolution");
        lca_cuda_plan_run(d, p, h->x, s->one, h->y);
    } else {
        lca_cuda_plan_run(d, p, c->x, s->one, c->dy);
    }
    lca_cuda_ok(d, lca_cu_transpose(d->stream, s->out, s->K, s->one, s->dw, true), "convolution");
}

static void to_input(struct lca_device *d, const struct lca_call *c, const struct conv *s, const struct halves *h)
{
    bool half = d->precision == LCA_CUDA_BF16;
    const struct lca_cuda_plan *p = lca_cuda_plan(d, c->g, c->n, LCA_CUDA_TO_INPUT, c->dx_adds && !half);
    if (!p) {
        input_by_patches(d, c, s);
    } else if (half) {
        lca_cuda_ok(d, lca_cu_to_bf16(d->stream, c->n * s->ld_out, c->dy, h->y), "convolution");
        lca_cuda_plan_run(d, p, h->dx, s->w, h->y);
        lca_cuda_ok(d, lca_cu_from_bf16(d->stream, c->n * s->ld_in, h->dx, c->dx, c->dx_adds), "convolution");
    } else {
        lca_cuda_plan_run(d, p, c->dx, s->w, c->dy);
    }
}

static void conv_backward(struct lca_device *d, const struct lca_call *c)
{
    struct conv s = conv_of(c->g, c->state);
    struct halves h = halves_of(c->g, c->n, c->scratch);
    lca_cuda_ok(d,
                lca_cu_bias_gradient(d->stream, lca_cuda_rows_of(c), c->dy, c->relu ? c->y : NULL, d->partial, s.dbias),
                "convolution");
    to_kernel(d, c, &s, &h);
    if (c->dx)
        to_input(d, c, &s, &h);
}

static void conv_end(struct lca_device *d, const struct lca_call *c)
{
    struct conv s = conv_of(c->g, c->state);
    lca_cuda_ok(d, lca_cu_take_layer(d->stream, s.K, s.out, s.dw, s.out, c->dkernel, s.dbias, c->dbias), "convolution");
}

const struct lca_layer_ops lca_cuda_conv = {
    .fuses_relu = true, .reads_x = true, .heavy = true, .state = conv_state, .scratch = conv_scratch,
    .begin = conv_begin, .forward = conv_forward, .backward = conv_backward, .end = conv_end,
};
