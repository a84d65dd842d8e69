#include "nn/eval.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "nn/plan.h"

enum { CLASSES_MAX = 256, RECORDED_MAX = 8 };

/* A unit's work as a device plays it back: all but its data. */
struct recorded {
    uint32_t n, slice;
    bool gradient, done;    /* done: once, so that all is made that it needs */
    void *work;
};

struct lca_eval {
    const struct lca_net *net;
    const struct lca_backend *backend;
    struct lca_device *device;
    struct lca_images images;
    struct lca_plan plan;
    uint32_t n_max;         /* examples in a unit */
    uint32_t slice;         /* at most in a slice */
    float *kept, *cut;      /* device: the plan's arrays for all examples, and for a slice */
    void **state;           /* [n_layer], device */
    void *scratch;          /* device */
    struct lca_rows rows;   /* device */
    float *x;               /* device, [largest room], the input as floats; NULL if none reads it */
    uint32_t *index;        /* [n_max] */
    uint8_t *label;         /* [n_max] */
    void *d_index, *d_label, *d_images;
    float *theta, *grad;    /* device; the caller's on a host device */
    float *own_theta, *own_grad;
    uint64_t theta_id, has_theta;       /* of the calls now; of what own_theta holds, 0: unknown */
    struct lca_loss *sum;   /* device, [classes] */
    struct recorded recorded[RECORDED_MAX];
    unsigned next;          /* the one to be replaced */
};

/* One pass over examples first .. first+n-1 of index and label, for batch norm together. */
struct pass {
    uint32_t first, n;
    const struct lca_rng *dropout;      /* NULL: off */
    int only;                           /* the class whose losses count; -1: all */
};

static void *on_device(struct lca_eval *e, size_t n, size_t size, struct lca_err *err)
{
    size_t bytes;
    if (__builtin_mul_overflow(n, size, &bytes)) {
        lca_fail(err, LCA_INTERNAL, "%zu elements of %zu bytes do not fit in memory", n, size);
        return NULL;
    }
    return e->backend->alloc(e->device, bytes + 64, err);   /* vectors may be read past the end */
}

static int source(const struct lca_eval *e, int k, bool training)
{
    return lca_plan_source(&e->plan, e->net, k, training);
}

/* Examples that the input as floats has room for. */
static uint32_t image_room(const struct lca_plan *p)
{
    uint32_t room = 0;
    for (unsigned s = 0; s < p->stages; s++)
        if (p->image[s] && room < p->room[s])
            room = p->room[s];
    return room;
}

static int allocate(struct lca_eval *e, struct lca_err *err)
{
    const struct lca_net *net = e->net;
    bool host = e->backend->host_memory;
    e->index = lca_alloc(e->n_max, sizeof *e->index, err);
    e->label = lca_alloc(e->n_max, sizeof *e->label, err);
    e->state = lca_alloc(net->n_layer, sizeof *e->state, err);
    if (!e->index || !e->label || !e->state)
        return -1;
    if (host) {
        e->rows.images = e->images.image;
        e->d_index = e->index;
        e->d_label = e->label;
    } else {
        e->d_images = on_device(e, e->images.n, e->images.pixels, err);
        e->d_index = on_device(e, e->n_max, sizeof *e->index, err);
        e->d_label = on_device(e, e->n_max, sizeof *e->label, err);
        e->own_theta = on_device(e, net->P, sizeof(float), err);
        e->own_grad = on_device(e, net->P, sizeof(float), err);
        if (!e->d_images || !e->d_index || !e->d_label || !e->own_theta || !e->own_grad ||
            e->backend->put(e->device, e->d_images, e->images.image,
                            e->images.n * e->images.pixels, err) < 0)
            return -1;
        e->rows.images = e->d_images;
    }
    e->rows.pixels = e->images.pixels;
    e->sum = on_device(e, net->classes, sizeof *e->sum, err);
    e->kept = on_device(e, e->n_max * e->plan.kept, sizeof(float), err);
    e->cut = on_device(e, e->plan.slice, sizeof(float), err);
    if (!e->sum || !e->kept || !e->cut)
        return -1;
    size_t room = image_room(&e->plan), scratch = 0;
    if (room && !(e->x = on_device(e, room * lca_ld(e->images.pixels), sizeof(float), err)))
        return -1;
    for (unsigned k = 0; k < net->n_layer; k++) {
        const struct lca_layer_ops *ops = e->plan.layer[k].ops;
        const struct lca_geometry *g = &net->layer[k].g;
        uint32_t n = e->plan.room[e->plan.layer[k].stage];
        if (ops && ops->state && !(e->state[k] = on_device(e, ops->state(e->device, g, n), 1, err)))
            return -1;
        size_t bytes = ops && ops->scratch ? ops->scratch(e->device, g, n) : 0;
        scratch = bytes > scratch ? bytes : scratch;
    }
    e->scratch = on_device(e, scratch, 1, err);
    return e->scratch ? 0 : -1;
}

