#include "lca/share.h"

#include <math.h>
#include <stdlib.h>

static int descending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x < y) - (x > y);
}

struct lca_shares lca_shares(double *part, size_t n, double of)
{
    struct lca_shares s = {NAN, NAN, NAN, NAN};
    double weighted = 0, sum = 0, N = (double)n;
    size_t carry = 0, top = (n + 99) / 100;
    if (n == 0)
        return s;
    qsort(part, n, sizeof *part, descending);
    for (size_t k = 0; k < n; k++) {
        sum += part[k];
        weighted += (double)(n - k) * part[k];
        if (k + 1 == top)
            s.top = sum;
    }
    s.sum = sum;
    s.top /= sum;
    s.gini = 2 * weighted / (N * sum) - (N + 1) / N;
    for (double carried = 0; carry < n && carried < of * sum; carry++)
        carried += part[carry];
    s.carry = (double)carry / N;
    return s;
}
