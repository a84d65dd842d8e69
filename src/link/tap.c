#include "link/tap.h"

#include <inttypes.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "frame/frame-raw.h"
#include "link/member.h"
#include "link/record.h"

/* Messages that may wait here while we print: of headers with at most 32 KiB each,
 * and of payloads up to 16 MiB. */
enum { HWM_HEADERS = 1024, HWM_PAYLOADS = 32 };

/* Seconds that a producer may be away, and its last frames under way, before it
 * counts as gone. */
#define GRACE 2.0

struct lca_tap {
    struct lca_member member;
    struct lca_link *link;
    struct lca_endpoint from;
    bool payloads, must_end;

    struct lca_reader *reader;      /* files and pipes */
    struct lca_sock sock;           /* sockets */
    struct lca_packet packet;       /* holds frame's payload */
    bool has_packet;
    struct lca_buf aligned;

    struct lca_frame frame;
    struct lca_buf head;            /* header of the last HEAD; empty before it */
    uint8_t run[LCA_RUN_LEN];
    struct lca_frame_head steps;    /* of HEAD, parts, it0 and first alone */
    bool has_seq;
    uint64_t seq, lost;             /* seq: of the next data frame, once has_seq */
    int64_t it;                     /* step of the last one; -1: none yet */
    double opened, came;            /* when the tap was opened, the last frame came */
    bool starved;                   /* the last time there was none */

    bool met;                       /* has been connected */
    double gone_at;                 /* producer lost; 0: not */
    bool gone_said;
    struct lca_patience patience;
};

static struct lca_tap *self(struct lca_member *m)
{
    return (struct lca_tap *)m;
}

static int tap_items(struct lca_member *m, zmq_pollitem_t *items, int room)
{
    struct lca_tap *t = self(m);
    if (t->sock.zmq)
        return lca_member_poll_sock(&t->sock, items, room);
    int fd = t->reader ? lca_reader_poll(t->reader) : -1;
    if (fd < 0 || room < 1)
        return 0;
    items[0] = (zmq_pollitem_t){.fd = fd, .events = ZMQ_POLLIN};
    return 1;
}

/* ZeroMQ connects again by itself; we only keep count. */
static int tap_serve(struct lca_member *m, struct lca_err *err)
{
    struct lca_tap *t = self(m);
    enum lca_sock_event event;
    while (t->sock.zmq && (event = lca_sock_event(&t->sock)) != LCA_SOCK_NOTHING) {
        if (event == LCA_SOCK_CONNECTED) {
            t->met = true;
            t->gone_at = 0;
            t->gone_said = false;
        } else if (t->met && t->gone_at == 0) {
            t->gone_at = lca_now();
        }
    }
    if (t->sock.zmq && lca_sock_follow(&t->sock, err) < 0)
        return -1;
    return lca_sock_check(&t->sock, err);
}

static int tap_due(struct lca_member *m)
{
    struct lca_tap *t = self(m);
    return t->gone_at > 0 && !lca_tap_gone(t) ? lca_member_ms(t->gone_at + GRACE) : -1;
}

static void tap_status(const struct lca_member *m, struct lca_state *s)
{
    const struct lca_tap *t = (const struct lca_tap *)m;
    const char *from = t->from.kind == LCA_EP_STDIO ? "stdin" : t->from.text;
    double age = lca_now() - (t->came > 0 ? t->came : t->opened);
    json_array_append_new(s->frame.in, json_pack("{s:s, s:I, s:I, s:f}", "from", from, "seq", (json_int_t)t->seq,
                                                 "done", (json_int_t)t->seq, "age", age));
    s->frame.it = t->it;
    if (t->starved)
        lca_state_wait(s, LCA_WAIT_INPUT, t->gone_at > 0 ? "%s, which has gone, to come back" : "%s", from);
}

static void drop_packet(struct lca_tap *t)
{
    if (t->has_packet)
        lca_packet_close(&t->packet);
    t->has_packet = false;
}

static void tap_close(struct lca_member *m)
{
    struct lca_tap *t = self(m);
    drop_packet(t);
    lca_frame_clear(&t->frame);
    lca_buf_clear(&t->aligned);
    lca_buf_clear(&t->head);
    lca_reader_close(t->reader);
    lca_sock_close(&t->sock);
    free(t);
}

struct lca_tap *lca_tap_open(struct lca_link *l, const struct lca_tap_opts *o, struct lca_err *err)
{
    struct lca_tap *t = lca_alloc(1, sizeof *t, err);
    if (!t)
        return NULL;
    t->link = l;
    t->from = *o->from;
    t->payloads = o->payloads;
    t->must_end = o->must_end;
    t->sock.lock = -1;
    t->member = (struct lca_member){.items = tap_items, .serve = tap_serve, .due = tap_due,
                                    .status = tap_status, .close = tap_close};
    t->opened = lca_now();
    t->it = -1;
    if (t->from.kind == LCA_EP_SOCKET) {
        struct lca_endpoint at;
        struct lca_sock_opts sub = {.type = ZMQ_SUB, .max_message = LCA_PACKET_MAX,
                                    .hwm = t->payloads ? HWM_PAYLOADS : HWM_HEADERS,
                                    .topic = t->payloads ? "f" : "h"};
        if (lca_endpoint_tap(&at, &t->from, err) < 0 ||
            lca_sock_open(&t->sock, lca_link_context(l), &sub, &at, false, err) < 0)
            goto fail;
    } else {
        t->reader = lca_reader_open(t->from.where, err);
        if (!t->reader ||
            lca_link_uses(l, lca_reader_fd(t->reader), false, lca_reader_name(t->reader), err) < 0)
            goto fail;
    }
    lca_link_add(l, &t->member);
    return t;
fail:
    tap_close(&t->member);
    return NULL;
}

