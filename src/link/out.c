/* out.c: the producer's side of a stream. Frames are kept until every consumer has
 * acknowledged them; each consumer gets as many as it has granted. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/tool.h"
#include "link/kept.h"
#include "link/member.h"
#include "link/publish.h"
#include "link/record.h"

enum { MAX_PEERS = 64, MAX_TARGETS = 16, MAX_EXPECT = 32 };

enum peer_state {
    PEER_LIVE,
    PEER_LOST,          /* connection gone; its frames are kept for its return */
};

struct peer {
    enum peer_state state;
    struct lca_peer_id id;
    struct target *target;
    char name[64];
    uint64_t next, done, lim;
    bool head_sent, eos_sent, eos_done;
    double lost_at;
};

struct target {
    struct lca_endpoint endpoint;
    struct lca_writer *writer;      /* files and pipes */
    struct lca_sock sock;           /* sockets; taps alone have none */
    struct lca_publish tap;
    bool tap_only;
    int probes;                     /* of lca_probe_after still to come */
    double probe_from;
};

struct lca_out {
    struct lca_member member;
    struct lca_link *link;
    struct target target[MAX_TARGETS];
    int n_target;
    struct peer peer[MAX_PEERS];
    int n_peer;
    char expect[MAX_EXPECT][64];
    bool joined[MAX_EXPECT];        /* seen once */
    int n_expect;
    double lost;
    bool drop;

    struct lca_frame head;
    struct lca_packet head_packet, eos_packet;
    struct lca_buf aligned;
    bool has_head, ended, aborted, gate_open;
    uint64_t window, parts;

    struct lca_kept kept;           /* frames not acknowledged by all */
    uint64_t next, first;           /* seq of the next frame; of the stream's first */
    struct lca_patience patience;
};

static struct lca_out *self(struct lca_member *m)
{
    return (struct lca_out *)m;
}

static bool has_sockets(const struct lca_out *o)
{
    for (int k = 0; k < o->n_target; k++)
        if (o->target[k].sock.zmq)
            return true;
    return false;
}

/* what has been acknowledged */

static uint64_t slowest(const struct lca_out *o, const struct peer **who)
{
    uint64_t done = o->next;
    if (who)
        *who = NULL;
    for (int k = 0; k < o->n_peer; k++) {
        if (o->peer[k].done < done) {
            done = o->peer[k].done;
            if (who)
                *who = &o->peer[k];
        }
    }
    /* an expected consumer that has not come yet wants the stream from its start */
    for (int k = 0; k < o->n_expect; k++)
        if (!o->joined[k])
            done = o->first;
    return done;
}

static void release(struct lca_out *o)
{
    lca_kept_release(&o->kept, slowest(o, NULL));
}

/* consumers */

static void say_err(struct target *t, const struct lca_peer_id *to, struct lca_out *o,
                    const char *code, const char *text)
{
    struct lca_frame f = LCA_FRAME(err);
    f.st = o->head.st;
    memcpy(f.run, o->head.run, LCA_RUN_LEN);
    f.u.err.code = code;
    f.u.err.msg = text;
    lca_sock_say(&t->sock, to, &f);
    lca_note("%s: refused a consumer: %s", t->endpoint.text, text);
}

static void say_bye(struct peer *p, struct lca_out *o, const char *why)
{
    struct lca_frame f = LCA_FRAME(bye);
    f.st = o->head.st;
    memcpy(f.run, o->head.run, LCA_RUN_LEN);
    f.u.bye.why = why;
    lca_sock_say(&p->target->sock, &p->id, &f);
}

static void forget(struct lca_out *o, struct peer *p)
{
    *p = o->peer[--o->n_peer];
}

static struct peer *by_id(struct lca_out *o, struct target *t, const struct lca_peer_id *id)
{
    for (int k = 0; k < o->n_peer; k++)
        if (o->peer[k].target == t && o->peer[k].state == PEER_LIVE && lca_peer_same(&o->peer[k].id, id))
            return &o->peer[k];
    return NULL;
}

