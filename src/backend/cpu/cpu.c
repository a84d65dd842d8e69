/* cpu.c: the CPU device: one thread, our own kernels for what they are faster at,
 * OpenBLAS for large matrix products. Layers are in files of their own. */
#include "backend/cpu/cpu.h"

#include <cblas.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/version.h"
#include "lca/path.h"

static struct lca_device *cpu_open(const char *device, struct lca_err *err)
{
    static const struct lca_cpu_kernels *const all[] = {
#if defined __x86_64__
        &lca_cpu_avx512, &lca_cpu_avx2,
#endif
        &lca_cpu_vec4,
    };
    const char *wanted = device + strlen("cpu");
    size_t len = strlen(wanted);
    bool direct = len >= strlen(":direct") && !strcmp(wanted + len - strlen(":direct"), ":direct");
    if (direct)
        len -= strlen(":direct");
    const struct lca_cpu_kernels *k = NULL;
    for (size_t i = 0; !k && i < sizeof all / sizeof *all; i++)
        if ((!len || (strlen(all[i]->isa) == len - 1 && !strncmp(all[i]->isa, wanted + 1, len - 1))) &&
            all[i]->usable())
            k = all[i];
    if (!k) {
        lca_fail(err, LCA_USAGE, "device %s: not an instruction set of this machine", device);
        return NULL;
    }
    struct lca_device *d = lca_alloc(1, sizeof *d, err);
    if (!d)
        return NULL;
    d->k = k;
    d->direct = direct;
    openblas_set_num_threads(1);
    char version[32] = "";
    sscanf(openblas_get_config(), "OpenBLAS %31s", version);
    snprintf(d->num, sizeof d->num, "cpu/lca-" LCA_VERSION "/openblas-%s-%s/%s%s", version, openblas_get_corename(), k->isa,
             direct ? "/direct" : "");
    return d;
}

static void cpu_close(struct lca_device *d)
{
    free(d);
}

static const char *cpu_num(const struct lca_device *d)
{
    return d->num;
}

static void *cpu_alloc(struct lca_device *d, size_t bytes, struct lca_err *err)
{
    (void)d;
    return lca_alloc(bytes, 1, err);
}

static void cpu_release(struct lca_device *d, void *p)
{
    (void)d;
    free(p);
}

static void cpu_clear(struct lca_device *d, void *p, size_t bytes)
{
    (void)d;
    memset(p, 0, bytes);
}

static int cpu_copy(struct lca_device *d, void *to, const void *from, size_t bytes,
                    struct lca_err *err)
{
    (void)d;
    (void)err;
    memcpy(to, from, bytes);
    return 0;
}

static void cpu_fold(struct lca_device *d, size_t n, const float *from, double *to)
{
    (void)d;
    lca_path_add(to, from, n);
}

const float *lca_cpu_scale(void)
{
#define S1(i) (float)(i) / 255.0f
#define S4(i) S1(i), S1(i + 1), S1(i + 2), S1(i + 3)
#define S16(i) S4(i), S4(i + 4), S4(i + 8), S4(i + 12)
#define S64(i) S16(i), S16(i + 16), S16(i + 32), S16(i + 48)
    static const float scale[256] = {S64(0), S64(64), S64(128), S64(192)};
    return scale;
}

static void cpu_input(struct lca_device *d, const struct lca_rows *rows, uint32_t n, float *x)
{
    (void)d;
    const float *scale = lca_cpu_scale();
    size_t ld = lca_ld(rows->pixels);
    for (uint32_t e = 0; e < n; e++, x += ld) {
        const uint8_t *p = rows->images + rows->index[e] * rows->pixels;
        for (size_t k = 0; k < rows->pixels; k++)
            x[k] = scale[p[k]];
    }
}

static void cpu_loss(struct lca_device *d, const struct lca_rows *rows, uint32_t n, uint32_t classes,
                     int only, float *z, bool gradient, struct lca_loss *sum)
{
    d->k->loss(rows->label, n, classes, only, z, gradient, sum);
}

struct lca_cpu_rows lca_cpu_rows(struct lca_shape shape, uint32_t n)
{
    size_t size = lca_shape_size(shape), ld = lca_ld(size);
    uint32_t pixels = shape.h * shape.w;
    if (size == ld)
        return (struct lca_cpu_rows){1, n * pixels, 0};
    return (struct lca_cpu_rows){n, pixels, ld};
}

/* As many examples as half a megabyte of cache holds, in whole tiles of four, but 16 at
 * least. Parameters that do not fit come from afar for each slice: then so many that
 * activations outweigh them. */
static uint32_t cpu_slice(size_t example, size_t parameters)
{
    const size_t cache = 512 * 1024, bytes = parameters > cache ? 4 * parameters : cache;
    size_t n = bytes / example / 4 * 4;
    return n < 16 ? 16 : (uint32_t)n;
}

const struct lca_backend lca_backend_cpu = {
    .name = "cpu", .open = cpu_open, .close = cpu_close, .num = cpu_num,
    .alloc = cpu_alloc, .release = cpu_release, .put = cpu_copy, .get = cpu_copy,
    .clear = cpu_clear, .host_memory = true, .fold = cpu_fold, .slice = cpu_slice,
    .layer = {[LCA_DENSE] = &lca_cpu_dense, [LCA_CONV] = &lca_cpu_conv, [LCA_MAXPOOL] = &lca_cpu_maxpool,
              [LCA_AVGPOOL] = &lca_cpu_avgpool, [LCA_GAP] = &lca_cpu_gap, [LCA_BATCHNORM] = &lca_cpu_batchnorm,
              [LCA_RELU] = &lca_cpu_relu, [LCA_DROPOUT] = &lca_cpu_dropout, [LCA_ADD] = &lca_cpu_add},
    .input = cpu_input, .loss = cpu_loss,
};
