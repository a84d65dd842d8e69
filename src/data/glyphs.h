/* glyphs.h: how the digits are written by hand, as strokes. Each digit has several
 * variants; each variant is a list of points of smooth curves. */
#ifndef LCA_DATA_GLYPHS_H
#define LCA_DATA_GLYPHS_H

#include <stdint.h>

enum lca_glyph_kind {
    LCA_GLYPH_END,          /* ends the list */
    LCA_GLYPH_START,        /* the pen goes down here */
    LCA_GLYPH_SMOOTH,
    LCA_GLYPH_CORNER,       /* the direction changes at once */
};

/* x from 0, left, to 100, right; y from 0, top, to 100, bottom. */
struct lca_glyph_point {
    int8_t kind, x, y;
};

#define LCA_GLYPH_DIGITS 10
#define LCA_GLYPH_POINTS 24     /* at most, with the end */

/* The variants of a digit, and their number. */
const struct lca_glyph_point *lca_glyph(int digit, int variant);
int lca_glyph_variants(int digit);

#endif
