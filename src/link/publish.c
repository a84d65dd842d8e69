#include "link/publish.h"

#include <math.h>
#include <poll.h>

#include "base/clock.h"

enum { SMALL = 32 * 1024 };         /* bytes of a payload that goes with its header */

#define END_WAIT 0.5                /* seconds */
#define STATUS_EVERY 1.0            /* seconds */

int lca_publish_open(struct lca_publish *p, const struct lca_context *context, const struct lca_endpoint *e, uint64_t parts,
                     struct lca_err *err)
{
    /* two iterations; subscriptions are short, the handshake of keys is not; a short linger,
     * so that a tap sees EOS */
    struct lca_sock_opts o = {ZMQ_XPUB, parts ? (int)(2 * parts + 2) : 64, 1024, 200, NULL};
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
        bool comes = what[0] == 1;
        int *count = n != 2 ? NULL : what[1] == LCA_TOPIC_FRAME ? &p->n_full
                   : what[1] == LCA_TOPIC_HEADER ? &p->n_header : what[1] == LCA_TOPIC_STATUS ? &p->n_status : NULL;
        if (!count)
            continue;
        *count += comes ? 1 : -1;
        if (comes && count == &p->n_status)
            p->status_at = lca_now();
        else
            fresh |= comes;
    }
    if (fresh && head)
        lca_publish_frame(p, head);
}

double lca_publish_status_due(const struct lca_publish *p)
{
    return p->n_status > 0 ? p->status_at : INFINITY;
}

void lca_publish_status(struct lca_publish *p, struct lca_packet *status)
{
    if (p->n_status > 0)
        lca_sock_send(&p->sock, NULL, status);
    p->status_at = lca_now() + STATUS_EVERY;
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
