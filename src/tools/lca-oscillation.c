/* lca-oscillation: how often weights turn and gradients cross zero (Lan et al. 2019,
 * section 5 of the paper: training oscillates), and traces of chosen parameters.
 *
 * In: an `lca` stream with move and grad frames (lca-integrate --emit lca,move,grad).
 * A turn of parameter i at step t is d[t-1,i] d[t,i] < 0, d the movement; a crossing is
 * g[t-1,i] g[t,i] < 0, g the gradient at theta_t of the whole training set. Zeros have
 * no sign and are not bridged, nor are steps that do not follow one another. Out:
 *   oscillation         per step, [group][event]: parameters that turned, that crossed
 *   oscillation_total   [group][measure]: events per parameter in all T steps, and steps
 *                       per event, T / that mean; groups: all parameters, then the
 *                       kernel of each layer
 *   traces              per step, [parameter][measure] of those that --trace names:
 *                       movement since the first step, gradient, A
 *   traces_total        [parameter][measure]: place in the vector, movement, sum of A */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/tool.h"
#include "filter/passes.h"
#include "lca/extremes.h"
#include "lca/turns.h"

enum { MAX_TRACES = 1000 };

static struct {
    struct lca_filter_args filter;
    struct lca_list trace;
    long count;
} opt = {.count = 1};

static const struct lca_opt opts[] = {
    {"trace", 0, LCA_OPT_LIST, &opt.trace, "WHICH", "Also write traces of a parameter; may be given several times. "
     "WHICH is a place in the parameter vector, TENSOR:PLACE in a tensor such as dense1/kernel:17, or "
     "helping:LAYER@A:B or hurting:LAYER@A:B, the one of a layer with the least or greatest sum of A in steps A to B-1 "
     "(without @A:B: in all), for which a recording is read twice.", 0, 0, false},
    {"trace-count", 0, LCA_OPT_INT, &opt.count, "K", "Parameters that each helping: and hurting: stands for (default "
     "1).", 1, MAX_TRACES, false},
    {0},
};
static const struct lca_opt more_opts[] = {LCA_FILTER_OPTS(opt.filter), {0}};

enum { TURN, CROSS, EVENTS };

/* One --trace helping: or hurting:. */
struct extreme {
    bool hurting;
    char layer[LCA_NAME_MAX];
    struct lca_steps_wanted steps;
    unsigned at;                        /* its layer in the table */
    double *sum;                        /* [len of the layer], over the steps */
};

struct oscillation {
    const struct lca_stream *in;
    unsigned n_group, n_extreme, n_trace;
    int8_t *sign[EVENTS];               /* [P]: at the step before */
    uint32_t *count[EVENTS];            /* [P] */
    uint64_t *now;                      /* [group][event] */
    uint64_t before[EVENTS];            /* step of sign */
    uint64_t it, n_step;
    double *table;                      /* [group][measure] */
    struct extreme extreme[32];
    bool named;                         /* traces by place have been added */
    uint64_t trace[MAX_TRACES];         /* places in the parameter vector */
    char name[MAX_TRACES][2 * LCA_NAME_MAX];
    double (*value)[3], (*sum)[3];      /* [trace]: movement, gradient, A of the step; place, movement, sum of A */
};

/* ---- traces: which ---- */

static bool is_extreme(const char *which)
{
    return strncmp(which, "helping:", 8) == 0 || strncmp(which, "hurting:", 8) == 0;
}

static int add_extreme(struct oscillation *x, const char *which, struct lca_err *err)
{
    struct extreme *e = &x->extreme[x->n_extreme++];
    const char *layer = which + 8, *at = strrchr(layer, '@');
    struct lca_select_args window = {.steps = at ? at + 1 : NULL};
    size_t n = at ? (size_t)(at - layer) : strlen(layer);
    e->hurting = which[1] == 'u';
    if (n >= sizeof e->layer)
        return lca_fail(err, LCA_USAGE, "--trace %s: the layer's name is too long", which);
    memcpy(e->layer, layer, n);
    e->layer[n] = 0;
    return lca_select_steps(&e->steps, &window, err) < 0 ? lca_err_prefix(err, "--trace %s", which) : 0;
}