/* Bytes of device memory that units of n examples take. */
static int wanted(const struct lca_eval *e, uint32_t n, size_t *bytes, struct lca_err *err)
{
    struct lca_plan p;
    const struct lca_net *net = e->net;
    if (lca_plan_init(&p, net, e->backend, n, err) < 0)
        return -1;
    size_t scratch = 0, floats = n * p.kept + p.slice + image_room(&p) * lca_ld(e->images.pixels) + 2 * net->P;
    *bytes = e->images.n * e->images.pixels + n * (sizeof *e->index + sizeof *e->label) + floats * sizeof(float);
    for (unsigned k = 0; k < net->n_layer; k++) {
        const struct lca_layer_ops *ops = p.layer[k].ops;
        const uint32_t room = p.room[p.layer[k].stage];
        *bytes += ops && ops->state ? ops->state(e->device, &net->layer[k].g, room) : 0;
        size_t some = ops && ops->scratch ? ops->scratch(e->device, &net->layer[k].g, room) : 0;
        scratch = some > scratch ? some : scratch;
    }
    *bytes += scratch;
    lca_plan_clear(&p);
    return 0;
}

/* Whether units of n_max examples fit what memory the device has left, and if not, which do. */
static int fits(const struct lca_eval *e, struct lca_err *err)
{
    size_t room = e->backend->room(e->device), need, some = 0;
    if (wanted(e, e->n_max, &need, err) < 0)
        return -1;
    if (need <= room)
        return 0;
    uint32_t good = 0, bad = e->n_max;
    while (bad - good > 1) {
        uint32_t n = good + (bad - good) / 2;
        if (wanted(e, n, &some, err) < 0)
            return -1;
        *(some <= room ? &good : &bad) = n;
    }
    const char *name = e->net->name;
    if (good == 0)
        return lca_fail(err, LCA_USAGE,
                        "network %s needs %zu MiB on the device with one example, and it has %zu MiB: use "
                        "another device",
                        name, (some >> 20) + 1, room >> 20);
    return lca_fail(err, LCA_USAGE,
                    "network %s in chunks of %u examples needs %zu MiB on the device, which has %zu MiB: "
                    "the largest chunk that fits has %u",
                    name, e->n_max, (need >> 20) + 1, room >> 20, good);
}

static int check(const struct lca_net *net, const struct lca_images *images, uint32_t n_max,
                 struct lca_err *err)
{
    if (images->pixels != lca_shape_size(net->input))
        return lca_fail(err, LCA_USAGE,
                        "network %s takes %zu values per example, the data have %zu",
                        net->name, lca_shape_size(net->input), images->pixels);
    if (n_max < 1)
        return lca_fail(err, LCA_USAGE, "a unit needs at least one example");
    for (uint32_t i = 0; i < images->n; i++)
        if (images->label[i] >= net->classes)
            return lca_fail(err, LCA_USAGE, "label %u of example %u, network %s has %u classes",
                            images->label[i], i, net->name, net->classes);
    return 0;
}

struct lca_eval *lca_eval_new(const struct lca_net *net, const char *device,
                              const struct lca_images *images, uint32_t n_max, struct lca_err *err)
{
    if (check(net, images, n_max, err) < 0)
        return NULL;
    const struct lca_backend *backend = lca_backend_find(device, err);
    if (!backend)
        return NULL;
    struct lca_eval *e = lca_alloc(1, sizeof *e, err);
    if (!e)
        return NULL;
    e->net = net;
    e->backend = backend;
    e->images = *images;
    e->n_max = n_max;
    e->slice = n_max;
    e->device = backend->open(device, err);
    if (!e->device || (backend->room && fits(e, err) < 0) || lca_plan_init(&e->plan, net, backend, n_max, err) < 0 ||
        allocate(e, err) < 0) {
        lca_eval_free(e);
        return NULL;
    }
    return e;
}

