/* A consumer's side of a stream, whatever its producer sends. Bytes: steps of script.h, and
 * 64.. the program reads what has come; 65.. it is done with all that it read; 66.. it
 * leaves. What it is handed is HEAD, then data of one run without a gap, then EOS. */
#include <string.h>

#include "fuzz.h"
#include "link/link.h"
#include "script.h"

static struct stream {
    bool head, eos;
    uint64_t next;
} seen;

static void look(const struct lca_frame *f)
{
    fuzz_check(!seen.eos, "a %s frame after EOS", lca_kind_name(f->kind));
    if (f->kind == LCA_KIND_head) {
        fuzz_check(!seen.head, "HEAD twice");
        seen.head = true;
        seen.next = f->u.head.first;
        return;
    }
    fuzz_check(seen.head, "a %s frame before HEAD", lca_kind_name(f->kind));
    if (f->kind == LCA_KIND_eos) {
        fuzz_check(f->u.eos.next == seen.next, "EOS counts wrongly");
        seen.eos = true;
        return;
    }
    fuzz_check(lca_kind_is_data(f->kind) && f->seq == seen.next, "seq %llu follows %llu", (unsigned long long)f->seq,
               (unsigned long long)seen.next - 1);
    seen.next++;
}

/* The credit that it grants is no more than its window. The first is granted at HEAD's first
 * frame, before the program is handed HEAD. */
static void sent(void *arg, int peer, const struct lca_frame *f)
{
    (void)peer;
    struct lca_in **in = arg;
    if (f->kind == LCA_KIND_ack && *in)
        fuzz_check((f->u.ack.done <= seen.next || !seen.head) && f->u.ack.lim - f->u.ack.done == lca_in_window(*in),
                   "an ACK out of order");
}

static int act(struct lca_link *l, struct lca_in *in, int step, struct lca_err *err)
{
    struct lca_frame *f;
    int got;
    if (step == -1 || step % 4 == 0) {
        while ((got = lca_in_poll(in, &f, err)) == 1)
            look(f);
        if (got < 0)
            return -1;
    } else if (step % 4 == 1) {
        lca_in_done(in, seen.next);
        if (seen.eos)
            lca_in_end(in);
    } else if (step > 200) {
        lca_in_leave(in);
    }
    return lca_link_serve(l, err);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const from[] = {NULL, "now", "oldest", "3"};
    struct lca_err err = {0};
    struct lca_in *in = NULL;
    script_begin(data, size);
    script.sent = sent;
    script.arg = &in;
    seen = (struct stream){0};
    struct lca_link *l = lca_link_new(LCA_SIG_FILTER, &err);
    uint8_t how = (uint8_t)fuzz_take(&script.bytes, 1);
    struct lca_in_opts o = {.endpoint = "ipc:///fuzz", .name = "a", .from = from[how & 3], .take = how & 4, .lost = 5};
    in = l ? lca_in_open(l, &o, &err) : NULL;
    fuzz_check(in != NULL, "not opened: %s", err.text);
    int step, result = 0;
    do {
        step = script_step();
        result = act(l, in, step, &err);
    } while (result == 0 && step != -1);
    if (result < 0)
        fuzz_told(&err);
    lca_link_free(l);
    script_end();
    return 0;
}
