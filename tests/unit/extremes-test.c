/* The least, the greatest and some at random. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lca/extremes.h"

enum { N = 500 };

/* Place k of the order by value and place, found by counting. */
static uint64_t slow(const double *v, uint64_t n, double sign, uint64_t k)
{
    for (uint64_t i = 0; i < n; i++) {
        uint64_t ahead = 0;
        for (uint64_t j = 0; j < n; j++)
            ahead += sign * v[j] < sign * v[i] || (v[j] == v[i] && j < i);
        if (ahead == k)
            return i;
    }
    return UINT64_MAX;
}

static void test_extremes(void **state)
{
    (void)state;
    static double v[N];
    uint64_t place[N];
    struct lca_rng r = {1, LCA_RNG_TEST, 0};
    for (uint64_t i = 0; i < N; i++)
        v[i] = (double)lca_rng_below(&r, i, 60) - 30;       /* with many ties */
    static const uint64_t ks[] = {0, 1, 2, 3, 50, N - 1, N};
    for (size_t t = 0; t < sizeof ks / sizeof *ks; t++) {
        for (int sign = -1; sign <= 1; sign += 2) {
            lca_extremes(v, N, sign, place, ks[t]);
            for (uint64_t k = 0; k < ks[t]; k++)
                assert_int_equal(place[k], slow(v, N, sign, k));
        }
    }
    /* all the same: the lowest places, for either sign; 0 and -0 are the same */
    const double same[] = {0.0, -0.0, 0.0, -0.0, 0.0};
    for (int sign = -1; sign <= 1; sign += 2) {
        lca_extremes(same, 5, sign, place, 3);
        assert_true(place[0] == 0 && place[1] == 1 && place[2] == 2);
    }
}

static void test_sample(void **state)
{
    (void)state;
    uint64_t number[N], times[10] = {0};
    for (uint64_t trial = 0; trial < 3000; trial++) {
        struct lca_rng r = {1, LCA_RNG_TEST, trial};
        lca_sample(&r, 10, number, 3);
        for (int k = 0; k < 3; k++) {
            assert_true(number[k] < 10 && (k == 0 || number[k] > number[k - 1]));
            times[number[k]]++;
        }
    }
    /* each in 3 of 10 trials: 900, deviation 25 */
    for (int i = 0; i < 10; i++)
        assert_in_range(times[i], 800, 1000);
    struct lca_rng r = {1, LCA_RNG_TEST, 0};
    lca_sample(&r, N, number, N);
    for (uint64_t i = 0; i < N; i++)
        assert_int_equal(number[i], i);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_extremes),
        cmocka_unit_test(test_sample),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
