/* in.c: the consumer's side of a stream, from a file, a pipe or a socket. What it
 * hands on has been checked: HEAD first, one run, no gap in seq, EOS last. */
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "link/member.h"
#include "link/record.h"

enum { ACK_MS = 100 };

struct lca_in {
    struct lca_member member;
    struct lca_link *link;
    struct lca_endpoint endpoint;
    char name[64];
    const char *from;
    bool take;
    double lost;

    struct lca_reader *reader;
    struct lca_sock sock;
    struct lca_frame frame;
    struct lca_packet packet;       /* holds frame's payload */
    bool has_packet;
    struct lca_buf aligned;

    bool hello_sent, connected, has_head, ended, acked_end;
    bool left;                      /* another consumer has our name now */
    bool cut;                       /* connection lost; what ZeroMQ has of it is still to be read */
    bool asked;                     /* the program wants a frame: only then may one wake it */
    uint8_t run[LCA_RUN_LEN];
    char st[64];
    struct lca_frame_head steps;    /* of HEAD, parts, it0 and first alone */
    uint64_t seq;                   /* of the next data frame */
    uint32_t crc;                   /* of the last one, to compare after a reconnect */
    uint64_t done, window, told;    /* told: the done of the last ACK */
    double ack_due;                 /* 0: none */
    double gone_at;                 /* producer lost; 0: not */
    double opened, came;            /* when the link was opened, the last frame came */
    int64_t it;                     /* its step; -1: none yet */
    bool starved;                   /* asked for a frame, and none was there */
    struct lca_patience patience;
};

static struct lca_in *self(struct lca_member *m)
{
    return (struct lca_in *)m;
}

static int connect_socket(struct lca_in *in, struct lca_err *err)
{
    struct lca_sock_opts o = {ZMQ_DEALER, 0, LCA_PACKET_MAX, 10000, NULL};
    in->hello_sent = in->connected = in->cut = false;
    return lca_sock_open(&in->sock, lca_link_context(in->link), &o, &in->endpoint, false, err);
}

static void say_hello(struct lca_in *in)
{
    struct lca_frame f = LCA_FRAME(hello);
    char seq[24];
    /* not in->seq: the producer lets go of what is before, and we might not come back alone */
    snprintf(seq, sizeof seq, "%" PRIu64, in->done);
    f.u.hello.vmin = f.u.hello.vmax = LCA_WIRE_VERSION;
    f.u.hello.name = in->name;
    f.u.hello.from = in->has_head ? seq : in->from;
    f.u.hello.maxb = LCA_PAYLOAD_MAX;
    f.u.hello.take = in->take || in->has_head;     /* our own place, after a lost connection */
    in->hello_sent = lca_sock_say(&in->sock, NULL, &f) == 1;
}

static void say_ack(struct lca_in *in)
{
    /* whoever comes back is told where we are by HELLO */
    if (in->cut || !in->connected) {
        in->ack_due = 0;
        return;
    }
    struct lca_frame f = LCA_FRAME(ack);
    f.st = in->st;
    memcpy(f.run, in->run, LCA_RUN_LEN);
    f.u.ack.done = in->done;
    f.u.ack.lim = in->done + in->window;
    f.u.ack.eos = in->acked_end;
    if (lca_sock_say(&in->sock, NULL, &f) == 1) {
        in->told = in->done;
        in->ack_due = 0;
    } else {
        in->ack_due = lca_now() + 0.010;
    }
}

static int in_serve(struct lca_member *m, struct lca_err *err)
{
    struct lca_in *in = self(m);
    if (!in->sock.zmq)
        return 0;
    enum lca_sock_event event;
    while ((event = lca_sock_event(&in->sock)) != LCA_SOCK_NOTHING) {
        if (event == LCA_SOCK_CONNECTED) {
            in->connected = true;
            continue;
        }
        in->cut |= in->connected && !in->acked_end;
        in->connected = false;
    }
    if ((!in->cut && !in->acked_end && lca_sock_follow(&in->sock, err) < 0) || lca_sock_check(&in->sock, err) < 0)
        return -1;
    if (in->connected && !in->cut && !in->hello_sent)
        say_hello(in);
    if (in->ack_due > 0 && lca_now() >= in->ack_due)
        say_ack(in);
    if (in->gone_at > 0 && lca_now() > in->gone_at + in->lost)
        return lca_fail(err, LCA_PEER, "%s: the producer has gone and did not come back in %.0f s; "
                        "the stream ends after seq %" PRId64 " without EOS%s", in->endpoint.text, in->lost,
                        (int64_t)in->seq - 1, in->seq ? lca_step_of(&in->steps, in->seq - 1).text : "");
    return 0;
}

