/* clock.h: in the place of base/clock.h, so that time in a fuzzer is what its input says,
 * and the same input does the same again. */
#ifndef LCA_BASE_CLOCK_H
#define LCA_BASE_CLOCK_H

double lca_now(void);

#endif
