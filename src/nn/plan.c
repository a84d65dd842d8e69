#include "nn/plan.h"

#include <stdlib.h>

#include "base/buf.h"

int lca_plan_source(const struct lca_plan *p, const struct lca_net *net, int from, bool training)
{
    while (from >= 0) {
        enum lca_layer_type type = net->layer[from].g.type;
        if (type != LCA_FLATTEN && !p->layer[from].fused && (type != LCA_DROPOUT || training))
            break;
        from = net->layer[from].from;
    }
    return from;
}

/* Inputs of layer k: one, or the two of an add. */
static int inputs(const struct lca_net *net, unsigned k, int from[2])
{
    from[0] = net->layer[k].from;
    from[1] = net->layer[k].other;
    return net->layer[k].g.type == LCA_ADD ? 2 : 1;
}

static unsigned consumers(const struct lca_net *net, int k)
{
    unsigned n = 0;
    for (unsigned j = 0; j < net->n_layer; j++) {
        int from[2];
        for (int i = inputs(net, j, from); i-- > 0;)
            n += from[i] == k;
    }
    return n;
}

/* The layer whose output is the logits, dropout aside. */
static int loss_layer(const struct lca_net *net)
{
    int k = (int)net->n_layer - 1;
    while (k > 0 && (net->layer[k].g.type == LCA_FLATTEN || net->layer[k].g.type == LCA_DROPOUT))
        k = net->layer[k].from;
    return k;
}

static bool own_array(const struct lca_plan *p, unsigned k)
{
    return p->layer[k].ops && !p->layer[k].fused;
}

/* Finds each layer's operations, and what can be one with the layer before. */
static int find_operations(struct lca_plan *p, const struct lca_net *net,
                           const struct lca_backend *backend, struct lca_err *err)
{
    for (unsigned k = 0; k < net->n_layer; k++) {
        const struct lca_layer *l = &net->layer[k];
        struct lca_plan_layer *me = &p->layer[k];
        if (l->g.type != LCA_FLATTEN && !(me->ops = backend->layer[l->g.type]))
            return lca_fail(err, LCA_USAGE, "layer %s: device %s cannot compute layers of type %s",
                            l->name, backend->name, lca_layer_type_name[l->g.type]);
        me->learns = l->params > 0;
        me->stage = 0;
        int from[2];
        for (int i = inputs(net, k, from); i-- > 0;) {
            if (from[i] < 0)
                continue;
            me->learns |= p->layer[from[i]].learns;
            if (me->stage < p->layer[from[i]].stage)
                me->stage = p->layer[from[i]].stage;
        }
        if (me->ops && me->ops->observe)
            me->stage++;
        if (p->stages <= me->stage)
            p->stages = me->stage + 1;
        /* not where the loss overwrites its output */
        struct lca_plan_layer *before = l->from < 0 ? NULL : &p->layer[l->from];
        if (l->g.type == LCA_RELU && before && (int)k != loss_layer(net) && before->ops &&
            before->ops->fuses_relu && consumers(net, l->from) == 1)
            me->fused = before->relu = true;
    }
    return 0;
}

/* The stage in which layer k gives its input's gradient. */
static unsigned gives_in(const struct lca_plan *p, unsigned k)
{
    return p->layer[k].stage - (p->layer[k].ops->observe != NULL);
}

/* Whether another use of the array that is input i of layer k comes before it on the way
 * back: of a later stage, or later in the same. */
static bool written_before(const struct lca_plan *p, const struct lca_net *net, unsigned k, int i, bool training)
{
    int mine[2], from[2];
    inputs(net, k, mine);
    int array = lca_plan_source(p, net, mine[i], training);
    for (unsigned j = 0; j < net->n_layer; j++) {
        if (lca_plan_source(p, net, (int)j, training) != (int)j)
            continue;
        for (int q = inputs(net, j, from); q-- > 0;) {
            bool before = gives_in(p, j) > gives_in(p, k) ||
                          (gives_in(p, j) == gives_in(p, k) && (j > k || (j == k && q < i)));
            if (before && lca_plan_source(p, net, from[q], training) == array)
                return true;
        }
    }
    return false;
}

static void need(struct lca_plan *p, const struct lca_net *net, int k, unsigned s);

