/* plot-bars.c: layers side by side, and runs side by side. */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "plot/plot.h"

enum { LABEL = 128 };

/* "set xtics ('conv1' 0, ...)": places along an axis by their names. */
static void name_tics(FILE *s, const struct lca_plot_agg *a, const char *axis, char which)
{
    char name[LABEL];
    uint64_t n = lca_plot_size(a, axis);
    fprintf(s, "set %ctics %s (", which, which == 'x' && n > 12 ? "rotate by -90" :
            which == 'x' && n > 6 ? "rotate by -45" : "norotate");
    for (uint64_t k = 0; k < n; k++)
        fprintf(s, "%s%s %" PRIu64, k ? ", " : "", lca_plot_quote(lca_plot_label(a, axis, k, name, sizeof name)).text,
                k);
    fprintf(s, ")\n");
}

static double mean_of(const double *v, unsigned n, double *deviation)
{
    double sum = 0, squares = 0;
    for (unsigned k = 0; k < n; k++)
        sum += v[k];
    for (unsigned k = 0; k < n; k++)
        squares += (v[k] - sum / n) * (v[k] - sum / n);
    *deviation = n > 1 ? sqrt(squares / (n - 1)) : 0;
    return sum / n;
}

int lca_plot_layers(struct lca_plot *p, struct lca_err *err)
{
    const struct lca_plot_agg *first = lca_plot_first(p, 0, "layers_total", err);
    char name[LABEL], other[LABEL];
    if (!first)
        return -1;
    uint64_t n = lca_plot_size(first, "layer");
    double *v = lca_alloc(n * p->n_run, sizeof *v, err);    /* [layer][run] */
    for (unsigned k = 0; v && k < p->n_run; k++) {
        const struct lca_plot_agg *a = lca_plot_first(p, k, "layers_total", err);
        bool same = a && lca_plot_size(a, "layer") == n;
        for (uint64_t l = 0; same && l < n; l++) {
            same = strcmp(lca_plot_label(a, "layer", l, name, sizeof name),
                          lca_plot_label(first, "layer", l, other, sizeof other)) == 0;
            v[l * p->n_run + k] = a->v[l];
        }
        if (a && !same)
            lca_fail(err, LCA_USAGE, "%s has other layers than %s", p->run[k].name, p->run[0].name);
        if (!same) {
            free(v);
            return -1;
        }
    }
    FILE *to = v ? lca_plot_sheet_table(p->sheet, "total", "place\tmean\tdeviation\tlayer", err) : NULL;
    for (uint64_t l = 0; to && l < n; l++) {
        double deviation, mean = mean_of(v + l * p->n_run, p->n_run, &deviation);
        fprintf(to, "%" PRIu64 "\t%.17g\t%.17g\t%s\n", l, mean, deviation,
                lca_plot_label(first, "layer", l, name, sizeof name));
    }
    to = to ? lca_plot_sheet_table(p->sheet, "runs", "place\tloss change\trun", err) : NULL;
    for (uint64_t l = 0; to && l < n; l++) {
        for (unsigned k = 0; k < p->n_run; k++)
            fprintf(to, "%.17g\t%.17g\t%u\n",
                    (double)l + (p->n_run > 1 ? 0.3 * ((double)k / (p->n_run - 1) - 0.5) : 0), v[l * p->n_run + k], k);
    }
    free(v);
    if (!to)
        return -1;
    lca_plot_title(p, p->n_run > 1 ? "Loss change of each layer: mean, deviation and single runs"
                                   : "Loss change of each layer", 0, 0);
    FILE *s = p->sheet->script;
    name_tics(s, first, "layer", 'x');
    fprintf(s, "set ylabel 'loss change (nat); below 0 helped'\nset boxwidth 0.7\nunset key\nset xrange [-0.7:%g]\n"
            "set offsets 0,0,graph 0.08,graph 0.08\nset yrange [*<0:0<*]\n"
            "plot 'layers-total.tsv' using 1:2:(colour($2)) with boxes lc rgb variable", (double)n - 0.3);
    if (p->n_run > 1)
        fprintf(s, ", \\\n  '' using 1:($2-$3):(0):(2*$3) with vectors nohead lw 2 lc rgb '#222222', \\\n"
                "  'layers-runs.tsv' using 1:2 with points pt 7 ps 0.4 lc rgb '#222222'");
    else
        fprintf(s, ", \\\n"
                "  '' using 1:($2 > 0 ? $2 : NaN):(sprintf('{/*0.%d %%.3g}', $2)) with labels offset 0,0.7, \\\n"
                "  '' using 1:($2 > 0 ? NaN : $2):(sprintf('{/*0.%d %%.3g}', $2)) with labels offset 0,-0.7",
                n > 12 ? 60 : 85, n > 12 ? 60 : 85);
    fprintf(s, "\n");
    return 0;
}

