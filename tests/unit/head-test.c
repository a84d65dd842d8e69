/* HEAD: run ids, sets and units, provenance. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/digest.h"
#include "frame/head.h"

static json_t *json(const char *text)
{
    json_t *j = json_loads(text, 0, NULL);
    assert_non_null(j);
    return j;
}

static void run_of(const char *text, uint8_t run[LCA_RUN_LEN])
{
    struct lca_err err = {0};
    json_t *def = json(text);
    assert_int_equal(lca_run_id(def, run, &err), 0);
    json_decref(def);
}

static void the_run_id_is_the_hash_of_the_sorted_definition(void **state)
{
    (void)state;
    uint8_t run[LCA_RUN_LEN], digest[LCA_SHA256_LEN];
    static const char text[] = "{\"a\":[1,2],\"lr\":0.5,\"z\":{\"k\":\"v\",\"m\":true}}";
    run_of("{\"z\": {\"m\": true, \"k\": \"v\"}, \"lr\": 0.5, \"a\": [1, 2]}", run);
    lca_sha256(text, strlen(text), digest);
    assert_memory_equal(run, digest, LCA_RUN_LEN);
}

static void the_run_id_knows_values_and_not_the_order_of_keys(void **state)
{
    (void)state;
    static const char *const same[] = {
        "{\"network\": \"mnist-fc\", \"lr\": 0.05, \"seed\": 1}",
        "{\"seed\": 1, \"network\": \"mnist-fc\", \"lr\": 0.05}",
        "{\"lr\": 5e-2, \"seed\": 1, \"network\": \"mnist-fc\"}",
    };
    static const char *const other[] = {
        "{\"network\": \"mnist-fc\", \"lr\": 0.05, \"seed\": 2}",
        "{\"network\": \"mnist-fC\", \"lr\": 0.05, \"seed\": 1}",
        "{\"network\": \"mnist-fc\", \"lr\": 0.050000000000000003, \"seed\": 1, \"x\": null}",
        "{\"network\": \"mnist-fc\", \"lr\": 0.05000000000000001, \"seed\": 1}",
        "{\"network\": \"mnist-fc\", \"lr\": 0.05}",
        "{}",
    };
    uint8_t first[LCA_RUN_LEN], run[LCA_RUN_LEN];
    run_of(same[0], first);
    for (size_t k = 0; k < sizeof same / sizeof *same; k++) {
        run_of(same[k], run);
        assert_memory_equal(run, first, LCA_RUN_LEN);
    }
    for (size_t k = 0; k < sizeof other / sizeof *other; k++) {
        run_of(other[k], run);
        assert_memory_not_equal(run, first, LCA_RUN_LEN);
    }
}

static void sets_are_found_by_name(void **state)
{
    (void)state;
    struct lca_frame_head head = {.data = json("{\"sets\": [{\"set\": \"train\", \"N\": 55000, \"chunk\": 5000}, 7, "
                                               "{\"N\": 3}, {\"set\": \"val\", \"N\": 5000}]}")};
    struct lca_err err = {0};
    uint64_t N = 1, chunk = 1;
    assert_int_equal(lca_head_set(&head, "train", &N, &chunk, &err), 0);
    assert_int_equal(N, 55000);
    assert_int_equal(chunk, 5000);
    assert_int_equal(lca_head_set(&head, "val", &N, &chunk, &err), 0);
    assert_int_equal(N, 5000);
    assert_int_equal(chunk, 0);
    assert_int_equal(lca_head_set(&head, "test", &N, &chunk, &err), -1);
    assert_int_equal(err.status, LCA_USAGE);
    assert_non_null(strstr(err.text, "no set test"));
    assert_non_null(strstr(err.text, "train val"));
    json_decref(head.data);

    head.data = json("{}");
    assert_int_equal(lca_head_set(&head, "train", &N, &chunk, &err), -1);
    assert_non_null(strstr(err.text, "none"));
    assert_int_equal(lca_head_set(&head, "train", &N, &chunk, NULL), -1);
    json_decref(head.data);
    head.data = NULL;
    assert_int_equal(lca_head_set(&head, "train", &N, &chunk, &err), -1);
}

static void names_beyond_the_message_are_cut_off(void **state)
{
    (void)state;
    struct lca_frame_head head = {.data = json("{\"sets\": []}")};
    char name[150];
    memset(name, 'n', sizeof name - 1);
    name[sizeof name - 1] = 0;
    for (int k = 0; k < 5; k++)
        json_array_append_new(json_object_get(head.data, "sets"), json_pack("{s:s}", "set", name));
    struct lca_err err = {0};
    uint64_t N, chunk;
    assert_int_equal(lca_head_set(&head, "train", &N, &chunk, &err), -1);
    assert_non_null(strstr(err.text, "nnnn"));
    json_decref(head.data);
}

static void units_are_the_chunks_of_all_sets(void **state)
{
    (void)state;
    static const struct {
        const char *data;
        uint64_t units;
    } of[] = {
        {"{\"sets\": [{\"set\": \"train\", \"N\": 55000, \"chunk\": 5000}, {\"set\": \"val\", \"N\": 5000, \"chunk\": 5000}]}",
         12},
        {"{\"sets\": [{\"set\": \"train\", \"N\": 100, \"chunk\": 1}]}", 100},
        {"{\"sets\": [{\"set\": \"train\", \"N\": 55000}, {\"set\": \"val\", \"N\": 5000}]}", 0},
        {"{\"sets\": [{\"set\": \"train\", \"N\": -5, \"chunk\": 5}, {\"set\": \"val\", \"N\": 5, \"chunk\": -5}]}", 0},
        {"{\"sets\": []}", 0},
        {"{}", 0},
    };
    for (size_t k = 0; k < sizeof of / sizeof *of; k++) {
        struct lca_frame_head head = {.data = json(of[k].data)};
        assert_int_equal(lca_head_units(&head), of[k].units);
        json_decref(head.data);
    }
}

static void provenance_grows_by_one_and_leaves_the_old_alone(void **state)
{
    (void)state;
    json_t *one = lca_prov_add(NULL, "lca-train", json_pack("{s:i}", "iterations", 3));
    json_t *two = lca_prov_add(one, "lca-integrate", NULL);
    assert_int_equal(json_array_size(one), 1);
    assert_int_equal(json_array_size(two), 2);
    json_t *entry = json_array_get(two, 0);
    assert_string_equal(json_string_value(json_object_get(entry, "prog")), "lca-train");
    assert_int_equal(json_integer_value(json_object_get(json_object_get(entry, "args"), "iterations")), 3);
    entry = json_array_get(two, 1);
    assert_string_equal(json_string_value(json_object_get(entry, "prog")), "lca-integrate");
    assert_true(json_is_string(json_object_get(entry, "version")));
    assert_int_equal(json_object_size(json_object_get(entry, "args")), 0);
    assert_int_equal(json_object_size(entry), 3);
    json_decref(one);
    json_decref(two);
}

static void what_it_announces_is_within_limits(void **state)
{
    (void)state;
    static const char good[] = "{\"sets\":[{\"set\":\"train\",\"N\":6,\"chunk\":2},{\"set\":\"val\",\"N\":1}]}";
    static const struct {
        uint64_t P, parts, nbmax, it0, first;
        const char *classes, *layers, *data, *says;
    } cases[] = {
        {5, 1, 20, 0, 0, "[]", "[]", good, NULL},
        {LCA_P_MAX, LCA_PARTS_MAX, LCA_PAYLOAD_MAX, INT64_MAX, INT64_MAX, "[]", "[]", "{}", NULL},
        {LCA_P_MAX + 1, 1, 20, 0, 0, "[]", "[]", good, "key P: 268435457 is more than 268435456"},
        /* their product was once 0, and divided by */
        {5, UINT64_C(1) << 63, 1, 0, 0, "[]", "[]", good, "key parts"},
        {5, 1, LCA_PAYLOAD_MAX + 1, 0, 0, "[]", "[]", good, "key nbmax"},
        {5, 1, 20, UINT64_MAX, 0, "[]", "[]", good, "key it0"},
        {5, 1, 20, 0, UINT64_MAX, "[]", "[]", good, "key first"},
        {5, 1, 20, 0, 0, "{}", "[]", good, "key classes"},
        {5, 1, 20, 0, 0, "[]", "{}", good, "key layers"},
        {5, 1, 20, 0, 0, "[]", "[]", "[]", "key data: no map"},
        {5, 1, 20, 0, 0, "[]", "[]", "{\"sets\":3}", "sets is no list"},
        {5, 1, 20, 0, 0, "[]", "[]", "{\"sets\":[{\"set\":\"train\",\"N\":0}]}", "set 0 is no"},
        {5, 1, 20, 0, 0, "[]", "[]", "{\"sets\":[{\"set\":\"train\",\"N\":2147483648}]}", "set 0 is no"},
        {5, 1, 20, 0, 0, "[]", "[]", "{\"sets\":[{\"set\":\"train\",\"N\":6,\"chunk\":7}]}", "set 0 is no"},
        {5, 1, 20, 0, 0, "[]", "[]", "{\"sets\":[{\"N\":6}]}", "set 0 is no"},
        {5, 1, 20, 0, 0, "[]", "[]", "{\"sets\":[{\"set\":\"train\",\"N\":2147483647,\"chunk\":1}]}", "2147483647 chunks"},
        {5, 1, 20, 0, 0, "[]", "[]", "{\"sets\":[{},{},{},{},{},{},{},{},{}]}", "more than 8 sets"},
    };
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        struct lca_err err = {0};
        struct lca_frame_head h = {.P = cases[k].P, .parts = cases[k].parts, .nbmax = cases[k].nbmax,
                                   .it0 = cases[k].it0, .first = cases[k].first, .classes = json(cases[k].classes),
                                   .layers = json(cases[k].layers), .data = json(cases[k].data)};
        assert_int_equal(lca_head_check(&h, &err), cases[k].says ? -1 : 0);
        if (cases[k].says && (err.status != LCA_CORRUPT || !strstr(err.text, cases[k].says)))
            fail_msg("case %zu: status %d: %s", k, err.status, err.text);
        json_decref(h.classes);
        json_decref(h.layers);
        json_decref(h.data);
    }
    json_t *many = json_array();
    for (int k = 0; k < LCA_CLASSES_MAX + 1; k++)
        json_array_append_new(many, json_object());
    struct lca_frame_head h = {.P = 5, .classes = many, .layers = json("[]"), .data = json("{}")};
    assert_int_equal(lca_head_check(&h, NULL), -1);
    json_decref(many);
    json_decref(h.layers);
    json_decref(h.data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_run_id_is_the_hash_of_the_sorted_definition),
        cmocka_unit_test(the_run_id_knows_values_and_not_the_order_of_keys),
        cmocka_unit_test(sets_are_found_by_name),
        cmocka_unit_test(names_beyond_the_message_are_cut_off),
        cmocka_unit_test(units_are_the_chunks_of_all_sets),
        cmocka_unit_test(what_it_announces_is_within_limits),
        cmocka_unit_test(provenance_grows_by_one_and_leaves_the_old_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
