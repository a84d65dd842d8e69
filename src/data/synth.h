/* synth.h: a generated data set of handwritten-like digits, 28 x 28, so that every
 * program can be tried and tested without a download.
 *
 * Example i of a seed is a function of (seed, i) only, and uses no function of libm
 * but the square root, which IEEE 754 rounds exactly: the bytes are the same on
 * every machine. Each ten examples in a row, from a multiple of ten, hold each
 * digit once, in random order. */
#ifndef LCA_DATA_SYNTH_H
#define LCA_DATA_SYNTH_H

#include <stdint.h>

#include "base/err.h"
#include "data/examples.h"

enum {
    LCA_SYNTH_SIDE = 28,
    LCA_SYNTH_PIXELS = LCA_SYNTH_SIDE * LCA_SYNTH_SIDE,
    LCA_SYNTH_CLASSES = 10,
};

/* Draws example i, 0 for background and 255 for ink, and returns its label. */
uint8_t lca_synth_example(uint32_t seed, uint64_t i, uint8_t image[LCA_SYNTH_PIXELS]);

/* Fills e, to be cleared, with examples first .. first + n - 1. */
int lca_synth_examples(struct lca_examples *e, uint32_t seed, uint64_t first, uint32_t n,
                       struct lca_err *err) LCA_MUST_USE;

#endif