int lca_plot_correlation(struct lca_plot *p, struct lca_err *err)
{
    static const char *const side[] = {"inputs", "outputs"}, *const series[] = {"step", "cumulative"};
    const struct lca_plot_agg *a = lca_plot_first(p, 0, "correlation_total", err);
    if (!a)
        return -1;
    uint64_t n = lca_plot_size(a, "layer"), measures = lca_plot_size(a, "measure");
    int64_t r = lca_plot_place(a, "measure", "r"), fake = lca_plot_place(a, "measure", "r_fake"),
            exact = lca_plot_place(a, "measure", "p_exact"), other = lca_plot_place(a, "measure", "p_asymptotic");
    if (r < 0 || fake < 0 || exact < 0 || other < 0)
        return lca_fail(err, LCA_CORRUPT, "%s: correlation_total without r, r_fake, p_exact or p_asymptotic",
                        p->run[0].name);
    for (int k = 0; k < 4; k++) {
        char part[64];
        int64_t i = lca_plot_place(a, "side", side[k / 2]), j = lca_plot_place(a, "series", series[k % 2]);
        snprintf(part, sizeof part, "%s-%s", side[k / 2], series[k % 2]);
        FILE *to = lca_plot_sheet_table(p->sheet, part, "place\tr\tr of fake units\tp", err);
        if (!to)
            return -1;
        for (uint64_t l = 0; i >= 0 && j >= 0 && l < n; l++) {
            const double *v = a->v + ((l * lca_plot_size(a, "side") + (uint64_t)i) * lca_plot_size(a, "series") +
                                      (uint64_t)j) * measures;
            fprintf(to, "%" PRIu64 "\t", l);
            lca_plot_number(to, v[r], '\t');
            lca_plot_number(to, v[fake], '\t');
            lca_plot_number(to, isnan(v[exact]) ? v[other] : v[exact], '\n');
        }
    }
    lca_plot_title(p, "Do the weights of a neuron act alike? Mean correlation over pairs (* p < 0.05)", 2, 2);
    FILE *s = p->sheet->script;
    fprintf(s, "set lmargin 10; set rmargin 2\nset boxwidth 0.36\nset yrange [*<0:0<*]\nset offsets 0,0,graph 0.25,0\n"
            "set ylabel 'mean r'\nset xrange [-0.6:%g]\n", (double)n - 0.4);
    for (int k = 0; k < 4; k++) {
        name_tics(s, a, "layer", 'x');
        fprintf(s, "set xlabel 'weights of one %s, %s'\n%s"
                "plot 'correlation-%s-%s.tsv' using ($1-0.19):2 with boxes lc rgb '#0072b2' title 'real units', \\\n"
                "  '' using ($1+0.19):3 with boxes lc rgb '#b8b8b8' title 'fake units', \\\n"
                "  '' using 1:($2 > $3 ? $2 : $3):($4 < 0.05 ? '*' : '') with labels offset 0,0.5 notitle\n",
                k / 2 ? "output" : "input", k % 2 ? "A cumulated" : "A of each step",
                k ? "unset key\n" : "", side[k / 2], series[k % 2]);
    }
    fprintf(s, "unset multiplot\n");
    return 0;
}

