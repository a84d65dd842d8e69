/* The fast evaluator against the plain-C reference in double: every layer and every
 * built-in network, on every instruction set, whole and by class, in any slices.
 *
 *     eval-conv-test                              the tests
 *     eval-conv-test NET EXAMPLES [STEPS [DEVICE]]  one comparison, at any size, after
 *                                                 STEPS training steps; prints figures
 *
 * NET may be smooth:NAME, a built-in network without its kinks. Of many examples some
 * lie so near a kink that float arithmetic lands on its other side, and each such one
 * changes the gradient by more than all rounding; without kinks rounding shows. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "net-cases.h"
#include "nn/eval.h"
#include "nn/reference-net.h"
#include "nn/train.h"

/* What the gradient may be off by: relative to its norm, and per example where it
 * vanishes. The loss: relative, and in nat per example where it is below 1.
 * Float arithmetic moves the input of a kink by less than DOUBT. */
#define TOLERANCE 1e-5
#define FLOOR 1e-7
#define LOSS_TOLERANCE 1e-6
#define DOUBT 2e-6
enum { CLASSES = 10 };                  /* at most, in any network here */

/* A network, its examples and parameters, and what the reference says of the unit
 * lo .. lo+n-1: worked out once for all devices. */
struct subject {
    const char *what;
    struct lca_net net;
    struct examples some;
    struct lca_images images;
    uint32_t lo, n;
    float *theta, *grad, *again;        /* [P], [classes][P], [P] */
    double *x64, *want;                 /* [P] */
    double *want_of[CLASSES];           /* [P] by class, NULL where it has no examples */
    double loss, loss_of[CLASSES];
    double kinks;                       /* by how much those nearby change the gradient */
};

static double norm(const double *a, uint64_t n)
{
    double s = 0;
    for (uint64_t i = 0; i < n; i++)
        s += a[i] * a[i];
    return sqrt(s);
}

static double distance(const float *a, const double *b, uint64_t n)
{
    double s = 0;
    for (uint64_t i = 0; i < n; i++)
        s += ((double)a[i] - b[i]) * ((double)a[i] - b[i]);
    return sqrt(s);
}

static double reference(const struct subject *s, int only, double doubt, double *grad)
{
    struct lca_err err = {0};
    struct lca_reference_chunk chunk = {s->some.x + s->lo * s->some.pixels, s->some.label + s->lo, s->n};
    struct lca_reference_result r;
    if (lca_reference_eval(&s->net, s->x64, &chunk, only, doubt, &r, grad, &err) < 0)
        fail_msg("%s: %s", s->what, err.text);
    return r.loss;
}

static struct lca_eval *evaluator(const struct subject *s, const char *device, uint32_t n_max)
{
    struct lca_err err = {0};
    struct lca_eval *e = lca_eval_new(&s->net, device, &s->images, n_max, &err);
    if (!e)
        fail_msg("%s: %s", s->what, err.text);
    return e;
}

/* The unit begins at an odd place of more examples than it holds. */
static void draw(struct subject *s, uint32_t n, uint64_t which)
{
    s->n = n;
    s->lo = n > 1 ? 3 : 1;
    s->some = examples_for(&s->net, s->lo + n + 2, which);
    s->images = (struct lca_images){s->some.image, s->some.label, s->some.n, s->some.pixels};
}

static void allocate(struct subject *s)
{
    s->theta = lca_alloc(s->net.P, sizeof *s->theta, NULL);
    s->grad = lca_alloc(s->net.classes * s->net.P, sizeof *s->grad, NULL);
    s->again = lca_alloc(s->net.P, sizeof *s->again, NULL);
    s->x64 = lca_alloc(s->net.P, sizeof *s->x64, NULL);
    s->want = lca_alloc(s->net.P, sizeof *s->want, NULL);
    parameters_for(&s->net, 3, s->theta);
}

static void subject_clear(struct subject *s)
{
    void *all[] = {s->theta, s->grad, s->again, s->x64, s->want};
    for (size_t k = 0; k < sizeof all / sizeof *all; k++)
        free(all[k]);
    for (size_t c = 0; c < CLASSES; c++)
        free(s->want_of[c]);
    examples_clear(&s->some);
    lca_net_clear(&s->net);
}

/* How far the gradient turns with the kinks nearby. */
static void look_for_kinks(struct subject *s)
{
    double *other = lca_alloc(s->net.P, sizeof *other, NULL);
    reference(s, LCA_REFERENCE_ALL, DOUBT, s->want);
    reference(s, LCA_REFERENCE_ALL, -DOUBT, other);
    for (uint64_t i = 0; i < s->net.P; i++)
        other[i] -= s->want[i];
    s->kinks = norm(other, s->net.P);
    free(other);
}

