#include "web/grid.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"

/* One side of a kernel: n units of `pixels` pixels each. */
static uint32_t split(uint32_t n, uint32_t pixels, uint32_t *per, bool *fine)
{
    *fine = (uint64_t)n * pixels <= LCA_GRID_SIDE;
    *per = *fine ? 1 : (n + LCA_GRID_SIDE - 1) / LCA_GRID_SIDE;
    return *fine ? n * pixels : (n + *per - 1) / *per;
}

int lca_grid_init(struct lca_grid *g, const struct lca_table *t, struct lca_err *err)
{
    *g = (struct lca_grid){.patch = lca_alloc(t->n_tensor, sizeof *g->patch, err)};
    if (!g->patch)
        return -1;
    for (; g->n_patch < t->n_tensor; g->n_patch++) {
        struct lca_patch *p = &g->patch[g->n_patch];
        const struct lca_tensor *a = &t->tensor[g->n_patch];
        unsigned n = a->n_shape;
        *p = (struct lca_patch){.tensor = a, .at = g->n_cell, .height = 1, .width = 1, .in = 1,
                                .out = a->shape[n - 1]};
        if (a->kind == LCA_KERNEL && n >= 2)
            p->in = a->shape[n - 2];
        if (a->kind == LCA_KERNEL && n == 4) {
            p->height = a->shape[0];
            p->width = a->shape[1];
        }
        p->rows = split(p->in, p->height, &p->per_row, &p->row_pixels);
        p->cols = split(p->out, p->width, &p->per_col, &p->col_pixels);
        g->n_cell += (uint64_t)p->rows * p->cols;
    }
    return 0;
}

/* v [out] of one input and pixel to a row of cells; x: the pixel's column. */
static void add_row(const struct lca_patch *p, uint32_t x, const float *v, double *row)
{
    if (p->per_col == 1) {
        uint32_t stride = p->col_pixels ? p->width : 1;
        double *to = p->col_pixels ? row + x : row;
        for (uint32_t o = 0; o < p->out; o++)
            to[(size_t)o * stride] += v[o];
        return;
    }
    for (uint32_t c = 0, o = 0; c < p->cols; c++) {
        uint32_t end = o + p->per_col < p->out ? o + p->per_col : p->out;
        double sum = 0;
        for (; o < end; o++)
            sum += v[o];
        row[c] += sum;
    }
}

void lca_grid_add(const struct lca_grid *g, const float *v, double *cell)
{
    for (unsigned k = 0; k < g->n_patch; k++) {
        const struct lca_patch *p = &g->patch[k];
        const float *a = v + p->tensor->off, *end = a + p->tensor->len;
        /* a batch norm after a flattened convolution has [h w][channels]: all one row */
        for (uint64_t n = 0; a < end; n++, a += p->out) {
            uint64_t pixel = n / p->in;
            uint32_t in = (uint32_t)(n % p->in), y = (uint32_t)(pixel / p->width) % p->height;
            uint32_t row = p->row_pixels ? in * p->height + y : in / p->per_row;
            add_row(p, (uint32_t)(pixel % p->width), a, cell + p->at + (size_t)row * p->cols);
        }
    }
}

void lca_grid_pool(const struct lca_patch *p, uint32_t by, const float *cell, float *to)
{
    uint32_t cols = lca_grid_less(p->cols, by);
    memset(to, 0, (size_t)lca_grid_less(p->rows, by) * cols * sizeof *to);
    for (uint32_t r = 0; r < p->rows; r++)
        for (uint32_t c = 0; c < p->cols; c++)
            to[(size_t)(r / by) * cols + c / by] += cell[(size_t)r * p->cols + c];
}

void lca_grid_clear(struct lca_grid *g)
{
    free(g->patch);
    *g = (struct lca_grid){0};
}
