/* lca-params: curves of single parameters, and the parameters of one neuron as an image
 * (Lan et al. 2019, sections 4 and 5, and supplement).
 *
 * In: an `lca` stream (train, all classes). Out, of each layer, one layer a frame:
 *   params_chosen  [layer][group][rank]  which: the k most helping and most hurting over
 *                                        all steps, and k drawn at random; places in the
 *                                        parameter vector
 *   params         [layer][group][rank]  their cumulative A after each step, nat
 *   params_total   [layer][group][rank]  the same after the last step
 * and for each --neuron
 *   neuron_total   [layer][row][column][channel]  sum of A of its weights over all steps,
 *                                                 in the shape of its input, nat
 *
 * Who helped most is known at the end. With --two-pass a recording is read twice, once
 * for the totals and once for the curves. Otherwise the cumulative sums of all
 * parameters are kept at as many steps as --memory holds; when it is full, every
 * second of them is dropped, and from then on half as many are kept. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/log.h"
#include "base/tool.h"
#include "filter/passes.h"
#include "lca/extremes.h"
#include "nn/net.h"

static struct {
    long count, seed, memory;
    bool two_pass;
    struct lca_list neuron;
    struct lca_filter_args filter;
} opt = {.count = 50, .seed = 1, .memory = 1024};

static const struct lca_opt opts[] = {
    {"count", 'k', LCA_OPT_INT, &opt.count, "K", "Parameters of each layer: K most helping, K most hurting, K at "
     "random (default 50).", 1, 100000, false},
    {"seed", 0, LCA_OPT_INT, &opt.seed, "N", "Seed of the random choice (default 1).", 0, 4294967295.0, false},
    {"neuron", 0, LCA_OPT_LIST, &opt.neuron, "LAYER:UNIT", "Also the weights of this neuron or channel, as an image; "
     "may be given several times.", 0, 0, false},
    {"two-pass", 0, LCA_OPT_FLAG, &opt.two_pass, NULL, "Read the recording --in FILE twice instead of keeping sums: "
     "exact at every step, 8 bytes per parameter.", 0, 0, false},
    {"memory", 0, LCA_OPT_INT, &opt.memory, "MIB", "In one pass, keep cumulative sums in so much memory; where not all "
     "steps fit, the curves have fewer points (default 1024).", 1, 1 << 24, false},
    LCA_FILTER_OPTS(opt.filter),
    {0},
};

enum group { HELPING, HURTING, RANDOM, GROUPS };
static const char *const group_name[GROUPS] = {"helping", "hurting", "random"};

struct neuron {
    unsigned layer;                     /* place in the table */
    uint32_t unit;
    uint64_t shape[3];                  /* of its input: rows, columns, channels */
};

struct chosen {
    uint64_t n;                         /* of each group: k, or all that the layer has */
    uint64_t *place;                    /* [GROUPS][n], in the parameter vector */
    double *value;                      /* [GROUPS][n], cumulative A */
};

struct params {
    struct lca_filter *filter;
    const struct lca_stream *in;
    double *total;                      /* [P], since the first step */
    uint64_t it, steps;
    struct chosen *layer;               /* [n_layer] */
    struct neuron neuron[sizeof opt.neuron.item / sizeof *opt.neuron.item];
    bool following;                     /* the second pass */
    uint64_t last_it;                   /* what the first pass ended with */
    unsigned n_layer;

    /* the one pass's memory */
    struct kept {
        uint64_t it;
        double *sum;                    /* [K], the selected parameters in order */
    } *kept;
    uint64_t n_kept, room, shown, stride;   /* kept: shown steps 0, stride, 2 stride ... */
};

/* ---- start ---- */

