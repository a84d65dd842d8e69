#include "web/view.h"

#include <inttypes.h>
#include <math.h>
#include <openssl/evp.h>
#include <string.h>

enum { SCALE = 32767 };

/* Everything is appended with `bad |=`: once memory is out, it stays so. */
static int number(struct lca_buf *out, double v)
{
    return isfinite(v) ? lca_buf_printf(out, "%.12g", v) : lca_buf_printf(out, "null");
}

static int text(struct lca_buf *out, const char *s)
{
    return lca_buf_append(out, s, strlen(s), NULL);
}

static int json(struct lca_buf *out, json_t *j)
{
    char *s = j ? json_dumps(j, JSON_COMPACT | JSON_ENCODE_ANY | JSON_REAL_PRECISION(12)) : NULL;
    int bad = s ? text(out, s) : -1;
    free(s);
    json_decref(j);
    return bad;
}

/* What of HEAD the page shows. */
static json_t *head_keys(const struct lca_watched *w)
{
    static const char *const names[] = {"model", "P", "classes", "data", "it0", "it1", "rule", "run", "bycls"};
    json_t *to = json_object();
    for (unsigned k = 0; k < sizeof names / sizeof *names; k++)
        if (json_object_get(w->head, names[k]))
            json_object_set(to, names[k], json_object_get(w->head, names[k]));
    return to;
}

static json_t *layer_json(const struct lca_watched *w, unsigned l)
{
    const struct lca_group *g = &w->table.layer[l];
    json_t *patches = json_array();
    for (unsigned k = g->first; k < g->first + g->n; k++) {
        const struct lca_patch *p = &w->grid.patch[k];
        json_array_append_new(patches, json_pack("{s:s, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:b, s:b}",
            "kind", lca_kind_of_name[p->tensor->kind], "rows", (int)p->rows, "cols", (int)p->cols, "in", (int)p->in,
            "out", (int)p->out, "height", (int)p->height, "width", (int)p->width, "per_row", (int)p->per_row,
            "per_col", (int)p->per_col, "row_pixels", p->row_pixels, "col_pixels", p->col_pixels));
    }
    return json_pack("{s:s, s:I, s:o}", "name", g->name, "parameters", (json_int_t)g->len, "patches", patches);
}

int lca_view_head(const struct lca_watched *w, struct lca_buf *out)
{
    json_t *layers = json_array();
    for (unsigned l = 0; l < w->table.n_layer; l++)
        json_array_append_new(layers, layer_json(w, l));
    return json(out, json_pack("{s:o, s:o}", "head", head_keys(w), "layers", layers));
}

/* the picture */

/* By how much the picture of all layers is made smaller. */
static uint32_t factor_of(const struct lca_grid *g)
{
    uint32_t by = 1;
    for (;; by *= 2) {
        uint64_t n = 0;
        for (unsigned k = 0; k < g->n_patch; k++)
            n += (uint64_t)lca_grid_less(g->patch[k].rows, by) * lca_grid_less(g->patch[k].cols, by);
        if (n <= LCA_VIEW_CELLS || by == LCA_GRID_SIDE)
            return by;
    }
}

struct span {                   /* the steps that a view sums up */
    const struct lca_moment *to, *before;   /* before: NULL: from the first step on */
    bool one;                   /* a single step, whose sums are kept as they are */
};

/* A patch's cells, summed over the span; [rows][cols] or fewer, in `cell`. */
static size_t patch_cells(const struct lca_watched *w, const struct span *s, unsigned patch, unsigned row, uint32_t by,
                          float *cell)
{
    const struct lca_patch *p = &w->grid.patch[patch];
    size_t n = (size_t)p->rows * p->cols, at = row * w->grid.n_cell + p->at;
    float full[LCA_GRID_SIDE * LCA_GRID_SIDE];
    float *to = by == 1 ? cell : full;
    for (size_t k = 0; k < n; k++)
        to[k] = s->to->cell[at + k] - (s->before ? s->before->cell[at + k] : 0);
    if (by == 1)
        return n;
    lca_grid_pool(p, by, full, cell);
    return (size_t)lca_grid_less(p->rows, by) * lca_grid_less(p->cols, by);
}

