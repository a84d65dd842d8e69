/* plot-steps.c: curves over steps: the loss, percent helping, layers since the first step. */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "plot/plot.h"

enum { SETS = 3 };

/* The sets that arrays of a kind are of, in the order in which they come. */
static unsigned sets_of(const struct lca_plot_run *r, const char *kind, const char *set[SETS])
{
    unsigned n = 0, k;
    for (const struct lca_plot_agg *a = NULL; n < SETS && (a = lca_plot_next(r, a, kind, NULL, NULL));) {
        for (k = 0; k < n && strcmp(set[k], a->set) != 0; k++)
            continue;
        if (k == n)
            set[n++] = a->set;
        else if (k == 0)
            break;              /* the second step */
    }
    return n;
}

/* Loss after so many steps, L_0 + sums of A, residuals; 100 * (sum A - dL) / |dL|. */
static double loss_table(struct lca_plot *p, const char *set, FILE *to)
{
    double first = NAN, last = NAN, sums = 0;
    for (const struct lca_plot_agg *a = NULL; (a = lca_plot_next(&p->run[0], a, "layers", set, NULL));) {
        double L0 = lca_plot_more(a, "L0"), L1 = lca_plot_more(a, "L1"), res = lca_plot_more(a, "res");
        if (isnan(first)) {
            first = L0;
            fprintf(to, "%" PRIu64 "\t", a->it);
            lca_plot_number(to, first, '\t');
            lca_plot_number(to, first, '\t');
            fprintf(to, "NaN\tNaN\n");
        }
        last = L1;
        sums += L1 - L0 - res;
        fprintf(to, "%" PRIu64 "\t", a->it + 1);
        lca_plot_number(to, L1, '\t');
        lca_plot_number(to, first + sums, '\t');
        lca_plot_number(to, fabs(res), '\t');
        lca_plot_number(to, fabs(L1 - L0 - lca_plot_more(a, "fo")), '\n');
    }
    return 100 * (sums - (last - first)) / fabs(last - first);
}

int lca_plot_loss(struct lca_plot *p, struct lca_err *err)
{
    const char *set[SETS];
    double error[SETS];
    unsigned n = sets_of(&p->run[0], "layers", set);
    const struct lca_plot_agg *a = lca_plot_next(&p->run[0], NULL, "layers", set[0], NULL);
    if (isnan(lca_plot_more(a, "L0")) || isnan(lca_plot_more(a, "res")))
        return lca_fail(err, LCA_USAGE, "%s: its layers frames do not tell the loss: they are of an older lca-layers; "
                        "run it again on the recording", p->run[0].name);
    for (unsigned k = 0; k < n; k++) {
        struct lca_plot one = *p;
        one.set = set[k];
        if (lca_plot_every_step(&one, "layers", NULL, err) < 0)
            return -1;
        FILE *to = lca_plot_sheet_table(p->sheet, set[k], "step\tloss\tfirst loss + sums of A\t|residual|\t"
                                        "|residual of first order|", err);
        if (!to)
            return -1;
        error[k] = loss_table(p, set[k], to);
    }
    lca_plot_title(p, "Loss, and the sums of A", 2, 1);
    FILE *s = p->sheet->script;
    fprintf(s, "set lmargin 12; set rmargin 3\nset ylabel 'loss (nat)'\nset yrange [0:*]\nset xlabel ''\nplot ");
    for (unsigned k = 0; k < n; k++) {
        char title[160];
        fprintf(s, "'loss-%s.tsv' using 1:2 with lines lw 3.5 lc rgb '%s' title 'loss, %s', \\\n", set[k],
                k ? "#cfb8c8" : "#b0b0b0", set[k]);
        snprintf(title, sizeof title, "first loss + sums of A, %s (total error %.2g %%)", set[k], error[k]);
        fprintf(s, "  '' using 1:3 with lines lw 1.3 dt (6,4) lc rgb '%s' title %s%s", k ? "#cc79a7" : "#0072b2",
                lca_plot_quote(title).text, k + 1 < n ? ", \\\n  " : "\n");
    }
    fprintf(s, "set ylabel 'size of the residual (nat)'\nset xlabel 'training steps'\nset yrange [*:*]\n"
            "set logscale y\nset format y '10^{%%L}'\nset key bottom right\n"
            "plot 'loss-%s.tsv' using 1:5 with lines lw 1 lc rgb '#cc79a7' title 'first order', \\\n"
            "  '' using 1:4 with lines lw 1 lc rgb '#0072b2' title 'integrated'\nunset multiplot\n", set[0]);
    return 0;
}

/* Gaussian of sigma steps, over what is there. */
static void smooth(const double *v, double *to, size_t n, double sigma)
{
    long reach = (long)ceil(3 * sigma);
    for (long k = 0; k < (long)n; k++) {
        double sum = 0, weights = 0;
        for (long j = k < reach ? 0 : k - reach; j < (long)n && j <= k + reach; j++) {
            double w = exp(-0.5 * (double)((j - k) * (j - k)) / (sigma * sigma));
            sum += isnan(v[j]) ? 0 : w * v[j];
            weights += isnan(v[j]) ? 0 : w;
        }
        to[k] = weights > 0 ? sum / weights : NAN;
    }
}

