/* Frames to bytes and back: bytes written by hand, every field of every kind, and
 * each mistake that a header can hold. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/digest.h"
#include "frame/frame-inside.h"

#define BYTES(text) (text), sizeof(text) - 1
#define RUN "\xa3run\xc4\x10" "0123456789abcdef"

static const char golden_ping[] =
    "\x84" "\xa3lca\x01" "\xa1t\xa4PING" RUN "\xa2st\xa3lca";

static const char golden_theta[] =
    "\x8e" "\xa3lca\x01" "\xa1t\xa5theta" RUN "\xa2st\xa5theta" "\xa3seq\xcd\x01\x00"
    "\xa2it\x0a"
    "\xa2lr\xcb\x3f\xe0\x00\x00\x00\x00\x00\x00"        /* 0.5 */
    "\xa6mbloss\xcb\x40\x02\x00\x00\x00\x00\x00\x00"    /* 2.25 */
    "\xa5" "epoch\x00" "\xa2mb\xc4\x02\xca\xfe"
    "\xa2" "dt\xa3<f4" "\xa2sh\x91\x02" "\xa2nb\x08" "\xa3" "crc\xce";

static void set_run(struct lca_frame *f)
{
    memcpy(f->run, "0123456789abcdef", LCA_RUN_LEN);
}

static struct lca_frame make_theta(const float *values)
{
    struct lca_frame f = LCA_FRAME(theta);
    set_run(&f);
    f.st = "theta";
    f.seq = 256;
    f.u.theta.it = 10;
    f.u.theta.lr = 0.5;
    f.u.theta.mbloss = 2.25;
    f.u.theta.mb = (struct lca_bin){(const uint8_t *)"\xca\xfe", 2};
    lca_frame_payload(&f, "<f4", 2, values);
    return f;
}

static void must(int result, const struct lca_err *err)
{
    if (result < 0)
        fail_msg("%s", err->text);
}

static void writes_the_bytes_written_by_hand(void **state)
{
    (void)state;
    struct lca_err err = {0};
    struct lca_buf b = {0};
    struct lca_frame ping = LCA_FRAME(ping);
    set_run(&ping);
    ping.st = "lca";
    must(lca_frame_encode(&ping, &b, &err), &err);
    assert_int_equal(b.len, sizeof golden_ping - 1);
    assert_memory_equal(b.data, golden_ping, b.len);

    static const float values[] = {1, -2};
    struct lca_frame theta = make_theta(values);
    must(lca_frame_encode(&theta, &b, &err), &err);
    size_t n = sizeof golden_theta - 1;
    assert_int_equal(b.len, n + 4);
    assert_memory_equal(b.data, golden_theta, n);
    uint32_t crc = lca_crc32c(0, "\x00\x00\x80\x3f\x00\x00\x00\xc0", 8);
    for (int k = 0; k < 4; k++)
        assert_int_equal(b.data[n + (size_t)k], crc >> (24 - 8 * k) & 255);
    assert_int_equal(theta.nb, 8);
    assert_int_equal(theta.crc, crc);
    lca_buf_clear(&b);
}

/* Every key that a frame of the kind can have, and a payload if it may. json_t
 * values go into `owned`, to be freed with it. */
