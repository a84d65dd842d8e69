/* Bytes to frames. The bytes pass lca_scan first; after it msgpack-c allocates no
 * more than the bytes themselves can hold. */
#include <stdlib.h>
#include <string.h>

#include "frame/frame-inside.h"
#include "frame/scan.h"

static bool is_text(const msgpack_object *o, const char *text)
{
    return o->type == MSGPACK_OBJECT_STR && o->via.str.size == strlen(text) &&
           memcmp(o->via.str.ptr, text, o->via.str.size) == 0;
}

static const msgpack_object *find(const struct lca_frame *f, const char *key)
{
    const msgpack_object_map *map = &f->inside->root.via.map;
    for (uint32_t k = 0; k < map->size; k++)
        if (is_text(&map->ptr[k].key, key))
            return &map->ptr[k].val;
    return NULL;
}

static int get_uint(const msgpack_object *o, uint64_t *to)
{
    if (o->type != MSGPACK_OBJECT_POSITIVE_INTEGER)
        return -1;
    *to = o->via.u64;
    return 0;
}

static int get_int(const msgpack_object *o, int64_t *to)
{
    if (o->type != MSGPACK_OBJECT_NEGATIVE_INTEGER &&
        (o->type != MSGPACK_OBJECT_POSITIVE_INTEGER || o->via.u64 > INT64_MAX))
        return -1;
    *to = o->via.i64;
    return 0;
}

static int get_f8(const msgpack_object *o, double *to)
{
    if (o->type != MSGPACK_OBJECT_FLOAT64)
        return -1;
    *to = o->via.f64;
    return 0;
}

/* The buffer has room for every string of the header: each takes one zero more than
 * its bytes, and at least one byte of head less. So it never moves. */
static int get_str(struct lca_frame_inside *in, const msgpack_object *o, const char **to)
{
    if (o->type != MSGPACK_OBJECT_STR)
        return -1;
    char *copy = (char *)in->text.data + in->text.len;
    memcpy(copy, o->via.str.ptr, o->via.str.size);
    copy[o->via.str.size] = 0;
    in->text.len += o->via.str.size + 1;
    *to = copy;
    return 0;
}

static int get_f8s(const msgpack_object *o, struct lca_f8s *to)
{
    if (o->type != MSGPACK_OBJECT_ARRAY || o->via.array.size > sizeof to->v / sizeof *to->v)
        return -1;
    to->n = o->via.array.size;
    for (unsigned k = 0; k < to->n; k++)
        if (get_f8(&o->via.array.ptr[k], &to->v[k]) < 0)
            return -1;
    return 0;
}

static int get_field(struct lca_frame *f, const struct lca_field *d, const msgpack_object *o,
                     struct lca_err *err)
{
    struct lca_frame_inside *in = f->inside;
    void *to = (char *)&f->u + d->offset;
    int bad = 0;
    switch (d->type) {
    case LCA_FIELD_uint: bad = get_uint(o, to); break;
    case LCA_FIELD_int:  bad = get_int(o, to); break;
    case LCA_FIELD_f8:   bad = get_f8(o, to); break;
    case LCA_FIELD_str:  bad = get_str(in, o, to); break;
    case LCA_FIELD_f8s:  bad = get_f8s(o, to); break;
    case LCA_FIELD_bool:
        bad = o->type == MSGPACK_OBJECT_BOOLEAN ? 0 : -1;
        *(bool *)to = bad == 0 && o->via.boolean;
        break;
    case LCA_FIELD_bin:
        bad = o->type == MSGPACK_OBJECT_BIN ? 0 : -1;
        if (bad == 0)
            *(struct lca_bin *)to = (struct lca_bin){(const uint8_t *)o->via.bin.ptr,
                                                     o->via.bin.size};
        break;
    case LCA_FIELD_any: {
        if (in->n_any == LCA_ANY_MAX)
            return lca_fail(err, LCA_INTERNAL, "key %s: more than %d keys of type any", d->key,
                            LCA_ANY_MAX);
        json_t *j = lca_frame_to_json(o, false, err);
        if (!j)
            return lca_err_prefix(err, "key %s", d->key);
        in->any[in->n_any++] = j;
        *(json_t **)to = j;
        break;
    }
    }
    if (bad < 0)
        return lca_fail(err, LCA_CORRUPT, "key %s: not of type %s", d->key, d->type_name);
    return 0;
}

