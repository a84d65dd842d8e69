#include "base/rng.h"

#include <math.h>

/* Random123 is not clean under -Wpedantic -Wshadow; it is not ours to mend. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wpedantic"
#pragma GCC diagnostic ignored "-Wshadow"
#pragma GCC diagnostic ignored "-Wunused-parameter"
#include <Random123/philox.h>
#pragma GCC diagnostic pop

void lca_rng_words(const struct lca_rng *r, uint64_t index, uint32_t part, uint32_t out[4])
{
    philox4x32_key_t key = {{r->seed, r->purpose}};
    philox4x32_ctr_t ctr = {{(uint32_t)index, (uint32_t)(index >> 32 & 0xffff) | part << 16,
                             (uint32_t)r->step, (uint32_t)(r->step >> 32)}};
    philox4x32_ctr_t x = philox4x32(ctr, key);
    for (int k = 0; k < 4; k++)
        out[k] = x.v[k];
}

static double unit(uint32_t high, uint32_t low)
{
    return (double)(((uint64_t)high << 32 | low) >> 11) * 0x1p-53;
}

uint64_t lca_rng_below(const struct lca_rng *r, uint64_t index, uint64_t n)
{
    uint32_t w[4];
    lca_rng_words(r, index, 0, w);
    uint64_t x = (uint64_t)w[0] << 32 | w[1];
    __extension__ typedef unsigned __int128 wide;
    return (uint64_t)((wide)x * n >> 64);
}

double lca_rng_uniform(const struct lca_rng *r, uint64_t index)
{
    uint32_t w[4];
    lca_rng_words(r, index, 0, w);
    return unit(w[0], w[1]);
}

static double normal(const struct lca_rng *r, uint64_t index, uint32_t part)
{
    uint32_t w[4];
    lca_rng_words(r, index, part, w);
    /* 1 - u lies in (0, 1], where the logarithm is finite */
    return sqrt(-2 * log(1 - unit(w[0], w[1]))) * cos(2 * M_PI * unit(w[2], w[3]));
}

double lca_rng_normal(const struct lca_rng *r, uint64_t index)
{
    return normal(r, index, 0);
}

double lca_rng_truncated(const struct lca_rng *r, uint64_t index, double limit)
{
    for (uint32_t part = 0;; part++) {
        double x = normal(r, index, part);
        if (fabs(x) <= limit)
            return x;
    }
}

void lca_rng_permute(const struct lca_rng *r, uint32_t *p, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        p[i] = i;
    for (uint32_t i = n; i > 1; i--) {
        uint32_t j = (uint32_t)lca_rng_below(r, i - 1, i);
        uint32_t x = p[i - 1];
        p[i - 1] = p[j];
        p[j] = x;
    }
}
