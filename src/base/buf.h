/* buf.h: a growing array of bytes, kept and reused so that the path of a frame
 * allocates nothing once it has seen the largest one. A zeroed struct is empty. */
#ifndef LCA_BASE_BUF_H
#define LCA_BASE_BUF_H

#include <stddef.h>

#include "base/err.h"

struct lca_buf {
    unsigned char *data;    /* owned, aligned to 64 bytes */
    size_t len, cap;
};

/* Makes room for cap bytes in all; the first len bytes stay. */
int lca_buf_reserve(struct lca_buf *b, size_t cap, struct lca_err *err) LCA_MUST_USE;
int lca_buf_append(struct lca_buf *b, const void *data, size_t len, struct lca_err *err) LCA_MUST_USE;
int lca_buf_printf(struct lca_buf *b, const char *format, ...) LCA_PRINTF(2, 3);    /* -1: no memory */
void lca_buf_clear(struct lca_buf *b);      /* frees; b is empty and usable again */

/* n elements of size bytes, zeroed, aligned to 64 bytes, for free(); never NULL
 * with err NULL unset: on failure returns NULL with err filled. */
void *lca_alloc(size_t n, size_t size, struct lca_err *err) LCA_MUST_USE;

#endif
