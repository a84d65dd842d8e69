#include "link/sock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "link/rendezvous.h"

/* A handshake that is broken off at once, so often within so many seconds, is no
 * accident: a peer that dies on the way, or does not answer for a while, is one. */
enum { BROKEN_OFF = 5 };
#define BROKEN_WITHIN 10.0

/* What an encrypted message has more than a plain one, at most, in bytes (33 by RFC 26). */
enum { CURVE_ADDS = 64 };

/* Sees that the folder of an ipc socket is ours and nobody else may enter it. Who
 * connects looks as well, and makes a folder that is missing: a stranger who came first
 * could lay a socket there. */
static int private_folder(const struct lca_endpoint *e, struct lca_err *err)
{
    char folder[200];
    struct stat st;
    snprintf(folder, sizeof folder, "%s", e->where + strlen("ipc://"));
    char *slash = strrchr(folder, '/');
    if (slash)
        slash[slash == folder] = 0;
    else
        strcpy(folder, ".");
    if (mkdir(folder, 0700) < 0 && errno != EEXIST)
        return lca_fail_errno(err, LCA_USAGE, "cannot make the folder %s", folder);
    if (stat(folder, &st) < 0)
        return lca_fail_errno(err, LCA_USAGE, "cannot look at the folder %s", folder);
    if (st.st_uid != geteuid())
        return lca_fail(err, LCA_USAGE, "%s belongs to somebody else: set LCA_DIR to a folder of yours", folder);
    if ((st.st_mode & 077) != 0)
        return lca_fail(err, LCA_USAGE, "others may enter the folder %s (mode %03o): %sset LCA_DIR to a folder of yours "
                        "alone", folder, (unsigned)st.st_mode & 07777,
                        st.st_mode & S_ISVTX ? "" : "chmod 700 it, or ");
    return 0;
}

/* ZeroMQ unlinks a path that is in use and takes it over without a word, so a lock
 * beside it says who has it. */
static int lock_path(struct lca_sock *s, const struct lca_endpoint *e, struct lca_err *err)
{
    char path[200];
    snprintf(s->path, sizeof s->path, "%s", e->where + strlen("ipc://"));
    snprintf(path, sizeof path, "%s.lock", s->path);
    s->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (s->lock < 0)
        return lca_fail_errno(err, LCA_USAGE, "cannot make %s", path);
    if (flock(s->lock, LOCK_EX | LOCK_NB) < 0) {
        char pid[24] = "";
        ssize_t n = read(s->lock, pid, sizeof pid - 1);
        pid[n > 0 ? n : 0] = 0;
        close(s->lock);
        s->lock = -1;
        return lca_fail(err, LCA_USAGE, "%s is in use by pid %s: stop that run or choose another name",
                        e->text, *pid ? pid : "?");
    }
    char pid[24];
    int n = snprintf(pid, sizeof pid, "%ld", (long)getpid());
    if (ftruncate(s->lock, 0) < 0 || pwrite(s->lock, pid, (size_t)n, 0) != n)
        return lca_fail_errno(err, LCA_INTERNAL, "cannot write %s", path);
    return 0;
}

enum {
    WATCHED = ZMQ_EVENT_HANDSHAKE_SUCCEEDED | ZMQ_EVENT_DISCONNECTED | ZMQ_EVENT_ACCEPT_FAILED |
              ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL | ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL |
              ZMQ_EVENT_HANDSHAKE_FAILED_AUTH,
};

static void set_int(void *zmq, int option, int value)
{
    zmq_setsockopt(zmq, option, &value, sizeof value);
}

/* Tells where others find the socket that has been bound. */
static int tell(struct lca_sock *s, const struct lca_endpoint *e, struct lca_err *err)
{
    static const char *const every[] = {"tcp://0.0.0.0:", "tcp://[::]:"};
    char address[128], host[256];       /* numeric, whatever name was bound */
    size_t len = sizeof address;
    if (zmq_getsockopt(s->zmq, ZMQ_LAST_ENDPOINT, address, &len) < 0 || gethostname(host, sizeof host) < 0)
        return lca_fail_errno(err, LCA_INTERNAL, "cannot tell the address of %s", e->text);
    host[sizeof host - 1] = 0;
    strcpy(s->told, address);
    for (int k = 0; k < 2; k++)
        if (strncmp(address, every[k], strlen(every[k])) == 0)
            snprintf(s->told, sizeof s->told, "tcp://%s:%s", host, address + strlen(every[k]));
    if (lca_rendezvous_write(e->at, s->told, err) < 0)
        return lca_err_prefix(err, "%s", e->text);
    strcpy(s->at, e->at);
    return 0;
}

