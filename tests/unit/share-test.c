/* How unevenly an amount is spread, by hand. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lca/share.h"

static void near(double x, double want)
{
    if (!(fabs(x - want) <= 1e-14))
        fail_msg("%.17g is not %.17g", x, want);
}

static void equal_parts(void **state)
{
    (void)state;
    double x[200];
    for (int i = 0; i < 200; i++)
        x[i] = 0.25;
    struct lca_shares s = lca_shares(x, 200, 0.9);
    near(s.sum, 50);
    near(s.gini, 0);
    near(s.carry, 0.9);
    near(s.top, 0.01);
}

static void one_has_nearly_all(void **state)
{
    (void)state;
    double x[101];
    for (int i = 0; i < 101; i++)
        x[i] = 1e-12;
    x[57] = 7;
    struct lca_shares s = lca_shares(x, 101, 0.9);
    assert_true(fabs(s.gini - 100.0 / 101) < 1e-9);
    near(s.carry, 1.0 / 101);
    assert_true(fabs(s.top - 1) < 1e-9);       /* the 2 largest: ceil(101 / 100) */
    assert_true(x[0] == 7);
}

static void four_parts_by_hand(void **state)
{
    (void)state;
    double x[] = {1, 4, 3, 2}, y[] = {1, 4, 3, 2};
    struct lca_shares s = lca_shares(x, 4, 0.9);
    near(s.gini, 0.25);         /* 2 (1 + 4 + 9 + 16) / (4 10) - 5/4 */
    near(s.carry, 0.75);        /* 4 + 3 + 2 = 9 of 10 */
    near(s.top, 0.4);
    near(lca_shares(y, 4, 0.91).carry, 1);
    near(lca_shares(y, 4, 0.4).carry, 0.25);
}

static void one_part_and_none(void **state)
{
    (void)state;
    double x = 3;
    struct lca_shares s = lca_shares(&x, 1, 0.9);
    near(s.gini, 0);
    near(s.carry, 1);
    near(s.top, 1);
    s = lca_shares(NULL, 0, 0.9);
    assert_true(isnan(s.sum) && isnan(s.gini) && isnan(s.carry) && isnan(s.top));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equal_parts),
        cmocka_unit_test(one_has_nearly_all),
        cmocka_unit_test(four_parts_by_hand),
        cmocka_unit_test(one_part_and_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
