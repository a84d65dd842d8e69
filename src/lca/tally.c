#include "lca/tally.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"

enum { REST = 12, FINE = 1 << REST, ZERO = LCA_TALLY_CELLS, HALF = LCA_TALLY_CELLS / 2 };

static uint32_t bits_of(float v)
{
    uint32_t b;
    memcpy(&b, &v, sizeof b);
    return b;
}

static float of_bits(uint32_t b)
{
    float v;
    memcpy(&v, &b, sizeof v);
    return v;
}

static uint32_t cell_of(float v)
{
    return v == 0 ? (uint32_t)ZERO : bits_of(v) >> REST;
}

static double middle(uint32_t cell)
{
    if (cell == ZERO)
        return 0;
    return of_bits(cell << REST | FINE / 2);
}

int lca_tally_init(struct lca_tally *t, struct lca_err *err)
{
    *t = (struct lca_tally){.count = lca_alloc(LCA_TALLY_CELLS + 1, sizeof *t->count, err),
                            .sum = lca_alloc(HALF, sizeof *t->sum, err)};
    return t->count && t->sum ? 0 : -1;
}

void lca_tally_clear(struct lca_tally *t)
{
    free(t->count);
    free(t->sum);
    *t = (struct lca_tally){0};
}

void lca_tally_add(struct lca_tally *t, const float *v, size_t n)
{
    float min = t->min, max = t->max;
    size_t i = 0;
    if (t->n == lca_tally_zeros(t)) {       /* the first that is not 0 */
        while (i < n && v[i] == 0)
            i++;
        if (i < n)
            min = max = v[i];
    }
    for (i = 0; i < n; i++) {
        uint32_t cell = cell_of(v[i]);
        t->count[cell]++;
        t->sum[cell % HALF] += fabsf(v[i]);
        min = v[i] < min && v[i] != 0 ? v[i] : min;
        max = v[i] > max && v[i] != 0 ? v[i] : max;
    }
    t->min = min;
    t->max = max;
    t->n += n;
}

uint64_t lca_tally_zeros(const struct lca_tally *t)
{
    return t->count[ZERO];
}

/* Cells in ascending order of value: negative ones from the largest size down, zeros,
 * positive ones. k in [0, LCA_TALLY_CELLS]. */
static uint32_t cell_at(uint32_t k)
{
    return k < HALF ? LCA_TALLY_CELLS - 1 - k : k == HALF ? (uint32_t)ZERO : k - HALF - 1;
}

double lca_tally_rank(const struct lca_tally *t, uint64_t r, uint32_t *cell, uint64_t *before)
{
    uint64_t seen = 0;
    uint32_t k = 0;
    while (seen + t->count[cell_at(k)] <= r)
        seen += t->count[cell_at(k++)];
    if (cell)
        *cell = cell_at(k);
    if (before)
        *before = seen;
    return middle(cell_at(k));
}

double lca_quantile(uint64_t n, double q, double (*rank)(void *arg, uint64_t r), void *arg)
{
    if (n == 0)
        return NAN;
    double at = q * (double)(n - 1), r = floor(at);
    double lower = rank(arg, (uint64_t)r);
    if (at == r)
        return lower;
    return lower + (at - r) * (rank(arg, (uint64_t)r + 1) - lower);
}

/* ---- the second pass ---- */

int lca_refine_init(struct lca_refine *r, struct lca_err *err)
{
    *r = (struct lca_refine){.count = lca_alloc(LCA_REFINE_RANKS * FINE, sizeof *r->count, err)};
    return r->count ? 0 : -1;
}

void lca_refine_clear(struct lca_refine *r)
{
    free(r->count);
    *r = (struct lca_refine){0};
}

static unsigned place_of(const struct lca_refine *r, uint32_t cell)
{
    unsigned k = 0;
    while (k < r->n_cell && r->cell[k] != cell)
        k++;
    return k;
}

void lca_refine_want(struct lca_refine *r, const struct lca_tally *t, uint64_t rank)
{
    uint32_t cell;
    lca_tally_rank(t, rank, &cell, NULL);
    if (place_of(r, cell) == r->n_cell && r->n_cell < LCA_REFINE_RANKS)
        r->cell[r->n_cell++] = cell;
}

void lca_refine_add(struct lca_refine *r, const float *v, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        unsigned k = place_of(r, cell_of(v[i]));
        if (k < r->n_cell)
            r->count[(size_t)k * FINE + (bits_of(v[i]) & (FINE - 1))]++;
    }
}

double lca_refine_rank(const struct lca_refine *r, const struct lca_tally *t, uint64_t rank)
{
    uint32_t cell, fine = 0;
    uint64_t seen;
    lca_tally_rank(t, rank, &cell, &seen);
    if (cell == ZERO)
        return 0;
    const uint64_t *count = r->count + (size_t)place_of(r, cell) * FINE;
    bool negative = cell >= HALF;           /* larger sizes come first */
    while (seen + count[negative ? FINE - 1 - fine : fine] <= rank)
        seen += count[negative ? FINE - 1 - fine++ : fine++];
    return of_bits(cell << REST | (negative ? FINE - 1 - fine : fine));
}

