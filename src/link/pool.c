/* pool.c: what the pool says to its workers and hears from them, and to the program. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/digest.h"
#include "base/finite.h"
#include "base/log.h"
#include "frame/head.h"
#include "link/pool-inside.h"

static struct lca_pool *self(struct lca_member *m)
{
    return (struct lca_pool *)m;
}

static void say_err(struct lca_pool *p, const struct lca_peer_id *to, const char *code, const char *text)
{
    struct lca_frame f = LCA_FRAME(err);
    f.u.err.code = code;
    f.u.err.msg = text;
    lca_sock_say(&p->sock, to, &f);
}

/* A JOIN that does not fit: its sender is told. */
static void turn_away(struct lca_pool *p, struct lca_heard *h, enum lca_refusal why, const char *code, const char *text)
{
    say_err(p, &h->from, code, text);
    lca_refuse(&p->member.refused, why, h, "a worker", false, text);
}

/* A message against the rules: a worker that sent it is sent away, and its units are others'. */
static void reject(struct lca_pool *p, struct lca_heard *h, struct worker *w, enum lca_refusal why, const char *text)
{
    char what[100];
    snprintf(what, sizeof what, "a message%s%s", w ? " of " : "", w ? w->name : "");
    lca_refuse(&p->member.refused, why, h, what, true, text);
    if (w) {
        say_err(p, &h->from, "frame", text);
        lca_pool_worker_gone(p, w);
    }
}

static void say_bye(struct lca_pool *p, const struct lca_peer_id *to)
{
    struct lca_frame f = LCA_FRAME(bye);
    f.u.bye.why = "done";
    lca_sock_say(&p->sock, to, &f);
}

static void join(struct lca_pool *p, struct lca_heard *h, const struct lca_frame_join *j)
{
    char text[400];
    if (p->ended) {
        say_bye(p, &h->from);       /* late: all is done */
    } else if (j->vmin > LCA_WIRE_VERSION || j->vmax < LCA_WIRE_VERSION) {
        snprintf(text, sizeof text, "%s needs wire %" PRIu64 " to %" PRIu64 ", have %d", j->name, j->vmin, j->vmax,
                 LCA_WIRE_VERSION);
        turn_away(p, h, LCA_REFUSED_VERSION, "version", text);
    } else if (strcmp(j->data, p->data) != 0) {
        snprintf(text, sizeof text, "%s has another data set (%.16s...) than the run (%.16s...): give it the run's --data",
                 j->name, j->data, p->data);
        turn_away(p, h, LCA_REFUSED_ATTACH, "data", text);
    } else if (*p->num && strcmp(j->num, p->num) != 0 && !p->opts.mixed) {
        snprintf(text, sizeof text, "%s computes with %s, the run with %s, and the bytes would differ: "
                 "--mixed-numerics allows it", j->name, j->num, p->num);
        turn_away(p, h, LCA_REFUSED_ATTACH, "num", text);
    } else if (p->n_worker == MAX_WORKERS) {
        turn_away(p, h, LCA_REFUSED_ATTACH, "full", "the pool has 64 workers already");
    } else {
        struct worker *w = &p->worker[p->n_worker++];
        *w = (struct worker){.id = h->from, .serial = ++p->serial, .joined = lca_now()};
        snprintf(w->name, sizeof w->name, "%s", j->name);
        snprintf(w->host, sizeof w->host, "%s", j->host);
        snprintf(w->dev, sizeof w->dev, "%s", j->dev);
        snprintf(w->num, sizeof w->num, "%s", j->num);
        w->pid = j->pid;
        w->slots = j->slots < 1 ? 1 : j->slots > MAX_SLOTS ? MAX_SLOTS : j->slots;
        if (!*p->num)
            snprintf(p->num, sizeof p->num, "%s", j->num);
        p->stats.workers++;
        if (p->said_alone)
            lca_note("pool: %s joined", w->name);
        p->alone_since = 0;
        p->said_alone = false;
        lca_info("pool: %s joined (%s, pid %" PRIu64 " on %s)", w->name, j->dev, j->pid, j->host);
        lca_sock_send(&p->sock, &h->from, &p->head_packet);
    }
}

/* The k-th unit that w holds could not be done, or not by it: others are to try. Where all
 * there are have, or three, the run ends. */
