/* pool.c: what the pool says to its workers and hears from them, and to the program. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/digest.h"
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
    lca_warn("pool: refused a worker: %s", text);
}

static void say_bye(struct lca_pool *p, const struct lca_peer_id *to)
{
    struct lca_frame f = LCA_FRAME(bye);
    f.u.bye.why = "done";
    lca_sock_say(&p->sock, to, &f);
}

static void join(struct lca_pool *p, const struct lca_peer_id *id, const struct lca_frame *f)
{
    const struct lca_frame_join *j = &f->u.join;
    char text[400];
    if (p->ended) {
        say_bye(p, id);     /* late: all is done */
    } else if (j->vmin > LCA_WIRE_VERSION || j->vmax < LCA_WIRE_VERSION) {
        snprintf(text, sizeof text, "%s needs wire %" PRIu64 " to %" PRIu64 ", have %d", j->name, j->vmin, j->vmax,
                 LCA_WIRE_VERSION);
        say_err(p, id, "version", text);
    } else if (strcmp(j->data, p->data) != 0) {
        snprintf(text, sizeof text, "%s has another data set (%.16s...) than the run (%.16s...): give it the run's --data",
                 j->name, j->data, p->data);
        say_err(p, id, "data", text);
    } else if (*p->num && strcmp(j->num, p->num) != 0 && !p->opts.mixed) {
        snprintf(text, sizeof text, "%s computes with %s, the run with %s, and the bytes would differ: "
                 "--mixed-numerics allows it", j->name, j->num, p->num);
        say_err(p, id, "num", text);
    } else if (p->n_worker == MAX_WORKERS) {
        say_err(p, id, "full", "the pool has 64 workers already");
    } else {
        struct worker *w = &p->worker[p->n_worker++];
        *w = (struct worker){.id = *id, .serial = ++p->serial, .joined = lca_now()};
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
        lca_sock_send(&p->sock, id, &p->head_packet);
    }
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
    if (s->row.off != expected || s->row.off + s->row.len > p->P || s->row.len == 0 || !follows ||
        (last && s->row.off + s->row.len != p->P) || s->row.cls < -1 || s->row.cls >= (int)p->n_cls)
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
    w->busy += sec;
    w->n_done++;
    lca_pool_time(p, w, sec);
    p->last_done = now;
    int result = 0;
    uint64_t u = s->row.u;
    lca_pool_drop_held(w, at);
    if (unit->done) {
        if (unit->result.crc != r->crc)
            result = lca_fail(err, LCA_DIFFER, "unit %" PRIu64 " at step %" PRIu64 ": %s gives crc %08x, %s gave %08x: "
                              "one of the two machines computes wrongly", u, pt->it, w->name, r->crc, unit->by,
                              unit->result.crc);
        lca_pool_result_clear(r);
    } else {
        unit->done = true;
        pt->n_done++;
        p->stats.units++;
        snprintf(unit->by, sizeof unit->by, "%s", w->name);
        unit->result = *r;
        *r = (struct result){0};
        result = lca_pool_hand_on(p, pt, err);
    }
    lca_pool_sweep(p);
    return result < 0 ? -1 : 1;
}

/* 0, or -1 with the run at an end. A worker that talks nonsense is sent away. */
static int done(struct lca_pool *p, struct worker *w, struct lca_frame *f, struct lca_packet *packet,
                struct lca_buf *copy, bool *taken, struct lca_err *err)
{
    const struct lca_frame_done *d = &f->u.done;
    struct slice s = {.row = {d->pt, d->u, (int)d->cls, d->n, d->hit, d->loss, d->off, lca_frame_count(f),
                              NULL, false}, .packet = *packet, .copy = *copy};
    struct lca_err why = {0};
    struct {
        uint32_t before, grad;
        double loss;
    } crc = {w->result.crc, f->crc, d->loss};
    w->result.crc = lca_crc32c(0, &crc, sizeof crc);
    int kept = keep_slice(p, w, &s, d->last, d->sec, &why);
    if (kept == 1 || why.status == LCA_DIFFER) {
        *taken = true;      /* the packet belongs to a result now, or went with one */
    }
    if (kept == 1)
        return 0;
    if (why.status != LCA_CORRUPT) {
        *taken = true;
        if (err)
            *err = why;
        return -1;
    }
    say_err(p, &w->id, "frame", why.text);
    lca_pool_worker_gone(p, w);
    return 0;
}

static int fail(struct lca_pool *p, struct worker *w, const struct lca_frame_fail *f, struct lca_err *err)
{
    for (uint64_t k = 0; k < w->n_held; k++) {
        struct point *pt = w->held[k].point;
        if (pt->pt != f->pt || w->held[k].u != f->u)
            continue;
        struct unit *unit = &pt->unit[f->u];
        lca_pool_drop_held(w, k);
        lca_pool_result_clear(&w->result);
        lca_warn("pool: %s cannot do unit %" PRIu64 " of step %" PRIu64 ": %s", w->name, f->u, pt->it, f->msg);
        unit->failed[unit->n_failed++] = w->serial;
        if (unit->n_failed == MAX_FAILS || unit->n_failed == p->n_worker)
            return lca_fail(err, LCA_INTERNAL, "unit %" PRIu64 " of step %" PRIu64 " failed on %d workers: %s", f->u,
                            pt->it, unit->n_failed, f->msg);
        return 0;
    }
    return 0;
}

static struct worker *by_id(struct lca_pool *p, const struct lca_peer_id *id)
{
    for (int k = 0; k < p->n_worker; k++)
        if (lca_peer_same(&p->worker[k].id, id))
            return &p->worker[k];
    return NULL;
}

static int receive(struct lca_pool *p, struct lca_err *err)
{
    struct lca_frame f = {0};
    int got, result = 0;
    struct lca_peer_id from;
    struct lca_packet packet;
    /* before HEAD is known nobody can be answered: joins wait in the socket */
    while (result == 0 && p->has_head && (got = lca_sock_receive(&p->sock, &from, &packet)) != 0) {
        struct lca_err why = {0};
        struct lca_buf copy = {0};
        bool taken = false;
        struct worker *w = got > 0 ? by_id(p, &from) : NULL;
        if (got < 0 || lca_packet_frame(&packet, &f, &copy, &why) < 0) {
            lca_warn("pool: rejected a message: %s", got < 0 ? "several parts" : why.text);
            if (w)
                lca_pool_worker_gone(p, w);
        } else if (f.kind == LCA_KIND_join && !w) {
            join(p, &from, &f);
        } else if (w && f.kind == LCA_KIND_done && !p->ended) {
            result = done(p, w, &f, &packet, &copy, &taken, err);
        } else if (w && f.kind == LCA_KIND_fail && !p->ended) {
            result = fail(p, w, &f.u.fail, err);
        } else if (w && f.kind == LCA_KIND_leave) {
            w->leaving = true;
            lca_note("pool: %s leaves", w->name);
        }
        if (got > 0 && !taken) {
            lca_packet_close(&packet);
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
    struct lca_sock_opts sock = {ZMQ_ROUTER, 4096, LCA_PACKET_MAX, 10000, NULL};
    p->link = l;
    p->opts = *o;
    p->sock.lock = -1;
    p->alone_since = lca_now();
    p->member = (struct lca_member){.items = pool_items, .serve = pool_serve, .due = pool_due,
                                    .status = lca_pool_status, .close = pool_close};
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