static int parse_neuron(struct params *x, const struct lca_net *net, const char *text, struct neuron *n,
                        struct lca_err *err)
{
    const char *colon = strrchr(text, ':');
    char name[LCA_NAME_MAX], *end = NULL;
    unsigned long unit = 0;
    if (colon && colon[1] >= '0' && colon[1] <= '9')
        unit = strtoul(colon + 1, &end, 10);
    if (!end || *end || (size_t)(colon - text) >= sizeof name)
        return lca_fail(err, LCA_USAGE, "--neuron takes LAYER:UNIT, such as dense1:7, not '%s'", text);
    snprintf(name, sizeof name, "%.*s", (int)(colon - text), text);
    int layer = lca_table_find(&x->in->table, name);
    if (layer < 0)
        return lca_fail(err, LCA_USAGE, "--neuron %s: there is no layer %s%s", text, name,
                        opt.filter.select.layers ? " among the selected" : "");
    const struct lca_tensor *kernel = &x->in->table.tensor[x->in->table.layer[layer].first];
    if (kernel->kind != LCA_KERNEL || kernel->n_shape < 2)
        return lca_fail(err, LCA_USAGE, "--neuron %s: %s has no kernel", text, name);
    if (unit >= kernel->shape[kernel->n_shape - 1])
        return lca_fail(err, LCA_USAGE, "--neuron %s: %s has units 0 to %u", text, name,
                        kernel->shape[kernel->n_shape - 1] - 1);
    *n = (struct neuron){.layer = (unsigned)layer, .unit = (uint32_t)unit};
    if (kernel->n_shape == 4) {
        for (int d = 0; d < 3; d++)
            n->shape[d] = kernel->shape[d];
        return 0;
    }
    /* a dense layer's inputs are the image, or what comes out of the layer before,
     * which flatten and layers that keep the shape hand on */
    int at = -1;
    for (unsigned k = 0; k < net->n_layer; k++)
        if (strcmp(net->layer[k].name, name) == 0)
            at = net->layer[k].from;
    while (at >= 0 && (net->layer[at].g.type == LCA_FLATTEN || net->layer[at].g.type == LCA_RELU ||
                       net->layer[at].g.type == LCA_DROPOUT || net->layer[at].g.type == LCA_BATCHNORM))
        at = net->layer[at].from;
    struct lca_shape s = at < 0 ? net->input : net->layer[at].g.out;
    if (lca_shape_size(s) != kernel->shape[0])
        s = (struct lca_shape){1, 1, kernel->shape[0]};
    n->shape[0] = s.h;
    n->shape[1] = s.w;
    n->shape[2] = s.c;
    return 0;
}

static int parse_neurons(struct params *x, struct lca_err *err)
{
    struct lca_net net = {0};
    int result = 0;
    if (opt.neuron.n == 0)
        return 0;
    if (lca_net_parse(&net, x->in->frame->payload, x->in->frame->nb, err) < 0)
        return lca_err_prefix(err, "HEAD's network");
    for (int k = 0; k < opt.neuron.n && result == 0; k++)
        result = parse_neuron(x, &net, opt.neuron.item[k], &x->neuron[k], err);
    lca_net_clear(&net);
    return result;
}

static int start_keeping(struct params *x, struct lca_err *err)
{
    x->stride = 1;
    x->room = ((uint64_t)opt.memory << 20) / (x->in->K * sizeof (double));
    if (x->room < 2)
        return lca_fail(err, LCA_USAGE, "--memory %ld does not hold two steps of %" PRIu64 " parameters: give more, "
                        "fewer --layers, or a recording and --two-pass", opt.memory, x->in->K);
    /* no more rows than steps, as far as the stream says how many */
    json_int_t it1 = json_integer_value(x->in->head->it1);
    uint64_t most = it1 > 0 ? (uint64_t)it1 - x->in->it0 + 1 : 1 << 20;
    if (x->room > most)
        x->room = most > 2 ? most : 2;
    x->kept = lca_alloc(x->room, sizeof *x->kept, err);
    return x->kept ? 0 : -1;
}

