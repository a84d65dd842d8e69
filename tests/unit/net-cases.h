/* net-cases.h: small networks for every layer and every edge of its geometry, their
 * examples and parameters: one table for the reference and for the fast evaluator. */
#ifndef TESTS_NET_CASES_H
#define TESTS_NET_CASES_H

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/rng.h"
#include "nn/init.h"
#include "nn/net.h"

#define CONV(channels, kernel) "{\"type\":\"conv\",\"channels\":" #channels ",\"kernel\":" #kernel "}"
#define CONV_S(channels, kernel, s) \
    "{\"type\":\"conv\",\"channels\":" #channels ",\"kernel\":" #kernel ",\"stride\":" #s "}"
#define VALID(channels, kernel, s) \
    "{\"type\":\"conv\",\"channels\":" #channels ",\"kernel\":" #kernel ",\"stride\":" #s ",\"pad\":\"valid\"}"
#define DENSE(units) "{\"type\":\"dense\",\"units\":" #units "}"
#define RELU "{\"type\":\"relu\"}"
#define BN "{\"type\":\"batchnorm\"}"
#define GAP "{\"type\":\"gap\"}"
#define FLATTEN "{\"type\":\"flatten\"}"
#define DROPOUT "{\"type\":\"dropout\",\"rate\":0.5}"
#define MAXPOOL "{\"type\":\"maxpool\"}"
#define MAXPOOL_S(size, s) "{\"type\":\"maxpool\",\"size\":" #size ",\"stride\":" #s "}"
#define AVGPOOL "{\"type\":\"avgpool\"}"
#define AVGPOOL_S(size, s) "{\"type\":\"avgpool\",\"size\":" #size ",\"stride\":" #s "}"
#define BLOCK(layers) "{\"type\":\"residual\",\"layers\":[" layers "]}"
#define PROJECT(layers) "{\"type\":\"residual\",\"shortcut\":\"conv\",\"layers\":[" layers "]}"
#define _ ","
#define NET(h, w, c, layers) \
    "{\"name\":\"case\",\"input\":[" #h "," #w "," #c "],\"classes\":3,\"layers\":[" layers "]}"

