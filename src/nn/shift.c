#include "nn/shift.h"

/* A window over padding sees less of a constant at the border than inside. */
static bool pads(const struct lca_geometry *g)
{
    return (g->out.h - 1) * g->stride + g->kernel > g->in.h || (g->out.w - 1) * g->stride + g->kernel > g->in.w;
}

static bool hands_on(const struct lca_geometry *g)
{
    switch (g->type) {
    case LCA_CONV:
        return !pads(g);
    case LCA_DENSE:
    case LCA_MAXPOOL:
    case LCA_AVGPOOL:
    case LCA_GAP:
    case LCA_DROPOUT:
    case LCA_FLATTEN:
    case LCA_ADD:
        return true;
    default:
        return false;
    }
}

void lca_net_lost_shifts(const struct lca_net *net, bool *lost)
{
    /* a layer comes after its inputs, so that of those that read k all is known */
    for (unsigned k = net->n_layer; k-- > 0;) {
        bool read = false;
        lost[k] = true;
        for (unsigned r = k + 1; r < net->n_layer; r++) {
            const struct lca_layer *reader = &net->layer[r];
            if (reader->from != (int)k && reader->other != (int)k)
                continue;
            read = true;
            lost[k] &= reader->g.type == LCA_BATCHNORM || (hands_on(&reader->g) && lost[r]);
        }
        lost[k] &= read;
    }
}