static struct lca_frame make_full(enum lca_kind kind, json_t *owned)
{
    static const double payload[6] = {1, 2, 3, 4, 5, 6};
    struct lca_frame frame = {.kind = kind, .st = "lca", .inc = 3, .seq = 1ull << 40}, *f = &frame;
    set_run(f);
    const char *elements = lca_kind_elements(kind);
    if (*elements) {
        char dt[4] = {elements[0], elements[1], elements[2], 0};
        lca_frame_payload(f, dt, 2, payload);
        f->sh[1] = 3;
        f->n_sh = 2;
    }
    static const char *words[] = {"", "train", "caf\xc3\xa9",
                                  "text of more than thirty-one bytes"};
    static const uint64_t numbers[] = {0, 127, 128, 65536, 1ull << 32, UINT64_MAX};
    static const int64_t signs[] = {INT64_MAX, -33, -1, 9, INT64_MIN, -40000};
    static const double doubles[] = {0.1, -1e300, 5, 1.0 / 3};
    unsigned k = 0;
    for (const struct lca_field *d = lca_kind_fields(f->kind); d->key; d++, k++) {
        void *p = (char *)&f->u + d->offset;
        switch (d->type) {
        case LCA_FIELD_uint: *(uint64_t *)p = numbers[k % 6]; break;
        case LCA_FIELD_int:  *(int64_t *)p = signs[kind % 6]; break;
        case LCA_FIELD_f8:   *(double *)p = doubles[k % 4]; break;
        case LCA_FIELD_bool: *(bool *)p = true; break;
        case LCA_FIELD_str:  *(const char **)p = words[k % 4]; break;
        case LCA_FIELD_bin:
            *(struct lca_bin *)p = (struct lca_bin){(const uint8_t *)"\0\1\2", 3};
            break;
        case LCA_FIELD_f8s:
            *(struct lca_f8s *)p = (struct lca_f8s){{1, 2, 3, 4, 5, 6, 7, 0.1 * k}, 8};
            break;
        case LCA_FIELD_any:
            *(json_t **)p = json_pack("{s:i, s:[{s:f, s:s}], s:b, s:n, s:I}", "zebra", (int)k, "a",
                                      "x", 0.1, "y", "z\xc3\xa9", "t", 1, "nil", "big",
                                      (json_int_t)INT64_MIN);
            json_array_append_new(owned, *(json_t **)p);
            break;
        }
    }
    return frame;
}

static void assert_same_field(const struct lca_field *d, const void *a, const void *b)
{
    switch (d->type) {
    case LCA_FIELD_uint: assert_int_equal(*(const uint64_t *)a, *(const uint64_t *)b); break;
    case LCA_FIELD_int:  assert_int_equal(*(const int64_t *)a, *(const int64_t *)b); break;
    case LCA_FIELD_f8:   assert_memory_equal(a, b, sizeof(double)); break;
    case LCA_FIELD_bool: assert_int_equal(*(const bool *)a, *(const bool *)b); break;
    case LCA_FIELD_str:
        if (!*(char *const *)a || !*(char *const *)b)
            assert_ptr_equal(*(char *const *)a, *(char *const *)b);
        else
            assert_string_equal(*(char *const *)a, *(char *const *)b);
        break;
    case LCA_FIELD_bin: {
        const struct lca_bin *x = a, *y = b;
        assert_int_equal(x->len, y->len);
        if (x->len)
            assert_memory_equal(x->data, y->data, x->len);
        break;
    }
    case LCA_FIELD_f8s: {
        const struct lca_f8s *x = a, *y = b;
        assert_int_equal(x->n, y->n);
        assert_memory_equal(x->v, y->v, x->n * sizeof *x->v);
        break;
    }
    case LCA_FIELD_any:
        if (!*(json_t *const *)a)
            assert_null(*(json_t *const *)b);
        else
            assert_true(json_equal(*(json_t *const *)a, *(json_t *const *)b));
        break;
    }
}

/* `back` is used again and again, as a filter does. */
static void round_trip(struct lca_frame *f, struct lca_frame *back)
{
    struct lca_err err = {0};
    struct lca_buf b = {0}, again = {0};
    must(lca_frame_encode(f, &b, &err), &err);
    must(lca_frame_decode(back, b.data, b.len, &err), &err);
    assert_int_equal(back->kind, f->kind);
    assert_memory_equal(back->run, f->run, LCA_RUN_LEN);
    assert_string_equal(back->st, f->st);
    assert_int_equal(back->seq, lca_kind_is_data(f->kind) ? f->seq : 0);
    bool control = lca_kind_group(f->kind) == LCA_GROUP_CONTROL;
    assert_int_equal(back->inc, control ? f->inc : 0);
    for (const struct lca_field *d = lca_kind_fields(f->kind); d->key; d++)
        assert_same_field(d, (char *)&f->u + d->offset, (char *)&back->u + d->offset);
    assert_int_equal(back->n_sh, f->n_sh);
    assert_memory_equal(back->sh, f->sh, f->n_sh * sizeof *f->sh);
    assert_int_equal(back->nb, f->nb);
    assert_int_equal(back->crc, f->crc);
    assert_null(back->payload);
    if (f->n_sh > 0)
        assert_string_equal(back->dt, f->dt);
    must(lca_frame_attach(back, f->payload, f->nb, &err), &err);
    must(lca_frame_encode(back, &again, &err), &err);
    assert_int_equal(again.len, b.len);
    assert_memory_equal(again.data, b.data, b.len);

    json_t *j = lca_frame_json(back);
    assert_string_equal(json_string_value(json_object_get(j, "t")), lca_kind_name(f->kind));
    json_decref(j);
    lca_buf_clear(&b);
    lca_buf_clear(&again);
}

