/* plot-film.c: all layers over training as a film: a strip for each layer with a cell for
 * each neuron or channel, what it did since the picture before; beside it the layer's sum
 * since the first step, below the sum of all. */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "plot/plot.h"

enum { LABEL = 128, LAYERS = 512 };

struct film {
    uint64_t layers, steps, window, pictures, units;
    uint64_t off[LAYERS], n[LAYERS];    /* of each layer's units */
    uint64_t it0;
    double *cell;                       /* [picture][unit] */
    double *sum;                        /* [picture][layer], since the first step */
};

/* The layers, as the first step brings them. */
static int find_layers(struct film *f, const struct lca_plot *p, struct lca_err *err)
{
    const struct lca_plot_agg *first = lca_plot_first(p, 0, "units", err), *a = first;
    if (!first)
        return -1;
    f->it0 = first->it;
    for (; a; a = lca_plot_next(&p->run[0], a, "units", p->set, NULL)) {
        if (a->it != first->it)
            continue;
        if (f->layers == LAYERS)
            return lca_fail(err, LCA_USAGE, "%s: more than %d layers", p->run[0].name, LAYERS);
        f->off[f->layers] = f->units;
        f->n[f->layers++] = a->n;
        f->units += a->n;
    }
    return 0;
}

static int fill(struct film *f, const struct lca_plot *p, struct lca_err *err)
{
    const struct lca_plot_agg *a = NULL;
    uint64_t l = 0, last = f->it0;
    f->steps = lca_plot_steps(&p->run[0]) - f->it0;
    f->window = (f->steps + p->pictures - 1) / p->pictures;
    f->pictures = (f->steps + f->window - 1) / f->window;
    f->cell = lca_alloc(f->pictures * f->units, sizeof *f->cell, err);
    f->sum = f->cell ? lca_alloc(f->pictures * f->layers, sizeof *f->sum, err) : NULL;
    if (!f->sum)
        return -1;
    while ((a = lca_plot_next(&p->run[0], a, "units", p->set, NULL))) {
        uint64_t at = (a->it - f->it0) / f->window;
        l = a->it == last ? l : 0;
        last = a->it;
        if (a->it < f->it0 || at >= f->pictures || l >= f->layers || a->n != f->n[l])
            return lca_fail(err, LCA_CORRUPT, "%s: step %" PRIu64 " has other units than the first", p->run[0].name,
                            a->it);
        for (uint64_t u = 0; u < a->n; u++) {
            f->cell[at * f->units + f->off[l] + u] += a->v[u];
            f->sum[at * f->layers + l] += a->v[u];
        }
        l++;
    }
    for (uint64_t k = f->layers; k < f->pictures * f->layers; k++)
        f->sum[k] += f->sum[k - f->layers];
    return 0;
}

/* Blocks, one for each picture. */
static int tables(const struct film *f, struct lca_plot *p, struct lca_err *err)
{
    FILE *to = lca_plot_sheet_table(p->sheet, "units", "left\tright\tlayer\tloss change", err);
    for (uint64_t k = 0; to && k < f->pictures; k++) {
        for (uint64_t l = 0; l < f->layers; l++) {
            for (uint64_t u = 0; u < f->n[l]; u++)
                fprintf(to, "%.6g\t%.6g\t%" PRIu64 "\t%.17g\n", (double)u / (double)f->n[l],
                        (double)(u + 1) / (double)f->n[l], l, f->cell[k * f->units + f->off[l] + u]);
        }
        fprintf(to, "\n\n");
    }
    to = to ? lca_plot_sheet_table(p->sheet, "layers", "layer\tloss change since the first step", err) : NULL;
    for (uint64_t k = 0; to && k < f->pictures; k++) {
        for (uint64_t l = 0; l < f->layers; l++)
            fprintf(to, "%" PRIu64 "\t%.17g\n", l, f->sum[k * f->layers + l]);
        fprintf(to, "\n\n");
    }
    to = to ? lca_plot_sheet_table(p->sheet, "all", "steps\tloss change since the first step", err) : NULL;
    for (uint64_t k = 0; to && k < f->pictures; k++) {
        double sum = 0;
        uint64_t end = (k + 1) * f->window < f->steps ? (k + 1) * f->window : f->steps;
        for (uint64_t l = 0; l < f->layers; l++)
            sum += f->sum[k * f->layers + l];
        fprintf(to, "%" PRIu64 "\t%.17g\n", f->it0 + end, sum);
    }
    return to ? 0 : -1;
}