/* Of one group; returns the mean of q over steps, NaN with err set on failure. */
static double helping_table(struct lca_plot *p, const struct lca_plot_agg *first, uint64_t at_q, uint64_t at_p,
                            double *q, double *smoothed, double *sigma, struct lca_err *err)
{
    const struct lca_plot_run *r = &p->run[0];
    const struct lca_plot_agg *a = first;
    double sum = 0, count = 0;
    size_t n = 0;
    for (; a; a = lca_plot_next(r, a, "helping", p->set, NULL)) {
        if (lca_plot_like(p, a, first, err) < 0)
            return NAN;
        q[n++] = a->v[at_q];
    }
    *sigma = (double)n / 100 > 1 ? (double)n / 100 : 1;
    smooth(q, smoothed, n, *sigma);
    FILE *to = lca_plot_sheet_table(p->sheet, "steps", "step\tq %\tq % smoothed\tp %\tloss", err);
    if (!to)
        return NAN;
    n = 0;
    for (a = first; a; a = lca_plot_next(r, a, "helping", p->set, NULL), n++) {
        fprintf(to, "%" PRIu64 "\t", a->it);
        lca_plot_number(to, q[n], '\t');
        lca_plot_number(to, smoothed[n], '\t');
        lca_plot_number(to, a->v[at_p], '\t');
        lca_plot_number(to, lca_plot_more(a, "L1"), '\n');
        if (!isnan(q[n])) {
            sum += q[n];
            count++;
        }
    }
    return count > 0 ? sum / count : 0;
}

int lca_plot_helping(struct lca_plot *p, struct lca_err *err)
{
    const struct lca_plot_agg *a = lca_plot_first(p, 0, "helping", err);
    if (!a)
        return -1;
    const char *group = p->layer ? p->layer : "all";
    int64_t g = lca_plot_place(a, "group", group), mp = lca_plot_place(a, "measure", "p"),
            mq = lca_plot_place(a, "measure", "q");
    uint64_t row = (uint64_t)g * lca_plot_size(a, "measure");
    if (g < 0 || mp < 0 || mq < 0)
        return lca_fail(err, LCA_USAGE, "--layer %s: the stream has no such group", group);
    double *q = lca_alloc(p->run[0].n, sizeof *q, err), sigma = 0;
    double *smoothed = q ? lca_alloc(p->run[0].n, sizeof *smoothed, err) : NULL;
    double mean = !smoothed ? NAN
                : helping_table(p, a, row + (uint64_t)mq, row + (uint64_t)mp, q, smoothed, &sigma, err);
    free(q);
    free(smoothed);
    if (isnan(mean))
        return -1;
    char title[300];
    snprintf(title, sizeof title, "Parameters that helped%s%s: %.2f %% of those that did anything, on average",
             p->layer ? ", " : "", p->layer ? p->layer : "", mean);
    lca_plot_title(p, title, 0, 0);
    fprintf(p->sheet->script,
            "set xlabel 'training step'\nset ylabel 'parameters that helped (%%)'\nset y2label 'loss (nat)'\n"
            "set border 11\nset y2tics out\nset y2range [0:*]\n"
            "set key bmargin center horizontal maxcols 2\nset bmargin 6\n"
            "plot 50 with lines lc rgb '#444444' dt (3,3) notitle, \\\n"
            "  'helping-steps.tsv' using 1:5 axes x1y2 with lines lw 1.5 lc rgb '#999999' title 'loss (right)', \\\n"
            "  '' using 1:2 with lines lw 0.6 lc rgb '#8fd3bd' title 'of those that did anything', \\\n"
            "  '' using 1:3 with lines lw 2.5 lc rgb helps title 'the same, smoothed (Gaussian, %.3g steps)', \\\n"
            "  '' using 1:4 with lines lw 0.8 lc rgb '#0072b2' title 'of all'\n", sigma);
    return 0;
}

int lca_plot_cumulative(struct lca_plot *p, struct lca_err *err)
{
    const struct lca_plot_run *r = &p->run[0];
    const struct lca_plot_agg *first = lca_plot_first(p, 0, "cumulative", err), *a = first;
    uint64_t n = a ? lca_plot_size(a, "layer") : 0;
    char columns[4096] = "step";
    if (!a)
        return -1;
    lca_plot_columns(columns, sizeof columns, a, "layer");
    FILE *to = lca_plot_sheet_table(p->sheet, "steps", columns, err);
    if (!to)
        return -1;
    if (a->it == (uint64_t)json_integer_value(json_object_get(r->head, "it0"))) {
        fprintf(to, "%" PRIu64, a->it);
        for (uint64_t l = 0; l < n; l++)
            fprintf(to, "\t0");
        fprintf(to, "\n");
    }
    for (; a; a = lca_plot_next(r, a, "cumulative", p->set, NULL)) {
        if (lca_plot_like(p, a, first, err) < 0)
            return -1;
        fprintf(to, "%" PRIu64 "\t", a->it + 1);
        for (uint64_t l = 0; l < n; l++)
            lca_plot_number(to, a->v[l], l + 1 < n ? '\t' : '\n');
    }
    lca_plot_title(p, "Loss change of each layer since the first step", 0, 0);
    fprintf(p->sheet->script, "set xlabel 'training steps'\nset ylabel 'loss change (nat); below 0 helped'\n"
            "set key outside right center\n");
    lca_plot_lines(p->sheet->script, "cumulative-steps.tsv", "lines lw 2", first, "layer");
    return 0;
}
