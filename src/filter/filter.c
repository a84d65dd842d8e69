#include "filter/filter.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/finite.h"
#include "base/log.h"
#include "filter/gather.h"
#include "frame/head.h"

struct lca_emit {
    struct lca_out *out;
    bool quiet;             /* in step, for one that --every leaves out */
};

static void drop_labels(struct lca_agg *a)
{
    json_decref(a->keys);
    json_decref(a->more);
    a->keys = a->more = NULL;
}

int lca_emit_agg(struct lca_emit *e, struct lca_agg *a, struct lca_err *err)
{
    struct lca_frame f = LCA_FRAME(agg);
    if (e->quiet && !a->window) {
        drop_labels(a);
        return 0;
    }
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
    drop_labels(a);
    return result;
}

json_t *lca_filter_layer_names(const struct lca_stream *s)
{
    json_t *names = json_array();
    for (unsigned l = 0; l < s->table.n_layer; l++)
        json_array_append_new(names, json_string(s->table.layer[l].name));
    return names;
}

json_t *lca_filter_group_names(const struct lca_stream *s)
{
    json_t *names = lca_filter_layer_names(s);
    json_array_insert_new(names, 0, json_string("all"));
    return names;
}

json_t *lca_filter_loss(const struct lca_frame_lca *f)
{
    json_t *loss = json_object();
    lca_filter_number(loss, "L0", f->L0);
    lca_filter_number(loss, "L1", f->L1);
    lca_filter_number(loss, "res", f->res);
    lca_filter_number(loss, "fo", f->fo);
    return loss;
}