static bool has_kinks(const struct lca_net *net)
{
    for (unsigned k = 0; k < net->n_layer; k++)
        if (net->layer[k].g.type == LCA_RELU || net->layer[k].g.type == LCA_MAXPOOL)
            return true;
    return false;
}

static void widen(struct subject *s)
{
    for (uint64_t i = 0; i < s->net.P; i++)
        s->x64[i] = (double)s->theta[i];
}

static void consult(struct subject *s)
{
    s->loss = reference(s, LCA_REFERENCE_ALL, 0, s->want);
}

static void consult_by_class(struct subject *s)
{
    for (uint32_t c = 0; c < s->net.classes; c++) {
        if (!memchr(s->some.label + s->lo, (int)c, s->n))
            continue;
        s->want_of[c] = lca_alloc(s->net.P, sizeof **s->want_of, NULL);
        s->loss_of[c] = reference(s, (int)c, 0, s->want_of[c]);
    }
}

static double allowed(const struct subject *s, const double *want)
{
    return fmax(TOLERANCE * norm(want, s->net.P), FLOOR * s->n) + 2 * s->kinks;
}

static void agrees(const struct subject *s, const char *how, const float *grad, const double *want)
{
    double off = distance(grad, want, s->net.P), size = norm(want, s->net.P);
    if (!(off <= allowed(s, want)))
        fail_msg("%s, %s: off by %.3g, the gradient is %.3g; kinks %.3g", s->what, how, off, size, s->kinks);
    /* no tensor hides behind larger ones */
    for (unsigned k = 0; k < s->net.table.n_tensor; k++) {
        const struct lca_tensor *t = &s->net.table.tensor[k];
        double part = distance(grad + t->off, want + t->off, t->len), most = norm(want + t->off, t->len);
        if (!(part <= 10 * TOLERANCE * most + allowed(s, want) / 5 + 2 * s->kinks))
            fail_msg("%s, %s: %s off by %.3g, it is %.3g", s->what, how, t->name, part, most);
    }
}

static void loss_agrees(const struct subject *s, const char *how, double loss, double want, uint64_t n)
{
    if (!(fabs(loss - want) <= LOSS_TOLERANCE * fmax(want, (double)n)))
        fail_msg("%s, %s: loss %.12g, reference %.12g", s->what, how, loss, want);
}

static void whole_in_any_slices(struct subject *s, struct lca_eval *e)
{
    struct lca_err err = {0};
    struct lca_loss sum;
    static const uint32_t slice[] = {0, 1, 2, 3};
    for (size_t k = 0; k < sizeof slice / sizeof *slice; k++) {
        char how[32];
        snprintf(how, sizeof how, "slices of %u", slice[k]);
        lca_eval_slice(e, slice[k]);
        assert_int_equal(lca_eval_unit(e, s->theta, s->lo, s->lo + s->n, s->grad, &sum, &err), 0);
        assert_int_equal(sum.n, s->n);
        loss_agrees(s, how, sum.loss, s->loss, s->n);
        agrees(s, how, s->grad, s->want);
        struct lca_loss alone;
        assert_int_equal(lca_eval_unit(e, s->theta, s->lo, s->lo + s->n, NULL, &alone, &err), 0);
        assert_memory_equal(&alone, &sum, sizeof sum);
    }
    lca_eval_slice(e, 0);
}

/* Whatever has been computed before, and however large a unit might have been. */
static void same_bytes_again(struct subject *s, struct lca_eval *e, struct lca_eval *other)
{
    struct lca_err err = {0};
    struct lca_loss sum, sum2, some[CLASSES];
    assert_int_equal(lca_eval_unit(e, s->theta, s->lo, s->lo + s->n, s->grad, &sum, &err), 0);
    assert_int_equal(lca_eval_unit(other, s->theta, s->lo, s->lo + s->n, s->again, &sum2, &err), 0);
    assert_memory_equal(s->grad, s->again, s->net.P * sizeof *s->grad);
    assert_memory_equal(&sum, &sum2, sizeof sum);
    assert_int_equal(lca_eval_unit(other, s->theta, 0, s->n + 2, s->again, &sum2, &err), 0);
    assert_int_equal(lca_eval_classes(other, s->theta, 0, 1, NULL, some, &err), 0);
    assert_int_equal(lca_eval_unit(other, s->theta, s->lo, s->lo + s->n, s->again, &sum2, &err), 0);
    assert_memory_equal(s->grad, s->again, s->net.P * sizeof *s->grad);
    assert_memory_equal(&sum, &sum2, sizeof sum);
}

