#include "plain/layout.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"

int lca_layout_parse(const char *text, enum lca_layout *layout, struct lca_err *err)
{
    if (strcmp(text, "ours") != 0 && strcmp(text, "torch") != 0)
        return lca_fail(err, LCA_USAGE, "--layout takes ours or torch, not '%s'", text);
    *layout = strcmp(text, "torch") == 0 ? LCA_LAYOUT_TORCH : LCA_LAYOUT_OURS;
    return 0;
}

const char *lca_layout_shape(const uint64_t *shape, unsigned n, char *text, size_t size)
{
    size_t at = 0;
    *text = 0;
    for (unsigned d = 0; d < n && at < size; d++)
        at += (size_t)snprintf(text + at, size - at, "[%" PRIu64 "]", shape[d]);
    return n ? text : "[]";
}

/* The layer whose tensor of this kind begins at off. */
static const struct lca_layer *layer_of(const struct lca_net *net, enum lca_kind_of kind, uint64_t off)
{
    bool norm = kind == LCA_GAMMA || kind == LCA_BETA;
    for (unsigned l = 0; l < net->n_layer; l++)
        if (net->layer[l].off[kind] == off && (net->layer[l].g.type == LCA_BATCHNORM) == norm)
            return &net->layer[l];
    return NULL;
}

/* What a layer's inputs were before anything flattened them. */
static struct lca_shape before_flattening(const struct lca_net *net, const struct lca_layer *to)
{
    int at = to->from;
    while (at >= 0 && net->layer[at].g.out.h == 1 && net->layer[at].g.out.w == 1) {
        const struct lca_layer *l = &net->layer[at];
        if (l->g.type == LCA_FLATTEN && (l->g.in.h > 1 || l->g.in.w > 1))
            return l->g.in;
        if (l->g.type != LCA_FLATTEN && l->g.type != LCA_RELU && l->g.type != LCA_DROPOUT &&
            l->g.type != LCA_BATCHNORM)
            break;
        at = l->from;
    }
    return at < 0 ? net->input : net->layer[at].g.out;
}

/* weight and bias, of the convolution, the dense layer or the batch norm. */
static void name_torch(struct lca_laid *t, const char *layer, enum lca_kind_of kind)
{
    bool weight = kind == LCA_KERNEL || kind == LCA_GAMMA;
    snprintf(t->name, sizeof t->name, "%s.%s", layer, weight ? "weight" : "bias");
    for (char *c = t->name; *c; c++)
        if (*c == '/')
            *c = '.';
}

static int lay_torch(struct lca_laid *t, const struct lca_net *net, const struct lca_tensor *x, struct lca_err *err)
{
    const struct lca_layer *l = layer_of(net, x->kind, x->off);
    if (!l)
        return lca_fail(err, LCA_INTERNAL, "tensor %s belongs to no layer", x->name);
    name_torch(t, l->name, x->kind);
    bool conv = l->g.type == LCA_CONV, kernel = x->kind == LCA_KERNEL;
    struct lca_shape in = conv ? (struct lca_shape){l->g.kernel, l->g.kernel, l->g.in.c} : before_flattening(net, l);
    uint32_t out = kernel ? l->g.out.c : 1;
    /* a vector per channel, unless it is that of a batch norm over a map that was flattened */
    if (!kernel && (x->kind == LCA_BIAS || lca_shape_size(in) != x->len))
        return 0;
    if ((uint64_t)lca_shape_size(in) * out != x->len)
        return lca_fail(err, LCA_INTERNAL, "tensor %s: its inputs are %ux%ux%u", x->name, in.h, in.w, in.c);
    t->permuted = true;
    t->grid[0] = in.h;
    t->grid[1] = in.w;
    t->grid[2] = in.c;
    t->grid[3] = out;
    if (!kernel)
        return 0;
    t->n_shape = conv ? 4 : 2;
    t->shape[0] = out;
    t->shape[1] = conv ? in.c : lca_shape_size(in);
    t->shape[2] = in.h;
    t->shape[3] = in.w;
    return 0;
}

struct lca_laid *lca_layout_tensors(const struct lca_net *net, enum lca_layout layout, struct lca_err *err)
{
    struct lca_laid *all = lca_alloc(net->table.n_tensor, sizeof *all, err);
    for (unsigned k = 0; all && k < net->table.n_tensor; k++) {
        const struct lca_tensor *x = &net->table.tensor[k];
        struct lca_laid *t = &all[k];
        strcpy(t->name, x->name);
        t->len = x->len;
        t->n_shape = x->n_shape;
        for (unsigned d = 0; d < x->n_shape; d++)
            t->shape[d] = x->shape[d];
        if (layout == LCA_LAYOUT_TORCH && lay_torch(t, net, x, err) < 0) {
            free(all);
            return NULL;
        }
    }
    return all;
}

/* Element k of [out][in][height][width] is element ours(k) of [height][width][in][out]. */
static inline uint64_t ours(const uint32_t *grid, uint64_t o, uint64_t c, uint64_t h, uint64_t w)
{
    return ((h * grid[1] + w) * grid[2] + c) * grid[3] + o;
}

static void permute(const struct lca_laid *t, float *to, const float *from, bool out)
{
    const uint32_t *g = t->grid;
    if (!t->permuted) {
        memcpy(to, from, t->len * sizeof *to);
        return;
    }
    uint64_t k = 0;
    for (uint32_t o = 0; o < g[3]; o++)
        for (uint32_t c = 0; c < g[2]; c++)
            for (uint32_t h = 0; h < g[0]; h++)
                for (uint32_t w = 0; w < g[1]; w++, k++)
                    if (out)
                        to[k] = from[ours(g, o, c, h, w)];
                    else
                        to[ours(g, o, c, h, w)] = from[k];
}

void lca_layout_out(const struct lca_laid *t, float *to, const float *vector)
{
    permute(t, to, vector, true);
}

void lca_layout_in(const struct lca_laid *t, float *vector, const float *from)
{
    permute(t, vector, from, false);
}
