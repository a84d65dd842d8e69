#include "lca/pairs.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"

/* One weight's series: in the first pass its mean and the sum of squares about it, in the
 * second what makes z of a value: z = scale x - shift; both 0 for a constant series. */
struct series {
    union {
        double mean, shift;
    };
    union {
        double square, scale;
    };
};

struct unit {
    double sum[LCA_PAIRS_SERIES];       /* of z at this step */
    double square[LCA_PAIRS_SERIES];    /* sum over steps of sum^2 */
    uint32_t n[LCA_PAIRS_SERIES];       /* series that are not constant */
};

struct lca_pairs {
    size_t window, in, out, weights, fake_size;
    double steps, added;
    struct series *of[LCA_PAIRS_SERIES];            /* [weights] */
    double *cumulated;                              /* [weights] */
    double *z[LCA_PAIRS_SERIES];                    /* [weights]: of the step */
    struct unit *real[LCA_PAIRS_SIDES], *fake[LCA_PAIRS_SIDES];
    uint32_t *member[LCA_PAIRS_SIDES];              /* [unit][fake_size]: weights of the fakes */
};

static size_t units_of(const struct lca_pairs *p, int side)
{
    return side == LCA_PAIRS_INPUTS ? p->in : p->out;
}

/* First k places of a random order of 0 .. n-1; row: which order of the step. */
static void draw(const struct lca_rng *rng, uint64_t row, uint32_t *order, size_t n, size_t k)
{
    for (size_t i = 0; i < n; i++)
        order[i] = (uint32_t)i;
    for (size_t i = 0; i < k; i++) {
        size_t j = i + (size_t)lca_rng_below(rng, row << 32 | i, n - i);
        uint32_t x = order[i];
        order[i] = order[j];
        order[j] = x;
    }
}

static int draw_fakes(struct lca_pairs *p, const struct lca_rng *from, struct lca_err *err)
{
    uint32_t *in = lca_alloc(p->in, sizeof *in, err), *out = lca_alloc(p->out, sizeof *out, err);
    struct lca_rng rng = *from;
    for (int side = 0; in && out && side < LCA_PAIRS_SIDES; side++) {
        for (size_t u = 0; u < units_of(p, side); u++, rng.step++) {
            uint32_t *member = p->member[side] + u * p->fake_size;
            draw(&rng, 0, in, p->in, p->fake_size);
            draw(&rng, 1, out, p->out, p->fake_size);
            for (size_t k = 0; k < p->fake_size; k++) {
                uint64_t w = lca_rng_below(&rng, (uint64_t)2 << 32 | k, p->window);
                member[k] = (uint32_t)((w * p->in + in[k]) * p->out + out[k]);
            }
        }
    }
    free(in);
    free(out);
    return in && out ? 0 : -1;
}

struct lca_pairs *lca_pairs_new(size_t window, size_t in, size_t out, const struct lca_rng *rng, struct lca_err *err)
{
    struct lca_pairs *p = lca_alloc(1, sizeof *p, err);
    if (!p)
        return NULL;
    *p = (struct lca_pairs){.window = window, .in = in, .out = out, .weights = window * in * out,
                            .fake_size = in < out ? in : out};
    bool good = (p->cumulated = lca_alloc(p->weights, sizeof *p->cumulated, err)) != NULL;
    for (int k = 0; k < LCA_PAIRS_SERIES; k++) {
        good = good && (p->of[k] = lca_alloc(p->weights, sizeof **p->of, err));
        good = good && (p->z[k] = lca_alloc(p->weights, sizeof **p->z, err));
    }
    for (int side = 0; side < LCA_PAIRS_SIDES; side++) {
        size_t n = units_of(p, side);
        good = good && (p->real[side] = lca_alloc(n, sizeof **p->real, err));
        good = good && (p->fake[side] = lca_alloc(n, sizeof **p->fake, err));
        good = good && (p->member[side] = lca_alloc(n * p->fake_size, sizeof **p->member, err));
    }
    if (good && draw_fakes(p, rng, err) == 0)
        return p;
    lca_pairs_free(p);
    return NULL;
}

void lca_pairs_free(struct lca_pairs *p)
{
    if (!p)
        return;
    for (int k = 0; k < LCA_PAIRS_SERIES; k++) {
        free(p->of[k]);
        free(p->z[k]);
    }
    for (int side = 0; side < LCA_PAIRS_SIDES; side++) {
        free(p->real[side]);
        free(p->fake[side]);
        free(p->member[side]);
    }
    free(p->cumulated);
    free(p);
}

