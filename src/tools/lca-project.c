/* lca-project: loss change along directions that the user gives.
 *
 * A movement d and an effective gradient G change the loss by d.G, which LCA allocates
 * to the axes, A_i = d_i G_i. Any orthonormal basis q_j does as well: d.G = sum over j
 * of (d.q_j)(G.q_j). This gives each of the user's directions its part, and beside it
 * the axes' part in the same direction, sum over i of q_ji^2 A_i, which adds up to the
 * same whole; the two are one where a direction is an axis. As a baseline both again
 * for as many directions drawn at random.
 *
 * In: an `lca` stream with movement and effective gradient (lca-integrate --emit
 * lca,move,eff), train, all classes. Out, per step: `project` [basis][measure]
 * [direction], nat, with, in `more`, the whole (lca: sum of A; dG: d.G) and the sums
 * over each basis's directions. At the end the sums over steps as project_total, with
 * the percentages of the loss change and of |d|^2 that each basis has. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/digest.h"
#include "base/tool.h"
#include "data/npy.h"
#include "filter/filter.h"
#include "lca/basis.h"
#include "lca/sums.h"

static struct {
    const char *file;
    double tolerance;
    long seed;
    struct lca_filter_args filter;
} opt = {.tolerance = 1e-5, .seed = 1};

static const struct lca_opt opts[] = {
    {"directions", 'd', LCA_OPT_STR, &opt.file, "FILE.npy", "Orthonormal directions, float32 or float64 [directions]"
     "[parameters], saved by numpy.save; needed.", 0, 0, false},
    {"tolerance", 0, LCA_OPT_NUM, &opt.tolerance, "X", "How far their scalar products may be from 0 and 1 (default "
     "1e-5).", 0, 1, false},
    {"seed", 0, LCA_OPT_INT, &opt.seed, "N", "Seed of the random directions (default 1).", 0, 4294967295.0, false},
    LCA_FILTER_OPTS(opt.filter),
    {0},
};

enum basis { GIVEN, RANDOM, BASES };
enum measure { PROJECTED, AXES, MEASURES };
static const char *const basis_name[BASES] = {"given", "random"};

struct sums {
    double *part;                       /* [BASES][MEASURES][k], nat */
    double lca, dG, d2;                 /* sum of A, d.G, d.d, of the selected parameters */
    double moved[BASES];                /* sum over directions of (d.q)^2 */
};

struct project {
    struct lca_filter *filter;
    const struct lca_stream *in;
    uint64_t k;
    double *q[BASES];                   /* [k][K], of the selected parameters */
    double *dq, *Gq;                    /* [BASES][k] */
    float *d;                           /* [K] */
    struct sums now, total;
    uint64_t it, steps;
    unsigned came;                      /* kinds of the step under way */
};

/* The columns of the selected parameters, [k][K], in the place of m [k][P]. */
static void select_columns(double *m, uint64_t k, const struct lca_stream *s)
{
    double *to = m;
    for (uint64_t j = 0; j < k; j++) {
        for (unsigned r = 0; r < s->n_range; r++) {
            memmove(to, m + j * s->P + s->range[r].off, s->range[r].len * sizeof *to);
            to += s->range[r].len;
        }
    }
}

static int read_directions(struct project *x, struct lca_err *err)
{
    const struct lca_stream *s = x->in;
    uint64_t columns, a, b;
    double *q = x->q[GIVEN] = lca_npy_matrix(opt.file, &x->k, &columns, err);
    if (!q)
        return -1;
    if (x->k == 0 || columns != s->P)
        return lca_fail(err, LCA_USAGE, "%s is [%llu, %llu]: directions for this stream are [k, %llu], k from 1",
                        opt.file, (unsigned long long)x->k, (unsigned long long)columns, (unsigned long long)s->P);
    /* what changes results: the directions, by content, and the seed */
    uint8_t digest[LCA_SHA256_LEN];
    char hex[LCA_SHA256_HEX];
    lca_sha256(q, x->k * s->P * sizeof *q, digest);
    lca_hex(digest, sizeof digest, hex);
    x->filter->args = json_pack("{s:s, s:I}", "directions", hex, "seed", (json_int_t)opt.seed);
    select_columns(q, x->k, s);
    double error = lca_basis_error(q, x->k, s->K, &a, &b);
    if (error <= opt.tolerance)
        return 0;
    return lca_fail(err, LCA_USAGE, "%s is not orthonormal%s: directions %llu and %llu have a scalar product that is "
                    "off by %.3g; numpy.linalg.qr(Q.T)[0].T makes an orthonormal basis of the rows of Q", opt.file,
                    opt.filter.select.layers ? " on the selected layers" : "", (unsigned long long)a,
                    (unsigned long long)b, error);
}

