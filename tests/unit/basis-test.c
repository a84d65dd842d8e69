/* Directions: scalar products, the test for an orthonormal basis, random ones. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lca/basis.h"

static void test_dots(void **state)
{
    (void)state;
    double q[20] = {0}, want = 0, squares = 0;
    float v[20] = {0};
    assert_true(lca_dot(q, v, 0) == 0);
    for (int i = 0; i < 20; i++) {
        q[i] = i - 7;
        v[i] = (float)(3 - i);
        want += q[i] * v[i];
        squares += q[i] * q[i] * v[i];
        assert_true(lca_dot(q, v, (uint64_t)i + 1) == want);
        assert_true(lca_dot_squares(q, v, (uint64_t)i + 1) == squares);
    }
}

static void test_error(void **state)
{
    (void)state;
    uint64_t a, b;
    double q[] = {0.6, 0.8, 0, -0.8, 0.6, 0, 0, 0, 1};
    assert_true(lca_basis_error(q, 3, 3, &a, &b) < 1e-15);
    q[8] = 1.25;
    assert_true(fabs(lca_basis_error(q, 3, 3, &a, &b) - 0.5625) < 1e-15 && a == 2 && b == 2);
    q[8] = 1;
    q[3] = 0.8;         /* 0.48 + 0.48 */
    assert_true(fabs(lca_basis_error(q, 3, 3, &a, &b) - 0.96) < 1e-15 && a == 0 && b == 1);
    q[3] = NAN;
    assert_true(!(lca_basis_error(q, 3, 3, &a, &b) < 1e-5));
}

static void test_random(void **state)
{
    (void)state;
    enum { K = 12, N = 200 };
    static double q[K * N], again[K * N], other[K * N];
    uint64_t a, b;
    lca_basis_random(q, K, N, 1);
    lca_basis_random(again, K, N, 1);
    lca_basis_random(other, K, N, 2);
    assert_true(lca_basis_error(q, K, N, &a, &b) < 1e-14);
    assert_memory_equal(q, again, sizeof q);
    assert_memory_not_equal(q, other, sizeof q);
    /* no place is preferred: each has k/n of the squares on average */
    double most = 0;
    for (int i = 0; i < N; i++) {
        double sum = 0;
        for (int j = 0; j < K; j++)
            sum += q[j * N + i] * q[j * N + i];
        most = fmax(most, sum);
    }
    assert_true(most < 5.0 * K / N);
    /* as many directions as places */
    lca_basis_random(q, 20, 20, 3);
    assert_true(lca_basis_error(q, 20, 20, &a, &b) < 1e-13);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_dots),
        cmocka_unit_test(test_error),
        cmocka_unit_test(test_random),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