static int add_trace(struct oscillation *x, uint64_t i, struct lca_err *err)
{
    const struct lca_table *t = &x->in->table;
    const struct lca_tensor *tensor = NULL;
    for (unsigned k = 0; k < t->n_tensor && !tensor; k++)
        if (i >= t->tensor[k].off && i - t->tensor[k].off < t->tensor[k].len)
            tensor = &t->tensor[k];
    if (!tensor)
        return lca_fail(err, LCA_USAGE, "--trace %" PRIu64 ": there is no such parameter%s", i,
                        i < x->in->P ? " among --layers" : "");
    if (x->n_trace == MAX_TRACES)
        return lca_fail(err, LCA_USAGE, "--trace: more than %d parameters", MAX_TRACES);
    snprintf(x->name[x->n_trace], sizeof *x->name, "%s:%" PRIu64, tensor->name, i - tensor->off);
    x->trace[x->n_trace++] = i;
    return 0;
}

/* --trace I or TENSOR:I. */
static int add_named(struct oscillation *x, const char *which, struct lca_err *err)
{
    const char *colon = strrchr(which, ':'), *number = colon ? colon + 1 : which;
    char *end;
    uint64_t i = strtoull(number, &end, 10);
    if (*end || *number < '0' || *number > '9')
        return lca_fail(err, LCA_USAGE, "--trace takes PLACE, TENSOR:PLACE, helping:LAYER@A:B or hurting:LAYER@A:B, "
                        "not '%s'", which);
    if (!colon)
        return add_trace(x, i, err);
    for (unsigned k = 0; k < x->in->table.n_tensor; k++) {
        const struct lca_tensor *t = &x->in->table.tensor[k];
        if (strlen(t->name) != (size_t)(colon - which) || strncmp(t->name, which, (size_t)(colon - which)) != 0)
            continue;
        if (i >= t->len)
            return lca_fail(err, LCA_USAGE, "--trace %s: the tensor has %" PRIu64 " parameters", which, t->len);
        return add_trace(x, t->off + i, err);
    }
    return lca_fail(err, LCA_USAGE, "--trace %s: there is no such tensor; lca-net NAME lists them", which);
}

/* Those that need no search: in the first pass there is. */
static int add_all_named(struct oscillation *x, struct lca_err *err)
{
    for (int k = 0; k < opt.trace.n && !x->named; k++)
        if (!is_extreme(opt.trace.item[k]) && add_named(x, opt.trace.item[k], err) < 0)
            return -1;
    x->named = true;
    return 0;
}

/* ---- traces: the first of two passes, which finds the extremes ---- */

static int start_extremes(void *arg, const struct lca_stream *s, struct lca_err *err)
{
    struct oscillation *x = arg;
    x->in = s;
    if (add_all_named(x, err) < 0)
        return -1;
    for (unsigned k = 0; k < x->n_extreme; k++) {
        int at = lca_table_find(&s->table, x->extreme[k].layer);
        if (at < 0)
            return lca_fail(err, LCA_USAGE, "--trace: there is no layer '%s'%s", x->extreme[k].layer,
                            opt.filter.select.layers ? " among --layers" : "");
        x->extreme[k].at = (unsigned)at;
        x->extreme[k].sum = lca_alloc(s->table.layer[at].len, sizeof (double), err);
        if (!x->extreme[k].sum)
            return -1;
    }
    return 0;
}

static int step_extremes(void *arg, const struct lca_step *st, struct lca_emit *emit, struct lca_err *err)
{
    struct oscillation *x = arg;
    (void)emit, (void)err;
    for (unsigned k = 0; k < x->n_extreme && st->cls < 0 && st->s == 0; k++) {
        struct extreme *e = &x->extreme[k];
        const struct lca_group *layer = &x->in->table.layer[e->at];
        if (st->it >= e->steps.from && st->it < e->steps.to)
            for (uint64_t i = 0; i < layer->len; i++)
                e->sum[i] += st->v[layer->off + i];
    }
    return 0;
}

static int end_extremes(void *arg, struct lca_emit *emit, struct lca_err *err)
{
    struct oscillation *x = arg;
    (void)emit;
    for (unsigned k = 0; k < x->n_extreme; k++) {
        struct extreme *e = &x->extreme[k];
        const struct lca_group *layer = &x->in->table.layer[e->at];
        uint64_t place[MAX_TRACES], n = (uint64_t)opt.count < layer->len ? (uint64_t)opt.count : layer->len;
        lca_extremes(e->sum, layer->len, e->hurting ? -1 : 1, place, n);
        for (uint64_t i = 0; i < n; i++)
            if (add_trace(x, layer->off + place[i], err) < 0)
                return -1;
    }
    return 0;
}

/* ---- the pass that counts ---- */

