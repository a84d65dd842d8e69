#include "web/http.h"

#include <arpa/inet.h>
#include <errno.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"

enum { CONNECTIONS = 64, IDLE = 60, BLOCK = 64 * 1024 };

/* Seconds of silence after which a connection is sent a comment: one that has gone
 * without a word is noticed. */
#define BEAT 10.0

struct lca_request {
    struct MHD_Connection *connection;
};

struct lca_events {
    struct lca_http *http;
    struct MHD_Connection *connection;
    void *state;
    struct lca_buf text;
    size_t at;                  /* what of it has been taken */
    bool sleeps;                /* suspended: there is nothing to send */
    double sent;
    struct lca_events *next;
};

struct lca_http {
    struct lca_http_opts o;
    struct MHD_Daemon *daemon;
    struct lca_events *events;
    bool woken;                 /* a connection has been resumed: serve at once */
    bool closing;
    bool said_refused;
};

/* who may */

/* The user that a connection from port `port` of this machine belongs to, as the kernel
 * tells; -1: not known. */
static long user_of(uint16_t port, uint16_t ours)
{
    FILE *f = fopen("/proc/net/tcp", "re");
    char line[256];
    long user = -1;
    while (f && user < 0 && fgets(line, sizeof line, f)) {
        unsigned here, there, here_port, there_port;
        long uid;
        if (sscanf(line, " %*d: %8x:%4x %8x:%4x %*x %*s %*s %*s %ld", &here, &here_port, &there, &there_port,
                   &uid) == 5 && here_port == port && there_port == ours && here == there)
            user = uid;
    }
    if (f)
        fclose(f);
    return user;
}

static enum MHD_Result may_connect(void *arg, const struct sockaddr *addr, socklen_t len)
{
    struct lca_http *h = arg;
    const struct sockaddr_in *in = (const struct sockaddr_in *)addr;
    if (len < sizeof *in || in->sin_family != AF_INET || (ntohl(in->sin_addr.s_addr) >> 24) != 127)
        return MHD_NO;
    long user = user_of(ntohs(in->sin_port), (uint16_t)lca_http_port(h));
    if (user == 0 || user == (long)geteuid())
        return MHD_YES;
    if (!h->said_refused)
        lca_warn("refused a connection of another user of this machine (uid %ld)", user);
    h->said_refused = true;
    return MHD_NO;
}

/* "localhost", "127.0.0.1", with or without a port: also that of a tunnel. */
static bool is_here(const char *host)
{
    static const char *const names[] = {"127.0.0.1", "localhost"};
    for (int k = 0; host && k < 2; k++) {
        size_t n = strlen(names[k]);
        if (strncmp(host, names[k], n) != 0)
            continue;
        const char *port = host + n + 1;
        if (host[n] == 0 || (host[n] == ':' && *port && strspn(port, "0123456789") == strlen(port)))
            return true;
    }
    return false;
}

/* answers */

static enum MHD_Result reply(struct MHD_Connection *c, unsigned status, struct MHD_Response *r, const char *type)
{
    static const char *const always[][2] = {
        {"Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
         "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"},
        {"X-Content-Type-Options", "nosniff"},
        {"X-Frame-Options", "DENY"},
        {"Referrer-Policy", "no-referrer"},
        {"Cross-Origin-Resource-Policy", "same-origin"},
        {"Cross-Origin-Opener-Policy", "same-origin"},
        {"Cache-Control", "no-store"},
    };
    if (!r)
        return MHD_NO;
    for (unsigned k = 0; k < sizeof always / sizeof *always; k++)
        MHD_add_response_header(r, always[k][0], always[k][1]);
    MHD_add_response_header(r, "Content-Type", type);
    if (status == MHD_HTTP_METHOD_NOT_ALLOWED)
        MHD_add_response_header(r, "Allow", "GET, HEAD");
    enum MHD_Result result = MHD_queue_response(c, status, r);
    MHD_destroy_response(r);
    return result;
}

static enum MHD_Result refuse(struct MHD_Connection *c, unsigned status, const char *why)
{
    struct MHD_Response *r = MHD_create_response_from_buffer(strlen(why), (void *)(uintptr_t)why,
                                                             MHD_RESPMEM_PERSISTENT);
    return reply(c, status, r, "text/plain; charset=utf-8");
}

/* libmicrohttpd asks for the next bytes of a stream of events. */
static ssize_t take_text(void *arg, uint64_t pos, char *to, size_t room)
{
    (void)pos;
    struct lca_events *e = arg;
    size_t left = e->text.len - e->at, n = left < room ? left : room;
    if (e->http->closing)
        return MHD_CONTENT_READER_END_OF_STREAM;
    if (n == 0) {
        MHD_suspend_connection(e->connection);
        e->sleeps = true;
        return 0;
    }
    memcpy(to, e->text.data + e->at, n);
    e->at += n;
    return (ssize_t)n;
}

static void drop_events(void *arg)
{
    struct lca_events *e = arg, **at = &e->http->events;
    while (*at != e)
        at = &(*at)->next;
    *at = e->next;
    e->http->o.left(e->http->o.arg, e->state);
    lca_buf_clear(&e->text);
    free(e);
}

static enum MHD_Result begin_events(struct lca_http *h, struct MHD_Connection *c, void *state)
{
    struct lca_events *e = lca_alloc(1, sizeof *e, NULL);
    if (!e) {
        h->o.left(h->o.arg, state);
        return MHD_NO;
    }
    *e = (struct lca_events){.http = h, .connection = c, .state = state, .sent = lca_now(), .next = h->events};
    h->events = e;
    struct MHD_Response *r = MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, BLOCK, take_text, e, drop_events);
    if (!r)
        drop_events(e);
    return reply(c, MHD_HTTP_OK, r, "text/event-stream");
}

