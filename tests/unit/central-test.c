/* Moments against numbers of scipy, in any order of pieces, far from zero, and where
 * there is no spread. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lca/central.h"

static void near(double x, double want, double relative)
{
    if (!(fabs(x - want) <= relative * fabs(want)))
        fail_msg("%.17g is not within %g of %.17g", x, relative, want);
}

static struct lca_central of(const float *v, size_t n)
{
    struct lca_central c = {0};
    lca_central_add(&c, v, n);
    return c;
}

static void sine(float *v, size_t n)
{
    for (size_t i = 0; i < n; i++)
        v[i] = (float)sin((double)i);
}

static void ten_values_have_the_moments_of_scipy(void **state)
{
    (void)state;
    const float v[] = {1, 2, 4, 8, 16, -3, 0.5f, 7, 9, -20};
    struct lca_central c = of(v, 10);
    near(c.n, 10, 0);
    near(c.mean, 2.45, 1e-15);
    near(lca_central_deviation(&c), 9.056627407594949, 1e-14);
    near(lca_central_skewness(&c), -1.1374599991757788, 1e-13);
    near(lca_central_kurtosis(&c), 1.3380910699053308, 1e-13);
    struct lca_test test = lca_central_kurtosis_test(&c);
    near(test.z, 1.9813429057110172, 1e-12);
    near(test.p, 0.047552831840809745, 1e-12);
}

static void light_tails_have_a_negative_z(void **state)
{
    (void)state;
    static float v[1000];
    sine(v, 1000);
    struct lca_central c = of(v, 1000);
    near(lca_central_kurtosis(&c), -1.4985055023287743, 1e-12);
    for (int i = 0; i < 1000; i++)
        v[i] = (float)sin(i + 0.2 * sin(7 * i)) * (float)(1 + 0.7 * sin(3 * i));
    c = of(v, 1000);
    struct lca_test test = lca_central_kurtosis_test(&c);
    near(lca_central_kurtosis(&c), -0.5209246290119554, 1e-6);
    near(test.z, -4.5243955837964345, 1e-6);
    near(test.p, 6.056834587383805e-06, 1e-5);
}

static void pieces_in_any_order_say_the_same(void **state)
{
    (void)state;
    enum { N = 5000 };
    static float v[N];
    sine(v, N);
    for (int i = 0; i < N; i++)
        v[i] = v[i] * v[i] * v[i] * 1e-7f + (i % 97 == 0 ? 1e-5f : 0);
    struct lca_central whole = of(v, N);
    for (size_t piece = 1; piece <= N; piece = 3 * piece + 1) {
        struct lca_central forward = {0}, backward = {0};
        for (size_t i = 0; i < N; i += piece) {
            size_t n = piece < N - i ? piece : N - i;
            lca_central_add(&forward, v + i, n);
            struct lca_central part = of(v + i, n);
            lca_central_merge(&part, &backward);
            backward = part;
        }
        near(forward.mean, whole.mean, 1e-12);
        near(backward.n, N, 0);
        near(lca_central_deviation(&forward), lca_central_deviation(&whole), 1e-12);
        near(lca_central_kurtosis(&forward), lca_central_kurtosis(&whole), 1e-11);
        near(lca_central_kurtosis(&backward), lca_central_kurtosis(&whole), 1e-11);
        near(lca_central_skewness(&backward), lca_central_skewness(&whole), 1e-11);
    }
}

static void a_large_mean_takes_no_digits(void **state)
{
    (void)state;
    float near_zero[1024], far[1024];
    for (int i = 0; i < 1024; i++) {
        near_zero[i] = (float)(i * i % 61 - 30);
        far[i] = near_zero[i] + 8388608;            /* exact in float; squares of it would not be */
    }
    struct lca_central a = of(near_zero, 1024), b = of(far, 1024);
    near(lca_central_deviation(&b), lca_central_deviation(&a), 1e-12);
    near(lca_central_kurtosis(&b), lca_central_kurtosis(&a), 1e-9);
}

static void without_spread_there_is_no_kurtosis(void **state)
{
    (void)state;
    const float same[] = {0.1f, 0.1f, 0.1f, 0.1f, 0.1f, 0.1f, 0.1f}, few[] = {1, 2, 4, 8};
    struct lca_central c = {0};
    lca_central_add(&c, NULL, 0);
    assert_true(c.n == 0 && isnan(lca_central_deviation(&c)) && isnan(lca_central_kurtosis_test(&c).p));
    c = of(same, 7);
    assert_true(lca_central_deviation(&c) == 0 && c.mean == 0.1f);
    assert_true(isnan(lca_central_kurtosis(&c)) && isnan(lca_central_skewness(&c)));
    assert_true(isnan(lca_central_kurtosis_test(&c).z) && isnan(lca_central_kurtosis_test(&c).p));
    c = of(few, 4);
    assert_true(isfinite(lca_central_kurtosis(&c)) && isnan(lca_central_kurtosis_test(&c).z));
    struct lca_central empty = {0}, before = c;
    lca_central_merge(&c, &empty);
    assert_memory_equal(&c, &before, sizeof c);
    lca_central_merge(&empty, &before);
    near(empty.m4, before.m4, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ten_values_have_the_moments_of_scipy),
        cmocka_unit_test(light_tails_have_a_negative_z),
        cmocka_unit_test(pieces_in_any_order_say_the_same),
        cmocka_unit_test(a_large_mean_takes_no_digits),
        cmocka_unit_test(without_spread_there_is_no_kurtosis),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
