/* Sizes, and a bound on memory that holds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include <cmocka.h>

#include "base/limit.h"

static void sizes_are_read(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint64_t bytes;
    } of[] = {{"1", 1}, {"1000", 1000}, {"64K", 65536}, {"500M", 524288000}, {"4G", 4294967296}, {"4g", 4294967296},
              {"1T", 1099511627776}, {"16777215T", 16777215ull << 40}};
    uint64_t bytes;
    for (size_t k = 0; k < sizeof of / sizeof *of; k++) {
        assert_int_equal(lca_limit_parse(of[k].text, &bytes, NULL), 0);
        assert_int_equal(bytes, of[k].bytes);
    }
    static const char *const bad[] = {"", "0", "M", "-1", "+1", " 1", "1.5G", "4GB", "4 G", "4X", "16777216T",
                                      "99999999999999999999"};
    for (size_t k = 0; k < sizeof bad / sizeof *bad; k++) {
        struct lca_err err = {0};
        if (lca_limit_parse(bad[k], &bytes, &err) == 0)
            fail_msg("'%s' is taken", bad[k]);
        assert_int_equal(err.status, LCA_USAGE);
    }
}

static void memory_beyond_the_bound_is_refused(void **state)
{
    (void)state;
    struct lca_err err = {0};
    struct rlimit before, after;
    assert_int_equal(lca_limit_memory("4K", &err), -1);
    assert_int_equal(err.status, LCA_USAGE);
    assert_non_null(strstr(err.text, "less than"));
#if defined __SANITIZE_ADDRESS__
    skip();     /* its shadow takes more than any bound */
#endif
    assert_int_equal(getrlimit(RLIMIT_AS, &before), 0);
    assert_int_equal(lca_limit_memory("1G", &err), 0);
    assert_int_equal(getrlimit(RLIMIT_AS, &after), 0);
    assert_int_equal(after.rlim_cur, 1ul << 30);
    assert_int_equal(after.rlim_max, before.rlim_max);
    void *volatile p = malloc((size_t)2 << 30);
    assert_null(p);
    p = malloc((size_t)16 << 20);
    assert_non_null(p);
    free(p);
    assert_int_equal(setrlimit(RLIMIT_AS, &before), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizes_are_read),
        cmocka_unit_test(memory_beyond_the_bound_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