static enum MHD_Result handle(void *arg, struct MHD_Connection *c, const char *path, const char *method,
                              const char *version, const char *upload, size_t *upload_size, void **own)
{
    (void)version, (void)upload;
    struct lca_http *h = arg;
    static char seen;
    /* first the header alone, then what it carries, which is passed over */
    if (!*own) {
        *own = &seen;
        return MHD_YES;
    }
    if (*upload_size > 0) {
        *upload_size = 0;
        return MHD_YES;
    }
    bool is_head = strcmp(method, MHD_HTTP_METHOD_HEAD) == 0;
    if (!is_here(MHD_lookup_connection_value(c, MHD_HEADER_KIND, MHD_HTTP_HEADER_HOST)))
        return refuse(c, MHD_HTTP_FORBIDDEN, "This server answers to 127.0.0.1 and localhost only.\n");
    if (!is_head && strcmp(method, MHD_HTTP_METHOD_GET) != 0)
        return refuse(c, MHD_HTTP_METHOD_NOT_ALLOWED, "Only GET and HEAD.\n");
    struct lca_request r = {.connection = c};
    struct lca_answer a = {.status = MHD_HTTP_NOT_FOUND, .type = "text/plain; charset=utf-8"};
    h->o.answer(h->o.arg, path, &r, &a);
    if (a.events && is_head) {
        h->o.left(h->o.arg, a.events);
        return refuse(c, MHD_HTTP_OK, "");
    }
    if (a.events)
        return begin_events(h, c, a.events);
    return reply(c, (unsigned)a.status,
                 MHD_create_response_from_buffer(a.len, (void *)(uintptr_t)a.body, MHD_RESPMEM_MUST_COPY), a.type);
}

const char *lca_request_query(const struct lca_request *r, const char *key)
{
    return MHD_lookup_connection_value(r->connection, MHD_GET_ARGUMENT_KIND, key);
}

/* the server */

static void ignore_message(void *arg, const char *format, va_list ap)
{
    (void)arg, (void)format, (void)ap;
}

struct lca_http *lca_http_open(const struct lca_http_opts *o, struct lca_err *err)
{
    struct lca_http *h = lca_alloc(1, sizeof *h, err);
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons((uint16_t)o->port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    if (!h)
        return NULL;
    h->o = *o;
    h->daemon = MHD_start_daemon(MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG, 0, may_connect, h,
                                 handle, h, MHD_OPTION_EXTERNAL_LOGGER, ignore_message, NULL,
                                 MHD_OPTION_SOCK_ADDR, (struct sockaddr *)&at, MHD_OPTION_CONNECTION_LIMIT,
                                 (unsigned)CONNECTIONS, MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)IDLE, MHD_OPTION_END);
    if (!h->daemon) {
        if (errno == EADDRINUSE)
            lca_fail(err, LCA_USAGE, "port %d is taken: give another --port, or 0 for one that is free", o->port);
        else
            lca_fail_errno(err, LCA_INTERNAL, "cannot listen on 127.0.0.1:%d", o->port);
        free(h);
        return NULL;
    }
    return h;
}

int lca_http_port(const struct lca_http *h)
{
    const union MHD_DaemonInfo *info = MHD_get_daemon_info(h->daemon, MHD_DAEMON_INFO_BIND_PORT);
    return info ? info->port : 0;
}

int lca_http_fd(const struct lca_http *h)
{
    const union MHD_DaemonInfo *info = MHD_get_daemon_info(h->daemon, MHD_DAEMON_INFO_EPOLL_FD);
    return info ? info->epoll_fd : -1;
}

int lca_http_due(void *http)
{
    struct lca_http *h = http;
    MHD_UNSIGNED_LONG_LONG ms;
    if (h->woken)
        return 0;
    return MHD_get_timeout(h->daemon, &ms) == MHD_YES ? (ms < 1000 ? (int)ms : 1000) : -1;
}

static void wake(struct lca_events *e)
{
    if (e->sleeps)
        MHD_resume_connection(e->connection);
    e->sleeps = false;
    e->http->woken = true;
}

int lca_http_serve(void *http, struct lca_err *err)
{
    struct lca_http *h = http;
    double now = lca_now();
    for (struct lca_events *e = h->events; e; e = e->next) {
        struct lca_buf beat = {0};
        if (!lca_events_idle(e) || now < e->sent + BEAT)
            continue;
        if (lca_buf_printf(&beat, ":\n\n") == 0)
            lca_events_send(e, &beat);
        lca_buf_clear(&beat);
    }
    h->woken = false;
    return MHD_run(h->daemon) == MHD_YES ? 0 : lca_fail(err, LCA_INTERNAL, "the server on port %d failed",
                                                        lca_http_port(h));
}

struct lca_events *lca_events_next(struct lca_http *h, struct lca_events *e)
{
    return e ? e->next : h->events;
}

void *lca_events_state(struct lca_events *e)
{
    return e->state;
}

bool lca_events_idle(const struct lca_events *e)
{
    return e->at == e->text.len;
}

void lca_events_send(struct lca_events *e, struct lca_buf *b)
{
    struct lca_buf empty = e->text;
    e->text = *b;
    e->at = 0;
    e->sent = lca_now();
    *b = empty;
    b->len = 0;
    wake(e);
}

void lca_http_close(struct lca_http *h)
{
    if (!h)
        return;
    h->closing = true;
    for (struct lca_events *e = h->events; e; e = e->next)
        wake(e);
    MHD_run(h->daemon);
    MHD_stop_daemon(h->daemon);
    free(h);
}
