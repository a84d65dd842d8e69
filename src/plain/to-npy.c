/* to-npy.c: a series as an array [rows][...]: one to a file, or each to its own in a folder. */
#include <inttypes.h>
#include <stdlib.h>

#include "base/buf.h"
#include "plain/export.h"
#include "plain/npy-out.h"

struct npy {
    bool any;           /* a series is written: the only one, unless there is a folder */
};

static int begin(struct lca_export *x, struct lca_err *err)
{
    x->self = lca_alloc(1, sizeof (struct npy), err);
    return x->self ? 0 : -1;
}

static int open_series(struct lca_export *x, struct lca_series *s, const struct lca_frame *f, struct lca_err *err)
{
    struct npy *self = x->self;
    char *path;
    (void)f;
    if (self->any && !x->o->folder)
        return 0;
    struct lca_npy_out *o = lca_alloc(1, sizeof *o, err);
    if (!o || lca_export_path(x, s->name, &path, err) < 0) {
        free(o);
        return -1;
    }
    int result = lca_npy_out_open(o, path, s->dt, s->shape, s->n_shape, s->agg ? 0 : x->rows, err);
    free(path);
    if (result < 0) {
        free(o);
        return -1;
    }
    s->to = o;
    return self->any = true;
}

static int put(struct lca_export *x, struct lca_series *s, const struct lca_frame *f, const struct lca_slice *slice,
               struct lca_err *err)
{
    uint64_t column, n;
    if (s->agg)
        return lca_npy_out_put(s->to, f->payload, f->nb, err);
    for (unsigned k = 0; k < x->n_columns; k++) {
        const float *v = lca_export_part(x, f, slice, k, &column, &n);
        if (v && lca_npy_out_put(s->to, v, n * sizeof *v, err) < 0)
            return -1;
    }
    return 0;
}

static int end(struct lca_export *x, const char *status, struct lca_err *err)
{
    int result = 0;
    (void)status;
    for (struct lca_series *s = x->series; s; s = s->next) {
        if (s->to && lca_npy_out_close(s->to, result == 0 ? err : NULL) < 0)
            result = -1;
        free(s->to);
    }
    free(x->self);
    return result;
}

const struct lca_format lca_format_npy = {"npy", true, true, begin, open_series, put, end};
