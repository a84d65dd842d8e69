/* out.c: the consumers of an output. Frames are kept until every one of them has
 * acknowledged them; each gets as many as it has granted. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "link/out-inside.h"

static struct lca_out *self(struct lca_member *m)
{
    return (struct lca_out *)m;
}

bool lca_out_has_sockets(const struct lca_out *o)
{
    for (int k = 0; k < o->n_target; k++)
        if (o->target[k].sock.zmq)
            return true;
    return false;
}

/* what has been acknowledged */

uint64_t lca_out_slowest(const struct lca_out *o, const struct peer **who)
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

void lca_out_release(struct lca_out *o)
{
    lca_kept_release(&o->kept, lca_out_slowest(o, NULL));
}

/* consumers */

static void say_err(struct lca_out *o, struct target *t, const struct lca_peer_id *to, const char *code,
                    const char *text)
{
    struct lca_frame f = LCA_FRAME(err);
    f.st = o->head.st;
    memcpy(f.run, o->head.run, LCA_RUN_LEN);
    f.u.err.code = code;
    f.u.err.msg = text;
    lca_sock_say(&t->sock, to, &f);
}

/* A HELLO that does not fit: its sender is told, and may try again. */
static void turn_away(struct lca_out *o, struct target *t, struct lca_heard *h, enum lca_refusal why, const char *code,
                      const char *text)
{
    say_err(o, t, &h->from, code, text);
    lca_refuse(&o->member.refused, why, h, "a consumer", false, text);
}

static void peer_gone(struct lca_out *o, struct peer *p);

/* A message against the rules. Nothing that its sender says can be relied on from here on: a
 * consumer that did so counts as lost. */
static void reject(struct lca_out *o, struct lca_heard *h, struct peer *p, enum lca_refusal why, const char *text)
{
    char what[100];
    snprintf(what, sizeof what, "a message%s%s", p ? " of " : "", p ? p->name : "");
    lca_refuse(&o->member.refused, why, h, what, true, text);
    if (p) {
        say_err(o, p->target, &h->from, "frame", text);
        peer_gone(o, p);
    }
}

static void say_bye(struct peer *p, struct lca_out *o, const char *why)
{
    struct lca_frame f = LCA_FRAME(bye);
    f.st = o->head.st;
    memcpy(f.run, o->head.run, LCA_RUN_LEN);
    f.u.bye.why = why;
    lca_sock_say(&p->target->sock, &p->id, &f);
}

void lca_out_forget(struct lca_out *o, struct peer *p)
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

/* Who was here, until somebody took its place. */
static bool was_here(const struct lca_out *o, const struct target *t, const struct lca_peer_id *id)
{
    for (int k = 0; k < o->n_peer; k++)
        if (o->peer[k].target == t && lca_peer_same(&o->peer[k].before, id))
            return true;
    return false;
}

static struct peer *by_name(struct lca_out *o, const char *name)
{
    for (int k = 0; k < o->n_peer; k++)
        if (strcmp(o->peer[k].name, name) == 0)
            return &o->peer[k];
    return NULL;
}

static bool reachable(struct lca_out *o, struct peer *p)
{
    struct lca_frame f = LCA_FRAME(ping);
    f.st = o->head.st;
    return lca_sock_say(&p->target->sock, &p->id, &f) >= 0;
}

static bool is_expected(const struct lca_out *o, const char *name)
{
    for (int k = 0; k < o->n_expect; k++)
        if (strcmp(o->expect[k], name) == 0)
            return true;
    return false;
}

/* Whether there is a place for one more: those of who is expected are kept free. */
static bool has_place(const struct lca_out *o, const char *name)
{
    int awaited = 0;
    for (int k = 0; k < o->n_expect; k++)
        awaited += !o->joined[k];
    return o->n_peer + (is_expected(o, name) ? 0 : awaited) < MAX_PEERS;
}

