/* link.h: the links of one program: streams in and out, and the pool of workers.
 *
 * A program has one struct lca_link, which owns the ZeroMQ context and the signals,
 * and any number of inputs (lca_in), outputs (lca_out), a pool (lca_pool) or a
 * worker's side of one (lca_worker). None of them blocks but where said: the program
 * asks each what it has, does its work, and calls lca_link_wait when there is
 * nothing to do. ZeroMQ only moves bytes: that a frame arrives, once and in order,
 * rests on sequence numbers, credit and acknowledgements counted here. */
#ifndef LCA_LINK_LINK_H
#define LCA_LINK_LINK_H

#include "base/err.h"
#include "base/sig.h"
#include "base/tool.h"
#include "frame/frame.h"

struct lca_link;

struct lca_link *lca_link_new(enum lca_sig_place place, struct lca_err *err) LCA_MUST_USE;

/* What keeps strangers out, and this process within bounds; see LCA_SAFETY_OPTS. */
struct lca_safety {
    const char *key;            /* file of our secret key, or NULL */
    const char *peers;          /* folder of the public keys that may connect, or NULL */
    const char *server_key;     /* file of the public key of the side that binds, or NULL */
    bool insecure;              /* tcp beyond this machine without keys */
    const char *mem;            /* most memory, such as "4G", or NULL */
};

/* To be called before anything is opened, once: what is opened without it has no keys.
 * (Inputs and outputs from options call it by themselves.) */
int lca_link_secure(struct lca_link *l, const struct lca_safety *s, struct lca_err *err) LCA_MUST_USE;

/* Waits until something moves, at most timeout_ms (-1: for ever), and lets each
 * member answer its peers. -1: a member failed for good (lost peer, refused), or a
 * second signal came (LCA_ABORTED). */
int lca_link_wait(struct lca_link *l, int timeout_ms, struct lca_err *err) LCA_MUST_USE;

/* The same without waiting: for programs that compute for long between frames. */
int lca_link_serve(struct lca_link *l, struct lca_err *err) LCA_MUST_USE;

/* What a program waits for beside its links: l waits until fd is readable too, at most the
 * milliseconds that due says (-1: for ever), and then calls serve as it does for its
 * members. x is borrowed for the life of l. */
struct lca_beside {
    int fd;
    int (*due)(void *arg);
    int (*serve)(void *arg, struct lca_err *err);
    void *arg;
};
int lca_link_beside(struct lca_link *l, const struct lca_beside *x, struct lca_err *err) LCA_MUST_USE;

/* What the signals so far ask for. */
enum lca_sig_want lca_link_want(struct lca_link *l);

/* Names a file (or another endpoint, which is ignored) that the program reads, or will:
 * to write to it too is refused, LCA_USAGE. Inputs and outputs name theirs themselves;
 * this is for what is opened later, and for data. */
int lca_link_reads(struct lca_link *l, const char *endpoint, struct lca_err *err) LCA_MUST_USE;

/* The same for an open descriptor, which may be any file; name is for messages. */
int lca_link_uses(struct lca_link *l, int fd, bool written, const char *name, struct lca_err *err) LCA_MUST_USE;

/* Closes the members still open, sends what is queued (10 s at most), frees l. */
void lca_link_free(struct lca_link *l);

/* ---- inputs --------------------------------------------------------------- */

struct lca_in;

struct lca_in_opts {
    const char *endpoint;   /* NULL: "-" */
    const char *name;       /* this consumer's, unique on the edge; NULL: the program's */
    const char *from;       /* NULL: from the beginning; "now"; "oldest"; digits: a seq */
    bool take;              /* replace whoever holds the name */
    double lost;            /* seconds to wait for a producer that has gone; 0: 60 */
};

struct lca_in *lca_in_open(struct lca_link *l, const struct lca_in_opts *o, struct lca_err *err) LCA_MUST_USE;

/* The next frame: HEAD first, then data without a gap in seq, EOS last.
 * 1: *f, valid until the next call; 0: nothing now (also after EOS); -1: error:
 * damaged or truncated (LCA_CORRUPT), ended as "failed" (LCA_UPSTREAM), ... */
int lca_in_poll(struct lca_in *in, struct lca_frame **f, struct lca_err *err) LCA_MUST_USE;

