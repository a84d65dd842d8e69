/* What counts as this machine, and how often a refusal is said. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "link/curve.h"

static void only_what_is_written_as_loopback_is(void **state)
{
    (void)state;
    static const char *const here[] = {"tcp://127.0.0.1:5555", "tcp://127.1.2.3:1", "tcp://localhost:80", "tcp://[::1]:9",
                                       "tcp://127.0.0.1:*"};
    static const char *const not[] = {
        "tcp://0.0.0.0:5555", "tcp://*:5555", "tcp://10.0.0.1:5555", "tcp://eth0:5555", "tcp://[::]:5555",
        "tcp://[fe80::1]:5", "tcp://localhost.example.com:5", "tcp://127.0.0.1.example.com:5", "tcp://127.1:5",
        "tcp://127.0.0.1:0;10.0.0.1:5555", "tcp://10.0.0.1:0;127.0.0.1:5", "tcp://:5555", "tcp://lo:5", "tcp://128.0.0.1:1"};
    for (size_t k = 0; k < sizeof here / sizeof *here; k++)
        if (!lca_curve_is_loopback(here[k]))
            fail_msg("%s", here[k]);
    for (size_t k = 0; k < sizeof not / sizeof *not; k++)
        if (lca_curve_is_loopback(not[k]))
            fail_msg("%s", not[k]);
}

static void refusals_are_counted_and_said_at_times(void **state)
{
    (void)state;
    struct lca_refused r = {0};
    assert_true(lca_refused_count(&r));
    for (int k = 0; k < 100; k++)
        assert_false(lca_refused_count(&r));
    assert_int_equal(r.n, 101);
    assert_int_equal(r.said, 1);
    r.quiet_until = 0;      /* ten seconds later */
    assert_true(lca_refused_count(&r));
    assert_int_equal(r.said, 102);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_what_is_written_as_loopback_is),
        cmocka_unit_test(refusals_are_counted_and_said_at_times),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
