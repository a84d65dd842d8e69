/* What src/plot makes of lines and texts, without drawing. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "plot/plot.h"

#define HEAD "{\"t\":\"HEAD\",\"model\":\"m\",\"P\":3,\"it0\":0,\"it1\":9}\n"
#define AGG(more) "{\"t\":\"agg\",\"kind\":\"layers\",\"set\":\"train\",\"it\":4," more "}\n"
#define TWO "\"dims\":[\"layer\"],\"keys\":{\"layer\":[\"a\",\"b\"]},\"sh\":[2]"

static int line(struct lca_plot_run *r, const char *text, struct lca_err *err)
{
    *err = (struct lca_err){0};
    return lca_plot_run_line(r, text, strlen(text), err);
}

static void lines_are_taken(void **state)
{
    (void)state;
    struct lca_err err;
    struct lca_plot_run r = {.takes = "x,layers", .name = "in"};
    assert_int_equal(line(&r, HEAD, &err), 0);
    assert_int_equal(line(&r, AGG(TWO ",\"data\":[0.1,\"NaN\"],\"more\":{\"L0\":2.5}"), &err), 0);
    assert_int_equal(line(&r, AGG(TWO ",\"data\":[\"-Infinity\",7]"), &err), 0);
    assert_int_equal(line(&r, "{\"t\":\"agg\",\"kind\":\"layers_total\",\"it\":4}\n", &err), 0);     /* not asked for */
    assert_int_equal(r.n, 2);
    const struct lca_plot_agg *a = lca_plot_next(&r, NULL, "layers", "train", NULL);
    assert_true(a->v[0] == 0.1 && isnan(a->v[1]) && lca_plot_more(a, "L0") == 2.5 && isnan(lca_plot_more(a, "L1")));
    assert_int_equal(lca_plot_place(a, "layer", "b"), 1);
    assert_int_equal(lca_plot_place(a, "layer", "c"), -1);
    assert_int_equal(lca_plot_size(a, "unit"), 0);
    const struct lca_plot_agg *b = lca_plot_next(&r, a, "layers", NULL, "a");
    assert_true(isinf(b->v[0]) && b->v[0] < 0 && b->v[1] == 7);
    assert_ptr_equal(a->keys, b->keys);     /* the same labels are kept once */
    assert_null(lca_plot_next(&r, b, "layers", NULL, NULL));
    assert_null(lca_plot_next(&r, NULL, "layers", "val", NULL));
    assert_int_equal(line(&r, "{\"t\":\"EOS\",\"status\":\"ok\"}\n", &err), 0);
    assert_true(r.ended && !r.stopped);
    assert_int_equal(lca_plot_steps(&r), 5);
    assert_int_equal(lca_plot_length(&r), 9);
    assert_int_equal(line(&r, HEAD, &err), -1);     /* after the end */
    lca_plot_run_clear(&r);
}

static void bad_lines_are_refused(void **state)
{
    static const struct {
        const char *line;
        int status;
    } bad[] = {
        {"nonsense\n", LCA_CORRUPT}, {"[1]\n", LCA_CORRUPT}, {"{\"lost\":2}\n", LCA_CORRUPT}, {HEAD, LCA_CORRUPT},
        {AGG(TWO), LCA_USAGE}, {AGG(TWO ",\"data\":[1]"), LCA_USAGE}, {AGG(TWO ",\"data\":[1,2,3]"), LCA_USAGE},
        {AGG(TWO ",\"data\":[1,\"two\"]"), LCA_CORRUPT}, {AGG(TWO ",\"data\":[1,null]"), LCA_CORRUPT},
        {AGG("\"dims\":[],\"sh\":[],\"data\":[]"), LCA_CORRUPT},
        {AGG("\"dims\":[\"layer\"],\"keys\":{\"layer\":[\"a\"]},\"sh\":[2],\"data\":[1,2]"), LCA_CORRUPT},
        {AGG("\"dims\":[\"layer\"],\"keys\":{\"layer\":[\"a\",{}]},\"sh\":[2],\"data\":[1,2]"), LCA_CORRUPT},
        {AGG("\"dims\":[7],\"sh\":[1],\"data\":[1]"), LCA_CORRUPT},
        {AGG("\"dims\":[\"a\"],\"sh\":[-1],\"data\":[]"), LCA_CORRUPT},
        {AGG("\"dims\":[\"a\",\"b\"],\"sh\":[60000000,60000000],\"data\":[]"), LCA_CORRUPT},
        {AGG("\"dims\":[\"a\",\"b\",\"c\",\"d\",\"e\"],\"sh\":[1,1,1,1,1],\"data\":[1]"), LCA_CORRUPT},
        {"{\"t\":\"agg\",\"kind\":\"layers\",\"set\":\"../x\"," TWO ",\"data\":[1,2]}\n", LCA_CORRUPT},
        {"{\"t\":\"EOS\",\"status\":\"failed\",\"why\":\"no power\"}\n", LCA_UPSTREAM},
    };
    (void)state;
    struct lca_err err;
    for (size_t k = 0; k < sizeof bad / sizeof *bad; k++) {
        struct lca_plot_run r = {.takes = "layers", .name = "in"};
        assert_int_equal(line(&r, HEAD, &err), 0);
        if (line(&r, bad[k].line, &err) != -1 || err.status != bad[k].status)
            fail_msg("%s gives status %d", bad[k].line, err.status);
        assert_memory_equal(err.text, "in: ", 4);
        lca_plot_run_clear(&r);
    }
    struct lca_plot_run r = {.takes = "layers", .name = "in"};
    assert_int_equal(line(&r, AGG(TWO ",\"data\":[1,2]"), &err), -1);      /* without HEAD */
    lca_plot_run_clear(&r);
}

