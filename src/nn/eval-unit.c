/* eval-unit.c: units, one after the other or two at a time, by class, as a set or a batch. */
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "nn/eval-inside.h"

void lca_eval_slice(struct lca_eval *e, uint32_t n)
{
    e->slice = n ? n : e->n_max;
}

void lca_eval_theta(struct lca_eval *e, uint64_t id)
{
    e->theta_id = id;
}

unsigned lca_eval_ahead(const struct lca_eval *e)
{
    return e->slots;
}

static uint32_t rows_of(const struct lca_eval *e, const struct lca_eval_ask *ask)
{
    return ask->by_class ? e->net->classes : 1;
}

/* ---- to the device ---- */

/* theta, and what layers make of it once. */
static int send_theta(struct lca_eval *e, struct lca_eval_slot *s, struct lca_err *err)
{
    if (e->theta_id && e->theta_id == e->has_theta)
        return 0;
    e->has_theta = 0;
    memcpy(s->sent, s->ask.theta, e->net->P * sizeof *s->sent);
    if (e->backend->put(e->device, e->own_theta, s->sent, e->net->P * sizeof *s->sent, err) < 0)
        return -1;
    lca_eval_begin_layers(e);
    e->has_theta = e->theta_id;
    return 0;
}

/* The places of the slot's n examples. */
static int send_examples(struct lca_eval *e, const struct lca_eval_slot *s, uint32_t n, struct lca_err *err)
{
    if (e->backend->host_memory)
        return 0;
    if (e->backend->put(e->device, s->d_index, s->index, n * sizeof *s->index, err) < 0)
        return -1;
    return e->backend->put(e->device, s->d_label, s->label, n, err);
}

/* What the pass now to come takes from the slot, and leaves there; theta. */
static int prepare(struct lca_eval *e, struct lca_eval_slot *s, struct lca_err *err)
{
    e->index = s->d_index;
    e->label = s->d_label;
    e->sum = s->d_sum;
    if (!e->backend->host_memory) {
        e->theta = e->own_theta;
        return send_theta(e, s, err);
    }
    e->theta = (float *)s->ask.theta;
    lca_eval_begin_layers(e);
    return 0;
}

/* Fills index and label with lo .. hi-1 in order of class, and count per class.
 * Examples of a class have more zero bytes in common. */
static int sort_unit(const struct lca_eval *e, struct lca_eval_slot *s, struct lca_err *err)
{
    const uint32_t lo = s->ask.lo, hi = s->ask.hi;
    if (lo >= hi || hi > e->images.n || hi - lo > e->n_max)
        return lca_fail(err, LCA_INTERNAL, "unit %u..%u: not within %u examples, at most %u at a time", lo, hi,
                        e->images.n, e->n_max);
    uint32_t at[LCA_EVAL_CLASSES], n = 0;
    memset(s->count, 0, sizeof s->count);
    for (uint32_t i = lo; i < hi; i++)
        s->count[e->images.label[i]]++;
    for (unsigned c = 0; c < LCA_EVAL_CLASSES; c++) {
        at[c] = n;
        n += s->count[c];
    }
    for (uint32_t i = lo; i < hi; i++) {
        uint8_t c = e->images.label[i];
        s->label[at[c]] = c;
        s->index[at[c]++] = i;
    }
    return 0;
}

/* The same unit again, as where it is the whole set, is still there. */
static int send_unit(struct lca_eval *e, struct lca_eval_slot *s, struct lca_err *err)
{
    if (s->hi > 0 && s->lo == s->ask.lo && s->hi == s->ask.hi)
        return 0;
    s->lo = s->hi = 0;
    if (sort_unit(e, s, err) < 0 || send_examples(e, s, s->ask.hi - s->ask.lo, err) < 0)
        return -1;
    s->lo = s->ask.lo;
    s->hi = s->ask.hi;
    return 0;
}

/* ---- from the device ---- */