static void every_kind_comes_back(void **state)
{
    (void)state;
    struct lca_frame back = {0};
    for (enum lca_kind kind = LCA_KIND_NONE + 1; kind < LCA_KINDS; kind++) {
        json_t *owned = json_array();
        struct lca_frame f = make_full(kind, owned);
        round_trip(&f, &back);

        /* and with nothing optional: not written, read as zero */
        for (const struct lca_field *d = lca_kind_fields(kind), *next; d->key; d = next) {
            next = d + 1;
            size_t end = next->offset;
            if (d->need == 'O')
                memset((char *)&f.u + d->offset, 0, end - d->offset);
        }
        f.inc = 0;
        f.n_sh = 0;
        round_trip(&f, &back);
        json_t *j = lca_frame_json(&back);
        for (const struct lca_field *d = lca_kind_fields(kind); d->key; d++)
            assert_int_equal(json_object_get(j, d->key) != NULL, d->need == 'R');
        assert_null(json_object_get(j, "inc"));
        json_decref(j);
        json_decref(owned);
    }
    lca_frame_clear(&back);
}

static void each_element_type_comes_back(void **state)
{
    (void)state;
    static const char *types[] = {"<f4", "<f8", "<u4", "<u8"};
    static const double payload[2] = {1, 2};
    struct lca_frame back = {0};
    json_t *owned = json_array();
    for (unsigned k = 0; k < 4; k++) {
        struct lca_frame f = make_full(LCA_KIND_agg, owned);
        lca_frame_payload(&f, types[k], 2, payload);
        round_trip(&f, &back);
        assert_int_equal(back.nb, k % 2 ? 16 : 8);
        assert_int_equal(lca_frame_count(&back), 2);
        lca_frame_payload(&f, types[k], 0, NULL);
        round_trip(&f, &back);
        assert_int_equal(back.n_sh, 1);
        assert_int_equal(lca_frame_count(&back), 0);
    }
    json_decref(owned);
    lca_frame_clear(&back);
}

/* A key of type f8 holds any double; JSON cannot, and says null. */
static void numbers_that_are_not_finite(void **state)
{
    (void)state;
    static const double odd[] = {NAN, INFINITY, -INFINITY, -0.0};
    struct lca_frame back = {0};
    for (unsigned k = 0; k < 4; k++) {
        static const float values[] = {1, -2};
        struct lca_frame f = make_theta(values);
        f.u.theta.mbloss = odd[k];
        round_trip(&f, &back);
        json_t *j = lca_frame_json(&back);
        assert_int_equal(json_is_null(json_object_get(j, "mbloss")), k < 3);
        json_decref(j);
    }
    lca_frame_clear(&back);
}

/* mistakes of whoever encodes */

static void refuse_encode(struct lca_frame *f, const char *says)
{
    struct lca_err err = {0};
    struct lca_buf b = {0};
    if (lca_frame_encode(f, &b, &err) == 0)
        fail_msg("encoded in spite of \"%s\"", says);
    if (!strstr(err.text, says) || err.status != LCA_INTERNAL)
        fail_msg("status %d, \"%s\" where \"%s\" was expected", err.status, err.text, says);
    lca_buf_clear(&b);
}

