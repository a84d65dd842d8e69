/* The readers of foreign formats: small files made by hand, and what they refuse. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>
#include <cmocka.h>

#include "data/cifar.h"
#include "data/idx.h"
#include "data/npy.h"

static char a[] = "/tmp/lca-readers-test-a-XXXXXX", b[] = "/tmp/lca-readers-test-b-XXXXXX";

static void put(const char *path, const void *bytes, size_t n)
{
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, n, f), n);
    fclose(f);
}

static void put_gz(const char *path, const void *bytes, size_t n)
{
    gzFile f = gzopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(gzwrite(f, bytes, (unsigned)n), n);
    gzclose(f);
}

static void expect(int result, const struct lca_examples *e, const struct lca_err *err, int status,
                   const char *says, const char *path)
{
    assert_int_equal(result, -1);
    if (!strstr(err->text, says) || !strstr(err->text, path))
        fail_msg("'%s' does not say '%s' and '%s'", err->text, says, path);
    assert_int_equal(err->status, status);
    assert_null(e->images);
    assert_null(e->labels);
}

/* IDX: two images of 2 x 3 */

static const uint8_t idx_images[] = {0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 2, 0, 0, 0, 3,
                                     1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 255};
static const uint8_t idx_labels[] = {0, 0, 8, 1, 0, 0, 0, 2, 9, 4};

static void idx_refuses(int status, const char *says, const char *path)
{
    struct lca_examples e;
    struct lca_err err = {0};
    int result = lca_idx_read(&e, a, b, &err);
    expect(result, &e, &err, status, says, path);
}

static void idx_is_read_gzipped_or_not(void **state)
{
    (void)state;
    for (int gz = 0; gz < 2; gz++) {
        struct lca_examples e;
        (gz ? put_gz : put)(a, idx_images, sizeof idx_images);
        (gz ? put_gz : put)(b, idx_labels, sizeof idx_labels);
        assert_int_equal(lca_idx_read(&e, a, b, NULL), 0);
        assert_int_equal(e.n, 2);
        assert_int_equal(e.height, 2);
        assert_int_equal(e.width, 3);
        assert_int_equal(e.channels, 1);
        assert_memory_equal(e.images, idx_images + 16, 12);
        assert_memory_equal(e.labels, idx_labels + 8, 2);
        lca_examples_clear(&e);
    }
}

static void idx_refuses_damage(void **state)
{
    (void)state;
    uint8_t x[64];
    put(b, idx_labels, sizeof idx_labels);
    put(a, idx_images, sizeof idx_images - 1);
    idx_refuses(LCA_CORRUPT, "truncated", a);
    put(a, idx_images, 7);
    idx_refuses(LCA_CORRUPT, "truncated", a);
    put(a, idx_images, 0);
    idx_refuses(LCA_CORRUPT, "truncated", a);
    memcpy(x, idx_images, sizeof idx_images);
    put(a, x, sizeof idx_images + 1);
    idx_refuses(LCA_CORRUPT, "goes on", a);
    x[3] = 1;
    put(a, x, sizeof idx_images);
    idx_refuses(LCA_CORRUPT, "magic 2049", a);

    /* claims of 2^96 bytes, of 2^32 images, of none: refused before memory is asked for */
    memcpy(x, idx_images, sizeof idx_images);
    memset(x + 4, 255, 12);
    put(a, x, sizeof idx_images);
    idx_refuses(LCA_CORRUPT, "room", a);
    put_gz(a, x, sizeof idx_images);
    idx_refuses(LCA_CORRUPT, "room", a);
    memset(x + 4, 0, 4);
    put(a, x, 16);
    idx_refuses(LCA_CORRUPT, "0 images", a);

    put(a, idx_images, sizeof idx_images);
    put(b, idx_labels, sizeof idx_labels - 1);
    idx_refuses(LCA_CORRUPT, "truncated", b);
    memcpy(x, idx_labels, sizeof idx_labels);
    x[7] = 3;
    put(b, x, sizeof idx_labels + 1);
    idx_refuses(LCA_CORRUPT, "3 labels for the 2 images", b);
    unlink(b);
    idx_refuses(LCA_USAGE, "cannot open", b);
}

