/* Frames as text: JSON, CSV and formats, of frames that have gone over the wire. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/digest.h"
#include "tap/show.h"
#include "tap/value.h"

/* f as a consumer gets it; to be cleared. */
static struct lca_frame sent(struct lca_frame f)
{
    struct lca_frame got = {0};
    struct lca_buf header = {0};
    struct lca_err err = {0};
    f.st = f.st ? f.st : "s";
    if (lca_frame_encode(&f, &header, &err) < 0)
        fail_msg("%s", err.text);
    assert_int_equal(lca_frame_decode(&got, header.data, header.len, &err), 0);
    if (f.n_sh)
        assert_int_equal(lca_frame_attach(&got, f.payload, f.nb, &err), 0);
    lca_buf_clear(&header);
    return got;
}

static struct lca_frame an_agg(json_t *dims, json_t *keys, const char *kind)
{
    struct lca_frame f = LCA_FRAME(agg);
    f.u.agg.it = 7;
    f.u.agg.kind = kind;
    f.u.agg.dims = dims;
    f.u.agg.keys = keys;
    return f;
}

static struct lca_frame an_eos(const char *final)
{
    struct lca_frame f = LCA_FRAME(eos);
    f.u.eos.next = 3;
    f.u.eos.status = "ok";
    f.u.eos.why = "a,\"b\"\n\x1b[31m\xc3\xa9";
    f.u.eos.final = json_loads(final, 0, NULL);
    assert_non_null(f.u.eos.final);
    struct lca_frame got = sent(f);
    json_decref(f.u.eos.final);
    return got;
}

static struct lca_show *show_new(struct lca_show_opts o)
{
    struct lca_err err = {0};
    struct lca_show *s = lca_show_new(&o, &err);
    if (!s)
        print_error("%s\n", err.text);
    assert_non_null(s);
    return s;
}

static void expect(struct lca_show *s, const struct lca_frame *f, int shown, const char *text)
{
    struct lca_buf out = {0};
    struct lca_err err = {0};
    assert_int_equal(lca_show_frame(s, f, &out, &err), shown);
    assert_int_equal(lca_buf_append(&out, "", 1, &err), 0);
    assert_string_equal((char *)out.data, text);
    lca_buf_clear(&out);
}

static void expect_once(struct lca_show_opts o, const struct lca_frame *f, const char *text)
{
    struct lca_show *s = show_new(o);
    expect(s, f, *text ? 1 : 0, text);
    lca_show_free(s);
}

static void refuses(struct lca_show_opts o, const char *what)
{
    struct lca_err err = {0};
    assert_null(lca_show_new(&o, &err));
    assert_int_equal(err.status, LCA_USAGE);
    if (!strstr(err.text, what))
        fail_msg("'%s' is not in '%s'", what, err.text);
}

static char *element_text(const char *dt, const void *data)
{
    struct lca_frame f = {0};
    struct lca_buf out = {0};
    struct lca_text t = {.to = &out};
    lca_frame_payload(&f, dt, 1, data);
    struct lca_value v = {.is = LCA_VALUE_ONE, .one = lca_value_element(&f, 0)};
    lca_value_json(&t, &v);
    lca_text_put(&t, "", 1);
    assert_false(t.failed);
    return (char *)out.data;
}

static void floats_read_back(void **state)
{
    (void)state;
    static const double doubles[] = {0.1, 1.0 / 3, 1e300, 4.9e-324, 2.3347575818053663, 123456789.0,
                                     -1e-5, 0.1 + 0.2};
    for (size_t k = 0; k < sizeof doubles / sizeof *doubles; k++) {
        char *text = element_text("<f8", &doubles[k]);
        assert_true(strtod(text, NULL) == doubles[k]);
        free(text);
    }
    uint32_t bits = 12345;
    for (int k = 0; k < 20000; k++) {
        float x, y;
        bits = bits * 1664525u + 1013904223u;
        memcpy(&x, &bits, 4);
        if (!isfinite(x))
            continue;
        char *text = element_text("<f4", &x);
        y = strtof(text, NULL);
        assert_memory_equal(&x, &y, 4);
        free(text);
    }
}

static void numbers_are_short(void **state)
{
    (void)state;
    static const struct {
        float x;
        const char *text;
    } cases[] = {{0.1f, "0.1"}, {1, "1.0"}, {-0.0f, "-0.0"}, {1e20f, "1e+20"},
                 {(float)INFINITY, "\"Infinity\""}, {-(float)INFINITY, "\"-Infinity\""},
                 {(float)NAN, "\"NaN\""}};
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        char *text = element_text("<f4", &cases[k].x);
        assert_string_equal(text, cases[k].text);
        free(text);
    }
    uint64_t large = UINT64_MAX;
    char *text = element_text("<u8", &large);
    assert_string_equal(text, "18446744073709551615");
    free(text);
}