void lca_filter_number(json_t *object, const char *key, double value)
{
    if (isfinite(value))
        json_object_set_new(object, key, json_real(value));
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

struct loop {
    struct lca_filter *filter;
    struct lca_link *link;
    const struct lca_filter_args *args;
    struct lca_frame head;      /* a copy of its own: HEAD must outlive the frames after it */
    struct lca_buf head_bytes;
    struct lca_stream s;
    struct lca_range *range;
    struct lca_steps_wanted wanted;
    unsigned n_all_classes;     /* of HEAD */
    int *class_place;           /* [n_all_classes]: place among the selected, or -1 */
    struct lca_gather gather;
    struct lca_emit emit;
    bool any, selected;         /* a step came; a selected one did */
    uint64_t it;                /* of the selected step under way */
    unsigned came;              /* kinds that it has brought */
};

/* "dense1/kernel[5][11]" */
static void name_parameter(char *text, size_t size, const struct lca_table *t, uint64_t i)
{
    unsigned k = t->n_tensor - 1;
    while (k > 0 && t->tensor[k].off > i)
        k--;
    const struct lca_tensor *x = &t->tensor[k];
    uint64_t at = i - x->off, stride = x->len;
    int n = snprintf(text, size, "%s", x->name);
    for (unsigned d = 0; d < x->n_shape && n > 0 && (size_t)n < size; d++) {
        stride /= x->shape[d];
        n += snprintf(text + n, size - (size_t)n, "[%" PRIu64 "]", at / stride);
        at %= stride;
    }
}

static int check_finite(const struct loop *x, const struct lca_step *step, struct lca_err *err)
{
    for (unsigned r = 0; r < x->s.n_range; r++) {
        const float *v = step->v + x->s.range[r].off;
        uint64_t bad = lca_finite(v, x->s.range[r].len);
        if (bad == x->s.range[r].len)
            continue;
        char parameter[2 * LCA_NAME_MAX];
        name_parameter(parameter, sizeof parameter, &x->s.table, x->s.range[r].off + bad);
        return lca_fail(err, LCA_CORRUPT, "step %" PRIu64 "%s%s: %s of parameter %" PRIu64 ", %s, is %g: the training "
                        "diverged, or whoever wrote the stream is at fault; --steps :%"
                        PRIu64 " takes what comes before",
                        step->it, *step->set ? " of " : "", step->set, lca_kind_name(step->kind),
                        x->s.range[r].off + bad, parameter, (double)v[bad], step->it);
    }
    return 0;
}

/* The step that has ended brought all that the filter needs. */
static int check_kinds(const struct loop *x, struct lca_err *err)
{
    char missing[64] = "", emit[64] = "";
    if (!x->selected || !(x->filter->needs & ~x->came))
        return 0;
    for (int k = 0; k < LCA_KINDS; k++) {
        if (!(x->filter->needs >> k & 1))
            continue;
        const char *name = lca_kind_name((enum lca_kind)k);
        strcat(strcat(emit, *emit ? "," : ""), name);
        if (!(x->came >> k & 1))
            strcat(strcat(missing, *missing ? ", " : ""), name);
    }
    return lca_fail(err, LCA_USAGE, "step %" PRIu64 " has no %s frames: %s needs lca-integrate --emit %s", x->it,
                    missing, x->filter->prog, emit);
}

/* Whose frame it is; off: first parameter of its slice. */
static int describe(const struct loop *x, const struct lca_frame *f, struct lca_step *step, uint64_t *off,
                    struct lca_err *err)
{
    *step = (struct lca_step){.kind = f->kind, .cls = -1, .set = ""};
    switch (f->kind) {
    case LCA_KIND_lca:
        step->it = f->u.lca.it;
        step->set = f->u.lca.set;
        step->cls = (int)f->u.lca.cls;
        step->lca = &f->u.lca;
        *off = f->u.lca.off;
        break;
    case LCA_KIND_move:
        step->it = f->u.move.it;
        *off = f->u.move.off;
        return 0;
    case LCA_KIND_grad:
        step->it = f->u.grad.it;
        step->set = f->u.grad.set;
        step->cls = (int)f->u.grad.cls;
        *off = f->u.grad.off;
        break;
    case LCA_KIND_eff:
        step->it = f->u.eff.it;
        step->set = f->u.eff.set;
        step->cls = (int)f->u.eff.cls;
        *off = f->u.eff.off;
        break;
    default:
        return lca_fail(err, LCA_USAGE, "%s reads an lca stream, and this one has %s frames", x->filter->prog,
                        lca_kind_name(f->kind));
    }
    if (step->cls < -1 || step->cls >= (int)x->n_all_classes)
        return lca_fail(err, LCA_CORRUPT, "seq %" PRIu64 ": class %d of %u", f->seq, step->cls, x->n_all_classes);
    if (step->cls >= 0 && !x->s.head->bycls)
        return lca_fail(err, LCA_CORRUPT, "seq %" PRIu64 ": a frame by class, and HEAD says that there are none",
                        f->seq);
    while (step->s < x->s.n_set && strcmp(x->s.set[step->s].name, step->set) != 0)
        step->s++;
    if (step->s == x->s.n_set)
        return lca_fail(err, LCA_CORRUPT, "seq %" PRIu64 ": the set '%s' is not among HEAD's", f->seq, step->set);
    return 0;
}

static int take(struct loop *x, const struct lca_frame *f, struct lca_err *err)
{
    struct lca_step step;
    uint64_t off = 0;
    if (describe(x, f, &step, &off, err) < 0)
        return -1;
    x->any = true;
    if (step.it < x->wanted.from || step.it >= x->wanted.to)
        return 0;
    if (x->selected && step.it != x->it) {
        if (check_kinds(x, err) < 0)
            return -1;
        x->came = 0;
    }
    x->selected = true;
    x->it = step.it;
    x->came |= 1u << step.kind;
    if (!((x->filter->takes ? x->filter->takes : LCA_TAKES(lca)) >> step.kind & 1))
        return 0;
    if (step.cls >= 0 && (step.cls = x->class_place[step.cls]) < 0)
        return 0;
    struct lca_vector which = {.kind = step.kind, .it = step.it, .cls = step.cls, .set = step.set};
    int whole = lca_gather_add(&x->gather, x->s.P, f, off, &which, &step.v, err);
    if (whole != 1)
        return whole;
    if (!x->filter->any_value && check_finite(x, &step, err) < 0)
        return -1;
    step.shown = step.it % x->wanted.every == 0;
    x->emit.quiet = !step.shown;
    int result = x->filter->step(x->filter->self, &step, &x->emit, err);
    x->emit.quiet = false;
    return result;
}

static int read_sets(struct lca_stream *s, struct lca_err *err)
{
    uint64_t N, chunk;
    size_t k;
    json_t *set;
    json_array_foreach(json_object_get(s->head->data, "sets"), k, set) {
        const char *name = json_string_value(json_object_get(set, "set"));
        if (!name || strlen(name) >= sizeof s->set->name || s->n_set == LCA_SETS)
            return lca_fail(err, LCA_CORRUPT, "HEAD.data.sets: more or others than train, val and test");
        if ((strcmp(name, "train") == 0) != (s->n_set == 0))
            return lca_fail(err, LCA_CORRUPT, "HEAD.data.sets: train must be the first, and once");
        strcpy(s->set[s->n_set].name, name);
        s->set[s->n_set++].N = (double)json_integer_value(json_object_get(set, "N"));
    }
    if (lca_head_set(s->head, "train", &N, &chunk, err) < 0)
        return -1;
    s->N = (double)N;
    return 0;
}

/* From the table that is left: K and the ranges. */
static int find_ranges(struct loop *x, struct lca_err *err)
{
    struct lca_stream *s = &x->s;
    x->range = lca_alloc(s->table.n_layer, sizeof *x->range, err);
    if (!x->range)
        return -1;
    s->range = x->range;
    for (unsigned l = 0; l < s->table.n_layer; l++) {
        const struct lca_group *g = &s->table.layer[l];
        struct lca_range *last = s->n_range ? &x->range[s->n_range - 1] : NULL;
        s->K += g->len;
        if (last && last->off + last->len == g->off)
            last->len += g->len;
        else
            x->range[s->n_range++] = (struct lca_range){g->off, g->len};
    }
    return 0;
}

static int select_from_head(struct loop *x, struct lca_err *err)
{
    struct lca_stream *s = &x->s;
    const struct lca_select_args *a = &x->args->select;
    json_int_t it1 = json_integer_value(s->head->it1);
    if (it1 > 0 && (x->wanted.from >= (uint64_t)it1 || x->wanted.to <= s->it0) && a->steps)
        return lca_fail(err, LCA_USAGE, "--steps %s: the stream has steps %" PRIu64 " to %" PRIu64, a->steps, s->it0,
                        (uint64_t)it1 - 1);
    if (a->classes && !s->head->bycls)
        return lca_fail(err, LCA_USAGE, "--classes: the stream has no frames by class: it needs lca-integrate "
                        "--by-class");
    x->n_all_classes = (unsigned)json_array_size(s->head->classes);
    x->class_place = lca_alloc(x->n_all_classes + 1, sizeof *x->class_place, err);
    if (!x->class_place || lca_select_classes(s->head->classes, a->classes, x->class_place, &s->classes, err) < 0)
        return -1;
    s->n_classes = (unsigned)json_array_size(s->classes);
    return lca_select_layers(&s->table, a->layers, err) < 0 ? -1 : find_ranges(x, err);
}

static int begin(struct loop *x, struct lca_frame *in, struct lca_err *err)
{
    struct lca_filter *filter = x->filter;
    struct lca_stream *s = &x->s;
    if (lca_head_keep(&x->head, &x->head_bytes, in, err) < 0)
        return -1;
    s->frame = &x->head;
    s->head = &x->head.u.head;
    s->P = s->head->P;
    s->it0 = s->head->it0;
    if (s->P == 0 || lca_table_parse(&s->table, s->head->layers, s->P, err) < 0 || read_sets(s, err) < 0 ||
        select_from_head(x, err) < 0 || filter->start(filter->self, s, err) < 0)
        return -1;
    if (!x->emit.out)
        return 0;
    struct lca_frame head = x->head;
    head.inside = NULL;
    head.st = filter->stream;
    head.u.head.first = 0;
    head.u.head.parts = 0;
    head.u.head.nbmax = filter->payload > 1u << 20 ? filter->payload : 1u << 20;
    if (head.u.head.nbmax < head.nb)
        head.u.head.nbmax = head.nb;
    if (!filter->args)
        filter->args = json_object();
    lca_select_note(filter->args, &x->args->select);
    head.u.head.prov = lca_prov_add(s->head->prov, filter->prog, filter->args);
    filter->args = NULL;
    if (!head.u.head.prov)
        return lca_fail(err, LCA_INTERNAL, "out of memory");
    int result = lca_out_head(x->emit.out, &head, err);
    json_decref(head.u.head.prov);
    return result;
}

/* Whoever records may be stopped anywhere, whoever computes ends a step. */
static int check_end(const struct loop *x, struct lca_err *err)
{
    if (x->gather.got > 0)
        return lca_fail(err, LCA_CORRUPT, "the stream ends within a vector of step %" PRIu64, x->gather.it);
    return check_kinds(x, err);
}

static int finish(struct loop *x, const char *status, const char *why, struct lca_err *err)
{
    struct lca_filter *filter = x->filter;
    struct lca_frame eos = LCA_FRAME(eos);
    if (x->any && !x->selected)
        lca_warn("the stream has no step within --steps %s", x->args->select.steps);
    if (filter->end && filter->end(filter->self, &x->emit, err) < 0)
        return -1;
    eos.u.eos.status = status;
    eos.u.eos.why = why;
    eos.u.eos.final = filter->final ? filter->final(filter->self) : NULL;
    int result = x->emit.out ? lca_out_end(x->emit.out, &eos, err) : 0;
    if (result == 0 && eos.u.eos.final)
        result = lca_report(x->link, eos.u.eos.final, err);
    json_decref(eos.u.eos.final);
    return result;
}

static int run(struct loop *x, struct lca_in *in, struct lca_err *err)
{
    struct lca_frame *f;
    int got = lca_in_next(in, &f, err);
    x->filter->stopped = got == 0;
    if (got <= 0)
        return got;         /* 0: told to stop before anything came */
    if (begin(x, f, err) < 0)
        return -1;
    for (;;) {
        got = lca_in_next(in, &f, err);
        if (got < 0)
            return -1;
        if (got == 0) {
            x->filter->stopped = true;
            lca_in_leave(in);
            return finish(x, "interrupted", "told to stop", err);
        }
        if (f->kind == LCA_KIND_eos) {
            if (strcmp(f->u.eos.status, "ok") == 0 && check_end(x, err) < 0)
                return -1;
            int result = finish(x, f->u.eos.status, f->u.eos.why, err);
            lca_in_end(in);
            return result;
        }
        if (take(x, f, err) < 0)
            return -1;
        /* whole steps, so that whoever takes this filter's place begins with one */
        uint64_t parts = x->s.head->parts;
        if (parts == 0 || (f->seq + 1) % parts == 0)
            lca_in_done(in, f->seq + 1);
    }
}

int lca_filter_run(struct lca_filter *filter, const struct lca_filter_args *args, struct lca_err *err)
{
    struct loop x = {.filter = filter, .args = args};
    int result = -1;
    if (lca_select_steps(&x.wanted, &args->select, err) < 0) {
        json_decref(filter->args);
        return -1;
    }
    struct lca_link *link = x.link = lca_link_new(LCA_SIG_FILTER, err);
    struct lca_in *in = link ? lca_in_from_args(link, &args->link, err) : NULL;
    if (in && filter->stream)
        x.emit.out = lca_out_from_args(link, &args->link, err);
    if (in && (!filter->stream || x.emit.out))
        result = run(&x, in, err);
    if (result < 0 && in && err->status == LCA_PIPE)
        lca_in_leave(in);       /* the reader had enough: that is an end in order */
    if (result < 0 && x.emit.out)
        lca_out_abort(x.emit.out, err->text);
    lca_link_free(link);
    lca_frame_clear(&x.head);
    lca_buf_clear(&x.head_bytes);
    lca_table_clear(&x.s.table);
    json_decref(x.s.classes);
    free(x.range);
    free(x.class_place);
    lca_gather_clear(&x.gather);
    json_decref(filter->args);
    return result;
}