static void a_damaged_gzip_is_refused(void **state)
{
    (void)state;
    uint8_t gz[256];
    put(b, idx_labels, sizeof idx_labels);
    put_gz(a, idx_images, sizeof idx_images);
    FILE *f = fopen(a, "rb");
    size_t n = fread(gz, 1, sizeof gz, f);
    fclose(f);
    put(a, gz, n - 9);          /* the data end early */
    idx_refuses(LCA_CORRUPT, "it", a);
    put(a, gz, n - 4);          /* whole data, half a trailer */
    idx_refuses(LCA_CORRUPT, "damaged", a);
    gz[n - 6] ^= 1;             /* the sum is another */
    put(a, gz, n);
    idx_refuses(LCA_CORRUPT, "damaged", a);
}

/* CIFAR-10: records of 3,073 bytes */

enum { RECORD = 3073 };

static uint8_t records[2 * RECORD];

static void fill_records(void)
{
    for (int i = 0; i < 2; i++) {
        records[i * RECORD] = (uint8_t)(3 + i);
        for (int k = 0; k < 3072; k++)
            records[i * RECORD + 1 + k] = (uint8_t)(k / 1024 * 80 + k % 1024 % 79 + i);
    }
}

static void cifar_planes_become_pixels(void **state)
{
    (void)state;
    const char *const paths[] = {a, b};
    struct lca_examples e;
    fill_records();
    put(a, records, sizeof records);
    put(b, records + RECORD, RECORD);
    assert_int_equal(lca_cifar_read(&e, paths, 2, NULL), 0);
    assert_int_equal(e.n, 3);
    assert_int_equal(e.height, 32);
    assert_int_equal(e.width, 32);
    assert_int_equal(e.channels, 3);
    assert_int_equal(e.labels[0], 3);
    assert_int_equal(e.labels[1], 4);
    assert_int_equal(e.labels[2], 4);
    const uint8_t *pixel = e.images + (size_t)3072 + (5 * 32 + 7) * 3;     /* row 5, column 7 */
    for (int c = 0; c < 3; c++)
        assert_int_equal(pixel[c], records[RECORD + 1 + c * 1024 + 5 * 32 + 7]);
    assert_memory_equal(e.images + 3072, e.images + (size_t)2 * 3072, 3072);
    lca_examples_clear(&e);
}

static void cifar_refuses(int status, const char *says)
{
    const char *const paths[] = {a};
    struct lca_examples e;
    struct lca_err err = {0};
    int result = lca_cifar_read(&e, paths, 1, &err);
    expect(result, &e, &err, status, says, a);
}

static void cifar_refuses_damage(void **state)
{
    (void)state;
    fill_records();
    put(a, records, sizeof records - 1);
    cifar_refuses(LCA_CORRUPT, "multiple");
    put(a, records, 0);
    cifar_refuses(LCA_CORRUPT, "multiple");
    records[RECORD] = 10;
    put(a, records, sizeof records);
    cifar_refuses(LCA_CORRUPT, "label 10 of record 1");
    unlink(a);
    cifar_refuses(LCA_USAGE, "cannot open");
}

/* NumPy */

/* A file of version 1 with that dictionary and these bytes. */
static void put_npy(const char *path, const char *dict, const void *bytes, size_t n)
{
    uint8_t x[1024] = "\x93NUMPY\x01";
    size_t len = strlen(dict);
    x[8] = (uint8_t)len;
    memcpy(x + 10, dict, len);
    memcpy(x + 10 + len, bytes, n);
    put(path, x, 10 + len + n);
}

#define DICT(descr, shape) \
    "{'descr': '" descr "', 'fortran_order': False, 'shape': (" shape "), }   \n"

static const uint8_t twelve[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};

