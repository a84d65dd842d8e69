/* The plain-C reference: each operation against what it must be by definition and
 * against central differences, each kind of layer and each built-in network in
 * double against differences along random directions, whole and by class. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "backend/cpu/reference-ops.h"
#include "net-cases.h"
#include "nn/reference-net.h"

static double *randoms(size_t n, uint64_t which)
{
    struct lca_rng rng = {5, LCA_RNG_TEST, which};
    double *x = lca_alloc(n, sizeof *x, NULL);
    for (size_t i = 0; i < n; i++)
        x[i] = lca_rng_normal(&rng, i);
    return x;
}

/* Operations one by one */

enum { N = 3 };

struct window { enum lca_layer_type type; uint32_t h, w, in, out, kernel, stride; bool same; };
static const struct window windows[] = {
    {LCA_CONV, 6, 6, 2, 3, 3, 1, true},    {LCA_CONV, 6, 6, 2, 3, 3, 2, true},
    {LCA_CONV, 7, 5, 2, 3, 3, 2, true},    {LCA_CONV, 5, 8, 1, 4, 5, 2, true},
    {LCA_CONV, 4, 6, 3, 2, 7, 1, true},    {LCA_CONV, 5, 6, 2, 2, 2, 1, true},
    {LCA_CONV, 5, 6, 2, 2, 2, 2, true},    {LCA_CONV, 5, 7, 3, 2, 1, 1, true},
    {LCA_CONV, 5, 7, 3, 2, 1, 2, true},    {LCA_CONV, 1, 1, 3, 4, 3, 1, true},
    {LCA_CONV, 8, 7, 2, 3, 3, 3, true},    {LCA_CONV, 6, 7, 2, 3, 3, 1, false},
    {LCA_CONV, 8, 7, 2, 3, 3, 2, false},   {LCA_CONV, 8, 8, 2, 3, 2, 3, false},
    {LCA_CONV, 5, 5, 2, 3, 5, 1, false},   {LCA_CONV, 1, 9, 2, 3, 5, 2, true},
    {LCA_MAXPOOL, 6, 7, 3, 3, 2, 2, false}, {LCA_MAXPOOL, 7, 6, 3, 3, 3, 2, false},
    {LCA_MAXPOOL, 5, 5, 3, 3, 3, 1, false}, {LCA_MAXPOOL, 8, 5, 3, 3, 2, 3, false},
    {LCA_AVGPOOL, 6, 7, 3, 3, 2, 2, false}, {LCA_AVGPOOL, 7, 6, 3, 3, 3, 2, false},
    {LCA_AVGPOOL, 5, 5, 3, 3, 3, 1, false}, {LCA_AVGPOOL, 8, 5, 3, 3, 2, 3, false},
    {LCA_GAP, 5, 4, 3, 3, 0, 0, false},     {LCA_GAP, 1, 1, 3, 3, 0, 0, false},
    {LCA_BATCHNORM, 4, 5, 3, 3, 0, 0, false}, {LCA_BATCHNORM, 1, 1, 4, 4, 0, 0, false},
};
enum { WINDOWS = sizeof windows / sizeof *windows };

/* Sizes and padding as the network formats define them, worked out anew. */
static struct lca_geometry geometry(const struct window *v)
{
    struct lca_geometry g = {.type = v->type, .in = {v->h, v->w, v->in}, .kernel = v->kernel, .stride = v->stride,
                             .eps = 1e-3};
    uint32_t size[2] = {v->h, v->w}, out[2] = {1, 1}, pad[2] = {0};
    for (int i = 0; i < 2 && v->type != LCA_GAP; i++) {
        if (v->type == LCA_BATCHNORM) {
            out[i] = size[i];
        } else if (v->same) {
            out[i] = (uint32_t)ceil((double)size[i] / v->stride);
            pad[i] = (uint32_t)fmax(0, floor(((out[i] - 1.0) * v->stride + v->kernel - size[i]) / 2));
        } else {
            out[i] = (size[i] - v->kernel) / v->stride + 1;
        }
    }
    g.out = (struct lca_shape){out[0], out[1], v->out};
    g.pad_top = pad[0];
    g.pad_left = pad[1];
    return g;
}

static double element(const double *x, struct lca_shape s, size_t e, long h, long w, size_t c)
{
    bool inside = h >= 0 && h < (long)s.h && w >= 0 && w < (long)s.w;
    return inside ? x[((e * s.h + (size_t)h) * s.w + (size_t)w) * s.c + c] : 0;
}

