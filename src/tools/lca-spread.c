/* lca-spread: how the allocations of all steps and parameters are distributed (Lan et al.
 * 2019: most are near 0, a few are large).
 *
 * In: an `lca` stream (train, all classes). Out:
 *   spread             per interval of steps, [group][measure]: n, mean, deviation,
 *                      skewness, excess kurtosis and its Anscombe-Glynn test (z, p)
 *   spread_total       the same over all steps, and the means over the intervals
 *   spread_histogram, spread_histogram_cut
 *                      [measure][bin], 40 bins with an edge at 0; _cut between the 1 %
 *                      and 99 % percentiles: edges, counts, their logarithms, and what a
 *                      normal and a double Weibull distribution would have there
 *   spread_weibull     [measure]: shape and scale of that
 *   spread_shares      [side][measure]: how few parameters carry the helping and hurting
 * One pass, in which percentiles and counts of bins are nearly right (src/lca/tally.h
 * says how nearly); --exact reads a recording two times more. */
#include <math.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/tool.h"
#include "filter/passes.h"
#include "lca/central.h"
#include "lca/share.h"
#include "lca/tally.h"

static struct {
    struct lca_filter_args filter;
    long interval;
    bool exact;
} opt = {.interval = 40};

static const struct lca_opt opts[] = {
    {"interval", 0, LCA_OPT_INT, &opt.interval, "N", "Steps of an interval: kurtosis is also taken of each, steps 0 to "
     "N-1, N to 2N-1, ..., and averaged (default 40).", 1, 1e15, false},
    {"exact", 0, LCA_OPT_FLAG, &opt.exact, NULL, "Exact percentiles and counts: reads the recording three times.",
     0, 0, false},
    {0},
};
static const struct lca_opt more_opts[] = {LCA_FILTER_OPTS(opt.filter), {0}};

enum { N_, MEAN, DEVIATION, SKEWNESS, KURTOSIS, Z_, P_, MEASURES, IN_TOTAL = MEASURES + 3 };
static const char *const measure_name[IN_TOTAL] = {"n", "mean", "deviation", "skewness", "kurtosis", "z", "p",
                                                   "interval_kurtosis", "interval_z", "interval_p"};
enum { FROM, TO, COUNT, LOG10, GAUSSIAN, WEIBULL, COLUMNS };
enum { HELPING, HURTING };

struct spread {
    const struct lca_stream *in;
    unsigned n_group;
    struct lca_central *all, *interval;     /* [group]: over all steps, of the interval */
    double (*mean)[3];                      /* [group]: sums over intervals of kurtosis, z, p */
    double *intervals;                      /* [group]: how many have a kurtosis */
    double *table;                          /* [group][IN_TOTAL] */
    double *total;                          /* [P] */
    struct lca_tally tally;
    struct lca_refine refine;
    struct lca_histogram whole, cut;
    struct lca_weibull weibull;
    struct lca_shares shares[2];
    uint64_t it, n_step;
    double cut_from, cut_to;
};

/* ---- percentiles and edges: of the tally, or exactly by the passes before the last ---- */

static double rank_in_tally(void *arg, uint64_t r)
{
    return lca_tally_rank(&((struct spread *)arg)->tally, r, NULL, NULL);
}

static double rank_refined(void *arg, uint64_t r)
{
    struct spread *x = arg;
    return lca_refine_rank(&x->refine, &x->tally, r);
}

static double rank_wanted(void *arg, uint64_t r)
{
    struct spread *x = arg;
    lca_refine_want(&x->refine, &x->tally, r);
    return 0;
}

static void quantiles(struct spread *x, double (*rank)(void *arg, uint64_t r))
{
    x->cut_from = lca_quantile(x->tally.n, 0.01, rank, x);
    x->cut_to = lca_quantile(x->tally.n, 0.99, rank, x);
}

static void set_edges(struct spread *x)
{
    if (x->tally.n == 0)
        return;
    lca_histogram_edges(&x->whole, x->tally.min, x->tally.max);
    lca_histogram_edges(&x->cut, x->cut_from, x->cut_to);
}

static bool wanted(const struct lca_step *st)
{
    return st->cls < 0 && st->s == 0;
}

static int start_tally(void *arg, const struct lca_stream *s, struct lca_err *err)
{
    struct spread *x = arg;
    x->in = s;
    return lca_tally_init(&x->tally, err);
}

