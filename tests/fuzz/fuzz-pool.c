/* The pool of workers, whatever they send. Bytes: one, whether by class and whether others'
 * numerics are let in; then steps of script.h, and 64.. a point is asked for; 65.. the next
 * unit that was given to a worker is answered as it should be; 66.. a unit is answered as
 * non-finite; 67.. a worker joins. Each point's units come in order, each row once and whole. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "link/link.h"
#include "link/pool.h"
#include "script.h"

enum { P = 5, UNITS = 3, CLASSES = 2, GIVEN = 256 };

static struct given {
    int peer;
    uint64_t pt, u;
} given[GIVEN];
static int n_given;
static bool by_class;
static uint64_t asked;                          /* points so far */
static struct progress {
    uint64_t units;                             /* begun; the last may go on */
    uint64_t off;
    int cls;
    bool ended;
} progress[1 << 12];

static void sent(void *arg, int peer, const struct lca_frame *f)
{
    (void)arg;
    if (f->kind != LCA_KIND_work || n_given == GIVEN)
        return;
    fuzz_check(f->u.work.pt < asked && f->u.work.u < UNITS, "work that there is not");
    given[n_given++] = (struct given){peer, f->u.work.pt, f->u.work.u};
}

static int on_row(void *arg, const struct lca_pool_row *r, struct lca_err *err)
{
    (void)arg, (void)err;
    static volatile float sink;
    fuzz_check(r->pt < asked && !progress[r->pt].ended && r->u < UNITS, "a row of nothing");
    struct progress *p = &progress[r->pt];
    if (p->units == 0 || r->u != p->units - 1) {
        fuzz_check(r->u == p->units && (p->units == 0 || p->off == P), "unit %llu out of order", (unsigned long long)r->u);
        *p = (struct progress){.units = r->u + 1, .cls = -2, .off = P};
    }
    if (r->first) {
        fuzz_check(p->off == P && r->cls > p->cls && r->off == 0 && isfinite(r->loss), "a row that begins badly");
        p->cls = r->cls;
        p->off = 0;
    }
    fuzz_check(r->off == p->off && r->cls == p->cls && r->cls < CLASSES && r->len > 0 && r->len <= P - r->off,
               "a slice out of place");
    for (uint64_t k = 0; k < r->len; k++) {
        sink = r->grad[k];
        fuzz_check(isfinite(sink), "a gradient that is no number");
    }
    p->off += r->len;
    return 0;
}

static int on_point(void *arg, uint64_t pt, struct lca_err *err)
{
    (void)arg, (void)err;
    fuzz_check(progress[pt].units == UNITS && progress[pt].off == P && !progress[pt].ended, "a point that is not whole");
    progress[pt].ended = true;
    return 0;
}

/* In one slice or two, as the bytes say. */
static void answer(float value)
{
    if (n_given == 0)
        return;
    int which = (int)(fuzz_take(&script.bytes, 1) % (unsigned)n_given);
    struct given g = given[which];
    given[which] = given[--n_given];
    uint8_t how = (uint8_t)fuzz_take(&script.bytes, 1);
    for (int c = by_class ? 0 : -1; c < (by_class ? CLASSES : 0); c++) {
        for (uint64_t off = 0; off < P;) {
            float v[P] = {value, 1, 2, 3, 4};
            uint64_t len = how & 1 && off == 0 ? 2 : P - off;
            struct lca_frame f = LCA_FRAME(done);
            f.st = "pool";
            memcpy(f.run, script_run, LCA_RUN_LEN);
            f.u.done = (struct lca_frame_done){.pt = g.pt, .u = g.u, .cls = c, .n = 2, .loss = how & 2 ? value : 1,
                                               .sec = how & 4 ? 1e300 : 0.1, .off = off,
                                               .last = off + len == P && c + 1 == (by_class ? CLASSES : 0)};
            lca_frame_payload(&f, "<f4", len, v);
            script_say(g.peer, &f);
            off += len;
        }
    }
}

static void join(void)
{
    struct lca_frame f = LCA_FRAME(join);
    uint8_t how = (uint8_t)fuzz_take(&script.bytes, 1);
    f.st = "-";
    f.u.join = (struct lca_frame_join){.vmin = 1, .vmax = 1, .name = "w", .host = "h", .pid = 3, .slots = how % 12,
                                       .dev = "cpu", .num = how & 128 ? "other" : "num", .data = "data"};
    script_say((int)(fuzz_take(&script.bytes, 1) % SCRIPT_PEERS), &f);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const float theta[P] = {1, 2, 3, 4, 5};
    struct lca_err err = {0};
    memset(progress, 0, sizeof progress);
    n_given = 0;
    asked = 0;
    script_begin(data, size);
    script.sent = sent;
    uint8_t how = (uint8_t)fuzz_take(&script.bytes, 1);
    by_class = how & 1;
    struct lca_pool_opts o = {.endpoint = "ipc:///fuzz", .mixed = how & 2, .wait = how & 4 ? 20 : 0, .row = on_row,
                              .point = on_point};
    struct lca_link *l = lca_link_new(LCA_SIG_FILTER, &err);
    struct lca_pool *p = l ? lca_pool_open(l, &o, &err) : NULL;
    fuzz_check(p && lca_pool_head(p, script_head("pool", P, 1, 2 * UNITS, 2, by_class), &err) == 0, "not opened: %s",
               err.text);
    int step, result = 0;
    while (result == 0 && (step = script_step()) != -1) {
        if (step > 0 && step % 4 == 0 && asked < sizeof progress / sizeof *progress) {
            asked++;
            result = lca_pool_point(p, asked - 1, asked - 1, asked, 1, 2, theta, &err);
        } else if (step > 0 && step % 4 == 1) {
            answer(7);
        } else if (step > 0 && step % 4 == 2) {
            answer(step & 4 ? NAN : INFINITY);
        } else if (step > 0) {
            join();
        }
        if (result == 0)
            result = lca_link_serve(l, &err);
    }
    /* three workers that cannot do a unit end the run, as our own failure */
    if (result < 0 && err.status != LCA_INTERNAL)
        fuzz_told(&err);
    struct lca_pool_stats stats;
    lca_pool_stats(p, &stats);
    fuzz_check(stats.busy >= 0 && stats.busy <= 1, "busy %g", stats.busy);
    script.over = true;
    lca_link_free(l);
    script_end();
    return 0;
}
