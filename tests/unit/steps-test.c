/* Steps in flight, on losses whose gradient is known: a stand-in for the pool answers
 * what is asked, in order or backwards. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "lca/steps.h"

enum { P = 5, ROWS = 2, ASKED = 256 };

/* Loss of row r: sum_i c (theta_i - r)^degree / degree over 4 "examples"; a kink at
 * 0.3 is added where wanted. */
static int degree;
static bool kink;

static double loss_of(const float *theta, unsigned r)
{
    double sum = 0;
    for (int i = 0; i < P; i++) {
        sum += (1 + i) * pow(theta[i] - r, degree) / degree;
        sum += kink && theta[i] > 0.3f ? 5 * (theta[i] - 0.3) : 0;
    }
    return sum;
}

static void gradient_of(const float *theta, unsigned r, float *g)
{
    for (int i = 0; i < P; i++)
        g[i] = (float)((1 + i) * pow(theta[i] - r, degree - 1) + (kink && theta[i] > 0.3f ? 5 : 0));
}

static struct asked {
    uint64_t pt, order, it, j, n;
    float theta[P];
} asked[ASKED];
static int n_asked, n_answered;

static int ask(void *arg, uint64_t pt, uint64_t order, uint64_t it, uint64_t j, uint64_t n, const float *theta,
               struct lca_err *err)
{
    (void)arg, (void)err;
    assert_true(n_asked < ASKED);
    asked[n_asked] = (struct asked){.pt = pt, .order = order, .it = it, .j = j, .n = n};
    memcpy(asked[n_asked++].theta, theta, P * sizeof *theta);
    return 0;
}

static void answer(struct lca_steps *s, const struct asked *a)
{
    struct lca_err err = {0};
    float g[P];
    for (unsigned r = 0; r < ROWS; r++) {
        gradient_of(a->theta, r, g);
        /* two slices, each for two examples of 4 */
        for (int part = 0; part < 4; part++) {
            uint64_t off = part % 2 ? 3 : 0, len = part % 2 ? P - 3 : 3;
            for (uint64_t i = 0; i < len; i++)
                g[off + i] *= part < 2 ? 2 : 1;
            assert_int_equal(lca_steps_add(s, a->pt, 0, r, part % 2 ? 0 : 2 * loss_of(a->theta, r), off, g + off, len,
                                           &err), 0);
        }
    }
    assert_int_equal(lca_steps_point(s, a->pt, &err), 0);
}

/* Answers all that is open, and what refinement asks then. */
static void answer_all(struct lca_steps *s, bool backwards)
{
    struct lca_err err = {0};
    while (n_answered < n_asked) {
        int from = n_answered, to = n_asked;
        n_answered = n_asked;
        for (int k = 0; k < to - from; k++)
            answer(s, &asked[backwards ? to - 1 - k : from + k]);
        if (lca_steps_settle(s, &err) < 0)
            fail_msg("%s", err.text);
    }
}

static struct lca_steps *begin(enum lca_rule rule, unsigned min, double tolerance)
{
    struct lca_err err = {0};
    struct lca_steps_opts o = {.P = P, .n_set = 1, .rows = ROWS, .N = {4}, .rule = rule, .refine = tolerance > 0,
                               .tolerance = tolerance, .min_pieces = min, .max_pieces = 32, .ask = ask};
    n_asked = n_answered = 0;
    struct lca_steps *s = lca_steps_new(&o, &err);
    assert_non_null(s);
    return s;
}

static void give(struct lca_steps *s, double shift)
{
    struct lca_err err = {0};
    float *theta = lca_alloc(P, sizeof *theta, &err);
    for (int i = 0; i < P; i++)
        theta[i] = (float)(0.1 * i + shift * (i % 2 ? 1 : -0.5));
    assert_int_equal(lca_steps_theta(s, theta, &err), 0);
}

/* residual of the ready step, from what it hands out */
static double residual(struct lca_steps *s, float A[P])
{
    struct lca_err err = {0};
    const struct lca_step_done *st = lca_steps_ready(s);
    const double *G;
    double L0, L1;
    assert_non_null(st);
    assert_int_equal(lca_steps_effective(s, 0, -1, &G, &err), 0);
    struct lca_path_sums sums = lca_path_allocate(A, st->a, st->b, G, lca_steps_gradient(s, 0, -1), P);
    lca_steps_loss(s, 0, -1, &L0, &L1);
    return L1 - L0 - sums.sum;
}

/* Gradients are rounded to float, so exact means to about 1e-6 of values near 1. */
static void rules_are_exact_up_to_their_degree(void **state)
{
    (void)state;
    static const struct {
        enum lca_rule rule;
        unsigned pieces;
        int exact;      /* degree of the loss */
    } cases[] = {{LCA_FIRST_ORDER, 1, 1}, {LCA_TRAPEZOID, 1, 2}, {LCA_MIDPOINT, 1, 2}, {LCA_SIMPSON, 2, 4},
                 {LCA_BOOLE, 4, 6}, {LCA_SIMPSON, 8, 4}, {LCA_MIDPOINT, 4, 2}};
    float A[P];
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        for (degree = cases[k].exact; degree <= cases[k].exact + 2; degree += 2) {
            struct lca_steps *s = begin(cases[k].rule, cases[k].pieces, 0);
            give(s, 0);
            give(s, 1.5);
            answer_all(s, false);
            double e = fabs(residual(s, A));
            if (degree == cases[k].exact)
                assert_true(e < 1e-5);
            else
                assert_true(e > 1e-4);
            lca_steps_free(s);
        }
    }
}

