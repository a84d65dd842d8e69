/* guard.h: the process that cleans up after lca-run when lca-run cannot: killed with
 * SIGKILL, say. It lives in a session of its own, ignores what a terminal sends, makes
 * the run's folder, so that there is none without a guard, and reads from a pipe which
 * process groups there are. The end of the pipe without a farewell means that lca-run has
 * died: the guard then stops all groups, and whatever has left them, with SIGTERM and
 * 2 s later SIGKILL, and removes the folder. */
#ifndef LCA_RUN_GUARD_H
#define LCA_RUN_GUARD_H

#include <sys/types.h>

#include "base/err.h"

struct lca_guard {
    pid_t pid;      /* 0: none */
    int fd;         /* close on exec: a child writes its group before that */
    int lock;       /* in: a descriptor that the guard keeps open to its end; 0: none */
};

/* What the environment of the run's processes has, before the folder's path: lca_strays'
 * mark. */
#define LCA_GUARD_MARK "LCA_DIR="

/* dir: in, a path that ends in XXXXXX; out, the private folder, new and empty. link: the
 * symbolic link to dir, removed too. To be called before any other child is made. */
int lca_guard_start(struct lca_guard *g, char *dir, const char *link, struct lca_err *err) LCA_MUST_USE;

void lca_guard_add(const struct lca_guard *g, pid_t group);
void lca_guard_drop(const struct lca_guard *g, pid_t group);    /* the group has no process left */

/* The farewell: all is clean. Waits until the guard is gone. */
void lca_guard_end(struct lca_guard *g);

/* Removes the private folder with all in it, and link if it points there. */
void lca_guard_remove(const char *dir, const char *link);

#endif
