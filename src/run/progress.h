/* progress.h: how far a run is, from lca-tap's lines. Knows no clock: the caller says
 * what time it is, in seconds. */
#ifndef LCA_RUN_PROGRESS_H
#define LCA_RUN_PROGRESS_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

struct lca_progress {
    long iterations;        /* set by the caller; 0: not known */
    long step;              /* steps done, 0: none seen */
    double loss, res;       /* of the training set after that step, in nats; NaN: not seen */
    long first;             /* the step seen first, and when; with .. */
    double since, at;       /* .. the last one these give the speed */
    long shown;             /* what lca_progress_due was told last */
    double shown_at;
};

/* The options of lca-tap that make the lines which lca_progress_read reads. */
#define LCA_PROGRESS_FIELDS "it,set,cls,L1,res,n"

/* Reads one JSON object, text[len]: `it` is the step that was begun with, from 0.
 * True if it says something new; a line of any other kind is passed over. */
bool lca_progress_read(struct lca_progress *p, const char *text, size_t len, double now);

/* The same of a line that has been parsed, borrowed. */
bool lca_progress_take(struct lca_progress *p, const json_t *line, double now);

/* "step 123/880  loss 0.3121  residual 1.2e-06  41 steps/min  ETA 0:05:12"; what is not
 * known is left out. */
void lca_progress_text(const struct lca_progress *p, char *out, size_t size);

/* True when a new line is due, which then counts as shown: on a terminal (live) 0.2 s
 * after the last one, else after 10 s or 10 % of the run. Also at the end of the run. */
bool lca_progress_due(struct lca_progress *p, bool live, double now);

#endif
