#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "data/source.h"
#include "data/synth.h"

static void synth_is_split_and_named(void **state)
{
    (void)state;
    struct lca_source s;
    uint8_t x[LCA_SYNTH_PIXELS];
    assert_int_equal(lca_source_open(&s, "synth:4,1100", LCA_SOURCE_DEFAULT, NULL), 0);
    assert_string_equal(s.data.name, "synth");
    assert_int_equal(s.data.classes, 10);
    assert_string_equal(s.data.class_name[9], "9");
    assert_int_equal(s.data.sets, 3);
    assert_int_equal(s.data.set[0].n, 1100);
    assert_int_equal(s.data.set[1].n, 100);
    assert_int_equal(s.data.set[2].n, 220);
    assert_int_equal(lca_synth_example(4, 17, x), s.data.set[0].labels[17]);
    assert_memory_equal(x, s.data.set[0].images + (size_t)17 * LCA_SYNTH_PIXELS, sizeof x);
    assert_memory_not_equal(s.data.set[0].images, s.data.set[1].images, sizeof x);
    assert_memory_not_equal(s.data.set[0].images, s.data.set[2].images, sizeof x);
    lca_source_close(&s);
}

/* More training examples leave the first ones and the other sets as they were. */
static void a_set_begins_alike_for_any_n(void **state)
{
    (void)state;
    struct lca_source few, many;
    assert_int_equal(lca_source_open(&few, "synth:4,50", LCA_SOURCE_DEFAULT, NULL), 0);
    assert_int_equal(lca_source_open(&many, "synth:4,500", LCA_SOURCE_DEFAULT, NULL), 0);
    for (int k = 0; k < 3; k++)
        assert_memory_equal(few.data.set[k].images, many.data.set[k].images,
                            few.data.set[k].n * (size_t)LCA_SYNTH_PIXELS);
    lca_source_close(&few);
    lca_source_close(&many);
}

static void synth_takes_val(void **state)
{
    (void)state;
    struct lca_source s;
    assert_int_equal(lca_source_open(&s, "synth:4,50", 0, NULL), 0);
    assert_int_equal(s.data.sets, 2);
    assert_null(lca_dataset_find(&s.data, "val", NULL));
    lca_source_close(&s);
    assert_int_equal(lca_source_open(&s, "synth:4,50", 60, NULL), 0);
    assert_int_equal(s.data.set[0].n, 50);
    assert_int_equal(s.data.set[1].n, 60);
    lca_source_close(&s);
}

static void nonsense_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "synth:", "synth:1", "synth:1,", "synth:1,0", "synth:1,-5", "synth:-1,5", "synth:1,5x",
        "synth:4294967296,5", "synth:1,99999999999999999999", "mnist:/nowhere", "cifar10:/nowhere",
        "npy:one.npy", "npy:a,b,c", "npy:/nowhere/a.npy,/nowhere/b.npy", "/nowhere", "/proc", "",
    };
    for (size_t k = 0; k < sizeof bad / sizeof *bad; k++) {
        struct lca_source s;
        struct lca_err err = {0};
        if (lca_source_open(&s, bad[k], LCA_SOURCE_DEFAULT, &err) != -1)
            fail_msg("'%s' is taken", bad[k]);
        assert_int_equal(err.status, LCA_USAGE);
        assert_null(s.train.images);
    }
}

static void names_are_checked(void **state)
{
    (void)state;
    struct lca_source s;
    struct lca_err err = {0};
    char longest[LCA_DATASET_NAME + 1];
    memset(longest, 'x', sizeof longest - 1);
    longest[LCA_DATASET_NAME] = 0;
    assert_int_equal(lca_source_open(&s, "synth:4,50", 0, NULL), 0);
    assert_int_equal(lca_source_name(&s, "mine", "a,bb,c,d,e,f,g,h,i,zehn", &err), 0);
    assert_string_equal(s.data.name, "mine");
    assert_int_equal(s.data.classes, 10);
    assert_string_equal(s.data.class_name[1], "bb");
    assert_string_equal(s.data.class_name[9], "zehn");
    assert_int_equal(lca_source_name(&s, "", NULL, &err), -1);
    assert_int_equal(err.status, LCA_USAGE);
    assert_int_equal(lca_source_name(&s, longest, NULL, &err), -1);
    assert_int_equal(lca_source_name(&s, NULL, longest, &err), -1);
    assert_int_equal(lca_source_name(&s, NULL, "a,,b", &err), -1);
    assert_int_equal(lca_source_name(&s, NULL, "a,", &err), -1);
    lca_source_close(&s);
}

/* The real one, as far as it is there. Facts published with it: the first labels, the
 * counts, the 67 pixels that no training image inks. */
static void mnist_is_what_it_should_be(void **state)
{
    (void)state;
    char what[4096];
    struct lca_source s;
    struct lca_err err = {0};
    const char *data = getenv("LCA_DATA");
    snprintf(what, sizeof what, "%s/mnist", data ? data : "../shared/data");
    if (access(what, R_OK) != 0) {
        print_message("no %s: set LCA_DATA to the folder that holds mnist/\n", what);
        skip();
    }
    if (lca_source_open(&s, what, LCA_SOURCE_DEFAULT, &err) < 0)
        fail_msg("%s", err.text);
    static const uint8_t first[] = {5, 0, 4, 1};
    static const uint32_t in_test[] = {980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009};
    assert_string_equal(s.data.name, "mnist");
    assert_int_equal(s.data.set[0].n, 55000);
    assert_int_equal(s.data.set[1].n, 5000);
    assert_int_equal(s.data.set[2].n, 10000);
    assert_memory_equal(s.data.set[0].labels, first, sizeof first);
    assert_ptr_equal(s.data.set[1].images, s.data.set[0].images + (size_t)55000 * 784);

    int black = 0;
    for (size_t k = 0; k < 784; k++) {
        uint8_t any = 0;
        for (size_t i = 0; i < 60000; i++)
            any |= s.train.images[i * 784 + k];
        black += any == 0;
    }
    assert_int_equal(black, 67);

    uint32_t count[10];
    lca_dataset_count(&s.data, &s.data.set[2], 10000, count);
    assert_memory_equal(count, in_test, sizeof in_test);

    char path[] = "/tmp/lca-source-test-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    assert_int_equal(lca_dataset_write(&s.data, path, NULL), 0);
    unlink(path);
    assert_string_equal(s.data.sha256,
                        "c2069063c1105f2bf96266aef1ff68c6e13bdda7a54e37bf19c16f1db24efc83");
    lca_source_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(synth_is_split_and_named),
        cmocka_unit_test(a_set_begins_alike_for_any_n),
        cmocka_unit_test(synth_takes_val),
        cmocka_unit_test(nonsense_is_refused),
        cmocka_unit_test(names_are_checked),
        cmocka_unit_test(mnist_is_what_it_should_be),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