static int start(void *arg, const struct lca_stream *s, struct lca_err *err)
{
    struct params *x = arg;
    x->in = s;
    x->n_layer = s->table.n_layer;
    if (x->total) {
        x->following = true;
        x->last_it = x->it;
        x->steps = 0;
    } else {
        x->total = lca_alloc(s->P, sizeof *x->total, err);
        x->layer = lca_alloc(x->n_layer, sizeof *x->layer, err);
        if (!x->total || !x->layer || parse_neurons(x, err) < 0 || (!opt.two_pass && start_keeping(x, err) < 0))
            return -1;
    }
    for (unsigned l = 0; l < x->n_layer; l++) {
        struct chosen *c = &x->layer[l];
        uint64_t bytes;
        c->n = s->table.layer[l].len < (uint64_t)opt.count ? s->table.layer[l].len : (uint64_t)opt.count;
        bytes = GROUPS * c->n * sizeof *c->value;
        if (x->filter->payload < bytes)
            x->filter->payload = bytes;
    }
    for (int k = 0; k < opt.neuron.n; k++) {
        const uint64_t *sh = x->neuron[k].shape;
        if (x->filter->payload < sh[0] * sh[1] * sh[2] * sizeof (double))
            x->filter->payload = sh[0] * sh[1] * sh[2] * sizeof (double);
    }
    return 0;
}

/* ---- choosing, and what is written ---- */

static int choose(struct params *x, struct lca_err *err)
{
    for (unsigned l = 0; l < x->n_layer; l++) {
        struct chosen *c = &x->layer[l];
        const struct lca_group *g = &x->in->table.layer[l];
        struct lca_rng r = {(uint32_t)opt.seed, LCA_RNG_CHOICE, g->off};
        c->place = lca_alloc(GROUPS * c->n, sizeof *c->place, err);
        c->value = lca_alloc(GROUPS * c->n, sizeof *c->value, err);
        if (!c->place || !c->value)
            return -1;
        lca_extremes(x->total + g->off, g->len, 1, c->place + HELPING * c->n, c->n);
        lca_extremes(x->total + g->off, g->len, -1, c->place + HURTING * c->n, c->n);
        lca_sample(&r, g->len, c->place + RANDOM * c->n, c->n);
        for (uint64_t k = 0; k < GROUPS * c->n; k++)
            c->place[k] += g->off;
    }
    return 0;
}

static int put(const struct params *x, struct lca_emit *e, const char *kind, uint64_t it, bool places,
               struct lca_err *err)
{
    for (unsigned l = 0; l < x->n_layer; l++) {
        const struct chosen *c = &x->layer[l];
        struct lca_agg a = {.kind = kind, .it = it, .set = "train", .unit = places ? "place" : "nat",
                            .dt = places ? "<u8" : "<f8", .data = places ? (void *)c->place : (void *)c->value,
                            .dims = {"layer", "group", "rank"}, .shape = {1, GROUPS, c->n}, .n_dims = 3,
                            .window = places};
        a.keys = json_pack("{s:[s], s:[s, s, s]}", "layer", x->in->table.layer[l].name, "group", group_name[HELPING],
                           group_name[HURTING], group_name[RANDOM]);
        if (lca_emit_agg(e, &a, err) < 0)
            return -1;
    }
    return 0;
}

static int put_neuron(const struct params *x, struct lca_emit *e, const struct neuron *n, struct lca_err *err)
{
    const struct lca_group *g = &x->in->table.layer[n->layer];
    const struct lca_tensor *kernel = &x->in->table.tensor[g->first];
    uint64_t n_out = kernel->shape[kernel->n_shape - 1], size = kernel->len / n_out;
    json_t *more = json_pack("{s:I}", "unit", (json_int_t)n->unit);
    double *image = lca_alloc(size, sizeof *image, err);
    if (!image) {
        json_decref(more);
        return -1;
    }
    for (uint64_t i = 0; i < size; i++)
        image[i] = x->total[kernel->off + i * n_out + n->unit];
    for (unsigned k = g->first + 1; k < g->first + g->n; k++) {
        const struct lca_tensor *t = &x->in->table.tensor[k];
        if (t->len == n_out)
            json_object_set_new(more, lca_kind_of_name[t->kind], json_real(x->total[t->off + n->unit]));
    }
    struct lca_agg a = {.kind = "neuron_total", .it = x->it, .set = "train", .unit = "nat", .dt = "<f8", .data = image,
                        .dims = {"layer", "row", "column", "channel"},
                        .shape = {1, n->shape[0], n->shape[1], n->shape[2]}, .n_dims = 4, .more = more,
                        .keys = json_pack("{s:[s]}", "layer", g->name)};
    int result = lca_emit_agg(e, &a, err);
    free(image);
    return result;
}

