/* pool.h: the gradient workers, seen from lca-integrate.
 *
 * An evaluation point is a theta; its units are the chunks of HEAD.data.sets. The pool
 * gives units to whoever has a free slot, lowest point and unit first, takes them
 * back from workers that die, gives them to others too when a lease runs out or when
 * these are idle and much faster, and hands results on in unit order, so that what is
 * folded does not depend on who computed it, or when. */
#ifndef LCA_LINK_POOL_H
#define LCA_LINK_POOL_H

#include "link/link.h"

struct lca_pool;

/* A slice of a unit's gradient: the sum over its examples of one class (or all). */
struct lca_pool_row {
    uint64_t pt, u;
    int cls;                /* -1: all classes together */
    uint64_t n, hit;        /* examples; those predicted right */
    double loss;            /* nat, summed over them */
    uint64_t off, len;      /* parameters [off, off + len) */
    const float *grad;      /* [len], borrowed for the call */
    bool first;             /* first slice of the row: count n, hit and loss here */
};

struct lca_pool_opts {
    const char *endpoint;
    bool mixed;             /* workers of different numerics in one run */
    double wait;            /* seconds without any worker before the run fails; 0: for ever */
    double lease;           /* least seconds for a unit before others get it too; 0: 10 */
    void *arg;
    /* Rows of a point come in order of unit, class, slice. */
    int (*row)(void *arg, const struct lca_pool_row *row, struct lca_err *err);
    /* All units of the point have been handed on. */
    int (*point)(void *arg, uint64_t pt, struct lca_err *err);
};

/* Binds; workers may join at once, and wait. */
struct lca_pool *lca_pool_open(struct lca_link *l, const struct lca_pool_opts *o, struct lca_err *err) LCA_MUST_USE;

/* What the workers work on: HEAD with P, bycls, and data with chunks (copied). */
int lca_pool_head(struct lca_pool *p, struct lca_frame *head, struct lca_err *err) LCA_MUST_USE;

/* Asks for the gradient at theta[P] (copied): the point j/n of step it. pt must grow
 * from call to call; points of lower `order` are worked on first. */
int lca_pool_point(struct lca_pool *p, uint64_t pt, uint64_t order, uint64_t it, uint64_t j, uint64_t n,
                   const float *theta, struct lca_err *err) LCA_MUST_USE;

/* Numerics id of the workers; NULL until one has joined. */
const char *lca_pool_num(const struct lca_pool *p);

struct lca_pool_stats {
    uint64_t workers;       /* joined in all */
    uint64_t units;         /* done */
    uint64_t again;         /* given out a second time */
    double busy;            /* 0..1: seconds of computing / seconds of workers between the
                               first WORK and the last DONE */
};
void lca_pool_stats(const struct lca_pool *p, struct lca_pool_stats *s);

/* Sends the workers home. */
void lca_pool_end(struct lca_pool *p);

#endif
