/* lca-helping: how many parameters helped (Lan et al. 2019, section 4).
 *
 * In: an `lca` stream (train, all classes). Out, per step: `helping` [group][measure],
 * groups: all parameters, then each layer, and where there are biases that a batch norm
 * takes off again (their gradient is rounding), all but those; measures in percent:
 *   p  #{A < 0} / K          q  #{A < 0} / #{A != 0}        z  #{A = 0} / K
 *   w  sum of |A| where A < 0 / sum of |A|
 * At the end `helping_total`, the means over steps (q and w over the steps where they
 * exist), and `helping_histogram` [group][50]: how many parameters helped in which
 * share of the steps. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/tool.h"
#include "filter/filter.h"
#include "lca/helping.h"
#include "nn/shift.h"

static struct lca_filter_args args;
static const struct lca_opt opts[] = {LCA_FILTER_OPTS(args), {0}};

enum { MEASURES = LCA_HELP_MEASURES, BINS = 50 };
static const char all_but[] = "all_but_bn_biases";

struct helping {
    const struct lca_stream *in;
    bool *lost;                     /* [tensor]: a bias before a batch norm */
    uint64_t n_lost;                /* parameters of these */
    unsigned n_group;
    struct lca_helping *count;      /* [group], of this step */
    double *now, *sum;              /* [group][measure], percent */
    uint64_t *steps;                /* [group][measure]: steps that sum has */
    uint32_t *helped;               /* [P]: steps in which each parameter helped */
    uint64_t *bins;                 /* [group][BINS] */
    uint64_t n_step, it;
};

/* Marks the selected tensors that are such biases. */
static int find_lost(struct helping *x, const struct lca_frame *head, struct lca_err *err)
{
    const struct lca_table *t = &x->in->table;
    struct lca_net net = {0};
    bool *lost = NULL;
    int result = -1;
    if (lca_net_parse(&net, head->payload, head->nb, err) < 0) {
        lca_err_prefix(err, "HEAD's network");
        goto out;
    }
    if (!(lost = lca_alloc(net.n_layer, sizeof *lost, err)))
        goto out;
    lca_net_lost_shifts(&net, lost);
    for (unsigned k = 0; k < net.n_layer; k++) {
        for (unsigned b = 0; lost[k] && b < t->n_tensor; b++) {
            if (t->tensor[b].kind != LCA_BIAS || t->tensor[b].off != net.layer[k].off[LCA_BIAS])
                continue;
            x->lost[b] = true;
            x->n_lost += t->tensor[b].len;
        }
    }
    result = 0;
out:
    free(lost);
    lca_net_clear(&net);
    return result;
}

static int start(void *arg, const struct lca_stream *s, struct lca_err *err)
{
    struct helping *x = arg;
    x->in = s;
    x->lost = lca_alloc(s->table.n_tensor, sizeof *x->lost, err);
    if (!x->lost || find_lost(x, s->frame, err) < 0)
        return -1;
    x->n_group = 1 + s->table.n_layer + (x->n_lost > 0);
    x->count = lca_alloc(x->n_group, sizeof *x->count, err);
    x->now = lca_alloc(x->n_group * MEASURES, sizeof *x->now, err);
    x->sum = lca_alloc(x->n_group * MEASURES, sizeof *x->sum, err);
    x->steps = lca_alloc(x->n_group * MEASURES, sizeof *x->steps, err);
    x->helped = lca_alloc(s->P, sizeof *x->helped, err);
    x->bins = lca_alloc(x->n_group * BINS, sizeof *x->bins, err);
    return x->count && x->now && x->sum && x->steps && x->helped && x->bins ? 0 : -1;
}

/* The groups that a tensor belongs to. Returns their number, up to 3. */
static unsigned groups_of(const struct helping *x, unsigned tensor, unsigned group[3])
{
    unsigned n = 0;
    group[n++] = 0;
    group[n++] = 1 + x->in->table.tensor[tensor].layer;
    if (x->n_lost > 0 && !x->lost[tensor])
        group[n++] = x->n_group - 1;
    return n;
}

static json_t *labels(const struct helping *x)
{
    json_t *groups = lca_filter_layer_names(x->in), *keys = json_pack("{s:o}", "group", groups);
    json_array_insert_new(groups, 0, json_string("all"));
    if (x->n_lost > 0)
        json_array_append_new(groups, json_string(all_but));
    return keys;
}

static int put(struct helping *x, struct lca_emit *e, const char *kind, const double *data, json_t *more,
               struct lca_err *err)
{
    struct lca_agg a = {.kind = kind, .it = x->it, .set = "train", .unit = "%", .dt = "<f8", .data = data,
                        .dims = {"group", "measure"}, .shape = {x->n_group, MEASURES}, .n_dims = 2, .keys = labels(x),
                        .more = more};
    json_t *measures = json_array();
    for (int m = 0; m < MEASURES; m++)
        json_array_append_new(measures, json_string(lca_helping_name[m]));
    json_object_set_new(a.keys, "measure", measures);
    return lca_emit_agg(e, &a, err);
}