static const struct net_case {
    const char *what;
    uint32_t n;             /* examples in a chunk */
    const char *json;
} net_cases[] = {
    {"dense alone", 7, NET(1, 12, 1, DENSE(7) _ RELU _ DENSE(3))},
    {"more examples than a card sums up at a time", 2100, NET(1, 3, 1, DENSE(3))},
    {"3x3, stride 2, even", 5, NET(6, 6, 2, CONV_S(4, 3, 2) _ RELU _ DENSE(3))},
    {"3x3, stride 2, odd", 5, NET(7, 7, 2, CONV_S(4, 3, 2) _ RELU _ DENSE(3))},
    {"3x3, stride 2, inside, even and odd", 5,
     NET(9, 12, 3, CONV(5, 3) _ RELU _ CONV_S(6, 3, 2) _ RELU _ CONV_S(4, 3, 2) _ RELU _ DENSE(3))},
    {"3x3, stride 3", 5, NET(8, 10, 2, CONV(6, 3) _ RELU _ CONV_S(4, 3, 3) _ DENSE(3))},
    {"1x1", 5, NET(5, 4, 3, CONV(6, 1) _ RELU _ CONV(9, 1) _ RELU _ DENSE(3))},
    {"1x1, stride 2", 5, NET(5, 6, 3, CONV(6, 1) _ RELU _ CONV_S(9, 1, 2) _ RELU _ DENSE(3))},
    {"2x2: the odd one after", 5, NET(5, 6, 2, CONV(5, 2) _ RELU _ CONV_S(4, 2, 2) _ RELU _ DENSE(3))},
    {"2x2, stride 3: places that no window reads", 5,
     NET(8, 8, 2, CONV(4, 3) _ RELU _ VALID(4, 2, 3) _ RELU _ DENSE(3))},
    {"5x5", 5, NET(8, 9, 2, CONV(6, 5) _ RELU _ CONV_S(5, 5, 2) _ RELU _ DENSE(3))},
    {"7x7, larger than the map", 5, NET(5, 9, 2, CONV(6, 7) _ RELU _ CONV_S(5, 7, 2) _ RELU _ DENSE(3))},
    {"valid", 5, NET(9, 8, 2, VALID(6, 3, 1) _ RELU _ VALID(5, 3, 2) _ RELU _ DENSE(3))},
    {"valid down to one pixel", 5, NET(5, 7, 2, VALID(6, 3, 1) _ RELU _ VALID(5, 3, 3) _ RELU _ DENSE(3))},
    {"wide and flat", 5, NET(1, 17, 3, CONV(6, 3) _ RELU _ CONV_S(5, 5, 2) _ RELU _ DENSE(3))},
    {"one pixel from the start", 6, NET(1, 1, 5, CONV(7, 3) _ RELU _ CONV(4, 1) _ RELU _ DENSE(3))},
    {"one pixel at the end", 6,
     NET(4, 4, 3, CONV_S(6, 3, 2) _ RELU _ MAXPOOL _ CONV(8, 3) _ RELU _ CONV_S(8, 3, 2) _ RELU _ DENSE(3))},
    {"no ReLU between", 4, NET(6, 6, 2, CONV(5, 3) _ CONV(4, 3) _ DENSE(3))},
    {"a conv is the last layer", 5, NET(3, 3, 2, CONV(6, 3) _ RELU _ VALID(3, 3, 1))},
    {"a ReLU is the last layer", 5, NET(6, 6, 2, CONV(6, 3) _ RELU _ DENSE(3) _ RELU)},
    {"ReLU on the image", 5, NET(6, 5, 2, RELU _ CONV(6, 3) _ RELU _ DENSE(3))},

    /* channels that fill vectors, leave some over, and are few */
    {"1 to 20 to 40 channels", 3,
     NET(14, 14, 1, CONV(20, 5) _ RELU _ MAXPOOL _ CONV(40, 5) _ RELU _ MAXPOOL _ DENSE(20) _ RELU _
         DENSE(3))},
    {"16 to 33 to 64 channels", 3,
     NET(10, 10, 3, CONV(16, 3) _ RELU _ CONV_S(33, 3, 2) _ RELU _ CONV(64, 3) _ RELU _ DENSE(3))},
    {"96 to 17 to 130 channels", 3,
     NET(8, 8, 3, CONV(96, 3) _ RELU _ CONV(17, 1) _ RELU _ CONV_S(130, 3, 2) _ RELU _ GAP _ DENSE(3))},

    {"max pool", 5, NET(9, 7, 2, CONV(5, 3) _ RELU _ MAXPOOL _ CONV(4, 3) _ MAXPOOL _ RELU _ DENSE(3))},
    {"max pool, overlapping", 5,
     NET(9, 8, 2, CONV(5, 3) _ RELU _ MAXPOOL_S(3, 2) _ CONV(4, 3) _ MAXPOOL_S(2, 1) _ DENSE(3))},
    {"max pool with gaps", 5, NET(9, 8, 2, CONV(5, 3) _ MAXPOOL_S(2, 3) _ DENSE(3))},
    {"max pool on the image", 5, NET(8, 8, 2, MAXPOOL _ CONV(5, 3) _ RELU _ DENSE(3))},
    {"average pool", 5, NET(9, 7, 2, CONV(5, 3) _ RELU _ AVGPOOL _ CONV(4, 3) _ RELU _ AVGPOOL _ DENSE(3))},
    {"average pool, overlapping", 5,
     NET(9, 8, 2, CONV(5, 3) _ AVGPOOL_S(3, 2) _ RELU _ AVGPOOL_S(2, 1) _ DENSE(3))},
    {"average pool on the image", 5, NET(8, 8, 2, AVGPOOL_S(3, 1) _ CONV(5, 3) _ RELU _ DENSE(3))},
    {"global average pool", 5, NET(5, 7, 2, CONV(6, 3) _ RELU _ GAP _ DENSE(3))},
    {"global average pool is the last layer", 5, NET(5, 7, 2, CONV(6, 3) _ RELU _ CONV(3, 1) _ GAP)},
    {"dropout and flatten", 5,
     NET(6, 6, 2, CONV(6, 3) _ RELU _ DROPOUT _ FLATTEN _ DENSE(9) _ RELU _ DROPOUT _ DENSE(3))},

    {"batch norm", 6, NET(6, 6, 2, CONV(5, 3) _ BN _ RELU _ CONV_S(7, 3, 2) _ BN _ RELU _ DENSE(3))},
    {"batch norm of one example", 1,
     NET(6, 5, 2, CONV(5, 3) _ BN _ RELU _ CONV_S(7, 3, 2) _ BN _ RELU _ DENSE(3))},
    {"batch norm of one pixel of one example", 1, NET(2, 2, 2, CONV_S(5, 3, 2) _ BN _ RELU _ DENSE(3))},
    {"batch norm without ReLU, then pool", 6,
     NET(6, 6, 2, CONV(5, 3) _ BN _ MAXPOOL _ CONV(6, 3) _ BN _ GAP _ DENSE(3))},
    {"batch norm after ReLU", 6, NET(6, 6, 2, CONV(5, 3) _ RELU _ BN _ CONV(6, 3) _ RELU _ BN _ DENSE(3))},
    {"batch norm after dense", 8, NET(3, 3, 2, DENSE(9) _ BN _ RELU _ DENSE(5) _ RELU _ BN _ DENSE(3))},
    {"batch norm is the last layer", 8, NET(5, 5, 2, CONV(4, 3) _ BN _ RELU _ DENSE(3) _ BN)},
    {"batch norm, 16 and 33 channels", 4,
     NET(8, 8, 3, CONV(16, 3) _ BN _ RELU _ CONV_S(33, 3, 2) _ BN _ RELU _ GAP _ DENSE(3))},

    {"residual", 5, NET(6, 6, 2, CONV(5, 3) _ RELU _ BLOCK(CONV(5, 3) _ RELU _ CONV(5, 3)) _ RELU _ DENSE(3))},
    {"residual that begins with a ReLU", 5,
     NET(6, 6, 2, CONV(5, 3) _ BLOCK(RELU _ CONV(5, 3)) _ BLOCK(RELU _ CONV(5, 3)) _ DENSE(3))},
    {"residual of a ReLU alone", 5, NET(6, 6, 2, CONV(5, 3) _ BLOCK(RELU) _ DENSE(3))},
    {"residual, nested", 5,
     NET(6, 6, 2, CONV(5, 3) _ RELU _ BLOCK(CONV(5, 3) _ RELU _ BLOCK(CONV(5, 3) _ RELU _ CONV(5, 3)) _
         RELU _ CONV(5, 3)) _ RELU _ DENSE(3))},
    {"residual, projected", 5,
     NET(7, 6, 2, CONV(5, 3) _ RELU _ PROJECT(CONV_S(8, 3, 2) _ RELU _ CONV(8, 3)) _ RELU _ DENSE(3))},
    {"residual, projected around a pool", 5,
     NET(8, 6, 2, CONV(5, 3) _ RELU _ PROJECT(CONV(6, 3) _ RELU _ MAXPOOL) _ RELU _ DENSE(3))},
    {"residual, nested and projected, batch norm", 4,
     NET(8, 8, 3, CONV(16, 3) _ BN _ RELU _ PROJECT(CONV_S(20, 3, 2) _ BN _ RELU _ BLOCK(CONV(20, 3) _
         BN) _ RELU _ CONV(20, 3) _ BN) _ RELU _ GAP _ DENSE(3))},
    {"residual on the image", 5, NET(6, 6, 2, BLOCK(CONV(2, 3) _ RELU) _ CONV(4, 3) _ RELU _ DENSE(3))},
    {"residual of dense layers", 5,
     NET(1, 8, 1, DENSE(6) _ RELU _ BLOCK(DENSE(6) _ RELU _ DENSE(6)) _ DENSE(3))},
    {"residual around pools of one size", 5,
     NET(6, 6, 2, CONV(5, 3) _ BLOCK(AVGPOOL_S(1, 1) _ CONV(5, 1) _ MAXPOOL_S(1, 1)) _ GAP _ DENSE(3))},
};
enum { NET_CASES = sizeof net_cases / sizeof *net_cases };

