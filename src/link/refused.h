/* refused.h: what peers sent and was not taken, counted by reason; who is no longer
 * listened to. For the files of src/link/, and for who shows the counters.
 *
 * A peer that sends what is no frame, or breaks the rules of its side, is ignored from then
 * on: whatever else it sends costs a comparison. What is refused of one peer is said once,
 * by name; all of it is counted, and told in sum at the end. */
#ifndef LCA_LINK_REFUSED_H
#define LCA_LINK_REFUSED_H

#include <jansson.h>

#include "link/packet.h"

/* The identity that a ROUTER gives a peer. */
struct lca_peer_id {
    uint8_t data[32];
    size_t len;
};

bool lca_peer_same(const struct lca_peer_id *a, const struct lca_peer_id *b);

enum lca_refusal {
    LCA_REFUSED_MALFORMED,      /* no frame: cut, damaged, in several parts, over the limits */
    LCA_REFUSED_VERSION,        /* of another wire version, or a kind of a later one */
    LCA_REFUSED_RUN,            /* of another run */
    LCA_REFUSED_UNEXPECTED,     /* a kind that does not belong here, or from one who is not attached */
    LCA_REFUSED_ORDER,          /* it acknowledges what was not sent, or answers what was not asked */
    LCA_REFUSED_NUMBER,         /* a result that is not finite */
    LCA_REFUSED_ATTACH,         /* HELLO or JOIN that does not fit: name taken, other data, no place */
    LCA_REFUSED_IGNORED,        /* sent by one that is ignored */
    LCA_REFUSALS
};
extern const char *const lca_refusal_name[LCA_REFUSALS];    /* "malformed", ... */

enum { LCA_REFUSED_PEERS = 64 };    /* remembered; libzmq gives who comes again another identity */

struct lca_refusals {                /* zeroed: nothing yet */
    uint64_t n[LCA_REFUSALS];
    struct {
        struct lca_peer_id id;
        bool ignored;
    } peer[LCA_REFUSED_PEERS];
    unsigned n_peer;                /* in all; the latest are remembered */
};

/* Whether nothing that this peer says is to be looked at. Counts what it said. */
bool lca_refusals_ignore(struct lca_refusals *r, const struct lca_peer_id *id);

/* A message as it came. */
struct lca_heard {
    const char *where;          /* the socket, for messages */
    struct lca_peer_id from;
    struct lca_packet packet;
};

/* Counts, and says the first of each peer: "ipc:lca: refused a message from pid 12 of uid
 * 1000: TEXT". what: "a message", "a worker", ...; ignore: listen to it no more. */
void lca_refuse(struct lca_refusals *r, enum lca_refusal why, struct lca_heard *h, const char *what, bool ignore,
                const char *text);

uint64_t lca_refusals_total(const struct lca_refusals *r);

/* Says the sum, if there is one: "WHERE: refused 5 messages in all: 3 malformed, 2 run". */
void lca_refusals_say(const struct lca_refusals *r, const char *where);

/* Adds the counts that are not zero to object[name]. */
void lca_refusals_report(const struct lca_refusals *r, const char *name, json_t *object);

#endif