static int tally(void *arg, const struct lca_step *st, struct lca_emit *e, struct lca_err *err)
{
    struct spread *x = arg;
    (void)e, (void)err;
    for (unsigned r = 0; wanted(st) && r < x->in->n_range; r++)
        lca_tally_add(&x->tally, st->v + x->in->range[r].off, x->in->range[r].len);
    return 0;
}

static int start_refine(void *arg, const struct lca_stream *s, struct lca_err *err)
{
    struct spread *x = arg;
    x->in = s;
    if (lca_refine_init(&x->refine, err) < 0)
        return -1;
    quantiles(x, rank_wanted);
    return 0;
}

static int refine(void *arg, const struct lca_step *st, struct lca_emit *e, struct lca_err *err)
{
    struct spread *x = arg;
    (void)e, (void)err;
    for (unsigned r = 0; wanted(st) && r < x->in->n_range; r++)
        lca_refine_add(&x->refine, st->v + x->in->range[r].off, x->in->range[r].len);
    return 0;
}

/* ---- moments ---- */

static int start(void *arg, const struct lca_stream *s, struct lca_err *err)
{
    struct spread *x = arg;
    x->in = s;
    x->n_group = 1 + s->table.n_layer;
    x->all = lca_alloc(x->n_group, sizeof *x->all, err);
    x->interval = lca_alloc(x->n_group, sizeof *x->interval, err);
    x->mean = lca_alloc(x->n_group, sizeof *x->mean, err);
    x->intervals = lca_alloc(x->n_group, sizeof *x->intervals, err);
    x->table = lca_alloc((size_t)x->n_group * IN_TOTAL, sizeof *x->table, err);
    x->total = lca_alloc(s->P, sizeof *x->total, err);
    if (!x->all || !x->interval || !x->mean || !x->intervals || !x->table || !x->total)
        return -1;
    if (!opt.exact)
        return lca_tally_init(&x->tally, err);
    quantiles(x, rank_refined);
    set_edges(x);
    return 0;
}

static void describe(double *row, const struct lca_central *c)
{
    struct lca_test test = lca_central_kurtosis_test(c);
    row[N_] = c->n;
    row[MEAN] = c->n > 0 ? c->mean : NAN;
    row[DEVIATION] = lca_central_deviation(c);
    row[SKEWNESS] = lca_central_skewness(c);
    row[KURTOSIS] = lca_central_kurtosis(c);
    row[Z_] = test.z;
    row[P_] = test.p;
}

static int put_table(struct spread *x, struct lca_emit *e, bool total, struct lca_err *err)
{
    unsigned columns = total ? IN_TOTAL : MEASURES;
    json_t *measures = json_array();
    for (unsigned k = 0; k < columns; k++)
        json_array_append_new(measures, json_string(measure_name[k]));
    struct lca_agg a = {.kind = total ? "spread_total" : "spread", .it = x->it, .set = "train", .dt = "<f8",
                        .data = x->table, .dims = {"group", "measure"}, .shape = {x->n_group, columns},
                        .n_dims = 2, .window = true,
                        .keys = json_pack("{s:o, s:o}", "group", lca_filter_group_names(x->in), "measure", measures)};
    return lca_emit_agg(e, &a, err);
}

/* Ends an interval: its frame, its part in the means, and in all steps. */
static int close_interval(struct spread *x, struct lca_emit *e, struct lca_err *err)
{
    for (unsigned g = 0; g < x->n_group; g++) {
        double *row = x->table + (size_t)g * MEASURES;
        describe(row, &x->interval[g]);
        if (!isnan(row[KURTOSIS]) && !isnan(row[Z_])) {
            x->intervals[g]++;
            for (int k = 0; k < 3; k++)
                x->mean[g][k] += row[KURTOSIS + k];
        }
        lca_central_merge(&x->all[g], &x->interval[g]);
        x->interval[g] = (struct lca_central){0};
    }
    return put_table(x, e, false, err);
}

static int step(void *arg, const struct lca_step *st, struct lca_emit *e, struct lca_err *err)
{
    struct spread *x = arg;
    if (!wanted(st))
        return 0;
    if (x->n_step > 0 && st->it / (uint64_t)opt.interval != x->it / (uint64_t)opt.interval &&
        close_interval(x, e, err) < 0)
        return -1;
    for (unsigned l = 0; l < x->in->table.n_layer; l++) {
        const struct lca_group *layer = &x->in->table.layer[l];
        const float *A = st->v + layer->off;
        struct lca_central c = {0};
        lca_central_add(&c, A, layer->len);
        lca_central_merge(&x->interval[0], &c);
        lca_central_merge(&x->interval[l + 1], &c);
        if (opt.exact) {
            lca_histogram_add(&x->whole, A, layer->len);
            lca_histogram_add(&x->cut, A, layer->len);
        } else {
            lca_tally_add(&x->tally, A, layer->len);
        }
        for (uint64_t i = 0; i < layer->len; i++)
            x->total[layer->off + i] += A[i];
    }
    x->it = st->it;
    x->n_step++;
    return 0;
}

