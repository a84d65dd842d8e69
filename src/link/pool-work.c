/* pool-work.c: points, their units, and who works on them. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "link/pool-inside.h"

/* A worker is late after 10 s, or 8 times what a unit takes; for the first, after 60 s. */
#define LEASE 10.0
enum { LEASE_TIMES = 8, LEASE_FIRST = 6 };

/* An idle worker takes over from one that takes three times as long, and 50 ms. */
#define SPARE 0.05
enum { SPARE_TIMES = 3 };

/* Seconds that a worker may say a unit took it: a month. */
#define SEC_MAX 2678400.0

/* results and points */

void lca_pool_result_clear(struct result *r)
{
    for (size_t k = 0; k < r->n; k++) {
        lca_packet_close(&r->slice[k].packet);
        lca_buf_clear(&r->slice[k].copy);
    }
    free(r->slice);
    *r = (struct result){0};
}

void lca_pool_point_free(struct lca_pool *p, struct point *pt)
{
    for (size_t k = 0; k < pt->n_theta; k++)
        lca_packet_close(&pt->theta[k]);
    for (uint64_t u = 0; u < p->n_units; u++)
        lca_pool_result_clear(&pt->unit[u].result);
    free(pt->theta);
    free(pt->unit);
    free(pt);
}

static bool point_held(const struct lca_pool *p, const struct point *pt)
{
    for (int w = 0; w < p->n_worker; w++)
        for (uint64_t k = 0; k < p->worker[w].n_held; k++)
            if (p->worker[w].held[k].point == pt)
                return true;
    return false;
}

void lca_pool_sweep(struct lca_pool *p)
{
    for (struct point **at = &p->points; *at;) {
        struct point *pt = *at;
        if (pt->handed == p->n_units && !point_held(p, pt)) {
            *at = pt->next;
            lca_pool_point_free(p, pt);
        } else {
            at = &pt->next;
        }
    }
}

int lca_pool_hand_on(struct lca_pool *p, struct point *pt, struct lca_err *err)
{
    while (pt->handed < p->n_units && pt->unit[pt->handed].done) {
        struct result *r = &pt->unit[pt->handed].result;
        for (size_t k = 0; k < r->n; k++) {
            /* not at receipt: a small message lies within its zmq_msg_t, which moves */
            struct slice *s = &r->slice[k];
            struct lca_packet_parts parts;
            if (s->copy.data)
                s->row.grad = (const float *)(const void *)s->copy.data;
            else if (lca_packet_open(&s->packet, &parts, err) == 0)
                s->row.grad = parts.payload;
            else
                return -1;
            if (p->opts.row(p->opts.arg, &s->row, err) < 0)
                return -1;
        }
        uint32_t crc = r->crc;
        lca_pool_result_clear(r);
        r->crc = crc;
        if (++pt->handed == p->n_units && p->opts.point(p->opts.arg, pt->pt, err) < 0)
            return -1;
    }
    return 0;
}

/* workers */

static void set_late(struct worker *w, bool late)
{
    for (uint64_t h = 0; h < w->n_held; h++) {
        w->held[h].point->unit[w->held[h].u].late += late - w->held[h].late;
        w->held[h].late = late;
    }
    w->late = late;
    w->told &= late;
}

void lca_pool_drop_held(struct worker *w, uint64_t k)
{
    struct unit *unit = &w->held[k].point->unit[w->held[k].u];
    unit->holders--;
    unit->late -= w->held[k].late;
    memmove(&w->held[k], &w->held[k + 1], (size_t)(w->n_held - k - 1) * sizeof w->held[0]);
    w->n_held--;
    if (k > 0)
        return;
    /* it moves: the next unit has all its time */
    w->begun = lca_now();
    set_late(w, false);
}

void lca_pool_remove_worker(struct lca_pool *p, struct worker *w)
{
    while (w->n_held > 0)
        lca_pool_drop_held(w, 0);
    lca_pool_result_clear(&w->result);
    if (p->first_work > 0) {
        double from = w->joined > p->first_work ? w->joined : p->first_work;
        p->left_time += lca_now() - from;
        p->left_busy += w->busy;
    }
    *w = p->worker[--p->n_worker];
    if (p->n_worker == 0)
        p->alone_since = lca_now();
    lca_pool_sweep(p);
}

void lca_pool_worker_gone(struct lca_pool *p, struct worker *w)
{
    if (!p->ended)
        lca_warn("pool: %s gone, %" PRIu64 " units again", w->name, w->n_held);
    p->stats.again += w->n_held;
    lca_pool_remove_worker(p, w);
}

