#include "lca/extremes.h"

#include <stdbool.h>
#include <stdlib.h>

struct order {
    const double *v;
    double sign;
};

static bool before(const struct order *o, uint64_t a, uint64_t b)
{
    double x = o->sign * o->v[a], y = o->sign * o->v[b];
    return x < y || (x == y && a < b);
}

/* Restores a heap of n whose parents come after their children, but for its root. */
static void sink(const struct order *o, uint64_t *heap, uint64_t n)
{
    uint64_t at = 0, child;
    while ((child = 2 * at + 1) < n) {
        if (child + 1 < n && before(o, heap[child], heap[child + 1]))
            child++;
        if (!before(o, heap[at], heap[child]))
            break;
        uint64_t moved = heap[at];
        heap[at] = heap[child];
        heap[child] = moved;
        at = child;
    }
}

/* Adds a place to a heap of n. */
static void rise(const struct order *o, uint64_t *heap, uint64_t n, uint64_t place)
{
    uint64_t at = n;
    while (at > 0 && before(o, heap[(at - 1) / 2], place)) {
        heap[at] = heap[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    heap[at] = place;
}

void lca_extremes(const double *v, uint64_t n, double sign, uint64_t *place, uint64_t k)
{
    struct order o = {v, sign};
    /* the k best so far; the root is the one that the next better one displaces */
    for (uint64_t i = 0; i < k; i++)
        rise(&o, place, i, i);
    for (uint64_t i = k; i < n && k > 0; i++) {
        if (!before(&o, i, place[0]))
            continue;
        place[0] = i;
        sink(&o, place, k);
    }
    for (uint64_t left = k; left > 1; left--) {
        uint64_t last = place[0];
        place[0] = place[left - 1];
        place[left - 1] = last;
        sink(&o, place, left - 1);
    }
}

static int by_number(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

/* Floyd's way: number j may be taken by j draws before it, and stands in for a draw
 * that is taken. */
void lca_sample(const struct lca_rng *r, uint64_t n, uint64_t *number, uint64_t k)
{
    for (uint64_t i = 0; i < k; i++) {
        uint64_t j = n - k + i, drawn = lca_rng_below(r, i, j + 1);
        for (uint64_t m = 0; m < i; m++)
            if (number[m] == drawn)
                drawn = j;
        number[i] = drawn;
    }
    qsort(number, k, sizeof *number, by_number);
}