/* v [n] -> q [n], two bytes each. Returns the largest |v|. */
static double pack(const float *v, size_t n, unsigned char *q)
{
    float max = 0;
    for (size_t k = 0; k < n; k++)
        max = fabsf(v[k]) > max ? fabsf(v[k]) : max;
    float scale = max > 0 ? 1 / max : 0;
    for (size_t k = 0; k < n; k++) {
        int x = (int)(SCALE * sqrtf(fabsf(v[k]) * scale) + 0.5f);
        x = v[k] < 0 ? -x : x;
        q[2 * k] = (unsigned char)x;
        q[2 * k + 1] = (unsigned char)((unsigned)x >> 8);
    }
    return max;
}

static int put_cells(const struct lca_watched *w, const struct lca_view *v, const struct span *s, struct lca_buf *out)
{
    const struct lca_table *t = &w->table;
    unsigned first = v->layer >= 0 ? (unsigned)v->layer : 0, end = v->layer >= 0 ? first + 1 : t->n_layer;
    uint32_t by = v->layer >= 0 ? 1 : factor_of(&w->grid);
    struct lca_err err;
    size_t most = 0, used = 0;
    for (unsigned k = 0; k < w->grid.n_patch; k++)
        if (w->grid.patch[k].tensor->layer >= first && w->grid.patch[k].tensor->layer < end)
            most += (size_t)w->grid.patch[k].rows * w->grid.patch[k].cols;
    float *cell = lca_alloc(most, sizeof *cell, &err);
    unsigned char *q = lca_alloc(most, 2, &err);
    int bad = cell && q ? 0 : -1;
    if (!bad)
        bad |= lca_buf_printf(out, ",\"map\":{\"by\":%u,\"first\":%u,\"max\":[", by, first);
    for (unsigned l = first; l < end && !bad; l++) {
        const struct lca_group *g = &t->layer[l];
        size_t n = 0;
        for (unsigned k = g->first; k < g->first + g->n; k++)
            n += patch_cells(w, s, k, (unsigned)(v->cls + 1), by, cell + n);
        double max = pack(cell, n, q + 2 * used);
        used += n;
        bad |= text(out, l > first ? "," : "");
        bad |= number(out, max);
    }
    bad |= text(out, "],\"cells\":\"");
    /* 4 characters for 3 bytes, and a zero */
    if (!bad && (bad = lca_buf_reserve(out, out->len + (2 * used + 2) / 3 * 4 + 1, NULL)) == 0)
        out->len += (size_t)EVP_EncodeBlock(out->data + out->len, q, (int)(2 * used));
    bad |= text(out, "\"}");
    free(cell);
    free(q);
    return bad;
}

/* the numbers */

static double sum_of(const struct span *s, size_t k)
{
    return s->one ? s->to->now[k] : s->to->sum[k] - (s->before ? s->before->sum[k] : 0);
}

static int put_numbers(struct lca_buf *out, const char *name, const struct span *s, size_t first, unsigned n)
{
    int bad = lca_buf_printf(out, "%s[", name);
    for (unsigned k = 0; k < n; k++) {
        bad |= text(out, k ? "," : "");
        bad |= number(out, sum_of(s, first + k));
    }
    return bad | text(out, "]");
}

static int put_help(struct lca_buf *out, const char *name, const double *help, unsigned layers, unsigned which)
{
    int bad = lca_buf_printf(out, "%s[", name);
    for (unsigned k = 0; k <= layers; k++) {
        bad |= text(out, k ? "," : "");
        bad |= number(out, help[2 * k + which]);
    }
    return bad | text(out, "]");
}

