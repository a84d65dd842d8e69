/* Initial weights: moments, limits, fan-in, and independence of the tensors. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "nn/init.h"

static float *start(struct lca_net *net, const char *name, uint32_t seed)
{
    struct lca_err err = {0};
    char path[256];
    snprintf(path, sizeof path, "%s/pipelines/nets/%s.json", getenv("ROOT") ? getenv("ROOT") : ".",
             name);
    if (lca_net_load(net, path, &err) < 0)
        fail_msg("%s", err.text);
    float *theta = lca_alloc(net->P, sizeof *theta, &err);
    lca_init(net, seed, theta);
    return theta;
}

static void kernels_have_variance_two_over_fan_in(void **state)
{
    (void)state;
    static const char *const name[] = {"mnist-fc", "cifar-resnet20"};
    for (int m = 0; m < 2; m++) {
        struct lca_net net;
        float *theta = start(&net, name[m], 5);
        for (unsigned k = 0; k < net.table.n_tensor; k++) {
            const struct lca_tensor *t = &net.table.tensor[k];
            const float *x = theta + t->off;
            if (t->kind != LCA_KERNEL) {
                for (uint64_t i = 0; i < t->len; i++)
                    assert_true(x[i] == (t->kind == LCA_GAMMA ? 1 : 0));
                continue;
            }
            double fan_in = t->n_shape == 2 ? t->shape[0] : t->shape[0] * t->shape[1] * t->shape[2];
            double limit = 2 * sqrt(2 / fan_in) / 0.8796256610342398, sum = 0, square = 0, most = 0;
            for (uint64_t i = 0; i < t->len; i++) {
                sum += x[i];
                square += (double)x[i] * x[i];
                most = fmax(most, fabs((double)x[i]));
            }
            double n = (double)t->len, variance = square / n, want = 2 / fan_in;
            /* four standard errors; a cut normal has less kurtosis than a normal */
            if (fabs(sum / n) > 4 * sqrt(want / n) ||
                fabs(variance - want) > 4 * want * sqrt(2 / n))
                fail_msg("%s: mean %g, variance %g, wanted %g", t->name, sum / n, variance, want);
            assert_true(most <= limit * (1 + 1e-6));
            if (n > 5000)
                assert_true(most > 0.95 * limit);
        }
        free(theta);
        lca_net_clear(&net);
    }
}

static void seeds_and_tensors_differ(void **state)
{
    (void)state;
    struct lca_net net, again;
    float *a = start(&net, "mnist-fc", 1), *b = start(&again, "mnist-fc", 1);
    assert_memory_equal(a, b, net.P * sizeof *a);
    lca_init(&again, 2, b);
    assert_memory_not_equal(a, b, 64);
    uint64_t second = net.table.layer[1].off;
    assert_true(a[0] / a[1] != a[second] / a[second + 1]);
    free(a);
    free(b);
    lca_net_clear(&net);
    lca_net_clear(&again);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kernels_have_variance_two_over_fan_in),
        cmocka_unit_test(seeds_and_tensors_differ),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
