#include "web/past.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"

enum { LEAST = 16, MOST = 1024 };

int lca_past_init(struct lca_past *p, unsigned rows, unsigned layers, uint64_t cells, uint64_t bytes,
                  struct lca_err *err)
{
    uint64_t numbers = 2 * (1 + (uint64_t)layers) + 2 * (uint64_t)rows * layers;
    uint64_t one = numbers * sizeof (double) + (rows * cells + 1) / 2 * 2 * sizeof (float);
    uint64_t room = bytes / one;
    *p = (struct lca_past){.room = room < LEAST ? LEAST : room > MOST ? MOST : (unsigned)room};
    p->item = lca_alloc(p->room, sizeof *p->item, err);
    if (!p->item || !(p->memory = lca_alloc(p->room, one, err))) {
        lca_past_clear(p);
        return -1;
    }
    for (unsigned k = 0; k < p->room; k++) {
        struct lca_moment *m = &p->item[k];
        m->help = (double *)((char *)p->memory + k * one);
        m->now = m->help + 2 * (1 + layers);
        m->sum = m->now + (size_t)rows * layers;
        m->cell = (float *)(m->sum + (size_t)rows * layers);
    }
    return 0;
}

/* Distances grow in proportion to age: the one whose going leaves the smallest gap for its
 * age. The first and the last stay. */
static unsigned dispensable(const struct lca_past *p, uint64_t it)
{
    unsigned best = 1;
    double least = 1e300;
    for (unsigned k = 1; k + 1 < p->n; k++) {
        double gap = (double)(p->item[k + 1].it - p->item[k - 1].it) / (double)(it - p->item[k].it);
        if (gap < least) {
            least = gap;
            best = k;
        }
    }
    return best;
}

struct lca_moment *lca_past_add(struct lca_past *p, uint64_t it)
{
    if (p->n == p->room) {
        unsigned k = dispensable(p, it);
        struct lca_moment gone = p->item[k];
        p->n--;
        memmove(p->item + k, p->item + k + 1, (p->n - k) * sizeof *p->item);
        p->item[p->n] = gone;
    }
    p->item[p->n].it = it;
    return &p->item[p->n++];
}

int lca_past_find(const struct lca_past *p, uint64_t it)
{
    unsigned low = 0, high = p->n;
    while (low < high) {
        unsigned mid = low + (high - low) / 2;
        if (p->item[mid].it <= it)
            low = mid + 1;
        else
            high = mid;
    }
    return (int)low - 1;
}

void lca_past_clear(struct lca_past *p)
{
    free(p->item);
    free(p->memory);
    *p = (struct lca_past){0};
}
