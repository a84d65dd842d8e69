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

static void *of_host(struct lca_eval *e, size_t n, size_t size, struct lca_err *err)
{
    if (e->backend->host_memory)
        return lca_alloc(n, size, err);
    return e->backend->host(e->device, n * size, err);
}

static int allocate_slot(struct lca_eval *e, struct lca_eval_slot *s, struct lca_err *err)
{
    const struct lca_net *net = e->net;
    s->index = of_host(e, e->n_max, sizeof *s->index, err);
    s->label = of_host(e, e->n_max, sizeof *s->label, err);
    s->sum = of_host(e, net->classes, sizeof *s->sum, err);
    s->d_sum = on_device(e, net->classes, sizeof *s->d_sum, err);
    if (!s->index || !s->label || !s->sum || !s->d_sum)
        return -1;
    if (e->backend->host_memory) {
        s->d_index = s->index;
        s->d_label = s->label;
        return 0;
    }
    s->sent = of_host(e, net->P, sizeof *s->sent, err);
    s->d_index = on_device(e, e->n_max, sizeof *s->d_index, err);
    s->d_label = on_device(e, e->n_max, sizeof *s->d_label, err);
    s->d_grad = on_device(e, net->P, sizeof *s->d_grad, err);
    return s->sent && s->d_index && s->d_label && s->d_grad ? 0 : -1;
}

static int allocate_images(struct lca_eval *e, struct lca_err *err)
{
    e->rows.pixels = e->images.pixels;
    if (e->backend->host_memory) {
        e->rows.images = e->images.image;
        return 0;
    }
    size_t bytes = e->images.n * e->images.pixels;
    e->d_images = on_device(e, bytes, 1, err);
    e->own_theta = on_device(e, e->net->P, sizeof *e->own_theta, err);
    e->rows.images = e->d_images;
    if (!e->d_images || !e->own_theta)
        return -1;
    return e->backend->put(e->device, e->d_images, e->images.image, bytes, err);
}

static int allocate(struct lca_eval *e, struct lca_err *err)
{
    const struct lca_net *net = e->net;
    e->state = lca_alloc(net->n_layer, sizeof *e->state, err);
    if (!e->state || allocate_images(e, err) < 0)
        return -1;
    e->slots = e->backend->host_memory ? 1 : LCA_TICKETS;
    for (unsigned k = 0; k < e->slots; k++) {
        e->slot[k].at = k;
        if (allocate_slot(e, &e->slot[k], err) < 0)
            return -1;
    }
    e->kept = on_device(e, e->n_max * e->plan.kept, sizeof(float), err);
    e->cut = on_device(e, e->plan.slice, sizeof(float), err);
    if (!e->kept || !e->cut)
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
    size_t scratch = 0, floats = n * p.kept + p.slice + image_room(&p) * lca_ld(e->images.pixels) +
                                  (1 + LCA_TICKETS) * net->P;
    *bytes = e->images.n * e->images.pixels + LCA_TICKETS * n * (sizeof(uint32_t) + sizeof(uint8_t)) +
             floats * sizeof(float);
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

static void release_slot(struct lca_eval *e, struct lca_eval_slot *s)
{
    const struct lca_backend *b = e->backend;
    void *host[] = {s->index, s->label, s->sent, s->grad, s->sum};
    for (size_t k = 0; k < sizeof host / sizeof *host; k++)
        if (b->host_memory)
            free(host[k]);
        else
            b->release_host(e->device, host[k]);
    if (!b->host_memory) {
        b->release(e->device, s->d_index);
        b->release(e->device, s->d_label);
    }
    b->release(e->device, s->d_grad);
    b->release(e->device, s->d_sum);
}

void lca_eval_free(struct lca_eval *e)
{
    if (!e)
        return;
    const struct lca_backend *b = e->backend;
    struct lca_device *d = e->device;
    if (d) {
        lca_eval_drop(e);
        for (unsigned k = 0; e->state && k < e->net->n_layer; k++)
            b->release(d, e->state[k]);
        for (int k = 0; k < LCA_EVAL_RECORDED; k++)
            if (e->recorded[k].work)
                b->forget(d, e->recorded[k].work);
        for (int k = 0; k < LCA_TICKETS; k++)
            release_slot(e, &e->slot[k]);
        void *own[] = {e->kept, e->cut, e->scratch, e->x, e->d_images, e->own_theta, e->total};
        for (size_t k = 0; k < sizeof own / sizeof *own; k++)
            b->release(d, own[k]);
        b->close(d);
    }
    free(e->state);
    lca_plan_clear(&e->plan);
    free(e);
}