int lca_plot_classes(struct lca_plot *p, struct lca_err *err)
{
    const struct lca_plot_agg *a = lca_plot_first(p, 0, "concentrated_total", err);
    const struct lca_plot_agg *total = a ? lca_plot_first(p, 0, "classes_total", err) : NULL;
    char title[160], name[LABEL];
    if (!total)
        return -1;
    uint64_t n = lca_plot_size(a, "layer"), ks = lca_plot_size(a, "k"), classes = lca_plot_size(total, "class");
    uint64_t layers = lca_plot_size(total, "layer");
    FILE *to = lca_plot_sheet_table(p->sheet, "concentrated", "place\tunits % by one class\tby two\tby three", err);
    if (!to)
        return -1;
    for (uint64_t l = 0; l < n; l++) {
        fprintf(to, "%" PRIu64 "\t", l);
        for (uint64_t k = 0; k < ks; k++)
            lca_plot_number(to, a->v[l * ks + k], k + 1 < ks ? '\t' : '\n');
    }
    to = lca_plot_sheet_table(p->sheet, "total", "layer\tclass\tloss change", err);
    if (!to)
        return -1;
    double most = 0;
    for (uint64_t c = 0; c < classes; c++) {
        for (uint64_t l = 0; l < layers; l++) {
            double v = total->v[c * layers + l];
            fprintf(to, "%" PRIu64 "\t%" PRIu64 "\t", l, c);
            lca_plot_number(to, v, '\n');
            most = fabs(v) > most ? fabs(v) : most;
        }
    }
    double threshold = lca_plot_more(a, "threshold");
    snprintf(title, sizeof title, "Units that have %g %% of their help to one, two or three classes", threshold);
    lca_plot_title(p, title, 1, 2);
    FILE *s = p->sheet->script;
    fprintf(s, "set lmargin 10; set rmargin 3\n");
    name_tics(s, a, "layer", 'x');
    fprintf(s, "set ylabel 'units of the layer (%%)'\nset yrange [0:100]\nset offsets 0.3,0.3,0,0\nset key top left\n"
            "plot ");
    for (uint64_t k = 0; k < ks; k++) {
        char key[80];
        snprintf(key, sizeof key, "to %s class%s", lca_plot_label(a, "k", k, name, sizeof name), k ? "es" : "");
        fprintf(s, "%s using 1:%" PRIu64 " with linespoints pt %d lw 2 lc rgb '%s' title %s%s",
                k ? "  ''" : "'classes-concentrated.tsv'", k + 2, 7 - 2 * (int)(k % 3), lca_plot_colour((unsigned)k, 3),
                lca_plot_quote(key).text, k + 1 < ks ? ", \\\n" : "\n");
    }
    name_tics(s, total, "layer", 'x');
    name_tics(s, total, "class", 'y');
    fprintf(s, "unset key\nset grid noy\nunset xzeroaxis\nset rmargin 13\nset offsets 0,0,0,0\nset ylabel 'class'\n"
            "set cbrange [%.17g:%.17g]\nset cblabel 'loss change (nat)'\nset xrange [-0.5:%g]\nset yrange [%g:-0.5]\n"
            "plot 'classes-total.tsv' using 1:2:($1-0.49):($1+0.49):($2-0.47):($2+0.47):3 with boxxyerror lc palette\n"
            "unset multiplot\n", -most, most, (double)layers - 0.5, (double)classes - 0.5);
    return 0;
}

