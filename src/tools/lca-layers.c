/* lca-layers: loss change per layer and per tensor (Lan et al. 2019, section 5).
 *
 * In: an `lca` stream. Out, per step and set: `layers` [layer], `tensors` [tensor] and
 * `cumulative` [layer] since the first step; with frames by class also `class_layers`
 * [class][layer]. At the end the same as *_total. A layer is a kernel with the bias
 * and the batch norm that belong to it; all values are nat and add up to the change
 * of the set's mean loss. */
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/tool.h"
#include "filter/filter.h"
#include "lca/sums.h"

static struct lca_filter_args args;
static const struct lca_opt opts[] = {LCA_FILTER_OPTS(args), {0}};

struct sums {
    double *tensor, *layer;             /* of this step */
    double *tensors, *layers;           /* since the first step */
    double *classes, *classes_total;    /* [class][layer] */
    double *least;                      /* [layer]: of its cumulative curve, which begins at 0 */
    uint64_t *argmin;                   /* [layer]: steps after which the curve was least */
    uint64_t steps;
};

struct layers {
    const struct lca_stream *in;
    struct sums set[LCA_SETS];
    unsigned n_layer, n_tensor;
    uint64_t it;
    bool by_class;
};

static int start(void *arg, const struct lca_stream *s, struct lca_err *err)
{
    struct layers *x = arg;
    x->in = s;
    x->n_layer = s->table.n_layer;
    x->n_tensor = s->table.n_tensor;
    x->by_class = s->head->bycls;
    size_t by_class = x->by_class ? (size_t)s->n_classes * x->n_layer : 0;
    for (unsigned k = 0; k < s->n_set; k++) {
        struct sums *a = &x->set[k];
        a->tensor = lca_alloc(x->n_tensor, sizeof *a->tensor, err);
        a->layer = lca_alloc(x->n_layer, sizeof *a->layer, err);
        a->tensors = lca_alloc(x->n_tensor, sizeof *a->tensors, err);
        a->layers = lca_alloc(x->n_layer, sizeof *a->layers, err);
        a->classes = lca_alloc(by_class, sizeof *a->classes, err);
        a->classes_total = lca_alloc(by_class, sizeof *a->classes_total, err);
        a->least = lca_alloc(x->n_layer, sizeof *a->least, err);
        a->argmin = lca_alloc(x->n_layer, sizeof *a->argmin, err);
        if (!a->tensor || !a->layer || !a->tensors || !a->layers || !a->classes || !a->classes_total || !a->least ||
            !a->argmin)
            return -1;
    }
    return 0;
}

static int put(struct layers *x, struct lca_emit *e, const char *kind, const char *set, bool tensors, bool classes,
               const double *data, json_t *more, struct lca_err *err)
{
    const char *axis = tensors ? "tensor" : "layer";
    unsigned n = tensors ? x->n_tensor : x->n_layer;
    json_t *names = tensors ? lca_filter_tensor_names(x->in) : lca_filter_layer_names(x->in);
    struct lca_agg a = {.kind = kind, .it = x->it, .set = set, .unit = "nat", .dt = "<f8", .data = data, .more = more,
                        .dims = {axis}, .shape = {n}, .n_dims = 1, .keys = json_pack("{s:o}", axis, names)};
    if (classes) {
        a.n_dims = 2;
        a.dims[0] = "class";
        a.dims[1] = axis;
        a.shape[0] = x->in->n_classes;
        a.shape[1] = n;
        json_object_set_new(a.keys, "class", lca_filter_class_names(x->in));
    }
    return lca_emit_agg(e, &a, err);
}

/* A[P] -> sums over tensors and, from them, layers. */
static void sum_up(const struct layers *x, const float *A, double *tensor, double *layer)
{
    memset(layer, 0, x->n_layer * sizeof *layer);
    for (unsigned k = 0; k < x->n_tensor; k++) {
        const struct lca_tensor *t = &x->in->table.tensor[k];
        tensor[k] = lca_sum(A + t->off, t->len);
        layer[t->layer] += tensor[k];
    }
}

static int step(void *arg, const struct lca_step *st, struct lca_emit *e, struct lca_err *err)
{
    struct layers *x = arg;
    struct sums *s = &x->set[st->s];
    s->steps++;
    x->it = st->it;
    if (st->cls >= 0) {
        double *row = s->classes + (size_t)st->cls * x->n_layer, *total = s->classes_total + (row - s->classes);
        sum_up(x, st->v, s->tensor, row);
        for (unsigned l = 0; l < x->n_layer; l++)
            total[l] += row[l];
        return st->cls + 1 < (int)x->in->n_classes ? 0
             : put(x, e, "class_layers", st->set, false, true, s->classes, NULL, err);
    }
    sum_up(x, st->v, s->tensor, s->layer);
    for (unsigned k = 0; k < x->n_tensor; k++)
        s->tensors[k] += s->tensor[k];
    for (unsigned l = 0; l < x->n_layer; l++) {
        s->layers[l] += s->layer[l];
        if (s->layers[l] < s->least[l]) {
            s->least[l] = s->layers[l];
            s->argmin[l] = st->it + 1;
        }
    }
    if (put(x, e, "layers", st->set, false, false, s->layer, lca_filter_loss(st->lca), err) < 0 ||
        put(x, e, "tensors", st->set, true, false, s->tensor, NULL, err) < 0)
        return -1;
    return put(x, e, "cumulative", st->set, false, false, s->layers, NULL, err);
}

