/* plot-spread.c: distributions: of all A, of parameters by how often they helped. */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "plot/plot.h"

enum { LABEL = 128 };

/* Rows of spread_histogram by name. */
static double at(const struct lca_plot_agg *a, const char *measure, uint64_t bin)
{
    int64_t m = lca_plot_place(a, "measure", measure);
    uint64_t bins = lca_plot_size(a, "bin");
    return m < 0 || bin >= bins ? NAN : a->v[(uint64_t)m * bins + bin];
}

static int table(struct lca_plot *p, const char *part, const struct lca_plot_agg *a, struct lca_err *err)
{
    FILE *to = lca_plot_sheet_table(p->sheet, part, "middle\twidth\tcount\tnormal\tweibull\tfrom\tto", err);
    if (!to)
        return -1;
    for (uint64_t b = 0; b < lca_plot_size(a, "bin"); b++) {
        double from = at(a, "from", b), end = at(a, "to", b);
        lca_plot_number(to, (from + end) / 2, '\t');
        lca_plot_number(to, end - from, '\t');
        lca_plot_number(to, at(a, "count", b), '\t');
        lca_plot_number(to, at(a, "gaussian", b), '\t');
        lca_plot_number(to, at(a, "weibull", b), '\t');
        lca_plot_number(to, from, '\t');
        lca_plot_number(to, end, '\n');
    }
    return 0;
}

/* Both histograms, whole and cut, as tables. */
static int tables(struct lca_plot *p, struct lca_err *err)
{
    const struct lca_plot_agg *whole = lca_plot_first(p, 0, "spread_histogram", err);
    const struct lca_plot_agg *cut = whole ? lca_plot_first(p, 0, "spread_histogram_cut", err) : NULL;
    return cut && table(p, "whole", whole, err) == 0 && table(p, "cut", cut, err) == 0 ? 0 : -1;
}

/* The axis of A in whole powers of ten: begins the plot command's using, ($1/1e-06). */
static double axis(FILE *s, const struct lca_plot *p, bool cut)
{
    const struct lca_plot_agg *a = lca_plot_next(&p->run[0], NULL, cut ? "spread_histogram_cut" : "spread_histogram",
                                                 p->set, NULL);
    double from = at(a, "from", 0), to = at(a, "to", lca_plot_size(a, "bin") - 1);
    int power = (int)floor(log10(fmax(fabs(from), fabs(to))));
    double unit = pow(10, power);
    fprintf(s, "set xlabel 'A (10^{%d} nat), %s'\nset xrange [%.17g:%.17g]\nset xtics %g\n", power,
            cut ? "1 % to 99 % percentile" : "all; below 0 helped", from / unit, to / unit,
            lca_plot_tics((to - from) / unit, 5));
    return unit;
}

int lca_plot_histogram(struct lca_plot *p, struct lca_err *err)
{
    if (tables(p, err) < 0)
        return -1;
    lca_plot_title(p, "All A of all steps and parameters, but for zeros", 2, 2);
    FILE *s = p->sheet->script;
    fprintf(s, "set lmargin 12; set rmargin 3; unset key\nset ylabel 'values'\n");
    for (int log = 0; log < 2; log++) {
        fprintf(s, "%s\n", log ? "set logscale y\nset format y '10^{%L}'\nset yrange [0.7:*]"
                               : "set yrange [0:*]\nset format y '%.1s %c'");
        for (int cut = 0; cut < 2; cut++) {
            double unit = axis(s, p, cut);
            fprintf(s, "plot 'histogram-%s.tsv' using ($1/%g):3:($2/%g):(colour($1)) with boxes lc rgb variable\n",
                    cut ? "cut" : "whole", unit, unit);
        }
    }
    fprintf(s, "unset multiplot\n");
    return 0;
}

static double group_measure(const struct lca_plot_agg *a, const char *group, const char *measure)
{
    int64_t g = a ? lca_plot_place(a, "group", group) : -1, m = a ? lca_plot_place(a, "measure", measure) : -1;
    return g < 0 || m < 0 ? NAN : a->v[(uint64_t)g * lca_plot_size(a, "measure") + (uint64_t)m];
}