/* The same, waiting. 0: told to stop (LCA_SIG_STOP), or left, and nothing waits. */
int lca_in_next(struct lca_in *in, struct lca_frame **f, struct lca_err *err) LCA_MUST_USE;

/* Says that all frames before seq `next` are processed: grants credit for more. */
void lca_in_done(struct lca_in *in, uint64_t next);

/* Says that EOS has been processed; the producer may then close. */
void lca_in_end(struct lca_in *in);

/* Leaves before the end; the producer goes on without us. Without it an input that
 * is closed before lca_in_end is missed: its frames are kept for its return. */
void lca_in_leave(struct lca_in *in);

bool lca_in_left(const struct lca_in *in);              /* another has taken our name: end as if told to stop */
uint64_t lca_in_window(const struct lca_in *in);        /* frames granted beyond done; files: a large number */
const char *lca_in_text(const struct lca_in *in);       /* the endpoint, for messages */
uint64_t lca_in_seq(const struct lca_in *in);           /* of the next data frame */

/* ---- outputs -------------------------------------------------------------- */

struct lca_out;

struct lca_out_opts {
    const struct lca_list *out;     /* endpoints; none: "-" unless there are taps */
    const struct lca_list *tap;     /* endpoints of taps alone */
    const char *expect;             /* "a,b": consumers to wait for; NULL: one on each socket */
    double lost;                    /* seconds that a lost consumer's frames are kept; 0: 60 */
    bool drop;                      /* go on without a lost consumer */
    /* Go on with the recordings that files hold: their whole iterations stay, frames that
     * they have are not written again, what follows is appended. Of another run, or with a
     * gap before the stream: LCA_USAGE, LCA_CORRUPT from lca_out_head; another frame
     * under the same number: LCA_DIFFER. */
    bool resume;
};

struct lca_out *lca_out_open(struct lca_link *l, const struct lca_out_opts *o, struct lca_err *err) LCA_MUST_USE;

/* Gives the stream its HEAD (copied; st, run and inc are taken from it) and opens
 * the endpoints. u.head.first is the seq that the stream begins with; each consumer
 * is told its own. */
int lca_out_head(struct lca_out *out, struct lca_frame *head, struct lca_err *err) LCA_MUST_USE;

/* True when a whole iteration may be sent: the expected consumers are there and none
 * lags by a window. */
bool lca_out_room(struct lca_out *out);

/* Sends a data frame (copied); seq, st and run are filled here. Does not block on
 * sockets (check lca_out_room before the first frame of an iteration); a pipe may. */
int lca_out_send(struct lca_out *out, struct lca_frame *f, struct lca_err *err) LCA_MUST_USE;

/* Waits for room: for a program that has nothing else to do. */
int lca_out_wait(struct lca_out *out, struct lca_err *err) LCA_MUST_USE;

/* Waits for room, then sends. */
int lca_out_put(struct lca_out *out, struct lca_frame *f, struct lca_err *err) LCA_MUST_USE;

/* Sends a vector v[P] as slices like f, whose keys off and part are set through the
 * pointers, by lca_out_send. */
int lca_out_vector(struct lca_out *out, struct lca_frame *f, uint64_t *off, uint64_t *part,
                   const float *v, uint64_t P, struct lca_err *err) LCA_MUST_USE;

/* Number of slices of a vector, and bytes of the largest. */
static inline uint64_t lca_slices(uint64_t P)
{
    return (P + LCA_SLICE - 1) / LCA_SLICE;
}

static inline uint64_t lca_slice_bytes(uint64_t P)
{
    return (P < LCA_SLICE ? P : LCA_SLICE) * sizeof (float);
}

/* All consumers have processed every frame before this seq. */
uint64_t lca_out_done(const struct lca_out *out);
uint64_t lca_out_next(const struct lca_out *out);       /* seq of the next frame */

/* Puts what has been written to files on disk: what is acknowledged is safe. */
int lca_out_sync(struct lca_out *out, struct lca_err *err) LCA_MUST_USE;

/* Sends EOS (next is filled here) and waits until all consumers have taken it. */
int lca_out_end(struct lca_out *out, struct lca_frame *eos, struct lca_err *err) LCA_MUST_USE;

/* Ends the stream as failed; why is for people. Stays for a moment, until all
 * consumers know. An output that is closed before lca_out_end does so by itself. */
void lca_out_abort(struct lca_out *out, const char *why);

/* ---- options that all filters share --------------------------------------- */

