#include "nn/optim.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"

int lca_optim_init(struct lca_optim *o, const struct lca_table *table, enum lca_optim_kind kind,
                   double lr, double momentum, struct lca_err *err)
{
    *o = (struct lca_optim){.kind = kind, .lr = lr, .momentum = momentum, .table = table};
    o->layer = lca_alloc(table->n_layer, sizeof *o->layer, err);
    o->m = lca_alloc(table->P, sizeof *o->m, err);
    o->v = kind == LCA_ADAM ? lca_alloc(table->P, sizeof *o->v, err) : NULL;
    if (!o->layer || !o->m || (kind == LCA_ADAM && !o->v)) {
        lca_optim_clear(o);
        return -1;
    }
    for (unsigned l = 0; l < table->n_layer; l++)
        o->layer[l] = (struct lca_optim_layer){.lr = NAN, .momentum = NAN, .freeze = UINT64_MAX};
    return 0;
}

/* The layer called by the first n bytes of name. */
static struct lca_optim_layer *find(struct lca_optim *o, const char *option, const char *name,
                                    size_t n,
                                    struct lca_err *err)
{
    char all[400] = "";
    for (unsigned l = 0; l < o->table->n_layer; l++) {
        const char *s = o->table->layer[l].name;
        if (strlen(s) == n && !strncmp(s, name, n))
            return &o->layer[l];
        size_t used = strlen(all);
        snprintf(all + used, sizeof all - used, " %s", s);
    }
    lca_fail(err, LCA_USAGE, "%s: no layer '%.*s' has parameters; these have:%s", option,
             n > 96 ? 96 : (int)n, name, all);
    return NULL;
}

static int whole(const char *option, const char *text, uint64_t most, uint64_t *out,
                 struct lca_err *err)
{
    char *end;
    errno = 0;
    unsigned long long x = strtoull(text, &end, 10);
    if (*text < '0' || *text > '9' || *end || errno || x > most)
        return lca_fail(err, LCA_USAGE, "%s takes a whole number up to %llu, not '%.40s'", option,
                        (unsigned long long)most, text);
    *out = x;
    return 0;
}

static int number(const char *option, const char *text, double below, double *out,
                  struct lca_err *err)
{
    char *end;
    double x = strtod(text, &end);
    if (end == text || *end || !(x >= 0 && x < below))
        return lca_fail(err, LCA_USAGE, "%s takes a number from 0 to below %g, not '%.40s'",
                        option, below, text);
    *out = x;
    return 0;
}

/* LAYER=VALUE; *value is what follows the sign. */
static struct lca_optim_layer *split(struct lca_optim *o, const char *option, const char *text,
                                     const char **value, struct lca_err *err)
{
    const char *sign = strrchr(text, '=');
    if (!sign) {
        lca_fail(err, LCA_USAGE, "%s takes LAYER=VALUE, not '%.100s'", option, text);
        return NULL;
    }
    *value = sign + 1;
    return find(o, option, text, (size_t)(sign - text), err);
}

int lca_optim_freeze(struct lca_optim *o, const char *text, struct lca_err *err)
{
    const char *at = strrchr(text, '@');
    uint64_t step = 0;
    if (at && whole("--freeze", at + 1, UINT64_MAX - 1, &step, err) < 0)
        return -1;
    struct lca_optim_layer *l = find(o, "--freeze", text, at ? (size_t)(at - text) : strlen(text),
                                     err);
    if (!l)
        return -1;
    l->freeze = step;
    return 0;
}

int lca_optim_layer_lr(struct lca_optim *o, const char *text, struct lca_err *err)
{
    const char *value;
    struct lca_optim_layer *l = split(o, "--layer-lr", text, &value, err);
    return l ? number("--layer-lr", value, 1e6, &l->lr, err) : -1;
}

int lca_optim_layer_momentum(struct lca_optim *o, const char *text, struct lca_err *err)
{
    const char *value;
    struct lca_optim_layer *l = split(o, "--layer-momentum", text, &value, err);
    return l ? number("--layer-momentum", value, 1, &l->momentum, err) : -1;
}

int lca_optim_delay(struct lca_optim *o, const char *text, struct lca_err *err)
{
    const char *value;
    uint64_t delay = 0;
    struct lca_optim_layer *l = split(o, "--delay", text, &value, err);
    if (!l || whole("--delay", value, 1000, &delay, err) < 0)
        return -1;
    l->delay = (uint32_t)delay;
    size_t n = 0;
    for (unsigned k = 0; k < o->table->n_layer; k++) {
        o->layer[k].ring = n;
        n += o->layer[k].delay * (size_t)o->table->layer[k].len;
    }
    free(o->ring);
    o->n_ring = n;
    o->ring = lca_alloc(n, sizeof *o->ring, err);
    return o->ring ? 0 : -1;
}