/* Layer k goes forward once more, so its inputs must be there. */
static void again(struct lca_plan *p, const struct lca_net *net, unsigned k)
{
    if (p->layer[k].again)
        return;
    p->layer[k].again = true;
    int from[2];
    for (int i = inputs(net, k, from); i-- > 0;)
        for (int training = 0; training < 2; training++)
            need(p, net, lca_plan_source(p, net, from[i], training), p->layer[k].stage);
}

/* y must be there when stage s goes back. */
static void need(struct lca_plan *p, const struct lca_net *net, int k, unsigned s)
{
    if (k >= 0 && p->layer[k].stage == s && !p->layer[k].y.kept)
        again(p, net, (unsigned)k);
}

/* What is kept, and what is computed again. Dropout acts in training only: what holds
 * with it or without it holds. */
static void decide(struct lca_plan *p, const struct lca_net *net, const struct lca_backend *backend)
{
    for (unsigned k = 0; k < net->n_layer; k++) {
        struct lca_plan_layer *me = &p->layer[k];
        if (!own_array(p, k))
            continue;
        me->y.kept |= (me->ops->heavy || backend->roomy) && me->stage + 1 < p->stages;
        me->dy.kept |= me->ops->observe != NULL;
        me->y.kept |= me->ops->observe && (int)k == loss_layer(net);    /* dy, then */
        int from[2];
        for (int i = inputs(net, k, from); i-- > 0;)
            for (int training = 0; training < 2; training++) {
                int j = lca_plan_source(p, net, from[i], training);
                if (j < 0 || p->layer[j].stage == me->stage)
                    continue;
                p->layer[j].y.kept = true;
                p->layer[j].dy.kept |= !me->ops->observe;   /* else spread gives, a stage lower */
            }
    }
    for (unsigned k = 0; k < net->n_layer; k++) {
        int from[2];
        for (int i = own_array(p, k) ? inputs(net, k, from) : 0; i-- > 0;)
            for (int training = 0; training < 2; training++)
                p->layer[k].adds[training][i] = written_before(p, net, k, i, training);
    }
    for (unsigned k = 0; k < net->n_layer; k++) {
        struct lca_plan_layer *me = &p->layer[k];
        if (!own_array(p, k) || me->stage + 1 == p->stages)
            continue;
        if (me->ops->reads_y || me->relu)
            need(p, net, (int)k, me->stage);
        int from[2];
        for (int i = inputs(net, k, from); me->ops->reads_x && i-- > 0;)
            for (int training = 0; training < 2; training++)
                need(p, net, lca_plan_source(p, net, from[i], training), me->stage);
        if (net->layer[k].g.type == LCA_DROPOUT)
            again(p, net, k);       /* what it drew is known of the last slice alone */
    }
}

/* Where the loss writes its gradient over y. */
static bool logits(const struct lca_net *net, unsigned k)
{
    return (int)k == loss_layer(net) || k + 1 == net->n_layer;
}

/* Slices: by what a stage's layers have per example, kept or not. */
static void cut(struct lca_plan *p, const struct lca_net *net, const struct lca_backend *backend,
                uint32_t n_max)
{
    for (unsigned s = 0; s < p->stages; s++) {
        size_t floats = 0, parameters = 0, pixels = lca_shape_size(net->input), at = 0;
        bool bytes = false;
        for (unsigned k = 0; k < net->n_layer; k++) {
            if (!own_array(p, k) || p->layer[k].stage != s)
                continue;
            floats += 2 * lca_ld(lca_shape_size(net->layer[k].g.out));
            parameters += net->layer[k].params;
            int from[2];
            for (int i = inputs(net, k, from); i-- > 0;) {
                if (lca_plan_source(p, net, from[i], false) >= 0)
                    continue;
                bytes |= p->layer[k].ops->bytes;
                p->image[s] |= !p->layer[k].ops->bytes;
            }
        }
        size_t per_example = (floats + p->image[s] * lca_ld(pixels)) * sizeof(float) + bytes * pixels;
        uint32_t n = backend->slice ? backend->slice(per_example, parameters * sizeof(float)) : n_max;
        p->room[s] = n < n_max ? n : n_max;
        for (unsigned k = 0; k < net->n_layer; k++) {
            struct lca_plan_layer *me = &p->layer[k];
            if (!own_array(p, k) || me->stage != s)
                continue;
            size_t size = p->room[s] * lca_ld(lca_shape_size(net->layer[k].g.out));
            if (!me->y.kept) {
                me->y.at = at;
                at += size;
            }
            if (logits(net, k)) {
                me->dy.at = me->y.at;
            } else if (!me->dy.kept) {
                me->dy.at = at;
                at += size;
            }
        }
        if (p->slice < at)
            p->slice = at;
    }
}

