/* lca-moments: moments of learning, and whether layers have theirs at the same steps
 * (Lan et al. 2019, section 6 of the paper: synchronised learning).
 *
 * In: an `lca` stream (train, all classes and by class), with --of also move and eff
 * frames. Three series per layer: its sum of A, whose deepest local minima are the
 * moments; and the L2 norms of its movement and of its effective gradient, whose highest
 * local maxima are (src/lca/peaks.h). OF is moments, move_moments or eff_moments. Out:
 *   OF          per step, [layer]: peaks up to the step before, all classes
 *   OF_at       [class][layer][rank]: steps of the moments, ascending; NaN: fewer
 *   OF_size     the series there
 *   OF_total    [class][level][measure]: steps at which at least `need` layers have a
 *               moment, and the same by chance: mean and p of nulls A, B and C, and for
 *               all layers the exact tail of uniform placement
 * The first class is "all"; the movement has no others. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/tool.h"
#include "filter/filter.h"
#include "lca/peaks.h"
#include "lca/sums.h"

static struct {
    struct lca_filter_args filter;
    const char *of, *levels;
    long keep, draws, block, seed;
} opt = {.of = "lca", .levels = "0.25,0.5,1", .keep = 20, .draws = 10000, .block = 40, .seed = 1};

static const struct lca_opt opts[] = {
    {"of", 0, LCA_OPT_STR, &opt.of, "KINDS", "Series, parted by commas: lca (sums of A), move (norms of the movement), "
     "eff (norms of the effective gradient) (default lca).", 0, 0, false},
    {"keep", 0, LCA_OPT_INT, &opt.keep, "K", "Moments of a layer: its K deepest peaks (default 20).", 1, 1000, false},
    {"levels", 0, LCA_OPT_STR, &opt.levels, "X,Y", "Shares of the layers, above 0 to 1, that are counted as "
     "synchronised (default 0.25,0.5,1).", 0, 0, false},
    {"draws", 0, LCA_OPT_INT, &opt.draws, "N", "Draws of each null model; 0: none (default 10000).", 0, 1e9, false},
    {"block", 0, LCA_OPT_INT, &opt.block, "N", "Steps of a block of null C (default 40).", 1, 1e9, false},
    {"seed", 0, LCA_OPT_INT, &opt.seed, "N", "Of the draws (default 1).", 0, 4294967295.0, false},
    {0},
};
static const struct lca_opt more_opts[] = {LCA_FILTER_OPTS(opt.filter), {0}};

enum { SUM, MOVE, EFF, KINDS, MAX_LEVELS = 16 };
static const struct {
    const char *name, *frames, *at, *size, *total, *unit;
    enum lca_kind kind;
} kind[KINDS] = {
    {"moments", "lca", "moments_at", "moments_size", "moments_total", "nat", LCA_KIND_lca},
    {"move_moments", "move", "move_moments_at", "move_moments_size", "move_moments_total", "1", LCA_KIND_move},
    {"eff_moments", "eff", "eff_moments_at", "eff_moments_size", "eff_moments_total", "nat", LCA_KIND_eff},
};
enum { NEED, COUNT, MEAN_A, P_A, MEAN_B, P_B, MEAN_C, P_C, P_EXACT, MEASURES };

/* The series of one kind: value[step][class][layer], steps as they come; class 0: all. */
struct series {
    bool wanted;
    unsigned n_class;
    double *value;
    size_t steps, room;
    uint64_t *peaks;            /* [layer]: so far, all classes */
    double *table;              /* [class][level][measure], at the end */
};

struct moments {
    const struct lca_stream *in;
    struct series of[KINDS];
    unsigned n_layer, n_level;
    double level[MAX_LEVELS];
    uint64_t first, it;         /* steps */
};

static int parse_options(struct moments *x, struct lca_err *err)
{
    for (const char *k = opt.of; *k; k += k[0] == ',') {
        size_t n = strcspn(k, ",");
        int which = 0;
        while (which < KINDS && (strlen(kind[which].frames) != n || strncmp(k, kind[which].frames, n) != 0))
            which++;
        if (which == KINDS)
            return lca_fail(err, LCA_USAGE, "--of takes lca, move, eff, not '%.*s'", (int)n, k);
        x->of[which].wanted = true;
        k += n;
    }
    for (const char *k = opt.levels; *k;) {
        char *end;
        double level = strtod(k, &end);
        if (end == k || (*end && *end != ',') || !(level > 0 && level <= 1) || x->n_level == MAX_LEVELS)
            return lca_fail(err, LCA_USAGE, "--levels takes up to %d numbers above 0 to 1, not '%s'", MAX_LEVELS,
                            opt.levels);
        x->level[x->n_level++] = level;
        k = end + (*end == ',');
    }
    if (!*opt.of || x->n_level == 0)
        return lca_fail(err, LCA_USAGE, "%s is empty", *opt.of ? "--levels" : "--of");
    return 0;
}

