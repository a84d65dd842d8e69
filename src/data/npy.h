/* npy.h: arrays that NumPy saved (np.save, format versions 1 to 3). */
#ifndef LCA_DATA_NPY_H
#define LCA_DATA_NPY_H

#include <stdint.h>

#include "data/examples.h"
#include "data/input.h"

/* Fills e, to be cleared, from uint8 images [n][height][width] or
 * [n][height][width][channels] and labels [n] of any integer type, 0 to 255.
 * LCA_CORRUPT when a file is damaged, LCA_USAGE when it holds something else. */
int lca_npy_read(struct lca_examples *e, const char *images, const char *labels,
                 struct lca_err *err) LCA_MUST_USE;

/* A matrix of float32 or float64, [rows][columns] or [columns], which is one row.
 * Returned [rows][columns], to be freed; NULL: LCA_CORRUPT or LCA_USAGE as above. */
double *lca_npy_matrix(const char *path, uint64_t *rows, uint64_t *columns, struct lca_err *err) LCA_MUST_USE;

/* A matrix of float32 or float64 [rows][columns] that may be larger than memory: row by row.
 * Zeroed: none. */
struct lca_npy_rows {
    struct lca_input in;
    uint64_t rows, columns;
    unsigned size;              /* bytes of an element */
    bool swapped;               /* big-endian */
    uint64_t data;              /* where the elements begin */
};

int lca_npy_rows_open(struct lca_npy_rows *r, const char *path, struct lca_err *err) LCA_MUST_USE;

/* Row k < rows as float [columns]; float64 is rounded. Any order, but in a gzipped file going back means to
 * begin anew. */
int lca_npy_rows_read(struct lca_npy_rows *r, uint64_t k, float *to, struct lca_err *err) LCA_MUST_USE;

void lca_npy_rows_close(struct lca_npy_rows *r);

#endif
