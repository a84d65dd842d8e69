/* Loss and gradient of whole networks: against numbers from numpy in double, over
 * slices, by class, with zero pixels, dropout and residual layers; training. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "nn/eval.h"
#include "nn/init.h"
#include "nn/train.h"

static void parse(struct lca_net *net, const char *text)
{
    struct lca_err err = {0};
    if (lca_net_parse(net, text, strlen(text), &err) < 0)
        fail_msg("%s", err.text);
}

static struct lca_eval *evaluator(const struct lca_net *net, const struct lca_images *images,
                                  uint32_t n_max)
{
    struct lca_err err = {0};
    struct lca_eval *e = lca_eval_new(net, "cpu", images, n_max, &err);
    if (!e)
        fail_msg("%s", err.text);
    return e;
}

#define D(units) "{\"type\":\"dense\",\"units\":" #units "}"
#define R "{\"type\":\"relu\"}"
static const char *const small_net =
    "{\"name\":\"small\",\"input\":[1,12,1],\"classes\":3,\"layers\":["
                                     D(7) "," R "," D(5) "," R "," D(3) "]}";

/* From numpy 1.24, the same network in double: theta_i = sin(1+i)/2 as float, byte i
 * = (37 i + 11) mod 256 where 3 does not divide i, label i = 2 i mod 3, 6 examples. */
static void numbers_of_another_implementation(void **state)
{
    (void)state;
    struct lca_net net;
    struct lca_err err = {0};
    parse(&net, small_net);
    assert_int_equal(net.P, 149);
    uint8_t image[72], label[6];
    float theta[149], grad[149];
    for (int i = 0; i < 72; i++)
        image[i] = i % 3 ? (uint8_t)(i * 37 + 11) : 0;
    for (int i = 0; i < 6; i++)
        label[i] = (uint8_t)(2 * i % 3);
    for (int i = 0; i < 149; i++)
        theta[i] = (float)(0.5 * sin(1.0 + i));
    struct lca_images images = {image, label, 6, 12};
    struct lca_eval *e = evaluator(&net, &images, 6);
    struct lca_loss sum, by_class[3];
    assert_int_equal(lca_eval_unit(e, theta, 0, 6, grad, &sum, &err), 0);
    assert_true(fabs(sum.loss - 6.777798747718544) < 2e-6);
    assert_int_equal(sum.hits, 2);
    assert_int_equal(sum.n, 6);
    static const struct { int i; double g; } want[] = {
        {0, 0}, {13, -0.06738881208057636}, {20, 0.08168873953542007}, {50, -0.11847251496713827},
        {83, 0.17035913379788165}, {84, 0.12096015514741376}, {90, 0.10840184412106346},
        {100, -0.004950350577773422}, {120, 0.6743247156465179}, {125, 0.13524163518699606},
        {131, 0.4150144806837095}, {135, -0.0010165267868827946}, {140, -0.21387066720017264},
        {145, 0.35143193324478056}, {148, -0.5517838216029716},
    };
    for (size_t k = 0; k < sizeof want / sizeof *want; k++)
        if (fabs((double)grad[want[k].i] - want[k].g) > 1e-6)
            fail_msg("gradient %d: %.9g, numpy %.9g", want[k].i, (double)grad[want[k].i],
                     want[k].g);
    double size = 0;
    for (int i = 0; i < 149; i++)
        size += fabs((double)grad[i]);
    assert_true(fabs(size - 16.187368009446644) < 1e-5);
    assert_int_equal(lca_eval_classes(e, theta, 0, 6, NULL, by_class, &err), 0);
    static const double class_loss[3] = {1.57853918299667, 2.2358949409949473, 2.9633646237269264};
    for (int c = 0; c < 3; c++) {
        assert_true(fabs(by_class[c].loss - class_loss[c]) < 1e-6);
        assert_int_equal(by_class[c].n, 2);
    }
    lca_eval_free(e);
    lca_net_clear(&net);
}

/* MNIST-FC on made-up digits: the borders of the image are always 0. */
enum { EXAMPLES = 700 };
static struct lca_net fc;
static uint8_t image[EXAMPLES * 784], label[EXAMPLES];
static struct lca_images digits = {image, label, EXAMPLES, 784};
static float *theta, *grad, *grad2;
static struct lca_loss sum, sum2;