static int in_items(struct lca_member *m, zmq_pollitem_t *items, int room)
{
    struct lca_in *in = self(m);
    if (in->sock.zmq) {
        struct lca_sock events = {.monitor = in->sock.monitor};
        return lca_member_poll_sock(in->asked ? &in->sock : &events, items, room);
    }
    int fd = in->asked && !in->ended ? lca_reader_poll(in->reader) : -1;
    if (fd < 0 || room < 1)
        return 0;
    items[0] = (zmq_pollitem_t){.fd = fd, .events = ZMQ_POLLIN};
    return 1;
}

static int in_due(struct lca_member *m)
{
    struct lca_in *in = self(m);
    bool asked = in->asked;
    in->asked = false;      /* asking lasts for one wait; items has been called before */
    if (in->reader)
        return !asked || in->ended || lca_reader_poll(in->reader) >= 0 ? -1 : 0;
    if (in->connected && !in->cut && !in->hello_sent)
        return 10;
    if (in->ack_due > 0)
        return lca_member_ms(in->ack_due);
    return in->gone_at > 0 ? lca_member_ms(in->gone_at + in->lost) : -1;
}

static void drop_packet(struct lca_in *in)
{
    if (in->has_packet)
        lca_packet_close(&in->packet);
    in->has_packet = false;
}

static void in_status(const struct lca_member *m, struct lca_state *s)
{
    const struct lca_in *in = (const struct lca_in *)m;
    const char *from = in->endpoint.kind == LCA_EP_STDIO ? "stdin" : in->endpoint.text;
    double age = lca_now() - (in->came > 0 ? in->came : in->opened);
    json_t *own = json_pack("{s:s, s:I, s:I, s:f}", "from", from, "seq", (json_int_t)in->seq, "done",
                            (json_int_t)(in->reader ? in->seq : in->done), "age", age);
    if (in->sock.zmq && in->has_head)
        json_object_set_new(own, "lim", json_integer((json_int_t)(in->done + in->window)));
    json_array_append_new(s->frame.in, own);
    if (json_array_size(s->frame.out) == 0 && in->it > s->frame.it)
        s->frame.it = in->it;
    if (in->starved && !in->ended)
        lca_state_wait(s, LCA_WAIT_INPUT, in->gone_at > 0 ? "%s, which has gone, to come back" : "%s", from);
}

static void in_close(struct lca_member *m)
{
    struct lca_in *in = self(m);
    /* no BYE: the frames of who ends in an error are kept for its return */
    if (in->sock.zmq && in->ack_due > 0)
        say_ack(in);
    drop_packet(in);
    lca_frame_clear(&in->frame);
    lca_buf_clear(&in->aligned);
    lca_reader_close(in->reader);
    lca_sock_close(&in->sock);
    free(in);
}

struct lca_in *lca_in_open(struct lca_link *l, const struct lca_in_opts *o, struct lca_err *err)
{
    struct lca_in *in = lca_alloc(1, sizeof *in, err);
    if (!in)
        return NULL;
    in->link = l;
    in->from = o->from;
    in->take = o->take;
    in->lost = o->lost > 0 ? o->lost : LCA_LOST_DEFAULT;
    in->sock.lock = -1;
    in->window = UINT32_MAX;
    in->opened = lca_now();
    in->it = -1;
    in->member = (struct lca_member){.items = in_items, .serve = in_serve, .due = in_due, .status = in_status,
                                     .close = in_close};
    const char *name = o->name ? o->name : program_invocation_short_name;
    snprintf(in->name, sizeof in->name, "%s", name);
    if (lca_endpoint_parse(&in->endpoint, o->endpoint ? o->endpoint : "-", err) < 0)
        goto fail;
    if (in->endpoint.kind == LCA_EP_SOCKET) {
        if (connect_socket(in, err) < 0)
            goto fail;
    } else {
        in->reader = lca_reader_open(in->endpoint.where, err);
        if (!in->reader ||
            lca_link_uses(l, lca_reader_fd(in->reader), false, lca_reader_name(in->reader), err) < 0)
            goto fail;
    }
    lca_link_add(l, &in->member);
    return in;
fail:
    in_close(&in->member);
    return NULL;
}

