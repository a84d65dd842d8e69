/* Each kernel of each instruction set against the plain-C reference, and that one
 * in double against central differences. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "backend/backend.h"
#include "backend/cpu/reference-ops.h"
#include "base/buf.h"
#include "base/rng.h"

static float *randoms(size_t n, uint64_t which, float scale)
{
    struct lca_rng rng = {7, LCA_RNG_TEST, which};
    float *x = lca_alloc(n, sizeof *x, NULL);
    for (size_t i = 0; i < n; i++)
        x[i] = scale * (float)lca_rng_normal(&rng, i);
    return x;
}

/* |a - b| <= tolerance x (1 + size of the values) */
static void near(const char *what, const float *a, const float *b, size_t n, double tolerance)
{
    double size = 1;
    for (size_t i = 0; i < n; i++)
        size = fmax(size, fabs((double)b[i]));
    for (size_t i = 0; i < n; i++)
        if (!(fabs((double)a[i] - (double)b[i]) <= tolerance * size))
            fail_msg("%s[%zu]: %.9g, reference %.9g", what, i, (double)a[i], (double)b[i]);
}

static void drop_padding(const float *x, size_t ld, float *y, size_t n, size_t size)
{
    for (size_t e = 0; e < n; e++)
        memcpy(y + e * size, x + e * ld, size * sizeof *y);
}

static const char *const devices[] = {"cpu", "cpu:avx512", "cpu:avx2", "cpu:vec4"};

/* Sizes that fill tiles, leave some over, and use OpenBLAS (1100 x 250). */
static const struct { uint32_t n, in, out; bool bytes; } dense_cases[] = {
    {1, 1, 1, false}, {5, 7, 3, false}, {64, 100, 50, false}, {33, 50, 10, false},
    {9, 13, 130, false}, {3, 17, 112, false}, {40, 300, 200, false}, {21, 1100, 250, false},
    {1, 1, 1, true}, {6, 10, 5, true}, {37, 784, 100, true}, {4, 19, 115, true}, {64, 25, 16, true},
};

static void dense_is_the_reference(const struct lca_backend *b, const char *name, unsigned k,
                                   bool relu, bool adds)
{
    struct lca_err err = {0};
    const uint32_t n = dense_cases[k].n, in = dense_cases[k].in, out = dense_cases[k].out;
    const bool bytes = dense_cases[k].bytes;
    struct lca_device *d = b->open(name, &err);
    if (!d)
        return;     /* not this machine's */
    size_t ld_in = lca_ld(in), ld = lca_ld(out);
    float *w = randoms((size_t)in * out, 1, 0.3f), *bias = randoms(out, 2, 1), *some =
        randoms((size_t)n * in, 3, 1);
    float *dense_x = lca_alloc((size_t)n * in, 4, &err), *x = lca_alloc(n * ld_in, 4, &err);
    uint8_t *image = lca_alloc((size_t)n * in, 1, &err);
    uint32_t *index = lca_alloc(n, 4, &err);
    for (uint32_t e = 0; e < n; e++) {
        index[e] = n - 1 - e;
        for (size_t i = 0; i < in; i++) {
            size_t at = e * (size_t)in + i, row = index[e] * (size_t)in + i;
            if (bytes)
                image[row] = fabsf(some[at]) < 0.5f ? 0 : (uint8_t)(100 * fabsf(some[at]));
            dense_x[at] = bytes ? (float)image[row] / 255.0f : some[at];
            x[e * ld_in + i] = dense_x[at];
        }
    }
    float *dy0 = randoms((size_t)n * out, 4, 1);
    float *y = lca_alloc(n * ld, 4, &err), *dy = lca_alloc(n * ld, 4, &err), *dx =
        lca_alloc(n * ld_in, 4, &err);
    float *dw = lca_alloc((size_t)in * out, 4, &err), *db = lca_alloc(out, 4, &err);
    for (uint32_t e = 0; e < n; e++)
        memcpy(dy + e * ld, dy0 + e * (size_t)out, out * sizeof *dy);
    float *want_dx = lca_alloc((size_t)n * in, 4, &err);
    for (size_t i = 0; adds && i < (size_t)n * in; i++) {
        want_dx[i] = 0.25f;
        dx[i / in * ld_in + i % in] = 0.25f;
    }

    struct lca_geometry g = {.type = LCA_DENSE, .in = {1, 1, in}, .out = {1, 1, out}};
    struct lca_rows rows = {.images = image, .index = index, .pixels = in};
    const struct lca_layer_ops *ops = b->layer[LCA_DENSE];
    struct lca_call c = {.g = &g, .n_max = n, .x = bytes ? NULL : x, .rows = bytes ? &rows : NULL,
                         .y = y,
                         .relu = relu, .dy = dy, .dx = bytes ? NULL : dx, .dx_adds = adds,
                             .kernel = w,
                         .bias = bias, .dkernel = dw, .dbias = db};
    c.state = b->alloc(d, ops->state(d, &g, n), &err);
    ops->begin(d, &c);
    c.n = n;
    ops->forward(d, &c);
    float *want = lca_alloc((size_t)n * out, 4, &err), *got = lca_alloc((size_t)n * out, 4, &err);
    lca_reference_dense_f(dense_x, w, bias, want, n, in, out);
    if (relu)
        lca_reference_relu_f(want, want, (size_t)n * out);
    drop_padding(y, ld, got, n, out);
    near("y", got, want, (size_t)n * out, 1e-5);
    for (uint32_t e = 0; e < n; e++)
        for (size_t o = out; o < ld; o++)
            assert_true(y[e * ld + o] == 0);

    ops->backward(d, &c);
    ops->end(d, &c);
    float *want_dw = lca_alloc((size_t)in * out, 4, &err), *want_db = lca_alloc(out, 4, &err);
    if (relu)
        lca_reference_relu_gradient_f(want, dy0, (size_t)n * out);
    lca_reference_dense_gradient_f(dense_x, w, dy0, want_dw, want_db, want_dx, n, in, out);
    near("dw", dw, want_dw, (size_t)in * out, 1e-5);
    near("db", db, want_db, out, 1e-5);
    if (!bytes) {
        float *got_dx = lca_alloc((size_t)n * in, 4, &err);
        drop_padding(dx, ld_in, got_dx, n, in);
        near("dx", got_dx, want_dx, (size_t)n * in, 1e-5);
        free(got_dx);
    }
    ops->end(d, &c);        /* new sums have begun: nothing is left of the old */
    for (size_t i = 0; i < (size_t)in * out; i++)
        assert_true(dw[i] == 0);

    b->release(d, c.state);
    b->close(d);
    void *all[] = {w, bias, some, dense_x, x, image, index, dy0, y, dy, dx, dw, db, want_dx, want,
                   got, want_dw, want_db};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        free(all[i]);
}

