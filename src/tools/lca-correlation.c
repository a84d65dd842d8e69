/* lca-correlation: whether the weights of one neuron act alike (Lan et al. 2019, section 6
 * of the paper), against units of weights that share no neuron.
 *
 * In: an `lca` stream (train, all classes). For each input and each output unit of every
 * kernel: mean Pearson correlation over all pairs of its weights' series, per step and
 * cumulated (src/lca/pairs.h says how). Then per layer the mean over units, of real and of
 * fake ones, and a two-sample Kolmogorov-Smirnov test between the two. Out:
 *   correlation         with --window: per window, [layer][side][series][measure]
 *   correlation_total   the same of the whole run, or the mean over windows by steps
 *   correlation_inputs, correlation_outputs
 *                       per layer, [layer][series][of][unit]: r of each unit; NaN: fewer
 *                       than two of its series vary
 * Without --window a recording is read twice; with it the steps of a window are held in
 * memory. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/tool.h"
#include "filter/passes.h"
#include "lca/ks.h"
#include "lca/pairs.h"

static struct {
    struct lca_filter_args filter;
    long window, seed;
} opt = {.seed = 1};

static const struct lca_opt opts[] = {
    {"window", 0, LCA_OPT_INT, &opt.window, "W", "Take the correlation over each W steps, held in memory, instead of "
     "over all steps of a recording.", 2, 1e9, false},
    {"seed", 0, LCA_OPT_INT, &opt.seed, "N", "Of the fake units (default 1).", 0, 4294967295.0, false},
    {0},
};
static const struct lca_opt more_opts[] = {LCA_FILTER_OPTS(opt.filter), {0}};

enum { REAL, FAKE, OF };
enum { MEAN_REAL, MEAN_FAKE, N_REAL, N_FAKE, DISTANCE, P_EXACT, P_ASYMPTOTIC, MEASURES };
enum { SIDES = LCA_PAIRS_SIDES, SERIES = LCA_PAIRS_SERIES, ROW = SIDES * SERIES * MEASURES };

/* One layer's kernel, with r of its units, the windows so far added up. */
struct kernel {
    unsigned layer;
    uint64_t off;
    size_t window, in, out;
    struct lca_pairs *pairs;
    double *sum[SIDES], *weight[SIDES];     /* [series][of][unit]: of r x steps, of steps */
};

struct correlation {
    const struct lca_stream *in;
    struct kernel *kernel;
    unsigned n_kernel;
    float *held;                            /* [--window][K]: the steps of a window, range after range */
    uint64_t n_held, n_step, it;
    double *table, *units;                  /* [kernel][side][series][measure]; room for two sides' units */
};

static size_t units_of(const struct kernel *k, int side)
{
    return side == LCA_PAIRS_INPUTS ? k->in : k->out;
}

static size_t place(const struct kernel *k, int side, int series, int of)
{
    return (size_t)(series * OF + of) * units_of(k, side);
}

static int add_kernel(struct correlation *x, const struct lca_tensor *t, struct lca_err *err)
{
    struct kernel *k = &x->kernel[x->n_kernel++];
    size_t in = t->n_shape >= 2 ? t->shape[t->n_shape - 2] : 1, out = t->shape[t->n_shape - 1];
    *k = (struct kernel){.layer = t->layer, .off = t->off, .in = in, .out = out, .window = t->len / in / out};
    /* by its place in the vector: a selection of layers has the same fakes */
    struct lca_rng rng = {.seed = (uint32_t)opt.seed, .purpose = LCA_RNG_NULL, .step = t->off << 24};
    k->pairs = lca_pairs_new(k->window, in, out, &rng, err);
    for (int side = 0; side < SIDES && k->pairs; side++) {
        k->sum[side] = lca_alloc(SERIES * OF * units_of(k, side), sizeof (double), err);
        k->weight[side] = lca_alloc(SERIES * OF * units_of(k, side), sizeof (double), err);
        if (!k->sum[side] || !k->weight[side])
            return -1;
    }
    return k->pairs ? 0 : -1;
}

