#include "plain/export.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "filter/select.h"

enum {
    SERIES = 1 << 13,       /* at most */
    MENTIONED = 6,          /* names in a message, the rest is a number */
};

const struct lca_format *lca_format_find(const char *name, struct lca_err *err)
{
    static const struct lca_format *const formats[] = {&lca_format_npy, &lca_format_csv, &lca_format_jsonl,
                                                       &lca_format_hdf5, &lca_format_safetensors};
    for (size_t k = 0; k < sizeof formats / sizeof *formats; k++)
        if (strcmp(formats[k]->name, name) == 0)
            return formats[k];
    lca_fail(err, LCA_USAGE, "--to takes npy, csv, jsonl, hdf5 or safetensors, not '%s'", name);
    return NULL;
}

const char *lca_export_scalars(enum lca_kind kind)
{
    return kind == LCA_KIND_theta ? "lr,mbloss,epoch" : kind == LCA_KIND_lca ? "L0,L1,sum,res,abs,fo,n,ev"
         : kind == LCA_KIND_grad ? "loss" : "";
}

/* Neighbours among the selected layers become one range. */
static int find_columns(struct lca_export *x, struct lca_err *err)
{
    x->columns = lca_alloc(x->table.n_layer + 1, sizeof *x->columns, err);
    if (!x->columns)
        return -1;
    for (unsigned l = 0; l < x->table.n_layer; l++) {
        const struct lca_group *g = &x->table.layer[l];
        struct lca_columns *last = x->n_columns ? &x->columns[x->n_columns - 1] : NULL;
        if (last && last->off + last->len == g->off)
            last->len += g->len;
        else
            x->columns[x->n_columns++] = (struct lca_columns){g->off, g->len, x->K};
        x->K += g->len;
    }
    return 0;
}

int lca_export_begin(struct lca_export *x, const struct lca_export_opts *o, const struct lca_format *format,
                     const struct lca_frame *head, const char *layers, uint64_t rows, struct lca_err *err)
{
    const struct lca_frame_head *h = &head->u.head;
    *x = (struct lca_export){.o = o, .format = format, .head = head, .P = h->P, .rows = rows};
    if (h->P == 0)
        return lca_fail(err, LCA_CORRUPT, "HEAD says that there are no parameters");
    if (lca_table_parse(&x->table, h->layers, h->P, err) < 0 || lca_select_layers(&x->table, layers, err) < 0 ||
        find_columns(x, err) < 0)
        return -1;
    return format->begin(x, err);
}

const float *lca_export_part(const struct lca_export *x, const struct lca_frame *f, const struct lca_slice *slice,
                             unsigned k, uint64_t *column, uint64_t *n)
{
    const struct lca_columns *c = &x->columns[k];
    uint64_t begin = c->off > slice->off ? c->off : slice->off, end = c->off + c->len;
    end = end < slice->off + slice->n ? end : slice->off + slice->n;
    if (begin >= end)
        return NULL;
    *column = c->column + (begin - c->off);
    *n = end - begin;
    return (const float *)f->payload + (begin - slice->off);
}

int lca_export_path(const struct lca_export *x, const char *name, char **path, struct lca_err *err)
{
    *path = NULL;
    if (!x->o->out)
        return 0;
    if (!x->o->folder)
        *path = strdup(x->o->out);
    else if (asprintf(path, "%s/%s.%s", x->o->out, name, x->format->name) < 0)
        *path = NULL;
    return *path ? 0 : lca_fail(err, LCA_INTERNAL, "out of memory");
}

const char *lca_export_left_out(const struct lca_export *x, char *text, size_t size)
{
    size_t at = 0;
    unsigned n = 0;
    for (const struct lca_series *s = x->series; s && at < size; s = s->next)
        if (!s->taken && n++ < MENTIONED)
            at += (size_t)snprintf(text + at, size - at, "%s%.80s", at ? ", " : "", s->name);
    if (n > MENTIONED && at < size)
        snprintf(text + at, size - at, " and %u more", n - MENTIONED);
    return n ? text : NULL;
}

