#include "filter/units.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "lca/sums.h"

int lca_units_init(struct lca_units *u, const struct lca_table *t, struct lca_err *err)
{
    *u = (struct lca_units){.layer = lca_alloc(t->n_layer, sizeof *u->layer, err)};
    if (!u->layer)
        return -1;
    for (unsigned l = 0; l < t->n_layer; l++) {
        const struct lca_group *g = &t->layer[l];
        struct lca_layer_units *x = &u->layer[l];
        for (unsigned k = g->first; k < g->first + g->n; k++) {
            const struct lca_tensor *a = &t->tensor[k];
            if (a->kind == LCA_KERNEL && a->n_shape >= 2)
                x->n_in = a->shape[a->n_shape - 2];
            if (k == g->first)
                x->n_out = a->shape[a->n_shape - 1];
            /* a batch norm after a flattened convolution has [h w][channels] */
            if (a->len % x->n_out != 0) {
                lca_fail(err, LCA_USAGE, "%s has %llu parameters, which do not go with the %u outputs of %s", a->name,
                         (unsigned long long)a->len, x->n_out, g->name);
                lca_units_clear(u);
                return -1;
            }
        }
        u->widest = x->n_in > u->widest ? x->n_in : u->widest;
        u->widest = x->n_out > u->widest ? x->n_out : u->widest;
        x->in = u->n_in;
        x->out = u->n_out;
        u->n_in += x->n_in;
        u->n_out += x->n_out;
    }
    return 0;
}

void lca_units_sum(const struct lca_units *u, const struct lca_table *t, const float *v, double *in, double *out)
{
    memset(out, 0, u->n_out * sizeof *out);
    if (in)
        memset(in, 0, u->n_in * sizeof *in);
    for (unsigned k = 0; k < t->n_tensor; k++) {
        const struct lca_tensor *a = &t->tensor[k];
        const struct lca_layer_units *x = &u->layer[a->layer];
        bool by_input = a->kind == LCA_KERNEL && x->n_in > 0;
        uint32_t rows = by_input ? x->n_in : 1;
        lca_sum_axes(v + a->off, a->len / ((uint64_t)rows * x->n_out), rows, x->n_out,
                     in && by_input ? in + x->in : NULL, out + x->out);
    }
}

void lca_units_clear(struct lca_units *u)
{
    free(u->layer);
    *u = (struct lca_units){0};
}
