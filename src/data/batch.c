#include "data/batch.h"

#include <stdlib.h>
#include <xxhash.h>

#include "base/buf.h"
#include "base/rng.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "indices are hashed where they lie");

static void shuffle(struct lca_batch *b, uint64_t epoch)
{
    struct lca_rng r = {b->seed, LCA_RNG_SHUFFLE, epoch};
    lca_rng_permute(&r, b->order, b->n);
    b->epoch = epoch;
}

int lca_batch_init(struct lca_batch *b, uint32_t seed, uint32_t n, uint32_t size,
                   struct lca_err *err)
{
    *b = (struct lca_batch){0};
    if (size < 1 || size > n)
        return lca_fail(err, LCA_USAGE, "a batch of %u does not fit a training set of %u: give 1 "
                        "to %u", size, n, n);
    *b = (struct lca_batch){.seed = seed, .n = n, .size = size, .steps = n / size};
    b->order = lca_alloc(n, sizeof *b->order, err);
    if (!b->order)
        return -1;
    shuffle(b, 0);
    return 0;
}

const uint32_t *lca_batch_at(struct lca_batch *b, uint64_t t, uint64_t *epoch)
{
    *epoch = t / b->steps;
    if (*epoch != b->epoch)
        shuffle(b, *epoch);
    return b->order + t % b->steps * b->size;
}

void lca_batch_hash(const uint32_t *index, uint32_t n, uint8_t out[LCA_BATCH_HASH])
{
    XXH64_canonical_t c;
    XXH64_canonicalFromHash(&c, XXH64(index, (size_t)n * sizeof *index, 0));
    for (int k = 0; k < LCA_BATCH_HASH; k++)
        out[k] = c.digest[k];
}

void lca_batch_clear(struct lca_batch *b)
{
    free(b->order);
    *b = (struct lca_batch){0};
}