static int unit_failed(struct lca_pool *p, struct worker *w, uint64_t k, bool bad, const char *why, struct lca_err *err)
{
    struct point *pt = w->held[k].point;
    uint64_t u = w->held[k].u;
    struct unit *unit = &pt->unit[u];
    lca_pool_drop_held(w, k);
    lca_pool_result_clear(&w->result);
    if (unit->done)
        return 0;       /* another has done it meanwhile */
    if (!bad)
        lca_warn("pool: %s cannot do unit %" PRIu64 " of step %" PRIu64 ": %s", w->name, u, pt->it, why);
    unit->failed[unit->n_failed++] = w->serial;
    unit->n_bad += bad;
    if (unit->n_failed < MAX_FAILS && lca_pool_untried(p, unit))
        return 0;
    if (unit->n_bad == unit->n_failed)
        return lca_fail(err, LCA_INTERNAL, "step %" PRIu64 ": the loss or its gradient is not finite: training diverged; "
                        "lower --lr", pt->it);
    return lca_fail(err, LCA_INTERNAL, "unit %" PRIu64 " of step %" PRIu64 " failed on %d workers: %s", u, pt->it,
                    unit->n_failed, why);
}

static int keep_slice(struct lca_pool *p, struct worker *w, struct slice *s, bool last, double sec, struct lca_err *err)
{
    struct result *r = &w->result;
    uint64_t at = 0;
    while (at < w->n_held && !(w->held[at].point->pt == s->row.pt && w->held[at].u == s->row.u))
        at++;
    if (at == w->n_held)
        return lca_fail(err, LCA_CORRUPT, "a result for unit %" PRIu64 " of point %" PRIu64 ", which it does not hold",
                        s->row.u, s->row.pt);
    /* rows of whole vectors: each begins at 0 and each slice follows the one before */
    const struct slice *before = r->n ? &r->slice[r->n - 1] : NULL;
    uint64_t expected = before ? (before->row.off + before->row.len) % p->P : 0;
    bool follows = !before || (before->row.pt == s->row.pt && before->row.u == s->row.u &&
                               (expected ? s->row.cls == before->row.cls : s->row.cls > before->row.cls));
    if (s->row.off != expected || s->row.len > p->P - expected || s->row.len == 0 || !follows ||
        (last && s->row.off + s->row.len != p->P))
        return lca_fail(err, LCA_CORRUPT, "the slices of its result do not make whole vectors");
    s->row.first = s->row.off == 0;
    if (r->n == r->cap) {
        size_t cap = r->cap ? 2 * r->cap : 4;
        struct slice *slice = realloc(r->slice, cap * sizeof *slice);
        if (!slice)
            return lca_fail(err, LCA_INTERNAL, "out of memory for the results of a unit");
        /* zmq_msg_t is plain bytes: only its address in use by ZeroMQ would matter,
         * and a received message is not */
        r->slice = slice;
        r->cap = cap;
    }
    r->slice[r->n++] = *s;
    if (!last)
        return 1;

    struct point *pt = w->held[at].point;
    struct unit *unit = &pt->unit[s->row.u];
    double now = lca_now();
    /* no longer than it can have computed, one unit after the other */
    double since = w->begun > w->last_done ? w->begun : w->last_done;
    if (sec > now - since)
        sec = now - since;
    w->busy += sec;
    w->last_done = now;
    w->n_done++;
    lca_pool_time(p, w, sec);
    p->last_done = now;
    int result = 0;
    uint64_t u = s->row.u;
    if (r->bad) {
        result = unit_failed(p, w, at, true, "its loss or gradient is not finite", err);
        lca_pool_sweep(p);
        return result < 0 ? -1 : 1;
    }
    lca_pool_drop_held(w, at);
    if (unit->done) {
        /* of different numerics, which --mixed-numerics lets in, the first counts */
        if (unit->result.crc != r->crc && strcmp(unit->num, w->num) == 0)
            result = lca_fail(err, LCA_DIFFER, "unit %" PRIu64 " at step %" PRIu64 ": %s gives crc %08x, %s gave %08x: "
                              "one of the two machines computes wrongly", u, pt->it, w->name, r->crc, unit->by,
                              unit->result.crc);
        lca_pool_result_clear(r);
    } else {
        unit->done = true;
        pt->n_done++;
        p->stats.units++;
        snprintf(unit->by, sizeof unit->by, "%s", w->name);
        snprintf(unit->num, sizeof unit->num, "%s", w->num);
        unit->result = *r;
        *r = (struct result){0};
        result = lca_pool_hand_on(p, pt, err);
    }
    lca_pool_sweep(p);
    return result < 0 ? -1 : 1;
}

/* 0, or -1 with the run at an end. A worker that talks nonsense is sent away; one whose
 * numbers are none may be the first to see that training diverged. */