/* ---- histograms ---- */

void lca_histogram_edges(struct lca_histogram *h, double lo, double hi)
{
    *h = (struct lca_histogram){.width = (hi - lo) / (LCA_HISTOGRAM_BINS - 1)};
    if (!(h->width > 0))        /* one value, or none: bins around 0 of some size */
        h->width = lo != 0 ? fabs(lo) / (LCA_HISTOGRAM_BINS / 2 - 1) : 1;
    double first = hi > lo ? floor(lo / h->width) : -(LCA_HISTOGRAM_BINS / 2);
    for (int k = 0; k <= LCA_HISTOGRAM_BINS; k++)
        h->edge[k] = (first + k) * h->width;
}

static void put(struct lca_histogram *h, double v, uint64_t n)
{
    const int bins = LCA_HISTOGRAM_BINS;
    if (v < h->edge[0]) {
        h->below += n;
    } else if (v > h->edge[bins]) {
        h->above += n;
    } else {
        int k = (int)fmin((v - h->edge[0]) / h->width, bins - 1);
        while (v < h->edge[k])              /* the quotient may be rounded over an edge */
            k--;
        while (k < bins - 1 && v >= h->edge[k + 1])
            k++;
        h->count[k] += n;
    }
}

void lca_histogram_add(struct lca_histogram *h, const float *v, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (v[i] != 0)
            put(h, v[i], 1);
}

void lca_histogram_tally(struct lca_histogram *h, const struct lca_tally *t)
{
    for (uint32_t cell = 0; cell < LCA_TALLY_CELLS; cell++) {
        if (t->count[cell] == 0)
            continue;
        /* no cell reaches beyond what was seen */
        put(h, fmin(fmax(middle(cell), t->min), t->max), t->count[cell]);
    }
}

/* ---- distributions ---- */

struct size {
    double ln, n;           /* logarithm over the largest, values */
};

/* sum n x^k ln x / sum n x^k - 1/k - mean ln x: grows with k. */
static double slope(const struct size *s, size_t n, double mean, double k)
{
    double sum = 0, with_ln = 0;
    for (size_t i = 0; i < n; i++) {
        double x = s[i].n * exp(k * s[i].ln);
        sum += x;
        with_ln += x * s[i].ln;
    }
    return with_ln / sum - 1 / k - mean;
}

static struct lca_weibull fit(const struct size *s, size_t n, double largest)
{
    double mean = 0, total = 0, low = 1, high = 1, power = 0;
    for (size_t i = 0; i < n; i++) {
        mean += s[i].n * s[i].ln;
        total += s[i].n;
    }
    mean /= total;
    while (slope(s, n, mean, low) > 0)
        low /= 2;
    while (slope(s, n, mean, high) < 0)
        high *= 2;
    for (int step = 0; step < 200 && high - low > 1e-15 * high; step++) {
        double k = (low + high) / 2;
        *(slope(s, n, mean, k) < 0 ? &low : &high) = k;
    }
    double shape = (low + high) / 2;
    for (size_t i = 0; i < n; i++)
        power += s[i].n * exp(shape * s[i].ln);
    return (struct lca_weibull){shape, largest * exp(log(power / total) / shape)};
}

struct lca_weibull lca_tally_weibull(const struct lca_tally *t)
{
    struct lca_weibull w = {NAN, NAN};
    double largest = fmax(fabs((double)t->min), fabs((double)t->max));
    size_t n = 0;
    for (uint32_t cell = 0; cell < HALF; cell++)
        n += t->count[cell] + t->count[cell + HALF] > 0;
    struct size *s = n >= 2 ? lca_alloc(n, sizeof *s, NULL) : NULL;
    if (!s)
        return w;
    n = 0;
    for (uint32_t cell = 0; cell < HALF; cell++) {
        uint64_t count = t->count[cell] + t->count[cell + HALF];
        if (count > 0)
            s[n++] = (struct size){log(t->sum[cell] / (double)count / largest), (double)count};
    }
    w = fit(s, n, largest);
    free(s);
    return w;
}

/* Of both distributions the side away from 0 is computed, where small differences
 * keep their digits. */
double lca_weibull_between(const struct lca_weibull *w, double from, double to)
{
    if (from < 0 && to > 0)
        return lca_weibull_between(w, from, 0) + lca_weibull_between(w, 0, to);
    double a = fmin(fabs(from), fabs(to)), b = fmax(fabs(from), fabs(to));
    return (exp(-pow(a / w->scale, w->shape)) - exp(-pow(b / w->scale, w->shape))) / 2;
}

double lca_normal_between(double mean, double deviation, double from, double to)
{
    double a = (from - mean) / (deviation * M_SQRT2), b = (to - mean) / (deviation * M_SQRT2);
    return a > 0 ? (erfc(a) - erfc(b)) / 2 : (erfc(-b) - erfc(-a)) / 2;
}