struct lca_link_args {
    const char *in, *name, *from, *expect, *lost;
    bool take;
    struct lca_list out, tap;
    struct lca_safety safety;
};

/* Entries for an option table, filling a struct lca_link_args a. */
#define LCA_IN_OPTS(a)                                                                            \
    {"in", 'i', LCA_OPT_STR, &(a).in, "EP", "Where frames come from: -, FILE.lca, ipc:NAME, "     \
     "tcp://HOST:PORT (default: stdin).", 0, 0, false},                                           \
    {"name", 'n', LCA_OPT_STR, &(a).name, "NAME", "Name of this consumer, which --expect of the " \
     "producer waits for (default: $LCA_STAGE, else the program's name).", 0, 0, false},          \
    {"from", 0, LCA_OPT_STR, &(a).from, "WHERE", "First frame wanted of a socket: now, oldest or " \
     "a sequence number (default: the first of the stream).", 0, 0, false},                       \
    {"take", 0, LCA_OPT_FLAG, &(a).take, NULL, "Take the place of the consumer that has this "    \
     "name now.", 0, 0, false}
#define LCA_OUT_OPTS(a)                                                                           \
    {"out", 'o', LCA_OPT_LIST, &(a).out, "EP", "Where frames go; may be given several times "     \
     "(default: stdout).", 0, 0, false},                                                          \
    {"tap", 0, LCA_OPT_LIST, &(a).tap, "EP", "A socket for lca-tap alone, which is never waited " \
     "for. Every --out on ipc has one anyway; on tcp --tap with the endpoint of --out opens it, " \
     "on the next port.", 0, 0, false},                                                           \
    {"expect", 0, LCA_OPT_STR, &(a).expect, "A,B", "Names of consumers to wait for before the "   \
     "first frame (default: any one on each socket).", 0, 0, false},                              \
    LCA_LOST_OPT(a)

/* Part of LCA_OUT_OPTS; for programs that have inputs only. */
#define LCA_LOST_OPT(a)                                                                           \
    {"lost", 0, LCA_OPT_STR, &(a).lost, "SECONDS", "How long to wait for the return of a peer "   \
     "that was lost, before the run ends; meanwhile a consumer's frames are kept. 'drop': go on " \
     "without that consumer (default 60).", 0, 0, false}

/* For every program with sockets, once in its table; s is a struct lca_safety. */
#define LCA_SAFETY_OPTS(s)                                                                        \
    {"key", 0, LCA_OPT_STR, &(s).key, "FILE", "Our secret key, made by lca-keygen: tcp is "       \
     "encrypted, and only known keys may take part.", 0, 0, false},                               \
    {"peers", 0, LCA_OPT_STR, &(s).peers, "FOLDER", "Who may connect to tcp endpoints that we "   \
     "bind: the .pub files in FOLDER, read anew at each connection.", 0, 0, false},               \
    {"server-key", 0, LCA_OPT_STR, &(s).server_key, "FILE", "The .pub file of the side that "     \
     "binds the tcp endpoints that we connect to.", 0, 0, false},                                 \
    {"insecure", 0, LCA_OPT_FLAG, &(s).insecure, NULL, "Let tcp reach other machines without "    \
     "keys: whoever reaches the port takes part, and reads along.", 0, 0, false},                 \
    {"mem", 0, LCA_OPT_STR, &(s).mem, "SIZE", "Most memory (address space) of this process: "     \
     "500M, 4G. A peer that would fill more is cut off.", 0, 0, false}

/* What --lost says: *seconds, 0 for the default, and *drop. */
int lca_link_lost(const struct lca_link_args *a, double *seconds, bool *drop, struct lca_err *err) LCA_MUST_USE;

/* Open from such options. */
struct lca_in *lca_in_from_args(struct lca_link *l, const struct lca_link_args *a, struct lca_err *err) LCA_MUST_USE;
struct lca_out *lca_out_from_args(struct lca_link *l, const struct lca_link_args *a, struct lca_err *err) LCA_MUST_USE;

/* Writes keys (a JSON object) to the file $LCA_REPORT, from which lca-run makes
 * summary.json; does nothing where the variable is not set. Adds `refused` to them, {name
 * of a socket: {reason: messages}}, where a link of l has refused any. */
int lca_report(struct lca_link *l, json_t *keys, struct lca_err *err) LCA_MUST_USE;

#endif