int lca_plot_overfit(struct lca_plot *p, struct lca_err *err)
{
    const struct lca_plot_run *r = &p->run[0];
    const struct lca_plot_agg *a = lca_plot_next(r, NULL, "overfit_total", NULL, NULL);
    struct lca_plot any = *p;
    char title[160], columns[4096] = "step";
    any.set = a->set;       /* the held-out one */
    if (lca_plot_every_step(&any, "overfit", NULL, err) < 0)
        return -1;
    uint64_t n = lca_plot_size(a, "layer");
    int64_t train = lca_plot_place(a, "measure", "train"), heldout = lca_plot_place(a, "measure", "heldout"),
            difference = lca_plot_place(a, "measure", "difference");
    if (train < 0 || heldout < 0 || difference < 0)
        return lca_fail(err, LCA_CORRUPT, "%s: overfit_total without train, heldout or difference", r->name);
    FILE *to = lca_plot_sheet_table(p->sheet, "total", "place\ttrain\theldout\tdifference", err);
    double *sum = to ? lca_alloc(n, sizeof *sum, err) : NULL;
    if (!sum)
        return -1;
    for (uint64_t l = 0; l < n; l++) {
        fprintf(to, "%" PRIu64 "\t", l);
        lca_plot_number(to, a->v[(uint64_t)train * n + l], '\t');
        lca_plot_number(to, a->v[(uint64_t)heldout * n + l], '\t');
        lca_plot_number(to, a->v[(uint64_t)difference * n + l], '\n');
    }
    lca_plot_columns(columns, sizeof columns, a, "layer");
    to = lca_plot_sheet_table(p->sheet, "steps", columns, err);
    for (const struct lca_plot_agg *b = NULL; to && (b = lca_plot_next(r, b, "overfit", a->set, NULL));) {
        if (lca_plot_like(p, b, a, err) < 0) {
            to = NULL;
            break;
        }
        fprintf(to, "%" PRIu64, b->it + 1);
        for (uint64_t l = 0; l < n; l++) {
            sum[l] += b->v[(uint64_t)difference * n + l];
            fprintf(to, "\t%.17g", sum[l]);
        }
        fprintf(to, "\n");
    }
    free(sum);
    if (!to)
        return -1;
    snprintf(title, sizeof title, "Loss change of each layer on the training set and on the held-out set (%s)", a->set);
    if (n > 6)      /* their names need room */
        p->sheet->width += p->sheet->width / 2;
    lca_plot_title(p, title, 1, 2);
    FILE *s = p->sheet->script;
    fprintf(s, "set lmargin 11; set rmargin 2\nset boxwidth 0.36\nset ylabel 'loss change (nat)'\n"
            "set yrange [*<0:0<*]\nset offsets 0,0,graph 0.4,0\nset key top right\n");
    name_tics(s, a, "layer", 'x');
    fprintf(s, "set xrange [-0.6:%g]\n"
            "plot 'overfit-total.tsv' using ($1-0.19):2 with boxes lc rgb '#0072b2' title 'training set', \\\n"
            "  '' using ($1+0.19):3 with boxes lc rgb '#e69f00' title 'held-out set'\n"
            "set xtics norotate autofreq\nset xrange [*:*]\nset yrange [*:*]\nset offsets 0,0,0,0\n"
            "set xlabel 'training steps'\n"
            "set ylabel 'training - held-out (nat); below 0: overfits'\n%s", (double)n - 0.4,
            n > 6 ? "unset rmargin\nset key outside right center\n" : "");
    lca_plot_lines(s, "overfit-steps.tsv", "lines lw 1.6", a, "layer");
    fprintf(s, "unset multiplot\n");
    return 0;
}

/* sweep */

/* A run as a point: what the option is there, how many percent helped, where the loss went. */
struct point {
    char value[80];
    double number, q, loss;
    unsigned place;
};

static int by_option(const void *a, const void *b)
{
    const struct point *x = a, *y = b;
    if (x->number != y->number && !isnan(x->number) && !isnan(y->number))
        return x->number < y->number ? -1 : 1;
    return strcmp(x->value, y->value);
}

static void value_of(const struct lca_plot_run *r, const char *key, struct point *to)
{
    json_t *v = json_object_get(json_object_get(r->head, "def"), key);
    char *other = json_is_number(v) || json_is_string(v) || !v ? NULL : json_dumps(v, JSON_COMPACT);
    to->number = json_is_number(v) ? json_number_value(v) : NAN;
    if (json_is_number(v))
        snprintf(to->value, sizeof to->value, "%.6g", to->number);
    else
        snprintf(to->value, sizeof to->value, "%s", !v ? "none" : other ? other : json_string_value(v));
    free(other);
}

