#include "lca/path.h"

#include <math.h>
#include <string.h>

static const struct {
    const char *name;
    int pieces;
    bool refines;
} rules[] = {
    [LCA_FIRST_ORDER] = {"first-order", 1, false},
    [LCA_TRAPEZOID]   = {"trapezoid", 1, true},
    [LCA_MIDPOINT]    = {"midpoint", 1, false},
    [LCA_SIMPSON]     = {"simpson", 2, true},
    [LCA_BOOLE]       = {"boole", 4, true},
};

int lca_rule_parse(const char *name, enum lca_rule *rule, struct lca_err *err)
{
    for (size_t k = 0; k < sizeof rules / sizeof *rules; k++) {
        if (strcmp(rules[k].name, name) == 0) {
            *rule = (enum lca_rule)k;
            return 0;
        }
    }
    return lca_fail(err, LCA_USAGE, "no rule '%s': choose first-order, trapezoid, midpoint, simpson or boole", name);
}

const char *lca_rule_name(enum lca_rule rule)
{
    return rules[rule].name;
}

int lca_rule_pieces(enum lca_rule rule)
{
    return rules[rule].pieces;
}

bool lca_rule_refines(enum lca_rule rule)
{
    return rules[rule].refines;
}

static int log2_exact(int n)
{
    int k = 0;
    while (k < LCA_LEVELS && 1 << k < n)
        k++;
    return k < LCA_LEVELS && 1 << k == n ? k : -1;
}

int lca_path_level(enum lca_rule rule, int n)
{
    if (n < 1 || n > 1 << (LCA_LEVELS - 1))
        return -1;
    int k = log2_exact(rule == LCA_MIDPOINT ? 2 * n : n);
    return rule == LCA_FIRST_ORDER && k >= 0 ? 0 : k;
}

int lca_path_weights(enum lca_rule rule, int n, double w[LCA_LEVELS], struct lca_err *err)
{
    int top = lca_path_level(rule, n);
    if (top < 0)
        return lca_fail(err, LCA_USAGE, "%d pieces: the number must be a power of two up to %d", n, 1 << (LCA_LEVELS - 1));
    for (int k = 0; k < LCA_LEVELS; k++)
        w[k] = 0;
    if (rule == LCA_FIRST_ORDER)
        return 0;
    if (rule == LCA_MIDPOINT) {
        w[top] = 1.0 / n;
        return 0;
    }
    if (rule == LCA_BOOLE && top >= 2) {    /* 7, 32, 12, 32, 14, 32, ..., 7 */
        for (int k = 1; k < top - 1; k++)
            w[k] = 28.0 / (45.0 * n);
        w[0] = 14.0 / (45.0 * n);
        w[top - 1] = 24.0 / (45.0 * n);
        w[top] = 64.0 / (45.0 * n);
    } else if (rule != LCA_TRAPEZOID && top >= 1) {     /* 1, 4, 2, 4, ..., 1 */
        for (int k = 1; k < top; k++)
            w[k] = 2.0 / (3.0 * n);
        w[0] = 1.0 / (3.0 * n);
        w[top] = 4.0 / (3.0 * n);
    } else {                                /* 1/2, 1, 1, ..., 1/2 */
        for (int k = 1; k <= top; k++)
            w[k] = 1.0 / n;
        w[0] = 0.5 / n;
    }
    return 0;
}

void lca_path_node(float *x, const float *a, const float *b, size_t P, unsigned j, unsigned n)
{
    double s = (double)j / n;
    for (size_t i = 0; i < P; i++)
        x[i] = (float)(a[i] + s * ((double)b[i] - a[i]));
}

struct lca_path_sums lca_path_allocate(float *A, const float *a, const float *b, const double *G,
                                       const double *g0, size_t P)
{
    struct lca_path_sums s = {0};
    for (size_t i = 0; i < P; i++) {
        double d = (double)b[i] - a[i], x = d * G[i];
        if (A)
            A[i] = (float)x;
        s.sum += x;
        s.abs += fabs(x);
        s.fo += d * g0[i];
    }
    return s;
}

double lca_path_change(const float *a, const float *b, const double *G, size_t P)
{
    double sum = 0;
    for (size_t i = 0; i < P; i++)
        sum += ((double)b[i] - a[i]) * G[i];
    return sum;
}

void lca_path_add(double *acc, const float *g, size_t n)
{
    for (size_t i = 0; i < n; i++)
        acc[i] += g[i];
}

void lca_path_combine(double *G, const double *const *row, const double *w, int n_rows, size_t P)
{
    for (size_t i = 0; i < P; i++) {
        double x = 0;
        for (int k = 0; k < n_rows; k++)
            x += w[k] * row[k][i];
        G[i] = x;
    }
}