static int done(struct lca_pool *p, struct lca_heard *h, struct worker *w, struct lca_frame *f, struct lca_buf *copy,
                bool *taken, struct lca_err *err)
{
    const struct lca_frame_done *d = &f->u.done;
    uint64_t len = lca_frame_count(f);
    struct slice s = {.row = {d->pt, d->u, (int)d->cls, d->n, d->hit, d->loss, d->off, len, NULL, false},
                      .packet = h->packet, .copy = *copy};
    struct lca_err why = {0};
    if (!isfinite(d->sec) || d->sec < 0 || d->cls < -1 || d->cls >= (int64_t)p->n_cls) {
        reject(p, h, w, LCA_REFUSED_ORDER, "a result of no class, or that took no time that there is");
        return 0;
    }
    if (!isfinite(d->loss) || lca_finite(f->payload, len) < len) {
        char what[100], text[120];
        snprintf(what, sizeof what, "a result of %s", w->name);
        snprintf(text, sizeof text, "unit %" PRIu64 ": its loss or gradient is not finite", d->u);
        if (!w->result.bad)
            lca_refuse(&p->member.refused, LCA_REFUSED_NUMBER, h, what, false, text);
        w->result.bad = true;
    }
    struct {
        uint32_t before, grad;
        double loss;
    } crc = {w->result.crc, f->crc, d->loss};
    w->result.crc = lca_crc32c(0, &crc, sizeof crc);
    int kept = keep_slice(p, w, &s, d->last, d->sec, &why);
    *taken = kept == 1 || why.status != LCA_CORRUPT;    /* the packet belongs to a result now, or went with one */
    if (kept == 1)
        return 0;
    if (why.status != LCA_CORRUPT) {
        if (err)
            *err = why;
        return -1;
    }
    reject(p, h, w, LCA_REFUSED_ORDER, why.text);
    return 0;
}

static int fail(struct lca_pool *p, struct lca_heard *h, struct worker *w, const struct lca_frame_fail *f,
                struct lca_err *err)
{
    for (uint64_t k = 0; k < w->n_held; k++)
        if (w->held[k].point->pt == f->pt && w->held[k].u == f->u)
            return unit_failed(p, w, k, false, f->msg, err);
    reject(p, h, w, LCA_REFUSED_ORDER, "it gives up a unit that it does not hold");
    return 0;
}

static struct worker *by_id(struct lca_pool *p, const struct lca_peer_id *id)
{
    for (int k = 0; k < p->n_worker; k++)
        if (lca_peer_same(&p->worker[k].id, id))
            return &p->worker[k];
    return NULL;
}

static int take(struct lca_pool *p, struct lca_heard *h, struct lca_frame *f, struct lca_buf *copy, bool *taken,
                struct lca_err *err)
{
    struct worker *w = by_id(p, &h->from);
    char text[120];
    if (f->kind == LCA_KIND_join && w) {
        reject(p, h, w, LCA_REFUSED_ORDER, "it says JOIN twice");
    } else if (f->kind == LCA_KIND_join) {
        join(p, h, &f->u.join);
    } else if (f->kind == LCA_KIND_ping || f->kind == LCA_KIND_pong || f->kind == LCA_KIND_NONE) {
        ;       /* dropped on receipt */
    } else if (!w || (f->kind != LCA_KIND_done && f->kind != LCA_KIND_fail && f->kind != LCA_KIND_leave)) {
        snprintf(text, sizeof text, w ? "%s, which no worker sends" : "%s before any JOIN",
                 lca_kind_name(f->kind));
        reject(p, h, w, LCA_REFUSED_UNEXPECTED, text);
    } else if (f->kind != LCA_KIND_leave && memcmp(f->run, p->head.run, LCA_RUN_LEN) != 0) {
        /* who leaves may not have heard of any */
        reject(p, h, w, LCA_REFUSED_RUN, "a message of another run");
    } else if (f->kind == LCA_KIND_done && !p->ended) {
        return done(p, h, w, f, copy, taken, err);
    } else if (f->kind == LCA_KIND_fail && !p->ended) {
        return fail(p, h, w, &f->u.fail, err);
    } else if (f->kind == LCA_KIND_leave) {
        w->leaving = true;
        lca_note("pool: %s leaves", w->name);
    }
    return 0;
}