static void json_has_all_keys(void **state)
{
    (void)state;
    const double data[2] = {0.5, NAN};
    json_t *dims = json_pack("[s]", "layer");
    struct lca_frame f = an_agg(dims, NULL, "layers");
    f.seq = 2;
    lca_frame_payload(&f, "<f8", 2, data);
    struct lca_frame got = sent(f);
    char text[400];
    snprintf(text, sizeof text,
             "{\"lca\":1,\"t\":\"agg\",\"run\":\"%032d\",\"st\":\"s\",\"seq\":2,\"it\":7,"
             "\"kind\":\"layers\",\"dims\":[\"layer\"],\"dt\":\"<f8\",\"sh\":[2],\"nb\":16,"
             "\"crc\":%u,\"data\":[0.5,\"NaN\"]}\n", 0, lca_crc32c(0, data, sizeof data));
    expect_once((struct lca_show_opts){.as = LCA_SHOW_JSON}, &got, text);
    /* a tap that got the header alone */
    got.payload = NULL;
    *strstr(text, ",\"data\"") = 0;
    strcat(text, "}\n");
    expect_once((struct lca_show_opts){.as = LCA_SHOW_JSON}, &got, text);
    expect_once((struct lca_show_opts){.as = LCA_SHOW_JSON, .fields = "data,data.0"}, &got, "");
    lca_frame_clear(&got);
    json_decref(dims);
}

static void fields_reach_in(void **state)
{
    (void)state;
    struct lca_frame f = an_eos("{\"loss_last\":0.25,\"layers\":[{\"name\":\"fc1\"},{\"lca\":-1}]}");
    struct lca_show_opts json = {.as = LCA_SHOW_JSON};
    json.fields = "final.loss_last,final.layers.1.lca,nothing,final.layers.2,final.layers.x,next.a";
    expect_once(json, &f, "{\"final.loss_last\":0.25,\"final.layers.1.lca\":-1}\n");
    json.fields = "final.layers";
    expect_once(json, &f, "{\"final.layers\":[{\"name\":\"fc1\"},{\"lca\":-1}]}\n");
    json.fields = "it,final.loss_first";
    expect_once(json, &f, "");
    json.fields = "why";
    expect_once(json, &f, "{\"why\":\"a,\\\"b\\\"\\n\\u001b[31m\xc3\xa9\"}\n");
    json.fields = "a,,b";
    refuses(json, "empty");
    json.fields = "";
    refuses(json, "empty");
    lca_frame_clear(&f);
}

static void bytes_that_are_no_text(void **state)
{
    (void)state;
    static const struct {
        const char *bytes, *json;
    } cases[] = {
        {"\xff" "a", "\"\\ufffda\""}, {"\xc3", "\"\\ufffd\""}, {"\xc0\x80", "\"\\ufffd\\ufffd\""},
        {"\xed\xa0\x80", "\"\\ufffd\\ufffd\\ufffd\""}, {"\xf0\x9f\x98\x80", "\"\xf0\x9f\x98\x80\""},
        {"\xc2\x9b" "1m", "\"\\u009b1m\""}, {"\x7f\t", "\"\\u007f\\t\""},
    };
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        struct lca_buf out = {0};
        struct lca_text t = {.to = &out};
        lca_value_quote(&t, cases[k].bytes, strlen(cases[k].bytes));
        lca_text_put(&t, "", 1);
        assert_string_equal((char *)out.data, cases[k].json);
        lca_buf_clear(&out);
    }
}

static void csv_quotes(void **state)
{
    (void)state;
    struct lca_frame f = an_eos("{\"a\":[1,\"x\"],\"n\":null}");
    struct lca_show_opts csv = {.as = LCA_SHOW_CSV, .fields = "next,why,it,final.a,final.n"};
    struct lca_show *s = show_new(csv);
    const char *row = "3,\"a,\"\"b\"\"\n?[31m\xc3\xa9\",,\"[1,\"\"x\"\"]\",\n";
    char both[200];
    snprintf(both, sizeof both, "next,why,it,final.a,final.n\n%s", row);
    expect(s, &f, 1, both);
    expect(s, &f, 1, row);
    lca_show_free(s);
    lca_frame_clear(&f);
}

static void csv_of_aggregates(void **state)
{
    (void)state;
    const float data[6] = {1, 2, 3, 4, 5, 6};
    json_t *dims = json_pack("[s, s]", "layer", "class");
    json_t *keys = json_pack("{s:[s, s]}", "layer", "fc1", "fc,2");
    struct lca_frame f = an_agg(dims, keys, "classes");
    lca_frame_payload(&f, "<f4", 2, data);
    f.n_sh = 2;
    f.sh[1] = 3;
    struct lca_frame got = sent(f), eos = an_eos("{}");
    f.u.agg.kind = "classes_total";
    struct lca_frame total = sent(f);
    f.u.agg.kind = "classes";
    f.sh[1] = 2;
    struct lca_frame smaller = sent(f);

    struct lca_show *s = show_new((struct lca_show_opts){.as = LCA_SHOW_CSV});
    expect(s, &eos, 0, "");
    expect(s, &got, 1, "it,fc1:class_0,fc1:class_1,fc1:class_2,\"fc,2:class_0\",\"fc,2:class_1\","
                       "\"fc,2:class_2\"\n7,1.0,2.0,3.0,4.0,5.0,6.0\n");
    assert_null(lca_show_left_out(s));
    expect(s, &total, 0, "");
    expect(s, &smaller, 0, "");
    expect(s, &eos, 0, "");
    expect(s, &got, 1, "7,1.0,2.0,3.0,4.0,5.0,6.0\n");
    assert_string_equal(lca_show_left_out(s), "classes_total");
    lca_show_free(s);

    /* a step has a frame of each set */
    f.u.agg.set = "val";
    struct lca_frame val = sent(f);
    s = show_new((struct lca_show_opts){.as = LCA_SHOW_CSV});
    expect(s, &val, 1, "it,set,fc1:class_0,fc1:class_1,\"fc,2:class_0\",\"fc,2:class_1\"\n7,val,1.0,2.0,3.0,4.0\n");
    lca_show_free(s);
    lca_frame_clear(&val);
    lca_frame_clear(&got);
    lca_frame_clear(&total);
    lca_frame_clear(&smaller);
    lca_frame_clear(&eos);
    json_decref(dims);
    json_decref(keys);
}