/* The memory for gradients of a slot that its results come to. */
static int want_grad(struct lca_eval *e, struct lca_eval_slot *s, struct lca_err *err)
{
    uint32_t rows = rows_of(e, &s->ask);
    bool host = e->backend->host_memory;
    if (s->rows >= rows)
        return 0;
    if (host)
        free(s->grad);
    else
        e->backend->release_host(e->device, s->grad);
    s->rows = 0;
    s->grad = host ? lca_alloc(rows * e->net->P, sizeof *s->grad, err)
                   : e->backend->host(e->device, rows * e->net->P * sizeof *s->grad, err);
    if (!s->grad)
        return -1;
    s->rows = rows;
    return 0;
}

/* Where the device leaves the gradient of row r: on a host device where it is wanted, unless
 * it is to be added to others. */
static float *row_at(const struct lca_eval *e, const struct lca_eval_slot *s, float *grad, uint32_t r)
{
    return e->backend->host_memory && !s->ask.total ? grad + r * e->net->P : s->d_grad;
}

/* The gradient of row r, which is there, to where it is wanted. */
static int give_row(struct lca_eval *e, const struct lca_eval_slot *s, uint32_t r, struct lca_err *err)
{
    const uint64_t P = e->net->P;
    if (s->ask.total)
        e->backend->fold(e->device, P, e->grad, s->ask.total + r * P);
    else if (!e->backend->host_memory)
        return e->backend->bring(e->device, s->at, s->grad + r * P, s->d_grad, P * sizeof *s->grad, err);
    return 0;
}

static int give_sums(struct lca_eval *e, const struct lca_eval_slot *s, struct lca_err *err)
{
    size_t bytes = e->net->classes * sizeof *s->sum;
    if (e->backend->host_memory)
        return e->backend->get(e->device, s->sum, s->d_sum, bytes, err);
    return e->backend->bring(e->device, s->at, s->sum, s->d_sum, bytes, err);
}

static void add_loss(struct lca_loss *to, const struct lca_loss *from)
{
    to->loss += from->loss;
    to->hits += from->hits;
    to->n += from->n;
}

/* The losses of a unit that is done: by class, or of all. */
static void give_losses(const struct lca_eval *e, const struct lca_eval_slot *s, struct lca_loss *sum)
{
    if (s->ask.by_class) {
        memcpy(sum, s->sum, e->net->classes * sizeof *sum);
        return;
    }
    *sum = (struct lca_loss){0};
    for (uint32_t c = 0; c < e->net->classes; c++)
        add_loss(sum, &s->sum[c]);
}

/* ---- passes ---- */

static void run(struct lca_eval *e, const struct lca_eval_pass *p, bool gradient)
{
    lca_eval_forward(e, p);
    lca_eval_back(e, p, gradient);
}

/* One pass over the first n examples, and its gradient. */
static void once(struct lca_eval *e, uint32_t n, const struct lca_rng *dropout, bool gradient)
{
    struct lca_eval_pass p = {0, n, dropout, -1};
    e->backend->clear(e->device, e->sum, e->net->classes * sizeof *e->sum);
    run(e, &p, gradient);
    if (gradient)
        lca_eval_end_layers(e);
}

static struct lca_eval_recorded *recorded(struct lca_eval *e, const struct lca_eval_slot *s, uint32_t n)
{
    for (int k = 0; k < LCA_EVAL_RECORDED; k++) {
        struct lca_eval_recorded *r = &e->recorded[k];
        if (r->n == n && r->slice == e->slice && r->slot == s->at && r->gradient == s->ask.gradient)
            return r;
    }
    struct lca_eval_recorded *r = &e->recorded[e->next++ % LCA_EVAL_RECORDED];
    if (r->work)
        e->backend->forget(e->device, r->work);
    *r = (struct lca_eval_recorded){.n = n, .slice = e->slice, .slot = s->at, .gradient = s->ask.gradient};
    return r;
}

