/* lca-classes: loss change by class, and on how few classes each neuron's help is
 * concentrated (Lan et al. 2019, section 5 and supplement).
 *
 * In: an `lca` stream with frames by class. Out, per step and set: `classes`
 * [class][layer], additive: the classes of a layer add up to its loss change; for the
 * training set also `class_means` [class][layer], the change of the class's own mean
 * loss, N/n_c times that, and with --units `class_units` [layer][class][unit], each output
 * unit's sums, one layer a frame. At the end the same as *_total, and of the training set
 *   class_units_total    [layer][class][unit]
 *   concentration_total  [layer][unit][k]      r_k of each, %; NaN where it helped no class
 *   concentrated_total   [layer][k]            % of the units with r_k above --threshold,
 *                                              of those that helped any class */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/tool.h"
#include "filter/filter.h"
#include "filter/units.h"
#include "lca/concentration.h"

static struct lca_filter_args args;
static double threshold = 80;
static bool by_step;
static const struct lca_opt opts[] = {
    {"threshold", 0, LCA_OPT_NUM, &threshold, "PERCENT", "A unit is concentrated on k classes when they have more than "
     "this part of its help (default 80).", 0, 100, false},
    {"units", 0, LCA_OPT_FLAG, &by_step, NULL, "Also write what each class did to each output unit in each step.", 0, 0,
     false},
    LCA_FILTER_OPTS(args),
    {0},
};

enum { RS = LCA_CONCENTRATION };

struct classes {
    struct lca_filter *filter;
    const struct lca_stream *in;
    struct lca_units units;
    double *now;                        /* [class][unit], of the step and set at hand */
    double *by_unit;                    /* the same of train, since the first step */
    double *one;                        /* the same of one layer, to be written */
    double *scale;                      /* [class]: N / n_c */
    struct {
        double *now, *total;            /* [class][layer] */
        uint64_t steps, it;
        unsigned came;                  /* classes of the step under way */
    } set[LCA_SETS];
    /* of each layer, filled at the end */
    double *share;                      /* [layer][RS], % */
    uint64_t *excluded;                 /* [layer]: units that helped no class */
};

static int start(void *arg, const struct lca_stream *s, struct lca_err *err)
{
    struct classes *x = arg;
    size_t n = (size_t)s->n_classes * s->table.n_layer;
    x->in = s;
    if (!s->head->bycls)
        return lca_fail(err, LCA_USAGE, "the stream has no frames by class: it needs lca-integrate --by-class");
    if (lca_units_init(&x->units, &s->table, err) < 0)
        return -1;
    x->filter->payload = (uint64_t)s->n_classes * x->units.widest * sizeof (double);
    x->now = lca_alloc(s->n_classes * x->units.n_out, sizeof *x->now, err);
    x->by_unit = lca_alloc(s->n_classes * x->units.n_out, sizeof *x->by_unit, err);
    x->one = lca_alloc(s->n_classes * x->units.n_out, sizeof *x->one, err);
    x->scale = lca_alloc(s->n_classes, sizeof *x->scale, err);
    x->share = lca_alloc(s->table.n_layer * RS, sizeof *x->share, err);
    x->excluded = lca_alloc(s->table.n_layer, sizeof *x->excluded, err);
    if (!x->now || !x->by_unit || !x->one || !x->scale || !x->share || !x->excluded)
        return -1;
    for (unsigned k = 0; k < s->n_set; k++) {
        x->set[k].now = lca_alloc(n, sizeof (double), err);
        x->set[k].total = lca_alloc(n, sizeof (double), err);
        if (!x->set[k].now || !x->set[k].total)
            return -1;
    }
    for (unsigned c = 0; c < s->n_classes; c++) {
        double n_c = (double)json_integer_value(json_object_get(json_array_get(s->classes, c), "n"));
        x->scale[c] = n_c > 0 ? s->N / n_c : NAN;
    }
    return 0;
}

static int put(const struct classes *x, struct lca_emit *e, const char *kind, unsigned set, const double *data,
               struct lca_err *err)
{
    struct lca_agg a = {.kind = kind, .it = x->set[set].it, .set = x->in->set[set].name, .unit = "nat", .dt = "<f8",
                        .data = data, .dims = {"class", "layer"}, .shape = {x->in->n_classes, x->in->table.n_layer},
                        .n_dims = 2, .keys = json_pack("{s:o, s:o}", "class", lca_filter_class_names(x->in), "layer",
                                                       lca_filter_layer_names(x->in))};
    return lca_emit_agg(e, &a, err);
}