static int start(void *arg, const struct lca_stream *s, struct lca_err *err)
{
    struct moments *x = arg;
    x->in = s;
    x->n_layer = s->table.n_layer;
    for (int k = 0; k < KINDS; k++) {
        x->of[k].n_class = 1 + (k != MOVE && s->head->bycls ? s->n_classes : 0);
        x->of[k].peaks = lca_alloc(x->n_layer, sizeof *x->of[k].peaks, err);
        if (!x->of[k].peaks)
            return -1;
    }
    return 0;
}

/* Room for the values of one more step; NULL: none. */
static double *more_steps(struct series *s, unsigned n_layer, struct lca_err *err)
{
    size_t row = (size_t)s->n_class * n_layer;
    if (s->steps == s->room) {
        size_t room = s->room ? 2 * s->room : 1024;
        double *value = lca_alloc(room * row, sizeof *value, err);
        if (!value)
            return NULL;
        if (s->value)
            memcpy(value, s->value, s->steps * row * sizeof *value);
        free(s->value);
        s->value = value;
        s->room = room;
    }
    return s->value + s->steps++ * row;
}

/* Whether step t of the series, which has neighbours, is a peak. */
static bool is_peak(const struct moments *x, const struct series *s, size_t t, unsigned l, bool upward)
{
    size_t row = (size_t)s->n_class * x->n_layer;
    const double *v = s->value + t * row + l;
    return upward ? v[0] > v[-(ptrdiff_t)row] && v[0] > v[row] : v[0] < v[-(ptrdiff_t)row] && v[0] < v[row];
}

static int step(void *arg, const struct lca_step *st, struct lca_emit *e, struct lca_err *err)
{
    struct moments *x = arg;
    int which = st->kind == LCA_KIND_lca ? SUM : st->kind == LCA_KIND_move ? MOVE : EFF;
    struct series *s = &x->of[which];
    if (!s->wanted || (st->kind != LCA_KIND_move && st->s > 0))
        return 0;
    if (st->cls < 0) {
        if (s->steps == 0)
            x->first = st->it;
        if (!more_steps(s, x->n_layer, err))
            return -1;
    }
    x->it = st->it;
    double *row = s->value + ((s->steps - 1) * s->n_class + (size_t)(st->cls + 1)) * x->n_layer;
    for (unsigned l = 0; l < x->n_layer; l++) {
        const struct lca_group *layer = &x->in->table.layer[l];
        row[l] = (which == SUM ? lca_sum : lca_norm)(st->v + layer->off, layer->len);
    }
    if (st->cls >= 0)
        return 0;
    for (unsigned l = 0; l < x->n_layer && s->steps >= 3; l++)
        s->peaks[l] += is_peak(x, s, s->steps - 2, l, which != SUM);
    struct lca_agg a = {.kind = kind[which].name, .it = st->it, .set = "train", .unit = "peaks", .dt = "<u8",
                        .data = s->peaks, .dims = {"layer"}, .shape = {x->n_layer}, .n_dims = 1,
                        .keys = json_pack("{s:o}", "layer", lca_filter_layer_names(x->in))};
    return lca_emit_agg(e, &a, err);
}

/* ---- the end: moments of all layers of one class, and chance ---- */

struct layers {
    double *v;                          /* [T] */
    uint32_t **peak, **moment;          /* [layer] */
    size_t *n_peak, *n_moment;
};

static int layers_init(struct layers *y, unsigned n, size_t T, struct lca_err *err)
{
    *y = (struct layers){.v = lca_alloc(T + 1, sizeof *y->v, err), .peak = lca_alloc(n, sizeof *y->peak, err),
                         .moment = lca_alloc(n, sizeof *y->moment, err),
                         .n_peak = lca_alloc(n, sizeof *y->n_peak, err),
                         .n_moment = lca_alloc(n, sizeof *y->n_moment, err)};
    if (!y->v || !y->peak || !y->moment || !y->n_peak || !y->n_moment)
        return -1;
    for (unsigned l = 0; l < n; l++) {
        y->peak[l] = lca_alloc(T / 2 + 1, sizeof **y->peak, err);
        y->moment[l] = lca_alloc((size_t)opt.keep, sizeof **y->moment, err);
        if (!y->peak[l] || !y->moment[l])
            return -1;
    }
    return 0;
}

static void layers_clear(struct layers *y, unsigned n)
{
    for (unsigned l = 0; l < n; l++) {
        if (y->peak)
            free(y->peak[l]);
        if (y->moment)
            free(y->moment[l]);
    }
    free(y->v);
    free(y->peak);
    free(y->moment);
    free(y->n_peak);
    free(y->n_moment);
}

