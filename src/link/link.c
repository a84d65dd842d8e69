#include "link/link.h"

#include <errno.h>
#include <inttypes.h>
#include <malloc.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/limit.h"
#include "base/log.h"
#include "base/tool.h"
#include "link/endpoint.h"
#include "link/member.h"

enum { MAX_ITEMS = 256 };

#define PULSE 0.1           /* seconds */

/* A regular file that is read or written. */
struct file {
    dev_t dev;
    ino_t ino;
    bool written;
};

struct lca_link {
    struct lca_context context;
    bool secured;
    struct lca_sig sig;
    struct lca_member *members;
    struct file *file;
    size_t n_file;
    double begun, served;           /* when; of lca_now */
};

/* The answer to SIGUSR1. */
static void say_status(void *arg)
{
    struct lca_state s;
    char text[960];
    if (lca_state_gather(&s, arg, NULL) < 0)
        return;
    lca_state_text(&s.frame, text, sizeof text);
    lca_note("status: %s", text);
    lca_state_clear(&s);
}

struct lca_link *lca_link_new(enum lca_sig_place place, struct lca_err *err)
{
    struct lca_link *l = lca_alloc(1, sizeof *l, err);
    if (!l)
        return NULL;
    l->sig.fd = -1;
    l->begun = l->served = lca_now();
    /* payloads come and go with every frame: keep their memory instead of mapping and
     * unmapping it each time (a quarter of the processor time on MNIST-FC) */
    mallopt(M_MMAP_THRESHOLD, 32 << 20);
    mallopt(M_TRIM_THRESHOLD, 256 << 20);
    /* ZeroMQ's thread receives what ours frees. With a heap each, neither fills the holes of
     * the other, and memory crept up over tens of thousands of steps */
    mallopt(M_ARENA_MAX, 1);
    /* the threads of the context must inherit the blocked signals */
    if (lca_sig_open(&l->sig, place, err) < 0) {
        free(l);
        return NULL;
    }
    l->context.zmq = zmq_ctx_new();
    if (!l->context.zmq) {
        lca_fail(err, LCA_INTERNAL, "cannot start ZeroMQ: %s", zmq_strerror(errno));
        lca_sig_close(&l->sig);
        free(l);
        return NULL;
    }
    lca_sig_answer(say_status, l);
    return l;
}

int lca_link_secure(struct lca_link *l, const struct lca_safety *s, struct lca_err *err)
{
    if (l->secured)
        return 0;
    l->secured = true;
    if (s->mem && lca_limit_memory(s->mem, err) < 0)
        return lca_err_prefix(err, "--mem");
    if (s->key || s->peers || s->server_key || s->insecure)
        return (l->context.curve = lca_curve_open(s, l->context.zmq, err)) ? 0 : -1;
    return 0;
}

void lca_link_add(struct lca_link *l, struct lca_member *m)
{
    m->next = l->members;
    l->members = m;
}

void lca_link_remove(struct lca_link *l, struct lca_member *m)
{
    struct lca_member **at = &l->members;
    while (*at && *at != m)
        at = &(*at)->next;
    if (*at)
        *at = m->next;
}

/* A file that is written while it is read, or from two sides, loses what it holds. */
static int enter(struct lca_link *l, const struct stat *s, bool written, const char *name, struct lca_err *err)
{
    if (!S_ISREG(s->st_mode))
        return 0;
    for (size_t k = 0; k < l->n_file; k++) {
        const struct file *f = &l->file[k];
        if (f->dev != s->st_dev || f->ino != s->st_ino || (!f->written && !written))
            continue;
        if (f->written && written)
            return lca_fail(err, LCA_USAGE, "%s is written twice: give each output a file of its own", name);
        return lca_fail(err, LCA_USAGE, "%s is read and would be written over: write to another file and rename that "
                        "afterwards", name);
    }
    struct file *grown = realloc(l->file, (l->n_file + 1) * sizeof *grown);
    if (!grown)
        return lca_fail(err, LCA_INTERNAL, "out of memory");
    l->file = grown;
    l->file[l->n_file++] = (struct file){s->st_dev, s->st_ino, written};
    return 0;
}

int lca_link_reads(struct lca_link *l, const char *text, struct lca_err *err)
{
    struct lca_endpoint e;
    struct stat s;
    /* what is no endpoint or not there is told of when it is opened */
    const char *path = lca_endpoint_parse(&e, text, NULL) < 0 ? text : e.kind == LCA_EP_FILE ? e.where : NULL;
    return path && stat(path, &s) == 0 ? enter(l, &s, false, text, err) : 0;
}

int lca_link_uses(struct lca_link *l, int fd, bool written, const char *name, struct lca_err *err)
{
    struct stat s;
    return fstat(fd, &s) == 0 ? enter(l, &s, written, name, err) : 0;
}

void lca_link_report(struct lca_link *l, json_t *to)
{
    for (struct lca_member *m = l->members; m; m = m->next)
        lca_refusals_report(&m->refused, m->name, to);
}

const struct lca_context *lca_link_context(struct lca_link *l)
{
    return &l->context;
}

enum lca_sig_want lca_link_want(struct lca_link *l)
{
    return lca_sig_poll(&l->sig);
}

int lca_link_serve(struct lca_link *l, struct lca_err *err)
{
    l->served = lca_now();
    for (struct lca_member *m = l->members; m; m = m->next)
        if (m->serve(m, err) < 0)
            return -1;
    return 0;
}

int lca_link_pulse(struct lca_link *l, struct lca_err *err)
{
    if (lca_now() < l->served + PULSE)
        return 0;
    lca_sig_poll(&l->sig);
    return lca_link_serve(l, err);
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
    lca_sig_answer(NULL, NULL);
    while (l->members) {
        struct lca_member *m = l->members;
        l->members = m->next;
        m->close(m);
    }
    zmq_ctx_term(l->context.zmq);
    lca_curve_close(l->context.curve);
    lca_sig_close(&l->sig);
    free(l->file);
    free(l);
}

/* member.h */

void lca_link_status(const struct lca_link *l, struct lca_state *s)
{
    s->frame.up = lca_now() - l->begun;
    for (const struct lca_member *m = l->members; m; m = m->next) {
        s->frame.refused += lca_refusals_total(&m->refused);
        m->status(m, s);
    }
}

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

struct lca_step_text lca_step_of(const struct lca_frame_head *head, uint64_t seq)
{
    struct lca_step_text t = {""};
    if (head->parts)
        snprintf(t.text, sizeof t.text, " (step %" PRIu64 ")", head->it0 + seq / head->parts);
    return t;
}

void lca_say_repair(struct lca_err *err, const struct lca_reader *r, const struct lca_frame_head *head, uint64_t seq)
{
    if (!err || err->status != LCA_CORRUPT || !lca_reader_is_file(r) || seq <= head->first)
        return;
    uint64_t whole = head->parts ? seq / head->parts : 0;
    size_t used = strlen(err->text);
    char *to = err->text + used;
    if (whole == 0 || whole * head->parts <= head->first)
        snprintf(to, sizeof err->text - used, "; lca-cat --repair keeps what is whole");
    else
        snprintf(to, sizeof err->text - used, "; its last whole step is %" PRIu64 ": lca-cat --repair keeps what is "
                 "whole", head->it0 + whole - 1);
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
