/* endpoint.h: the names of links on the command line.
 *
 *   -                    stdin or stdout
 *   NAME.lca, file:PATH  a recording (.lca.zst: compressed)
 *   ipc:NAME             a socket in $LCA_DIR, else in $XDG_RUNTIME_DIR/lca, else in
 *                        /tmp/lca-UID
 *   ipc:///PATH          a socket of that path
 *   tcp://HOST:PORT
 *   at:FILE              a socket whose address FILE tells: the side that binds takes a
 *                        port that is free, on all of the host's interfaces, and writes
 *                        it there; the side that connects waits for FILE
 *   tcp://HOST:PORT,at:FILE   the same, bound to HOST and PORT (0: one that is free); the
 *                        side that connects reads FILE alone
 *   PATH                 an existing socket, such as OUT/ipc/lca, or an existing file
 * Outputs and pools bind and inputs connect; a "bind+" or "connect+" before the
 * endpoint says otherwise. */
#ifndef LCA_LINK_ENDPOINT_H
#define LCA_LINK_ENDPOINT_H

#include "base/err.h"

enum { LCA_ENDPOINT_SIZE = 512 };

enum lca_endpoint_kind { LCA_EP_STDIO, LCA_EP_FILE, LCA_EP_SOCKET };

struct lca_endpoint {
    enum lca_endpoint_kind kind;
    enum { LCA_EP_USUAL, LCA_EP_BIND, LCA_EP_CONNECT } side;
    char text[LCA_ENDPOINT_SIZE];   /* as given, for messages */
    char where[LCA_ENDPOINT_SIZE];  /* path of a file, or ZeroMQ address of a socket */
    char at[LCA_ENDPOINT_SIZE];     /* the file that tells its address (rendezvous.h), or "" */
};

int lca_endpoint_parse(struct lca_endpoint *e, const char *text, struct lca_err *err) LCA_MUST_USE;

/* The tap beside a socket: its address with ".tap" (ipc), or port + 1 (tcp); a free port
 * stays one, and the file that tells it has ".tap" at its end. */
int lca_endpoint_tap(struct lca_endpoint *tap, const struct lca_endpoint *e, struct lca_err *err) LCA_MUST_USE;

#endif
