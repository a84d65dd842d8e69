/* The stages of a pass: what begins one, what is kept, what is computed again, and that
 * arrays which live at the same time lie apart. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "nn/plan.h"

static void parse(struct lca_net *net, const char *text)
{
    struct lca_err err = {0};
    if (lca_net_parse(net, text, strlen(text), &err) < 0)
        fail_msg("%s", err.text);
}

static void make(struct lca_plan *p, const struct lca_net *net, uint32_t n_max)
{
    struct lca_err err = {0};
    const struct lca_backend *cpu = lca_backend_find("cpu", &err);
    if (lca_plan_init(p, net, cpu, n_max, &err) < 0)
        fail_msg("%s", err.text);
}

static void load(struct lca_net *net, const char *name)
{
    struct lca_err err = {0};
    if (lca_net_load(net, name, &err) < 0)
        fail_msg("%s", err.text);
}

static unsigned place(const struct lca_net *net, const char *name)
{
    for (unsigned k = 0; k < net->n_layer; k++)
        if (!strcmp(net->layer[k].name, name))
            return k;
    fail_msg("no layer %s", name);
    return 0;
}

#define NET(layers) "{\"name\":\"x\",\"input\":[4,4,3],\"classes\":8,\"layers\":[" layers "]}"
#define C(name) "{\"type\":\"conv\",\"name\":\"" name "\",\"channels\":8,\"kernel\":3}"
#define B(name) "{\"type\":\"batchnorm\",\"name\":\"" name "\"}"
#define R(name) "{\"type\":\"relu\",\"name\":\"" name "\"}"
#define G "{\"type\":\"gap\"}"

static void without_batch_norm_there_is_one_stage_and_nothing_is_kept(void **state)
{
    (void)state;
    struct lca_net net;
    struct lca_plan p;
    load(&net, "cifar-vgg9");
    make(&p, &net, 1000);
    assert_int_equal(p.stages, 1);
    assert_int_equal(p.kept, 0);
    for (unsigned k = 0; k < net.n_layer; k++) {
        assert_false(p.layer[k].y.kept);
        assert_false(p.layer[k].again);
    }
    lca_plan_clear(&p);
    lca_net_clear(&net);
}

static void a_batch_norm_begins_a_stage(void **state)
{
    (void)state;
    struct lca_net net;
    struct lca_plan p;
    parse(&net, NET(C("one") "," B("b1") "," R("r1") "," C("two") "," B("b2") "," R("r2") "," C("three") "," G));
    make(&p, &net, 10);
    assert_int_equal(p.stages, 3);
    unsigned one = place(&net, "one"), b1 = place(&net, "b1"), r1 = place(&net, "r1"), two = place(&net, "two");
    unsigned b2 = place(&net, "b2"), three = place(&net, "three");
    assert_int_equal(p.layer[one].stage, 0);
    assert_int_equal(p.layer[b1].stage, 1);
    assert_int_equal(p.layer[two].stage, 1);
    assert_int_equal(p.layer[b2].stage, 2);
    assert_int_equal(p.layer[three].stage, 2);
    /* the ReLU is the batch norm's; its output is made again for the kernel gradient of two */
    assert_true(p.layer[r1].fused && p.layer[b1].relu);
    assert_true(p.layer[one].y.kept && p.layer[two].y.kept);
    assert_false(p.layer[b1].y.kept || p.layer[b2].y.kept || p.layer[three].y.kept);
    assert_true(p.layer[b1].again);
    assert_false(p.layer[one].again || p.layer[two].again);
    /* in the last stage a slice goes forward and back at once */
    assert_false(p.layer[b2].again);
    /* dy waits for the sums of its batch norm */
    assert_true(p.layer[b1].dy.kept && p.layer[b2].dy.kept);
    assert_false(p.layer[one].dy.kept || p.layer[two].dy.kept);
    lca_plan_clear(&p);
    lca_net_clear(&net);
}

