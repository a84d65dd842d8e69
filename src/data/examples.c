#include "data/examples.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/buf.h"

int lca_examples_alloc(struct lca_examples *e, uint64_t n, uint64_t height, uint64_t width,
                       uint64_t channels, struct lca_err *err)
{
    *e = (struct lca_examples){0};
    if (n < 1 || n > INT32_MAX || height < 1 || height > 4096 || width < 1 || width > 4096 ||
        channels < 1 || channels > 64)
        return lca_fail(err, LCA_CORRUPT, "%" PRIu64 " images of %" PRIu64 " x %" PRIu64
                        " x %" PRIu64 ": from 1 to 2147483647 of at most 4096 x 4096 x 64 "
                        "can be read", n, height, width, channels);
    e->n = (uint32_t)n;
    e->height = (uint32_t)height;
    e->width = (uint32_t)width;
    e->channels = (uint32_t)channels;
    e->images = lca_alloc(n, lca_examples_pixels(e), err);
    if (!e->images)
        return -1;
    e->labels = lca_alloc(n, 1, err);
    if (!e->labels) {
        lca_examples_clear(e);
        return -1;
    }
    return 0;
}

void lca_examples_clear(struct lca_examples *e)
{
    free(e->images);
    free(e->labels);
    *e = (struct lca_examples){0};
}
