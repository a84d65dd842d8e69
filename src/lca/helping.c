#include "lca/helping.h"

#include <math.h>

const char *const lca_helping_name[LCA_HELP_MEASURES] = {"p", "q", "z", "w"};

enum { LANES = 8, TILE = 4096 };

static double fold(const double v[LANES])
{
    return ((v[0] + v[1]) + (v[2] + v[3])) + ((v[4] + v[5]) + (v[6] + v[7]));
}

/* Signs of A [n], n at most TILE, as loops that compilers turn into vector
 * instructions: one for integers, one for sums. */
static void count_signs(struct lca_helping *c, const float *A, uint32_t *restrict helped, uint32_t n)
{
    uint32_t negative = 0, zero = 0;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t is = A[i] < 0;
        helped[i] += is;
        negative += is;
        zero += A[i] == 0;
    }
    c->negative += negative;
    c->zero += zero;
}

static void add_sizes(double sum[LANES], double size[LANES], const float *A, uint32_t n)
{
    uint32_t i = 0;
    for (; i + LANES <= n; i += LANES) {
        for (int p = 0; p < LANES; p++) {
            double x = A[i + p];
            sum[p] += x;
            size[p] += fabs(x);
        }
    }
    for (; i < n; i++) {
        sum[0] += A[i];
        size[0] += fabs((double)A[i]);
    }
}

void lca_helping_count(struct lca_helping *c, const float *A, uint32_t *helped, uint64_t n)
{
    double sum[LANES] = {0}, size[LANES] = {0};
    *c = (struct lca_helping){.n = n};
    for (uint64_t i = 0; i < n; i += TILE) {
        uint32_t now = n - i < TILE ? (uint32_t)(n - i) : TILE;
        count_signs(c, A + i, helped + i, now);
        add_sizes(sum, size, A + i, now);
    }
    /* sum = all - 2 helped */
    c->all = fold(size);
    c->helped = (c->all - fold(sum)) / 2;
}

void lca_helping_signs(struct lca_helping *c, const float *A, uint64_t n)
{
    *c = (struct lca_helping){.n = n};
    for (uint64_t i = 0; i < n;) {
        uint64_t end = n - i < TILE ? n : i + TILE;
        uint32_t negative = 0, zero = 0;
        for (; i < end; i++) {
            negative += A[i] < 0;
            zero += A[i] == 0;
        }
        c->negative += negative;
        c->zero += zero;
    }
}

void lca_helping_add(struct lca_helping *to, const struct lca_helping *c)
{
    to->n += c->n;
    to->negative += c->negative;
    to->zero += c->zero;
    to->helped += c->helped;
    to->all += c->all;
}

void lca_helping_measure(double m[LCA_HELP_MEASURES], const struct lca_helping *c)
{
    double n = (double)c->n, negative = (double)c->negative, moved = n - (double)c->zero;
    m[LCA_HELP_P] = n > 0 ? 100 * negative / n : NAN;
    m[LCA_HELP_Q] = moved > 0 ? 100 * negative / moved : NAN;
    m[LCA_HELP_Z] = n > 0 ? 100 * (double)c->zero / n : NAN;
    m[LCA_HELP_W] = c->all > 0 ? 100 * c->helped / c->all : NAN;
}
