#include "lca/sums.h"

#include <math.h>
#include <stddef.h>

enum { LANES = 8 };

/* Eight running sums: the additions need not wait for each other. */
static double fold(const double part[LANES])
{
    return ((part[0] + part[1]) + (part[2] + part[3])) + ((part[4] + part[5]) + (part[6] + part[7]));
}

double lca_sum(const float *v, uint64_t n)
{
    double part[LANES] = {0};
    uint64_t i = 0;
    for (; i + LANES <= n; i += LANES)
        for (int p = 0; p < LANES; p++)
            part[p] += v[i + p];
    for (; i < n; i++)
        part[0] += v[i];
    return fold(part);
}

double lca_norm(const float *v, uint64_t n)
{
    double part[LANES] = {0};
    uint64_t i = 0;
    for (; i + LANES <= n; i += LANES)
        for (int p = 0; p < LANES; p++)
            part[p] += (double)v[i + p] * v[i + p];
    for (; i < n; i++)
        part[0] += (double)v[i] * v[i];
    return sqrt(fold(part));
}

/* col [n] += v [n]; returns the sum of v. */
static double add_row(const float *v, uint32_t n, double *restrict col)
{
    double part[LANES] = {0};
    uint32_t i = 0;
    for (; i + LANES <= n; i += LANES) {
        for (int p = 0; p < LANES; p++) {
            double x = v[i + p];
            part[p] += x;
            col[i + p] += x;
        }
    }
    for (; i < n; i++) {
        part[0] += v[i];
        col[i] += v[i];
    }
    return fold(part);
}

void lca_sum_axes(const float *v, uint64_t outer, uint32_t rows, uint32_t cols, double *row, double *col)
{
    for (uint64_t o = 0; o < outer; o++) {
        for (uint32_t r = 0; r < rows; r++, v += cols) {
            double sum = add_row(v, cols, col);
            if (row)
                row[r] += sum;
        }
    }
}
