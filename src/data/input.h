/* input.h: reads a file of known layout, gzipped or not (its content tells).
 *
 * Every failure names the file. A damaged, short or over-long file is LCA_CORRUPT,
 * one that cannot be opened LCA_USAGE. */
#ifndef LCA_DATA_INPUT_H
#define LCA_DATA_INPUT_H

#include <stddef.h>
#include <stdint.h>
#include <zlib.h>

#include "base/err.h"

struct lca_input {
    gzFile file;
    const char *path;       /* borrowed */
    uint64_t done;          /* bytes read, after decompression */
    uint64_t most;          /* bytes that a file of this length can unpack to */
};

int lca_input_open(struct lca_input *in, const char *path, struct lca_err *err) LCA_MUST_USE;

/* Fails unless the file can hold this many bytes more: to be asked before memory is
 * allocated for what a header claims. */
int lca_input_room(const struct lca_input *in, uint64_t bytes, struct lca_err *err) LCA_MUST_USE;

/* Reads exactly n bytes. */
int lca_input_read(struct lca_input *in, void *to, size_t n, struct lca_err *err) LCA_MUST_USE;

/* Goes to byte `at` of the content. */
int lca_input_seek(struct lca_input *in, uint64_t at, struct lca_err *err) LCA_MUST_USE;

/* Fails unless the file ends here; checks gzip's own sum on the way. */
int lca_input_end(struct lca_input *in, struct lca_err *err) LCA_MUST_USE;

void lca_input_close(struct lca_input *in);     /* also what was never opened */

#endif
