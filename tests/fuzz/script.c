#include "script.h"

#include <jansson.h>
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "frame/frame-inside.h"
#include "link/member.h"

enum { SOCKS = 8, QUEUE = 32 };

const uint8_t script_run[LCA_RUN_LEN] = "the run at hand";
struct script script;

/* ---- sockets ---- */

struct message {
    struct lca_packet packet;
    int peer;
    bool parts;
};

static struct side {
    bool open;
    int type;
    struct message queue[QUEUE];
    int first, n;
    enum lca_sock_event event[QUEUE];
    int n_event;
} sides[SOCKS];
static bool full, gone[SCRIPT_PEERS];
static struct fuzz_bytes said;      /* by a tap */

static struct side *side_of(const struct lca_sock *s)
{
    return s->zmq;
}

int lca_sock_open(struct lca_sock *s, const struct lca_context *context, const struct lca_sock_opts *o,
                  const struct lca_endpoint *e, bool bind, struct lca_err *err)
{
    (void)context, (void)e, (void)bind, (void)err;
    *s = (struct lca_sock){.lock = -1};
    for (int k = 0; k < SOCKS && !s->zmq; k++)
        if (!sides[k].open) {
            sides[k] = (struct side){.open = true, .type = o->type};
            s->zmq = &sides[k];
        }
    fuzz_check(s->zmq != NULL, "more than %d sockets", SOCKS);
    return 0;
}

static void drop_first(struct side *x)
{
    lca_packet_close(&x->queue[x->first].packet);
    x->first = (x->first + 1) % QUEUE;
    x->n--;
}

void lca_sock_close(struct lca_sock *s)
{
    struct side *x = side_of(s);
    while (x && x->n > 0)
        drop_first(x);
    if (x)
        x->open = false;
    *s = (struct lca_sock){.lock = -1};
}

static int peer_of(const struct lca_peer_id *id)
{
    return id ? id->data[0] : -1;
}

int lca_sock_send(struct lca_sock *s, const struct lca_peer_id *to, struct lca_packet *p)
{
    static struct lca_frame f;
    static struct lca_buf aligned;
    struct lca_err err = {0};
    int peer = peer_of(to);
    if (script.over || (peer >= 0 && gone[peer]))
        return -1;
    if (full || side_of(s)->type == ZMQ_XPUB)
        return side_of(s)->type == ZMQ_XPUB;
    fuzz_check(lca_packet_frame(p, &f, &aligned, &err) == 0, "sends what is no frame: %s", err.text);
    if (script.sent)
        script.sent(script.arg, peer, &f);
    return 1;
}

int lca_sock_say(struct lca_sock *s, const struct lca_peer_id *to, struct lca_frame *f)
{
    struct lca_packet p;
    struct lca_err err = {0};
    if (!f->st)
        f->st = "-";
    fuzz_check(lca_packet_make(&p, f, &err) == 0, "says what cannot be written: %s", err.text);
    int result = lca_sock_send(s, to, &p);
    lca_packet_close(&p);
    return result;
}

int lca_sock_receive(struct lca_sock *s, struct lca_peer_id *from, struct lca_packet *p)
{
    struct side *x = side_of(s);
    if (x->type == ZMQ_XPUB && fuzz_left(&said) > 0) {
        zmq_msg_init_size(&p->msg, fuzz_left(&said));
        memcpy(zmq_msg_data(&p->msg), said.at, fuzz_left(&said));
        said = (struct fuzz_bytes){0};
        return 1;
    }
    if (x->n == 0)
        return 0;
    struct message *m = &x->queue[x->first];
    lca_packet_share(p, &m->packet);
    if (from)
        *from = (struct lca_peer_id){.data = {(uint8_t)m->peer, 1, 2, 3, 4}, .len = 5};
    bool parts = m->parts;
    drop_first(x);
    return parts ? -1 : 1;
}