/* Layers whose dy a layer writes first, or adds to. */
static void the_first_writes_and_others_add(void **state)
{
    (void)state;
    struct lca_net net;
    struct lca_plan p;
    parse(&net, NET(C("stem") "," B("b") "," R("r")
                    ",{\"type\":\"residual\",\"name\":\"block\",\"layers\":[" C("in") "," B("c") "]}," G));
    make(&p, &net, 10);
    unsigned in = place(&net, "block/in"), add = place(&net, "block");
    assert_false(p.layer[add].adds[0][0] || p.layer[add].adds[0][1]);
    assert_true(p.layer[in].adds[0][0]);
    /* the block's input is used two stages on */
    assert_true(p.layer[place(&net, "b")].y.kept && p.layer[place(&net, "b")].dy.kept);
    lca_plan_clear(&p);
    lca_net_clear(&net);

    /* an inner block and the outer shortcut use the same array: the later stage is first
     * on the way back, whatever the order of layers */
    parse(&net, NET(C("stem") ",{\"type\":\"residual\",\"name\":\"outer\",\"shortcut\":\"conv\",\"layers\":["
                    "{\"type\":\"residual\",\"name\":\"inner\",\"layers\":[" C("in") "," B("c") "]}," R("r") "]}," G));
    make(&p, &net, 10);
    assert_false(p.layer[place(&net, "outer/inner")].adds[0][1]);
    assert_true(p.layer[place(&net, "outer/shortcut")].adds[0][0]);
    assert_true(p.layer[place(&net, "outer/inner/in")].adds[0][0]);
    lca_plan_clear(&p);
    lca_net_clear(&net);
}

/* Kept arrays by the definition: y from its stage to the end; dy from its first writer
 * on the way back to its own stage, or, of a batch norm, the one below. */
static void kept_arrays_that_live_together_lie_apart(void **state)
{
    (void)state;
    static const char *const name[] = {"cifar-resnet20", "cifar-allcnn"};
    for (size_t which = 0; which < 2; which++) {
        struct lca_net net;
        struct lca_plan p;
        load(&net, name[which]);
        make(&p, &net, 2500);
        struct { size_t at, size; int from, to; } life[400];
        size_t n = 0, all = 0;
        int last = 2 * ((int)p.stages - 1);
        for (unsigned k = 0; k < net.n_layer; k++) {
            size_t size = lca_ld(lca_shape_size(net.layer[k].g.out));
            int stage = (int)p.layer[k].stage, top = stage;
            for (unsigned j = 0; j < net.n_layer; j++)
                if (p.layer[j].ops && !p.layer[j].fused &&
                    (lca_plan_source(&p, &net, net.layer[j].from, false) == (int)k ||
                     (net.layer[j].g.type == LCA_ADD &&
                      lca_plan_source(&p, &net, net.layer[j].other, false) == (int)k)) &&
                    (int)p.layer[j].stage > top)
                    top = (int)p.layer[j].stage;
            bool norm = net.layer[k].g.type == LCA_BATCHNORM;
            if (p.layer[k].y.kept) {
                life[n].at = p.layer[k].y.at;
                life[n].size = size;
                life[n].from = stage;
                life[n++].to = last;
            }
            if (p.layer[k].dy.kept) {
                life[n].at = p.layer[k].dy.at;
                life[n].size = size;
                life[n].from = last - top;
                life[n++].to = last - stage + norm;
            }
            all += (p.layer[k].y.kept + p.layer[k].dy.kept) * size;
        }
        for (size_t a = 0; a < n; a++) {
            assert_true(life[a].at + life[a].size <= p.kept);
            for (size_t b = 0; b < a; b++)
                if (life[a].from <= life[b].to && life[b].from <= life[a].to)
                    assert_true(life[a].at >= life[b].at + life[b].size || life[b].at >= life[a].at + life[a].size);
        }
        assert_true(n > 12);
        assert_true(p.kept < all * 9 / 10);
        lca_plan_clear(&p);
        lca_net_clear(&net);
    }
}

static void logits_and_their_gradient_are_one_array(void **state)
{
    (void)state;
    struct lca_net net;
    struct lca_plan p;
    parse(&net, NET(C("one") "," G ",{\"type\":\"dense\",\"units\":8}," B("last")));
    make(&p, &net, 10);
    const struct lca_plan_layer *l = &p.layer[place(&net, "last")];
    assert_true(l->y.kept && l->dy.kept);
    assert_int_equal(l->y.at, l->dy.at);
    lca_plan_clear(&p);
    lca_net_clear(&net);
    parse(&net, NET(C("one") "," G "," R("logits")));
    make(&p, &net, 10);
    assert_false(p.layer[place(&net, "logits")].fused);
    lca_plan_clear(&p);
    lca_net_clear(&net);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_batch_norm_there_is_one_stage_and_nothing_is_kept),
        cmocka_unit_test(a_batch_norm_begins_a_stage),
        cmocka_unit_test(the_first_writes_and_others_add),
        cmocka_unit_test(kept_arrays_that_live_together_lie_apart),
        cmocka_unit_test(logits_and_their_gradient_are_one_array),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
