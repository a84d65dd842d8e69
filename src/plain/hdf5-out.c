#include "plain/hdf5-out.h"

#include <errno.h>
#include <hdf5.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"

enum { CHUNK = 1 << 20, SMALL_CHUNK = 1 << 15, AXES = 5 };

struct lca_hdf5_rows {
    struct lca_hdf5_out *file;
    struct lca_hdf5_rows *next;
    char *name;
    hid_t dataset, type;
    hsize_t size[AXES];             /* [0]: rows so far */
    int n;
};

struct lca_hdf5_out {
    char *path;
    hid_t file, links, text;        /* links: how links are made, with the groups before them */
    struct lca_hdf5_rows *rows;
    bool broken;                    /* a write has failed: the library is not to be called again */
};

/* The innermost thing that the library says. */
static herr_t keep_first(unsigned n, const H5E_error2_t *e, void *arg)
{
    if (n == 0)
        *(const char **)arg = e->desc;
    return 0;
}

static int failed(struct lca_hdf5_out *o, const char *name, struct lca_err *err)
{
    const char *why = NULL;
    int saved = errno;
    o->broken = true;
    H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, keep_first, &why);
    if (saved == ENOSPC || saved == EDQUOT)
        return lca_fail(err, LCA_INTERNAL, "%s: the disk is full: make room and start again", o->path);
    if (saved == EFBIG)
        return lca_fail(err, LCA_INTERNAL, "%s: cannot write %s: the file is too large for this system or its limits",
                        o->path, name);
    return lca_fail(err, LCA_INTERNAL, "%s: cannot write %s: %s", o->path, name, why ? why : "HDF5 does not say why");
}

struct lca_hdf5_out *lca_hdf5_out_new(const char *path, struct lca_err *err)
{
    struct lca_hdf5_out *o = lca_alloc(1, sizeof *o, err);
    if (!o)
        return NULL;
    /* closing what could not be written crashes in HDF5 1.10, at the end of the program too */
    H5dont_atexit();
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
    o->path = strdup(path);
    hid_t access = H5Pcreate(H5P_FILE_ACCESS);
    errno = 0;
    /* attributes of more than 64 KiB need the format of HDF5 1.8 */
    H5Pset_libver_bounds(access, H5F_LIBVER_V18, H5F_LIBVER_LATEST);
    o->file = o->path ? H5Fcreate(path, H5F_ACC_TRUNC, H5P_DEFAULT, access) : -1;
    H5Pclose(access);
    if (o->file < 0) {
        if (errno)
            lca_fail_errno(err, LCA_USAGE, "%s: cannot write", path);
        else
            failed(o, "it", err);
        free(o->path);
        free(o);
        return NULL;
    }
    o->links = H5Pcreate(H5P_LINK_CREATE);
    H5Pset_create_intermediate_group(o->links, 1);
    o->text = H5Tcopy(H5T_C_S1);
    H5Tset_size(o->text, H5T_VARIABLE);
    H5Tset_cset(o->text, H5T_CSET_UTF8);
    return o;
}

static hid_t type_of(const char *dt)
{
    static const struct {
        const char *dt;
        hid_t *type;
    } types[] = {{"<f4", &H5T_IEEE_F32LE_g}, {"<f8", &H5T_IEEE_F64LE_g}, {"<u4", &H5T_STD_U32LE_g},
                 {"<u8", &H5T_STD_U64LE_g}, {"<i4", &H5T_STD_I32LE_g}, {"|u1", &H5T_STD_U8LE_g}};
    H5open();
    for (size_t k = 0; k < sizeof types / sizeof *types; k++)
        if (strncmp(types[k].dt, dt, 3) == 0)
            return *types[k].type;
    return -1;
}

/* texts */

