#include <math.h>
#include <string.h>

#include "base/digest.h"
#include "frame/frame-inside.h"
#include "frame/scan.h"

static json_t *no_memory(struct lca_err *err)
{
    lca_fail(err, LCA_INTERNAL, "out of memory");
    return NULL;
}

static json_t *refuse(struct lca_err *err, const char *what)
{
    lca_fail(err, LCA_CORRUPT, "%s", what);
    return NULL;
}

static json_t *from_map(const msgpack_object_map *map, bool lenient, struct lca_err *err)
{
    json_t *j = json_object();
    if (!j)
        return no_memory(err);
    for (uint32_t k = 0; k < map->size; k++) {
        const msgpack_object_str *key = &map->ptr[k].key.via.str;
        json_t *value = lca_frame_to_json(&map->ptr[k].val, lenient, err);
        if (!value || json_object_setn_new(j, key->ptr, key->size, value) < 0) {
            json_decref(j);
            return value ? no_memory(err) : NULL;
        }
    }
    return j;
}

static json_t *from_list(const msgpack_object_array *list, bool lenient, struct lca_err *err)
{
    json_t *j = json_array();
    if (!j)
        return no_memory(err);
    for (uint32_t k = 0; k < list->size; k++) {
        json_t *value = lca_frame_to_json(&list->ptr[k], lenient, err);
        if (!value || json_array_append_new(j, value) < 0) {
            json_decref(j);
            return value ? no_memory(err) : NULL;
        }
    }
    return j;
}

static json_t *from_bin(const msgpack_object_bin *bin, struct lca_err *err)
{
    char hex[2 * 4096 + 1];     /* lca_scan lets no longer one pass */
    if (bin->size > lca_scan_head.text)
        return refuse(err, "bin longer than 4 KiB");
    lca_hex((const uint8_t *)bin->ptr, bin->size, hex);
    json_t *j = json_stringn(hex, 2 * (size_t)bin->size);
    return j ? j : no_memory(err);
}

json_t *lca_frame_to_json(const msgpack_object *o, bool lenient, struct lca_err *err)
{
    json_t *j = NULL;
    switch (o->type) {
    case MSGPACK_OBJECT_MAP:
        return from_map(&o->via.map, lenient, err);
    case MSGPACK_OBJECT_ARRAY:
        return from_list(&o->via.array, lenient, err);
    case MSGPACK_OBJECT_BIN:
        return from_bin(&o->via.bin, err);
    case MSGPACK_OBJECT_NIL:
        return json_null();
    case MSGPACK_OBJECT_BOOLEAN:
        return json_boolean(o->via.boolean);
    case MSGPACK_OBJECT_STR:
        j = json_stringn(o->via.str.ptr, o->via.str.size);
        break;
    case MSGPACK_OBJECT_NEGATIVE_INTEGER:
        j = json_integer(o->via.i64);
        break;
    case MSGPACK_OBJECT_POSITIVE_INTEGER:
        if (o->via.u64 > INT64_MAX && !lenient)
            return refuse(err, "a number of 2^63 or more");
        j = o->via.u64 > INT64_MAX ? json_real((double)o->via.u64)
                                   : json_integer((json_int_t)o->via.u64);
        break;
    case MSGPACK_OBJECT_FLOAT32:
    case MSGPACK_OBJECT_FLOAT64:
        if (!isfinite(o->via.f64))
            return lenient ? json_null() : refuse(err, "a number that is not finite");
        j = json_real(o->via.f64);
        break;
    default:
        return refuse(err, "a type that frames do not use");
    }
    return j ? j : no_memory(err);
}

json_t *lca_frame_json(const struct lca_frame *f)
{
    if (!f->inside || f->inside->root.type != MSGPACK_OBJECT_MAP)
        return json_object();
    return lca_frame_to_json(&f->inside->root, true, NULL);
}
