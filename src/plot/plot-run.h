/* plot-run.h: what the output of a filter says about a run, kept for drawing.
 *
 * It comes as frames (HEAD, agg, EOS) or as the lines of JSON that lca-tap makes of
 * them, such as OUT/layers.jsonl. What is not asked for is not kept. Axes and places
 * are found by their names, never by number. */
#ifndef LCA_PLOT_PLOT_RUN_H
#define LCA_PLOT_PLOT_RUN_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "frame/frame.h"

enum { LCA_PLOT_AXES = 4 };

/* An array that an aggregator wrote. No axis is empty. */
struct lca_plot_agg {
    const char *kind, *set;             /* of header; set "" where it has none */
    uint64_t it;
    unsigned n_dims;
    uint64_t shape[LCA_PLOT_AXES];
    json_t *header, *keys, *more;       /* owned; keys and more may be NULL */
    double *v;                          /* [shape], row major; owned */
    size_t n;
};

struct lca_plot_run {                   /* zeroed: empty */
    const char *takes;                  /* kinds to keep, parted by commas; borrowed */
    const char *name;                   /* of the input, for messages; borrowed */
    json_t *head;                       /* HEAD's keys, owned; NULL: it has not come */
    struct lca_plot_agg *agg;           /* [n] in order; owned */
    size_t n, room;
    bool ended, stopped;                /* EOS has come; and said that the run was interrupted */
};

/* Takes a frame, or a line of lca-tap --json. Broken ones, and a stream that failed, are
 * errors; what the run does not take is skipped. */
int lca_plot_run_frame(struct lca_plot_run *r, const struct lca_frame *f, struct lca_err *err) LCA_MUST_USE;
int lca_plot_run_line(struct lca_plot_run *r, const char *line, size_t len, struct lca_err *err) LCA_MUST_USE;
void lca_plot_run_clear(struct lca_plot_run *r);

/* The first array of that kind after `after` (NULL: from the beginning), of a set (NULL:
 * any) and of a layer, where arrays are about one (NULL: any). NULL: there is none. */
const struct lca_plot_agg *lca_plot_next(const struct lca_plot_run *r, const struct lca_plot_agg *after,
                                         const char *kind, const char *set, const char *layer);

/* Axis called `name`: its number, or -1. */
int lca_plot_axis(const struct lca_plot_agg *a, const char *name);

/* Length of an axis; 0 where there is none. */
uint64_t lca_plot_size(const struct lca_plot_agg *a, const char *axis);

/* Label of place k on an axis: its key, else its number. text has room for size bytes. */
const char *lca_plot_label(const struct lca_plot_agg *a, const char *axis, uint64_t k, char *text, size_t size);

/* Place that is labelled so, or -1. */
int64_t lca_plot_place(const struct lca_plot_agg *a, const char *axis, const char *label);

/* A number of `more`; NaN where there is none. */
double lca_plot_more(const struct lca_plot_agg *a, const char *key);

/* One more than the last step that arrays speak of: the end of an axis of steps. */
uint64_t lca_plot_steps(const struct lca_plot_run *r);

/* Steps of the run: those that HEAD announces; where it was interrupted, up to the last one. */
uint64_t lca_plot_length(const struct lca_plot_run *r);

#endif
