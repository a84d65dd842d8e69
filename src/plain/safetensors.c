#include "plain/safetensors.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { LENGTH = 8, PIECE = 1 << 16, ALIGN = 8 };

/* Bytes of an element; 0: a type that we do not know, whose tensor cannot be read. */
static unsigned element_size(const char *dtype)
{
    static const struct {
        const char *name;
        unsigned size;
    } types[] = {{"F32", 4}, {"F64", 8}, {"F16", 2}, {"BF16", 2}, {"I64", 8}, {"I32", 4}, {"I16", 2}, {"I8", 1},
                 {"U64", 8}, {"U32", 4}, {"U16", 2}, {"U8", 1}, {"BOOL", 1}};
    for (size_t k = 0; k < sizeof types / sizeof *types; k++)
        if (strcmp(types[k].name, dtype) == 0)
            return types[k].size;
    return 0;
}

/* reading */

static int wrong(const struct lca_safetensors *s, const char *what, struct lca_err *err)
{
    return lca_fail(err, LCA_CORRUPT, "%s is no whole safetensors file: %s", s->path, what);
}

static int wrong_tensor(const struct lca_safetensors *s, const char *name, const char *what, struct lca_err *err)
{
    return lca_fail(err, LCA_CORRUPT, "%s is no whole safetensors file: tensor '%.100s': %s", s->path, name, what);
}

static int read_at(const struct lca_safetensors *s, void *to, size_t n, uint64_t at, struct lca_err *err)
{
    unsigned char *p = to;
    while (n > 0) {
        ssize_t got = pread(s->fd, p, n, (off_t)at);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return lca_fail_errno(err, LCA_USAGE, "%s: cannot read", s->path);
        if (got == 0)
            return wrong(s, "it has become shorter", err);
        p += got;
        at += (uint64_t)got;
        n -= (size_t)got;
    }
    return 0;
}

/* A JSON integer that is no less than 0. */
static bool natural(const json_t *j, uint64_t *n)
{
    *n = (uint64_t)json_integer_value(j);
    return json_is_integer(j) && json_integer_value(j) >= 0;
}

static int read_tensor(const struct lca_safetensors *s, struct lca_stored *t, const json_t *j, uint64_t bytes,
                       struct lca_err *err)
{
    const json_t *shape = json_object_get(j, "shape"), *offsets = json_object_get(j, "data_offsets");
    const char *dtype = json_string_value(json_object_get(j, "dtype"));
    if (!dtype || strlen(dtype) >= sizeof t->dtype || !json_is_array(shape) || json_array_size(offsets) != 2 ||
        !natural(json_array_get(offsets, 0), &t->begin) || !natural(json_array_get(offsets, 1), &t->end))
        return wrong_tensor(s, t->name, "it needs dtype, shape and data_offsets", err);
    if (json_array_size(shape) > LCA_SAFETENSORS_AXES)
        return wrong_tensor(s, t->name, "it has more than 8 axes", err);
    strcpy(t->dtype, dtype);
    t->count = 1;
    for (t->n_shape = 0; t->n_shape < json_array_size(shape); t->n_shape++) {
        uint64_t *d = &t->shape[t->n_shape];
        if (!natural(json_array_get(shape, t->n_shape), d) || __builtin_mul_overflow(t->count, *d, &t->count))
            return wrong_tensor(s, t->name, "its shape makes no sense", err);
    }
    uint64_t size;
    if (t->begin > t->end || t->end > bytes)
        return wrong_tensor(s, t->name, "the file does not reach as far as its data_offsets", err);
    if (element_size(dtype) &&
        (__builtin_mul_overflow(t->count, element_size(dtype), &size) || size != t->end - t->begin))
        return wrong_tensor(s, t->name, "its data_offsets have not the size of its shape", err);
    return 0;
}

static int by_begin(const void *a, const void *b)
{
    const struct lca_stored *x = *(const struct lca_stored *const *)a, *y = *(const struct lca_stored *const *)b;
    if (x->begin != y->begin)
        return x->begin < y->begin ? -1 : 1;
    return x->end < y->end ? -1 : x->end > y->end;
}

