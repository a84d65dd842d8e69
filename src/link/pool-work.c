/* pool-work.c: points, their units, and who works on them. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "link/pool-inside.h"

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

void lca_pool_drop_held(struct worker *w, uint64_t k)
{
    struct unit *unit = &w->held[k].point->unit[w->held[k].u];
    unit->holders--;
    unit->late -= w->held[k].late;
    memmove(&w->held[k], &w->held[k + 1], (size_t)(w->n_held - k - 1) * sizeof w->held[0]);
    w->n_held--;
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

/* The median of the latest unit times sets the lease. */
static double lease(const struct lca_pool *p)
{
    double t[TIMES];
    int n = 0, most = p->n_times < TIMES ? (int)p->n_times : TIMES;
    for (int k = 0; k < most; k++) {
        int at = n++;
        for (; at > 0 && t[at - 1] > p->times[k]; at--)
            t[at] = t[at - 1];
        t[at] = p->times[k];
    }
    double want = n ? 8 * t[n / 2] : 0;
    return want > 10 ? want : 10;
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

/* The first unit that w may work on. A unit past its lease may have two workers. */
static struct point *next_unit(struct lca_pool *p, const struct worker *w, uint64_t *u)
{
    for (struct point *pt = p->points; pt; pt = pt->next) {
        if (pt->n_done == p->n_units)
            continue;
        for (uint64_t k = pt->handed; k < p->n_units; k++) {
            struct unit *unit = &pt->unit[k];
            bool mine = false;
            if (unit->done || (unit->holders > 0 && (unit->late < unit->holders || unit->holders > 1)))
                continue;
            for (uint64_t h = 0; h < w->n_held; h++)
                mine |= w->held[h].point == pt && w->held[h].u == k;
            if (mine || has_failed(unit, w))
                continue;
            *u = k;
            return pt;
        }
    }
    return NULL;
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

static bool give(struct lca_pool *p, struct worker *w, struct point *pt, uint64_t u)
{
    double now = lca_now(), time = lease(p);
    if (!has_theta(w, pt->pt))
        for (size_t k = 0; k < pt->n_theta; k++)
            if (lca_sock_send(&p->sock, &w->id, &pt->theta[k]) != 1)
                return false;
    struct lca_frame f = LCA_FRAME(work);
    memcpy(f.run, p->head.run, LCA_RUN_LEN);
    f.u.work.pt = pt->pt;
    f.u.work.u = u;
    f.u.work.lease_ms = (uint64_t)(time * 1e3);
    if (lca_sock_say(&p->sock, &w->id, &f) != 1)
        return false;
    w->held[w->n_held++] = (struct held){pt, u, now, now + time, false};
    pt->unit[u].holders++;
    if (p->first_work == 0)
        p->first_work = now;
    return true;
}

void lca_pool_dispatch(struct lca_pool *p)
{
    /* one slot of every worker before the second of any: nobody idles while another
     * has a unit waiting */
    for (uint64_t depth = 1; depth <= MAX_SLOTS; depth++) {
        for (int k = p->n_worker - 1; k >= 0; k--) {
            struct worker *w = &p->worker[k];
            uint64_t u;
            struct point *pt;
            if (w->leaving || w->n_held >= depth || w->slots < depth || !(pt = next_unit(p, w, &u)))
                continue;
            if (!give(p, w, pt, u))
                lca_pool_worker_gone(p, w);
        }
    }
}
