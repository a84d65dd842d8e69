#include "link/worker.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "frame/head.h"
#include "link/member.h"

/* Seconds that BYE may take when we leave: the pool may be busy, or stopped. */
#define LEAVE_WAIT 5.0

struct kept {
    uint64_t pt, it, got;       /* got: parameters received */
    uint64_t used;              /* when, in messages: the least recent goes first */
    uint64_t id;
    float *theta;
};

struct lca_worker {
    struct lca_member member;
    struct lca_link *link;
    struct lca_worker_opts opts;
    struct lca_endpoint endpoint;
    struct lca_sock sock;
    char name[64], host[64];
    struct lca_frame head, frame;
    struct lca_packet head_packet;
    struct lca_buf head_bytes, bytes;
    bool connected, joined, has_head, bye, leaving;
    double gone_at, lost;
    double leave_by;            /* told to stop and without work: when to go without BYE; 0: not yet */
    int slots;
    struct kept kept[LCA_WORKER_SLOTS];
    struct lca_job queue[LCA_WORKER_SLOTS];
    int n_queue;
    uint64_t clock, n_theta;
    uint64_t n_done;            /* units computed, and .. */
    double sec;                 /* .. the seconds that it took */
    struct lca_patience patience;
};

static struct lca_worker *self(struct lca_member *m)
{
    return (struct lca_worker *)m;
}

static int connect_pool(struct lca_worker *w, struct lca_err *err)
{
    struct lca_sock_opts o = {ZMQ_DEALER, 0, LCA_PACKET_SLICE, 10000, NULL};
    w->connected = w->joined = w->leaving = false;
    return lca_sock_open(&w->sock, lca_link_context(w->link), &o, &w->endpoint, false, err);
}

static void say_join(struct lca_worker *w)
{
    struct lca_frame f = LCA_FRAME(join);
    f.u.join.vmin = f.u.join.vmax = LCA_WIRE_VERSION;
    f.u.join.name = w->name;
    f.u.join.host = w->host;
    f.u.join.pid = (uint64_t)getpid();
    f.u.join.slots = (uint64_t)w->slots;
    f.u.join.dev = w->opts.dev;
    f.u.join.num = w->opts.num;
    f.u.join.data = w->opts.data;
    w->joined = lca_sock_say(&w->sock, NULL, &f) == 1;
}

static struct kept *find(struct lca_worker *w, uint64_t pt)
{
    for (int k = 0; k < w->slots; k++)
        if (w->kept[k].theta && w->kept[k].pt == pt && w->kept[k].used)
            return &w->kept[k];
    return NULL;
}

static int take_theta(struct lca_worker *w, const struct lca_frame *f, struct lca_err *err)
{
    const struct lca_frame_point *t = &f->u.point;
    uint64_t P = w->head.u.head.P, len = lca_frame_count(f);
    struct kept *k = find(w, t->pt);
    if (!k) {
        k = &w->kept[0];
        for (int s = 1; s < w->slots; s++)
            if (w->kept[s].used < k->used)
                k = &w->kept[s];
        if (!k->theta && !(k->theta = lca_alloc(P, sizeof *k->theta, err)))
            return -1;
        k->pt = t->pt;
        k->it = t->it;
        k->got = 0;
        k->id = ++w->n_theta;
    }
    k->used = ++w->clock;
    if (t->off != k->got || len > P - t->off || len == 0)
        return lca_fail(err, LCA_CORRUPT, "pool: the slices of theta do not make a vector of %" PRIu64, P);
    memcpy(k->theta + t->off, f->payload, len * sizeof *k->theta);
    k->got += len;
    return 0;
}

static int take_work(struct lca_worker *w, const struct lca_frame *f, struct lca_err *err)
{
    struct kept *k = find(w, f->u.work.pt);
    if (!k || k->got != w->head.u.head.P || w->n_queue == w->slots)
        return lca_fail(err, LCA_CORRUPT, "pool: work at point %" PRIu64 " came without its theta or beyond our slots",
                        f->u.work.pt);
    k->used = ++w->clock;
    w->queue[w->n_queue++] = (struct lca_job){k->pt, f->u.work.u, k->it, k->theta, k->id};
    return 0;
}

