/* feed.h: where a run that is shown comes from: the folder of a live one, which may end and
 * begin again; the tap of an output; or a recording, which is played. */
#ifndef LCA_WEB_FEED_H
#define LCA_WEB_FEED_H

#include <limits.h>

#include "link/tap.h"
#include "web/watched.h"

struct lca_feed {
    char name[64];              /* for people */
    const char *at;             /* as given, borrowed */
    struct lca_watched run;
    const char *state;          /* waiting, live, playing, gone, ended, interrupted, failed, bad */
    char why[600];              /* failed, bad: a sentence; else empty */
    unsigned version;           /* counts changes of what is above, but for steps in run */
    /* Inside. */
    struct lca_link *link;
    struct lca_tap *tap;        /* NULL: closed */
    struct lca_endpoint from;
    bool is_folder, is_file, played;
    double look_at;             /* when to look for a tap again */
    double pace, step_at;       /* recordings: steps/s, 0: as they can be read; when the next one is due */
};

/* text: [NAME=]OUT, a folder of sockets, an endpoint or a file. *f is zeroed but for
 * run.memory and pace. LCA_USAGE where it is none of these, or a run that has ended
 * without a recording. */
int lca_feed_open(struct lca_feed *f, struct lca_link *l, const char *text, struct lca_err *err) LCA_MUST_USE;

/* Takes what has come, but for `seconds` at most. 1: there may be more at once, 0: nothing now.
 * -1: no memory. What is wrong with a source is its state. */
int lca_feed_take(struct lca_feed *f, double seconds, struct lca_err *err) LCA_MUST_USE;

/* Seconds from now until it wants to be looked at though nothing comes. */
double lca_feed_due(const struct lca_feed *f);

void lca_feed_clear(struct lca_feed *f);

#endif
