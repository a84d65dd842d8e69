/* A network's parameters as cells: each parameter in the cell of its input and output,
 * and every cell a sum. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <stdlib.h>

#include "web/grid.h"

static void add(struct lca_table *t, const char *layer, enum lca_kind_of kind, uint32_t a, uint32_t b, uint32_t c,
                uint32_t d)
{
    uint32_t shape[4] = {a, b, c, d};
    unsigned n = d ? 4 : b ? 2 : 1;
    char name[64];
    snprintf(name, sizeof name, "%s/%s", layer, lca_kind_of_name[kind]);
    assert_int_equal(lca_table_add(t, layer, name, kind, shape, n, NULL), 0);
}

/* The cell that a single parameter of tensor k lights up. */
static void where(const struct lca_grid *g, uint64_t P, uint64_t i, uint32_t *row, uint32_t *col)
{
    float *v = calloc(P, sizeof *v);
    double *cell = calloc(g->n_cell, sizeof *cell);
    v[i] = 1;
    lca_grid_add(g, v, cell);
    unsigned found = 0;
    for (unsigned k = 0; k < g->n_patch; k++) {
        const struct lca_patch *p = &g->patch[k];
        for (uint64_t c = 0; c < (uint64_t)p->rows * p->cols; c++) {
            if (cell[p->at + c] == 0)
                continue;
            assert_true(cell[p->at + c] == 1);
            assert_true(i >= p->tensor->off && i < p->tensor->off + p->tensor->len);
            *row = (uint32_t)(c / p->cols);
            *col = (uint32_t)(c % p->cols);
            found++;
        }
    }
    assert_int_equal(found, 1);
    free(v);
    free(cell);
}

static void dense_inputs_are_rows_and_outputs_columns(void **state)
{
    (void)state;
    struct lca_table t = {0};
    struct lca_grid g;
    uint32_t row, col;
    add(&t, "a", LCA_KERNEL, 784, 100, 0, 0);
    add(&t, "a", LCA_BIAS, 100, 0, 0, 0);
    assert_int_equal(lca_grid_init(&g, &t, NULL), 0);
    /* 784 = 60 x 13 + 4, 100 = 50 x 2 */
    assert_int_equal(g.patch[0].rows, 61);
    assert_int_equal(g.patch[0].cols, 50);
    assert_int_equal(g.n_cell, 61 * 50 + 50);
    where(&g, t.P, 0, &row, &col);
    assert_int_equal(row, 0);
    assert_int_equal(col, 0);
    where(&g, t.P, 783 * 100 + 99, &row, &col);
    assert_int_equal(row, 60);
    assert_int_equal(col, 49);
    where(&g, t.P, 26 * 100 + 7, &row, &col);
    assert_int_equal(row, 2);
    assert_int_equal(col, 3);
    where(&g, t.P, 78400 + 31, &row, &col);
    assert_int_equal(row, 0);
    assert_int_equal(col, 15);
    lca_grid_clear(&g);
    lca_table_clear(&t);
}

static void pixels_of_few_channels_have_cells_of_their_own(void **state)
{
    (void)state;
    struct lca_table t = {0};
    struct lca_grid g;
    uint32_t row, col;
    add(&t, "c", LCA_KERNEL, 3, 3, 2, 5);       /* [y][x][in][out] */
    assert_int_equal(lca_grid_init(&g, &t, NULL), 0);
    assert_int_equal(g.patch[0].rows, 6);
    assert_int_equal(g.patch[0].cols, 15);
    where(&g, t.P, ((2 * 3 + 1) * 2 + 1) * 5 + 4, &row, &col);
    assert_int_equal(row, 1 * 3 + 2);
    assert_int_equal(col, 4 * 3 + 1);
    lca_grid_clear(&g);
    lca_table_clear(&t);
}

static void pixels_of_many_channels_are_summed(void **state)
{
    (void)state;
    struct lca_table t = {0};
    struct lca_grid g;
    uint32_t row, col;
    add(&t, "c", LCA_KERNEL, 3, 3, 32, 128);
    add(&t, "c", LCA_GAMMA, 128, 0, 0, 0);
    assert_int_equal(lca_grid_init(&g, &t, NULL), 0);
    assert_int_equal(g.patch[0].rows, 32);
    assert_int_equal(g.patch[0].cols, 64);
    where(&g, t.P, ((1 * 3 + 2) * 32 + 17) * 128 + 101, &row, &col);
    assert_int_equal(row, 17);
    assert_int_equal(col, 50);
    lca_grid_clear(&g);
    lca_table_clear(&t);
}

/* Whatever the shapes, also when made smaller: nothing is lost and nothing counted twice. */
static void cells_add_up_to_their_tensor(void **state)
{
    (void)state;
    static const uint32_t shape[][4] = {{1, 1, 0, 0}, {65, 64, 0, 0}, {129, 200, 0, 0}, {5, 5, 1, 20}, {5, 5, 20, 40},
                                        {1, 1, 16, 32}, {3, 5, 7, 3}, {3, 3, 64, 65}};
    for (unsigned k = 0; k < sizeof shape / sizeof *shape; k++) {
        struct lca_table t = {0};
        struct lca_grid g;
        add(&t, "x", LCA_KERNEL, shape[k][0], shape[k][1], shape[k][2], shape[k][3]);
        add(&t, "x", LCA_BETA, shape[k][3] ? shape[k][3] : shape[k][1], 0, 0, 0);
        assert_int_equal(lca_grid_init(&g, &t, NULL), 0);
        float *v = calloc(t.P, sizeof *v), whole[LCA_GRID_SIDE * LCA_GRID_SIDE], less[LCA_GRID_SIDE * LCA_GRID_SIDE];
        double *cell = calloc(g.n_cell, sizeof *cell);
        for (uint64_t i = 0; i < t.P; i++)
            v[i] = (float)(i % 7) - 2;
        lca_grid_add(&g, v, cell);
        for (unsigned j = 0; j < g.n_patch; j++) {
            const struct lca_patch *p = &g.patch[j];
            double of_tensor = 0, of_cells = 0, of_fewer = 0;
            assert_true(p->rows <= LCA_GRID_SIDE && p->cols <= LCA_GRID_SIDE);
            for (uint64_t i = 0; i < p->tensor->len; i++)
                of_tensor += v[p->tensor->off + i];
            for (uint32_t c = 0; c < p->rows * p->cols; c++) {
                of_cells += cell[p->at + c];
                whole[c] = (float)cell[p->at + c];
            }
            lca_grid_pool(p, 4, whole, less);
            for (uint32_t c = 0; c < lca_grid_less(p->rows, 4) * lca_grid_less(p->cols, 4); c++)
                of_fewer += less[c];
            assert_true(of_cells == of_tensor);
            assert_true(of_fewer == of_tensor);
        }
        free(v);
        free(cell);
        lca_grid_clear(&g);
        lca_table_clear(&t);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(dense_inputs_are_rows_and_outputs_columns),
        cmocka_unit_test(pixels_of_few_channels_have_cells_of_their_own),
        cmocka_unit_test(pixels_of_many_channels_are_summed),
        cmocka_unit_test(cells_add_up_to_their_tensor),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