static void npy_refuses(int status, const char *says, const char *path)
{
    struct lca_examples e;
    struct lca_err err = {0};
    int result = lca_npy_read(&e, a, b, &err);
    expect(result, &e, &err, status, says, path);
}

static void npy_is_read_with_labels_of_any_integer(void **state)
{
    (void)state;
    static const struct {
        const char *dict;
        uint8_t bytes[16];
        size_t n;
    } labels[] = {
        {DICT("|u1", "2,"), {7, 255}, 2},
        {DICT("|i1", "2,"), {7, 127}, 2},
        {DICT("<i2", "2,"), {7, 0, 255, 0}, 4},
        {DICT(">u4", "2,"), {0, 0, 0, 7, 0, 0, 0, 255}, 8},
        {DICT("<i8", "2,"), {7, 0, 0, 0, 0, 0, 0, 0, 255}, 16},
    };
    put_npy(a, DICT("|u1", "2, 2, 3"), twelve, 12);
    for (size_t k = 0; k < sizeof labels / sizeof *labels; k++) {
        struct lca_examples e;
        put_npy(b, labels[k].dict, labels[k].bytes, labels[k].n);
        assert_int_equal(lca_npy_read(&e, a, b, NULL), 0);
        assert_int_equal(e.n, 2);
        assert_int_equal(e.channels, 1);
        assert_memory_equal(e.images, twelve, 12);
        assert_int_equal(e.labels[0], 7);
        assert_int_equal(e.labels[1], k == 1 ? 127 : 255);
        lca_examples_clear(&e);
    }
    struct lca_examples e;
    put_npy(a, DICT("|u1", "2, 1, 2, 3"), twelve, 12);
    assert_int_equal(lca_npy_read(&e, a, b, NULL), 0);
    assert_int_equal(e.height, 1);
    assert_int_equal(e.width, 2);
    assert_int_equal(e.channels, 3);
    lca_examples_clear(&e);
}

static void matrix_refuses(int status, const char *says)
{
    uint64_t rows, columns;
    struct lca_err err = {0};
    assert_null(lca_npy_matrix(a, &rows, &columns, &err));
    assert_int_equal(err.status, status);
    assert_non_null(strstr(err.text, says));
}

static void npy_matrix_of_either_float_in_either_order(void **state)
{
    (void)state;
    const float single[6] = {1, -2, 3.5f, 4, 5, 1e30f};
    const double real[6] = {1, -2, 3.5, 4, 5, 0.1};
    static const uint8_t swapped[] = {0x3f, 0x80, 0, 0, 0xc0, 0, 0, 0};     /* 1, -2 */
    uint64_t rows, columns;
    put_npy(a, DICT("<f4", "2, 3"), single, sizeof single);
    double *m = lca_npy_matrix(a, &rows, &columns, NULL);
    assert_true(m && rows == 2 && columns == 3);
    for (int k = 0; k < 6; k++)
        assert_true(m[k] == single[k]);
    free(m);
    /* column by column: [[1, 3.5, 5], [-2, 4, 0.1]] */
    put_npy(a, "{'descr': '<f8', 'fortran_order': True, 'shape': (2, 3), }   \n", real, sizeof real);
    m = lca_npy_matrix(a, &rows, &columns, NULL);
    assert_true(m && rows == 2 && columns == 3);
    assert_true(m[0] == 1 && m[1] == 3.5 && m[2] == 5 && m[3] == -2 && m[4] == 4 && m[5] == 0.1);
    free(m);
    put_npy(a, DICT(">f4", "2,"), swapped, sizeof swapped);
    m = lca_npy_matrix(a, &rows, &columns, NULL);
    assert_true(m && rows == 1 && columns == 2 && m[0] == 1 && m[1] == -2);
    free(m);

    put_npy(a, DICT("<f4", "2, 3"), single, sizeof single - 1);
    matrix_refuses(LCA_CORRUPT, "");
    put_npy(a, DICT("<f4", "2, 2"), single, sizeof single);
    matrix_refuses(LCA_CORRUPT, "");
    put_npy(a, DICT("<f4", "4294967296, 4294967296"), single, sizeof single);
    matrix_refuses(LCA_CORRUPT, "more than it has room for");
    put_npy(a, DICT("<i4", "2, 3"), single, sizeof single);
    matrix_refuses(LCA_USAGE, "a matrix is float32 or float64");
    put_npy(a, DICT("<f2", "2, 6"), single, sizeof single);
    matrix_refuses(LCA_USAGE, "a matrix is float32 or float64");
    put_npy(a, DICT("<f4", "1, 2, 3"), single, sizeof single);
    matrix_refuses(LCA_USAGE, "in 3 axes");
}

