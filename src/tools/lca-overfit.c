/* lca-overfit: what helped the training set and not the held-out one (Lan et al. 2019,
 * supplement).
 *
 * In: an `lca` stream of the training set and a held-out one. Out, per step: `overfit`
 * [measure][layer] and, one layer a frame, `overfit_units` [layer][measure][unit], for
 * each output unit; measures: the training set's loss change, the held-out set's, and
 * their difference, train - heldout: below 0 where the step did more for the training
 * set. At the end the sums over steps as *_total. All in nat; frames carry the name of
 * the held-out set. */
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/tool.h"
#include "filter/filter.h"
#include "filter/units.h"

static struct lca_filter_args args;
static const char *heldout;
static const struct lca_opt opts[] = {
    {"set", 0, LCA_OPT_STR, &heldout, "NAME", "The held-out set: val or test (default: the first there is).", 0, 0,
     false},
    LCA_FILTER_OPTS(args),
    {0},
};

enum measure { TRAIN, HELDOUT, DIFFERENCE, MEASURES };

struct overfit {
    struct lca_filter *filter;
    const struct lca_stream *in;
    struct lca_units units;
    unsigned set;                       /* the held-out one's place */
    double *unit, *units_total;         /* [MEASURES][unit] */
    double *layer, *layers_total;       /* [MEASURES][layer] */
    double *one;                        /* [MEASURES][unit] of one layer */
    uint64_t it, steps;
    bool pending;                       /* train has come, held-out has not */
};

static int choose_set(struct overfit *x, struct lca_err *err)
{
    const struct lca_stream *s = x->in;
    for (x->set = 1; x->set < s->n_set; x->set++)
        if (!heldout || strcmp(s->set[x->set].name, heldout) == 0)
            return 0;
    return lca_fail(err, LCA_USAGE, "the stream has no held-out set%s%s: it needs lca-integrate --sets train,%s",
                    heldout ? " " : "", heldout ? heldout : "", heldout ? heldout : "val");
}

static int start(void *arg, const struct lca_stream *s, struct lca_err *err)
{
    struct overfit *x = arg;
    x->in = s;
    if (choose_set(x, err) < 0 || lca_units_init(&x->units, &s->table, err) < 0)
        return -1;
    x->filter->payload = (uint64_t)MEASURES * x->units.widest * sizeof (double);
    size_t n = MEASURES * x->units.n_out, m = (size_t)MEASURES * s->table.n_layer;
    x->unit = lca_alloc(n, sizeof *x->unit, err);
    x->units_total = lca_alloc(n, sizeof *x->units_total, err);
    x->layer = lca_alloc(m, sizeof *x->layer, err);
    x->layers_total = lca_alloc(m, sizeof *x->layers_total, err);
    x->one = lca_alloc(n, sizeof *x->one, err);
    return x->unit && x->units_total && x->layer && x->layers_total && x->one ? 0 : -1;
}

static json_t *measure_names(void)
{
    return json_pack("[s, s, s]", "train", "heldout", "difference");
}

static int put(const struct overfit *x, struct lca_emit *e, const char *const kind[2], const double *layer,
               const double *unit, struct lca_err *err)
{
    struct lca_agg a = {.kind = kind[0], .it = x->it, .set = x->in->set[x->set].name, .unit = "nat", .dt = "<f8",
                        .data = layer, .dims = {"measure", "layer"}, .shape = {MEASURES, x->in->table.n_layer},
                        .n_dims = 2};
    a.keys = json_pack("{s:o, s:o}", "measure", measure_names(), "layer", lca_filter_layer_names(x->in));
    if (lca_emit_agg(e, &a, err) < 0)
        return -1;
    for (unsigned l = 0; l < x->in->table.n_layer; l++) {
        const struct lca_layer_units *u = &x->units.layer[l];
        for (int m = 0; m < MEASURES; m++)
            memcpy(x->one + (size_t)m * u->n_out, unit + (size_t)m * x->units.n_out + u->out, u->n_out * sizeof *unit);
        a.kind = kind[1];
        a.data = x->one;
        a.n_dims = 3;
        a.dims[0] = "layer";
        a.dims[1] = "measure";
        a.dims[2] = "unit";
        a.shape[0] = 1;
        a.shape[1] = MEASURES;
        a.shape[2] = u->n_out;
        a.keys = json_pack("{s:[s], s:o}", "layer", x->in->table.layer[l].name, "measure", measure_names());
        if (lca_emit_agg(e, &a, err) < 0)
            return -1;
    }
    return 0;
}