static int take(struct lca_worker *w, struct lca_packet *packet, struct lca_err *err)
{
    if (lca_packet_frame(packet, &w->frame, &w->bytes, err) < 0)
        return lca_err_prefix(err, "%s", w->endpoint.text);
    const struct lca_frame *f = &w->frame;
    if (f->kind == LCA_KIND_err)
        return lca_fail(err, LCA_USAGE, "%s: refused: %s", w->endpoint.text, f->u.err.msg);
    if (f->kind == LCA_KIND_bye) {
        w->bye = true;
        return 0;
    }
    if (f->kind == LCA_KIND_head) {
        if (lca_head_check(&f->u.head, err) < 0)
            return lca_err_prefix(err, "%s: HEAD", w->endpoint.text);
        w->gone_at = 0;
        lca_patience_reset(&w->patience);
        if (w->has_head) {
            if (memcmp(w->head.run, f->run, LCA_RUN_LEN) != 0)
                return lca_fail(err, LCA_USAGE, "%s: another run has taken the place of the one we worked for",
                                w->endpoint.text);
            return 0;
        }
        lca_packet_share(&w->head_packet, packet);
        w->has_head = true;
        return lca_packet_frame(&w->head_packet, &w->head, &w->head_bytes, err);
    }
    if (f->kind == LCA_KIND_point && w->has_head)
        return take_theta(w, f, err);
    if (f->kind == LCA_KIND_work && w->has_head)
        return take_work(w, f, err);
    if (f->kind == LCA_KIND_ping || f->kind == LCA_KIND_NONE)
        return 0;
    return lca_fail(err, LCA_CORRUPT, "%s: a %s frame does not belong here", w->endpoint.text, lca_kind_name(f->kind));
}

static int worker_serve(struct lca_member *m, struct lca_err *err)
{
    struct lca_worker *w = self(m);
    struct lca_packet packet;
    enum lca_sock_event event;
    bool cut = false;
    int got;
    /* events first: whatever came before a connection was lost can then be read */
    while ((event = lca_sock_event(&w->sock)) != LCA_SOCK_NOTHING) {
        cut |= event == LCA_SOCK_LOST && w->connected;
        w->connected |= event == LCA_SOCK_CONNECTED;
    }
    if (lca_sock_check(&w->sock, err) < 0)
        return -1;
    while (!w->bye && (got = lca_sock_receive(&w->sock, NULL, &packet)) != 0) {
        int result = got < 0 ? lca_fail(err, LCA_CORRUPT, "%s: a message of several parts is no frame",
                                        w->endpoint.text)
                             : take(w, &packet, err);
        if (got > 0)
            lca_packet_close(&packet);
        if (result < 0)
            return -1;
    }
    if (cut && !w->bye) {
        lca_warn("%s: the pool has gone, trying again for %.0f s", w->endpoint.text, w->lost);
        lca_sock_close(&w->sock);
        w->n_queue = 0;
        for (int k = 0; k < w->slots; k++)
            w->kept[k].used = 0;
        w->gone_at = lca_now();
        return connect_pool(w, err);
    }
    if (!w->bye && lca_sock_follow(&w->sock, err) < 0)
        return -1;
    if (w->connected && !w->joined)
        say_join(w);
    if (w->gone_at > 0 && lca_now() > w->gone_at + w->lost)
        return lca_fail(err, LCA_PEER, "%s: the pool has gone and did not come back in %.0f s", w->endpoint.text, w->lost);
    return 0;
}

static int worker_items(struct lca_member *m, zmq_pollitem_t *items, int room)
{
    return lca_member_poll_sock(&self(m)->sock, items, room);
}

static int worker_due(struct lca_member *m)
{
    struct lca_worker *w = self(m);
    if (w->connected && !w->joined)
        return 10;
    return w->gone_at > 0 ? lca_member_ms(w->gone_at + w->lost) : -1;
}

static void worker_status(const struct lca_member *m, struct lca_state *s)
{
    const struct lca_worker *w = (const struct lca_worker *)m;
    s->frame.work = json_pack("{s:s, s:I, s:I, s:f}", "pool", w->endpoint.text, "units", (json_int_t)w->n_done, "held",
                              (json_int_t)w->n_queue, "sec", w->sec);
    if (w->n_queue > 0)
        s->frame.it = (int64_t)w->queue[0].it;
    else
        lca_state_wait(s, LCA_WAIT_INPUT, w->joined && w->has_head ? "work of %s" : "%s", w->endpoint.text);
}

static void worker_close(struct lca_member *m)
{
    struct lca_worker *w = self(m);
    lca_sock_close(&w->sock);
    for (int k = 0; k < w->slots; k++)
        free(w->kept[k].theta);
    if (w->has_head)
        lca_packet_close(&w->head_packet);
    lca_frame_clear(&w->head);
    lca_frame_clear(&w->frame);
    lca_buf_clear(&w->head_bytes);
    lca_buf_clear(&w->bytes);
    free(w);
}

struct lca_worker *lca_worker_open(struct lca_link *l, const struct lca_worker_opts *o, struct lca_err *err)
{
    struct lca_worker *w = lca_alloc(1, sizeof *w, err);
    if (!w)
        return NULL;
    const char *name = o->name ? o->name : getenv("LCA_STAGE");
    w->link = l;
    w->opts = *o;
    w->lost = o->lost > 0 ? o->lost : LCA_LOST_DEFAULT;
    w->slots = o->slots ? (int)o->slots : 2;
    w->sock.lock = -1;
    w->member = (struct lca_member){.items = worker_items, .serve = worker_serve, .due = worker_due,
                                    .status = worker_status, .close = worker_close};
    if (name)
        snprintf(w->name, sizeof w->name, "%s", name);
    else
        snprintf(w->name, sizeof w->name, "grad-%ld", (long)getpid());
    if (gethostname(w->host, sizeof w->host - 1) < 0)
        strcpy(w->host, "?");
    if (lca_endpoint_parse(&w->endpoint, o->endpoint, err) < 0)
        goto fail;
    if (w->endpoint.kind != LCA_EP_SOCKET) {
        lca_fail(err, LCA_USAGE, "--pool %s: a pool is a socket: ipc:NAME, tcp://HOST:PORT or at:FILE", o->endpoint);
        goto fail;
    }
    if (connect_pool(w, err) < 0)
        goto fail;
    lca_link_add(l, &w->member);
    return w;
fail:
    worker_close(&w->member);
    return NULL;
}