/* Steps and values of the moments into at and size [layer][keep]. */
static int find_moments(const struct moments *x, int which, unsigned c, struct layers *y, double *at, double *size,
                        struct lca_err *err)
{
    const struct series *s = &x->of[which];
    for (unsigned l = 0; l < x->n_layer; l++) {
        for (size_t t = 0; t < s->steps; t++)
            y->v[t] = s->value[(t * s->n_class + c) * x->n_layer + l];
        y->n_peak[l] = lca_peaks(y->v, s->steps, which != SUM, y->peak[l]);
        y->n_moment[l] = lca_peaks_keep(y->v, which != SUM, y->peak[l], y->n_peak[l], (size_t)opt.keep, y->moment[l],
                                        err);
        if (y->n_moment[l] == SIZE_MAX)
            return -1;
        for (size_t k = 0; k < (size_t)opt.keep; k++, at++, size++) {
            bool there = k < y->n_moment[l];
            *at = there ? (double)(x->first + y->moment[l][k]) : NAN;
            *size = there ? y->v[y->moment[l][k]] : NAN;
        }
    }
    return 0;
}

static int compare_with_chance(const struct moments *x, int which, unsigned c, const struct layers *y, double *table,
                               struct lca_err *err)
{
    struct lca_sync sync = {.n_layer = x->n_layer, .T = x->of[which].steps, .keep = (size_t)opt.keep,
                            .peak = (const uint32_t *const *)y->peak, .n_peak = y->n_peak,
                            .moment = (const uint32_t *const *)y->moment, .n_moment = y->n_moment};
    unsigned need[MAX_LEVELS];
    uint64_t count[MAX_LEVELS];
    struct lca_chance chance[LCA_NULLS][MAX_LEVELS];
    for (unsigned k = 0; k < x->n_level; k++)
        need[k] = lca_sync_need(x->level[k], x->n_layer);
    if (lca_sync_count(&sync, need, x->n_level, count, err) < 0)
        return -1;
    for (int null = 0; null < LCA_NULLS; null++)
        if (lca_sync_chance(&sync, (enum lca_null)null, need, x->n_level, count, (uint64_t)opt.draws,
                            (uint32_t)opt.seed, (uint32_t)which << 16 | c, (size_t)opt.block, chance[null], err) < 0)
            return -1;
    for (unsigned k = 0; k < x->n_level; k++, table += MEASURES) {
        size_t inner = sync.T > 2 ? sync.T - 2 : 0;         /* the ends are no candidates */
        table[NEED] = need[k];
        table[COUNT] = (double)count[k];
        for (int null = 0; null < LCA_NULLS; null++) {
            table[MEAN_A + 2 * null] = chance[null][k].mean;
            table[P_A + 2 * null] = opt.draws > 0 ? chance[null][k].p : NAN;
        }
        table[P_EXACT] = need[k] == x->n_layer ? lca_sync_exact(inner, y->n_moment, x->n_layer, count[k]) : NAN;
    }
    return 0;
}

static json_t *class_labels(const struct moments *x, const struct series *s)
{
    json_t *names = s->n_class > 1 ? lca_filter_class_names(x->in) : json_array();
    json_array_insert_new(names, 0, json_string("all"));
    return names;
}

static int put(struct moments *x, struct lca_emit *e, int which, const char *name, const double *data,
               struct lca_err *err)
{
    struct series *s = &x->of[which];
    struct lca_agg a = {.kind = name, .it = x->it, .set = "train", .dt = "<f8", .data = data, .n_dims = 3,
                        .unit = name == kind[which].size ? kind[which].unit : NULL, .window = true,
                        .dims = {"class", "layer", "rank"}, .shape = {s->n_class, x->n_layer, (uint64_t)opt.keep},
                        .keys = json_pack("{s:o, s:o}", "class", class_labels(x, s), "layer",
                                          lca_filter_layer_names(x->in))};
    if (name == kind[which].total) {
        json_t *levels = json_array();
        for (unsigned k = 0; k < x->n_level; k++) {
            char text[32];
            snprintf(text, sizeof text, "%g", x->level[k]);
            json_array_append_new(levels, json_string(text));
        }
        json_object_del(a.keys, "layer");
        json_object_set_new(a.keys, "level", levels);
        json_object_set_new(a.keys, "measure", json_pack("[s, s, s, s, s, s, s, s, s]", "need", "count", "mean_a",
                                                         "p_a", "mean_b", "p_b", "mean_c", "p_c", "p_exact"));
        a.dims[1] = "level";
        a.dims[2] = "measure";
        a.shape[1] = x->n_level;
        a.shape[2] = MEASURES;
    }
    return lca_emit_agg(e, &a, err);
}

