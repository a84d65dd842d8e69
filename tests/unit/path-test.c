/* Quadrature along a step: weights against the textbook's lists, exactness on
 * polynomials, order of convergence, and the sums of an allocation. */
#include <limits.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lca/path.h"

static const enum lca_rule every[] = {LCA_FIRST_ORDER, LCA_TRAPEZOID, LCA_MIDPOINT, LCA_SIMPSON, LCA_BOOLE};
enum { RULES = sizeof every / sizeof *every, PIECES_MAX = 1 << (LCA_LEVELS - 1) };

static void near(double x, double want, double within)
{
    if (!(fabs(x - want) <= within))
        fail_msg("%.17g is not within %g of %.17g", x, within, want);
}

static void weights_of(enum lca_rule rule, int n, double w[LCA_LEVELS])
{
    struct lca_err err = {0};
    if (lca_path_weights(rule, n, w, &err) < 0)
        fail_msg("%s", err.text);
}

/* The integral over [0, 1] by the rule: nodes where lca_path_node puts them, summed by
 * level, as a program does it. Powers of two are exact in float. */
static double integrate(enum lca_rule rule, int n, double (*f)(double s, int k), int k)
{
    const float a = 0, b = 1;
    double w[LCA_LEVELS], sum[LCA_LEVELS] = {f(0, k) + f(1, k)}, all = 0;
    weights_of(rule, n, w);
    for (int level = 1; level <= lca_path_level(rule, n); level++) {
        for (unsigned j = 1; j < 1u << level; j += 2) {
            float s;
            lca_path_node(&s, &a, &b, 1, j, 1u << level);
            sum[level] += f(s, k);
        }
    }
    for (int level = 0; level < LCA_LEVELS; level++)
        all += w[level] * sum[level];
    return all;
}

static double power(double s, int k)
{
    return pow(s, k);
}

static double smooth(double s, int k)
{
    (void)k;
    return exp(s) * cos(3 * s);
}

static void weights_of_all_nodes_sum_to_one(void **state)
{
    (void)state;
    for (int r = 1; r < RULES; r++) {
        for (int n = 1; n <= (every[r] == LCA_MIDPOINT ? PIECES_MAX / 2 : PIECES_MAX); n *= 2) {
            double w[LCA_LEVELS];
            weights_of(every[r], n, w);
            double sum = 2 * w[0];
            for (int k = 1; k < LCA_LEVELS; k++)
                sum += w[k] * (1 << (k - 1));
            near(sum, 1, 1e-14);
        }
    }
    double w[LCA_LEVELS];
    weights_of(LCA_FIRST_ORDER, 1, w);
    for (int k = 0; k < LCA_LEVELS; k++)
        assert_true(w[k] == 0);
}

/* Weight of node j of n, by the level that j/n belongs to in lowest terms. */
static double weight_of_node(enum lca_rule rule, int n, int j)
{
    double w[LCA_LEVELS];
    weights_of(rule, n, w);
    int level = lca_path_level(rule, n);
    for (; j % 2 == 0 && level > 0; j /= 2)
        level--;
    return w[level];
}

static void weights_are_the_lists_of_the_textbook(void **state)
{
    (void)state;
    for (int n = 2; n <= 64; n *= 2) {
        for (int j = 0; j <= n; j++) {
            bool end = j == 0 || j == n;
            double trapezoid = (end ? 0.5 : 1) / n;
            double simpson = (end ? 1 : j % 2 ? 4 : 2) / (3.0 * n);
            double boole = 2 * (end ? 7 : j % 2 ? 32 : j % 4 ? 12 : 14) / (45.0 * n);
            near(weight_of_node(LCA_TRAPEZOID, n, j), trapezoid, 1e-16);
            near(weight_of_node(LCA_SIMPSON, n, j), simpson, 1e-16);
            if (n >= 4)
                near(weight_of_node(LCA_BOOLE, n, j), boole, 1e-16);
        }
        /* midpoint: node j + 1/2 of n is node 2j + 1 of 2n, and no other counts */
        double w[LCA_LEVELS];
        weights_of(LCA_MIDPOINT, n, w);
        for (int k = 0; k < LCA_LEVELS; k++)
            near(w[k], 1 << k == 2 * n ? 1.0 / n : 0, 0);
    }
}