/* Named, it goes to a device once; another one takes its place, and so does one without a name. */
static void theta_by_name(struct subject *s, struct lca_eval *e, const char *device)
{
    struct lca_err err = {0};
    struct lca_loss sum, named;
    float *other = lca_alloc(s->net.P, sizeof *other, &err);
    assert_int_equal(lca_eval_unit(e, s->theta, s->lo, s->lo + s->n, s->grad, &sum, &err), 0);
    const struct {
        uint64_t id;
        const float *theta;
        bool same;
    } call[] = {{1, s->theta, true}, {1, s->theta, true}, {2, other, false}, {3, s->theta, true}, {0, other, false},
                {3, s->theta, true}, {3, other, !lca_backend_find(device, &err)->host_memory}, {4, other, false}};
    for (size_t k = 0; k < sizeof call / sizeof *call; k++) {
        lca_eval_theta(e, call[k].id);
        assert_int_equal(lca_eval_unit(e, call[k].theta, s->lo, s->lo + s->n, s->again, &named, &err), 0);
        assert_int_equal(memcmp(&named, &sum, sizeof sum) == 0, call[k].same);
        assert_int_equal(memcmp(s->again, s->grad, s->net.P * sizeof *s->grad) == 0, call[k].same);
    }
    lca_eval_theta(e, 0);
    free(other);
}

/* Units as they come from a pool: of two parameter vectors, by class and not. */
static void under_way_or_alone(struct subject *s, struct lca_eval *e)
{
    struct lca_err err = {0};
    enum { UNITS = 6 };
    const uint64_t P = s->net.P;
    const unsigned ahead = lca_eval_ahead(e);
    float *other = lca_alloc(P, sizeof *other, &err);
    const struct {
        uint64_t id;
        const float *theta;
        uint32_t lo, hi;
        bool by_class;
    } unit[UNITS] = {{1, s->theta, s->lo, s->lo + s->n, false}, {1, s->theta, 0, s->n + 2, true},
                     {1, s->theta, s->lo, s->lo + s->n, false}, {2, other, s->lo, s->lo + s->n, false},
                     {2, other, 0, s->n + 1, true},             {1, s->theta, 1, s->n + 1, false}};
    float *want[UNITS];
    struct lca_loss sum[UNITS][CLASSES] = {0}, got[CLASSES] = {0};
    memcpy(other, s->theta, P * sizeof *other);
    for (uint64_t i = 0; i < P; i += 3)
        other[i] *= 0.875f;
    lca_eval_theta(e, 0);
    for (int k = 0; k < UNITS; k++) {
        want[k] = lca_alloc(CLASSES * P, sizeof *want[k], &err);
        assert_int_equal((unit[k].by_class ? lca_eval_classes : lca_eval_unit)(e, unit[k].theta, unit[k].lo, unit[k].hi,
                                                                              want[k], sum[k], &err), 0);
    }
    for (int k = 0, begun = 0; k < UNITS; k++) {
        const float *grad;
        for (; begun < UNITS && begun < k + (int)ahead; begun++) {
            lca_eval_theta(e, unit[begun].id);
            lca_eval_begin(e, unit[begun].theta, unit[begun].lo, unit[begun].hi, unit[begun].by_class);
        }
        uint32_t rows = unit[k].by_class ? s->net.classes : 1;
        assert_int_equal(lca_eval_finish(e, &grad, got, &err), 0);
        assert_memory_equal(grad, want[k], rows * P * sizeof *grad);
        assert_memory_equal(got, sum[k], rows * sizeof *got);
    }
    /* what is wrong is said when it is its turn, and dropped units trouble nobody */
    const float *grad;
    lca_eval_begin(e, s->theta, 0, s->some.n + 1, false);
    assert_int_equal(lca_eval_finish(e, &grad, got, &err), -1);
    for (unsigned k = 0; k < ahead; k++)
        lca_eval_begin(e, other, k, k + 1, k % 2);
    lca_eval_theta(e, 0);
    assert_int_equal(lca_eval_unit(e, s->theta, s->lo, s->lo + s->n, s->again, got, &err), 0);
    assert_memory_equal(s->again, want[0], P * sizeof *s->again);
    for (int k = 0; k < UNITS; k++)
        free(want[k]);
    free(other);
}