static struct peer *by_name(struct lca_out *o, const char *name)
{
    for (int k = 0; k < o->n_peer; k++)
        if (strcmp(o->peer[k].name, name) == 0)
            return &o->peer[k];
    return NULL;
}

static void pump(struct lca_out *o, struct peer *p);
static void peer_gone(struct lca_out *o, struct peer *p);

static bool reachable(struct lca_out *o, struct peer *p)
{
    struct lca_frame f = LCA_FRAME(ping);
    f.st = o->head.st;
    return lca_sock_say(&p->target->sock, &p->id, &f) >= 0;
}

static void hello(struct lca_out *o, struct target *t, const struct lca_peer_id *id, const struct lca_frame *f)
{
    const struct lca_frame_hello *h = &f->u.hello;
    char text[300];
    if (h->vmin > LCA_WIRE_VERSION || h->vmax < LCA_WIRE_VERSION) {
        snprintf(text, sizeof text, "needs wire %llu to %llu, have %d", (unsigned long long)h->vmin,
                 (unsigned long long)h->vmax, LCA_WIRE_VERSION);
        say_err(t, id, o, "version", text);
        return;
    }
    if (h->maxb < o->head.u.head.nbmax) {
        snprintf(text, sizeof text, "%s takes payloads of %llu bytes, this stream's reach %llu", h->name,
                 (unsigned long long)h->maxb, (unsigned long long)o->head.u.head.nbmax);
        say_err(t, id, o, "size", text);
        return;
    }
    if (!*h->name || strlen(h->name) >= sizeof o->peer[0].name) {
        say_err(t, id, o, "name", "a consumer needs a name of 1 to 63 bytes: give it --name");
        return;
    }
    struct peer *old = by_name(o, h->name);
    /* who comes back at once may be faster than the news that it was gone */
    if (old && old->state == PEER_LIVE && !reachable(o, old)) {
        peer_gone(o, old);
        old = by_name(o, h->name);
    }
    if (old && old->state == PEER_LIVE && !h->take) {
        snprintf(text, sizeof text, "a consumer named %s is attached already: give --name, or --take to replace it",
                 h->name);
        say_err(t, id, o, "name", text);
        return;
    }
    uint64_t first, boundary = o->next;
    if (o->parts)
        boundary = (o->next + o->parts - 1) / o->parts * o->parts;
    if (h->from && strcmp(h->from, "now") == 0)
        first = boundary;
    else if (h->from && strcmp(h->from, "oldest") == 0)
        first = o->kept.base;
    else if (h->from && *h->from)
        first = strtoull(h->from, NULL, 10);
    else
        first = old ? old->done : o->first;     /* who takes a place goes on where it was left */
    if (first < o->kept.base) {
        snprintf(text, sizeof text, "frame %llu is gone, the oldest kept is %llu: start with --from now, or replay a "
                 "recording with lca-cat", (unsigned long long)first, (unsigned long long)o->kept.base);
        say_err(t, id, o, "gone", text);
        return;
    }
    if (!old && o->n_peer == MAX_PEERS) {
        say_err(t, id, o, "full", "64 consumers are attached already");
        return;
    }
    if (old && old->state == PEER_LIVE)
        say_bye(old, o, "replaced");
    struct peer *p = old ? old : &o->peer[o->n_peer++];
    *p = (struct peer){.state = PEER_LIVE, .id = *id, .target = t, .next = first, .done = first};
    snprintf(p->name, sizeof p->name, "%s", h->name);
    p->lim = first + h->win;
    for (int k = 0; k < o->n_expect; k++)
        if (strcmp(o->expect[k], p->name) == 0)
            o->joined[k] = true;
    lca_info("%s: %s attached from seq %llu", t->endpoint.text, p->name, (unsigned long long)first);
    pump(o, p);
}

