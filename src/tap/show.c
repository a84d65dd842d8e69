#include "tap/show.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tap/value.h"

/* A piece of a line: a value, and what stands before it. */
struct piece {
    char *before;           /* owned; may be NULL */
    char *name;             /* owned; NULL: the end of a format */
    char spec[12];          /* printf's flags, width and precision; "" without conversion */
    char conversion;        /* 0: as it is */
};

struct lca_show {
    struct lca_show_opts opts;
    struct piece *piece;
    size_t n, room;
    bool headed;            /* CSV: the header line has been put */
    bool table;             /* CSV without fields: the columns are known */
    bool values;            /* ... and are the values of an agg, .. */
    size_t lead;            /* ... after so many keys */
    char kind[64];          /* ... of this kind */
    uint64_t count;         /* ... and size */
    char left_out[64];
    struct lca_buf cell;
};

/* reading fields and formats */

static int no_memory(struct lca_err *err)
{
    return lca_fail(err, LCA_INTERNAL, "out of memory");
}

/* Takes over before and name. */
static struct piece *add(struct lca_show *s, char *before, char *name, struct lca_err *err)
{
    if (s->n == s->room) {
        size_t room = s->room ? 2 * s->room : 16;
        struct piece *more = realloc(s->piece, room * sizeof *more);
        if (!more) {
            free(before);
            free(name);
            no_memory(err);
            return NULL;
        }
        s->piece = more;
        s->room = room;
    }
    s->piece[s->n] = (struct piece){.before = before, .name = name};
    return &s->piece[s->n++];
}

static int add_field(struct lca_show *s, const char *name, size_t len, struct lca_err *err)
{
    char *copy = strndup(name, len);
    if (!copy)
        return no_memory(err);
    return add(s, NULL, copy, err) ? 0 : -1;
}

static int read_fields(struct lca_show *s, const char *text, struct lca_err *err)
{
    for (;;) {
        size_t n = strcspn(text, ",");
        if (n == 0)
            return lca_fail(err, LCA_USAGE, "--fields takes names parted by commas, such as "
                            "it,final.loss_last; one of them is empty");
        if (add_field(s, text, n, err) < 0)
            return -1;
        if (!text[n])
            return 0;
        text += n + 1;
    }
}

/* What follows the colon of %{name:...}: [-+ #0]* width . precision conversion. */
static int read_spec(struct piece *p, const char *spec, size_t len, struct lca_err *err)
{
    size_t k = strspn(spec, "-+ #0"), digits = strspn(spec + k, "0123456789");
    bool good = k <= 4 && digits <= 2;
    k += digits;
    if (spec[k] == '.') {
        digits = strspn(spec + k + 1, "0123456789");
        good &= digits <= 2;
        k += 1 + digits;
    }
    good &= k + 1 == len && k < sizeof p->spec && spec[k] && strchr("dxXeEfFgGs", spec[k]);
    if (!good)
        return lca_fail(err, LCA_USAGE, "--format: '%.*s' is no number format: write %%{name:.3f}, "
                        "with d, x, e, f, g or s at the end, as for printf",
                        (int)(len < 40 ? len : 40), spec);
    memcpy(p->spec, spec, k);
    p->conversion = spec[k];
    return 0;
}

/* The character that a backslash and c stand for; 0: none. */
static char escaped(char c)
{
    return c == 'n' ? '\n' : c == 't' ? '\t' : c == 'r' ? '\r' : c == '\\' ? '\\' : 0;
}

/* Literal text up to the next %{ or the end; returned to be freed. */
static char *read_literal(const char **text, struct lca_err *err)
{
    char *literal = malloc(strlen(*text) + 1), *to = literal;
    const char *p = *text;
    if (!literal) {
        no_memory(err);
        return NULL;
    }
    while (*p && !(p[0] == '%' && p[1] == '{')) {
        char c = *p == '\\' ? escaped(p[1]) : *p;
        if (!c) {
            lca_fail(err, LCA_USAGE, "--format: '%.2s' is unknown: there are \\n, \\t, \\r and "
                     "\\\\", p);
            free(literal);
            return NULL;
        }
        if (*p == '%' && p[1] != '%') {
            lca_fail(err, LCA_USAGE, "--format: a single %%: write %%{name}, or %%%% for the sign "
                     "itself");
            free(literal);
            return NULL;
        }
        *to++ = c;
        p += *p == '\\' || *p == '%' ? 2 : 1;
    }
    *to = 0;
    *text = p;
    return literal;
}