/* With a kernel that is 1 at one place and 0 elsewhere, a convolution moves the image. */
static void a_convolution_moves_and_adds(const struct lca_geometry *g)
{
    size_t n_in = N * lca_shape_size(g->in), n_out = N * lca_shape_size(g->out);
    size_t taps = (size_t)g->kernel * g->kernel * g->in.c * g->out.c;
    double *x = randoms(n_in, 1), *w = lca_alloc(taps, sizeof *w, NULL), *y = lca_alloc(n_out, sizeof *y, NULL);
    double *b = randoms(g->out.c, 2), *sum = lca_alloc(n_out, sizeof *sum, NULL);
    double *all = randoms(taps, 3), *none = lca_alloc(g->out.c, sizeof *none, NULL);
    for (size_t k = 0; k < taps; k++) {
        size_t o = k % g->out.c, i = k / g->out.c % g->in.c, tap = k / g->out.c / g->in.c;
        w[k] = 1;
        lca_reference_conv_d(g, x, w, b, y, N);
        w[k] = 0;
        for (size_t p = 0; p < n_out; p++) {
            size_t c = p % g->out.c, ow = p / g->out.c % g->out.w, oh = p / g->out.c / g->out.w % g->out.h;
            double moved = element(x, g->in, p / lca_shape_size(g->out),
                                   (long)(oh * g->stride + tap / g->kernel) - (long)g->pad_top,
                                   (long)(ow * g->stride + tap % g->kernel) - (long)g->pad_left, i);
            assert_true(y[p] == b[c] + (c == o ? moved : 0));
            sum[p] += c == o ? all[k] * moved : 0;
        }
    }
    lca_reference_conv_d(g, x, all, none, y, N);
    for (size_t p = 0; p < n_out; p++)
        assert_true(fabs(y[p] - sum[p]) < 1e-12);
    double *const used[] = {x, w, y, b, sum, all, none};
    for (size_t k = 0; k < sizeof used / sizeof *used; k++)
        free(used[k]);
}

static void convolutions_move_and_add(void **state)
{
    (void)state;
    for (size_t k = 0; k < WINDOWS; k++)
        if (windows[k].type == LCA_CONV) {
            struct lca_geometry g = geometry(&windows[k]);
            a_convolution_moves_and_adds(&g);
        }
}

static void pools_take_the_largest_and_the_mean(void **state)
{
    (void)state;
    for (size_t k = 0; k < WINDOWS; k++) {
        struct lca_geometry g = geometry(&windows[k]);
        if (g.type != LCA_MAXPOOL && g.type != LCA_AVGPOOL && g.type != LCA_GAP)
            continue;
        size_t n_in = N * lca_shape_size(g.in), n_out = N * lca_shape_size(g.out);
        double *x = randoms(n_in, 1), *y = lca_alloc(n_out, sizeof *y, NULL);
        if (g.type == LCA_MAXPOOL)
            lca_reference_maxpool_d(&g, x, y, N);
        else if (g.type == LCA_AVGPOOL)
            lca_reference_avgpool_d(&g, x, y, N);
        else
            lca_reference_gap_d(&g, x, y, N);
        for (size_t p = 0; p < n_out; p++) {
            size_t c = p % g.out.c, ow = p / g.out.c % g.out.w, oh = p / g.out.c / g.out.w % g.out.h;
            uint32_t high = g.type == LCA_GAP ? g.in.h : g.kernel, wide = g.type == LCA_GAP ? g.in.w : g.kernel;
            double most = -INFINITY, sum = 0;
            for (uint32_t i = 0; i < high * wide; i++) {
                double v = element(x, g.in, p / lca_shape_size(g.out), (long)(oh * g.stride + i / wide),
                                   (long)(ow * g.stride + i % wide), c);
                most = fmax(most, v);
                sum += v;
            }
            double want = g.type == LCA_MAXPOOL ? most : sum / (high * wide);
            assert_true(fabs(y[p] - want) < 1e-14);
        }
        free(x);
        free(y);
    }
}

static void ties_go_to_the_first_of_the_window(void **state)
{
    (void)state;
    struct lca_geometry g = geometry(&(struct window){LCA_MAXPOOL, 3, 3, 1, 1, 2, 1, false});
    /* overlapping windows of equal values: each passes its upper left one */
    float x[9] = {0}, dy[4] = {1, 2, 4, 8}, dx[9] = {0};
    lca_reference_maxpool_gradient_f(&g, x, dy, dx, 1);
    static const float first[9] = {1, 2, 0, 4, 8, 0, 0, 0, 0};
    assert_memory_equal(dx, first, sizeof dx);
    /* one largest in the middle: it gets all, on top of what there was */
    x[4] = 1;
    lca_reference_maxpool_gradient_f(&g, x, dy, dx, 1);
    assert_true(dx[4] == 8 + 15);
}

