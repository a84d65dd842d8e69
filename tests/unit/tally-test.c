/* The tally: ranks against a sorted copy, within the error that it states and exactly
 * after the second pass; histograms by hand; the fit against the likelihood itself. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/rng.h"
#include "lca/tally.h"

enum { N = 20000 };
static float v[N], sorted[N];

static void near(double x, double want, double relative)
{
    if (!(fabs(x - want) <= relative * fabs(want)))
        fail_msg("%.17g is not within %g of %.17g", x, relative, want);
}

static int ascending(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

/* Heavy tails on both sides, a fifth zeros of both signs, some subnormal. */
static void fill(void)
{
    struct lca_rng rng = {.seed = 3, .purpose = LCA_RNG_TEST};
    for (size_t i = 0; i < N; i++) {
        double x = lca_rng_normal(&rng, i);
        v[i] = (float)(x * x * x * exp(8 * lca_rng_normal(&rng, i + N) - 20));
        if (i % 5 == 0)
            v[i] = i % 2 ? 0.0f : -0.0f;
        if (i % 1000 == 7)
            v[i] = (float)(i % 3 ? 1e-44 : -3e-45);
    }
    memcpy(sorted, v, sizeof v);
    qsort(sorted, N, sizeof *sorted, ascending);
}

static struct lca_tally tally_of(const float *x, size_t n)
{
    struct lca_err err = {0};
    struct lca_tally t;
    assert_int_equal(lca_tally_init(&t, &err), 0);
    lca_tally_add(&t, x, n / 3);        /* in pieces */
    lca_tally_add(&t, x + n / 3, n - n / 3);
    return t;
}

static void ranks_are_within_a_4096th(void **state)
{
    (void)state;
    fill();
    struct lca_tally t = tally_of(v, N);
    assert_int_equal(t.n, N);
    near(t.min, sorted[0], 0);
    near(t.max, sorted[N - 1], 0);
    for (size_t r = 0; r < N; r++) {
        double got = lca_tally_rank(&t, r, NULL, NULL);
        if (fabs(sorted[r]) < 0x1p-126) {       /* subnormal: 2^-138 in all, zeros exact */
            assert_true(fabs(got - sorted[r]) <= 0x1p-138);
            assert_true(sorted[r] != 0 || got == 0);
        } else {
            near(got, sorted[r], 0x1p-12);
        }
    }
    lca_tally_clear(&t);
}

static void a_second_pass_makes_ranks_exact(void **state)
{
    (void)state;
    fill();
    static const size_t wanted[] = {0, 199, 200, N / 2, N - 201, N - 200, N - 1};
    struct lca_tally t = tally_of(v, N);
    struct lca_refine r;
    struct lca_err err = {0};
    assert_int_equal(lca_refine_init(&r, &err), 0);
    for (size_t k = 0; k < sizeof wanted / sizeof *wanted; k++)
        lca_refine_want(&r, &t, wanted[k]);
    lca_refine_add(&r, v, N / 2);
    lca_refine_add(&r, v + N / 2, N - N / 2);
    for (size_t k = 0; k < sizeof wanted / sizeof *wanted; k++)
        near(lca_refine_rank(&r, &t, wanted[k]), sorted[wanted[k]], 0);
    lca_refine_clear(&r);
    lca_tally_clear(&t);
}

static double of_sorted(void *arg, uint64_t r)
{
    return ((const float *)arg)[r];
}

static void quantiles_lie_between_ranks(void **state)
{
    (void)state;
    float x[] = {1, 2, 4, 8, 16};
    near(lca_quantile(5, 0, of_sorted, x), 1, 0);
    near(lca_quantile(5, 1, of_sorted, x), 16, 0);
    near(lca_quantile(5, 0.5, of_sorted, x), 4, 0);
    near(lca_quantile(5, 0.9, of_sorted, x), 12.8, 1e-14);
    near(lca_quantile(1, 0.3, of_sorted, x), 1, 0);
    assert_true(isnan(lca_quantile(0, 0.5, of_sorted, x)));
}

