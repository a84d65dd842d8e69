#include "web/watched.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/finite.h"
#include "frame/head.h"
#include "lca/helping.h"
#include "lca/sums.h"

enum { SEEN = sizeof ((struct lca_watched *)0)->seen_at / sizeof (double) };

/* Doubles of all cells: more than that is no network that can be looked at. */
#define CELLS_MOST (UINT64_C(1) << 26)

static void forget(struct lca_watched *w)
{
    uint64_t memory = w->memory;
    unsigned beginning = w->beginning;
    json_decref(w->head);
    lca_table_clear(&w->table);
    lca_grid_clear(&w->grid);
    lca_past_clear(&w->past);
    lca_gather_clear(&w->gather);
    free(w->trace);
    free(w->sum);
    free(w->cell);
    free(w->now.now);
    free(w->now.help);
    free(w->now_cell);
    *w = (struct lca_watched){.memory = memory, .beginning = beginning};
}

void lca_watched_clear(struct lca_watched *w)
{
    forget(w);
}

/* The same run, from its first step on once more. */
static void begin_again(struct lca_watched *w)
{
    w->beginning++;
    w->past.n = 0;
    *w->trace = (struct lca_trace){0};
    memset(w->sum, 0, (size_t)w->rows * w->table.n_layer * sizeof *w->sum);
    memset(w->cell, 0, w->rows * w->grid.n_cell * sizeof *w->cell);
    w->steps = w->missed = w->not_finite = 0;
    w->n_seen = 0;
    w->rate = NAN;
}

static int take_head(struct lca_watched *w, const struct lca_frame *f, struct lca_err *err)
{
    const struct lca_frame_head *h = &f->u.head;
    w->any = false;
    w->gather.got = 0;
    if (w->begun && memcmp(w->run, f->run, LCA_RUN_LEN) == 0)
        return 0;
    forget(w);
    if (lca_head_check(h, err) < 0 || lca_table_parse(&w->table, h->layers, h->P, err) < 0 ||
        lca_grid_init(&w->grid, &w->table, err) < 0)
        goto fail;
    memcpy(w->run, f->run, LCA_RUN_LEN);
    w->P = h->P;
    w->parts = h->parts;
    w->n_class = h->bycls ? (unsigned)json_array_size(h->classes) : 0;
    w->rows = 1 + w->n_class;
    unsigned n_layer = w->table.n_layer;
    if (w->rows * w->grid.n_cell > CELLS_MOST) {
        lca_fail(err, LCA_USAGE, "a network of %u tensors and %u classes is too large to be shown", w->table.n_tensor,
                 w->n_class);
        goto fail;
    }
    w->head = lca_frame_json(f);
    w->trace = lca_alloc(1, sizeof *w->trace, err);
    w->sum = lca_alloc((size_t)w->rows * n_layer, sizeof *w->sum, err);
    w->cell = lca_alloc(w->rows * w->grid.n_cell, sizeof *w->cell, err);
    w->now_cell = lca_alloc(w->rows * w->grid.n_cell, sizeof *w->now_cell, err);
    w->now.now = lca_alloc((size_t)w->rows * n_layer, sizeof *w->now.now, err);
    w->now.help = lca_alloc(2 * (1 + (size_t)n_layer), sizeof *w->now.help, err);
    if (!w->head) {
        lca_fail(err, LCA_INTERNAL, "out of memory");
        goto fail;
    }
    if (!w->trace || !w->sum || !w->cell || !w->now_cell || !w->now.now || !w->now.help ||
        lca_past_init(&w->past, w->rows, n_layer, w->grid.n_cell, w->memory, err) < 0)
        goto fail;
    w->rate = NAN;
    w->begun = true;
    w->beginning++;
    return 0;
fail:
    forget(w);
    return -1;
}

static void begin_step(struct lca_watched *w, uint64_t it)
{
    if (w->past.n > 0 && it <= w->past.item[w->past.n - 1].it)
        begin_again(w);
    w->any = true;
    w->spoiled = false;
    w->came = 0;
    w->now.it = it;
    w->now.held = NAN;
}

static void measure_rate(struct lca_watched *w, double at)
{
    unsigned k = w->n_seen++ % SEEN, back = w->n_seen < SEEN ? w->n_seen : SEEN;
    w->seen_at[k] = at;
    w->seen_it[k] = w->now.it;
    unsigned oldest = (w->n_seen - back) % SEEN;
    double time = at - w->seen_at[oldest];
    if (time > 0)
        w->rate = (double)(w->now.it - w->seen_it[oldest]) / time;
}

