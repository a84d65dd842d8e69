#include "backend/cuda/cudnn-plan.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"

enum { CONFIGS = 64, NOTES = 16, X = 'x', W = 'w', Y = 'y' };

struct lca_cuda_plan {
    struct lca_cuda_plan *next;
    struct lca_geometry g;
    uint32_t n;
    enum lca_cuda_way way;
    bool adds, found;
    cudnnBackendDescriptor_t plan;
    int64_t workspace;
};

/* ---- descriptors: each function gives up quietly, since cuDNN may just not have it ---- */

typedef cudnnBackendDescriptor_t desc;

/* What is made on the way to a plan, to be destroyed together. */
struct pile {
    desc made[2 * CONFIGS + 16];
    int n;
    bool ok;
};

static desc make(struct pile *p, cudnnBackendDescriptorType_t type)
{
    desc d = NULL;
    if (p->n == sizeof p->made / sizeof *p->made || cudnnBackendCreateDescriptor(type, &d) != CUDNN_STATUS_SUCCESS) {
        p->ok = false;
        return NULL;
    }
    p->made[p->n++] = d;
    return d;
}

static void set(struct pile *p, desc d, cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type, int64_t n,
                const void *value)
{
    if (p->ok && cudnnBackendSetAttribute(d, name, type, n, value) != CUDNN_STATUS_SUCCESS)
        p->ok = false;
}

static void finish(struct pile *p, desc d)
{
    if (p->ok && cudnnBackendFinalize(d) != CUDNN_STATUS_SUCCESS)
        p->ok = false;
}

static void clear(struct pile *p)
{
    while (p->n > 0)
        cudnnBackendDestroyDescriptor(p->made[--p->n]);
}

static desc tensor(struct pile *p, int64_t id, cudnnDataType_t type, const int64_t dim[4], const int64_t stride[4])
{
    desc t = make(p, CUDNN_BACKEND_TENSOR_DESCRIPTOR);
    int64_t align = 16;
    set(p, t, CUDNN_ATTR_TENSOR_UNIQUE_ID, CUDNN_TYPE_INT64, 1, &id);
    set(p, t, CUDNN_ATTR_TENSOR_DATA_TYPE, CUDNN_TYPE_DATA_TYPE, 1, &type);
    set(p, t, CUDNN_ATTR_TENSOR_DIMENSIONS, CUDNN_TYPE_INT64, 4, dim);
    set(p, t, CUDNN_ATTR_TENSOR_STRIDES, CUDNN_TYPE_INT64, 4, stride);
    set(p, t, CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, CUDNN_TYPE_INT64, 1, &align);
    finish(p, t);
    return t;
}

/* Activations, channels last: n, c, h, w as cuDNN counts dimensions. */
static desc activations(struct pile *p, int64_t id, cudnnDataType_t type, uint32_t n, struct lca_shape s)
{
    int64_t dim[4] = {n, s.c, s.h, s.w};
    int64_t stride[4] = {(int64_t)lca_ld(lca_shape_size(s)), 1, (int64_t)s.w * s.c, s.c};
    return tensor(p, id, type, dim, stride);
}

static desc convolution(struct pile *p, const struct lca_geometry *g)
{
    desc c = make(p, CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR);
    int64_t two = 2, pre[2] = {g->pad_top, g->pad_left}, one[2] = {1, 1}, stride[2] = {g->stride, g->stride};
    int64_t post[2] = {((int64_t)g->out.h - 1) * g->stride + g->kernel - g->pad_top - g->in.h,
                       ((int64_t)g->out.w - 1) * g->stride + g->kernel - g->pad_left - g->in.w};
    cudnnDataType_t sums = CUDNN_DATA_FLOAT;
    cudnnConvolutionMode_t mode = CUDNN_CROSS_CORRELATION;
    set(p, c, CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS, CUDNN_TYPE_INT64, 1, &two);
    set(p, c, CUDNN_ATTR_CONVOLUTION_COMP_TYPE, CUDNN_TYPE_DATA_TYPE, 1, &sums);
    set(p, c, CUDNN_ATTR_CONVOLUTION_CONV_MODE, CUDNN_TYPE_CONVOLUTION_MODE, 1, &mode);
    set(p, c, CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS, CUDNN_TYPE_INT64, 2, pre);
    set(p, c, CUDNN_ATTR_CONVOLUTION_POST_PADDINGS, CUDNN_TYPE_INT64, 2, post);
    set(p, c, CUDNN_ATTR_CONVOLUTION_DILATIONS, CUDNN_TYPE_INT64, 2, one);
    set(p, c, CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES, CUDNN_TYPE_INT64, 2, stride);
    finish(p, c);
    return c;
}

