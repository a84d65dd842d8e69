/* What --steps, --layers and --classes leave, and the search for NaN and infinity. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/finite.h"
#include "filter/select.h"

static struct lca_steps_wanted steps(const char *text)
{
    struct lca_select_args a = {.steps = text};
    struct lca_steps_wanted w;
    struct lca_err err = {0};
    assert_int_equal(lca_select_steps(&w, &a, &err), 0);
    return w;
}

static void test_steps(void **state)
{
    (void)state;
    assert_true(steps(NULL).from == 0 && steps(NULL).to == UINT64_MAX && steps(NULL).every == 1);
    assert_true(steps("3:7").from == 3 && steps("3:7").to == 7);
    assert_true(steps(":7").from == 0 && steps(":7").to == 7);
    assert_true(steps("3:").from == 3 && steps("3:").to == UINT64_MAX);
    assert_true(steps(":").to == UINT64_MAX);
    static const char *const bad[] = {"", "3", "a:b", "3:7:9", "7:3", "3:3", "-3:7", " 3:7", "3:7 ", "3:-1",
                                      "99999999999999999999:"};
    for (size_t k = 0; k < sizeof bad / sizeof *bad; k++) {
        struct lca_select_args a = {.steps = bad[k]};
        struct lca_steps_wanted w;
        struct lca_err err = {0};
        assert_int_equal(lca_select_steps(&w, &a, &err), -1);
        assert_int_equal(err.status, LCA_USAGE);
    }
}

/* Three layers of 6 + 2, 8 + 2 + 2 + 2 and 4 + 1 parameters. */
static void make_table(struct lca_table *t)
{
    struct lca_err err = {0};
    uint32_t a[] = {3, 2}, two[] = {2}, b[] = {1, 2, 2, 2}, c[] = {4, 1}, one[] = {1};
    memset(t, 0, sizeof *t);
    assert_int_equal(lca_table_add(t, "dense1", "dense1/kernel", LCA_KERNEL, a, 2, &err), 0);
    assert_int_equal(lca_table_add(t, "dense1", "dense1/bias", LCA_BIAS, two, 1, &err), 0);
    assert_int_equal(lca_table_add(t, "block1/conv1", "block1/conv1/kernel", LCA_KERNEL, b, 4, &err), 0);
    assert_int_equal(lca_table_add(t, "block1/conv1", "block1/conv1/bias", LCA_BIAS, two, 1, &err), 0);
    assert_int_equal(lca_table_add(t, "block1/conv1", "block1/conv1/gamma", LCA_GAMMA, two, 1, &err), 0);
    assert_int_equal(lca_table_add(t, "block1/conv1", "block1/conv1/beta", LCA_BETA, two, 1, &err), 0);
    assert_int_equal(lca_table_add(t, "dense2", "dense2/kernel", LCA_KERNEL, c, 2, &err), 0);
    assert_int_equal(lca_table_add(t, "dense2", "dense2/bias", LCA_BIAS, one, 1, &err), 0);
}

static void test_layers(void **state)
{
    (void)state;
    struct lca_table t;
    struct lca_err err = {0};
    make_table(&t);
    assert_int_equal(lca_select_layers(&t, NULL, &err), 0);
    assert_true(t.n_layer == 3 && t.n_tensor == 8);
    /* * also matches the slash */
    assert_int_equal(lca_select_layers(&t, "block*,dense[2-9]", &err), 0);
    assert_true(t.n_layer == 2 && t.n_tensor == 6 && t.P == 27);
    assert_string_equal(t.layer[0].name, "block1/conv1");
    assert_true(t.layer[0].off == 8 && t.layer[0].len == 14 && t.layer[0].first == 0 && t.layer[0].n == 4);
    assert_true(t.layer[1].off == 22 && t.layer[1].len == 5 && t.layer[1].first == 4 && t.layer[1].n == 2);
    assert_true(t.tensor[0].off == 8 && t.tensor[0].layer == 0 && t.tensor[3].kind == LCA_BETA);
    assert_true(t.tensor[4].off == 22 && t.tensor[4].layer == 1 && t.tensor[5].off == 26);
    lca_table_clear(&t);

    static const char *const bad[] = {"conv", "dense*,conv*", "", "dense1,", ",dense1"};
    for (size_t k = 0; k < sizeof bad / sizeof *bad; k++) {
        make_table(&t);
        assert_int_equal(lca_select_layers(&t, bad[k], &err), -1);
        assert_int_equal(err.status, LCA_USAGE);
        assert_non_null(strstr(err.text, "there are dense1 block1/conv1 dense2"));
        lca_table_clear(&t);
    }
}

