/* past.h: what is kept of a run's steps, so that a reader can go back to them: all of the
 * latest, and the older the fewer, in a memory that does not grow.
 *
 * Sums are kept since the first step. What happened between two steps that are kept is
 * the difference of theirs, so that thinning out takes steps away, and no loss change. */
#ifndef LCA_WEB_PAST_H
#define LCA_WEB_PAST_H

#include <stdint.h>

#include "base/err.h"

struct lca_moment {             /* after step it */
    uint64_t it;
    uint64_t steps, missed;     /* since the first step seen, this one included */
    double L0, L1, res;         /* nat, of the training set, of this step */
    double held;                /* nat, L1 of the first held-out set; NaN: none */
    double *help;               /* [1 + layer][2]: percent p and q of this step, all and each layer */
    double *now, *sum;          /* [row][layer], nat: of this step; since the first step seen */
    float *cell;                /* [row][cell], nat, since the first step seen */
};

struct lca_past {               /* zeroed: empty */
    struct lca_moment *item;    /* [n], in order of it; owned, and what they point to */
    unsigned n, room;
    void *memory;
};

/* Room for as many moments as `bytes` hold, 16 to 1,024. */
int lca_past_init(struct lca_past *p, unsigned rows, unsigned layers, uint64_t cells, uint64_t bytes,
                  struct lca_err *err) LCA_MUST_USE;

/* The moment after all others, to be filled; where there is no room, one of them goes, whose
 * neighbours are nearest for their age. */
struct lca_moment *lca_past_add(struct lca_past *p, uint64_t it);

/* Place of the newest moment not after it; -1: none. */
int lca_past_find(const struct lca_past *p, uint64_t it);

void lca_past_clear(struct lca_past *p);

#endif