static void encode_refuses(void **state)
{
    (void)state;
    static const float values[] = {1, -2};
#define WITH(change, says)                          \
    do {                                            \
        struct lca_frame f = make_theta(values);    \
        change;                                     \
        refuse_encode(&f, says);                    \
    } while (0)
    WITH(f.kind = LCA_KIND_NONE, "without a kind");
    WITH(f.kind = LCA_KINDS, "without a kind");
    WITH(f.st = NULL, "theta: not written: key st");
    WITH(f.st = "\xff", "key st: text that is not UTF-8");
    WITH(f.n_sh = 5, "key sh: 5 axes");
    WITH(memcpy(f.dt, "<f8", 4), "key dt");
    WITH(memcpy(f.dt, "<f4x", 4), "key dt");
    WITH(memset(f.dt, 0, 4), "key dt");
    WITH(f.payload = NULL, "no payload");
    WITH(f.sh[0] = LCA_PAYLOAD_MAX / 4 + 1, "64 MiB");
    WITH((f.sh[0] = 1ull << 62, f.sh[1] = 4, f.n_sh = 2), "64 MiB");
    WITH(f.u.theta.mb.data = NULL, "key mb: has a length and no bytes");
    WITH(f.u.theta.mb.len = 4097, "key mb: bin longer than 4 KiB");
    WITH((f.kind = LCA_KIND_ping), "key dt");
#undef WITH
    struct lca_frame err = LCA_FRAME(err);
    err.st = "lca";
    err.u.err.code = "run";
    refuse_encode(&err, "ERR: not written: key msg: is required");
    char *text = malloc(4098);
    memset(text, 'x', 4097);
    text[4097] = 0;
    err.u.err.msg = text;
    refuse_encode(&err, "ERR: not written: key msg: text longer than 4 KiB");

    json_t *owned = json_array();
    struct lca_frame lca = make_full(LCA_KIND_lca, owned);
    lca.u.lca.tr.n = 9;
    refuse_encode(&lca, "key tr: more than 8");

    struct lca_frame agg = make_full(LCA_KIND_agg, owned);
    agg.u.agg.dims = NULL;
    refuse_encode(&agg, "key dims: is required");
    agg.u.agg.dims = json_null();
    refuse_encode(&agg, "key dims: is required");
    agg.u.agg.dims = json_pack("[[[[]]]]");
    refuse_encode(&agg, "key dims: maps and lists nested too deep");
    json_decref(agg.u.agg.dims);
    agg.u.agg.dims = json_pack("[s#]", "a\0b", 3);
    refuse_encode(&agg, "key dims: text with a zero byte");
    json_decref(agg.u.agg.dims);
    agg.u.agg.dims = json_array();
    for (int k = 0; k < 5000; k++)
        json_array_append_new(agg.u.agg.dims, json_integer(k));
    refuse_encode(&agg, "key dims: too many values");
    json_decref(agg.u.agg.dims);
    text[4000] = 0;
    agg.u.agg.dims = json_array();
    for (int k = 0; k < 17; k++)
        json_array_append_new(agg.u.agg.dims, json_string(text));
    refuse_encode(&agg, "key dims: header longer than 64 KiB");
    json_decref(agg.u.agg.dims);
    json_decref(owned);
    free(text);
}

/* mistakes in bytes */

/* The header in `from` with `key` left out (raw NULL), or with the raw bytes for its
 * value; a key that is not there is added. */
static void edit(struct lca_buf *to, const struct lca_buf *from, const char *key, const char *raw,
                 size_t raw_len)
{
    msgpack_zone zone;
    msgpack_object o;
    size_t used = 0;
    assert_true(msgpack_zone_init(&zone, 8192));
    assert_int_equal(msgpack_unpack((char *)from->data, from->len, &used, &zone, &o),
                     MSGPACK_UNPACK_SUCCESS);
    msgpack_sbuffer out;
    msgpack_packer pk;
    msgpack_sbuffer_init(&out);
    msgpack_packer_init(&pk, &out, msgpack_sbuffer_write);
    bool there = false;
    for (uint32_t k = 0; k < o.via.map.size; k++) {
        msgpack_object_kv *kv = &o.via.map.ptr[k];
        bool same = kv->key.via.str.size == strlen(key) &&
                    memcmp(kv->key.via.str.ptr, key, strlen(key)) == 0;
        there |= same;
        if (same && !raw)
            continue;
        msgpack_pack_object(&pk, kv->key);
        if (same)
            msgpack_sbuffer_write(&out, raw, raw_len);
        else
            msgpack_pack_object(&pk, kv->val);
    }
    if (!there) {
        msgpack_pack_str(&pk, strlen(key));
        msgpack_pack_str_body(&pk, key, strlen(key));
        msgpack_sbuffer_write(&out, raw, raw_len);
    }
    unsigned n = o.via.map.size + !there - (there && !raw);
    unsigned char head[] = {0xde, (unsigned char)(n >> 8), (unsigned char)n};
    to->len = 0;
    assert_int_equal(lca_buf_append(to, head, 3, NULL), 0);
    assert_int_equal(lca_buf_append(to, out.data, out.size, NULL), 0);
    msgpack_sbuffer_destroy(&out);
    msgpack_zone_destroy(&zone);
}

