/* limit.h: bounds that a process sets itself. */
#ifndef LCA_BASE_LIMIT_H
#define LCA_BASE_LIMIT_H

#include <stdint.h>

#include "base/err.h"

/* Reads "123", "64K", "500M", "4G" or "1T" (powers of 1024) as bytes, above 0. */
int lca_limit_parse(const char *text, uint64_t *bytes, struct lca_err *err) LCA_MUST_USE;

/* Bounds the address space of this process: memory beyond it is refused, to us and to
 * libraries. Lower than what is in use already is LCA_USAGE. */
int lca_limit_memory(const char *text, struct lca_err *err) LCA_MUST_USE;

#endif
