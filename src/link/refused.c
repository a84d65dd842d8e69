#include "link/refused.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"

const char *const lca_refusal_name[LCA_REFUSALS] = {
    "malformed", "version", "run", "unexpected", "order", "number", "attach", "ignored",
};

bool lca_peer_same(const struct lca_peer_id *a, const struct lca_peer_id *b)
{
    return a->len == b->len && memcmp(a->data, b->data, a->len) == 0;
}

/* Its place among those remembered, or -1. */
static int find(const struct lca_refusals *r, const struct lca_peer_id *id)
{
    unsigned n = r->n_peer < LCA_REFUSED_PEERS ? r->n_peer : LCA_REFUSED_PEERS;
    for (unsigned k = 0; k < n; k++)
        if (lca_peer_same(&r->peer[k].id, id))
            return (int)k;
    return -1;
}

bool lca_refusals_ignore(struct lca_refusals *r, const struct lca_peer_id *id)
{
    int at = r->n_peer > 0 ? find(r, id) : -1;
    if (at < 0 || !r->peer[at].ignored)
        return false;
    r->n[LCA_REFUSED_IGNORED]++;
    return true;
}

/* " from pid 12 of uid 1000", or " from 10.0.0.3", as far as ZeroMQ knows; by its own word
 * an ipc peer is ":uid:gid:pid". */
static void sender(char *text, size_t room, struct lca_packet *p)
{
    unsigned long uid, gid, pid;
    const char *address = zmq_msg_gets(&p->msg, "Peer-Address");
    const char *ids = address ? strchr(address, ':') : NULL;
    *text = 0;
    if (ids && sscanf(ids, ":%lu:%lu:%lu", &uid, &gid, &pid) == 3)
        snprintf(text, room, " from pid %lu of uid %lu", pid, uid);
    else if (address && *address)
        snprintf(text, room, " from %s", address);
}

void lca_refuse(struct lca_refusals *r, enum lca_refusal why, struct lca_heard *h, const char *what, bool ignore,
                const char *text)
{
    int at = find(r, &h->from);
    bool first = at < 0;
    r->n[why]++;
    if (first) {
        at = (int)(r->n_peer++ % LCA_REFUSED_PEERS);
        r->peer[at].id = h->from;
        r->peer[at].ignored = false;
    }
    bool news = first || (ignore && !r->peer[at].ignored);
    r->peer[at].ignored |= ignore;
    /* who keeps coming under new identities does not fill the log */
    if (!news || r->n_peer > LCA_REFUSED_PEERS)
        return;
    char from[80];
    sender(from, sizeof from, &h->packet);
    lca_warn("%s: refused %s%s: %s%s%s", h->where, what, from, text, ignore ? "; it is ignored from now on" : "",
             r->n_peer == LCA_REFUSED_PEERS ? "; others will only be counted" : "");
}

uint64_t lca_refusals_total(const struct lca_refusals *r)
{
    uint64_t n = 0;
    for (int k = 0; k < LCA_REFUSALS; k++)
        n += r->n[k];
    return n;
}

void lca_refusals_say(const struct lca_refusals *r, const char *where)
{
    uint64_t total = lca_refusals_total(r);
    if (total == 0)
        return;
    char list[LCA_REFUSALS * 40] = "";
    size_t at = 0;
    for (int k = 0; k < LCA_REFUSALS; k++)
        if (r->n[k])
            at += (size_t)snprintf(list + at, sizeof list - at, "%s%" PRIu64 " %s", at ? ", " : "", r->n[k],
                                   lca_refusal_name[k]);
    lca_warn("%s: refused %" PRIu64 " message%s in all: %s", where, total, total == 1 ? "" : "s", list);
}

void lca_refusals_report(const struct lca_refusals *r, const char *name, json_t *object)
{
    if (lca_refusals_total(r) == 0)
        return;
    json_t *counts = json_object_get(object, name);
    if (!counts) {
        counts = json_object();
        json_object_set_new(object, name, counts);
    }
    for (int k = 0; k < LCA_REFUSALS; k++) {
        json_int_t before = json_integer_value(json_object_get(counts, lca_refusal_name[k]));
        if (r->n[k])
            json_object_set_new(counts, lca_refusal_name[k], json_integer(before + (json_int_t)r->n[k]));
    }
}
