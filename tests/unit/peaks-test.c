/* Peaks and moments by hand; synchronisation against chance where chance can be counted. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lca/peaks.h"

static void near(double x, double want, double within)
{
    if (!(fabs(x - want) <= within))
        fail_msg("%.17g is not within %g of %.17g", x, within, want);
}

static void peaks_are_strict_and_never_at_the_ends(void **state)
{
    (void)state;
    const double v[] = {-9, 3, -1, 2, 2, -3, -3, 5, -4, 6, -9};
    uint32_t at[6];
    assert_int_equal(lca_peaks(v, 11, false, at), 2);
    assert_true(at[0] == 2 && at[1] == 8);
    assert_int_equal(lca_peaks(v, 11, true, at), 3);
    assert_true(at[0] == 1 && at[1] == 7 && at[2] == 9);
    for (size_t T = 0; T < 3; T++)
        assert_int_equal(lca_peaks(v, T, false, at), 0);
    const double flat[5] = {0};
    assert_int_equal(lca_peaks(flat, 5, true, at), 0);
}

static void the_deepest_are_kept_in_order_of_time(void **state)
{
    (void)state;
    struct lca_err err = {0};
    const double v[] = {0, -2, 0, -5, 0, -2, 0, 1, 0, -2, 0};
    const uint32_t at[] = {1, 3, 5, 9}, up[] = {2, 4, 7};
    uint32_t moment[8];
    assert_int_equal(lca_peaks_keep(v, false, at, 4, 2, moment, &err), 2);
    assert_true(moment[0] == 1 && moment[1] == 3);      /* of equal ones the earlier */
    assert_int_equal(lca_peaks_keep(v, false, at, 4, 8, moment, &err), 4);
    assert_memory_equal(moment, at, sizeof at);
    assert_int_equal(lca_peaks_keep(v, true, up, 3, 1, moment, &err), 1);
    assert_int_equal(moment[0], 7);
    assert_int_equal(lca_peaks_keep(v, false, at, 0, 3, moment, &err), 0);
}

static void shares_of_layers(void **state)
{
    (void)state;
    assert_int_equal(lca_sync_need(1, 3), 3);
    assert_int_equal(lca_sync_need(0.25, 22), 6);       /* the paper's 25 to 50 % of 22 layers: 6 to 10 */
    assert_int_equal(lca_sync_need(0.5, 22), 11);
    assert_int_equal(lca_sync_need(0.3, 10), 3);
    assert_int_equal(lca_sync_need(0.001, 3), 1);
}

/* Three layers over 12 steps. */
static const uint32_t peak0[] = {1, 3, 5, 7, 9}, peak1[] = {1, 4, 7, 10}, peak2[] = {2, 7, 9};
static const uint32_t moment0[] = {1, 7, 9}, moment1[] = {1, 7}, moment2[] = {7, 9};
static const uint32_t *const peak[] = {peak0, peak1, peak2}, *const moment[] = {moment0, moment1, moment2};
static const size_t n_peak[] = {5, 4, 3}, n_moment[] = {3, 2, 2};
static const struct lca_sync three = {3, 12, 3, peak, n_peak, moment, n_moment};
static const unsigned need[] = {1, 2, 3};
enum { NEEDS = 3 };

static void steps_are_counted_by_level(void **state)
{
    (void)state;
    struct lca_err err = {0};
    uint64_t count[NEEDS];
    assert_int_equal(lca_sync_count(&three, need, NEEDS, count, &err), 0);
    assert_true(count[0] == 3 && count[1] == 3 && count[2] == 1);
}

static struct lca_chance chance(const struct lca_sync *s, enum lca_null null, uint64_t observed, uint64_t draws,
                                size_t block)
{
    struct lca_err err = {0};
    struct lca_chance c;
    const unsigned all = s->n_layer;
    if (lca_sync_chance(s, null, &all, 1, &observed, draws, 1, 0, block, &c, &err) < 0)
        fail_msg("%s", err.text);
    return c;
}

static void null_a_draws_from_the_layers_own_peaks(void **state)
{
    (void)state;
    /* step 7 is the only one in all three: 3/5 x 2/4 x 2/3 = 0.2 */
    struct lca_chance c = chance(&three, LCA_NULL_PEAKS, 1, 100000, 1);
    near(c.mean, 0.2, 5 * sqrt(0.16 / 100000));
    near(c.p, c.mean, 1e-5);
    assert_true(chance(&three, LCA_NULL_PEAKS, 0, 1000, 1).p == 1);
    assert_true(chance(&three, LCA_NULL_PEAKS, 2, 999, 1).p == 1.0 / 1000);
    /* where every peak is a moment there is nothing to draw */
    struct lca_sync full = three;
    full.moment = peak;
    full.n_moment = n_peak;
    c = chance(&full, LCA_NULL_PEAKS, 1, 500, 1);
    assert_true(c.mean == 1 && c.p == 1);
}