static int get_fields(struct lca_frame *f, struct lca_err *err)
{
    for (const struct lca_field *d = lca_kind_fields(f->kind); d->key; d++) {
        const msgpack_object *o = find(f, d->key);
        if (o && o->type == MSGPACK_OBJECT_NIL && d->type == LCA_FIELD_any)
            o = NULL;       /* nil is how other languages say that nothing is there */
        if (!o && d->need == 'R')
            return lca_fail(err, LCA_CORRUPT, "key %s: missing", d->key);
        if (o && get_field(f, d, o, err) < 0)
            return -1;
    }
    return 0;
}

static int get_payload(struct lca_frame *f, struct lca_err *err)
{
    const msgpack_object *dt = find(f, "dt"), *sh = find(f, "sh"), *nb = find(f, "nb"),
                         *crc = find(f, "crc");
    int n = !!dt + !!sh + !!nb + !!crc;
    if (n == 0)
        return 0;
    if (n < 4)
        return lca_fail(err, LCA_CORRUPT, "key %s: missing, as dt, sh, nb and crc go together",
                        !dt ? "dt" : !sh ? "sh" : !nb ? "nb" : "crc");
    unsigned size = 0;
    if (dt->type == MSGPACK_OBJECT_STR)
        size = lca_dt_size(f->kind, dt->via.str.ptr, dt->via.str.size);
    if (size == 0)
        return lca_fail(err, LCA_CORRUPT, "key dt: not among the elements allowed, \"%s\"",
                        lca_kind_elements(f->kind));
    memcpy(f->dt, dt->via.str.ptr, LCA_DT_LEN);

    if (sh->type != MSGPACK_OBJECT_ARRAY || sh->via.array.size < 1 ||
        sh->via.array.size > sizeof f->sh / sizeof *f->sh)
        return lca_fail(err, LCA_CORRUPT, "key sh: not a list of 1 to 4 lengths");
    f->n_sh = sh->via.array.size;
    for (unsigned k = 0; k < f->n_sh; k++)
        if (get_uint(&sh->via.array.ptr[k], &f->sh[k]) < 0)
            return lca_fail(err, LCA_CORRUPT, "key sh: not a list of 1 to 4 lengths");

    uint64_t bytes, crc32;
    if (lca_shape_bytes(f->sh, f->n_sh, size, &bytes) < 0)
        return lca_fail(err, LCA_CORRUPT, "key sh: a payload of more than 64 MiB");
    if (get_uint(nb, &f->nb) < 0 || f->nb != bytes)
        return lca_fail(err, LCA_CORRUPT, "key nb: not the %llu bytes that dt and sh make",
                        (unsigned long long)bytes);
    if (get_uint(crc, &crc32) < 0 || crc32 > UINT32_MAX)
        return lca_fail(err, LCA_CORRUPT, "key crc: not of type uint of 32 bits");
    f->crc = (uint32_t)crc32;
    return 0;
}

static int get_common(struct lca_frame *f, struct lca_err *err)
{
    const msgpack_object *o = find(f, "run");
    if (!o || o->type != MSGPACK_OBJECT_BIN || o->via.bin.size != LCA_RUN_LEN)
        return lca_fail(err, LCA_CORRUPT, "key run: %s", o ? "not 16 bytes of bin" : "missing");
    memcpy(f->run, o->via.bin.ptr, LCA_RUN_LEN);

    o = find(f, "st");
    if (!o || get_str(f->inside, o, &f->st) < 0)
        return lca_fail(err, LCA_CORRUPT, "key st: %s", o ? "not of type str" : "missing");

    if (f->kind == LCA_KIND_NONE)
        return 0;
    const char *place = lca_kind_is_data(f->kind) ? "seq" : "inc";
    o = find(f, place);
    if (!o && lca_kind_is_data(f->kind))
        return lca_fail(err, LCA_CORRUPT, "key seq: missing");
    if (o && get_uint(o, lca_kind_is_data(f->kind) ? &f->seq : &f->inc) < 0)
        return lca_fail(err, LCA_CORRUPT, "key %s: not of type uint", place);
    return 0;
}