static int start(void *arg, const struct lca_stream *s, struct lca_err *err)
{
    struct project *x = arg;
    x->in = s;
    if (read_directions(x, err) < 0)
        return -1;
    uint64_t n = BASES * MEASURES * x->k;
    x->q[RANDOM] = lca_alloc(x->k * s->K, sizeof (double), err);
    x->dq = lca_alloc(BASES * x->k, sizeof *x->dq, err);
    x->Gq = lca_alloc(BASES * x->k, sizeof *x->Gq, err);
    x->d = lca_alloc(s->K, sizeof *x->d, err);
    x->now.part = lca_alloc(n, sizeof (double), err);
    x->total.part = lca_alloc(n, sizeof (double), err);
    if (!x->q[RANDOM] || !x->dq || !x->Gq || !x->d || !x->now.part || !x->total.part)
        return -1;
    lca_basis_random(x->q[RANDOM], x->k, s->K, (uint32_t)opt.seed);
    x->filter->payload = n * sizeof (double);
    return 0;
}

static double over_directions(const struct project *x, const struct sums *s, enum basis b, enum measure m)
{
    double sum = 0;
    for (uint64_t j = 0; j < x->k; j++)
        sum += s->part[(b * MEASURES + m) * x->k + j];
    return sum;
}

/* 100 a / b, unless that says nothing. */
static void set_percent(json_t *to, const char *key, double a, double b)
{
    if (b != 0)
        json_object_set_new(to, key, json_real(100 * a / b));
}

static int put(struct project *x, struct lca_emit *e, const char *kind, const struct sums *s, bool total,
               struct lca_err *err)
{
    json_t *more = json_pack("{s:f, s:f}", "lca", s->lca, "dG", s->dG);
    for (int b = 0; b < BASES; b++) {
        char key[40];
        json_object_set_new(more, basis_name[b], json_real(over_directions(x, s, b, PROJECTED)));
        snprintf(key, sizeof key, "%s_axes", basis_name[b]);
        json_object_set_new(more, key, json_real(over_directions(x, s, b, AXES)));
        if (!total)
            continue;
        snprintf(key, sizeof key, "percent_%s", basis_name[b]);
        set_percent(more, key, over_directions(x, s, b, PROJECTED), s->lca);
        snprintf(key, sizeof key, "percent_movement_%s", basis_name[b]);
        set_percent(more, key, s->moved[b], s->d2);
    }
    struct lca_agg a = {.kind = kind, .it = x->it, .set = "train", .unit = "nat", .dt = "<f8", .data = s->part,
                        .dims = {"basis", "measure", "direction"}, .shape = {BASES, MEASURES, x->k}, .n_dims = 3,
                        .more = more, .keys = json_pack("{s:[s, s], s:[s, s]}", "basis", basis_name[GIVEN],
                                                        basis_name[RANDOM], "measure", "projected", "axes")};
    return lca_emit_agg(e, &a, err);
}

static int settle(struct project *x, struct lca_emit *e, struct lca_err *err)
{
    struct sums *now = &x->now, *total = &x->total;
    for (unsigned b = 0; b < BASES; b++) {
        now->moved[b] = 0;
        for (uint64_t j = 0; j < x->k; j++) {
            double dq = x->dq[b * x->k + j];
            now->part[(b * MEASURES + PROJECTED) * x->k + j] = dq * x->Gq[b * x->k + j];
            now->moved[b] += dq * dq;
        }
        total->moved[b] += now->moved[b];
    }
    for (uint64_t k = 0; k < BASES * MEASURES * x->k; k++)
        total->part[k] += now->part[k];
    total->lca += now->lca;
    total->dG += now->dG;
    total->d2 += now->d2;
    x->steps++;
    return put(x, e, "project", now, false, err);
}

/* Calls dot with each basis and direction: to [BASES][stride], its first k of stride. */
static void along(const struct project *x, const float *v, double (*dot)(const double *, const float *, uint64_t),
                  double *to, uint64_t stride)
{
    for (unsigned b = 0; b < BASES; b++) {
        for (uint64_t j = 0; j < x->k; j++) {
            const double *q = x->q[b] + j * x->in->K;
            double sum = 0;
            for (unsigned r = 0; r < x->in->n_range; q += x->in->range[r].len, r++)
                sum += dot(q, v + x->in->range[r].off, x->in->range[r].len);
            to[b * stride + j] = sum;
        }
    }
}

static void take_lca(struct project *x, const float *v)
{
    x->now.lca = 0;
    for (unsigned r = 0; r < x->in->n_range; r++)
        x->now.lca += lca_sum(v + x->in->range[r].off, x->in->range[r].len);
    along(x, v, lca_dot_squares, x->now.part + AXES * x->k, MEASURES * x->k);
}