static const struct mistake {
    const char *key, *raw;
    size_t len;
    const char *says;       /* NULL: decodes all the same */
    int status;
} mistakes[] = {
    {"lca", NULL, 0, "first key is not lca", LCA_CORRUPT},
    {"lca", BYTES("\x02"), "needs wire 2, have 1", LCA_USAGE},
    {"lca", BYTES("\xa1" "1"), "first key is not lca, a uint", LCA_CORRUPT},
    {"t", NULL, 0, "key t: missing", LCA_CORRUPT},
    {"t", BYTES("\x01"), "key t: not of type str", LCA_CORRUPT},
    {"t", BYTES("\xa6thetaX"), "\"thetaX\" is unknown", LCA_USAGE},
    {"run", NULL, 0, "theta: key run: missing", LCA_CORRUPT},
    {"run", BYTES("\xc4\x0f" "0123456789abcde"), "key run: not 16 bytes", LCA_CORRUPT},
    {"run", BYTES("\xb0" "0123456789abcdef"), "key run: not 16 bytes", LCA_CORRUPT},
    {"st", NULL, 0, "key st: missing", LCA_CORRUPT},
    {"st", BYTES("\xc0"), "key st: not of type str", LCA_CORRUPT},
    {"st", BYTES("\xa3" "a\0b"), "key st: text with a zero byte", LCA_CORRUPT},
    {"seq", NULL, 0, "key seq: missing", LCA_CORRUPT},
    {"seq", BYTES("\xff"), "key seq: not of type uint", LCA_CORRUPT},
    {"inc", BYTES("\xa1x"), NULL, 0},                   /* means nothing in a data frame */
    {"it", NULL, 0, "theta: key it: missing", LCA_CORRUPT},
    {"it", BYTES("\xff"), "key it: not of type uint", LCA_CORRUPT},
    {"it", BYTES("\xcb\x3f\xf0\0\0\0\0\0\0"), "key it: not of type uint", LCA_CORRUPT},
    {"it", BYTES("\xd0\x01"), NULL, 0},                 /* one, not in the shortest way */
    {"off", BYTES("\xc0"), "key off: not of type uint", LCA_CORRUPT},
    {"lr", NULL, 0, "key lr: missing", LCA_CORRUPT},
    {"lr", BYTES("\x01"), "key lr: not of type f8", LCA_CORRUPT},
    {"lr", BYTES("\xca\x3f\x80\0\0"), "key lr: not of type f8", LCA_CORRUPT},
    {"mb", BYTES("\xa1x"), "key mb: not of type bin", LCA_CORRUPT},
    {"dt", NULL, 0, "key dt: missing", LCA_CORRUPT},
    {"dt", BYTES("\xa3<f8"), "key dt: not among", LCA_CORRUPT},
    {"dt", BYTES("\xa3<c8"), "key dt: not among", LCA_CORRUPT},
    {"dt", BYTES("\xa4<f4 "), "key dt: not among", LCA_CORRUPT},
    {"dt", BYTES("\x04"), "key dt: not among", LCA_CORRUPT},
    {"sh", NULL, 0, "key sh: missing", LCA_CORRUPT},
    {"sh", BYTES("\x02"), "key sh", LCA_CORRUPT},
    {"sh", BYTES("\x90"), "key sh", LCA_CORRUPT},
    {"sh", BYTES("\x95\x02\x01\x01\x01\x01"), "key sh", LCA_CORRUPT},
    {"sh", BYTES("\x91\xff"), "key sh", LCA_CORRUPT},
    {"sh", BYTES("\x91\x03"), "key nb: not the 12 bytes", LCA_CORRUPT},
    {"sh", BYTES("\x92\x01\x02"), NULL, 0},
    {"sh", BYTES("\x92\xcf\x80\0\0\0\0\0\0\0\x04"), "64 MiB", LCA_CORRUPT},
    {"sh", BYTES("\x91\xce\x01\x00\x00\x01"), "64 MiB", LCA_CORRUPT},
    {"nb", NULL, 0, "key nb: missing", LCA_CORRUPT},
    {"nb", BYTES("\x09"), "key nb: not the 8 bytes", LCA_CORRUPT},
    {"nb", BYTES("\xf8"), "key nb", LCA_CORRUPT},
    {"crc", NULL, 0, "key crc: missing", LCA_CORRUPT},
    {"crc", BYTES("\xcf\0\0\0\1\0\0\0\0"), "key crc", LCA_CORRUPT},
    {"new", BYTES("\x82\xa1" "a\xc0\xa1" "b\x90"), NULL, 0},    /* unknown keys are skipped */
    {"new", BYTES("\x82\xa1" "a\xc0\xa1" "a\x90"), "key new: the same key twice", LCA_CORRUPT},
    {"new", BYTES("\xd4\x01\x00"), "key new: a type", LCA_CORRUPT},
    {"new", BYTES("\xdd\xff\xff\xff\xff"), "key new: a list of more", LCA_CORRUPT},
};

