/* curve.c: keys on sockets, and the doorkeeper, which answers libzmq's question who may
 * connect (ZAP, RFC 27 of ZeroMQ) from the folder of public keys as it is then. */
#include "link/curve.h"

#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <zmq.h>

#include "base/clock.h"
#include "base/log.h"
#include "link/keys.h"

struct lca_curve {
    struct lca_key own;             /* "" without --key */
    struct lca_key server;          /* "" without --server-key */
    const char *peers;
    bool insecure;
    void *zap;                      /* the doorkeeper's socket */
    pthread_t doorkeeper;
};

bool lca_refused_count(struct lca_refused *r)
{
    double now = lca_now();
    r->n++;
    if (now < r->quiet_until)
        return false;
    r->quiet_until = now + 10;
    r->said = r->n;
    return true;
}

/* ---- the doorkeeper ---- */

enum { VERSION, REQUEST, DOMAIN, ADDRESS, IDENTITY, MECHANISM, CREDENTIALS, ZAP_FRAMES };

/* A question of libzmq. 1: all its frames are there; 0: it is malformed; -1: closing. */
static int receive_question(void *zap, zmq_msg_t frame[ZAP_FRAMES])
{
    int n = 0;
    bool more = true;
    for (int k = 0; k < ZAP_FRAMES; k++)
        zmq_msg_init(&frame[k]);
    while (more) {
        zmq_msg_t extra;
        zmq_msg_init(&extra);
        zmq_msg_t *to = n < ZAP_FRAMES ? &frame[n] : &extra;
        int got;
        do {
            got = zmq_msg_recv(to, zap, 0);
        } while (got < 0 && errno == EINTR);
        if (got < 0)
            return -1;
        more = zmq_msg_more(to);
        zmq_msg_close(&extra);
        n++;
    }
    return n == ZAP_FRAMES;
}

static bool is_text(zmq_msg_t *frame, const char *text)
{
    return zmq_msg_size(frame) == strlen(text) && memcmp(zmq_msg_data(frame), text, strlen(text)) == 0;
}

static bool may_enter(const struct lca_curve *c, zmq_msg_t frame[ZAP_FRAMES], char name[64],
                      struct lca_refused *refused)
{
    char key[LCA_KEY_LEN + 1];
    struct lca_err err = {0};
    int len = (int)zmq_msg_size(&frame[ADDRESS]);
    const char *from = zmq_msg_data(&frame[ADDRESS]);
    if (!is_text(&frame[MECHANISM], "CURVE") || zmq_msg_size(&frame[CREDENTIALS]) != 32 ||
        !zmq_z85_encode(key, zmq_msg_data(&frame[CREDENTIALS]), 32))
        return false;
    if (lca_key_find(c->peers, key, name, &err) == 1) {
        lca_info("let in %s (%s) from %.*s", name, key, len, from);
        return true;
    }
    if (lca_refused_count(refused))
        lca_warn("refused key %s from %.*s, which is not in %s (%lu refused so far)%s%s", key, len, from, c->peers,
                 refused->n, err.text[0] ? ": " : "", err.text);
    return false;
}

static void answer(void *zap, zmq_msg_t frame[ZAP_FRAMES], bool yes, const char *name)
{
    const char *text[] = {yes ? "200" : "400", yes ? "OK" : "key not allowed", yes ? name : "", ""};
    zmq_msg_send(&frame[VERSION], zap, ZMQ_SNDMORE);
    zmq_msg_send(&frame[REQUEST], zap, ZMQ_SNDMORE);
    for (int k = 0; k < 4; k++)
        zmq_send(zap, text[k], strlen(text[k]), k < 3 ? ZMQ_SNDMORE : 0);
}

static void *keep_door(void *arg)
{
    struct lca_curve *c = arg;
    struct lca_refused refused = {0};
    zmq_msg_t frame[ZAP_FRAMES];
    int got;
    do {
        char name[64] = "";
        got = receive_question(c->zap, frame);
        if (got >= 0)
            answer(c->zap, frame, got == 1 && may_enter(c, frame, name, &refused), name);
        for (int k = 0; k < ZAP_FRAMES; k++)
            zmq_msg_close(&frame[k]);
    } while (got >= 0);
    if (refused.n > refused.said)
        lca_note("%lu connections with keys that are not in %s were refused in all", refused.n, c->peers);
    zmq_close(c->zap);
    return NULL;
}

static int start_doorkeeper(struct lca_curve *c, void *zmq_context, struct lca_err *err)
{
    int linger = 0;
    c->zap = zmq_socket(zmq_context, ZMQ_REP);
    if (!c->zap || zmq_setsockopt(c->zap, ZMQ_LINGER, &linger, sizeof linger) < 0 ||
        zmq_bind(c->zap, "inproc://zeromq.zap.01") < 0) {
        lca_fail(err, LCA_INTERNAL, "cannot watch over the keys: %s", zmq_strerror(errno));
    } else {
        errno = pthread_create(&c->doorkeeper, NULL, keep_door, c);
        if (errno == 0)
            return 0;
        lca_fail_errno(err, LCA_INTERNAL, "cannot watch over the keys");
    }
    if (c->zap)
        zmq_close(c->zap);
    c->zap = NULL;
    return -1;
}

