#include "nn/eval.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"

enum { SLICE_LEAST = 32, CLASSES_MAX = 256 };

/* What a layer has on the device. y of flatten, and of a ReLU that the layer
 * before computes, is NULL: they are their input (see source). */
struct node {
    const struct lca_layer_ops *ops;
    bool fused;             /* relu: the layer before does it */
    bool relu;              /* that layer */
    bool learns;            /* parameters here or before: a gradient must come through */
    bool written;           /* dy, in the backward pass at hand */
    float *y, *dy;
    void *state;
};

struct lca_eval {
    const struct lca_net *net;
    const struct lca_backend *backend;
    struct lca_device *device;
    struct lca_images images;
    uint32_t n_max;         /* examples in a unit */
    uint32_t room, slice;   /* in a slice: that buffers hold, that are used */
    bool floats;            /* a layer reads the input as floats */
    struct node *node;      /* [n_layer] */
    struct lca_rows rows;   /* device */
    float *x;               /* device, [room], the input as floats; NULL unless floats */
    uint32_t *index;        /* [n_max] */
    uint8_t *label;         /* [n_max] */
    void *d_index, *d_label, *d_images;
    float *theta, *grad;    /* device; the caller's on a host device */
    float *own_theta, *own_grad;
};

static void *on_device(struct lca_eval *e, size_t n, size_t size, struct lca_err *err)
{
    size_t bytes;
    if (__builtin_mul_overflow(n, size, &bytes)) {
        lca_fail(err, LCA_INTERNAL, "%zu elements of %zu bytes do not fit in memory", n, size);
        return NULL;
    }
    return e->backend->alloc(e->device, bytes ? bytes : 1, err);
}

/* The layer whose buffer holds the output of layer k; -1: the image. */
static int source(const struct lca_eval *e, int k, bool training)
{
    while (k >= 0) {
        enum lca_layer_type type = e->net->layer[k].g.type;
        if (type != LCA_FLATTEN && !e->node[k].fused && (type != LCA_DROPOUT || training))
            break;
        k = e->net->layer[k].from;
    }
    return k;
}

static unsigned consumers(const struct lca_net *net, int k)
{
    unsigned n = 0;
    for (unsigned j = 0; j < net->n_layer; j++)
        n += (net->layer[j].from == k) + (net->layer[j].g.type == LCA_ADD && net->layer[j].other ==
                                          k);
    return n;
}

/* Finds each layer's operations, and what can be one with the layer before. */
static int plan(struct lca_eval *e, struct lca_err *err)
{
    const struct lca_net *net = e->net;
    for (unsigned k = 0; k < net->n_layer; k++) {
        const struct lca_layer *l = &net->layer[k];
        struct node *node = &e->node[k];
        node->ops = e->backend->layer[l->g.type];
        if (!node->ops && l->g.type != LCA_FLATTEN)
            return lca_fail(err, LCA_USAGE, "layer %s: device %s cannot compute layers of type %s",
                            l->name, e->backend->name, lca_layer_type_name[l->g.type]);
        node->learns = l->params > 0 || (l->from >= 0 && e->node[l->from].learns) ||
                       (l->g.type == LCA_ADD && l->other >= 0 && e->node[l->other].learns);
        /* not the last layer: the loss overwrites its output */
        if (l->g.type == LCA_RELU && l->from >= 0 && k + 1 < net->n_layer &&
            e->node[l->from].ops && e->node[l->from].ops->fuses_relu && consumers(net, l->from) ==
                1) {
            node->fused = true;
            e->node[l->from].relu = true;
        }
    }
    return 0;
}

static size_t activation_bytes(const struct lca_eval *e)
{
    size_t floats = e->floats ? lca_ld(e->images.pixels) : 0;
    for (unsigned k = 0; k < e->net->n_layer; k++)
        if (e->net->layer[k].g.type != LCA_FLATTEN && !e->node[k].fused)
            floats += 2 * lca_ld(lca_shape_size(e->net->layer[k].g.out));
    return floats * sizeof(float) + e->images.pixels;
}

static uint32_t slice_size(const struct lca_eval *e)
{
    if (e->net->batchnorm || !e->backend->slice_bytes)
        return e->n_max;
    size_t n = e->backend->slice_bytes / activation_bytes(e) / 4 * 4;
    if (n < SLICE_LEAST)
        n = SLICE_LEAST;
    return n < e->n_max ? (uint32_t)n : e->n_max;
}

