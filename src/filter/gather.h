/* gather.h: vectors put together from the slices in which they travel. */
#ifndef LCA_FILTER_GATHER_H
#define LCA_FILTER_GATHER_H

#include "frame/frame.h"

/* Which vector a slice is of. set: borrowed; "" for move, which has none. */
struct lca_vector {
    enum lca_kind kind;
    uint64_t it;
    int cls;
    const char *set;
};

struct lca_gather {         /* zeroed: empty */
    float *v;               /* [P], owned; NULL as long as every vector came in one slice */
    uint64_t got;           /* parameters of the vector under way; 0: none is */
    enum lca_kind kind;     /* whose it is: a slice of another does not follow */
    uint64_t it;
    int cls;
    char set[8];
};

/* Adds the slice that f brings, whose first parameter is off. 1: the vector is whole at
 * *v [P], valid until the next call or as long as f's payload; 0: more to come. A vector
 * in one slice is used where it lies. LCA_CORRUPT where slices do not follow. */
int lca_gather_add(struct lca_gather *g, uint64_t P, const struct lca_frame *f, uint64_t off,
                   const struct lca_vector *which, const float **v, struct lca_err *err) LCA_MUST_USE;

/* Frees; g is empty and usable again. */
void lca_gather_clear(struct lca_gather *g);

#endif