/* Additive as they are; of the training set also scaled, in v's place. */
static int put_both(const struct classes *x, struct lca_emit *e, const char *const kind[2], unsigned set, double *v,
                    struct lca_err *err)
{
    unsigned n_layer = x->in->table.n_layer;
    if (put(x, e, kind[0], set, v, err) < 0 || set > 0)
        return set > 0 ? 0 : -1;
    for (unsigned k = 0; k < x->in->n_classes * n_layer; k++)
        v[k] *= x->scale[k / n_layer];
    return put(x, e, kind[1], set, v, err);
}

static int put_layer(const struct classes *x, struct lca_emit *e, unsigned layer, struct lca_agg a, struct lca_err *err)
{
    a.it = x->set[0].it;
    a.set = "train";
    a.dt = "<f8";
    a.n_dims = 3;
    a.dims[0] = "layer";
    a.shape[0] = 1;
    if (!a.keys)
        a.keys = json_object();
    json_object_set_new(a.keys, "layer", json_pack("[s]", x->in->table.layer[layer].name));
    return lca_emit_agg(e, &a, err);
}

/* Sums of one layer's units by class. Leaves them in x->one, [class][unit]. */
static int put_sums(const struct classes *x, struct lca_emit *e, const char *kind, unsigned layer, const double *sums,
                    struct lca_err *err)
{
    const struct lca_layer_units *u = &x->units.layer[layer];
    for (unsigned c = 0; c < x->in->n_classes; c++)
        memcpy(x->one + (size_t)c * u->n_out, sums + c * x->units.n_out + u->out, u->n_out * sizeof *sums);
    struct lca_agg a = {.kind = kind, .unit = "nat", .data = x->one, .dims = {NULL, "class", "unit"},
                        .shape = {1, x->in->n_classes, u->n_out},
                        .keys = json_pack("{s:o}", "class", lca_filter_class_names(x->in))};
    return put_layer(x, e, layer, a, err);
}

static int step(void *arg, const struct lca_step *st, struct lca_emit *e, struct lca_err *err)
{
    static const char *const kind[] = {"classes", "class_means"};
    struct classes *x = arg;
    unsigned n_layer = x->in->table.n_layer, s = st->s;
    if (st->cls < 0)
        return 0;
    if (st->cls != (int)x->set[s].came || (st->cls > 0 && st->it != x->set[s].it))
        return lca_fail(err, LCA_CORRUPT, "step %llu of %s: the frame of class %d comes where that of class %u is due",
                        (unsigned long long)st->it, st->set, st->cls, x->set[s].came);
    x->set[s].it = st->it;
    double *now = x->now + (size_t)st->cls * x->units.n_out, *by_unit = x->by_unit + (now - x->now);
    double *row = x->set[s].now + (size_t)st->cls * n_layer, *total = x->set[s].total + (size_t)st->cls * n_layer;
    lca_units_sum(&x->units, &x->in->table, st->v, NULL, now);
    for (unsigned l = 0; l < n_layer; l++) {
        const struct lca_layer_units *u = &x->units.layer[l];
        row[l] = 0;
        for (uint64_t k = u->out; k < u->out + u->n_out; k++)
            row[l] += now[k];
        total[l] += row[l];
    }
    for (uint64_t k = 0; s == 0 && k < x->units.n_out; k++)
        by_unit[k] += now[k];
    if (++x->set[s].came < x->in->n_classes)
        return 0;
    x->set[s].came = 0;
    x->set[s].steps++;
    if (!st->shown)
        return 0;
    for (unsigned l = 0; by_step && s == 0 && l < n_layer; l++)
        if (put_sums(x, e, "class_units", l, x->now, err) < 0)
            return -1;
    return put_both(x, e, kind, s, x->set[s].now, err);
}

/* Units of one layer: their sums by class, and how concentrated they are. */
static int put_units(struct classes *x, struct lca_emit *e, unsigned layer, struct lca_err *err)
{
    const struct lca_layer_units *u = &x->units.layer[layer];
    uint64_t above[RS] = {0}, included = 0;
    if (put_sums(x, e, "class_units_total", layer, x->by_unit, err) < 0)
        return -1;
    double *r = lca_alloc((size_t)u->n_out * RS, sizeof *r, err);
    if (!r)
        return -1;
    for (uint32_t k = 0; k < u->n_out; k++) {
        bool helped = lca_concentration(r + (size_t)k * RS, x->one + k, u->n_out, x->in->n_classes) > 0;
        included += helped;
        for (int j = 0; j < RS; j++) {
            r[(size_t)k * RS + j] *= 100;
            above[j] += r[(size_t)k * RS + j] > threshold;      /* never for NaN */
        }
    }
    x->excluded[layer] = u->n_out - included;
    for (int j = 0; j < RS; j++)
        x->share[layer * RS + j] = included > 0 ? 100.0 * (double)above[j] / (double)included : NAN;
    struct lca_agg a = {.kind = "concentration_total", .unit = "%", .data = r, .dims = {NULL, "unit", "k"},
                        .shape = {1, u->n_out, RS}};
    int result = put_layer(x, e, layer, a, err);
    free(r);
    return result;
}