static void rows_refuse(int status, const char *says)
{
    struct lca_npy_rows r;
    struct lca_err err = {0};
    assert_int_equal(lca_npy_rows_open(&r, a, &err), -1);
    assert_int_equal(err.status, status);
    assert_non_null(strstr(err.text, says));
}

static void npy_rows_one_by_one_in_any_order(void **state)
{
    (void)state;
    const float single[6] = {1, -2, 3.5f, 4, 5, 1e30f};
    const double real[6] = {1, -2, 3.5, 4, 5, 0.1};
    static const uint8_t swapped[] = {0x3f, 0x80, 0, 0, 0xc0, 0, 0, 0};     /* 1, -2 */
    struct lca_npy_rows r;
    float v[3];
    put_npy(a, DICT("<f4", "2, 3"), single, sizeof single);
    assert_int_equal(lca_npy_rows_open(&r, a, NULL), 0);
    assert_true(r.rows == 2 && r.columns == 3);
    for (int k = 1; k >= 0; k--) {
        assert_int_equal(lca_npy_rows_read(&r, (uint64_t)k, v, NULL), 0);
        assert_memory_equal(v, single + 3 * k, sizeof v);
    }
    lca_npy_rows_close(&r);
    put_npy(a, DICT("<f8", "2, 3"), real, sizeof real);
    assert_int_equal(lca_npy_rows_open(&r, a, NULL), 0);
    assert_int_equal(lca_npy_rows_read(&r, 1, v, NULL), 0);
    assert_true(v[0] == 4 && v[1] == 5 && v[2] == 0.1f);
    lca_npy_rows_close(&r);
    put_npy(a, DICT(">f4", "2, 1"), swapped, sizeof swapped);
    assert_int_equal(lca_npy_rows_open(&r, a, NULL), 0);
    assert_int_equal(lca_npy_rows_read(&r, 1, v, NULL), 0);
    assert_true(v[0] == -2);
    lca_npy_rows_close(&r);

    put_npy(a, DICT("<f4", "2, 3"), single, sizeof single - 1);
    rows_refuse(LCA_CORRUPT, "more than it has room for");
    put_npy(a, DICT("<f4", "4294967296, 4294967296"), single, sizeof single);
    rows_refuse(LCA_CORRUPT, "more than it has room for");
    put_npy(a, "{'descr': '<f8', 'fortran_order': True, 'shape': (2, 3), }   \n", real, sizeof real);
    rows_refuse(LCA_USAGE, "column major");
    put_npy(a, DICT("<i4", "2, 3"), single, sizeof single);
    rows_refuse(LCA_USAGE, "a trajectory is float32 or float64");
    put_npy(a, DICT("<f4", "6,"), single, sizeof single);
    rows_refuse(LCA_USAGE, "in 1 axes");
}

