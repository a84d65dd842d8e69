#include "tap/value.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/digest.h"
#include "frame/frame-raw.h"

void lca_text_put(struct lca_text *t, const void *data, size_t len)
{
    if (!t->failed && lca_buf_append(t->to, data, len, NULL) < 0)
        t->failed = true;
}

static void puts_to(struct lca_text *t, const char *s)
{
    lca_text_put(t, s, strlen(s));
}

/* finding */

static const msgpack_object *in_map(const msgpack_object *map, const char *key, size_t len)
{
    for (uint32_t k = 0; k < map->via.map.size; k++) {
        const msgpack_object_kv *kv = &map->via.map.ptr[k];
        if (kv->key.via.str.size == len && memcmp(kv->key.via.str.ptr, key, len) == 0)
            return &kv->val;
    }
    return NULL;
}

/* Digits as an index below n. */
static bool index_below(const char *s, size_t len, uint64_t n, uint64_t *index)
{
    *index = 0;
    for (size_t k = 0; k < len; k++) {
        if (s[k] < '0' || s[k] > '9' || k > 17)
            return false;
        *index = 10 * *index + (uint64_t)(s[k] - '0');
    }
    return len > 0 && *index < n;
}

static const msgpack_object *step(const msgpack_object *at, const char *key, size_t len)
{
    uint64_t k;
    if (at->type == MSGPACK_OBJECT_MAP)
        return in_map(at, key, len);
    if (at->type == MSGPACK_OBJECT_ARRAY && index_below(key, len, at->via.array.size, &k))
        return &at->via.array.ptr[k];
    return NULL;
}

/* A tap may have got the header alone. */
static bool has_payload(const struct lca_frame *f)
{
    return f->n_sh > 0 && (f->payload || f->nb == 0);
}

static bool shows_data(const struct lca_frame *f, uint64_t most)
{
    return has_payload(f) && f->kind != LCA_KIND_head && lca_frame_count(f) <= most;
}

msgpack_object lca_value_element(const struct lca_frame *f, uint64_t k)
{
    const void *p = f->payload;
    msgpack_object o = {.type = MSGPACK_OBJECT_POSITIVE_INTEGER};
    if (memcmp(f->dt, "<f4", 3) == 0) {
        o.type = MSGPACK_OBJECT_FLOAT32;
        o.via.f64 = ((const float *)p)[k];
    } else if (memcmp(f->dt, "<f8", 3) == 0) {
        o.type = MSGPACK_OBJECT_FLOAT64;
        o.via.f64 = ((const double *)p)[k];
    } else if (memcmp(f->dt, "<u4", 3) == 0) {
        o.via.u64 = ((const uint32_t *)p)[k];
    } else if (memcmp(f->dt, "<u8", 3) == 0) {
        o.via.u64 = ((const uint64_t *)p)[k];
    } else if (memcmp(f->dt, "<i4", 3) == 0) {
        int32_t i = ((const int32_t *)p)[k];
        o.type = i < 0 ? MSGPACK_OBJECT_NEGATIVE_INTEGER : MSGPACK_OBJECT_POSITIVE_INTEGER;
        o.via.i64 = i;
    } else {
        o.via.u64 = ((const uint8_t *)p)[k];
    }
    return o;
}

static struct lca_value in_payload(const struct lca_frame *f, const char *path, uint64_t most)
{
    struct lca_value v = {.frame = f};
    uint64_t k;
    if (strcmp(path, "network") == 0 && f->kind == LCA_KIND_head && has_payload(f)) {
        v.is = LCA_VALUE_NETWORK;
    } else if (strcmp(path, "data") == 0 && shows_data(f, most)) {
        v.is = LCA_VALUE_DATA;
    } else if (strncmp(path, "data.", 5) == 0 && shows_data(f, UINT64_MAX) &&
               index_below(path + 5, strlen(path + 5), lca_frame_count(f), &k)) {
        v.is = LCA_VALUE_ONE;
        v.one = lca_value_element(f, k);
    }
    return v;
}

struct lca_value lca_value_find(const struct lca_frame *f, const char *path, uint64_t most)
{
    size_t n = strcspn(path, ".");
    const msgpack_object *o = in_map(lca_frame_root(f), path, n);
    if (!o)
        return in_payload(f, path, most);
    for (const char *p = path; o && p[n] == '.';) {
        p += n + 1;
        n = strcspn(p, ".");
        o = step(o, p, n);
    }
    return o ? (struct lca_value){.is = LCA_VALUE_ONE, .one = *o} : (struct lca_value){0};
}

/* strings */

