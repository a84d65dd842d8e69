/* plot-params.c: single parameters over steps, and moments of learning. */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "plot/plot.h"

enum { LABEL = 128, TRACES = 4, POINTS = 300 };      /* POINTS: of a curve that are drawn; the table has all */

int lca_plot_curves(struct lca_plot *p, struct lca_err *err)
{
    static const struct {
        const char *group, *title, *colour;
    } panel[] = {{"helping", "helped most", LCA_PLOT_HELPS}, {"hurting", "hurt most", LCA_PLOT_HURTS},
                 {"random", "drawn at random", "#0072b2"}};
    const struct lca_plot_run *r = &p->run[0];
    char layer[LABEL], title[300];
    uint64_t ranks = 0, points = 0;
    if (!lca_plot_layer(p, "params", layer, sizeof layer, err))
        return -1;
    const struct lca_plot_agg *first = lca_plot_next(r, NULL, "params", p->set, layer);
    for (int k = 0; k < 3; k++) {
        int64_t g = lca_plot_place(first, "group", panel[k].group);
        if (g < 0)
            return lca_fail(err, LCA_CORRUPT, "%s: params without the group %s", r->name, panel[k].group);
        FILE *to = lca_plot_sheet_table(p->sheet, panel[k].group, "step\tloss change since the first step, by rank",
                                        err);
        if (!to)
            return -1;
        ranks = lca_plot_size(first, "rank");
        points = 0;
        for (const struct lca_plot_agg *a = first; a; a = lca_plot_next(r, a, "params", p->set, layer), points++) {
            if (lca_plot_like(p, a, first, err) < 0)
                return -1;
            fprintf(to, "%" PRIu64 "\t", a->it + 1);
            for (uint64_t j = 0; j < ranks; j++)
                lca_plot_number(to, a->v[(uint64_t)g * ranks + j], j + 1 < ranks ? '\t' : '\n');
        }
    }
    snprintf(title, sizeof title, "%s: %" PRIu64 " parameters each, loss change since the first step", layer, ranks);
    lca_plot_title(p, title, 1, 3);
    fprintf(p->sheet->script, "set lmargin 11; set rmargin 2; unset key\nset xlabel 'training steps'\n"
            "set format y '%%.1e'\nset ylabel 'loss change (nat)'\nset xtics %g\n"
            "set xrange [0:%" PRIu64 "]\n", lca_plot_tics((double)lca_plot_steps(r), 4), lca_plot_steps(r));
    for (int k = 0; k < 3; k++)
        fprintf(p->sheet->script, "set title '%s' offset 0,-0.5 tc rgb '%s'\n"
                "plot for [c=2:%" PRIu64 "] 'curves-%s.tsv' using 1:c every %" PRIu64
                " with lines lw 0.7 lc rgb '%s'\n%s",
                panel[k].title, panel[k].colour, ranks + 1, panel[k].group, points / POINTS + 1, panel[k].colour,
                k == 0 ? "set ylabel ''\n" : "");
    fprintf(p->sheet->script, "unset multiplot\n");
    return 0;
}