/* What was under way on the old connection is void: a new one says HELLO anew. */
static int reconnect(struct lca_in *in, struct lca_err *err)
{
    lca_warn("%s: connection lost at seq %" PRIu64 ", trying again for %.0f s", in->endpoint.text, in->seq, in->lost);
    lca_sock_close(&in->sock);
    in->gone_at = lca_now();
    return connect_socket(in, err);
}

/* One frame from the carrier. 1, 0: nothing now, -1. */
static int fetch(struct lca_in *in, struct lca_err *err)
{
    if (in->reader) {
        struct pollfd p = {.fd = lca_reader_poll(in->reader), .events = POLLIN};
        if (p.fd >= 0 && poll(&p, 1, 0) == 0)
            return 0;
        int got = lca_reader_next(in->reader, &in->frame, err);
        if (got == 0 && !in->has_head)
            return lca_fail(err, LCA_CORRUPT, "%s is empty: no HEAD", in->endpoint.text);
        if (got == 0)
            got = lca_fail(err, LCA_CORRUPT, "%s ends after seq %" PRId64 " without EOS", in->endpoint.text,
                           (int64_t)in->seq - 1);
        if (got < 0)
            lca_say_repair(err, in->reader, &in->steps, in->seq);
        return got;
    }
    drop_packet(in);
    int got = lca_sock_receive(&in->sock, NULL, &in->packet);
    if (got < 0)
        return lca_fail(err, LCA_CORRUPT, "%s: a message of several parts is no frame", in->endpoint.text);
    in->has_packet = got == 1;
    if (got == 0 && in->cut)
        return reconnect(in, err);
    if (got == 1 && lca_packet_frame(&in->packet, &in->frame, &in->aligned, err) < 0)
        return lca_err_prefix(err, "%s after seq %" PRId64, in->endpoint.text, (int64_t)in->seq - 1);
    return got;
}

static int take_head(struct lca_in *in, struct lca_frame *f, struct lca_err *err)
{
    if (f->u.head.v != LCA_WIRE_VERSION)
        return lca_fail(err, LCA_USAGE, "%s: needs wire %" PRIu64 ", have %d", in->endpoint.text, f->u.head.v,
                        LCA_WIRE_VERSION);
    in->gone_at = 0;
    lca_patience_reset(&in->patience);
    if (in->has_head) {
        if (memcmp(in->run, f->run, LCA_RUN_LEN) != 0)
            return lca_fail(err, LCA_USAGE, "%s: another run has taken the place of the one we followed",
                            in->endpoint.text);
        if (in->sock.zmq)
            say_ack(in);
        return 0;
    }
    memcpy(in->run, f->run, LCA_RUN_LEN);
    snprintf(in->st, sizeof in->st, "%s", f->st);
    in->has_head = true;
    in->steps = (struct lca_frame_head){.parts = f->u.head.parts, .it0 = f->u.head.it0,
                                         .first = f->u.head.first};
    in->seq = in->done = in->told = f->u.head.first;
    if (in->sock.zmq) {
        in->window = lca_window(&f->u.head);
        say_ack(in);
    }
    return 1;
}

