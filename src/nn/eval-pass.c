#include "nn/eval-inside.h"

static int source(const struct lca_eval *e, int k, bool training)
{
    return lca_plan_source(&e->plan, e->net, k, training);
}

static float *at_kind(float *vector, const struct lca_layer *l, enum lca_kind_of kind)
{
    return vector && l->off[kind] != LCA_NO_TENSOR ? vector + l->off[kind] : NULL;
}

/* A slice of a pass: examples first .. first+n-1 of it. */
struct slice {
    const struct lca_eval_pass *pass;
    uint32_t first, n;
};

static float *array(const struct lca_eval *e, const struct lca_plan_array *a, int k, uint32_t first)
{
    if (!a->kept)
        return e->cut + a->at;
    return e->kept + e->n_max * a->at + first * lca_ld(lca_shape_size(e->net->layer[k].g.out));
}

static float *y_of(const struct lca_eval *e, int k, uint32_t first)
{
    return k < 0 ? e->x : array(e, &e->plan.layer[k].y, k, first);
}

/* What layer k works on. */
static struct lca_call call_of(struct lca_eval *e, unsigned k, const struct slice *s)
{
    const struct lca_layer *l = &e->net->layer[k];
    const struct lca_plan_layer *p = &e->plan.layer[k];
    const struct lca_rng *dropout = s->pass->dropout;
    struct lca_call c = {.g = &l->g, .n = s->n, .n_max = e->plan.room[p->stage], .total = s->pass->n,
                         .relu = p->relu, .state = e->state[k], .scratch = e->scratch};
    c.y = array(e, &p->y, (int)k, s->first);
    c.dy = array(e, &p->dy, (int)k, s->first);
    int from = source(e, l->from, dropout);
    if (from < 0 && p->ops->bytes)
        c.rows = &e->rows;
    else
        c.x = y_of(e, from, s->first);
    if (l->g.type == LCA_ADD)
        c.x2 = y_of(e, source(e, l->other, dropout), s->first);
    c.kernel = at_kind(e->theta, l, LCA_KERNEL);
    c.bias = at_kind(e->theta, l, LCA_BIAS);
    c.gamma = at_kind(e->theta, l, LCA_GAMMA);
    c.beta = at_kind(e->theta, l, LCA_BETA);
    c.dkernel = at_kind(e->grad, l, LCA_KERNEL);
    c.dbias = at_kind(e->grad, l, LCA_BIAS);
    c.dgamma = at_kind(e->grad, l, LCA_GAMMA);
    c.dbeta = at_kind(e->grad, l, LCA_BETA);
    if (dropout) {
        c.rng = *dropout;
        c.index = ((uint64_t)k << 36) + (s->pass->first + s->first) * (uint64_t)lca_shape_size(l->g.out);
    }
    return c;
}

/* A step that is no slice's: begin, settle, settle_back, end. */
typedef void (*hook)(struct lca_device *d, const struct lca_call *c);

static void call_whole(struct lca_eval *e, unsigned k, const struct lca_eval_pass *p, hook what)
{
    struct slice none = {.pass = p};
    struct lca_call c = call_of(e, k, &none);
    what(e->device, &c);
}

void lca_eval_begin_layers(struct lca_eval *e)
{
    struct lca_eval_pass none = {0};
    for (unsigned k = 0; k < e->net->n_layer; k++)
        if (e->plan.layer[k].ops && e->plan.layer[k].ops->begin)
            call_whole(e, k, &none, e->plan.layer[k].ops->begin);
}

void lca_eval_end_layers(struct lca_eval *e)
{
    struct lca_eval_pass none = {0};
    for (unsigned k = 0; k < e->net->n_layer; k++)
        if (e->plan.layer[k].ops && e->plan.layer[k].ops->end)
            call_whole(e, k, &none, e->plan.layer[k].ops->end);
}

static void forward_layers(struct lca_eval *e, unsigned stage, const struct slice *s, bool again)
{
    if (e->plan.image[stage])
        e->backend->input(e->device, &e->rows, s->n, e->x);
    for (unsigned k = 0; k < e->net->n_layer; k++) {
        const struct lca_plan_layer *p = &e->plan.layer[k];
        if (source(e, (int)k, s->pass->dropout) != (int)k || (again && !p->again))
            continue;
        struct lca_call c = call_of(e, k, s);
        if (p->stage == stage)
            p->ops->forward(e->device, &c);
        else if (p->ops->observe && p->stage == stage + 1 && !again)
            p->ops->observe(e->device, &c);
    }
}