static void histograms_have_an_edge_at_zero(void **state)
{
    (void)state;
    static const double range[][2] = {{-1, 3}, {-1e-9, 5e-3}, {-7, -1}, {2, 3}, {-39, 0}, {0, 39}};
    for (size_t k = 0; k < sizeof range / sizeof *range; k++) {
        struct lca_histogram h;
        lca_histogram_edges(&h, range[k][0], range[k][1]);
        near(h.width, (range[k][1] - range[k][0]) / 39, 1e-15);
        assert_true(h.edge[0] <= range[k][0] && h.edge[40] >= range[k][1] - 1e-12);
        for (int e = 0; e <= 40; e++)
            near(h.edge[e] / h.width, nearbyint(h.edge[e] / h.width), 1e-12);
    }
}

static void bins_hold_their_lower_edge(void **state)
{
    (void)state;
    const float x[] = {-39, -38.5f, -1, -0.5f, 0, -0.0f, 1e-30f, 1, 38.999f, 39, 40, -40, 41};
    struct lca_histogram h;
    lca_histogram_edges(&h, -19, 20);       /* width 1, from -19 to 21 */
    near(h.edge[0], -19, 0);
    near(h.edge[40], 21, 0);
    lca_histogram_add(&h, x, sizeof x / sizeof *x);
    assert_int_equal(h.below, 3);
    assert_int_equal(h.above, 4);
    assert_int_equal(h.count[18], 2);       /* [-1, 0): zeros are left out */
    assert_int_equal(h.count[19], 1);
    assert_int_equal(h.count[20], 1);
    const float ends[] = {21, 20, -19};
    lca_histogram_add(&h, ends, 3);
    assert_int_equal(h.count[39], 2);
    assert_int_equal(h.count[0], 1);
}

static void a_tally_fills_a_histogram_but_for_values_at_edges(void **state)
{
    (void)state;
    fill();
    struct lca_tally t = tally_of(v, N);
    struct lca_histogram exact, quick;
    lca_histogram_edges(&exact, t.min, t.max);
    quick = exact;
    lca_histogram_add(&exact, v, N);
    lca_histogram_tally(&quick, &t);
    uint64_t total = quick.below + quick.above;
    for (int k = 0; k < LCA_HISTOGRAM_BINS; k++) {
        uint64_t unsure = 0;
        for (size_t i = 0; i < N; i++)
            for (int e = k; e <= k + 1; e++)
                unsure += v[i] != 0 && fabs(v[i] - exact.edge[e]) <= 0x1p-11 * fabs(exact.edge[e]);
        total += quick.count[k];
        if (llabs((int64_t)quick.count[k] - (int64_t)exact.count[k]) > (int64_t)unsure)
            fail_msg("bin %d: %lu, not %lu", k, (unsigned long)quick.count[k], (unsigned long)exact.count[k]);
    }
    assert_int_equal(exact.below + exact.above + quick.below + quick.above, 0);
    assert_int_equal(total, N - lca_tally_zeros(&t));
    lca_tally_clear(&t);
}

static void one_value_and_none(void **state)
{
    (void)state;
    const float zero[9] = {0}, same[9] = {2, 2, 2, 2, 2, 2, 2, 2, 2};
    struct lca_histogram h;
    struct lca_tally t = tally_of(zero, 9);
    assert_true(t.min == 0 && t.max == 0 && lca_tally_zeros(&t) == 9);
    assert_true(isnan(lca_tally_weibull(&t).shape));
    lca_histogram_edges(&h, t.min, t.max);
    lca_histogram_tally(&h, &t);
    near(h.edge[20], 0, 0);
    assert_true(h.width > 0 && h.below + h.above + h.count[20] + h.count[19] == 0);
    lca_tally_clear(&t);
    t = tally_of(same, 9);
    assert_true(t.min == 2 && t.max == 2 && isnan(lca_tally_weibull(&t).scale));
    lca_histogram_edges(&h, t.min, t.max);
    lca_histogram_tally(&h, &t);
    lca_histogram_add(&h, same, 9);
    assert_true(h.below + h.above == 0);
    lca_tally_clear(&t);
}

