/* member.h: what lca_link_wait polls and serves; for the files of src/link/ only. */
#ifndef LCA_LINK_MEMBER_H
#define LCA_LINK_MEMBER_H

#include <zmq.h>

#include "link/link.h"
#include "link/record.h"
#include "link/sock.h"
#include "link/state.h"

struct lca_member {
    /* Adds what to poll; returns how many. */
    int (*items)(struct lca_member *m, zmq_pollitem_t *items, int room);
    /* Receives and answers all that waits, without blocking. */
    int (*serve)(struct lca_member *m, struct lca_err *err);
    /* Milliseconds until serve is due anyway, or -1. */
    int (*due)(struct lca_member *m);
    /* Adds what it knows; changes nothing and calls nothing of ZeroMQ's. */
    void (*status)(const struct lca_member *m, struct lca_state *s);
    void (*close)(struct lca_member *m);
    struct lca_refusals refused;        /* of what peers sent it */
    char name[64];                      /* what it is called in the report: a stream, or pool */
    struct lca_member *next;
};

void lca_link_add(struct lca_link *l, struct lca_member *m);
void lca_link_remove(struct lca_link *l, struct lca_member *m);     /* does not close it */
const struct lca_context *lca_link_context(struct lca_link *l);

/* Serves and answers signals if that has not been done for a tenth of a second: for a loop
 * that always finds something to do and never waits. */
int lca_link_pulse(struct lca_link *l, struct lca_err *err) LCA_MUST_USE;

/* What the link and its members add to s. */
void lca_link_status(const struct lca_link *l, struct lca_state *s);

/* Adds what each member has refused to {name: {reason: messages}}. */
void lca_link_report(struct lca_link *l, json_t *to);

/* A poll item for a socket, and one for its monitor. Returns 2 (1 without). */
int lca_member_poll_sock(struct lca_sock *s, zmq_pollitem_t *items, int room);

/* Milliseconds from now until the moment `at` of lca_now, not below 0. */
int lca_member_ms(double at);

/* Says "waiting for WHAT" once when a wait has lasted 10 s, again after 20, 40, ... */
struct lca_patience {
    double since, say;
};
void lca_patience_reset(struct lca_patience *p);
void lca_patience_wait(struct lca_patience *p, const char *format, ...) LCA_PRINTF(2, 3);

/* How long to keep frames of, or wait for, a peer that has gone, in seconds. */
#define LCA_LOST_DEFAULT 60.0

/* After a lost connection every peer is probed: at once, then after these seconds. */
extern const double lca_probe_after[4];

/* What was said just before a socket is closed may be lost, whatever its linger
 * (libzmq's issue 4660): whoever ends for others stays until they know, but not
 * longer than this, in seconds. */
#define LCA_FAREWELL 2.0

/* The step that frame seq of a stream belongs to; "" for a stream without a fixed number
 * of frames per step. */
struct lca_step_text lca_step_of(const struct lca_frame_head *head, uint64_t seq);

/* Adds to what is said of a file that is damaged or cut off, of which the frames before seq
 * are good: the last whole step, and the way out. */
void lca_say_repair(struct lca_err *err, const struct lca_reader *r, const struct lca_frame_head *head, uint64_t seq);

/* Window of a stream in frames: as many whole iterations as 32 MiB hold, 3 to 64. */
uint64_t lca_window(const struct lca_frame_head *head);

#endif