static void null_b_never_shifts_two_layers_alike(void **state)
{
    (void)state;
    static const uint32_t only[] = {4};
    static const uint32_t *const same[] = {only, only};
    static const size_t one[] = {1, 1};
    struct lca_sync two = {2, 6, 1, same, one, same, one};
    struct lca_chance c = chance(&two, LCA_NULL_SHIFT, 1, 999, 1);
    assert_true(c.mean == 0 && c.p == 1.0 / 1000);
    /* moments at 0 and at 4: they meet where the shifts differ by 4, once in T - 1 */
    static const uint32_t first[] = {0};
    static const uint32_t *const apart[] = {first, only};
    two.moment = apart;
    c = chance(&two, LCA_NULL_SHIFT, 1, 100000, 1);
    near(c.mean, 0.2, 5 * sqrt(0.16 / 100000));
    two.T = 1;
    assert_true(isnan(chance(&two, LCA_NULL_SHIFT, 1, 10, 1).p));      /* more layers than steps */
}

static void null_c_keeps_the_number_in_each_block(void **state)
{
    (void)state;
    /* blocks of 6: the second has 7, 9 of 7, 9; 7 of 7, 10; 7, 9 of 7, 9: half of the draws */
    struct lca_chance c = chance(&three, LCA_NULL_BLOCK, 1, 100000, 6);
    near(c.mean, 0.5, 5 * sqrt(0.25 / 100000));
    /* one step each: nothing to draw */
    c = chance(&three, LCA_NULL_BLOCK, 1, 500, 1);
    assert_true(c.mean == 1 && c.p == 1);
    /* one block: null A */
    c = chance(&three, LCA_NULL_BLOCK, 1, 100000, 12);
    near(c.mean, 0.2, 5 * sqrt(0.16 / 100000));
}

static void three_chances(enum lca_null null, uint32_t seed, struct lca_chance c[NEEDS])
{
    struct lca_err err = {0};
    const uint64_t observed[NEEDS] = {6, 2, 1};
    assert_int_equal(lca_sync_chance(&three, null, need, NEEDS, observed, 2000, seed, 3, 4, c, &err), 0);
}

static void the_same_seed_draws_the_same(void **state)
{
    (void)state;
    struct lca_chance a[NEEDS], b[NEEDS];
    for (int null = 0; null < LCA_NULLS; null++) {
        three_chances((enum lca_null)null, 7, a);
        three_chances((enum lca_null)null, 7, b);
        assert_memory_equal(a, b, sizeof a);
        three_chances((enum lca_null)null, 8, b);
        assert_memory_not_equal(a, b, sizeof a);
        assert_true(a[0].mean >= a[1].mean && a[1].mean >= a[2].mean);
    }
}

static void no_draws_and_no_moments(void **state)
{
    (void)state;
    struct lca_chance c = chance(&three, LCA_NULL_PEAKS, 1, 0, 1);
    assert_true(isnan(c.mean) && c.p == 1);
    static const size_t none[] = {0, 0, 0};
    struct lca_sync empty = three;
    empty.n_peak = none;
    empty.n_moment = none;
    for (int null = 0; null < LCA_NULLS; null++) {
        c = chance(&empty, (enum lca_null)null, 0, 100, 5);
        assert_true(c.mean == 0 && c.p == 1);
    }
}

static void the_exact_tail_by_hand(void **state)
{
    (void)state;
    const size_t two[] = {2, 2}, three_ones[] = {1, 1, 1}, mixed[] = {3, 0, 2}, paper[] = {20, 20, 20};
    near(lca_sync_exact(4, two, 2, 2), 1.0 / 6, 1e-14);
    near(lca_sync_exact(4, two, 2, 1), 5.0 / 6, 1e-14);
    near(lca_sync_exact(4, two, 2, 0), 1, 1e-14);
    near(lca_sync_exact(4, two, 2, 3), 0, 0);
    near(lca_sync_exact(5, three_ones, 3, 1), 1.0 / 25, 1e-15);
    near(lca_sync_exact(9, mixed, 3, 1), 0, 0);
    assert_true(isnan(lca_sync_exact(1, two, 2, 1)));
    /* scipy: three layers of 20 on 878 steps, 12 shared */
    double p = lca_sync_exact(878, paper, 3, 12);
    near(p / 1.2103548838444622e-38, 1, 1e-9);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(peaks_are_strict_and_never_at_the_ends),
        cmocka_unit_test(the_deepest_are_kept_in_order_of_time),
        cmocka_unit_test(shares_of_layers),
        cmocka_unit_test(steps_are_counted_by_level),
        cmocka_unit_test(null_a_draws_from_the_layers_own_peaks),
        cmocka_unit_test(null_b_never_shifts_two_layers_alike),
        cmocka_unit_test(null_c_keeps_the_number_in_each_block),
        cmocka_unit_test(the_same_seed_draws_the_same),
        cmocka_unit_test(no_draws_and_no_moments),
        cmocka_unit_test(the_exact_tail_by_hand),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
