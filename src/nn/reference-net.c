#include "nn/reference-net.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "backend/cpu/reference-ops.h"
#include "base/buf.h"

struct pass {
    const struct lca_net *net;
    const double *theta;
    const struct lca_reference_chunk *chunk;
    double **y, **dy;           /* [n_layer], each [n][out] */
    double *grad;
    double doubt;
    uint64_t pattern;
    struct lca_err *err;
};

static size_t size_in(const struct pass *p, unsigned k)
{
    return p->chunk->n * lca_shape_size(p->net->layer[k].g.in);
}

static size_t size_out(const struct pass *p, unsigned k)
{
    return p->chunk->n * lca_shape_size(p->net->layer[k].g.out);
}

static const double *output(const struct pass *p, int k)
{
    return k < 0 ? p->chunk->x : p->y[k];
}

static const double *value(const struct pass *p, unsigned k, enum lca_kind_of kind)
{
    return p->theta + p->net->layer[k].off[kind];
}

static double *slope(const struct pass *p, unsigned k, enum lca_kind_of kind)
{
    return p->grad + p->net->layer[k].off[kind];
}

/* Where the gradient of layer k's output adds up: NULL for the image. */
static int gradient_of(struct pass *p, int k, double **dy)
{
    *dy = NULL;
    if (k < 0)
        return 0;
    if (!p->dy[k])
        p->dy[k] = lca_alloc(size_out(p, (unsigned)k), sizeof **dy, p->err);
    *dy = p->dy[k];
    return *dy ? 0 : -1;
}

/* FNV-1a, by numbers. */
static void note(struct pass *p, uint64_t side)
{
    p->pattern = (p->pattern ^ side) * 0x100000001b3;
}

/* Which inputs the windows of pool k pass on, as a gradient of ones shows. */
static int note_pool(struct pass *p, unsigned k, const double *x)
{
    const struct lca_geometry *g = &p->net->layer[k].g;
    double *one = lca_alloc(size_out(p, k), sizeof *one, p->err);
    double *times = lca_alloc(size_in(p, k), sizeof *times, p->err);
    int result = one && times ? 0 : -1;
    if (result == 0) {
        for (size_t i = 0; i < size_out(p, k); i++)
            one[i] = 1;
        lca_reference_maxpool_gradient_d(g, x, one, times, p->chunk->n);
        for (size_t i = 0; i < size_in(p, k); i++)
            note(p, (uint64_t)times[i]);
    }
    free(one);
    free(times);
    return result;
}

static int forward(struct pass *p, unsigned k)
{
    const struct lca_layer *l = &p->net->layer[k];
    const struct lca_geometry *g = &l->g;
    const double *x = output(p, l->from);
    size_t n = p->chunk->n;
    double *y = p->y[k] = lca_alloc(size_out(p, k), sizeof *y, p->err);
    if (!y)
        return -1;
    switch (g->type) {
    case LCA_DENSE:
        lca_reference_dense_d(x, value(p, k, LCA_KERNEL), value(p, k, LCA_BIAS), y, n,
                              lca_shape_size(g->in), lca_shape_size(g->out));
        return 0;
    case LCA_CONV:
        lca_reference_conv_d(g, x, value(p, k, LCA_KERNEL), value(p, k, LCA_BIAS), y, n);
        return 0;
    case LCA_MAXPOOL:
        lca_reference_maxpool_d(g, x, y, n);
        return note_pool(p, k, x);
    case LCA_AVGPOOL:
        lca_reference_avgpool_d(g, x, y, n);
        return 0;
    case LCA_GAP:
        lca_reference_gap_d(g, x, y, n);
        return 0;
    case LCA_BATCHNORM:
        lca_reference_batchnorm_d(g, x, value(p, k, LCA_GAMMA), value(p, k, LCA_BETA), y, n);
        return 0;
    case LCA_RELU:
        lca_reference_relu_d(x, y, size_out(p, k));
        for (size_t i = 0; i < size_out(p, k); i++)
            note(p, x[i] > 0);
        return 0;
    case LCA_ADD:
        lca_reference_add_d(x, output(p, l->other), y, size_out(p, k));
        return 0;
    case LCA_DROPOUT:       /* off */
    case LCA_FLATTEN:
        memcpy(y, x, size_out(p, k) * sizeof *y);
        return 0;
    case LCA_LAYER_TYPES:
        break;
    }
    return lca_fail(p->err, LCA_INTERNAL, "layer %s: no reference", l->name);
}

/* x [n] as a kink would see it if it were off by doubt; owned by the caller. */
static double *doubted(const struct pass *p, const double *x, size_t n)
{
    double *to = lca_alloc(n, sizeof *to, p->err), squares = 0;
    for (size_t i = 0; i < n; i++)
        squares += x[i] * x[i];
    double off = p->doubt * sqrt(squares / (double)n);
    for (size_t i = 0; to && i < n; i++)
        to[i] = x[i] == 0 ? 0 : x[i] + (i * 0x9e3779b97f4a7c15 >> 63 ? off : -off);
    return to;
}

