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

/* packets */

int lca_packet_make(struct lca_packet *p, struct lca_frame *f, struct lca_err *err)
{
    struct lca_buf header = {0};
    int result = -1;
    if (lca_frame_encode(f, &header, err) < 0)
        goto out;
    p->has_body = f->n_sh > 0;
    if (zmq_msg_init_size(&p->head, header.len) < 0) {
        lca_fail(err, LCA_INTERNAL, "out of memory for a frame of %zu bytes", header.len);
        goto out;
    }
    memcpy(zmq_msg_data(&p->head), header.data, header.len);
    if (zmq_msg_init_size(&p->body, p->has_body ? f->nb : 0) < 0) {
        zmq_msg_close(&p->head);
        lca_fail(err, LCA_INTERNAL, "out of memory for a payload of %llu bytes", (unsigned long long)f->nb);
        goto out;
    }
    if (p->has_body && f->nb)
        memcpy(zmq_msg_data(&p->body), f->payload, f->nb);
    result = 0;
out:
    lca_buf_clear(&header);
    return result;
}

void lca_packet_close(struct lca_packet *p)
{
    zmq_msg_close(&p->head);
    zmq_msg_close(&p->body);
}

size_t lca_packet_bytes(struct lca_packet *p)
{
    return zmq_msg_size(&p->head) + zmq_msg_size(&p->body);
}

int lca_packet_frame(struct lca_packet *p, struct lca_frame *f, struct lca_buf *aligned, struct lca_err *err)
{
    if (lca_frame_decode(f, zmq_msg_data(&p->head), zmq_msg_size(&p->head), err) < 0)
        return -1;
    const void *data = zmq_msg_data(&p->body);
    size_t len = zmq_msg_size(&p->body);
    if (p->has_body && (uintptr_t)data % 8 != 0) {
        aligned->len = 0;
        if (lca_buf_append(aligned, data, len, err) < 0)
            return -1;
        data = aligned->data;
    }
    if (p->has_body != (f->n_sh > 0))
        return lca_fail(err, LCA_CORRUPT, "a %s frame with a payload where its header has none, or without",
                        lca_kind_name(f->kind));
    return p->has_body ? lca_frame_attach(f, data, len, err) : 0;
}

bool lca_peer_same(const struct lca_peer_id *a, const struct lca_peer_id *b)
{
    return a->len == b->len && memcmp(a->data, b->data, a->len) == 0;
}

/* sockets */

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

static int send_part(void *zmq, zmq_msg_t *part, int flags)
{
    zmq_msg_t copy;
    zmq_msg_init(&copy);
    zmq_msg_copy(&copy, part);
    int n = zmq_msg_send(&copy, zmq, flags | ZMQ_DONTWAIT);
    if (n < 0)
        zmq_msg_close(&copy);
    return n;
}

int lca_sock_send(struct lca_sock *s, const struct lca_peer_id *to, struct lca_packet *p)
{
    /* only the first part can be refused: the rest of a message follows it */
    int n = to ? zmq_send(s->zmq, to->data, to->len, ZMQ_DONTWAIT | ZMQ_SNDMORE)
               : send_part(s->zmq, &p->head, p->has_body ? ZMQ_SNDMORE : 0);
    if (n < 0)
        return errno == EAGAIN || errno == EINTR ? 0 : -1;
    if (to && send_part(s->zmq, &p->head, p->has_body ? ZMQ_SNDMORE : 0) < 0)
        return errno == EAGAIN ? 0 : -1;
    if (p->has_body && send_part(s->zmq, &p->body, 0) < 0)
        return -1;
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
    int most = from ? 3 : 2, n = 0;
    bool more = true, bad = false;
    zmq_msg_t id;
    zmq_msg_init(&id);
    zmq_msg_init(&p->head);
    zmq_msg_init(&p->body);
    zmq_msg_t *part[3] = {&id, &p->head, &p->body};
    while (more) {
        zmq_msg_t extra;
        zmq_msg_init(&extra);
        zmq_msg_t *into = n < most ? part[n + (from ? 0 : 1)] : &extra;
        if (zmq_msg_recv(into, s->zmq, ZMQ_DONTWAIT) < 0) {
            zmq_msg_close(&extra);
            zmq_msg_close(&id);
            lca_packet_close(p);
            return 0;
        }
        more = zmq_msg_more(into);
        zmq_msg_close(&extra);
        n++;
        bad |= n > most;
    }
    if (from) {
        from->len = zmq_msg_size(&id);
        bad |= from->len > sizeof from->data || n < 2;
        if (!bad)
            memcpy(from->data, zmq_msg_data(&id), from->len);
        else
            from->len = 0;
    }
    zmq_msg_close(&id);
    p->has_body = n == most;
    if (bad) {
        lca_packet_close(p);
        return -1;
    }
    return 1;
}

enum lca_sock_event lca_sock_event(struct lca_sock *s)
{
    uint8_t event[8] = {0};
    char address[256];
    if (!s->monitor || zmq_recv(s->monitor, event, sizeof event, ZMQ_DONTWAIT) < 2)
        return LCA_SOCK_NOTHING;
    zmq_recv(s->monitor, address, sizeof address, ZMQ_DONTWAIT);
    uint16_t what;
    memcpy(&what, event, sizeof what);
    return what == ZMQ_EVENT_DISCONNECTED ? LCA_SOCK_LOST : LCA_SOCK_CONNECTED;
}