static int put_attribute(struct lca_hdf5_out *o, const char *at, const char *name, hid_t type, hid_t space,
                         const void *data, struct lca_err *err)
{
    hid_t a = o->broken ? -1 : H5Acreate_by_name(o->file, at, name, type, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    herr_t bad = a < 0 ? -1 : H5Awrite(a, type, data);
    if (bad < 0)
        return o->broken ? -1 : failed(o, name, err);
    H5Aclose(a);
    H5Sclose(space);
    return 0;
}

int lca_hdf5_out_text(struct lca_hdf5_out *o, const char *at, const char *name, const char *text, struct lca_err *err)
{
    return put_attribute(o, at, name, o->text, H5Screate(H5S_SCALAR), &text, err);
}

int lca_hdf5_out_fixed(struct lca_hdf5_out *o, const char *at, const char *name, const char *text, struct lca_err *err)
{
    hid_t type = H5Tcopy(H5T_C_S1);
    size_t n = strlen(text);
    H5Tset_size(type, n ? n : 1);
    H5Tset_strpad(type, H5T_STR_NULLPAD);
    int result = put_attribute(o, at, name, type, H5Screate(H5S_SCALAR), text, err);
    H5Tclose(type);
    return result;
}

/* The texts of a list, borrowed; to be freed. */
static const char **texts_of(const json_t *list, hsize_t *n, struct lca_err *err)
{
    *n = json_array_size(list);
    const char **text = lca_alloc(*n + 1, sizeof *text, err);
    for (size_t k = 0; text && k < *n; k++) {
        text[k] = json_string_value(json_array_get(list, k));
        text[k] = text[k] ? text[k] : "";
    }
    return text;
}

int lca_hdf5_out_texts(struct lca_hdf5_out *o, const char *at, const char *name, const json_t *list,
                       struct lca_err *err)
{
    hsize_t n;
    const char **text = texts_of(list, &n, err);
    int result = text ? put_attribute(o, at, name, o->text, H5Screate_simple(1, &n, NULL), text, err) : -1;
    free(text);
    return result;
}

static int put_dataset(struct lca_hdf5_out *o, const char *name, hid_t type, hid_t space, const void *data,
                       struct lca_err *err)
{
    hid_t d = o->broken ? -1 : H5Dcreate2(o->file, name, type, space, o->links, H5P_DEFAULT, H5P_DEFAULT);
    herr_t bad = d < 0 ? -1 : H5Dwrite(d, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, data);
    if (bad < 0)
        return o->broken ? -1 : failed(o, name, err);
    H5Dclose(d);
    H5Sclose(space);
    return 0;
}

int lca_hdf5_out_strings(struct lca_hdf5_out *o, const char *name, const json_t *list, struct lca_err *err)
{
    hsize_t n;
    if (json_is_string(list)) {
        const char *one = json_string_value(list);
        return put_dataset(o, name, o->text, H5Screate(H5S_SCALAR), &one, err);
    }
    const char **text = texts_of(list, &n, err);
    int result = text ? put_dataset(o, name, o->text, H5Screate_simple(1, &n, NULL), text, err) : -1;
    free(text);
    return result;
}

int lca_hdf5_out_numbers(struct lca_hdf5_out *o, const char *name, const char *dt, const uint64_t *shape, unsigned n,
                         const void *data, struct lca_err *err)
{
    hsize_t size[AXES];
    for (unsigned d = 0; d < n; d++)
        size[d] = shape[d];
    return put_dataset(o, name, type_of(dt), H5Screate_simple((int)n, size, NULL), data, err);
}

/* rows */

/* Long rows in a few chunks of the same length, many short ones in one. */
static void choose_chunk(hsize_t *chunk, const struct lca_hdf5_rows *r, size_t element)
{
    hsize_t bytes = element, wide = CHUNK / element;
    for (int d = 1; d < r->n; d++) {
        chunk[d] = r->size[d] ? r->size[d] : 1;
        bytes *= chunk[d];
    }
    chunk[0] = bytes < SMALL_CHUNK ? SMALL_CHUNK / bytes : 1;
    hsize_t pieces = r->n == 2 ? (chunk[1] + wide - 1) / wide : 1;
    if (pieces > 1)
        chunk[1] = (chunk[1] + pieces - 1) / pieces;
}

struct lca_hdf5_rows *lca_hdf5_rows_new(struct lca_hdf5_out *o, const char *name, const char *dt, const uint64_t *shape,
                                        unsigned n, struct lca_err *err)
{
    struct lca_hdf5_rows *r = lca_alloc(1, sizeof *r, err);
    hsize_t most[AXES] = {H5S_UNLIMITED}, chunk[AXES];
    if (!r)
        return NULL;
    r->file = o;
    r->type = type_of(dt);
    r->n = (int)n + 1;
    for (unsigned d = 0; d < n; d++)
        r->size[d + 1] = most[d + 1] = shape[d];
    size_t element = (size_t)(dt[2] - '0');
    choose_chunk(chunk, r, element);
    hid_t space = H5Screate_simple(r->n, r->size, most), how = H5Pcreate(H5P_DATASET_CREATE);
    hid_t cache = H5Pcreate(H5P_DATASET_ACCESS);
    H5Pset_chunk(how, r->n, chunk);
    /* room for one chunk: what is written once is not kept */
    H5Pset_chunk_cache(cache, 11, CHUNK, 1.0);
    r->dataset = H5Dcreate2(o->file, name, r->type, space, o->links, how, cache);
    H5Pclose(cache);
    H5Pclose(how);
    H5Sclose(space);
    r->name = strdup(name);
    if (r->dataset < 0 || !r->name) {
        failed(o, name, err);
        free(r->name);
        free(r);
        return NULL;
    }
    r->next = o->rows;
    o->rows = r;
    return r;
}

int lca_hdf5_rows_put(struct lca_hdf5_rows *r, uint64_t row, uint64_t off, uint64_t n, const void *data,
                      struct lca_err *err)
{
    hsize_t start[AXES] = {row}, count[AXES] = {1};
    for (int d = 1; d < r->n; d++)
        count[d] = r->size[d];
    if (r->n == 2) {
        start[1] = off;
        count[1] = n;
    }
    if (row >= r->size[0]) {
        r->size[0] = row + 1;
        if (H5Dset_extent(r->dataset, r->size) < 0)
            return failed(r->file, r->name, err);
    }
    hid_t space = H5Dget_space(r->dataset), memory = H5Screate_simple(r->n, count, NULL);
    H5Sselect_hyperslab(space, H5S_SELECT_SET, start, NULL, count, NULL);
    herr_t bad = H5Dwrite(r->dataset, r->type, memory, space, H5P_DEFAULT, data);
    H5Sclose(memory);
    H5Sclose(space);
    return bad < 0 ? failed(r->file, r->name, err) : 0;
}

int lca_hdf5_rows_cut(struct lca_hdf5_rows *r, uint64_t rows, struct lca_err *err)
{
    if (r->size[0] <= rows || r->file->broken)
        return 0;
    r->size[0] = rows;
    return H5Dset_extent(r->dataset, r->size) < 0 ? failed(r->file, r->name, err) : 0;
}

int lca_hdf5_out_close(struct lca_hdf5_out *o, struct lca_err *err)
{
    bool was_broken = o && o->broken;
    if (!o)
        return 0;
    for (struct lca_hdf5_rows *r = o->rows, *next; r; r = next) {
        next = r->next;
        if (!o->broken && H5Dclose(r->dataset) < 0)
            failed(o, r->name, err);
        free(r->name);
        free(r);
    }
    if (!o->broken) {
        H5Tclose(o->text);
        H5Pclose(o->links);
        if (H5Fclose(o->file) < 0)
            failed(o, "it", err);
    }
    int result = o->broken && !was_broken ? -1 : 0;     /* else it has been told */
    free(o->path);
    free(o);
    return result;
}