static int step(void *arg, const struct lca_step *st, struct lca_emit *e, struct lca_err *err)
{
    struct helping *x = arg;
    if (st->cls >= 0 || st->s != 0)
        return 0;
    memset(x->count, 0, x->n_group * sizeof *x->count);
    for (unsigned k = 0; k < x->in->table.n_tensor; k++) {
        const struct lca_tensor *t = &x->in->table.tensor[k];
        struct lca_helping c;
        unsigned group[3], n = groups_of(x, k, group);
        lca_helping_count(&c, st->v + t->off, x->helped + t->off, t->len);
        for (unsigned g = 0; g < n; g++)
            lca_helping_add(&x->count[group[g]], &c);
    }
    for (unsigned g = 0; g < x->n_group; g++)
        lca_helping_measure(x->now + (size_t)g * MEASURES, &x->count[g]);
    for (unsigned k = 0; k < x->n_group * MEASURES; k++) {
        if (isnan(x->now[k]))
            continue;
        x->sum[k] += x->now[k];
        x->steps[k]++;
    }
    x->it = st->it;
    x->n_step++;
    return put(x, e, "helping", x->now, lca_filter_loss(st->lca), err);
}

static void fill_bins(struct helping *x)
{
    for (unsigned k = 0; k < x->in->table.n_tensor; k++) {
        const struct lca_tensor *t = &x->in->table.tensor[k];
        unsigned group[3], n = groups_of(x, k, group);
        for (uint64_t i = t->off; i < t->off + t->len; i++) {
            uint64_t bin = (uint64_t)x->helped[i] * BINS / x->n_step;
            bin = bin < BINS ? bin : BINS - 1;
            for (unsigned g = 0; g < n; g++)
                x->bins[(size_t)group[g] * BINS + bin]++;
        }
    }
}

static int end(void *arg, struct lca_emit *e, struct lca_err *err)
{
    struct helping *x = arg;
    if (x->n_step == 0)
        return 0;
    for (unsigned k = 0; k < x->n_group * MEASURES; k++)
        x->now[k] = x->steps[k] ? x->sum[k] / (double)x->steps[k] : NAN;
    fill_bins(x);
    struct lca_agg a = {.kind = "helping_histogram", .it = x->it, .set = "train", .unit = "parameters", .dt = "<u8",
                        .data = x->bins, .dims = {"group", "share"}, .shape = {x->n_group, BINS}, .n_dims = 2,
                        .keys = labels(x), .more = json_pack("{s:f, s:f}", "from", 0.0, "to", 1.0)};
    if (put(x, e, "helping_total", x->now, NULL, err) < 0) {
        json_decref(a.keys);
        json_decref(a.more);
        return -1;
    }
    return lca_emit_agg(e, &a, err);
}

/* The means of a group, those that exist. */
static void means(const struct helping *x, unsigned group, json_t *to)
{
    static const char *const key[MEASURES] = {"percent_helping_p", "percent_helping_q", "percent_zero",
                                              "percent_helping_weighted"};
    for (unsigned m = 0; m < MEASURES; m++) {
        size_t k = (size_t)group * MEASURES + m;
        if (x->steps && x->steps[k])
            json_object_set_new(to, key[m], json_real(x->sum[k] / (double)x->steps[k]));
    }
}

static json_t *final(void *arg)
{
    struct helping *x = arg;
    json_t *keys = json_object();
    means(x, 0, keys);
    if (x->n_lost > 0) {
        json_t *rest = json_pack("{s:I}", "parameters", (json_int_t)(x->in->K - x->n_lost));
        means(x, x->n_group - 1, rest);
        json_object_set_new(keys, all_but, rest);
    }
    return keys;
}

static int run(int argc, char **argv, struct lca_err *err)
{
    (void)argc, (void)argv;
    static struct helping x;
    struct lca_filter f = {.prog = "lca-helping", .stream = "helping", .self = &x, .start = start, .step = step,
                           .end = end, .final = final};
    int result = lca_filter_run(&f, &args, err);
    free(x.lost);
    free(x.count);
    free(x.now);
    free(x.sum);
    free(x.steps);
    free(x.helped);
    free(x.bins);
    return result;
}

static const struct lca_tool tool = {
    .name = "lca-helping",
    .summary = "count the parameters that helped",
    .usage = "[OPTION]...",
    .about = "Reads an lca stream and writes, for each step, how many percent of the parameters helped: p of all, q of "
             "those that did anything, z that did nothing, w weighted by the size of what they did; for the whole "
             "network, for each layer, and where biases stand before a batch norm, which takes them off again so that "
             "what they do is rounding, for the network without those; and the loss (more: L0, L1, res, fo). At the end the means over steps, and histograms "
             "of the parameters by the share of steps in which each helped.\n\nMemory: 4 bytes per parameter, for any "
             "number of steps.",
    .examples = "  lca-helping < run.lca | lca-tap --kind helping_total",
    .opts = opts,
    .max_args = 0,
    .run = run,
};

int main(int argc, char **argv)
{
    return lca_tool_main(&tool, argc, argv);
}
