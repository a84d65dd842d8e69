#include "lca/central.h"

#include <math.h>

void lca_central_add(struct lca_central *c, const float *v, size_t n)
{
    /* four running sums: the additions need not wait for each other */
    double sum[4] = {0}, two[4] = {0}, three[4] = {0}, four[4] = {0};
    if (n == 0)
        return;
    for (size_t i = 0; i < n; i++)
        sum[i % 4] += v[i];
    struct lca_central part = {.n = (double)n, .mean = ((sum[0] + sum[1]) + (sum[2] + sum[3])) / (double)n};
    for (size_t i = 0; i < n; i++) {
        double d = v[i] - part.mean, dd = d * d;
        two[i % 4] += dd;
        three[i % 4] += dd * d;
        four[i % 4] += dd * dd;
    }
    part.m2 = (two[0] + two[1]) + (two[2] + two[3]);
    part.m3 = (three[0] + three[1]) + (three[2] + three[3]);
    part.m4 = (four[0] + four[1]) + (four[2] + four[3]);
    lca_central_merge(c, &part);
}

void lca_central_merge(struct lca_central *c, const struct lca_central *o)
{
    if (o->n == 0)
        return;
    double n = c->n + o->n, d = o->mean - c->mean, a = c->n, b = o->n, ab = a * b / n;
    double m4 = c->m4 + o->m4 + d * d * d * d * ab * (a * a - a * b + b * b) / (n * n) +
                6 * d * d * (a * a * o->m2 + b * b * c->m2) / (n * n) + 4 * d * (a * o->m3 - b * c->m3) / n;
    double m3 = c->m3 + o->m3 + d * d * d * ab * (a - b) / n + 3 * d * (a * o->m2 - b * c->m2) / n;
    c->m2 += o->m2 + d * d * ab;
    c->m3 = m3;
    c->m4 = m4;
    c->mean += d * b / n;
    c->n = n;
}

double lca_central_deviation(const struct lca_central *c)
{
    return c->n > 0 ? sqrt(c->m2 / c->n) : NAN;
}

double lca_central_skewness(const struct lca_central *c)
{
    return c->m2 > 0 ? sqrt(c->n) * c->m3 / (c->m2 * sqrt(c->m2)) : NAN;
}

double lca_central_kurtosis(const struct lca_central *c)
{
    return c->m2 > 0 ? c->n * (c->m4 / c->m2 / c->m2) - 3 : NAN;
}

struct lca_test lca_central_kurtosis_test(const struct lca_central *c)
{
    double n = c->n, kurtosis = lca_central_kurtosis(c);
    if (n < 5 || isnan(kurtosis))
        return (struct lca_test){NAN, NAN};
    /* expectation and variance of the kurtosis of a normal sample, and its skewness */
    double mean = 3 * (n - 1) / (n + 1) - 3;
    double variance = 24 * n * (n - 2) * (n - 3) / ((n + 1) * (n + 1) * (n + 3) * (n + 5));
    double skew = 6 * (n * n - 5 * n + 2) / ((n + 7) * (n + 9)) * sqrt(6 * (n + 3) * (n + 5) / (n * (n - 2) * (n - 3)));
    /* that distribution is nearly an inverse chi-square of a degrees, whose cube root is
     * nearly normal (Wilson and Hilferty) */
    double a = 6 + 8 / skew * (2 / skew + sqrt(1 + 4 / (skew * skew)));
    double x = 1 + (kurtosis - mean) / sqrt(variance) * sqrt(2 / (a - 4));
    double z = (1 - 2 / (9 * a) - cbrt((1 - 2 / a) / x)) / sqrt(2 / (9 * a));
    return (struct lca_test){z, erfc(fabs(z) / M_SQRT2)};
}