static void too_few_pieces_fall_to_the_lower_rule(void **state)
{
    (void)state;
    double w[LCA_LEVELS], lower[LCA_LEVELS];
    weights_of(LCA_SIMPSON, 1, w);
    weights_of(LCA_TRAPEZOID, 1, lower);
    assert_memory_equal(w, lower, sizeof w);
    weights_of(LCA_BOOLE, 1, w);
    assert_memory_equal(w, lower, sizeof w);
    weights_of(LCA_BOOLE, 2, w);
    weights_of(LCA_SIMPSON, 2, lower);
    assert_memory_equal(w, lower, sizeof w);
}

static void rules_are_exact_up_to_their_degree_and_no_further(void **state)
{
    (void)state;
    static const struct {
        enum lca_rule rule;
        int degree, next;       /* exact up to; the first power that is not */
    } of[] = {{LCA_TRAPEZOID, 1, 2}, {LCA_MIDPOINT, 1, 2}, {LCA_SIMPSON, 3, 4}, {LCA_BOOLE, 5, 6}};
    for (size_t r = 0; r < sizeof of / sizeof *of; r++) {
        for (int n = lca_rule_pieces(of[r].rule); n <= 512; n *= 2)
            for (int k = 0; k <= of[r].degree; k++)
                near(integrate(of[r].rule, n, power, k), 1.0 / (k + 1), 1e-14);
        int n = lca_rule_pieces(of[r].rule), k = of[r].next;
        assert_true(fabs(integrate(of[r].rule, n, power, k) - 1.0 / (k + 1)) > 1e-4);
    }
    /* first order is the gradient at the beginning alone: no node, no weight */
    assert_true(integrate(LCA_FIRST_ORDER, 1, power, 0) == 0);
}

static void doubling_shrinks_the_error_by_the_order(void **state)
{
    (void)state;
    static const struct {
        enum lca_rule rule;
        double order;
        int to;                 /* beyond it double's own rounding shows */
    } of[] = {{LCA_TRAPEZOID, 2, 512}, {LCA_MIDPOINT, 2, 256}, {LCA_SIMPSON, 4, 128}, {LCA_BOOLE, 6, 32}};
    const double exact = (exp(1) * (cos(3) + 3 * sin(3)) - 1) / 10;
    for (size_t r = 0; r < sizeof of / sizeof *of; r++) {
        for (int n = 8; n < of[r].to; n *= 2) {
            double before = fabs(integrate(of[r].rule, n, smooth, 0) - exact);
            double after = fabs(integrate(of[r].rule, 2 * n, smooth, 0) - exact);
            near(log2(before / after), of[r].order, 0.1);
        }
    }
}

static void nodes_are_rounded_once(void **state)
{
    (void)state;
    /* 16777216 and 1: the half way is 8388608.5, which float arithmetic would meet by
     * way of 16777215 rounded; in double it is exact, then rounded to even */
    const float a[] = {16777216, 1, 0, -2, 0.1f}, b[] = {1, 1 + 0x1p-22f, 1, 2, 0.1f};
    float x[5];
    lca_path_node(x, a, b, 5, 1, 2);
    assert_true(x[0] == 8388608);
    assert_true(x[1] == 1 + 0x1p-23f);
    assert_true(x[2] == 0.5f);
    assert_true(x[3] == 0);
    assert_true(x[4] == 0.1f);      /* a parameter that does not move stays to the bit */
    lca_path_node(x, a, b, 5, 3, 4);
    assert_true(x[0] == (float)(16777216 + 0.75 * (1 - 16777216.0)));
    assert_true(x[2] == 0.75f);
    assert_true(x[3] == 1);
}

static void an_allocation_sums_before_it_rounds(void **state)
{
    (void)state;
    enum { P = 1000 };
    float a[P], b[P], A[P];
    double G[P], g0[P], sum = 0, size = 0, fo = 0, rounded = 0;
    for (int i = 0; i < P; i++) {
        a[i] = 0.37f * (float)i;
        b[i] = i % 7 ? a[i] + 0.001f * (float)(i % 13 - 6) : a[i];
        G[i] = sin(i) * 1e-3;
        g0[i] = cos(i);
        double d = (double)b[i] - (double)a[i];
        sum += d * G[i];
        size += fabs(d * G[i]);
        fo += d * g0[i];
    }
    struct lca_path_sums s = lca_path_allocate(A, a, b, G, g0, P);
    assert_true(s.sum == sum && s.abs == size && s.fo == fo);
    assert_true(s.sum == lca_path_change(a, b, G, P));
    for (int i = 0; i < P; i++) {
        assert_true(A[i] == (float)(((double)b[i] - (double)a[i]) * G[i]));
        assert_true(i % 7 || A[i] == 0);
        rounded += A[i];
    }
    assert_true(rounded != sum);    /* so sum cannot have been taken of the rounded ones */
    s = lca_path_allocate(NULL, a, b, G, g0, P);
    assert_true(s.sum == sum);
}