/* Told to stop: the pool learns it at once, so that it gives us nothing more. */
static bool told_to_stop(struct lca_worker *w)
{
    if (lca_link_want(w->link) != LCA_SIG_STOP)
        return false;
    if (w->joined && !w->leaving) {
        struct lca_frame f = LCA_FRAME(leave);
        memcpy(f.run, w->head.run, LCA_RUN_LEN);
        f.u.leave.why = "told to stop";
        w->leaving = lca_sock_say(&w->sock, NULL, &f) == 1;
    }
    return true;
}

int lca_worker_head(struct lca_worker *w, struct lca_frame **head, struct lca_err *err)
{
    while (!w->has_head && !w->bye) {
        if (lca_link_want(w->link) != LCA_SIG_GO)
            return 0;
        if (lca_link_wait(w->link, 1000, err) < 0)
            return -1;
        lca_patience_wait(&w->patience, "%s", w->endpoint.text);
    }
    *head = &w->head;
    return w->has_head;
}

int lca_worker_jobs(struct lca_worker *w, struct lca_job *job, int room, struct lca_err *err)
{
    if (lca_link_serve(w->link, err) < 0)
        return -1;
    for (;;) {
        bool told = told_to_stop(w);
        if (lca_link_want(w->link) == LCA_SIG_ABORT)
            return lca_fail(err, LCA_ABORTED, "interrupted");
        if (told && !w->connected)
            return 0;           /* the pool has gone, and gives our units to others */
        /* what is still queued after BYE has been done by somebody else */
        if (w->bye)
            return 0;
        if (w->n_queue > 0) {
            int n = w->n_queue < room ? w->n_queue : room;
            memcpy(job, w->queue, (size_t)n * sizeof *job);
            return n;
        }
        if (told && w->leave_by == 0)
            w->leave_by = lca_now() + LEAVE_WAIT;
        if (told && lca_now() > w->leave_by)
            return 0;
        if (lca_link_wait(w->link, 1000, err) < 0)
            return -1;
    }
}

static void forget(struct lca_worker *w, const struct lca_job *job)
{
    /* a lost pool empties the queue: then there is nothing to forget */
    if (w->n_queue > 0 && w->queue[0].pt == job->pt && w->queue[0].u == job->u) {
        memmove(&w->queue[0], &w->queue[1], (size_t)(w->n_queue - 1) * sizeof w->queue[0]);
        w->n_queue--;
    }
}

int lca_worker_done(struct lca_worker *w, const struct lca_job *job, const struct lca_job_row *row, int n,
                    double sec, struct lca_err *err)
{
    uint64_t P = w->head.u.head.P;
    told_to_stop(w);        /* ahead of the result, for which the pool would give another unit */
    for (int r = 0; r < n; r++) {
        for (uint64_t off = 0, part = 0; off < P; off += LCA_SLICE, part++) {
            uint64_t len = P - off < LCA_SLICE ? P - off : LCA_SLICE;
            struct lca_frame f = LCA_FRAME(done);
            struct lca_packet packet;
            f.st = "pool";
            memcpy(f.run, w->head.run, LCA_RUN_LEN);
            f.u.done = (struct lca_frame_done){
                .pt = job->pt, .u = job->u, .cls = row[r].cls, .n = row[r].n, .loss = row[r].loss,
                .hit = row[r].hit, .sec = sec, .off = off, .part = part,
                .last = r == n - 1 && off + len == P};
            lca_frame_payload(&f, "<f4", len, row[r].grad + off);
            if (lca_packet_make(&packet, &f, err) < 0)
                return -1;
            /* a pool that has gone asks others for the unit */
            int sent = lca_sock_send(&w->sock, NULL, &packet);
            lca_packet_close(&packet);
            if (sent != 1)
                lca_info("unit %" PRIu64 " could not be returned", job->u);
        }
    }
    forget(w, job);
    w->n_done++;
    w->sec += sec;
    return lca_link_serve(w->link, err);
}

void lca_worker_fail(struct lca_worker *w, const struct lca_job *job, const char *why)
{
    struct lca_frame f = LCA_FRAME(fail);
    memcpy(f.run, w->head.run, LCA_RUN_LEN);
    f.u.fail.pt = job->pt;
    f.u.fail.u = job->u;
    f.u.fail.msg = why;
    lca_sock_say(&w->sock, NULL, &f);
    forget(w, job);
}