static const char *const built_in[] = {
    "mnist-fc", "mnist-lenet", "cifar-resnet20", "cifar-allcnn", "cifar-vgg5", "cifar-vgg9",
};
enum { BUILT_IN = sizeof built_in / sizeof *built_in };

/* n examples: bytes of which a third are 0, labels all over. */
struct examples {
    uint8_t *image, *label;     /* owned */
    double *x;                  /* image / 255, owned */
    uint32_t n;
    size_t pixels;
};

static inline struct examples examples_for(const struct lca_net *net, uint32_t n, uint64_t which)
{
    struct examples s = {.n = n, .pixels = lca_shape_size(net->input)};
    struct lca_rng rng = {21, LCA_RNG_TEST, which};
    s.image = lca_alloc(n * s.pixels, 1, NULL);
    s.label = lca_alloc(n, 1, NULL);
    s.x = lca_alloc(n * s.pixels, sizeof *s.x, NULL);
    for (size_t i = 0; i < n * s.pixels; i++) {
        uint32_t word[4];
        lca_rng_words(&rng, i, 0, word);
        s.image[i] = word[0] % 3 ? (uint8_t)(word[1] >> 24) : 0;
        s.x[i] = s.image[i] / 255.0;
    }
    for (uint32_t e = 0; e < n; e++)
        s.label[e] = (uint8_t)lca_rng_below(&rng, (1ull << 40) + e, net->classes);
    return s;
}

static inline void examples_clear(struct examples *s)
{
    free(s->image);
    free(s->label);
    free(s->x);
}

/* theta [P]: initial kernels; biases, gammas and betas a little off what they begin with. */
static inline void parameters_for(const struct lca_net *net, uint32_t seed, float *theta)
{
    lca_init(net, seed, theta);
    for (unsigned k = 0; k < net->table.n_tensor; k++) {
        const struct lca_tensor *t = &net->table.tensor[k];
        struct lca_rng rng = {seed, LCA_RNG_TEST, k};
        for (uint64_t i = 0; t->kind != LCA_KERNEL && i < t->len; i++)
            theta[t->off + i] += 0.1f * (float)lca_rng_normal(&rng, i);
    }
}

#endif