static void decode_refuses(void **state)
{
    (void)state;
    static const float values[] = {1, -2};
    struct lca_frame f = make_theta(values), back = {0};
    struct lca_buf good = {0}, bad = {0};
    struct lca_err err = {0};
    must(lca_frame_encode(&f, &good, &err), &err);
    for (size_t k = 0; k < sizeof mistakes / sizeof *mistakes; k++) {
        const struct mistake *m = &mistakes[k];
        edit(&bad, &good, m->key, m->raw, m->len);
        err = (struct lca_err){0};
        int got = lca_frame_decode(&back, bad.data, bad.len, &err);
        if (got != (m->says ? -1 : 0))
            fail_msg("mistake %zu, key %s: returned %d: \"%s\"", k, m->key, got, err.text);
        if (m->says && (!strstr(err.text, m->says) || err.status != m->status))
            fail_msg("mistake %zu, key %s: status %d, \"%s\", expected \"%s\"", k, m->key,
                     err.status, err.text, m->says);
        if (got == 0 && (back.u.theta.mbloss != 2.25 || back.u.theta.mb.len != 2))
            fail_msg("mistake %zu, key %s: other keys changed", k, m->key);
    }
    lca_frame_clear(&back);
    lca_buf_clear(&good);
    lca_buf_clear(&bad);
}

static void decode_refuses_in_lists_and_maps(void **state)
{
    (void)state;
    static const struct mistake more[] = {
        {"tr", BYTES("\x99\1\1\1\1\1\1\1\1\1"), "key tr: not of type f8s", LCA_CORRUPT},
        {"tr", BYTES("\x91\x01"), "key tr: not of type f8s", LCA_CORRUPT},
        {"cls", BYTES("\xcf\x80\0\0\0\0\0\0\0"), "key cls: not of type int", LCA_CORRUPT},
        {"dims", BYTES("\xcb\x7f\xf8\0\0\0\0\0\0"), "key dims: a number that is not finite", 0},
        {"dims", BYTES("\xcf\x80\0\0\0\0\0\0\0"), "key dims: a number of 2^63", LCA_CORRUPT},
        {"dims", BYTES("\xc0"), "key dims: missing", LCA_CORRUPT},
        {"keys", BYTES("\xc0"), NULL, 0},
        {"last", BYTES("\x01"), "key last: not of type bool", LCA_CORRUPT},
    };
    static const enum lca_kind kinds[] = {
        LCA_KIND_lca, LCA_KIND_lca, LCA_KIND_lca, LCA_KIND_agg,
        LCA_KIND_agg, LCA_KIND_agg, LCA_KIND_agg, LCA_KIND_done,
    };
    struct lca_frame back = {0};
    struct lca_buf good = {0}, bad = {0};
    for (size_t k = 0; k < sizeof more / sizeof *more; k++) {
        struct lca_err err = {0};
        json_t *owned = json_array();
        struct lca_frame f = make_full(kinds[k], owned);
        must(lca_frame_encode(&f, &good, &err), &err);
        edit(&bad, &good, more[k].key, more[k].raw, more[k].len);
        int got = lca_frame_decode(&back, bad.data, bad.len, &err);
        if (got != (more[k].says ? -1 : 0) || (more[k].says && !strstr(err.text, more[k].says)))
            fail_msg("mistake %zu: returned %d: \"%s\"", k, got, err.text);
        if (!more[k].says)
            assert_null(back.u.agg.keys);
        json_decref(owned);
    }
    lca_frame_clear(&back);
    lca_buf_clear(&good);
    lca_buf_clear(&bad);
}

