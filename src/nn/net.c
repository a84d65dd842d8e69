/* net.c: from JSON to layers, shapes and the parameter table. */
#include "nn/net.h"

#include <ctype.h>
#include <jansson.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"

enum { LAYERS_MAX = 1000, DEPTH_MAX = 4, GIVEN_NAME_MAX = 40 };
static const uint64_t activations_max = UINT64_C(1) << 30;

const char *const lca_layer_type_name[LCA_LAYER_TYPES] = {
    "dense", "conv", "maxpool", "avgpool", "gap", "batchnorm", "relu", "dropout", "flatten", "add",
};
enum { RESIDUAL = LCA_ADD };    /* in a description an add is a residual layer */

static const char *type_word(unsigned type)
{
    return type == RESIDUAL ? "residual" : lca_layer_type_name[type];
}

static const char *const keys_of[LCA_LAYER_TYPES] = {
    [LCA_DENSE] = " units ", [LCA_CONV] = " channels kernel stride pad ",
    [LCA_MAXPOOL] = " size stride ", [LCA_AVGPOOL] = " size stride ", [LCA_GAP] = "",
    [LCA_BATCHNORM] = " eps ", [LCA_RELU] = "", [LCA_DROPOUT] = " rate ", [LCA_FLATTEN] = "",
    [RESIDUAL] = " layers shortcut ",
};

struct parser {
    struct lca_net *net;
    struct lca_buf text;        /* the canonical description as it grows */
    struct lca_err *err;
    unsigned depth;
};

/* The layer at hand, for reading its keys. */
struct item {
    struct parser *p;
    const json_t *json;
    char name[LCA_NAME_MAX];
};

static int wrong(const struct item *i, const char *format, ...) LCA_PRINTF(2, 3);
static int wrong(const struct item *i, const char *format, ...)
{
    char text[400];
    va_list ap;
    va_start(ap, format);
    vsnprintf(text, sizeof text, format, ap);
    va_end(ap);
    return lca_fail(i->p->err, LCA_USAGE, "layer %s: %s", i->name, text);
}

static int emit(struct parser *p, const char *format, ...) LCA_PRINTF(2, 3);
static int emit(struct parser *p, const char *format, ...)
{
    char text[400];
    va_list ap;
    va_start(ap, format);
    int n = vsnprintf(text, sizeof text, format, ap);
    va_end(ap);
    return lca_buf_append(&p->text, text, (size_t)n, p->err);
}

static int key_int(const struct item *i, const char *key, long low, long high, long otherwise,
                   uint32_t *out)
{
    const json_t *v = json_object_get(i->json, key);
    json_int_t x = v ? json_integer_value(v) : otherwise;
    if (!v && otherwise < 0)
        return wrong(i, "needs %s, a whole number from %ld to %ld", key, low, high);
    if ((v && !json_is_integer(v)) || x < low || x > high)
        return wrong(i, "%s must be a whole number from %ld to %ld", key, low, high);
    *out = (uint32_t)x;
    return 0;
}

static int key_num(const struct item *i, const char *key, double low, double high, double otherwise,
                   double *out)
{
    const json_t *v = json_object_get(i->json, key);
    double x = v ? json_number_value(v) : otherwise;
    if (!v && otherwise < 0)
        return wrong(i, "needs %s, a number from %g to below %g", key, low, high);
    if ((v && !json_is_number(v)) || !(x >= low && x < high))
        return wrong(i, "%s must be a number from %g to below %g", key, low, high);
    *out = x == 0 ? 0 : x;      /* -0.0 is written as -0, which is read as a whole number */
    return 0;
}

/* One of two words; the first is the default. Fills *second. */
static int key_word(const struct item *i, const char *key, const char *a, const char *b,
                    bool *second)
{
    const json_t *v = json_object_get(i->json, key);
    const char *s = v ? json_string_value(v) : a;
    if (!s || (strcmp(s, a) && strcmp(s, b)))
        return wrong(i, "%s must be \"%s\" or \"%s\"", key, a, b);
    *second = !strcmp(s, b);
    return 0;
}

/* words: each with a space on both sides. */
static bool is_one_of(const char *key, const char *words)
{
    char word[48];
    return !strchr(key, ' ') && snprintf(word, sizeof word, " %s ", key) < (int)sizeof word &&
           strstr(words, word);
}

static bool good_name(const char *s, size_t most)
{
    size_t n = strlen(s);
    if (n < 1 || n > most)
        return false;
    for (; *s; s++)
        if (!isalnum((unsigned char)*s) && !strchr("_-.+", *s))
            return false;
    return true;
}