static int allocate(struct lca_eval *e, struct lca_err *err)
{
    const struct lca_net *net = e->net;
    bool host = e->backend->host_memory;
    e->index = lca_alloc(e->n_max, sizeof *e->index, err);
    e->label = lca_alloc(e->n_max, sizeof *e->label, err);
    if (!e->index || !e->label)
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
    for (unsigned k = 0; k < net->n_layer; k++) {
        const struct lca_layer *l = &net->layer[k];
        bool reads = e->node[k].ops && !e->node[k].ops->bytes && source(e, l->from, false) < 0;
        e->floats = e->floats || reads || (l->g.type == LCA_ADD && source(e, l->other, false) < 0);
    }
    e->room = e->slice = slice_size(e);
    if (e->floats) {
        e->x = on_device(e, e->room * lca_ld(e->images.pixels), sizeof(float), err);
        if (!e->x)
            return -1;
    }
    for (unsigned k = 0; k < net->n_layer; k++) {
        struct node *node = &e->node[k];
        const struct lca_geometry *g = &net->layer[k].g;
        if (source(e, (int)k, true) != (int)k)
            continue;
        size_t n = e->room * lca_ld(lca_shape_size(g->out));
        node->y = on_device(e, n, sizeof(float), err);
        node->dy = on_device(e, n, sizeof(float), err);
        if (!node->y || !node->dy)
            return -1;
        if (node->ops->state) {
            node->state = on_device(e, node->ops->state(g, e->room), 1, err);
            if (!node->state)
                return -1;
        }
    }
    return 0;
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
    e->device = backend->open(device, err);
    e->node = lca_alloc(net->n_layer, sizeof *e->node, err);
    if (!e->device || !e->node || plan(e, err) < 0 || allocate(e, err) < 0) {
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
    e->slice = n && n < e->room ? n : e->room;
}

static float *at_kind(float *vector, const struct lca_layer *l, enum lca_kind_of kind)
{
    return vector && l->off[kind] != LCA_NO_TENSOR ? vector + l->off[kind] : NULL;
}

/* What layer k works on; n is 0 for begin and end. */
static struct lca_call call_of(struct lca_eval *e, unsigned k, uint32_t n,
                               const struct lca_rng *dropout)
{
    const struct lca_layer *l = &e->net->layer[k];
    struct node *node = &e->node[k];
    struct lca_call c = {.g = &l->g, .n = n, .n_max = e->room, .y = node->y, .dy = node->dy,
                         .relu = node->relu, .state = node->state};
    int from = source(e, l->from, dropout);
    if (from >= 0)
        c.x = e->node[from].y;
    else if (node->ops->bytes)
        c.rows = &e->rows;
    else
        c.x = e->x;
    if (l->g.type == LCA_ADD) {
        int other = source(e, l->other, dropout);
        c.x2 = other >= 0 ? e->node[other].y : e->x;
    }
    c.kernel = at_kind(e->theta, l, LCA_KERNEL);
    c.bias = at_kind(e->theta, l, LCA_BIAS);
    c.gamma = at_kind(e->theta, l, LCA_GAMMA);
    c.beta = at_kind(e->theta, l, LCA_BETA);
    c.dkernel = at_kind(e->grad, l, LCA_KERNEL);
    c.dbias = at_kind(e->grad, l, LCA_BIAS);
    c.dgamma = at_kind(e->grad, l, LCA_GAMMA);
    c.dbeta = at_kind(e->grad, l, LCA_BETA);
    return c;
}

/* Where the gradient of an input goes: NULL if nobody wants it. */
static float *flows_to(struct lca_eval *e, int from, bool *adds)
{
    if (from < 0 || !e->node[from].learns)
        return NULL;
    *adds = e->node[from].written;
    e->node[from].written = true;
    return e->node[from].dy;
}

static void backward(struct lca_eval *e, uint32_t n, int last, const struct lca_rng *dropout)
{
    for (unsigned k = 0; k < e->net->n_layer; k++)
        e->node[k].written = false;
    for (int k = last; k >= 0; k--) {
        const struct lca_layer *l = &e->net->layer[k];
        if (source(e, k, dropout) != k || !e->node[k].learns)
            continue;
        struct lca_call c = call_of(e, (unsigned)k, n, dropout);
        if (k == last)
            c.dy = c.y;     /* the loss has put it there */
        c.dx = flows_to(e, source(e, l->from, dropout), &c.dx_adds);
        if (l->g.type == LCA_ADD)
            c.dx2 = flows_to(e, source(e, l->other, dropout), &c.dx2_adds);
        e->node[k].ops->backward(e->device, &c);
    }
}

/* Examples first .. first+n-1 of index and label, forward and backward. */
static void run_slice(struct lca_eval *e, uint32_t first, uint32_t n, const struct lca_rng *dropout,
                      bool gradient, struct lca_loss *sum)
{
    e->rows.index = (const uint32_t *)e->d_index + first;
    e->rows.label = (const uint8_t *)e->d_label + first;
    if (e->x)
        e->backend->input(e->device, &e->rows, n, e->x);
    for (unsigned k = 0; k < e->net->n_layer; k++) {
        if (source(e, (int)k, dropout) != (int)k)
            continue;
        struct lca_call c = call_of(e, k, n, dropout);
        if (dropout) {
            c.rng = *dropout;
            c.index = ((uint64_t)k << 36) + first * (uint64_t)lca_shape_size(c.g->out);
        }
        e->node[k].ops->forward(e->device, &c);
    }
    int last = source(e, (int)e->net->n_layer - 1, dropout);
    e->backend->loss(e->device, &e->rows, n, e->net->classes, e->node[last].y, gradient, sum);
    if (gradient)
        backward(e, n, last, dropout);
}

/* Examples first .. first+n-1 in slices of equal size, in whole tiles of four but for
 * the last, and never above e->slice. */
static void run(struct lca_eval *e, uint32_t first, uint32_t n, const struct lca_rng *dropout,
                bool gradient, struct lca_loss *sum)
{
    uint32_t slices = n / e->slice + (n % e->slice != 0);
    uint32_t equal = (n + slices - 1) / slices, tiles = (equal + 3) / 4 * 4;
    uint32_t size = tiles < e->slice ? tiles : e->slice;
    for (uint32_t a = 0; a < n; a += size)
        run_slice(e, first + a, n - a < size ? n - a : size, dropout, gradient, sum);
}

static int begin(struct lca_eval *e, const float *theta, uint32_t n, struct lca_err *err)
{
    if (e->backend->host_memory) {
        e->theta = (float *)theta;      /* only ever read, as lca_call says */
    } else {
        e->theta = e->own_theta;
        if (e->backend->put(e->device, e->theta, theta, e->net->P * sizeof *theta, err) < 0 ||
            e->backend->put(e->device, e->d_index, e->index, n * sizeof *e->index, err) < 0 ||
            e->backend->put(e->device, e->d_label, e->label, n, err) < 0)
            return -1;
    }
    for (unsigned k = 0; k < e->net->n_layer; k++) {
        if (!e->node[k].ops || !e->node[k].ops->begin)
            continue;
        struct lca_call c = call_of(e, k, 0, NULL);
        e->node[k].ops->begin(e->device, &c);
    }
    return 0;
}

static int end(struct lca_eval *e, float *grad, struct lca_err *err)
{
    e->grad = e->backend->host_memory ? grad : e->own_grad;
    for (unsigned k = 0; k < e->net->n_layer; k++) {
        if (!e->node[k].ops || !e->node[k].ops->end)
            continue;
        struct lca_call c = call_of(e, k, 0, NULL);
        e->node[k].ops->end(e->device, &c);
    }
    if (e->backend->host_memory)
        return 0;
    return e->backend->get(e->device, grad, e->grad, e->net->P * sizeof *grad, err);
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
    struct lca_loss by_class[CLASSES_MAX] = {{0}};
    if (sort_unit(e, lo, hi, count, err) < 0 || begin(e, theta, hi - lo, err) < 0)
        return -1;
    run(e, 0, hi - lo, NULL, grad, by_class);
    total(by_class, e->net->classes, sum);
    return grad ? end(e, grad, err) : 0;
}

int lca_eval_classes(struct lca_eval *e, const float *theta, uint32_t lo, uint32_t hi, float *grad,
                     struct lca_loss *sum, struct lca_err *err)
{
    uint32_t count[CLASSES_MAX], first = 0;
    if (e->net->batchnorm)
        return lca_fail(err, LCA_USAGE, "network %s has batch norm: no gradient by class",
                        e->net->name);
    memset(sum, 0, e->net->classes * sizeof *sum);
    if (sort_unit(e, lo, hi, count, err) < 0 || begin(e, theta, hi - lo, err) < 0)
        return -1;
    for (uint32_t c = 0; c < e->net->classes; c++) {
        float *row = grad ? grad + c * e->net->P : NULL;
        if (count[c]) {
            run(e, first, count[c], NULL, grad, sum);
            if (grad && end(e, row, err) < 0)
                return -1;
        } else if (grad) {
            memset(row, 0, e->net->P * sizeof *row);
        }
        first += count[c];
    }
    return 0;
}

int lca_eval_batch(struct lca_eval *e, const float *theta, const uint32_t *index, uint32_t n,
                   const struct lca_rng *dropout, float *grad, struct lca_loss *sum,
                       struct lca_err *err)
{
    struct lca_loss by_class[CLASSES_MAX] = {{0}};
    if (n < 1 || n > e->n_max)
        return lca_fail(err, LCA_INTERNAL, "a batch of %u examples, 1 to %u go", n, e->n_max);
    for (uint32_t i = 0; i < n; i++) {
        if (index[i] >= e->images.n)
            return lca_fail(err, LCA_INTERNAL, "example %u of %u", index[i], e->images.n);
        e->index[i] = index[i];
        e->label[i] = e->images.label[index[i]];
    }
    if (begin(e, theta, n, err) < 0)
        return -1;
    run(e, 0, n, dropout, grad, by_class);
    total(by_class, e->net->classes, sum);
    return grad ? end(e, grad, err) : 0;
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
    *seconds = 0;
    for (int r = 0; r < repeat; r++) {
        double start = lca_now();
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
        for (unsigned k = 0; e->node && k < e->net->n_layer; k++) {
            b->release(d, e->node[k].y);
            b->release(d, e->node[k].dy);
            b->release(d, e->node[k].state);
        }
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
    free(e->node);
    free(e);
}