static int setup(void **state)
{
    (void)state;
    struct lca_rng rng = {1, LCA_RNG_TEST, 0};
    parse(&fc, "{\"name\":\"fc\",\"input\":[28,28,1],\"classes\":10,\"layers\":["
               D(100) "," R "," D(50) "," R "," D(10) "]}");
    for (uint32_t i = 0; i < sizeof image; i++) {
        uint32_t col = i % 28, row = i / 28 % 28;
        bool ink = col > 3 && col < 24 && row > 3 && row < 24 && lca_rng_uniform(&rng, i) < 0.4;
        image[i] = ink ? (uint8_t)(1 + lca_rng_below(&rng, i + (1u << 30), 255)) : 0;
    }
    for (uint32_t i = 0; i < EXAMPLES; i++)
        label[i] = (uint8_t)(lca_rng_below(&rng, i + (1u << 29), 9));   /* none of class 9 */
    theta = lca_alloc(fc.P, sizeof *theta, NULL);
    grad = lca_alloc(10 * fc.P, sizeof *grad, NULL);
    grad2 = lca_alloc(10 * fc.P, sizeof *grad2, NULL);
    lca_init(&fc, 3, theta);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    free(theta);
    free(grad);
    free(grad2);
    lca_net_clear(&fc);
    return 0;
}

static void gradients_agree(const float *a, const float *b, double tolerance)
{
    double size = 0, off = 0;
    for (uint64_t i = 0; i < fc.P; i++) {
        size = fmax(size, fabs((double)b[i]));
        off = fmax(off, fabs((double)a[i] - (double)b[i]));
    }
    if (!(off <= tolerance * size))
        fail_msg("gradients differ by %g of %g", off, size);
}

static void slices_change_rounding_only(void **state)
{
    (void)state;
    struct lca_err err = {0};
    struct lca_eval *e = evaluator(&fc, &digits, EXAMPLES);
    assert_int_equal(lca_eval_unit(e, theta, 0, EXAMPLES, grad, &sum, &err), 0);
    static const uint32_t slice[] = {1, 4, 37, 64, 100, 0};
    for (size_t k = 0; k < sizeof slice / sizeof *slice; k++) {
        lca_eval_slice(e, slice[k]);
        assert_int_equal(lca_eval_unit(e, theta, 0, EXAMPLES, grad2, &sum2, &err), 0);
        assert_true(fabs(sum.loss - sum2.loss) < 1e-9 * sum.loss);
        assert_int_equal(sum.hits, sum2.hits);
        assert_int_equal(sum2.n, EXAMPLES);
        gradients_agree(grad2, grad, 1e-6);
    }
    lca_eval_free(e);
}

/* Units around a multiple of what the buffers hold: no slice may exceed them (the
 * sanitizers see it), and every example counts once. */
static void units_of_any_size(void **state)
{
    (void)state;
    struct lca_err err = {0};
    struct lca_eval *e = evaluator(&fc, &digits, EXAMPLES);
    for (uint32_t n = EXAMPLES - 260; n <= EXAMPLES; n++) {
        assert_int_equal(lca_eval_unit(e, theta, 0, n, n % 16 ? NULL : grad, &sum, &err), 0);
        assert_int_equal(sum.n, n);
    }
    lca_eval_free(e);
}

static void same_unit_same_bits(void **state)
{
    (void)state;
    struct lca_err err = {0};
    struct lca_eval *e = evaluator(&fc, &digits, EXAMPLES), *f = evaluator(&fc, &digits, 200);
    assert_int_equal(lca_eval_unit(e, theta, 100, 300, grad, &sum, &err), 0);
    /* another evaluator, and one that has done other work in between */
    assert_int_equal(lca_eval_unit(f, theta, 100, 300, grad2, &sum2, &err), 0);
    assert_memory_equal(grad, grad2, fc.P * sizeof *grad);
    assert_memory_equal(&sum, &sum2, sizeof sum);
    assert_int_equal(lca_eval_classes(e, theta, 0, EXAMPLES, grad2, (struct lca_loss[10]){{0}},
                                      &err), 0);
    assert_int_equal(lca_eval_unit(e, theta, 100, 300, NULL, &sum2, &err), 0);
    assert_memory_equal(&sum, &sum2, sizeof sum);
    assert_int_equal(lca_eval_unit(e, theta, 100, 300, grad2, &sum2, &err), 0);
    assert_memory_equal(grad, grad2, fc.P * sizeof *grad);
    lca_eval_free(e);
    lca_eval_free(f);
}