static int push(struct parser *p, const struct lca_layer *l)
{
    struct lca_net *net = p->net;
    if (net->n_layer == LAYERS_MAX)
        return lca_fail(p->err, LCA_USAGE, "more than %d layers", LAYERS_MAX);
    if (lca_shape_size(l->g.out) > activations_max)
        return lca_fail(p->err, LCA_USAGE, "layer %s: output too large", l->name);
    for (unsigned k = 0; k < net->n_layer; k++)
        if (!strcmp(net->layer[k].name, l->name))
            return lca_fail(p->err, LCA_USAGE, "layer %s: the name is used twice", l->name);
    net->layer[net->n_layer] = *l;
    for (int k = 0; k < LCA_KINDS_OF; k++)
        net->layer[net->n_layer].off[k] = LCA_NO_TENSOR;
    net->n_layer++;
    return 0;
}

static struct lca_shape shape_at(const struct lca_net *net, int at)
{
    return at < 0 ? net->input : net->layer[at].g.out;
}

static int window(const struct item *i, struct lca_geometry *g, bool same)
{
    uint32_t k = g->kernel, s = g->stride;
    if (same) {
        g->out.h = (g->in.h + s - 1) / s;
        g->out.w = (g->in.w + s - 1) / s;
        uint32_t need_h = (g->out.h - 1) * s + k, need_w = (g->out.w - 1) * s + k;
        g->pad_top = need_h > g->in.h ? (need_h - g->in.h) / 2 : 0;
        g->pad_left = need_w > g->in.w ? (need_w - g->in.w) / 2 : 0;
        return 0;
    }
    if (k > g->in.h || k > g->in.w)
        return wrong(i, "a window of %ux%u does not fit an input of %ux%u", k, k, g->in.h, g->in.w);
    g->out.h = (g->in.h - k) / s + 1;
    g->out.w = (g->in.w - k) / s + 1;
    return 0;
}

/* The kernel layer that a batch norm after layer `at` belongs to. */
static int owner_of(const struct lca_net *net, int at)
{
    while (at >= 0 && net->layer[at].g.type != LCA_CONV && net->layer[at].g.type != LCA_DENSE)
        at = net->layer[at].from;
    return at;
}

static int read_layer(const struct item *i, struct lca_layer *l)
{
    struct lca_net *net = i->p->net;
    struct lca_geometry *g = &l->g;
    bool valid;
    g->out = g->in;
    switch (g->type) {
    case LCA_DENSE:
        g->in = (struct lca_shape){1, 1, (uint32_t)lca_shape_size(g->in)};
        g->out = (struct lca_shape){1, 1, 0};
        if (key_int(i, "units", 1, 1 << 20, -1, &g->out.c) < 0)
            return -1;
        l->flops = 2 * (uint64_t)g->in.c * g->out.c;
        return emit(i->p, ",\"units\":%u", g->out.c);
    case LCA_CONV:
        if (key_int(i, "channels", 1, 1 << 16, -1, &g->out.c) < 0 ||
            key_int(i, "kernel", 1, 64, -1, &g->kernel) < 0 ||
            key_int(i, "stride", 1, 64, 1, &g->stride) < 0 ||
            key_word(i, "pad", "same", "valid", &valid) < 0 || window(i, g, !valid) < 0)
            return -1;
        l->flops = 2 * (uint64_t)g->kernel * g->kernel * g->in.c * lca_shape_size(g->out);
        return emit(i->p, ",\"channels\":%u,\"kernel\":%u,\"stride\":%u,\"pad\":\"%s\"", g->out.c,
                    g->kernel, g->stride, valid ? "valid" : "same");
    case LCA_MAXPOOL:
    case LCA_AVGPOOL:
        if (key_int(i, "size", 1, 64, 2, &g->kernel) < 0 ||
            key_int(i, "stride", 1, 64, g->kernel, &g->stride) < 0 || window(i, g, false) < 0)
            return -1;
        return emit(i->p, ",\"size\":%u,\"stride\":%u", g->kernel, g->stride);
    case LCA_GAP:
        g->out.h = g->out.w = 1;
        return 0;
    case LCA_FLATTEN:
        g->out = (struct lca_shape){1, 1, (uint32_t)lca_shape_size(g->in)};
        return 0;
    case LCA_BATCHNORM:
        l->owner = owner_of(net, l->from);
        if (l->owner < 0)
            return wrong(i, "a batch norm must come after a conv or dense layer");
        for (unsigned k = 0; k < net->n_layer; k++)
            if (net->layer[k].g.type == LCA_BATCHNORM && net->layer[k].owner == l->owner)
                return wrong(i, "layer %s has a batch norm already", net->layer[l->owner].name);
        if (key_num(i, "eps", 1e-12, 1, 1e-3, &g->eps) < 0)
            return -1;
        net->batchnorm = true;
        return emit(i->p, ",\"eps\":%.17g", g->eps);
    case LCA_DROPOUT:
        if (key_num(i, "rate", 0, 1, -1, &g->rate) < 0)
            return -1;
        return emit(i->p, ",\"rate\":%.17g", g->rate);
    default:
        return 0;
    }
}