int lca_optim_lr_steps(struct lca_optim *o, const char *text, struct lca_err *err)
{
    while (*text) {
        char part[80];
        size_t n = strcspn(text, ",");
        const char *sign = memchr(text, '=', n);
        uint64_t t;
        double lr;
        if (!sign || n >= sizeof part)
            return lca_fail(err, LCA_USAGE, "--lr-steps takes T=X,T=X,..., not '%.100s'", text);
        snprintf(part, sizeof part, "%.*s", (int)n, text);
        part[sign - text] = 0;
        if (whole("--lr-steps", part, UINT64_MAX - 1, &t, err) < 0 ||
            number("--lr-steps", part + (sign - text) + 1, 1e6, &lr, err) < 0)
            return -1;
        if (o->n_at == sizeof o->at / sizeof *o->at || (o->n_at && t <= o->at[o->n_at - 1].t))
            return lca_fail(err, LCA_USAGE, "--lr-steps takes at most %zu ascending steps",
                            sizeof o->at / sizeof *o->at);
        o->at[o->n_at].t = t;
        o->at[o->n_at++].lr = lr;
        text += n + (text[n] == ',');
    }
    return 0;
}

double lca_optim_lr(const struct lca_optim *o, uint64_t t)
{
    double lr = o->lr;
    for (unsigned k = 0; k < o->n_at && o->at[k].t <= t; k++)
        lr = o->at[k].lr;
    return lr;
}

static void sgd(float *theta, float *v, const float *g, size_t n, float lr, float momentum)
{
    for (size_t i = 0; i < n; i++) {
        v[i] = momentum * v[i] + g[i];
        theta[i] -= lr * v[i];
    }
}

static void adam(float *theta, float *m, float *v, const float *g, size_t n, double lr, uint64_t t)
{
    const double b1 = 0.9, b2 = 0.999;
    float rate = (float)(lr * sqrt(1 - pow(b2, (double)t)) / (1 - pow(b1, (double)t)));
    for (size_t i = 0; i < n; i++) {
        m[i] = (float)b1 * m[i] + (float)(1 - b1) * g[i];
        v[i] = (float)b2 * v[i] + (float)(1 - b2) * (g[i] * g[i]);
        theta[i] -= rate * (m[i] / (sqrtf(v[i]) + 1e-8f));
    }
}

static void step_layer(struct lca_optim *o, unsigned k, float *theta, const float *grad)
{
    const struct lca_optim_layer *l = &o->layer[k];
    size_t off = o->table->layer[k].off, n = o->table->layer[k].len;
    float waiting[256];
    float *ring = l->delay ? o->ring + l->ring + o->t % l->delay * n : NULL;
    double lr = lca_optim_lr(o, o->t), momentum = isnan(l->momentum) ? o->momentum : l->momentum;
    if (!isnan(l->lr))
        lr = o->lr > 0 ? l->lr * (lr / o->lr) : l->lr;
    bool frozen = o->t >= l->freeze;
    if (frozen) {
        memset(o->m + off, 0, n * sizeof(float));
        if (o->v)
            memset(o->v + off, 0, n * sizeof(float));
    }
    for (size_t i = 0; i < n; ) {
        size_t some = n;
        const float *g = grad + off;
        if (ring) {     /* the new gradient takes the place of the one that has waited */
            some = n - i < 256 ? n - i : 256;
            memcpy(waiting, ring + i, some * sizeof(float));
            memcpy(ring + i, g + i, some * sizeof(float));
            g = waiting;
        }
        size_t at = off + i;
        i += some;
        if (frozen || o->t < l->delay)
            continue;
        if (o->kind == LCA_ADAM)
            adam(theta + at, o->m + at, o->v + at, g, some, lr, o->t - l->delay + 1);
        else
            sgd(theta + at, o->m + at, g, some, (float)lr, (float)momentum);
    }
}

void lca_optim_step(struct lca_optim *o, float *theta, const float *grad)
{
    for (unsigned k = 0; k < o->table->n_layer; k++)
        step_layer(o, k, theta, grad);
    o->t++;
}

void lca_optim_clear(struct lca_optim *o)
{
    free(o->layer);
    free(o->m);
    free(o->v);
    free(o->ring);
    *o = (struct lca_optim){0};
}
