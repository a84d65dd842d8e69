/* sock.h: ZeroMQ sockets, for the files of src/link/ only. The one place that sets
 * socket options, sends and receives. */
#ifndef LCA_LINK_SOCK_H
#define LCA_LINK_SOCK_H

#include <stdint.h>
#include <zmq.h>

#include "base/err.h"
#include "link/endpoint.h"
#include "link/packet.h"
#include "link/refused.h"

struct lca_sock {
    void *zmq;              /* NULL: not open */
    void *monitor;          /* PAIR of its events; NULL for an XPUB */
    int lock;               /* file descriptor of the lock beside an ipc socket, or -1 */
    char path[160];         /* of the bound ipc socket, "" otherwise */
};

struct lca_sock_opts {
    int type;               /* ZMQ_ROUTER, ... */
    int hwm;                /* messages each way; 0: no limit */
    int64_t max_message;    /* bytes */
    int linger_ms;
    const char *topic;      /* SUB: what it subscribes to; else NULL */
};

/* Makes, sets options, binds or connects. A bound ipc path is locked: a second bind
 * is LCA_USAGE and names the process that holds it. */
int lca_sock_open(struct lca_sock *s, void *context, const struct lca_sock_opts *o,
                  const struct lca_endpoint *e, bool bind, struct lca_err *err) LCA_MUST_USE;
void lca_sock_close(struct lca_sock *s);

/* Sends without blocking; `to` on a ROUTER, else NULL. p stays the caller's.
 * 1: sent; 0: no room now, or not connected; -1: the peer has gone. */
int lca_sock_send(struct lca_sock *s, const struct lca_peer_id *to, struct lca_packet *p);

/* Encodes and sends a control frame; the same results. */
int lca_sock_say(struct lca_sock *s, const struct lca_peer_id *to, struct lca_frame *f);

/* Receives without blocking. 1: p filled (and `from` on a ROUTER); 0: nothing waits;
 * -1: a message of several parts came, which is no frame; p holds the first of them, and
 * is to be closed too. */
int lca_sock_receive(struct lca_sock *s, struct lca_peer_id *from, struct lca_packet *p);

enum lca_sock_event { LCA_SOCK_NOTHING, LCA_SOCK_CONNECTED, LCA_SOCK_LOST };

/* The next event of the connection, without blocking. */
enum lca_sock_event lca_sock_event(struct lca_sock *s);

#endif