int lca_plot_oscillation(struct lca_plot *p, struct lca_err *err)
{
    static const char *const measure[] = {"movement", "gradient", "A"};
    const struct lca_plot_run *r = &p->run[0];
    const struct lca_plot_agg *first = lca_plot_first(p, 0, "traces", err);
    char name[LABEL];
    int64_t m[3];
    double low[TRACES][3] = {{0}}, high[TRACES][3] = {{0}};     /* each axis has 0 on it */
    if (!first)
        return -1;
    uint64_t all = lca_plot_size(first, "parameter"), n = all < TRACES ? all : TRACES;
    for (int k = 0; k < 3; k++) {
        m[k] = lca_plot_place(first, "measure", measure[k]);
        if (m[k] < 0)
            return lca_fail(err, LCA_CORRUPT, "%s: traces without %s", r->name, measure[k]);
    }
    uint64_t width = lca_plot_size(first, "measure");
    for (uint64_t i = 0; i < n; i++) {
        char part[32];
        snprintf(part, sizeof part, "%" PRIu64, i);
        FILE *to = lca_plot_sheet_table(p->sheet, part, "step\tmovement since the first step\tgradient\tA", err);
        if (!to)
            return -1;
        for (const struct lca_plot_agg *a = first; a; a = lca_plot_next(r, a, "traces", p->set, NULL)) {
            if (lca_plot_like(p, a, first, err) < 0)
                return -1;
            fprintf(to, "%" PRIu64 "\t", a->it);
            for (int k = 0; k < 3; k++) {
                double v = a->v[i * width + (uint64_t)m[k]];
                lca_plot_number(to, v, k < 2 ? '\t' : '\n');
                low[i][k] = fmin(low[i][k], v);
                high[i][k] = fmax(high[i][k], v);
            }
        }
    }
    lca_plot_title(p, "Single parameters: where they moved, their gradient, and what they did", 3, (int)n);
    FILE *s = p->sheet->script;
    fprintf(s, "set lmargin 14; set rmargin 2; unset key\nset boxwidth 1\nset xrange [%" PRIu64 ":%" PRIu64 "]\n"
            "set xtics %g\n", first->it, lca_plot_steps(r),
            lca_plot_tics((double)(lca_plot_steps(r) - first->it), n < 3 ? 6 : 3));
    for (int k = 0; k < 3; k++) {
        fprintf(s, "set xlabel '%s'\n", k == 2 ? "training step" : "");
        for (uint64_t i = 0; i < n; i++) {
            fprintf(s, "set ylabel '%s'\n", i > 0 ? "" : k == 0 ? "movement" : k == 1 ? "gradient (nat)" : "A (nat)");
            fprintf(s, "set format y '%s'\n", k == 2 ? "%.1e" : "%g");
            if (high[i][k] > low[i][k])
                fprintf(s, "set ytics %g\n", lca_plot_tics(high[i][k] - low[i][k], 4));
            else
                fprintf(s, "set ytics autofreq\n");
            if (k == 0)
                fprintf(s, "set title %s offset 0,-0.5\n",
                        lca_plot_quote(lca_plot_label(first, "parameter", i, name, sizeof name)).text);
            fprintf(s, "plot 'oscillation-%" PRIu64 ".tsv' ", i);
            if (k < 2)
                fprintf(s, "using 1:%d with lines lw 1.4 lc rgb '%s'\n", k + 2, k ? "#777777" : "#0072b2");
            else
                fprintf(s, "using 1:($4 < 0 ? $4 : 0) with boxes lc rgb helps, '' using 1:($4 > 0 ? $4 : 0) "
                        "with boxes lc rgb hurts\n");
        }
        fprintf(s, "unset title\n");
    }
    fprintf(s, "unset multiplot\n");
    return 0;
}

/* moments */

/* How many layers have a moment of class c at a step. */
static unsigned sharing(const struct lca_plot_agg *at, uint64_t c, double step)
{
    uint64_t layers = lca_plot_size(at, "layer"), ranks = lca_plot_size(at, "rank");
    unsigned n = 0;
    for (uint64_t l = 0; l < layers; l++) {
        const double *v = at->v + (c * layers + l) * ranks;
        bool has = false;
        for (uint64_t k = 0; k < ranks; k++)
            has |= v[k] == step;
        n += has;
    }
    return n;
}

static int moments_table(struct lca_plot *p, const struct lca_plot_agg *at, const struct lca_plot_agg *size,
                         struct lca_err *err)
{
    uint64_t classes = lca_plot_size(at, "class"), layers = lca_plot_size(at, "layer");
    uint64_t ranks = lca_plot_size(at, "rank");
    char name[LABEL], other[LABEL];
    FILE *to = lca_plot_sheet_table(p->sheet, "at", "step\trow\tsize\tlayers that share it\tclass\tlayer", err);
    if (!to)
        return -1;
    for (uint64_t l = 0; l < layers; l++) {
        for (uint64_t c = 0; c < classes; c++) {
            for (uint64_t k = 0; k < ranks; k++) {
                uint64_t i = (c * layers + l) * ranks + k;
                if (isnan(at->v[i]))
                    continue;
                fprintf(to, "%.17g\t%" PRIu64 "\t%.17g\t%u\t%s\t%s\n", at->v[i], l * (classes + 1) + c, size->v[i],
                        sharing(at, c, at->v[i]), lca_plot_label(at, "class", c, name, sizeof name),
                        lca_plot_label(at, "layer", l, other, sizeof other));
            }
        }
    }
    return 0;
}