const char *lca_eval_num(const struct lca_eval *e)
{
    return e->backend->num(e->device);
}

void lca_eval_slice(struct lca_eval *e, uint32_t n)
{
    e->slice = n ? n : e->n_max;
}

static float *at_kind(float *vector, const struct lca_layer *l, enum lca_kind_of kind)
{
    return vector && l->off[kind] != LCA_NO_TENSOR ? vector + l->off[kind] : NULL;
}

/* A slice of a pass: examples first .. first+n-1 of it. */
struct slice {
    const struct pass *pass;
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

static void call_whole(struct lca_eval *e, unsigned k, const struct pass *p, hook what)
{
    struct slice none = {.pass = p};
    struct lca_call c = call_of(e, k, &none);
    what(e->device, &c);
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
    const struct pass *p = s->pass;
    uint32_t first = p->first + s->first;
    e->rows.index = (const uint32_t *)e->d_index + first;
    e->rows.label = (const uint8_t *)e->d_label + first;
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
static void run_stage(struct lca_eval *e, unsigned stage, const struct pass *p, bool back)
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

static void settle_stage(struct lca_eval *e, unsigned stage, const struct pass *p, bool back)
{
    for (unsigned k = 0; k < e->net->n_layer; k++) {
        const struct lca_plan_layer *l = &e->plan.layer[k];
        if (l->ops && l->ops->observe && l->stage == stage)
            call_whole(e, k, p, back ? l->ops->settle_back : l->ops->settle);
    }
}

/* All stages before the last, forward. */
static void run_forward(struct lca_eval *e, const struct pass *p)
{
    for (unsigned s = 0; s + 1 < e->plan.stages; s++) {
        run_stage(e, s, p, false);
        settle_stage(e, s + 1, p, false);
    }
}

/* The last stage with the loss and, if a gradient is wanted, all stages back. */
static void run_back(struct lca_eval *e, const struct pass *p, bool gradient)
{
    unsigned s = e->plan.stages - 1;
    run_stage(e, s, p, gradient);
    while (gradient && s-- > 0) {
        settle_stage(e, s + 1, p, true);
        run_stage(e, s, p, true);
    }
}

static void run(struct lca_eval *e, const struct pass *p, bool gradient)
{
    run_forward(e, p);
    run_back(e, p, gradient);
}

void lca_eval_theta(struct lca_eval *e, uint64_t id)
{
    e->theta_id = id;
}

static int send_theta(struct lca_eval *e, const float *theta, struct lca_err *err)
{
    if (e->theta_id && e->theta_id == e->has_theta)
        return 0;
    e->has_theta = 0;
    if (e->backend->put(e->device, e->own_theta, theta, e->net->P * sizeof *theta, err) < 0)
        return -1;
    e->has_theta = e->theta_id;
    return 0;
}

/* theta and the examples' places go to the device. */
static int send(struct lca_eval *e, const float *theta, uint32_t n, struct lca_err *err)
{
    if (e->backend->host_memory) {
        e->theta = (float *)theta;      /* only ever read, as lca_call says */
        return 0;
    }
    e->theta = e->own_theta;
    if (send_theta(e, theta, err) < 0 ||
        e->backend->put(e->device, e->d_index, e->index, n * sizeof *e->index, err) < 0)
        return -1;
    return e->backend->put(e->device, e->d_label, e->label, n, err);
}

static void begin(struct lca_eval *e)
{
    struct pass none = {0};
    e->backend->clear(e->device, e->sum, e->net->classes * sizeof *e->sum);
    for (unsigned k = 0; k < e->net->n_layer; k++)
        if (e->plan.layer[k].ops && e->plan.layer[k].ops->begin)
            call_whole(e, k, &none, e->plan.layer[k].ops->begin);
}

/* The gradient to grad, which is the caller's on a host device. */
static void end(struct lca_eval *e, float *grad)
{
    e->grad = e->backend->host_memory ? grad : e->own_grad;
    struct pass none = {0};
    for (unsigned k = 0; k < e->net->n_layer; k++)
        if (e->plan.layer[k].ops && e->plan.layer[k].ops->end)
            call_whole(e, k, &none, e->plan.layer[k].ops->end);
}

static int fetch_grad(struct lca_eval *e, float *grad, struct lca_err *err)
{
    if (e->backend->host_memory)
        return 0;
    return e->backend->get(e->device, grad, e->own_grad, e->net->P * sizeof *grad, err);
}

static int fetch_sums(struct lca_eval *e, struct lca_loss *sum, struct lca_err *err)
{
    return e->backend->get(e->device, sum, e->sum, e->net->classes * sizeof *sum, err);
}

/* One pass over the first n examples, and its gradient, if grad. */
static void once(struct lca_eval *e, uint32_t n, const struct lca_rng *dropout, float *grad)
{
    struct pass p = {0, n, dropout, -1};
    begin(e);
    run(e, &p, grad);
    if (grad)
        end(e, grad);
}

static struct recorded *recorded(struct lca_eval *e, uint32_t n, bool gradient)
{
    for (int k = 0; k < RECORDED_MAX; k++) {
        struct recorded *r = &e->recorded[k];
        if (r->n == n && r->slice == e->slice && r->gradient == gradient)
            return r;
    }
    struct recorded *r = &e->recorded[e->next++ % RECORDED_MAX];
    if (r->work)
        e->backend->forget(e->device, r->work);
    *r = (struct recorded){.n = n, .slice = e->slice, .gradient = gradient};
    return r;
}

/* The same, recorded the second time, by a device that can. */
static int again_and_again(struct lca_eval *e, uint32_t n, float *grad, struct lca_err *err)
{
    struct recorded *r = e->backend->record ? recorded(e, n, grad) : NULL;
    if (!r || !r->done) {
        once(e, n, NULL, grad);
        if (r)
            r->done = true;
        return 0;
    }
    if (!r->work) {
        if (e->backend->record(e->device, err) < 0)
            return -1;
        once(e, n, NULL, grad);
        if (!(r->work = e->backend->recorded(e->device, err)))
            return -1;
    }
    return e->backend->replay(e->device, r->work, err);
}

/* Fills index and label with lo .. hi-1 in order of class, and count per class.
 * Examples of a class have more zero bytes in common. */
static int sort_unit(struct lca_eval *e, uint32_t lo, uint32_t hi, uint32_t *count,
                     struct lca_err *err)
{
    if (lo >= hi || hi > e->images.n || hi - lo > e->n_max)
        return lca_fail(err, LCA_INTERNAL,
                        "unit %u..%u: not within %u examples, at most %u at a time",
                        lo, hi, e->images.n, e->n_max);
    uint32_t at[CLASSES_MAX], n = 0;
    memset(count, 0, CLASSES_MAX * sizeof *count);
    for (uint32_t i = lo; i < hi; i++)
        count[e->images.label[i]]++;
    for (unsigned c = 0; c < CLASSES_MAX; c++) {
        at[c] = n;
        n += count[c];
    }
    for (uint32_t i = lo; i < hi; i++) {
        uint8_t c = e->images.label[i];
        e->label[at[c]] = c;
        e->index[at[c]++] = i;
    }
    return 0;
}

static void total(const struct lca_loss *by_class, uint32_t classes, struct lca_loss *sum)
{
    *sum = (struct lca_loss){0};
    for (uint32_t c = 0; c < classes; c++) {
        sum->loss += by_class[c].loss;
        sum->hits += by_class[c].hits;
        sum->n += by_class[c].n;
    }
}

int lca_eval_unit(struct lca_eval *e, const float *theta, uint32_t lo, uint32_t hi, float *grad,
                  struct lca_loss *sum, struct lca_err *err)
{
    uint32_t count[CLASSES_MAX];
    struct lca_loss by_class[CLASSES_MAX];
    if (sort_unit(e, lo, hi, count, err) < 0 || send(e, theta, hi - lo, err) < 0 ||
        again_and_again(e, hi - lo, grad, err) < 0 || (grad && fetch_grad(e, grad, err) < 0) ||
        fetch_sums(e, by_class, err) < 0)
        return -1;
    total(by_class, e->net->classes, sum);
    return 0;
}

/* Classes of a unit that its statistics tie together: one way forward, and back for each. */
static void run_class(struct lca_eval *e, struct pass *p, uint32_t c, uint32_t count, bool gradient)
{
    if (e->net->batchnorm) {
        p->only = (int)c;
        run_back(e, p, gradient);
    } else {
        p->n = count;
        run(e, p, gradient);
        p->first += count;
    }
}

int lca_eval_classes(struct lca_eval *e, const float *theta, uint32_t lo, uint32_t hi, float *grad,
                     struct lca_loss *sum, struct lca_err *err)
{
    uint32_t count[CLASSES_MAX];
    if (sort_unit(e, lo, hi, count, err) < 0 || send(e, theta, hi - lo, err) < 0)
        return -1;
    begin(e);
    struct pass p = {0, hi - lo, NULL, -1};
    if (e->net->batchnorm)
        run_forward(e, &p);
    for (uint32_t c = 0; c < e->net->classes; c++) {
        float *row = grad ? grad + c * e->net->P : NULL;
        if (count[c]) {
            run_class(e, &p, c, count[c], grad);
            if (grad)
                end(e, row);
            if (grad && fetch_grad(e, row, err) < 0)
                return -1;
        } else if (grad) {
            memset(row, 0, e->net->P * sizeof *row);
        }
    }
    return fetch_sums(e, sum, err);
}

int lca_eval_batch(struct lca_eval *e, const float *theta, const uint32_t *index, uint32_t n,
                   const struct lca_rng *dropout, float *grad, struct lca_loss *sum,
                       struct lca_err *err)
{
    struct lca_loss by_class[CLASSES_MAX];
    if (n < 1 || n > e->n_max)
        return lca_fail(err, LCA_INTERNAL, "a batch of %u examples, 1 to %u go", n, e->n_max);
    for (uint32_t i = 0; i < n; i++) {
        if (index[i] >= e->images.n)
            return lca_fail(err, LCA_INTERNAL, "example %u of %u", index[i], e->images.n);
        e->index[i] = index[i];
        e->label[i] = e->images.label[index[i]];
    }
    if (send(e, theta, n, err) < 0)
        return -1;
    once(e, n, dropout, grad);
    if ((grad && fetch_grad(e, grad, err) < 0) || fetch_sums(e, by_class, err) < 0)
        return -1;
    total(by_class, e->net->classes, sum);
    return 0;
}

int lca_eval_time(struct lca_eval *e, const float *theta, uint32_t unit, bool by_class, int repeat,
                  double *seconds, struct lca_err *err)
{
    struct lca_loss sum[CLASSES_MAX];
    float *grad = lca_alloc((by_class ? e->net->classes : 1) * (size_t)e->net->P, sizeof *grad,
                            err);
    if (!grad)
        return -1;
    int result = -1;
    double begun = lca_now();
    *seconds = 0;
    e->has_theta = 0;
    for (int r = 0; r < repeat && (r == 0 || lca_now() - begun < 15); r++) {
        double start = lca_now();
        lca_eval_theta(e, 1 + (uint64_t)r);
        for (uint32_t lo = 0; lo < e->images.n; lo += unit) {
            uint32_t hi = e->images.n - lo < unit ? e->images.n : lo + unit;
            if ((by_class ? lca_eval_classes : lca_eval_unit)(e, theta, lo, hi, grad, sum, err) < 0)
                goto out;
        }
        double s = (lca_now() - start) / e->images.n;
        if (r == 0 || s < *seconds)
            *seconds = s;
    }
    result = 0;
out:
    e->theta_id = e->has_theta = 0;
    free(grad);
    return result;
}

void lca_eval_free(struct lca_eval *e)
{
    if (!e)
        return;
    const struct lca_backend *b = e->backend;
    struct lca_device *d = e->device;
    if (d) {
        for (unsigned k = 0; e->state && k < e->net->n_layer; k++)
            b->release(d, e->state[k]);
        for (int k = 0; k < RECORDED_MAX; k++)
            if (e->recorded[k].work)
                b->forget(d, e->recorded[k].work);
        b->release(d, e->sum);
        b->release(d, e->kept);
        b->release(d, e->cut);
        b->release(d, e->scratch);
        b->release(d, e->x);
        if (!b->host_memory) {
            b->release(d, e->d_images);
            b->release(d, e->d_index);
            b->release(d, e->d_label);
            b->release(d, e->own_theta);
            b->release(d, e->own_grad);
        }
        b->close(d);
    }
    free(e->index);
    free(e->label);
    free(e->state);
    lca_plan_clear(&e->plan);
    free(e);
}