/* 1: hand it on; 0: swallow it; -1. */
static int check(struct lca_in *in, struct lca_frame *f, struct lca_err *err)
{
    if (f->kind == LCA_KIND_err) {
        return lca_fail(err, strcmp(f->u.err.code, "frame") == 0 ? LCA_CORRUPT : LCA_USAGE, "%s: refused: %s",
                        in->endpoint.text, f->u.err.msg);
    }
    if (f->kind == LCA_KIND_bye) {
        lca_note("%s: another %s takes over at seq %" PRIu64, in->endpoint.text, in->name, in->done);
        in->left = in->acked_end = true;
        return 0;
    }
    if (f->kind == LCA_KIND_NONE || f->kind == LCA_KIND_ping || f->kind == LCA_KIND_pong ||
        f->kind == LCA_KIND_status)
        return 0;
    if (f->kind == LCA_KIND_head)
        return take_head(in, f, err);
    if (!in->has_head)
        return lca_fail(err, LCA_CORRUPT, "%s: begins with a %s frame instead of HEAD", in->endpoint.text,
                        lca_kind_name(f->kind));
    if (memcmp(in->run, f->run, LCA_RUN_LEN) != 0)
        return lca_fail(err, LCA_CORRUPT, "%s: a frame of another run after seq %" PRId64, in->endpoint.text,
                        (int64_t)in->seq - 1);
    if (f->kind == LCA_KIND_eos) {
        in->ended = true;
        if (strcmp(f->u.eos.status, "failed") == 0) {
            lca_in_end(in);
            return lca_fail(err, LCA_UPSTREAM, "%s: the stage before failed: %s", in->endpoint.text,
                            f->u.eos.why ? f->u.eos.why : "it does not say why");
        }
        if (f->u.eos.next != in->seq)
            return lca_fail(err, LCA_CORRUPT, "%s: EOS counts %" PRIu64 " frames, %" PRIu64 " have come",
                            in->endpoint.text, f->u.eos.next, in->seq);
        return 1;
    }
    if (!lca_kind_is_data(f->kind))
        return lca_fail(err, LCA_CORRUPT, "%s: a %s frame does not belong in a stream", in->endpoint.text,
                        lca_kind_name(f->kind));
    if (f->seq < in->seq) {
        if (f->seq + 1 == in->seq && f->crc != in->crc)
            return lca_fail(err, LCA_DIFFER, "%s: seq %" PRIu64 " came twice with different bytes: the run diverged",
                            in->endpoint.text, f->seq);
        return 0;
    }
    if (f->seq > in->seq)
        return lca_fail(err, LCA_CORRUPT, "%s: seq %" PRIu64 " follows %" PRId64 ": frames are missing",
                        in->endpoint.text, f->seq, (int64_t)in->seq - 1);
    in->seq++;
    in->crc = f->crc;
    return 1;
}

int lca_in_poll(struct lca_in *in, struct lca_frame **f, struct lca_err *err)
{
    while (!in->ended && !in->left) {
        in->asked = true;
        int got = fetch(in, err);
        in->starved = got == 0;
        if (got == 1)
            got = check(in, &in->frame, err);
        else if (got == 0)
            return 0;
        if (got < 0)
            return -1;
        if (got == 1) {
            in->came = lca_now();
            if (lca_kind_is_data(in->frame.kind))
                in->it = (int64_t)lca_frame_it(&in->frame);
            *f = &in->frame;
            return 1;
        }
    }
    return 0;
}

int lca_in_next(struct lca_in *in, struct lca_frame **f, struct lca_err *err)
{
    for (;;) {
        if (lca_link_pulse(in->link, err) < 0)
            return -1;
        int got = lca_in_poll(in, f, err);
        if (got != 0)
            return got;
        if (in->ended)
            return lca_fail(err, LCA_INTERNAL, "%s: read after its end", in->endpoint.text);
        if (in->left || lca_link_want(in->link) == LCA_SIG_STOP)
            return 0;
        if (lca_link_wait(in->link, 1000, err) < 0)
            return -1;
        if (!in->has_head && in->sock.zmq)
            lca_patience_wait(&in->patience, "%s", in->endpoint.text);
    }
}

void lca_in_done(struct lca_in *in, uint64_t next)
{
    if (!in->sock.zmq || next <= in->done)
        return;
    in->done = next;
    uint64_t often = in->window / 4 ? in->window / 4 : 1;
    if (in->done - in->told >= often)
        say_ack(in);
    else if (in->ack_due == 0)
        in->ack_due = lca_now() + ACK_MS / 1e3;
}

void lca_in_end(struct lca_in *in)
{
    if (!in->sock.zmq || in->acked_end)
        return;
    in->done = in->seq;
    in->acked_end = true;
    say_ack(in);
}

void lca_in_leave(struct lca_in *in)
{
    if (!in->sock.zmq || in->acked_end)
        return;
    struct lca_frame f = LCA_FRAME(bye);
    f.st = in->st;
    memcpy(f.run, in->run, LCA_RUN_LEN);
    f.u.bye.why = "leaving";
    say_ack(in);
    lca_sock_say(&in->sock, NULL, &f);
    in->acked_end = true;
}

bool lca_in_left(const struct lca_in *in)
{
    return in->left;
}

uint64_t lca_in_window(const struct lca_in *in)
{
    return in->window;
}

const char *lca_in_text(const struct lca_in *in)
{
    return in->endpoint.text;
}

uint64_t lca_in_seq(const struct lca_in *in)
{
    return in->seq;
}
