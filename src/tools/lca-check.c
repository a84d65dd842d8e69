/* lca-check: is the ledger balanced?
 *
 * In: an `lca` stream. Out: a table for people, and exit status 1 where a bound that
 * the user gives, or an identity that must hold, is broken; the step is named.
 *   total error   100 (sum of A - (L_T - L_0)) / |L_T - L_0|, percent
 *   step error    e_t = (L_t+1 - L_t) - sum of A_t; mean and largest |e_t|
 * for the stream's rule and for first order (Lan et al. 2019, table S1). */
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/tool.h"
#include "filter/filter.h"

static struct {
    double max_total, max_mean, max_step;
    bool json, except_max;
    struct lca_filter_args filter;
} opt;

static const struct lca_opt opts[] = {
    {"max-total-error", 0, LCA_OPT_NUM, &opt.max_total, "PERCENT", "Bound on the size of the total error, every set.",
     1e-12, 1e12, false},
    {"max-mean-error", 0, LCA_OPT_NUM, &opt.max_mean, "NAT", "Bound on the mean step error, every set.", 1e-15, 1e12,
     false},
    {"max-step-error", 0, LCA_OPT_NUM, &opt.max_step, "NAT", "Bound on each step's error, every set.", 1e-15, 1e12,
     false},
    {"except-max-pieces", 0, LCA_OPT_FLAG, &opt.except_max, NULL, "Let steps that reached the most pieces be above "
     "--max-step-error; they are listed.", 0, 0, false},
    {"json", 0, LCA_OPT_FLAG, &opt.json, NULL, "One JSON object instead of the table.", 0, 0, false},
    {0},
};
static const struct lca_opt link_opts[] = {LCA_IN_OPTS(opt.filter.link), LCA_LOST_OPT(opt.filter.link),
                                           LCA_SAFETY_OPTS(opt.filter.link.safety), {0}};

enum { MAX_SETS = 3 };

struct ledger {
    char set[8];
    uint64_t steps, it, worst, at_max, above;
    double first, last, sum, fo;        /* nat: L_0, L_T, sums of A and of first order */
    double error, fo_error, largest;    /* sums of |e_t|, largest |e_t| */
    double step_sum, abs, class_sum;    /* of the step under way; abs: of it and its classes */
    double *A;                          /* [P], all classes, and minus the classes so far */
    int classes;                        /* so far */
};

struct check {
    const struct lca_stream *in;
    struct ledger set[MAX_SETS];
    unsigned n_set;
    bool by_class;
    uint64_t max_pieces, steps, evaluations;
    char broken[400];                   /* the first thing that is wrong */
    /* largest, in units of the sums of |A| of a step and its classes: these may cancel */
    double class_sum_error, class_A_error;
};

static void LCA_PRINTF(2, 3) broken(struct check *x, const char *format, ...)
{
    va_list ap;
    if (*x->broken)
        return;
    va_start(ap, format);
    vsnprintf(x->broken, sizeof x->broken, format, ap);
    va_end(ap);
}

static int start(void *arg, const struct lca_stream *s, struct lca_err *err)
{
    struct check *x = arg;
    x->in = s;
    x->by_class = s->head->bycls;
    /* fixed pieces never reach the most */
    bool refines = json_is_number(json_object_get(s->head->def, "tolerance"));
    x->max_pieces = UINT64_MAX;
    if (refines)
        x->max_pieces = (uint64_t)json_integer_value(json_object_get(s->head->def, "max_pieces"));
    (void)err;
    return 0;
}

static struct ledger *ledger_of(struct check *x, const char *set, struct lca_err *err)
{
    for (unsigned k = 0; k < x->n_set; k++)
        if (strcmp(x->set[k].set, set) == 0)
            return &x->set[k];
    if (x->n_set == MAX_SETS || strlen(set) >= sizeof x->set[0].set) {
        lca_fail(err, LCA_CORRUPT, "more sets than train, val and test: '%s'", set);
        return NULL;
    }
    struct ledger *l = &x->set[x->n_set++];
    strcpy(l->set, set);
    if (x->by_class && !(l->A = lca_alloc(x->in->P, sizeof *l->A, err)))
        return NULL;
    return l;
}

static double sum_of(const float *v, uint64_t n)
{
    double sum = 0;
    for (uint64_t i = 0; i < n; i++)
        sum += v[i];
    return sum;
}

