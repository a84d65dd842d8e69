/* The scan of untrusted MessagePack: what passes, what does not, and why. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "frame/scan.h"

#define BYTES(text) (text), sizeof(text) - 1

static const struct {
    const char *bytes;
    size_t len;
    const char *says;       /* NULL: passes */
} cases[] = {
    {BYTES("\x80"), NULL},
    {BYTES("\x81\xa1" "a\xc0"), NULL},
    {BYTES("\xde\x00\x01\xd9\x01" "a\xcb\x7f\xf0\x00\x00\x00\x00\x00\x00"), NULL},
    {BYTES("\x82\xa1" "a\x01\xa1" "b\x81\xa1" "a\x01"), NULL},     /* same key, other map */
    {BYTES("\x81\xa1" "a\xa2\xc3\xa9"), NULL},
    {BYTES("\x81\xa1" "a\xa4\xf0\x9f\x98\x80"), NULL},
    {BYTES("\x81\xa1" "a\xc4\x02\x00\xff"), NULL},                 /* bin may hold anything */
    {BYTES("\x81\xa1" "a\x91\x81\xa1" "b\x90"), NULL},             /* depth 4 */
    {BYTES(""), "nothing"},
    {BYTES("\x90"), "not a map"},
    {BYTES("\x01"), "not a map"},
    {BYTES("\xdd\xff\xff\xff\xff"), "not a map"},
    {BYTES("\xdf\xff\xff\xff\xff"), "more entries than bytes"},
    {BYTES("\x81\xa1" "a\xdd\xff\xff\xff\xff"), "key a: a list of more values than bytes"},
    {BYTES("\x81\xa1" "a\xdf\xff\xff\xff\xff"), "key a: a map of more entries"},
    {BYTES("\x81\xa1" "a\xc6\xff\xff\xff\xff"), "key a: bin longer"},
    {BYTES("\x81\xa1" "a\xdb\xff\xff\xff\xff"), "key a: text longer"},
    {BYTES("\x81\xa1" "a\xc4\x05" "abcd"), "end within a value"},
    {BYTES("\x81\xa1" "a\xd9"), "end within a value"},
    {BYTES("\x81\xa1" "a"), "should begin"},
    {BYTES("\x82\xa1" "a\xa1" "b"), "end within a map"},
    {BYTES("\x80\x00"), "bytes after the end"},
    {BYTES("\x82\xa1" "a\x01\xa1" "a\x02"), "same key twice"},
    {BYTES("\x82\xa1" "a\x01\xd9\x01" "a\x02"), "same key twice"},
    {BYTES("\x81\xa1" "n\x82\xa1" "a\x01\xa1" "a\x02"), "key n: the same key twice"},
    {BYTES("\x81\x01\x01"), "not text"},
    {BYTES("\x81\xc4\x01" "a\x01"), "not text"},
    {BYTES("\x81\xa1" "a\xc1"), "do not use"},
    {BYTES("\x81\xa1" "a\xd4\x01\x00"), "do not use"},
    {BYTES("\x81\xa1" "a\xc7\x00\x01"), "do not use"},
    {BYTES("\x81\xa1" "a\x91\x91\x91\x91"), "more values than bytes"},
    {BYTES("\x81\xa1" "a\x91\x91\x91\x90"), "nested too deep"},
    {BYTES("\x81\xa1" "a\xa3x\x00y"), "zero byte"},
    {BYTES("\x81\xa1\x00\x01"), "zero byte"},
    {BYTES("\x81\xa1" "a\xa1\xff"), "not UTF-8"},
    {BYTES("\x81\xa1" "a\xa2\xc0\x80"), "not UTF-8"},          /* overlong */
    {BYTES("\x81\xa1" "a\xa3\xe0\x80\x80"), "not UTF-8"},
    {BYTES("\x81\xa1" "a\xa3\xed\xa0\x80"), "not UTF-8"},      /* surrogate */
    {BYTES("\x81\xa1" "a\xa4\xf4\x90\x80\x80"), "not UTF-8"},  /* beyond U+10FFFF */
    {BYTES("\x81\xa1" "a\xa1\xc3"), "not UTF-8"},              /* cut short */
};

