/* Optimisers against values worked out by hand, and interventions. */
#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "nn/optim.h"
#include "nn/train.h"

/* Two layers: a (2 parameters), b (3). */
static struct lca_table table;

static int setup(void **state)
{
    (void)state;
    uint32_t two = 2, three = 3;
    return lca_table_add(&table, "a", "a/kernel", LCA_KERNEL, &two, 1, NULL) ||
           lca_table_add(&table, "b", "b/kernel", LCA_KERNEL, &three, 1, NULL);
}

static int teardown(void **state)
{
    (void)state;
    lca_table_clear(&table);
    return 0;
}

static void is(double got, double want)
{
    if (!(fabs(got - want) <= 2e-7 * (1 + fabs(want))))
        fail_msg("%.9g, not %.9g", got, want);
}

static void start(struct lca_optim *o, enum lca_optim_kind kind, double lr, double momentum)
{
    struct lca_err err = {0};
    if (lca_optim_init(o, &table, kind, lr, momentum, &err) < 0)
        fail_msg("%s", err.text);
}

static void sgd_by_hand(void **state)
{
    (void)state;
    struct lca_optim o;
    start(&o, LCA_SGD, 0.1, 0.9);
    float theta[5] = {1, 2, 3, 4, 5}, g1[5] = {1, -1, 0, 2, 0.5f}, g2[5] = {1, 0, 0, -2, 1};
    lca_optim_step(&o, theta, g1);
    is(theta[0], 0.9);
    is(theta[1], 2.1);
    assert_true(theta[2] == 3);
    lca_optim_step(&o, theta, g2);
    is(theta[0], 0.9 - 0.1 * 1.9);          /* v = 0.9 + 1 */
    is(theta[1], 2.1 + 0.1 * 0.9);          /* v = -0.9 */
    is(theta[3], 3.8 - 0.1 * (1.8 - 2));
    is(theta[4], 4.95 - 0.1 * (0.45 + 1));
    assert_int_equal(o.t, 2);
    lca_optim_clear(&o);
}

static void adam_by_hand(void **state)
{
    (void)state;
    struct lca_optim o;
    start(&o, LCA_ADAM, 0.01, 0.9);
    float theta[5] = {1, 1, 1, 1, 1}, g1[5] = {2, -3, 0, 1e-3f, 1}, g2[5] = {-1, -3, 0, 0, 1};
    lca_optim_step(&o, theta, g1);
    /* first step: lr g/|g| whatever its size, but for epsilon */
    is(theta[0], 1 - 0.01);
    is(theta[1], 1 + 0.01);
    assert_true(theta[2] == 1);
    lca_optim_step(&o, theta, g2);
    double m = 0.9 * 0.2 - 0.1, v = 0.999 * 0.004 + 0.001;
    double lr = 0.01 * sqrt(1 - 0.999 * 0.999) / (1 - 0.81);
    is(theta[0], 0.99 - lr * m / (sqrt(v) + 1e-8));
    m = 0.9 * 1e-4;
    v = 0.999 * 1e-9;
    is(theta[3], 0.99 - lr * m / (sqrt(v) + 1e-8) + 0.01 * 1e-8 / 3.16e-5);
    lca_optim_clear(&o);
}

static void frozen_layers_keep_their_bits(void **state)
{
    (void)state;
    for (int kind = LCA_SGD; kind <= LCA_ADAM; kind++) {
        struct lca_optim o, free_one;
        struct lca_err err = {0};
        start(&o, (enum lca_optim_kind)kind, 0.1, 0.9);
        start(&free_one, (enum lca_optim_kind)kind, 0.1, 0.9);
        assert_int_equal(lca_optim_freeze(&o, "a@2", &err), 0);
        float theta[5] = {1, 2, 3, 4, 5}, other[5] = {1, 2, 3, 4, 5}, g[5] = {1, 1, 1, 1, 1},
            kept[2];
        for (int t = 0; t < 5; t++) {
            if (t == 2)
                memcpy(kept, theta, sizeof kept);
            lca_optim_step(&o, theta, g);
            lca_optim_step(&free_one, other, g);
            if (t < 2)
                assert_memory_equal(theta, other, sizeof theta);
        }
        assert_memory_equal(theta, kept, sizeof kept);
        assert_memory_equal(theta + 2, other + 2, 3 * sizeof *theta);
        assert_true(o.m[0] == 0 && o.m[1] == 0);
        assert_true(o.m[2] == free_one.m[2]);
        lca_optim_clear(&o);
        lca_optim_clear(&free_one);
    }
}