static void unknown_kinds_pass_when_they_say_so(void **state)
{
    (void)state;
    static const float values[] = {1, -2};
    struct lca_frame f = make_theta(values), back = {0};
    struct lca_buf a = {0}, b = {0};
    struct lca_err err = {0};
    must(lca_frame_encode(&f, &a, &err), &err);
    edit(&b, &a, "t", BYTES("\xa4hint"));
    edit(&a, &b, "opt", BYTES("\xc2"));
    assert_int_equal(lca_frame_decode(&back, a.data, a.len, &err), -1);
    edit(&a, &b, "opt", BYTES("\xc3"));
    must(lca_frame_decode(&back, a.data, a.len, &err), &err);
    assert_int_equal(back.kind, LCA_KIND_NONE);
    assert_int_equal(back.nb, 8);
    must(lca_frame_attach(&back, values, 8, &err), &err);
    json_t *j = lca_frame_json(&back);
    char *text = json_dumps(j, JSON_COMPACT);
    assert_non_null(strstr(text, "{\"lca\":1,\"t\":\"hint\",\"run\":\"3031323334"));
    assert_non_null(strstr(text, "\"mb\":\"cafe\",\"dt\":\"<f4\",\"sh\":[2],\"nb\":8,"));
    free(text);
    json_decref(j);
    lca_frame_clear(&back);
    lca_buf_clear(&a);
    lca_buf_clear(&b);
}

/* What a later version adds as a notice, this one skips; and so did those before STATUS. */
static void notices_pass_readers_that_do_not_know_them(void **state)
{
    (void)state;
    struct lca_frame back = {0};
    struct lca_buf a = {0}, b = {0};
    struct lca_err err = {0};
    unsigned notices = 0;
    for (enum lca_kind kind = LCA_KIND_NONE + 1; kind < LCA_KINDS; kind++) {
        json_t *owned = json_array();
        struct lca_frame f = make_full(kind, owned);
        bool notice = lca_kind_group(kind) == LCA_GROUP_NOTICE;
        must(lca_frame_encode(&f, &a, &err), &err);
        edit(&b, &a, "t", BYTES("\xa4news"));
        assert_int_equal(lca_frame_decode(&back, b.data, b.len, &err), notice ? 0 : -1);
        assert_int_equal(back.kind, LCA_KIND_NONE);
        notices += notice;
        json_decref(owned);
    }
    assert_int_equal(notices, 1);
    lca_frame_clear(&back);
    lca_buf_clear(&a);
    lca_buf_clear(&b);
}

static void no_part_of_a_header_is_a_header(void **state)
{
    (void)state;
    struct lca_frame back = {0};
    struct lca_buf b = {0};
    struct lca_err err = {0};
    for (enum lca_kind kind = LCA_KIND_NONE + 1; kind < LCA_KINDS; kind++) {
        json_t *owned = json_array();
        struct lca_frame f = make_full(kind, owned);
        must(lca_frame_encode(&f, &b, &err), &err);
        for (size_t n = 0; n < b.len; n++) {
            char *part = malloc(n + !n);    /* so that a read past it is seen */
            memcpy(part, b.data, n);
            assert_int_equal(lca_frame_decode(&back, part, n, &err), -1);
            assert_int_equal(back.kind, LCA_KIND_NONE);
            free(part);
        }
        assert_int_equal(lca_buf_append(&b, "", 1, NULL), 0);
        assert_int_equal(lca_frame_decode(&back, b.data, b.len, &err), -1);
        json_decref(owned);
    }
    lca_frame_clear(&back);
    lca_buf_clear(&b);
}