static int receive(struct lca_pool *p, struct lca_err *err)
{
    struct lca_heard h = {.where = "pool"};
    struct lca_frame f = {0};
    int got, result = 0;
    /* before HEAD is known nobody can be answered: joins wait in the socket */
    while (result == 0 && p->has_head && (got = lca_sock_receive(&p->sock, &h.from, &h.packet)) != 0) {
        struct lca_err why = {0};
        struct lca_buf copy = {0};
        bool taken = false;
        if (lca_refusals_ignore(&p->member.refused, &h.from))
            ;
        else if (got < 0)
            reject(p, &h, by_id(p, &h.from), LCA_REFUSED_MALFORMED, "a message of several parts is no frame");
        else if (lca_packet_frame(&h.packet, &f, &copy, &why) < 0)
            reject(p, &h, by_id(p, &h.from), why.status == LCA_USAGE ? LCA_REFUSED_VERSION : LCA_REFUSED_MALFORMED,
                   why.text);
        else
            result = take(p, &h, &f, &copy, &taken, err);
        if (!taken) {
            lca_packet_close(&h.packet);
            lca_buf_clear(&copy);
        }
    }
    lca_frame_clear(&f);
    return result;
}

static int pool_serve(struct lca_member *m, struct lca_err *err)
{
    struct lca_pool *p = self(m);
    double now = lca_now();
    /* events first: what a worker said before it went can then be read */
    enum lca_sock_event event;
    while ((event = lca_sock_event(&p->sock)) != LCA_SOCK_NOTHING) {
        if (event == LCA_SOCK_LOST) {
            p->probes = 4;
            p->probe_from = now;
        }
    }
    if (receive(p, err) < 0)
        return -1;
    while (p->probes > 0 && now >= p->probe_from + lca_probe_after[4 - p->probes]) {
        p->probes--;
        for (int k = p->n_worker - 1; k >= 0; k--) {
            struct lca_frame f = LCA_FRAME(ping);
            if (lca_sock_say(&p->sock, &p->worker[k].id, &f) < 0)
                lca_pool_worker_gone(p, &p->worker[k]);
        }
    }
    for (int k = p->n_worker - 1; k >= 0; k--) {
        struct worker *w = &p->worker[k];
        if (w->leaving && w->n_held == 0) {
            say_bye(p, &w->id);
            lca_pool_remove_worker(p, w);
        }
    }
    if (p->has_head && !p->ended) {
        lca_pool_dispatch(p);
        if (p->points && p->alone_since > 0) {
            if (!p->said_alone && (p->stats.workers > 0 || now > p->alone_since + 10)) {
                lca_note("pool: no workers, waiting (t=%" PRIu64 ")", p->points->it);
                p->said_alone = true;
            }
            if (p->opts.wait > 0 && now > p->alone_since + p->opts.wait)
                return lca_fail(err, LCA_PEER, "pool: no worker for %.0f s (t=%" PRIu64 "): start lca-grad --pool %s",
                                p->opts.wait, p->points->it, p->endpoint.text);
        }
    }
    return 0;
}

static int pool_items(struct lca_member *m, zmq_pollitem_t *items, int room)
{
    struct lca_pool *p = self(m);
    /* messages that cannot be answered yet must not keep the poll awake */
    return p->has_head ? lca_member_poll_sock(&p->sock, items, room) : 0;
}

static int pool_due(struct lca_member *m)
{
    struct lca_pool *p = self(m);
    double at = lca_pool_dispatch_due(p);
    if (p->probes > 0) {
        double probe = p->probe_from + lca_probe_after[4 - p->probes];
        at = at == 0 || probe < at ? probe : at;
    }
    if (at == 0 && p->alone_since > 0 && p->points)
        at = lca_now() + 1;
    return at == 0 ? -1 : lca_member_ms(at);
}

/* Stays until the workers have heard BYE and left. */
static void farewell(struct lca_pool *p)
{
    double until = lca_now() + LCA_FAREWELL;
    zmq_pollitem_t items[2];
    while (p->n_worker > 0 && lca_now() < until && pool_serve(&p->member, NULL) == 0)
        zmq_poll(items, pool_items(&p->member, items, 2), 20);
}

static void pool_close(struct lca_member *m)
{
    struct lca_pool *p = self(m);
    lca_pool_end(p);
    farewell(p);
    lca_refusals_say(&p->member.refused, "pool");
    while (p->n_worker > 0)
        lca_pool_remove_worker(p, &p->worker[p->n_worker - 1]);
    while (p->points) {
        struct point *pt = p->points;
        p->points = pt->next;
        lca_pool_point_free(p, pt);
    }
    if (p->has_head)
        lca_packet_close(&p->head_packet);
    lca_frame_clear(&p->head);
    lca_buf_clear(&p->aligned);
    lca_sock_close(&p->sock);
    free(p);
}

