/* chunk.h: the chunks that a set is evaluated in.
 *
 * L is the mean over fixed, consecutive chunks of equal size (with batch norm each
 * has its own statistics, so that the size is part of the definition of L). A chunk
 * is also the unit of work of the pool. */
#ifndef LCA_NN_CHUNK_H
#define LCA_NN_CHUNK_H

#include <stdint.h>

#include "base/err.h"
#include "nn/net.h"

/* The usual chunk: 5,000 examples for networks of dense layers, 1,000 with
 * convolutions, 2,500 with batch norm, what an external one says; where that does not
 * divide n, the largest divisor of n below it. */
uint32_t lca_chunk_divisor(const struct lca_net *net, uint32_t n);

/* The chunk for n examples: `given`, which must divide n (LCA_USAGE with the divisors
 * nearby), or, given 0, the usual one, which must not be tiny. */
int lca_chunk_choose(const struct lca_net *net, uint32_t n, uint32_t given, uint32_t *chunk,
                     struct lca_err *err) LCA_MUST_USE;

#endif
