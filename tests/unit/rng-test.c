/* Random numbers: the published values of Philox, and the laws they should follow. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/rng.h"

/* Random123, kat_vectors, philox4x32 10: key = (seed, purpose), counter = (index low,
 * index high | part << 16, step low, step high). */
static void philox_known_answers(void **state)
{
    (void)state;
    uint32_t w[4];
    lca_rng_words(&(struct lca_rng){0, 0, 0}, 0, 0, w);
    assert_int_equal(w[0], 0x6627e8d5);
    assert_int_equal(w[1], 0xe169c58d);
    assert_int_equal(w[2], 0xbc57ac4c);
    assert_int_equal(w[3], 0x9b00dbd8);
    lca_rng_words(&(struct lca_rng){~0u, ~0u, ~0ull}, 0xffffffffffff, 0xffff, w);
    assert_int_equal(w[0], 0x408f276d);
    assert_int_equal(w[1], 0x41c83b0e);
    assert_int_equal(w[2], 0xa20bc7c6);
    assert_int_equal(w[3], 0x6d5451fd);
    lca_rng_words(&(struct lca_rng){0xa4093822, 0x299f31d0, 0x0370734413198a2e}, 0x08d3243f6a88,
                  0x85a3, w);
    assert_int_equal(w[0], 0xd16cfe09);
    assert_int_equal(w[1], 0x94fdcceb);
    assert_int_equal(w[2], 0x5001e420);
    assert_int_equal(w[3], 0x24126ea1);
}

static void permutes(void **state)
{
    (void)state;
    static const uint32_t sizes[] = {0, 1, 2, 7, 1000, 55000};
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
        uint32_t n = sizes[s], moved = 0;
        uint32_t *p = malloc((n + 1) * sizeof *p);
        uint8_t *seen = calloc(n + 1, 1);
        assert_non_null(p);
        assert_non_null(seen);
        lca_rng_permute(&(struct lca_rng){7, LCA_RNG_SHUFFLE, 3}, p, n);
        for (uint32_t k = 0; k < n; k++) {
            assert_true(p[k] < n);
            assert_false(seen[p[k]]);
            seen[p[k]] = 1;
            moved += p[k] != k;
        }
        if (n >= 1000)
            assert_true(moved > n - 20);    /* a random one has 1 fixed point on average */
        free(p);
        free(seen);
    }
}

/* Each of the 24 orders of four things comes up 1000 times of 24000, give or take
 * six standard deviations. */
static void permutations_are_uniform(void **state)
{
    (void)state;
    int count[256] = {0}, kinds = 0;
    for (uint64_t t = 0; t < 24000; t++) {
        uint32_t p[4];
        lca_rng_permute(&(struct lca_rng){1, LCA_RNG_TEST, t}, p, 4);
        count[p[0] | p[1] << 2 | p[2] << 4 | p[3] << 6]++;
    }
    for (int k = 0; k < 256; k++)
        if (count[k]) {
            kinds++;
            assert_in_range(count[k], 1000 - 186, 1000 + 186);
        }
    assert_int_equal(kinds, 24);
}

static void below_stays_below(void **state)
{
    (void)state;
    struct lca_rng r = {5, LCA_RNG_TEST, 0};
    uint64_t seen = 0;
    for (uint64_t k = 0; k < 1000; k++) {
        uint64_t x = lca_rng_below(&r, k, 10);
        assert_true(x < 10);
        seen |= 1u << x;
        assert_int_equal(lca_rng_below(&r, k, 1), 0);
    }
    assert_int_equal(seen, 1023);
}

static void near(double got, double want, double allowed)
{
    if (!(fabs(got - want) <= allowed))
        fail_msg("%.6f, expected %.6f within %.6f", got, want, allowed);
}

/* Mean and variance of uniform, normal, and normal cut at 2 standard deviations,
 * where the variance is 1 - 2 * 2 phi(2) / (2 Phi(2) - 1) = 0.773741. */
static void moments(void **state)
{
    (void)state;
    enum { N = 400000 };
    struct lca_rng r = {42, LCA_RNG_TEST, 9};
    double u = 0, uu = 0, z = 0, zz = 0, c = 0, cc = 0, most = 0;
    for (uint64_t k = 0; k < N; k++) {
        double a = lca_rng_uniform(&r, k), b = lca_rng_normal(&r, k);
        double d = lca_rng_truncated(&r, k, 2);
        assert_true(a >= 0 && a < 1);
        assert_true(fabs(d) <= 2);
        most = fmax(most, fabs(d));
        u += a, uu += a * a, z += b, zz += b * b, c += d, cc += d * d;
    }
    double se = 5 / sqrt(N);    /* five standard errors for a spread of 1 */
    near(u / N, 0.5, 0.29 * se);
    near(uu / N, 1.0 / 3, 0.3 * se);
    near(z / N, 0, se);
    near(zz / N, 1, 1.42 * se);
    near(c / N, 0, 0.88 * se);
    near(cc / N, 0.773741, se);
    near(most, 2, 0.001);
}

static void values_depend_on_each_argument(void **state)
{
    (void)state;
    struct lca_rng r = {1, 2, 3};
    double x = lca_rng_uniform(&r, 4);
    assert_true(x == lca_rng_uniform(&r, 4));
    assert_false(x == lca_rng_uniform(&r, 5));
    assert_false(x == lca_rng_uniform(&(struct lca_rng){2, 2, 3}, 4));
    assert_false(x == lca_rng_uniform(&(struct lca_rng){1, 3, 3}, 4));
    assert_false(x == lca_rng_uniform(&(struct lca_rng){1, 2, 4}, 4));
    assert_false(x == lca_rng_uniform(&(struct lca_rng){1, 2, 1ull << 32 | 3}, 4));
    assert_false(x == lca_rng_uniform(&r, 1ull << 32 | 4));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(philox_known_answers),
        cmocka_unit_test(permutes),
        cmocka_unit_test(permutations_are_uniform),
        cmocka_unit_test(below_stays_below),
        cmocka_unit_test(moments),
        cmocka_unit_test(values_depend_on_each_argument),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
