#include "data/npy.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "data/input.h"

enum { MAX_HEADER = 1 << 16, MAX_AXES = 8 };

/* What an array's header says. */
struct array {
    char order, kind;       /* '<', '>', '|' or '='; 'u', 'i', ... */
    unsigned size;          /* bytes of an element */
    uint64_t shape[MAX_AXES];
    int axes;
    bool fortran;           /* column major */
};

static int no_npy(const struct lca_input *in, const char *what, struct lca_err *err)
{
    return lca_fail(err, LCA_CORRUPT, "%s is not a .npy file (%s): save it with numpy.save",
                    in->path, what);
}

/* The text after 'key': in the header, a Python dictionary; NULL when absent. */
static const char *value_of(const char *header, const char *key)
{
    const char *p = strstr(header, key);
    if (!p)
        return NULL;
    p += strlen(key);
    while (*p == ' ')
        p++;
    if (*p++ != ':')
        return NULL;
    while (*p == ' ')
        p++;
    return p;
}

static int parse(struct array *a, const struct lca_input *in, const char *header,
                 struct lca_err *err)
{
    const char *descr = value_of(header, "'descr'");
    const char *fortran = value_of(header, "'fortran_order'");
    const char *shape = value_of(header, "'shape'");
    if (!descr || !fortran || !shape)
        return no_npy(in, "its header lacks descr, fortran_order or shape", err);
    if (descr[0] != '\'' || !strchr("<>|=", descr[1]) || !isalpha((unsigned char)descr[2]) ||
        !strchr("1248", descr[3]) || descr[4] != '\'')
        return lca_fail(err, LCA_USAGE, "%s: elements %.12s are not numbers of 1, 2, 4 or 8 "
                        "bytes: convert them with astype", in->path, descr);
    a->order = descr[1];
    a->kind = descr[2];
    a->size = (unsigned)(descr[3] - '0');
    a->fortran = strncmp(fortran, "False", 5) != 0;
    if (*shape++ != '(')
        return no_npy(in, "its shape is no tuple", err);
    for (a->axes = 0; *shape && *shape != ')'; a->axes++) {
        char *end;
        errno = 0;
        if (!isdigit((unsigned char)*shape) || a->axes == MAX_AXES)
            return no_npy(in, "its shape makes no sense", err);
        a->shape[a->axes] = strtoull(shape, &end, 10);
        if (errno)
            return no_npy(in, "its shape makes no sense", err);
        shape = end + strspn(end, ", ");
    }
    return *shape == ')' ? 0 : no_npy(in, "its shape does not end", err);
}

static int open_array(struct array *a, struct lca_input *in, const char *path, struct lca_err *err)
{
    uint8_t h[12];
    if (lca_input_open(in, path, err) < 0)
        return -1;
    if (lca_input_read(in, h, 8, err) < 0)
        return -1;
    if (memcmp(h, "\x93NUMPY", 6) != 0)
        return no_npy(in, "wrong magic", err);
    size_t wide = h[6] == 1 ? 2 : 4;
    if (h[6] < 1 || h[6] > 3)
        return no_npy(in, "unknown version", err);
    if (lca_input_read(in, h, wide, err) < 0)
        return -1;
    uint32_t len = (uint32_t)h[0] | (uint32_t)h[1] << 8;
    if (wide == 4)
        len |= (uint32_t)h[2] << 16 | (uint32_t)h[3] << 24;
    if (len > MAX_HEADER)
        return no_npy(in, "its header is too long", err);
    char *header = lca_alloc(len + 1, 1, err);
    if (!header)
        return -1;
    int result = lca_input_read(in, header, len, err);
    if (result == 0)
        result = parse(a, in, header, err);
    free(header);
    return result;
}

static int read_images(struct lca_examples *e, const char *path, struct lca_err *err)
{
    struct lca_input in;
    struct array a;
    int result = -1;
    if (open_array(&a, &in, path, err) < 0)
        goto out;
    if (a.fortran) {
        lca_fail(err, LCA_USAGE, "%s is in Fortran order: save numpy.ascontiguousarray of it", path);
        goto out;
    }
    if (a.kind != 'u' || a.size != 1 || (a.axes != 3 && a.axes != 4)) {
        lca_fail(err, LCA_USAGE, "%s holds elements of type %c%u in %d axes: images are uint8 "
                 "[n, height, width] or [n, height, width, channels]", path, a.kind, a.size,
                 a.axes);
        goto out;
    }
    uint64_t bytes = 1;
    for (int k = 0; k < a.axes; k++)
        if (__builtin_mul_overflow(bytes, a.shape[k], &bytes))
            bytes = UINT64_MAX;
    if (lca_input_room(&in, bytes, err) < 0)
        goto out;
    if (lca_examples_alloc(e, a.shape[0], a.shape[1], a.shape[2], a.axes == 4 ? a.shape[3] : 1,
                           err) < 0) {
        lca_err_prefix(err, "%s", path);
        goto out;
    }
    if (lca_input_read(&in, e->images, bytes, err) < 0 || lca_input_end(&in, err) < 0)
        goto out;
    result = 0;
out:
    lca_input_close(&in);
    return result;
}

/* One label of any width; above 255 when out of range (a negative one too). */
static uint64_t label(const struct array *a, const uint8_t *p)
{
    uint64_t x = 0;
    for (unsigned k = 0; k < a->size; k++)
        x = x << 8 | p[a->order == '>' ? k : a->size - 1 - k];
    bool negative = a->kind == 'i' && p[a->order == '>' ? 0 : a->size - 1] & 0x80;
    return negative ? UINT64_MAX : x;
}

