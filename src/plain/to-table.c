/* to-table.c: series as tables, in CSV or as JSON objects, one a line.
 *
 * A table has all sets and classes of a kind, as columns of their own: of vectors the numbers
 * that there are once a step; of aggregates a column per value. Tidy tables have a row per
 * value instead, with its labels before it, and of vectors every value. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/tool.h"
#include "plain/export.h"
#include "tap/show.h"
#include "tap/value.h"

struct table {
    struct table *next;
    const struct lca_series *like;      /* the first of its series */
    struct lca_show *show;              /* not tidy */
    FILE *file;
    char *path;                         /* NULL: stdout */
    bool headed;
};

struct tables {
    struct table *first;
    struct lca_buf text;
    bool json;
    char fields[80];
};

static int begin(struct lca_export *x, struct lca_err *err)
{
    struct tables *self = x->self = lca_alloc(1, sizeof *self, err);
    if (!self)
        return -1;
    self->json = x->format == &lca_format_jsonl;
    return 0;
}

/* Whether the rows of s go into the table of which t->like is the first series. */
static bool belongs(const struct table *t, const struct lca_series *s)
{
    const struct lca_series *like = t->like;
    if (like->kind != s->kind)
        return false;
    return !s->agg || (strcmp(like->agg, s->agg) == 0 && like->n_shape == s->n_shape && !*like->set == !*s->set &&
                       memcmp(like->shape, s->shape, s->n_shape * sizeof *s->shape) == 0 &&
                       json_equal(like->dims, s->dims) && (like->keys == s->keys || json_equal(like->keys, s->keys)));
}

/* Two kinds that are one name for the file system get a number. */
static int find_path(const struct lca_export *x, struct table *t, struct lca_err *err)
{
    const struct tables *self = x->self;
    char name[256];
    strcpy(name, t->like->table);
    for (unsigned k = 2;; k++) {
        const struct table *other = self->first;
        if (lca_export_path(x, name, &t->path, err) < 0)
            return -1;
        while (other && (other == t || !other->path || !t->path || strcmp(other->path, t->path) != 0))
            other = other->next;
        if (!other)
            return 0;
        free(t->path);
        t->path = NULL;
        snprintf(name, sizeof name, "%s.%u", t->like->table, k);
    }
}

static int open_table(struct lca_export *x, struct table *t, struct lca_err *err)
{
    struct tables *self = x->self;
    if (find_path(x, t, err) < 0)
        return -1;
    t->file = t->path ? fopen(t->path, "wb") : stdout;
    if (!t->file)
        return lca_fail_errno(err, LCA_USAGE, "%s: cannot write", t->path);
    if (x->o->tidy)
        return 0;
    struct lca_show_opts o = {.as = self->json ? LCA_SHOW_JSON : LCA_SHOW_CSV, .records = self->json, .all_data = true};
    if (!t->like->agg) {
        snprintf(self->fields, sizeof self->fields, "it%s", *t->like->set ? ",set,cls" : "");
        const char *scalars = lca_export_scalars(t->like->kind);
        snprintf(self->fields + strlen(self->fields), sizeof self->fields - strlen(self->fields), "%s%s",
                 *scalars ? "," : "", scalars);
        o.fields = self->fields;
    }
    t->show = lca_show_new(&o, err);
    return t->show ? 0 : -1;
}

static int open_series(struct lca_export *x, struct lca_series *s, const struct lca_frame *f, struct lca_err *err)
{
    struct tables *self = x->self;
    struct table **last = &self->first;
    (void)f;
    for (; *last; last = &(*last)->next)
        if (belongs(*last, s)) {
            s->to = *last;
            return 1;
        }
    if (self->first && !x->o->folder)
        return 0;
    struct table *t = lca_alloc(1, sizeof *t, err);
    if (!t)
        return -1;
    *last = s->to = t;
    t->like = s;
    return open_table(x, t, err) < 0 ? -1 : 1;
}

/* tidy rows */

struct cells {
    struct lca_text text;
    bool json, names;       /* names: the header line is put, not the values */
    unsigned n;
};

static void put_cell(struct cells *c, const char *name, const struct lca_value *v)
{
    bool real = v->is == LCA_VALUE_ONE &&
                (v->one.type == MSGPACK_OBJECT_FLOAT32 || v->one.type == MSGPACK_OBJECT_FLOAT64);
    struct lca_value text = lca_value_text(name);
    lca_text_put(&c->text, c->n == 0 ? "{" : ",", c->json || c->n > 0);
    c->n++;
    if (c->json) {
        lca_value_json(&c->text, &text);
        lca_text_put(&c->text, ":", 1);
    }
    if (c->json && real && isnan(v->one.via.f64))
        lca_text_put(&c->text, "null", 4);
    else if (c->json)
        lca_value_json(&c->text, v);
    else
        lca_value_cell(&c->text, c->names ? &text : v);
}

static void put_number(struct cells *c, const char *name, int64_t n)
{
    struct lca_value v = {.is = LCA_VALUE_ONE, .one.type = n < 0 ? MSGPACK_OBJECT_NEGATIVE_INTEGER
                                                                 : MSGPACK_OBJECT_POSITIVE_INTEGER};
    v.one.via.i64 = n;
    put_cell(c, name, &v);
}

static void put_text(struct cells *c, const char *name, const char *text)
{
    struct lca_value v = lca_value_text(text);
    put_cell(c, name, &v);
}

static void end_row(struct cells *c)
{
    lca_text_put(&c->text, c->json ? "}\n" : "\n", c->json ? 2 : 1);
    c->n = 0;
}

