/* A worker, whatever its pool sends. Bytes: steps of script.h, and 64.. the pool says HEAD,
 * 65.. it sends the next point's theta, 66.. it gives a unit at the last point. Whenever the
 * worker waits, the next step is taken; each job is answered, done or failed in turn.
 * A job's theta is whole. */
#include <signal.h>
#include <string.h>

#include "fuzz.h"
#include "link/link.h"
#include "link/worker.h"
#include "script.h"

enum { P = 5 };

static uint64_t points;

static void pool_says(int step)
{
    if (step == -1) {
        raise(SIGTERM);     /* or it would wait for a pool for ever */
        return;
    }
    if (step % 4 == 0) {
        script_say(0, script_head("pool", P, 1, 6, 2, false));
        return;
    }
    struct lca_frame f = step % 4 == 1 ? LCA_FRAME(point) : LCA_FRAME(work);
    float v[P];
    f.st = "pool";
    memcpy(f.run, script_run, LCA_RUN_LEN);
    if (f.kind == LCA_KIND_work) {
        f.u.work.pt = points - (step % 8 == 2);
        f.u.work.u = fuzz_take(&script.bytes, 1);
    } else {
        points++;
        f.u.point = (struct lca_frame_point){.pt = points, .it = points, .j = 1, .n = 2};
        for (int k = 0; k < P; k++)
            v[k] = (float)points;
        lca_frame_payload(&f, "<f4", P, v);
    }
    script_say(0, &f);
}

static int serve(struct lca_link *l, struct lca_worker *w, struct lca_err *err)
{
    struct lca_frame *head;
    struct lca_job job;
    int got = lca_worker_head(w, &head, err);
    if (got <= 0)
        return got;
    uint64_t n = head->u.head.P;
    while ((got = lca_worker_jobs(w, &job, 1, err)) == 1) {
        static volatile float sink;
        for (uint64_t k = 0; k < n; k++)
            sink = job.theta[k];
        if (sink == 3) {
            lca_worker_fail(w, &job, "because");
            continue;
        }
        struct lca_job_row row = {.cls = -1, .n = 2, .loss = 1, .grad = job.theta};
        if (lca_worker_done(w, &job, &row, 1, 0.1, err) < 0 || lca_link_serve(l, err) < 0)
            return -1;
    }
    return got;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct lca_err err = {0};
    points = 0;
    script_begin(data, size);
    script.own = pool_says;
    struct lca_worker_opts o = {.endpoint = "ipc:///fuzz", .name = "w", .dev = "cpu", .num = "num", .data = "data",
                                .lost = 5};
    struct lca_link *l = lca_link_new(LCA_SIG_WORKER, &err);
    struct lca_worker *w = l ? lca_worker_open(l, &o, &err) : NULL;
    fuzz_check(w != NULL, "not opened: %s", err.text);
    if (serve(l, w, &err) < 0)
        fuzz_told(&err);
    script.over = true;
    lca_link_free(l);
    script_end();
    return 0;
}
