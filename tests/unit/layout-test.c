/* Tensors as PyTorch has them: names, shapes, and where each element goes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "plain/layout.h"

/* A map of 2 x 3 x 4 is flattened, normalised as a whole, and taken by a dense layer; an
 * average leaves nothing to be reordered. */
static const char TEXT[] =
    "{\"name\": \"n\", \"input\": [2, 3, 2], \"classes\": 2, \"layers\": ["
    "{\"type\": \"conv\", \"name\": \"c\", \"channels\": 4, \"kernel\": 1},"
    "{\"type\": \"flatten\"}, {\"type\": \"batchnorm\", \"name\": \"b\"}, {\"type\": \"dropout\", \"rate\": 0.5},"
    "{\"type\": \"dense\", \"name\": \"d\", \"units\": 5}, {\"type\": \"relu\"},"
    "{\"type\": \"dense\", \"name\": \"e\", \"units\": 2}]}";

static struct lca_net net;

static int setup(void **state)
{
    struct lca_err err = {0};
    (void)state;
    if (lca_net_parse(&net, TEXT, strlen(TEXT), &err) < 0)
        fail_msg("%s", err.text);
    return 0;
}

static void names_and_shapes(void **state)
{
    (void)state;
    static const struct {
        const char *name, *shape;
    } want[] = {{"c.weight", "[4][2][1][1]"}, {"c.bias", "[4]"}, {"b.weight", "[24]"}, {"b.bias", "[24]"},
                {"d.weight", "[5][24]"}, {"d.bias", "[5]"}, {"e.weight", "[2][5]"}, {"e.bias", "[2]"}};
    struct lca_laid *torch = lca_layout_tensors(&net, LCA_LAYOUT_TORCH, NULL);
    struct lca_laid *ours = lca_layout_tensors(&net, LCA_LAYOUT_OURS, NULL);
    char text[100];
    assert_true(torch && ours && net.table.n_tensor == 8);
    for (unsigned k = 0; k < 8; k++) {
        assert_string_equal(torch[k].name, want[k].name);
        assert_string_equal(lca_layout_shape(torch[k].shape, torch[k].n_shape, text, sizeof text), want[k].shape);
        assert_string_equal(ours[k].name, net.table.tensor[k].name);
        assert_false(ours[k].permuted);
    }
    assert_string_equal(lca_layout_shape(NULL, 0, text, sizeof text), "[]");
    free(torch);
    free(ours);
}

static void elements_go_where_they_belong_and_back(void **state)
{
    (void)state;
    struct lca_laid *torch = lca_layout_tensors(&net, LCA_LAYOUT_TORCH, NULL);
    float v[120], out[120], back[120];
    for (int k = 0; k < 120; k++)
        v[k] = (float)k;
    /* d: ours [h][w][c][o] of 2, 3, 4, 5; PyTorch's [o][c][h][w] */
    lca_layout_out(&torch[4], out, v);
    for (int h = 0; h < 2; h++)
        for (int w = 0; w < 3; w++)
            for (int c = 0; c < 4; c++)
                for (int o = 0; o < 5; o++)
                    assert_true(out[((o * 4 + c) * 2 + h) * 3 + w] == v[((h * 3 + w) * 4 + c) * 5 + o]);
    lca_layout_in(&torch[4], back, out);
    assert_memory_equal(back, v, sizeof v);
    /* b: a number for each of 2 x 3 x 4 inputs */
    lca_layout_out(&torch[2], out, v);
    assert_true(out[1] == v[4] && out[6] == v[1] && out[23] == v[23]);
    /* e: nothing was flattened between */
    lca_layout_out(&torch[6], out, v);
    assert_true(out[1] == v[2] && out[5] == v[1]);
    free(torch);
}

static void layouts_have_names(void **state)
{
    (void)state;
    enum lca_layout layout;
    struct lca_err err = {0};
    assert_int_equal(lca_layout_parse("torch", &layout, &err), 0);
    assert_int_equal(layout, LCA_LAYOUT_TORCH);
    assert_int_equal(lca_layout_parse("ours", &layout, &err), 0);
    assert_int_equal(layout, LCA_LAYOUT_OURS);
    assert_int_equal(lca_layout_parse("keras", &layout, &err), -1);
    assert_int_equal(err.status, LCA_USAGE);
}

static int teardown(void **state)
{
    (void)state;
    lca_net_clear(&net);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_and_shapes),
        cmocka_unit_test(elements_go_where_they_belong_and_back),
        cmocka_unit_test(layouts_have_names),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
