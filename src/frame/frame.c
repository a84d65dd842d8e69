#include "frame/frame.h"

#include <stdlib.h>
#include <string.h>

#include "base/digest.h"
#include "frame/frame-inside.h"

/* A table per kind. The struct that offsets are taken in has the same name in each
 * function, which is what lets one macro serve all the lists of proto/. */
#define FIELD(type, key, need, help) \
    {#key, LCA_FIELD_##type, #type, #need[0], offsetof(struct_of_kind, key), help},
#define FIELDS(name, LIST)                                                  \
    static const struct lca_field *name##_fields(void)                      \
    {                                                                       \
        typedef struct lca_frame_##name struct_of_kind;                     \
        static const struct lca_field fields[] = {                          \
            LIST(FIELD){NULL, LCA_FIELD_any, NULL, 0, sizeof(struct_of_kind), NULL}}; \
        return fields;                                                      \
    }
FIELDS(hello, LCA_PROTO_HELLO)
FIELDS(ack, LCA_PROTO_ACK)
FIELDS(bye, LCA_PROTO_BYE)
FIELDS(err, LCA_PROTO_ERR)
FIELDS(ping, LCA_PROTO_PING)
FIELDS(pong, LCA_PROTO_PONG)
FIELDS(head, LCA_PROTO_HEAD)
FIELDS(eos, LCA_PROTO_EOS)
FIELDS(join, LCA_PROTO_JOIN)
FIELDS(point, LCA_PROTO_POINT)
FIELDS(work, LCA_PROTO_WORK)
FIELDS(done, LCA_PROTO_DONE)
FIELDS(fail, LCA_PROTO_FAIL)
FIELDS(leave, LCA_PROTO_LEAVE)
FIELDS(theta, LCA_PROTO_THETA)
FIELDS(lca, LCA_PROTO_LCA)
FIELDS(move, LCA_PROTO_MOVE)
FIELDS(grad, LCA_PROTO_GRAD)
FIELDS(eff, LCA_PROTO_EFF)
FIELDS(agg, LCA_PROTO_AGG)
FIELDS(status, LCA_PROTO_STATUS)

static const struct lca_field *no_fields(void)
{
    static const struct lca_field none = {0};
    return &none;
}

static const struct {
    const char *name;
    enum lca_kind_group group;
    const char *elements;
    const struct lca_field *(*fields)(void);
} kinds[LCA_KINDS] = {
    /* a kind of a later version may carry whatever frames can */
    [LCA_KIND_NONE] = {"?", LCA_GROUP_CONTROL, "<f4<f8<u4<u8<i4|u1", no_fields},
#define KIND(name, wire, group, elements) \
    [LCA_KIND_##name] = {wire, LCA_GROUP_##group, elements, name##_fields},
    LCA_PROTO_KINDS(KIND)
};

static enum lca_kind known(enum lca_kind kind)
{
    return (unsigned)kind < LCA_KINDS ? kind : LCA_KIND_NONE;
}

const char *lca_kind_name(enum lca_kind kind)
{
    return kinds[known(kind)].name;
}

bool lca_kind_is_data(enum lca_kind kind)
{
    return kinds[known(kind)].group == LCA_GROUP_DATA;
}

uint64_t lca_frame_it(const struct lca_frame *f)
{
    switch (f->kind) {
    case LCA_KIND_theta: return f->u.theta.it;
    case LCA_KIND_lca:   return f->u.lca.it;
    case LCA_KIND_move:  return f->u.move.it;
    case LCA_KIND_grad:  return f->u.grad.it;
    case LCA_KIND_eff:   return f->u.eff.it;
    case LCA_KIND_agg:   return f->u.agg.it;
    default:             return 0;
    }
}

const struct lca_field *lca_kind_fields(enum lca_kind kind)
{
    return kinds[known(kind)].fields();
}

enum lca_kind_group lca_kind_group(enum lca_kind kind)
{
    return kinds[known(kind)].group;
}

const char *lca_kind_elements(enum lca_kind kind)
{
    return kinds[known(kind)].elements;
}

enum lca_kind lca_kind_find(const char *name, size_t len)
{
    for (unsigned k = LCA_KIND_NONE + 1; k < LCA_KINDS; k++)
        if (strlen(kinds[k].name) == len && memcmp(kinds[k].name, name, len) == 0)
            return k;
    return LCA_KIND_NONE;
}

unsigned lca_dt_size(enum lca_kind kind, const char *dt, size_t len)
{
    if (len != LCA_DT_LEN)
        return 0;
    for (const char *p = lca_kind_elements(kind); *p; p += LCA_DT_LEN)
        if (memcmp(p, dt, LCA_DT_LEN) == 0)
            return (unsigned)(dt[2] - '0');
    return 0;
}

int lca_shape_bytes(const uint64_t *sh, unsigned n_sh, unsigned size, uint64_t *nb)
{
    *nb = size;
    for (unsigned k = 0; k < n_sh; k++)
        if (__builtin_mul_overflow(*nb, sh[k], nb))
            return -1;
    return *nb > LCA_PAYLOAD_MAX ? -1 : 0;
}

void lca_frame_payload(struct lca_frame *f, const char *dt, uint64_t n, const void *data)
{
    memset(f->dt, 0, sizeof f->dt);
    memcpy(f->dt, dt, strnlen(dt, LCA_DT_LEN));
    f->sh[0] = n;
    f->n_sh = 1;
    f->payload = data;
}

uint64_t lca_frame_count(const struct lca_frame *f)
{
    uint64_t n = f->n_sh > 0;
    for (unsigned k = 0; k < f->n_sh; k++)
        n *= f->sh[k];
    return n;
}

int lca_frame_attach(struct lca_frame *f, const void *data, size_t len, struct lca_err *err)
{
    const char *name = lca_kind_name(f->kind);
    if (len != f->nb)
        return lca_fail(err, LCA_CORRUPT, "%s: payload of %zu bytes where key nb says %llu", name,
                        len, (unsigned long long)f->nb);
    uint32_t crc = lca_crc32c(0, data, len);
    if (f->n_sh > 0 && crc != f->crc)
        return lca_fail(err, LCA_CORRUPT, "%s: payload with CRC-32C %08x where key crc says %08x",
                        name, crc, f->crc);
    f->payload = f->n_sh > 0 ? data : NULL;
    return 0;
}

void lca_frame_describe(enum lca_kind kind,
                        void (*each)(void *arg, const char *key, const char *type, char need,
                                     const char *help),
                        void *arg)
{
    for (const struct lca_field *d = lca_kind_fields(kind); d->key; d++)
        each(arg, d->key, d->type_name, d->need, d->help);
}

void lca_frame_clear(struct lca_frame *f)
{
    struct lca_frame_inside *in = f->inside;
    if (in) {
        for (unsigned k = 0; k < in->n_any; k++)
            json_decref(in->any[k]);
        msgpack_zone_destroy(&in->zone);
        lca_buf_clear(&in->bytes);
        lca_buf_clear(&in->text);
        free(in);
    }
    *f = (struct lca_frame){0};
}
