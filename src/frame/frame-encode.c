/* Frames to bytes. What the reader would refuse is not written: the finished header
 * passes the same scan. */
#include <string.h>

#include "base/digest.h"
#include "frame/frame-inside.h"
#include "frame/scan.h"

struct sink {
    struct lca_buf *to;
    struct lca_err *err;
    bool failed;        /* the first failure stays, so that callers look once, at the end */
};

static int sink_write(void *data, const char *bytes, size_t len)
{
    struct sink *s = data;
    if (s->failed)
        return -1;
    if (len > LCA_HEADER_MAX - s->to->len)
        s->failed = lca_fail(s->err, LCA_INTERNAL, "header longer than 64 KiB") < 0;
    else
        s->failed = lca_buf_append(s->to, bytes, len, s->err) < 0;
    return s->failed ? -1 : 0;
}

static void pack_str(msgpack_packer *pk, const char *s, size_t len)
{
    msgpack_pack_str(pk, len);
    msgpack_pack_str_body(pk, s, len);
}

static void pack_key(msgpack_packer *pk, const char *key)
{
    pack_str(pk, key, strlen(key));
}

static void pack_bool(msgpack_packer *pk, bool b)
{
    if (b)
        msgpack_pack_true(pk);
    else
        msgpack_pack_false(pk);
}

static int pack_json(msgpack_packer *pk, json_t *j, unsigned depth, struct lca_err *err)
{
    if ((json_is_object(j) || json_is_array(j)) && depth > lca_scan_frame.depth)
        return lca_fail(err, LCA_INTERNAL, "maps and lists nested too deep");
    switch (json_typeof(j)) {
    case JSON_OBJECT: {
        msgpack_pack_map(pk, json_object_size(j));
        const char *key;
        size_t len;
        json_t *value;
        json_object_keylen_foreach (j, key, len, value) {
            pack_str(pk, key, len);
            if (pack_json(pk, value, depth + 1, err) < 0)
                return -1;
        }
        return 0;
    }
    case JSON_ARRAY: {
        msgpack_pack_array(pk, json_array_size(j));
        for (size_t k = 0; k < json_array_size(j); k++)
            if (pack_json(pk, json_array_get(j, k), depth + 1, err) < 0)
                return -1;
        return 0;
    }
    case JSON_STRING:
        pack_str(pk, json_string_value(j), json_string_length(j));
        return 0;
    case JSON_INTEGER:
        msgpack_pack_int64(pk, json_integer_value(j));
        return 0;
    case JSON_REAL:
        msgpack_pack_double(pk, json_real_value(j));
        return 0;
    case JSON_TRUE:
    case JSON_FALSE:
        pack_bool(pk, json_is_true(j));
        return 0;
    default:
        msgpack_pack_nil(pk);
        return 0;
    }
}

static const void *at(const struct lca_frame *f, const struct lca_field *d)
{
    return (const char *)&f->u + d->offset;
}

static json_t *any(const struct lca_frame *f, const struct lca_field *d)
{
    return *(json_t *const *)at(f, d);
}

/* Whether the value is one that is not written when optional. */
static bool is_empty(const struct lca_frame *f, const struct lca_field *d)
{
    const void *p = at(f, d);
    switch (d->type) {
    case LCA_FIELD_uint: return *(const uint64_t *)p == 0;
    case LCA_FIELD_int:  return *(const int64_t *)p == 0;
    case LCA_FIELD_f8:   return *(const double *)p == 0;
    case LCA_FIELD_bool: return !*(const bool *)p;
    case LCA_FIELD_str:  return !*(const char *const *)p;
    case LCA_FIELD_bin:  return ((const struct lca_bin *)p)->len == 0;
    case LCA_FIELD_f8s:  return ((const struct lca_f8s *)p)->n == 0;
    case LCA_FIELD_any:  return !any(f, d) || json_is_null(any(f, d));
    }
    return true;
}

static int pack_field(msgpack_packer *pk, const struct lca_frame *f, const struct lca_field *d,
                      struct lca_err *err)
{
    const void *p = at(f, d);
    pack_key(pk, d->key);
    switch (d->type) {
    case LCA_FIELD_uint:
        msgpack_pack_uint64(pk, *(const uint64_t *)p);
        return 0;
    case LCA_FIELD_int:
        msgpack_pack_int64(pk, *(const int64_t *)p);
        return 0;
    case LCA_FIELD_f8:
        msgpack_pack_double(pk, *(const double *)p);
        return 0;
    case LCA_FIELD_bool:
        pack_bool(pk, *(const bool *)p);
        return 0;
    case LCA_FIELD_str: {
        const char *s = *(const char *const *)p;
        if (!s)
            return lca_fail(err, LCA_INTERNAL, "is required");
        pack_key(pk, s);
        return 0;
    }
    case LCA_FIELD_bin: {
        const struct lca_bin *b = p;
        if (b->len > 0 && !b->data)
            return lca_fail(err, LCA_INTERNAL, "has a length and no bytes");
        if (b->len > lca_scan_frame.text)
            return lca_fail(err, LCA_INTERNAL, "bin longer than 4 KiB");
        msgpack_pack_bin(pk, b->len);
        msgpack_pack_bin_body(pk, b->data, b->len);
        return 0;
    }
    case LCA_FIELD_f8s: {
        const struct lca_f8s *v = p;
        if (v->n > sizeof v->v / sizeof *v->v)
            return lca_fail(err, LCA_INTERNAL, "more than 8 numbers");
        msgpack_pack_array(pk, v->n);
        for (unsigned k = 0; k < v->n; k++)
            msgpack_pack_double(pk, v->v[k]);
        return 0;
    }
    case LCA_FIELD_any:
        if (is_empty(f, d))
            return lca_fail(err, LCA_INTERNAL, "is required");
        return pack_json(pk, any(f, d), 2, err);
    }
    return 0;
}

