/* npy-out.h: an array written row by row, as NumPy saves it (.npy, version 1.0).
 *
 * Its header says how many rows there are. In a file that is put right at the end; into a
 * pipe it has to be known before. */
#ifndef LCA_PLAIN_NPY_OUT_H
#define LCA_PLAIN_NPY_OUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/err.h"

struct lca_npy_out {                /* zeroed: none */
    FILE *file;
    char *name;                     /* for messages */
    bool is_stdout;
    bool seeks;                     /* the header can be put right */
    char dt[4];
    uint64_t shape[5];              /* of the whole array; [0] the rows that it will have, if known */
    unsigned n_shape;
    uint64_t row_bytes, bytes;      /* of a row; written so far */
};

/* path NULL: stdout. shape: of a row, n >= 1 axes of dt ("<f4"). rows: how many will come;
 * 0: not known. LCA_USAGE when the file cannot be opened, or rows must be known. */
int lca_npy_out_open(struct lca_npy_out *o, const char *path, const char *dt, const uint64_t *shape, unsigned n,
                     uint64_t rows, struct lca_err *err) LCA_MUST_USE;

/* The next bytes of a row, which may come in pieces. */
int lca_npy_out_put(struct lca_npy_out *o, const void *data, size_t bytes, struct lca_err *err) LCA_MUST_USE;

/* Ends it after its whole rows: what there is of another one is cut. Into a pipe, other than
 * so many rows as were announced are LCA_CORRUPT. */
int lca_npy_out_close(struct lca_npy_out *o, struct lca_err *err) LCA_MUST_USE;

#endif