int lca_plot_surrogate(struct lca_plot *p, struct lca_err *err)
{
    char title[200], number[32], weibull[80] = "double Weibull";
    const struct lca_plot_agg *w = lca_plot_next(&p->run[0], NULL, "spread_weibull", p->set, NULL);
    if (tables(p, err) < 0)
        return -1;
    double kurtosis = group_measure(lca_plot_next(&p->run[0], NULL, "spread_total", p->set, NULL), "all", "kurtosis");
    if (kurtosis >= 1)
        lca_plot_grouped((uint64_t)llround(kurtosis), number);
    else
        snprintf(number, sizeof number, "%.2g", kurtosis);
    snprintf(title, sizeof title, "All A beside a normal distribution of the same mean and deviation: excess kurtosis "
             "%s", number);
    lca_plot_title(p, title, 1, 2);
    FILE *s = p->sheet->script;
    int64_t shape = w ? lca_plot_place(w, "measure", "shape") : -1;
    if (shape >= 0)
        snprintf(weibull, sizeof weibull, "double Weibull, shape %.2f", w->v[shape]);
    fprintf(s, "set lmargin 10; set rmargin 3\nset logscale y\nset format y '10^{%%L}'\nset ylabel 'values per bin'\n"
            "set key top right Left reverse\n");
    for (int cut = 0; cut < 2; cut++) {
        const char *part = cut ? "cut" : "whole";
        double unit = axis(s, p, cut);
        /* room above the bars for what the colours mean */
        fprintf(s, "stats 'surrogate-%s.tsv' using 3 nooutput\nset yrange [%s:STATS_max * %s]\n"
                "plot 'surrogate-%s.tsv' using ($1/%g):3:($2/%g) with boxes lc rgb '#b8b8b8' title 'A', \\\n"
                "  '' using ($1/%g):4 with lines lw 2 lc rgb '#0072b2' title 'normal', \\\n"
                "  '' using ($1/%g):5 with lines lw 2 dt (6,3) lc rgb '#e69f00' title %s\nunset key\n",
                part, cut ? "(STATS_min > 1 ? STATS_min / 2 : 0.7)" : "0.7", cut ? "2" : "1e4", part, unit, unit, unit,
                unit, lca_plot_quote(weibull).text);
    }
    fprintf(s, "unset multiplot\n");
    return 0;
}

int lca_plot_parameter_helping(struct lca_plot *p, struct lca_err *err)
{
    const struct lca_plot_agg *a = lca_plot_first(p, 0, "helping_histogram", err);
    char name[LABEL], columns[4096] = "share of steps %";
    if (!a)
        return -1;
    uint64_t bins = lca_plot_size(a, "share"), groups = lca_plot_size(a, "group");
    lca_plot_columns(columns, sizeof columns, a, "group");
    FILE *to = lca_plot_sheet_table(p->sheet, "parameters", columns, err);
    if (!to)
        return -1;
    for (uint64_t b = 0; b < bins; b++) {
        fprintf(to, "%.17g", 100 * ((double)b + 0.5) / (double)bins);
        for (uint64_t g = 0; g < groups; g++)
            fprintf(to, "\t%.17g", a->v[g * bins + b]);
        fprintf(to, "\n");
    }
    lca_plot_title(p, "Parameters by the share of steps in which they helped", 1, 2);
    FILE *s = p->sheet->script;
    fprintf(s, "set lmargin 11; set rmargin 3\nset xlabel 'steps in which they helped (%%)'\nset xrange [0:100]\n"
            "set yrange [0:*]\nset boxwidth %.17g\nset ylabel 'parameters'\nunset key\nset format y '%%.0s %%c'\n"
            "set label 1 '{/*0.8 half of the steps}' at 51,graph 0.96 tc rgb '#777777'\n"
            "set arrow 1 from 50,graph 0 to 50,graph 1 nohead lc rgb '#444444' dt (3,3) front\n"
            "plot 'parameter-helping-parameters.tsv' using 1:2:(colour(50 - $1)) with boxes lc rgb variable\n",
            100.0 / (double)bins);
    fprintf(s, "unset label 1\nset ylabel 'parameters of the layer (%%)'\nset format y '%%g'\nset key top right\n");
    for (uint64_t g = 1; g < groups; g++)
        fprintf(s, "stats 'parameter-helping-parameters.tsv' using %" PRIu64 " nooutput prefix 'S%" PRIu64 "'\n", g + 2,
                g);
    fprintf(s, "plot ");
    for (uint64_t g = 1; g < groups; g++)
        fprintf(s, "%s using 1:(100 * $%" PRIu64 " / S%" PRIu64 "_sum) with steps lw 1.6 lc rgb '%s' title %s%s",
                g > 1 ? "  ''" : "'parameter-helping-parameters.tsv'", g + 2, g,
                lca_plot_colour((unsigned)g - 1, (unsigned)groups - 1),
                lca_plot_quote(lca_plot_label(a, "group", g, name, sizeof name)).text,
                g + 1 < groups ? ", \\\n" : "\n");
    fprintf(s, "unset multiplot\n");
    return 0;
}