/* The step under way is over: it counts, if all of it has come. */
static void end_step(struct lca_watched *w, double at)
{
    size_t n = (size_t)w->rows * w->table.n_layer, n_cell = w->rows * w->grid.n_cell;
    if (!w->any)
        return;
    w->any = false;
    if (w->came < w->rows || w->spoiled) {
        w->not_finite += w->spoiled;
        return;
    }
    bool is_first = w->past.n == 0;
    uint64_t last = is_first ? 0 : w->past.item[w->past.n - 1].it;
    if (is_first)
        w->first = w->now.it;
    else
        w->missed += w->now.it - last - 1;
    w->steps++;
    for (size_t k = 0; k < n; k++)
        w->sum[k] += w->now.now[k];
    for (size_t k = 0; k < n_cell; k++)
        w->cell[k] += w->now_cell[k];
    struct lca_moment *m = lca_past_add(&w->past, w->now.it);
    m->steps = w->steps;
    m->missed = w->missed;
    m->L0 = w->now.L0;
    m->L1 = w->now.L1;
    m->res = w->now.res;
    m->held = w->now.held;
    memcpy(m->help, w->now.help, 2 * (1 + w->table.n_layer) * sizeof *m->help);
    memcpy(m->now, w->now.now, n * sizeof *m->now);
    memcpy(m->sum, w->sum, n * sizeof *m->sum);
    for (size_t k = 0; k < n_cell; k++)
        m->cell[k] = (float)w->cell[k];
    measure_rate(w, at);
    lca_trace_add(w->trace, &(struct lca_trace_point){.it = m->it, .loss = m->L1, .held = m->held, .res = m->res,
                                                      .p = m->help[0], .q = m->help[1]});
}

/* Sums over layers as lca-layers makes them: of each tensor, then of these. */
static void sum_layers(const struct lca_table *t, const float *A, double *layer)
{
    memset(layer, 0, t->n_layer * sizeof *layer);
    for (unsigned k = 0; k < t->n_tensor; k++)
        layer[t->tensor[k].layer] += lca_sum(A + t->tensor[k].off, t->tensor[k].len);
}

static void count_helpers(struct lca_watched *w, const float *A)
{
    struct lca_helping all = {0};
    double m[LCA_HELP_MEASURES];
    for (unsigned l = 0; l < w->table.n_layer; l++) {
        const struct lca_group *g = &w->table.layer[l];
        struct lca_helping of_layer;
        lca_helping_signs(&of_layer, A + g->off, g->len);
        lca_helping_add(&all, &of_layer);
        lca_helping_measure(m, &of_layer);
        w->now.help[2 * (l + 1)] = m[LCA_HELP_P];
        w->now.help[2 * (l + 1) + 1] = m[LCA_HELP_Q];
    }
    lca_helping_measure(m, &all);
    w->now.help[0] = m[LCA_HELP_P];
    w->now.help[1] = m[LCA_HELP_Q];
}

static void take_vector(struct lca_watched *w, const struct lca_frame_lca *x, const float *A)
{
    unsigned row = (unsigned)(x->cls + 1);
    if (row >= w->rows || row != w->came)       /* a frame before it is missing */
        return;
    w->came++;
    if (lca_finite(A, w->P) < w->P) {
        w->spoiled = true;
        return;
    }
    double *cell = w->now_cell + row * w->grid.n_cell;
    memset(cell, 0, w->grid.n_cell * sizeof *cell);
    lca_grid_add(&w->grid, A, cell);
    sum_layers(&w->table, A, w->now.now + (size_t)row * w->table.n_layer);
    if (row > 0)
        return;
    count_helpers(w, A);
    w->now.L0 = x->L0;
    w->now.L1 = x->L1;
    w->now.res = x->res;
}

static int take_lca(struct lca_watched *w, const struct lca_frame *f, double at, struct lca_err *err)
{
    const struct lca_frame_lca *x = &f->u.lca;
    const float *A;
    if (w->any && x->it != w->now.it)
        end_step(w, at);
    if (!w->any)
        begin_step(w, x->it);
    if (strcmp(x->set, "train") != 0) {
        if (x->cls == -1 && x->off == 0 && isnan(w->now.held))
            w->now.held = x->L1;
        return 0;
    }
    if (!f->payload)
        return 0;
    /* a tap that missed the beginning of a vector has nothing of it */
    struct lca_vector which = {.kind = f->kind, .it = x->it, .cls = (int)x->cls, .set = x->set};
    if (x->off == 0)
        w->gather.got = 0;
    else if (x->off != w->gather.got || w->gather.it != x->it || w->gather.cls != which.cls)
        return 0;
    int whole = lca_gather_add(&w->gather, w->P, f, x->off, &which, &A, err);
    if (whole == 1)
        take_vector(w, x, A);
    return whole < 0 ? -1 : 0;
}

int lca_watched_take(struct lca_watched *w, const struct lca_frame *f, double at, struct lca_err *err)
{
    if (f->kind == LCA_KIND_head)
        return take_head(w, f, err);
    if (!w->begun)
        return 0;
    if (f->kind == LCA_KIND_lca && take_lca(w, f, at, err) < 0)
        return -1;
    bool is_last = lca_kind_is_data(f->kind) && w->parts > 0 && (f->seq + 1) % w->parts == 0;
    if (is_last || f->kind == LCA_KIND_eos)
        end_step(w, at);
    return 0;
}