/* Sets what a tcp socket needs before it binds or connects to e: keys, or that e is here. */
static int guard_tcp(struct lca_sock *s, const struct lca_endpoint *e, struct lca_err *err)
{
    set_int(s->zmq, ZMQ_IPV6, strchr(e->where, '[') != NULL);
    s->keys = lca_curve_has_key(s->curve);
    return lca_curve_apply(s->curve, s->zmq, e, s->bound, err);
}

int lca_sock_follow(struct lca_sock *s, struct lca_err *err)
{
    char address[sizeof s->told];
    if (!*s->at || s->bound || s->connected || lca_now() < s->look_at)
        return 0;
    s->look_at = lca_now() + 0.5;
    int got = lca_rendezvous_read(s->at, address, sizeof address, err);
    if (got <= 0 || strcmp(address, s->told) == 0)
        return got < 0 ? -1 : 0;
    if (*s->told)
        zmq_disconnect(s->zmq, s->told);
    strcpy(s->told, address);
    s->why = NULL;
    s->broken = 0;
    struct lca_endpoint e = {.kind = LCA_EP_SOCKET};
    strcpy(e.text, s->text);
    strcpy(e.where, address);
    if (guard_tcp(s, &e, err) < 0)
        return -1;
    if (zmq_connect(s->zmq, s->told) < 0)
        return lca_fail(err, LCA_USAGE, "cannot connect to %s, which %s tells: %s", s->told, s->at, zmq_strerror(errno));
    return 0;
}

int lca_sock_open(struct lca_sock *s, const struct lca_context *context, const struct lca_sock_opts *o,
                  const struct lca_endpoint *e, bool usual_bind, struct lca_err *err)
{
    static atomic_int serial;
    bool bind = e->side == LCA_EP_USUAL ? usual_bind : e->side == LCA_EP_BIND;
    bool ipc = strncmp(e->where, "ipc://", 6) == 0;
    *s = (struct lca_sock){.lock = -1, .bound = bind};
    snprintf(s->text, sizeof s->text, "%s", e->text);
    if (ipc && (private_folder(e, err) < 0 || (bind && lock_path(s, e, err) < 0)))
        return -1;
    s->zmq = zmq_socket(context->zmq, o->type);
    if (!s->zmq) {
        lca_fail(err, LCA_INTERNAL, "cannot make a socket: %s", zmq_strerror(errno));
        goto fail;
    }
    set_int(s->zmq, ZMQ_SNDHWM, o->hwm);
    set_int(s->zmq, ZMQ_RCVHWM, o->hwm);
    set_int(s->zmq, ZMQ_LINGER, o->linger_ms);
    set_int(s->zmq, ZMQ_HANDSHAKE_IVL, 5000);
    set_int(s->zmq, ZMQ_RECONNECT_IVL, 20);
    set_int(s->zmq, ZMQ_RECONNECT_IVL_MAX, 500);
    if (o->type == ZMQ_ROUTER)
        set_int(s->zmq, ZMQ_ROUTER_MANDATORY, 1);
    /* what is queued for a connection that is lost goes with it: a stale HELLO must not
     * follow a new one, and nobody lingers for who is gone */
    if (o->type == ZMQ_DEALER)
        set_int(s->zmq, ZMQ_IMMEDIATE, 1);
    if (o->type == ZMQ_XPUB)
        set_int(s->zmq, ZMQ_XPUB_VERBOSER, 1);      /* tell of every subscription and its end */
    if (o->topic)
        zmq_setsockopt(s->zmq, ZMQ_SUBSCRIBE, o->topic, strlen(o->topic));
    if (!ipc) {
        set_int(s->zmq, ZMQ_HEARTBEAT_IVL, 5000);
        set_int(s->zmq, ZMQ_HEARTBEAT_TIMEOUT, 30000);
        s->curve = context->curve;
        if ((bind || !*e->at) && guard_tcp(s, e, err) < 0)
            goto fail;
    } else if (bind) {
        uid_t uid = geteuid();
        if (zmq_setsockopt(s->zmq, ZMQ_IPC_FILTER_UID, &uid, sizeof uid) < 0) {
            lca_fail(err, LCA_INTERNAL, "%s: cannot keep other users out: %s", e->text, zmq_strerror(errno));
            goto fail;
        }
    }
    int64_t max_message = o->max_message + (s->keys ? CURVE_ADDS : 0);
    zmq_setsockopt(s->zmq, ZMQ_MAXMSGSIZE, &max_message, sizeof max_message);
    char inproc[64];
    snprintf(inproc, sizeof inproc, "inproc://monitor-%d", atomic_fetch_add(&serial, 1));
    if (zmq_socket_monitor(s->zmq, inproc, WATCHED) < 0 || !(s->monitor = zmq_socket(context->zmq, ZMQ_PAIR)) ||
        zmq_connect(s->monitor, inproc) < 0) {
        lca_fail(err, LCA_INTERNAL, "cannot watch a socket: %s", zmq_strerror(errno));
        goto fail;
    }
    set_int(s->monitor, ZMQ_LINGER, 0);
    if (!bind && *e->at) {
        strcpy(s->at, e->at);
        if (lca_sock_follow(s, err) < 0)
            goto fail;
        return 0;
    }
    mode_t mask = umask(077);
    int done = bind ? zmq_bind(s->zmq, e->where) : zmq_connect(s->zmq, e->where);
    umask(mask);
    if (done < 0) {
        lca_fail(err, LCA_USAGE, "cannot %s %s: %s", bind ? "bind" : "connect to", e->text,
                 errno == EADDRINUSE ? "the port is in use: stop who holds it or choose another"
                                     : zmq_strerror(errno));
        goto fail;
    }
    if (*e->at && tell(s, e, err) < 0)
        goto fail;
    return 0;
fail:
    lca_sock_close(s);
    return -1;
}

