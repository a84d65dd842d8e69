/* watched.h: a run as it is shown: its lca stream, taken in frame by frame, and summed up
 * by step, layer, class and cell of the picture.
 *
 * Sums by layer are those of lca-layers and lca-classes, percentages those of lca-helping,
 * to the bit. Steps that a tap has missed, wholly or in part, and steps with values that
 * are not finite are left out and counted. A step that is not later than all before is
 * taken for a new beginning: the history is then that of the new one. Knows no link. */
#ifndef LCA_WEB_WATCHED_H
#define LCA_WEB_WATCHED_H

#include <jansson.h>

#include "filter/gather.h"
#include "nn/table.h"
#include "web/grid.h"
#include "web/past.h"
#include "web/trace.h"

struct lca_watched {
    /* Set by the caller. */
    uint64_t memory;            /* bytes for the past */
    /* From HEAD. */
    bool begun;                 /* HEAD has come: what follows is there */
    json_t *head;               /* its keys, owned */
    uint8_t run[LCA_RUN_LEN];
    uint64_t P, parts;
    unsigned n_class;           /* 0: no frames by class */
    unsigned rows;              /* of all arrays below: all classes together, then each */
    struct lca_table table;
    struct lca_grid grid;
    /* What has come. */
    unsigned beginning;         /* counts HEADs of another run, and new beginnings */
    struct lca_past past;
    struct lca_trace *trace;
    double *sum;                /* [row][layer], since the first step */
    double *cell;               /* [row][cell], likewise */
    uint64_t steps, missed, first;  /* first: step with which the sums begin */
    uint64_t not_finite;        /* steps left out because of their values; among the missed */
    double rate;                /* steps/s lately; NaN: not known */
    /* Inside: the step under way. */
    struct lca_gather gather;
    struct lca_moment now;      /* now.now and now.help are owned */
    double *now_cell;
    unsigned came;              /* rows of it that have come, from the first on without a gap */
    bool any, spoiled;          /* any: a step is under way */
    double seen_at[64];         /* s, and steps: from which the rate is taken */
    uint64_t seen_it[64];
    unsigned n_seen;
};

/* Takes HEAD, a data frame with its payload, or EOS; other kinds are passed over.
 * at: s, for the rate. LCA_CORRUPT where the frame does not fit the stream; the run can
 * go on with the next HEAD. LCA_INTERNAL: no memory. */
int lca_watched_take(struct lca_watched *w, const struct lca_frame *f, double at, struct lca_err *err) LCA_MUST_USE;

void lca_watched_clear(struct lca_watched *w);

#endif
