/* lines.h: lines out of a pipe that is read without blocking. */
#ifndef LCA_RUN_LINES_H
#define LCA_RUN_LINES_H

#include "base/buf.h"

enum { LCA_LINE_MAX = 16384 };  /* a longer line is cut into pieces */

struct lca_lines {
    int fd;                 /* owned; -1: closed */
    struct lca_buf buf;
    size_t at;              /* what has been handed out */
};

/* Takes over fd and makes it non-blocking. */
void lca_lines_open(struct lca_lines *l, int fd);

/* Reads once. At the end of the file (or an error) closes fd. 1: something came,
 * 0: nothing now, or no more. */
int lca_lines_read(struct lca_lines *l);

/* The next line without its end, *len bytes, valid until the next read; NULL: none is
 * complete. The last one of a closed pipe needs no line end. */
const char *lca_lines_next(struct lca_lines *l, size_t *len);

void lca_lines_close(struct lca_lines *l);

#endif