static desc operation(struct pile *p, const struct lca_cuda_plan *what, cudnnDataType_t type)
{
    static const struct {
        cudnnBackendDescriptorType_t type;
        cudnnBackendAttributeName_t x, w, y, conv, alpha, beta;
    } way[] = {
        {CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X,
         CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y,
         CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_ALPHA,
         CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_BETA},
        {CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DX,
         CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_W, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DY,
         CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_CONV_DESC, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_ALPHA,
         CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_BETA},
        {CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_FILTER_DESCRIPTOR, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_X,
         CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DW, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DY,
         CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_CONV_DESC, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_ALPHA,
         CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_BETA},
    };
    const struct lca_geometry *g = &what->g;
    const int64_t in = g->in.c, k = g->kernel, dim[4] = {g->out.c, in, k, k}, stride[4] = {k * k * in, 1, k * in, in};
    desc x = activations(p, X, type, what->n, g->in), y = activations(p, Y, type, what->n, g->out);
    desc w = tensor(p, W, what->way == LCA_CUDA_TO_KERNEL ? CUDNN_DATA_FLOAT : type, dim, stride);
    desc c = convolution(p, g), op = make(p, way[what->way].type);
    float alpha = 1, beta = what->adds ? 1 : 0;
    set(p, op, way[what->way].x, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &x);
    set(p, op, way[what->way].w, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &w);
    set(p, op, way[what->way].y, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &y);
    set(p, op, way[what->way].conv, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &c);
    set(p, op, way[what->way].alpha, CUDNN_TYPE_FLOAT, 1, &alpha);
    set(p, op, way[what->way].beta, CUDNN_TYPE_FLOAT, 1, &beta);
    finish(p, op);
    return op;
}

/* ---- choosing ---- */

/* Whether the kernel's notes allow it. */
static bool allowed(struct lca_device *d, struct pile *p, desc config)
{
    cudnnBackendNumericalNote_t note[NOTES];
    int64_t n = 0;
    desc engine = make(p, CUDNN_BACKEND_ENGINE_DESCRIPTOR);
    if (cudnnBackendGetAttribute(config, CUDNN_ATTR_ENGINECFG_ENGINE, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &n, &engine) !=
            CUDNN_STATUS_SUCCESS ||
        cudnnBackendGetAttribute(engine, CUDNN_ATTR_ENGINE_NUMERICAL_NOTE, CUDNN_TYPE_NUMERICAL_NOTE, NOTES, &n,
                                 note) != CUDNN_STATUS_SUCCESS)
        return false;
    for (int64_t k = 0; k < n; k++)
        switch (note[k]) {
        case CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC:
        case CUDNN_NUMERICAL_NOTE_REDUCED_PRECISION_REDUCTION:
            return false;
        case CUDNN_NUMERICAL_NOTE_TENSOR_CORE:
            if (d->precision == LCA_CUDA_FLOAT32)
                return false;
            break;
        case CUDNN_NUMERICAL_NOTE_DOWN_CONVERT_INPUTS:
            if (d->precision != LCA_CUDA_BF16)
                return false;
            break;
        case CUDNN_NUMERICAL_NOTE_FFT:
        case CUDNN_NUMERICAL_NOTE_WINOGRAD_TILE_13x13:
            return false;       /* their rounding is too far from that of sums */
        default:
            break;
        }
    return true;
}

/* Tries the kernels of one ranking. */
static bool choose(struct lca_device *d, struct lca_cuda_plan *what, desc graph, cudnnBackendHeurMode_t mode)
{
    struct pile p = {.ok = true};
    desc heuristic = make(&p, CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR), config[CONFIGS];
    int64_t n = 0;
    set(&p, heuristic, CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &graph);
    set(&p, heuristic, CUDNN_ATTR_ENGINEHEUR_MODE, CUDNN_TYPE_HEUR_MODE, 1, &mode);
    finish(&p, heuristic);
    for (int k = 0; p.ok && k < CONFIGS; k++)
        config[k] = make(&p, CUDNN_BACKEND_ENGINECFG_DESCRIPTOR);
    if (p.ok && cudnnBackendGetAttribute(heuristic, CUDNN_ATTR_ENGINEHEUR_RESULTS, CUDNN_TYPE_BACKEND_DESCRIPTOR,
                                         CONFIGS, &n, config) != CUDNN_STATUS_SUCCESS)
        p.ok = false;
    for (int64_t k = 0; p.ok && k < n && k < CONFIGS && !what->found; k++) {
        struct pile one = {.ok = true};
        desc plan = NULL;
        int64_t size = 0, got;
        if (allowed(d, &one, config[k]) &&
            cudnnBackendCreateDescriptor(CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR, &plan) == CUDNN_STATUS_SUCCESS) {
            set(&one, plan, CUDNN_ATTR_EXECUTION_PLAN_HANDLE, CUDNN_TYPE_HANDLE, 1, &d->dnn);
            set(&one, plan, CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &config[k]);
            finish(&one, plan);
            if (one.ok &&
                cudnnBackendGetAttribute(plan, CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE, CUDNN_TYPE_INT64, 1, &got,
                                         &size) == CUDNN_STATUS_SUCCESS &&
                size <= LCA_CUDA_WORKSPACE_MAX) {
                what->plan = plan;
                what->workspace = size;
                what->found = true;
            } else {
                cudnnBackendDestroyDescriptor(plan);
            }
        }
        clear(&one);
    }
    clear(&p);
    return what->found;
}

