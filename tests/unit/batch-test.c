#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/digest.h"
#include "data/batch.h"

static void an_epoch_visits_each_example_once(void **state)
{
    (void)state;
    struct lca_batch b;
    uint64_t epoch;
    int seen[12] = {0};
    assert_int_equal(lca_batch_init(&b, 7, 12, 4, NULL), 0);
    assert_int_equal(b.steps, 3);
    for (uint64_t t = 3; t < 6; t++) {
        const uint32_t *index = lca_batch_at(&b, t, &epoch);
        assert_int_equal(epoch, 1);
        for (int k = 0; k < 4; k++) {
            assert_in_range(index[k], 0, 11);
            seen[index[k]]++;
        }
    }
    for (int i = 0; i < 12; i++)
        assert_int_equal(seen[i], 1);
    lca_batch_clear(&b);
}

static void the_incomplete_batch_is_dropped(void **state)
{
    (void)state;
    struct lca_batch b;
    uint64_t epoch;
    assert_int_equal(lca_batch_init(&b, 7, 55000, 250, NULL), 0);
    assert_int_equal(b.steps, 220);
    lca_batch_clear(&b);
    assert_int_equal(lca_batch_init(&b, 7, 11, 4, NULL), 0);
    assert_int_equal(b.steps, 2);
    lca_batch_at(&b, 1, &epoch);
    assert_int_equal(epoch, 0);
    lca_batch_at(&b, 2, &epoch);
    assert_int_equal(epoch, 1);
    lca_batch_clear(&b);
}

static void any_step_gives_what_going_there_gives(void **state)
{
    (void)state;
    struct lca_batch walk, jump;
    uint64_t epoch, other;
    uint32_t first[100], last[100];
    assert_int_equal(lca_batch_init(&walk, 3, 1000, 100, NULL), 0);
    assert_int_equal(lca_batch_init(&jump, 3, 1000, 100, NULL), 0);
    for (uint64_t t = 0; t < 35; t++) {
        const uint32_t *index = lca_batch_at(&walk, t, &epoch);
        if (t == 0)
            memcpy(first, index, sizeof first);
        memcpy(last, index, sizeof last);
    }
    assert_memory_equal(lca_batch_at(&jump, 34, &other), last, sizeof last);
    assert_int_equal(other, epoch);
    assert_memory_equal(lca_batch_at(&jump, 0, &other), first, sizeof first);
    assert_int_equal(other, 0);
    lca_batch_clear(&walk);
    lca_batch_clear(&jump);
}

static void epochs_and_seeds_have_orders_of_their_own(void **state)
{
    (void)state;
    struct lca_batch b, c;
    uint64_t epoch;
    uint32_t order[1000];
    assert_int_equal(lca_batch_init(&b, 1, 1000, 1000, NULL), 0);
    assert_int_equal(lca_batch_init(&c, 2, 1000, 1000, NULL), 0);
    memcpy(order, lca_batch_at(&b, 0, &epoch), sizeof order);
    assert_memory_not_equal(lca_batch_at(&b, 1, &epoch), order, sizeof order);
    assert_memory_not_equal(lca_batch_at(&c, 0, &epoch), order, sizeof order);
    lca_batch_clear(&b);
    lca_batch_clear(&c);
}

static void a_batch_must_fit(void **state)
{
    (void)state;
    struct lca_batch b;
    struct lca_err err = {0};
    assert_int_equal(lca_batch_init(&b, 1, 100, 101, &err), -1);
    assert_int_equal(err.status, LCA_USAGE);
    assert_non_null(strstr(err.text, "101"));
    assert_int_equal(lca_batch_init(&b, 1, 100, 0, &err), -1);
    assert_int_equal(err.status, LCA_USAGE);
}

/* The first from the specification of XXH64, the others from a version in Python. */
static void the_hash_is_xxh64(void **state)
{
    (void)state;
    static const struct {
        uint32_t n;
        const char *hex;
    } known[] = {{0, "ef46db3751d8e999"}, {4, "7d2a299dbf885106"}, {9, "05df6b7adb49d27f"}};
    uint32_t index[9];
    for (uint32_t k = 0; k < 9; k++)
        index[k] = k;
    for (size_t k = 0; k < sizeof known / sizeof *known; k++) {
        uint8_t hash[LCA_BATCH_HASH];
        char hex[2 * LCA_BATCH_HASH + 1];
        lca_batch_hash(index, known[k].n, hash);
        lca_hex(hash, sizeof hash, hex);
        assert_string_equal(hex, known[k].hex);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_epoch_visits_each_example_once),
        cmocka_unit_test(the_incomplete_batch_is_dropped),
        cmocka_unit_test(any_step_gives_what_going_there_gives),
        cmocka_unit_test(epochs_and_seeds_have_orders_of_their_own),
        cmocka_unit_test(a_batch_must_fit),
        cmocka_unit_test(the_hash_is_xxh64),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