/* The label of place k along axis d: text, or where there is none its number. */
static void put_label(struct cells *c, const struct lca_series *s, unsigned d, uint64_t k)
{
    const char *axis = json_string_value(json_array_get(s->dims, d));
    axis = axis ? axis : "place";
    const json_t *label = json_array_get(json_object_get(s->keys, axis), k);
    if (json_is_string(label))
        put_text(c, axis, json_string_value(label));
    else
        put_number(c, axis, json_is_integer(label) ? json_integer_value(label) : (int64_t)k);
}

static void put_agg_row(struct cells *c, const struct lca_series *s, const struct lca_frame *f, uint64_t k)
{
    uint64_t size = lca_frame_count(f), rest = k;
    struct lca_value v = {.is = LCA_VALUE_ONE, .one = lca_value_element(f, k)};
    put_number(c, "it", (int64_t)f->u.agg.it);
    if (*s->set)
        put_text(c, "set", s->set);
    for (unsigned d = 0; d < s->n_shape; d++) {
        size /= s->shape[d];
        put_label(c, s, d, rest / size);
        rest %= size;
    }
    put_cell(c, "value", &v);
    end_row(c);
}

static void put_value_row(struct cells *c, const struct lca_export *x, const struct lca_series *s, uint64_t it,
                          const struct lca_tensor *t, uint64_t i, float value)
{
    struct lca_value v = {.is = LCA_VALUE_ONE, .one.type = MSGPACK_OBJECT_FLOAT32};
    v.one.via.f64 = value;
    put_number(c, "it", (int64_t)it);
    if (*s->set) {
        put_text(c, "set", s->set);
        put_number(c, "cls", s->cls);
    }
    put_text(c, "layer", x->table.layer[t->layer].name);
    put_text(c, "tensor", t->name);
    put_number(c, "parameter", (int64_t)i);
    put_cell(c, "value", &v);
    end_row(c);
}

static int flush_text(struct lca_export *x, struct table *t, struct lca_err *err)
{
    struct tables *self = x->self;
    size_t n = self->text.len;
    self->text.len = 0;
    if (fwrite(self->text.data, 1, n, t->file) == n && (!x->o->live || fflush(t->file) == 0))
        return 0;
    return t->path ? lca_fail_errno(err, LCA_INTERNAL, "%s: cannot write", t->path) : lca_tool_stdout_failed(err);
}

/* Every value of the slice, tensor by tensor, with bounded text. */
static int put_slice(struct lca_export *x, const struct lca_series *s, const struct lca_frame *f,
                     const struct lca_slice *slice, struct cells *c, struct lca_err *err)
{
    for (unsigned k = 0; k < x->table.n_tensor; k++) {
        const struct lca_tensor *t = &x->table.tensor[k];
        uint64_t from = t->off > slice->off ? t->off : slice->off, to = t->off + t->len;
        to = to < slice->off + slice->n ? to : slice->off + slice->n;
        for (uint64_t i = from; i < to; i++) {
            put_value_row(c, x, s, slice->it, t, i, ((const float *)f->payload)[i - slice->off]);
            if (c->text.to->len > 1 << 20 && flush_text(x, s->to, err) < 0)
                return -1;
        }
    }
    return 0;
}

static int put_tidy(struct lca_export *x, struct lca_series *s, const struct lca_frame *f,
                    const struct lca_slice *slice, struct lca_err *err)
{
    struct tables *self = x->self;
    struct table *t = s->to;
    struct cells c = {.text.to = &self->text, .json = self->json};
    uint64_t n = s->agg ? lca_frame_count(f) : 0;
    if (!t->headed && !self->json) {
        c.names = true;
        if (n > 0)
            put_agg_row(&c, s, f, 0);
        else if (!s->agg)
            put_value_row(&c, x, s, 0, &x->table.tensor[0], 0, 0);
        c.names = false;
    }
    t->headed = true;
    for (uint64_t k = 0; k < n; k++)
        put_agg_row(&c, s, f, k);
    if (!s->agg && put_slice(x, s, f, slice, &c, err) < 0)
        return -1;
    return c.text.failed ? lca_fail(err, LCA_INTERNAL, "out of memory") : flush_text(x, t, err);
}

static int put(struct lca_export *x, struct lca_series *s, const struct lca_frame *f, const struct lca_slice *slice,
               struct lca_err *err)
{
    struct tables *self = x->self;
    struct table *t = s->to;
    if (x->o->tidy)
        return put_tidy(x, s, f, slice, err);
    if (!slice->last)
        return 0;           /* the numbers of a step stand in each of its slices */
    return lca_show_frame(t->show, f, &self->text, err) < 0 ? -1 : flush_text(x, t, err);
}

static int end(struct lca_export *x, const char *status, struct lca_err *err)
{
    struct tables *self = x->self;
    int result = 0;
    (void)status;
    for (struct table *t = self->first, *next; t; t = next) {
        next = t->next;
        if (t->file && (t->path ? fclose(t->file) : fflush(stdout)) != 0 && result == 0)
            result = t->path ? lca_fail_errno(err, LCA_INTERNAL, "%s: cannot write", t->path)
                             : lca_tool_stdout_failed(err);
        lca_show_free(t->show);
        free(t->path);
        free(t);
    }
    lca_buf_clear(&self->text);
    free(self);
    return result;
}

const struct lca_format lca_format_csv = {"csv", true, true, begin, open_series, put, end};
const struct lca_format lca_format_jsonl = {"jsonl", true, true, begin, open_series, put, end};