/* ---- totals ---- */

static int put_histogram(struct spread *x, struct lca_emit *e, const char *kind, const struct lca_histogram *h,
                         struct lca_err *err)
{
    enum { BINS = LCA_HISTOGRAM_BINS };
    double column[COLUMNS][BINS], mean = x->all[0].mean, deviation = lca_central_deviation(&x->all[0]);
    double n = (double)x->tally.n, zeros = (double)lca_tally_zeros(&x->tally);
    for (int k = 0; k < BINS; k++) {
        double from = column[FROM][k] = h->edge[k], to = column[TO][k] = h->edge[k + 1];
        column[COUNT][k] = (double)h->count[k];
        column[LOG10][k] = h->count[k] ? log10((double)h->count[k]) : NAN;
        column[GAUSSIAN][k] = deviation > 0 ? n * lca_normal_between(mean, deviation, from, to) : NAN;
        column[WEIBULL][k] = (n - zeros) * lca_weibull_between(&x->weibull, from, to);
    }
    struct lca_agg a = {.kind = kind, .it = x->it, .set = "train", .unit = "values", .dt = "<f8", .data = column,
                        .dims = {"measure", "bin"}, .shape = {COLUMNS, BINS}, .n_dims = 2, .window = true,
                        .keys = json_pack("{s:[s, s, s, s, s, s]}", "measure", "from", "to", "count", "log10",
                                          "gaussian", "weibull"),
                        .more = json_pack("{s:f, s:f, s:f, s:f, s:b}", "n", n, "zeros", zeros, "below",
                                          (double)h->below, "above", (double)h->above, "exact", opt.exact)};
    if (h == &x->cut) {
        lca_filter_number(a.more, "percentile_1", x->cut_from);
        lca_filter_number(a.more, "percentile_99", x->cut_to);
    }
    return lca_emit_agg(e, &a, err);
}

static int put_shares(struct spread *x, struct lca_emit *e, struct lca_err *err)
{
    double *part = lca_alloc(x->in->K, sizeof *part, err), table[2][5];
    if (!part)
        return -1;
    for (int side = HELPING; side <= HURTING; side++) {
        uint64_t n = 0;
        for (unsigned r = 0; r < x->in->n_range; r++) {
            const double *total = x->total + x->in->range[r].off;
            for (uint64_t i = 0; i < x->in->range[r].len; i++)
                if (side == HELPING ? total[i] < 0 : total[i] > 0)
                    part[n++] = fabs(total[i]);
        }
        struct lca_shares s = x->shares[side] = lca_shares(part, n, 0.9);
        double row[5] = {(double)n, n ? s.sum : 0, s.gini, 100 * s.carry, 100 * s.top};
        for (int k = 0; k < 5; k++)
            table[side][k] = row[k];
    }
    free(part);
    struct lca_agg a = {.kind = "spread_shares", .it = x->it, .set = "train", .dt = "<f8", .data = table,
                        .dims = {"side", "measure"}, .shape = {2, 5}, .n_dims = 2, .window = true,
                        .keys = json_pack("{s:[s, s], s:[s, s, s, s, s]}", "side", "helping", "hurting", "measure",
                                          "parameters", "sum", "gini", "percent_carrying_90", "percent_by_top_1")};
    return lca_emit_agg(e, &a, err);
}

