#include "lca/peaks.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/rng.h"

size_t lca_peaks(const double *s, size_t T, bool upward, uint32_t *at)
{
    size_t n = 0;
    for (size_t t = 1; t + 1 < T; t++)
        if (upward ? s[t] > s[t - 1] && s[t] > s[t + 1] : s[t] < s[t - 1] && s[t] < s[t + 1])
            at[n++] = (uint32_t)t;
    return n;
}

struct ranked {
    double depth;
    uint32_t t;
};

static int deepest_first(const void *a, const void *b)
{
    const struct ranked *x = a, *y = b;
    return x->depth != y->depth ? (x->depth > y->depth) - (x->depth < y->depth) : (x->t > y->t) - (x->t < y->t);
}

static int earliest_first(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

size_t lca_peaks_keep(const double *s, bool upward, const uint32_t *at, size_t n, size_t keep, uint32_t *moment,
                      struct lca_err *err)
{
    struct ranked *r = lca_alloc(n + 1, sizeof *r, err);
    if (!r)
        return SIZE_MAX;
    for (size_t k = 0; k < n; k++)
        r[k] = (struct ranked){upward ? -s[at[k]] : s[at[k]], at[k]};
    qsort(r, n, sizeof *r, deepest_first);
    size_t kept = n < keep ? n : keep;
    for (size_t k = 0; k < kept; k++)
        moment[k] = r[k].t;
    qsort(moment, kept, sizeof *moment, earliest_first);
    free(r);
    return kept;
}

/* ---- how many at once ---- */

unsigned lca_sync_need(double level, unsigned n_layer)
{
    double need = ceil(level * n_layer - 1e-9);     /* 0.3 of 10 layers are 3 */
    return need < 1 ? 1 : (unsigned)need;
}

/* How many layers have a moment at each step. */
struct crowd {
    uint32_t *layers;       /* [T], zero between uses */
    uint32_t *step;         /* [n]: the steps that have any */
    size_t n;
};

static int crowd_init(struct crowd *c, const struct lca_sync *s, struct lca_err *err)
{
    c->n = 0;
    c->layers = lca_alloc(s->T + 1, sizeof *c->layers, err);
    c->step = lca_alloc(s->T + 1, sizeof *c->step, err);
    return c->layers && c->step ? 0 : -1;
}

static void crowd_clear(struct crowd *c)
{
    free(c->layers);
    free(c->step);
}

static void crowd_add(struct crowd *c, uint32_t t)
{
    if (c->layers[t]++ == 0)
        c->step[c->n++] = t;
}

/* Counts, and empties the crowd. */
static void crowd_count(struct crowd *c, const unsigned *need, unsigned n_need, uint64_t *count)
{
    memset(count, 0, n_need * sizeof *count);
    for (size_t i = 0; i < c->n; i++) {
        for (unsigned k = 0; k < n_need; k++)
            count[k] += c->layers[c->step[i]] >= need[k];
        c->layers[c->step[i]] = 0;
    }
    c->n = 0;
}

int lca_sync_count(const struct lca_sync *s, const unsigned *need, unsigned n_need, uint64_t *count,
                   struct lca_err *err)
{
    struct crowd c;
    int result = crowd_init(&c, s, err);
    if (result == 0) {
        for (unsigned l = 0; l < s->n_layer; l++)
            for (size_t k = 0; k < s->n_moment[l]; k++)
                crowd_add(&c, s->moment[l][k]);
        crowd_count(&c, need, n_need, count);
    }
    crowd_clear(&c);
    return result;
}

/* ---- by chance ---- */

struct draw {
    const struct lca_sync *s;
    struct lca_rng rng;
    uint32_t *pool;         /* [T]: what is drawn from */
    uint32_t *shift;        /* [n_layer] */
    size_t block;
    struct crowd crowd;
};

/* Draws k of pool[n] without replacement, from index on. */
static void draw_from(struct draw *d, uint64_t index, uint32_t *pool, size_t n, size_t k)
{
    for (size_t i = 0; i < k; i++) {
        size_t j = i + (size_t)lca_rng_below(&d->rng, index + i, n - i);
        uint32_t t = pool[j];
        pool[j] = pool[i];
        pool[i] = t;
        crowd_add(&d->crowd, t);
    }
}

/* Index of a layer's first random number. */
static uint64_t index_of(unsigned layer)
{
    return (uint64_t)layer << 24;
}

static void draw_peaks(struct draw *d, unsigned l)
{
    memcpy(d->pool, d->s->peak[l], d->s->n_peak[l] * sizeof *d->pool);
    draw_from(d, index_of(l), d->pool, d->s->n_peak[l], d->s->n_moment[l]);
}

static void draw_block(struct draw *d, unsigned l)
{
    const struct lca_sync *s = d->s;
    size_t moment = 0;
    memcpy(d->pool, s->peak[l], s->n_peak[l] * sizeof *d->pool);
    for (size_t from = 0, to; from < s->n_peak[l]; from = to) {
        uint32_t block = d->pool[from] / (uint32_t)d->block;
        size_t first = moment;
        for (to = from; to < s->n_peak[l] && d->pool[to] / d->block == block;)
            to++;
        while (moment < s->n_moment[l] && s->moment[l][moment] / d->block == block)
            moment++;
        draw_from(d, index_of(l) + first, d->pool + from, to - from, moment - first);
    }
}

static void draw_shifts(struct draw *d)
{
    const struct lca_sync *s = d->s;
    for (unsigned l = 0; l < s->n_layer; l++) {
        /* the rank-th distance that no layer before has */
        uint32_t shift = (uint32_t)lca_rng_below(&d->rng, index_of(l), s->T - l);
        unsigned k = 0;
        for (; k < l && d->shift[k] <= shift; k++)
            shift++;
        memmove(d->shift + k + 1, d->shift + k, (l - k) * sizeof *d->shift);
        d->shift[k] = shift;
        for (size_t i = 0; i < s->n_moment[l]; i++)
            crowd_add(&d->crowd, (uint32_t)((s->moment[l][i] + (uint64_t)shift) % s->T));
    }
}

int lca_sync_chance(const struct lca_sync *s, enum lca_null null, const unsigned *need, unsigned n_need,
                    const uint64_t *observed, uint64_t draws, uint32_t seed, uint32_t series, size_t block,
                    struct lca_chance *chance, struct lca_err *err)
{
    struct draw d = {.s = s, .block = block, .rng = {.seed = seed, .purpose = LCA_RNG_NULL},
                     .pool = lca_alloc(s->T + 1, sizeof *d.pool, err),
                     .shift = lca_alloc(s->n_layer + 1, sizeof *d.shift, err)};
    uint64_t *count = lca_alloc(3 * n_need + 1, sizeof *count, err), *reached = count + n_need, *sum = reached + n_need;
    int result = crowd_init(&d.crowd, s, err);
    bool possible = null != LCA_NULL_SHIFT || s->n_layer <= s->T;
    if (!d.pool || !d.shift || !count)
        result = -1;
    for (uint64_t i = 0; result == 0 && possible && i < draws; i++) {
        d.rng.step = (uint64_t)null << 60 | (uint64_t)series << 40 | i;
        if (null == LCA_NULL_SHIFT)
            draw_shifts(&d);
        else
            for (unsigned l = 0; l < s->n_layer; l++)
                (null == LCA_NULL_PEAKS ? draw_peaks : draw_block)(&d, l);
        crowd_count(&d.crowd, need, n_need, count);
        for (unsigned k = 0; k < n_need; k++) {
            reached[k] += count[k] >= observed[k];
            sum[k] += count[k];
        }
    }
    for (unsigned k = 0; result == 0 && k < n_need; k++) {
        chance[k].mean = possible && draws ? (double)sum[k] / (double)draws : NAN;
        chance[k].p = possible ? (double)(1 + reached[k]) / (double)(1 + draws) : NAN;
    }
    crowd_clear(&d.crowd);
    free(d.pool);
    free(d.shift);
    free(count);
    return result;
}

static double ln_choose(double n, double k)
{
    return lgamma(n + 1) - lgamma(k + 1) - lgamma(n - k + 1);
}

double lca_sync_exact(size_t n, const size_t *n_moment, unsigned n_layer, uint64_t observed)
{
    size_t most = n_layer ? n_moment[0] : 0;
    for (unsigned l = 0; l < n_layer; l++)
        if (n_moment[l] > n)
            return NAN;
    double *p = lca_alloc(2 * (most + 1), sizeof *p, NULL), *next = p + most + 1, tail = 0;
    if (!p)
        return NAN;
    p[most] = 1;
    for (unsigned l = 1; l < n_layer; l++) {
        double k = (double)n_moment[l], N = (double)n;
        memset(next, 0, (most + 1) * sizeof *next);
        for (size_t x = 0; x <= most; x++) {
            if (p[x] == 0)
                continue;
            for (size_t y = 0; y <= x && y <= n_moment[l]; y++)
                if (n_moment[l] - y <= n - x)
                    next[y] += p[x] * exp(ln_choose((double)x, (double)y) + ln_choose(N - (double)x, k - (double)y) -
                                          ln_choose(N, k));
        }
        memcpy(p, next, (most + 1) * sizeof *p);
    }
    for (size_t x = observed; x <= most; x++)
        tail += p[x];
    free(p);
    return fmin(tail, 1);
}
