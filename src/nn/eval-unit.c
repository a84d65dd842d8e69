#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "nn/eval-inside.h"

void lca_eval_slice(struct lca_eval *e, uint32_t n)
{
    e->slice = n ? n : e->n_max;
}

static void run(struct lca_eval *e, const struct lca_eval_pass *p, bool gradient)
{
    lca_eval_forward(e, p);
    lca_eval_back(e, p, gradient);
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
    e->backend->clear(e->device, e->sum, e->net->classes * sizeof *e->sum);
    lca_eval_begin_layers(e);
}

/* The gradient to grad, which is the caller's on a host device. */
static void end(struct lca_eval *e, float *grad)
{
    e->grad = e->backend->host_memory ? grad : e->own_grad;
    lca_eval_end_layers(e);
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
    struct lca_eval_pass p = {0, n, dropout, -1};
    begin(e);
    run(e, &p, grad);
    if (grad)
        end(e, grad);
}

static struct lca_eval_recorded *recorded(struct lca_eval *e, uint32_t n, bool gradient)
{
    for (int k = 0; k < LCA_EVAL_RECORDED; k++) {
        struct lca_eval_recorded *r = &e->recorded[k];
        if (r->n == n && r->slice == e->slice && r->gradient == gradient)
            return r;
    }
    struct lca_eval_recorded *r = &e->recorded[e->next++ % LCA_EVAL_RECORDED];
    if (r->work)
        e->backend->forget(e->device, r->work);
    *r = (struct lca_eval_recorded){.n = n, .slice = e->slice, .gradient = gradient};
    return r;
}

/* The same, recorded the second time, by a device that can. */
static int again_and_again(struct lca_eval *e, uint32_t n, float *grad, struct lca_err *err)
{
    struct lca_eval_recorded *r = e->backend->record ? recorded(e, n, grad) : NULL;
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
    uint32_t at[LCA_EVAL_CLASSES], n = 0;
    memset(count, 0, LCA_EVAL_CLASSES * sizeof *count);
    for (uint32_t i = lo; i < hi; i++)
        count[e->images.label[i]]++;
    for (unsigned c = 0; c < LCA_EVAL_CLASSES; c++) {
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
    uint32_t count[LCA_EVAL_CLASSES];
    struct lca_loss by_class[LCA_EVAL_CLASSES];
    if (sort_unit(e, lo, hi, count, err) < 0 || send(e, theta, hi - lo, err) < 0 ||
        again_and_again(e, hi - lo, grad, err) < 0 || (grad && fetch_grad(e, grad, err) < 0) ||
        fetch_sums(e, by_class, err) < 0)
        return -1;
    total(by_class, e->net->classes, sum);
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

int lca_eval_classes(struct lca_eval *e, const float *theta, uint32_t lo, uint32_t hi, float *grad,
                     struct lca_loss *sum, struct lca_err *err)
{
    uint32_t count[LCA_EVAL_CLASSES];
    if (sort_unit(e, lo, hi, count, err) < 0 || send(e, theta, hi - lo, err) < 0)
        return -1;
    begin(e);
    struct lca_eval_pass p = {0, hi - lo, NULL, -1};
    if (e->net->batchnorm)
        lca_eval_forward(e, &p);
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
    struct lca_loss by_class[LCA_EVAL_CLASSES];
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
    struct lca_loss sum[LCA_EVAL_CLASSES];
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
