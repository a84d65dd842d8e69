#include "lca/basis.h"

#include <math.h>

#include "base/rng.h"

enum { LANES = 8 };

static double fold(const double v[LANES])
{
    return ((v[0] + v[1]) + (v[2] + v[3])) + ((v[4] + v[5]) + (v[6] + v[7]));
}

double lca_dot(const double *q, const float *v, uint64_t n)
{
    double part[LANES] = {0};
    uint64_t i = 0;
    for (; i + LANES <= n; i += LANES)
        for (int p = 0; p < LANES; p++)
            part[p] += q[i + p] * v[i + p];
    for (; i < n; i++)
        part[0] += q[i] * v[i];
    return fold(part);
}

double lca_dot_squares(const double *q, const float *v, uint64_t n)
{
    double part[LANES] = {0};
    uint64_t i = 0;
    for (; i + LANES <= n; i += LANES)
        for (int p = 0; p < LANES; p++)
            part[p] += q[i + p] * q[i + p] * v[i + p];
    for (; i < n; i++)
        part[0] += q[i] * q[i] * v[i];
    return fold(part);
}

static double dot(const double *a, const double *b, uint64_t n)
{
    double part[LANES] = {0};
    uint64_t i = 0;
    for (; i + LANES <= n; i += LANES)
        for (int p = 0; p < LANES; p++)
            part[p] += a[i + p] * b[i + p];
    for (; i < n; i++)
        part[0] += a[i] * b[i];
    return fold(part);
}

double lca_basis_error(const double *q, uint64_t k, uint64_t n, uint64_t *a, uint64_t *b)
{
    double most = 0;
    *a = *b = 0;
    for (uint64_t i = 0; i < k; i++) {
        for (uint64_t j = i; j < k; j++) {
            double error = fabs(dot(q + i * n, q + j * n, n) - (i == j));
            if (error <= most)
                continue;
            most = error;
            *a = i;
            *b = j;
            if (isnan(error))       /* as wrong as can be */
                return error;
        }
    }
    return most;
}

void lca_basis_random(double *q, uint64_t k, uint64_t n, uint32_t seed)
{
    for (uint64_t j = 0; j < k; j++) {
        struct lca_rng r = {seed, LCA_RNG_BASIS, j};
        double *v = q + j * n;
        for (uint64_t i = 0; i < n; i++)
            v[i] = lca_rng_normal(&r, i);
        /* Gram and Schmidt, twice: once leaves rounding of the size of what it takes away */
        for (int twice = 0; twice < 2; twice++) {
            for (uint64_t o = 0; o < j; o++) {
                double along = dot(v, q + o * n, n);
                for (uint64_t i = 0; i < n; i++)
                    v[i] -= along * q[o * n + i];
            }
            double length = sqrt(dot(v, v, n));
            for (uint64_t i = 0; i < n; i++)
                v[i] /= length;
        }
    }
}