void lca_pool_time(struct lca_pool *p, struct worker *w, double sec)
{
    double t[TIMES];
    if (!(sec >= 0 && sec < SEC_MAX))
        return;
    p->times[p->n_times++ % TIMES] = sec;
    int n = 0, most = p->n_times < TIMES ? (int)p->n_times : TIMES;
    for (int k = 0; k < most; k++) {
        int at = n++;
        for (; at > 0 && t[at - 1] > p->times[k]; at--)
            t[at] = t[at - 1];
        t[at] = p->times[k];
    }
    p->median = t[n / 2];
    w->pace = w->pace > 0 ? (w->pace + sec) / 2 : sec;
}

/* How long w may be at a unit. The usual time of all and its own both count: a worker
 * that is slow is not hung. Before anybody has done one, nobody knows how long it takes. */
static double lease(const struct lca_pool *p, const struct worker *w)
{
    double least = p->opts.lease > 0 ? p->opts.lease : LEASE;
    if (p->n_times == 0)
        return LEASE_FIRST * least;
    double usual = LEASE_TIMES * (w->pace > p->median ? w->pace : p->median);
    return usual > least ? usual : least;
}

/* Nobody is late for good: a lease grows with the first unit that somebody has done. */
static void mark_late(struct lca_pool *p, double now)
{
    for (int k = 0; k < p->n_worker; k++) {
        struct worker *w = &p->worker[k];
        bool late = w->n_held > 0 && now >= w->begun + lease(p, w);
        if (late != w->late)
            set_late(w, late);
    }
}

/* When w, idle, may take over what the slower h holds; 0: not at all. */
static double spare_from(const struct lca_pool *p, const struct worker *w, const struct worker *h)
{
    double pace = w->pace > 0 ? w->pace : p->median, slow = SPARE_TIMES * pace;
    if (pace <= 0 || h->n_held == 0)
        return 0;
    slow = slow > SPARE ? slow : SPARE;
    return h->pace > slow ? h->begun : h->begun + slow;
}

static bool holds(const struct worker *w, const struct point *pt, uint64_t u)
{
    for (uint64_t h = 0; h < w->n_held; h++)
        if (w->held[h].point == pt && w->held[h].u == u)
            return true;
    return false;
}

static bool has_failed(const struct unit *unit, const struct worker *w)
{
    for (int k = 0; k < unit->n_failed; k++)
        if (unit->failed[k] == w->serial)
            return true;
    return false;
}

bool lca_pool_untried(const struct lca_pool *p, const struct unit *unit)
{
    for (int k = 0; k < p->n_worker; k++)
        if (!p->worker[k].leaving && !has_failed(unit, &p->worker[k]))
            return true;
    return false;
}

static bool may_do(const struct worker *w, const struct point *pt, uint64_t u)
{
    return !pt->unit[u].done && !holds(w, pt, u) && !has_failed(&pt->unit[u], w);
}

/* The first unit that nobody has, or, with `late`, nobody but those past their lease. */
static struct point *free_unit(const struct lca_pool *p, const struct worker *w, bool late, uint64_t *u)
{
    for (struct point *pt = p->points; pt; pt = pt->next) {
        for (*u = pt->handed; pt->n_done < p->n_units && *u < p->n_units; ++*u) {
            const struct unit *unit = &pt->unit[*u];
            if ((late ? unit->late : 0) == unit->holders && may_do(w, pt, *u))
                return pt;
        }
    }
    return NULL;
}

/* The first unit that one who is much slower than w has alone. */
static struct point *slow_unit(const struct lca_pool *p, const struct worker *w, double now, uint64_t *u)
{
    struct point *best = NULL;
    for (int k = 0; k < p->n_worker; k++) {
        const struct worker *h = &p->worker[k];
        double from = spare_from(p, w, h);
        for (uint64_t i = 0; from > 0 && now >= from && i < h->n_held; i++) {
            struct point *pt = h->held[i].point;
            bool before = !best || pt->order < best->order || (pt == best && h->held[i].u < *u);
            if (!before || pt->unit[h->held[i].u].holders > 1 || !may_do(w, pt, h->held[i].u))
                continue;
            best = pt;
            *u = h->held[i].u;
        }
    }
    return best;
}

static struct point *next_unit(const struct lca_pool *p, const struct worker *w, double now, uint64_t *u)
{
    /* while nobody knows how long a unit takes, those that nobody has come first */
    struct point *pt = free_unit(p, w, p->n_times > 0, u);
    if (!pt && w->n_held == 0)
        pt = free_unit(p, w, true, u);
    return pt || w->n_held > 0 ? pt : slow_unit(p, w, now, u);
}

