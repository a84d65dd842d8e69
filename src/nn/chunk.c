#include "nn/chunk.h"

#include <stdio.h>
#include <string.h>

static uint32_t usual(const struct lca_net *net)
{
    if (net->chunk)
        return net->chunk;
    if (net->batchnorm)
        return 2500;
    for (unsigned l = 0; l < net->n_layer; l++)
        if (net->layer[l].g.type == LCA_CONV)
            return 1000;
    return 5000;
}

static uint32_t divisor_within(uint32_t n, uint32_t most)
{
    uint32_t chunk = n < most ? n : most;
    while (chunk > 1 && n % chunk)
        chunk--;
    return chunk;
}

uint32_t lca_chunk_divisor(const struct lca_net *net, uint32_t n)
{
    return divisor_within(n, usual(net));
}

int lca_chunk_choose(const struct lca_net *net, uint32_t n, uint32_t given, uint32_t *chunk, struct lca_err *err)
{
    *chunk = given ? given : lca_chunk_divisor(net, n);
    if (given > n)
        return lca_fail(err, LCA_USAGE, "--chunk %u is more than the set of %u examples: the largest is %u", given, n, n);
    if (given && n % given) {
        uint32_t below = divisor_within(n, given), above = given;
        while (n % above)
            above++;
        return lca_fail(err, LCA_USAGE, "--chunk %u does not divide the set of %u examples: the nearest that do are %u "
                        "or %u", given, n, below, above);
    }
    uint32_t least = n < usual(net) ? n : usual(net);
    if (!given && *chunk < least / 10)
        return lca_fail(err, LCA_USAGE, "%u examples have no divisor from %u to %u for a chunk: give --chunk (%u "
                        "divides), or --examples another number", n, least / 10, usual(net), *chunk);
    return 0;
}
