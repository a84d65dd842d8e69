#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "data/dataset.h"

/* Two sets of 1 x 2 images of 3 channels, in three classes. */
static const uint8_t images[5 * 6] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18,
                                      200, 201, 202, 203, 204, 205, 206, 207, 208, 209, 210, 211};
static const uint8_t labels[5] = {2, 0, 2, 1, 0};

static char path[] = "/tmp/lca-dataset-test-XXXXXX";

static struct lca_dataset small(void)
{
    struct lca_dataset d = {.name = "small", .height = 1, .width = 2, .channels = 3, .classes = 3,
                            .class_name = {"ant", "bee", "c\xc3\xa4t"}};
    lca_dataset_add(&d, "train", 3, images, labels);
    lca_dataset_add(&d, "val", 0, NULL, NULL);
    lca_dataset_add(&d, "test", 2, images + 18, labels + 3);
    return d;
}

static void write_small(void)
{
    struct lca_dataset d = small();
    assert_int_equal(lca_dataset_write(&d, path, NULL), 0);
}

/* Reads the file, lets the test change it, writes it again. */
static size_t load(uint8_t *bytes, size_t room)
{
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    size_t n = fread(bytes, 1, room, f);
    fclose(f);
    return n;
}

static void store(const uint8_t *bytes, size_t n)
{
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, n, f), n);
    fclose(f);
}

static void refuses(int status, const char *says)
{
    struct lca_dataset d;
    struct lca_err err = {0};
    assert_int_equal(lca_dataset_open(&d, path, &err), -1);
    assert_int_equal(err.status, status);
    if (!strstr(err.text, says))
        fail_msg("'%s' does not say '%s'", err.text, says);
    assert_non_null(strstr(err.text, path));
    assert_null(d.map);
}

static void what_is_written_is_read(void **state)
{
    (void)state;
    struct lca_dataset d;
    uint8_t bytes[5000];
    uint32_t count[3];
    write_small();
    assert_int_equal(load(bytes, sizeof bytes), 4096 + 30 + 5);
    assert_memory_equal(bytes, "LCADATA1{", 9);
    assert_int_equal(bytes[4095], '\n');
    assert_memory_equal(bytes + 4096, images, 30);
    assert_memory_equal(bytes + 4096 + 30, labels, 5);

    assert_int_equal(lca_dataset_open(&d, path, NULL), 0);
    assert_int_equal(lca_dataset_verify(&d, NULL), 0);
    assert_string_equal(d.name, "small");
    assert_int_equal(d.height, 1);
    assert_int_equal(d.width, 2);
    assert_int_equal(d.channels, 3);
    assert_int_equal(d.classes, 3);
    assert_string_equal(d.class_name[2], "c\xc3\xa4t");
    assert_int_equal(d.sets, 2);
    const struct lca_set *test = lca_dataset_find(&d, "test", NULL);
    assert_non_null(test);
    assert_int_equal(test->n, 2);
    assert_memory_equal(test->images, images + 18, 12);
    assert_memory_equal(test->labels, labels + 3, 2);
    const struct lca_set *train = lca_dataset_find(&d, "train", NULL);
    lca_dataset_count(&d, train, 3, count);
    assert_int_equal(count[0], 1);
    assert_int_equal(count[1], 0);
    assert_int_equal(count[2], 2);
    lca_dataset_count(&d, train, 1, count);
    assert_int_equal(count[0], 0);
    assert_int_equal(count[2], 1);
    struct lca_err err = {0};
    assert_null(lca_dataset_find(&d, "val", &err));
    assert_int_equal(err.status, LCA_USAGE);
    assert_non_null(strstr(err.text, "train, test"));
    lca_dataset_close(&d);
    assert_null(d.map);
}

