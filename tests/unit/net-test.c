/* Descriptions of networks: counts, shapes, order of tensors, canonical text, and
 * what is said of wrong ones. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "nn/net.h"

static void load(struct lca_net *net, const char *name)
{
    struct lca_err err = {0};
    char path[256];
    snprintf(path, sizeof path, "%s/pipelines/nets/%s.json", getenv("ROOT") ? getenv("ROOT") : ".",
             name);
    if (lca_net_load(net, path, &err) < 0)
        fail_msg("%s", err.text);
}

static void counts_match_the_paper(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        uint64_t P;
        unsigned kernel_layers;
        double tflop;
    } want[] = {
        /* cost of a full gradient: 3 x forward x training examples */
        {"mnist-fc", 84060, 3, 0.03},           {"mnist-lenet", 808970, 4, 1.7},
        {"cifar-resnet20", 273066, 22, 12.2},   {"cifar-allcnn", 1371658, 9, 84},
        {"cifar-vgg5", 2473610, 5, 12.5},       {"cifar-vgg9", 1918666, 9, 10.4},
    };
    for (size_t k = 0; k < sizeof want / sizeof *want; k++) {
        struct lca_net net;
        load(&net, want[k].name);
        assert_string_equal(net.name, want[k].name);
        assert_int_equal(net.P, want[k].P);
        assert_int_equal(net.table.n_layer, want[k].kernel_layers);
        double n = strncmp(net.name, "mnist", 5) ? 50000 : 55000, tflop =
            3e-12 * n * (double)net.flops;
        if (tflop < 0.9 * want[k].tflop || tflop > 1.1 * want[k].tflop)
            fail_msg("%s: %g TFLOP, not %g", net.name, tflop, want[k].tflop);
        lca_net_clear(&net);
    }
}

static void what_is_moved_is_counted(void **state)
{
    (void)state;
    struct lca_net net;
    load(&net, "mnist-fc");
    assert_int_equal(net.moved, 2 * (784 + 100) + (2 * (100 + 50) + 100) + (2 * (50 + 10) + 50));
    lca_net_clear(&net);
}

static void tensors_lie_in_the_agreed_order(void **state)
{
    (void)state;
    struct lca_net net;
    load(&net, "cifar-resnet20");
    static const char *const want[] = {"conv1/kernel", "conv1/bias", "conv1/gamma", "conv1/beta",
                                       "block1a/conv1/kernel"};
    for (int k = 0; k < 5; k++)
        assert_string_equal(net.table.tensor[k].name, want[k]);
    uint64_t off = 0;
    for (unsigned k = 0; k < net.table.n_tensor; k++) {
        assert_int_equal(net.table.tensor[k].off, off);
        off += net.table.tensor[k].len;
    }
    assert_int_equal(off, net.P);
    /* a block's shortcut after its convolutions, before the next block */
    int a = lca_table_find(&net.table, "block2a/conv2");
    assert_true(a > 0);
    assert_string_equal(net.table.layer[a + 1].name, "block2a/shortcut");
    assert_string_equal(net.table.layer[a + 2].name, "block2b/conv1");
    assert_int_equal(net.table.layer[a + 1].len, 16 * 32 + 32);
    assert_int_equal(net.table.layer[a + 1].n, 2);
    for (unsigned l = 0; l < net.table.n_layer; l++) {
        assert_int_equal(lca_table_layer_of(&net.table, net.table.layer[l].off), l);
        assert_int_equal(lca_table_layer_of(&net.table, net.table.layer[l].off
                                            + net.table.layer[l].len - 1), l);
    }
    const struct lca_tensor *t = &net.table.tensor[0];
    assert_int_equal(t->n_shape, 4);
    assert_int_equal(t->shape[2], 3);
    assert_int_equal(t->shape[3], 16);
    lca_net_clear(&net);
}

