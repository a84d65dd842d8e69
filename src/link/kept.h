/* kept.h: the frames that a producer keeps until all consumers have acknowledged them;
 * for the files of src/link/ only. A ring of the frames with seq in [base, next). */
#ifndef LCA_LINK_KEPT_H
#define LCA_LINK_KEPT_H

#include "link/packet.h"

struct lca_kept {
    struct lca_packet *ring;
    size_t cap, at;                 /* at: place of base */
    uint64_t base, next;
};

/* Adds p as frame `next`; shares its bytes. */
int lca_kept_add(struct lca_kept *k, struct lca_packet *p, struct lca_err *err) LCA_MUST_USE;

/* The frame seq, base <= seq < next. */
struct lca_packet *lca_kept_at(struct lca_kept *k, uint64_t seq);

/* Lets go of all frames before seq. */
void lca_kept_release(struct lca_kept *k, uint64_t seq);

void lca_kept_clear(struct lca_kept *k);

#endif
