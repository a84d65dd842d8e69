#include "web/trace.h"

static void thin_out(struct lca_trace *t)
{
    unsigned n = 0;
    t->every *= 2;
    t->thinned++;
    for (unsigned k = 0; k < t->n; k++)
        if ((t->at[k].it - t->first) % t->every == 0)
            t->at[n++] = t->at[k];
    t->n = n;
}

void lca_trace_add(struct lca_trace *t, const struct lca_trace_point *p)
{
    if (t->n == 0) {
        t->first = p->it;
        t->every = 1;
    }
    while (t->n == LCA_TRACE_MOST)
        thin_out(t);
    if ((p->it - t->first) % t->every == 0)
        t->at[t->n++] = *p;
}

unsigned lca_trace_after(const struct lca_trace *t, uint64_t it)
{
    unsigned low = 0, high = t->n;
    while (low < high) {
        unsigned mid = low + (high - low) / 2;
        if (t->at[mid].it <= it)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}
