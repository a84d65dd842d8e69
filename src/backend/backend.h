/* backend.h: layers as a device computes them, behind one table of operations.
 *
 * A device is one stream of work: one CPU thread, or one GPU. Buffers are device
 * memory (lca_backend.alloc); on the CPU that is ordinary memory. Activations are
 * [n][lca_ld(size)] floats, channels last, rows padded to 64 bytes; what lies in the
 * padding means nothing, and up to 64 bytes past an array may be read. Parameters and
 * gradients lie as in the parameter vector, unpadded.
 *
 * For each layer an evaluator calls begin once per parameter vector (a device may
 * pack weights), forward and backward for each slice of examples, and end once
 * per gradient wanted (a device may keep its sums in a layout of its own). A type
 * of layer whose row is NULL cannot be computed by that device.
 *
 * A layer with statistics (batch norm) depends on all examples of a pass, in both
 * directions. Forward: observe sees every slice of x, settle ends that, and only then
 * is forward called. Backward: backward sees every slice of dy and changes no dx,
 * settle_back ends that, and then spread gives dx slice by slice.
 *
 * flatten is no operation: it changes no byte. Dropout is only called in training.
 * forward may be called again on a slice, before backward: it gives the same bytes.
 *
 * Letters: n examples, x input, y output, d* gradients of the summed loss. */
#ifndef LCA_BACKEND_BACKEND_H
#define LCA_BACKEND_BACKEND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/rng.h"

enum { LCA_TICKETS = 2 };                /* of lca_backend.bring: units that a device is at together */

enum lca_layer_type {
    LCA_DENSE, LCA_CONV, LCA_MAXPOOL, LCA_AVGPOOL, LCA_GAP, LCA_BATCHNORM, LCA_RELU,
    LCA_DROPOUT, LCA_FLATTEN, LCA_ADD,
    LCA_LAYER_TYPES
};
extern const char *const lca_layer_type_name[LCA_LAYER_TYPES];    /* as in a description */

struct lca_shape {
    uint32_t h, w, c;
};

static inline size_t lca_shape_size(struct lca_shape s)
{
    return (size_t)s.h * s.w * s.c;
}

/* Floats from one example's row to the next. */
static inline size_t lca_ld(size_t size)
{
    return (size + 15) / 16 * 16;
}

struct lca_geometry {
    enum lca_layer_type type;
    struct lca_shape in, out;
    uint32_t kernel, stride;            /* conv, pools: square windows */
    uint32_t pad_top, pad_left;         /* conv */
    double eps;                         /* batchnorm */
    double rate;                        /* dropout */
};

/* Examples: rows index[0..n-1] of the images that the device holds. */
struct lca_rows {
    const uint8_t *images;              /* device, [N][pixels] */
    const uint32_t *index;              /* device, [n] */
    const uint8_t *label;               /* device, [n], of these n examples */
    size_t pixels;
};

/* One layer at work on n examples. begin and end see the parameters and state
 * only; forward reads x (or rows) and writes y; backward may overwrite dy. */
struct lca_call {
    const struct lca_geometry *g;
    uint32_t n, n_max;                  /* examples now, and at most: what state was asked for */
    const struct lca_rows *rows;        /* the input as bytes, scaled by 1/255: first layer
                                           whose operations say `bytes`; then x is NULL */
    const float *x, *x2;                /* x2: second input of add */
    float *y;
    bool relu;                          /* y = max(0, layer): the ReLU that follows is part of it */
    uint32_t total;                     /* examples in the pass: settle, settle_back, spread */
    float *dy, *dx, *dx2;               /* dx NULL: not wanted */
    bool dx_adds, dx2_adds;             /* added to, since another layer has written it */
    const float *kernel, *bias, *gamma, *beta;
    float *dkernel, *dbias, *dgamma, *dbeta;    /* end fills them */
    void *state;                        /* of lca_layer_ops.state bytes, zeroed at first */
    void *scratch;                      /* of lca_layer_ops.scratch bytes, shared with other layers */
    struct lca_rng rng;                 /* dropout: seed and training step */
    uint64_t index;                     /* dropout: (layer << 36) + first example x out size */
};

struct lca_device;                      /* opaque */

struct lca_layer_ops {
    bool bytes;                         /* takes rows instead of x */
    bool fuses_relu;
    bool reads_x, reads_y;              /* backward does; y also where relu is set */
    bool heavy;                         /* its output is kept rather than computed again */
    /* Bytes wanted; NULL: none. */
    size_t (*state)(const struct lca_device *d, const struct lca_geometry *g, uint32_t n_max);
    size_t (*scratch)(struct lca_device *d, const struct lca_geometry *g, uint32_t n_max);
    void (*begin)(struct lca_device *d, const struct lca_call *c);      /* NULL: nothing to do */
    void (*forward)(struct lca_device *d, const struct lca_call *c);
    void (*backward)(struct lca_device *d, const struct lca_call *c);
    /* Layers with statistics only, else NULL. */
    void (*observe)(struct lca_device *d, const struct lca_call *c);
    void (*settle)(struct lca_device *d, const struct lca_call *c);
    void (*settle_back)(struct lca_device *d, const struct lca_call *c);
    void (*spread)(struct lca_device *d, const struct lca_call *c);
    /* Writes the sums of all backward calls since begin or the last end to d*, and
     * begins new sums. NULL: the layer has no parameters. */
    void (*end)(struct lca_device *d, const struct lca_call *c);
};