/* Bytes of the UTF-8 character at s, 0 when there is none. */
static unsigned utf8_length(const unsigned char *s, size_t n)
{
    unsigned len = s[0] < 0x80 ? 1 : s[0] < 0xc2 ? 0 : s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3
                 : s[0] < 0xf5 ? 4 : 0;
    if (len > n)
        return 0;
    for (unsigned k = 1; k < len; k++)
        if ((s[k] & 0xc0) != 0x80)
            return 0;
    bool overlong = (s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xf0 && s[1] < 0x90);
    bool surrogate = s[0] == 0xed && s[1] >= 0xa0, beyond = s[0] == 0xf4 && s[1] >= 0x90;
    return len > 2 && (overlong || surrogate || beyond) ? 0 : len;
}

/* C0, DEL and C1, which a terminal would obey. */
static bool is_control(const unsigned char *s, unsigned len)
{
    return s[0] < 0x20 || s[0] == 0x7f || (len == 2 && s[0] == 0xc2 && s[1] < 0xa0);
}

void lca_value_quote(struct lca_text *t, const char *s, size_t len)
{
    const unsigned char *p = (const unsigned char *)s;
    lca_text_put(t, "\"", 1);
    for (unsigned n; len > 0; p += n, len -= n) {
        char escape[8] = "\\ufffd";
        n = utf8_length(p, len);
        if (n == 0)
            n = 1;
        else if (*p == '"' || *p == '\\')
            snprintf(escape, sizeof escape, "\\%c", *p);
        else if (*p == '\n' || *p == '\t')
            snprintf(escape, sizeof escape, "\\%c", *p == '\n' ? 'n' : 't');
        else if (is_control(p, n))
            snprintf(escape, sizeof escape, "\\u%04x", n == 2 ? p[1] : *p);
        else
            *escape = 0;
        if (*escape)
            puts_to(t, escape);
        else
            lca_text_put(t, p, n);
    }
    lca_text_put(t, "\"", 1);
}

static void put_plain(struct lca_text *t, const char *s, size_t len)
{
    const unsigned char *p = (const unsigned char *)s;
    for (unsigned n; len > 0; p += n, len -= n) {
        n = utf8_length(p, len);
        bool bad = n == 0 || (is_control(p, n) && *p != '\n' && *p != '\t');
        n += n == 0;
        lca_text_put(t, bad ? "?" : (const char *)p, bad ? 1 : n);
    }
}

/* numbers */

/* %g drops zeros at the end, so the first precision that fits is short as well. */
static void put_float(struct lca_text *t, double x, bool single, bool json)
{
    char text[40];
    if (!isfinite(x)) {
        const char *name = isnan(x) ? "NaN" : x < 0 ? "-Infinity" : "Infinity";
        snprintf(text, sizeof text, json ? "\"%s\"" : "%s", name);
        puts_to(t, text);
        return;
    }
    int p = single ? 6 : 15, last = single ? 9 : 17;
    for (;; p++) {
        snprintf(text, sizeof text, "%.*g", p, x);
        if (p == last || (single ? (double)strtof(text, NULL) : strtod(text, NULL)) == x)
            break;
    }
    puts_to(t, text);
    if (!strpbrk(text, ".e"))
        puts_to(t, ".0");       /* or readers would make an integer of it, and of -0.0 zero */
}

/* values */

static void put_object(struct lca_text *t, const msgpack_object *o, bool json);

static void put_map(struct lca_text *t, const msgpack_object_map *map)
{
    for (uint32_t k = 0; k < map->size; k++) {
        lca_text_put(t, k ? "," : "{", 1);
        lca_value_quote(t, map->ptr[k].key.via.str.ptr, map->ptr[k].key.via.str.size);
        lca_text_put(t, ":", 1);
        put_object(t, &map->ptr[k].val, true);
    }
    puts_to(t, map->size ? "}" : "{}");
}

static void put_list(struct lca_text *t, const msgpack_object_array *list)
{
    for (uint32_t k = 0; k < list->size; k++) {
        lca_text_put(t, k ? "," : "[", 1);
        put_object(t, &list->ptr[k], true);
    }
    puts_to(t, list->size ? "]" : "[]");
}

static void put_hex(struct lca_text *t, const msgpack_object_bin *bin)
{
    char hex[3];
    for (uint32_t k = 0; k < bin->size; k++) {
        lca_hex((const uint8_t *)bin->ptr + k, 1, hex);
        lca_text_put(t, hex, 2);
    }
}

