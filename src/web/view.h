/* view.h: what the page is told of a run, as JSON: see docs/live-page.md.
 *
 * Numbers have 12 digits; NaN is null. Cells travel as 16 bit integers, q = 32767
 * sqrt(|v| / max) with the sign of v and max the layer's largest |v|, little-endian,
 * base64: three digits of what can be seen. */
#ifndef LCA_WEB_VIEW_H
#define LCA_WEB_VIEW_H

#include "web/watched.h"

/* Cells of a picture of the whole network: where it has more, each side is halved until
 * it has not. A single layer comes in full. */
enum { LCA_VIEW_CELLS = 16384 };

struct lca_view {
    uint64_t at;            /* the newest step kept that is not after it, or else the first */
    uint64_t window;        /* sum over so many steps; 0: all since the first */
    int cls;                /* -1: all classes together */
    int layer;              /* picture of this one alone; -1: of all */
};

/* Appends {"head": {...}, "layers": [...]} as text: what stays the same during a run. */
int lca_view_head(const struct lca_watched *w, struct lca_buf *out) LCA_MUST_USE;

/* Appends the keys of a view, without braces; nothing where no step has come. A window
 * that begins between two steps kept begins at the one before: `from` says so. */
int lca_view_step(const struct lca_watched *w, const struct lca_view *v, struct lca_buf *out) LCA_MUST_USE;

/* Appends the points of the curves after step `after`, or all (after < 0): a JSON object. */
int lca_view_trace(const struct lca_trace *t, int64_t after, struct lca_buf *out) LCA_MUST_USE;

/* Appends the steps kept, a JSON list. */
int lca_view_steps(const struct lca_past *p, struct lca_buf *out) LCA_MUST_USE;

#endif
