/* hdf5-out.h: an HDF5 file that grows row by row.
 *
 * Datasets have one unlimited axis, the rows, and are stored in chunks: of 1 MiB where a row
 * is longer than that, else of whole rows. So memory does not grow with them. Names are paths,
 * "lca/train/values"; their groups are made as needed. */
#ifndef LCA_PLAIN_HDF5_OUT_H
#define LCA_PLAIN_HDF5_OUT_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct lca_hdf5_out;

/* A new file; one that is there is replaced. NULL: LCA_USAGE. */
struct lca_hdf5_out *lca_hdf5_out_new(const char *path, struct lca_err *err) LCA_MUST_USE;

/* An attribute of the object called `at` ("/": the file): UTF-8 text, a list of texts, or,
 * `fixed`, text of a fixed length, as numpy.bytes_. */
int lca_hdf5_out_text(struct lca_hdf5_out *o, const char *at, const char *name, const char *text,
                      struct lca_err *err) LCA_MUST_USE;
int lca_hdf5_out_fixed(struct lca_hdf5_out *o, const char *at, const char *name, const char *text,
                       struct lca_err *err) LCA_MUST_USE;
int lca_hdf5_out_texts(struct lca_hdf5_out *o, const char *at, const char *name, const json_t *list,
                       struct lca_err *err) LCA_MUST_USE;

/* Whole datasets: texts [n], from a JSON list of strings, or one text, from a string; and
 * numbers of dt [shape]. */
int lca_hdf5_out_strings(struct lca_hdf5_out *o, const char *name, const json_t *list,
                         struct lca_err *err) LCA_MUST_USE;
int lca_hdf5_out_numbers(struct lca_hdf5_out *o, const char *name, const char *dt, const uint64_t *shape, unsigned n,
                         const void *data, struct lca_err *err) LCA_MUST_USE;

/* A dataset of rows of dt [shape], n axes of it; 0: a number each. Closed with the file. */
struct lca_hdf5_rows *lca_hdf5_rows_new(struct lca_hdf5_out *o, const char *name, const char *dt, const uint64_t *shape,
                                        unsigned n, struct lca_err *err) LCA_MUST_USE;

/* Row `row`, whole where n_shape != 1, else its elements [off, off + n). Rows come in order. */
int lca_hdf5_rows_put(struct lca_hdf5_rows *r, uint64_t row, uint64_t off, uint64_t n, const void *data,
                      struct lca_err *err) LCA_MUST_USE;

/* What is there after `rows` rows is cut. */
int lca_hdf5_rows_cut(struct lca_hdf5_rows *r, uint64_t rows, struct lca_err *err) LCA_MUST_USE;

/* Closes and frees; what could not be written is told here at the latest. A file that could
 * not be written, since the disk is full for instance, cannot be read either. */
int lca_hdf5_out_close(struct lca_hdf5_out *o, struct lca_err *err) LCA_MUST_USE;

#endif