/* The script draws one picture after another; in each the strips, the bars, the curve. */
static void script(const struct film *f, struct lca_plot *p, double clip, double least, double most)
{
    FILE *s = p->sheet->script;
    const struct lca_plot_agg *a = NULL;
    char name[LABEL];
    lca_plot_title(p, "What each neuron or channel did to the loss", 0, 0);
    fprintf(s, "unset title\nunset key\nset cbrange [%.17g:%.17g]\nset grid noy\n"
            "stats 'animation-all.tsv' using 1:2 nooutput name 'all'\ndo for [k=0:%" PRIu64 "] {\n",
            -clip, clip, f->pictures - 1);
    if (!strstr(p->sheet->out, ".gif"))
        fprintf(s, "  set output sprintf('animation-%%05d.png', k + 1)\n");
    fprintf(s, "  set multiplot title heading offset 0,-0.3\n"
            "  from = %" PRIu64 " + k * %" PRIu64 "\n"
            "  to = from + %" PRIu64 " > all_max_x ? all_max_x : from + %" PRIu64 "\n"
            "  set lmargin at screen 0.13; set rmargin at screen 0.66\n"
            "  set tmargin at screen 0.80; set bmargin at screen 0.36\n"
            "  set border 0; set xrange [0:1]; set yrange [%g:-0.6]; unset xtics; unset xlabel; unset ylabel\n"
            "  unset colorbox; unset xzeroaxis\n"
            "  set label 1 sprintf('steps %%d to %%d; green helped, red hurt', from, to - 1) at graph 0,graph 1.06\n"
            "  set ytics scale 0 nomirror (", f->it0, f->window, f->window, f->window, (double)f->layers - 0.4);
    for (uint64_t l = 0; l < f->layers; l++) {
        a = lca_plot_next(&p->run[0], a, "units", p->set, NULL);
        fprintf(s, "%s%s %" PRIu64, l ? ", " : "",
                lca_plot_quote(lca_plot_label(a, "layer", 0, name, sizeof name)).text, l);
    }
    fprintf(s, ")\n  plot 'animation-units.tsv' index k using (($1+$2)/2):3:1:2:($3-0.42):($3+0.42):4 with boxxyerror "
            "lc palette\n"
            "  set lmargin at screen 0.70; set rmargin at screen 0.96; set border 1; set xrange [%.17g:%.17g]\n"
            "  set xtics %g nomirror; unset ytics\n"
            "  set label 1 'each layer since the first step (nat)'\n"
            "  plot 'animation-layers.tsv' index k using ($2/2):1:(0):2:($1-0.42):($1+0.42):(colour($2)) "
            "with boxxyerror lc rgb variable\n"
            "  unset label 1\n"
            "  set lmargin at screen 0.13; set rmargin at screen 0.96\n"
            "  set tmargin at screen 0.27; set bmargin at screen 0.12\n"
            "  set border 3; set xrange [%" PRIu64 ":all_max_x]\n"
            "  set yrange [all_min_y < 0 ? all_min_y : 0:all_max_y > 0 ? all_max_y : 0]\n"
            "  set xtics autofreq nomirror; set ytics autofreq nomirror scale 0.6; set xlabel 'training steps'\n"
            "  set ylabel 'all (nat)'\n"
            "  plot 'animation-all.tsv' using 1:2 with lines lc rgb '#cccccc', "
            "'' using 1:2 every ::0::k with lines lw 2.5 lc rgb '#0072b2'\n"
            "  unset multiplot\n}\nset output\n", least, most, lca_plot_tics(most - least, 3), f->it0);
}

int lca_plot_animation(struct lca_plot *p, struct lca_err *err)
{
    struct film f = {0};
    double least = 0, most = 0;
    int result = -1;
    if (find_layers(&f, p, err) == 0 && fill(&f, p, err) == 0 && tables(&f, p, err) == 0) {
        for (uint64_t k = 0; k < f.pictures * f.layers; k++) {
            least = f.sum[k] < least ? f.sum[k] : least;
            most = f.sum[k] > most ? f.sum[k] : most;
        }
        double clip = lca_plot_clip(f.cell, f.pictures * f.units, 0.95);
        p->sheet->pictures = (unsigned)f.pictures;
        script(&f, p, clip > 0 ? clip : 1, least, most > least ? most : least + 1);
        result = 0;
    }
    free(f.cell);
    free(f.sum);
    return result;
}
