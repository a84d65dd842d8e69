/* The test of Kolmogorov and Smirnov: distances by hand, p by scipy and by counting. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lca/ks.h"

static void near(double x, double want, double relative)
{
    if (!(fabs(x - want) <= relative * fabs(want)))
        fail_msg("%.17g is not within %g of %.17g", x, relative, want);
}

static double exact(double d, size_t n, size_t m)
{
    struct lca_err err = {0};
    double p;
    if (lca_ks_exact(&p, d, n, m, &err) < 0)
        fail_msg("%s", err.text);
    return p;
}

static double asymptotic(double d, size_t n, size_t m)
{
    struct lca_err err = {0};
    double p;
    if (lca_ks_asymptotic(&p, d, n, m, &err) < 0)
        fail_msg("%s", err.text);
    return p;
}

static void distances_by_hand(void **state)
{
    (void)state;
    double a[] = {7, 6, 5, 4, 3, 2, 1}, b[] = {10, 8, 9, 3.5, 2.5}, low[] = {1, 2}, high[] = {3, 4, 5};
    double ties[] = {1, 1, 2, 2}, also[] = {1, 2, 2, 2};
    near(lca_ks_distance(a, 7, b, 5), 0.6, 1e-15);
    assert_true(a[0] == 1 && b[4] == 10);       /* sorted */
    near(lca_ks_distance(low, 2, high, 3), 1, 0);
    near(lca_ks_distance(high, 3, low, 2), 1, 0);
    near(lca_ks_distance(ties, 4, also, 4), 0.25, 0);
    near(lca_ks_distance(ties, 4, ties, 4), 0, 0);
    assert_true(isnan(lca_ks_distance(a, 0, b, 5)) && isnan(lca_ks_distance(a, 7, b, 0)));
}

static void exact_p_is_that_of_scipy(void **state)
{
    (void)state;
    near(exact(0.6, 7, 5), 0.16666666666666663, 1e-13);
    near(exact(20.0 / 35, 7, 5), 0.23737373737373738, 1e-13);
    near(exact(0.25, 100, 50), 0.028896026934948135, 1e-11);
    near(exact(300000.0 / 562128, 784, 717), 3.185984264848097e-98, 1e-9);
    near(exact(0.25, 9, 4), 0.9776223776223776, 1e-13);
    near(exact(1, 10, 10), 2 / 184756.0, 1e-13);
    near(exact(1, 1, 1), 1, 0);
}

/* All orders of n + m values, as sets of bits: share whose distance is at least d. */
static double by_counting(double d, int n, int m)
{
    int all = 0, reached = 0;
    for (unsigned set = 0; set < 1u << (n + m); set++) {
        if (__builtin_popcount(set) != n)
            continue;
        int i = 0, j = 0;
        double most = 0;
        for (int k = 0; k < n + m; k++) {
            if (set >> k & 1)
                i++;
            else
                j++;
            most = fmax(most, fabs((double)i / n - (double)j / m));
        }
        all++;
        reached += most >= d - 1e-12;
    }
    return (double)reached / all;
}

static void exact_p_counts_orders(void **state)
{
    (void)state;
    for (int n = 1; n <= 6; n++)
        for (int m = 1; m <= 6; m++)
            for (int h = 1; h <= n * m; h++)
                near(exact(h / (double)(n * m), (size_t)n, (size_t)m), by_counting(h / (double)(n * m), n, m), 1e-13);
}

static void asymptotic_p_is_that_of_scipy(void **state)
{
    (void)state;
    /* n values against so many that n m / (n + m) rounds to n: the one-sample statistic */
    static const struct {
        size_t n;
        double d, p;
    } of[] = {{1, 0.9, 0.19999999999999996}, {2, 0.3, 0.98}, {2, 0.5, 0.5}, {5, 0.3, 0.664}, {5, 0.5, 0.112},
              {5, 0.9, 1.9999999999999978e-05}, {20, 0.05, 0.9999999767980384}, {20, 0.1, 0.976255094592155},
              {20, 0.3, 0.04306706665851623}, {20, 0.9, 2.0006866455078037e-20}, {100, 0.05, 0.9532159710635725},
              {100, 0.1, 0.2526927570063874}, {100, 0.3, 1.7719869892662917e-08}, {140, 0.1, 0.11353657290090946},
              {392, 0.3, 8.748631795579071e-32}, {1000, 0.5, 1.064517291557782e-231}};
    for (size_t k = 0; k < sizeof of / sizeof *of; k++)
        near(asymptotic(of[k].d, of[k].n, 1000000000), of[k].p, 1e-9);
    /* where scipy itself is good to seven digits */
    near(asymptotic(0.1, 141, 1000000000), 0.11128445516467933, 1e-5);
    near(asymptotic(0.05, 392, 1000000000), 0.2718016303072319, 1e-5);
    near(asymptotic(0.6, 7, 5), 0.144, 1e-12);
    near(asymptotic(0.25, 9, 4), 0.9722222222222222, 1e-12);
    near(asymptotic(1, 10, 10), 0, 0);
}

static void both_ways_to_the_asymptotic_p_meet(void **state)
{
    (void)state;
    for (size_t n = 10; n <= 640; n *= 2) {     /* n d^2 = 4: the matrix below, the sum above */
        double d = 2 / sqrt((double)n), below = asymptotic(d * (1 - 1e-9), n, 1000000000);
        near(asymptotic(d * (1 + 1e-9), n, 1000000000), below, 1e-5);
    }
}

static void no_distance_and_no_samples(void **state)
{
    (void)state;
    near(exact(0, 5, 6), 1, 0);
    near(asymptotic(0, 5, 6), 1, 0);
    near(asymptotic(1e-3, 50, 50), 1, 0);
    assert_true(isnan(exact(NAN, 0, 6)) && isnan(asymptotic(NAN, 0, 6)) && isnan(exact(NAN, 3, 3)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(distances_by_hand),
        cmocka_unit_test(exact_p_is_that_of_scipy),
        cmocka_unit_test(exact_p_counts_orders),
        cmocka_unit_test(asymptotic_p_is_that_of_scipy),
        cmocka_unit_test(both_ways_to_the_asymptotic_p_meet),
        cmocka_unit_test(no_distance_and_no_samples),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