/* The same, recorded the second time, by a device that can. */
static int again_and_again(struct lca_eval *e, const struct lca_eval_slot *s, uint32_t n, struct lca_err *err)
{
    struct lca_eval_recorded *r = e->backend->record ? recorded(e, s, n) : NULL;
    if (!r || !r->done) {
        once(e, n, NULL, s->ask.gradient);
        if (r)
            r->done = true;
        return 0;
    }
    if (!r->work && e->backend->record(e->device)) {
        once(e, n, NULL, s->ask.gradient);
        r->work = e->backend->recorded(e->device);
    }
    if (r->work)
        return e->backend->replay(e->device, r->work, err);
    once(e, n, NULL, s->ask.gradient);
    return 0;
}

/* Classes of a unit that its statistics tie together: one way forward, and back for each. */
static void run_class(struct lca_eval *e, struct lca_eval_pass *p, uint32_t c, uint32_t count, bool gradient)
{
    if (e->net->batchnorm) {
        p->only = (int)c;
        lca_eval_back(e, p, gradient);
    } else {
        p->n = count;
        run(e, p, gradient);
        p->first += count;
    }
}

static int run_classes(struct lca_eval *e, const struct lca_eval_slot *s, float *grad, struct lca_err *err)
{
    struct lca_eval_pass p = {0, s->ask.hi - s->ask.lo, NULL, -1};
    e->backend->clear(e->device, e->sum, e->net->classes * sizeof *e->sum);
    if (e->net->batchnorm)
        lca_eval_forward(e, &p);
    for (uint32_t c = 0; c < e->net->classes; c++) {
        if (s->count[c])
            run_class(e, &p, c, s->count[c], s->ask.gradient);
        if (!s->ask.gradient || (!s->count[c] && s->ask.total))
            continue;
        if (!s->count[c]) {
            memset(grad + c * e->net->P, 0, e->net->P * sizeof *grad);
            continue;
        }
        if (!e->backend->host_memory)
            e->backend->hold(e->device, s->at);
        e->grad = row_at(e, s, grad, c);
        lca_eval_end_layers(e);
        if (give_row(e, s, c, err) < 0)
            return -1;
    }
    return 0;
}

static int run_whole(struct lca_eval *e, const struct lca_eval_slot *s, float *grad, struct lca_err *err)
{
    if (s->ask.gradient)
        e->grad = row_at(e, s, grad, 0);
    if (again_and_again(e, s, s->ask.hi - s->ask.lo, err) < 0)
        return -1;
    return s->ask.gradient ? give_row(e, s, 0, err) : 0;
}

/* ---- units ---- */

/* Asks the device for all of a unit; a host device has then done it. grad [rows][P]: where
 * gradients go, the slot's own or, on a host device, the caller's. */
static int start(struct lca_eval *e, struct lca_eval_slot *s, float *grad, struct lca_err *err)
{
    if (send_unit(e, s, err) < 0 || prepare(e, s, err) < 0 ||
        (s->ask.by_class ? run_classes : run_whole)(e, s, grad, err) < 0)
        return -1;
    return give_sums(e, s, err);
}

static int wait_for(struct lca_eval *e, const struct lca_eval_slot *s, struct lca_err *err)
{
    return e->backend->host_memory ? 0 : e->backend->arrived(e->device, s->at, err);
}

/* Waits, and gives what the slot was asked for; grad, unless NULL, is the caller's. */
static int deliver(struct lca_eval *e, const struct lca_eval_slot *s, float *grad, struct lca_loss *sum,
                   struct lca_err *err)
{
    if (wait_for(e, s, err) < 0)
        return -1;
    if (grad && !e->backend->host_memory)
        memcpy(grad, s->grad, rows_of(e, &s->ask) * e->net->P * sizeof *grad);
    give_losses(e, s, sum);
    return 0;
}

/* A unit from begin to end. */
static int alone(struct lca_eval *e, const struct lca_eval_ask *ask, float *grad, struct lca_loss *sum,
                 struct lca_err *err)
{
    struct lca_eval_slot *s = &e->slot[0];
    const bool host = e->backend->host_memory;
    lca_eval_drop(e);
    s->ask = *ask;
    if (grad && !host && want_grad(e, s, err) < 0)
        return -1;
    if (start(e, s, host ? grad : s->grad, err) < 0)
        return -1;
    return deliver(e, s, grad, sum, err);
}