/* Only HEAD may have more than 4096 values. */
static void head_may_be_longer(void **state)
{
    (void)state;
    json_t *owned = json_array();
    struct lca_frame f = make_full(LCA_KIND_head, owned), back = {0};
    json_t *layers = json_array();
    for (int k = 0; k < 1000; k++)
        json_array_append_new(layers, json_pack("{s:i, s:s, s:i, s:i}", "off", k, "n", "dense",
                                                "len", 50 * k, "x", 50 * k + 50));
    f.u.head.layers = layers;
    round_trip(&f, &back);
    struct lca_buf a = {0}, b = {0};
    struct lca_err err = {0};
    must(lca_frame_encode(&f, &a, &err), &err);
    edit(&b, &a, "t", BYTES("\xa4PING"));
    assert_int_equal(lca_frame_decode(&back, b.data, b.len, &err), -1);
    assert_non_null(strstr(err.text, "PING: key layers: too many values"));
    json_decref(layers);
    json_decref(owned);
    lca_frame_clear(&back);
    lca_buf_clear(&a);
    lca_buf_clear(&b);
}

static void attach_checks_the_payload(void **state)
{
    (void)state;
    static const float values[] = {1, -2, 3}, other[] = {1, 2};
    struct lca_frame f = make_theta(values), back = {0};
    struct lca_buf b = {0};
    struct lca_err err = {0};
    must(lca_frame_encode(&f, &b, &err), &err);
    must(lca_frame_decode(&back, b.data, b.len, &err), &err);
    assert_int_equal(lca_frame_attach(&back, values, 12, &err), -1);
    assert_int_equal(lca_frame_attach(&back, values, 4, &err), -1);
    assert_int_equal(lca_frame_attach(&back, other, 8, &err), -1);
    assert_int_equal(err.status, LCA_CORRUPT);
    assert_non_null(strstr(err.text, "theta: payload with CRC-32C"));
    must(lca_frame_attach(&back, values, 8, &err), &err);
    assert_ptr_equal(back.payload, values);

    struct lca_frame ping = LCA_FRAME(ping);
    ping.st = "";
    must(lca_frame_encode(&ping, &b, &err), &err);
    must(lca_frame_decode(&back, b.data, b.len, &err), &err);
    assert_int_equal(lca_frame_attach(&back, values, 4, &err), -1);
    must(lca_frame_attach(&back, values, 0, &err), &err);
    assert_null(back.payload);
    lca_frame_clear(&back);
    lca_frame_clear(&back);
    lca_buf_clear(&b);
}

static void no_key_is_named_twice(void **state)
{
    (void)state;
    static const char *common[] = {"lca", "t", "run", "st", "inc", "seq",
                                   "dt", "sh", "nb", "crc", "opt"};
    for (enum lca_kind kind = LCA_KIND_NONE + 1; kind < LCA_KINDS; kind++)
        for (const struct lca_field *d = lca_kind_fields(kind); d->key; d++) {
            for (size_t k = 0; k < sizeof common / sizeof *common; k++)
                assert_string_not_equal(d->key, common[k]);
            for (const struct lca_field *e = d + 1; e->key; e++)
                assert_string_not_equal(d->key, e->key);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(writes_the_bytes_written_by_hand),
        cmocka_unit_test(every_kind_comes_back),
        cmocka_unit_test(each_element_type_comes_back),
        cmocka_unit_test(numbers_that_are_not_finite),
        cmocka_unit_test(encode_refuses),
        cmocka_unit_test(decode_refuses),
        cmocka_unit_test(decode_refuses_in_lists_and_maps),
        cmocka_unit_test(unknown_kinds_pass_when_they_say_so),
        cmocka_unit_test(notices_pass_readers_that_do_not_know_them),
        cmocka_unit_test(no_part_of_a_header_is_a_header),
        cmocka_unit_test(head_may_be_longer),
        cmocka_unit_test(attach_checks_the_payload),
        cmocka_unit_test(no_key_is_named_twice),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
