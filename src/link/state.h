/* state.h: how a program is, gathered from the members of its link; for the files of
 * src/link/ only, but for the text.
 *
 * It is published as a STATUS frame (proto/status.h) and said as a line when SIGUSR1 asks. */
#ifndef LCA_LINK_STATE_H
#define LCA_LINK_STATE_H

#include "frame/frame.h"

struct lca_link;

/* What keeps a program from going on: what comes later here says more. */
enum lca_wait { LCA_WAIT_NOTHING, LCA_WAIT_INPUT, LCA_COMPUTES, LCA_WAIT_WORKERS, LCA_WAIT_CONSUMER };

struct lca_state {
    struct lca_frame_status frame;      /* its lists are there, perhaps empty, while it is gathered */
    enum lca_wait why;
    char wait[200];
    char name[64], host[64];
};

/* Fills the frame but for its `st` and `run`; to be cleared. */
int lca_state_gather(struct lca_state *s, const struct lca_link *l, struct lca_err *err) LCA_MUST_USE;
void lca_state_clear(struct lca_state *s);

/* For members: what the program waits for, unless something that says more is known. */
void lca_state_wait(struct lca_state *s, enum lca_wait why, const char *format, ...) LCA_PRINTF(3, 4);

/* The same as text of one line, cut to size: "up 12 s, step 812, waits for check; ..." */
void lca_state_text(const struct lca_frame_status *s, char *text, size_t size);

#endif
