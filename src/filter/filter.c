#include "filter/filter.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "frame/head.h"

struct lca_emit {
    struct lca_out *out;
};

int lca_emit_agg(struct lca_emit *e, struct lca_agg *a, struct lca_err *err)
{
    struct lca_frame f = LCA_FRAME(agg);
    f.u.agg = (struct lca_frame_agg){.it = a->it, .kind = a->kind, .set = a->set, .unit = a->unit,
                                     .keys = a->keys, .more = a->more, .dims = json_array()};
    uint64_t n = 1;
    f.n_sh = a->n_dims;
    for (unsigned k = 0; k < a->n_dims; k++) {
        json_array_append_new(f.u.agg.dims, json_string(a->dims[k]));
        f.sh[k] = a->shape[k];
        n *= a->shape[k];
    }
    if (a->n_dims == 1)
        lca_frame_payload(&f, a->dt, n, a->data);
    snprintf(f.dt, sizeof f.dt, "%s", a->dt);
    f.payload = a->data;
    int result = lca_out_put(e->out, &f, err);
    json_decref(f.u.agg.dims);
    json_decref(a->keys);
    json_decref(a->more);
    a->keys = a->more = NULL;
    return result;
}

json_t *lca_filter_layer_names(const struct lca_stream *s)
{
    json_t *names = json_array();
    for (unsigned l = 0; l < s->table.n_layer; l++)
        json_array_append_new(names, json_string(s->table.layer[l].name));
    return names;
}

json_t *lca_filter_tensor_names(const struct lca_stream *s)
{
    json_t *names = json_array();
    for (unsigned k = 0; k < s->table.n_tensor; k++)
        json_array_append_new(names, json_string(s->table.tensor[k].name));
    return names;
}

json_t *lca_filter_class_names(const struct lca_stream *s)
{
    json_t *names = json_array();
    size_t c;
    json_t *class;
    json_array_foreach(s->classes, c, class)
        json_array_append(names, json_object_get(class, "name"));
    return names;
}

/* the loop */

struct gather {
    float *v;               /* [P] */
    uint64_t got;
    enum lca_kind kind;     /* of the vector under way: a slice of another does not follow */
    uint64_t it;
    int cls;
    char set[8];
};

/* Adds a slice. 1: the vector is whole at step->v; 0: more to come. A whole vector in
 * one slice is used where it lies. */
static int gather(struct gather *g, uint64_t P, const struct lca_frame *f, uint64_t off, struct lca_step *step,
                  struct lca_err *err)
{
    uint64_t n = lca_frame_count(f);
    bool same = g->got == 0 || (g->kind == step->kind && g->it == step->it && g->cls == step->cls &&
                                strncmp(g->set, step->set, sizeof g->set - 1) == 0);
    if (!same || off != g->got || n > P - off)
        return lca_fail(err, LCA_CORRUPT, "seq %" PRIu64 ": the slice at %" PRIu64 " of %" PRIu64 " does not follow "
                        "the one before", f->seq, off, n);
    if (n == P) {
        step->v = f->payload;
        return 1;
    }
    g->kind = step->kind;
    g->it = step->it;
    g->cls = step->cls;
    snprintf(g->set, sizeof g->set, "%s", step->set);
    if (!g->v && !(g->v = lca_alloc(P, sizeof *g->v, err)))
        return -1;
    memcpy(g->v + off, f->payload, n * sizeof *g->v);
    g->got += n;
    if (g->got < P)
        return 0;
    g->got = 0;
    step->v = g->v;
    return 1;
}

static int take(struct lca_filter *filter, struct lca_stream *s, struct gather *g, const struct lca_frame *f,
                struct lca_emit *e, struct lca_err *err)
{
    struct lca_step step = {.kind = f->kind, .cls = -1, .set = ""};
    uint64_t off;
    switch (f->kind) {
    case LCA_KIND_lca:
        step.it = f->u.lca.it;
        step.set = f->u.lca.set;
        step.cls = (int)f->u.lca.cls;
        step.lca = &f->u.lca;
        off = f->u.lca.off;
        break;
    case LCA_KIND_move:
        step.it = f->u.move.it;
        off = f->u.move.off;
        break;
    case LCA_KIND_grad:
        step.it = f->u.grad.it;
        step.set = f->u.grad.set;
        step.cls = (int)f->u.grad.cls;
        off = f->u.grad.off;
        break;
    case LCA_KIND_eff:
        step.it = f->u.eff.it;
        step.set = f->u.eff.set;
        step.cls = (int)f->u.eff.cls;
        off = f->u.eff.off;
        break;
    default:
        return lca_fail(err, LCA_USAGE, "%s reads an lca stream, and this one has %s frames", filter->prog,
                        lca_kind_name(f->kind));
    }
    if (step.cls < -1 || step.cls >= (int)s->n_classes)
        return lca_fail(err, LCA_CORRUPT, "seq %" PRIu64 ": class %d of %u", f->seq, step.cls, s->n_classes);
    int whole = gather(g, s->P, f, off, &step, err);
    return whole == 1 ? filter->step(filter->self, &step, e, err) : whole;
}