static int read_list(struct parser *p, const json_t *list, const char *prefix, int *at);

/* The stride that takes the block's input to its output's size. */
static uint32_t shortcut_stride(struct lca_shape in, struct lca_shape out)
{
    for (uint32_t s = 1; s <= in.h || s <= in.w; s++)
        if ((in.h + s - 1) / s == out.h && (in.w + s - 1) / s == out.w)
            return s;
    return 0;
}

static int read_residual(const struct item *i, int *at)
{
    struct parser *p = i->p;
    bool conv;
    int start = *at, main = *at, other = start;
    if (key_word(i, "shortcut", "identity", "conv", &conv) < 0)
        return -1;
    if (p->depth >= DEPTH_MAX)
        return wrong(i, "residual layers lie more than %d deep", DEPTH_MAX);
    if (emit(p, ",\"shortcut\":\"%s\",\"layers\":", conv ? "conv" : "identity") < 0)
        return -1;
    const json_t *list = json_object_get(i->json, "layers");
    if (json_array_size(list) == 0)
        return wrong(i, "needs layers, a list");
    p->depth++;
    if (read_list(p, list, i->name, &main) < 0)
        return -1;
    p->depth--;
    struct lca_shape in = shape_at(p->net, start), out = shape_at(p->net, main);
    if (conv) {
        struct lca_layer l = {.from = start, .other = -1,
                              .g = {.type = LCA_CONV, .in = in, .out = out, .kernel = 1}};
        l.g.stride = shortcut_stride(in, out);
        if (!l.g.stride)
            return wrong(i, "no stride takes the shortcut from %ux%u to %ux%u", in.h, in.w, out.h,
                         out.w);
        if (snprintf(l.name, sizeof l.name, "%s/shortcut", i->name) >= (int)sizeof l.name)
            return wrong(i, "the name is too long");
        l.flops = 2 * (uint64_t)in.c * lca_shape_size(out);
        other = l.owner = (int)p->net->n_layer;
        if (push(p, &l) < 0)
            return -1;
    } else if (in.h != out.h || in.w != out.w || in.c != out.c) {
        return wrong(i, "its layers make %ux%ux%u of %ux%ux%u, which an identity shortcut "
                     "cannot add: say \"shortcut\": \"conv\"", out.h, out.w, out.c,
                     in.h, in.w, in.c);
    }
    struct lca_layer add = {.from = main, .other = other, .owner = -1,
                            .g = {.type = LCA_ADD, .in = out, .out = out}};
    strcpy(add.name, i->name);
    *at = (int)p->net->n_layer;
    return push(p, &add);
}

static int read_name(struct item *i, const char *prefix, const char *type, unsigned number)
{
    const json_t *given = json_object_get(i->json, "name");
    const char *s = json_string_value(given);
    if (given && (!s || !good_name(s, GIVEN_NAME_MAX)))
        return wrong(i, "name must be 1 to %d letters, digits or any of _-.+", GIVEN_NAME_MAX);
    char last[GIVEN_NAME_MAX + 24];
    if (s)
        snprintf(last, sizeof last, "%s", s);
    else
        snprintf(last, sizeof last, "%s%u", type, number);
    if (snprintf(i->name, sizeof i->name, "%s%s%s", prefix, *prefix ? "/" : "", last) >=
        (int)sizeof i->name)
        return wrong(i, "the name is too long");
    return emit(i->p, "{\"type\":\"%s\",\"name\":\"%s\"", type, last);
}

static int check_keys(const struct item *i, const char *type, const char *allowed)
{
    const char *key;
    json_t *v;
    json_object_foreach((json_t *)i->json, key, v) {
        if (!is_one_of(key, " type name ") && !is_one_of(key, allowed))
            return wrong(i, "a %s layer has no key '%.40s'", type, key);
    }
    return 0;
}