struct lca_pool *lca_pool_open(struct lca_link *l, const struct lca_pool_opts *o, struct lca_err *err)
{
    struct lca_pool *p = lca_alloc(1, sizeof *p, err);
    if (!p)
        return NULL;
    struct lca_sock_opts sock = {ZMQ_ROUTER, 4096, LCA_PACKET_SLICE, 10000, NULL};
    p->link = l;
    p->opts = *o;
    p->sock.lock = -1;
    p->alone_since = lca_now();
    p->member = (struct lca_member){.items = pool_items, .serve = pool_serve, .due = pool_due,
                                    .status = lca_pool_status, .close = pool_close, .name = "pool"};
    if (lca_endpoint_parse(&p->endpoint, o->endpoint, err) < 0)
        goto fail;
    if (p->endpoint.kind != LCA_EP_SOCKET) {
        lca_fail(err, LCA_USAGE, "--pool %s: a pool is a socket: ipc:NAME, tcp://HOST:PORT or at:FILE", o->endpoint);
        goto fail;
    }
    if (lca_sock_open(&p->sock, lca_link_context(l), &sock, &p->endpoint, true, err) < 0)
        goto fail;
    lca_link_add(l, &p->member);
    return p;
fail:
    pool_close(&p->member);
    return NULL;
}

int lca_pool_head(struct lca_pool *p, struct lca_frame *head, struct lca_err *err)
{
    const char *data = NULL;
    if (lca_packet_make(&p->head_packet, head, err) < 0)
        return -1;
    p->has_head = true;
    if (lca_packet_frame(&p->head_packet, &p->head, &p->aligned, err) < 0)
        return -1;
    data = json_string_value(json_object_get(p->head.u.head.data, "sha256"));
    snprintf(p->data, sizeof p->data, "%s", data ? data : "");
    p->n_units = lca_head_units(&p->head.u.head);
    p->n_cls = json_array_size(p->head.u.head.classes);
    p->P = p->head.u.head.P;
    if (p->P == 0 || p->n_units == 0)
        return lca_fail(err, LCA_INTERNAL, "a pool without parameters or units");
    return lca_link_serve(p->link, err);
}

int lca_pool_point(struct lca_pool *p, uint64_t pt, uint64_t order, uint64_t it, uint64_t j, uint64_t n,
                   const float *theta, struct lca_err *err)
{
    struct point *point = lca_alloc(1, sizeof *point, err);
    if (!point)
        return -1;
    size_t slices = (size_t)((p->P + LCA_SLICE - 1) / LCA_SLICE);
    point->pt = pt;
    point->order = order;
    point->it = it;
    point->unit = lca_alloc(p->n_units, sizeof *point->unit, err);
    point->theta = lca_alloc(slices, sizeof *point->theta, err);
    if (!point->unit || !point->theta)
        goto fail;
    for (; point->n_theta < slices; point->n_theta++) {
        struct lca_frame f = LCA_FRAME(point);
        uint64_t off = point->n_theta * LCA_SLICE, len = p->P - off < LCA_SLICE ? p->P - off : LCA_SLICE;
        f.st = "pool";
        memcpy(f.run, p->head.run, LCA_RUN_LEN);
        f.u.point.pt = pt;
        f.u.point.it = it;
        f.u.point.j = j;
        f.u.point.n = n;
        f.u.point.off = off;
        f.u.point.part = point->n_theta;
        lca_frame_payload(&f, "<f4", len, theta + off);
        if (lca_packet_make(&point->theta[point->n_theta], &f, err) < 0)
            goto fail;
    }
    struct point **at = &p->points;
    while (*at && (*at)->order <= order)
        at = &(*at)->next;
    point->next = *at;
    *at = point;
    lca_pool_dispatch(p);
    return 0;
fail:
    for (size_t k = 0; k < point->n_theta; k++)
        lca_packet_close(&point->theta[k]);
    free(point->theta);
    free(point->unit);
    free(point);
    return -1;
}

const char *lca_pool_num(const struct lca_pool *p)
{
    return *p->num ? p->opts.mixed ? "mixed" : p->num : NULL;
}

void lca_pool_stats(const struct lca_pool *p, struct lca_pool_stats *s)
{
    *s = p->stats;
    double time = p->left_time, busy = p->left_busy;
    for (int k = 0; k < p->n_worker; k++) {
        const struct worker *w = &p->worker[k];
        double from = w->joined > p->first_work ? w->joined : p->first_work;
        if (p->last_done > from)
            time += p->last_done - from;
        busy += w->busy;
    }
    s->busy = time > 0 ? busy / time : 0;
}

void lca_pool_end(struct lca_pool *p)
{
    if (p->ended || !p->sock.zmq)
        return;
    p->ended = true;
    for (int k = 0; k < p->n_worker; k++)
        say_bye(p, &p->worker[k].id);
}