static int begin(struct lca_filter *filter, struct lca_stream *s, const struct lca_frame *in, struct lca_out *out,
                 struct lca_err *err)
{
    uint64_t chunk, N = 0;
    s->head = &in->u.head;
    s->P = s->head->P;
    s->it0 = s->head->it0;
    s->classes = s->head->classes;
    s->n_classes = (unsigned)json_array_size(s->classes);
    if (s->P == 0 || lca_table_parse(&s->table, s->head->layers, s->P, err) < 0 ||
        lca_head_set(s->head, "train", &N, &chunk, err) < 0)
        return -1;
    s->N = (double)N;
    if (filter->start(filter->self, s, err) < 0)
        return -1;
    if (!out)
        return 0;
    struct lca_frame head = *in;
    head.inside = NULL;
    head.st = filter->stream;
    head.u.head.first = 0;
    head.u.head.parts = 0;
    head.u.head.nbmax = filter->payload ? filter->payload : 1u << 20;
    if (head.u.head.nbmax < head.nb)
        head.u.head.nbmax = head.nb;
    head.u.head.prov = lca_prov_add(s->head->prov, filter->prog, filter->args);
    filter->args = NULL;
    if (!head.u.head.prov)
        return lca_fail(err, LCA_INTERNAL, "out of memory");
    int result = lca_out_head(out, &head, err);
    json_decref(head.u.head.prov);
    return result;
}

static int finish(struct lca_filter *filter, struct lca_emit *e, const char *status, const char *why,
                  struct lca_err *err)
{
    struct lca_frame eos = LCA_FRAME(eos);
    if (filter->end && filter->end(filter->self, e, err) < 0)
        return -1;
    eos.u.eos.status = status;
    eos.u.eos.why = why;
    eos.u.eos.final = filter->final ? filter->final(filter->self) : NULL;
    int result = e->out ? lca_out_end(e->out, &eos, err) : 0;
    if (result == 0 && eos.u.eos.final)
        result = lca_report(eos.u.eos.final, err);
    json_decref(eos.u.eos.final);
    return result;
}

int lca_filter_run(struct lca_filter *filter, const struct lca_link_args *args, struct lca_err *err)
{
    struct lca_stream s = {0};
    struct gather g = {0};
    struct lca_frame first = {0}, *f;
    struct lca_buf bytes = {0};
    int result = -1;
    struct lca_link *link = lca_link_new(LCA_SIG_FILTER, err);
    struct lca_in *in = link ? lca_in_from_args(link, args, err) : NULL;
    struct lca_emit e = {in && filter->stream ? lca_out_from_args(link, args, err) : NULL};
    if (!in || (filter->stream && !e.out))
        goto out;
    int got = lca_in_next(in, &f, err);
    if (got <= 0) {
        result = got;       /* told to stop before anything came */
        goto out;
    }
    /* HEAD must outlive the frames after it: keep a copy of its own */
    if (lca_frame_encode(f, &bytes, err) < 0 || lca_frame_decode(&first, bytes.data, bytes.len, err) < 0)
        goto out;
    bytes.len = 0;
    if (lca_buf_append(&bytes, f->payload, f->nb, err) < 0 || lca_frame_attach(&first, bytes.data, bytes.len, err) < 0 ||
        begin(filter, &s, &first, e.out, err) < 0)
        goto out;
    for (;;) {
        got = lca_in_next(in, &f, err);
        if (got < 0)
            break;
        if (got == 0) {
            lca_in_leave(in);
            result = finish(filter, &e, "interrupted", "told to stop", err);
            break;
        }
        if (f->kind == LCA_KIND_eos) {
            /* whoever records may be stopped anywhere, whoever computes ends a vector */
            if (g.got > 0 && strcmp(f->u.eos.status, "ok") == 0) {
                lca_fail(err, LCA_CORRUPT, "the stream ends within a vector of step %" PRIu64, g.it);
                break;
            }
            result = finish(filter, &e, f->u.eos.status, f->u.eos.why, err);
            lca_in_end(in);
            break;
        }
        if (take(filter, &s, &g, f, &e, err) < 0)
            break;
        lca_in_done(in, f->seq + 1);
    }
out:
    if (result < 0 && in && err->status == LCA_PIPE)
        lca_in_leave(in);       /* the reader had enough: that is an end in order */
    if (result < 0 && e.out)
        lca_out_abort(e.out, err ? err->text : "failed");
    lca_link_free(link);
    lca_frame_clear(&first);
    lca_buf_clear(&bytes);
    lca_table_clear(&s.table);
    free(g.v);
    json_decref(filter->args);
    return result;
}