enum lca_sock_event lca_sock_event(struct lca_sock *s)
{
    struct side *x = side_of(s);
    if (!x || x->n_event == 0)
        return LCA_SOCK_NOTHING;
    enum lca_sock_event event = x->event[0];
    memmove(x->event, x->event + 1, (size_t)--x->n_event * sizeof *x->event);
    return event;
}

int lca_sock_check(const struct lca_sock *s, struct lca_err *err)
{
    (void)s, (void)err;
    return 0;
}

int lca_sock_follow(struct lca_sock *s, struct lca_err *err)
{
    (void)s, (void)err;
    return 0;
}

void lca_sock_subscribe(struct lca_sock *s, const char *topic, bool wanted)
{
    (void)s, (void)topic, (void)wanted;
}

/* ---- steps ---- */

static bool receives(const struct side *x)
{
    return x->open && x->type != ZMQ_XPUB;
}

static void deliver(int peer, struct lca_packet *p, bool parts)
{
    for (int k = 0; k < SOCKS; k++) {
        struct side *x = &sides[k];
        if (!receives(x) || x->n == QUEUE)
            continue;
        struct message *m = &x->queue[(x->first + x->n++) % QUEUE];
        *m = (struct message){.peer = peer, .parts = parts};
        lca_packet_share(&m->packet, p);
        break;
    }
    lca_packet_close(p);
}

static void happen(enum lca_sock_event event)
{
    for (int k = 0; k < SOCKS; k++)
        if (receives(&sides[k]) && sides[k].n_event < QUEUE)
            sides[k].event[sides[k].n_event++] = event;
}

void script_say(int peer, struct lca_frame *f)
{
    struct lca_packet p;
    if (lca_packet_make(&p, f, NULL) == 0)
        deliver(peer, &p, false);
}

static int take_peer(void)
{
    return (int)(fuzz_take(&script.bytes, 1) % SCRIPT_PEERS);
}

static void raw(int peer, struct fuzz_bytes b, bool parts)
{
    struct lca_packet p;
    zmq_msg_init_size(&p.msg, fuzz_left(&b));
    if (fuzz_left(&b))
        memcpy(zmq_msg_data(&p.msg), b.at, fuzz_left(&b));
    deliver(peer, &p, parts);
}

/* ---- frames made of a few bytes ---- */

static uint64_t number(void)
{
    uint8_t b = (uint8_t)fuzz_take(&script.bytes, 1);
    return b < 200 ? b % 40 : b < 240 ? fuzz_take(&script.bytes, 8) : UINT64_MAX - (b - 240);
}

static double real(void)
{
    static const double odd[] = {0, 1, -1, 0.5, 1e-300, 1e300, INFINITY, -INFINITY, NAN};
    uint8_t b = (uint8_t)fuzz_take(&script.bytes, 1);
    if (b < sizeof odd / sizeof *odd)
        return odd[b];
    double x;
    uint64_t bits = fuzz_take(&script.bytes, 8);
    memcpy(&x, &bits, sizeof x);
    return b < 128 ? b / 8.0 : x;
}

/* One of a list, or up to 80 bytes; what is no text is not written, and so not sent. */
static const char *text(void)
{
    static const char *const known[] = {"a", "b", "c", "ok", "failed", "interrupted", "now", "oldest", "0", "2", "7",
                                        "frame", "gone", "train", "val", "num", "data", "", "18446744073709551615"};
    static char own[8][81];
    static int at;
    uint8_t b = (uint8_t)fuzz_take(&script.bytes, 1);
    if (b < 128)
        return known[b % (sizeof known / sizeof *known)];
    struct fuzz_bytes piece = fuzz_piece(&script.bytes, (b - 128) % 80);
    char *to = own[at++ % 8];
    memset(to, 0, 81);
    memcpy(to, piece.at, fuzz_left(&piece));
    return to;
}