static void hello(struct lca_out *o, struct target *t, struct lca_heard *m, const struct lca_frame_hello *h)
{
    char text[300];
    if (h->vmin > LCA_WIRE_VERSION || h->vmax < LCA_WIRE_VERSION) {
        snprintf(text, sizeof text, "needs wire %llu to %llu, have %d", (unsigned long long)h->vmin,
                 (unsigned long long)h->vmax, LCA_WIRE_VERSION);
        turn_away(o, t, m, LCA_REFUSED_VERSION, "version", text);
        return;
    }
    if (h->maxb < o->head.u.head.nbmax) {
        snprintf(text, sizeof text, "%s takes payloads of %llu bytes, this stream's reach %llu", h->name,
                 (unsigned long long)h->maxb, (unsigned long long)o->head.u.head.nbmax);
        turn_away(o, t, m, LCA_REFUSED_ATTACH, "size", text);
        return;
    }
    if (!*h->name || strlen(h->name) >= sizeof o->peer[0].name) {
        turn_away(o, t, m, LCA_REFUSED_ATTACH, "name", "a consumer needs a name of 1 to 63 bytes: give it --name");
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
        turn_away(o, t, m, LCA_REFUSED_ATTACH, "name", text);
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
        turn_away(o, t, m, LCA_REFUSED_ATTACH, "gone", text);
        return;
    }
    if (!old && !has_place(o, h->name)) {
        turn_away(o, t, m, LCA_REFUSED_ATTACH, "full", o->n_peer == MAX_PEERS ? "64 consumers are attached already"
                  : "the places that are left are for consumers that are expected");
        return;
    }
    struct lca_peer_id before = {0};
    if (old && old->state == PEER_LIVE) {
        say_bye(old, o, "replaced");
        before = old->id;
    }
    /* who comes back has received all before `first`, but may have processed less: its
     * first ACK says how much, and until then nothing is let go */
    uint64_t done = first, kept = old ? old->done : o->kept.base;
    bool back = h->from && *h->from >= '0' && *h->from <= '9';
    if (back && kept < first)
        done = kept;
    struct peer *p = old ? old : &o->peer[o->n_peer++];
    *p = (struct peer){.state = PEER_LIVE, .id = m->from, .before = before, .target = t, .next = first, .done = done,
                       .had = back ? first + o->window : 0};
    snprintf(p->name, sizeof p->name, "%s", h->name);
    p->lim = first + (h->win < o->window ? h->win : o->window);
    for (int k = 0; k < o->n_expect; k++)
        if (strcmp(o->expect[k], p->name) == 0)
            o->joined[k] = true;
    lca_info("%s: %s attached from seq %llu", t->endpoint.text, p->name, (unsigned long long)first);
    lca_out_pump(o, p);
}

void lca_out_pump(struct lca_out *o, struct peer *p)
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

static void ack(struct lca_out *o, struct lca_heard *h, struct peer *p, const struct lca_frame_ack *a)
{
    if (a->lim < a->done || a->done > (p->next > p->had ? p->next : p->had)) {
        char text[160];
        snprintf(text, sizeof text, "it acknowledges all before seq %llu and grants up to %llu, where %llu is the next "
                 "to be sent", (unsigned long long)a->done, (unsigned long long)a->lim, (unsigned long long)p->next);
        reject(o, h, p, LCA_REFUSED_ORDER, text);
        return;
    }
    /* more than was sent: frames that a producer before us has sent, and that we have yet
     * to make again; less: frames that it has let go */
    if (a->done > p->next)
        p->next = a->done;
    if (a->done > p->done)
        p->done = a->done;
    if (a->lim > p->lim)
        p->lim = a->lim;
    if (a->eos && p->eos_sent)
        p->eos_done = true;
    lca_out_release(o);
    lca_out_pump(o, p);
}

static void peer_gone(struct lca_out *o, struct peer *p)
{
    if (p->eos_done || o->aborted) {
        lca_out_forget(o, p);
        return;
    }
    if (o->drop) {
        lca_warn("%s: %s lost, going on without it from seq %llu", p->target->endpoint.text, p->name,
                 (unsigned long long)p->done);
        lca_out_forget(o, p);
        lca_out_release(o);
        return;
    }
    lca_warn("%s: %s lost, last acknowledged seq %llu; keeping its frames for %.0f s", p->target->endpoint.text,
             p->name, (unsigned long long)p->done, o->lost);
    p->state = PEER_LOST;
    p->lost_at = lca_now();
}

/* A run that is stopped has all its stages leave at once, each when it learns of it. What a
 * consumer has not processed must not count as done meanwhile: we might let go, and have
 * those before us let go, of what the run is gone on from. */