/* What the loss layer adds to, per class of the label. */
struct lca_loss {
    double loss;                        /* nat, summed */
    uint64_t hits, n;                   /* examples whose first largest logit is their label's */
};

struct lca_backend {
    const char *name;                   /* "cpu" */
    struct lca_device *(*open)(const char *device, struct lca_err *err);
    void (*close)(struct lca_device *d);
    /* All that changes bits: device class, library, instruction set. */
    const char *(*num)(const struct lca_device *d);
    void *(*alloc)(struct lca_device *d, size_t bytes, struct lca_err *err);    /* zeroed */
    void (*release)(struct lca_device *d, void *p);
    int (*put)(struct lca_device *d, void *to, const void *from, size_t bytes, struct lca_err *err);
    int (*get)(struct lca_device *d, void *to, const void *from, size_t bytes, struct lca_err *err);
    void (*clear)(struct lca_device *d, void *p, size_t bytes);
    bool host_memory;                   /* device memory is ordinary memory: nothing is copied */
    /* Results that come while later work goes on, under tickets; all NULL with host_memory.
     * bring begins to copy `from`, as all work asked for so far leaves it, to memory of host.
     * hold: work asked for from now on waits until what was brought has been read. arrived
     * waits here until it has come. put reads memory of host when the work before is done. */
    void *(*host)(struct lca_device *d, size_t bytes, struct lca_err *err);
    void (*release_host)(struct lca_device *d, void *p);
    int (*bring)(struct lca_device *d, unsigned ticket, void *to, const void *from, size_t bytes, struct lca_err *err);
    void (*hold)(struct lca_device *d, unsigned ticket);
    int (*arrived)(struct lca_device *d, unsigned ticket, struct lca_err *err);
    /* to += from, in double. */
    void (*fold)(struct lca_device *d, size_t n, const float *from, double *to);
    /* Bytes that alloc can give now; NULL: no matter. */
    size_t (*room)(struct lca_device *d);
    bool roomy;                         /* keeps what is costly to compute again, and all else */
    /* Work to be done again and again: what is called from record to recorded, put, get and
     * alloc aside, is noted and not done; replay does it, on the same arrays. All NULL: it cannot.
     * record: whether it can now. recorded: NULL where it turned out that it cannot. */
    bool (*record)(struct lca_device *d);
    void *(*recorded)(struct lca_device *d);
    int (*replay)(struct lca_device *d, void *work, struct lca_err *err);
    void (*forget)(struct lca_device *d, void *work);
    /* Examples that should go at a time through layers whose activations and gradients
     * take `example` bytes each and whose parameters take `parameters`; NULL: all. */
    uint32_t (*slice)(size_t example, size_t parameters);
    const struct lca_layer_ops *layer[LCA_LAYER_TYPES];
    /* Bytes of rows, scaled by 1/255, as floats [n][lca_ld(pixels)]. */
    void (*input)(struct lca_device *d, const struct lca_rows *rows, uint32_t n, float *x);
    /* Softmax cross-entropy of logits z [n][lca_ld(classes)]: adds to sum[label] (device),
     * and writes dz = softmax - onehot over z where gradient is wanted. only >= 0: examples
     * of other labels count for nothing and get dz 0. */
    void (*loss)(struct lca_device *d, const struct lca_rows *rows, uint32_t n, uint32_t classes,
                 int only, float *z, bool gradient, struct lca_loss *sum);
};

/* "cpu", or held to an instruction set: "cpu:avx512", "cpu:avx2", "cpu:vec4". With
 * ":direct" after it ("cpu:direct", "cpu:avx2:direct") convolutions are sums of products:
 * slower, and nearer to the exact value.
 * "cuda", or "cuda:N" for card N, with ":tf32" or ":bf16" after it for another precision than
 * float32, in a build with CUDA. LCA_USAGE for anything else. */
const struct lca_backend *lca_backend_find(const char *device, struct lca_err *err) LCA_MUST_USE;

extern const struct lca_backend lca_backend_cpu, lca_backend_cuda;      /* cuda: in a build with it */

/* What this build has, for --version. */
#ifdef LCA_CUDA
#define LCA_BACKENDS "cpu, cuda"
#else
#define LCA_BACKENDS "cpu, without CUDA"
#endif

#endif