static int start(void *arg, const struct lca_stream *s, struct lca_err *err)
{
    struct oscillation *x = arg;
    x->in = s;
    x->n_group = 1 + s->table.n_layer;
    if (add_all_named(x, err) < 0)
        return -1;
    x->now = lca_alloc(x->n_group * EVENTS, sizeof *x->now, err);
    x->table = lca_alloc(x->n_group * 2 * EVENTS, sizeof *x->table, err);
    x->value = lca_alloc(x->n_trace + 1, sizeof *x->value, err);
    x->sum = lca_alloc(x->n_trace + 1, sizeof *x->sum, err);
    for (int k = 0; k < EVENTS; k++) {
        x->sign[k] = lca_alloc(s->P, sizeof **x->sign, err);
        x->count[k] = lca_alloc(s->P, sizeof **x->count, err);
    }
    for (unsigned k = 0; x->sum && k < x->n_trace; k++)
        x->sum[k][0] = (double)x->trace[k];
    return x->now && x->table && x->value && x->sum && x->sign[0] && x->sign[1] && x->count[0] && x->count[1] ? 0 : -1;
}

static void count_events(struct oscillation *x, int event, const struct lca_step *st)
{
    if (st->it != x->before[event] + 1)
        memset(x->sign[event], 0, x->in->P);
    x->before[event] = st->it;
    for (unsigned k = 0; k < x->in->table.n_tensor; k++) {
        const struct lca_tensor *t = &x->in->table.tensor[k];
        uint64_t n = lca_turns(x->count[event] + t->off, x->sign[event] + t->off, st->v + t->off, t->len);
        x->now[event] += n;
        if (t->kind == LCA_KERNEL)
            x->now[(1 + t->layer) * EVENTS + (unsigned)event] = n;
    }
}

static int put_step(struct oscillation *x, struct lca_emit *e, struct lca_err *err)
{
    struct lca_agg a = {.kind = "oscillation", .it = x->it, .set = "train", .unit = "parameters", .dt = "<u8",
                        .data = x->now, .dims = {"group", "event"}, .shape = {x->n_group, EVENTS}, .n_dims = 2,
                        .keys = json_pack("{s:o, s:[s, s]}", "group", lca_filter_group_names(x->in), "event", "turns",
                                          "crossings")};
    int result = lca_emit_agg(e, &a, err);
    memset(x->now, 0, x->n_group * EVENTS * sizeof *x->now);
    return result;
}

static int put_traces(struct oscillation *x, struct lca_emit *e, bool total, struct lca_err *err)
{
    json_t *names = json_array();
    for (unsigned k = 0; k < x->n_trace; k++)
        json_array_append_new(names, json_string(x->name[k]));
    struct lca_agg a = {.kind = total ? "traces_total" : "traces", .it = x->it, .set = "train", .dt = "<f8",
                        .data = total ? x->sum : x->value, .dims = {"parameter", "measure"}, .shape = {x->n_trace, 3},
                        .n_dims = 2, .window = total,
                        .keys = json_pack("{s:o, s:[s, s, s]}", "parameter", names, "measure",
                                          total ? "place" : "movement", total ? "movement" : "gradient", "A")};
    return x->n_trace ? lca_emit_agg(e, &a, err) : (json_decref(a.keys), 0);
}

/* Frames of a step come in the order lca, move, grad. */
static int step(void *arg, const struct lca_step *st, struct lca_emit *e, struct lca_err *err)
{
    struct oscillation *x = arg;
    if (st->cls >= 0 || st->s > 0)
        return 0;
    for (unsigned k = 0; k < x->n_trace; k++) {
        double v = st->v[x->trace[k]];
        if (st->kind == LCA_KIND_move)
            x->value[k][0] = x->sum[k][1] += v;
        else if (st->kind == LCA_KIND_grad)
            x->value[k][1] = v;
        else
            x->sum[k][2] += x->value[k][2] = v;
    }
    x->it = st->it;
    if (st->kind == LCA_KIND_move)
        count_events(x, TURN, st);
    if (st->kind != LCA_KIND_grad)
        return 0;
    count_events(x, CROSS, st);
    x->n_step++;
    return put_step(x, e, err) < 0 ? -1 : put_traces(x, e, false, err);
}

/* Steps per event: of T steps, some number of events per parameter. */
static void measure(double *row, double T, const double sum[EVENTS], double n)
{
    for (int event = 0; event < EVENTS; event++) {
        row[event] = n > 0 ? sum[event] / n : NAN;
        row[EVENTS + event] = sum[event] > 0 ? T / row[event] : NAN;
    }
}