/* Sends p what it may have. */
static void pump(struct lca_out *o, struct peer *p)
{
    struct lca_sock *s = &p->target->sock;
    if (!o->has_head || p->state != PEER_LIVE)
        return;
    if (!p->head_sent) {
        struct lca_frame f = {0};
        struct lca_packet mine;
        if (lca_packet_frame(&o->head_packet, &f, &o->aligned, NULL) == 0) {
            f.u.head.first = p->next;
            if (lca_packet_make(&mine, &f, NULL) == 0) {
                p->head_sent = lca_sock_send(s, &p->id, &mine) == 1;
                lca_packet_close(&mine);
            }
        }
        lca_frame_clear(&f);
        if (!p->head_sent)
            return;
    }
    while (p->next < p->lim && p->next < o->next) {
        if (lca_sock_send(s, &p->id, lca_kept_at(&o->kept, p->next)) != 1)
            return;
        p->next++;
    }
    if (o->ended && !p->eos_sent && (p->next >= o->next || o->aborted))
        p->eos_sent = lca_sock_send(s, &p->id, &o->eos_packet) == 1;
}

static void ack(struct lca_out *o, struct peer *p, const struct lca_frame_ack *a)
{
    if (a->done > p->next || a->done < p->done || a->lim < a->done) {
        lca_warn("%s: %s acknowledged seq %llu of %llu sent: ignored", p->target->endpoint.text, p->name,
                 (unsigned long long)a->done, (unsigned long long)p->next);
        return;
    }
    p->done = a->done;
    if (a->lim > p->lim)
        p->lim = a->lim;
    if (a->eos && p->eos_sent)
        p->eos_done = true;
    release(o);
    pump(o, p);
}

static void peer_gone(struct lca_out *o, struct peer *p)
{
    if (p->eos_done || o->aborted) {
        forget(o, p);
        return;
    }
    if (o->drop) {
        lca_warn("%s: %s lost, going on without it from seq %llu", p->target->endpoint.text, p->name,
                 (unsigned long long)p->done);
        forget(o, p);
        release(o);
        return;
    }
    lca_warn("%s: %s lost, last acknowledged seq %llu; keeping its frames for %.0f s", p->target->endpoint.text,
             p->name, (unsigned long long)p->done, o->lost);
    p->state = PEER_LOST;
    p->lost_at = lca_now();
}

static void probe(struct lca_out *o, struct target *t)
{
    double now = lca_now();
    while (t->probes > 0 && now >= t->probe_from + lca_probe_after[4 - t->probes]) {
        t->probes--;
        for (int k = o->n_peer - 1; k >= 0; k--) {
            struct peer *p = &o->peer[k];
            if (p->target == t && p->state == PEER_LIVE && !reachable(o, p))
                peer_gone(o, p);
        }
    }
}

static int receive(struct lca_out *o, struct target *t)
{
    struct lca_peer_id from;
    struct lca_packet packet;
    struct lca_frame f = {0};
    struct lca_buf none = {0};
    int got;
    while ((got = lca_sock_receive(&t->sock, &from, &packet)) != 0) {
        struct lca_err err = {0};
        if (got < 0 || lca_packet_frame(&packet, &f, &none, &err) < 0) {
            lca_warn("%s: rejected a message: %s", t->endpoint.text, got < 0 ? "several parts" : err.text);
        } else if (f.kind == LCA_KIND_hello) {
            hello(o, t, &from, &f);
        } else {
            struct peer *p = by_id(o, t, &from);
            if (p && f.kind == LCA_KIND_ack) {
                ack(o, p, &f.u.ack);
            } else if (p && f.kind == LCA_KIND_bye) {
                lca_info("%s: %s left at seq %llu", t->endpoint.text, p->name, (unsigned long long)p->done);
                forget(o, p);
                release(o);
            } else if (p && f.kind == LCA_KIND_err) {
                lca_warn("%s: %s gives up: %s", t->endpoint.text, p->name, f.u.err.msg);
            }
        }
        if (got > 0)
            lca_packet_close(&packet);
    }
    lca_frame_clear(&f);
    lca_buf_clear(&none);
    return 0;
}

