/* Fetching an archive from a folder that plays the mirror. */
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/digest.h"
#include "data/fetch.h"

static char folder[] = "/tmp/lca-fetch-test-XXXXXX";
static char mirror[64], digest[LCA_SHA256_HEX];

static struct lca_fetch_plan plan = {.name = "things", .holds = "things",
                                     .files = {{"things.tar.gz", "SHA256", digest}}};

static bool there(const char *name)
{
    return access(name, F_OK) == 0;
}

static void an_archive_is_checked_and_unpacked(void **state)
{
    (void)state;
    assert_int_equal(lca_fetch(&plan, mirror, "out", NULL), 0);
    assert_true(there("out/things/one.bin"));
    assert_true(there("out/things/two.bin"));
    assert_false(there("out/things.tar.gz"));
    assert_false(there("out/things.part"));
    /* what is there stays, without a mirror too */
    assert_int_equal(lca_fetch(&plan, "file:///nowhere", "out", NULL), 0);
}

static void a_wrong_sum_leaves_nothing(void **state)
{
    (void)state;
    struct lca_err err = {0};
    digest[0] ^= 1;
    int result = lca_fetch(&plan, mirror, "other", &err);
    digest[0] ^= 1;
    assert_int_equal(result, -1);
    assert_int_equal(err.status, LCA_CORRUPT);
    assert_non_null(strstr(err.text, "SHA256"));
    assert_false(there("other"));
}

static void the_next_mirror_is_tried(void **state)
{
    (void)state;
    struct lca_fetch_plan two = plan;
    two.mirrors[0] = "file:///nowhere/";
    two.mirrors[1] = mirror;
    assert_int_equal(lca_fetch(&two, NULL, "second", NULL), 0);
    assert_true(there("second/things/one.bin"));
}

static void no_mirror_leaves_nothing(void **state)
{
    (void)state;
    struct lca_err err = {0};
    assert_int_equal(lca_fetch(&plan, "file:///nowhere", "none", &err), -1);
    assert_int_equal(err.status, LCA_PEER);
    assert_non_null(strstr(err.text, "file:///nowhere/things.tar.gz"));
    assert_false(there("none"));
}

static int set_up(void **state)
{
    (void)state;
    static uint8_t bytes[65536];
    uint8_t sum[LCA_SHA256_LEN];
    if (!mkdtemp(folder) || chdir(folder) < 0 ||
        system("mkdir things && echo 1 > things/one.bin && echo 2 > things/two.bin && "
               "tar -czf things.tar.gz things && rm -r things") != 0)
        return -1;
    snprintf(mirror, sizeof mirror, "file://%s", folder);
    FILE *f = fopen("things.tar.gz", "rb");
    if (!f)
        return -1;
    size_t n = fread(bytes, 1, sizeof bytes, f);
    fclose(f);
    lca_sha256(bytes, n, sum);
    lca_hex(sum, sizeof sum, digest);
    return 0;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *walk)
{
    (void)st, (void)type, (void)walk;
    return remove(path);
}

static int tear_down(void **state)
{
    (void)state;
    return chdir("/") | nftw(folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_archive_is_checked_and_unpacked),
        cmocka_unit_test(a_wrong_sum_leaves_nothing),
        cmocka_unit_test(the_next_mirror_is_tried),
        cmocka_unit_test(no_mirror_leaves_nothing),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