/* Share of a set's total that biases and batch norms carry. */
static double share_beside_kernels(const struct layers *x, const struct sums *s)
{
    double all = 0, kernels = 0;
    for (unsigned k = 0; k < x->n_tensor; k++) {
        all += s->tensors[k];
        if (x->in->table.tensor[k].kind == LCA_KERNEL)
            kernels += s->tensors[k];
    }
    return all != 0 ? 1 - kernels / all : 0;
}

static int end(void *arg, struct lca_emit *e, struct lca_err *err)
{
    struct layers *x = arg;
    for (unsigned k = 0; k < x->in->n_set; k++) {
        const struct sums *s = &x->set[k];
        const char *set = x->in->set[k].name;
        if (s->steps == 0)
            continue;
        json_t *argmin = json_array();
        for (unsigned l = 0; l < x->n_layer; l++)
            json_array_append_new(argmin, json_integer((json_int_t)s->argmin[l]));
        json_t *more = json_pack("{s:f, s:o}", "share_bias_bn", share_beside_kernels(x, s), "argmin", argmin);
        if (put(x, e, "layers_total", set, false, false, s->layers, more, err) < 0 ||
            put(x, e, "tensors_total", set, true, false, s->tensors, NULL, err) < 0 ||
            (x->by_class && put(x, e, "class_layers_total", set, false, true, s->classes_total, NULL, err) < 0))
            return -1;
    }
    return 0;
}

static json_t *classes_json(const struct layers *x, const struct sums *s)
{
    json_t *classes = json_array();
    for (unsigned c = 0; c < x->in->n_classes; c++) {
        json_t *class = json_array_get(x->in->classes, c);
        double n = (double)json_integer_value(json_object_get(class, "n")), sum = 0;
        for (unsigned l = 0; l < x->n_layer; l++)
            sum += s->classes_total[(size_t)c * x->n_layer + l];
        json_array_append_new(classes, json_pack("{s:O, s:f, s:f}", "name", json_object_get(class, "name"), "lca", sum,
                                                 "lca_mean", n > 0 ? sum * x->in->N / n : 0.0));
    }
    return classes;
}

static json_t *final(void *arg)
{
    struct layers *x = arg;
    const struct sums *s = &x->set[0];
    json_t *layers = json_array(), *keys = json_pack("{s:o}", "layers", layers);
    for (unsigned l = 0; s->steps > 0 && l < x->n_layer; l++)
        json_array_append_new(layers, json_pack("{s:s, s:I, s:f}", "name", x->in->table.layer[l].name, "parameters",
                                                (json_int_t)x->in->table.layer[l].len, "lca", s->layers[l]));
    if (x->by_class && s->steps > 0)
        json_object_set_new(keys, "classes", classes_json(x, s));
    return keys;
}

static int run(int argc, char **argv, struct lca_err *err)
{
    (void)argc, (void)argv;
    static struct layers x;
    struct lca_filter f = {.prog = "lca-layers", .stream = "layers", .self = &x, .start = start, .step = step,
                           .end = end, .final = final};
    int result = lca_filter_run(&f, &args, err);
    for (unsigned k = 0; k < LCA_SETS; k++) {
        free(x.set[k].tensor);
        free(x.set[k].layer);
        free(x.set[k].tensors);
        free(x.set[k].layers);
        free(x.set[k].classes);
        free(x.set[k].classes_total);
        free(x.set[k].least);
        free(x.set[k].argmin);
    }
    return result;
}

static const struct lca_tool tool = {
    .name = "lca-layers",
    .summary = "sum loss changes per layer and tensor",
    .usage = "[OPTION]...",
    .about = "Reads an lca stream and writes, for each step and set, the loss change of each layer (layers), of each "
             "tensor (tensors), and of each layer since the first step (cumulative); with frames by class, of each "
             "class and layer (class_layers). Beside the first stand the loss before and after the step, the residual, and "
             "the sum to first order (more: L0, L1, res, fo; all of the whole network). At the end the totals, with the share of biases and batch norms and the "
             "step after which each layer's curve was lowest. Values are nat; below 0 helps.",
    .examples = "  lca-layers < run.lca | lca-tap --kind layers_total\n"
                "  lca-layers --in ipc:lca --out ipc:layers",
    .opts = opts,
    .max_args = 0,
    .run = run,
};

int main(int argc, char **argv)
{
    return lca_tool_main(&tool, argc, argv);
}
