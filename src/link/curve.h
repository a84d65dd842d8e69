/* curve.h: who may talk over tcp; for the files of src/link/ only.
 *
 * With keys every tcp socket of the process speaks CURVE: the side that binds proves to
 * have the secret of the public key that the other was given (--server-key), the side
 * that connects that of one in the folder --peers, and what passes is encrypted. Without
 * keys tcp stays on this machine, unless --insecure is spelled out. Sockets in the file
 * system need neither: sock.c sees to those. */
#ifndef LCA_LINK_CURVE_H
#define LCA_LINK_CURVE_H

#include "link/endpoint.h"
#include "link/link.h"

struct lca_curve;

/* Reads the keys, and from then on answers who may connect, in a thread of its own: a
 * handshake must not wait for a program that computes. */
struct lca_curve *lca_curve_open(const struct lca_safety *s, void *zmq_context, struct lca_err *err) LCA_MUST_USE;

/* To be called after zmq_ctx_term, which ends the thread. */
void lca_curve_close(struct lca_curve *c);

/* Sets the keys of a tcp socket that will bind or connect to e. LCA_USAGE where keys
 * are missing, or where e reaches beyond this machine without any. c NULL: no keys. */
int lca_curve_apply(const struct lca_curve *c, void *socket, const struct lca_endpoint *e, bool bind,
                    struct lca_err *err) LCA_MUST_USE;

bool lca_curve_has_key(const struct lca_curve *c);

/* Whether tcp://HOST:PORT is this machine, as written: 127.x.x.x, [::1] or localhost. */
bool lca_curve_is_loopback(const char *address);

/* Says at most one thing in ten seconds. */
struct lca_refused {
    unsigned long n, said;      /* refused in all; when it was last said how many */
    double quiet_until;
};

/* Counts one; true where it is to be said now, with r->n. */
bool lca_refused_count(struct lca_refused *r);

#endif