static void batch_norm_of_known_numbers(void **state)
{
    (void)state;
    /* channel 0: 1 2 3 4 5 6, mean 3.5, variance 35/12; channel 1: always 7 */
    struct lca_geometry g = geometry(&(struct window){LCA_BATCHNORM, 1, 3, 2, 2, 0, 0, false});
    double x[12], y[12], gamma[2] = {2, 3}, beta[2] = {-1, 5};
    for (int i = 0; i < 6; i++) {
        x[2 * i] = i + 1;
        x[2 * i + 1] = 7;
    }
    lca_reference_batchnorm_d(&g, x, gamma, beta, y, 2);
    for (int i = 0; i < 6; i++) {
        assert_true(fabs(y[2 * i] - (2 * (i - 2.5) / sqrt(35.0 / 12 + 1e-3) - 1)) < 1e-14);
        assert_true(y[2 * i + 1] == 5);
    }
    /* statistics are of all that is given: another chunk, other numbers */
    lca_reference_batchnorm_d(&g, x, gamma, beta, y, 1);
    assert_true(fabs(y[0] - (-2 / sqrt(2.0 / 3 + 1e-3) - 1)) < 1e-14);
}

/* One operation as f(x, w, b) with everything that its gradient needs. */
static void forward_of(const struct lca_geometry *g, const double *x, const double *w, const double *b, double *y)
{
    switch (g->type) {
    case LCA_CONV: lca_reference_conv_d(g, x, w, b, y, N); break;
    case LCA_MAXPOOL: lca_reference_maxpool_d(g, x, y, N); break;
    case LCA_AVGPOOL: lca_reference_avgpool_d(g, x, y, N); break;
    case LCA_GAP: lca_reference_gap_d(g, x, y, N); break;
    default: lca_reference_batchnorm_d(g, x, w, b, y, N); break;
    }
}

static void backward_of(const struct lca_geometry *g, const double *x, const double *w, const double *dy, double *dw,
                        double *db, double *dx)
{
    switch (g->type) {
    case LCA_CONV: lca_reference_conv_gradient_d(g, x, w, dy, dw, db, dx, N); break;
    case LCA_MAXPOOL: lca_reference_maxpool_gradient_d(g, x, dy, dx, N); break;
    case LCA_AVGPOOL: lca_reference_avgpool_gradient_d(g, dy, dx, N); break;
    case LCA_GAP: lca_reference_gap_gradient_d(g, dy, dx, N); break;
    default: lca_reference_batchnorm_gradient_d(g, x, w, dy, dw, db, dx, N); break;
    }
}

/* d/dv of sum(dy y) for each number v of x, w and b; all gradients are added to. */
static void an_operation_has_its_gradient(const struct lca_geometry *g)
{
    size_t n_in = N * lca_shape_size(g->in), n_out = N * lca_shape_size(g->out);
    bool conv = g->type == LCA_CONV, learns = conv || g->type == LCA_BATCHNORM;
    size_t n_w = conv ? (size_t)g->kernel * g->kernel * g->in.c * g->out.c : g->out.c;
    size_t size[3] = {n_in, n_w, g->out.c};
    double *at[3], *slope[3], *dy = randoms(n_out, 9), *up = randoms(n_out, 0), *down = randoms(n_out, 0);
    for (int k = 0; k < 3; k++) {
        at[k] = randoms(size[k], 11 + (uint64_t)k);
        slope[k] = lca_alloc(size[k], sizeof **slope, NULL);
        for (size_t i = 0; i < size[k]; i++)
            slope[k][i] = 0.25;
    }
    backward_of(g, at[0], at[1], dy, slope[1], slope[2], slope[0]);
    if (learns)     /* dx not wanted: nothing else changes, as the doubled dw and db show below */
        backward_of(g, at[0], at[1], dy, slope[1], slope[2], NULL);
    for (int k = 0; k < (learns ? 3 : 1); k++)
        for (size_t i = 0; i < size[k]; i++) {
            double keep = at[k][i], h = 1e-5, numeric = 0;
            at[k][i] = keep + h;
            forward_of(g, at[0], at[1], at[2], up);
            at[k][i] = keep - h;
            forward_of(g, at[0], at[1], at[2], down);
            at[k][i] = keep;
            for (size_t p = 0; p < n_out; p++)
                numeric += dy[p] * (up[p] - down[p]) / (2 * h);
            double got = (slope[k][i] - 0.25) / (k > 0 ? 2 : 1);
            if (!(fabs(got - numeric) < 1e-8 * (1 + fabs(numeric))))
                fail_msg("type %d, %ux%u, kernel %u, stride %u: gradient %zu of %d is %.12g, difference %.12g", g->type,
                         g->in.h, g->in.w, g->kernel, g->stride, i, k, got, numeric);
        }
    for (int k = 0; k < 3; k++) {
        free(at[k]);
        free(slope[k]);
    }
    free(dy);
    free(up);
    free(down);
}