static int end_of(struct moments *x, struct lca_emit *e, int which, struct lca_err *err)
{
    struct series *s = &x->of[which];
    size_t per_class = (size_t)x->n_layer * (size_t)opt.keep;
    double *at = lca_alloc(s->n_class * per_class, sizeof *at, err);
    double *size = lca_alloc(s->n_class * per_class, sizeof *size, err);
    struct layers y = {0};
    s->table = lca_alloc((size_t)s->n_class * x->n_level * MEASURES, sizeof *s->table, err);
    int result = at && size && s->table ? layers_init(&y, x->n_layer, s->steps, err) : -1;
    for (unsigned c = 0; c < s->n_class && result == 0; c++) {
        result = find_moments(x, which, c, &y, at + c * per_class, size + c * per_class, err);
        if (result == 0)
            result = compare_with_chance(x, which, c, &y, s->table + (size_t)c * x->n_level * MEASURES, err);
    }
    if (result == 0)
        result = put(x, e, which, kind[which].at, at, err);
    if (result == 0)
        result = put(x, e, which, kind[which].size, size, err);
    if (result == 0)
        result = put(x, e, which, kind[which].total, s->table, err);
    layers_clear(&y, x->n_layer);
    free(at);
    free(size);
    return result;
}

static int end(void *arg, struct lca_emit *e, struct lca_err *err)
{
    struct moments *x = arg;
    for (int k = 0; k < KINDS; k++)
        if (x->of[k].wanted && x->of[k].steps > 0 && end_of(x, e, k, err) < 0)
            return -1;
    return 0;
}

/* Of all layers together: the count, and its p. */
static json_t *final(void *arg)
{
    struct moments *x = arg;
    json_t *all = json_object();
    for (int k = 0; k < KINDS; k++) {
        json_t *of = json_object();
        for (unsigned level = 0; x->of[k].table && level < x->n_level; level++) {
            const double *row = x->of[k].table + level * MEASURES;
            if (row[NEED] < x->n_layer)
                continue;
            lca_filter_number(of, "synchronised", row[COUNT]);
            lca_filter_number(of, "p_a", row[P_A]);
            lca_filter_number(of, "p_b", row[P_B]);
            lca_filter_number(of, "p_c", row[P_C]);
            lca_filter_number(of, "p_exact", row[P_EXACT]);
        }
        if (json_object_size(of) > 0)
            json_object_set(all, kind[k].name, of);
        json_decref(of);
    }
    return all;
}

static int run(int argc, char **argv, struct lca_err *err)
{
    (void)argc, (void)argv;
    static struct moments x;
    if (parse_options(&x, err) < 0)
        return -1;
    struct lca_filter f = {.prog = "lca-moments", .stream = "moments", .self = &x, .start = start, .step = step,
                           .end = end, .final = final};
    for (int k = 0; k < KINDS; k++)
        f.needs |= x.of[k].wanted ? 1u << kind[k].kind : 0;
    f.takes = f.needs;
    f.args = json_pack("{s:s, s:I, s:s, s:I, s:I, s:I}", "of", opt.of, "keep", (json_int_t)opt.keep, "levels",
                       opt.levels, "draws", (json_int_t)opt.draws, "block", (json_int_t)opt.block, "seed", (json_int_t)opt.seed);
    f.payload = 32u << 20;
    int result = lca_filter_run(&f, &opt.filter, err);
    for (int k = 0; k < KINDS; k++) {
        free(x.of[k].value);
        free(x.of[k].peaks);
        free(x.of[k].table);
    }
    return result;
}

static const struct lca_tool tool = {
    .name = "lca-moments",
    .summary = "find moments of learning, and test whether layers share them",
    .usage = "[OPTION]...",
    .about = "Reads an lca stream and finds, in each layer's loss change per step, of all classes and (frames by "
             "class) of each, the moments of learning: the deepest of the steps whose value is strictly below both "
             "neighbours (moments_at, moments_size). Then it counts the steps at which at least a share of the layers "
             "have a moment (moments_total), and compares with chance: null A draws each layer's moments from its own "
             "local minima, null B shifts each layer's moments round the circle of steps, no two by the same, null C "
             "draws as A, as many in each block of steps as there really are. p is (1 + draws that reach the count) / (1 "
             "+ draws). For all layers also the exact probability, were moments placed uniformly.\n\nWith --of move,eff the same for "
             "the norms of each layer's movement and effective gradient, whose moments are the highest local maxima "
             "(move_moments_at, eff_moments_at, ...).\n\nMemory: 8 bytes per step, layer and class (10 MB for 5,000 "
             "steps, 22 layers and 10 classes), and as much again while it grows.",
    .examples = "  lca-moments < run.lca | lca-tap --kind moments_total\n"
                "  lca-moments --of lca,move,eff --draws 100000 --in run.lca | lca-tap --json",
    .opts = opts,
    .more = more_opts,
    .max_args = 0,
    .run = run,
};

int main(int argc, char **argv)
{
    return lca_tool_main(&tool, argc, argv);
}
