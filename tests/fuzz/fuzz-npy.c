/* Arrays that NumPy saved. Bytes: one that says what is wanted. 1: a matrix, 3: its rows from
 * the last to the first; the rest is the file, and the same numbers come of both. Even:
 * examples: two bytes, the length of the file of images, that file, and the file of labels. */
#include <stdlib.h>

#include "data/npy.h"
#include "fuzz.h"

static volatile double sink;

static void matrix(struct fuzz_bytes b)
{
    uint64_t rows, columns;
    struct lca_err err = {0};
    double *m = lca_npy_matrix(fuzz_file(0, b.at, fuzz_left(&b)), &rows, &columns, &err);
    if (!m) {
        fuzz_told(&err);
        return;
    }
    for (uint64_t k = 0; k < rows; k++)
        for (uint64_t i = 0; i < columns; i++)
            sink = m[k * columns + i];
    free(m);
}

static void rows(struct fuzz_bytes b)
{
    struct lca_npy_rows r;
    struct lca_err err = {0};
    uint64_t n_rows, n_columns;
    const char *path = fuzz_file(0, b.at, fuzz_left(&b));
    if (lca_npy_rows_open(&r, path, &err) < 0) {
        fuzz_told(&err);
        return;
    }
    double *m = lca_npy_matrix(path, &n_rows, &n_columns, NULL);
    /* without rows any number of columns fits the file */
    float *v = r.rows > 0 ? malloc((r.columns + 1) * sizeof *v) : NULL;
    bool good = true;
    for (uint64_t k = r.rows < 64 ? r.rows : 64; k-- > 0 && good;) {
        good = lca_npy_rows_read(&r, k, v, &err) == 0;
        for (uint64_t i = 0; i < r.columns && good && m; i++)
            fuzz_check((float)m[k * r.columns + i] == v[i] || v[i] != v[i], "another number");
    }
    if (!good)
        fuzz_told(&err);
    free(m);
    free(v);
    lca_npy_rows_close(&r);
}

static void examples(struct fuzz_bytes b)
{
    struct fuzz_bytes images = fuzz_piece(&b, fuzz_take(&b, 2));
    struct lca_examples e;
    struct lca_err err = {0};
    if (lca_npy_read(&e, fuzz_file(0, images.at, fuzz_left(&images)), fuzz_file(1, b.at, fuzz_left(&b)), &err) < 0) {
        fuzz_told(&err);
        return;
    }
    for (size_t k = 0; k < (size_t)e.n * lca_examples_pixels(&e); k++)
        sink = e.images[k];
    lca_examples_clear(&e);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_bytes b = {data, data + size};
    unsigned what = fuzz_take(&b, 1) & 3;
    if (what == 3)
        rows(b);
    else if (what == 1)
        matrix(b);
    else
        examples(b);
    return 0;
}