static void operations_have_their_gradients(void **state)
{
    (void)state;
    for (size_t k = 0; k < WINDOWS; k++) {
        struct lca_geometry g = geometry(&windows[k]);
        an_operation_has_its_gradient(&g);
    }
}

static void sums_and_dropout(void **state)
{
    (void)state;
    double x[3] = {1, -2, 3}, x2[3] = {10, 20, 30}, y[3], dx[3] = {1, 1, 1}, dx2[3] = {2, 2, 2};
    lca_reference_add_d(x, x2, y, 3);
    assert_true(y[0] == 11 && y[1] == 18 && y[2] == 33);
    lca_reference_add_gradient_d(x, dx, dx2, 3);
    assert_true(dx[0] == 2 && dx[1] == -1 && dx[2] == 4 && dx2[0] == 3 && dx2[1] == 0 && dx2[2] == 5);
    lca_reference_add_gradient_d(x, NULL, dx2, 3);
    assert_true(dx[0] == 2 && dx2[2] == 8);
    static const uint8_t kept[3] = {1, 0, 1};
    lca_reference_dropout_d(x, kept, 0.75, y, 3);
    assert_true(y[0] == 4 && y[1] == 0 && y[2] == 12);
}

/* The float instance is the same text: equal to rounding. */
static void float_is_double_rounded(void **state)
{
    (void)state;
    for (size_t k = 0; k < WINDOWS; k++) {
        struct lca_geometry g = geometry(&windows[k]);
        if (g.type != LCA_CONV && g.type != LCA_BATCHNORM)
            continue;
        size_t n_in = N * lca_shape_size(g.in), n_out = N * lca_shape_size(g.out);
        size_t n_w = g.type == LCA_CONV ? (size_t)g.kernel * g.kernel * g.in.c * g.out.c : g.out.c;
        size_t size[8] = {n_in, n_w, g.out.c, n_out, n_out, n_in, n_w, g.out.c};   /* x w b dy; y dx dw db */
        double *d[8];
        float *f[8];
        for (uint64_t i = 0; i < 8; i++) {
            d[i] = randoms(size[i], 30 + i);
            f[i] = lca_alloc(size[i], sizeof **f, NULL);
            for (size_t p = 0; p < size[i]; p++) {
                d[i][p] = i < 4 ? (double)(float)d[i][p] : 0;
                f[i][p] = (float)d[i][p];
            }
        }
        forward_of(&g, d[0], d[1], d[2], d[4]);
        backward_of(&g, d[0], d[1], d[3], d[6], d[7], d[5]);
        if (g.type == LCA_CONV) {
            lca_reference_conv_f(&g, f[0], f[1], f[2], f[4], N);
            lca_reference_conv_gradient_f(&g, f[0], f[1], f[3], f[6], f[7], f[5], N);
        } else {
            lca_reference_batchnorm_f(&g, f[0], f[1], f[2], f[4], N);
            lca_reference_batchnorm_gradient_f(&g, f[0], f[1], f[3], f[6], f[7], f[5], N);
        }
        for (int i = 4; i < 8; i++)
            for (size_t p = 0; p < size[i]; p++)
                assert_true(fabs((double)f[i][p] - d[i][p]) < 1e-4);
        for (int i = 0; i < 8; i++) {
            free(d[i]);
            free(f[i]);
        }
    }
}

/* Whole networks */

struct subject {
    struct lca_net net;
    struct examples some;
    struct lca_reference_chunk chunk;
    double *theta, *grad, *direction, *moved;   /* [P] */
};

