/* board-inside.h: a board as rows of numbers; for board*.c only. board.c makes them of
 * what the stages say, board-text.c makes text of them. */
#ifndef LCA_RUN_BOARD_INSIDE_H
#define LCA_RUN_BOARD_INSIDE_H

#include "run/board.h"

/* A stage, or a consumer or worker that others tell of. Numbers that are not known are NaN. */
struct lca_row {
    char name[64], note[160];       /* note: what it waits for, since when it is silent, ... */
    const char *state;
    enum { LCA_ROW_FINE, LCA_ROW_WAITS, LCA_ROW_BAD } mood;
    int depth;                      /* stages that its frames went through before */
    double step, steps_rate;        /* steps/s */
    double bytes_rate;              /* bytes/s */
    double kept;                    /* frames sent, not yet processed by all */
    double behind, credit;          /* frames that it has not processed of its input; may still be sent */
    double memory, cpu;             /* bytes; share of a core */
    double held, done, mean;        /* worker: units; s of one */
    char host[64];
    double pid;
};

/* Every stage, in the order in which frames pass them; [*n], to be freed. NULL: no memory. */
struct lca_row *lca_board_rows(const struct lca_board *b, double now, int *n);

/* The workers of all pools, the late ones first. */
struct lca_row *lca_board_workers(const struct lca_board *b, double now, int *n);

/* Of a quantity of a track, per second: over the shortest time that has enough to count,
 * 5 s at least where there are as many. NaN: not known yet. */
double lca_track_rate(const struct lca_track *t, size_t field);
const struct lca_track *lca_board_track(const struct lca_board *b, const char *name);

#endif
