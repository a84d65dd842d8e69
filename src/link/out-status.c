/* out-status.c: how an output is, and telling its taps. */
#include <math.h>
#include <string.h>

#include "base/clock.h"
#include "link/out-inside.h"

/* The consumers as STATUS lists them; what they wait for. */

static void add_consumer(const struct lca_out *o, struct lca_state *s, const char *name, const char *state,
                         uint64_t done, uint64_t sent, uint64_t lim)
{
    json_t *own = json_pack("{s:s, s:s, s:s, s:I, s:I, s:I}", "st", o->head.st, "name", name, "state", state, "done",
                            (json_int_t)done, "sent", (json_int_t)sent, "lim", (json_int_t)lim);
    if (o->parts)
        json_object_set_new(own, "it", json_integer((json_int_t)(o->head.u.head.it0 + done / o->parts)));
    json_array_append_new(s->frame.consumers, own);
}

static void add_consumers(const struct lca_out *o, struct lca_state *s)
{
    for (int k = 0; k < o->n_expect; k++)
        if (!o->joined[k])
            add_consumer(o, s, o->expect[k], "awaited", o->first, o->first, o->first);
    for (int k = 0; k < o->n_peer; k++) {
        const struct peer *p = &o->peer[k];
        add_consumer(o, s, p->name, p->state == PEER_LIVE ? "here" : "lost", p->done, p->next, p->lim);
    }
}

static void add_wait(const struct lca_out *o, struct lca_state *s)
{
    const struct peer *who;
    uint64_t lag = o->next - lca_out_slowest(o, &who);
    const char *name = who ? who->name : "a consumer";
    for (int k = 0; k < o->n_expect; k++)
        if (!o->joined[k])
            name = o->expect[k];
    if (o->ended ? lag > 0 : !o->gate_open || (lca_out_has_sockets(o) && lag >= o->window))
        lca_state_wait(s, LCA_WAIT_CONSUMER, "%s", name);
}

void lca_out_status(const struct lca_member *m, struct lca_state *s)
{
    const struct lca_out *o = (const struct lca_out *)m;
    if (!o->has_head)
        return;
    json_t *own = json_pack("{s:s, s:I, s:I, s:I, s:I}", "st", o->head.st, "next", (json_int_t)o->next, "done",
                            (json_int_t)lca_out_done(o), "frames", (json_int_t)(o->next - o->first), "bytes",
                            (json_int_t)o->bytes);
    if (lca_out_has_sockets(o))
        json_object_set_new(own, "window", json_integer((json_int_t)o->window));
    json_array_append_new(s->frame.out, own);
    add_consumers(o, s);
    add_wait(o, s);
    s->frame.it = o->it;
    if (*o->end)
        s->frame.end = o->end;
}

void lca_out_publish_status(struct lca_out *o, bool all)
{
    double due = INFINITY;
    for (int k = 0; k < o->n_target; k++)
        due = fmin(due, lca_publish_status_due(&o->target[k].tap));
    if (!o->has_head || due == INFINITY || (!all && due > lca_now()))
        return;
    struct lca_state s;
    struct lca_packet packet;
    if (lca_state_gather(&s, o->link, NULL) < 0)
        return;
    struct lca_frame f = LCA_FRAME(status);
    f.u.status = s.frame;
    f.st = o->head.st;
    memcpy(f.run, o->head.run, LCA_RUN_LEN);
    if (lca_packet_topic(&packet, LCA_TOPIC_STATUS, &f, NULL) == 0) {
        for (int k = 0; k < o->n_target; k++)
            lca_publish_status(&o->target[k].tap, &packet);
        lca_packet_close(&packet);
    }
    lca_state_clear(&s);
}