static struct span span_of(const struct lca_watched *w, const struct lca_view *v)
{
    struct span s = {.to = &w->past.item[0]};
    int at = lca_past_find(&w->past, v->at);
    if (at > 0)
        s.to = &w->past.item[at];
    if (v->window > 0 && s.to->it - w->first >= v->window) {
        int before = lca_past_find(&w->past, s.to->it - v->window);
        s.before = before >= 0 ? &w->past.item[before] : NULL;
    }
    s.one = s.to->steps - (s.before ? s.before->steps : 0) == 1;
    return s;
}

int lca_view_step(const struct lca_watched *w, const struct lca_view *v, struct lca_buf *out)
{
    if (!w->begun || w->past.n == 0)
        return 0;
    unsigned n_layer = w->table.n_layer;
    struct span s = span_of(w, v);
    const struct lca_moment *m = s.to;
    int bad = lca_buf_printf(out, "\"it\":%" PRIu64 ",\"from\":%" PRIu64 ",\"steps\":%" PRIu64 ",\"missed\":%" PRIu64
                             ",\"first\":%" PRIu64 ",\"seen\":%" PRIu64 ",\"missed_in_all\":%" PRIu64
                             ",\"not_finite\":%" PRIu64, m->it, s.before ? s.before->it + 1 : w->first,
                             m->steps - (s.before ? s.before->steps : 0), m->missed - (s.before ? s.before->missed : 0),
                             w->first, w->steps, w->missed, w->not_finite);
    const struct { const char *name; double value; } one[] = {
        {"L0", m->L0}, {"loss", m->L1}, {"res", m->res}, {"held", m->held}, {"rate", w->rate},
    };
    for (unsigned k = 0; k < sizeof one / sizeof *one; k++) {
        bad |= lca_buf_printf(out, ",\"%s\":", one[k].name);
        bad |= number(out, one[k].value);
    }
    bad |= put_help(out, ",\"p\":", m->help, n_layer, 0);
    bad |= put_help(out, ",\"q\":", m->help, n_layer, 1);
    bad |= put_numbers(out, ",\"layers\":", &s, (size_t)(v->cls + 1) * n_layer, n_layer);
    for (unsigned c = 0; c < w->n_class; c++)
        bad |= put_numbers(out, c ? "," : ",\"classes\":[", &s, (size_t)(c + 1) * n_layer, n_layer);
    bad |= text(out, w->n_class > 0 ? "]" : "");
    return bad | put_cells(w, v, &s, out);
}

int lca_view_trace(const struct lca_trace *t, int64_t after, struct lca_buf *out)
{
    static const char *const name[] = {"loss", "held", "res", "p", "q"};
    unsigned first = after < 0 ? 0 : lca_trace_after(t, (uint64_t)after);
    int bad = lca_buf_printf(out, "{\"whole\":%s,\"it\":[", after < 0 ? "true" : "false");
    for (unsigned k = first; k < t->n; k++)
        bad |= lca_buf_printf(out, "%s%" PRIu64, k > first ? "," : "", t->at[k].it);
    for (unsigned j = 0; j < 5; j++) {
        bad |= lca_buf_printf(out, "],\"%s\":[", name[j]);
        for (unsigned k = first; k < t->n; k++) {
            const struct lca_trace_point *p = &t->at[k];
            double v = j == 0 ? p->loss : j == 1 ? p->held : j == 2 ? p->res : j == 3 ? p->p : p->q;
            bad |= isfinite(v) ? lca_buf_printf(out, "%s%.6g", k > first ? "," : "", v)
                               : text(out, k > first ? ",null" : "null");
        }
    }
    return bad | text(out, "]}");
}

int lca_view_steps(const struct lca_past *p, struct lca_buf *out)
{
    int bad = text(out, "[");
    for (unsigned k = 0; k < p->n; k++)
        bad |= lca_buf_printf(out, "%s%" PRIu64, k ? "," : "", p->item[k].it);
    return bad | text(out, "]");
}