static void folds_are_in_double_and_in_order(void **state)
{
    (void)state;
    const float g[] = {1, 0x1p-30f};
    double acc[] = {0x1p-40, 1}, G[2];
    lca_path_add(acc, g, 2);
    assert_true(acc[0] == 1 + 0x1p-40 && acc[1] == 1 + 0x1p-30);
    const double one[] = {1, 2}, two[] = {10, 20}, three[] = {100, 200}, w[] = {0.5, 0.25, 2};
    const double *rows[] = {one, two, three};
    lca_path_combine(G, rows, w, 3, 2);
    assert_true(G[0] == 203 && G[1] == 406);
    lca_path_combine(G, rows, w, 0, 2);
    assert_true(G[0] == 0 && G[1] == 0);
}

static void only_powers_of_two_within_bounds_are_pieces(void **state)
{
    (void)state;
    static const int bad[] = {INT_MIN, -2, 0, 3, 6, 1023, 2048, INT_MAX, 1 << 30};
    double w[LCA_LEVELS];
    for (int r = 0; r < RULES; r++) {
        for (size_t k = 0; k < sizeof bad / sizeof *bad; k++) {
            struct lca_err err = {0};
            assert_int_equal(lca_path_level(every[r], bad[k]), -1);
            assert_int_equal(lca_path_weights(every[r], bad[k], w, &err), -1);
            assert_int_equal(err.status, LCA_USAGE);
            assert_non_null(strstr(err.text, "power of two"));
        }
    }
    assert_int_equal(lca_path_level(LCA_SIMPSON, 1), 0);
    assert_int_equal(lca_path_level(LCA_SIMPSON, 32), 5);
    assert_int_equal(lca_path_level(LCA_BOOLE, 1024), 10);
    assert_int_equal(lca_path_level(LCA_MIDPOINT, 1), 1);
    assert_int_equal(lca_path_level(LCA_MIDPOINT, 512), 10);
    assert_int_equal(lca_path_level(LCA_FIRST_ORDER, 4), 0);
}

static void rules_have_their_names(void **state)
{
    (void)state;
    static const char *const name[] = {"first-order", "trapezoid", "midpoint", "simpson", "boole"};
    static const int pieces[] = {1, 1, 1, 2, 4};
    static const bool refines[] = {false, true, false, true, true};
    struct lca_err err = {0};
    enum lca_rule rule;
    for (int r = 0; r < RULES; r++) {
        assert_int_equal(lca_rule_parse(name[r], &rule, &err), 0);
        assert_int_equal(rule, every[r]);
        assert_string_equal(lca_rule_name(rule), name[r]);
        assert_int_equal(lca_rule_pieces(rule), pieces[r]);
        assert_int_equal(lca_rule_refines(rule), refines[r]);
    }
    assert_int_equal(lca_rule_parse("Simpson", &rule, &err), -1);
    assert_int_equal(err.status, LCA_USAGE);
    assert_non_null(strstr(err.text, "'Simpson'"));
    assert_non_null(strstr(err.text, "boole"));
    assert_int_equal(lca_rule_parse("", &rule, &err), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(weights_of_all_nodes_sum_to_one),
        cmocka_unit_test(weights_are_the_lists_of_the_textbook),
        cmocka_unit_test(too_few_pieces_fall_to_the_lower_rule),
        cmocka_unit_test(rules_are_exact_up_to_their_degree_and_no_further),
        cmocka_unit_test(doubling_shrinks_the_error_by_the_order),
        cmocka_unit_test(nodes_are_rounded_once),
        cmocka_unit_test(an_allocation_sums_before_it_rounds),
        cmocka_unit_test(folds_are_in_double_and_in_order),
        cmocka_unit_test(only_powers_of_two_within_bounds_are_pieces),
        cmocka_unit_test(rules_have_their_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
