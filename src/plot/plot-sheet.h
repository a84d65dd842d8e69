/* plot-sheet.h: a figure under way: the tables that it shows, the script that draws it.
 *
 * Tables and script lie in one folder and name each other without it, so that the folder
 * can be kept, the script changed, and the figure drawn again by `gnuplot KIND.gp` there.
 * Whatever comes out of a stream goes into the script through lca_plot_quote alone. */
#ifndef LCA_PLOT_PLOT_SHEET_H
#define LCA_PLOT_PLOT_SHEET_H

#include <stdio.h>

#include "plot/plot-run.h"

/* Colours that the colour-blind tell apart (Okabe and Ito): what helps, what hurts; and of
 * lines that are neither. */
#define LCA_PLOT_HELPS "#009e73"
#define LCA_PLOT_HURTS "#d55e00"

struct lca_plot_sheet {
    const char *kind;           /* names the files; borrowed */
    char folder[512];           /* where they lie; made by begin, or the user's */
    bool keep;                  /* the user's: stays */
    char out[64];               /* the figure's name in the folder */
    int width, height;          /* px; 3/4 of a point */
    unsigned pictures;          /* of a film */
    FILE *script;               /* KIND.gp */
    FILE *table;                /* the one under way */
    bool torn;                  /* a table could not be written */
};

/* Begins the figure that `out` is to hold, whose name says how: .svg, .png or .pdf (NULL: SVG for
 * stdout), in the folder `keep` (NULL: one of its own, which end removes). */
int lca_plot_sheet_begin(struct lca_plot_sheet *s, const char *kind, const char *out, const char *keep,
                         struct lca_err *err) LCA_MUST_USE;

/* Begins the table KIND-part.tsv, whose first line, a comment, names the columns (parted by
 * tabs). NULL: err is set. It is written until the next one begins. */
FILE *lca_plot_sheet_table(struct lca_plot_sheet *s, const char *part, const char *columns,
                           struct lca_err *err) LCA_MUST_USE;

/* The terminal and what all figures share. `title` says what is shown, `caption` of which run. rows and
 * columns above 0: several pictures in one. */
void lca_plot_sheet_head(struct lca_plot_sheet *s, const char *title, const char *caption, int rows, int columns);

/* How an image of so many cells is drawn: "image pixels", as rectangles, but in SVG, which
 * they would swell, "image", a bitmap, from some thousands on. */
const char *lca_plot_sheet_image(const struct lca_plot_sheet *s, uint64_t cells);

/* Draws it and puts it where it belongs. */
int lca_plot_sheet_draw(struct lca_plot_sheet *s, const char *out, struct lca_err *err) LCA_MUST_USE;

/* Removes what is not kept; to be called whatever has happened. */
void lca_plot_sheet_end(struct lca_plot_sheet *s);

/* Runs a program in the folder and waits; its own words are the error. Told to stop, it stops the
 * program: LCA_ABORTED. */
int lca_plot_sheet_run(struct lca_plot_sheet *s, const char *const *argv, struct lca_err *err) LCA_MUST_USE;

/* Text as gnuplot's string, quotes included, that shows it as it is. */
struct lca_plot_quoted {
    char text[1300];
};
struct lca_plot_quoted lca_plot_quote(const char *text);

/* A number for a table: as many digits as it takes to be read back. */
void lca_plot_number(FILE *to, double value, char after);

/* Colour of line k of n that have an order: "#rrggbb". */
const char *lca_plot_colour(unsigned k, unsigned n);

#endif
