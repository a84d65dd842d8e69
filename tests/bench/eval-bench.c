/* eval-bench.c: time per example of loss and gradient of one process.
 *     eval-bench NET EXAMPLES UNIT digits|dense|FILE.gz [by-class] [SLICE] [DEVICE]
 * FILE.gz: MNIST images (labels are made up). Build, after `make programs`:
 *     gcc -std=c11 -D_GNU_SOURCE -O2 -Isrc -I. -o /tmp/eval-bench tests/bench/eval-bench.c \
 *         .build/cpu/liblca.a $(pkg-config --libs openblas jansson zlib libcrypto libisal) -lm */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "base/buf.h"
#include "base/rng.h"
#include "nn/eval.h"
#include "nn/init.h"

static void fill(uint8_t *image, size_t n, const char *kind)
{
    if (!strcmp(kind, "digits") || !strcmp(kind, "dense")) {
        struct lca_rng rng = {1, LCA_RNG_TEST, 0};
        for (size_t i = 0; i < n; i += 4) {
            uint32_t w[4];
            lca_rng_words(&rng, i, 0, w);
            for (size_t k = 0; k < 4 && i + k < n; k++) {
                bool ink = !strcmp(kind, "dense") || w[k] % 100 < 19;
                image[i + k] = ink ? (uint8_t)(1 + w[k] / 256 % 255) : 0;
            }
        }
        return;
    }
    gzFile f = gzopen(kind, "rb");
    if (!f || gzseek(f, 16, SEEK_SET) < 0 || gzread(f, image, (unsigned)n) != (int)n)
        fprintf(stderr, "%s: cannot read\n", kind);
    if (f)
        gzclose(f);
}

int main(int argc, char **argv)
{
    struct lca_err err = {0};
    struct lca_net net;
    if (argc < 5 || lca_net_load(&net, argv[1], &err) < 0) {
        fprintf(stderr,
                "eval-bench NET EXAMPLES UNIT digits|dense|FILE.gz [by-class|-] [SLICE] [DEVICE]: "
                "%s\n",
                err.text);
        return 2;
    }
    uint32_t n = (uint32_t)atoi(argv[2]), unit = (uint32_t)atoi(argv[3]);
    bool by_class = argc > 5 && !strcmp(argv[5], "by-class");
    size_t pixels = lca_shape_size(net.input);
    uint8_t *image = lca_alloc(n, pixels, &err), *label = lca_alloc(n, 1, &err);
    float *theta = lca_alloc(net.P, sizeof *theta, &err);
    fill(image, n * pixels, argv[4]);
    struct lca_rng rng = {2, LCA_RNG_TEST, 0};
    for (uint32_t i = 0; i < n; i++)
        label[i] = (uint8_t)lca_rng_below(&rng, i, net.classes);
    lca_init(&net, 1, theta);
    struct lca_images images = {image, label, n, pixels};
    struct lca_eval *e = lca_eval_new(&net, argc > 7 ? argv[7] : "cpu", &images, unit, &err);
    double s = 0;
    if (!e) {
        fprintf(stderr, "%s\n", err.text);
        return 1;
    }
    lca_eval_slice(e, argc > 6 ? (uint32_t)atoi(argv[6]) : 0);
    if (lca_eval_time(e, theta, unit, by_class, 5, &s, &err) < 0) {
        fprintf(stderr, "%s\n", err.text);
        return 1;
    }
    printf("{\"net\": \"%s\", \"input\": \"%s\", \"num\": \"%s\", \"by_class\": %s, "
           "\"us_per_example\": %.3f, \"gflops\": %.1f}\n", net.name, argv[4], lca_eval_num(e),
           by_class ? "true" : "false",
               1e6 * s,
           3e-9 * (double)net.flops / s);
    lca_eval_free(e);
    lca_net_clear(&net);
    free(image);
    free(label);
    free(theta);
    return 0;
}