static void npy_refuses_what_it_cannot_mean(void **state)
{
    (void)state;
    static const uint8_t two[16] = {1, 0};
    static const struct {
        int status;
        const char *dict, *says;
    } images[] = {
        {LCA_USAGE, DICT("<f4", "1, 1, 3"), "type f4"},
        {LCA_USAGE, DICT("|u1", "12,"), "1 axes"},
        {LCA_USAGE, "{'descr': '|u1', 'fortran_order': True, 'shape': (2, 2, 3), }", "Fortran"},
        {LCA_USAGE, "{'descr': [('x', '<u4')], 'fortran_order': False, 'shape': (2,)}", "numbers"},
        {LCA_CORRUPT, "{'descr': '|u1', 'fortran_order': False}", "lacks"},
        {LCA_CORRUPT, DICT("|u1", "2, 2, -3"), "no sense"},
        {LCA_CORRUPT, DICT("|u1", "1, 1, 1, 1, 1, 1, 1, 1, 1"), "no sense"},
        {LCA_CORRUPT, DICT("|u1", "99999999999999999999999, 2, 3"), "no sense"},
        {LCA_CORRUPT, "{'descr': '|u1', 'fortran_order': False, 'shape': (2, 2", "does not end"},
        {LCA_CORRUPT, DICT("|u1", "4294967296, 4294967296, 4294967296"), "room"},
        {LCA_CORRUPT, DICT("|u1", "3, 2, 3"), "room"},
        {LCA_CORRUPT, DICT("|u1", "1, 2, 3"), "goes on"},
        {LCA_CORRUPT, DICT("|u1", "0, 2, 3"), "0 images"},
    };
    put_npy(b, DICT("|u1", "2,"), two, 2);
    for (size_t k = 0; k < sizeof images / sizeof *images; k++) {
        put_npy(a, images[k].dict, twelve, 12);
        npy_refuses(images[k].status, images[k].says, a);
    }
    put(a, "\x93NUMPX\1\0", 8);
    npy_refuses(LCA_CORRUPT, "wrong magic", a);
    put(a, "\x93NUMPY\4\0\0\0", 10);
    npy_refuses(LCA_CORRUPT, "version", a);
    put(a, "\x93NUMPY\2\0\377\377\377\377", 12);
    npy_refuses(LCA_CORRUPT, "too long", a);
    put(a, "\x93NUMPY\1\0\100\0{", 11);
    npy_refuses(LCA_CORRUPT, "truncated", a);

    static const uint8_t negative[16] = {1, 255}, wide[16] = {1, 0, 0, 1};
    put_npy(a, DICT("|u1", "2, 2, 3"), twelve, 12);
    put_npy(b, DICT("|i1", "2,"), negative, 2);
    npy_refuses(LCA_USAGE, "label 1 is outside", b);
    put_npy(b, DICT("<u2", "2,"), wide, 4);
    npy_refuses(LCA_USAGE, "label 1 is outside", b);
    put_npy(b, DICT("<f8", "2,"), two, 16);
    npy_refuses(LCA_USAGE, "type f8", b);
    put_npy(b, DICT("|u1", "3,"), two, 3);
    npy_refuses(LCA_CORRUPT, "3 labels for the 2 images", b);
    put_npy(b, DICT("<i4", "2,"), two, 7);
    npy_refuses(LCA_CORRUPT, "truncated", b);
    put_npy(b, DICT("|u1", "2,"), two, 3);
    npy_refuses(LCA_CORRUPT, "goes on", b);
}

static int set_up(void **state)
{
    (void)state;
    int x = mkstemp(a), y = mkstemp(b);
    if (x < 0 || y < 0)
        return -1;
    return close(x) | close(y);
}

static int tear_down(void **state)
{
    (void)state;
    return unlink(a) | unlink(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(idx_is_read_gzipped_or_not),
        cmocka_unit_test(idx_refuses_damage),
        cmocka_unit_test(a_damaged_gzip_is_refused),
        cmocka_unit_test(cifar_planes_become_pixels),
        cmocka_unit_test(cifar_refuses_damage),
        cmocka_unit_test(npy_is_read_with_labels_of_any_integer),
        cmocka_unit_test(npy_matrix_of_either_float_in_either_order),
        cmocka_unit_test(npy_rows_one_by_one_in_any_order),
        cmocka_unit_test(npy_refuses_what_it_cannot_mean),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
