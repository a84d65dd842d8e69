/* sock.h: ZeroMQ sockets, for the files of src/link/ only. The one place that sets
 * socket options, sends and receives. */
#ifndef LCA_LINK_SOCK_H
#define LCA_LINK_SOCK_H

#include <stdint.h>
#include <zmq.h>

#include "base/err.h"
#include "link/curve.h"
#include "link/endpoint.h"
#include "link/packet.h"

/* The identity that a ROUTER gives a peer. */
struct lca_peer_id {
    uint8_t data[32];
    size_t len;
};

bool lca_peer_same(const struct lca_peer_id *a, const struct lca_peer_id *b);

/* What the sockets of a process share. */
struct lca_context {
    void *zmq;
    struct lca_curve *curve;    /* NULL: no keys */
};

struct lca_sock {
    void *zmq;              /* NULL: not open */
    void *monitor;          /* PAIR of its events */
    int lock;               /* file descriptor of the lock beside an ipc socket, or -1 */
    char path[160];         /* of the bound ipc socket, "" otherwise */

    char text[LCA_ENDPOINT_SIZE];   /* of the endpoint, for messages */
    bool bound, connected, keys;    /* keys: it speaks CURVE */
    struct lca_refused refused;     /* bound: connections that were */
    const char *why;        /* connecting: what the other side has against us, or NULL */
    int broken;             /* handshakes broken off in a row */
    double broken_at;       /* the first of them */

    char at[LCA_ENDPOINT_SIZE];     /* the file that tells its address (rendezvous.h), or "" */
    char told[LCA_ENDPOINT_SIZE];   /* bound: the address that we wrote there; else the one connected to, or "" */
    double look_at;         /* connecting: when to look into the file again */
    const struct lca_curve *curve;  /* and the keys for the address that it tells; borrowed */
};

struct lca_sock_opts {
    int type;               /* ZMQ_ROUTER, ... */
    int hwm;                /* messages each way; 0: no limit */
    int64_t max_message;    /* bytes */
    int linger_ms;
    const char *topic;      /* SUB: what it subscribes to; else NULL */
};

/* Makes, sets options, binds or connects. An ipc socket lies in a folder that is ours
 * alone, made where it is missing, and takes no peer of another user. Its path is locked:
 * a second bind is LCA_USAGE and names the process that holds it. Where a file tells the
 * address, a socket that is bound writes it, one that connects follows it: lca_sock_follow. */
int lca_sock_open(struct lca_sock *s, const struct lca_context *context, const struct lca_sock_opts *o,
                  const struct lca_endpoint *e, bool bind, struct lca_err *err) LCA_MUST_USE;
void lca_sock_close(struct lca_sock *s);

/* While not connected: looks whether the file of a rendezvous is there, or tells another
 * address than before, and connects to that; twice a second at most. To be called as
 * often as the events are asked for; does nothing for any other socket. */
int lca_sock_follow(struct lca_sock *s, struct lca_err *err) LCA_MUST_USE;

/* SUB: takes another topic, or no longer. */
void lca_sock_subscribe(struct lca_sock *s, const char *topic, bool wanted);

/* Sends without blocking; `to` on a ROUTER, else NULL. p stays the caller's.
 * 1: sent; 0: no room now, or not connected; -1: the peer has gone. */
int lca_sock_send(struct lca_sock *s, const struct lca_peer_id *to, struct lca_packet *p);

/* Encodes and sends a control frame; the same results. */
int lca_sock_say(struct lca_sock *s, const struct lca_peer_id *to, struct lca_frame *f);

/* Receives without blocking. 1: p filled (and `from` on a ROUTER); 0: nothing waits;
 * -1: a message of several parts came, which is no frame, and was dropped. */
int lca_sock_receive(struct lca_sock *s, struct lca_peer_id *from, struct lca_packet *p);

enum lca_sock_event { LCA_SOCK_NOTHING, LCA_SOCK_CONNECTED, LCA_SOCK_LOST };

/* The next event of the connection, without blocking. Says who is refused, where the
 * socket is bound. */
enum lca_sock_event lca_sock_event(struct lca_sock *s);

/* After the events: LCA_USAGE where the other side has refused us for good, by our key,
 * for having none, or because it is not whom we were told to trust. */
int lca_sock_check(const struct lca_sock *s, struct lca_err *err) LCA_MUST_USE;

#endif
