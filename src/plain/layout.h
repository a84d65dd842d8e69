/* layout.h: parameter tensors as other frameworks lay them out.
 *
 *   ours    dense [in][out], convolution [height][width][in][out], channels last. Keras,
 *           Flax and the authors' tools have the same.
 *   torch   as PyTorch's state dict: dense [out][in], convolution [out][in][height][width].
 *           Where a feature map is flattened before a dense layer, its channels come first
 *           there and last here, so that the inputs of that layer have another order too.
 * Vectors per channel (bias, gamma, beta) are the same in both. No value changes: the one is
 * a permutation of the other. */
#ifndef LCA_PLAIN_LAYOUT_H
#define LCA_PLAIN_LAYOUT_H

#include "nn/net.h"

enum lca_layout { LCA_LAYOUT_OURS, LCA_LAYOUT_TORCH };

/* One tensor of a network's table, as it is in a layout. */
struct lca_laid {
    char name[LCA_NAME_MAX + 8];    /* ours: dense1/kernel; torch: dense1.weight */
    uint64_t shape[4], len;
    unsigned n_shape;
    bool permuted;                  /* the elements have another order than ours */
    uint32_t grid[4];               /* then: ours is [height][width][in][out], .. */
};

/* LCA_USAGE when text names none. */
int lca_layout_parse(const char *text, enum lca_layout *layout, struct lca_err *err) LCA_MUST_USE;

/* net's tensors in the order of the vector, [net->table.n_tensor]; to be freed. */
struct lca_laid *lca_layout_tensors(const struct lca_net *net, enum lca_layout layout,
                                    struct lca_err *err) LCA_MUST_USE;

/* One tensor from our order to its own, and back; [len] each, apart from each other. */
void lca_layout_out(const struct lca_laid *t, float *to, const float *ours);
void lca_layout_in(const struct lca_laid *t, float *ours, const float *from);

/* "[100][784]", for messages. */
const char *lca_layout_shape(const uint64_t *shape, unsigned n, char *text, size_t size);

#endif