void lca_sock_close(struct lca_sock *s)
{
    if (s->bound && *s->at)
        lca_rendezvous_remove(s->at, s->told);
    if (s->refused.n > s->refused.said)
        lca_note("%s: refused %lu connections in all", s->text, s->refused.n);
    if (s->zmq) {
        zmq_socket_monitor(s->zmq, NULL, 0);
        zmq_close(s->zmq);
    }
    if (s->monitor)
        zmq_close(s->monitor);
    if (s->lock >= 0) {
        char path[200];
        snprintf(path, sizeof path, "%s.lock", s->path);
        unlink(path);
        close(s->lock);
    }
    *s = (struct lca_sock){.lock = -1};
}

void lca_sock_subscribe(struct lca_sock *s, const char *topic, bool wanted)
{
    zmq_setsockopt(s->zmq, wanted ? ZMQ_SUBSCRIBE : ZMQ_UNSUBSCRIBE, topic, strlen(topic));
}

/* Sending and receiving without waiting. A call that SIGSTOP and SIGCONT interrupted is
 * made again: the parts of a message, or of an event, must not come apart. */

static int send_some(void *zmq, zmq_msg_t *message, int flags)
{
    zmq_msg_t copy;
    int n;
    zmq_msg_init(&copy);
    zmq_msg_copy(&copy, message);
    do {
        n = zmq_msg_send(&copy, zmq, flags | ZMQ_DONTWAIT);
    } while (n < 0 && errno == EINTR);
    if (n < 0)
        zmq_msg_close(&copy);
    return n;
}

static int receive_some(void *zmq, zmq_msg_t *message)
{
    int n;
    do {
        n = zmq_msg_recv(message, zmq, ZMQ_DONTWAIT);
    } while (n < 0 && errno == EINTR);
    return n;
}

static int address(void *zmq, const struct lca_peer_id *to)
{
    int n;
    do {
        n = zmq_send(zmq, to->data, to->len, ZMQ_DONTWAIT | ZMQ_SNDMORE);
    } while (n < 0 && errno == EINTR);
    return n;
}

int lca_sock_send(struct lca_sock *s, const struct lca_peer_id *to, struct lca_packet *p)
{
    if ((to && address(s->zmq, to) < 0) || send_some(s->zmq, &p->msg, 0) < 0)
        return errno == EAGAIN ? 0 : -1;
    return 1;
}

int lca_sock_say(struct lca_sock *s, const struct lca_peer_id *to, struct lca_frame *f)
{
    struct lca_packet p;
    if (!f->st)
        f->st = "-";
    if (lca_packet_make(&p, f, NULL) < 0)
        return 0;
    int result = lca_sock_send(s, to, &p);
    lca_packet_close(&p);
    return result;
}