static int put_shares(const struct classes *x, struct lca_emit *e, struct lca_err *err)
{
    json_t *units = json_array(), *excluded = json_array();
    for (unsigned l = 0; l < x->in->table.n_layer; l++) {
        json_array_append_new(units, json_integer(x->units.layer[l].n_out));
        json_array_append_new(excluded, json_integer((json_int_t)x->excluded[l]));
    }
    struct lca_agg a = {.kind = "concentrated_total", .it = x->set[0].it, .set = "train", .unit = "%", .dt = "<f8",
                        .data = x->share, .dims = {"layer", "k"}, .shape = {x->in->table.n_layer, RS}, .n_dims = 2,
                        .keys = json_pack("{s:o, s:[s, s, s]}", "layer", lca_filter_layer_names(x->in), "k", "1", "2",
                                          "3"),
                        .more = json_pack("{s:f, s:o, s:o}", "threshold", threshold, "units", units, "excluded",
                                          excluded)};
    return lca_emit_agg(e, &a, err);
}

static int end(void *arg, struct lca_emit *e, struct lca_err *err)
{
    static const char *const kind[] = {"classes_total", "class_means_total"};
    struct classes *x = arg;
    for (unsigned k = 0; k < x->in->n_set; k++)
        if (x->set[k].steps > 0 && put_both(x, e, kind, k, x->set[k].total, err) < 0)
            return -1;
    if (x->set[0].steps == 0)
        return 0;
    for (unsigned l = 0; l < x->in->table.n_layer; l++)
        if (put_units(x, e, l, err) < 0)
            return -1;
    return put_shares(x, e, err);
}

static json_t *final(void *arg)
{
    struct classes *x = arg;
    json_t *layers = json_array();
    if (x->set[0].steps == 0) {
        json_decref(layers);
        return NULL;
    }
    for (unsigned l = 0; l < x->in->table.n_layer; l++) {
        const double *share = x->share + (size_t)l * RS;
        json_t *layer = json_pack("{s:s, s:I, s:I}", "name", x->in->table.layer[l].name, "units",
                                  (json_int_t)x->units.layer[l].n_out, "excluded", (json_int_t)x->excluded[l]);
        for (int j = 0; j < RS && !isnan(share[j]); j++) {
            char key[] = "percent_r0";
            key[sizeof key - 2] = (char)('1' + j);
            json_object_set_new(layer, key, json_real(share[j]));
        }
        json_array_append_new(layers, layer);
    }
    return json_pack("{s:f, s:o}", "class_concentration_threshold", threshold, "class_concentration", layers);
}

static int run(int argc, char **argv, struct lca_err *err)
{
    (void)argc, (void)argv;
    static struct classes x;
    struct lca_filter f = {.prog = "lca-classes", .stream = "classes", .self = &x, .start = start, .step = step,
                           .end = end, .final = final};
    f.args = json_pack("{s:f, s:b}", "threshold", threshold, "units", by_step);
    x.filter = &f;
    int result = lca_filter_run(&f, &args, err);
    for (unsigned k = 0; k < LCA_SETS; k++) {
        free(x.set[k].now);
        free(x.set[k].total);
    }
    free(x.now);
    free(x.by_unit);
    free(x.one);
    free(x.scale);
    free(x.share);
    free(x.excluded);
    lca_units_clear(&x.units);
    return result;
}

static const struct lca_tool tool = {
    .name = "lca-classes",
    .summary = "sum loss changes per class, and say how concentrated units are",
    .usage = "[OPTION]...",
    .about = "Reads an lca stream with frames by class and writes, for each step and set, the loss change of each "
             "class and layer: additive (classes), and for the training set as the change of the class's own mean "
             "loss (class_means). At the end the totals; the sums of each output unit by class (class_units_total); "
             "on how few classes the help of each unit is concentrated: the part of its k most helped classes in its "
             "help to all, k = 1, 2, 3 (concentration_total); and how many units have more than --threshold there "
             "(concentrated_total). Units that helped no class are left out and counted.\n\nMemory: 24 bytes per "
             "class and unit, for any number of steps.",
    .examples = "  lca-classes < run.lca | lca-tap --kind concentrated_total\n"
                "  lca-classes --classes 0,8 --layers dense1 < run.lca | lca-tap --kind classes\n"
                "  lca-classes --units --layers dense1 < run.lca | lca-tap --data --kind class_units",
    .opts = opts,
    .max_args = 0,
    .run = run,
};

int main(int argc, char **argv)
{
    return lca_tool_main(&tool, argc, argv);
}
