#include "data/idx.h"

#include "data/input.h"

enum { MAGIC_IMAGES = 2051, MAGIC_LABELS = 2049 };

static uint32_t big(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static int check_magic(const struct lca_input *in, const uint8_t *header, uint32_t want,
                       const char *what, struct lca_err *err)
{
    if (big(header) == want)
        return 0;
    return lca_fail(err, LCA_CORRUPT, "%s is not an IDX file of %s (magic %u, not %u): "
                    "check the file's name or get it again", in->path, what, big(header), want);
}

static int read_images(struct lca_examples *e, const char *path, struct lca_err *err)
{
    struct lca_input in;
    uint8_t h[16];
    int result = -1;
    if (lca_input_open(&in, path, err) < 0)
        return -1;
    if (lca_input_read(&in, h, sizeof h, err) < 0 ||
        check_magic(&in, h, MAGIC_IMAGES, "images", err) < 0)
        goto out;
    uint64_t n = big(h + 4), height = big(h + 8), width = big(h + 12);
    uint64_t bytes;
    if (__builtin_mul_overflow(n * height, width, &bytes))
        bytes = UINT64_MAX;     /* n * height is below 2^64 */
    if (lca_input_room(&in, bytes, err) < 0)
        goto out;
    if (lca_examples_alloc(e, n, height, width, 1, err) < 0) {
        lca_err_prefix(err, "%s", path);
        goto out;
    }
    if (lca_input_read(&in, e->images, bytes, err) < 0 || lca_input_end(&in, err) < 0)
        goto out;
    result = 0;
out:
    lca_input_close(&in);
    return result;
}

static int read_labels(struct lca_examples *e, const char *path, const char *images,
                       struct lca_err *err)
{
    struct lca_input in;
    uint8_t h[8];
    int result = -1;
    if (lca_input_open(&in, path, err) < 0)
        return -1;
    if (lca_input_read(&in, h, sizeof h, err) < 0 ||
        check_magic(&in, h, MAGIC_LABELS, "labels", err) < 0)
        goto out;
    if (big(h + 4) != e->n) {
        lca_fail(err, LCA_CORRUPT, "%s has %u labels for the %u images of %s: "
                 "the two do not belong together", path, big(h + 4), e->n, images);
        goto out;
    }
    if (lca_input_read(&in, e->labels, e->n, err) < 0 || lca_input_end(&in, err) < 0)
        goto out;
    result = 0;
out:
    lca_input_close(&in);
    return result;
}

int lca_idx_read(struct lca_examples *e, const char *images, const char *labels,
                 struct lca_err *err)
{
    *e = (struct lca_examples){0};
    if (read_images(e, images, err) < 0 || read_labels(e, labels, images, err) < 0) {
        lca_examples_clear(e);
        return -1;
    }
    return 0;
}
