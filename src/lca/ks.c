#include "lca/ks.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double lca_ks_distance(double *a, size_t n, double *b, size_t m)
{
    if (n == 0 || m == 0)
        return NAN;
    qsort(a, n, sizeof *a, ascending);
    qsort(b, m, sizeof *b, ascending);
    double d = 0;
    for (size_t i = 0, j = 0; i < n && j < m;) {
        double x = a[i] < b[j] ? a[i] : b[j];       /* past all values equal to it */
        while (i < n && a[i] == x)
            i++;
        while (j < m && b[j] == x)
            j++;
        d = fmax(d, fabs((double)i / (double)n - (double)j / (double)m));
    }
    return d;
}

static uint64_t gcd(uint64_t a, uint64_t b)
{
    return b ? gcd(b, a % b) : a;
}

int lca_ks_exact(double *p, double d, size_t n, size_t m, struct lca_err *err)
{
    if (!(d > 0) || n == 0 || m == 0) {
        *p = n && m && d == 0 ? 1 : NAN;
        return 0;
    }
    /* distances are multiples of 1/lcm(n, m): compared as integers */
    uint64_t g = gcd(n, m), step_i = m / g, step_j = n / g;
    int64_t limit = (int64_t)ceil(d * (double)(n / g) * (double)m - 1e-6);
    double *at = lca_alloc(m + 1, sizeof *at, err);     /* P of the walk being at (i, j), all before inside */
    if (!at)
        return -1;
    at[0] = 1;
    *p = 0;
    for (size_t i = 0; i <= n; i++) {
        for (size_t j = 0; j <= m; j++) {
            /* at[j] came from (i - 1, j), `left` from (i, j - 1) */
            double here = i ? at[j] * (double)(n - i + 1) / (double)(n - i + 1 + m - j) : at[j];
            if (j)
                here += at[j - 1] * (double)(m - j + 1) / (double)(n - i + m - j + 1);
            int64_t distance = llabs((int64_t)(i * step_i) - (int64_t)(j * step_j));
            if (distance >= limit) {
                *p += here;
                here = 0;
            }
            at[j] = here;
        }
    }
    free(at);
    *p = fmin(*p, 1);
    return 0;
}

/* P(D_n^+ >= d): a sum of positive terms, in logarithms. */
static double one_sided(double d, double n)
{
    double sum = 0;
    for (double j = 0; j <= floor(n * (1 - d)); j++) {
        double rest = 1 - d - j / n;
        if (rest <= 0)
            break;
        sum += exp(lgamma(n + 1) - lgamma(j + 1) - lgamma(n - j + 1) + (j - 1) * log(d + j / n) + (n - j) * log(rest));
    }
    return d * sum;
}

/* C = A B, all [m][m]. */
static void multiply(double *C, const double *A, const double *B, size_t m)
{
    memset(C, 0, m * m * sizeof *C);
    for (size_t i = 0; i < m; i++)
        for (size_t k = 0; k < m; k++)
            for (size_t j = 0; j < m; j++)
                C[i * m + j] += A[i * m + k] * B[k * m + j];
}

/* Brings the largest element near 1 and counts the powers of two taken out. */
static double scaled(double *A, size_t m, double exponent)
{
    double most = 0;
    int e;
    for (size_t i = 0; i < m * m; i++)
        most = fmax(most, A[i]);
    frexp(most, &e);
    for (size_t i = 0; i < m * m; i++)
        A[i] = ldexp(A[i], -e);
    return exponent + e;
}

/* P(D_n < d) = n!/n^n (H^n)[k-1][k-1] with n d = k - h, 0 <= h < 1. */
static int two_sided(double *inside, double d, uint64_t n, struct lca_err *err)
{
    size_t k = (size_t)floor((double)n * d) + 1, m = 2 * k - 1;
    double h = (double)k - (double)n * d, power_H = 0, power_Q = 0;
    double *room = lca_alloc(3 * m * m, sizeof *room, err), *H = room, *Q = room + m * m, *T = room + 2 * m * m;
    if (!room)
        return -1;
    for (size_t i = 0; i < m; i++)
        for (size_t j = 0; j < m; j++)
            H[i * m + j] = i + 1 >= j ? 1 : 0;
    for (size_t i = 0; i < m; i++) {
        H[i * m] -= pow(h, (double)(i + 1));
        H[(m - 1) * m + i] -= pow(h, (double)(m - i));
    }
    H[(m - 1) * m] += 2 * h - 1 > 0 ? pow(2 * h - 1, (double)m) : 0;
    for (size_t i = 0; i < m; i++)
        for (size_t j = 0; j <= i; j++)
            H[i * m + j] /= tgamma((double)(i - j + 2));
    for (size_t i = 0; i < m; i++)
        Q[i * m + i] = 1;
    for (uint64_t e = n; e; e /= 2) {       /* Q = H^n by squaring */
        if (e % 2) {
            multiply(T, Q, H, m);
            memcpy(Q, T, m * m * sizeof *Q);
            power_Q = scaled(Q, m, power_Q + power_H);
        }
        multiply(T, H, H, m);
        memcpy(H, T, m * m * sizeof *H);
        power_H = scaled(H, m, 2 * power_H);
    }
    double x = Q[(k - 1) * m + k - 1], N = (double)n;
    *inside = x > 0 ? exp(log(x) + power_Q * M_LN2 + lgamma(N + 1) - N * log(N)) : 0;
    free(room);
    return 0;
}

int lca_ks_asymptotic(double *p, double d, size_t n, size_t m, struct lca_err *err)
{
    double N = n && m ? nearbyint((double)n * (double)m / (double)(n + m)) : 0, inside;
    if (N < 1 || isnan(d)) {
        *p = NAN;
        return 0;
    }
    if (N * d * d >= 4) {
        *p = d < 1 ? fmin(1, 2 * one_sided(d, N)) : 0;
        return 0;
    }
    if (d <= 0.5 / N) {
        *p = 1;
        return 0;
    }
    if (two_sided(&inside, d, (uint64_t)N, err) < 0)
        return -1;
    *p = fmin(1, fmax(0, 1 - inside));
    return 0;
}