void lca_pairs_reset(struct lca_pairs *p)
{
    p->steps = p->added = 0;
    memset(p->cumulated, 0, p->weights * sizeof *p->cumulated);
    for (int k = 0; k < LCA_PAIRS_SERIES; k++)
        memset(p->of[k], 0, p->weights * sizeof **p->of);
    for (int side = 0; side < LCA_PAIRS_SIDES; side++) {
        memset(p->real[side], 0, units_of(p, side) * sizeof **p->real);
        memset(p->fake[side], 0, units_of(p, side) * sizeof **p->fake);
    }
}

/* Welford's update: a constant series keeps a sum of squares of exactly 0. */
static void observe(struct series *s, double x, double part)
{
    double d = x - s->mean;
    s->mean += d * part;
    s->square += d * (x - s->mean);
}

void lca_pairs_measure(struct lca_pairs *p, const float *A)
{
    double part = 1 / ++p->steps;
    for (size_t i = 0; i < p->weights; i++) {
        p->cumulated[i] += A[i];
        observe(&p->of[LCA_PAIRS_STEP][i], A[i], part);
        observe(&p->of[LCA_PAIRS_CUMULATIVE][i], p->cumulated[i], part);
    }
}

/* Between the passes: what makes z of a value, and how many series each unit has. */
static void turn(struct lca_pairs *p)
{
    memset(p->cumulated, 0, p->weights * sizeof *p->cumulated);
    for (int k = 0; k < LCA_PAIRS_SERIES; k++) {
        struct series *s = p->of[k];
        for (size_t i = 0; i < p->weights; i++) {
            bool varies = s[i].square > 0;
            double scale = varies ? 1 / sqrt(s[i].square / p->steps) : 0;
            s[i].shift = s[i].mean * scale;
            s[i].scale = scale;
            p->real[LCA_PAIRS_INPUTS][i / p->out % p->in].n[k] += varies;
            p->real[LCA_PAIRS_OUTPUTS][i % p->out].n[k] += varies;
        }
        for (int side = 0; side < LCA_PAIRS_SIDES; side++)
            for (size_t m = 0; m < units_of(p, side) * p->fake_size; m++)
                p->fake[side][m / p->fake_size].n[k] += s[p->member[side][m]].scale > 0;
    }
}

static void square(struct unit *u, size_t n)
{
    for (size_t j = 0; j < n; j++) {
        for (int k = 0; k < LCA_PAIRS_SERIES; k++) {
            u[j].square[k] += u[j].sum[k] * u[j].sum[k];
            u[j].sum[k] = 0;
        }
    }
}

void lca_pairs_add(struct lca_pairs *p, const float *A)
{
    if (p->added++ == 0)
        turn(p);
    double *zs = p->z[LCA_PAIRS_STEP], *zc = p->z[LCA_PAIRS_CUMULATIVE];
    const struct series *step = p->of[LCA_PAIRS_STEP], *cumulative = p->of[LCA_PAIRS_CUMULATIVE];
    size_t i = 0;
    for (size_t w = 0; w < p->window; w++) {
        for (size_t j = 0; j < p->in; j++) {
            struct unit *out = p->real[LCA_PAIRS_OUTPUTS], *in = &p->real[LCA_PAIRS_INPUTS][j];
            double of_step = 0, of_cumulative = 0;
            for (size_t o = 0; o < p->out; o++, i++) {
                p->cumulated[i] += A[i];
                zs[i] = step[i].scale * A[i] - step[i].shift;
                zc[i] = cumulative[i].scale * p->cumulated[i] - cumulative[i].shift;
                of_step += zs[i];
                of_cumulative += zc[i];
                out[o].sum[LCA_PAIRS_STEP] += zs[i];
                out[o].sum[LCA_PAIRS_CUMULATIVE] += zc[i];
            }
            in->sum[LCA_PAIRS_STEP] += of_step;
            in->sum[LCA_PAIRS_CUMULATIVE] += of_cumulative;
        }
    }
    for (int side = 0; side < LCA_PAIRS_SIDES; side++) {
        const uint32_t *member = p->member[side];
        for (size_t u = 0; u < units_of(p, side); u++) {
            double of_step = 0, of_cumulative = 0;
            for (size_t k = 0; k < p->fake_size; k++, member++) {
                of_step += zs[*member];
                of_cumulative += zc[*member];
            }
            p->fake[side][u].sum[LCA_PAIRS_STEP] = of_step;
            p->fake[side][u].sum[LCA_PAIRS_CUMULATIVE] = of_cumulative;
        }
        square(p->real[side], units_of(p, side));
        square(p->fake[side], units_of(p, side));
    }
}

size_t lca_pairs_units(const struct lca_pairs *p, int side, int series, bool fake, double *r)
{
    const struct unit *u = fake ? p->fake[side] : p->real[side];
    size_t units = units_of(p, side);
    for (size_t j = 0; j < units; j++) {
        double n = u[j].n[series];
        r[j] = n >= 2 && p->added > 0 ? (u[j].square[series] / p->added - n) / (n * (n - 1)) : NAN;
    }
    return units;
}
