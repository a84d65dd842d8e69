/* plot.h: the kinds of figures, each from the output of one filter.
 *
 * A kind is a function that writes tables and the script for gnuplot. They are grouped by
 * what they have in common: plot-steps.c (curves over steps), plot-spread.c
 * (distributions), plot-bars.c (layers and runs side by side), plot-params.c (single parameters,
 * moments), plot-images.c (colours for numbers), plot-film.c. */
#ifndef LCA_PLOT_PLOT_H
#define LCA_PLOT_PLOT_H

#include "plot/plot-run.h"
#include "plot/plot-sheet.h"

struct lca_plot {
    const struct lca_plot_run *run;     /* [n_run] */
    unsigned n_run;
    const char *layer;                  /* --layer, or NULL */
    const char *set;                    /* --set */
    const char *by;                     /* --by, or NULL */
    const char *of;                     /* --of: lca, move or eff */
    unsigned pictures;                  /* --pictures: at most, of an animation */
    struct lca_plot_sheet *sheet;
};

struct lca_plot_kind {
    const char *name;                   /* "layers" */
    const char *filter;                 /* "layers": of lca-layers, and OUT/layers.jsonl */
    const char *needs;                  /* options that the filter must have been given, or NULL */
    const char *takes;                  /* kinds of agg frames, parted by commas; it must have the first */
    bool many;                          /* several runs */
    int width, height;                  /* px */
    int (*draw)(struct lca_plot *p, struct lca_err *err);
    const char *shows;                  /* for the help */
};

/* All kinds; ends with a NULL name. */
extern const struct lca_plot_kind lca_plot_kinds[];

/* Draws: checks that the runs have what the kind needs, writes tables and script. */
int lca_plot_draw(const struct lca_plot_kind *kind, struct lca_plot *p, struct lca_err *err) LCA_MUST_USE;

/* Shared by the kinds. */

/* Says which run it is, as far as HEAD tells: network, data, optimiser, steps, seed; of several runs
 * what they have in common. Fills text. */
const char *lca_plot_caption(const struct lca_plot *p, char *text, size_t size);

/* lca_plot_sheet_head with that caption. */
void lca_plot_title(struct lca_plot *p, const char *title, int rows, int columns);

/* The first array of a kind in --set; without one an error that says what there is. */
const struct lca_plot_agg *lca_plot_first(const struct lca_plot *p, unsigned run, const char *kind,
                                          struct lca_err *err) LCA_MUST_USE;

/* The layer that --layer names, else the first of arrays that are about one layer each. NULL: err is set. */
const char *lca_plot_layer(const struct lca_plot *p, const char *kind, char *text, size_t size,
                           struct lca_err *err) LCA_MUST_USE;

/* Fails where steps are missing between arrays of this kind, since sums would be wrong. */
int lca_plot_every_step(const struct lca_plot *p, const char *kind, const char *layer,
                        struct lca_err *err) LCA_MUST_USE;

/* Fails where an array has another number of values than the first of its kind. */
int lca_plot_like(const struct lca_plot *p, const struct lca_plot_agg *a, const struct lca_plot_agg *first,
                  struct lca_err *err) LCA_MUST_USE;

/* The value below which a share (0.99) of |v[n]| lie, by rank; 0 where there are none. v is
 * spoilt on the way. */
double lca_plot_clip(double *v, size_t n, double share);

/* Appends the labels along an axis to a table's columns, parted by tabs. */
void lca_plot_columns(char *columns, size_t size, const struct lca_plot_agg *a, const char *axis);

/* The plot command for such a table: a line for each place along the axis, from column 2 on. */
void lca_plot_lines(FILE *script, const char *table, const char *with, const struct lca_plot_agg *a, const char *axis);

/* Between tics, for about n of them over a span: 1, 2 or 5 times a power of ten. */
double lca_plot_tics(double span, unsigned n);

/* 84060 as 84,060. */
const char *lca_plot_grouped(uint64_t value, char text[32]);

/* The kinds' functions. */
int lca_plot_loss(struct lca_plot *p, struct lca_err *err);
int lca_plot_helping(struct lca_plot *p, struct lca_err *err);
int lca_plot_cumulative(struct lca_plot *p, struct lca_err *err);
int lca_plot_histogram(struct lca_plot *p, struct lca_err *err);
int lca_plot_parameter_helping(struct lca_plot *p, struct lca_err *err);
int lca_plot_surrogate(struct lca_plot *p, struct lca_err *err);
int lca_plot_layers(struct lca_plot *p, struct lca_err *err);
int lca_plot_correlation(struct lca_plot *p, struct lca_err *err);
int lca_plot_classes(struct lca_plot *p, struct lca_err *err);
int lca_plot_overfit(struct lca_plot *p, struct lca_err *err);
int lca_plot_sweep(struct lca_plot *p, struct lca_err *err);
int lca_plot_curves(struct lca_plot *p, struct lca_err *err);
int lca_plot_oscillation(struct lca_plot *p, struct lca_err *err);
int lca_plot_moments(struct lca_plot *p, struct lca_err *err);
int lca_plot_heatmap(struct lca_plot *p, struct lca_err *err);
int lca_plot_saliency(struct lca_plot *p, struct lca_err *err);
int lca_plot_animation(struct lca_plot *p, struct lca_err *err);

#endif
