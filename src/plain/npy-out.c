#include "plain/npy-out.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/tool.h"

enum { HEADER = 256 };      /* bytes before the elements: a multiple of 64 with room for any shape of ours */

static int cannot_write(const struct lca_npy_out *o, struct lca_err *err)
{
    return o->is_stdout ? lca_tool_stdout_failed(err) : lca_fail_errno(err, LCA_INTERNAL, "%s: cannot write", o->name);
}

/* \x93NUMPY, version, length of the rest, a Python dictionary, spaces, a line break */
static int put_header(struct lca_npy_out *o, struct lca_err *err)
{
    char h[HEADER];
    size_t at = 10;
    memset(h, ' ', sizeof h);
    memcpy(h, "\x93NUMPY\x01\x00", 8);
    h[8] = (char)((HEADER - 10) & 255);
    h[9] = (char)((HEADER - 10) >> 8);
    at += (size_t)snprintf(h + at, sizeof h - at, "{'descr': '%s', 'fortran_order': False, 'shape': (", o->dt);
    for (unsigned d = 0; d < o->n_shape; d++)
        at += (size_t)snprintf(h + at, sizeof h - at, "%" PRIu64 ", ", o->shape[d]);
    at += (size_t)snprintf(h + at, sizeof h - at, "), }");
    h[at] = ' ';
    h[HEADER - 1] = '\n';
    return fwrite(h, 1, HEADER, o->file) == HEADER ? 0 : cannot_write(o, err);
}

/* A file that is appended to takes no header at its beginning. */
static bool can_seek(int fd)
{
    struct stat s;
    int flags = fcntl(fd, F_GETFL);
    return fstat(fd, &s) == 0 && S_ISREG(s.st_mode) && flags >= 0 && !(flags & O_APPEND) &&
           lseek(fd, 0, SEEK_CUR) == 0;
}

int lca_npy_out_open(struct lca_npy_out *o, const char *path, const char *dt, const uint64_t *shape, unsigned n,
                     uint64_t rows, struct lca_err *err)
{
    *o = (struct lca_npy_out){.n_shape = n + 1, .is_stdout = !path};
    snprintf(o->dt, sizeof o->dt, "%s", dt);
    o->row_bytes = (uint64_t)(dt[2] - '0');
    o->shape[0] = rows;
    for (unsigned d = 0; d < n; d++)
        o->row_bytes *= o->shape[d + 1] = shape[d];
    o->name = strdup(path ? path : "stdout");
    o->file = path ? fopen(path, "wb") : stdout;
    if (!o->name || !o->file) {
        lca_fail_errno(err, LCA_USAGE, "%s: cannot write", path);
        goto fail;
    }
    o->seeks = can_seek(fileno(o->file));
    if (!o->seeks && rows == 0) {
        lca_fail(err, LCA_USAGE, "%s is a pipe, and an .npy file begins with its number of rows, which this stream "
                 "tells only at its end: name a file with --out", o->name);
        goto fail;
    }
    if (put_header(o, err) < 0)
        goto fail;
    return 0;
fail:
    if (path && o->file)
        fclose(o->file);
    free(o->name);
    *o = (struct lca_npy_out){0};
    return -1;
}

int lca_npy_out_put(struct lca_npy_out *o, const void *data, size_t bytes, struct lca_err *err)
{
    o->bytes += bytes;
    return fwrite(data, 1, bytes, o->file) == bytes ? 0 : cannot_write(o, err);
}

/* Gives a file the length and the header of the rows that there are. */
static int put_right(struct lca_npy_out *o, uint64_t rows, struct lca_err *err)
{
    int fd = fileno(o->file);
    if (fflush(o->file) != 0 || ftruncate(fd, (off_t)(HEADER + rows * o->row_bytes)) < 0 ||
        fseek(o->file, 0, SEEK_SET) < 0)
        return cannot_write(o, err);
    o->shape[0] = rows;
    return put_header(o, err) < 0 || fflush(o->file) != 0 ? cannot_write(o, err) : 0;
}

int lca_npy_out_close(struct lca_npy_out *o, struct lca_err *err)
{
    int result = 0;
    uint64_t rows = o->row_bytes ? o->bytes / o->row_bytes : 0;
    if (!o->file)
        return 0;
    if (o->seeks)
        result = put_right(o, rows, err);
    else if (fflush(o->file) != 0)
        result = cannot_write(o, err);
    else if (rows != o->shape[0] || o->bytes % o->row_bytes)
        result = lca_fail(err, LCA_CORRUPT, "%s: the array was announced with %" PRIu64 " rows, and %" PRIu64
                          " have come: the stream ends early; into a file (--out) what there is can be had", o->name,
                          o->shape[0], rows);
    if (!o->is_stdout && fclose(o->file) != 0 && result == 0)
        result = cannot_write(o, err);
    free(o->name);
    *o = (struct lca_npy_out){0};
    return result;
}