static int out_serve(struct lca_member *m, struct lca_err *err)
{
    struct lca_out *o = self(m);
    for (int k = 0; k < o->n_target; k++) {
        struct target *t = &o->target[k];
        lca_publish_serve(&t->tap, o->has_head ? &o->head_packet : NULL);
        if (!t->sock.zmq)
            continue;
        /* events first: what a peer said before it went can then be read */
        enum lca_sock_event event;
        while ((event = lca_sock_event(&t->sock)) != LCA_SOCK_NOTHING) {
            if (event == LCA_SOCK_LOST) {
                t->probes = 4;
                t->probe_from = lca_now();
            }
        }
        receive(o, t);
        probe(o, t);
    }
    double now = lca_now();
    for (int k = 0; k < o->n_peer; k++) {
        struct peer *p = &o->peer[k];
        if (p->state == PEER_LIVE)
            pump(o, p);
        else if (now > p->lost_at + o->lost)
            return lca_fail(err, LCA_PEER, "%s lost, last acknowledged seq %llu of %llu", p->name,
                            (unsigned long long)p->done, (unsigned long long)o->next);
    }
    return 0;
}

static int out_items(struct lca_member *m, zmq_pollitem_t *items, int room)
{
    struct lca_out *o = self(m);
    int n = 0;
    for (int k = 0; k < o->n_target; k++) {
        n += lca_member_poll_sock(&o->target[k].sock, items + n, room - n);
        n += lca_member_poll_sock(&o->target[k].tap.sock, items + n, room - n);
    }
    return n;
}

static int out_due(struct lca_member *m)
{
    struct lca_out *o = self(m);
    double at = 0;
    for (int k = 0; k < o->n_target; k++) {
        struct target *t = &o->target[k];
        if (t->probes > 0) {
            double next = t->probe_from + lca_probe_after[4 - t->probes];
            at = at == 0 || next < at ? next : at;
        }
    }
    for (int k = 0; k < o->n_peer; k++)
        if (o->peer[k].state == PEER_LOST) {
            double next = o->peer[k].lost_at + o->lost;
            at = at == 0 || next < at ? next : at;
        }
    return at == 0 ? -1 : lca_member_ms(at);
}

/* opening */

static int add_target(struct lca_out *o, const char *text, bool tap_only, struct lca_err *err)
{
    if (o->n_target == MAX_TARGETS)
        return lca_fail(err, LCA_USAGE, "more than %d outputs", MAX_TARGETS);
    struct target *t = &o->target[o->n_target];
    *t = (struct target){.tap_only = tap_only, .sock.lock = -1, .tap.sock.lock = -1};
    if (lca_endpoint_parse(&t->endpoint, text, err) < 0)
        return -1;
    if (tap_only && t->endpoint.kind != LCA_EP_SOCKET)
        return lca_fail(err, LCA_USAGE, "--tap %s: a tap is a socket: ipc:NAME or tcp://HOST:PORT", text);
    if (t->endpoint.kind != LCA_EP_SOCKET) {
        t->writer = lca_writer_open(t->endpoint.where, err);
        if (!t->writer)
            return -1;
        o->n_target++;
        return lca_link_uses(o->link, lca_writer_fd(t->writer), true, lca_writer_name(t->writer), err);
    }
    o->n_target++;
    return 0;
}

