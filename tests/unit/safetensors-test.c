/* Files of named tensors: what is read of them, and what is refused before memory is taken. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "plain/safetensors.h"

static char path[] = "/tmp/lca-safetensors-test-XXXXXX";

/* A file of that header and n bytes; claimed: its length as the file says. */
static void put(const char *header, uint64_t claimed, const void *data, size_t n)
{
    unsigned char length[8];
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    for (int k = 0; k < 8; k++)
        length[k] = (unsigned char)(claimed >> 8 * k);
    fwrite(length, 1, 8, f);
    fputs(header, f);
    fwrite(data, 1, n, f);
    fclose(f);
}

static void refuses(const char *header, uint64_t claimed, size_t n, const char *says)
{
    static const unsigned char zeros[64];
    struct lca_safetensors s;
    struct lca_err err = {0};
    put(header, claimed ? claimed : strlen(header), zeros, n);
    assert_int_equal(lca_safetensors_open(&s, path, &err), -1);
    assert_int_equal(err.status, LCA_CORRUPT);
    if (!strstr(err.text, says) || !strstr(err.text, path))
        fail_msg("'%s' does not say '%s' and '%s'", err.text, says, path);
    assert_null(s.tensor);
}

#define T(name, dtype, shape, begin, end) \
    "\"" name "\":{\"dtype\":\"" dtype "\",\"shape\":" shape ",\"data_offsets\":[" begin "," end "]}"

static void headers_that_make_no_sense(void **state)
{
    (void)state;
    static const struct {
        const char *header, *says;
        uint64_t claimed;
        size_t n;
    } bad[] = {
        {"{}", "longer than the file", 3, 0},
        {"{}", "longer than the file", UINT64_MAX, 8},
        {"[1]", "no JSON object", 0, 0},
        {"{\"a\":", "", 0, 0},
        {"{" T("a", "F32", "[1]", "0", "4") "," T("a", "F32", "[1]", "0", "4") "}", "uplicate", 0, 4},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1]}}", "needs dtype", 0, 4},
        {"{" T("a", "F32", "[1]", "-1", "3") "}", "needs dtype", 0, 4},
        {"{" T("a", "F32", "[1]", "0", "4.0") "}", "needs dtype", 0, 4},
        {"{" T("a", "F32", "[-1]", "0", "4") "}", "shape makes no sense", 0, 4},
        {"{" T("a", "F32", "[4294967296,4294967296]", "0", "4") "}", "shape makes no sense", 0, 4},
        {"{" T("a", "F32", "[4611686018427387904]", "0", "0") "}", "not the size", 0, 0},
        {"{" T("a", "F32", "[1,1,1,1,1,1,1,1,1]", "0", "4") "}", "more than 8 axes", 0, 4},
        {"{" T("a", "F32", "[2]", "0", "8") "}", "does not reach", 0, 4},
        {"{" T("a", "F32", "[1]", "4", "0") "}", "does not reach", 0, 4},
        {"{" T("a", "F32", "[1]", "0", "8") "}", "not the size", 0, 8},
        {"{" T("a", "F32", "[1]", "4", "8") "}", "does not begin where", 0, 8},
        {"{" T("a", "F32", "[1]", "0", "4") "," T("b", "F32", "[1]", "0", "4") "}", "'b': it does not begin", 0, 4},
        {"{" T("a", "F32", "[1]", "0", "4") "," T("b", "F32", "[1]", "8", "12") "}", "'b': it does not begin", 0, 12},
        {"{" T("a", "F32", "[1]", "0", "4") "}", "bytes follow the last", 0, 5},
    };
    for (size_t k = 0; k < sizeof bad / sizeof *bad; k++)
        refuses(bad[k].header, bad[k].claimed, bad[k].n, bad[k].says);
    FILE *f = fopen(path, "wb");
    fputs("short", f);
    fclose(f);
    struct lca_safetensors s;
    struct lca_err err = {0};
    assert_int_equal(lca_safetensors_open(&s, path, &err), -1);
    assert_non_null(strstr(err.text, "too short"));
    assert_int_equal(lca_safetensors_open(&s, "/tmp/there/is/none", &err), -1);
    assert_int_equal(err.status, LCA_USAGE);
    assert_int_equal(lca_safetensors_open(&s, "/tmp", &err), -1);
    assert_non_null(strstr(err.text, "not a file"));
}

