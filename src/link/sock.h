/* sock.h: ZeroMQ sockets, for the files of src/link/ only. The one place that sets
 * socket options and that turns frames into messages and back. */
#ifndef LCA_LINK_SOCK_H
#define LCA_LINK_SOCK_H

#include <stdint.h>
#include <zmq.h>

#include "base/err.h"
#include "frame/frame.h"
#include "link/endpoint.h"

/* A frame as ZeroMQ messages; copies share the bytes. */
struct lca_packet {
    zmq_msg_t head, body;
    bool has_body;
};

/* Encodes f. The payload is copied into the packet. */
int lca_packet_make(struct lca_packet *p, struct lca_frame *f, struct lca_err *err) LCA_MUST_USE;
void lca_packet_close(struct lca_packet *p);
size_t lca_packet_bytes(struct lca_packet *p);

/* Decodes p into f; the payload stays in p, or in `aligned` where p's bytes are not
 * aligned to 8. */
int lca_packet_frame(struct lca_packet *p, struct lca_frame *f, struct lca_buf *aligned,
                     struct lca_err *err) LCA_MUST_USE;

/* The first part of a message: the identity that a ROUTER gives a peer, or the topic
 * of an XPUB and SUB. */
struct lca_peer_id {
    uint8_t data[32];
    size_t len;
};

bool lca_peer_same(const struct lca_peer_id *a, const struct lca_peer_id *b);

struct lca_sock {
    void *zmq;              /* NULL: not open */
    void *monitor;          /* PAIR of its events; NULL for taps */
    int lock;               /* file descriptor of the lock beside an ipc socket, or -1 */
    char path[160];         /* of the bound ipc socket, "" otherwise */
};

struct lca_sock_opts {
    int type;               /* ZMQ_ROUTER, ... */
    int hwm;                /* messages each way; 0: no limit */
    int64_t max_message;    /* bytes of one part */
    int linger_ms;
    const char *topic;      /* SUB: what it subscribes to; else NULL */
};

/* Makes, sets options, binds or connects. A bound ipc path is locked: a second bind
 * is LCA_USAGE and names the process that holds it. */
int lca_sock_open(struct lca_sock *s, void *context, const struct lca_sock_opts *o,
                  const struct lca_endpoint *e, bool bind, struct lca_err *err) LCA_MUST_USE;
void lca_sock_close(struct lca_sock *s);

/* Sends without blocking; `to` on a ROUTER, else NULL. p stays the caller's.
 * 1: sent; 0: no room now; -1: the peer has gone. */
int lca_sock_send(struct lca_sock *s, const struct lca_peer_id *to, struct lca_packet *p);

/* Encodes and sends a control frame; the same results. */
int lca_sock_say(struct lca_sock *s, const struct lca_peer_id *to, struct lca_frame *f);

/* Receives without blocking. 1: p filled (and `from` on a ROUTER); 0: nothing waits;
 * -1: something that is no frame came and was dropped. */
int lca_sock_receive(struct lca_sock *s, struct lca_peer_id *from, struct lca_packet *p);

enum lca_sock_event { LCA_SOCK_NOTHING, LCA_SOCK_CONNECTED, LCA_SOCK_LOST };

/* The next event of the connection, without blocking. */
enum lca_sock_event lca_sock_event(struct lca_sock *s);

#endif