static void first_step_evaluates_one_more(void **state)
{
    (void)state;
    degree = 4;
    struct lca_steps *s = begin(LCA_SIMPSON, 2, 0);
    give(s, 0);
    assert_int_equal(n_asked, 1);
    assert_null(lca_steps_ready(s));
    give(s, 0.5);
    give(s, 0.7);
    assert_int_equal(n_asked, 5);
    assert_int_equal(lca_steps_in_flight(s), 2);
    answer_all(s, true);
    for (uint64_t it = 0; it < 2; it++) {
        const struct lca_step_done *st = lca_steps_ready(s);
        assert_int_equal(st->it, it);
        assert_int_equal(st->n, 2);
        assert_int_equal(st->evaluated, it == 0 ? 3 : 2);
        assert_int_equal(st->n_trace, 1);
        lca_steps_drop(s);
    }
    assert_int_equal(lca_steps_in_flight(s), 0);
    assert_null(lca_steps_ready(s));
    lca_steps_free(s);
}

/* A stream that is gone on with: the step of the first theta has an end that the step
 * before it paid for, so that its frame says what it would have said. */
static void a_later_first_step_evaluates_no_more(void **state)
{
    (void)state;
    struct lca_err err = {0};
    struct lca_steps_opts o = {.P = P, .n_set = 1, .rows = ROWS, .N = {4}, .rule = LCA_SIMPSON, .min_pieces = 2,
                               .max_pieces = 2, .it0 = 0, .it = 7, .ask = ask};
    degree = 4;
    n_asked = n_answered = 0;
    struct lca_steps *s = lca_steps_new(&o, &err);
    assert_non_null(s);
    give(s, 0);
    give(s, 0.5);
    answer_all(s, false);
    assert_int_equal(asked[0].it, 7);
    assert_int_equal(lca_steps_ready(s)->it, 7);
    assert_int_equal(lca_steps_ready(s)->evaluated, 2);
    lca_steps_free(s);
}

/* The kink keeps the residual up: pieces double, only odd nodes are asked. */
static void refinement_asks_for_odd_nodes_only(void **state)
{
    (void)state;
    float A[P];
    degree = 2;
    kink = true;
    struct lca_steps *s = begin(LCA_SIMPSON, 1, 1e-9);
    give(s, 0);
    give(s, 1.5);
    answer_all(s, false);
    kink = false;
    const struct lca_step_done *st = lca_steps_ready(s);
    assert_int_equal(st->n, 32);
    assert_int_equal(st->n_trace, 6);
    assert_int_equal(st->evaluated, 2 + 31);
    assert_true(fabs(st->residual[0][5]) < fabs(st->residual[0][0]));
    assert_true(fabs(residual(s, A) - st->residual[0][5]) < 1e-12);
    for (int k = 0; k < n_asked; k++) {
        assert_true(asked[k].j % 2 == 1 || asked[k].n == 1);
        for (int m = 0; m < k; m++)
            assert_false(asked[k].j == asked[m].j && asked[k].n == asked[m].n && asked[k].it == asked[m].it);
    }
    lca_steps_free(s);
}

static void a_smooth_step_within_tolerance_is_left_alone(void **state)
{
    (void)state;
    degree = 4;
    struct lca_steps *s = begin(LCA_SIMPSON, 2, 1e-3);
    give(s, 0);
    give(s, 0.1);
    answer_all(s, false);
    assert_int_equal(lca_steps_ready(s)->n, 2);
    lca_steps_free(s);
}

/* The same bytes whatever the order of the answers; rows add up to the whole. */
static void order_of_arrival_does_not_matter(void **state)
{
    (void)state;
    float A[2][P];
    struct lca_err err = {0};
    degree = 3;
    kink = true;
    for (int backwards = 0; backwards < 2; backwards++) {
        struct lca_steps *s = begin(LCA_SIMPSON, 2, 1e-7);
        give(s, 0);
        give(s, 0.9);
        answer_all(s, backwards);
        residual(s, A[backwards]);
        const double *all, *row;
        double sum[P] = {0};
        for (int r = 0; r < ROWS; r++) {
            assert_int_equal(lca_steps_effective(s, 0, r, &row, &err), 0);
            for (int i = 0; i < P; i++)
                sum[i] += row[i];
        }
        assert_int_equal(lca_steps_effective(s, 0, -1, &all, &err), 0);
        assert_memory_equal(all, sum, sizeof sum);
        lca_steps_free(s);
    }
    kink = false;
    assert_memory_equal(A[0], A[1], sizeof A[0]);
}

static void what_is_not_finite_is_named(void **state)
{
    (void)state;
    struct lca_err err = {0};
    degree = 2;
    struct lca_steps *s = begin(LCA_SIMPSON, 2, 0);
    give(s, 0);
    give(s, INFINITY);
    for (int k = 0; k < n_asked; k++)
        answer(s, &asked[k]);
    assert_int_equal(lca_steps_settle(s, &err), -1);
    assert_non_null(strstr(err.text, "step 0"));
    assert_int_equal(lca_steps_add(s, 99, 0, 0, 0, 0, NULL, 0, &err), -1);
    lca_steps_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rules_are_exact_up_to_their_degree),
        cmocka_unit_test(first_step_evaluates_one_more),
        cmocka_unit_test(a_later_first_step_evaluates_no_more),
        cmocka_unit_test(refinement_asks_for_odd_nodes_only),
        cmocka_unit_test(a_smooth_step_within_tolerance_is_left_alone),
        cmocka_unit_test(order_of_arrival_does_not_matter),
        cmocka_unit_test(what_is_not_finite_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