static void dense_on_all_instruction_sets(void **state)
{
    (void)state;
    struct lca_err err = {0};
    for (size_t v = 0; v < sizeof devices / sizeof *devices; v++) {
        const struct lca_backend *b = lca_backend_find(devices[v], &err);
        assert_non_null(b);
        for (unsigned k = 0; k < sizeof dense_cases / sizeof *dense_cases; k++)
            for (int flags = 0; flags < 4; flags++)
                dense_is_the_reference(b, devices[v], k, flags & 1, flags & 2);
    }
}

static void loss_is_the_reference(void **state)
{
    (void)state;
    struct lca_err err = {0};
    static const uint32_t classes_of[] = {2, 3, 10, 16, 17, 100, 256};
    for (size_t v = 0; v < sizeof devices / sizeof *devices; v++) {
        const struct lca_backend *b = lca_backend_find(devices[v], &err);
        struct lca_device *d = b->open(devices[v], &err);
        if (!d)
            continue;
        for (size_t k = 0; k < sizeof classes_of / sizeof *classes_of; k++) {
            uint32_t classes = classes_of[k], n = 50;
            size_t ld = lca_ld(classes), size = (size_t)n * classes;
            float *z0 = randoms(size, 9, 8), *z = lca_alloc(n * ld, 4, &err), *want =
                lca_alloc(size, 4, &err);
            float *got = lca_alloc(size, 4, &err);
            uint8_t label[50];
            z0[0] = 1000;       /* far apart: no overflow, no NaN */
            z0[1] = -1000;
            for (uint32_t e = 0; e < n; e++) {
                label[e] = (uint8_t)(e * 7 % classes);
                memcpy(z + e * ld, z0 + e * (size_t)classes, classes * sizeof *z);
            }
            struct lca_loss sum[256] = {{0}};
            struct lca_rows rows = {.label = label};
            b->loss(d, &rows, n, classes, -1, z, true, sum);
            double total = 0, reference = lca_reference_loss_f(z0, label, want, n, classes);
            uint64_t count = 0, hits = 0, want_hits = 0;
            for (uint32_t c = 0; c < classes; c++) {
                total += sum[c].loss;
                count += sum[c].n;
                hits += sum[c].hits;
            }
            for (uint32_t e = 0; e < n; e++) {
                uint32_t most = 0;
                for (uint32_t c = 1; c < classes; c++)
                    if (z0[e * classes + c] > z0[e * classes + most])
                        most = c;
                want_hits += most == label[e];
            }
            if (fabs(total - reference) > 1e-6 * reference)
                fail_msg("%s, %u classes: loss %.9g, reference %.9g", devices[v], classes, total,
                         reference);
            assert_int_equal(count, n);
            assert_int_equal(hits, want_hits);
            drop_padding(z, ld, got, n, classes);
            near("dz", got, want, size, 3e-7);
            free(z0);
            free(z);
            free(want);
            free(got);
        }
        b->close(d);
    }
}

