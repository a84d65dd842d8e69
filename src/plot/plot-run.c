#include "plot/plot-run.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"

static int bad(const struct lca_plot_run *r, struct lca_err *err, const char *what)
{
    return lca_fail(err, LCA_CORRUPT, "%s: %s", r->name, what);
}

static bool takes(const struct lca_plot_run *r, const char *kind)
{
    size_t len = strlen(kind);
    for (const char *p = r->takes; p && *p; p += strcspn(p, ",") + (p[strcspn(p, ",")] == ',')) {
        if (strcspn(p, ",") == len && memcmp(p, kind, len) == 0)
            return true;
    }
    return false;
}

static const char *text_of(const json_t *header, const char *key)
{
    const char *text = json_string_value(json_object_get(header, key));
    return text ? text : "";
}

/* Names of sets become names of files. */
static bool is_plain(const char *set)
{
    return strlen(set) <= 16 && strspn(set, "abcdefghijklmnopqrstuvwxyz0123456789") == strlen(set);
}

/* Labels are texts or whole numbers, one for each place. */
static bool labels_fit(const struct lca_plot_agg *a, const char *axis, uint64_t n)
{
    size_t k;
    json_t *label, *labels = json_object_get(a->keys, axis);
    if (!labels)
        return true;
    if (json_array_size(labels) != n)
        return false;
    json_array_foreach(labels, k, label) {
        if (!json_is_string(label) && !json_is_number(label))
            return false;
    }
    return true;
}

/* Units of thousands of names come with every step: those of the array before of the same
 * kind and layer are the same, and kept once. */
static void share_keys(const struct lca_plot_run *r, struct lca_plot_agg *a)
{
    for (size_t k = r->n; k > 0 && k + 64 > r->n; k--) {
        const struct lca_plot_agg *before = &r->agg[k - 1];
        if (strcmp(before->kind, a->kind) == 0 && before->keys && json_equal(before->keys, a->keys)) {
            json_object_set(a->header, "keys", before->keys);
            a->keys = before->keys;
            return;
        }
    }
}

/* Reads the axes out of a header, which it takes over, and makes room for n values. NULL: err is set, or
 * (err untouched, *skip) the run does not take this kind. */
static struct lca_plot_agg *add(struct lca_plot_run *r, json_t *header, const json_t *shape, bool *skip,
                                struct lca_err *err)
{
    struct lca_plot_agg a = {.header = header, .kind = text_of(header, "kind"), .set = text_of(header, "set"),
                             .it = (uint64_t)json_integer_value(json_object_get(header, "it")),
                             .keys = json_object_get(header, "keys"), .more = json_object_get(header, "more"), .n = 1};
    json_t *dims = json_object_get(header, "dims");
    a.n_dims = (unsigned)json_array_size(dims);
    *skip = !takes(r, a.kind);
    if (*skip) {
        json_decref(header);
        return NULL;
    }
    bool good = is_plain(a.set) && a.n_dims > 0 && a.n_dims <= LCA_PLOT_AXES && json_array_size(shape) == a.n_dims;
    for (unsigned d = 0; good && d < a.n_dims; d++) {
        const char *axis = json_string_value(json_array_get(dims, d));
        json_int_t n = json_integer_value(json_array_get(shape, d));
        good = axis && n > 0 && n <= LCA_PAYLOAD_MAX;
        a.shape[d] = good ? (uint64_t)n : 0;
        a.n *= a.shape[d];
        good = good && a.n <= LCA_PAYLOAD_MAX && labels_fit(&a, axis, a.shape[d]);
    }
    if (good && r->n == r->room) {
        size_t room = r->room ? 2 * r->room : 256;
        struct lca_plot_agg *more = realloc(r->agg, room * sizeof *more);
        if (more) {
            r->agg = more;
            r->room = room;
        }
    }
    a.v = good && r->n < r->room ? lca_alloc(a.n + 1, sizeof *a.v, err) : NULL;
    if (!a.v) {
        lca_fail(err, good ? LCA_INTERNAL : LCA_CORRUPT, good ? "%s: out of memory"
                 : "%s: an agg frame whose axes, labels and shape do not fit together", r->name);
        json_decref(header);
        return NULL;
    }
    share_keys(r, &a);
    r->agg[r->n++] = a;
    return &r->agg[r->n - 1];
}