static int parse_expect(struct lca_out *o, const char *text, struct lca_err *err)
{
    while (text && *text) {
        size_t n = strcspn(text, ",");
        if (n == 0 || n >= sizeof o->expect[0] || o->n_expect == MAX_EXPECT)
            return lca_fail(err, LCA_USAGE, "--expect takes at most %d names of 1 to 63 bytes, parted by commas",
                            MAX_EXPECT);
        memcpy(o->expect[o->n_expect], text, n);
        o->expect[o->n_expect++][n] = 0;
        text += n;
        text += *text == ',';
    }
    return 0;
}

static void out_close(struct lca_member *m)
{
    struct lca_out *o = self(m);
    if (o->has_head && !o->ended)
        lca_out_abort(o, "the stage ended early");
    for (int k = 0; k < o->n_target; k++) {
        struct target *t = &o->target[k];
        if (t->writer && lca_writer_close(t->writer, NULL) < 0)
            lca_info("%s: closing failed", t->endpoint.text);
        lca_sock_close(&t->sock);
        lca_sock_close(&t->tap.sock);
    }
    if (o->has_head)
        lca_packet_close(&o->head_packet);
    if (o->ended)
        lca_packet_close(&o->eos_packet);
    lca_frame_clear(&o->head);
    lca_buf_clear(&o->aligned);
    lca_kept_clear(&o->kept);
    free(o);
}

struct lca_out *lca_out_open(struct lca_link *l, const struct lca_out_opts *opts, struct lca_err *err)
{
    struct lca_out *o = lca_alloc(1, sizeof *o, err);
    if (!o)
        return NULL;
    o->link = l;
    o->drop = opts->drop;
    o->lost = opts->lost > 0 ? opts->lost : LCA_LOST_DEFAULT;
    o->member = (struct lca_member){.items = out_items, .serve = out_serve, .due = out_due, .close = out_close};
    int n_out = opts->out ? opts->out->n : 0, n_tap = opts->tap ? opts->tap->n : 0;
    for (int k = 0; k < n_out; k++)
        if (add_target(o, opts->out->item[k], false, err) < 0)
            goto fail;
    for (int k = 0; k < n_tap; k++)
        if (add_target(o, opts->tap->item[k], true, err) < 0)
            goto fail;
    if (n_out == 0 && n_tap == 0 && add_target(o, "-", false, err) < 0)
        goto fail;
    if (parse_expect(o, opts->expect, err) < 0)
        goto fail;
    lca_link_add(l, &o->member);
    return o;
fail:
    out_close(&o->member);
    return NULL;
}

static int record(struct target *t, struct lca_packet *p, bool sync, struct lca_err *err)
{
    struct lca_packet_parts parts;
    if (lca_packet_open(p, &parts, err) < 0 ||
        lca_writer_put(t->writer, parts.header, parts.header_len, parts.payload, parts.payload_len, err) < 0)
        return -1;
    return lca_writer_flush(t->writer, sync, err);
}

int lca_out_head(struct lca_out *o, struct lca_frame *head, struct lca_err *err)
{
    o->kept.base = o->kept.next = o->next = o->first = head->u.head.first;
    if (lca_packet_make(&o->head_packet, head, err) < 0)
        return -1;
    o->has_head = true;
    if (lca_packet_frame(&o->head_packet, &o->head, &o->aligned, err) < 0)
        return -1;
    o->window = lca_window(&o->head.u.head);
    o->parts = o->head.u.head.parts;
    for (int k = 0; k < o->n_target; k++) {
        struct target *t = &o->target[k];
        if (t->writer) {
            if (record(t, &o->head_packet, false, err) < 0)
                return -1;
            continue;
        }
        /* twice the window: credit keeps the queue from ever filling */
        struct lca_sock_opts stream = {ZMQ_ROUTER, (int)(2 * (2 * o->window + 16)), 4096, 10000, NULL};
        if (!t->tap_only && lca_sock_open(&t->sock, lca_link_context(o->link), &stream, &t->endpoint, true, err) < 0)
            return -1;
        if (lca_publish_open(&t->tap, lca_link_context(o->link), &t->endpoint, o->parts, err) < 0)
            return -1;
    }
    if (!has_sockets(o) && o->n_expect > 0)
        return lca_fail(err, LCA_USAGE, "--expect needs an --out on a socket: nobody can attach to a pipe or a file");
    o->gate_open = !has_sockets(o);
    return 0;
}

