/* publish.h: the taps of one output, seen from the producer; for the files of
 * src/link/ only.
 *
 * A tap subscribes to topic h, headers, with payloads up to 32 KiB riding along (an
 * aggregate is its payload), to f, whole frames, or to s, how the stage is. It is never waited for: a frame that
 * its queue has no room for is dropped, and no subscriber costs nothing. */
#ifndef LCA_LINK_PUBLISH_H
#define LCA_LINK_PUBLISH_H

#include "link/sock.h"

struct lca_publish {
    struct lca_sock sock;
    int n_header, n_full, n_status; /* subscribers */
    double status_at;               /* when the next STATUS is due */
};

/* Binds the tap beside endpoint e, for a stream of `parts` frames per iteration. */
int lca_publish_open(struct lca_publish *p, const struct lca_context *context, const struct lca_endpoint *e, uint64_t parts,
                     struct lca_err *err) LCA_MUST_USE;

void lca_publish_frame(struct lca_publish *p, struct lca_packet *frame);

/* Takes note of taps that come and go; who comes is told HEAD (NULL: none yet). */
void lca_publish_serve(struct lca_publish *p, struct lca_packet *head);

/* When a STATUS is due, of lca_now; infinity: nobody wants one. */
double lca_publish_status_due(const struct lca_publish *p);

/* The next one is due a second later. */
void lca_publish_status(struct lca_publish *p, struct lca_packet *status);

/* Says EOS until the taps have left, half a second at most. */
void lca_publish_end(struct lca_publish *p, struct lca_packet *eos);

#endif