static int head(struct lca_plot_run *r, json_t *header, struct lca_err *err)
{
    if (r->head) {
        json_decref(header);
        return bad(r, err, "a second HEAD");
    }
    json_object_del(header, "layers");
    r->head = header;
    return 0;
}

static int eos(struct lca_plot_run *r, const json_t *header, struct lca_err *err)
{
    if (strcmp(text_of(header, "status"), "failed") == 0)
        return lca_fail(err, LCA_UPSTREAM, "%s: the stream ended as failed: %s", r->name, text_of(header, "why"));
    r->ended = true;
    r->stopped = strcmp(text_of(header, "status"), "ok") != 0;
    return 0;
}

int lca_plot_run_frame(struct lca_plot_run *r, const struct lca_frame *f, struct lca_err *err)
{
    json_t *header = lca_frame_json(f);
    bool skip = false;
    if (!header)
        return lca_fail(err, LCA_INTERNAL, "out of memory");
    if (f->kind == LCA_KIND_head)
        return head(r, header, err);
    if (f->kind == LCA_KIND_eos) {
        int result = eos(r, header, err);
        json_decref(header);
        return result;
    }
    if (f->kind != LCA_KIND_agg) {
        json_decref(header);
        return f->kind == LCA_KIND_NONE || !lca_kind_is_data(f->kind) ? 0
             : lca_fail(err, LCA_USAGE, "%s: has %s frames: a filter such as lca-layers sums them up first", r->name,
                        lca_kind_name(f->kind));
    }
    struct lca_plot_agg *a = add(r, header, json_object_get(header, "sh"), &skip, err);
    if (!a)
        return skip ? 0 : -1;
    for (size_t k = 0; k < a->n; k++) {
        const unsigned char *at = f->payload;
        a->v[k] = strcmp(f->dt, "<f8") == 0 ? ((const double *)(const void *)at)[k]
                : strcmp(f->dt, "<f4") == 0 ? (double)((const float *)(const void *)at)[k]
                : strcmp(f->dt, "<u4") == 0 ? (double)((const uint32_t *)(const void *)at)[k]
                : (double)((const uint64_t *)(const void *)at)[k];
    }
    return 0;
}

/* A number as lca-tap prints it: NaN and infinity are strings. */
static bool number(const json_t *value, double *to)
{
    const char *text = json_string_value(value);
    *to = json_is_number(value) ? json_number_value(value) : text && text[0] == '-' ? -INFINITY
        : text && text[0] == 'I' ? INFINITY : NAN;
    return json_is_number(value) || (text && (strcmp(text, "NaN") == 0 || strstr(text, "Infinity")));
}

static int line_agg(struct lca_plot_run *r, json_t *header, struct lca_err *err)
{
    json_t *data = json_incref(json_object_get(header, "data")), *shape = json_incref(json_object_get(header, "sh"));
    bool skip = false;
    int result = -1;
    json_object_del(header, "data");
    struct lca_plot_agg *a = add(r, header, shape, &skip, err);
    if (skip)
        result = 0;
    else if (a && json_array_size(data) != a->n)
        result = lca_fail(err, LCA_USAGE, "%s: %s without its %zu values: make it by lca-tap --json --data", r->name,
                          a->kind, a->n);
    else if (a) {
        result = 0;
        for (size_t k = 0; k < a->n && result == 0; k++) {
            if (!number(json_array_get(data, k), &a->v[k]))
                result = bad(r, err, "a value that is no number");
        }
    }
    json_decref(data);
    json_decref(shape);
    return result;
}