static void shapes_and_padding(void **state)
{
    (void)state;
    struct lca_net net;
    struct lca_err err = {0};
    const char *text =
        "{\"name\":\"x\",\"input\":[32,31,3],\"classes\":2,\"layers\":["
        "{\"type\":\"conv\",\"channels\":4,\"kernel\":3,\"stride\":2},"
        "{\"type\":\"maxpool\",\"size\":3,\"stride\":2},"
        "{\"type\":\"conv\",\"channels\":5,\"kernel\":5,\"pad\":\"valid\"},"
        "{\"type\":\"dense\",\"units\":2}]}";
    if (lca_net_parse(&net, text, strlen(text), &err) < 0)
        fail_msg("%s", err.text);
    const struct lca_geometry *g = &net.layer[0].g;
    assert_int_equal(g->out.h, 16);
    assert_int_equal(g->out.w, 16);
    assert_int_equal(g->pad_top, 0);    /* total 1: 0 before, 1 after */
    assert_int_equal(g->pad_left, 1);   /* total 2 */
    assert_int_equal(net.layer[1].g.out.h, 7);
    assert_int_equal(net.layer[2].g.out.h, 3);
    assert_int_equal(net.layer[3].g.in.c, 3 * 3 * 5);
    assert_string_equal(net.layer[2].name, "conv2");
    lca_net_clear(&net);
}

static void canonical_text_is_a_fixed_point(void **state)
{
    (void)state;
    static const char *const name[] = {"mnist-fc", "mnist-lenet", "cifar-resnet20", "cifar-allcnn"};
    for (int k = 0; k < 4; k++) {
        struct lca_net a, b;
        struct lca_err err = {0};
        load(&a, name[k]);
        if (lca_net_parse(&b, a.json, strlen(a.json), &err) < 0)
            fail_msg("%s", err.text);
        assert_string_equal(a.json, b.json);
        assert_int_equal(a.P, b.P);
        assert_int_equal(a.n_layer, b.n_layer);
        lca_net_clear(&a);
        lca_net_clear(&b);
    }
}

static void table_travels_as_json(void **state)
{
    (void)state;
    struct lca_net net;
    struct lca_table t = {0};
    struct lca_err err = {0};
    load(&net, "cifar-resnet20");
    json_t *list = lca_table_json(&net.table);
    if (lca_table_parse(&t, list, net.P, &err) < 0)
        fail_msg("%s", err.text);
    assert_int_equal(t.P, net.P);
    assert_int_equal(t.n_tensor, net.table.n_tensor);
    assert_int_equal(t.n_layer, net.table.n_layer);
    for (unsigned k = 0; k < t.n_tensor; k++)
        assert_memory_equal(&t.tensor[k], &net.table.tensor[k], sizeof *t.tensor);
    lca_table_clear(&t);

    assert_int_equal(lca_table_parse(&t, list, net.P + 1, &err), -1);
    assert_int_equal(err.status, LCA_CORRUPT);
    json_object_set_new(json_array_get(list, 3), "off", json_integer(7));
    assert_int_equal(lca_table_parse(&t, list, net.P, &err), -1);
    assert_non_null(strstr(err.text, "conv1/beta"));
    json_object_set_new(json_array_get(list, 2), "k", json_string("sigma"));
    assert_int_equal(lca_table_parse(&t, list, net.P, &err), -1);
    assert_non_null(strstr(err.text, "sigma"));
    json_object_set_new(json_array_get(list, 0), "sh",
                        json_pack("[I,I,I,I]", (json_int_t)65536, (json_int_t)65536,
                                  (json_int_t)65536,
                                  (json_int_t)65536));
    assert_int_equal(lca_table_parse(&t, list, net.P, &err), -1);
    assert_non_null(strstr(err.text, "too large"));
    assert_int_equal(t.n_tensor, 0);
    json_decref(list);
    lca_net_clear(&net);
}

static void minus_zero_is_zero(void **state)
{
    (void)state;
    static const char *const rate[] = {"0", "0.0", "-0.0"};
    struct lca_net net[3];
    for (int k = 0; k < 3; k++) {
        char text[200];
        struct lca_err err = {0};
        snprintf(text, sizeof text, "{\"name\":\"x\",\"input\":[8,8,3],\"classes\":10,\"layers\":["
                 "{\"type\":\"dropout\",\"rate\":%s},{\"type\":\"dense\",\"units\":10}]}", rate[k]);
        if (lca_net_parse(&net[k], text, strlen(text), &err) < 0)
            fail_msg("%s", err.text);
        assert_string_equal(net[k].json, net[0].json);
    }
    for (int k = 0; k < 3; k++)
        lca_net_clear(&net[k]);
}