static void classes_add_up(void **state)
{
    (void)state;
    struct lca_err err = {0};
    struct lca_loss by_class[10];
    struct lca_eval *e = evaluator(&fc, &digits, EXAMPLES);
    assert_int_equal(lca_eval_unit(e, theta, 0, EXAMPLES, grad2, &sum, &err), 0);
    assert_int_equal(lca_eval_classes(e, theta, 0, EXAMPLES, grad, by_class, &err), 0);
    double loss = 0;
    uint64_t n = 0, hits = 0;
    for (int c = 0; c < 10; c++) {
        loss += by_class[c].loss;
        n += by_class[c].n;
        hits += by_class[c].hits;
    }
    assert_true(fabs(loss - sum.loss) < 1e-9 * loss);
    assert_int_equal(n, EXAMPLES);
    assert_int_equal(hits, sum.hits);
    assert_int_equal(by_class[9].n, 0);
    for (uint64_t i = 0; i < fc.P; i++) {
        assert_true(grad[9 * fc.P + i] == 0);
        for (int c = 1; c < 9; c++)
            grad[i] += grad[c * fc.P + i];
    }
    gradients_agree(grad, grad2, 2e-6);
    lca_eval_free(e);
}

static void pixels_that_are_always_zero_have_no_gradient(void **state)
{
    (void)state;
    struct lca_err err = {0};
    struct lca_eval *e = evaluator(&fc, &digits, EXAMPLES);
    assert_int_equal(lca_eval_unit(e, theta, 0, EXAMPLES, grad, &sum, &err), 0);
    for (int p = 0; p < 784; p++) {
        bool border = p % 28 <= 3 || p % 28 >= 24 || p / 28 <= 3 || p / 28 >= 24;
        double size = 0;
        for (int j = 0; j < 100; j++)
            size += fabs((double)grad[p * 100 + j]);
        assert_true(border == (size == 0));
    }
    lca_eval_free(e);
}

static void batches_are_gathered(void **state)
{
    (void)state;
    struct lca_err err = {0};
    struct lca_eval *e = evaluator(&fc, &digits, EXAMPLES);
    uint32_t index[200];
    for (uint32_t i = 0; i < 200; i++)
        index[i] = 100 + i * 77 % 200;      /* 100 .. 299 in another order */
    assert_int_equal(lca_eval_unit(e, theta, 100, 300, grad, &sum, &err), 0);
    assert_int_equal(lca_eval_batch(e, theta, index, 200, NULL, grad2, &sum2, &err), 0);
    assert_true(fabs(sum.loss - sum2.loss) < 1e-9 * sum.loss);
    gradients_agree(grad2, grad, 1e-6);
    index[7] = EXAMPLES;
    assert_int_equal(lca_eval_batch(e, theta, index, 200, NULL, grad2, &sum2, &err), -1);
    assert_int_equal(lca_eval_unit(e, theta, 100, EXAMPLES + 1, grad, &sum, &err), -1);
    lca_eval_free(e);
}

/* Whatever the layers, the gradient is that of the loss: along a random direction,
 * against a central difference of the (float) evaluator. */
static void gradient_follows_the_loss(const char *text, const struct lca_images *images)
{
    struct lca_net net;
    struct lca_err err = {0};
    parse(&net, text);
    struct lca_eval *e = evaluator(&net, images, images->n);
    float *at = lca_alloc(net.P, sizeof *at, &err), *g = lca_alloc(net.P, sizeof *g, &err);
    float *moved = lca_alloc(net.P, sizeof *moved, &err);
    lca_init(&net, 11, at);
    struct lca_loss s, up, down;
    assert_int_equal(lca_eval_unit(e, at, 0, images->n, g, &s, &err), 0);
    for (uint64_t way = 0; way < 4; way++) {
        struct lca_rng rng = {5, LCA_RNG_TEST, way};
        double slope = 0, h = 5e-6;
        for (int sign = -1; sign <= 1; sign += 2) {
            slope = 0;
            for (uint64_t i = 0; i < net.P; i++) {
                double u = lca_rng_normal(&rng, i);
                moved[i] = at[i] + (float)(sign * h * u);
                slope += u * (double)g[i];
            }
            assert_int_equal(lca_eval_unit(e, moved, 0, images->n, NULL, sign < 0 ? &down : &up,
                                           &err), 0);
        }
        double numeric = (up.loss - down.loss) / (2 * h);
        if (fabs(numeric - slope) > 0.02 * fabs(slope) + 1e-4 * s.loss)
            fail_msg("%s: slope %g, difference %g", net.name, slope, numeric);
    }
    free(at);
    free(g);
    free(moved);
    lca_eval_free(e);
    lca_net_clear(&net);
}

