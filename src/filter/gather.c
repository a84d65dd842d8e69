#include "filter/gather.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int lca_gather_add(struct lca_gather *g, uint64_t P, const struct lca_frame *f, uint64_t off,
                   const struct lca_vector *which, const float **v, struct lca_err *err)
{
    uint64_t n = lca_frame_count(f);
    bool same = g->got == 0 || (g->kind == which->kind && g->it == which->it && g->cls == which->cls &&
                                strncmp(g->set, which->set, sizeof g->set - 1) == 0);
    if (!same || off != g->got || n > P - off)
        return lca_fail(err, LCA_CORRUPT, "seq %" PRIu64 ": the slice at %" PRIu64 " of %" PRIu64 " does not follow "
                        "the one before", f->seq, off, n);
    if (n == P) {
        *v = f->payload;
        return 1;
    }
    g->kind = which->kind;
    g->it = which->it;
    g->cls = which->cls;
    snprintf(g->set, sizeof g->set, "%s", which->set);
    if (!g->v && !(g->v = lca_alloc(P, sizeof *g->v, err)))
        return -1;
    memcpy(g->v + off, f->payload, n * sizeof *g->v);
    g->got += n;
    if (g->got < P)
        return 0;
    g->got = 0;
    *v = g->v;
    return 1;
}

void lca_gather_clear(struct lca_gather *g)
{
    free(g->v);
    *g = (struct lca_gather){0};
}