static void a_long_text_is_not_looked_into(void **state)
{
    (void)state;
    struct lca_net net;
    struct lca_err err = {0};
    char *text = malloc(LCA_NET_TEXT_MAX + 1);
    memset(text, '[', LCA_NET_TEXT_MAX + 1);
    assert_int_equal(lca_net_parse(&net, text, LCA_NET_TEXT_MAX + 1, &err), -1);
    assert_string_equal(err.text, "a description of 1048577 bytes: a network's has at most 1048576");
    assert_int_equal(err.status, LCA_USAGE);
    free(text);
}

static void an_external_network_is_what_it_says_of_itself(void **state)
{
    (void)state;
    static const char *const text[] = {
        "{\"scale\": 0.1, \"name\": \"toy\", \"chunk\": 50, \"external\": true, \"layers\": \"two\"}",
        "{\"chunk\":50,\"external\":true,\"layers\":\"two\",\"name\":\"toy\",\"scale\":0.10000000000000001}",
    };
    for (int k = 0; k < 2; k++) {
        struct lca_net net;
        struct lca_err err = {0};
        if (lca_net_parse(&net, text[k], strlen(text[k]), &err) < 0)
            fail_msg("%s", err.text);
        assert_true(net.external);
        assert_string_equal(net.name, "toy");
        assert_int_equal(net.chunk, 50);
        assert_int_equal(net.P + net.n_layer + net.classes, 0);
        assert_string_equal(net.json, text[1]);
        lca_net_clear(&net);
    }
    char path[] = "/tmp/net-test-XXXXXX";
    int fd = mkstemp(path);
    assert_int_equal(write(fd, text[0], strlen(text[0])), (int)strlen(text[0]));
    close(fd);
    struct lca_net net;
    struct lca_err err = {0};
    assert_int_equal(lca_net_load(&net, path, &err), -1);
    assert_int_equal(err.status, LCA_USAGE);
    assert_non_null(strstr(err.text, "is external"));
    assert_null(net.layer);
    unlink(path);
}

#define NET(layers) "{\"name\":\"x\",\"input\":[8,8,3],\"classes\":10,\"layers\":[" layers "]}"
#define DENSE "{\"type\":\"dense\",\"units\":10}"

