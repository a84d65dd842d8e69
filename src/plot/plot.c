#include "plot/plot.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

const struct lca_plot_kind lca_plot_kinds[] = {
    {"loss", "layers", NULL, "layers", false, 860, 620, lca_plot_loss,
     "loss over steps, with the sums of A on it, and the residual of each step"},
    {"helping", "helping", NULL, "helping", false, 860, 460, lca_plot_helping,
     "how many percent of the parameters helped in each step, with the loss"},
    {"histogram", "spread", NULL, "spread_histogram,spread_histogram_cut", false, 860, 640, lca_plot_histogram,
     "all A as histograms, whole and without the tails, linear and logarithmic"},
    {"parameter-helping", "helping", NULL, "helping_histogram", false, 860, 420, lca_plot_parameter_helping,
     "parameters by the share of steps in which they helped"},
    {"layers", "layers", NULL, "layers_total", true, 860, 460, lca_plot_layers,
     "loss change of each layer in all; of several runs mean and spread"},
    {"cumulative", "layers", NULL, "cumulative", false, 860, 460, lca_plot_cumulative,
     "loss change of each layer since the first step"},
    {"heatmap", "units", NULL, "units", false, 860, 520, lca_plot_heatmap,
     "loss change of each neuron or channel of a layer in each step"},
    {"curves", "params", NULL, "params", false, 860, 420, lca_plot_curves,
     "loss change since the first step of the parameters that helped and hurt most, and of some drawn at random"},
    {"oscillation", "oscillation", "--trace WHICH", "traces", false, 860, 620, lca_plot_oscillation,
     "movement, gradient and A of single parameters"},
    {"moments", "moments", NULL,
     "moments_at,moments_size,moments_total,move_moments_at,move_moments_size,move_moments_total,"
     "eff_moments_at,eff_moments_size,eff_moments_total", false, 860, 640, lca_plot_moments,
     "moments of learning by layer and class, and which of them all layers share"},
    {"correlation", "correlation", NULL, "correlation_total", false, 860, 620, lca_plot_correlation,
     "whether the weights of a neuron act alike, beside fake neurons"},
    {"classes", "classes", NULL, "concentrated_total,classes_total", false, 860, 460, lca_plot_classes,
     "on how few classes the help of neurons is concentrated, and what each class and layer did"},
    {"saliency", "params", "--neuron LAYER:UNIT", "neuron_total", false, 860, 480, lca_plot_saliency,
     "neurons that read the image: what each pixel's weight did"},
    {"surrogate", "spread", NULL, "spread_histogram,spread_histogram_cut,spread_total,spread_weibull", false, 860, 460,
     lca_plot_surrogate, "the distribution of all A beside a normal and a double Weibull distribution"},
    {"sweep", "helping", NULL, "helping_total,helping", true, 860, 460, lca_plot_sweep,
     "percent helping and last loss of several runs over an option in which they differ"},
    {"overfit", "overfit", NULL, "overfit_total,overfit", false, 860, 460, lca_plot_overfit,
     "loss change of each layer on the training set and on the held-out set"},
    {"animation", "units", NULL, "units", false, 960, 540, lca_plot_animation,
     "all layers over training, neuron by neuron, as a film"},
    {0},
};

int lca_plot_draw(const struct lca_plot_kind *kind, struct lca_plot *p, struct lca_err *err)
{
    char first[64];
    snprintf(first, sizeof first, "%.*s", (int)strcspn(kind->takes, ","), kind->takes);
    for (unsigned k = 0; k < p->n_run; k++) {
        const struct lca_plot_run *r = &p->run[k];
        const char *needs = kind->needs ? kind->needs : "", *space = kind->needs ? " " : "";
        if (lca_plot_next(r, NULL, first, NULL, NULL))
            continue;
        return lca_fail(err, LCA_USAGE, "%s has no %s frames: %s is drawn from the output of lca-%s%s%s: "
                        "lca-%s%s%s --in OUT/lca.lca | lca-plot %s", r->name, first, kind->name, kind->filter, space,
                        needs, kind->filter, space, needs, kind->name);
    }
    p->sheet->width = kind->width;
    p->sheet->height = kind->height;
    return kind->draw(p, err);
}

/* the caption */