static int read_list(struct parser *p, const json_t *list, const char *prefix, int *at)
{
    unsigned count[LCA_LAYER_TYPES] = {0};
    size_t k;
    json_t *json;
    if (emit(p, "[") < 0)
        return -1;
    json_array_foreach(list, k, json) {
        struct item i = {.p = p, .json = json};
        snprintf(i.name, sizeof i.name, "%.60s%snumber %zu", prefix, *prefix ? "/" : "", k + 1);
        const char *type = json_string_value(json_object_get(json, "type"));
        if (!type)
            return wrong(&i, "needs a type");
        unsigned t = 0;
        while (t < LCA_LAYER_TYPES && strcmp(type, type_word(t)))
            t++;
        if (t == LCA_LAYER_TYPES)
            return wrong(&i, "unknown type '%.40s'", type);
        if (k && emit(p, ",") < 0)
            return -1;
        if (read_name(&i, prefix, type, ++count[t]) < 0 || check_keys(&i, type, keys_of[t]) < 0)
            return -1;
        if (t == RESIDUAL) {
            if (read_residual(&i, at) < 0)
                return -1;
        } else {
            struct lca_layer l = {.from = *at, .other = -1, .owner = -1};
            l.g.type = (enum lca_layer_type)t;
            l.g.in = shape_at(p->net, *at);
            strcpy(l.name, i.name);
            if (read_layer(&i, &l) < 0)
                return -1;
            *at = (int)p->net->n_layer;
            if (t == LCA_DENSE || t == LCA_CONV)
                l.owner = *at;
            if (push(p, &l) < 0)
                return -1;
        }
        if (emit(p, "}") < 0)
            return -1;
    }
    return emit(p, "]");
}

static int add_tensor(struct lca_net *net, const char *layer, struct lca_layer *holder,
                      enum lca_kind_of kind, const uint32_t *shape, unsigned n, struct lca_err *err)
{
    char name[LCA_NAME_MAX + 8];
    snprintf(name, sizeof name, "%s/%s", layer, lca_kind_of_name[kind]);
    holder->off[kind] = net->table.P;
    if (lca_table_add(&net->table, layer, name, kind, shape, n, err) < 0)
        return -1;
    holder->params += net->table.P - holder->off[kind];
    return 0;
}

/* Kernel layers in forward order; in each kernel, bias, gamma, beta. */
/* Can be done while the layer before it writes, or needs nothing done. */
static bool goes_along(const struct lca_layer *l)
{
    return l->g.type == LCA_RELU || l->g.type == LCA_DROPOUT || l->g.type == LCA_FLATTEN;
}

static uint64_t moved(const struct lca_net *net, const struct lca_layer *l)
{
    const uint64_t in = lca_shape_size(l->g.in), out = lca_shape_size(l->g.out);
    int from = l->from;
    while (from >= 0 && goes_along(&net->layer[from]))
        from = net->layer[from].from;
    if (goes_along(l))
        return 0;
    if (l->g.type == LCA_ADD)
        return 2 * in + out + out + 2 * in;     /* back, its inputs are not read */
    return in + out + in + out + (from >= 0 ? in : 0);
}

static int make_table(struct lca_net *net, struct lca_err *err)
{
    for (unsigned k = 0; k < net->n_layer; k++) {
        struct lca_layer *l = &net->layer[k];
        const struct lca_geometry *g = &l->g;
        net->moved += moved(net, l);
        if (g->type != LCA_DENSE && g->type != LCA_CONV)
            continue;
        uint32_t shape[4] = {g->kernel, g->kernel, g->in.c, g->out.c};
        unsigned skip = g->type == LCA_DENSE ? 2 : 0;
        if (add_tensor(net, l->name, l, LCA_KERNEL, shape + skip, 4 - skip, err) < 0 ||
            add_tensor(net, l->name, l, LCA_BIAS, &g->out.c, 1, err) < 0)
            return -1;
        for (unsigned b = k + 1; b < net->n_layer; b++) {
            struct lca_layer *bn = &net->layer[b];
            if (bn->g.type == LCA_BATCHNORM && bn->owner == (int)k &&
                (add_tensor(net, l->name, bn, LCA_GAMMA, &bn->g.out.c, 1, err) < 0 ||
                 add_tensor(net, l->name, bn, LCA_BETA, &bn->g.out.c, 1, err) < 0))
                return -1;
        }
        net->flops += l->flops;
    }
    net->P = net->table.P;
    return 0;
}