/* Where the gradient of input i of layer k goes: NULL if nobody wants it. */
static float *flows_to(struct lca_eval *e, int k, int i, const struct slice *s, bool *adds)
{
    const struct lca_layer *l = &e->net->layer[k];
    bool training = s->pass->dropout;
    int from = source(e, i ? l->other : l->from, training);
    if (from < 0 || !e->plan.layer[from].learns)
        return NULL;
    *adds = e->plan.layer[k].adds[training][i];
    return array(e, &e->plan.layer[from].dy, from, s->first);
}

static void backward_layers(struct lca_eval *e, unsigned stage, const struct slice *s)
{
    bool training = s->pass->dropout;
    for (int k = source(e, (int)e->net->n_layer - 1, training); k >= 0; k--) {
        const struct lca_plan_layer *p = &e->plan.layer[k];
        if (source(e, k, training) != k || !p->learns)
            continue;
        bool spreads = p->ops->observe && p->stage == stage + 1;
        if (p->stage != stage && !spreads)
            continue;
        struct lca_call c = call_of(e, (unsigned)k, s);
        if (!p->ops->observe || spreads)
            c.dx = flows_to(e, k, 0, s, &c.dx_adds);
        if (e->net->layer[k].g.type == LCA_ADD)
            c.dx2 = flows_to(e, k, 1, s, &c.dx2_adds);
        if (spreads && c.dx)
            p->ops->spread(e->device, &c);
        else if (!spreads)
            p->ops->backward(e->device, &c);
    }
}

static void run_slice(struct lca_eval *e, unsigned stage, const struct slice *s, bool back)
{
    const struct lca_eval_pass *p = s->pass;
    uint32_t first = p->first + s->first;
    e->rows.index = e->index + first;
    e->rows.label = e->label + first;
    bool last = stage + 1 == e->plan.stages;
    if (!back || last)
        forward_layers(e, stage, s, false);
    if (last) {
        int k = source(e, (int)e->net->n_layer - 1, p->dropout);
        e->backend->loss(e->device, &e->rows, s->n, e->net->classes, p->only, y_of(e, k, s->first), back, e->sum);
    } else if (back) {
        forward_layers(e, stage, s, true);
    }
    if (back)
        backward_layers(e, stage, s);
}

/* One stage over the examples of a pass, in slices of equal size, in whole tiles of four
 * but for the last, and never more than there is room for. */
static void run_stage(struct lca_eval *e, unsigned stage, const struct lca_eval_pass *p, bool back)
{
    uint32_t most = e->plan.room[stage] < e->slice ? e->plan.room[stage] : e->slice;
    uint32_t slices = p->n / most + (p->n % most != 0);
    uint32_t equal = (p->n + slices - 1) / slices, tiles = (equal + 3) / 4 * 4;
    uint32_t size = tiles < most ? tiles : most;
    for (uint32_t a = 0; a < p->n; a += size) {
        struct slice s = {p, a, p->n - a < size ? p->n - a : size};
        run_slice(e, stage, &s, back);
    }
}

static void settle_stage(struct lca_eval *e, unsigned stage, const struct lca_eval_pass *p, bool back)
{
    for (unsigned k = 0; k < e->net->n_layer; k++) {
        const struct lca_plan_layer *l = &e->plan.layer[k];
        if (l->ops && l->ops->observe && l->stage == stage)
            call_whole(e, k, p, back ? l->ops->settle_back : l->ops->settle);
    }
}

void lca_eval_forward(struct lca_eval *e, const struct lca_eval_pass *p)
{
    for (unsigned s = 0; s + 1 < e->plan.stages; s++) {
        run_stage(e, s, p, false);
        settle_stage(e, s + 1, p, false);
    }
}

void lca_eval_back(struct lca_eval *e, const struct lca_eval_pass *p, bool gradient)
{
    unsigned s = e->plan.stages - 1;
    run_stage(e, s, p, gradient);
    while (gradient && s-- > 0) {
        settle_stage(e, s + 1, p, true);
        run_stage(e, s, p, true);
    }
}
