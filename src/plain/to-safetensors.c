/* to-safetensors.c: the vector of one step as named tensors; or of each step, a file each. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/digest.h"
#include "base/tool.h"
#include "plain/export.h"
#include "plain/safetensors.h"

struct tensors {
    struct lca_net net;
    struct lca_laid *laid, **chosen;    /* of all tensors; of the selected, [n] */
    struct lca_stored *stored;          /* [n] */
    unsigned n;
    float *v, *tensor;                  /* [K] under way; a tensor in its own order */
    float *last;                        /* [K]: of the last whole step, where that is wanted */
    uint64_t last_it;
    bool has_last, written;
    const struct lca_series *series;    /* the one that is written; NULL: none yet */
};

/* The selected tensors, as they are called and laid out in the file. */
static int choose(struct lca_export *x, struct tensors *t, struct lca_err *err)
{
    uint64_t longest = 0;
    t->n = x->table.n_tensor;
    t->laid = lca_layout_tensors(&t->net, x->o->layout, err);
    t->chosen = lca_alloc(t->n + 1, sizeof *t->chosen, err);
    t->stored = lca_alloc(t->n + 1, sizeof *t->stored, err);
    if (!t->laid || !t->chosen || !t->stored)
        return -1;
    for (unsigned k = 0, at = 0; k < t->n; k++) {
        while (at < t->net.table.n_tensor && t->net.table.tensor[at].off != x->table.tensor[k].off)
            at++;
        if (at == t->net.table.n_tensor || t->laid[at].len != x->table.tensor[k].len)
            return lca_fail(err, LCA_CORRUPT, "HEAD: its layers are not those of the network that it describes");
        struct lca_laid *l = t->chosen[k] = &t->laid[at];
        struct lca_stored *s = &t->stored[k];
        *s = (struct lca_stored){.name = l->name, .n_shape = l->n_shape, .count = l->len};
        memcpy(s->shape, l->shape, sizeof l->shape);
        longest = l->len > longest ? l->len : longest;
    }
    t->v = lca_alloc(x->K, sizeof *t->v, err);
    t->tensor = lca_alloc(longest, sizeof *t->tensor, err);
    t->last = x->o->folder || x->o->at >= 0 ? NULL : lca_alloc(x->K, sizeof *t->last, err);
    return t->v && t->tensor && (t->last || x->o->folder || x->o->at >= 0) ? 0 : -1;
}

static int begin(struct lca_export *x, struct lca_err *err)
{
    struct tensors *t = x->self = lca_alloc(1, sizeof *t, err);
    if (!t || lca_net_parse(&t->net, x->head->payload, x->head->nb, err) < 0)
        return -1;
    return choose(x, t, err);
}

static int open_series(struct lca_export *x, struct lca_series *s, const struct lca_frame *f, struct lca_err *err)
{
    struct tensors *t = x->self;
    (void)f;
    if (s->agg)
        return lca_fail(err, LCA_USAGE, "safetensors are for vectors of parameters: take csv, jsonl, npy or hdf5 for "
                        "what aggregators say");
    if (t->series)
        return 0;
    t->series = s;
    return 1;
}

static json_t *metadata(const struct lca_export *x, const struct tensors *t, uint64_t it)
{
    char step[24], run[2 * LCA_RUN_LEN + 1];
    snprintf(step, sizeof step, "%" PRIu64, it);
    lca_hex(x->head->run, LCA_RUN_LEN, run);
    json_t *m = json_pack("{s:s, s:s, s:s, s:s}", "model", x->head->u.head.model, "run", run, "series", t->series->name,
                          "step", step);
    if (x->o->layout == LCA_LAYOUT_TORCH)
        json_object_set_new(m, "format", json_string("pt"));
    return m;
}

/* 0; -1; 1: it cannot be written, with errno. */
static int write_tensors(const struct lca_export *x, struct tensors *t, FILE *file, const float *v, uint64_t it,
                         struct lca_err *err)
{
    struct lca_buf header = {0};
    json_t *m = metadata(x, t, it);
    int result = m ? lca_safetensors_header(&header, t->stored, t->n, m, err)
                   : lca_fail(err, LCA_INTERNAL, "out of memory");
    json_decref(m);
    if (result == 0 && fwrite(header.data, 1, header.len, file) != header.len)
        result = 1;
    lca_buf_clear(&header);
    for (unsigned k = 0; k < t->n && result == 0; k++) {
        lca_layout_out(t->chosen[k], t->tensor, v);
        v += t->chosen[k]->len;
        result = fwrite(t->tensor, sizeof *t->tensor, t->chosen[k]->len, file) != t->chosen[k]->len;
    }
    return result;
}

static int write_file(struct lca_export *x, const float *v, uint64_t it, struct lca_err *err)
{
    struct tensors *t = x->self;
    char name[40], *path;
    snprintf(name, sizeof name, "step-%08" PRIu64, it);
    if (lca_export_path(x, name, &path, err) < 0)
        return -1;
    FILE *file = path ? fopen(path, "wb") : stdout;
    int result = file ? write_tensors(x, t, file, v, it, err)
                      : lca_fail_errno(err, LCA_USAGE, "%s: cannot write", path);
    if (path && file && fclose(file) != 0 && result == 0)
        result = 1;
    if (result == 1)
        result = path ? lca_fail_errno(err, LCA_INTERNAL, "%s: cannot write", path) : lca_tool_stdout_failed(err);
    free(path);
    t->written |= result == 0;
    return result;
}

static int put(struct lca_export *x, struct lca_series *s, const struct lca_frame *f, const struct lca_slice *slice,
               struct lca_err *err)
{
    struct tensors *t = x->self;
    uint64_t column, n;
    (void)s;
    if (x->o->at >= 0 && slice->it != (uint64_t)x->o->at) {
        t->last_it = slice->it;
        return 0;
    }
    for (unsigned k = 0; k < x->n_columns; k++) {
        const float *v = lca_export_part(x, f, slice, k, &column, &n);
        if (v)
            memcpy(t->v + column, v, n * sizeof *v);
    }
    if (!slice->last)
        return 0;
    if (x->o->folder || x->o->at >= 0)
        return write_file(x, t->v, slice->it, err);
    float *whole = t->v;
    t->v = t->last;
    t->last = whole;
    t->last_it = slice->it;
    t->has_last = true;
    return 0;
}

static int end(struct lca_export *x, const char *status, struct lca_err *err)
{
    struct tensors *t = x->self;
    int result = 0;
    if (t->has_last)
        result = write_file(x, t->last, t->last_it, err);
    else if (!t->written && x->o->at >= 0 && strcmp(status, "cut") != 0)
        result = lca_fail(err, LCA_USAGE, "--at %" PRId64 ": the stream has no such step%s", x->o->at,
                          t->series ? "" : ", nor any other");
    lca_net_clear(&t->net);
    free(t->laid);
    free(t->chosen);
    free(t->stored);
    free(t->v);
    free(t->tensor);
    free(t->last);
    free(t);
    return result;
}

const struct lca_format lca_format_safetensors = {"safetensors", true, true, begin, open_series, put, end};