/* A set is its units, added up. */
static void set_is_its_units(struct subject *s, struct lca_eval *e, bool by_class)
{
    struct lca_err err = {0};
    const uint32_t rows = by_class ? s->net.classes : 1, size = s->n / 3 + 1;
    const size_t n = rows * s->net.P;
    const struct lca_eval_units units = {1, s->some.n, size};
    struct lca_loss want[CLASSES] = {0}, sum[CLASSES], unit[CLASSES];
    double *total = lca_alloc(n, sizeof *total, &err), *grad = lca_alloc(n, sizeof *grad, &err);
    for (uint32_t lo = units.lo, hi; lo < units.hi; lo = hi) {
        hi = lo + size < units.hi ? lo + size : units.hi;
        assert_int_equal((by_class ? lca_eval_classes : lca_eval_unit)(e, s->theta, lo, hi, s->grad, unit, &err), 0);
        for (size_t i = 0; i < n; i++)
            total[i] += s->grad[i];
        for (uint32_t r = 0; r < rows; r++) {
            want[r].loss += unit[r].loss;
            want[r].hits += unit[r].hits;
            want[r].n += unit[r].n;
        }
    }
    for (uint64_t id = 0; id < 3; id++) {
        lca_eval_theta(e, id);
        assert_int_equal(lca_eval_set(e, s->theta, units, by_class, id == 1 ? NULL : grad, sum, &err), 0);
        assert_memory_equal(sum, want, rows * sizeof *sum);
        if (id != 1)
            assert_memory_equal(grad, total, n * sizeof *grad);
        memset(grad, 0xff, n * sizeof *grad);
    }
    lca_eval_theta(e, 0);
    assert_int_equal(lca_eval_set(e, s->theta, (struct lca_eval_units){1, s->some.n + 1, size}, by_class, grad, sum,
                                  &err), -1);
    free(total);
    free(grad);
}

static void batch_is_unit(struct subject *s, struct lca_eval *e)
{
    struct lca_err err = {0};
    struct lca_loss sum;
    uint32_t *index = lca_alloc(s->n, sizeof *index, &err);
    for (uint32_t i = 0; i < s->n; i++)
        index[i] = s->lo + s->n - 1 - i;
    assert_int_equal(lca_eval_batch(e, s->theta, index, s->n, NULL, s->again, &sum, &err), 0);
    loss_agrees(s, "as a batch", sum.loss, s->loss, s->n);
    agrees(s, "as a batch", s->again, s->want);
    free(index);
}

static void by_class(struct subject *s, struct lca_eval *e)
{
    struct lca_err err = {0};
    struct lca_loss sum[CLASSES];
    double loss = 0;
    const uint64_t P = s->net.P;
    assert_int_equal(lca_eval_classes(e, s->theta, s->lo, s->lo + s->n, s->grad, sum, &err), 0);
    for (uint32_t c = 0; c < s->net.classes; c++) {
        char how[32];
        snprintf(how, sizeof how, "class %u", c);
        assert_true((sum[c].n > 0) == (s->want_of[c] != NULL));
        loss += sum[c].loss;
        loss_agrees(s, how, sum[c].loss, s->loss_of[c], sum[c].n);
        if (s->want_of[c])
            agrees(s, how, s->grad + c * P, s->want_of[c]);
        for (uint64_t i = 0; !s->want_of[c] && i < P; i++)
            assert_true(s->grad[c * P + i] == 0);
    }
    loss_agrees(s, "all classes", loss, s->loss, s->n);
    memcpy(s->again, s->grad, P * sizeof *s->again);
    for (uint64_t i = 0; i < P; i++)
        for (uint32_t c = 1; c < s->net.classes; c++)
            s->again[i] += s->grad[c * P + i];
    agrees(s, "all classes", s->again, s->want);
}

static bool usable(const char *device)
{
    struct lca_err err = {0};
    const struct lca_backend *b = lca_backend_find(device, &err);
    struct lca_device *d = b ? b->open(device, &err) : NULL;
    if (d)
        b->close(d);
    else
        print_message("%s\n", err.text);
    return d;
}

static void units_are_units(struct subject *s, const char *device)
{
    struct lca_eval *e = evaluator(s, device, s->n + 2);
    under_way_or_alone(s, e);
    set_is_its_units(s, e, false);
    set_is_its_units(s, e, true);
    lca_eval_free(e);
}

