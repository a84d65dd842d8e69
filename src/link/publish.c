#include "link/publish.h"

#include <poll.h>

#include "base/clock.h"

enum { SMALL = 32 * 1024 };         /* bytes of a payload that goes with its header */

#define END_WAIT 0.5                /* seconds */

int lca_publish_open(struct lca_publish *p, const struct lca_context *context, const struct lca_endpoint *e, uint64_t parts,
                     struct lca_err *err)
{
    /* two iterations; a short linger, so that a tap sees EOS */
    struct lca_sock_opts o = {ZMQ_XPUB, parts ? (int)(2 * parts + 2) : 64, 64, 200, NULL};
    struct lca_endpoint at;
    if (lca_endpoint_tap(&at, e, err) < 0)
        return -1;
    return lca_sock_open(&p->sock, context, &o, &at, true, err);
}

void lca_publish_frame(struct lca_publish *p, struct lca_packet *frame)
{
    struct lca_packet header;
    if (p->n_full > 0)
        lca_sock_send(&p->sock, NULL, frame);
    if (p->n_header > 0 && lca_packet_short(&header, frame, SMALL, NULL) == 0) {
        lca_sock_send(&p->sock, NULL, &header);
        lca_packet_close(&header);
    }
}

void lca_publish_serve(struct lca_publish *p, struct lca_packet *head)
{
    uint8_t what[8];
    int n;
    bool fresh = false;
    while (lca_sock_event(&p->sock) != LCA_SOCK_NOTHING)
        continue;       /* who comes and goes is of no interest, who is refused is said */
    while (p->sock.zmq && (n = zmq_recv(p->sock.zmq, what, sizeof what, ZMQ_DONTWAIT)) > 0) {
        int *count = n == 2 && what[1] == 'f' ? &p->n_full : n == 2 && what[1] == 'h' ? &p->n_header : NULL;
        if (!count)
            continue;
        *count += what[0] == 1 ? 1 : -1;
        fresh |= what[0] == 1;
    }
    if (fresh && head)
        lca_publish_frame(p, head);
}

/* On a busy machine the queue of a tap may be full just when the stream ends, and
 * nothing follows that could tell it what it missed. */
void lca_publish_end(struct lca_publish *p, struct lca_packet *eos)
{
    double until = lca_now() + END_WAIT;
    while (p->n_full + p->n_header > 0 && lca_now() < until) {
        lca_publish_frame(p, eos);
        poll(NULL, 0, 5);
        lca_publish_serve(p, NULL);
    }
}
