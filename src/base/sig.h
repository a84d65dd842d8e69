/* sig.h: interruption as a file descriptor that a poll can wait for, and the question
 * how a program is.
 *
 * SIGINT and SIGTERM are blocked and read from a signalfd; what they mean depends
 * on the program's place in the pipeline (WIRE: Ctrl-C reaches every stage at once,
 * yet the frames under way must arrive):
 *   LCA_SIG_SOURCE  first signal: finish the step, end with status "interrupted"
 *   LCA_SIG_FILTER  first SIGINT: ignored, the end comes from upstream
 *   LCA_SIG_WORKER  first SIGINT: ignored; SIGTERM: leave the pool
 * A second signal is always LCA_SIG_ABORT.
 *
 * SIGUSR1 asks. It never ends a program, from the first line of main on, and is answered
 * by lca_sig_poll, or at once while a read or write waits between lca_sig_hear and
 * lca_sig_deaf. */
#ifndef LCA_BASE_SIG_H
#define LCA_BASE_SIG_H

#include "base/err.h"

enum lca_sig_place { LCA_SIG_SOURCE, LCA_SIG_FILTER, LCA_SIG_WORKER };

enum lca_sig_want {
    LCA_SIG_GO,         /* nothing to do */
    LCA_SIG_STOP,       /* finish what is under way, then end in order */
    LCA_SIG_ABORT,      /* end now */
};

struct lca_sig {
    int fd;             /* readable when a signal waits; -1 before lca_sig_open */
    enum lca_sig_place place;
    int seen;
    enum lca_sig_want want;
};

/* The first thing that a program does: blocks SIGUSR1, which waits until there is an answer. */
void lca_sig_early(void);

/* Who answers SIGUSR1, with the arg given; NULL: it waits. */
void lca_sig_answer(void (*answer)(void *arg), void *arg);

/* Around a system call that may wait and that nobody has prepared with a poll: between
 * the two the answer is given from a signal handler. What lies between must not be in the
 * middle of anything that the answer reads, and must call nothing that is not safe in a
 * signal handler; then the answer itself may. The call is restarted, not interrupted. */
void lca_sig_hear(void);
void lca_sig_deaf(void);

int lca_sig_open(struct lca_sig *s, enum lca_sig_place place, struct lca_err *err) LCA_MUST_USE;

/* Reads what waits, without blocking, answers where SIGUSR1 asks, and returns what is
 * wanted from now on. */
enum lca_sig_want lca_sig_poll(struct lca_sig *s);

void lca_sig_close(struct lca_sig *s);

#endif