/* One after the other, from the first byte to the last. */
static int check_cover(const struct lca_safetensors *s, uint64_t bytes, struct lca_err *err)
{
    const struct lca_stored **order = lca_alloc(s->n + 1, sizeof *order, err);
    uint64_t at = 0;
    if (!order)
        return -1;
    for (unsigned k = 0; k < s->n; k++)
        order[k] = &s->tensor[k];
    qsort(order, s->n, sizeof *order, by_begin);
    unsigned k = 0;
    for (; k < s->n && order[k]->begin == at; k++)
        at = order[k]->end;
    const char *name = k < s->n ? order[k]->name : NULL;
    free(order);
    if (name)
        return wrong_tensor(s, name, "it does not begin where the one before it ends", err);
    return at == bytes ? 0 : wrong(s, "bytes follow the last tensor", err);
}

static int read_header(struct lca_safetensors *s, uint64_t size, struct lca_err *err)
{
    unsigned char length[LENGTH];
    uint64_t n = 0;
    if (size < LENGTH)
        return wrong(s, "it is too short", err);
    if (read_at(s, length, LENGTH, 0, err) < 0)
        return -1;
    for (int k = LENGTH - 1; k >= 0; k--)
        n = n << 8 | length[k];
    if (n > size - LENGTH)
        return wrong(s, "its header would be longer than the file", err);
    if (n > LCA_SAFETENSORS_HEADER)
        return wrong(s, "its header is longer than 16 MiB", err);
    char *text = lca_alloc(n + 1, 1, err);
    if (!text || read_at(s, text, n, LENGTH, err) < 0) {
        free(text);
        return -1;
    }
    json_error_t why;
    s->header = *text == '{' ? json_loadb(text, n, JSON_REJECT_DUPLICATES, &why) : NULL;
    bool object = *text == '{';
    free(text);
    if (!s->header)
        return wrong(s, object ? why.text : "its header is no JSON object", err);
    s->data = LENGTH + n;
    return 0;
}

static int read_tensors(struct lca_safetensors *s, uint64_t bytes, struct lca_err *err)
{
    const char *name;
    json_t *j;
    if (json_object_size(s->header) > LCA_SAFETENSORS_TENSORS)
        return wrong(s, "it has more than 65536 tensors", err);
    s->tensor = lca_alloc(json_object_size(s->header) + 1, sizeof *s->tensor, err);
    if (!s->tensor)
        return -1;
    json_object_foreach(s->header, name, j) {
        if (strcmp(name, "__metadata__") == 0)
            continue;
        s->tensor[s->n].name = name;
        if (read_tensor(s, &s->tensor[s->n], j, bytes, err) < 0)
            return -1;
        s->n++;
    }
    return check_cover(s, bytes, err);
}

int lca_safetensors_open(struct lca_safetensors *s, const char *path, struct lca_err *err)
{
    struct stat st;
    *s = (struct lca_safetensors){.path = strdup(path)};
    if (!s->path)
        return lca_fail(err, LCA_INTERNAL, "out of memory");
    s->fd = open(path, O_RDONLY | O_CLOEXEC);
    if (s->fd < 0) {
        lca_fail_errno(err, LCA_USAGE, "cannot open %s", path);
        goto fail;
    }
    s->open = true;
    if (fstat(s->fd, &st) < 0 || !S_ISREG(st.st_mode)) {
        lca_fail(err, LCA_USAGE, "%s is not a file", path);
        goto fail;
    }
    uint64_t size = (uint64_t)st.st_size;
    if (read_header(s, size, err) < 0 || read_tensors(s, size - s->data, err) < 0)
        goto fail;
    return 0;
fail:
    lca_safetensors_close(s);
    return -1;
}

const struct lca_stored *lca_safetensors_find(const struct lca_safetensors *s, const char *name)
{
    for (unsigned k = 0; k < s->n; k++)
        if (strcmp(s->tensor[k].name, name) == 0)
            return &s->tensor[k];
    return NULL;
}