/* Of the strictest level and all classes. */
static double level_measure(const struct lca_plot_agg *a, const char *measure)
{
    uint64_t levels = lca_plot_size(a, "level"), width = lca_plot_size(a, "measure");
    int64_t m = lca_plot_place(a, "measure", measure);
    return m < 0 || levels == 0 ? NAN : a->v[(levels - 1) * width + (uint64_t)m];
}

/* Frames of the series that --of names: moments_at, eff_moments_at, ... */
static const struct lca_plot_agg *series(const struct lca_plot *p, const char *what, struct lca_err *err)
{
    char kind[64];
    const char *prefix = strcmp(p->of, "lca") == 0 ? "" : strcmp(p->of, "eff") == 0 ? "eff_" : "move_";
    snprintf(kind, sizeof kind, "%smoments_%s", prefix, what);
    if (lca_plot_next(&p->run[0], NULL, kind, NULL, NULL))
        return lca_plot_first(p, 0, kind, err);
    lca_fail(err, LCA_USAGE, "%s has no %s frames: they need lca-moments --of lca,%s", p->run[0].name, kind, p->of);
    return NULL;
}

int lca_plot_moments(struct lca_plot *p, struct lca_err *err)
{
    const struct lca_plot_agg *at = series(p, "at", err), *size = at ? series(p, "size", err) : NULL;
    const struct lca_plot_agg *total = size ? series(p, "total", err) : NULL;
    char title[300], name[LABEL];
    if (!total)
        return -1;
    uint64_t classes = lca_plot_size(at, "class"), layers = lca_plot_size(at, "layer"), rows = classes + 1;
    if (size->n != at->n || at->n != classes * layers * lca_plot_size(at, "rank"))
        return lca_fail(err, LCA_CORRUPT, "%s: moments_at and moments_size do not fit together", p->run[0].name);
    if (moments_table(p, at, size, err) < 0)
        return -1;
    double need = level_measure(total, "need"), pc = level_measure(total, "p_c");
    snprintf(title, sizeof title, "%s: %g of %" PRIu64 " are shared by %g of %" PRIu64 " layers (p %.2g, null C)",
             strcmp(p->of, "lca") == 0 ? "Moments of learning" : strcmp(p->of, "eff") == 0
             ? "Peaks of the effective gradient" : "Peaks of the movement", level_measure(total, "count"),
             lca_plot_size(at, "rank"), need, layers, pc);
    p->sheet->height = 150 + 22 * (int)(layers * rows > 24 ? 24 : layers * rows < 6 ? 6 : layers * rows);
    lca_plot_title(p, title, 0, 0);
    FILE *s = p->sheet->script;
    fprintf(s, "set xlabel 'training step'\nset ylabel 'layer; in each all classes, then class by class'\nset ytics (");
    for (uint64_t l = 0; l < layers; l++)
        fprintf(s, "%s%s %g", l ? ", " : "", lca_plot_quote(lca_plot_label(at, "layer", l, name, sizeof name)).text,
                (double)(l * rows) + (double)(classes - 1) / 2);
    fprintf(s, ")\nset yrange [%g:-1]\nset xrange [0:%" PRIu64 "]\nset grid noy x\nunset xzeroaxis\n"
            "set key bmargin center horizontal\nset bmargin 5\n", (double)(layers * rows) - 0.5,
            lca_plot_steps(&p->run[0]));
    for (uint64_t l = 0; l < layers; l++)
        fprintf(s, "set object rectangle from graph 0,first %g to graph 1,first %g fc rgb '#f2f2f2' fs solid noborder "
                "behind\n", (double)(l * rows) - 0.6, (double)(l * rows) + 0.6);
    fprintf(s, "plot 'moments-at.tsv' using ($4 < %g ? $1 : NaN):2 with points pt 7 ps %g lc rgb '#8a8a8a' "
            "title 'of this layer alone, or of few', \\\n"
            "  '' using ($4 >= %g ? $1 : NaN):2 with points pt 7 ps %g lc rgb '#cc3d8f' "
            "title 'shared by %g layers or more'\n", need, rows * layers > 60 ? 0.3 : 0.5, need,
            rows * layers > 60 ? 0.4 : 0.65, need);
    return 0;
}
