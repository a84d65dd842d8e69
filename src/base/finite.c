#include "base/finite.h"

#include <string.h>

enum { BLOCK = 1024 };

/* NaN and infinity are the values whose exponent bits are all ones: adding one to the
 * exponent then carries into the sign, which has been masked out. */
static uint32_t carry(const float *v)
{
    uint32_t bits;
    memcpy(&bits, v, sizeof bits);
    return (bits & 0x7f800000u) + 0x00800000u;
}

uint64_t lca_finite(const float *v, uint64_t n)
{
    uint64_t i = 0;
    /* whole blocks without a branch, which compilers turn into vector instructions */
    for (; i + BLOCK <= n; i += BLOCK) {
        uint32_t any = 0;
        for (int k = 0; k < BLOCK; k++)
            any |= carry(v + i + k);
        if (any >> 31)
            break;
    }
    while (i < n && !(carry(v + i) >> 31))
        i++;
    return i;
}