static int end(void *arg, struct lca_emit *e, struct lca_err *err)
{
    struct oscillation *x = arg;
    double all[EVENTS] = {0}, T = (double)x->n_step;
    if (x->n_step == 0)
        return 0;
    for (unsigned k = 0; k < x->in->table.n_tensor; k++) {
        const struct lca_tensor *t = &x->in->table.tensor[k];
        double sum[EVENTS] = {0};
        for (int event = 0; event < EVENTS; event++) {
            for (uint64_t i = 0; i < t->len; i++)
                sum[event] += x->count[event][t->off + i];
            all[event] += sum[event];
        }
        if (t->kind == LCA_KERNEL)
            measure(x->table + (1 + t->layer) * 2 * EVENTS, T, sum, (double)t->len);
    }
    measure(x->table, T, all, (double)x->in->K);
    struct lca_agg a = {.kind = "oscillation_total", .it = x->it, .set = "train", .dt = "<f8", .data = x->table,
                        .dims = {"group", "measure"}, .shape = {x->n_group, 2 * EVENTS}, .n_dims = 2, .window = true,
                        .keys = json_pack("{s:o, s:[s, s, s, s]}", "group", lca_filter_group_names(x->in), "measure",
                                          "turns", "crossings", "steps_per_turn", "steps_per_crossing"),
                        .more = json_pack("{s:f}", "steps", T)};
    return lca_emit_agg(e, &a, err) < 0 ? -1 : put_traces(x, e, true, err);
}

static json_t *final(void *arg)
{
    struct oscillation *x = arg;
    json_t *keys = json_object();
    if (x->n_step > 0) {
        lca_filter_number(keys, "steps_per_turn", x->table[EVENTS + TURN]);
        lca_filter_number(keys, "steps_per_crossing", x->table[EVENTS + CROSS]);
    }
    return json_pack("{s:o}", "oscillation", keys);
}

static int run(int argc, char **argv, struct lca_err *err)
{
    (void)argc, (void)argv;
    static struct oscillation x;
    unsigned kinds = LCA_TAKES(lca) | LCA_TAKES(move) | LCA_TAKES(grad);
    struct lca_filter pass[] = {
        {.prog = "lca-oscillation", .self = &x, .start = start_extremes, .step = step_extremes, .end = end_extremes},
        {.prog = "lca-oscillation", .self = &x, .start = start, .step = step, .end = end, .final = final,
         .stream = "oscillation", .takes = kinds, .needs = kinds},
    };
    for (int k = 0; k < opt.trace.n; k++)
        if (is_extreme(opt.trace.item[k]) && add_extreme(&x, opt.trace.item[k], err) < 0)
            return -1;
    int result;
    if (x.n_extreme == 0)
        result = lca_filter_run(&pass[1], &opt.filter, err);
    else
        result = lca_filter_passes(pass, 2, "--trace helping: and hurting:", "twice", &opt.filter, err);
    for (unsigned k = 0; k < x.n_extreme; k++)
        free(x.extreme[k].sum);
    for (int k = 0; k < EVENTS; k++) {
        free(x.sign[k]);
        free(x.count[k]);
    }
    free(x.now);
    free(x.table);
    free(x.value);
    free(x.sum);
    return result;
}

static const struct lca_tool tool = {
    .name = "lca-oscillation",
    .summary = "count weight turns and gradient crossings",
    .usage = "[OPTION]...",
    .about = "Reads an lca stream that has move and grad frames (lca-integrate --emit lca,move,grad) and counts how "
             "often each weight turns, its movement of one step having the opposite sign of the step before, and how often "
             "the gradient of the whole training set at whole steps changes its sign. A zero is no sign and is not "
             "bridged. Per step (oscillation): how many parameters did, of all and of each layer's kernel. At the end "
             "(oscillation_total): events per parameter, those that never moved included, and steps per event.\n\n"
             "With --trace also movement since the first step, gradient and A of chosen parameters (traces, "
             "traces_total).\n\nMemory: 10 bytes per parameter, for any number of steps.",
    .examples = "  lca-oscillation < run.lca | lca-tap --kind oscillation_total\n"
                "  lca-oscillation --in run.lca --trace hurting:dense3@50:200 | lca-tap --kind traces --csv",
    .opts = opts,
    .more = more_opts,
    .max_args = 0,
    .run = run,
};

int main(int argc, char **argv)
{
    return lca_tool_main(&tool, argc, argv);
}