/* ---- steps ---- */

static void add(double *total, const struct lca_stream *s, const float *v)
{
    for (unsigned r = 0; r < s->n_range; r++) {
        double *to = total + s->range[r].off;
        const float *from = v + s->range[r].off;
        for (uint64_t i = 0; i < s->range[r].len; i++)
            to[i] += from[i];
    }
}

/* Where a selected parameter stands among them. */
static uint64_t place_in_kept(const struct lca_stream *s, uint64_t i)
{
    uint64_t before = 0;
    unsigned r = 0;
    for (; i >= s->range[r].off + s->range[r].len; r++)
        before += s->range[r].len;
    return before + i - s->range[r].off;
}

static int keep(struct params *x, struct lca_err *err)
{
    if (x->shown++ % x->stride != 0)
        return 0;
    if (x->n_kept == x->room) {
        /* every second one goes; their memory is used again */
        for (uint64_t k = 0; 2 * k < x->room; k++) {
            struct kept spare = x->kept[k];
            x->kept[k] = x->kept[2 * k];
            x->kept[2 * k] = spare;
        }
        x->n_kept = (x->room + 1) / 2;
        if (x->stride == 1)
            lca_note("--memory %ld is full: the curves will have fewer points", opt.memory);
        x->stride *= 2;
        if ((x->shown - 1) % x->stride != 0)
            return 0;
    }
    struct kept *row = &x->kept[x->n_kept];
    if (!row->sum && !(row->sum = lca_alloc(x->in->K, sizeof *row->sum, err)))
        return -1;
    x->n_kept++;
    row->it = x->it;
    double *to = row->sum;
    for (unsigned r = 0; r < x->in->n_range; r++) {
        memcpy(to, x->total + x->in->range[r].off, x->in->range[r].len * sizeof *to);
        to += x->in->range[r].len;
    }
    return 0;
}

static int first_pass(void *arg, const struct lca_step *st, struct lca_emit *e, struct lca_err *err)
{
    struct params *x = arg;
    (void)e;
    if (st->cls >= 0 || st->s != 0)
        return 0;
    x->it = st->it;
    x->steps++;
    add(x->total, x->in, st->v);
    return st->shown && !opt.two_pass ? keep(x, err) : 0;
}

static int second_pass(void *arg, const struct lca_step *st, struct lca_emit *e, struct lca_err *err)
{
    struct params *x = arg;
    if (st->cls >= 0 || st->s != 0)
        return 0;
    if (x->steps++ == 0 && (choose(x, err) < 0 || put(x, e, "params_chosen", x->last_it, true, err) < 0))
        return -1;
    x->it = st->it;
    for (unsigned l = 0; l < x->n_layer; l++)
        for (uint64_t k = 0; k < GROUPS * x->layer[l].n; k++)
            x->layer[l].value[k] += st->v[x->layer[l].place[k]];
    return put(x, e, "params", st->it, false, err);
}

static int put_kept(struct params *x, struct lca_emit *e, struct lca_err *err)
{
    if (choose(x, err) < 0 || put(x, e, "params_chosen", x->it, true, err) < 0)
        return -1;
    for (uint64_t row = 0; row < x->n_kept; row++) {
        for (unsigned l = 0; l < x->n_layer; l++)
            for (uint64_t k = 0; k < GROUPS * x->layer[l].n; k++)
                x->layer[l].value[k] = x->kept[row].sum[place_in_kept(x->in, x->layer[l].place[k])];
        if (put(x, e, "params", x->kept[row].it, false, err) < 0)
            return -1;
    }
    for (unsigned l = 0; l < x->n_layer; l++)
        for (uint64_t k = 0; k < GROUPS * x->layer[l].n; k++)
            x->layer[l].value[k] = x->total[x->layer[l].place[k]];
    return 0;
}

static int end(void *arg, struct lca_emit *e, struct lca_err *err)
{
    struct params *x = arg;
    if (x->steps == 0)
        return 0;
    if (!x->following && put_kept(x, e, err) < 0)
        return -1;
    if (put(x, e, "params_total", x->it, false, err) < 0)
        return -1;
    for (int k = 0; k < opt.neuron.n; k++)
        if (put_neuron(x, e, &x->neuron[k], err) < 0)
            return -1;
    return 0;
}