static void subject_of(struct subject *s, uint32_t n)
{
    float *theta = lca_alloc(s->net.P, sizeof *theta, NULL);
    s->some = examples_for(&s->net, n, 0);
    s->chunk = (struct lca_reference_chunk){s->some.x, s->some.label, n};
    s->theta = lca_alloc(s->net.P, sizeof *s->theta, NULL);
    s->grad = lca_alloc(s->net.P, sizeof *s->grad, NULL);
    s->direction = lca_alloc(s->net.P, sizeof *s->direction, NULL);
    s->moved = lca_alloc(s->net.P, sizeof *s->moved, NULL);
    parameters_for(&s->net, 3, theta);
    for (uint64_t i = 0; i < s->net.P; i++)
        s->theta[i] = (double)theta[i];
    free(theta);
}

static void subject_clear(struct subject *s)
{
    free(s->theta);
    free(s->grad);
    free(s->direction);
    free(s->moved);
    examples_clear(&s->some);
    lca_net_clear(&s->net);
}

static struct lca_reference_result evaluate(const struct subject *s, const double *theta, int only, double *grad)
{
    struct lca_err err = {0};
    struct lca_reference_result r;
    if (lca_reference_eval(&s->net, theta, &s->chunk, only, 0, &r, grad, &err) < 0)
        fail_msg("%s", err.text);
    return r;
}

/* Along one random direction, with the largest step that crosses no kink. */
static void slope_is_difference(struct subject *s, const char *what, int only, uint64_t way)
{
    struct lca_reference_result here = evaluate(s, s->theta, only, s->grad), end[2];
    struct lca_rng rng = {17, LCA_RNG_TEST, way};
    double slope = 0, h = 4e-5;
    for (uint64_t i = 0; i < s->net.P; i++) {
        s->direction[i] = lca_rng_normal(&rng, i);
        slope += s->grad[i] * s->direction[i];
    }
    do {
        h /= 4;
        for (int up = 0; up < 2; up++) {
            for (uint64_t i = 0; i < s->net.P; i++)
                s->moved[i] = s->theta[i] + (up ? h : -h) * s->direction[i];
            end[up] = evaluate(s, s->moved, only, NULL);
        }
    } while (h > 1e-9 && (end[0].pattern != here.pattern || end[1].pattern != here.pattern));
    assert_true(end[0].pattern == here.pattern && end[1].pattern == here.pattern);
    double numeric = (end[1].loss - end[0].loss) / (2 * h), size = 0;
    for (uint64_t i = 0; i < s->net.P; i++)
        size += s->grad[i] * s->grad[i];
    /* rounding of the losses over the step, and the third derivative */
    double allowed = 4e-16 * (1 + here.loss) * sqrt((double)s->net.n_layer) * 30 / h + 1e-6 * sqrt(size);
    if (!(fabs(numeric - slope) <= allowed))
        fail_msg("%s, class %d, direction %d: slope %.12g, difference %.12g, step %g", what, only, (int)way, slope,
                 numeric, h);
    /* the bar itself must mean something */
    if (only == LCA_REFERENCE_ALL && size > 0 && !(allowed < 1e-3 * sqrt(size)))
        fail_msg("%s: the difference is known to %g only, of a gradient of %g", what, allowed, sqrt(size));
}

static void classes_add_up(struct subject *s, const char *what)
{
    double loss = 0, *sum = lca_alloc(s->net.P, sizeof *sum, NULL), size = 0;
    for (uint32_t c = 0; c < s->net.classes; c++) {
        loss += evaluate(s, s->theta, (int)c, s->grad).loss;
        for (uint64_t i = 0; i < s->net.P; i++)
            sum[i] += s->grad[i];
    }
    struct lca_reference_result all = evaluate(s, s->theta, LCA_REFERENCE_ALL, s->grad);
    assert_true(fabs(loss - all.loss) < 1e-12 * (1 + loss));
    for (uint64_t i = 0; i < s->net.P; i++)
        size = fmax(size, fabs(s->grad[i]));
    for (uint64_t i = 0; i < s->net.P; i++)
        if (!(fabs(sum[i] - s->grad[i]) < 1e-12 * (1 + size)))
            fail_msg("%s: classes add up to %.12g, the gradient is %.12g", what, sum[i], s->grad[i]);
    free(sum);
}

static void layers_follow_the_loss(void **state)
{
    (void)state;
    struct lca_err err = {0};
    for (size_t k = 0; k < NET_CASES; k++) {
        struct subject s;
        if (lca_net_parse(&s.net, net_cases[k].json, strlen(net_cases[k].json), &err) < 0)
            fail_msg("%s: %s", net_cases[k].what, err.text);
        subject_of(&s, net_cases[k].n);
        for (uint64_t way = 0; way < 4; way++)
            for (int only = LCA_REFERENCE_ALL; only < (int)s.net.classes; only++)
                slope_is_difference(&s, net_cases[k].what, only, way);
        classes_add_up(&s, net_cases[k].what);
        subject_clear(&s);
    }
}