static void search(struct lca_device *d, struct lca_cuda_plan *what)
{
    struct pile p = {.ok = true};
    desc op = operation(&p, what, d->precision == LCA_CUDA_BF16 ? CUDNN_DATA_BFLOAT16 : CUDNN_DATA_FLOAT);
    desc graph = make(&p, CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR);
    set(&p, graph, CUDNN_ATTR_OPERATIONGRAPH_OPS, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &op);
    set(&p, graph, CUDNN_ATTR_OPERATIONGRAPH_HANDLE, CUDNN_TYPE_HANDLE, 1, &d->dnn);
    finish(&p, graph);
    if (p.ok && !choose(d, what, graph, CUDNN_HEUR_MODE_A))
        choose(d, what, graph, CUDNN_HEUR_MODE_FALLBACK);
    clear(&p);
}

static bool same(const struct lca_geometry *a, const struct lca_geometry *b)
{
    return a->in.h == b->in.h && a->in.w == b->in.w && a->in.c == b->in.c && a->out.c == b->out.c &&
           a->out.h == b->out.h && a->out.w == b->out.w && a->kernel == b->kernel && a->stride == b->stride &&
           a->pad_top == b->pad_top && a->pad_left == b->pad_left;
}

static void grow_workspace(struct lca_device *d, struct lca_cuda_plan *p)
{
    if ((size_t)p->workspace <= d->workspace_bytes)
        return;
    void *more = NULL;
    /* another kernel that needs less would give other bytes: no way round a failure here */
    if (!lca_cuda_ok(d, cudaMalloc(&more, (size_t)p->workspace), "workspace of a convolution") ||
        !lca_cuda_ok(d, cudaStreamSynchronize(d->stream), "computing"))
        return;
    cudaFree(d->workspace);
    d->workspace = more;
    d->workspace_bytes = (size_t)p->workspace;
}

const struct lca_cuda_plan *lca_cuda_plan(struct lca_device *d, const struct lca_geometry *g, uint32_t n,
                                          enum lca_cuda_way way, bool adds)
{
    struct lca_cuda_plan *p;
    for (p = d->plan; p; p = p->next)
        if (p->n == n && p->way == way && p->adds == adds && same(&p->g, g))
            return p->found ? p : NULL;
    if (!(p = lca_alloc(1, sizeof *p, &d->failed)))
        return NULL;
    *p = (struct lca_cuda_plan){.next = d->plan, .g = *g, .n = n, .way = way, .adds = adds};
    d->plan = p;
    search(d, p);
    if (p->found)
        grow_workspace(d, p);
    return p->found ? p : NULL;
}

void lca_cuda_plan_run(struct lca_device *d, const struct lca_cuda_plan *p, const void *x, const void *w, const void *y)
{
    struct pile pile = {.ok = true};
    desc pack = make(&pile, CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR);
    const void *data[] = {x, w, y};
    int64_t id[] = {X, W, Y};
    set(&pile, pack, CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, CUDNN_TYPE_VOID_PTR, 3, data);
    set(&pile, pack, CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, CUDNN_TYPE_INT64, 3, id);
    set(&pile, pack, CUDNN_ATTR_VARIANT_PACK_WORKSPACE, CUDNN_TYPE_VOID_PTR, 1, &d->workspace);
    finish(&pile, pack);
    lca_cuda_dnn_ok(d, pile.ok ? cudnnBackendExecute(d->dnn, p->plan, pack) : CUDNN_STATUS_BAD_PARAM, "convolution");
    clear(&pile);
}

void lca_cuda_plans_free(struct lca_device *d)
{
    while (d->plan) {
        struct lca_cuda_plan *p = d->plan;
        d->plan = p->next;
        if (p->plan)
            cudnnBackendDestroyDescriptor(p->plan);
        free(p);
    }
}
