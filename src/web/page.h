/* page.h: the files of the page, read once and held in memory. */
#ifndef LCA_WEB_PAGE_H
#define LCA_WEB_PAGE_H

#include <stddef.h>

#include "base/err.h"

struct lca_page {
    struct lca_page_file {
        char *name;
        const char *type;           /* for Content-Type */
        unsigned char *data;
        size_t len;
    } *file;                        /* [n], owned */
    unsigned n;
};

/* Reads the .html, .js, .css, .svg and .txt files of a folder. A folder that is not there, or has no
 * index.html, leaves *p empty: the page has not been built. */
int lca_page_read(struct lca_page *p, const char *folder, struct lca_err *err) LCA_MUST_USE;

/* The file of that name; NULL: none. */
const struct lca_page_file *lca_page_find(const struct lca_page *p, const char *name);

void lca_page_clear(struct lca_page *p);

#endif
