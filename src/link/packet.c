#include "link/packet.h"

#include <stdint.h>
#include <string.h>

enum { PREFIX = 8, ALIGN = 8 };

static size_t payload_at(size_t header_len)
{
    return (PREFIX + header_len + ALIGN - 1) / ALIGN * ALIGN;
}

/* payload NULL: none follows. */
static int make(struct lca_packet *p, enum lca_topic topic, const void *header, size_t header_len, const void *payload,
                size_t payload_len, struct lca_err *err)
{
    size_t at = payload ? payload_at(header_len) : PREFIX + header_len;
    if (zmq_msg_init_size(&p->msg, at + payload_len) < 0)
        return lca_fail(err, LCA_INTERNAL, "out of memory for a frame of %zu bytes", at + payload_len);
    unsigned char *to = zmq_msg_data(&p->msg);
    memset(to, 0, PREFIX);
    to[0] = (unsigned char)topic;
    to[1] = payload != NULL;
    for (int k = 0; k < 4; k++)
        to[4 + k] = (unsigned char)(header_len >> (24 - 8 * k));
    memcpy(to + PREFIX, header, header_len);
    memset(to + PREFIX + header_len, 0, at - PREFIX - header_len);
    if (payload_len)
        memcpy(to + at, payload, payload_len);
    return 0;
}

int lca_packet_make(struct lca_packet *p, struct lca_frame *f, struct lca_err *err)
{
    return lca_packet_topic(p, LCA_TOPIC_FRAME, f, err);
}

int lca_packet_topic(struct lca_packet *p, enum lca_topic topic, struct lca_frame *f, struct lca_err *err)
{
    struct lca_buf header = {0};
    int result = lca_frame_encode(f, &header, err);
    if (result == 0) {
        /* an array of no elements has a payload too, of no bytes */
        const void *payload = f->n_sh > 0 ? f->nb ? f->payload : "" : NULL;
        result = make(p, topic, header.data, header.len, payload, payload ? f->nb : 0, err);
    }
    lca_buf_clear(&header);
    return result;
}

int lca_packet_short(struct lca_packet *p, struct lca_packet *whole, size_t most, struct lca_err *err)
{
    struct lca_packet_parts parts;
    if (lca_packet_open(whole, &parts, err) < 0)
        return -1;
    if (parts.payload_len > most) {
        parts.payload = NULL;
        parts.payload_len = 0;
    }
    return make(p, LCA_TOPIC_HEADER, parts.header, parts.header_len, parts.payload, parts.payload_len, err);
}

void lca_packet_share(struct lca_packet *to, struct lca_packet *from)
{
    zmq_msg_init(&to->msg);
    zmq_msg_copy(&to->msg, &from->msg);
}

void lca_packet_close(struct lca_packet *p)
{
    zmq_msg_close(&p->msg);
}

static bool is_topic(unsigned char c)
{
    return c == LCA_TOPIC_FRAME || c == LCA_TOPIC_HEADER || c == LCA_TOPIC_STATUS;
}

int lca_packet_open(struct lca_packet *p, struct lca_packet_parts *parts, struct lca_err *err)
{
    const unsigned char *from = zmq_msg_data(&p->msg);
    size_t size = zmq_msg_size(&p->msg);
    *parts = (struct lca_packet_parts){0};
    if (size < PREFIX || !is_topic(from[0]) || from[1] > 1)
        return lca_fail(err, LCA_CORRUPT, "a message of %zu bytes that is no frame", size);
    size_t len = (size_t)from[4] << 24 | (size_t)from[5] << 16 | (size_t)from[6] << 8 | from[7];
    size_t at = from[1] ? payload_at(len) : PREFIX + len;
    if (at > size || (!from[1] && at < size))
        return lca_fail(err, LCA_CORRUPT, "a message of %zu bytes with a header of %zu", size, len);
    parts->header = from + PREFIX;
    parts->header_len = len;
    if (from[1]) {
        parts->payload = from + at;
        parts->payload_len = size - at;
    }
    return 0;
}

static int decode(struct lca_packet *p, bool whole, struct lca_frame *f, struct lca_buf *aligned, struct lca_err *err)
{
    struct lca_packet_parts parts;
    if (lca_packet_open(p, &parts, err) < 0 || lca_frame_decode(f, parts.header, parts.header_len, err) < 0)
        return -1;
    const void *data = parts.payload;
    bool described = f->n_sh > 0;
    if (described != (data != NULL) && (whole || data))
        return lca_fail(err, LCA_CORRUPT, "a %s frame %s", lca_kind_name(f->kind),
                        described ? "without the payload of its header" : "with a payload where its header has none");
    if (!data)
        return 0;
    if ((uintptr_t)data % ALIGN != 0 && parts.payload_len > 0) {
        aligned->len = 0;
        if (lca_buf_append(aligned, data, parts.payload_len, err) < 0)
            return -1;
        data = aligned->data;
    }
    return lca_frame_attach(f, data, parts.payload_len, err);
}

int lca_packet_frame(struct lca_packet *p, struct lca_frame *f, struct lca_buf *aligned, struct lca_err *err)
{
    return decode(p, true, f, aligned, err);
}

int lca_packet_glance(struct lca_packet *p, struct lca_frame *f, struct lca_buf *aligned, struct lca_err *err)
{
    return decode(p, false, f, aligned, err);
}
