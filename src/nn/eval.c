#include "nn/eval-inside.h"

#include <stdlib.h>

#include "base/buf.h"

static void *on_device(struct lca_eval *e, size_t n, size_t size, struct lca_err *err)
{
    size_t bytes;
    if (__builtin_mul_overflow(n, size, &bytes)) {
        lca_fail(err, LCA_INTERNAL, "%zu elements of %zu bytes do not fit in memory", n, size);
        return NULL;
    }
    return e->backend->alloc(e->device, bytes + 64, err);   /* vectors may be read past the end */
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

void lca_eval_free(struct lca_eval *e)
{
    if (!e)
        return;
    const struct lca_backend *b = e->backend;
    struct lca_device *d = e->device;
    if (d) {
        for (unsigned k = 0; e->state && k < e->net->n_layer; k++)
            b->release(d, e->state[k]);
        for (int k = 0; k < LCA_EVAL_RECORDED; k++)
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
