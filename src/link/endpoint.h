/* endpoint.h: the names of links on the command line.
 *
 *   -                    stdin or stdout
 *   NAME.lca, file:PATH  a recording (.lca.zst: compressed)
 *   ipc:NAME             a socket in $LCA_DIR, else in $XDG_RUNTIME_DIR/lca, else in
 *                        /tmp/lca-UID
 *   ipc:///PATH          a socket of that path
 *   tcp://HOST:PORT
 *   PATH                 an existing socket, such as OUT/ipc/lca, or an existing file
 * Outputs and pools bind and inputs connect; a "bind+" or "connect+" before the
 * endpoint says otherwise. */
#ifndef LCA_LINK_ENDPOINT_H
#define LCA_LINK_ENDPOINT_H

#include "base/err.h"

enum lca_endpoint_kind { LCA_EP_STDIO, LCA_EP_FILE, LCA_EP_SOCKET };

struct lca_endpoint {
    enum lca_endpoint_kind kind;
    enum { LCA_EP_USUAL, LCA_EP_BIND, LCA_EP_CONNECT } side;
    char text[160];         /* as given, for messages */
    char where[160];        /* path of a file, or ZeroMQ address of a socket */
};

int lca_endpoint_parse(struct lca_endpoint *e, const char *text, struct lca_err *err) LCA_MUST_USE;

/* The tap beside a socket: its address with ".tap" (ipc), or port + 1 (tcp). */
int lca_endpoint_tap(struct lca_endpoint *tap, const struct lca_endpoint *e, struct lca_err *err) LCA_MUST_USE;

#endif