static void wrong_descriptions_say_what(void **state)
{
    (void)state;
    static const struct { const char *json, *says; } wrong[] = {
        {"{", "line 1"},
        {"[]", "must be an object"},
        {"{\"name\":\"x\",\"name\":\"y\"}", "duplicate"},
        {"{\"name\":\"\",\"input\":[8,8,3],\"classes\":10,\"layers\":[" DENSE "]}", "name must be"},
        {"{\"name\":\"x\",\"input\":[8,8],\"classes\":10,\"layers\":[" DENSE "]}", "input must be"},
        {"{\"name\":\"x\",\"input\":[8,8,0],\"classes\":10,\"layers\":[" DENSE "]}",
         "input must be"},
        {"{\"name\":\"x\",\"input\":[8,8,3],\"classes\":1,\"layers\":[" DENSE "]}",
         "classes must be"},
        {"{\"name\":\"x\",\"input\":[8,8,3],\"classes\":10,\"layers\":[]}",
         "layers must be a list"},
        {"{\"name\":\"x\",\"input\":[8,8,3],\"classes\":10,\"depth\":3,\"layers\":[" DENSE "]}",
         "no key 'depth'"},
        {"{\"name\":\"x\",\"input\":[4096,4096,65],\"classes\":10,\"layers\":[" DENSE "]}",
         "input of 4096x4096x65 values"},
        {NET("{\"units\":10}"), "layer number 1: needs a type"},
        {NET("{\"type\":\"lstm\"}"), "layer number 1: unknown type 'lstm'"},
        {NET("{\"type\":\"dense\"}"), "layer dense1: needs units"},
        {NET("{\"type\":\"dense\",\"units\":0}"), "layer dense1: units must be a whole number"},
        {NET("{\"type\":\"dense\",\"units\":1.5}"), "layer dense1: units must be a whole number"},
        {NET("{\"type\":\"dense\",\"units\":10,\"unit\":1}"),
         "layer dense1: a dense layer has no key 'unit'"},
        {NET("{\"type\":\"dense\",\"units\":9}"), "layer dense1: 9 outputs for 10 classes"},
        {NET("{\"type\":\"dense\",\"name\":\"a/b\",\"units\":10}"), "name must be"},
        {NET("{\"type\":\"relu\",\"name\":\"a\"},{\"type\":\"dense\",\"name\":\"a\",\"units\":10}"),
         "layer a: the name is used twice"},
        {NET("{\"type\":\"conv\",\"channels\":4,\"kernel\":0}," DENSE),
         "layer conv1: kernel must be"},
        {NET("{\"type\":\"conv\",\"channels\":4,\"kernel\":9,\"pad\":\"valid\"}," DENSE),
         "layer conv1: a window of 9x9 does not fit an input of 8x8"},
        {NET("{\"type\":\"conv\",\"channels\":4,\"kernel\":3,\"pad\":\"full\"}," DENSE),
         "layer conv1: pad must be \"same\" or \"valid\""},
        {NET("{\"type\":\"batchnorm\"}," DENSE), "layer batchnorm1: a batch norm must come after"},
        {NET("{\"type\":\"dropout\",\"rate\":1}," DENSE), "layer dropout1: rate must be"},
        {NET("{\"type\":\"dropout\"}," DENSE), "layer dropout1: needs rate"},
        {NET(DENSE ",{\"type\":\"batchnorm\"},{\"type\":\"batchnorm\"}"),
         "layer dense1 has a batch norm already"},
        {NET("{\"type\":\"residual\",\"layers\":[]}," DENSE), "layer residual1: needs layers"},
        {NET("{\"type\":\"residual\",\"name\":\"b\",\"layers\":["
             "{\"type\":\"conv\",\"channels\":4,\"kernel\":3}]},"
             DENSE), "layer b: its layers make 8x8x4 of 8x8x3"},
        {NET("{\"type\":\"gap\"},{\"type\":\"dense\",\"units\":1000000},"
             "{\"type\":\"dense\",\"units\":1048576},"
             "{\"type\":\"dense\",\"units\":1048576}," DENSE), "too large"},
        {NET("{\"type\":\"relu\"}"), "192 outputs for 10 classes"},
        {"{\"name\":\"x\",\"external\":false}", "external can only be true"},
        {"{\"name\":\"x\",\"external\":true,\"chunk\":0}", "chunk must be"},
        {"{\"name\":\"x y\",\"external\":true}", "name must be"},
    };
    for (size_t k = 0; k < sizeof wrong / sizeof *wrong; k++) {
        struct lca_net net;
        struct lca_err err = {0};
        if (lca_net_parse(&net, wrong[k].json, strlen(wrong[k].json), &err) == 0)
            fail_msg("no error: %s", wrong[k].json);
        if (!strstr(err.text, wrong[k].says))
            fail_msg("'%s' does not say '%s'", err.text, wrong[k].says);
        assert_int_equal(err.status, LCA_USAGE);
        assert_null(net.layer);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counts_match_the_paper),
        cmocka_unit_test(what_is_moved_is_counted),
        cmocka_unit_test(tensors_lie_in_the_agreed_order),
        cmocka_unit_test(shapes_and_padding),
        cmocka_unit_test(canonical_text_is_a_fixed_point),
        cmocka_unit_test(table_travels_as_json),
        cmocka_unit_test(minus_zero_is_zero),
        cmocka_unit_test(a_long_text_is_not_looked_into),
        cmocka_unit_test(an_external_network_is_what_it_says_of_itself),
        cmocka_unit_test(wrong_descriptions_say_what),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
