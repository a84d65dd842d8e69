/* head.h: what a HEAD frame says, put together and taken apart. */
#ifndef LCA_FRAME_HEAD_H
#define LCA_FRAME_HEAD_H

#include "frame/frame.h"

/* The run id: SHA-256 of the definition as compact JSON with sorted keys, cut. */
int lca_run_id(const json_t *def, uint8_t run[LCA_RUN_LEN], struct lca_err *err) LCA_MUST_USE;

/* Keeps HEAD for longer than the link that it came by does: *to is a frame of its own, with
 * the payload, which lies in *bytes. Both are the caller's to clear. */
int lca_head_keep(struct lca_frame *to, struct lca_buf *bytes, const struct lca_frame *from,
                  struct lca_err *err) LCA_MUST_USE;

/* A copy of prov (NULL: empty) with this program and its args (taken over; whatever
 * changes results, no paths) at its end. NULL: no memory. */
json_t *lca_prov_add(const json_t *prov, const char *prog, json_t *args) LCA_MUST_USE;

/* Set `name` of data.sets: its N examples in chunks of `chunk` (0: not said).
 * LCA_USAGE, naming the sets there are, when there is none of that name. */
int lca_head_set(const struct lca_frame_head *head, const char *name, uint64_t *N, uint64_t *chunk,
                 struct lca_err *err) LCA_MUST_USE;

/* Whether what it announces is within the limits of frame.h, and its lists make sense. Links
 * check it, so that whoever has HEAD from one may set memory aside by it. LCA_CORRUPT. */
int lca_head_check(const struct lca_frame_head *head, struct lca_err *err) LCA_MUST_USE;

/* Number of chunks of all sets: the units of the pool. 0: the stream has none. */
uint64_t lca_head_units(const struct lca_frame_head *head);

#endif