static json_t *def_of(const struct lca_plot *p, unsigned k)
{
    return json_object_get(p->run[k].head, "def");
}

/* A value of HEAD.def as text: lists parted by commas. "": there is none. */
static void value_text(const json_t *v, char *text, size_t size)
{
    size_t k, n = 0;
    json_t *item;
    *text = 0;
    if (json_is_string(v))
        snprintf(text, size, "%s", json_string_value(v));
    else if (json_is_number(v))
        snprintf(text, size, "%.10g", json_number_value(v));
    json_array_foreach(v, k, item) {
        if (json_is_string(item) && n < size)
            n += (size_t)snprintf(text + n, size - n, "%s%s", k ? "," : "", json_string_value(item));
    }
}

/* ", lr 0.05" where all runs have the same. */
static void add_key(const struct lca_plot *p, const char *key, const char *before, char *text, size_t size)
{
    char value[160];
    size_t n = strlen(text);
    for (unsigned k = 1; k < p->n_run; k++) {
        if (!json_equal(json_object_get(def_of(p, k), key), json_object_get(def_of(p, 0), key)))
            return;
    }
    value_text(json_object_get(def_of(p, 0), key), value, sizeof value);
    if (*value && n < size)
        snprintf(text + n, size - n, "%s%s", before, value);
}

const char *lca_plot_grouped(uint64_t value, char text[32])
{
    char digits[24];
    int n = snprintf(digits, sizeof digits, "%" PRIu64, value), at = 0;
    for (int k = 0; k < n; k++) {
        if (k > 0 && (n - k) % 3 == 0)
            text[at++] = ',';
        text[at++] = digits[k];
    }
    text[at] = 0;
    return text;
}

static uint64_t examples(const struct lca_plot_run *r)
{
    json_t *sets = json_object_get(json_object_get(r->head, "data"), "sets");
    return (uint64_t)json_integer_value(json_object_get(json_array_get(sets, 0), "N"));
}

const char *lca_plot_caption(const struct lca_plot *p, char *text, size_t size)
{
    static const struct {
        const char *key, *before;
    } keys[] = {
        {"optimizer", "; "}, {"lr", " lr "}, {"momentum", ", momentum "}, {"batch", ", batch "},
        {"lr_steps", ", lr from step "}, {"freeze", ", frozen "}, {"layer_lr", ", lr of "},
        {"layer_momentum", ", momentum of "}, {"delay", ", delayed "}, {"seed", ", seed "}, {"rule", "; "},
        {"tolerance", ", tolerance "},
    };
    const struct lca_plot_run *r = &p->run[0];
    char a[32], b[32], c[32];
    json_t *data = json_object_get(r->head, "data");
    uint64_t steps = lca_plot_length(r), N = examples(r);
    bool same_steps = true, same_N = true;
    for (unsigned k = 1; k < p->n_run; k++) {
        same_steps &= lca_plot_length(&p->run[k]) == steps;
        same_N &= examples(&p->run[k]) == N;
    }
    const char *model = json_string_value(json_object_get(r->head, "model"));
    const char *name = json_string_value(json_object_get(data, "name"));
    *text = 0;
    if (p->n_run > 1)
        snprintf(text, size, "%u runs: ", p->n_run);
    snprintf(text + strlen(text), size - strlen(text), "%s, %s parameters, %s steps on %s examples of %s",
             model ? model : "?", lca_plot_grouped((uint64_t)json_integer_value(json_object_get(r->head, "P")), a),
             same_steps ? lca_plot_grouped(steps, b) : "different", same_N ? lca_plot_grouped(N, c) : "different",
             name ? name : "?");
    for (size_t k = 0; k < sizeof keys / sizeof *keys; k++)
        add_key(p, keys[k].key, keys[k].before, text, size);
    return text;
}

void lca_plot_title(struct lca_plot *p, const char *title, int rows, int columns)
{
    char caption[600];
    lca_plot_sheet_head(p->sheet, title, lca_plot_caption(p, caption, sizeof caption), rows, columns);
}

/* finding */