/* All logits equal: the first class wins, not every one. */
static void ties_go_to_the_first_class(void **state)
{
    (void)state;
    struct lca_err err = {0};
    const struct lca_backend *b = lca_backend_find("cpu", &err);
    struct lca_device *d = b->open("cpu", &err);
    float z[64] = {0};
    uint8_t label[4] = {0, 1, 2, 0};
    struct lca_loss sum[3] = {{0}};
    struct lca_rows rows = {.label = label};
    b->loss(d, &rows, 4, 3, -1, z, false, sum);
    assert_int_equal(sum[0].hits, 2);
    assert_int_equal(sum[1].hits + sum[2].hits, 0);
    assert_true(fabs(sum[1].loss - log(3)) < 1e-12);
    b->close(d);
}

/* A network of three layers, in double: 4 x (in), ReLU, out, and its loss. */
enum { N = 5, I = 6, H = 4, C = 3, P = I * H + H + H * C + C };

static double network(const double *theta, const double *x, const uint8_t *label, double *grad)
{
    const double *w1 = theta, *b1 = w1 + I * H, *w2 = b1 + H, *b2 = w2 + H * C;
    double h[N * H], z[N * C], dz[N * C], dh[N * H] = {0};
    lca_reference_dense_d(x, w1, b1, h, N, I, H);
    lca_reference_relu_d(h, h, N * H);
    lca_reference_dense_d(h, w2, b2, z, N, H, C);
    double loss = lca_reference_loss_d(z, label, dz, N, C);
    if (grad) {
        memset(grad, 0, P * sizeof *grad);
        double *g1 = grad, *g2 = g1 + I * H, *g3 = g2 + H, *g4 = g3 + H * C;
        lca_reference_dense_gradient_d(h, w2, dz, g3, g4, dh, N, H, C);
        lca_reference_relu_gradient_d(h, dh, N * H);
        lca_reference_dense_gradient_d(x, w1, dh, g1, g2, NULL, N, I, H);
    }
    return loss;
}

static void reference_agrees_with_central_differences(void **state)
{
    (void)state;
    double theta[P], x[N * I], grad[P];
    uint8_t label[N] = {0, 1, 2, 1, 0};
    struct lca_rng rng = {3, LCA_RNG_TEST, 0};
    for (int i = 0; i < P; i++)
        theta[i] = lca_rng_normal(&rng, (uint64_t)i);
    for (int i = 0; i < N * I; i++)
        x[i] = lca_rng_normal(&rng, (uint64_t)(1000 + i));
    network(theta, x, label, grad);
    for (int i = 0; i < P; i++) {
        double keep = theta[i], h = 1e-5;
        theta[i] = keep + h;
        double up = network(theta, x, label, NULL);
        theta[i] = keep - h;
        double down = network(theta, x, label, NULL);
        theta[i] = keep;
        double numeric = (up - down) / (2 * h);
        if (fabs(numeric - grad[i]) > 1e-8 * (1 + fabs(numeric)))
            fail_msg("parameter %d: %.12g, central difference %.12g", i, grad[i], numeric);
    }
}

static void unknown_devices_are_errors(void **state)
{
    (void)state;
    struct lca_err err = {0};
    assert_null(lca_backend_find("tpu", &err));
    assert_non_null(strstr(err.text, "no device 'tpu'"));
    const struct lca_backend *b = lca_backend_find("cpu:z80", &err);
    assert_non_null(b);
    assert_null(b->open("cpu:z80", &err));
    assert_non_null(strstr(err.text, "cpu:z80"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(dense_on_all_instruction_sets),
        cmocka_unit_test(loss_is_the_reference),
        cmocka_unit_test(ties_go_to_the_first_class),
        cmocka_unit_test(reference_agrees_with_central_differences),
        cmocka_unit_test(unknown_devices_are_errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
