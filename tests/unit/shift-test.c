/* Biases that a batch norm takes off again: which, and how many. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "nn/shift.h"

/* Parameters of the biases that are lost. */
static uint64_t lost_biases(const struct lca_net *net, char *names, size_t size)
{
    bool lost[200];
    uint64_t n = 0;
    assert_true(net->n_layer <= 200);
    lca_net_lost_shifts(net, lost);
    *names = 0;
    for (unsigned k = 0; k < net->n_layer; k++) {
        const struct lca_layer *l = &net->layer[k];
        if (!lost[k] || l->off[LCA_BIAS] == LCA_NO_TENSOR)
            continue;
        n += l->g.out.c;
        if (strlen(names) + strlen(l->name) + 2 < size)
            strcat(strcat(names, l->name), " ");
    }
    return n;
}

static void test_built_in(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        uint64_t biases;
    } nets[] = {{"mnist-fc", 0}, {"mnist-lenet", 0}, {"cifar-vgg5", 0}, {"cifar-vgg9", 0},
                {"cifar-resnet20", 688}, {"cifar-allcnn", 960}};
    for (size_t k = 0; k < sizeof nets / sizeof *nets; k++) {
        struct lca_net net;
        struct lca_err err = {0};
        char names[2000];
        assert_int_equal(lca_net_load(&net, nets[k].name, &err), 0);
        assert_int_equal(lost_biases(&net, names, sizeof names), nets[k].biases);
        lca_net_clear(&net);
    }
}

static void check(const char *layers, const char *want)
{
    char text[2000], names[500];
    struct lca_net net;
    struct lca_err err = {0};
    snprintf(text, sizeof text, "{\"name\": \"x\", \"input\": [8, 8, 2], \"classes\": 4, \"layers\": [%s, "
             "{\"type\": \"dense\", \"name\": \"last\", \"units\": 4}]}", layers);
    if (lca_net_parse(&net, text, strlen(text), &err) < 0)
        fail_msg("%s", err.text);
    lost_biases(&net, names, sizeof names);
    assert_string_equal(names, want);
    lca_net_clear(&net);
}

#define CONV(name, k, pad) "{\"type\": \"conv\", \"name\": \"" name "\", \"channels\": 3, \"kernel\": " #k \
                           ", \"pad\": \"" pad "\"}"
#define BN "{\"type\": \"batchnorm\"}"
#define OP(type) "{\"type\": \"" type "\"}"

static void test_paths(void **state)
{
    (void)state;
    check(CONV("a", 3, "same"), "");
    check(CONV("a", 3, "same") ", " BN, "a ");
    check(CONV("a", 3, "same") ", " OP("relu") ", " BN, "");
    check(CONV("a", 3, "same") ", " OP("maxpool") ", " OP("gap") ", " BN, "a ");
    check(CONV("a", 3, "same") ", " OP("flatten") ", {\"type\": \"dropout\", \"rate\": 0.5}, " BN, "a ");
    /* through a second kernel, if it does not pad */
    check(CONV("a", 3, "same") ", " CONV("b", 3, "valid") ", " BN, "a b ");
    check(CONV("a", 3, "same") ", " CONV("b", 1, "same") ", " BN, "a b ");
    check(CONV("a", 3, "same") ", " CONV("b", 3, "same") ", " BN, "b ");
    check(CONV("a", 3, "same") ", {\"type\": \"dense\", \"name\": \"b\", \"units\": 5}, " BN, "a b ");
    /* every path counts: both branches end in the batch norm, or one does not */
    check(CONV("a", 3, "same") ", {\"type\": \"residual\", \"name\": \"r\", \"layers\": [" CONV("b", 1, "same")
          "]}, " BN, "a r/b ");
    check(CONV("a", 3, "same") ", {\"type\": \"residual\", \"name\": \"r\", \"layers\": [" CONV("b", 3, "same") ", " BN
          "]}, " OP("relu"), "r/b ");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_built_in),
        cmocka_unit_test(test_paths),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