static json_t *any(const char *key)
{
    static const char *const odd[] = {"null", "[]", "{}", "3", "[[[]]]", "{\"sets\":[{}]}",
                                      "{\"sets\":[{\"set\":\"train\",\"N\":9223372036854775807,\"chunk\":1}]}"};
    static const struct {
        const char *key, *value;
    } usual[] = {
        {"layers", "[{\"n\":\"d/kernel\",\"l\":\"d\",\"k\":\"kernel\",\"off\":0,\"len\":5,\"sh\":[5]}]"},
        {"classes", "[{\"name\":\"x\",\"n\":3},{\"name\":\"y\",\"n\":3}]"},
        {"data", "{\"name\":\"s\",\"sha256\":\"data\",\"sets\":[{\"set\":\"train\",\"N\":6,\"chunk\":2}]}"},
        {"def", "{\"seed\":1}"}, {"prov", "[]"}, {"it1", "9"},
    };
    uint8_t b = (uint8_t)fuzz_take(&script.bytes, 1);
    const char *json = b < 16 ? odd[b % (sizeof odd / sizeof *odd)] : "{\"k\":[1,\"x\",null]}";
    for (size_t k = 0; b >= 64 && k < sizeof usual / sizeof *usual; k++)
        if (strcmp(usual[k].key, key) == 0)
            json = usual[k].value;
    return json_loads(json, JSON_DECODE_ANY, NULL);
}

static void fill_payload(struct lca_frame *f)
{
    static _Alignas(8) uint8_t room[256 * 8];
    const char *elements = lca_kind_elements(f->kind);
    uint8_t n = (uint8_t)fuzz_take(&script.bytes, 1);
    if (!*elements || n == 255)
        return;
    n = n < 200 ? n % 12 : n;
    unsigned size = (unsigned)(elements[2] - '0');
    struct fuzz_bytes piece = fuzz_piece(&script.bytes, (size_t)n * size);
    memset(room, 0, sizeof room);
    memcpy(room, piece.at, fuzz_left(&piece));
    lca_frame_payload(f, elements, n, room);
}

/* A frame of any kind, every key from the bytes at hand. */
static void made(int peer)
{
    struct lca_frame f = {.kind = (enum lca_kind)(1 + fuzz_take(&script.bytes, 1) % (LCA_KINDS - 1)), .st = "s"};
    uint8_t bent = (uint8_t)fuzz_take(&script.bytes, 1);
    json_t *owned[LCA_ANY_MAX];
    unsigned n_owned = 0;
    memcpy(f.run, script_run, LCA_RUN_LEN);
    if (bent & 1)
        f.run[0]++;
    if (lca_kind_is_data(f.kind))
        f.seq = number();
    for (const struct lca_field *d = lca_kind_fields(f.kind); d->key; d++) {
        void *to = (char *)&f.u + d->offset;
        switch (d->type) {
        case LCA_FIELD_uint: *(uint64_t *)to = number(); break;
        case LCA_FIELD_int:  *(int64_t *)to = (int64_t)number() - 1; break;
        case LCA_FIELD_f8:   *(double *)to = real(); break;
        case LCA_FIELD_bool: *(bool *)to = fuzz_take(&script.bytes, 1) & 1; break;
        case LCA_FIELD_str:  *(const char **)to = text(); break;
        case LCA_FIELD_bin:  *(struct lca_bin *)to = (struct lca_bin){(const uint8_t *)"01234567", 8}; break;
        case LCA_FIELD_f8s:  *(struct lca_f8s *)to = (struct lca_f8s){{real()}, 1}; break;
        case LCA_FIELD_any:  *(json_t **)to = owned[n_owned++] = any(d->key); break;
        }
    }
    fill_payload(&f);
    struct lca_packet p;
    if (lca_packet_make(&p, &f, NULL) == 0) {
        uint8_t *bytes = zmq_msg_data(&p.msg);
        size_t size = zmq_msg_size(&p.msg);
        if (bent & 2)
            bytes[fuzz_take(&script.bytes, 2) % size] ^= (uint8_t)fuzz_take(&script.bytes, 1);
        deliver(peer, &p, false);
    }
    while (n_owned > 0)
        json_decref(owned[--n_owned]);
}