/* The digest, from sha256sum over the 35 bytes after the header. */
static void the_digest_is_of_what_follows_the_header(void **state)
{
    (void)state;
    struct lca_dataset d = small();
    assert_int_equal(lca_dataset_write(&d, path, NULL), 0);
    assert_string_equal(d.sha256,
                        "8edd41319e73a4198cd64c0f20d1d54f2856d862e0c016b3f68ab588490c2373");
}

static void the_same_data_give_the_same_bytes(void **state)
{
    (void)state;
    uint8_t one[5000], two[5000];
    char part[sizeof path + 5];
    struct stat st;
    write_small();
    size_t n = load(one, sizeof one);
    write_small();
    assert_int_equal(load(two, sizeof two), n);
    assert_memory_equal(one, two, n);
    snprintf(part, sizeof part, "%s.part", path);
    assert_int_equal(stat(part, &st), -1);
}

static void a_changed_byte_is_found(void **state)
{
    (void)state;
    struct lca_dataset d;
    struct lca_err err = {0};
    uint8_t bytes[5000];
    write_small();
    size_t n = load(bytes, sizeof bytes);
    bytes[4100] ^= 1;
    store(bytes, n);
    assert_int_equal(lca_dataset_open(&d, path, NULL), 0);
    assert_int_equal(lca_dataset_verify(&d, &err), -1);
    assert_int_equal(err.status, LCA_CORRUPT);
    lca_dataset_close(&d);

    bytes[n - 1] = 3;       /* a label that is no class */
    store(bytes, n);
    refuses(LCA_CORRUPT, "label 3");
}

static void wrong_lengths_are_refused(void **state)
{
    (void)state;
    uint8_t bytes[5000] = {0};
    write_small();
    size_t n = load(bytes, sizeof bytes);
    store(bytes, n - 1);
    refuses(LCA_CORRUPT, "truncated");
    store(bytes, n + 1);
    refuses(LCA_CORRUPT, "announces 4131");
    store(bytes, 100);
    refuses(LCA_CORRUPT, "within its header");
    store(bytes, 0);
    refuses(LCA_CORRUPT, "empty");
    store((const uint8_t *)"P5 28 28 255\n", 13);
    refuses(LCA_USAGE, "not a data file");
}

/* Puts another header before the bytes of the small file. */
static void with_header(const char *json)
{
    uint8_t bytes[5000];
    write_small();
    size_t n = load(bytes, sizeof bytes);
    memset(bytes + 8, ' ', 4096 - 8);
    memcpy(bytes + 8, json, strlen(json));
    store(bytes, n);
}

static void damaged_headers_are_refused(void **state)
{
    (void)state;
    static const char sum[] =
        "8edd41319e73a4198cd64c0f20d1d54f2856d862e0c016b3f68ab588490c2373";
    static const struct {
        const char *shape, *classes, *sets, *says;
    } bad[] = {
        {"\"height\":0,\"width\":2,\"channels\":3", "\"a\",\"b\",\"c\"",
         "{\"set\":\"train\",\"n\":3},{\"set\":\"test\",\"n\":2}", "height"},
        {"\"height\":1,\"width\":4000000000,\"channels\":3", "\"a\",\"b\",\"c\"",
         "{\"set\":\"train\",\"n\":3},{\"set\":\"test\",\"n\":2}", "height"},
        {"\"height\":1,\"width\":2,\"channels\":3", "",
         "{\"set\":\"train\",\"n\":3},{\"set\":\"test\",\"n\":2}", "classes"},
        {"\"height\":1,\"width\":2,\"channels\":3", "\"a\",7,\"c\"",
         "{\"set\":\"train\",\"n\":3},{\"set\":\"test\",\"n\":2}", "classes"},
        {"\"height\":1,\"width\":2,\"channels\":3", "\"a\",\"b\",\"c\"", "", "sets"},
        {"\"height\":1,\"width\":2,\"channels\":3", "\"a\",\"b\",\"c\"",
         "{\"set\":\"test\",\"n\":3},{\"set\":\"train\",\"n\":2}", "sets"},
        {"\"height\":1,\"width\":2,\"channels\":3", "\"a\",\"b\",\"c\"",
         "{\"set\":\"train\",\"n\":3},{\"set\":\"train\",\"n\":2}", "sets"},
        {"\"height\":1,\"width\":2,\"channels\":3", "\"a\",\"b\",\"c\"",
         "{\"set\":\"train\",\"n\":-3},{\"set\":\"test\",\"n\":2}", "sets"},
        {"\"height\":1,\"width\":2,\"channels\":3", "\"a\",\"b\",\"c\"",
         "{\"set\":\"train\",\"n\":2147483647},{\"set\":\"test\",\"n\":2}", "truncated"},
        {"\"height\":4096,\"width\":4096,\"channels\":64", "\"a\",\"b\",\"c\"",
         "{\"set\":\"train\",\"n\":2147483647},{\"set\":\"test\",\"n\":2147483647}", "truncated"},
    };
    for (size_t k = 0; k < sizeof bad / sizeof *bad; k++) {
        char json[1000];
        snprintf(json, sizeof json, "{\"name\":\"x\",%s,\"classes\":[%s],\"sets\":[%s],"
                 "\"sha256\":\"%s\"}", bad[k].shape, bad[k].classes, bad[k].sets, sum);
        with_header(json);
        refuses(LCA_CORRUPT, bad[k].says);
    }
    with_header("{\"name\":\"x\"");
    refuses(LCA_CORRUPT, "no JSON");
    with_header("[]");
    refuses(LCA_CORRUPT, "name");
}

