/* Changes of sign: zeros have none and are not bridged, tiny values have theirs. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lca/turns.h"

static void signs_by_hand(void **state)
{
    (void)state;
    static const float step[][6] = {
        {1, 1, -1e-45f, 0, -2, 3},
        {-1, 0, 1e-45f, 0, -3, -0.0f},
        {1, -1, -1e-45f, 5, 1, -3},
        {-1, 1, -1, -5, -1, -0.0f},
    };
    static const uint64_t changes[] = {0, 2, 3, 4};
    static const uint32_t want[6] = {3, 1, 2, 1, 2, 0};
    uint32_t count[6] = {0};
    int8_t sign[6] = {0};
    for (int t = 0; t < 4; t++)
        assert_int_equal(lca_turns(count, sign, step[t], 6), changes[t]);
    assert_memory_equal(count, want, sizeof want);
    static const int8_t last[6] = {-1, 1, -1, -1, -1, 0};
    assert_memory_equal(sign, last, sizeof last);
}

static void none_and_many(void **state)
{
    (void)state;
    enum { N = 100003 };        /* not a multiple of any vector width */
    static float up[N], down[N];
    static uint32_t count[N];
    static int8_t sign[N];
    assert_int_equal(lca_turns(count, sign, up, 0), 0);
    for (int i = 0; i < N; i++) {
        up[i] = i % 3 ? 1 : 0;
        down[i] = -2;
    }
    assert_int_equal(lca_turns(count, sign, up, N), 0);
    assert_int_equal(lca_turns(count, sign, down, N), N - (N + 2) / 3);
    assert_int_equal(lca_turns(count, sign, up, N), N - (N + 2) / 3);
    for (int i = 0; i < N; i++)
        assert_int_equal(count[i], i % 3 ? 2 : 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(signs_by_hand),
        cmocka_unit_test(none_and_many),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