int lca_eval_unit(struct lca_eval *e, const float *theta, uint32_t lo, uint32_t hi, float *grad,
                  struct lca_loss *sum, struct lca_err *err)
{
    struct lca_eval_ask ask = {theta, lo, hi, .gradient = grad};
    return alone(e, &ask, grad, sum, err);
}

int lca_eval_classes(struct lca_eval *e, const float *theta, uint32_t lo, uint32_t hi, float *grad,
                     struct lca_loss *sum, struct lca_err *err)
{
    struct lca_eval_ask ask = {theta, lo, hi, .by_class = true, .gradient = grad};
    return alone(e, &ask, grad, sum, err);
}

int lca_eval_batch(struct lca_eval *e, const float *theta, const uint32_t *index, uint32_t n,
                   const struct lca_rng *dropout, float *grad, struct lca_loss *sum, struct lca_err *err)
{
    struct lca_eval_slot *s = &e->slot[0];
    const bool host = e->backend->host_memory;
    if (n < 1 || n > e->n_max)
        return lca_fail(err, LCA_INTERNAL, "a batch of %u examples, 1 to %u go", n, e->n_max);
    lca_eval_drop(e);
    s->ask = (struct lca_eval_ask){.theta = theta, .gradient = grad};
    s->lo = s->hi = 0;
    for (uint32_t i = 0; i < n; i++) {
        if (index[i] >= e->images.n)
            return lca_fail(err, LCA_INTERNAL, "example %u of %u", index[i], e->images.n);
        s->index[i] = index[i];
        s->label[i] = e->images.label[index[i]];
    }
    if ((grad && !host && want_grad(e, s, err) < 0) || send_examples(e, s, n, err) < 0 || prepare(e, s, err) < 0)
        return -1;
    if (grad)
        e->grad = row_at(e, s, grad, 0);
    if (dropout)
        once(e, n, dropout, grad);
    else if (again_and_again(e, s, n, err) < 0)
        return -1;
    if ((grad && give_row(e, s, 0, err) < 0) || give_sums(e, s, err) < 0)
        return -1;
    return deliver(e, s, grad, sum, err);
}

/* ---- several units begun ---- */

/* A host device would be done before it could say so: it begins when it is to finish. */
static void begin(struct lca_eval *e, const struct lca_eval_ask *ask)
{
    struct lca_eval_slot *s = &e->slot[(e->oldest + e->begun++) % e->slots];
    s->ask = *ask;
    s->status = 0;
    if (ask->gradient && !ask->total)
        s->status = want_grad(e, s, &s->err);
    if (s->status == 0 && !e->backend->host_memory)
        s->status = start(e, s, s->grad, &s->err);
}

static struct lca_eval_slot *finish(struct lca_eval *e, struct lca_err *err)
{
    struct lca_eval_slot *s = &e->slot[e->oldest];
    e->oldest = (e->oldest + 1) % e->slots;
    e->begun--;
    if (s->status == 0 && e->backend->host_memory)
        s->status = start(e, s, s->grad, &s->err);
    if (s->status < 0) {
        lca_fail(err, s->err.status, "%s", s->err.text);
        return NULL;
    }
    return wait_for(e, s, err) < 0 ? NULL : s;
}

void lca_eval_begin(struct lca_eval *e, const float *theta, uint32_t lo, uint32_t hi, bool by_class)
{
    struct lca_eval_ask ask = {theta, lo, hi, by_class, true, NULL};
    begin(e, &ask);
}

int lca_eval_finish(struct lca_eval *e, const float **grad, struct lca_loss *sum, struct lca_err *err)
{
    struct lca_eval_slot *s = finish(e, err);
    if (!s)
        return -1;
    *grad = s->grad;
    give_losses(e, s, sum);
    return 0;
}