static void a_missing_file_and_a_folder_are_refused(void **state)
{
    (void)state;
    struct lca_dataset d;
    struct lca_err err = {0};
    assert_int_equal(lca_dataset_open(&d, "/nowhere/at/all", &err), -1);
    assert_int_equal(err.status, LCA_USAGE);
    assert_int_equal(lca_dataset_open(&d, "/tmp", &err), -1);
    assert_int_equal(err.status, LCA_USAGE);
}

static void what_does_not_fit_is_not_written(void **state)
{
    (void)state;
    struct lca_err err = {0};
    struct lca_dataset d = small();
    uint8_t before[5000], after[5000];
    write_small();
    size_t n = load(before, sizeof before);
    d.classes = 2;
    assert_int_equal(lca_dataset_write(&d, path, &err), -1);
    assert_int_equal(err.status, LCA_USAGE);
    assert_non_null(strstr(err.text, "label 2"));

    d.classes = 200;
    for (int c = 0; c < 200; c++)
        snprintf(d.class_name[c], LCA_DATASET_NAME, "a class with a rather long name %d", c);
    assert_int_equal(lca_dataset_write(&d, path, &err), -1);
    assert_int_equal(err.status, LCA_USAGE);
    assert_non_null(strstr(err.text, "--classes"));

    d = small();
    strcpy(d.class_name[1], "\xff");
    assert_int_equal(lca_dataset_write(&d, path, &err), -1);
    assert_int_equal(err.status, LCA_USAGE);

    d = small();
    assert_int_equal(lca_dataset_write(&d, "/nowhere/at/all", &err), -1);
    assert_int_equal(err.status, LCA_USAGE);

    assert_int_equal(load(after, sizeof after), n);
    assert_memory_equal(before, after, n);
}

static int set_up(void **state)
{
    (void)state;
    int fd = mkstemp(path);
    if (fd < 0)
        return -1;
    return close(fd);
}

static int tear_down(void **state)
{
    (void)state;
    return unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_read),
        cmocka_unit_test(the_digest_is_of_what_follows_the_header),
        cmocka_unit_test(the_same_data_give_the_same_bytes),
        cmocka_unit_test(a_changed_byte_is_found),
        cmocka_unit_test(wrong_lengths_are_refused),
        cmocka_unit_test(damaged_headers_are_refused),
        cmocka_unit_test(a_missing_file_and_a_folder_are_refused),
        cmocka_unit_test(what_does_not_fit_is_not_written),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