/* The first two questions: which version of the wire, which kind. */
static int get_kind(struct lca_frame *f, struct lca_err *err)
{
    const msgpack_object_map *map = &f->inside->root.via.map;
    uint64_t version;
    if (map->size == 0 || !is_text(&map->ptr[0].key, "lca") ||
        get_uint(&map->ptr[0].val, &version) < 0)
        return lca_fail(err, LCA_CORRUPT, "not a frame: the first key is not lca, a uint");
    if (version != LCA_WIRE_VERSION)
        return lca_fail(err, LCA_USAGE, "needs wire %llu, have %d", (unsigned long long)version,
                        LCA_WIRE_VERSION);
    const msgpack_object *t = find(f, "t"), *opt = find(f, "opt");
    if (!t || t->type != MSGPACK_OBJECT_STR)
        return lca_fail(err, LCA_CORRUPT, "key t: %s", t ? "not of type str" : "missing");
    int len = (int)t->via.str.size;
    f->kind = lca_kind_find(t->via.str.ptr, t->via.str.size);
    if (f->kind == LCA_KIND_NONE &&
        (!opt || opt->type != MSGPACK_OBJECT_BOOLEAN || !opt->via.boolean))
        return lca_fail(err, LCA_USAGE, "kind \"%.*s\" is unknown here: it needs a later version",
                        len < 40 ? len : 40, t->via.str.ptr);
    return 0;
}

/* Empties f but for the memory that decode reuses. */
static int begin(struct lca_frame *f, struct lca_err *err)
{
    struct lca_frame_inside *in = f->inside;
    if (!in) {
        in = calloc(1, sizeof *in);
        if (!in || !msgpack_zone_init(&in->zone, MSGPACK_ZONE_CHUNK_SIZE)) {
            free(in);
            return lca_fail(err, LCA_INTERNAL, "out of memory");
        }
    }
    for (unsigned k = 0; k < in->n_any; k++)
        json_decref(in->any[k]);
    in->n_any = 0;
    in->bytes.len = in->text.len = 0;
    in->root = (msgpack_object){0};
    msgpack_zone_clear(&in->zone);
    *f = (struct lca_frame){.inside = in};
    return 0;
}

static int decode(struct lca_frame *f, const void *header, size_t len, struct lca_err *err)
{
    struct lca_frame_inside *in = f->inside;
    if (len > LCA_HEADER_MAX)
        return lca_fail(err, LCA_CORRUPT, "header of %zu bytes, more than 64 KiB", len);
    if (lca_scan(header, len, &lca_scan_head, err) < 0)
        return -1;
    if (lca_buf_append(&in->bytes, header, len, err) < 0 ||
        lca_buf_reserve(&in->text, len, err) < 0)
        return -1;
    size_t used = 0;
    if (msgpack_unpack((const char *)in->bytes.data, len, &used, &in->zone, &in->root) !=
        MSGPACK_UNPACK_SUCCESS)
        return lca_fail(err, LCA_INTERNAL, "out of memory for a header of %zu bytes", len);
    if (get_kind(f, err) < 0)
        return -1;
    if (f->kind != LCA_KIND_head && lca_scan(header, len, &lca_scan_frame, err) < 0)
        return -1;
    if (get_common(f, err) < 0 || get_fields(f, err) < 0)
        return -1;
    return get_payload(f, err);
}

int lca_frame_decode(struct lca_frame *f, const void *header, size_t len, struct lca_err *err)
{
    if (begin(f, err) < 0)
        return -1;
    if (decode(f, header, len, err) == 0)
        return 0;
    const char *name = f->kind == LCA_KIND_NONE ? "header" : lca_kind_name(f->kind);
    *f = (struct lca_frame){.inside = f->inside};
    return lca_err_prefix(err, "%s", name);
}
