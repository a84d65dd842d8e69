/* board.h: how the stages of a run are, from their STATUS frames (proto/status.h), as a
 * picture for a terminal or as plain lines. Knows no clock: the caller says what time it
 * is, in seconds.
 *
 * A stage with outputs speaks for itself. Of the others (recorders, lca-check, workers) the
 * producer that they read from tells. */
#ifndef LCA_RUN_BOARD_H
#define LCA_RUN_BOARD_H

#include <jansson.h>

#include "base/buf.h"
#include "run/progress.h"

enum { LCA_BOARD_STAGES = 128, LCA_BOARD_SAMPLES = 64 };

/* What rates are taken from. */
struct lca_sample {
    double up, it, bytes, cpu, units;       /* up: s, by the clock of who tells */
};

struct lca_track {
    char name[160];                         /* of the stage, or PRODUCER/CONSUMER */
    struct lca_sample sample[LCA_BOARD_SAMPLES];
    int n, at;                              /* a ring; at: where the next one goes */
};

struct lca_board_stage {
    json_t *status;                         /* the latest STATUS, owned */
    char tap[256];                          /* where it came from */
    double at;                              /* when */
    bool gone;
};

struct lca_board {
    struct lca_board_stage stage[LCA_BOARD_STAGES];
    int n;
    struct lca_track *track;                /* [n_track], owned */
    int n_track;
    struct lca_progress progress;
};

/* Takes the header of a frame as JSON, borrowed: STATUS, or of the lca stream HEAD and the
 * lca frames; others are passed over. */
int lca_board_take(struct lca_board *b, const json_t *frame, const char *tap, double now,
                   struct lca_err *err) LCA_MUST_USE;

/* The stage behind the tap has gone. */
void lca_board_gone(struct lca_board *b, const char *tap);

/* Appends a table of all stages and one of the workers, at most `rows` lines of at most
 * `columns` bytes (0: as many as there are), each with a line break; color: states that
 * need a look are coloured (ECMA-48, SGR). -1: no memory. */
int lca_board_picture(const struct lca_board *b, double now, int rows, int columns, bool color,
                      struct lca_buf *out) LCA_MUST_USE;

/* Appends one line per stage and worker, and one for the run's progress, each behind prefix. */
int lca_board_lines(const struct lca_board *b, double now, const char *prefix, struct lca_buf *out) LCA_MUST_USE;

void lca_board_clear(struct lca_board *b);

#endif