static int start(void *arg, const struct lca_stream *s, struct lca_err *err)
{
    struct correlation *x = arg;
    size_t most = 0;
    x->in = s;
    if (x->kernel)
        return 0;           /* the second pass */
    x->kernel = lca_alloc(s->table.n_tensor, sizeof *x->kernel, err);
    if (!x->kernel)
        return -1;
    for (unsigned k = 0; k < s->table.n_tensor; k++)
        if (s->table.tensor[k].kind == LCA_KERNEL && add_kernel(x, &s->table.tensor[k], err) < 0)
            return -1;
    for (unsigned k = 0; k < x->n_kernel; k++)
        for (int side = 0; side < SIDES; side++)
            most = units_of(&x->kernel[k], side) > most ? units_of(&x->kernel[k], side) : most;
    x->table = lca_alloc((size_t)x->n_kernel * ROW, sizeof *x->table, err);
    x->units = lca_alloc(2 * most, sizeof *x->units, err);
    if (!x->table || !x->units)
        return -1;
    if (opt.window > 0)
        x->held = lca_alloc((size_t)opt.window * s->K, sizeof *x->held, err);
    return opt.window > 0 && !x->held ? -1 : 0;
}

/* ---- summing up ---- */

/* Of all that are numbers, moved to the front: their number; *mean NaN where none is.
 * They are then rounded to 12 digits, so that rounding does not order what is equal. */
static size_t mean_of(double *r, size_t n, double *mean)
{
    size_t there = 0;
    double sum = 0;
    for (size_t k = 0; k < n; k++) {
        if (isnan(r[k]))
            continue;
        sum += r[k];
        r[there++] = nearbyint(r[k] * 0x1p40) * 0x1p-40;
    }
    *mean = there ? sum / (double)there : NAN;
    return there;
}

/* real[n] and fake[n], which are lost, -> one row of measures. */
static int compare(double *row, double *real, double *fake, size_t n, struct lca_err *err)
{
    size_t n_real = mean_of(real, n, &row[MEAN_REAL]), n_fake = mean_of(fake, n, &row[MEAN_FAKE]);
    row[N_REAL] = (double)n_real;
    row[N_FAKE] = (double)n_fake;
    row[DISTANCE] = lca_ks_distance(real, n_real, fake, n_fake);
    return lca_ks_exact(&row[P_EXACT], row[DISTANCE], n_real, n_fake, err) < 0 ||
           lca_ks_asymptotic(&row[P_ASYMPTOTIC], row[DISTANCE], n_real, n_fake, err) < 0 ? -1 : 0;
}

static double *row_of(struct correlation *x, unsigned k, int side, int series)
{
    return x->table + (size_t)k * ROW + (size_t)(side * SERIES + series) * MEASURES;
}

/* Ends a window of n steps: its measures into the table, its units into the sums. */
static int close_window(struct correlation *x, double n, struct lca_err *err)
{
    for (unsigned k = 0; k < x->n_kernel; k++) {
        struct kernel *kernel = &x->kernel[k];
        for (int side = 0; side < SIDES; side++) {
            size_t units = units_of(kernel, side);
            for (int series = 0; series < SERIES; series++) {
                for (int of = 0; of < OF; of++) {
                    size_t at = place(kernel, side, series, of);
                    double *r = x->units + (size_t)of * units, *sum = kernel->sum[side] + at;
                    double *weight = kernel->weight[side] + at;
                    lca_pairs_units(kernel->pairs, side, series, of == FAKE, r);
                    for (size_t u = 0; u < units; u++) {
                        if (isnan(r[u]))
                            continue;
                        sum[u] += n * r[u];
                        weight[u] += n;
                    }
                }
                if (compare(row_of(x, k, side, series), x->units, x->units + units, units, err) < 0)
                    return -1;
            }
        }
        lca_pairs_reset(kernel->pairs);
    }
    return 0;
}

static json_t *kernel_names(const struct correlation *x, unsigned from, unsigned to)
{
    json_t *names = json_array();
    for (unsigned k = from; k < to; k++)
        json_array_append_new(names, json_string(x->in->table.layer[x->kernel[k].layer].name));
    return names;
}

static int put_table(struct correlation *x, struct lca_emit *e, const char *kind, uint64_t steps, struct lca_err *err)
{
    struct lca_agg a = {.kind = kind, .it = x->it, .set = "train", .dt = "<f8", .data = x->table, .n_dims = 4,
                        .dims = {"layer", "side", "series", "measure"}, .window = true,
                        .shape = {x->n_kernel, SIDES, SERIES, MEASURES},
                        .keys = json_pack("{s:o, s:[s, s], s:[s, s], s:[s, s, s, s, s, s, s]}", "layer",
                                          kernel_names(x, 0, x->n_kernel), "side", "inputs", "outputs", "series",
                                          "step", "cumulative", "measure", "r", "r_fake", "units", "units_fake", "distance",
                                          "p_exact", "p_asymptotic"),
                        .more = json_pack("{s:I}", "steps", (json_int_t)steps)};
    return lca_emit_agg(e, &a, err);
}