const char *lca_export_kept(const struct lca_export *x, char *text, size_t size)
{
    size_t at = 0;
    unsigned n = 0;
    for (const struct lca_series *s = x->series; s && at < size; s = s->next)
        if (s->taken && s->rows > 0 && n++ < MENTIONED)
            at += (size_t)snprintf(text + at, size - at, "%s%" PRIu64 "%s of %.80s", at ? ", " : "", s->rows,
                                   at ? "" : " rows", s->name);
    if (n > MENTIONED && at < size)
        snprintf(text + at, size - at, " and of %u more", n - MENTIONED);
    return n ? text : NULL;
}

/* series */

/* What a frame says of its series and slice. */
static int describe(const struct lca_export *x, const struct lca_frame *f, struct lca_series *s,
                    struct lca_slice *slice, struct lca_err *err)
{
    const char *set = "";
    *s = (struct lca_series){.kind = f->kind, .cls = -1, .n_shape = 1, .shape = {x->K}};
    *slice = (struct lca_slice){.it = lca_frame_it(f), .n = lca_frame_count(f)};
    switch (f->kind) {
    case LCA_KIND_theta:
        slice->off = f->u.theta.off;
        break;
    case LCA_KIND_lca:
        slice->off = f->u.lca.off;
        set = f->u.lca.set;
        s->cls = (int)f->u.lca.cls;
        break;
    case LCA_KIND_move:
        slice->off = f->u.move.off;
        break;
    case LCA_KIND_grad:
        slice->off = f->u.grad.off;
        set = f->u.grad.set;
        s->cls = (int)f->u.grad.cls;
        break;
    case LCA_KIND_eff:
        slice->off = f->u.eff.off;
        set = f->u.eff.set;
        s->cls = (int)f->u.eff.cls;
        break;
    default:
        s->agg = f->u.agg.kind;
        set = f->u.agg.set ? f->u.agg.set : "";
        s->dims = f->u.agg.dims;
        s->keys = f->u.agg.keys;
        s->n_shape = f->n_sh;
        memcpy(s->shape, f->sh, sizeof s->shape);
    }
    if (strlen(set) >= sizeof s->set || strchr(set, '/'))
        return lca_fail(err, LCA_CORRUPT, "seq %" PRIu64 ": the set '%.40s' is none of train, val and test", f->seq,
                        set);
    strcpy(s->set, set);
    memcpy(s->dt, f->dt, sizeof s->dt);
    if (!s->agg && (slice->n > x->P || slice->off > x->P - slice->n || slice->n == 0))
        return lca_fail(err, LCA_CORRUPT, "seq %" PRIu64 ": a slice at %" PRIu64 " of %" PRIu64 ", of a vector of %"
                        PRIu64, f->seq, slice->off, slice->n, x->P);
    return 0;
}

static bool same(const struct lca_series *a, const struct lca_series *b)
{
    if (a->kind != b->kind || a->cls != b->cls || strcmp(a->set, b->set) != 0)
        return false;
    return !a->agg || (strcmp(a->agg, b->agg) == 0 && a->n_shape == b->n_shape &&
                       memcmp(a->shape, b->shape, a->n_shape * sizeof *a->shape) == 0 &&
                       memcmp(a->dt, b->dt, 3) == 0 && json_equal(a->dims, b->dims) &&
                       (a->keys == b->keys || json_equal(a->keys, b->keys)));
}

/* Aggregates that come layer by layer have one place along their first axis, `layer`. */
static const char *one_layer(const struct lca_series *s)
{
    const char *axis = json_string_value(json_array_get(s->dims, 0));
    if (!axis || strcmp(axis, "layer") != 0 || s->n_shape < 2 || s->shape[0] != 1)
        return NULL;
    return json_string_value(json_array_get(json_object_get(s->keys, "layer"), 0));
}

/* Letters, digits and -_. are good in names of files and datasets. */
static void tidy_name(char *name)
{
    for (char *c = name; *c; c++)
        if (!strchr("-_.0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz", *c))
            *c = '_';
    if (*name == '.')
        *name = '_';
}