static int read_format(struct lca_show *s, const char *text, struct lca_err *err)
{
    for (;;) {
        char *before = read_literal(&text, err);
        if (!before)
            return -1;
        struct piece *p = add(s, before, NULL, err);
        if (!p)
            return -1;
        if (!*text)
            return 0;
        const char *name = text + 2, *end = strchr(name, '}');
        if (!end)
            return lca_fail(err, LCA_USAGE, "--format: '%.40s' has no closing brace", text);
        size_t len = strcspn(name, ":}");
        if (len == 0)
            return lca_fail(err, LCA_USAGE, "--format: %%{} names nothing: write %%{it}");
        p->name = strndup(name, len);
        if (!p->name)
            return no_memory(err);
        size_t spec = (size_t)(end - name) - len;
        if (spec > 0 && read_spec(p, name + len + 1, spec - 1, err) < 0)
            return -1;
        text = end + 1;
    }
}

struct lca_show *lca_show_new(const struct lca_show_opts *o, struct lca_err *err)
{
    struct lca_show *s = calloc(1, sizeof *s);
    if (!s) {
        no_memory(err);
        return NULL;
    }
    s->opts = *o;
    if ((o->as == LCA_SHOW_FORMAT && read_format(s, o->format, err) < 0) ||
        (o->as != LCA_SHOW_FORMAT && o->fields && read_fields(s, o->fields, err) < 0)) {
        lca_show_free(s);
        return NULL;
    }
    return s;
}

/* the default table of CSV */

static void kind_of(const struct lca_frame *f, char kind[64])
{
    snprintf(kind, 64, "%s", f->kind == LCA_KIND_agg ? f->u.agg.kind : lca_kind_name(f->kind));
}

/* Name of place k along axis d: its label, else axis_k. */
static void put_place(struct lca_text *t, const struct lca_frame_agg *a, unsigned d, uint64_t k)
{
    const char *axis = json_string_value(json_array_get(a->dims, d));
    char text[80];
    axis = axis ? axis : "data";
    json_t *label = json_array_get(json_object_get(a->keys, axis), (size_t)k);
    if (json_is_string(label))
        snprintf(text, sizeof text, "%s", json_string_value(label));
    else if (json_is_integer(label))
        snprintf(text, sizeof text, "%s_%" JSON_INTEGER_FORMAT, axis, json_integer_value(label));
    else
        snprintf(text, sizeof text, "%s_%" PRIu64, axis, k);
    lca_text_put(t, text, strlen(text));
}

static int name_values(struct lca_show *s, const struct lca_frame *f, struct lca_err *err)
{
    uint64_t n = lca_frame_count(f);
    if (n > LCA_SHOW_MOST && !s->opts.all_data)
        return lca_fail(err, LCA_USAGE, "%s has %" PRIu64 " values, too many for columns: choose "
                        "--fields, use --json, or say --data to have them all", s->kind, n);
    s->lead = 1;
    if (add_field(s, "it", 2, err) < 0)
        return -1;
    if (f->u.agg.set && *f->u.agg.set) {
        s->lead = 2;
        if (add_field(s, "set", 3, err) < 0)
            return -1;
    }
    for (uint64_t k = 0; k < n; k++) {
        struct lca_buf name = {0};
        struct lca_text t = {.to = &name};
        uint64_t rest = k, size = n;
        for (unsigned d = 0; d < f->n_sh; d++) {
            size /= f->sh[d];
            if (d)
                lca_text_put(&t, ":", 1);
            put_place(&t, &f->u.agg, d, rest / size);
            rest %= size;
        }
        int bad = t.failed ? no_memory(err) : add_field(s, (char *)name.data, name.len, err);
        lca_buf_clear(&name);
        if (bad < 0)
            return -1;
    }
    return 0;
}