static double likelihood(const float *x, size_t n, double shape, double scale)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++) {
        double y = fabs(x[i]) / scale;
        sum += log(shape / (2 * scale)) + (shape - 1) * log(y) - pow(y, shape);
    }
    return sum / (double)n;
}

static void the_fit_is_the_most_likely(void **state)
{
    (void)state;
    struct lca_rng rng = {.seed = 5, .purpose = LCA_RNG_TEST};
    for (int k = 0; k < 3; k++) {
        double shape = (double[]){0.53, 1, 2.5}[k], scale = (double[]){5.1e-8, 1, 300}[k];
        for (size_t i = 0; i < N; i++) {
            double x = scale * pow(-log(1 - lca_rng_uniform(&rng, i)), 1 / shape);
            v[i] = (float)(lca_rng_uniform(&rng, i + N) < 0.5 ? -x : x);
        }
        struct lca_tally t = tally_of(v, N);
        struct lca_weibull w = lca_tally_weibull(&t);
        near(w.shape, shape, 0.03);
        near(w.scale, scale, 0.05);
        double best = likelihood(v, N, w.shape, w.scale), step = 1e-3;
        assert_true(best > likelihood(v, N, w.shape * (1 + step), w.scale));
        assert_true(best > likelihood(v, N, w.shape * (1 - step), w.scale));
        assert_true(best > likelihood(v, N, w.shape, w.scale * (1 + step)));
        assert_true(best > likelihood(v, N, w.shape, w.scale * (1 - step)));
        near(lca_weibull_between(&w, -INFINITY, INFINITY), 1, 1e-15);
        near(lca_weibull_between(&w, 0, w.scale), (1 - exp(-1)) / 2, 1e-14);
        near(lca_weibull_between(&w, -w.scale, 0), (1 - exp(-1)) / 2, 1e-14);
        lca_tally_clear(&t);
    }
}

static void two_sizes_are_fitted_by_hand(void **state)
{
    (void)state;
    /* sizes 1 and 4, one each: the equation of the header holds */
    const float x[] = {-1.0003f, 4.0001f};
    struct lca_tally t = tally_of(x, 2);
    struct lca_weibull w = lca_tally_weibull(&t);
    double a = -x[0], b = x[1], pa = pow(a, w.shape), pb = pow(b, w.shape);
    assert_true(fabs((pa * log(a) + pb * log(b)) / (pa + pb) - 1 / w.shape - (log(a) + log(b)) / 2) < 1e-12);
    near(w.scale, pow((pa + pb) / 2, 1 / w.shape), 1e-12);
    lca_tally_clear(&t);
}

static void normal_tails_keep_their_digits(void **state)
{
    (void)state;
    near(lca_normal_between(0, 1, -1, 1), 0.6826894921370859, 1e-14);
    near(lca_normal_between(3, 2, 3, INFINITY), 0.5, 1e-15);
    near(lca_normal_between(0, 1, 10, 11), 7.61966195820302e-24, 1e-9);
    near(lca_normal_between(0, 1, -11, -10), 7.61966195820302e-24, 1e-9);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ranks_are_within_a_4096th),
        cmocka_unit_test(a_second_pass_makes_ranks_exact),
        cmocka_unit_test(quantiles_lie_between_ranks),
        cmocka_unit_test(histograms_have_an_edge_at_zero),
        cmocka_unit_test(bins_hold_their_lower_edge),
        cmocka_unit_test(a_tally_fills_a_histogram_but_for_values_at_edges),
        cmocka_unit_test(one_value_and_none),
        cmocka_unit_test(the_fit_is_the_most_likely),
        cmocka_unit_test(two_sizes_are_fitted_by_hand),
        cmocka_unit_test(normal_tails_keep_their_digits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
