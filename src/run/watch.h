/* watch.h: starts the stages of a run, watches them, stops them.
 *
 * All stages start at once, each as `bash -o pipefail -c COMMAND` in a process group of
 * its own, with stdin from /dev/null and in the environment
 *     LCA_DIR     the run's private folder (mode 0700), for sockets: ipc:NAME
 *     LCA_OUT     the run's results, absolute
 *     LCA_STAGE   the stage's name
 *     LCA_REPORT  where the stage may leave a JSON object for summary.json
 *     LCA_RESUME  1 where a run that was cut off is gone on with, else not set
 *     OPENBLAS_NUM_THREADS=1
 * When lca_watch returns, nothing of the run is alive. */
#ifndef LCA_RUN_WATCH_H
#define LCA_RUN_WATCH_H

#include <stddef.h>

#include "base/err.h"
#include "run/guard.h"
#include "run/progress.h"
#include "run/screen.h"
#include "run/stages.h"
#include "run/strays.h"

enum lca_watch_end { LCA_WATCH_OK, LCA_WATCH_INTERRUPTED, LCA_WATCH_FAILED };

struct lca_watch {
    /* Set by the caller, borrowed. */
    const struct lca_stages *stages;
    const char *dir, *out;
    const char *tap;                /* endpoint to show the progress of; NULL: none */
    struct lca_guard *guard;
    struct lca_strays *strays;
    struct lca_screen *screen;
    struct lca_progress *progress;
    int signals;                    /* signalfd of SIGINT, SIGTERM, SIGHUP, SIGCHLD, SIGUSR1 (blocked) */
    bool quiet;                     /* progress is not shown */
    bool resume;                    /* the run is gone on with: LCA_RESUME=1 for the stages */
    /* Filled. */
    enum lca_watch_end end;
    double seconds;
};

/* Path of a stage's report. -1: too long. */
int lca_watch_report(const char *dir, const char *stage, char *path, size_t size);

/* Runs all to the end. 0, or -1: err holds which stage failed first and its status
 * (128 + number for a signal), or LCA_ABORTED when interrupted. */
int lca_watch(struct lca_watch *w, struct lca_err *err) LCA_MUST_USE;

#endif