/* 1: f belongs in the table; 0; -1. */
static int fits_table(struct lca_show *s, const struct lca_frame *f, struct lca_err *err)
{
    static const char *const columns[LCA_KINDS] = {
        [LCA_KIND_theta] = "it,lr,mbloss,epoch",
        [LCA_KIND_lca] = "it,set,cls,L0,L1,sum,res,fo,n,ev",
        [LCA_KIND_grad] = "it,set,cls,loss",
        [LCA_KIND_move] = "it,off",
        [LCA_KIND_eff] = "it,set,cls,off",
    };
    char kind[64];
    kind_of(f, kind);
    if (!lca_kind_is_data(f->kind))
        return 0;
    if (!s->table) {
        s->table = true;
        s->values = f->kind == LCA_KIND_agg;
        s->count = lca_frame_count(f);
        memcpy(s->kind, kind, sizeof kind);
        int bad = s->values ? name_values(s, f, err) : read_fields(s, columns[f->kind], err);
        return bad < 0 ? -1 : 1;
    }
    /* the last slice of a vector is shorter than the others, an agg is of one size */
    if (strcmp(s->kind, kind) == 0 && (!s->values || s->count == lca_frame_count(f)))
        return 1;
    if (!*s->left_out)
        memcpy(s->left_out, kind, sizeof kind);
    return 0;
}

/* showing */

static void put_header(struct lca_show *s, struct lca_text *t)
{
    for (size_t k = 0; k < s->n; k++) {
        const char *name = s->piece[k].name;
        struct lca_value v = lca_value_text(name);
        lca_text_put(t, ",", k > 0);
        lca_value_cell(t, &v);
    }
    lca_text_put(t, "\n", 1);
}

/* Value of a column or piece; those of an agg's table are its elements, after `it` and `set`. */
static struct lca_value value_of(const struct lca_show *s, const struct lca_frame *f, size_t k)
{
    if (!s->values || k < s->lead)
        return lca_value_find(f, s->piece[k].name, s->opts.all_data ? UINT64_MAX : LCA_SHOW_MOST);
    if (!f->payload)
        return (struct lca_value){0};
    return (struct lca_value){.is = LCA_VALUE_ONE, .one = lca_value_element(f, k - s->lead)};
}

/* What is no number, within the width; %s may cut it. */
static void put_padded(struct lca_text *t, const struct piece *p, const struct lca_value *v,
                       struct lca_buf *cell)
{
    struct lca_text text = {.to = cell};
    char blanks[100];
    cell->len = 0;
    lca_value_plain(&text, v);
    const char *dot = strchr(p->spec, '.');
    size_t width = strtoul(p->spec + strspn(p->spec, "-+ #0"), NULL, 10), n = cell->len;
    size_t most = p->conversion == 's' && dot ? strtoul(dot + 1, NULL, 10) : n;
    n = n < most ? n : most;
    size_t pad = width > n ? width - n : 0;
    bool left = p->spec[strcspn(p->spec, "-123456789.")] == '-';
    memset(blanks, ' ', sizeof blanks);
    lca_text_put(t, blanks, left ? 0 : pad);
    lca_text_put(t, cell->data, n);
    lca_text_put(t, blanks, left ? pad : 0);
    t->failed |= text.failed;
}

static void put_format(struct lca_text *t, const struct piece *p, const struct lca_value *v,
                       struct lca_buf *cell)
{
    const msgpack_object *o = &v->one;
    int type = v->is == LCA_VALUE_ONE ? (int)o->type : -1;
    bool whole = type == MSGPACK_OBJECT_POSITIVE_INTEGER || type == MSGPACK_OBJECT_NEGATIVE_INTEGER;
    bool real = type == MSGPACK_OBJECT_FLOAT32 || type == MSGPACK_OBJECT_FLOAT64;
    bool large = type == MSGPACK_OBJECT_POSITIVE_INTEGER && o->via.u64 > INT64_MAX;
    char format[40], text[512];     /* %99.99f of the largest double has 409 characters */
    if (!p->conversion) {
        lca_value_plain(t, v);
    } else if (p->conversion == 's' || !(whole || real)) {
        put_padded(t, p, v, cell);
    } else if (whole && strchr("dxX", p->conversion)) {
        char c = p->conversion == 'd' && large ? 'u' : p->conversion;
        snprintf(format, sizeof format, "%%%sll%c", p->spec, c);
        snprintf(text, sizeof text, format, (unsigned long long)o->via.u64);
        lca_text_put(t, text, strlen(text));
    } else {
        double x = real ? o->via.f64 : large ? (double)o->via.u64 : (double)o->via.i64;
        char c = strchr("dxX", p->conversion) ? 'g' : p->conversion;
        snprintf(format, sizeof format, "%%%s%c", p->spec, c);
        snprintf(text, sizeof text, format, x);
        lca_text_put(t, text, strlen(text));
    }
}

