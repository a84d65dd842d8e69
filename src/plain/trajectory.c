#include "plain/trajectory.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/buf.h"

/* A matrix must have as many columns as the network has parameters. */
static int open_matrix(struct lca_trajectory *t, const char *path, const struct lca_trajectory_opts *o,
                       struct lca_err *err)
{
    uint64_t columns;
    if (o->map)
        return lca_fail(err, LCA_USAGE, "--map is for snapshots with named tensors: the columns of %s have no names",
                        path);
    if (lca_hdf5_is(path)) {
        t->from = LCA_FROM_HDF5;
        if (!(t->hdf5 = lca_hdf5_in_open(path, o->dataset, &t->n, &columns, err)))
            return -1;
    } else {
        if (o->dataset)
            return lca_fail(err, LCA_USAGE, "--dataset: %s is no HDF5 file", path);
        t->from = LCA_FROM_NPY;
        if (lca_npy_rows_open(&t->npy, path, err) < 0)
            return -1;
        t->n = t->npy.rows;
        columns = t->npy.columns;
    }
    if (columns != t->net->P)
        return lca_fail(err, LCA_USAGE, "%s has %" PRIu64 " columns, and %s has %" PRIu64 " parameters: a row is a "
                        "vector of them all", path, columns, t->net->name, t->net->P);
    for (unsigned k = 0; k < t->net->table.n_tensor; k++)
        t->permuted |= t->laid[k].permuted;
    t->row = t->permuted ? lca_alloc(t->net->P, sizeof *t->row, err) : NULL;
    return t->permuted && !t->row ? -1 : 0;
}

int lca_trajectory_open(struct lca_trajectory *t, const char *path, const struct lca_net *net,
                        const struct lca_trajectory_opts *o, struct lca_err *err)
{
    struct stat s;
    *t = (struct lca_trajectory){.net = net};
    if (stat(path, &s) < 0)
        return lca_fail_errno(err, LCA_USAGE, "cannot open %s", path);
    if (!(t->laid = lca_layout_tensors(net, o->layout, err)))
        return -1;
    int result;
    if (!S_ISDIR(s.st_mode)) {
        result = open_matrix(t, path, o, err);
    } else if (o->dataset) {
        result = lca_fail(err, LCA_USAGE, "--dataset: %s is no HDF5 file", path);
    } else {
        t->from = LCA_FROM_SNAPSHOTS;
        result = lca_snapshots_open(&t->snapshots, path, net, t->laid, o->layout, o->map, err);
        t->n = t->snapshots.n;
    }
    if (result == 0 && t->n == 0)
        result = lca_fail(err, LCA_USAGE, "%s has no rows", path);
    if (result < 0)
        lca_trajectory_close(t);
    return result;
}

int lca_trajectory_read(struct lca_trajectory *t, uint64_t k, float *theta, struct lca_err *err)
{
    float *row = t->permuted ? t->row : theta;
    if (t->from == LCA_FROM_SNAPSHOTS)
        return lca_snapshots_read(&t->snapshots, k, theta, err);
    if (t->from == LCA_FROM_HDF5 ? lca_hdf5_in_read(t->hdf5, k, row, err) < 0
                                 : lca_npy_rows_read(&t->npy, k, row, err) < 0)
        return -1;
    for (unsigned i = 0; t->permuted && i < t->net->table.n_tensor; i++) {
        uint64_t off = t->net->table.tensor[i].off;
        lca_layout_in(&t->laid[i], theta + off, row + off);
    }
    return 0;
}

void lca_trajectory_close(struct lca_trajectory *t)
{
    lca_hdf5_in_close(t->hdf5);
    if (t->from == LCA_FROM_NPY)
        lca_npy_rows_close(&t->npy);
    if (t->from == LCA_FROM_SNAPSHOTS)
        lca_snapshots_close(&t->snapshots);
    free(t->laid);
    free(t->row);
    *t = (struct lca_trajectory){0};
}
