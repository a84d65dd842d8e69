/* to-hdf5.c: all series of a stream in one HDF5 file, in either of two layouts, which
 * docs/exports.md describes: ours, or that of the authors' published tools. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/digest.h"
#include "base/version.h"
#include "plain/export.h"
#include "plain/hdf5-out.h"
#include "tap/value.h"

/* The datasets of a series. */
struct datasets {
    struct lca_hdf5_rows *values, *it;
    struct lca_hdf5_rows **scalar;  /* one number a row: keys of the frames, for aggregates of `more` */
    json_t *names;                  /* theirs */
};

struct hdf5 {
    struct lca_hdf5_out *file;
    bool heldout;                   /* paper: helped_test is there */
};

/* what the file says of the stream */

/* A JSON value as text, as an own string. */
static json_t *as_text(const json_t *value)
{
    char *text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
    json_t *j = text ? json_string(text) : NULL;
    free(text);
    return j;
}

static int put_json(struct lca_hdf5_out *o, const char *name, json_t *text, struct lca_err *err)
{
    int result = text ? lca_hdf5_out_strings(o, name, text, err) : lca_fail(err, LCA_INTERNAL, "out of memory");
    json_decref(text);
    return result;
}

/* Column, length and so on of each tensor, as numbers [n]. */
static int put_tensor_numbers(struct lca_export *x, struct lca_hdf5_out *o, struct lca_err *err)
{
    unsigned n = x->table.n_tensor;
    uint64_t size = n, shape[2] = {n, 4}, column = 0;
    uint64_t *numbers = lca_alloc(7 * n + 1, sizeof *numbers, err);
    if (!numbers)
        return -1;
    for (unsigned k = 0; k < n; k++) {
        const struct lca_tensor *t = &x->table.tensor[k];
        numbers[k] = column;
        numbers[n + k] = t->len;
        numbers[2 * n + k] = t->off;
        column += t->len;
        for (unsigned d = 0; d < t->n_shape; d++)
            numbers[3 * n + 4 * k + d] = t->shape[d];
    }
    int result = lca_hdf5_out_numbers(o, "head/tensors/off", "<u8", &size, 1, numbers, err);
    if (result == 0)
        result = lca_hdf5_out_numbers(o, "head/tensors/len", "<u8", &size, 1, numbers + n, err);
    if (result == 0)
        result = lca_hdf5_out_numbers(o, "head/tensors/place", "<u8", &size, 1, numbers + 2 * n, err);
    if (result == 0)
        result = lca_hdf5_out_numbers(o, "head/tensors/shape", "<u8", shape, 2, numbers + 3 * n, err);
    free(numbers);
    return result;
}

static int put_tensors(struct lca_export *x, struct lca_hdf5_out *o, struct lca_err *err)
{
    json_t *name = json_array(), *layer = json_array(), *kind = json_array();
    for (unsigned k = 0; k < x->table.n_tensor; k++) {
        const struct lca_tensor *t = &x->table.tensor[k];
        json_array_append_new(name, json_string(t->name));
        json_array_append_new(layer, json_string(x->table.layer[t->layer].name));
        json_array_append_new(kind, json_string(lca_kind_of_name[t->kind]));
    }
    int result = lca_hdf5_out_strings(o, "head/tensors/name", name, err);
    if (result == 0)
        result = lca_hdf5_out_strings(o, "head/tensors/layer", layer, err);
    if (result == 0)
        result = lca_hdf5_out_strings(o, "head/tensors/kind", kind, err);
    json_decref(name);
    json_decref(layer);
    json_decref(kind);
    return result < 0 ? -1 : put_tensor_numbers(x, o, err);
}

static int put_head(struct lca_export *x, struct lca_hdf5_out *o, struct lca_err *err)
{
    const struct lca_frame_head *h = &x->head->u.head;
    char run[2 * LCA_RUN_LEN + 1];
    lca_hex(x->head->run, LCA_RUN_LEN, run);
    if (lca_hdf5_out_text(o, "/", "format", "lca 1", err) < 0 ||
        lca_hdf5_out_text(o, "/", "program", "lca-export " LCA_VERSION, err) < 0 ||
        lca_hdf5_out_text(o, "/", "stream", x->head->st, err) < 0 ||
        lca_hdf5_out_text(o, "/", "model", h->model, err) < 0 ||
        lca_hdf5_out_text(o, "/", "unit", h->unit ? h->unit : "1", err) < 0 ||
        lca_hdf5_out_text(o, "/", "run", run, err) < 0)
        return -1;
    json_t *network = json_stringn(x->head->payload ? x->head->payload : "", x->head->nb);
    if (!network)
        return lca_fail(err, LCA_CORRUPT, "HEAD: the description of the network is no UTF-8 text");
    return put_json(o, "head/network", network, err) < 0 || put_json(o, "head/def", as_text(h->def), err) < 0 ||
           put_json(o, "head/prov", as_text(h->prov), err) < 0 || put_json(o, "head/data", as_text(h->data), err) < 0 ||
           put_json(o, "head/classes", as_text(h->classes), err) < 0 ? -1 : put_tensors(x, o, err);
}