/* ---- two passes over a recording ---- */

static bool wanted(const struct lca_step *st)
{
    return st->cls < 0 && st->s == 0;
}

static int step_first(void *arg, const struct lca_step *st, struct lca_emit *e, struct lca_err *err)
{
    struct correlation *x = arg;
    (void)e, (void)err;
    for (unsigned k = 0; wanted(st) && k < x->n_kernel; k++)
        lca_pairs_measure(x->kernel[k].pairs, st->v + x->kernel[k].off);
    return 0;
}

static int step_second(void *arg, const struct lca_step *st, struct lca_emit *e, struct lca_err *err)
{
    struct correlation *x = arg;
    (void)e, (void)err;
    if (!wanted(st))
        return 0;
    for (unsigned k = 0; k < x->n_kernel; k++)
        lca_pairs_add(x->kernel[k].pairs, st->v + x->kernel[k].off);
    x->it = st->it;
    x->n_step++;
    return 0;
}

/* ---- windows ---- */

/* Where a kernel lies among the K values that are held of each step. */
static const float *held(const struct correlation *x, uint64_t step, uint64_t off)
{
    const float *v = x->held + step * x->in->K;
    const struct lca_range *r = x->in->range;
    for (; off - r->off >= r->len; r++)
        v += r->len;
    return v + (off - r->off);
}

static int end_window(struct correlation *x, struct lca_emit *e, struct lca_err *err)
{
    uint64_t n = x->n_held;
    for (unsigned k = 0; k < x->n_kernel; k++) {
        for (uint64_t t = 0; t < n; t++)
            lca_pairs_measure(x->kernel[k].pairs, held(x, t, x->kernel[k].off));
        for (uint64_t t = 0; t < n; t++)
            lca_pairs_add(x->kernel[k].pairs, held(x, t, x->kernel[k].off));
    }
    x->n_held = 0;
    return close_window(x, (double)n, err) < 0 ? -1 : put_table(x, e, "correlation", n, err);
}

static int step_window(void *arg, const struct lca_step *st, struct lca_emit *e, struct lca_err *err)
{
    struct correlation *x = arg;
    if (!wanted(st))
        return 0;
    float *to = x->held + x->n_held * x->in->K;
    for (unsigned r = 0; r < x->in->n_range; r++) {
        memcpy(to, st->v + x->in->range[r].off, x->in->range[r].len * sizeof *to);
        to += x->in->range[r].len;
    }
    x->it = st->it;
    x->n_step++;
    return ++x->n_held == (uint64_t)opt.window ? end_window(x, e, err) : 0;
}

/* ---- the end ---- */

static int put_units(struct correlation *x, struct lca_emit *e, unsigned k, int side, const double *r,
                     struct lca_err *err)
{
    struct lca_agg a = {.kind = side == LCA_PAIRS_INPUTS ? "correlation_inputs" : "correlation_outputs", .it = x->it,
                        .set = "train", .dt = "<f8", .data = r, .n_dims = 4, .window = true,
                        .dims = {"layer", "series", "of", "unit"},
                        .shape = {1, SERIES, OF, units_of(&x->kernel[k], side)},
                        .keys = json_pack("{s:o, s:[s, s], s:[s, s]}", "layer", kernel_names(x, k, k + 1), "series",
                                          "step", "cumulative", "of", "real", "fake")};
    return lca_emit_agg(e, &a, err);
}

static int end(void *arg, struct lca_emit *e, struct lca_err *err)
{
    struct correlation *x = arg;
    if (x->n_held == 1)
        x->n_step--;        /* one step has no correlation */
    if (x->n_step == 0)
        return 0;
    if (opt.window > 0 ? x->n_held >= 2 && end_window(x, e, err) < 0 : close_window(x, (double)x->n_step, err) < 0)
        return -1;
    for (unsigned k = 0; k < x->n_kernel; k++) {
        struct kernel *kernel = &x->kernel[k];
        for (int side = 0; side < SIDES; side++) {
            size_t units = units_of(kernel, side);
            double *r = kernel->sum[side], *weight = kernel->weight[side];
            for (size_t u = 0; u < SERIES * OF * units; u++)
                r[u] = weight[u] > 0 ? r[u] / weight[u] : NAN;
            for (int series = 0; series < SERIES; series++) {
                memcpy(x->units, r + place(kernel, side, series, REAL), OF * units * sizeof *x->units);
                if (compare(row_of(x, k, side, series), x->units, x->units + units, units, err) < 0)
                    return -1;
            }
        }
    }
    if (put_table(x, e, "correlation_total", x->n_step, err) < 0)
        return -1;
    for (unsigned k = 0; k < x->n_kernel; k++)
        for (int side = 0; side < SIDES; side++)
            if (put_units(x, e, k, side, x->kernel[k].sum[side], err) < 0)
                return -1;
    return 0;
}

