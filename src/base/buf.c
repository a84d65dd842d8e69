#include "base/buf.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void *lca_alloc(size_t n, size_t size, struct lca_err *err)
{
    size_t bytes;
    if (__builtin_mul_overflow(n, size, &bytes) || bytes > SIZE_MAX - 64) {
        lca_fail(err, LCA_INTERNAL, "%zu elements of %zu bytes do not fit in memory", n, size);
        return NULL;
    }
    bytes = (bytes + 64) / 64 * 64;
    void *p = aligned_alloc(64, bytes);
    if (!p) {
        lca_fail(err, LCA_INTERNAL, "out of memory asking for %zu bytes", bytes);
        return NULL;
    }
    memset(p, 0, bytes);
    return p;
}

int lca_buf_reserve(struct lca_buf *b, size_t cap, struct lca_err *err)
{
    if (cap <= b->cap)
        return 0;
    size_t grown = b->cap + b->cap / 2;
    if (grown < cap)
        grown = cap;
    if (grown < 256)
        grown = 256;
    grown = (grown + 63) / 64 * 64;
    unsigned char *data = aligned_alloc(64, grown);
    if (!data)
        return lca_fail(err, LCA_INTERNAL, "out of memory asking for %zu bytes", grown);
    if (b->len)
        memcpy(data, b->data, b->len);
    free(b->data);
    b->data = data;
    b->cap = grown;
    return 0;
}

int lca_buf_append(struct lca_buf *b, const void *data, size_t len, struct lca_err *err)
{
    if (lca_buf_reserve(b, b->len + len, err) < 0)
        return -1;
    if (len)
        memcpy(b->data + b->len, data, len);
    b->len += len;
    return 0;
}

int lca_buf_printf(struct lca_buf *b, const char *format, ...)
{
    va_list ap, again;
    va_start(ap, format);
    va_copy(again, ap);
    int n = vsnprintf(NULL, 0, format, ap);
    va_end(ap);
    int result = -1;
    if (n >= 0 && lca_buf_reserve(b, b->len + (size_t)n + 1, NULL) == 0) {
        vsnprintf((char *)b->data + b->len, (size_t)n + 1, format, again);
        b->len += (size_t)n;
        result = 0;
    }
    va_end(again);
    return result;
}

void lca_buf_clear(struct lca_buf *b)
{
    free(b->data);
    *b = (struct lca_buf){0};
}