static json_t *final(void *arg)
{
    struct params *x = arg;
    json_t *layers = json_array();
    if (x->steps == 0) {
        json_decref(layers);
        return NULL;
    }
    for (unsigned l = 0; l < x->n_layer; l++) {
        const struct chosen *c = &x->layer[l];
        json_t *layer = json_pack("{s:s, s:I}", "name", x->in->table.layer[l].name, "count", (json_int_t)c->n);
        for (unsigned g = 0; g < GROUPS; g++) {
            double sum = 0;
            for (uint64_t k = 0; k < c->n; k++)
                sum += c->value[g * c->n + k];
            json_object_set_new(layer, group_name[g], json_real(sum));
        }
        json_array_append_new(layers, layer);
    }
    return json_pack("{s:o}", "params", layers);
}

/* ---- running ---- */

static json_t *args(void)
{
    json_t *a = json_pack("{s:I, s:I}", "count", (json_int_t)opt.count, "seed", (json_int_t)opt.seed);
    char neurons[sizeof opt.neuron.item / sizeof *opt.neuron.item * 64] = "";
    for (int k = 0; k < opt.neuron.n; k++) {
        size_t n = strlen(neurons);
        snprintf(neurons + n, sizeof neurons - n, "%s%s", n ? "," : "", opt.neuron.item[k]);
    }
    if (*neurons)
        json_object_set_new(a, "neuron", json_string(neurons));
    if (!opt.two_pass)
        json_object_set_new(a, "memory", json_integer(opt.memory));
    return a;
}

static int run_passes(struct params *x, struct lca_err *err)
{
    struct lca_filter pass[] = {
        {.prog = "lca-params", .self = x, .start = start, .step = first_pass},
        {.prog = "lca-params", .self = x, .start = start, .step = opt.two_pass ? second_pass : first_pass, .end = end,
         .final = final, .stream = "params", .args = args()},
    };
    x->filter = &pass[1];
    return opt.two_pass ? lca_filter_passes(pass, 2, "lca-params --two-pass", "twice", &opt.filter, err)
                        : lca_filter_run(&pass[1], &opt.filter, err);
}

static int run(int argc, char **argv, struct lca_err *err)
{
    (void)argc, (void)argv;
    static struct params x;
    int result = run_passes(&x, err);
    for (unsigned l = 0; x.layer && l < x.n_layer; l++) {
        free(x.layer[l].place);
        free(x.layer[l].value);
    }
    for (uint64_t k = 0; x.kept && k < x.room; k++)
        free(x.kept[k].sum);
    free(x.kept);
    free(x.layer);
    free(x.total);
    return result;
}

static const struct lca_tool tool = {
    .name = "lca-params",
    .summary = "curves of the parameters that helped and hurt most",
    .usage = "[OPTION]...",
    .about = "Reads an lca stream and writes, for each layer, the cumulative loss change of its K most helping and K "
             "most hurting parameters and of K drawn at random (params, after each step), which parameters these are "
             "(params_chosen), and their sums (params_total); and for each --neuron the sums of its weights in the "
             "shape of its input (neuron_total): the image of what the neuron learned, for a layer that reads the "
             "image.\n\nWho helped most is known at the end. In one pass the cumulative sums of all selected "
             "parameters are kept, 8 bytes each and step; where --memory is too small for all steps (or those of "
             "--every), every second one is dropped, so that the curves have fewer points and each point is exact. "
             "With --two-pass a recording is read twice instead, and memory is 8 bytes per parameter. Both write the "
             "same frames where memory suffices.",
    .examples = "  lca-params --two-pass --in run.lca -k 10 | lca-tap --data --kind params\n"
                "  lca-params --every 100 --in ipc:lca | lca-tap --json > params.jsonl\n"
                "  lca-params --neuron dense1:7 < run.lca | lca-tap --data --kind neuron_total",
    .opts = opts,
    .max_args = 0,
    .run = run,
};

int main(int argc, char **argv)
{
    return lca_tool_main(&tool, argc, argv);
}
