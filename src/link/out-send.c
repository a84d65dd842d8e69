/* out-send.c: an output as the program sees it: opening, frames, the end. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/tool.h"
#include "link/out-inside.h"

/* opening */

static int add_target(struct lca_out *o, const char *text, bool tap_only, bool resume, struct lca_err *err)
{
    if (o->n_target == MAX_TARGETS)
        return lca_fail(err, LCA_USAGE, "more than %d outputs", MAX_TARGETS);
    struct target *t = &o->target[o->n_target];
    *t = (struct target){.tap_only = tap_only, .sock.lock = -1, .tap.sock.lock = -1};
    if (lca_endpoint_parse(&t->endpoint, text, err) < 0)
        return -1;
    if (tap_only && t->endpoint.kind != LCA_EP_SOCKET)
        return lca_fail(err, LCA_USAGE, "--tap %s: a tap is a socket: ipc:NAME or tcp://HOST:PORT", text);
    o->n_target++;
    return t->endpoint.kind == LCA_EP_SOCKET ? 0 : lca_out_file(o, t, resume, err);
}

static int parse_expect(struct lca_out *o, const char *text, struct lca_err *err)
{
    while (text && *text) {
        size_t n = strcspn(text, ",");
        if (n == 0 || n >= sizeof o->expect[0] || o->n_expect == MAX_EXPECT)
            return lca_fail(err, LCA_USAGE, "--expect takes at most %d names of 1 to 63 bytes, parted by commas",
                            MAX_EXPECT);
        memcpy(o->expect[o->n_expect], text, n);
        o->expect[o->n_expect++][n] = 0;
        text += n;
        text += *text == ',';
    }
    return 0;
}

static void out_close(struct lca_member *m)
{
    struct lca_out *o = (struct lca_out *)m;
    if (o->has_head && !o->ended)
        lca_out_abort(o, "the stage ended early");
    lca_refusals_say(&o->member.refused, o->n_target ? o->target[0].endpoint.text : "");
    for (int k = 0; k < o->n_target; k++) {
        struct target *t = &o->target[k];
        if (t->writer && lca_writer_close(t->writer, NULL) < 0)
            lca_info("%s: closing failed", t->endpoint.text);
        lca_recording_clear(&t->past);
        lca_sock_close(&t->sock);
        lca_sock_close(&t->tap.sock);
    }
    if (o->has_head)
        lca_packet_close(&o->head_packet);
    if (o->ended)
        lca_packet_close(&o->eos_packet);
    lca_frame_clear(&o->head);
    lca_buf_clear(&o->aligned);
    lca_kept_clear(&o->kept);
    free(o);
}

struct lca_out *lca_out_open(struct lca_link *l, const struct lca_out_opts *opts, struct lca_err *err)
{
    struct lca_out *o = lca_alloc(1, sizeof *o, err);
    if (!o)
        return NULL;
    o->link = l;
    o->drop = opts->drop;
    o->lost = opts->lost > 0 ? opts->lost : LCA_LOST_DEFAULT;
    o->member = (struct lca_member){.items = lca_out_items, .serve = lca_out_serve, .due = lca_out_due,
                                    .status = lca_out_status, .close = out_close};
    o->it = -1;
    int n_out = opts->out ? opts->out->n : 0, n_tap = opts->tap ? opts->tap->n : 0;
    for (int k = 0; k < n_out; k++)
        if (add_target(o, opts->out->item[k], false, opts->resume, err) < 0)
            goto fail;
    for (int k = 0; k < n_tap; k++)
        if (add_target(o, opts->tap->item[k], true, false, err) < 0)
            goto fail;
    if (n_out == 0 && n_tap == 0 && add_target(o, "-", false, false, err) < 0)
        goto fail;
    if (parse_expect(o, opts->expect, err) < 0)
        goto fail;
    lca_link_add(l, &o->member);
    return o;
fail:
    out_close(&o->member);
    return NULL;
}

