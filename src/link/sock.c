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

/* ZeroMQ unlinks a path that is in use and takes it over without a word, so a lock
 * beside it says who has it. */
static int lock_path(struct lca_sock *s, const struct lca_endpoint *e, struct lca_err *err)
{
    char path[200], folder[200];
    snprintf(s->path, sizeof s->path, "%s", e->where + strlen("ipc://"));
    snprintf(folder, sizeof folder, "%s", s->path);
    char *slash = strrchr(folder, '/');
    if (slash && slash != folder) {
        *slash = 0;
        if (mkdir(folder, 0700) < 0 && errno != EEXIST)
            return lca_fail_errno(err, LCA_USAGE, "cannot make the folder %s", folder);
        struct stat st;
        if (stat(folder, &st) < 0 || st.st_uid != getuid())
            return lca_fail(err, LCA_USAGE, "%s belongs to somebody else: set LCA_DIR to a folder of yours", folder);
    }
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

static void set_int(void *zmq, int option, int value)
{
    zmq_setsockopt(zmq, option, &value, sizeof value);
}

int lca_sock_open(struct lca_sock *s, void *context, const struct lca_sock_opts *o,
                  const struct lca_endpoint *e, bool usual_bind, struct lca_err *err)
{
    static atomic_int serial;
    bool bind = e->side == LCA_EP_USUAL ? usual_bind : e->side == LCA_EP_BIND;
    bool ipc = strncmp(e->where, "ipc://", 6) == 0;
    *s = (struct lca_sock){.lock = -1};
    if (bind && ipc && lock_path(s, e, err) < 0)
        return -1;
    s->zmq = zmq_socket(context, o->type);
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
    zmq_setsockopt(s->zmq, ZMQ_MAXMSGSIZE, &o->max_message, sizeof o->max_message);
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
    }
    if (o->type != ZMQ_XPUB) {
        char inproc[64];
        snprintf(inproc, sizeof inproc, "inproc://monitor-%d", atomic_fetch_add(&serial, 1));
        if (zmq_socket_monitor(s->zmq, inproc, ZMQ_EVENT_HANDSHAKE_SUCCEEDED | ZMQ_EVENT_DISCONNECTED) < 0 ||
            !(s->monitor = zmq_socket(context, ZMQ_PAIR)) || zmq_connect(s->monitor, inproc) < 0) {
            lca_fail(err, LCA_INTERNAL, "cannot watch a socket: %s", zmq_strerror(errno));
            goto fail;
        }
        set_int(s->monitor, ZMQ_LINGER, 0);
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
    return 0;
fail:
    lca_sock_close(s);
    return -1;
}

void lca_sock_close(struct lca_sock *s)
{
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

enum lca_sock_event lca_sock_event(struct lca_sock *s)
{
    zmq_msg_t event, address_of;
    uint16_t what = 0;
    zmq_msg_init(&event);
    bool some = s->monitor && receive_some(s->monitor, &event) >= (int)sizeof what;
    if (some) {
        memcpy(&what, zmq_msg_data(&event), sizeof what);
        zmq_msg_init(&address_of);
        receive_some(s->monitor, &address_of);
        zmq_msg_close(&address_of);
    }
    zmq_msg_close(&event);
    return !some ? LCA_SOCK_NOTHING : what == ZMQ_EVENT_DISCONNECTED ? LCA_SOCK_LOST : LCA_SOCK_CONNECTED;
}