/* Checks the payload that f describes; fills nb and crc. */
static int measure_payload(struct lca_frame *f, struct lca_err *err)
{
    f->nb = 0;
    f->crc = 0;
    if (f->n_sh == 0)
        return 0;
    if (f->n_sh > sizeof f->sh / sizeof *f->sh)
        return lca_fail(err, LCA_INTERNAL, "key sh: %u axes, at most 4 are allowed", f->n_sh);
    unsigned size = lca_dt_size(f->kind, f->dt, strnlen(f->dt, sizeof f->dt));
    if (size == 0)
        return lca_fail(err, LCA_INTERNAL, "key dt: elements \"%.4s\", allowed are \"%s\"", f->dt,
                        lca_kind_elements(f->kind));
    if (lca_shape_bytes(f->sh, f->n_sh, size, &f->nb) < 0)
        return lca_fail(err, LCA_INTERNAL, "key nb: a payload of more than 64 MiB");
    if (f->nb > 0 && !f->payload)
        return lca_fail(err, LCA_INTERNAL, "a shape and no payload");
    f->crc = lca_crc32c(0, f->payload, f->nb);
    return 0;
}

static void pack_payload(msgpack_packer *pk, const struct lca_frame *f)
{
    pack_key(pk, "dt");
    pack_key(pk, f->dt);
    pack_key(pk, "sh");
    msgpack_pack_array(pk, f->n_sh);
    for (unsigned k = 0; k < f->n_sh; k++)
        msgpack_pack_uint64(pk, f->sh[k]);
    pack_key(pk, "nb");
    msgpack_pack_uint64(pk, f->nb);
    pack_key(pk, "crc");
    msgpack_pack_uint64(pk, f->crc);
}

static int encode(struct lca_frame *f, struct lca_buf *header, struct lca_err *err)
{
    if (f->kind == LCA_KIND_NONE || (unsigned)f->kind >= LCA_KINDS)
        return lca_fail(err, LCA_INTERNAL, "a frame without a kind");
    if (!f->st)
        return lca_fail(err, LCA_INTERNAL, "key st: is required");
    if (measure_payload(f, err) < 0)
        return -1;

    const struct lca_field *fields = lca_kind_fields(f->kind);
    bool has_seq = lca_kind_is_data(f->kind);
    bool has_inc = lca_kind_group(f->kind) == LCA_GROUP_CONTROL && f->inc > 0;
    bool has_opt = lca_kind_group(f->kind) == LCA_GROUP_NOTICE;
    size_t n = 4 + has_seq + has_inc + has_opt + (f->n_sh > 0 ? 4 : 0);
    for (const struct lca_field *d = fields; d->key; d++)
        n += d->need == 'R' || !is_empty(f, d);

    struct sink sink = {.to = header, .err = err};
    msgpack_packer pk;
    msgpack_packer_init(&pk, &sink, sink_write);
    msgpack_pack_map(&pk, n);
    pack_key(&pk, "lca");
    msgpack_pack_uint64(&pk, LCA_WIRE_VERSION);
    pack_key(&pk, "t");
    pack_key(&pk, lca_kind_name(f->kind));
    pack_key(&pk, "run");
    msgpack_pack_bin(&pk, LCA_RUN_LEN);
    msgpack_pack_bin_body(&pk, f->run, LCA_RUN_LEN);
    pack_key(&pk, "st");
    pack_key(&pk, f->st);
    if (has_inc) {
        pack_key(&pk, "inc");
        msgpack_pack_uint64(&pk, f->inc);
    }
    if (has_seq) {
        pack_key(&pk, "seq");
        msgpack_pack_uint64(&pk, f->seq);
    }
    if (has_opt) {
        pack_key(&pk, "opt");
        pack_bool(&pk, true);
    }
    const struct lca_scan_limits *limits = f->kind == LCA_KIND_head ? &lca_scan_head
                                                                    : &lca_scan_frame;
    for (const struct lca_field *d = fields; d->key; d++) {
        if (d->need != 'R' && is_empty(f, d))
            continue;
        if (pack_field(&pk, f, d, err) < 0 || sink.failed)
            return lca_err_prefix(err, "key %s", d->key);
    }
    if (f->n_sh > 0)
        pack_payload(&pk, f);
    if (sink.failed)
        return -1;
    if (lca_scan(header->data, header->len, limits, err) < 0) {
        if (err)
            err->status = LCA_INTERNAL;
        return -1;
    }
    return 0;
}

int lca_frame_encode(struct lca_frame *f, struct lca_buf *header, struct lca_err *err)
{
    header->len = 0;
    if (encode(f, header, err) < 0)
        return lca_err_prefix(err, "%s: not written", lca_kind_name(f->kind));
    return 0;
}
