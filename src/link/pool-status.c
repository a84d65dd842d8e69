/* pool-status.c: how the pool and its workers are. */
#include "link/pool-inside.h"

/* Units that no worker has, of all points. */
static uint64_t waiting(const struct lca_pool *p)
{
    uint64_t n = 0;
    for (const struct point *pt = p->points; pt; pt = pt->next)
        for (uint64_t u = pt->handed; u < p->n_units; u++)
            n += !pt->unit[u].done && pt->unit[u].holders == 0;
    return n;
}

static const char *state_of(const struct worker *w)
{
    return w->late ? "late" : w->leaving ? "leaving" : w->n_held > 0 ? "busy" : "idle";
}

void lca_pool_status(const struct lca_member *m, struct lca_state *s)
{
    const struct lca_pool *p = (const struct lca_pool *)m;
    uint64_t points = 0;
    for (const struct point *pt = p->points; pt; pt = pt->next)
        points++;
    s->frame.pool = json_pack("{s:I, s:I, s:I, s:I}", "waiting", (json_int_t)waiting(p), "points", (json_int_t)points,
                              "units", (json_int_t)p->stats.units, "again", (json_int_t)p->stats.again);
    for (int k = 0; k < p->n_worker; k++) {
        const struct worker *w = &p->worker[k];
        json_array_append_new(s->frame.workers, json_pack(
            "{s:s, s:s, s:I, s:s, s:s, s:s, s:I, s:I, s:f}", "name", w->name, "host", w->host, "pid",
            (json_int_t)w->pid, "dev", w->dev, "num", w->num, "state", state_of(w), "held", (json_int_t)w->n_held,
            "done", (json_int_t)w->n_done, "mean", w->n_done ? w->busy / (double)w->n_done : 0.0));
    }
    if (p->has_head && !p->ended && p->n_worker == 0)
        lca_state_wait(s, LCA_WAIT_WORKERS, "workers at %s", p->endpoint.text);
    else if (points > 0)
        lca_state_wait(s, LCA_COMPUTES, "%s", "");
}
