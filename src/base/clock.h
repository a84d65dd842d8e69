/* clock.h: time that only goes forward, for rates, leases and limits. It never
 * reaches a data frame: the same run gives the same bytes. */
#ifndef LCA_BASE_CLOCK_H
#define LCA_BASE_CLOCK_H

#include <time.h>

/* Seconds since some fixed moment. */
static inline double lca_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

#endif