const struct lca_plot_agg *lca_plot_first(const struct lca_plot *p, unsigned run, const char *kind, struct lca_err *err)
{
    const struct lca_plot_run *r = &p->run[run];
    const struct lca_plot_agg *a = lca_plot_next(r, NULL, kind, p->set, NULL);
    if (!a && lca_plot_next(r, NULL, kind, NULL, NULL))
        lca_fail(err, LCA_USAGE, "%s: no %s of the set '%s': --set takes one of those that the run allocated", r->name,
                 kind, p->set);
    else if (!a)
        lca_fail(err, LCA_USAGE, "%s has no %s frames: the stream was cut, or --layers and --every left them out",
                 r->name, kind);
    return a;
}

const char *lca_plot_layer(const struct lca_plot *p, const char *kind, char *text, size_t size, struct lca_err *err)
{
    const struct lca_plot_agg *a = lca_plot_first(p, 0, kind, err);
    char known[300] = "", name[128];
    size_t n = 0;
    if (!a)
        return NULL;
    if (!p->layer)
        return lca_plot_label(a, "layer", 0, text, size);
    if (lca_plot_next(&p->run[0], NULL, kind, p->set, p->layer)) {
        snprintf(text, size, "%s", p->layer);
        return text;
    }
    for (const struct lca_plot_agg *b = a; b && b->it == a->it && n < sizeof known - 1;
         b = lca_plot_next(&p->run[0], b, kind, p->set, NULL)) {
        snprintf(known + n, sizeof known - n, "%s%s", n ? ", " : "", lca_plot_label(b, "layer", 0, name, sizeof name));
        n = strlen(known);
    }
    lca_fail(err, LCA_USAGE, "--layer %s: there is no such layer; there are %s", p->layer, known);
    return NULL;
}

int lca_plot_every_step(const struct lca_plot *p, const char *kind, const char *layer, struct lca_err *err)
{
    const struct lca_plot_agg *a = NULL, *before = NULL;
    while ((a = lca_plot_next(&p->run[0], a, kind, p->set, layer))) {
        if (before && a->it != before->it + 1)
            return lca_fail(err, LCA_USAGE, "%s: after step %" PRIu64 " comes step %" PRIu64 ", and sums need every "
                            "step: run the filter without --every", p->run[0].name, before->it, a->it);
        before = a;
    }
    return 0;
}

int lca_plot_like(const struct lca_plot *p, const struct lca_plot_agg *a, const struct lca_plot_agg *first,
                  struct lca_err *err)
{
    if (a->n == first->n)
        return 0;
    return lca_fail(err, LCA_CORRUPT, "%s: %s of step %" PRIu64 " has %zu values, and %zu before", p->run[0].name,
                    a->kind, a->it, a->n, first->n);
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double lca_plot_clip(double *v, size_t n, double share)
{
    size_t m = 0;
    for (size_t k = 0; k < n; k++) {
        if (!isnan(v[k]))
            v[m++] = fabs(v[k]);
    }
    qsort(v, m, sizeof *v, by_value);
    return m ? v[(size_t)ceil(share * (double)m) - 1] : 0;
}

double lca_plot_tics(double span, unsigned n)
{
    double least = span / n, ten = pow(10, floor(log10(least)));
    if (!(span > 0) || !isfinite(span))
        return 1;
    return least <= ten ? ten : least <= 2 * ten ? 2 * ten : least <= 5 * ten ? 5 * ten : 10 * ten;
}

void lca_plot_columns(char *columns, size_t size, const struct lca_plot_agg *a, const char *axis)
{
    char name[256];
    for (uint64_t k = 0; k < lca_plot_size(a, axis); k++) {
        size_t n = strlen(columns);
        snprintf(columns + n, size - n, "\t%s", lca_plot_label(a, axis, k, name, sizeof name));
    }
}

void lca_plot_lines(FILE *script, const char *table, const char *with, const struct lca_plot_agg *a, const char *axis)
{
    char name[256];
    uint64_t n = lca_plot_size(a, axis);
    fprintf(script, "plot \\\n");
    for (uint64_t k = 0; k < n; k++)
        fprintf(script, "  '%s' using 1:%" PRIu64 " with %s lc rgb '%s' title %s%s", table, k + 2, with,
                lca_plot_colour((unsigned)k, (unsigned)n),
                lca_plot_quote(lca_plot_label(a, axis, k, name, sizeof name)).text, k + 1 < n ? ", \\\n" : "\n");
}
