/* npy.h: arrays that NumPy saved (np.save, format versions 1 to 3). */
#ifndef LCA_DATA_NPY_H
#define LCA_DATA_NPY_H

#include "data/examples.h"

/* Fills e, to be cleared, from uint8 images [n][height][width] or
 * [n][height][width][channels] and labels [n] of any integer type, 0 to 255.
 * LCA_CORRUPT when a file is damaged, LCA_USAGE when it holds something else. */
int lca_npy_read(struct lca_examples *e, const char *images, const char *labels,
                 struct lca_err *err) LCA_MUST_USE;

#endif