static void put_object(struct lca_text *t, const msgpack_object *o, bool json)
{
    char text[32];
    switch (o->type) {
    case MSGPACK_OBJECT_MAP:
        put_map(t, &o->via.map);
        break;
    case MSGPACK_OBJECT_ARRAY:
        put_list(t, &o->via.array);
        break;
    case MSGPACK_OBJECT_BIN:
        lca_text_put(t, "\"", json);
        put_hex(t, &o->via.bin);
        lca_text_put(t, "\"", json);
        break;
    case MSGPACK_OBJECT_STR:
        (json ? lca_value_quote : put_plain)(t, o->via.str.ptr, o->via.str.size);
        break;
    case MSGPACK_OBJECT_BOOLEAN:
        puts_to(t, o->via.boolean ? "true" : "false");
        break;
    case MSGPACK_OBJECT_POSITIVE_INTEGER:
        snprintf(text, sizeof text, "%" PRIu64, o->via.u64);
        puts_to(t, text);
        break;
    case MSGPACK_OBJECT_NEGATIVE_INTEGER:
        snprintf(text, sizeof text, "%" PRId64, o->via.i64);
        puts_to(t, text);
        break;
    case MSGPACK_OBJECT_FLOAT32:
    case MSGPACK_OBJECT_FLOAT64:
        put_float(t, o->via.f64, o->type == MSGPACK_OBJECT_FLOAT32, json);
        break;
    default:
        puts_to(t, json ? "null" : "");
    }
}

static void put_data(struct lca_text *t, const struct lca_frame *f)
{
    uint64_t n = lca_frame_count(f);
    lca_text_put(t, "[", 1);
    for (uint64_t k = 0; k < n; k++) {
        msgpack_object o = lca_value_element(f, k);
        if (k)
            lca_text_put(t, ",", 1);
        put_object(t, &o, true);
    }
    lca_text_put(t, "]", 1);
}

/* The text goes through as it came, so that its numbers stay as they were written.
 * Within valid JSON line breaks and tabs stand only between tokens. */
static void put_network(struct lca_text *t, const struct lca_frame *f)
{
    const char *s = f->payload;
    json_t *good = s ? json_loadb(s, f->nb, 0, NULL) : NULL;
    if (!good) {
        lca_value_quote(t, s ? s : "", s ? f->nb : 0);
        return;
    }
    json_decref(good);
    for (uint64_t k = 0; k < f->nb; k++)
        if ((unsigned char)s[k] >= ' ')
            lca_text_put(t, s + k, 1);
}

static void put_value(struct lca_text *t, const struct lca_value *v, bool json)
{
    if (v->is == LCA_VALUE_ONE)
        put_object(t, &v->one, json);
    else if (v->is == LCA_VALUE_DATA)
        put_data(t, v->frame);
    else if (v->is == LCA_VALUE_NETWORK)
        put_network(t, v->frame);
}

void lca_value_json(struct lca_text *t, const struct lca_value *v)
{
    put_value(t, v, true);
}

void lca_value_plain(struct lca_text *t, const struct lca_value *v)
{
    put_value(t, v, false);
}

void lca_value_cell(struct lca_text *t, const struct lca_value *v)
{
    struct lca_buf own = {0};
    struct lca_text cell = {.to = &own};
    if (v->is == LCA_VALUE_ONE && v->one.type != MSGPACK_OBJECT_STR && v->one.type != MSGPACK_OBJECT_MAP &&
        v->one.type != MSGPACK_OBJECT_ARRAY) {
        put_value(t, v, false);         /* numbers and the like need no quotes */
        return;
    }
    put_value(&cell, v, false);
    t->failed |= cell.failed;
    const char *c = (const char *)own.data;
    bool quoted = false;
    for (size_t k = 0; k < own.len && !quoted; k++)
        quoted = c[k] && strchr(",\"\n\r", c[k]);
    lca_text_put(t, "\"", quoted);
    for (size_t k = 0; k < own.len; k++)
        lca_text_put(t, c[k] == '"' ? "\"\"" : c + k, c[k] == '"' ? 2 : 1);
    lca_text_put(t, "\"", quoted);
    lca_buf_clear(&own);
}

struct lca_value lca_value_text(const char *text)
{
    struct lca_value v = {.is = LCA_VALUE_ONE, .one.type = MSGPACK_OBJECT_STR};
    v.one.via.str.ptr = text;
    v.one.via.str.size = (uint32_t)strlen(text);
    return v;
}

void lca_value_frame(struct lca_text *t, const struct lca_frame *f, uint64_t most)
{
    const msgpack_object_map *map = &lca_frame_root(f)->via.map;
    struct lca_value data = in_payload(f, f->kind == LCA_KIND_head ? "network" : "data", most);
    for (uint32_t k = 0; k < map->size; k++) {
        lca_text_put(t, k ? "," : "{", 1);
        lca_value_quote(t, map->ptr[k].key.via.str.ptr, map->ptr[k].key.via.str.size);
        lca_text_put(t, ":", 1);
        put_object(t, &map->ptr[k].val, true);
    }
    if (data.is != LCA_VALUE_NONE) {
        puts_to(t, data.is == LCA_VALUE_DATA ? ",\"data\":" : ",\"network\":");
        put_value(t, &data, true);
    }
    lca_text_put(t, "}", 1);
}
