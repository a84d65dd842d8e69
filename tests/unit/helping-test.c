/* Percent helping by hand, and against a plain count. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/rng.h"
#include "lca/helping.h"

static void test_by_hand(void **state)
{
    (void)state;
    const float A[] = {-0.0f, -1e-45f, 1e-45f, -3, 1, 0, -1};
    uint32_t helped[7] = {5};
    struct lca_helping c;
    double m[LCA_HELP_MEASURES];
    lca_helping_count(&c, A, helped, 7);
    assert_true(c.n == 7 && c.negative == 3 && c.zero == 2 && c.helped == 4 && c.all == 5);
    struct lca_helping signs;
    lca_helping_signs(&signs, A, 7);
    assert_true(signs.n == 7 && signs.negative == 3 && signs.zero == 2 && signs.all == 0);
    const uint32_t want[] = {5, 1, 0, 1, 0, 0, 1};
    assert_memory_equal(helped, want, sizeof want);
    lca_helping_measure(m, &c);
    assert_true(m[LCA_HELP_P] == 300.0 / 7 && m[LCA_HELP_Q] == 60 && m[LCA_HELP_Z] == 200.0 / 7 && m[LCA_HELP_W] == 80);
}

static void test_nothing(void **state)
{
    (void)state;
    const float still[9] = {0}, hurt[9] = {1, 2, 3, 4, 5, 6, 7, 8, 1e-3f};
    uint32_t helped[9] = {0};
    struct lca_helping c, sum = {0};
    double m[LCA_HELP_MEASURES];
    lca_helping_count(&c, still, helped, 0);
    lca_helping_measure(m, &c);
    assert_true(isnan(m[LCA_HELP_P]) && isnan(m[LCA_HELP_Q]) && isnan(m[LCA_HELP_Z]) && isnan(m[LCA_HELP_W]));
    lca_helping_count(&c, still, helped, 9);
    lca_helping_measure(m, &c);
    assert_true(m[LCA_HELP_P] == 0 && isnan(m[LCA_HELP_Q]) && m[LCA_HELP_Z] == 100 && isnan(m[LCA_HELP_W]));
    lca_helping_add(&sum, &c);
    lca_helping_count(&c, hurt, helped, 9);
    lca_helping_measure(m, &c);
    assert_true(m[LCA_HELP_P] == 0 && m[LCA_HELP_Q] == 0 && m[LCA_HELP_Z] == 0 && m[LCA_HELP_W] == 0);
    lca_helping_add(&sum, &c);
    assert_true(sum.n == 18 && sum.zero == 9 && sum.negative == 0 && sum.all == c.all);
}

static void test_many(void **state)
{
    (void)state;
    enum { N = 9001 };
    static float A[N];
    static uint32_t helped[N], want[N];
    struct lca_rng r = {3, LCA_RNG_TEST, 0};
    for (int trial = 0; trial < 3; trial++) {
        struct lca_helping c, w = {.n = N};
        r.step = (uint64_t)trial;
        for (uint64_t i = 0; i < N; i++) {
            double u = lca_rng_uniform(&r, 2 * i), x = lca_rng_normal(&r, 2 * i + 1);
            A[i] = u < 0.3 ? 0 : (float)(x * x * x);
            want[i] += A[i] < 0;
            w.negative += A[i] < 0;
            w.zero += A[i] == 0;
            w.all += fabs((double)A[i]);
            w.helped += A[i] < 0 ? -A[i] : 0;
        }
        lca_helping_count(&c, A, helped, N);
        assert_true(c.n == N && c.negative == w.negative && c.zero == w.zero);
        assert_true(fabs(c.all - w.all) <= 1e-13 * w.all && fabs(c.helped - w.helped) <= 1e-13 * w.all);
        assert_memory_equal(helped, want, sizeof want);
        lca_helping_signs(&c, A, N);
        assert_true(c.n == N && c.negative == w.negative && c.zero == w.zero);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_by_hand),
        cmocka_unit_test(test_nothing),
        cmocka_unit_test(test_many),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
