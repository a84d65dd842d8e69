#include "lca/concentration.h"

#include <math.h>

unsigned lca_concentration(double r[LCA_CONCENTRATION], const double *A, size_t stride, unsigned n)
{
    double top[LCA_CONCENTRATION] = {0}, all = 0, part = 0;
    unsigned helped = 0;
    for (unsigned c = 0; c < n; c++) {
        double h = A[c * stride] < 0 ? -A[c * stride] : 0;
        helped += h > 0;
        all += h;
        for (int k = 0; k < LCA_CONCENTRATION; k++) {
            if (h <= top[k])
                continue;
            double lower = top[k];
            top[k] = h;
            h = lower;
        }
    }
    for (unsigned k = 0; k < LCA_CONCENTRATION; k++) {
        part += top[k];
        /* with so few classes the whole is 1, however it was added up */
        r[k] = helped == 0 ? NAN : helped <= k + 1 ? 1 : part / all;
    }
    return helped;
}
