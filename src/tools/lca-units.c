/* lca-units: loss change per neuron or channel (Lan et al. 2019, section 5).
 *
 * In: an `lca` stream. Out, per step, set and layer: `units` [layer][unit], each
 * output's weights, bias and batch norm together, so that they add up to the layer;
 * `inputs` [layer][unit], the kernel's weights at each input. At the end the sums
 * over steps as units_total and inputs_total. The first axis has one place: the
 * layer that the frame is about. All in nat. */
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/tool.h"
#include "filter/filter.h"
#include "filter/units.h"

static struct lca_filter_args args;
static const struct lca_opt opts[] = {LCA_FILTER_OPTS(args), {0}};

struct units {
    struct lca_filter *filter;
    const struct lca_stream *in;
    struct lca_units units;
    double *now_in, *now_out;           /* of this step, all layers */
    struct {
        double *in, *out;               /* since the first step */
        uint64_t steps;
    } set[LCA_SETS];
    uint64_t it;
};

static int start(void *arg, const struct lca_stream *s, struct lca_err *err)
{
    struct units *x = arg;
    x->in = s;
    if (lca_units_init(&x->units, &s->table, err) < 0)
        return -1;
    x->filter->payload = x->units.widest * sizeof (double);
    x->now_in = lca_alloc(x->units.n_in, sizeof (double), err);
    x->now_out = lca_alloc(x->units.n_out, sizeof (double), err);
    if (!x->now_in || !x->now_out)
        return -1;
    for (unsigned k = 0; k < s->n_set; k++) {
        x->set[k].in = lca_alloc(x->units.n_in, sizeof (double), err);
        x->set[k].out = lca_alloc(x->units.n_out, sizeof (double), err);
        if (!x->set[k].in || !x->set[k].out)
            return -1;
    }
    return 0;
}

static int put(const struct units *x, struct lca_emit *e, const char *kind, unsigned set, unsigned layer, uint32_t n,
               const double *data, struct lca_err *err)
{
    struct lca_agg a = {.kind = kind, .it = x->it, .set = x->in->set[set].name, .unit = "nat", .dt = "<f8",
                        .data = data, .dims = {"layer", "unit"}, .shape = {1, n}, .n_dims = 2,
                        .keys = json_pack("{s:[s]}", "layer", x->in->table.layer[layer].name)};
    return lca_emit_agg(e, &a, err);
}

static int put_all(const struct units *x, struct lca_emit *e, const char *const kind[2], unsigned set, const double *in,
                   const double *out, struct lca_err *err)
{
    for (unsigned l = 0; l < x->in->table.n_layer; l++) {
        const struct lca_layer_units *u = &x->units.layer[l];
        if (put(x, e, kind[0], set, l, u->n_out, out + u->out, err) < 0 ||
            (u->n_in > 0 && put(x, e, kind[1], set, l, u->n_in, in + u->in, err) < 0))
            return -1;
    }
    return 0;
}

static void add(double *to, const double *v, uint64_t n)
{
    for (uint64_t k = 0; k < n; k++)
        to[k] += v[k];
}

static int step(void *arg, const struct lca_step *st, struct lca_emit *e, struct lca_err *err)
{
    static const char *const kind[] = {"units", "inputs"};
    struct units *x = arg;
    if (st->cls >= 0)
        return 0;
    x->it = st->it;
    x->set[st->s].steps++;
    lca_units_sum(&x->units, &x->in->table, st->v, x->now_in, x->now_out);
    add(x->set[st->s].in, x->now_in, x->units.n_in);
    add(x->set[st->s].out, x->now_out, x->units.n_out);
    return st->shown ? put_all(x, e, kind, st->s, x->now_in, x->now_out, err) : 0;
}

static int end(void *arg, struct lca_emit *e, struct lca_err *err)
{
    static const char *const kind[] = {"units_total", "inputs_total"};
    struct units *x = arg;
    for (unsigned k = 0; k < x->in->n_set; k++)
        if (x->set[k].steps > 0 && put_all(x, e, kind, k, x->set[k].in, x->set[k].out, err) < 0)
            return -1;
    return 0;
}

static double percent_helping(const double *v, uint32_t n)
{
    uint32_t helped = 0;
    for (uint32_t k = 0; k < n; k++)
        helped += v[k] < 0;
    return n > 0 ? 100.0 * helped / n : 0;
}

static json_t *final(void *arg)
{
    struct units *x = arg;
    json_t *layers = json_array();
    if (x->set[0].steps == 0) {
        json_decref(layers);
        return NULL;
    }
    for (unsigned l = 0; l < x->in->table.n_layer; l++) {
        const struct lca_layer_units *u = &x->units.layer[l];
        json_array_append_new(layers, json_pack("{s:s, s:I, s:f, s:I, s:f}", "name", x->in->table.layer[l].name,
                                                "outputs", (json_int_t)u->n_out, "percent_outputs_helping",
                                                percent_helping(x->set[0].out + u->out, u->n_out), "inputs",
                                                (json_int_t)u->n_in, "percent_inputs_helping",
                                                percent_helping(x->set[0].in + u->in, u->n_in)));
    }
    return json_pack("{s:o}", "units", layers);
}

static int run(int argc, char **argv, struct lca_err *err)
{
    (void)argc, (void)argv;
    static struct units x;
    struct lca_filter f = {.prog = "lca-units", .stream = "units", .self = &x, .start = start, .step = step, .end = end,
                           .final = final};
    x.filter = &f;
    int result = lca_filter_run(&f, &args, err);
    for (unsigned k = 0; k < LCA_SETS; k++) {
        free(x.set[k].in);
        free(x.set[k].out);
    }
    free(x.now_in);
    free(x.now_out);
    lca_units_clear(&x.units);
    return result;
}

static const struct lca_tool tool = {
    .name = "lca-units",
    .summary = "sum loss changes per neuron and channel",
    .usage = "[OPTION]...",
    .about = "Reads an lca stream and writes, for each step, set and layer, the loss change of each output unit, a "
             "neuron or channel with its weights, bias and batch norm (units), and of the weights at each input unit "
             "(inputs). The units of a layer add up to the layer. At the end the totals. Values are nat; below 0 "
             "helps.\n\nMemory: 24 bytes per unit and set, for any number of steps.",
    .examples = "  lca-units < run.lca | lca-tap --data --kind units_total\n"
                "  lca-units --layers conv1 --every 10 < run.lca | lca-tap --csv --kind units    # channels x steps",
    .opts = opts,
    .max_args = 0,
    .run = run,
};

int main(int argc, char **argv)
{
    return lca_tool_main(&tool, argc, argv);
}
