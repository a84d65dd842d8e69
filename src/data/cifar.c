#include "data/cifar.h"

#include <sys/stat.h>

#include "data/input.h"

enum { SIDE = 32, PLANE = SIDE * SIDE, RECORD = 1 + 3 * PLANE };

/* Records of a batch file, whose length must be a multiple of theirs; 0: err filled. */
static uint64_t records(const char *path, struct lca_err *err)
{
    struct stat st;
    if (stat(path, &st) < 0) {
        lca_fail_errno(err, LCA_USAGE, "cannot open %s", path);
        return 0;
    }
    if (!S_ISREG(st.st_mode)) {
        lca_fail(err, LCA_USAGE, "%s is not a file: name the file itself", path);
        return 0;
    }
    if (st.st_size < RECORD || st.st_size % RECORD != 0) {
        lca_fail(err, LCA_CORRUPT, "%s has %lld bytes, which is no multiple of a record's %d: "
                 "it is truncated or no CIFAR-10 batch, get it again", path,
                 (long long)st.st_size, RECORD);
        return 0;
    }
    return (uint64_t)st.st_size / RECORD;
}

static int read_batch(struct lca_examples *e, uint64_t first, uint64_t n, const char *path,
                      struct lca_err *err)
{
    struct lca_input in;
    int result = -1;
    if (lca_input_open(&in, path, err) < 0)
        return -1;
    for (uint64_t i = first; i < first + n; i++) {
        uint8_t record[RECORD];
        if (lca_input_read(&in, record, sizeof record, err) < 0)
            goto out;
        if (record[0] > 9) {
            lca_fail(err, LCA_CORRUPT, "%s: label %u of record %llu is above 9: it is damaged or "
                     "no CIFAR-10 batch, get it again", path, record[0],
                     (unsigned long long)(i - first));
            goto out;
        }
        e->labels[i] = record[0];
        uint8_t *image = e->images + i * 3 * PLANE;
        for (int p = 0; p < PLANE; p++)
            for (int c = 0; c < 3; c++)
                image[3 * p + c] = record[1 + c * PLANE + p];
    }
    result = lca_input_end(&in, err);
out:
    lca_input_close(&in);
    return result;
}

int lca_cifar_read(struct lca_examples *e, const char *const *paths, int files,
                   struct lca_err *err)
{
    uint64_t n = 0;
    *e = (struct lca_examples){0};
    for (int f = 0; f < files; f++) {
        uint64_t here = records(paths[f], err);
        if (here == 0)
            return -1;
        n += here;
    }
    if (lca_examples_alloc(e, n, SIDE, SIDE, 3, err) < 0)
        return -1;
    uint64_t first = 0;
    for (int f = 0; f < files; f++) {
        uint64_t here = records(paths[f], err);
        if (here == 0)
            goto fail;
        if (here > n - first) {     /* it grew since it was counted */
            lca_fail(err, LCA_CORRUPT, "%s changes while it is read", paths[f]);
            goto fail;
        }
        if (read_batch(e, first, here, paths[f], err) < 0)
            goto fail;
        first += here;
    }
    return 0;
fail:
    lca_examples_clear(e);
    return -1;
}
