/* scan.h: a first look at untrusted MessagePack that allocates nothing.
 *
 * msgpack-c reserves memory for what a length field claims, before it has seen the
 * bytes (up to 16 GB for 5 of them). So each header passes this scan first. */
#ifndef LCA_FRAME_SCAN_H
#define LCA_FRAME_SCAN_H

#include <stddef.h>

#include "base/err.h"

struct lca_scan_limits {
    unsigned depth;         /* maps and lists within each other */
    unsigned nodes;         /* values in all */
    size_t   text;          /* bytes of one string or bin */
};

/* The limits of any frame, and of HEAD, which describes every tensor. */
extern const struct lca_scan_limits lca_scan_frame, lca_scan_head;

/* Checks that data is exactly one map with string keys, no key twice in one map, no
 * ext types, counts that the bytes left can hold, and all within the limits. */
int lca_scan(const void *data, size_t len, const struct lca_scan_limits *limits,
             struct lca_err *err) LCA_MUST_USE;

#endif
