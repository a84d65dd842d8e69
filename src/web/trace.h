/* trace.h: the curves of a run, in a bounded memory: all steps at first, then every 2nd,
 * 4th ... Each point is exact; only their number shrinks. */
#ifndef LCA_WEB_TRACE_H
#define LCA_WEB_TRACE_H

#include <stdint.h>

enum { LCA_TRACE_MOST = 2048 };

struct lca_trace_point {
    uint64_t it;
    double loss, held, res;     /* nat after the step; NaN: there is none */
    double p, q;                /* percent of the parameters that helped */
};

struct lca_trace {              /* zeroed: empty */
    struct lca_trace_point at[LCA_TRACE_MOST];
    unsigned n;
    uint64_t first, every;      /* the steps first, first + every, ... are kept */
    unsigned thinned;           /* how often points have been taken away */
};

/* Adds the point of a later step than all before, if it is one to keep. */
void lca_trace_add(struct lca_trace *t, const struct lca_trace_point *p);

/* Place of the first point after step it; n: none. */
unsigned lca_trace_after(const struct lca_trace *t, uint64_t it);

#endif
