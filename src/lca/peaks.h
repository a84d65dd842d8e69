/* peaks.h: moments of learning, and whether layers have theirs at the same steps more
 * often than by chance (Lan et al. 2019, section 6 of the paper: synchronised learning).
 *
 * A series has one value per step, 0 .. T-1. A peak is a step whose value is strictly
 * below (or above) both neighbours; the ends are none. A moment is one of the `keep`
 * deepest peaks of a series. All positions are steps in ascending order. */
#ifndef LCA_LCA_PEAKS_H
#define LCA_LCA_PEAKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/* Peaks of s[T] into at, which has room for (T + 1) / 2; returns how many. upward: local
 * maxima instead of minima. */
size_t lca_peaks(const double *s, size_t T, bool upward, uint32_t *at);

/* The deepest `keep` of the peaks at[n] (all, where there are fewer; of equal ones the
 * earlier) into moment[keep]; returns how many, or SIZE_MAX with err filled. */
size_t lca_peaks_keep(const double *s, bool upward, const uint32_t *at, size_t n, size_t keep, uint32_t *moment,
                      struct lca_err *err);

/* Moments of several layers over the same T steps. */
struct lca_sync {
    unsigned n_layer;
    size_t T, keep;
    const uint32_t *const *peak;        /* [n_layer]: all peaks */
    const size_t *n_peak;
    const uint32_t *const *moment;      /* [n_layer]: those kept */
    const size_t *n_moment;
};

/* Least number of layers that is at least `level` (0..1) of n_layer; at least 1. */
unsigned lca_sync_need(double level, unsigned n_layer);

/* Number of steps at which at least need[k] layers have a moment, into count[n_need]. */
int lca_sync_count(const struct lca_sync *s, const unsigned *need, unsigned n_need, uint64_t *count,
                   struct lca_err *err) LCA_MUST_USE;

/* Chance: the same count for moments that were placed at random,
 *   A      each layer's as many as it has, without replacement from its own peaks;
 *   SHIFT  (null B) each layer's own, moved round the circle of T steps by a random
 *          distance, no two layers by the same;
 *   BLOCK  (null C) as A, with as many as the layer really has in each block of steps.
 * p = (1 + #{null >= observed}) / (1 + draws); mean over the draws. */
enum lca_null { LCA_NULL_PEAKS, LCA_NULL_SHIFT, LCA_NULL_BLOCK, LCA_NULLS };
struct lca_chance {
    double mean, p;
};

/* chance[n_need] for need and observed counts. seed and series (< 2^20) name the random
 * numbers (LCA_RNG_NULL); draws < 2^40; block: steps, for LCA_NULL_BLOCK. With more
 * layers than steps a shift is impossible: NaN. */
int lca_sync_chance(const struct lca_sync *s, enum lca_null null, const unsigned *need, unsigned n_need,
                    const uint64_t *observed, uint64_t draws, uint32_t seed, uint32_t series, size_t block,
                    struct lca_chance *chance, struct lca_err *err) LCA_MUST_USE;

/* P(X_L >= observed) for steps at which all layers have a moment, exactly, where each
 * layer's n_moment lie uniformly on n candidate steps: X_1 = n_moment[0],
 * X_j+1 ~ Hypergeometric(n, X_j, n_moment[j]). NaN where some layer has more than n. */
double lca_sync_exact(size_t n, const size_t *n_moment, unsigned n_layer, uint64_t observed);

#endif