static void other_layers_have_right_gradients(void **state)
{
    (void)state;
    static const struct lca_images some = {image, label, 60, 784};
#define BLOCK(layers) "{\"type\":\"residual\",\"layers\":[" layers "]}"
#define X(layers) "{\"name\":\"x\",\"input\":[28,28,1],\"classes\":10,\"layers\":[" layers "]}"
    gradient_follows_the_loss(X(D(20) "," R "," D(10)), &some);
    /* relu that is its own operation: after a flatten, on the image, at the end */
    gradient_follows_the_loss(X(R "," D(10) ",{\"type\":\"flatten\"}," R), &some);
    /* dropout is off */
    gradient_follows_the_loss(X(D(20) "," R ",{\"type\":\"dropout\",\"rate\":0.5}," D(10)), &some);
    /* one output read twice; the shortcut's gradient is added */
    gradient_follows_the_loss(X(D(16) "," BLOCK(D(16) "," R "," D(16)) "," R "," D(10)), &some);
    gradient_follows_the_loss(X(D(16) "," R "," BLOCK(R "," D(16)) "," D(10)), &some);
    /* on the image itself */
    gradient_follows_the_loss(X("{\"type\":\"flatten\"}," BLOCK(D(784)) "," D(10)), &some);
}

static void dropout_drops_and_scales(void **state)
{
    (void)state;
    struct lca_net net;
    struct lca_err err = {0};
    /* one layer on dropped bytes: the share of dense1 rows with a gradient tells the rate */
    parse(&net, "{\"name\":\"x\",\"input\":[1,400,1],\"classes\":2,\"layers\":["
                "{\"type\":\"dropout\",\"rate\":0.25},{\"type\":\"dense\",\"units\":2}]}");
    uint8_t full[400], zero = 0;
    memset(full, 255, sizeof full);
    struct lca_images images = {full, &zero, 1, 400};
    struct lca_eval *e = evaluator(&net, &images, 1);
    float th[802] = {0}, g[802], again[802];
    uint32_t index = 0;
    struct lca_loss s;
    struct lca_rng rng = {1, LCA_RNG_DROPOUT, 5};
    assert_int_equal(lca_eval_batch(e, th, &index, 1, &rng, g, &s, &err), 0);
    int kept = 0;
    for (int i = 0; i < 400; i++) {
        double x = (double)g[2 * i] / -0.5;     /* softmax - onehot = -1/2 */
        assert_true(x == 0 || fabs(x - 4.0 / 3) < 1e-6);
        kept += x != 0;
    }
    assert_in_range(kept, 265, 335);        /* 300 +- 4 deviations */
    assert_int_equal(lca_eval_batch(e, th, &index, 1, &rng, again, &s, &err), 0);
    assert_memory_equal(g, again, sizeof g);
    rng.step = 6;
    assert_int_equal(lca_eval_batch(e, th, &index, 1, &rng, again, &s, &err), 0);
    assert_memory_not_equal(g, again, sizeof g);
    assert_int_equal(lca_eval_batch(e, th, &index, 1, NULL, g, &s, &err), 0);
    for (int i = 0; i < 400; i++)
        assert_true(g[2 * i] == -0.5f);
    lca_eval_free(e);
    lca_net_clear(&net);
}

static void training_lowers_the_loss(void **state)
{
    (void)state;
    struct lca_err err = {0};
    struct lca_optim o;
    struct lca_eval *e = evaluator(&fc, &digits, EXAMPLES);
    float *th = lca_alloc(fc.P, sizeof *th, &err);
    memcpy(th, theta, fc.P * sizeof *th);
    assert_int_equal(lca_optim_init(&o, &fc.table, LCA_SGD, 0.05, 0.9, &err), 0);
    assert_int_equal(lca_eval_unit(e, th, 0, EXAMPLES, NULL, &sum, &err), 0);
    uint32_t index[100];
    for (uint32_t t = 0; t < 120; t++) {
        for (uint32_t i = 0; i < 100; i++)
            index[i] = (t * 100 + i) % EXAMPLES;
        assert_int_equal(lca_train_step(e, &o, th, grad, index, 100, 1, &sum2, &err), 0);
    }
    assert_int_equal(o.t, 120);
    assert_int_equal(lca_eval_unit(e, th, 0, EXAMPLES, NULL, &sum2, &err), 0);
    if (sum2.loss > 0.5 * sum.loss || sum2.hits < EXAMPLES / 2)
        fail_msg("from %g to %g nat, %d hits", sum.loss, sum2.loss, (int)sum2.hits);
    lca_optim_clear(&o);
    free(th);
    lca_eval_free(e);
}

