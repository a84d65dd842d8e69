/* rng.h: random numbers by counter (Philox 4x32-10; Salmon et al., SC 2011).
 *
 * A value is a function of (seed, purpose, step, index) and of nothing else: no
 * state, no order of calls, the same on a CPU and on a GPU. `purpose` keeps the
 * uses apart, so that changing one (the dropout rate, say) leaves the others. */
#ifndef LCA_BASE_RNG_H
#define LCA_BASE_RNG_H

#include <stdint.h>

enum lca_rng_purpose {
    LCA_RNG_INIT    = 1,    /* step: tensor, index: element */
    LCA_RNG_SHUFFLE = 2,    /* step: epoch, index: position */
    LCA_RNG_DROPOUT = 3,    /* step: training step, index: layer and unit */
    LCA_RNG_SYNTH   = 4,    /* step: example, index: which draw */
    LCA_RNG_NULL    = 5,    /* null models of the statistical tests */
    LCA_RNG_CHOICE  = 6,    /* parameters drawn as a sample; step: layer, index: draw */
    LCA_RNG_BASIS   = 7,    /* random directions; step: direction, index: parameter */
    LCA_RNG_TEST    = 99,   /* tests and benchmarks */
};

struct lca_rng {
    uint32_t seed, purpose;
    uint64_t step;
};

/* Four independent 32-bit words. index < 2^48, part < 2^16 (further words for the
 * same index, such as the tries of a rejection). */
void lca_rng_words(const struct lca_rng *r, uint64_t index, uint32_t part, uint32_t out[4]);

/* Uniform in [0, n), n >= 1, by multiplication of 64 bits (bias < n / 2^64). */
uint64_t lca_rng_below(const struct lca_rng *r, uint64_t index, uint64_t n);

/* Uniform in [0, 1), 53 bits. */
double lca_rng_uniform(const struct lca_rng *r, uint64_t index);

/* Standard normal (Box-Muller); truncated: redrawn until |x| <= limit. */
double lca_rng_normal(const struct lca_rng *r, uint64_t index);
double lca_rng_truncated(const struct lca_rng *r, uint64_t index, double limit);

/* Fills p[n] with a permutation of 0 .. n-1 (Fisher-Yates). */
void lca_rng_permute(const struct lca_rng *r, uint32_t *p, uint32_t n);

#endif