/* sending */

static bool gate(struct lca_out *o)
{
    if (o->gate_open)
        return true;
    for (int k = 0; k < o->n_expect; k++) {
        if (!o->joined[k]) {
            lca_patience_wait(&o->patience, "the consumer %s of %s", o->expect[k], o->head.st);
            return false;
        }
    }
    for (int k = 0; o->n_expect == 0 && k < o->n_target; k++) {
        bool any = !o->target[k].sock.zmq;
        for (int p = 0; p < o->n_peer; p++)
            any |= o->peer[p].target == &o->target[k];
        if (!any) {
            lca_patience_wait(&o->patience, "a consumer of %s", o->target[k].endpoint.text);
            return false;
        }
    }
    lca_patience_reset(&o->patience);
    return o->gate_open = true;
}

bool lca_out_room(struct lca_out *o)
{
    if (!gate(o))
        return false;
    const struct peer *who;
    uint64_t lag = o->next - slowest(o, &who);
    if (!has_sockets(o) || lag < o->window) {
        lca_patience_reset(&o->patience);
        return true;
    }
    lca_patience_wait(&o->patience, "%s at seq %llu of %s", who ? who->name : "a consumer",
                      (unsigned long long)(o->next - lag), o->head.st);
    return false;
}

int lca_out_send(struct lca_out *o, struct lca_frame *f, struct lca_err *err)
{
    struct lca_packet p;
    f->seq = o->next;
    f->st = o->head.st;
    memcpy(f->run, o->head.run, LCA_RUN_LEN);
    if (lca_packet_make(&p, f, err) < 0)
        return -1;
    int result = -1;
    for (int k = 0; k < o->n_target; k++) {
        struct target *t = &o->target[k];
        if (t->writer && record(t, &p, false, err) < 0)
            goto out;
        lca_publish_frame(&t->tap, &p);
    }
    if (has_sockets(o)) {
        if (lca_kept_add(&o->kept, &p, err) < 0)
            goto out;
        o->next++;
        for (int k = 0; k < o->n_peer; k++)
            pump(o, &o->peer[k]);
        release(o);
    } else {
        o->next++;
    }
    result = 0;
out:
    lca_packet_close(&p);
    return result;
}

/* A stream that nobody reads yet has no step to finish: told to stop, it ends. */
static int wait_more(struct lca_out *o, struct lca_err *err)
{
    if (!o->gate_open && lca_link_want(o->link) == LCA_SIG_STOP)
        return lca_fail(err, LCA_ABORTED, "interrupted while %s waited for its consumers", o->head.st);
    return lca_link_wait(o->link, 1000, err);
}

int lca_out_wait(struct lca_out *o, struct lca_err *err)
{
    if (lca_link_serve(o->link, err) < 0)
        return -1;
    while (!lca_out_room(o))
        if (wait_more(o, err) < 0)
            return -1;
    return 0;
}

int lca_out_put(struct lca_out *o, struct lca_frame *f, struct lca_err *err)
{
    return lca_out_wait(o, err) < 0 ? -1 : lca_out_send(o, f, err);
}

int lca_out_vector(struct lca_out *o, struct lca_frame *f, uint64_t *off, uint64_t *part, const float *v,
                   uint64_t P, struct lca_err *err)
{
    for (*off = *part = 0; *off < P; *off += LCA_SLICE, ++*part) {
        lca_frame_payload(f, "<f4", P - *off < LCA_SLICE ? P - *off : LCA_SLICE, v + *off);
        if (lca_out_send(o, f, err) < 0)
            return -1;
    }
    return 0;
}