static int end(void *arg, struct lca_emit *e, struct lca_err *err)
{
    struct spread *x = arg;
    if (x->n_step == 0)
        return 0;
    if (close_interval(x, e, err) < 0)
        return -1;
    for (unsigned g = 0; g < x->n_group; g++) {
        double *row = x->table + (size_t)g * IN_TOTAL;
        describe(row, &x->all[g]);
        for (int k = 0; k < 3; k++)
            row[MEASURES + k] = x->intervals[g] > 0 ? x->mean[g][k] / x->intervals[g] : NAN;
    }
    if (!opt.exact) {
        quantiles(x, rank_in_tally);
        set_edges(x);
        lca_histogram_tally(&x->whole, &x->tally);
        lca_histogram_tally(&x->cut, &x->tally);
    }
    x->weibull = lca_tally_weibull(&x->tally);
    double fit[2] = {x->weibull.shape, x->weibull.scale};
    struct lca_agg a = {.kind = "spread_weibull", .it = x->it, .set = "train", .dt = "<f8", .data = fit,
                        .dims = {"measure"}, .shape = {2}, .n_dims = 1, .window = true,
                        .keys = json_pack("{s:[s, s]}", "measure", "shape", "scale")};
    if (put_table(x, e, true, err) < 0 || put_histogram(x, e, "spread_histogram", &x->whole, err) < 0 ||
        put_histogram(x, e, "spread_histogram_cut", &x->cut, err) < 0 || lca_emit_agg(e, &a, err) < 0)
        return -1;
    return put_shares(x, e, err);
}

static json_t *final(void *arg)
{
    struct spread *x = arg;
    json_t *spread = json_object();
    if (x->n_step > 0) {
        const double *all = x->table;
        lca_filter_number(spread, "kurtosis", all[KURTOSIS]);
        lca_filter_number(spread, "kurtosis_z", all[Z_]);
        lca_filter_number(spread, "kurtosis_p", all[P_]);
        lca_filter_number(spread, "kurtosis_of_intervals", all[MEASURES]);
        lca_filter_number(spread, "weibull_shape", x->weibull.shape);
        lca_filter_number(spread, "weibull_scale", x->weibull.scale);
        lca_filter_number(spread, "gini_helping", x->shares[HELPING].gini);
        lca_filter_number(spread, "gini_hurting", x->shares[HURTING].gini);
        lca_filter_number(spread, "percent_carrying_90", 100 * x->shares[HELPING].carry);
        lca_filter_number(spread, "percent_by_top_1", 100 * x->shares[HELPING].top);
    }
    return json_pack("{s:o}", "spread", spread);
}

static int run(int argc, char **argv, struct lca_err *err)
{
    (void)argc, (void)argv;
    static struct spread x;
    struct lca_filter pass[] = {
        {.prog = "lca-spread", .self = &x, .start = start_tally, .step = tally},
        {.prog = "lca-spread", .self = &x, .start = start_refine, .step = refine},
        {.prog = "lca-spread", .self = &x, .start = start, .step = step, .end = end, .final = final,
         .stream = "spread", .args = json_pack("{s:I, s:b}", "interval", (json_int_t)opt.interval, "exact", opt.exact)},
    };
    int result;
    if (!opt.exact)
        result = lca_filter_run(&pass[2], &opt.filter, err);
    else
        result = lca_filter_passes(pass, 3, "--exact", "three times", &opt.filter, err);
    lca_tally_clear(&x.tally);
    lca_refine_clear(&x.refine);
    free(x.all);
    free(x.interval);
    free(x.mean);
    free(x.intervals);
    free(x.table);
    free(x.total);
    return result;
}

static const struct lca_tool tool = {
    .name = "lca-spread",
    .summary = "tell how unevenly the loss change is spread",
    .usage = "[OPTION]...",
    .about = "Reads an lca stream and tells how the allocations A of all steps and parameters are distributed: moments "
             "with a test of the kurtosis per interval of steps (spread) and in all (spread_total); histograms of the "
             "values that are not 0 with an edge at 0, whole and between the 1 % and 99 % percentiles "
             "(spread_histogram, spread_histogram_cut), beside a normal distribution of the same mean and deviation "
             "and a double Weibull distribution fitted by maximum likelihood (spread_weibull); and, of each "
             "parameter's total, how few carry the helping and the hurting (spread_shares): Gini coefficient, least "
             "percentage that carries 90 %, and what the top 1 % carry.\n\nIn one pass percentiles are within 1/4096 "
             "of their size, and bins may count values within 1/2048 of an edge on its other side. --exact reads a "
             "recording three times instead, and both are exact. Moments, shares and the fit (to 1e-6) do not differ."
             "\n\nMemory: 8 bytes per parameter and 12 MiB, for any number of steps.",
    .examples = "  lca-spread < run.lca | lca-tap --kind spread_total\n"
                "  lca-spread --exact --in run.lca | lca-tap --kind spread_histogram_cut",
    .opts = opts,
    .more = more_opts,
    .max_args = 0,
    .run = run,
};

int main(int argc, char **argv)
{
    return lca_tool_main(&tool, argc, argv);
}
