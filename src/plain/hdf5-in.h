/* hdf5-in.h: a matrix in an HDF5 file, row by row; it may be larger than memory. */
#ifndef LCA_PLAIN_HDF5_IN_H
#define LCA_PLAIN_HDF5_IN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

struct lca_hdf5_in;

/* Whether path is an HDF5 file. */
bool lca_hdf5_is(const char *path);

/* dataset: of floating point numbers [rows][columns]; NULL: all_weights, or theta/values, as
 * lca-export writes them. NULL with LCA_USAGE or LCA_CORRUPT. */
struct lca_hdf5_in *lca_hdf5_in_open(const char *path, const char *dataset, uint64_t *rows, uint64_t *columns,
                                     struct lca_err *err) LCA_MUST_USE;

/* Row k as float [columns]; others are rounded. In order is fast: rows of one chunk are read at
 * once, in at most 64 MiB. */
int lca_hdf5_in_read(struct lca_hdf5_in *h, uint64_t k, float *to, struct lca_err *err) LCA_MUST_USE;

void lca_hdf5_in_close(struct lca_hdf5_in *h);

#endif