/* names and shapes as Python writes them, parted by semicolons */
static int put_paper_head(struct lca_export *x, struct lca_hdf5_out *o, struct lca_err *err)
{
    struct lca_buf names = {0}, shapes = {0};
    int bad = 0;
    for (unsigned k = 0; k < x->table.n_tensor; k++) {
        const struct lca_tensor *t = &x->table.tensor[k];
        bad |= lca_buf_printf(&names, "%s%s", k ? ";" : "", t->name);
        bad |= lca_buf_printf(&shapes, "%s(", k ? ";" : "");
        for (unsigned d = 0; d < t->n_shape; d++)
            bad |= lca_buf_printf(&shapes, d ? ", %" PRIu32 : "%" PRIu32, t->shape[d]);
        bad |= lca_buf_printf(&shapes, t->n_shape == 1 ? ",)" : ")");
    }
    int result = bad ? lca_fail(err, LCA_INTERNAL, "out of memory") : 0;
    if (result == 0)
        result = lca_hdf5_out_fixed(o, "/", "var_names", (char *)names.data, err);
    if (result == 0)
        result = lca_hdf5_out_fixed(o, "/", "var_shapes", (char *)shapes.data, err);
    lca_buf_clear(&names);
    lca_buf_clear(&shapes);
    return result;
}

static int begin(struct lca_export *x, struct lca_err *err)
{
    struct hdf5 *self = x->self = lca_alloc(1, sizeof *self, err);
    if (!self || !(self->file = lca_hdf5_out_new(x->o->out, err)))
        return -1;
    return x->o->paper ? put_paper_head(x, self->file, err) : put_head(x, self->file, err);
}

/* series */

/* The name that the authors' tools give it; NULL: it has none. */
static const char *paper_name(const struct hdf5 *self, const struct lca_series *s)
{
    if (s->kind == LCA_KIND_theta)
        return "all_weights";
    if (s->kind != LCA_KIND_lca || s->cls >= 0)
        return NULL;
    return strcmp(s->set, "train") == 0 ? "helped" : self->heldout ? NULL : "helped_test";
}

/* group/name, a number each row */
static struct lca_hdf5_rows *column(struct lca_export *x, const char *group, const char *name, const char *dt,
                                    struct lca_err *err)
{
    struct hdf5 *self = x->self;
    char path[500];
    snprintf(path, sizeof path, "%.300s/%.99s", group, name);
    return lca_hdf5_rows_new(self->file, path, dt, NULL, 0, err);
}

static int open_scalars(struct lca_export *x, struct datasets *d, const char *group, const struct lca_series *s,
                        const struct lca_frame *f, struct lca_err *err)
{
    const char *list = lca_export_scalars(s->kind), *key;
    json_t *number;
    size_t k;
    d->names = json_array();
    for (size_t n; *list; list += n + (list[n] == ',')) {
        n = strcspn(list, ",");
        json_array_append_new(d->names, json_stringn(list, n));
    }
    json_object_foreach(s->agg ? f->u.agg.more : NULL, key, number)
        if (json_is_number(number))
            json_array_append_new(d->names, json_string(key));
    d->scalar = lca_alloc(json_array_size(d->names) + 1, sizeof *d->scalar, err);
    if (!d->scalar)
        return -1;
    json_array_foreach(d->names, k, number) {
        char name[100];
        snprintf(name, sizeof name, "%s%.90s", s->agg ? "more/" : "", json_string_value(number));
        struct lca_value v = lca_value_find(f, json_string_value(number), 0);
        bool whole = !s->agg && v.is == LCA_VALUE_ONE && v.one.type == MSGPACK_OBJECT_POSITIVE_INTEGER;
        if (!(d->scalar[k] = column(x, group, name, whole ? "<u8" : "<f8", err)))
            return -1;
    }
    return 0;
}