/* The option in which the runs differ, but for the seed; NULL: err says which there are. */
static const char *differing(const struct lca_plot *p, char *text, size_t size, struct lca_err *err)
{
    const char *key, *found = NULL;
    json_t *v;
    unsigned n = 0;
    *text = 0;
    for (unsigned k = 0; k < p->n_run; k++) {
        json_object_foreach(json_object_get(p->run[k].head, "def"), key, v) {
            bool differs = false, seen = false;
            for (unsigned j = 0; j < p->n_run; j++) {
                json_t *there = json_object_get(json_object_get(p->run[j].head, "def"), key);
                differs |= !json_equal(v, there) && !(v && !there && json_is_null(v));
                seen |= j < k && there;     /* looked at with that run */
            }
            if (!differs || seen || strcmp(key, "seed") == 0)
                continue;
            size_t at = strlen(text);
            snprintf(text + at, size - at, "%s%s", n++ ? ", " : "", key);
            found = key;
        }
    }
    if (n == 1)
        return found;
    if (n == 0)
        lca_fail(err, LCA_USAGE, "the runs differ in no option but the seed: sweep shows runs that do, such as of "
                 "several --lr");
    else
        lca_fail(err, LCA_USAGE, "the runs differ in %s: choose one by --by", text);
    return NULL;
}

int lca_plot_sweep(struct lca_plot *p, struct lca_err *err)
{
    char names[300], title[400];
    const char *key = p->by ? p->by : differing(p, names, sizeof names, err);
    if (!key)
        return -1;
    struct point *point = lca_alloc(p->n_run, sizeof *point, err);
    if (!point)
        return -1;
    for (unsigned k = 0; k < p->n_run; k++) {
        const struct lca_plot_agg *a = lca_plot_first(p, k, "helping_total", err), *last = NULL;
        int64_t q = a ? lca_plot_place(a, "measure", "q") : -1;
        if (!a || q < 0) {
            free(point);
            return a ? lca_fail(err, LCA_CORRUPT, "%s: helping_total without q", p->run[k].name) : -1;
        }
        for (const struct lca_plot_agg *b = NULL; (b = lca_plot_next(&p->run[k], b, "helping", p->set, NULL));)
            last = b;
        value_of(&p->run[k], key, &point[k]);
        point[k].q = a->v[q];
        point[k].loss = last ? lca_plot_more(last, "L1") : NAN;
    }
    qsort(point, p->n_run, sizeof *point, by_option);
    FILE *to = lca_plot_sheet_table(p->sheet, "runs", "place\tq %\tlast loss\toption", err);
    for (unsigned k = 0; to && k < p->n_run; k++) {
        point[k].place = k == 0 ? 0 : point[k - 1].place + (strcmp(point[k].value, point[k - 1].value) != 0);
        fprintf(to, "%u\t", point[k].place);
        lca_plot_number(to, point[k].q, '\t');
        lca_plot_number(to, point[k].loss, '\t');
        fprintf(to, "%s\n", point[k].value);
    }
    if (!to) {
        free(point);
        return -1;
    }
    snprintf(title, sizeof title, "Percent helping and last loss over %s", key);
    lca_plot_title(p, title, 1, 2);
    FILE *s = p->sheet->script;
    fprintf(s, "set lmargin 11; set rmargin 3\nunset key\nset xlabel %s\nset xtics norotate (",
            lca_plot_quote(key).text);
    for (unsigned k = 0; k < p->n_run; k++) {
        if (k == 0 || point[k].place != point[k - 1].place)
            fprintf(s, "%s%s %u", k ? ", " : "", lca_plot_quote(point[k].value).text, point[k].place);
    }
    fprintf(s, ")\nset xrange [-0.5:%g]\nset offsets 0,0,graph 0.15,graph 0.15\n"
            "set ylabel 'helped, of those that did anything (%%)'\n"
            "plot 50 with lines lc rgb '#444444' dt (3,3), \\\n"
            "  'sweep-runs.tsv' using 1:2 smooth unique with lines lw 2 lc rgb '#8fd3bd', \\\n"
            "  '' using 1:2 with points pt 7 ps 0.8 lc rgb helps\n"
            "set ylabel 'last training loss (nat)'\nset yrange [0:*]\n"
            "plot 'sweep-runs.tsv' using 1:3 smooth unique with lines lw 2 lc rgb '#cccccc', \\\n"
            "  '' using 1:3 with points pt 7 ps 0.8 lc rgb '#555555'\n"
            "unset multiplot\n", point[p->n_run - 1].place + 0.5);
    free(point);
    return 0;
}