static void subject_is_the_reference(struct subject *s, const char *device)
{
    struct lca_eval *e = evaluator(s, device, s->n), *other = evaluator(s, device, s->n + 2);
    whole_in_any_slices(s, e);
    same_bytes_again(s, e, other);
    theta_by_name(s, e, device);
    batch_is_unit(s, e);
    by_class(s, other);
    lca_eval_free(e);
    lca_eval_free(other);
}

enum { MANY = 4 };
static struct subject cases[NET_CASES], built[BUILT_IN], many[MANY];

/* Of so few examples, some that lie near no kink. */
static void prepare(struct subject *s, const char *what, uint32_t n)
{
    s->what = what;
    allocate(s);
    widen(s);
    for (uint64_t which = 0; which == 0 || s->kinks > 0; which++) {
        assert_true(which < 20);
        examples_clear(&s->some);
        draw(s, n, which);
        look_for_kinks(s);
    }
    consult(s);
    consult_by_class(s);
}

static void layers_are_the_reference(void **state)
{
    struct lca_err err = {0};
    if (!usable(*state))
        skip();
    for (size_t k = 0; k < NET_CASES; k++) {
        const struct net_case *from = &net_cases[k];
        if (!cases[k].theta) {
            if (lca_net_parse(&cases[k].net, from->json, strlen(from->json), &err) < 0)
                fail_msg("%s: %s", from->what, err.text);
            prepare(&cases[k], from->what, from->n);
        }
        subject_is_the_reference(&cases[k], *state);
        units_are_units(&cases[k], *state);
    }
}

static void built_in_networks_are_the_reference(void **state)
{
    struct lca_err err = {0};
    if (!usable(*state))
        skip();
    for (size_t k = 0; k < BUILT_IN; k++) {
        if (!built[k].theta) {
            if (lca_net_load(&built[k].net, built_in[k], &err) < 0)
                fail_msg("%s", err.text);
            prepare(&built[k], built_in[k], 2);
        }
        subject_is_the_reference(&built[k], *state);
    }
}

static int teardown(void **state)
{
    (void)state;
    for (size_t k = 0; k < NET_CASES; k++)
        subject_clear(&cases[k]);
    for (size_t k = 0; k < BUILT_IN; k++)
        subject_clear(&built[k]);
    for (size_t k = 0; k < MANY; k++)
        subject_clear(&many[k]);
    return 0;
}

/* After a few steps of training biases are not zero and classes not alike. */
static void train(struct subject *s, struct lca_eval *e, uint32_t steps)
{
    struct lca_err err = {0};
    struct lca_optim o;
    struct lca_loss sum;
    uint32_t batch = s->n < 32 ? s->n : 32, index[32];
    if (lca_optim_init(&o, &s->net.table, LCA_SGD, 0.01, 0.9, &err) < 0)
        fail_msg("%s", err.text);
    for (uint32_t t = 0; t < steps; t++) {
        for (uint32_t i = 0; i < batch; i++)
            index[i] = (t * batch + i) % s->some.n;
        assert_int_equal(lca_train_step(e, &o, s->theta, s->grad, index, batch, 1, &sum, &err), 0);
    }
    lca_optim_clear(&o);
}

/* Puts `to`, which is no longer, in place of each `from`. */
static void replace(char *text, const char *from, const char *to)
{
    size_t old = strlen(from), new = strlen(to);
    for (char *at = text; (at = strstr(at, from)); at += new) {
        memmove(at + new, at + old, strlen(at + old) + 1);
        memcpy(at, to, new);
    }
}

/* NAME, or smooth:NAME: without ReLUs, with average pools. */
static void load(struct lca_net *net, const char *name)
{
    struct lca_err err = {0};
    bool smooth = !strncmp(name, "smooth:", 7);
    if (lca_net_load(net, smooth ? name + 7 : name, &err) < 0)
        fail_msg("%s", err.text);
    if (!smooth)
        return;
    char *json = net->json;
    net->json = NULL;
    lca_net_clear(net);
    char relu[64];
    for (int k = 0; k < 64; k++) {
        snprintf(relu, sizeof relu, ",{\"type\":\"relu\",\"name\":\"relu%d\"}", k);
        replace(json, relu, "");
    }
    replace(json, "\"maxpool\"", "\"avgpool\"");
    if (lca_net_parse(net, json, strlen(json), &err) < 0)
        fail_msg("%s", err.text);
    assert_false(has_kinks(net));
    free(json);
}

