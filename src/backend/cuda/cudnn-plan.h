/* cudnn-plan.h: convolutions by cuDNN: which of its kernels, and running them.
 *
 * cuDNN ranks its kernels by a rule of its own for the card, without measuring; the first
 * that is deterministic, keeps to the device's precision and needs no more workspace than
 * LCA_CUDA_WORKSPACE_MAX is taken. So the same card and cuDNN take the same kernel every time. */
#ifndef LCA_BACKEND_CUDA_CUDNN_PLAN_H
#define LCA_BACKEND_CUDA_CUDNN_PLAN_H

#include "backend/cuda/cuda.h"

#define LCA_CUDA_WORKSPACE_MAX ((int64_t)1 << 30)

/* y = conv(x, w); dx from dy and w; dw from x and dy. */
enum lca_cuda_way { LCA_CUDA_FORWARD, LCA_CUDA_TO_INPUT, LCA_CUDA_TO_KERNEL };

/* The plan for n examples, made when it is first asked for; NULL if cuDNN has none. adds:
 * to_input adds to dx. Kernels are [out][kernel][kernel][in]. In bf16 x, y, dx, dy and w are
 * bfloat16; dw is float always. */
const struct lca_cuda_plan *lca_cuda_plan(struct lca_device *d, const struct lca_geometry *g, uint32_t n,
                                          enum lca_cuda_way way, bool adds);

/* Runs it: x or dx, w or dw, y or dy. */
void lca_cuda_plan_run(struct lca_device *d, const struct lca_cuda_plan *p, const void *x, const void *w,
                       const void *y);

void lca_cuda_plans_free(struct lca_device *d);

#endif
