/* lookout.h: the stages of a run, looked at together through the taps of their outputs.
 *
 * From each tap it takes STATUS frames, and of the lca stream HEAD and the headers of its
 * frames too. Taps may come and go. What a slow reader misses is missed; no stage waits. */
#ifndef LCA_LINK_LOOKOUT_H
#define LCA_LINK_LOOKOUT_H

#include "link/link.h"

struct lca_lookout;

/* at: a run's folder OUT, whose link `ipc` leads to the sockets, or a folder of sockets,
 * or the endpoint of one output. A folder without sockets is looked at again and again. */
struct lca_lookout *lca_lookout_open(struct lca_link *l, const char *at, struct lca_err *err) LCA_MUST_USE;

/* What has come next, without waiting. 1: *f, valid until the next call, or NULL: the
 * stage behind the tap has gone; *tap: the output's name. 0: nothing now.
 * A message that is no frame is passed over, and said once. */
int lca_lookout_next(struct lca_lookout *o, struct lca_frame **f, const char **tap);

/* A stage has been seen, and for two seconds none has been there. */
bool lca_lookout_over(const struct lca_lookout *o);

/* Newest first: folders of sockets of this user's, each with a live stage, where runs keep
 * them: $LCA_DIR if that is set; else those of lca-run, and the default of ipc:NAME. Up to
 * `room` paths, to be freed one by one; returns how many there are. */
int lca_lookout_find(char **dir, int room);

#endif