uint64_t lca_out_done(const struct lca_out *o)
{
    return has_sockets(o) ? slowest(o, NULL) : o->next;
}

uint64_t lca_out_next(const struct lca_out *o)
{
    return o->next;
}

int lca_out_sync(struct lca_out *o, struct lca_err *err)
{
    for (int k = 0; k < o->n_target; k++)
        if (o->target[k].writer && lca_writer_flush(o->target[k].writer, true, err) < 0)
            return -1;
    return 0;
}

/* the end */

static int make_eos(struct lca_out *o, struct lca_frame *eos, struct lca_err *err)
{
    eos->st = o->head.st;
    memcpy(eos->run, o->head.run, LCA_RUN_LEN);
    eos->u.eos.next = o->next;
    if (lca_packet_make(&o->eos_packet, eos, err) < 0)
        return -1;
    o->ended = true;
    for (int k = 0; k < o->n_target; k++) {
        struct target *t = &o->target[k];
        if (t->writer && record(t, &o->eos_packet, true, err) < 0)
            return -1;
    }
    for (int k = 0; k < o->n_peer; k++)
        pump(o, &o->peer[k]);
    for (int k = 0; k < o->n_target; k++)
        lca_publish_end(&o->target[k].tap, &o->eos_packet);
    return 0;
}

/* Somebody who has not taken EOS yet, or NULL. */
static const char *open_consumer(const struct lca_out *o)
{
    for (int k = 0; k < o->n_expect; k++)
        if (!o->joined[k])
            return o->expect[k];
    for (int k = 0; k < o->n_peer; k++)
        if (!o->peer[k].eos_done)
            return o->peer[k].name;
    return NULL;
}

int lca_out_end(struct lca_out *o, struct lca_frame *eos, struct lca_err *err)
{
    /* a stream without a single data frame still waits for who is to see it */
    while (!gate(o))
        if (wait_more(o, err) < 0)
            return -1;
    if (make_eos(o, eos, err) < 0)
        return -1;
    const char *who;
    uint64_t before = 0;
    while ((who = open_consumer(o))) {
        uint64_t done = lca_out_done(o);
        if (done != before)
            lca_patience_reset(&o->patience);
        before = done;
        lca_patience_wait(&o->patience, "%s to take the end of %s, %llu frames before it", who, o->head.st,
                          (unsigned long long)(o->next - done));
        if (lca_link_wait(o->link, 1000, err) < 0)
            return -1;
    }
    for (int k = 0; k < o->n_target; k++) {
        struct lca_writer *w = o->target[k].writer;
        o->target[k].writer = NULL;
        if (w && lca_writer_close(w, err) < 0)
            return -1;
    }
    return 0;
}

/* Gives the consumers that are there a moment to take the end of a failed stream. */
static void farewell(struct lca_out *o)
{
    double until = lca_now() + LCA_FAREWELL;
    zmq_pollitem_t items[3 * MAX_TARGETS];
    for (int k = 0; k < o->n_expect; k++)
        o->joined[k] = true;
    for (int k = o->n_peer - 1; k >= 0; k--)
        if (o->peer[k].state == PEER_LOST)
            forget(o, &o->peer[k]);
    while (open_consumer(o) && lca_now() < until && out_serve(&o->member, NULL) == 0)
        zmq_poll(items, out_items(&o->member, items, 3 * MAX_TARGETS), 20);
}

void lca_out_abort(struct lca_out *o, const char *why)
{
    struct lca_frame eos = LCA_FRAME(eos);
    if (!o->has_head || o->ended)
        return;
    eos.u.eos.status = "failed";
    eos.u.eos.why = why;
    /* consumers are told without the frames they still lack; whoever reads a pipe that
     * broke learns it from the missing EOS instead */
    o->aborted = true;
    if (make_eos(o, &eos, NULL) < 0)
        o->ended = true;
    farewell(o);
}