/* ReLU and max pool: the layers with kinks. */
static int backward_kink(struct pass *p, unsigned k, const double *x, double *dy, double *dx)
{
    const struct lca_geometry *g = &p->net->layer[k].g;
    double *moved = p->doubt != 0 ? doubted(p, x, size_in(p, k)) : NULL;
    if (p->doubt != 0 && !moved)
        return -1;
    const double *seen = moved ? moved : x;
    if (g->type == LCA_RELU) {
        lca_reference_relu_gradient_d(seen, dy, size_out(p, k));
        lca_reference_add_gradient_d(dy, dx, NULL, size_out(p, k));
    } else if (dx) {
        lca_reference_maxpool_gradient_d(g, seen, dy, dx, p->chunk->n);
    }
    free(moved);
    return 0;
}

static int backward(struct pass *p, unsigned k)
{
    const struct lca_layer *l = &p->net->layer[k];
    const struct lca_geometry *g = &l->g;
    const double *x = output(p, l->from);
    size_t n = p->chunk->n;
    double *dy = p->dy[k], *dx, *dx2;
    if (gradient_of(p, l->from, &dx) < 0)
        return -1;
    switch (g->type) {
    case LCA_DENSE:
        lca_reference_dense_gradient_d(x, value(p, k, LCA_KERNEL), dy, slope(p, k, LCA_KERNEL),
                                       slope(p, k, LCA_BIAS), dx, n, lca_shape_size(g->in),
                                       lca_shape_size(g->out));
        break;
    case LCA_CONV:
        lca_reference_conv_gradient_d(g, x, value(p, k, LCA_KERNEL), dy, slope(p, k, LCA_KERNEL),
                                      slope(p, k, LCA_BIAS), dx, n);
        break;
    case LCA_RELU:
    case LCA_MAXPOOL:
        return backward_kink(p, k, x, dy, dx);
    case LCA_AVGPOOL:
        if (dx)
            lca_reference_avgpool_gradient_d(g, dy, dx, n);
        break;
    case LCA_GAP:
        if (dx)
            lca_reference_gap_gradient_d(g, dy, dx, n);
        break;
    case LCA_BATCHNORM:
        lca_reference_batchnorm_gradient_d(g, x, value(p, k, LCA_GAMMA), dy,
                                           slope(p, k, LCA_GAMMA), slope(p, k, LCA_BETA), dx, n);
        break;
    case LCA_ADD:
        if (gradient_of(p, l->other, &dx2) < 0)
            return -1;
        lca_reference_add_gradient_d(dy, dx, dx2, size_out(p, k));
        break;
    case LCA_DROPOUT:
    case LCA_FLATTEN:
        lca_reference_add_gradient_d(dy, dx, NULL, size_out(p, k));
        break;
    case LCA_LAYER_TYPES:
        break;
    }
    return 0;
}

/* The loss of the examples that count, and the gradient of the logits. */
static int loss_of(struct pass *p, int only, double *loss)
{
    unsigned last = p->net->n_layer - 1;
    size_t classes = p->net->classes;
    double *dz;
    if (gradient_of(p, (int)last, &dz) < 0)
        return -1;
    *loss = 0;
    for (size_t e = 0; e < p->chunk->n; e++)
        if (only == LCA_REFERENCE_ALL || p->chunk->label[e] == only)
            *loss += lca_reference_loss_d(p->y[last] + e * classes, p->chunk->label + e,
                                          dz + e * classes, 1, classes);
    return 0;
}

static int run(struct pass *p, int only, double *loss)
{
    for (unsigned k = 0; k < p->net->n_layer; k++)
        if (forward(p, k) < 0)
            return -1;
    if (loss_of(p, only, loss) < 0)
        return -1;
    if (!p->grad)
        return 0;
    memset(p->grad, 0, p->net->P * sizeof *p->grad);
    for (unsigned k = p->net->n_layer; k-- > 0;) {
        if (p->dy[k] && backward(p, k) < 0)
            return -1;
        free(p->dy[k]);
        p->dy[k] = NULL;
    }
    return 0;
}

int lca_reference_eval(const struct lca_net *net, const double *theta,
                       const struct lca_reference_chunk *chunk, int only, double doubt,
                       struct lca_reference_result *result, double *grad, struct lca_err *err)
{
    struct pass p = {
        .net = net, .theta = theta, .chunk = chunk, .grad = grad, .doubt = doubt,
        .y = lca_alloc(net->n_layer, sizeof *p.y, err),
        .dy = lca_alloc(net->n_layer, sizeof *p.dy, err), .pattern = 0xcbf29ce484222325, .err = err,
    };
    int status = p.y && p.dy ? run(&p, only, &result->loss) : -1;
    result->pattern = p.pattern;
    for (unsigned k = 0; k < net->n_layer; k++) {
        if (p.y)
            free(p.y[k]);
        if (p.dy)
            free(p.dy[k]);
    }
    free(p.y);
    free(p.dy);
    return status;
}
