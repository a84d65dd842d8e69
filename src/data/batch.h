/* batch.h: which examples the mini-batch of a training step holds.
 *
 * Each epoch has a fresh permutation of the examples, a function of (seed, epoch);
 * its incomplete last batch is dropped (Lan et al. 2019). So the batch of step t is
 * a function of (seed, n, size, t): any step can be asked for at any time. */
#ifndef LCA_DATA_BATCH_H
#define LCA_DATA_BATCH_H

#include <stdint.h>

#include "base/err.h"

#define LCA_BATCH_HASH 8

struct lca_batch {
    uint32_t seed, n, size;
    uint32_t steps;         /* per epoch, n / size */
    uint64_t epoch;         /* the one that order holds */
    uint32_t *order;        /* [n], owned */
};

/* Batches of size out of n examples; LCA_USAGE unless 1 <= size <= n. */
int lca_batch_init(struct lca_batch *b, uint32_t seed, uint32_t n, uint32_t size,
                   struct lca_err *err) LCA_MUST_USE;

/* The indices [size] of step t, valid until the next call, and its epoch, t / steps.
 * Makes a new permutation only when the epoch is not that of the call before. */
const uint32_t *lca_batch_at(struct lca_batch *b, uint64_t t, uint64_t *epoch);

/* XXH64 with seed 0 of the indices as little-endian u32, most significant byte first
 * (what xxhsum prints): the `mb` key of a theta frame. */
void lca_batch_hash(const uint32_t *index, uint32_t n, uint8_t out[LCA_BATCH_HASH]);

void lca_batch_clear(struct lca_batch *b);

#endif