/* A value of a record. JSON has no NaN, and readers of tables take null for a missing number. */
static void put_field(const struct lca_show *s, struct lca_text *t, const struct lca_value *v)
{
    bool real = v->is == LCA_VALUE_ONE &&
                (v->one.type == MSGPACK_OBJECT_FLOAT32 || v->one.type == MSGPACK_OBJECT_FLOAT64);
    if (s->opts.records && real && isnan(v->one.via.f64))
        lca_text_put(t, "null", 4);
    else
        lca_value_json(t, v);
}

static void put_chosen(struct lca_show *s, const struct lca_frame *f, struct lca_text *t)
{
    bool json = s->opts.as == LCA_SHOW_JSON, any = false;
    for (size_t k = 0; k < s->n; k++) {
        const struct piece *p = &s->piece[k];
        if (p->before)
            lca_text_put(t, p->before, strlen(p->before));
        if (!p->name)
            continue;
        struct lca_value v = value_of(s, f, k);
        if (s->opts.as == LCA_SHOW_FORMAT) {
            put_format(t, p, &v, &s->cell);
        } else if (!json) {
            lca_text_put(t, ",", k > 0);
            lca_value_cell(t, &v);
        } else if (v.is != LCA_VALUE_NONE) {
            lca_text_put(t, any ? "," : "{", 1);
            lca_value_quote(t, p->name, strlen(p->name));
            lca_text_put(t, ":", 1);
            put_field(s, t, &v);
            any = true;
        }
    }
    if (json)
        lca_text_put(t, "}", 1);
    if (s->opts.as != LCA_SHOW_FORMAT)
        lca_text_put(t, "\n", 1);
}

/* Whether f has something to choose; a format without names takes every frame. */
static bool has_any(const struct lca_show *s, const struct lca_frame *f)
{
    bool names = false;
    for (size_t k = 0; k < s->n; k++) {
        names |= s->piece[k].name != NULL;
        if (s->piece[k].name && value_of(s, f, k).is != LCA_VALUE_NONE)
            return true;
    }
    return !names;
}

int lca_show_frame(struct lca_show *s, const struct lca_frame *f, struct lca_buf *out,
                   struct lca_err *err)
{
    struct lca_text t = {.to = out};
    if ((s->opts.as == LCA_SHOW_CSV || s->opts.records) && !s->opts.fields) {
        int fits = fits_table(s, f, err);
        if (fits <= 0)
            return fits;
    }
    if (s->opts.as == LCA_SHOW_JSON && !s->opts.fields && !s->opts.records) {
        lca_value_frame(&t, f, s->opts.all_data ? UINT64_MAX : LCA_SHOW_MOST);
        lca_text_put(&t, "\n", 1);
    } else if (has_any(s, f)) {
        if (s->opts.as == LCA_SHOW_CSV && !s->headed)
            put_header(s, &t);
        s->headed = true;
        put_chosen(s, f, &t);
    } else {
        return 0;
    }
    return t.failed ? no_memory(err) : 1;
}

const char *lca_show_left_out(const struct lca_show *s)
{
    return *s->left_out ? s->left_out : NULL;
}

void lca_show_free(struct lca_show *s)
{
    if (!s)
        return;
    for (size_t k = 0; k < s->n; k++) {
        free(s->piece[k].before);
        free(s->piece[k].name);
    }
    free(s->piece);
    lca_buf_clear(&s->cell);
    free(s);
}
