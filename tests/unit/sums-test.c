/* Sums in double, over everything and over all axes but one. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/rng.h"
#include "lca/sums.h"

static void test_sum(void **state)
{
    (void)state;
    float v[40] = {0};
    double want = 0;
    assert_true(lca_sum(v, 0) == 0);
    for (int n = 0; n < 40; n++) {
        /* whole numbers, so that every order of addition is exact */
        v[n] = (float)(n * n - 300);
        want += n * n - 300;
        assert_true(lca_sum(v, (uint64_t)n + 1) == want);
    }
    /* what a float32 sum would lose */
    const float far[] = {1e8f, 1, 1, 1, -1e8f};
    assert_true(lca_sum(far, 5) == 3);
}

static void test_norm(void **state)
{
    (void)state;
    float v[16];
    for (int i = 0; i < 16; i++)
        v[i] = i % 2 ? -3 : 4;
    assert_true(lca_norm(v, 16) == sqrt(8 * 25.0) && lca_norm(v, 2) == 5 && lca_norm(v, 0) == 0);
    const float tiny[] = {3e-45f, 4e-45f}, huge[] = {3e38f, -3e38f};    /* squares are no floats */
    assert_true(lca_norm(tiny, 2) > 4e-45 && lca_norm(huge, 2) > 4e38);
}

static void check_axes(uint64_t outer, uint32_t rows, uint32_t cols)
{
    static float v[4000];
    struct lca_rng r = {7, LCA_RNG_TEST, outer * 10000 + rows * 100 + cols};
    double row[40], col[40], want_row[40], want_col[40], size = 0;
    assert_true(outer * rows * cols <= 4000 && rows <= 40 && cols <= 40);
    for (uint32_t k = 0; k < 40; k++)
        row[k] = col[k] = want_row[k] = want_col[k] = k;        /* they are added to */
    for (uint64_t o = 0, i = 0; o < outer; o++) {
        for (uint32_t a = 0; a < rows; a++) {
            for (uint32_t b = 0; b < cols; b++, i++) {
                v[i] = (float)lca_rng_normal(&r, i);
                want_row[a] += v[i];
                want_col[b] += v[i];
                size += fabs((double)v[i]);
            }
        }
    }
    lca_sum_axes(v, outer, rows, cols, row, col);
    for (uint32_t k = 0; k < 40; k++) {
        assert_true(fabs(row[k] - want_row[k]) <= 1e-13 * size);
        assert_true(fabs(col[k] - want_col[k]) <= 1e-13 * size);
    }
    double again[40];
    for (uint32_t k = 0; k < 40; k++)
        again[k] = k;
    lca_sum_axes(v, outer, rows, cols, NULL, again);
    for (uint32_t k = 0; k < 40; k++)
        assert_true(again[k] == col[k]);
}

static void test_axes(void **state)
{
    (void)state;
    check_axes(1, 30, 10);
    check_axes(1, 7, 16);
    check_axes(9, 3, 33);
    check_axes(25, 1, 20);
    check_axes(1, 1, 1);
    check_axes(1, 1, 40);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sum),
        cmocka_unit_test(test_norm),
        cmocka_unit_test(test_axes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
