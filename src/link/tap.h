/* tap.h: the frames of any link, looked at without taking part: a socket's tap beside
 * a running stage, or a file or pipe.
 *
 * The stage never waits for a tap; what a slow one misses is counted here. Nothing is
 * asked of the order of frames: whatever is there is handed on. */
#ifndef LCA_LINK_TAP_H
#define LCA_LINK_TAP_H

#include "link/endpoint.h"
#include "link/link.h"

struct lca_tap;

struct lca_tap_opts {
    const struct lca_endpoint *from;    /* borrowed for the call */
    bool payloads;          /* sockets: payloads over 32 KiB too */
    bool must_end;          /* sockets: a producer that goes without EOS is an error */
};

struct lca_tap *lca_tap_open(struct lca_link *l, const struct lca_tap_opts *o,
                             struct lca_err *err) LCA_MUST_USE;

/* Waits for the next frame. 1: *f, valid until the next call; its payload is NULL
 * where the tap got the header alone. 0: told to stop by a signal. -1: error; damaged
 * bytes and bytes that end are LCA_CORRUPT (so do not ask again after EOS), a lost
 * producer is LCA_PEER.
 * On sockets HEAD comes first, and again only when it has changed. */
int lca_tap_next(struct lca_tap *t, struct lca_frame **f, struct lca_err *err) LCA_MUST_USE;

/* The same without waiting: 0: nothing now. For whoever calls lca_link_wait itself, and
 * sees to signals. */
int lca_tap_poll(struct lca_tap *t, struct lca_frame **f, struct lca_err *err) LCA_MUST_USE;

/* Sockets: the producer has gone, and not come back for two seconds. */
bool lca_tap_gone(const struct lca_tap *t);

/* Data frames missing between the frame just handed on and the one before it. */
uint64_t lca_tap_lost(const struct lca_tap *t);

/* Before the link is freed, which closes those still open. */
void lca_tap_close(struct lca_tap *t);

#endif
