/* packet.h: a frame as one ZeroMQ message; for the files of src/link/ only.
 *
 *   'f', 'h', 's'   what taps subscribe to: whole frames; headers, whose larger
 *                   payloads are left out; STATUS
 *   0 or 1          whether a payload follows
 *   0 0
 *   HHHH            length of the header, big-endian
 *   header
 *   zeros           up to a multiple of 8, where a payload follows
 *   payload         up to the end of the message
 *
 * One message of one part, because ZeroMQ keeps its promise to deliver the parts of a
 * message together only until a peer dies between them: then it aborts the program
 * (libzmq's issues 1452, 3442, 3663). */
#ifndef LCA_LINK_PACKET_H
#define LCA_LINK_PACKET_H

#include <zmq.h>

#include "base/err.h"
#include "frame/frame.h"

/* The largest message that a frame makes: what is before the header, and padding, take
 * at most 16 bytes. */
#define LCA_PACKET_MAX (LCA_PAYLOAD_MAX + LCA_HEADER_MAX + 16)

enum lca_topic { LCA_TOPIC_FRAME = 'f', LCA_TOPIC_HEADER = 'h', LCA_TOPIC_STATUS = 's' };

struct lca_packet {
    zmq_msg_t msg;
};

/* Where the parts of a packet lie, as long as it stays in place. */
struct lca_packet_parts {
    const void *header, *payload;   /* payload: NULL where none follows */
    size_t header_len, payload_len;
};

/* Encodes f. The payload is copied into the packet. */
int lca_packet_make(struct lca_packet *p, struct lca_frame *f, struct lca_err *err) LCA_MUST_USE;

/* The same for taps that subscribe to another topic than whole frames. */
int lca_packet_topic(struct lca_packet *p, enum lca_topic topic, struct lca_frame *f, struct lca_err *err) LCA_MUST_USE;

/* The same frame for those who take headers; a payload of at most `most` bytes stays. */
int lca_packet_short(struct lca_packet *p, struct lca_packet *whole, size_t most, struct lca_err *err) LCA_MUST_USE;

/* Makes *to another name of the same bytes; both are to be closed. */
void lca_packet_share(struct lca_packet *to, struct lca_packet *from);

void lca_packet_close(struct lca_packet *p);

/* LCA_CORRUPT where the bytes are not laid out as above. */
int lca_packet_open(struct lca_packet *p, struct lca_packet_parts *parts, struct lca_err *err) LCA_MUST_USE;

/* Decodes p into f; the payload stays in p, or in `aligned` where p's bytes are not
 * aligned to 8. */
int lca_packet_frame(struct lca_packet *p, struct lca_frame *f, struct lca_buf *aligned,
                     struct lca_err *err) LCA_MUST_USE;

/* The same for taps: f->payload is NULL where it has been left out. */
int lca_packet_glance(struct lca_packet *p, struct lca_frame *f, struct lca_buf *aligned,
                      struct lca_err *err) LCA_MUST_USE;

#endif
