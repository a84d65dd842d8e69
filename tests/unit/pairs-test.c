/* Mean correlation of pairs: against the sum over all pairs, with constant series, and
 * what fake units may be made of. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lca/pairs.h"

enum { WINDOW = 2, IN = 3, OUT = 4, WEIGHTS = WINDOW * IN * OUT, T = 15 };
static float A[T][WEIGHTS];

static void near(double x, double want)
{
    if (!(fabs(x - want) <= 1e-12) && !(isnan(x) && isnan(want)))
        fail_msg("%.17g is not %.17g", x, want);
}

static void fill(void)
{
    for (int t = 0; t < T; t++)
        for (int i = 0; i < WEIGHTS; i++)
            A[t][i] = (float)(sin(t * (i % 5 + 1) + i) * exp(i % 3) * 1e-4 + 1e-4 * (t % 4));
    for (int t = 0; t < T; t++) {
        A[t][5] = 0.125f;       /* constant, and in the cumulated series not */
        A[t][9] = 0;            /* constant in both */
        for (int o = 0; o < OUT; o++)
            for (int w = 0; w < WINDOW; w++)
                A[t][(w * IN + 2) * OUT + o] = 0;       /* an input that does nothing */
    }
}

static struct lca_pairs *pairs_new(size_t window, size_t in, size_t out, uint32_t seed)
{
    struct lca_err err = {0};
    struct lca_rng rng = {.seed = seed, .purpose = LCA_RNG_NULL};
    struct lca_pairs *p = lca_pairs_new(window, in, out, &rng, &err);
    if (!p)
        fail_msg("%s", err.text);
    return p;
}

static void run(struct lca_pairs *p)
{
    for (int t = 0; t < T; t++)
        lca_pairs_measure(p, A[t]);
    for (int t = 0; t < T; t++)
        lca_pairs_add(p, A[t]);
}

static double value(int series, int t, int i)
{
    double x = 0;
    for (int s = series == LCA_PAIRS_STEP ? t : 0; s <= t; s++)
        x += A[s][i];
    return x;
}

/* Pearson's correlation of two weights' series; NaN where one is constant. */
static double pearson(int series, int i, int j)
{
    double x = 0, y = 0, xx = 0, yy = 0, xy = 0;
    for (int t = 0; t < T; t++) {
        x += value(series, t, i) / T;
        y += value(series, t, j) / T;
    }
    for (int t = 0; t < T; t++) {
        double dx = value(series, t, i) - x, dy = value(series, t, j) - y;
        xx += dx * dx;
        yy += dy * dy;
        xy += dx * dy;
    }
    return xx < 1e-25 || yy < 1e-25 ? NAN : xy / sqrt(xx * yy);
}

static void units_have_the_mean_of_all_pairs(void **state)
{
    (void)state;
    fill();
    struct lca_pairs *p = pairs_new(WINDOW, IN, OUT, 1);
    for (int again = 0; again < 2; again++) {
        run(p);
        for (int side = 0; side < LCA_PAIRS_SIDES; side++) {
            for (int series = 0; series < LCA_PAIRS_SERIES; series++) {
                double r[OUT];
                size_t n = lca_pairs_units(p, side, series, false, r);
                assert_int_equal(n, side == LCA_PAIRS_INPUTS ? IN : OUT);
                for (int u = 0; u < (int)n; u++) {
                    double sum = 0;
                    int pairs = 0;
                    for (int i = 0; i < WEIGHTS; i++) {
                        for (int j = 0; j < i; j++) {
                            int iu = side == LCA_PAIRS_INPUTS ? i / OUT % IN : i % OUT;
                            int ju = side == LCA_PAIRS_INPUTS ? j / OUT % IN : j % OUT;
                            double c = iu == u && ju == u ? pearson(series, i, j) : NAN;
                            pairs += !isnan(c);
                            sum += isnan(c) ? 0 : c;
                        }
                    }
                    near(r[u], pairs ? sum / pairs : NAN);
                }
            }
        }
        lca_pairs_reset(p);
    }
    lca_pairs_free(p);
}

static void fakes_share_no_input_and_no_output(void **state)
{
    (void)state;
    /* 2 x 2: weights of a diagonal go together, the two diagonals do not. A fake unit is
     * a diagonal, so its r is 1; a real one has one of each. */
    enum { STEPS = 40 };
    float step[4];
    struct lca_pairs *p = pairs_new(1, 2, 2, 3);
    for (int pass = 0; pass < 2; pass++) {
        for (int t = 0; t < STEPS; t++) {
            step[0] = step[3] = (float)(t % 2 ? 1 : -1);
            step[1] = step[2] = (float)(t % 4 < 2 ? 1 : -1);
            pass ? lca_pairs_add(p, step) : lca_pairs_measure(p, step);
        }
    }
    for (int side = 0; side < LCA_PAIRS_SIDES; side++) {
        double r[2];
        assert_int_equal(lca_pairs_units(p, side, LCA_PAIRS_STEP, true, r), 2);
        near(r[0], 1);
        near(r[1], 1);
        lca_pairs_units(p, side, LCA_PAIRS_STEP, false, r);
        near(r[0], 0);
        near(r[1], 0);
    }
    lca_pairs_free(p);
}

static void fakes_hang_on_the_seed_alone(void **state)
{
    (void)state;
    fill();
    double r[3][OUT];
    for (uint32_t k = 0; k < 3; k++) {
        struct lca_pairs *p = pairs_new(WINDOW, IN, OUT, k < 2 ? 1 : 2);
        run(p);
        lca_pairs_units(p, LCA_PAIRS_OUTPUTS, LCA_PAIRS_STEP, true, r[k]);
        lca_pairs_free(p);
    }
    assert_memory_equal(r[0], r[1], sizeof r[0]);
    assert_memory_not_equal(r[0], r[2], sizeof r[0]);
}

static void too_little_has_no_correlation(void **state)
{
    (void)state;
    double r[2];
    const float step[] = {1, 2};
    struct lca_pairs *p = pairs_new(1, 2, 1, 1);
    lca_pairs_units(p, LCA_PAIRS_OUTPUTS, LCA_PAIRS_STEP, false, r);
    assert_true(isnan(r[0]));           /* no step */
    lca_pairs_measure(p, step);
    lca_pairs_add(p, step);
    lca_pairs_units(p, LCA_PAIRS_OUTPUTS, LCA_PAIRS_STEP, false, r);
    assert_true(isnan(r[0]));           /* one step: all constant */
    lca_pairs_reset(p);
    for (int pass = 0; pass < 2; pass++) {
        for (int t = 0; t < 4; t++) {
            const float v[] = {(float)t, (float)(t * t)};
            pass ? lca_pairs_add(p, v) : lca_pairs_measure(p, v);
        }
    }
    lca_pairs_units(p, LCA_PAIRS_INPUTS, LCA_PAIRS_STEP, false, r);
    assert_true(isnan(r[0]) && isnan(r[1]));        /* units of one weight */
    lca_pairs_units(p, LCA_PAIRS_OUTPUTS, LCA_PAIRS_STEP, false, r);
    near(r[0], 15 / sqrt(5.0 * 49));
    lca_pairs_free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(units_have_the_mean_of_all_pairs),
        cmocka_unit_test(fakes_share_no_input_and_no_output),
        cmocka_unit_test(fakes_hang_on_the_seed_alone),
        cmocka_unit_test(too_little_has_no_correlation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