/* Between batch norms the same dropout must be drawn again on the way back: along the
 * gradient the loss changes as it says. No kinks. */
static void dropout_between_batch_norms(void **state)
{
    (void)state;
    struct lca_net net;
    struct lca_err err = {0};
    parse(&net, "{\"name\":\"x\",\"input\":[6,5,2],\"classes\":3,\"layers\":["
                "{\"type\":\"conv\",\"channels\":9,\"kernel\":3},{\"type\":\"batchnorm\"},"
                "{\"type\":\"dropout\",\"rate\":0.4},{\"type\":\"conv\",\"channels\":10,\"kernel\":3},"
                "{\"type\":\"dropout\",\"rate\":0.2},{\"type\":\"batchnorm\"},"
                "{\"type\":\"avgpool\"},{\"type\":\"dense\",\"units\":3}]}");
    enum { n = 40 };
    uint8_t made[n * 60], class[n];
    uint32_t index[n];
    for (int i = 0; i < n * 60; i++)
        made[i] = (uint8_t)(i * i % 251);
    for (int i = 0; i < n; i++) {
        class[i] = (uint8_t)(i % 3);
        index[i] = (uint32_t)(i * 7 % n);
    }
    struct lca_images images = {made, class, n, 60};
    struct lca_eval *e = evaluator(&net, &images, n);
    lca_eval_slice(e, 12);
    float *from = lca_alloc(net.P, sizeof *from, &err), *slope = lca_alloc(net.P, sizeof *slope, &err);
    float *moved = lca_alloc(net.P, sizeof *moved, &err);
    lca_init(&net, 4, from);
    struct lca_rng drop = {3, LCA_RNG_DROPOUT, 5};
    struct lca_loss at, sides[2];
    assert_int_equal(lca_eval_batch(e, from, index, n, &drop, slope, &at, &err), 0);
    double square = 0;
    for (uint64_t i = 0; i < net.P; i++)
        square += (double)slope[i] * (double)slope[i];
    double h = 0.02 / square;
    for (int side = 0; side < 2; side++) {
        for (uint64_t i = 0; i < net.P; i++)
            moved[i] = (float)((double)from[i] + (side ? -h : h) * (double)slope[i]);
        assert_int_equal(lca_eval_batch(e, moved, index, n, &drop, NULL, &sides[side], &err), 0);
    }
    double change = (sides[0].loss - sides[1].loss) / (2 * h);
    if (fabs(change - square) > 2e-3 * square)
        fail_msg("the loss changes by %.6g, its gradient says %.6g", change, square);
    free(from);
    free(slope);
    free(moved);
    lca_eval_free(e);
    lca_net_clear(&net);
}

static void what_cannot_be_computed_is_named(void **state)
{
    (void)state;
    struct lca_err err = {0};
    struct lca_images small = {image, label, 10, 100};
    assert_null(lca_eval_new(&fc, "cpu", &small, 10, &err));
    assert_non_null(strstr(err.text, "takes 784 values per example, the data have 100"));
    uint8_t bad[3] = {0, 10, 1};
    struct lca_images labels = {image, bad, 3, 784};
    assert_null(lca_eval_new(&fc, "cpu", &labels, 3, &err));
    assert_non_null(strstr(err.text, "label 10 of example 1"));
    assert_null(lca_eval_new(&fc, "cuda", &digits, 10, &err));
    assert_int_equal(err.status, LCA_USAGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_of_another_implementation),
        cmocka_unit_test(slices_change_rounding_only),
        cmocka_unit_test(units_of_any_size),
        cmocka_unit_test(same_unit_same_bits),
        cmocka_unit_test(classes_add_up),
        cmocka_unit_test(pixels_that_are_always_zero_have_no_gradient),
        cmocka_unit_test(batches_are_gathered),
        cmocka_unit_test(other_layers_have_right_gradients),
        cmocka_unit_test(dropout_drops_and_scales),
        cmocka_unit_test(dropout_between_batch_norms),
        cmocka_unit_test(training_lowers_the_loss),
        cmocka_unit_test(what_cannot_be_computed_is_named),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