/* Kept arrays in one block: largest first, each at the lowest place where nothing lies
 * that lives at the same time. Time: stages forward, then back. */
struct life {
    struct lca_plan_array *array;
    size_t size;
    unsigned from, to;
};

static int by_size(const void *a, const void *b)
{
    const struct life *x = a, *y = b;
    if (x->size != y->size)
        return x->size > y->size ? -1 : 1;
    return x->from != y->from ? (x->from < y->from ? -1 : 1) : x->to < y->to ? -1 : x->to > y->to;
}

static void place(struct lca_plan *p, struct life *life, size_t n)
{
    qsort(life, n, sizeof *life, by_size);
    for (size_t k = 0; k < n; k++) {
        size_t at = 0;
        for (size_t j = 0; j < k; j++) {
            const struct life *l = &life[j];
            if (l->from <= life[k].to && life[k].from <= l->to && l->array->at < at + life[k].size &&
                at < l->array->at + l->size) {
                at = l->array->at + l->size;
                j = (size_t)-1;         /* again from the first */
            }
        }
        life[k].array->at = at;
        if (p->kept < at + life[k].size)
            p->kept = at + life[k].size;
    }
}

/* Outputs live to the end of the pass, since a pass back by class follows another. */
static int arrange(struct lca_plan *p, const struct lca_net *net, struct lca_err *err)
{
    struct life *life = lca_alloc(2 * net->n_layer, sizeof *life, err);
    if (!life)
        return -1;
    size_t n = 0;
    unsigned last = 2 * (p->stages - 1);
    for (unsigned k = 0; k < net->n_layer; k++) {
        struct lca_plan_layer *me = &p->layer[k];
        size_t size = lca_ld(lca_shape_size(net->layer[k].g.out));
        if (!own_array(p, k))
            continue;
        if (me->y.kept)
            life[n++] = (struct life){&me->y, size, me->stage, last};
        if (!me->dy.kept || logits(net, k))
            continue;
        unsigned top = me->stage;       /* the stage that writes it first */
        for (unsigned j = 0; j < net->n_layer; j++) {
            int from[2];
            for (int i = own_array(p, j) ? inputs(net, j, from) : 0; i-- > 0;)
                for (int training = 0; training < 2; training++)
                    if (lca_plan_source(p, net, from[i], training) == (int)k && top < p->layer[j].stage)
                        top = p->layer[j].stage;
        }
        /* a layer with statistics hands on in the stage before its own */
        life[n++] = (struct life){&me->dy, size, last - top, last - me->stage + (me->ops->observe != NULL)};
    }
    place(p, life, n);
    free(life);
    for (unsigned k = 0; k < net->n_layer; k++)
        if (logits(net, k))
            p->layer[k].dy = p->layer[k].y;
    return 0;
}

int lca_plan_init(struct lca_plan *p, const struct lca_net *net, const struct lca_backend *backend,
                  uint32_t n_max, struct lca_err *err)
{
    *p = (struct lca_plan){.stages = 1};
    p->layer = lca_alloc(net->n_layer, sizeof *p->layer, err);
    if (!p->layer || find_operations(p, net, backend, err) < 0)
        goto fail;
    p->room = lca_alloc(p->stages, sizeof *p->room, err);
    p->image = lca_alloc(p->stages, sizeof *p->image, err);
    if (!p->room || !p->image)
        goto fail;
    decide(p, net, backend);
    cut(p, net, backend, n_max);
    if (arrange(p, net, err) < 0)
        goto fail;
    return 0;
fail:
    lca_plan_clear(p);
    return -1;
}

void lca_plan_clear(struct lca_plan *p)
{
    free(p->layer);
    free(p->room);
    free(p->image);
    *p = (struct lca_plan){0};
}
