/* http.h: a small server of pages and events for browsers on this machine (HTTP/1.1 by
 * libmicrohttpd), which runs within the caller's loop.
 *
 * It listens on 127.0.0.1 alone, and answers GET and HEAD of requests whose Host is this
 * machine: a page of another origin cannot be given its name (DNS rebinding). It answers
 * processes of this user and of root only. Every answer forbids the page to load anything
 * from elsewhere. */
#ifndef LCA_WEB_HTTP_H
#define LCA_WEB_HTTP_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"

struct lca_http;
struct lca_request;
struct lca_events;              /* a connection that is sent events, as long as it lasts */

/* A key of the query, or NULL. Borrowed. */
const char *lca_request_query(const struct lca_request *r, const char *key);

struct lca_answer {
    int status;                 /* 200, 404, ... */
    const char *type;           /* of the body: "application/json" */
    const void *body;           /* copied */
    size_t len;
    void *events;               /* not NULL: the connection gets events from now on, and this is
                                   their state, which `left` frees */
};

struct lca_http_opts {
    int port;                   /* 0: one that is free */
    void (*answer)(void *arg, const char *path, const struct lca_request *r, struct lca_answer *a);
    void (*left)(void *arg, void *events);
    void *arg;
};

struct lca_http *lca_http_open(const struct lca_http_opts *o, struct lca_err *err) LCA_MUST_USE;
int lca_http_port(const struct lca_http *h);

/* For lca_link_beside: what to wait for, at most how long (ms, -1: for ever), and what to
 * do then. */
int lca_http_fd(const struct lca_http *h);
int lca_http_due(void *http);
int lca_http_serve(void *http, struct lca_err *err) LCA_MUST_USE;

/* The connections with events, one after another, from NULL on. */
struct lca_events *lca_events_next(struct lca_http *h, struct lca_events *e);
void *lca_events_state(struct lca_events *e);

/* All that it was sent has been taken: there is room for more. Who does not read is sent
 * nothing new, and holds up nobody. */
bool lca_events_idle(const struct lca_events *e);

/* Takes the text, which is whole events, out of b. */
void lca_events_send(struct lca_events *e, struct lca_buf *b);

void lca_http_close(struct lca_http *h);

#endif
