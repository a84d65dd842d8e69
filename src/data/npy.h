/* npy.h: arrays that NumPy saved (np.save, format versions 1 to 3). */
#ifndef LCA_DATA_NPY_H
#define LCA_DATA_NPY_H

#include <stdint.h>

#include "data/examples.h"

/* Fills e, to be cleared, from uint8 images [n][height][width] or
 * [n][height][width][channels] and labels [n] of any integer type, 0 to 255.
 * LCA_CORRUPT when a file is damaged, LCA_USAGE when it holds something else. */
int lca_npy_read(struct lca_examples *e, const char *images, const char *labels,
                 struct lca_err *err) LCA_MUST_USE;

/* A matrix of float32 or float64, [rows][columns] or [columns], which is one row.
 * Returned [rows][columns], to be freed; NULL: LCA_CORRUPT or LCA_USAGE as above. */
double *lca_npy_matrix(const char *path, uint64_t *rows, uint64_t *columns, struct lca_err *err) LCA_MUST_USE;

#endif
