/* plot-images.c: colours for numbers: units by steps, pixels of a neuron. */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "plot/plot.h"

enum { LABEL = 128, NEURONS = 48, COLUMNS = 1600 };

/* More steps than there are pixels are summed up: the picture stays additive. */
int lca_plot_heatmap(struct lca_plot *p, struct lca_err *err)
{
    const struct lca_plot_run *r = &p->run[0];
    char layer[LABEL], title[300];
    uint64_t steps = 0, sets = 0;
    if (!lca_plot_layer(p, "units", layer, sizeof layer, err))
        return -1;
    const struct lca_plot_agg *first = lca_plot_next(r, NULL, "units", p->set, layer), *second;
    for (const struct lca_plot_agg *a = first; a; a = lca_plot_next(r, a, "units", p->set, layer), steps++) {
        if (lca_plot_like(p, a, first, err) < 0)
            return -1;
    }
    second = lca_plot_next(r, first, "units", p->set, layer);
    uint64_t stride = second ? second->it - first->it : 1, window = (steps + COLUMNS - 1) / COLUMNS, n = first->n;
    sets = (steps + window - 1) / window;
    double *v = lca_alloc(sets * n, sizeof *v, err), *sorted = v ? lca_alloc(sets * n, sizeof *v, err) : NULL;
    uint64_t k = 0;
    for (const struct lca_plot_agg *a = first; sorted && a; a = lca_plot_next(r, a, "units", p->set, layer), k++) {
        for (uint64_t u = 0; u < n; u++)
            v[k / window * n + u] += a->v[u];
    }
    const char *columns = "matrix: a line for each unit, a column for each step";
    FILE *to = sorted ? lca_plot_sheet_table(p->sheet, "units", columns, err) : NULL;
    for (uint64_t u = 0; to && u < n; u++) {
        for (k = 0; k < sets; k++)
            lca_plot_number(to, v[k * n + u], k + 1 < sets ? '\t' : '\n');
    }
    double clip = 0;
    if (to) {
        memcpy(sorted, v, sets * n * sizeof *v);
        clip = lca_plot_clip(sorted, sets * n, 0.99);
    }
    free(v);
    free(sorted);
    if (!to)
        return -1;
    snprintf(title, sizeof title, "%s: loss change of its %" PRIu64 " units in each %s (colours end at the 99 %% "
             "percentile)", layer, n, window > 1 ? "window of steps" : "step");
    lca_plot_title(p, title, 0, 0);
    double wide = (double)(stride * window), from = (double)first->it;
    fprintf(p->sheet->script,
            "set xlabel 'training step%s'\nset ylabel 'unit'\nset grid noy\nunset xzeroaxis\nunset key\n"
            "set rmargin 15\nset xrange [%.17g:%.17g]\nset yrange [-0.5:%g]\nset cbrange [%.17g:%.17g]\n"
            "set cblabel 'loss change (nat)'\nset format cb '%%.1e'\n"
            "plot 'heatmap-units.tsv' matrix using (%.17g + $1 * %.17g):2:3 with %s\n",
            window > 1 ? ", several to a column" : stride > 1 ? ", some of them" : "", from - wide / 2,
            from + ((double)sets - 0.5) * wide, (double)n - 0.5, clip > 0 ? -clip : -1, clip > 0 ? clip : 1, from, wide,
            lca_plot_sheet_image(p->sheet, sets * n));
    return 0;
}

/* [row][column] of a neuron, its channels added up. */
static int neuron_table(struct lca_plot *p, const struct lca_plot_agg *a, unsigned k, double *all, struct lca_err *err)
{
    char part[32];
    uint64_t rows = lca_plot_size(a, "row"), columns = lca_plot_size(a, "column");
    uint64_t channels = lca_plot_size(a, "channel");
    snprintf(part, sizeof part, "%u", k);
    FILE *to = lca_plot_sheet_table(p->sheet, part, "matrix: rows and columns of the image", err);
    if (!to)
        return -1;
    if (a->n != rows * columns * channels || a->n == 0)
        return lca_fail(err, LCA_CORRUPT, "%s: neuron_total without rows, columns and channels", p->run[0].name);
    for (uint64_t i = 0; i < rows * columns; i++) {
        double sum = 0;
        for (uint64_t c = 0; c < channels; c++)
            sum += a->v[i * channels + c];
        lca_plot_number(to, sum, (i + 1) % columns ? '\t' : '\n');
        all[i] = sum;
    }
    return 0;
}

int lca_plot_saliency(struct lca_plot *p, struct lca_err *err)
{
    const struct lca_plot_run *r = &p->run[0];
    const struct lca_plot_agg *neuron[NEURONS], *a = NULL;
    char layer[LABEL], title[200];
    unsigned n = 0;
    size_t size = 0;
    if (!lca_plot_layer(p, "neuron_total", layer, sizeof layer, err))
        return -1;
    while (n < NEURONS && (a = lca_plot_next(r, a, "neuron_total", p->set, p->layer))) {
        size = a->n > size ? a->n : size;
        neuron[n++] = a;
    }
    double *values = lca_alloc(size, sizeof *values, err), *clip = values ? lca_alloc(n, sizeof *clip, err) : NULL;
    for (unsigned k = 0; clip && k < n; k++) {
        if (neuron_table(p, neuron[k], k, values, err) < 0) {
            free(values);
            free(clip);
            return -1;
        }
        clip[k] = lca_plot_clip(values, lca_plot_size(neuron[k], "row") * lca_plot_size(neuron[k], "column"), 0.99);
        clip[k] = clip[k] > 0 ? clip[k] : 1;
    }
    free(values);
    if (!clip)
        return -1;
    int columns = n < 4 ? (int)n : 4, rows = (int)(n + 3) / 4;
    p->sheet->width = 120 + 200 * columns;
    p->sheet->height = 120 + 180 * rows;
    snprintf(title, sizeof title, "Loss change of each weight of a neuron, as an image%s",
             lca_plot_size(neuron[0], "channel") > 1 ? " (channels added up)" : "");
    lca_plot_title(p, title, rows, columns);
    FILE *s = p->sheet->script;
    fprintf(s, "set border 15\nunset key\nunset xtics\nunset ytics\nset grid noy\nunset xzeroaxis\nset size ratio -1\n"
            "set lmargin 1; set rmargin 9\nset format cb '%%.1e'\n");
    for (unsigned k = 0; k < n; k++) {
        char name[300];
        double unit = lca_plot_more(neuron[k], "unit");
        snprintf(name, sizeof name, "%s, unit %g", lca_plot_label(neuron[k], "layer", 0, layer, sizeof layer), unit);
        fprintf(s, "set title %s offset 0,-0.6\nset cbrange [%.17g:%.17g]\nset cbtics (%.17g, 0, %.17g)\n"
                "set xrange [-0.5:%g]\nset yrange [%g:-0.5]\nplot 'saliency-%u.tsv' matrix with %s\n",
                lca_plot_quote(name).text,
                -clip[k], clip[k], -clip[k], clip[k],
                (double)lca_plot_size(neuron[k], "column") - 0.5, (double)lca_plot_size(neuron[k], "row") - 0.5, k,
                lca_plot_sheet_image(p->sheet, n * neuron[k]->n));
    }
    fprintf(s, "unset multiplot\n");
    free(clip);
    return 0;
}