static int fetch_record(struct lca_tap *t, struct lca_err *err)
{
    struct pollfd p = {.fd = lca_reader_poll(t->reader), .events = POLLIN};
    if (p.fd >= 0 && poll(&p, 1, 0) == 0)
        return 0;
    int got = lca_reader_next(t->reader, &t->frame, err);
    if (got < 0)
        lca_say_repair(err, t->reader, &t->steps, t->has_seq ? t->seq : 0);
    if (got != 0)
        return got;
    const char *name = lca_reader_name(t->reader);
    if (lca_reader_offset(t->reader) == 0)
        return lca_fail(err, LCA_CORRUPT, "%s is empty: no HEAD, no EOS", name);
    if (!t->has_seq)
        return lca_fail(err, LCA_CORRUPT, "%s ends before its first data frame, without EOS", name);
    lca_fail(err, LCA_CORRUPT, "%s ends after seq %" PRIu64 " without EOS", name, t->seq - 1);
    lca_say_repair(err, t->reader, &t->steps, t->seq);
    return -1;
}

static int fetch_message(struct lca_tap *t, struct lca_err *err)
{
    drop_packet(t);
    int got = lca_sock_receive(&t->sock, NULL, &t->packet);
    if (got < 0)
        return lca_fail(err, LCA_CORRUPT, "%s: a message of several parts is no frame", t->from.text);
    if (got == 0)
        return 0;
    t->has_packet = true;
    int bad = t->payloads ? lca_packet_frame(&t->packet, &t->frame, &t->aligned, err)
                          : lca_packet_glance(&t->packet, &t->frame, &t->aligned, err);
    return bad < 0 ? lca_err_prefix(err, "%s", t->from.text) : 1;
}

/* The producer says HEAD again to all whenever a new tap attaches. A data frame that
 * was on its way before our first one is not worth more than the rule. */
static int is_news(struct lca_tap *t, struct lca_err *err)
{
    if (t->frame.kind != LCA_KIND_head)
        return t->head.len > 0 || t->frame.kind == LCA_KIND_eos;
    const struct lca_buf *bytes = lca_frame_bytes(&t->frame);
    if (bytes->len == t->head.len && memcmp(bytes->data, t->head.data, bytes->len) == 0)
        return 0;
    t->head.len = 0;
    return lca_buf_append(&t->head, bytes->data, bytes->len, err) < 0 ? -1 : 1;
}

static void count(struct lca_tap *t)
{
    const struct lca_frame *f = &t->frame;
    t->lost = 0;
    if (f->kind == LCA_KIND_head && memcmp(t->run, f->run, LCA_RUN_LEN) != 0) {
        memcpy(t->run, f->run, LCA_RUN_LEN);
        t->steps = (struct lca_frame_head){.parts = f->u.head.parts, .it0 = f->u.head.it0,
                                           .first = f->u.head.first};
        t->has_seq = false;
    }
    bool data = lca_kind_is_data(f->kind);
    if (!data && f->kind != LCA_KIND_eos)
        return;
    uint64_t here = data ? f->seq : f->u.eos.next;
    if (t->has_seq && here > t->seq)
        t->lost = here - t->seq;
    if (data) {
        t->seq = here + 1;
        t->has_seq = true;
        t->it = (int64_t)lca_frame_it(f);
    }
}

bool lca_tap_gone(const struct lca_tap *t)
{
    return t->gone_at > 0 && lca_now() >= t->gone_at + GRACE;
}

static int wait_more(struct lca_tap *t, struct lca_err *err)
{
    if (lca_link_wait(t->link, 1000, err) < 0)
        return -1;
    if (!t->sock.zmq)
        return 0;
    if (t->head.len == 0 && t->gone_at == 0)
        lca_patience_wait(&t->patience, "%s", t->from.text);
    if (!lca_tap_gone(t) || t->gone_said)
        return 0;
    if (t->must_end)
        return lca_fail(err, LCA_PEER, "%s: the producer has gone without EOS", t->from.text);
    lca_note("%s: the producer has gone without EOS, waiting for it to come back", t->from.text);
    t->gone_said = true;
    return 0;
}

int lca_tap_poll(struct lca_tap *t, struct lca_frame **f, struct lca_err *err)
{
    for (;;) {
        int got = t->reader ? fetch_record(t, err) : fetch_message(t, err);
        t->starved = got == 0;
        if (got <= 0)
            return got;
        int news = t->sock.zmq ? is_news(t, err) : 1;
        if (news < 0)
            return -1;
        if (news == 0)
            continue;
        count(t);
        t->came = lca_now();
        *f = &t->frame;
        return 1;
    }
}

int lca_tap_next(struct lca_tap *t, struct lca_frame **f, struct lca_err *err)
{
    for (;;) {
        if (lca_link_want(t->link) == LCA_SIG_STOP)
            return 0;
        int got = lca_tap_poll(t, f, err);
        if (got != 0)
            return got;
        if (wait_more(t, err) < 0)
            return -1;
    }
}

uint64_t lca_tap_lost(const struct lca_tap *t)
{
    return t->lost;
}

void lca_tap_close(struct lca_tap *t)
{
    lca_link_remove(t->link, &t->member);
    tap_close(&t->member);
}