int script_step(void)
{
    if (fuzz_left(&script.bytes) == 0) {
        if (!script.over) {
            script.over = true;
            happen(LCA_SOCK_LOST);
            if (script.own)
                script.own(-1);
        }
        return -1;
    }
    uint8_t step = (uint8_t)fuzz_take(&script.bytes, 1);
    int peer;
    if (step >= SCRIPT_OWN) {
        if (!script.own)
            return step;
        script.own(step);
        return 0;
    }
    if (step < 4) {
        peer = take_peer();
        raw(peer, fuzz_piece(&script.bytes, fuzz_take(&script.bytes, 2)), false);
    } else if (step < 40) {
        made(take_peer());
    } else if (step == 40 || step == 41) {
        happen(step == 40 ? LCA_SOCK_CONNECTED : LCA_SOCK_LOST);
    } else if (step == 42) {
        peer = take_peer();
        gone[peer] = !gone[peer];
    } else if (step == 43) {
        full = !full;
    } else if (step == 44) {
        uint8_t t = (uint8_t)fuzz_take(&script.bytes, 1);
        fuzz_now += t <= 200 ? t / 10.0 : (t - 200) * 10.0;
    } else if (step == 45) {
        said = fuzz_piece(&script.bytes, fuzz_take(&script.bytes, 1));
    } else if (step == 46) {
        raw(take_peer(), fuzz_piece(&script.bytes, 20), true);
    }
    return 0;
}

/* ---- what ZeroMQ itself is asked ---- */

/* A context with nothing in it: making a real one takes most of a short input's time. */
void *zmq_ctx_new(void)
{
    static int context;
    return &context;
}

int zmq_ctx_term(void *context)
{
    (void)context;
    return 0;
}

/* A wait for nothing but time. */
int poll(struct pollfd *fds, nfds_t n, int timeout)
{
    struct timespec until = {timeout / 1000, timeout % 1000 * 1000000L};
    if (n > 0)
        return ppoll(fds, n, timeout < 0 ? NULL : &until, NULL);
    fuzz_now += timeout / 1e3;
    return 0;
}

int zmq_poll(zmq_pollitem_t *items, int n, long timeout)
{
    (void)items, (void)n;
    int step = script_step();
    if (step != 0)
        fuzz_now += timeout < 0 ? 1 : (double)timeout / 1e3;
    return 0;
}

/* ---- beginning and end ---- */

static struct lca_frame head;

struct lca_frame *script_head(const char *st, uint64_t P, uint64_t parts, uint64_t N, uint64_t chunk, bool by_class)
{
    static const char network[] = "{}";
    script_end();
    head = LCA_FRAME(head);
    head.st = st;
    memcpy(head.run, script_run, LCA_RUN_LEN);
    head.u.head = (struct lca_frame_head){
        .v = LCA_WIRE_VERSION, .model = "m", .P = P, .parts = parts, .nbmax = 4 * P, .bycls = by_class,
        .layers = json_array(), .classes = json_pack("[{s:s},{s:s}]", "name", "x", "name", "y"),
        .data = json_pack("{s:s, s:[{s:s, s:I, s:I}]}", "sha256", "data", "sets", "set", "train", "N", (json_int_t)N,
                          "chunk", (json_int_t)chunk),
        .def = json_object(), .prov = json_array()};
    lca_frame_payload(&head, "|u1", sizeof network - 1, network);
    return &head;
}

void script_begin(const uint8_t *data, size_t size)
{
    /* lca_link_new blocks them, and libFuzzer wants to be interrupted */
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    script = (struct script){.bytes = {data, data + size}};
    memset(sides, 0, sizeof sides);
    memset(gone, 0, sizeof gone);
    said = (struct fuzz_bytes){0};
    full = false;
    fuzz_now = 1000;
}

void script_end(void)
{
    struct lca_frame_head *h = &head.u.head;
    if (head.kind == LCA_KIND_head) {
        json_decref(h->layers);
        json_decref(h->classes);
        json_decref(h->data);
        json_decref(h->def);
        json_decref(h->prov);
    }
    head = (struct lca_frame){0};
}
