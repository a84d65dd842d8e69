/* safetensors.h: files of named tensors.
 *
 * Bytes of a file: the length of the header, 64 bits, little-endian; the header, JSON,
 * {"name": {"dtype", "shape", "data_offsets": [begin, end]}, ..., "__metadata__": {text:
 * text}}, padded with spaces; then the tensors' elements, little-endian, row major, each
 * at its offsets from the end of the header, without gaps or overlaps.
 *
 * What a file claims is checked against its length before memory is set aside for it. */
#ifndef LCA_PLAIN_SAFETENSORS_H
#define LCA_PLAIN_SAFETENSORS_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

enum {
    LCA_SAFETENSORS_HEADER = 16 << 20,  /* most bytes of a header */
    LCA_SAFETENSORS_TENSORS = 1 << 16,  /* most tensors of a file */
    LCA_SAFETENSORS_AXES = 8,
};

struct lca_stored {
    const char *name;           /* borrowed */
    char dtype[8];              /* "F32" */
    uint64_t shape[LCA_SAFETENSORS_AXES], count;
    unsigned n_shape;
    uint64_t begin, end;        /* bytes, from the end of the header */
};

/* A file open for reading; zeroed: none. */
struct lca_safetensors {
    int fd;
    bool open;
    char *path;
    uint64_t data;              /* where the elements begin */
    struct lca_stored *tensor;  /* in the order of the header */
    unsigned n;
    json_t *header;
};

/* LCA_USAGE when it cannot be opened, LCA_CORRUPT when it is no such file, or damaged. */
int lca_safetensors_open(struct lca_safetensors *s, const char *path, struct lca_err *err) LCA_MUST_USE;

/* The tensor called name, or NULL. */
const struct lca_stored *lca_safetensors_find(const struct lca_safetensors *s, const char *name);

/* A tensor's elements as float [t->count]: F32 as they are, F16 and BF16 exactly, F64 rounded.
 * LCA_USAGE for other elements. */
int lca_safetensors_read(const struct lca_safetensors *s, const struct lca_stored *t, float *to,
                         struct lca_err *err) LCA_MUST_USE;

void lca_safetensors_close(struct lca_safetensors *s);

/* Puts length and header before F32 elements of n tensors, which follow one another in this
 * order; begin and end are filled. metadata: {text: text}, borrowed. */
int lca_safetensors_header(struct lca_buf *to, struct lca_stored *tensor, unsigned n, const json_t *metadata,
                           struct lca_err *err) LCA_MUST_USE;

#endif