static void quotes_hold_whatever_is_in_them(void **state)
{
    (void)state;
    char long_text[3000];
    memset(long_text, '\'', sizeof long_text - 1);
    long_text[sizeof long_text - 1] = 0;
    assert_string_equal(lca_plot_quote("conv1").text, "'conv1'");
    assert_string_equal(lca_plot_quote("it's a_b^{c}\n").text, "'it''s a\\_b\\^\\{c\\} '");
    assert_string_equal(lca_plot_quote("`id` @x & ~ \\").text, "'`id` \\@x \\& \\~ \\\\'");
    struct lca_plot_quoted q = lca_plot_quote(long_text);
    size_t n = strlen(q.text);
    assert_true(n < sizeof q.text && n % 2 == 0);       /* every quote within it is doubled */
}

static void tics_are_round(void **state)
{
    (void)state;
    assert_true(lca_plot_tics(880, 4) == 500 && lca_plot_tics(100, 10) == 10 && lca_plot_tics(4, 2) == 2);
    assert_true(fabs(lca_plot_tics(0.003, 5) - 0.001) < 1e-12);
    assert_true(lca_plot_tics(0, 5) == 1 && lca_plot_tics(NAN, 5) == 1);
}

static void clip_is_the_percentile_of_sizes(void **state)
{
    (void)state;
    double v[201];
    for (int k = 0; k < 200; k++)
        v[k] = k % 2 ? -(k + 1) : k + 1;
    v[200] = NAN;
    assert_true(lca_plot_clip(v, 201, 0.99) == 198);
    assert_true(lca_plot_clip(v, 0, 0.99) == 0);
}

static void numbers_read_back(void **state)
{
    (void)state;
    double value[] = {0.1, -1.0 / 3, 5e-324, 1.7976931348623157e308, 0, NAN};
    char *text = NULL;
    size_t size = 0;
    FILE *to = open_memstream(&text, &size);
    for (size_t k = 0; k < 6; k++)
        lca_plot_number(to, value[k], '\n');
    fclose(to);
    char *at = text;
    for (size_t k = 0; k < 6; k++) {
        double got = strtod(at, &at);
        assert_true(k == 5 ? isnan(got) : got == value[k]);
        assert_int_equal(*at, '\n');
    }
    free(text);
}

static void colours_differ(void **state)
{
    (void)state;
    for (unsigned n = 1; n <= 22; n++) {
        char before[8] = "";
        for (unsigned k = 0; k < n; k++) {
            assert_int_equal(strlen(lca_plot_colour(k, n)), 7);
            assert_string_not_equal(lca_plot_colour(k, n), before);
            assert_string_not_equal(lca_plot_colour(k, n), LCA_PLOT_HELPS);
            assert_string_not_equal(lca_plot_colour(k, n), LCA_PLOT_HURTS);
            strcpy(before, lca_plot_colour(k, n));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_are_taken), cmocka_unit_test(bad_lines_are_refused),
        cmocka_unit_test(quotes_hold_whatever_is_in_them), cmocka_unit_test(tics_are_round),
        cmocka_unit_test(clip_is_the_percentile_of_sizes), cmocka_unit_test(numbers_read_back),
        cmocka_unit_test(colours_differ),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