/* What else it says is kept as it is, for whoever can compute it. */
static int read_external(struct parser *p, const json_t *json)
{
    const json_t *chunk = json_object_get(json, "chunk");
    json_int_t n = json_integer_value(chunk);
    if (!json_is_true(json_object_get(json, "external")))
        return lca_fail(p->err, LCA_USAGE, "external can only be true");
    if (chunk && (n < 1 || n > INT32_MAX))
        return lca_fail(p->err, LCA_USAGE, "chunk must be a whole number from 1 to %d", INT32_MAX);
    p->net->external = true;
    p->net->chunk = (uint32_t)n;
    char *text = json_dumps(json, JSON_COMPACT | JSON_SORT_KEYS | JSON_REAL_PRECISION(17));
    int result = text ? lca_buf_append(&p->text, text, strlen(text), p->err)
                      : lca_fail(p->err, LCA_INTERNAL, "out of memory");
    free(text);
    return result;
}

static int read_net(struct parser *p, const json_t *json)
{
    struct lca_net *net = p->net;
    struct lca_err *err = p->err;
    const char *key, *name = json_string_value(json_object_get(json, "name"));
    json_t *v;
    if (!json_is_object(json))
        return lca_fail(err, LCA_USAGE, "the description must be an object");
    if (!name || !good_name(name, GIVEN_NAME_MAX))
        return lca_fail(err, LCA_USAGE, "name must be 1 to %d letters, digits or any of _-.+",
                        GIVEN_NAME_MAX);
    strcpy(net->name, name);
    if (json_object_get(json, "external"))
        return read_external(p, json);
    json_object_foreach((json_t *)json, key, v) {
        if (!is_one_of(key, " name input classes layers "))
            return lca_fail(err, LCA_USAGE, "a network has no key '%.40s'", key);
    }
    const json_t *input = json_object_get(json, "input");
    uint32_t *dim[3] = {&net->input.h, &net->input.w, &net->input.c};
    for (size_t k = 0; k < 3; k++) {
        json_int_t x = json_integer_value(json_array_get(input, k));
        if (json_array_size(input) != 3 || x < 1 || x > 4096)
            return lca_fail(err, LCA_USAGE,
                            "input must be [height, width, channels], each 1 to 4096");
        *dim[k] = (uint32_t)x;
    }
    if (lca_shape_size(net->input) > activations_max)
        return lca_fail(err, LCA_USAGE, "input of %ux%ux%u values: at most %llu can be computed with", net->input.h,
                        net->input.w, net->input.c, (unsigned long long)activations_max);
    json_int_t classes = json_integer_value(json_object_get(json, "classes"));
    if (classes < 2 || classes > 256)
        return lca_fail(err, LCA_USAGE, "classes must be a whole number from 2 to 256");
    net->classes = (uint32_t)classes;
    const json_t *list = json_object_get(json, "layers");
    if (json_array_size(list) == 0)
        return lca_fail(err, LCA_USAGE, "layers must be a list of layers");
    int at = -1;
    if (emit(p, "{\"name\":\"%s\",\"input\":[%u,%u,%u],\"classes\":%u,\"layers\":", name,
             net->input.h,
             net->input.w, net->input.c, net->classes) < 0 ||
        read_list(p, list, "", &at) < 0 || emit(p, "}") < 0 || make_table(net, err) < 0)
        return -1;
    if (lca_shape_size(shape_at(net, at)) != net->classes)
        return lca_fail(err, LCA_USAGE, "layer %s: %zu outputs for %u classes", net->layer[at].name,
                        lca_shape_size(shape_at(net, at)), net->classes);
    if (net->P == 0)
        return lca_fail(err, LCA_USAGE, "no layer has parameters");
    return 0;
}

int lca_net_parse(struct lca_net *net, const char *text, size_t len, struct lca_err *err)
{
    *net = (struct lca_net){0};
    int result = -1;
    struct parser p = {.net = net, .err = err};
    json_error_t at;
    json_t *json = NULL;
    if (len > LCA_NET_TEXT_MAX) {
        lca_fail(err, LCA_USAGE, "a description of %zu bytes: a network's has at most %d", len, LCA_NET_TEXT_MAX);
        goto out;
    }
    json = json_loadb(text, len, JSON_REJECT_DUPLICATES, &at);
    if (!json) {
        lca_fail(err, LCA_USAGE, "line %d: %s", at.line, at.text);
        goto out;
    }
    net->layer = lca_alloc(LAYERS_MAX, sizeof *net->layer, err);
    if (!net->layer || read_net(&p, json) < 0)
        goto out;
    net->json = lca_alloc(p.text.len + 1, 1, err);
    if (!net->json)
        goto out;
    memcpy(net->json, p.text.data, p.text.len);
    result = 0;
out:
    json_decref(json);
    lca_buf_clear(&p.text);
    if (result < 0)
        lca_net_clear(net);
    return result;
}

void lca_net_clear(struct lca_net *net)
{
    free(net->layer);
    free(net->json);
    lca_table_clear(&net->table);
    *net = (struct lca_net){0};
}
