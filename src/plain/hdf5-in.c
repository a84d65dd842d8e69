#include "plain/hdf5-in.h"

#include <hdf5.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"

enum { BAND = 64 << 20 };       /* bytes of rows that are read at once */

struct lca_hdf5_in {
    char *path;
    hid_t file, dataset;
    uint64_t rows, columns;
    float *band;                /* [n][columns], from row `at` on; the first `have` are there. NULL where n is 1 */
    uint64_t n, at, have;
};

bool lca_hdf5_is(const char *path)
{
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
    return H5Fis_hdf5(path) > 0;
}

static bool exists(const struct lca_hdf5_in *h, const char *name)
{
    char part[300];
    /* each group on the way must be there before the next is asked for */
    for (const char *p = strchr(name, '/'); p; p = strchr(p + 1, '/')) {
        size_t n = (size_t)(p - name);
        if (n == 0)
            continue;
        if (n >= sizeof part)
            return false;
        memcpy(part, name, n);
        part[n] = 0;
        if (H5Lexists(h->file, part, H5P_DEFAULT) <= 0)
            return false;
    }
    return H5Lexists(h->file, name, H5P_DEFAULT) > 0;
}

/* Rows that lie in one chunk are read together, since each of them needs all its chunks. */
static int choose_band(struct lca_hdf5_in *h, struct lca_err *err)
{
    hsize_t chunk[2] = {1, 1};
    uint64_t row = h->columns * sizeof *h->band, most = row && row < BAND ? BAND / row : 1;
    hid_t how = H5Dget_create_plist(h->dataset);
    if (H5Pget_layout(how) == H5D_CHUNKED)
        H5Pget_chunk(how, 2, chunk);
    H5Pclose(how);
    h->n = chunk[0] < most ? chunk[0] : most;
    h->n = h->n < h->rows ? h->n : h->rows;
    if (h->n <= 1)
        return 0;
    h->band = lca_alloc(h->n * h->columns, sizeof *h->band, err);
    return h->band ? 0 : -1;
}

static int open_matrix(struct lca_hdf5_in *h, const char *name, uint64_t most_columns, struct lca_err *err)
{
    if (!exists(h, name) || (h->dataset = H5Dopen2(h->file, name, H5P_DEFAULT)) < 0)
        return lca_fail(err, LCA_USAGE, "%s has no dataset %s: name one with --dataset (h5ls -r lists them)", h->path,
                        name);
    hsize_t size[2] = {0};
    hid_t space = H5Dget_space(h->dataset), type = H5Dget_type(h->dataset);
    int axes = H5Sget_simple_extent_ndims(space);
    bool real = H5Tget_class(type) == H5T_FLOAT;
    if (axes == 2)
        H5Sget_simple_extent_dims(space, size, NULL);
    H5Tclose(type);
    H5Sclose(space);
    if (axes != 2 || !real)
        return lca_fail(err, LCA_USAGE, "%s: %s is no matrix of floating point numbers [steps + 1][parameters]",
                        h->path, name);
    h->rows = size[0];
    h->columns = size[1];
    /* before memory is set aside by what a file says */
    if (h->columns > most_columns)
        return lca_fail(err, LCA_USAGE, "%s: %s has %llu columns, more than any network here has parameters", h->path,
                        name, (unsigned long long)h->columns);
    return choose_band(h, err);
}

struct lca_hdf5_in *lca_hdf5_in_open(const char *path, const char *dataset, uint64_t *rows, uint64_t *columns,
                                     struct lca_err *err)
{
    struct lca_hdf5_in *h = lca_alloc(1, sizeof *h, err);
    if (!h)
        return NULL;
    h->dataset = -1;
    h->path = strdup(path);
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
    h->file = h->path ? H5Fopen(path, H5F_ACC_RDONLY, H5P_DEFAULT) : -1;
    if (h->file < 0) {
        lca_fail(err, LCA_CORRUPT, "%s: cannot be opened as HDF5: it is damaged, or was not closed by who wrote it",
                 path);
        goto fail;
    }
    if (!dataset)
        dataset = !exists(h, "all_weights") && exists(h, "theta/values") ? "theta/values" : "all_weights";
    if (open_matrix(h, dataset, UINT64_C(1) << 28, err) < 0)
        goto fail;
    *rows = h->rows;
    *columns = h->columns;
    return h;
fail:
    lca_hdf5_in_close(h);
    return NULL;
}

/* Rows [first, first + n) to [n][columns]. */
static int read_rows(struct lca_hdf5_in *h, uint64_t first, uint64_t n, float *to, struct lca_err *err)
{
    hsize_t start[2] = {first, 0}, count[2] = {n, h->columns};
    hid_t space = H5Dget_space(h->dataset), memory = H5Screate_simple(2, count, NULL);
    H5Sselect_hyperslab(space, H5S_SELECT_SET, start, NULL, count, NULL);
    herr_t bad = H5Dread(h->dataset, H5T_NATIVE_FLOAT, memory, space, H5P_DEFAULT, to);
    H5Sclose(memory);
    H5Sclose(space);
    return bad < 0 ? lca_fail(err, LCA_CORRUPT, "%s: rows %llu to %llu cannot be read: it is damaged", h->path,
                              (unsigned long long)first, (unsigned long long)(first + n - 1)) : 0;
}

int lca_hdf5_in_read(struct lca_hdf5_in *h, uint64_t k, float *to, struct lca_err *err)
{
    if (!h->band)
        return read_rows(h, k, 1, to, err);
    if (k < h->at || k >= h->at + h->have) {
        uint64_t first = k / h->n * h->n, n = h->n < h->rows - first ? h->n : h->rows - first;
        h->have = 0;
        if (read_rows(h, first, n, h->band, err) < 0)
            return -1;
        h->at = first;
        h->have = n;
    }
    memcpy(to, h->band + (k - h->at) * h->columns, h->columns * sizeof *to);
    return 0;
}

void lca_hdf5_in_close(struct lca_hdf5_in *h)
{
    if (!h)
        return;
    if (h->dataset >= 0)
        H5Dclose(h->dataset);
    if (h->file >= 0)
        H5Fclose(h->file);
    free(h->band);
    free(h->path);
    free(h);
}