int lca_out_head(struct lca_out *o, struct lca_frame *head, struct lca_err *err)
{
    o->kept.base = o->kept.next = o->next = o->first = head->u.head.first;
    if (lca_packet_make(&o->head_packet, head, err) < 0)
        return -1;
    o->has_head = true;
    snprintf(o->member.name, sizeof o->member.name, "%s", head->st);
    if (lca_packet_frame(&o->head_packet, &o->head, &o->aligned, err) < 0)
        return -1;
    o->window = lca_window(&o->head.u.head);
    o->parts = o->head.u.head.parts;
    for (int k = 0; k < o->n_target; k++) {
        struct target *t = &o->target[k];
        if (t->writer) {
            if (lca_out_file_head(o, t, err) < 0)
                return -1;
            continue;
        }
        /* twice the window: credit keeps the queue from ever filling */
        struct lca_sock_opts stream = {ZMQ_ROUTER, (int)(2 * (2 * o->window + 16)), LCA_HEADER_MAX + 16, 10000, NULL};
        if (!t->tap_only && lca_sock_open(&t->sock, lca_link_context(o->link), &stream, &t->endpoint, true, err) < 0)
            return -1;
        /* another open port on the network only where it is asked for */
        if (!t->tap_only && strncmp(t->endpoint.where, "tcp:", 4) == 0)
            continue;
        if (lca_publish_open(&t->tap, lca_link_context(o->link), &t->endpoint, o->parts, err) < 0)
            return -1;
    }
    if (!lca_out_has_sockets(o) && o->n_expect > 0)
        return lca_fail(err, LCA_USAGE, "--expect needs an --out on a socket: nobody can attach to a pipe or a file");
    o->gate_open = !lca_out_has_sockets(o);
    return 0;
}

/* sending */

static bool gate(struct lca_out *o)
{
    if (o->gate_open)
        return true;
    for (int k = 0; k < o->n_expect; k++) {
        if (!o->joined[k]) {
            lca_patience_wait(&o->patience, "the consumer %s of %s", o->expect[k], o->head.st);
            return false;
        }
    }
    for (int k = 0; o->n_expect == 0 && k < o->n_target; k++) {
        bool any = !o->target[k].sock.zmq;
        for (int p = 0; p < o->n_peer; p++)
            any |= o->peer[p].target == &o->target[k];
        if (!any) {
            lca_patience_wait(&o->patience, "a consumer of %s", o->target[k].endpoint.text);
            return false;
        }
    }
    lca_patience_reset(&o->patience);
    return o->gate_open = true;
}

bool lca_out_room(struct lca_out *o)
{
    if (!gate(o))
        return false;
    const struct peer *who;
    uint64_t lag = o->next - lca_out_slowest(o, &who);
    /* whoever is stopped finishes its step, and does not wait until one that has left is forgotten */
    bool stop = who && who->state == PEER_LEFT && lca_link_want(o->link) == LCA_SIG_STOP;
    if (!lca_out_has_sockets(o) || lag < o->window || stop) {
        lca_patience_reset(&o->patience);
        return true;
    }
    lca_patience_wait(&o->patience, "%s at seq %llu of %s", who ? who->name : "a consumer",
                      (unsigned long long)(o->next - lag), o->head.st);
    return false;
}

int lca_out_send(struct lca_out *o, struct lca_frame *f, struct lca_err *err)
{
    struct lca_packet p;
    f->seq = o->next;
    f->st = o->head.st;
    memcpy(f->run, o->head.run, LCA_RUN_LEN);
    if (lca_packet_make(&p, f, err) < 0)
        return -1;
    int result = -1;
    o->bytes += zmq_msg_size(&p.msg);
    o->it = (int64_t)lca_frame_it(f);
    for (int k = 0; k < o->n_target; k++) {
        struct target *t = &o->target[k];
        if (t->writer && lca_out_file_data(t, f, &p, err) < 0)
            goto out;
        lca_publish_frame(&t->tap, &p);
    }
    if (lca_out_has_sockets(o)) {
        if (lca_kept_add(&o->kept, &p, err) < 0)
            goto out;
        o->next++;
        for (int k = 0; k < o->n_peer; k++)
            lca_out_pump(o, &o->peer[k]);
        lca_out_release(o);
    } else {
        o->next++;
    }
    result = 0;
out:
    lca_packet_close(&p);
    return result;
}

/* A stream that nobody reads yet has no step to finish: told to stop, it ends. */
static int wait_more(struct lca_out *o, struct lca_err *err)
{
    if (!o->gate_open && lca_link_want(o->link) == LCA_SIG_STOP)
        return lca_fail(err, LCA_ABORTED, "interrupted while %s waited for its consumers", o->head.st);
    return lca_link_wait(o->link, 1000, err);
}

int lca_out_wait(struct lca_out *o, struct lca_err *err)
{
    if (lca_link_serve(o->link, err) < 0)
        return -1;
    while (!lca_out_room(o))
        if (wait_more(o, err) < 0)
            return -1;
    return 0;
}

int lca_out_put(struct lca_out *o, struct lca_frame *f, struct lca_err *err)
{
    return lca_out_wait(o, err) < 0 ? -1 : lca_out_send(o, f, err);
}