/* Class by class the sums and the vectors must add up to those of all classes. */
static int step_class(struct check *x, struct ledger *l, const struct lca_step *st)
{
    if (!l->A)
        return 0;
    if (l->steps == 0 || st->it != l->it || st->cls != l->classes) {
        broken(x, "step %" PRIu64 " (%s): class %d comes where class %d of step %" PRIu64 " is due", st->it, st->set,
               st->cls, l->classes, l->it);
        return 0;
    }
    l->classes++;
    l->class_sum += st->lca->sum;
    l->abs += st->lca->abs;
    for (uint64_t i = 0; i < x->in->P; i++)
        l->A[i] -= st->v[i];
    if (l->classes < (int)x->in->n_classes)
        return 0;
    double gap = 0, unit = l->abs > 0 ? l->abs : 1;
    for (uint64_t i = 0; i < x->in->P; i++)
        gap += fabs(l->A[i]);
    double sums = fabs(l->class_sum - l->step_sum) / unit;
    x->class_sum_error = fmax(x->class_sum_error, sums);
    x->class_A_error = fmax(x->class_A_error, gap / unit);
    if (!(sums <= 1e-12))
        broken(x, "step %" PRIu64 " (%s): the class sums differ from the sum by %.3g of the sum of |A|", st->it, st->set,
               sums);
    if (!(gap / unit <= 1e-6))
        broken(x, "step %" PRIu64 " (%s): the class A differ from A by %.3g of the sum of |A|", st->it, st->set,
               gap / unit);
    return 0;
}

/* Each step has all its classes. */
static void check_classes(struct check *x, const struct ledger *l)
{
    if (l->A && l->steps > 0 && l->classes < (int)x->in->n_classes)
        broken(x, "step %" PRIu64 " (%s) has %d of %u classes", l->it, l->set, l->classes, x->in->n_classes);
}

static int step(void *arg, const struct lca_step *st, struct lca_emit *e, struct lca_err *err)
{
    struct check *x = arg;
    (void)e;
    if (st->kind != LCA_KIND_lca)
        return 0;
    struct ledger *l = ledger_of(x, st->set, err);
    if (!l)
        return -1;
    const struct lca_frame_lca *h = st->lca;
    if (st->cls >= 0)
        return step_class(x, l, st);
    check_classes(x, l);
    double res = h->L1 - h->L0 - h->sum, sum = sum_of(st->v, x->in->P), size = fabs(res);
    if (l->steps == 0)
        l->first = h->L0;
    else if (h->L0 != l->last || st->it != l->it + 1)
        broken(x, "step %" PRIu64 " (%s) does not begin where step %" PRIu64 " ended", st->it, st->set, l->it);
    if (!isfinite(res) || res != h->res)
        broken(x, "step %" PRIu64 " (%s): the residual %.9g is not L1 - L0 - sum", st->it, st->set, h->res);
    /* float A carry 2^-24 of their size each */
    if (!(fabs(sum - h->sum) <= 1e-6 * h->abs + 1e-30))
        broken(x, "step %" PRIu64 " (%s): A adds up to %.9g, its frame says %.9g", st->it, st->set, sum, h->sum);
    bool at_max = h->n >= x->max_pieces;
    if (opt.max_step > 0 && size > opt.max_step) {
        l->above++;
        if (!opt.json && at_max && opt.except_max)
            printf("step %" PRIu64 " (%s): %.3g nat with the most pieces, %" PRIu64 "\n", st->it, st->set, res, h->n);
        if (!at_max || !opt.except_max)
            broken(x, "step %" PRIu64 " (%s): the error of %.3g nat with %" PRIu64 " pieces is above %.3g", st->it,
                   st->set, res, h->n, opt.max_step);
    }
    if (strcmp(st->set, "train") == 0) {
        x->steps++;
        x->evaluations += h->ev;
    }
    l->at_max += at_max;
    l->steps++;
    l->it = st->it;
    l->last = h->L1;
    l->sum += h->sum;
    l->fo += h->fo;
    l->error += size;
    l->fo_error += fabs(h->L1 - h->L0 - h->fo);
    if (size > l->largest || l->steps == 1) {
        l->largest = size;
        l->worst = st->it;
    }
    l->abs = h->abs;
    l->step_sum = h->sum;
    l->class_sum = 0;
    l->classes = 0;
    for (uint64_t i = 0; l->A && i < x->in->P; i++)
        l->A[i] = st->v[i];
    return 0;
}

static double percent(double sum, const struct ledger *l)
{
    double change = l->last - l->first;
    return change != 0 ? 100 * (sum - change) / fabs(change) : 0;
}

static json_t *numbers(const struct ledger *l)
{
    double n = (double)l->steps;
    return json_pack("{s:f, s:f, s:f, s:f, s:f, s:I, s:{s:f, s:f}}", "loss_first", l->first, "loss_last", l->last,
                     "total_error_percent", percent(l->sum, l), "mean_step_error", l->error / n, "max_step_error",
                     l->largest, "max_step_error_at", (json_int_t)l->worst, "first_order", "total_error_percent",
                     percent(l->fo, l), "mean_step_error", l->fo_error / n);
}