/* More examples than a slice holds: errors that grow with their number show. */
static void prepare_many(struct subject *s, const char *what, uint32_t n, uint32_t steps)
{
    s->what = what;
    load(&s->net, what);
    allocate(s);
    draw(s, n, 0);
    struct lca_eval *e = evaluator(s, "cpu", n);
    train(s, e, steps);
    lca_eval_free(e);
    widen(s);
    if (has_kinks(&s->net))
        look_for_kinks(s);
    consult(s);
}

static void compare(struct subject *s, const char *device, bool tell)
{
    struct lca_err err = {0};
    struct lca_loss sum;
    struct lca_eval *e = evaluator(s, device, s->n);
    assert_int_equal(lca_eval_unit(e, s->theta, s->lo, s->lo + s->n, s->grad, &sum, &err), 0);
    double size = norm(s->want, s->net.P);
    for (unsigned k = 0; tell && k < s->net.table.n_tensor; k++) {
        const struct lca_tensor *t = &s->net.table.tensor[k];
        print_message("    %-28s off by %.2e of %.2e\n", t->name,
                      distance(s->grad + t->off, s->want + t->off, t->len) / size,
                      norm(s->want + t->off, t->len) / size);
    }
    print_message("%s, %u examples, %s: gradient off by %.2e, kinks %.2e, loss %.2e\n", s->what, s->n,
                  lca_eval_num(e), distance(s->grad, s->want, s->net.P) / size, s->kinks / size,
                  fabs(sum.loss - s->loss) / s->loss);
    loss_agrees(s, device, sum.loss, s->loss, s->n);
    agrees(s, device, s->grad, s->want);
    lca_eval_free(e);
}

static void many_examples_are_the_reference(void **state)
{
    static const struct { const char *what; uint32_t n, steps; } from[MANY] = {
        {"mnist-fc", 700, 10}, {"mnist-lenet", 70, 20}, {"smooth:mnist-lenet", 256, 20},
        {"smooth:cifar-resnet20", 40, 3},
    };
    if (!usable(*state))
        skip();
    for (size_t k = 0; k < MANY; k++) {
        if (!many[k].theta)
            prepare_many(&many[k], from[k].what, from[k].n, from[k].steps);
        compare(&many[k], *state, false);
    }
}

static const char *const *arguments;

static void as_asked(void **state)
{
    (void)state;
    const char *const *a = arguments;
    struct subject s = {0};
    prepare_many(&s, a[0], (uint32_t)atoi(a[1]), a[2] ? (uint32_t)atoi(a[2]) : 0);
    compare(&s, a[2] && a[3] ? a[3] : "cpu", true);
    subject_clear(&s);
}

int main(int argc, char **argv)
{
    /* $LCA_TEST_DEVICES names others, "cuda:0", say, apart by blanks; $LCA_TEST_ONLY tests, as
     * a pattern */
    static char names[] = "cpu:vec4 cpu:avx2 cpu:avx512 cpu:vec4:direct cpu:avx2:direct cpu:avx512:direct";
    static const struct { const char *name; CMUnitTestFunction f; } each[] = {
        {"layers_are_the_reference", layers_are_the_reference},
        {"built_in_networks_are_the_reference", built_in_networks_are_the_reference},
        {"many_examples_are_the_reference", many_examples_are_the_reference},
    };
    enum { DEVICES = 8, TESTS = 3 };
    struct CMUnitTest tests[DEVICES * TESTS], one[] = {cmocka_unit_test(as_asked)};
    char name[DEVICES * TESTS][64], *wanted = getenv("LCA_TEST_DEVICES"), *device[DEVICES];
    size_t devices = 0;
    setenv("LCA_NETS", "pipelines/nets", 0);     /* from the root, where nobody says */
    if (argc > 2) {
        arguments = (const char *const *)argv + 1;
        return cmocka_run_group_tests(one, NULL, NULL);
    }
    for (char *at = strtok(wanted ? wanted : names, " "); at && devices < DEVICES; at = strtok(NULL, " "))
        device[devices++] = at;
    for (size_t k = 0; k < devices * TESTS; k++) {
        snprintf(name[k], sizeof name[k], "%s, %s", each[k % TESTS].name, device[k / TESTS]);
        tests[k] = (struct CMUnitTest){.name = name[k], .test_func = each[k % TESTS].f,
                                       .initial_state = device[k / TESTS]};
    }
    cmocka_set_test_filter(getenv("LCA_TEST_ONLY"));
    return _cmocka_run_group_tests("eval-conv-test", tests, devices * TESTS, NULL, teardown);
}