static void large_payloads_are_asked_for(void **state)
{
    (void)state;
    static const float data[LCA_SHOW_MOST + 1];
    json_t *dims = json_pack("[s]", "bin");
    struct lca_frame f = an_agg(dims, NULL, "hist");
    struct lca_show_opts o = {.as = LCA_SHOW_JSON, .fields = "data"};
    struct lca_buf out = {0};
    struct lca_err err = {0};
    lca_frame_payload(&f, "<f4", LCA_SHOW_MOST + 1, data);
    struct lca_frame got = sent(f);
    expect_once(o, &got, "");
    o.all_data = true;
    struct lca_show *s = show_new(o);
    assert_int_equal(lca_show_frame(s, &got, &out, &err), 1);
    assert_int_equal(out.len, strlen("{\"data\":[]}\n") + 4 * (LCA_SHOW_MOST + 1) - 1);
    lca_show_free(s);
    s = show_new((struct lca_show_opts){.as = LCA_SHOW_CSV});
    assert_int_equal(lca_show_frame(s, &got, &out, &err), -1);
    assert_int_equal(err.status, LCA_USAGE);
    lca_show_free(s);
    expect_once((struct lca_show_opts){.as = LCA_SHOW_CSV, .fields = "data.4096,data.4097"}, &got,
                "data.4096,data.4097\n0.0,\n");
    lca_frame_clear(&got);
    lca_buf_clear(&out);
    json_decref(dims);
}

static void formats(void **state)
{
    (void)state;
    struct lca_frame f = an_eos("{\"x\":0.125,\"n\":-3,\"b\":true,\"s\":\"abc\"}");
    static const struct {
        const char *format, *text;
    } cases[] = {
        {"%{next}\\t%{final.x}\\\\ 100%%\\n", "3\t0.125\\ 100%\n"},
        {"%{final.x:.2f} %{final.x:+9.1e}|", "0.12  +1.2e-01|"},
        {"%{final.n:05d} %{next:d} %{next:.1f} %{final.x:d}|", "-0003 3 3.0 0.125|"},
        {"%{next:x} %{final.n:g}|", "3 -3|"},
        {"%{final.s:5s}|%{final.s:-5s}|%{final.s:.2s}|", "  abc|abc  |ab|"},
        {"%{final.s:6.1f}|%{nothing:4d}|%{final.b:-6d}|", "   abc|    |true  |"},
        {"x", "x"},
        {"%{nothing} and %{it}\\n", ""},
        {"", ""},
    };
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        struct lca_show_opts o = {.as = LCA_SHOW_FORMAT, .format = cases[k].format};
        struct lca_show *s = show_new(o);
        expect(s, &f, *cases[k].text || !*cases[k].format, cases[k].text);
        lca_show_free(s);
    }
    static const char *const bad[][2] = {
        {"%{it", "brace"}, {"%{}", "nothing"}, {"%d", "single %"}, {"\\q", "\\q"}, {"a\\", "\\"},
        {"%{it:}", "number"}, {"%{it:.3}", "number"}, {"%{it:n}", "number"}, {"%{it:ld}", "number"},
        {"%{it:100f}", "number"}, {"%{it:.100f}", "number"}, {"%{it:*d}", "number"},
        {"%{it:-----d}", "number"}, {"%{it:d}%", "single %"},
    };
    for (size_t k = 0; k < sizeof bad / sizeof *bad; k++)
        refuses((struct lca_show_opts){.as = LCA_SHOW_FORMAT, .format = bad[k][0]}, bad[k][1]);
    lca_frame_clear(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(floats_read_back),
        cmocka_unit_test(numbers_are_short),
        cmocka_unit_test(json_has_all_keys),
        cmocka_unit_test(fields_reach_in),
        cmocka_unit_test(bytes_that_are_no_text),
        cmocka_unit_test(csv_quotes),
        cmocka_unit_test(csv_of_aggregates),
        cmocka_unit_test(large_payloads_are_asked_for),
        cmocka_unit_test(formats),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