/* 1 bit of sign, 5 of exponent, 10 of fraction. */
static float from_half(uint16_t h)
{
    int exponent = h >> 10 & 31;
    float fraction = (float)(h & 1023), x;
    if (exponent == 31)
        x = fraction > 0 ? NAN : INFINITY;
    else
        x = exponent ? ldexpf(1024 + fraction, exponent - 25) : ldexpf(fraction, -24);
    return h & 0x8000 ? -x : x;
}

/* The upper half of a float. */
static float from_bfloat(uint16_t h)
{
    uint32_t bits = (uint32_t)h << 16;
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static void convert(const char *dtype, const unsigned char *from, size_t n, float *to)
{
    for (size_t k = 0; k < n; k++) {
        uint16_t h;
        double x;
        if (*dtype == 'F' && dtype[1] == '6') {
            memcpy(&x, from + 8 * k, sizeof x);
            to[k] = (float)x;
        } else {
            memcpy(&h, from + 2 * k, sizeof h);
            to[k] = *dtype == 'B' ? from_bfloat(h) : from_half(h);
        }
    }
}

int lca_safetensors_read(const struct lca_safetensors *s, const struct lca_stored *t, float *to, struct lca_err *err)
{
    uint64_t at = s->data + t->begin;
    if (strcmp(t->dtype, "F32") == 0)
        return read_at(s, to, t->count * sizeof *to, at, err);
    if (strcmp(t->dtype, "F64") != 0 && strcmp(t->dtype, "F16") != 0 && strcmp(t->dtype, "BF16") != 0)
        return lca_fail(err, LCA_USAGE, "%s: tensor %.100s is of %s: parameters are F32, F64, F16 or BF16", s->path,
                        t->name, t->dtype);
    unsigned char piece[PIECE];
    size_t size = element_size(t->dtype), most = sizeof piece / size;
    for (uint64_t done = 0; done < t->count;) {
        size_t n = t->count - done < most ? (size_t)(t->count - done) : most;
        if (read_at(s, piece, n * size, at + done * size, err) < 0)
            return -1;
        convert(t->dtype, piece, n, to + done);
        done += n;
    }
    return 0;
}

void lca_safetensors_close(struct lca_safetensors *s)
{
    if (s->open)
        close(s->fd);
    free(s->path);
    free(s->tensor);
    json_decref(s->header);
    *s = (struct lca_safetensors){0};
}

/* writing */

static json_t *describe(const struct lca_stored *t)
{
    json_t *shape = json_array();
    for (unsigned d = 0; d < t->n_shape; d++)
        json_array_append_new(shape, json_integer((json_int_t)t->shape[d]));
    return json_pack("{s:s, s:o, s:[I, I]}", "dtype", "F32", "shape", shape, "data_offsets", (json_int_t)t->begin,
                     (json_int_t)t->end);
}

int lca_safetensors_header(struct lca_buf *to, struct lca_stored *tensor, unsigned n, const json_t *metadata,
                           struct lca_err *err)
{
    json_t *header = json_object();
    uint64_t at = 0;
    int result = -1;
    bool good = header && json_object_set(header, "__metadata__", (json_t *)(uintptr_t)metadata) == 0;
    for (unsigned k = 0; good && k < n; k++) {
        tensor[k].begin = at;
        tensor[k].end = at += tensor[k].count * sizeof (float);
        good = json_object_set_new(header, tensor[k].name, describe(&tensor[k])) == 0;
    }
    char *text = good ? json_dumps(header, JSON_COMPACT) : NULL;
    if (!text) {
        lca_fail(err, LCA_INTERNAL, "out of memory");
        goto out;
    }
    /* elements begin at a multiple of 8 bytes */
    size_t len = strlen(text), padded = (len + ALIGN - 1) / ALIGN * ALIGN;
    unsigned char length[LENGTH];
    for (int k = 0; k < LENGTH; k++)
        length[k] = (unsigned char)((uint64_t)padded >> 8 * k);
    if (lca_buf_append(to, length, LENGTH, err) < 0 || lca_buf_append(to, text, len, err) < 0 ||
        lca_buf_append(to, "        ", padded - len, err) < 0)
        goto out;
    result = 0;
out:
    free(text);
    json_decref(header);
    return result;
}