static void leave(struct lca_out *o, struct peer *p)
{
    lca_info("%s: %s left at seq %llu", p->target->endpoint.text, p->name, (unsigned long long)p->done);
    p->state = PEER_LEFT;
    p->lost_at = lca_now();
    if (!o->drop && !o->aborted && !p->eos_done && p->done < o->next)
        return;
    lca_out_forget(o, p);
    lca_out_release(o);
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

static void take(struct lca_out *o, struct target *t, struct lca_heard *h, struct lca_frame *f)
{
    struct peer *p = by_id(o, t, &h->from);
    char text[120];
    if (f->kind == LCA_KIND_hello && p) {
        reject(o, h, p, LCA_REFUSED_ORDER, "it says HELLO on a connection that is attached");
    } else if (f->kind == LCA_KIND_hello) {
        hello(o, t, h, &f->u.hello);
    } else if (f->kind == LCA_KIND_ping || f->kind == LCA_KIND_pong || f->kind == LCA_KIND_NONE) {
        ;       /* dropped on receipt */
    } else if (!p && was_here(o, t, &h->from)) {
        ;       /* sent before it heard that it is replaced */
    } else if (!p || (f->kind != LCA_KIND_ack && f->kind != LCA_KIND_bye && f->kind != LCA_KIND_err)) {
        snprintf(text, sizeof text, p ? "%s, which no consumer sends" : "%s before any HELLO",
                 lca_kind_name(f->kind));
        reject(o, h, p, LCA_REFUSED_UNEXPECTED, text);
    } else if (memcmp(f->run, o->head.run, LCA_RUN_LEN) != 0) {
        snprintf(text, sizeof text, "%s of another run", f->kind == LCA_KIND_ack ? "an ACK" : "a message");
        reject(o, h, p, LCA_REFUSED_RUN, text);
    } else if (f->kind == LCA_KIND_ack) {
        ack(o, h, p, &f->u.ack);
    } else if (f->kind == LCA_KIND_bye) {
        leave(o, p);
    } else {
        lca_warn("%s: %s gives up: %s", h->where, p->name, f->u.err.msg);
    }
}

static void receive(struct lca_out *o, struct target *t)
{
    struct lca_heard h = {.where = t->endpoint.text};
    struct lca_frame f = {0};
    struct lca_buf none = {0};
    int got;
    while ((got = lca_sock_receive(&t->sock, &h.from, &h.packet)) != 0) {
        struct lca_err err = {0};
        size_t size = zmq_msg_size(&h.packet.msg);
        if (lca_refusals_ignore(&o->member.refused, &h.from))
            ;
        else if (got < 0)
            reject(o, &h, by_id(o, t, &h.from), LCA_REFUSED_MALFORMED, "a message of several parts is no frame");
        else if (size > LCA_PACKET_CONTROL)
            reject(o, &h, by_id(o, t, &h.from), LCA_REFUSED_MALFORMED, "a message of more than 4 KiB");
        else if (lca_packet_frame(&h.packet, &f, &none, &err) < 0)
            reject(o, &h, by_id(o, t, &h.from),
                   err.status == LCA_USAGE ? LCA_REFUSED_VERSION : LCA_REFUSED_MALFORMED, err.text);
        else
            take(o, t, &h, &f);
        lca_packet_close(&h.packet);
    }
    lca_frame_clear(&f);
    lca_buf_clear(&none);
}

int lca_out_serve(struct lca_member *m, struct lca_err *err)
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
    lca_out_publish_status(o, false);
    double now = lca_now();
    for (int k = o->n_peer - 1; k >= 0; k--) {
        struct peer *p = &o->peer[k];
        if (p->state == PEER_LIVE) {
            lca_out_pump(o, p);
        } else if (p->state == PEER_LEFT) {
            if (now <= p->lost_at + LCA_FAREWELL)
                continue;
            lca_out_forget(o, p);
            lca_out_release(o);
        } else if (now > p->lost_at + o->lost && o->n_expect > 0 && !is_expected(o, p->name)) {
            lca_warn("%s: %s, which was not expected, did not come back: going on without it", p->target->endpoint.text,
                     p->name);
            lca_out_forget(o, p);
            lca_out_release(o);
        } else if (now > p->lost_at + o->lost) {
            return lca_fail(err, LCA_PEER, "%s lost, last acknowledged seq %llu of %llu%s", p->name,
                            (unsigned long long)p->done, (unsigned long long)o->next,
                            lca_step_of(&o->head.u.head, p->done).text);
        }
    }
    return 0;
}

int lca_out_items(struct lca_member *m, zmq_pollitem_t *items, int room)
{
    struct lca_out *o = self(m);
    int n = 0;
    for (int k = 0; k < o->n_target; k++) {
        n += lca_member_poll_sock(&o->target[k].sock, items + n, room - n);
        n += lca_member_poll_sock(&o->target[k].tap.sock, items + n, room - n);
    }
    return n;
}

int lca_out_due(struct lca_member *m)
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
        if (o->peer[k].state != PEER_LIVE) {
            double next = o->peer[k].lost_at + (o->peer[k].state == PEER_LEFT ? LCA_FAREWELL : o->lost);
            at = at == 0 || next < at ? next : at;
        }
    for (int k = 0; k < o->n_target; k++) {
        double next = lca_publish_status_due(&o->target[k].tap);
        if (next < INFINITY)
            at = at == 0 || next < at ? next : at;
    }
    return at == 0 ? -1 : lca_member_ms(at);
}
