/* A producer's side of a stream, whatever its consumers and taps send. Bytes: one, whether
 * a consumer is expected and whether lost ones are dropped; then steps of script.h, and
 * 64.. the program sends an iteration if it may; 65.. it lets go of what it can.
 * Each consumer is sent HEAD, then frames without a gap within its credit, then EOS. */
#include <string.h>

#include "fuzz.h"
#include "link/link.h"
#include "script.h"

enum { PARTS = 2, P = 3 };

static struct stream {
    bool head, eos;
    uint64_t next;
} seen[SCRIPT_PEERS];
static uint64_t made;

static void sent(void *arg, int peer, const struct lca_frame *f)
{
    (void)arg;
    struct stream *s = &seen[peer];
    if (f->kind == LCA_KIND_head) {
        *s = (struct stream){.head = true, .next = f->u.head.first};
    } else if (lca_kind_is_data(f->kind)) {
        fuzz_check(s->head && !s->eos, "data before HEAD or after EOS");
        /* who comes back may skip what it has from a producer before this one */
        fuzz_check(f->seq >= s->next && f->seq < made, "seq %llu after %llu", (unsigned long long)f->seq,
                   (unsigned long long)s->next);
        s->next = f->seq + 1;
    } else if (f->kind == LCA_KIND_eos) {
        fuzz_check(s->head && !s->eos, "EOS before HEAD or twice");
        s->eos = true;
    }
}

static int send(struct lca_out *out, struct lca_err *err)
{
    static const float v[P] = {1, 2, 3};
    for (uint64_t part = 0; part < PARTS; part++) {
        struct lca_frame f = LCA_FRAME(theta);
        f.u.theta.it = lca_out_next(out) / PARTS;
        f.u.theta.part = part;
        lca_frame_payload(&f, "<f4", P, v);
        made = lca_out_next(out) + 1;
        if (lca_out_send(out, &f, err) < 0)
            return -1;
    }
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const expect[] = {NULL, "a", "a,b", "c"};
    struct lca_err err = {0};
    memset(seen, 0, sizeof seen);
    made = 0;
    script_begin(data, size);
    script.sent = sent;
    uint8_t how = (uint8_t)fuzz_take(&script.bytes, 1);
    struct lca_list to = {0}, tap = {0};
    to.item[to.n++] = "ipc:///fuzz";
    if (how & 8)
        tap.item[tap.n++] = "ipc:///only";
    struct lca_out_opts o = {.out = &to, .tap = &tap, .expect = expect[how & 3], .lost = 5, .drop = how & 4};
    struct lca_link *l = lca_link_new(LCA_SIG_FILTER, &err);
    struct lca_out *out = l ? lca_out_open(l, &o, &err) : NULL;
    struct lca_frame *head = script_head("theta", P, PARTS, 6, 2, false);
    head->u.head.first = how & 16 ? 4 * PARTS : 0;
    fuzz_check(out && lca_out_head(out, head, &err) == 0, "not opened: %s", err.text);
    bool begun = false;
    int step, result = 0;
    while (result == 0 && (step = script_step()) != -1) {
        if (step > 0 && step % 2 == 0 && lca_out_room(out)) {
            begun = true;
            result = send(out, &err);
        }
        fuzz_check(lca_out_done(out) <= lca_out_next(out), "more done than there is");
        if (result == 0)
            result = lca_link_serve(l, &err);
    }
    struct lca_frame eos = LCA_FRAME(eos);
    eos.u.eos.status = "ok";
    if (result == 0 && begun && how & 32)
        result = lca_out_end(out, &eos, &err);
    if (result < 0) {
        fuzz_told(&err);
        lca_out_abort(out, err.text);
    }
    script.over = true;
    lca_link_free(l);
    script_end();
    return 0;
}
