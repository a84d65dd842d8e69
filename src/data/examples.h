/* examples.h: labelled images in memory, as the readers of foreign formats and the
 * generator fill them. A zeroed struct is empty. */
#ifndef LCA_DATA_EXAMPLES_H
#define LCA_DATA_EXAMPLES_H

#include <stdint.h>

#include "base/err.h"

struct lca_examples {
    uint32_t n, height, width, channels;
    uint8_t *images;        /* [n][height][width][channels], owned */
    uint8_t *labels;        /* [n], owned */
};

/* Checks the sizes (n, height, width, channels at least 1, at most 2^31 - 1, 4096,
 * 4096, 64) and allocates both arrays, zeroed. LCA_CORRUPT when they are out of range. */
int lca_examples_alloc(struct lca_examples *e, uint64_t n, uint64_t height, uint64_t width,
                       uint64_t channels, struct lca_err *err) LCA_MUST_USE;

/* Bytes of one image. */
static inline uint32_t lca_examples_pixels(const struct lca_examples *e)
{
    return e->height * e->width * e->channels;
}

void lca_examples_clear(struct lca_examples *e);

#endif
