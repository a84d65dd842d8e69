/* out-inside.h: what an output is made of; for out*.c only.
 *
 * out.c deals with the consumers: who there is, what each has acknowledged and may be
 * sent. out-file.c writes files and pipes. out-send.c is the program's side: opening,
 * frames, the end. out-status.c says how it is. */
#ifndef LCA_LINK_OUT_INSIDE_H
#define LCA_LINK_OUT_INSIDE_H

#include "link/kept.h"
#include "link/member.h"
#include "link/publish.h"
#include "link/record.h"
#include "link/recording.h"

enum { MAX_PEERS = 64, MAX_TARGETS = 16, MAX_EXPECT = 32 };

enum peer_state {
    PEER_LIVE,
    PEER_LOST,          /* connection gone; its frames are kept for its return */
    PEER_LEFT,          /* said BYE; its frames are kept for a moment, see leave in out.c */
};

struct peer {
    enum peer_state state;
    struct lca_peer_id id;
    struct lca_peer_id before;      /* whose place it took; it may not know yet */
    struct target *target;
    char name[64];
    uint64_t next, done, lim;
    bool head_sent, eos_sent, eos_done;
    uint64_t had;       /* who was here before may have all before this seq from a producer before us */
    double lost_at;     /* or left */
};

struct target {
    struct lca_endpoint endpoint;
    struct lca_writer *writer;      /* files and pipes */
    struct lca_recording past;      /* what a file holds that is gone on with */
    bool refused;                   /* it is not of this stream, and stays as it is */
    struct lca_sock sock;           /* sockets; taps alone have none */
    struct lca_publish tap;
    bool tap_only;
    int probes;                     /* of lca_probe_after still to come */
    double probe_from;
};

struct lca_out {
    struct lca_member member;
    struct lca_link *link;
    struct target target[MAX_TARGETS];
    int n_target;
    struct peer peer[MAX_PEERS];
    int n_peer;
    char expect[MAX_EXPECT][64];
    bool joined[MAX_EXPECT];        /* seen once */
    int n_expect;
    double lost;
    bool drop;

    struct lca_frame head;
    struct lca_packet head_packet, eos_packet;
    struct lca_buf aligned;
    bool has_head, ended, aborted, gate_open;
    uint64_t window, parts;

    struct lca_kept kept;           /* frames not acknowledged by all */
    uint64_t next, first;           /* seq of the next frame; of the stream's first */
    uint64_t bytes;                 /* of all frames sent, whatever the number of consumers */
    int64_t it;                     /* step of the last one; -1: none yet */
    char end[16];                   /* what EOS says; "": not yet */
    struct lca_patience patience;
};

bool lca_out_has_sockets(const struct lca_out *o);

/* The first frame that not all consumers have acknowledged; *who (unless who is NULL):
 * the slowest of them, NULL where all have, or where one has not come yet. */
uint64_t lca_out_slowest(const struct lca_out *o, const struct peer **who);

/* Lets go of the frames that all have acknowledged. */
void lca_out_release(struct lca_out *o);

/* Sends p what it may have. */
void lca_out_pump(struct lca_out *o, struct peer *p);

/* out-file.c: opens t's file or pipe; resume: to go on with what it holds. */
int lca_out_file(struct lca_out *o, struct target *t, bool resume, struct lca_err *err);

/* Write to it: HEAD, a data frame, EOS. What the file has already is compared. */
int lca_out_file_head(struct lca_out *o, struct target *t, struct lca_err *err);
int lca_out_file_data(struct target *t, const struct lca_frame *f, struct lca_packet *p, struct lca_err *err);
int lca_out_file_eos(struct lca_out *o, struct target *t, struct lca_err *err);

/* Takes p off the list; the last one takes its place. */
void lca_out_forget(struct lca_out *o, struct peer *p);

/* The functions of the member. */
int lca_out_items(struct lca_member *m, zmq_pollitem_t *items, int room);
int lca_out_serve(struct lca_member *m, struct lca_err *err);
int lca_out_due(struct lca_member *m);
void lca_out_status(const struct lca_member *m, struct lca_state *s);

/* Publishes how this program is, on the taps where that is due; at the end on all. */
void lca_out_publish_status(struct lca_out *o, bool all);

#endif