static void numbers_of_four_types(void **state)
{
    (void)state;
    static const struct {
        uint16_t bits;
        float value;
    } half[] = {{0x3c00, 1}, {0xc000, -2}, {0x7bff, 65504}, {0x0001, 0x1p-24f}, {0x0400, 0x1p-14f}, {0x8000, -0.0f},
                {0x7c00, INFINITY}, {0x3555, 0x1.554p-2f}},
      brain[] = {{0x3f80, 1}, {0xc000, -2}, {0x7f7f, 0x1.fep127f}, {0x0001, 0x1p-133f}, {0x8000, -0.0f},
                 {0xff80, -INFINITY}, {0x4049, 3.140625f}, {0, 0}};
    const float single[2] = {1e-40f, -3};
    const double real[2] = {0.1, 1e300};
    unsigned char data[56], *p = data;
    memcpy(p, real, sizeof real);
    memcpy(p += sizeof real, single, sizeof single);
    p += sizeof single;
    for (int k = 0; k < 8; k++)
        memcpy(p + 2 * k, &half[k].bits, 2);
    p += 16;
    for (int k = 0; k < 8; k++)
        memcpy(p + 2 * k, &brain[k].bits, 2);
    const char *header = "{\"__metadata__\":{\"format\":\"pt\"}," T("d", "F64", "[2]", "0", "16") ","
                         T("s", "F32", "[1,2]", "16", "24") "," T("h", "F16", "[8]", "24", "40") ","
                         T("b", "BF16", "[2,4]", "40", "56") "}   ";
    put(header, strlen(header), data, sizeof data);
    struct lca_safetensors s;
    struct lca_err err = {0};
    float v[8];
    assert_int_equal(lca_safetensors_open(&s, path, &err), 0);
    assert_int_equal(s.n, 4);
    assert_null(lca_safetensors_find(&s, "__metadata__"));
    assert_int_equal(lca_safetensors_read(&s, lca_safetensors_find(&s, "d"), v, &err), 0);
    assert_true(v[0] == 0.1f && v[1] == INFINITY);
    assert_int_equal(lca_safetensors_read(&s, lca_safetensors_find(&s, "s"), v, &err), 0);
    assert_memory_equal(v, single, sizeof single);
    assert_int_equal(lca_safetensors_read(&s, lca_safetensors_find(&s, "h"), v, &err), 0);
    for (int k = 0; k < 8; k++)
        assert_true(v[k] == half[k].value && !signbit(v[k]) == !signbit(half[k].value));
    assert_int_equal(lca_safetensors_read(&s, lca_safetensors_find(&s, "b"), v, &err), 0);
    for (int k = 0; k < 8; k++)
        assert_true(v[k] == brain[k].value && !signbit(v[k]) == !signbit(brain[k].value));
    lca_safetensors_close(&s);
}

static void other_types_are_passed_over(void **state)
{
    (void)state;
    static const unsigned char zeros[64];
    const char *header = "{" T("steps", "I64", "[]", "0", "8") "," T("new", "F4", "[3]", "8", "10") ","
                         T("none", "F32", "[0]", "10", "10") "}";
    struct lca_safetensors s;
    struct lca_err err = {0};
    float v[1];
    put(header, strlen(header), zeros, 10);
    assert_int_equal(lca_safetensors_open(&s, path, &err), 0);
    assert_int_equal(lca_safetensors_read(&s, lca_safetensors_find(&s, "steps"), v, &err), -1);
    assert_int_equal(err.status, LCA_USAGE);
    assert_non_null(strstr(err.text, "tensor steps is of I64"));
    assert_int_equal(lca_safetensors_read(&s, lca_safetensors_find(&s, "new"), v, &err), -1);
    assert_int_equal(lca_safetensors_read(&s, lca_safetensors_find(&s, "none"), v, &err), 0);
    lca_safetensors_close(&s);
}

static void what_is_written_is_read(void **state)
{
    (void)state;
    struct lca_stored t[2] = {{.name = "one/kernel", .shape = {2, 3}, .n_shape = 2, .count = 6},
                              {.name = "one/bias", .shape = {3}, .n_shape = 1, .count = 3}};
    const float v[9] = {1, 2, 3, 4, 5, 6, 7, 8, 9};
    float got[6];
    struct lca_buf to = {0};
    struct lca_safetensors s;
    struct lca_err err = {0};
    json_t *m = json_pack("{s:s}", "step", "7");
    assert_int_equal(lca_safetensors_header(&to, t, 2, m, &err), 0);
    assert_int_equal(to.len % 8, 0);
    FILE *f = fopen(path, "wb");
    fwrite(to.data, 1, to.len, f);
    fwrite(v, sizeof *v, 9, f);
    fclose(f);
    assert_int_equal(lca_safetensors_open(&s, path, &err), 0);
    assert_true(json_equal(json_object_get(s.header, "__metadata__"), m));
    const struct lca_stored *bias = lca_safetensors_find(&s, "one/bias");
    assert_true(bias && bias->begin == 24 && bias->end == 36 && bias->n_shape == 1);
    assert_int_equal(lca_safetensors_read(&s, bias, got, &err), 0);
    assert_memory_equal(got, v + 6, 12);
    lca_safetensors_close(&s);
    lca_buf_clear(&to);
    json_decref(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(headers_that_make_no_sense),
        cmocka_unit_test(numbers_of_four_types),
        cmocka_unit_test(other_types_are_passed_over),
        cmocka_unit_test(what_is_written_is_read),
    };
    close(mkstemp(path));
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    unlink(path);
    return failed;
}
