/* Chunks: the usual one of each kind of network, divisors, and what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "nn/chunk.h"

#define INPUT "\"input\": [8, 8, 1], \"classes\": 10, \"layers\": "
static const char dense[] = "{\"name\": \"d\", " INPUT "[{\"type\": \"dense\", \"units\": 10}]}";
static const char conv[] = "{\"name\": \"c\", " INPUT "[{\"type\": \"conv\", \"channels\": 2, \"kernel\": 3}, "
                           "{\"type\": \"dense\", \"units\": 10}]}";
static const char norm[] = "{\"name\": \"n\", " INPUT "[{\"type\": \"conv\", \"channels\": 2, \"kernel\": 3}, "
                           "{\"type\": \"batchnorm\"}, {\"type\": \"dense\", \"units\": 10}]}";
static const char external[] = "{\"name\": \"e\", \"external\": true, \"chunk\": 50}";

static struct lca_net net_of(const char *text)
{
    struct lca_net net;
    struct lca_err err = {0};
    if (lca_net_parse(&net, text, strlen(text), &err) < 0)
        fail_msg("%s", err.text);
    return net;
}

static void each_kind_of_network_has_its_usual_chunk(void **state)
{
    (void)state;
    static const struct {
        const char *net;
        uint32_t n, chunk;
    } of[] = {
        {dense, 55000, 5000}, {dense, 5000, 5000}, {dense, 10000, 5000}, {dense, 1000, 1000}, {dense, 91, 91},
        {dense, 6000, 3000}, {dense, 1, 1}, {conv, 55000, 1000}, {conv, 500, 500}, {norm, 50000, 2500},
        {norm, 10000, 2500}, {norm, 2501, 61}, {dense, 5003, 1},
        {external, 600, 50}, {external, 55, 11}, {external, 20, 20},
    };
    for (size_t k = 0; k < sizeof of / sizeof *of; k++) {
        struct lca_net net = net_of(of[k].net);
        assert_int_equal(lca_chunk_divisor(&net, of[k].n), of[k].chunk);
        lca_net_clear(&net);
    }
}

static void the_divisor_is_the_largest_below_the_usual(void **state)
{
    (void)state;
    struct lca_net net = net_of(conv);
    for (uint32_t n = 1; n < 3000; n++) {
        uint32_t largest = 0;
        for (uint32_t d = 1; d <= 1000; d++)
            if (n % d == 0)
                largest = d;
        assert_int_equal(lca_chunk_divisor(&net, n), largest);
    }
    lca_net_clear(&net);
}

static void a_chunk_that_is_given_must_divide(void **state)
{
    (void)state;
    static const struct {
        uint32_t n, given;
        const char *says;       /* NULL: fine */
    } of[] = {
        {55000, 5000, NULL}, {55000, 1, NULL}, {55000, 55000, NULL}, {55000, 11000, NULL},
        {55000, 3000, "2750 or 5000"}, {7, 2, "1 or 7"}, {100, 51, "50 or 100"},
        {100, 101, "largest is 100"}, {55000, 4000000000u, "largest is 55000"},
    };
    struct lca_net net = net_of(dense);
    for (size_t k = 0; k < sizeof of / sizeof *of; k++) {
        struct lca_err err = {0};
        uint32_t chunk = 0;
        int result = lca_chunk_choose(&net, of[k].n, of[k].given, &chunk, &err);
        if (!of[k].says) {
            assert_int_equal(result, 0);
            assert_int_equal(chunk, of[k].given);
            continue;
        }
        assert_int_equal(result, -1);
        assert_int_equal(err.status, LCA_USAGE);
        if (!strstr(err.text, of[k].says))
            fail_msg("'%s' does not say '%s'", err.text, of[k].says);
    }
    lca_net_clear(&net);
}

static void a_number_without_divisors_is_refused_not_cut_to_crumbs(void **state)
{
    (void)state;
    struct lca_err err = {0};
    uint32_t chunk;
    struct lca_net net = net_of(dense);
    assert_int_equal(lca_chunk_choose(&net, 10007, 0, &chunk, &err), -1);
    assert_int_equal(err.status, LCA_USAGE);
    assert_non_null(strstr(err.text, "10007"));
    assert_non_null(strstr(err.text, "--chunk"));
    assert_int_equal(lca_chunk_choose(&net, 10007, 10007, &chunk, &err), 0);
    assert_int_equal(chunk, 10007);
    /* a small set is one chunk, prime or not */
    assert_int_equal(lca_chunk_choose(&net, 101, 0, &chunk, &err), 0);
    assert_int_equal(chunk, 101);
    lca_net_clear(&net);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_kind_of_network_has_its_usual_chunk),
        cmocka_unit_test(the_divisor_is_the_largest_below_the_usual),
        cmocka_unit_test(a_chunk_that_is_given_must_divide),
        cmocka_unit_test(a_number_without_divisors_is_refused_not_cut_to_crumbs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