static json_t *final(void *arg)
{
    struct check *x = arg;
    json_t *keys = json_object();
    for (unsigned k = 0; k < x->n_set; k++) {
        struct ledger *l = &x->set[k];
        if (strcmp(l->set, "train") == 0) {
            json_t *own = numbers(l);
            json_object_update(keys, own);
            json_decref(own);
        } else {
            /* the first held-out set, and others by name */
            const char *key = json_object_get(keys, "heldout") ? l->set : "heldout";
            json_object_set_new(keys, key, numbers(l));
        }
    }
    if (x->by_class) {
        json_object_set_new(keys, "class_sum_error", json_real(x->class_sum_error));
        json_object_set_new(keys, "class_lca_error", json_real(x->class_A_error));
    }
    return keys;
}

static void print_table(const struct check *x, const char *rule)
{
    printf("%-6s %-12s %8s %14s %14s %12s   %s\n", "set", "rule", "steps", "total error", "mean |e|", "max |e|", "at step");
    for (unsigned k = 0; k < x->n_set; k++) {
        const struct ledger *l = &x->set[k];
        double n = (double)l->steps;
        printf("%-6s %-12s %8" PRIu64 " %+13.5f%% %10.3e nat %8.2e nat %7" PRIu64 "\n", l->set, rule, l->steps,
               percent(l->sum, l), l->error / n, l->largest, l->worst);
        printf("%-6s %-12s %8" PRIu64 " %+13.5f%% %10.3e nat\n", l->set, "first-order", l->steps, percent(l->fo, l),
               l->fo_error / n);
        if (opt.max_step > 0)
            printf("%-6s %" PRIu64 " steps above %g nat, %" PRIu64 " with the most pieces\n", l->set, l->above,
                   opt.max_step, l->at_max);
    }
    if (x->by_class)
        printf("classes: sums differ by %.2e, A by %.2e of the sum of |A| at most\n", x->class_sum_error,
               x->class_A_error);
    if (x->steps)
        printf("%.3f gradients per step\n", (double)x->evaluations / (double)x->steps);
}

static int end(void *arg, struct lca_emit *e, struct lca_err *err)
{
    struct check *x = arg;
    (void)e, (void)err;
    for (unsigned k = 0; k < x->n_set; k++) {
        struct ledger *l = &x->set[k];
        check_classes(x, l);
        double total = fabs(percent(l->sum, l)), mean = l->error / (double)l->steps;
        if (opt.max_total > 0 && !(total <= opt.max_total))
            broken(x, "%s: the total error of %.5f %% is above %g %%; the worst step is %" PRIu64, l->set, total,
                   opt.max_total, l->worst);
        if (opt.max_mean > 0 && !(mean <= opt.max_mean))
            broken(x, "%s: the mean step error of %.3g nat is above %g; the worst step is %" PRIu64, l->set, mean,
                   opt.max_mean, l->worst);
    }
    if (opt.json) {
        json_t *keys = final(x);
        json_dumpf(keys, stdout, JSON_COMPACT);
        putchar('\n');
        json_decref(keys);
    } else {
        print_table(x, x->in->head->rule ? x->in->head->rule : "?");
    }
    return 0;
}

static int run(int argc, char **argv, struct lca_err *err)
{
    (void)argv;
    (void)argc;
    static struct check x;
    struct lca_filter f = {.prog = "lca-check", .any_value = true, .self = &x, .start = start, .step = step,
                           .end = end, .final = final};
    int result = lca_filter_run(&f, &opt.filter, err);
    for (unsigned k = 0; k < x.n_set; k++)
        free(x.set[k].A);
    return result == 0 && *x.broken ? lca_fail(err, LCA_INTERNAL, "%s", x.broken) : result;
}

static const struct lca_tool tool = {
    .name = "lca-check",
    .summary = "audit the conservation of an lca stream",
    .usage = "[OPTION]...",
    .about = "Reads an lca stream to its end and prints, for each set, the total error and the step errors of the "
             "stream's rule and of first order: how far the sums of A are from the change of the loss. It also "
             "checks that every frame adds up to what it says, that each step begins where the one before ended, and "
             "that classes add up to the whole.\n\nWhere a bound given by an option, or one of these, does not hold, it "
             "names the first step and exits with 1.",
    .examples = "  lca-check --max-total-error 0.05 --max-step-error 1e-3 < run.lca",
    .opts = opts,
    .more = link_opts,
    .max_args = 0,
    .run = run,
};

int main(int argc, char **argv)
{
    return lca_tool_main(&tool, argc, argv);
}