int lca_out_vector(struct lca_out *o, struct lca_frame *f, uint64_t *off, uint64_t *part, const float *v,
                   uint64_t P, struct lca_err *err)
{
    for (*off = *part = 0; *off < P; *off += LCA_SLICE, ++*part) {
        lca_frame_payload(f, "<f4", P - *off < LCA_SLICE ? P - *off : LCA_SLICE, v + *off);
        if (lca_out_send(o, f, err) < 0)
            return -1;
    }
    return 0;
}

uint64_t lca_out_done(const struct lca_out *o)
{
    return lca_out_has_sockets(o) ? lca_out_slowest(o, NULL) : o->next;
}

uint64_t lca_out_next(const struct lca_out *o)
{
    return o->next;
}

int lca_out_sync(struct lca_out *o, struct lca_err *err)
{
    for (int k = 0; k < o->n_target; k++)
        if (o->target[k].writer && lca_writer_flush(o->target[k].writer, true, err) < 0)
            return -1;
    return 0;
}

/* the end */

static int make_eos(struct lca_out *o, struct lca_frame *eos, struct lca_err *err)
{
    eos->st = o->head.st;
    memcpy(eos->run, o->head.run, LCA_RUN_LEN);
    eos->u.eos.next = o->next;
    if (lca_packet_make(&o->eos_packet, eos, err) < 0)
        return -1;
    o->ended = true;
    snprintf(o->end, sizeof o->end, "%s", eos->u.eos.status);
    for (int k = 0; k < o->n_target; k++) {
        struct target *t = &o->target[k];
        if (t->writer && lca_out_file_eos(o, t, err) < 0)
            return -1;
    }
    for (int k = 0; k < o->n_peer; k++)
        lca_out_pump(o, &o->peer[k]);
    lca_out_publish_status(o, true);
    for (int k = 0; k < o->n_target; k++)
        lca_publish_end(&o->target[k].tap, &o->eos_packet);
    return 0;
}

/* Somebody who has not taken EOS yet, or NULL. */
static const char *open_consumer(const struct lca_out *o)
{
    for (int k = 0; k < o->n_expect; k++)
        if (!o->joined[k])
            return o->expect[k];
    for (int k = 0; k < o->n_peer; k++)
        if (!o->peer[k].eos_done && o->peer[k].state != PEER_LEFT)
            return o->peer[k].name;
    return NULL;
}

int lca_out_end(struct lca_out *o, struct lca_frame *eos, struct lca_err *err)
{
    /* a stream without a single data frame still waits for who is to see it */
    while (!gate(o))
        if (wait_more(o, err) < 0)
            return -1;
    if (make_eos(o, eos, err) < 0)
        return -1;
    const char *who;
    uint64_t before = 0;
    while ((who = open_consumer(o))) {
        uint64_t done = lca_out_done(o);
        if (done != before)
            lca_patience_reset(&o->patience);
        before = done;
        lca_patience_wait(&o->patience, "%s to take the end of %s, %llu frames before it", who, o->head.st,
                          (unsigned long long)(o->next - done));
        if (lca_link_wait(o->link, 1000, err) < 0)
            return -1;
    }
    lca_out_publish_status(o, true);
    for (int k = 0; k < o->n_target; k++) {
        struct lca_writer *w = o->target[k].writer;
        o->target[k].writer = NULL;
        if (w && lca_writer_close(w, err) < 0)
            return -1;
    }
    return 0;
}

/* Gives the consumers that are there a moment to take the end of a failed stream. */
static void farewell(struct lca_out *o)
{
    double until = lca_now() + LCA_FAREWELL;
    zmq_pollitem_t items[4 * MAX_TARGETS];
    for (int k = 0; k < o->n_expect; k++)
        o->joined[k] = true;
    for (int k = o->n_peer - 1; k >= 0; k--)
        if (o->peer[k].state == PEER_LOST)
            lca_out_forget(o, &o->peer[k]);
    while (open_consumer(o) && lca_now() < until && lca_out_serve(&o->member, NULL) == 0)
        zmq_poll(items, lca_out_items(&o->member, items, 4 * MAX_TARGETS), 20);
}

void lca_out_abort(struct lca_out *o, const char *why)
{
    struct lca_frame eos = LCA_FRAME(eos);
    if (!o->has_head || o->ended)
        return;
    eos.u.eos.status = "failed";
    eos.u.eos.why = why;
    /* consumers are told without the frames they still lack; whoever reads a pipe that
     * broke learns it from the missing EOS instead */
    o->aborted = true;
    if (make_eos(o, &eos, NULL) < 0)
        o->ended = true;
    farewell(o);
}