/* What belongs to an aggregate: axes, labels, unit. */
static int open_aggregate(struct lca_export *x, const char *group, const struct lca_series *s,
                          const struct lca_frame *f, struct lca_err *err)
{
    struct hdf5 *self = x->self;
    char path[400];
    const char *key;
    json_t *labels;
    if (lca_hdf5_out_texts(self->file, group, "dims", s->dims, err) < 0 ||
        lca_hdf5_out_text(self->file, group, "unit", f->u.agg.unit ? f->u.agg.unit : "", err) < 0)
        return -1;
    json_object_foreach(s->keys, key, labels) {
        snprintf(path, sizeof path, "%s/labels/%.80s", group, key);
        json_t *texts = json_array(), *label;
        size_t k;
        json_array_foreach(labels, k, label)
            json_array_append_new(texts, json_is_string(label) ? json_incref(label) : as_text(label));
        int result = lca_hdf5_out_strings(self->file, path, texts, err);
        json_decref(texts);
        if (result < 0)
            return -1;
    }
    return 0;
}

static int open_series(struct lca_export *x, struct lca_series *s, const struct lca_frame *f, struct lca_err *err)
{
    struct hdf5 *self = x->self;
    char group[300], path[400];
    const char *name = x->o->paper ? paper_name(self, s) : s->name;
    if (!name)
        return 0;
    struct datasets *d = s->to = lca_alloc(1, sizeof *d, err);
    if (!d)
        return -1;
    if (x->o->paper) {
        self->heldout |= strcmp(name, "helped_test") == 0;
        d->values = lca_hdf5_rows_new(self->file, name, s->dt, s->shape, s->n_shape, err);
        return d->values ? 1 : -1;
    }
    /* lca.train.3: group lca/train/3 */
    snprintf(group, sizeof group, "%s", name);
    for (char *c = group; *c; c++)
        if (*c == '.')
            *c = '/';
    snprintf(path, sizeof path, "%s/values", group);
    if (!(d->values = lca_hdf5_rows_new(self->file, path, s->dt, s->shape, s->n_shape, err)) ||
        !(d->it = column(x, group, "it", "<u8", err)) ||
        open_scalars(x, d, group, s, f, err) < 0 || (s->agg && open_aggregate(x, group, s, f, err) < 0))
        return -1;
    return 1;
}

/* rows */

static int put_scalars(struct datasets *d, const struct lca_series *s, const struct lca_frame *f, struct lca_err *err)
{
    size_t k;
    json_t *name;
    json_array_foreach(d->names, k, name) {
        double real = NAN;
        const void *number = &real;
        struct lca_value v = {0};
        if (s->agg) {
            const json_t *j = json_object_get(f->u.agg.more, json_string_value(name));
            real = j ? json_number_value(j) : NAN;
        } else {
            v = lca_value_find(f, json_string_value(name), 0);
            real = v.one.via.f64;
            if (v.one.type == MSGPACK_OBJECT_POSITIVE_INTEGER)
                number = &v.one.via.u64;
        }
        if (lca_hdf5_rows_put(d->scalar[k], s->rows, 0, 1, number, err) < 0)
            return -1;
    }
    return 0;
}

static int put(struct lca_export *x, struct lca_series *s, const struct lca_frame *f, const struct lca_slice *slice,
               struct lca_err *err)
{
    struct datasets *d = s->to;
    uint64_t at, n;
    if (s->agg && lca_hdf5_rows_put(d->values, s->rows, 0, s->shape[0], f->payload, err) < 0)
        return -1;
    for (unsigned k = 0; !s->agg && k < x->n_columns; k++) {
        const float *v = lca_export_part(x, f, slice, k, &at, &n);
        if (v && lca_hdf5_rows_put(d->values, s->rows, at, n, v, err) < 0)
            return -1;
    }
    if (!slice->last || !d->it)
        return 0;
    return lca_hdf5_rows_put(d->it, s->rows, 0, 1, &slice->it, err) < 0 ? -1 : put_scalars(d, s, f, err);
}

static int end(struct lca_export *x, const char *status, struct lca_err *err)
{
    struct hdf5 *self = x->self;
    int result = 0;
    for (struct lca_series *s = x->series; s; s = s->next) {
        struct datasets *d = s->to;
        if (d && d->values && lca_hdf5_rows_cut(d->values, s->rows, err) < 0)
            result = -1;
        if (d) {
            json_decref(d->names);
            free(d->scalar);
        }
        free(d);
    }
    if (self->file && !x->o->paper && lca_hdf5_out_text(self->file, "/", "status", status, err) < 0)
        result = -1;
    if (lca_hdf5_out_close(self->file, err) < 0)
        result = -1;
    free(self);
    return result;
}

const struct lca_format lca_format_hdf5 = {"hdf5", false, false, begin, open_series, put, end};