static void scans_each_case(void **state)
{
    (void)state;
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        /* a copy of exactly that length, so that a read past it is seen */
        char *copy = malloc(cases[k].len + !cases[k].len);
        assert_non_null(copy);
        memcpy(copy, cases[k].bytes, cases[k].len);
        struct lca_err err = {0};
        int got = lca_scan(copy, cases[k].len, &lca_scan_frame, &err);
        if (got != (cases[k].says ? -1 : 0) ||
            (cases[k].says && (!strstr(err.text, cases[k].says) || err.status != LCA_CORRUPT)))
            fail_msg("case %zu: returned %d, \"%s\", expected \"%s\"", k, got, err.text,
                     cases[k].says ? cases[k].says : "to pass");
        free(copy);
    }
}

static void add(struct lca_buf *b, const void *bytes, size_t n)
{
    assert_int_equal(lca_buf_append(b, bytes, n, NULL), 0);
}

/* {"a": [0, 0, ...]}: three values and n more. */
static int scan_list(unsigned n, const struct lca_scan_limits *limits)
{
    struct lca_buf b = {0};
    unsigned char head[] = {0x81, 0xa1, 'a', 0xdc, (unsigned char)(n >> 8), (unsigned char)n};
    add(&b, head, sizeof head);
    for (unsigned k = 0; k < n; k++)
        add(&b, "", 1);
    struct lca_err err;
    int result = lca_scan(b.data, b.len, limits, &err);
    lca_buf_clear(&b);
    return result;
}

static void counts_values(void **state)
{
    (void)state;
    assert_int_equal(scan_list(4096 - 3, &lca_scan_frame), 0);
    assert_int_equal(scan_list(4096 - 2, &lca_scan_frame), -1);
    assert_int_equal(scan_list(16384 - 3, &lca_scan_head), 0);
    assert_int_equal(scan_list(16384 - 2, &lca_scan_head), -1);
}

static int scan_text(uint8_t type, unsigned n)
{
    struct lca_buf b = {0};
    unsigned char head[] = {0x81, 0xa1, 'a', type, (unsigned char)(n >> 8), (unsigned char)n};
    add(&b, head, sizeof head);
    for (unsigned k = 0; k < n; k++)
        add(&b, "x", 1);
    struct lca_err err;
    int result = lca_scan(b.data, b.len, &lca_scan_frame, &err);
    lca_buf_clear(&b);
    return result;
}

static void bounds_text_and_bin(void **state)
{
    (void)state;
    assert_int_equal(scan_text(0xda, 4096), 0);
    assert_int_equal(scan_text(0xda, 4097), -1);
    assert_int_equal(scan_text(0xc5, 4096), 0);
    assert_int_equal(scan_text(0xc5, 4097), -1);
}

/* Thousands of keys, all different; then the last again. */
static void finds_a_double_among_many_keys(void **state)
{
    (void)state;
    enum { N = 8000 };
    struct lca_buf b = {0};
    add(&b, "\xde\x1f\x40", 3);
    for (int k = 0; k < N; k++) {
        char key[8] = {(char)0xa4, (char)('a' + k % 26), (char)('a' + k / 26 % 26),
                       (char)('a' + k / 676 % 26), 'x', 1};
        add(&b, key, 6);
    }
    struct lca_err err;
    assert_int_equal(lca_scan(b.data, b.len, &lca_scan_head, &err), 0);
    memcpy(b.data + 3 + (N - 1) * 6, b.data + 3, 6);
    assert_int_equal(lca_scan(b.data, b.len, &lca_scan_head, &err), -1);
    assert_non_null(strstr(err.text, "same key twice"));
    lca_buf_clear(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scans_each_case),
        cmocka_unit_test(counts_values),
        cmocka_unit_test(bounds_text_and_bin),
        cmocka_unit_test(finds_a_double_among_many_keys),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