int lca_sock_receive(struct lca_sock *s, struct lca_peer_id *from, struct lca_packet *p)
{
    zmq_msg_t id, extra;
    bool bad = false;
    zmq_msg_init(&id);
    zmq_msg_init(&p->msg);
    if ((from && receive_some(s->zmq, &id) < 0) || receive_some(s->zmq, &p->msg) < 0) {
        zmq_msg_close(&id);
        lca_packet_close(p);
        return 0;
    }
    bool more = zmq_msg_more(&p->msg);
    while (more) {
        bad = true;
        zmq_msg_init(&extra);
        more = receive_some(s->zmq, &extra) >= 0 && zmq_msg_more(&extra);
        zmq_msg_close(&extra);
    }
    if (from) {
        /* 5 bytes: it is ZeroMQ that makes them */
        from->len = zmq_msg_size(&id) < sizeof from->data ? zmq_msg_size(&id) : sizeof from->data;
        memcpy(from->data, zmq_msg_data(&id), from->len);
    }
    zmq_msg_close(&id);
    return bad ? -1 : 1;
}

/* Events of connections. */

/* Somebody was refused by the socket that we bound. A key that is not allowed is told of
 * by the doorkeeper, who knows it. */
static void refuse(struct lca_sock *s, uint16_t what, uint32_t value)
{
    const char *why = NULL;
    if (what == ZMQ_EVENT_ACCEPT_FAILED && *s->path)
        why = "of another user";
    else if (what == ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL && value == ZMQ_PROTOCOL_ERROR_ZMTP_MECHANISM_MISMATCH)
        why = s->keys ? "without keys" : "with keys, and we have none";
    else if (what == ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL && value == ZMQ_PROTOCOL_ERROR_ZMTP_CRYPTOGRAPHIC)
        why = "whose --server-key is not ours";
    else if (what == ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL)
        why = "that does not speak as lca does";
    else if (what == ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL && s->keys)
        why = "that hung up before it showed a key";        /* having none, it may have been first to see it */
    if (why && lca_refused_count(&s->refused))
        lca_warn("%s: refused a connection %s (%lu refused so far)", s->text, why, s->refused.n);
}

/* The socket that we connected to does not want us. */
static void refused_by(struct lca_sock *s, uint16_t what, uint32_t value)
{
    double now = lca_now();
    switch (what) {
    case ZMQ_EVENT_HANDSHAKE_FAILED_AUTH:
        s->why = "our key is not allowed: the .pub file of --key must lie in the folder --peers of the other side";
        break;
    case ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL:
        if (value == ZMQ_PROTOCOL_ERROR_ZMTP_MECHANISM_MISMATCH)
            s->why = s->keys ? "the other side has no keys: start it with --key and --peers too"
                             : "we have no key, and the other side wants one: give --key FILE and --server-key FILE";
        else if (value == ZMQ_PROTOCOL_ERROR_ZMTP_CRYPTOGRAPHIC)
            s->why = "wrong key: --server-key is not the key of the other side";
        else
            s->why = "this is no such socket of lca: another port, or another program";
        break;
    case ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL:
        /* who cannot open our first message says nothing and hangs up; who does not answer
         * in time may be stopped, and these events may be read long after */
        if (value != EPIPE && value != ECONNRESET)
            break;
        if (s->broken == 0 || now > s->broken_at + BROKEN_WITHIN) {
            s->broken = 0;
            s->broken_at = now;
        }
        if (++s->broken >= BROKEN_OFF && s->keys)
            s->why = "wrong key: the other side cannot read what is written to --server-key, or has no keys";
        break;
    }
}

enum lca_sock_event lca_sock_event(struct lca_sock *s)
{
    struct {
        uint16_t what;
        uint32_t value;
    } e;
    for (;;) {
        zmq_msg_t event, address_of;
        zmq_msg_init(&event);
        bool some = s->monitor && receive_some(s->monitor, &event) >= (int)(sizeof e.what + sizeof e.value);
        if (some) {
            const char *bytes = zmq_msg_data(&event);
            memcpy(&e.what, bytes, sizeof e.what);
            memcpy(&e.value, bytes + sizeof e.what, sizeof e.value);
            zmq_msg_init(&address_of);
            receive_some(s->monitor, &address_of);
            zmq_msg_close(&address_of);
        }
        zmq_msg_close(&event);
        if (!some)
            return LCA_SOCK_NOTHING;
        s->connected = e.what == ZMQ_EVENT_HANDSHAKE_SUCCEEDED;
        if (e.what == ZMQ_EVENT_DISCONNECTED)
            return LCA_SOCK_LOST;
        if (e.what == ZMQ_EVENT_HANDSHAKE_SUCCEEDED) {
            s->broken = 0;
            return LCA_SOCK_CONNECTED;
        }
        if (s->bound)
            refuse(s, e.what, e.value);
        else
            refused_by(s, e.what, e.value);
    }
}

int lca_sock_check(const struct lca_sock *s, struct lca_err *err)
{
    return s->why ? lca_fail(err, LCA_USAGE, "%s: refused: %s", s->text, s->why) : 0;
}
