/* strays.h: the processes of a run, however far they have wandered.
 *
 * A stage may start what leaves its process group. Such a process is still known by
 * its environment, which begins as the stage's, or, since lca-run is the reaper of
 * its descendants, by its parent. Zombies do not count: who reaps them is not known
 * once lca-run has died. Source: proc(5), prctl(2). */
#ifndef LCA_RUN_STRAYS_H
#define LCA_RUN_STRAYS_H

#include <sys/types.h>

enum { LCA_SPARED_MAX = 32 };

struct lca_strays {
    const char *mark;               /* "NAME=value" in the environment */
    pid_t parent;                   /* children of this process; 0: none */
    const pid_t *group;             /* [n_groups], and members of these process groups */
    int n_groups;
    pid_t spared[LCA_SPARED_MAX];   /* not of the run although their parent is */
    int n_spared;
};

/* Counts the living other than the caller; sends each sig, once, unless that is 0. */
int lca_strays(const struct lca_strays *s, int sig);

/* Spares the children that `parent` has now. */
void lca_strays_spare(struct lca_strays *s);

#endif