static void take_move(struct project *x, const float *v)
{
    float *d = x->d;
    x->now.d2 = 0;
    for (unsigned r = 0; r < x->in->n_range; r++) {
        uint64_t n = x->in->range[r].len;
        memcpy(d, v + x->in->range[r].off, n * sizeof *d);
        for (uint64_t i = 0; i < n; i++)
            x->now.d2 += (double)d[i] * d[i];
        d += n;
    }
    along(x, v, lca_dot, x->dq, x->k);
}

static void take_eff(struct project *x, const float *v)
{
    const float *d = x->d;
    x->now.dG = 0;
    for (unsigned r = 0; r < x->in->n_range; r++)
        for (uint64_t i = 0; i < x->in->range[r].len; i++)
            x->now.dG += (double)*d++ * v[x->in->range[r].off + i];
    along(x, v, lca_dot, x->Gq, x->k);
}

static int step(void *arg, const struct lca_step *st, struct lca_emit *e, struct lca_err *err)
{
    struct project *x = arg;
    if (st->cls >= 0 || st->s != 0)
        return 0;
    if (st->it != x->it || x->came == x->filter->needs)
        x->came = 0;
    x->it = st->it;
    if (st->kind == LCA_KIND_eff && !(x->came & LCA_TAKES(move)))
        return lca_fail(err, LCA_CORRUPT, "step %llu: the effective gradient comes before the movement",
                        (unsigned long long)st->it);
    x->came |= 1u << st->kind;
    if (st->kind == LCA_KIND_lca)
        take_lca(x, st->v);
    else if (st->kind == LCA_KIND_move)
        take_move(x, st->v);
    else
        take_eff(x, st->v);
    return x->came == x->filter->needs ? settle(x, e, err) : 0;
}

static int end(void *arg, struct lca_emit *e, struct lca_err *err)
{
    struct project *x = arg;
    return x->steps > 0 ? put(x, e, "project_total", &x->total, true, err) : 0;
}

static json_t *final(void *arg)
{
    struct project *x = arg;
    json_t *bases = json_array();
    if (x->steps == 0) {
        json_decref(bases);
        return NULL;
    }
    for (unsigned b = 0; b < BASES; b++) {
        json_t *basis = json_pack("{s:s, s:I, s:f}", "basis", basis_name[b], "directions", (json_int_t)x->k, "lca",
                                  over_directions(x, &x->total, b, PROJECTED));
        set_percent(basis, "percent", over_directions(x, &x->total, b, PROJECTED), x->total.lca);
        set_percent(basis, "percent_movement", x->total.moved[b], x->total.d2);
        json_array_append_new(bases, basis);
    }
    return json_pack("{s:o}", "project", bases);
}

static int run(int argc, char **argv, struct lca_err *err)
{
    (void)argc, (void)argv;
    static struct project x;
    const unsigned all = LCA_TAKES(lca) | LCA_TAKES(move) | LCA_TAKES(eff);
    struct lca_filter f = {.prog = "lca-project", .stream = "project", .takes = all, .needs = all, .self = &x,
                           .start = start, .step = step, .end = end, .final = final};
    if (!opt.file)
        return lca_fail(err, LCA_USAGE, "--directions FILE.npy is needed");
    x.filter = &f;
    int result = lca_filter_run(&f, &opt.filter, err);
    for (int b = 0; b < BASES; b++)
        free(x.q[b]);
    free(x.dq);
    free(x.Gq);
    free(x.d);
    free(x.now.part);
    free(x.total.part);
    return result;
}

static const struct lca_tool tool = {
    .name = "lca-project",
    .summary = "allocate loss changes to directions instead of parameters",
    .usage = "--directions FILE.npy [OPTION]...",
    .about = "Reads an lca stream with movement d and effective gradient G (lca-integrate --emit lca,move,eff) and an "
             "orthonormal set of directions q, and writes, for each step, the loss change along each direction, "
             "(d.q)(G.q), and beside it what the axes, the single parameters, did there: the sum of q_i^2 A_i. Over a "
             "whole basis both add up to the loss change; where a direction is an axis they are the same. As a "
             "baseline the same for as many random directions. At the end the sums over steps, and the percentage of "
             "the loss change and of the squared movement that the directions have. Values are nat; below 0 "
             "helps.\n\nWith --layers the directions must be orthonormal on the selected layers.\n\nMemory: 16 bytes "
             "per direction and parameter, for any number of steps. Making k random directions takes about k^2 times "
             "the number of parameters.",
    .examples = "  lca-project --directions pca.npy < run.lca | lca-tap --kind project_total",
    .opts = opts,
    .max_args = 0,
    .run = run,
};

int main(int argc, char **argv)
{
    return lca_tool_main(&tool, argc, argv);
}