int lca_plot_run_line(struct lca_plot_run *r, const char *line, size_t len, struct lca_err *err)
{
    json_error_t where;
    json_t *header = json_loadb(line, len, 0, &where);
    const char *t = text_of(header, "t");
    int result = 0;
    if (!json_is_object(header))
        result = lca_fail(err, LCA_CORRUPT, "%s: a line that is no JSON object: %s", r->name, where.text);
    else if (json_object_get(header, "lost"))
        result = bad(r, err, "frames are missing: it was written by a tap that was too slow");
    else if (r->ended)
        result = bad(r, err, "goes on after EOS");
    else if (strcmp(t, "HEAD") == 0)
        return head(r, header, err);
    else if (!r->head)
        result = bad(r, err, "does not begin with HEAD: it is no output of lca-tap --json");
    else if (strcmp(t, "agg") == 0)
        return line_agg(r, header, err);
    else if (strcmp(t, "EOS") == 0)
        result = eos(r, header, err);
    json_decref(header);
    return result;
}

void lca_plot_run_clear(struct lca_plot_run *r)
{
    for (size_t k = 0; k < r->n; k++) {
        json_decref(r->agg[k].header);
        free(r->agg[k].v);
    }
    free(r->agg);
    json_decref(r->head);
    *r = (struct lca_plot_run){0};
}

const struct lca_plot_agg *lca_plot_next(const struct lca_plot_run *r, const struct lca_plot_agg *after,
                                         const char *kind, const char *set, const char *layer)
{
    for (size_t k = after ? (size_t)(after - r->agg) + 1 : 0; k < r->n; k++) {
        const struct lca_plot_agg *a = &r->agg[k];
        if (strcmp(a->kind, kind) == 0 && (!set || strcmp(a->set, set) == 0) &&
            (!layer || lca_plot_place(a, "layer", layer) >= 0))
            return a;
    }
    return NULL;
}

int lca_plot_axis(const struct lca_plot_agg *a, const char *name)
{
    size_t d;
    json_t *dim;
    json_array_foreach(json_object_get(a->header, "dims"), d, dim) {
        if (strcmp(json_string_value(dim), name) == 0)
            return (int)d;
    }
    return -1;
}

uint64_t lca_plot_size(const struct lca_plot_agg *a, const char *axis)
{
    int d = lca_plot_axis(a, axis);
    return d < 0 ? 0 : a->shape[d];
}

const char *lca_plot_label(const struct lca_plot_agg *a, const char *axis, uint64_t k, char *text, size_t size)
{
    json_t *label = json_array_get(json_object_get(a->keys, axis), (size_t)k);
    if (json_is_string(label))
        snprintf(text, size, "%s", json_string_value(label));
    else if (json_is_number(label))
        snprintf(text, size, "%.12g", json_number_value(label));
    else
        snprintf(text, size, "%" PRIu64, k);
    for (char *c = text; *c; c++)
        *c = (unsigned char)*c < ' ' ? ' ' : *c;    /* it may become part of a table's first line */
    return text;
}

int64_t lca_plot_place(const struct lca_plot_agg *a, const char *axis, const char *label)
{
    char text[256];
    uint64_t n = lca_plot_size(a, axis);
    for (uint64_t k = 0; k < n; k++) {
        if (strcmp(lca_plot_label(a, axis, k, text, sizeof text), label) == 0)
            return (int64_t)k;
    }
    return -1;
}

double lca_plot_more(const struct lca_plot_agg *a, const char *key)
{
    json_t *value = json_object_get(a->more, key);
    return json_is_number(value) ? json_number_value(value) : NAN;
}

static uint64_t head_number(const struct lca_plot_run *r, const char *key)
{
    return (uint64_t)json_integer_value(json_object_get(r->head, key));
}

uint64_t lca_plot_steps(const struct lca_plot_run *r)
{
    return r->n ? r->agg[r->n - 1].it + 1 : head_number(r, "it1");
}

uint64_t lca_plot_length(const struct lca_plot_run *r)
{
    uint64_t from = head_number(r, "it0"), to = head_number(r, "it1");
    return (to > 0 && !r->stopped ? to : lca_plot_steps(r)) - from;
}
