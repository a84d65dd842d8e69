/* lca-helping: how many parameters helped (Lan et al. 2019, section 4).
 *
 * In: an `lca` stream (train, all classes). Out, per step: `helping` [group][measure],
 * groups: all parameters, then each layer; measures in percent:
 *   p  #{A < 0} / K          q  #{A < 0} / #{A != 0}        z  #{A = 0} / K
 *   w  sum of |A| where A < 0 / sum of |A|
 * At the end `helping_total`, the means over steps (q and w over the steps where they
 * exist), and `helping_histogram` [50]: how many parameters helped in which share of
 * the steps. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/tool.h"
#include "filter/filter.h"

static struct lca_filter_args args;
static const struct lca_opt opts[] = {LCA_FILTER_OPTS(args), {0}};

enum { P_, Q_, Z_, W_, MEASURES, BINS = 50 };

struct helping {
    const struct lca_stream *in;
    unsigned n_group;
    double *now, *sum;              /* [group][measure], percent */
    uint64_t *steps;                /* [group][measure]: steps that sum has */
    uint32_t *helped;               /* [P]: steps in which each parameter helped */
    uint64_t n_step, it, bins[BINS];
};

static int start(void *arg, const struct lca_stream *s, struct lca_err *err)
{
    struct helping *x = arg;
    x->in = s;
    x->n_group = 1 + s->table.n_layer;
    x->now = lca_alloc(x->n_group * MEASURES, sizeof *x->now, err);
    x->sum = lca_alloc(x->n_group * MEASURES, sizeof *x->sum, err);
    x->steps = lca_alloc(x->n_group * MEASURES, sizeof *x->steps, err);
    x->helped = lca_alloc(s->P, sizeof *x->helped, err);
    return x->now && x->sum && x->steps && x->helped ? 0 : -1;
}

static json_t *labels(const struct helping *x)
{
    json_t *groups = lca_filter_layer_names(x->in);
    json_array_insert_new(groups, 0, json_string("all"));
    return json_pack("{s:o, s:[s, s, s, s]}", "group", groups, "measure", "p", "q", "z", "w");
}

static int put(struct helping *x, struct lca_emit *e, const char *kind, const double *data, struct lca_err *err)
{
    struct lca_agg a = {.kind = kind, .it = x->it, .set = "train", .unit = "%", .dt = "<f8", .data = data,
                        .dims = {"group", "measure"}, .shape = {x->n_group, MEASURES}, .n_dims = 2, .keys = labels(x)};
    return lca_emit_agg(e, &a, err);
}

struct count {
    uint64_t n, negative, zero;
    double helped, all;             /* sums of |A| */
};

static void measure(double m[MEASURES], const struct count *c)
{
    double n = (double)c->n, negative = (double)c->negative, moved = n - (double)c->zero;
    m[P_] = n > 0 ? 100 * negative / n : NAN;
    m[Q_] = moved > 0 ? 100 * negative / moved : NAN;
    m[Z_] = n > 0 ? 100 * (double)c->zero / n : NAN;
    m[W_] = c->all > 0 ? 100 * c->helped / c->all : NAN;
}

static void count(struct count *c, const float *A, uint32_t *helped, uint64_t n)
{
    uint64_t negative = 0, zero = 0;
    double down[4] = {0}, all[4] = {0};
    for (uint64_t i = 0; i < n; i++) {
        bool is = A[i] < 0;
        negative += is;
        zero += A[i] == 0;
        helped[i] += is;
        double size = fabs((double)A[i]);
        all[i % 4] += size;
        down[i % 4] += is ? size : 0;
    }
    c->n += n;
    c->negative += negative;
    c->zero += zero;
    c->helped += (down[0] + down[1]) + (down[2] + down[3]);
    c->all += (all[0] + all[1]) + (all[2] + all[3]);
}

static int step(void *arg, const struct lca_step *st, struct lca_emit *e, struct lca_err *err)
{
    struct helping *x = arg;
    struct count all = {0};
    if (st->kind != LCA_KIND_lca || st->cls >= 0 || strcmp(st->set, "train") != 0)
        return 0;
    for (unsigned l = 0; l < x->in->table.n_layer; l++) {
        const struct lca_group *layer = &x->in->table.layer[l];
        struct count c = {0};
        count(&c, st->v + layer->off, x->helped + layer->off, layer->len);
        measure(x->now + (l + 1) * MEASURES, &c);
        all.n += c.n;
        all.negative += c.negative;
        all.zero += c.zero;
        all.helped += c.helped;
        all.all += c.all;
    }
    measure(x->now, &all);
    for (unsigned k = 0; k < x->n_group * MEASURES; k++) {
        if (isnan(x->now[k]))
            continue;
        x->sum[k] += x->now[k];
        x->steps[k]++;
    }
    x->it = st->it;
    x->n_step++;
    return put(x, e, "helping", x->now, err);
}

static int end(void *arg, struct lca_emit *e, struct lca_err *err)
{
    struct helping *x = arg;
    if (x->n_step == 0)
        return 0;
    for (unsigned k = 0; k < x->n_group * MEASURES; k++)
        x->now[k] = x->steps[k] ? x->sum[k] / (double)x->steps[k] : NAN;
    for (unsigned r = 0; r < x->in->n_range; r++) {
        const uint32_t *helped = x->helped + x->in->range[r].off;
        for (uint64_t i = 0; i < x->in->range[r].len; i++) {
            uint64_t bin = (uint64_t)helped[i] * BINS / x->n_step;
            x->bins[bin < BINS ? bin : BINS - 1]++;
        }
    }
    struct lca_agg a = {.kind = "helping_histogram", .it = x->it, .set = "train", .unit = "parameters", .dt = "<u8",
                        .data = x->bins, .dims = {"share"}, .shape = {BINS}, .n_dims = 1,
                        .more = json_pack("{s:f, s:f}", "from", 0.0, "to", 1.0)};
    return put(x, e, "helping_total", x->now, err) < 0 ? -1 : lca_emit_agg(e, &a, err);
}

static json_t *final(void *arg)
{
    struct helping *x = arg;
    static const char *const key[MEASURES] = {"percent_helping_p", "percent_helping_q", "percent_zero",
                                              "percent_helping_weighted"};
    json_t *keys = json_object();
    for (int m = 0; m < MEASURES; m++)
        if (x->steps && x->steps[m])
            json_object_set_new(keys, key[m], json_real(x->sum[m] / (double)x->steps[m]));
    return keys;
}

static int run(int argc, char **argv, struct lca_err *err)
{
    (void)argc, (void)argv;
    static struct helping x;
    struct lca_filter f = {.prog = "lca-helping", .stream = "helping", .self = &x, .start = start, .step = step,
                           .end = end, .final = final};
    int result = lca_filter_run(&f, &args, err);
    free(x.now);
    free(x.sum);
    free(x.steps);
    free(x.helped);
    return result;
}

static const struct lca_tool tool = {
    .name = "lca-helping",
    .summary = "count the parameters that helped",
    .usage = "[OPTION]...",
    .about = "Reads an lca stream and writes, for each step, how many percent of the parameters helped: p of all, q of "
             "those that did anything, z that did nothing, w weighted by the size of what they did; for the whole "
             "network and for each layer. At the end the means over steps, and a histogram of the parameters by the "
             "share of steps in which each helped.\n\nMemory: 4 bytes per parameter, for any number of steps.",
    .examples = "  lca-helping < run.lca | lca-tap --kind helping_total",
    .opts = opts,
    .max_args = 0,
    .run = run,
};

int main(int argc, char **argv)
{
    return lca_tool_main(&tool, argc, argv);
}
