/* screen.h: what people see of a run, and its log file.
 *
 * Lines come from many processes; each is written whole. On a terminal one live line
 * stays below them: it is cleared before a line and drawn again after it. */
#ifndef LCA_RUN_SCREEN_H
#define LCA_RUN_SCREEN_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

struct lca_screen {
    int log;            /* where lines are appended as well; -1: nowhere. Borrowed. */
    bool terminal;      /* stderr is one that can redraw a line */
    char live[256];     /* the live line; empty: none */
};

void lca_screen_init(struct lca_screen *s);

/* A line of a stage, without its end: to stderr and the log. */
void lca_screen_line(struct lca_screen *s, const char *text, size_t len);

/* A line of lca-run's own, "lca-run: " before it: to stderr and the log. */
void lca_screen_say(struct lca_screen *s, const char *format, ...) LCA_PRINTF(2, 3);

/* To the log only. */
void lca_screen_log(struct lca_screen *s, const char *text, size_t len);

/* Progress: the new live line, or a plain line where there is no terminal. */
void lca_screen_progress(struct lca_screen *s, const char *text);

/* Leaves the live line where it is, as a line of its own. */
void lca_screen_end(struct lca_screen *s);

#endif