void lca_eval_drop(struct lca_eval *e)
{
    struct lca_err whatever = {0};
    for (; e->begun > 0; e->begun--, e->oldest = (e->oldest + 1) % e->slots)
        if (wait_for(e, &e->slot[e->oldest], &whatever) < 0)
            lca_info("%s", whatever.text);
}

/* ---- sets ---- */

/* The device's memory for the gradient of a set: grad itself on a host device, which needs some
 * for the gradient of a unit. */
static double *want_total(struct lca_eval *e, double *grad, uint32_t rows, struct lca_err *err)
{
    const uint64_t P = e->net->P;
    float **unit = &e->slot[0].d_grad;
    if (e->backend->host_memory) {
        if (!*unit && !(*unit = e->backend->alloc(e->device, P * sizeof **unit + 64, err)))
            return NULL;
        e->backend->clear(e->device, grad, rows * P * sizeof *grad);
        return grad;
    }
    if (e->total_rows < rows) {
        e->backend->release(e->device, e->total);
        e->total_rows = 0;
        if (!(e->total = e->backend->alloc(e->device, rows * P * sizeof *grad, err)))
            return NULL;
        e->total_rows = rows;
    }
    e->backend->clear(e->device, e->total, rows * P * sizeof *grad);
    return e->total;
}

static int add_oldest(struct lca_eval *e, uint32_t rows, struct lca_loss *sum, struct lca_err *err)
{
    struct lca_loss unit[LCA_EVAL_CLASSES];
    struct lca_eval_slot *s = finish(e, err);
    if (!s)
        return -1;
    give_losses(e, s, unit);
    for (uint32_t r = 0; r < rows; r++)
        add_loss(&sum[r], &unit[r]);
    return 0;
}

int lca_eval_set(struct lca_eval *e, const float *theta, struct lca_eval_units u, bool by_class, double *grad,
                 struct lca_loss *sum, struct lca_err *err)
{
    struct lca_eval_ask ask = {.theta = theta, .by_class = by_class, .gradient = grad};
    const uint32_t rows = rows_of(e, &ask);
    const size_t bytes = rows * e->net->P * sizeof *grad;
    const uint64_t id = e->theta_id;
    int result = 0;
    lca_eval_drop(e);
    if (grad && !(ask.total = want_total(e, grad, rows, err)))
        return -1;
    /* one theta, with or without a name */
    if (!id)
        e->has_theta = 0;
    e->theta_id = id ? id : UINT64_MAX;
    memset(sum, 0, rows * sizeof *sum);
    for (ask.lo = u.lo; ask.lo < u.hi && result == 0; ask.lo = ask.hi) {
        ask.hi = u.hi - ask.lo < u.size ? u.hi : ask.lo + u.size;
        if (e->begun == e->slots)
            result = add_oldest(e, rows, sum, err);
        begin(e, &ask);
    }
    while (e->begun > 0 && result == 0)
        result = add_oldest(e, rows, sum, err);
    lca_eval_drop(e);
    if (!id)
        e->theta_id = e->has_theta = 0;
    if (result < 0 || !grad || e->backend->host_memory)
        return result;
    return e->backend->get(e->device, grad, e->total, bytes, err);
}

int lca_eval_time(struct lca_eval *e, const float *theta, uint32_t unit, bool by_class, int repeat,
                  double *seconds, struct lca_err *err)
{
    struct lca_loss sum[LCA_EVAL_CLASSES];
    struct lca_eval_units all = {0, e->images.n, unit};
    double *grad = lca_alloc((by_class ? e->net->classes : 1) * (size_t)e->net->P, sizeof *grad, err);
    if (!grad)
        return -1;
    int result = 0;
    double begun = lca_now();
    *seconds = 0;
    lca_eval_theta(e, 0);
    for (int r = 0; r < repeat && result == 0 && (r == 0 || lca_now() - begun < 15); r++) {
        double start = lca_now();
        result = lca_eval_set(e, theta, all, by_class, grad, sum, err);
        double s = (lca_now() - start) / e->images.n;
        if (r == 0 || s < *seconds)
            *seconds = s;
    }
    free(grad);
    return result;
}