/* ---- keys ---- */

static int read_keys(struct lca_curve *c, const struct lca_safety *s, struct lca_err *err)
{
    char name[64];
    if (s->insecure && s->key)
        return lca_fail(err, LCA_USAGE, "--insecure and --key exclude each other: with keys nothing is open");
    if (!s->key && (s->peers || s->server_key))
        return lca_fail(err, LCA_USAGE, "%s needs --key too: make one with lca-keygen",
                        s->peers ? "--peers" : "--server-key");
    if (s->key && lca_key_read_secret(&c->own, s->key, err) < 0)
        return -1;
    if (s->server_key && lca_key_read_public(&c->server, s->server_key, err) < 0)
        return -1;
    if (s->peers) {
        struct lca_err first = {0};
        if (lca_key_find(s->peers, NULL, name, &first) < 0 || first.status) {
            if (err)
                *err = first;
            return -1;
        }
    }
    return 0;
}

struct lca_curve *lca_curve_open(const struct lca_safety *s, void *zmq_context, struct lca_err *err)
{
    struct lca_curve *c = lca_alloc(1, sizeof *c, err);
    if (!c)
        return NULL;
    c->peers = s->peers;
    c->insecure = s->insecure;
    if (read_keys(c, s, err) < 0 || (c->peers && start_doorkeeper(c, zmq_context, err) < 0)) {
        lca_curve_close(c);
        return NULL;
    }
    return c;
}

void lca_curve_close(struct lca_curve *c)
{
    if (!c)
        return;
    if (c->zap)
        pthread_join(c->doorkeeper, NULL);
    explicit_bzero(&c->own, sizeof c->own);
    free(c);
}

bool lca_curve_has_key(const struct lca_curve *c)
{
    return c && *c->own.secret_key;
}

bool lca_curve_is_loopback(const char *address)
{
    char host[256];
    struct in_addr four;
    const char *from = strncmp(address, "tcp://", 6) == 0 ? address + 6 : address;
    const char *colon = strrchr(from, ':');
    size_t len = colon ? (size_t)(colon - from) : strlen(from);
    if (len >= sizeof host)
        return false;
    memcpy(host, from, len);
    host[len] = 0;
    return strcmp(host, "localhost") == 0 || strcmp(host, "[::1]") == 0 ||
           (inet_pton(AF_INET, host, &four) == 1 && ntohl(four.s_addr) >> 24 == 127);
}

int lca_curve_apply(const struct lca_curve *c, void *socket, const struct lca_endpoint *e, bool bind,
                    struct lca_err *err)
{
    static const int on = 1;
    if (!lca_curve_has_key(c)) {
        if ((c && c->insecure) || lca_curve_is_loopback(e->where))
            return 0;
        if (bind)
            return lca_fail(err, LCA_USAGE, "%s is open to other machines: give --key FILE and --peers FOLDER (made with "
                            "lca-keygen), bind tcp://127.0.0.1:PORT, or spell out --insecure", e->text);
        return lca_fail(err, LCA_USAGE, "%s is another machine: give --key FILE and --server-key FILE (made with "
                        "lca-keygen), or spell out --insecure", e->text);
    }
    if (bind && !c->peers)
        return lca_fail(err, LCA_USAGE, "%s: who may connect? Give --peers FOLDER, with the .pub files of their keys",
                        e->text);
    if (!bind && !*c->server.public_key)
        return lca_fail(err, LCA_USAGE, "%s: whom to trust there? Give --server-key FILE, its .pub file", e->text);
    int bad = 0;
    if (bind) {
        bad |= zmq_setsockopt(socket, ZMQ_CURVE_SERVER, &on, sizeof on);
        bad |= zmq_setsockopt(socket, ZMQ_ZAP_DOMAIN, "lca", 3);
    } else {
        bad |= zmq_setsockopt(socket, ZMQ_CURVE_SERVERKEY, c->server.public_key, LCA_KEY_LEN + 1);
        bad |= zmq_setsockopt(socket, ZMQ_CURVE_PUBLICKEY, c->own.public_key, LCA_KEY_LEN + 1);
    }
    bad |= zmq_setsockopt(socket, ZMQ_CURVE_SECRETKEY, c->own.secret_key, LCA_KEY_LEN + 1);
    if (bad)
        return lca_fail(err, LCA_INTERNAL, "%s: cannot set the keys: %s", e->text, zmq_strerror(errno));
    return 0;
}