static json_t *final(void *arg)
{
    struct correlation *x = arg;
    static const char *const side_name[SIDES] = {"inputs", "outputs"};
    static const char *const series_name[SERIES] = {"step", "cumulative"};
    json_t *layers = json_array();
    for (unsigned k = 0; x->n_step > 0 && k < x->n_kernel; k++) {
        json_t *layer = json_pack("{s:s}", "name", x->in->table.layer[x->kernel[k].layer].name);
        for (int side = 0; side < SIDES; side++) {
            for (int series = 0; series < SERIES; series++) {
                const double *row = row_of(x, k, side, series);
                char key[64];
                snprintf(key, sizeof key, "%s_%s_r", side_name[side], series_name[series]);
                lca_filter_number(layer, key, row[MEAN_REAL]);
                snprintf(key, sizeof key, "%s_%s_r_fake", side_name[side], series_name[series]);
                lca_filter_number(layer, key, row[MEAN_FAKE]);
                snprintf(key, sizeof key, "%s_%s_p", side_name[side], series_name[series]);
                lca_filter_number(layer, key, row[P_EXACT]);
            }
        }
        json_array_append_new(layers, layer);
    }
    return json_pack("{s:o}", "correlation", layers);
}

static int run(int argc, char **argv, struct lca_err *err)
{
    (void)argc, (void)argv;
    static struct correlation x;
    struct lca_filter pass[] = {
        {.prog = "lca-correlation", .self = &x, .start = start, .step = step_first},
        {.prog = "lca-correlation", .self = &x, .start = start, .step = opt.window ? step_window : step_second,
         .end = end, .final = final, .stream = "correlation", .payload = 16u << 20,
         .args = json_pack("{s:I, s:I}", "window", (json_int_t)opt.window, "seed", (json_int_t)opt.seed)},
    };
    int result;
    if (opt.window > 0)
        result = lca_filter_run(&pass[1], &opt.filter, err);
    else
        result = lca_filter_passes(pass, 2, "lca-correlation without --window W", "twice", &opt.filter, err);
    for (unsigned k = 0; k < x.n_kernel; k++) {
        lca_pairs_free(x.kernel[k].pairs);
        for (int side = 0; side < SIDES; side++) {
            free(x.kernel[k].sum[side]);
            free(x.kernel[k].weight[side]);
        }
    }
    free(x.kernel);
    free(x.held);
    free(x.table);
    free(x.units);
    return result;
}

static const struct lca_tool tool = {
    .name = "lca-correlation",
    .summary = "tell whether the weights of a neuron act alike",
    .usage = "[OPTION]...",
    .about = "Reads an lca stream and computes, for each input and each output unit of every layer's kernel, the mean "
             "Pearson correlation over all pairs of its weights' series of A, per step and cumulated. Beside them "
             "stand as many fake units, of weights of which no two share an input or an output, drawn at random. For "
             "each layer: the means over units, and a two-sample Kolmogorov-Smirnov test between real and fake ones, "
             "exact and asymptotic (correlation_total); and each unit's own (correlation_inputs, correlation_outputs). "
             "Series that do not vary are left out.\n\nWithout --window a recording is read twice, and memory is 64 bytes per "
             "parameter for any number of steps. With --window W the correlation is taken over each W steps of a live "
             "stream (correlation), the totals are means over windows weighted by their steps, and memory is 4 W bytes "
             "per parameter more. A last window of one step is left out.",
    .examples = "  lca-correlation --in run.lca | lca-tap --kind correlation_total\n"
                "  lca-correlation --window 100 --in ipc:lca | lca-tap --kind correlation",
    .opts = opts,
    .more = more_opts,
    .max_args = 0,
    .run = run,
};

int main(int argc, char **argv)
{
    return lca_tool_main(&tool, argc, argv);
}