/* Both sets are there: the difference, layers from units, totals. */
static void settle(struct overfit *x)
{
    uint64_t n = x->units.n_out;
    unsigned n_layer = x->in->table.n_layer;
    for (uint64_t k = 0; k < n; k++)
        x->unit[DIFFERENCE * n + k] = x->unit[TRAIN * n + k] - x->unit[HELDOUT * n + k];
    for (unsigned m = 0; m < MEASURES; m++) {
        for (unsigned l = 0; l < n_layer; l++) {
            const struct lca_layer_units *u = &x->units.layer[l];
            double sum = 0;
            for (uint64_t k = u->out; k < u->out + u->n_out; k++)
                sum += x->unit[m * n + k];
            x->layer[m * n_layer + l] = sum;
            x->layers_total[m * n_layer + l] += sum;
        }
        for (uint64_t k = 0; k < n; k++)
            x->units_total[m * n + k] += x->unit[m * n + k];
    }
}

static int incomplete(const struct overfit *x, struct lca_err *err)
{
    return lca_fail(err, LCA_CORRUPT, "step %llu has frames of only one of train and %s", (unsigned long long)x->it,
                    x->in->set[x->set].name);
}

static int step(void *arg, const struct lca_step *st, struct lca_emit *e, struct lca_err *err)
{
    static const char *const kind[] = {"overfit", "overfit_units"};
    struct overfit *x = arg;
    if (st->cls >= 0 || (st->s != 0 && st->s != x->set))
        return 0;
    if (x->pending != (st->s == x->set) || (x->pending && st->it != x->it)) {
        x->it = x->pending ? x->it : st->it;
        return incomplete(x, err);
    }
    x->it = st->it;
    x->pending = st->s == 0;
    lca_units_sum(&x->units, &x->in->table, st->v, NULL, x->unit + (x->pending ? TRAIN : HELDOUT) * x->units.n_out);
    if (x->pending)
        return 0;
    settle(x);
    x->steps++;
    return st->shown ? put(x, e, kind, x->layer, x->unit, err) : 0;
}

static int end(void *arg, struct lca_emit *e, struct lca_err *err)
{
    static const char *const kind[] = {"overfit_total", "overfit_units_total"};
    struct overfit *x = arg;
    if (x->pending)
        return incomplete(x, err);
    return x->steps > 0 ? put(x, e, kind, x->layers_total, x->units_total, err) : 0;
}

static json_t *numbers(const struct overfit *x, const char *name, unsigned from, unsigned to)
{
    double sum[MEASURES] = {0};
    for (unsigned m = 0; m < MEASURES; m++)
        for (unsigned l = from; l < to; l++)
            sum[m] += x->layers_total[m * x->in->table.n_layer + l];
    return json_pack("{s:s, s:f, s:f, s:f}", "name", name, "train", sum[TRAIN], "heldout", sum[HELDOUT], "difference",
                     sum[DIFFERENCE]);
}

static json_t *final(void *arg)
{
    struct overfit *x = arg;
    json_t *rows = json_array();
    unsigned n = x->in->table.n_layer;
    if (x->steps == 0) {
        json_decref(rows);
        return NULL;
    }
    json_array_append_new(rows, numbers(x, "all", 0, n));
    for (unsigned l = 0; l < n; l++)
        json_array_append_new(rows, numbers(x, x->in->table.layer[l].name, l, l + 1));
    return json_pack("{s:s, s:o}", "overfit_set", x->in->set[x->set].name, "overfit", rows);
}

static int run(int argc, char **argv, struct lca_err *err)
{
    (void)argc, (void)argv;
    static struct overfit x;
    struct lca_filter f = {.prog = "lca-overfit", .stream = "overfit", .self = &x, .start = start, .step = step,
                           .end = end, .final = final, .args = heldout ? json_pack("{s:s}", "set", heldout) : NULL};
    x.filter = &f;
    int result = lca_filter_run(&f, &args, err);
    free(x.unit);
    free(x.units_total);
    free(x.layer);
    free(x.layers_total);
    free(x.one);
    lca_units_clear(&x.units);
    return result;
}

static const struct lca_tool tool = {
    .name = "lca-overfit",
    .summary = "compare loss changes of the training set and a held-out one",
    .usage = "[OPTION]...",
    .about = "Reads an lca stream of the training set and a held-out set and writes, for each step, the loss change of "
             "each layer on either set and their difference, train - heldout (overfit), and the same for each output "
             "unit (overfit_units). At the end the totals. Values are nat; below 0 helps, so that a difference below 0 "
             "helped the training set more.\n\nMemory: 72 bytes per unit, for any number of steps.",
    .examples = "  lca-overfit < run.lca | lca-tap --kind overfit_total\n"
                "  lca-overfit --set test --every 10 < run.lca | lca-tap --csv --kind overfit",
    .opts = opts,
    .max_args = 0,
    .run = run,
};

int main(int argc, char **argv)
{
    return lca_tool_main(&tool, argc, argv);
}
