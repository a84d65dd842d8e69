#include "link/link.h"

#include <errno.h>
#include <malloc.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/tool.h"
#include "link/member.h"

enum { MAX_ITEMS = 64 };

struct lca_link {
    void *context;
    struct lca_sig sig;
    struct lca_member *members;
};

struct lca_link *lca_link_new(enum lca_sig_place place, struct lca_err *err)
{
    struct lca_link *l = lca_alloc(1, sizeof *l, err);
    if (!l)
        return NULL;
    l->sig.fd = -1;
    /* payloads come and go with every frame: keep their memory instead of mapping and
     * unmapping it each time (a quarter of the processor time on MNIST-FC) */
    mallopt(M_MMAP_THRESHOLD, 32 << 20);
    mallopt(M_TRIM_THRESHOLD, 256 << 20);
    /* the threads of the context must inherit the blocked signals */
    if (lca_sig_open(&l->sig, place, err) < 0) {
        free(l);
        return NULL;
    }
    l->context = zmq_ctx_new();
    if (!l->context) {
        lca_fail(err, LCA_INTERNAL, "cannot start ZeroMQ: %s", zmq_strerror(errno));
        lca_sig_close(&l->sig);
        free(l);
        return NULL;
    }
    return l;
}

void lca_link_add(struct lca_link *l, struct lca_member *m)
{
    m->next = l->members;
    l->members = m;
}

void *lca_link_context(struct lca_link *l)
{
    return l->context;
}

enum lca_sig_want lca_link_want(struct lca_link *l)
{
    return lca_sig_poll(&l->sig);
}

int lca_link_serve(struct lca_link *l, struct lca_err *err)
{
    for (struct lca_member *m = l->members; m; m = m->next)
        if (m->serve(m, err) < 0)
            return -1;
    return 0;
}

int lca_link_wait(struct lca_link *l, int timeout_ms, struct lca_err *err)
{
    zmq_pollitem_t items[MAX_ITEMS];
    int n = 0;
    items[n++] = (zmq_pollitem_t){.fd = l->sig.fd, .events = ZMQ_POLLIN};
    for (struct lca_member *m = l->members; m; m = m->next) {
        n += m->items(m, items + n, MAX_ITEMS - n);
        int due = m->due(m);
        if (due >= 0 && (timeout_ms < 0 || due < timeout_ms))
            timeout_ms = due;
    }
    if (lca_sig_poll(&l->sig) == LCA_SIG_ABORT)
        return lca_fail(err, LCA_ABORTED, "interrupted");
    if (zmq_poll(items, n, timeout_ms) < 0 && errno != EINTR)
        return lca_fail(err, LCA_INTERNAL, "cannot poll: %s", zmq_strerror(errno));
    lca_sig_poll(&l->sig);
    return lca_link_serve(l, err);
}

void lca_link_free(struct lca_link *l)
{
    if (!l)
        return;
    while (l->members) {
        struct lca_member *m = l->members;
        l->members = m->next;
        m->close(m);
    }
    zmq_ctx_term(l->context);
    lca_sig_close(&l->sig);
    free(l);
}

/* member.h */

const double lca_probe_after[4] = {0, 0.010, 0.050, 0.250};

int lca_member_poll_sock(struct lca_sock *s, zmq_pollitem_t *items, int room)
{
    int n = 0;
    if (s->zmq && n < room)
        items[n++] = (zmq_pollitem_t){.socket = s->zmq, .events = ZMQ_POLLIN};
    if (s->monitor && n < room)
        items[n++] = (zmq_pollitem_t){.socket = s->monitor, .events = ZMQ_POLLIN};
    return n;
}

int lca_member_ms(double at)
{
    double ms = ceil((at - lca_now()) * 1e3);
    return ms < 0 ? 0 : ms > 1e9 ? 1000000000 : (int)ms;
}

void lca_patience_reset(struct lca_patience *p)
{
    *p = (struct lca_patience){0};
}

void lca_patience_wait(struct lca_patience *p, const char *format, ...)
{
    double now = lca_now();
    if (p->since == 0) {
        p->since = now;
        p->say = 10;
    }
    if (now - p->since < p->say)
        return;
    char what[400];
    va_list ap;
    va_start(ap, format);
    vsnprintf(what, sizeof what, format, ap);
    va_end(ap);
    lca_note("waiting %.0f s for %s", now - p->since, what);
    p->say *= 2;
}

uint64_t lca_window(const struct lca_frame_head *head)
{
    uint64_t parts = head->parts ? head->parts : 1;
    uint64_t bytes = parts * (head->nbmax + 1);
    uint64_t iterations = (32u << 20) / bytes;
    if (iterations < 3)
        iterations = 3;
    if (iterations > 64)
        iterations = 64;
    return iterations * parts;
}

/* options */

static const char *consumer_name(const struct lca_link_args *a)
{
    return a->name ? a->name : getenv("LCA_STAGE");
}

int lca_link_lost(const struct lca_link_args *a, double *seconds, bool *drop, struct lca_err *err)
{
    *seconds = 0;
    *drop = a->lost && strcmp(a->lost, "drop") == 0;
    if (!a->lost || *drop)
        return 0;
    char *end;
    *seconds = strtod(a->lost, &end);
    if (*end || !(*seconds > 0))
        return lca_fail(err, LCA_USAGE, "--lost takes seconds or 'drop', not '%s'", a->lost);
    return 0;
}

struct lca_in *lca_in_from_args(struct lca_link *l, const struct lca_link_args *a, struct lca_err *err)
{
    struct lca_in_opts o = {.endpoint = a->in, .name = consumer_name(a), .from = a->from, .take = a->take};
    bool drop;      /* says what becomes of consumers; a producer is waited for */
    return lca_link_lost(a, &o.lost, &drop, err) < 0 ? NULL : lca_in_open(l, &o, err);
}

struct lca_out *lca_out_from_args(struct lca_link *l, const struct lca_link_args *a, struct lca_err *err)
{
    struct lca_out_opts o = {.out = &a->out, .tap = &a->tap, .expect = a->expect};
    return lca_link_lost(a, &o.lost, &o.drop, err) < 0 ? NULL : lca_out_open(l, &o, err);
}

int lca_report(json_t *keys, struct lca_err *err)
{
    const char *path = getenv("LCA_REPORT");
    if (!path || !*path)
        return 0;
    if (json_dump_file(keys, path, JSON_INDENT(2)) < 0)
        return lca_fail_errno(err, LCA_INTERNAL, "cannot write the report %s", path);
    return 0;
}
