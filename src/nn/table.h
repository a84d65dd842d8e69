/* table.h: which tensor of which layer each part of the parameter vector is.
 *
 * Tensors lie in the order of `off`, without gaps. A layer here is one that has a
 * kernel; its bias and the batch norm that follows it (gamma, beta) belong to it,
 * so that a layer's parameters are one contiguous range. Dense kernels are
 * [in][out], convolution kernels [kh][kw][in][out], row major. */
#ifndef LCA_NN_TABLE_H
#define LCA_NN_TABLE_H

#include <jansson.h>
#include <stdint.h>

#include "base/err.h"

#define LCA_NAME_MAX 96         /* bytes of a layer's name with its final zero */
#define LCA_PARAMETERS_MAX (UINT64_C(1) << 28)      /* of a network: a vector of them is 1 GiB */

enum lca_kind_of { LCA_KERNEL, LCA_BIAS, LCA_GAMMA, LCA_BETA, LCA_KINDS_OF };
extern const char *const lca_kind_of_name[LCA_KINDS_OF];    /* "kernel", "bias", ... */

struct lca_tensor {
    char name[LCA_NAME_MAX + 8];    /* "dense1/kernel" */
    enum lca_kind_of kind;
    unsigned layer;                 /* place in lca_table.layer */
    uint64_t off, len;              /* parameters */
    uint32_t shape[4];              /* product = len */
    unsigned n_shape;
};

struct lca_group {
    char name[LCA_NAME_MAX];        /* "dense1" */
    uint64_t off, len;              /* parameters: all tensors of the layer */
    unsigned first, n;              /* its tensors */
};

struct lca_table {                  /* zeroed: empty */
    struct lca_tensor *tensor;      /* owned */
    struct lca_group *layer;        /* owned */
    unsigned n_tensor, n_layer;
    uint64_t P;                     /* parameters in all */
};

/* Adds a tensor after the last one. A layer of another name than the last one's
 * begins a new layer; one that was there before is an error (LCA_USAGE). */
int lca_table_add(struct lca_table *t, const char *layer, const char *name, enum lca_kind_of kind,
                  const uint32_t *shape, unsigned n_shape, struct lca_err *err) LCA_MUST_USE;

/* HEAD.layers: [{n, l, k, off, len, sh}]. Returned to be freed with json_decref;
 * NULL: no memory. */
json_t *lca_table_json(const struct lca_table *t) LCA_MUST_USE;

/* Fills *t, which must be empty, from HEAD.layers and HEAD.P; whatever does not
 * fit together is an error (LCA_CORRUPT). */
int lca_table_parse(struct lca_table *t, const json_t *layers, uint64_t P,
                    struct lca_err *err) LCA_MUST_USE;

/* Place of the layer called name, or -1. */
int lca_table_find(const struct lca_table *t, const char *name);

/* Layer that parameter i < P belongs to, by bisection. */
unsigned lca_table_layer_of(const struct lca_table *t, uint64_t i);

void lca_table_clear(struct lca_table *t);

#endif
