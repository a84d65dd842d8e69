/* grid.h: a network's parameters as cells of a picture, at most 64 x 64 for each tensor.
 *
 * A kernel has a row for each input and a column for each output unit or channel: a
 * convolution's pixels of one input and output stand together, where there is room for
 * them. Where there are more than 64, a cell has as many neighbours as it takes, and is
 * their sum: all cells of a layer add up to the layer. Biases and batch norms are one row. */
#ifndef LCA_WEB_GRID_H
#define LCA_WEB_GRID_H

#include "nn/table.h"

enum { LCA_GRID_SIDE = 64 };

struct lca_patch {                      /* the cells of one tensor */
    const struct lca_tensor *tensor;    /* borrowed from the table */
    uint64_t at;                        /* first cell */
    uint32_t rows, cols;                /* cells, row major */
    uint32_t height, width;             /* of a kernel, in pixels; 1 for others */
    uint32_t in, out;                   /* units or channels */
    uint32_t per_row, per_col;          /* inputs, outputs of a cell */
    bool row_pixels, col_pixels;        /* pixels have cells of their own */
};

struct lca_grid {
    struct lca_patch *patch;            /* [n_patch], as the table's tensors; owned */
    unsigned n_patch;
    uint64_t n_cell;
};

/* Fills *g, to be cleared; t is borrowed as long. */
int lca_grid_init(struct lca_grid *g, const struct lca_table *t, struct lca_err *err) LCA_MUST_USE;

/* Adds v [P] to cell [n_cell]. */
void lca_grid_add(const struct lca_grid *g, const float *v, double *cell);

/* Cells of a patch of which `by` x `by` are made one. */
static inline uint32_t lca_grid_less(uint32_t n, uint32_t by)
{
    return (n + by - 1) / by;
}

/* cell [rows][cols] of a patch -> to [less rows][less cols]: sums of by x by. */
void lca_grid_pool(const struct lca_patch *p, uint32_t by, const float *cell, float *to);

void lca_grid_clear(struct lca_grid *g);

#endif
