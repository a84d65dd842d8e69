#include "lca/turns.h"

uint64_t lca_turns(uint32_t *count, int8_t *sign, const float *now, size_t n)
{
    uint32_t changes = 0;
    for (size_t i = 0; i < n; i++) {
        int s = (now[i] > 0) - (now[i] < 0);
        uint32_t turned = s * sign[i] < 0;      /* signs, not values: products of tiny values would vanish */
        sign[i] = (int8_t)s;
        count[i] += turned;
        changes += turned;
    }
    return changes;
}