static int read_labels(struct lca_examples *e, const char *path, const char *images,
                       struct lca_err *err)
{
    struct lca_input in;
    struct array a;
    int result = -1;
    if (open_array(&a, &in, path, err) < 0)
        goto out;
    if ((a.kind != 'u' && a.kind != 'i') || a.axes != 1) {
        lca_fail(err, LCA_USAGE, "%s holds elements of type %c%u in %d axes: labels are integers "
                 "[n]", path, a.kind, a.size, a.axes);
        goto out;
    }
    if (a.shape[0] != e->n) {
        lca_fail(err, LCA_CORRUPT, "%s has %" PRIu64 " labels for the %u images of %s: the two do "
                 "not belong together", path, a.shape[0], e->n, images);
        goto out;
    }
    for (uint32_t i = 0; i < e->n; i++) {
        uint8_t p[8];
        if (lca_input_read(&in, p, a.size, err) < 0)
            goto out;
        uint64_t x = label(&a, p);
        if (x > UINT8_MAX) {
            lca_fail(err, LCA_USAGE, "%s: label %u is outside 0 to 255: number the classes from 0",
                     path, i);
            goto out;
        }
        e->labels[i] = (uint8_t)x;
    }
    result = lca_input_end(&in, err);
out:
    lca_input_close(&in);
    return result;
}

int lca_npy_read(struct lca_examples *e, const char *images, const char *labels,
                 struct lca_err *err)
{
    *e = (struct lca_examples){0};
    if (read_images(e, images, err) < 0 || read_labels(e, labels, images, err) < 0) {
        lca_examples_clear(e);
        return -1;
    }
    return 0;
}

static double real(const struct array *a, const uint8_t *p)
{
    uint64_t bits = 0;
    for (unsigned k = 0; k < a->size; k++)
        bits = bits << 8 | p[a->order == '>' ? k : a->size - 1 - k];
    uint32_t half = (uint32_t)bits;
    float single;
    double x;
    memcpy(&single, &half, sizeof single);
    memcpy(&x, &bits, sizeof x);
    return a->size == 4 ? single : x;
}

double *lca_npy_matrix(const char *path, uint64_t *rows, uint64_t *columns, struct lca_err *err)
{
    struct lca_input in;
    struct array a;
    double *m = NULL;
    uint64_t n, bytes;
    if (open_array(&a, &in, path, err) < 0)
        goto fail;
    if (a.kind != 'f' || (a.size != 4 && a.size != 8) || (a.axes != 1 && a.axes != 2)) {
        lca_fail(err, LCA_USAGE, "%s holds elements of type %c%u in %d axes: a matrix is float32 or float64 "
                 "[rows, columns]", path, a.kind, a.size, a.axes);
        goto fail;
    }
    *rows = a.axes == 2 ? a.shape[0] : 1;
    *columns = a.shape[a.axes - 1];
    if (__builtin_mul_overflow(*rows, *columns, &n) || __builtin_mul_overflow(n, a.size, &bytes))
        bytes = UINT64_MAX;
    if (lca_input_room(&in, bytes, err) < 0 || !(m = lca_alloc(n, sizeof *m, err)))
        goto fail;
    for (uint64_t i = 0; i < n; i++) {
        uint8_t p[8];
        if (lca_input_read(&in, p, a.size, err) < 0)
            goto fail;
        m[a.fortran ? i % *rows * *columns + i / *rows : i] = real(&a, p);
    }
    if (lca_input_end(&in, err) < 0)
        goto fail;
    lca_input_close(&in);
    return m;
fail:
    lca_input_close(&in);
    free(m);
    return NULL;
}

int lca_npy_rows_open(struct lca_npy_rows *r, const char *path, struct lca_err *err)
{
    struct array a;
    uint64_t bytes;
    *r = (struct lca_npy_rows){0};
    if (open_array(&a, &r->in, path, err) < 0)
        goto fail;
    if (a.kind != 'f' || (a.size != 4 && a.size != 8) || a.axes != 2 || a.fortran) {
        lca_fail(err, LCA_USAGE, "%s holds elements of type %c%u in %d axes%s: a trajectory is float32 or float64 "
                 "[steps + 1][parameters], row major", path, a.kind, a.size, a.axes, a.fortran ? ", column major" : "");
        goto fail;
    }
    if (__builtin_mul_overflow(a.shape[0], a.shape[1], &bytes) || __builtin_mul_overflow(bytes, a.size, &bytes))
        bytes = UINT64_MAX;
    if (lca_input_room(&r->in, bytes, err) < 0)
        goto fail;
    r->rows = a.shape[0];
    r->columns = a.shape[1];
    r->size = a.size;
    r->swapped = a.order == '>';
    r->data = r->in.done;
    return 0;
fail:
    lca_npy_rows_close(r);
    return -1;
}

int lca_npy_rows_read(struct lca_npy_rows *r, uint64_t k, float *to, struct lca_err *err)
{
    struct array a = {.order = r->swapped ? '>' : '<', .size = r->size};
    unsigned char piece[1 << 14];
    if (lca_input_seek(&r->in, r->data + k * r->columns * r->size, err) < 0)
        return -1;
    if (r->size == sizeof *to && !r->swapped)
        return lca_input_read(&r->in, to, r->columns * sizeof *to, err);
    for (uint64_t done = 0; done < r->columns;) {
        size_t most = sizeof piece / r->size, n = r->columns - done < most ? (size_t)(r->columns - done) : most;
        if (lca_input_read(&r->in, piece, n * r->size, err) < 0)
            return -1;
        for (size_t i = 0; i < n; i++)
            to[done + i] = (float)real(&a, piece + i * r->size);
        done += n;
    }
    return 0;
}

void lca_npy_rows_close(struct lca_npy_rows *r)
{
    lca_input_close(&r->in);
    *r = (struct lca_npy_rows){0};
}