/* The worker keeps its last `slots` points by use; both sides count alike. */
static bool has_theta(struct worker *w, uint64_t pt)
{
    uint64_t out = 0;
    while (out < w->n_kept && w->kept[out] != pt)
        out++;
    bool had = out < w->n_kept;
    if (!had && w->n_kept < w->slots) {
        w->kept[w->n_kept++] = pt;
        return false;
    }
    for (uint64_t k = had ? out : 0; k + 1 < w->n_kept; k++)
        w->kept[k] = w->kept[k + 1];
    w->kept[w->n_kept - 1] = pt;
    return had;
}

/* A unit that somebody has is given to another too: a warning where the first is late. */
static void say_again(struct lca_pool *p, const struct worker *to, const struct point *pt, uint64_t u)
{
    p->stats.again++;
    for (int k = 0; k < p->n_worker; k++) {
        struct worker *w = &p->worker[k];
        if (!holds(w, pt, u))
            continue;
        if (w->late)
            lca_warn("pool: %s late on unit %" PRIu64 ", also given to %s", w->name, u, to->name);
        else
            lca_info("pool: %s slow on unit %" PRIu64 ", also given to %s", w->name, u, to->name);
        w->told |= w->late;
        return;
    }
}

static bool give(struct lca_pool *p, struct worker *w, struct point *pt, uint64_t u, double now)
{
    if (!has_theta(w, pt->pt))
        for (size_t k = 0; k < pt->n_theta; k++)
            if (lca_sock_send(&p->sock, &w->id, &pt->theta[k]) != 1)
                return false;
    struct lca_frame f = LCA_FRAME(work);
    memcpy(f.run, p->head.run, LCA_RUN_LEN);
    f.u.work.pt = pt->pt;
    f.u.work.u = u;
    f.u.work.lease_ms = (uint64_t)(lease(p, w) * 1e3);
    if (lca_sock_say(&p->sock, &w->id, &f) != 1)
        return false;
    if (pt->unit[u].holders > 0)
        say_again(p, w, pt, u);
    if (w->n_held == 0)
        w->begun = now;
    w->held[w->n_held++] = (struct held){pt, u, false};
    pt->unit[u].holders++;
    if (p->first_work == 0)
        p->first_work = now;
    return true;
}

/* Who is late and was not told of with a unit that went to another just now. */
static void say_late(struct lca_pool *p)
{
    for (int k = 0; k < p->n_worker; k++) {
        struct worker *w = &p->worker[k];
        if (!w->late || w->told)
            continue;
        const struct point *pt = w->held[0].point;
        const struct unit *unit = &pt->unit[w->held[0].u];
        bool alone = !unit->done && unit->late == unit->holders;
        if (p->n_times == 0)
            lca_note("pool: %s is still at its first unit, after %.0f s (t=%" PRIu64 ")", w->name, lease(p, w), pt->it);
        else
            lca_warn("pool: %s late on unit %" PRIu64 " (t=%" PRIu64 "), %s", w->name, w->held[0].u, pt->it,
                     alone ? "and no other worker is free" : "which another was given before");
        w->told = true;
    }
}

void lca_pool_dispatch(struct lca_pool *p)
{
    double now = lca_now();
    mark_late(p, now);
    /* one slot of every worker before the second of any: nobody idles while another
     * has a unit waiting */
    for (uint64_t depth = 1; depth <= MAX_SLOTS; depth++) {
        for (int k = p->n_worker - 1; k >= 0; k--) {
            struct worker *w = &p->worker[k];
            uint64_t u;
            struct point *pt;
            if (w->leaving || w->late || w->n_held >= depth || w->slots < depth || !(pt = next_unit(p, w, now, &u)))
                continue;
            if (!give(p, w, pt, u, now))
                lca_pool_worker_gone(p, w);
        }
    }
    say_late(p);
}

double lca_pool_dispatch_due(const struct lca_pool *p)
{
    double at = 0, now = lca_now();
    for (int k = 0; k < p->n_worker && !p->ended; k++) {
        const struct worker *h = &p->worker[k];
        if (h->n_held == 0 || h->late)
            continue;
        double due = h->begun + lease(p, h);
        for (int i = 0; i < p->n_worker; i++) {
            const struct worker *w = &p->worker[i];
            double from = w->n_held == 0 && !w->leaving ? spare_from(p, w, h) : 0;
            /* what may be taken already has been, or cannot be */
            if (from > now && from < due)
                due = from;
        }
        at = at == 0 || due < at ? due : at;
    }
    return at;
}