static void layers_have_rates_of_their_own(void **state)
{
    (void)state;
    struct lca_optim o;
    struct lca_err err = {0};
    start(&o, LCA_SGD, 0.1, 0.9);
    assert_int_equal(lca_optim_layer_lr(&o, "b=0.01", &err), 0);
    assert_int_equal(lca_optim_layer_momentum(&o, "b=0", &err), 0);
    assert_int_equal(lca_optim_lr_steps(&o, "1=0.05,2=0.2", &err), 0);
    float theta[5] = {0}, g[5] = {1, 1, 1, 1, 1};
    for (int t = 0; t < 3; t++)
        lca_optim_step(&o, theta, g);
    is(theta[0], -(0.1 + 0.05 * 1.9 + 0.2 * 2.71));
    is(theta[2], -(0.01 + 0.005 + 0.02));   /* the schedule in ratio, no momentum */
    assert_true(lca_optim_lr(&o, 0) == 0.1 && lca_optim_lr(&o, 1) == 0.05 && lca_optim_lr(&o, 9) ==
                0.2);
    lca_optim_clear(&o);
}

static void delayed_layers_lag(void **state)
{
    (void)state;
    struct lca_optim o;
    struct lca_err err = {0};
    start(&o, LCA_SGD, 1, 0);
    assert_int_equal(lca_optim_delay(&o, "b=2", &err), 0);
    float theta[5] = {0}, b[6];
    for (int t = 0; t < 6; t++) {
        float g[5] = {0, 0, (float)(1 << t), 0, 0};
        lca_optim_step(&o, theta, g);
        b[t] = theta[2];
    }
    static const float want[6] = {0, 0, -1, -3, -7, -15};
    assert_memory_equal(b, want, sizeof want);
    lca_optim_clear(&o);
}

static void wrong_interventions_say_what(void **state)
{
    (void)state;
    struct lca_optim o;
    struct lca_err err = {0};
    start(&o, LCA_SGD, 1, 0);
    assert_int_equal(lca_optim_freeze(&o, "c", &err), -1);
    assert_string_equal(err.text, "--freeze: no layer 'c' has parameters; these have: a b");
    assert_int_equal(err.status, LCA_USAGE);
    assert_int_equal(lca_optim_freeze(&o, "a@x", &err), -1);
    assert_non_null(strstr(err.text, "--freeze takes a whole number"));
    assert_int_equal(lca_optim_layer_lr(&o, "a", &err), -1);
    assert_non_null(strstr(err.text, "--layer-lr takes LAYER=VALUE"));
    assert_int_equal(lca_optim_layer_lr(&o, "a=-1", &err), -1);
    assert_int_equal(lca_optim_layer_lr(&o, "a=nan", &err), -1);
    assert_int_equal(lca_optim_layer_momentum(&o, "a=1", &err), -1);
    assert_int_equal(lca_optim_delay(&o, "a=1.5", &err), -1);
    assert_int_equal(lca_optim_lr_steps(&o, "5=0.1,4=0.1", &err), -1);
    assert_non_null(strstr(err.text, "ascending"));
    assert_int_equal(lca_optim_lr_steps(&o, "0.1", &err), -1);
    lca_optim_clear(&o);
}

static void finite_is_said_of_every_element(void **state)
{
    (void)state;
    float v[67];
    for (size_t i = 0; i < 67; i++)
        v[i] = i % 2 ? FLT_MAX : -1e-45f;
    assert_true(lca_train_finite(v, 67));
    assert_true(lca_train_finite(v, 0));
    const float bad[] = {INFINITY, -INFINITY, NAN, -NAN};
    for (size_t i = 0; i < 67; i++) {
        float was = v[i];
        v[i] = bad[i % 4];
        assert_false(lca_train_finite(v, 67));
        assert_true(lca_train_finite(v, i));
        v[i] = was;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sgd_by_hand),
        cmocka_unit_test(adam_by_hand),
        cmocka_unit_test(frozen_layers_keep_their_bits),
        cmocka_unit_test(layers_have_rates_of_their_own),
        cmocka_unit_test(delayed_layers_lag),
        cmocka_unit_test(wrong_interventions_say_what),
        cmocka_unit_test(finite_is_said_of_every_element),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