static void test_classes(void **state)
{
    (void)state;
    struct lca_err err = {0};
    json_t *all = json_pack("[{s:s, s:i}, {s:s, s:i}, {s:s, s:i}, {s:s, s:i}]", "name", "cat", "n", 5, "name", "dog",
                            "n", 6, "name", "0", "n", 7, "name", "3", "n", 8), *kept;
    int place[4];
    assert_int_equal(lca_select_classes(all, NULL, place, &kept, &err), 0);
    for (int c = 0; c < 4; c++)
        assert_int_equal(place[c], c);
    json_decref(kept);
    /* a name goes before a number: "0" is the third, 1 the second */
    assert_int_equal(lca_select_classes(all, "3,1,0,dog", place, &kept, &err), 0);
    assert_true(place[0] == -1 && place[1] == 0 && place[2] == 1 && place[3] == 2);
    assert_int_equal(json_array_size(kept), 3);
    assert_string_equal(json_string_value(json_object_get(json_array_get(kept, 1), "name")), "0");
    json_decref(kept);
    static const char *const bad[] = {"cow", "4", "cat,", "", "1x", "-1"};
    for (size_t k = 0; k < sizeof bad / sizeof *bad; k++) {
        assert_int_equal(lca_select_classes(all, bad[k], place, &kept, &err), -1);
        assert_int_equal(err.status, LCA_USAGE);
        assert_non_null(strstr(err.text, "there are cat dog 0 3"));
    }
    json_decref(all);
}

static void test_note(void **state)
{
    (void)state;
    struct lca_select_args none = {.every = 1}, some = {"3:7", "dense*", "cat", 5};
    json_t *a = json_object(), *b = json_object();
    json_t *want = json_pack("{s:s, s:s, s:s, s:i}", "steps", "3:7", "layers", "dense*", "classes", "cat", "every", 5);
    lca_select_note(a, &none);
    lca_select_note(b, &some);
    assert_int_equal(json_object_size(a), 0);
    assert_true(json_equal(b, want));
    json_decref(a);
    json_decref(b);
    json_decref(want);
}

static void test_finite(void **state)
{
    (void)state;
    enum { N = 5000 };
    static float v[N];
    for (int i = 0; i < N; i++)
        v[i] = i % 2 ? -3.4e38f : 1e-45f;
    assert_true(lca_finite(v, N) == N && lca_finite(v, 0) == 0);
    static const int at[] = {0, 1, 1023, 1024, 4095, 4096, 4999};
    const float bad[] = {NAN, -NAN, INFINITY, -INFINITY};
    for (size_t k = 0; k < sizeof at / sizeof *at; k++) {
        for (size_t b = 0; b < sizeof bad / sizeof *bad; b++) {
            float old = v[at[k]];
            v[at[k]] = bad[b];
            assert_int_equal(lca_finite(v, N), at[k]);
            assert_int_equal(lca_finite(v, (uint64_t)at[k]), at[k]);
            v[at[k]] = old;
        }
    }
    v[700] = v[2000] = NAN;
    assert_int_equal(lca_finite(v, N), 700);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_steps),
        cmocka_unit_test(test_layers),
        cmocka_unit_test(test_classes),
        cmocka_unit_test(test_note),
        cmocka_unit_test(test_finite),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
