/* Class concentration of a neuron, by hand. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lca/concentration.h"

static void test_concentration(void **state)
{
    (void)state;
    double r[LCA_CONCENTRATION];
    /* classes that hurt count as 0: h = 1, 0, 4, 2, 0, 1 */
    const double A[] = {-1, 3, -4, -2, 0, -1};
    assert_int_equal(lca_concentration(r, A, 1, 6), 4);
    assert_true(r[0] == 0.5 && r[1] == 0.75 && r[2] == 0.875);
    /* ties */
    const double even[] = {-1, -1, -1, -1};
    assert_int_equal(lca_concentration(r, even, 1, 4), 4);
    assert_true(r[0] == 0.25 && r[1] == 0.5 && r[2] == 0.75);
    /* fewer helped than k, also with sizes that do not add up exactly */
    const double two[] = {-0.1, 5, -0.2};
    assert_int_equal(lca_concentration(r, two, 1, 3), 2);
    assert_true(fabs(r[0] - 2.0 / 3) < 1e-15 && r[1] == 1 && r[2] == 1);
    /* nobody was helped */
    const double none[] = {0, 1, 2};
    assert_int_equal(lca_concentration(r, none, 1, 3), 0);
    assert_true(isnan(r[0]) && isnan(r[1]) && isnan(r[2]));
    assert_int_equal(lca_concentration(r, none, 1, 0), 0);
    assert_true(isnan(r[0]));
    /* one class; a column of a table */
    const double table[] = {9, -3, 9, 9, -1, 9};
    assert_int_equal(lca_concentration(r, table + 1, 3, 1), 1);
    assert_true(r[0] == 1 && r[2] == 1);
    assert_int_equal(lca_concentration(r, table + 1, 3, 2), 2);
    assert_true(r[0] == 0.75 && r[1] == 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_concentration),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