static void built_in_networks_follow_the_loss(void **state)
{
    (void)state;
    struct lca_err err = {0};
    for (size_t k = 0; k < BUILT_IN; k++) {
        struct subject s;
        if (lca_net_load(&s.net, built_in[k], &err) < 0)
            fail_msg("%s", err.text);
        subject_of(&s, 2);
        slope_is_difference(&s, built_in[k], LCA_REFERENCE_ALL, 1);
        slope_is_difference(&s, built_in[k], s.some.label[0], 2);
        subject_clear(&s);
    }
}

/* The bias before a batch norm moves nothing, and one example of one pixel is all beta. */
static void batch_norm_makes_gradients_vanish(void **state)
{
    (void)state;
    struct lca_err err = {0};
    for (size_t k = 0; k < NET_CASES; k++) {
        if (strncmp(net_cases[k].what, "batch norm of one", 17) != 0)
            continue;
        struct subject s;
        assert_int_equal(lca_net_parse(&s.net, net_cases[k].json, strlen(net_cases[k].json), &err), 0);
        subject_of(&s, net_cases[k].n);
        evaluate(&s, s.theta, LCA_REFERENCE_ALL, s.grad);
        const struct lca_layer *conv = &s.net.layer[0];
        for (uint32_t o = 0; o < conv->g.out.c; o++)
            assert_true(fabs(s.grad[conv->off[LCA_BIAS] + o]) < 1e-14);
        bool pixel = conv->g.out.h == 1;
        for (uint64_t i = 0; pixel && i < conv->off[LCA_BIAS]; i++)
            assert_true(s.grad[conv->off[LCA_KERNEL] + i] == 0);
        subject_clear(&s);
    }
}

/* theta at 1e-6 from the kink of a ReLU: the sides differ, and so does what doubt sees. */
static void kinks_are_told(void **state)
{
    (void)state;
    struct lca_err err = {0};
    struct lca_net net;
    const char *json = "{\"name\":\"kink\",\"input\":[1,1,1],\"classes\":2,\"layers\":["
                       DENSE(1) "," RELU "," DENSE(2) "]}";
    assert_int_equal(lca_net_parse(&net, json, strlen(json), &err), 0);
    double x = 1, on[6] = {1, -1 + 1e-6, 1, -1}, off[6] = {1, -1 - 1e-6, 1, -1}, g[2][6];
    uint8_t label = 0;
    struct lca_reference_chunk chunk = {&x, &label, 1};
    struct lca_reference_result a, b;
    assert_int_equal(lca_reference_eval(&net, on, &chunk, LCA_REFERENCE_ALL, 0, &a, g[0], &err), 0);
    assert_int_equal(lca_reference_eval(&net, off, &chunk, LCA_REFERENCE_ALL, 0, &b, g[1], &err), 0);
    assert_true(a.pattern != b.pattern && g[0][0] != 0 && g[1][0] == 0);
    assert_true(fabs(a.loss - b.loss) < 2e-6);
    for (int sign = 0; sign < 2; sign++)
        assert_int_equal(lca_reference_eval(&net, on, &chunk, LCA_REFERENCE_ALL, sign ? 2 : -2, &b, g[sign], &err), 0);
    assert_true(b.pattern == a.pattern && b.loss == a.loss);
    assert_true((g[0][0] == 0) != (g[1][0] == 0));
    lca_net_clear(&net);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(convolutions_move_and_add),
        cmocka_unit_test(pools_take_the_largest_and_the_mean),
        cmocka_unit_test(ties_go_to_the_first_of_the_window),
        cmocka_unit_test(batch_norm_of_known_numbers),
        cmocka_unit_test(operations_have_their_gradients),
        cmocka_unit_test(sums_and_dropout),
        cmocka_unit_test(float_is_double_rounded),
        cmocka_unit_test(layers_follow_the_loss),
        cmocka_unit_test(built_in_networks_follow_the_loss),
        cmocka_unit_test(batch_norm_makes_gradients_vanish),
        cmocka_unit_test(kinks_are_told),
    };
    setenv("LCA_NETS", "pipelines/nets", 0);     /* from the root, where nobody says */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
