#include "nn/table.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *const lca_kind_of_name[LCA_KINDS_OF] = {"kernel", "bias", "gamma", "beta"};

enum { TENSORS_MAX = 4096 };

static int product(const uint32_t *shape, unsigned n, uint64_t *out)
{
    uint64_t p = 1;
    for (unsigned k = 0; k < n; k++)
        if (shape[k] == 0 || __builtin_mul_overflow(p, shape[k], &p) || p > LCA_PARAMETERS_MAX)
            return -1;
    *out = p;
    return 0;
}

/* Doubles the array when n is a power of two, so that n is all there is to keep. */
static int grow(void **array, unsigned n, size_t size, struct lca_err *err)
{
    if (n & (n - 1))
        return 0;
    void *p = realloc(*array, (n ? 2 * (size_t)n : 1) * size);
    if (!p)
        return lca_fail(err, LCA_INTERNAL, "out of memory for the table of parameters");
    *array = p;
    return 0;
}

int lca_table_add(struct lca_table *t, const char *layer, const char *name, enum lca_kind_of kind,
                  const uint32_t *shape, unsigned n_shape, struct lca_err *err)
{
    uint64_t len;
    if (strlen(layer) >= LCA_NAME_MAX || strlen(name) >= sizeof t->tensor->name)
        return lca_fail(err, LCA_USAGE, "tensor %.80s: the name is too long", name);
    if (n_shape < 1 || n_shape > 4 || product(shape, n_shape, &len) < 0 ||
        t->P + len > LCA_PARAMETERS_MAX || t->n_tensor == TENSORS_MAX)
        return lca_fail(err, LCA_USAGE, "tensor %s: too large", name);
    if (!t->n_layer || strcmp(t->layer[t->n_layer - 1].name, layer)) {
        if (lca_table_find(t, layer) >= 0)
            return lca_fail(err, LCA_USAGE, "tensor %s: layer %s has ended before", name, layer);
        if (grow((void **)&t->layer, t->n_layer, sizeof *t->layer, err) < 0)
            return -1;
        struct lca_group *g = &t->layer[t->n_layer++];
        *g = (struct lca_group){.off = t->P, .first = t->n_tensor};
        strcpy(g->name, layer);
    }
    if (grow((void **)&t->tensor, t->n_tensor, sizeof *t->tensor, err) < 0)
        return -1;
    struct lca_tensor *x = &t->tensor[t->n_tensor++];
    *x = (struct lca_tensor){.kind = kind, .layer = t->n_layer - 1, .off = t->P, .len = len,
                             .n_shape = n_shape};
    strcpy(x->name, name);
    memcpy(x->shape, shape, n_shape * sizeof *shape);
    struct lca_group *g = &t->layer[t->n_layer - 1];
    g->len += len;
    g->n++;
    t->P += len;
    return 0;
}

json_t *lca_table_json(const struct lca_table *t)
{
    json_t *list = json_array();
    for (unsigned k = 0; list && k < t->n_tensor; k++) {
        const struct lca_tensor *x = &t->tensor[k];
        json_t *sh = json_array();
        for (unsigned d = 0; d < x->n_shape; d++)
            json_array_append_new(sh, json_integer(x->shape[d]));
        json_t *item = json_pack("{s:s, s:s, s:s, s:I, s:I, s:o}", "n", x->name,
                                 "l", t->layer[x->layer].name, "k", lca_kind_of_name[x->kind],
                                 "off", (json_int_t)x->off, "len", (json_int_t)x->len, "sh", sh);
        if (!item || json_array_append_new(list, item) < 0) {
            json_decref(list);
            return NULL;
        }
    }
    return list;
}

static int parse_one(struct lca_table *t, const json_t *item, struct lca_err *err)
{
    const char *name, *layer, *kind_name;
    json_int_t off, len;
    json_t *sh;
    if (json_unpack((json_t *)item, "{s:s, s:s, s:s, s:I, s:I, s:o}", "n", &name, "l", &layer,
                    "k", &kind_name, "off", &off, "len", &len, "sh", &sh) < 0)
        return lca_fail(err, LCA_CORRUPT, "a tensor needs n, l, k, off, len and sh");
    int kind = 0;
    while (kind < LCA_KINDS_OF && strcmp(kind_name, lca_kind_of_name[kind]))
        kind++;
    if (kind == LCA_KINDS_OF)
        return lca_fail(err, LCA_CORRUPT, "tensor %s: unknown kind '%.40s'", name, kind_name);
    uint32_t shape[4];
    size_t n = json_array_size(sh);
    if (n < 1 || n > 4)
        return lca_fail(err, LCA_CORRUPT, "tensor %s: sh must have one to four axes", name);
    for (size_t d = 0; d < n; d++) {
        json_int_t x = json_integer_value(json_array_get(sh, d));
        if (x < 1 || x > UINT32_MAX)
            return lca_fail(err, LCA_CORRUPT, "tensor %s: bad sh", name);
        shape[d] = (uint32_t)x;
    }
    if (off < 0 || (uint64_t)off != t->P)
        return lca_fail(err, LCA_CORRUPT, "tensor %s: off is %lld where %llu comes next", name,
                        (long long)off, (unsigned long long)t->P);
    if (lca_table_add(t, layer, name, (enum lca_kind_of)kind, shape, (unsigned)n, err) < 0)
        return -1;
    if (len < 0 || t->tensor[t->n_tensor - 1].len != (uint64_t)len)
        return lca_fail(err, LCA_CORRUPT, "tensor %s: len is not the product of sh", name);
    return 0;
}

int lca_table_parse(struct lca_table *t, const json_t *layers, uint64_t P, struct lca_err *err)
{
    int result = -1;
    if (!json_is_array(layers)) {
        lca_fail(err, LCA_CORRUPT, "it must be a list");
        goto out;
    }
    size_t k;
    json_t *item;
    json_array_foreach(layers, k, item) {
        if (parse_one(t, item, err) < 0)
            goto out;
    }
    if (t->P != P) {
        lca_fail(err, LCA_CORRUPT, "its tensors have %llu parameters, P is %llu",
                 (unsigned long long)t->P, (unsigned long long)P);
        goto out;
    }
    result = 0;
out:
    if (result < 0) {
        lca_err_prefix(err, "HEAD.layers");
        if (err)
            err->status = LCA_CORRUPT;
        lca_table_clear(t);
    }
    return result;
}

int lca_table_find(const struct lca_table *t, const char *name)
{
    for (unsigned l = 0; l < t->n_layer; l++)
        if (!strcmp(t->layer[l].name, name))
            return (int)l;
    return -1;
}

unsigned lca_table_layer_of(const struct lca_table *t, uint64_t i)
{
    unsigned lo = 0, hi = t->n_layer;
    while (hi - lo > 1) {
        unsigned mid = lo + (hi - lo) / 2;
        if (t->layer[mid].off <= i)
            lo = mid;
        else
            hi = mid;
    }
    return lo;
}

void lca_table_clear(struct lca_table *t)
{
    free(t->tensor);
    free(t->layer);
    *t = (struct lca_table){0};
}