static bool name_taken(const struct lca_export *x, const char *name)
{
    for (const struct lca_series *s = x->series; s; s = s->next)
        if (strcmp(s->name, name) == 0)
            return true;
    return false;
}

/* Labels are the stream's: no name leads out of a folder. */
static void name_series(const struct lca_export *x, struct lca_series *s)
{
    char whole[220], class[16] = "";
    const char *kind = s->agg ? s->agg : lca_kind_name(s->kind);
    if (s->cls >= 0)
        snprintf(class, sizeof class, ".%d", s->cls);
    snprintf(s->table, sizeof s->table, "%.90s%s%.90s", kind, s->layer ? "." : "", s->layer ? s->layer : "");
    snprintf(whole, sizeof whole, "%.90s%s%s%s%s%.90s", kind, *s->set ? "." : "", s->set, class, s->layer ? "." : "",
             s->layer ? s->layer : "");
    tidy_name(s->table);
    tidy_name(whole);
    strcpy(s->name, whole);
    for (unsigned k = 2; name_taken(x, s->name); k++)
        snprintf(s->name, sizeof s->name, "%s.%u", whole, k);
}

static struct lca_series *add(struct lca_export *x, const struct lca_series *like, struct lca_err *err)
{
    if (x->n_series == SERIES) {
        lca_fail(err, LCA_USAGE, "the stream has more than %d series: choose with --kind and --sets", SERIES);
        return NULL;
    }
    struct lca_series *s = malloc(sizeof *s), **last = &x->series;
    if (!s) {
        lca_fail(err, LCA_INTERNAL, "out of memory");
        return NULL;
    }
    *s = *like;
    if (s->agg) {
        s->dims = json_deep_copy(like->dims);
        s->keys = json_deep_copy(like->keys);
        s->agg = strdup(like->agg);
        s->layer = one_layer(s);
        if (!s->agg) {
            lca_fail(err, LCA_INTERNAL, "out of memory");
            json_decref(s->dims);
            json_decref(s->keys);
            free(s);
            return NULL;
        }
    }
    name_series(x, s);
    while (*last)
        last = &(*last)->next;
    *last = s;
    x->n_series++;
    return s;
}

static struct lca_series *find(struct lca_export *x, const struct lca_series *like)
{
    for (struct lca_series *s = x->series; s; s = s->next)
        if (same(s, like))
            return s;
    return NULL;
}

int lca_export_put(struct lca_export *x, const struct lca_frame *f, struct lca_err *err)
{
    struct lca_series like, *s;
    struct lca_slice slice;
    if (describe(x, f, &like, &slice, err) < 0)
        return -1;
    if (slice.n == 0)
        return 0;           /* an empty array */
    s = find(x, &like);
    if (!s) {
        if (!(s = add(x, &like, err)))
            return -1;
        int taken = x->format->open(x, s, f, err);
        if (taken < 0)
            return -1;
        s->taken = taken;
    }
    if (!s->agg && (slice.off != s->got || (s->got > 0 && slice.it != s->it)))
        return lca_fail(err, LCA_CORRUPT, "seq %" PRIu64 ": the slice at %" PRIu64 " of %s of step %" PRIu64
                        " does not follow the one before", f->seq, slice.off, s->name, slice.it);
    slice.first = s->got == 0;
    slice.last = s->agg || s->got + slice.n == x->P;
    s->it = slice.it;
    if (s->taken && x->format->put(x, s, f, &slice, err) < 0)
        return -1;
    s->got = slice.last ? 0 : s->got + slice.n;
    s->rows += slice.last;
    return 0;
}

int lca_export_end(struct lca_export *x, const char *status, struct lca_err *err)
{
    int result = x->self ? x->format->end(x, status, err) : 0;
    for (struct lca_series *s = x->series, *next; s; s = next) {
        next = s->next;
        if (s->agg) {
            json_decref(s->dims);
            json_decref(s->keys);
            free((char *)(uintptr_t)s->agg);
        }
        free(s);
    }
    lca_table_clear(&x->table);
    free(x->columns);
    *x = (struct lca_export){0};
    return result;
}
