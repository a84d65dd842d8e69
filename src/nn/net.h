/* net.h: a network: its layers, shapes and parameters, from a JSON description.
 *
 *   {"name": "mnist-fc", "input": [28, 28, 1], "classes": 10,
 *    "layers": [{"type": "dense", "name": "dense1", "units": 100}, {"type": "relu"}, ...]}
 *
 *   dense      units                       flatten, if it must, is implied
 *   conv       channels, kernel, stride 1, pad "same" (or "valid"); square, with bias
 *   maxpool, avgpool    size 2, stride = size; no padding
 *   gap        global average pool         flatten
 *   batchnorm  eps 1e-3                    relu          dropout  rate
 *   residual   layers, shortcut "identity" or "conv" (1x1, stride and channels
 *              as the layers need, with bias); adds both, no ReLU after it
 * A layer without a name is called by type and running number (dense1, conv2, ...);
 * within a residual layer its name stands before: block2a/conv1. Unknown keys are
 * errors. Output sizes: same ceil(H/s), valid and pools floor((H-k)/s)+1; padding
 * floor(total/2) before, the rest after.
 *
 *   {"name": "toy", "external": true, "chunk": 100, ...}
 * is a network that nothing here can compute: programs of the user's train it and are the
 * workers of its pool. Its parameters are those of HEAD's table, its classes HEAD's; chunk,
 * which may be left out, is its usual one, and all other keys are for people. */
#ifndef LCA_NN_NET_H
#define LCA_NN_NET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "backend/backend.h"
#include "base/err.h"
#include "nn/table.h"

#define LCA_NO_TENSOR UINT64_MAX
#define LCA_NET_TEXT_MAX (1 << 20)      /* bytes of a description */

/* Layers in an order in which each comes after its inputs. */
struct lca_layer {
    char name[LCA_NAME_MAX];
    struct lca_geometry g;
    int from;               /* layer whose output is the input; -1: the image */
    int other;              /* add: the second input, likewise */
    uint64_t off[LCA_KINDS_OF];     /* parameters by kind, or LCA_NO_TENSOR */
    int owner;              /* batchnorm: the kernel layer it belongs to; else itself or -1 */
    uint64_t params;        /* its own */
    uint64_t flops;         /* per example, forward: 2 per multiply-add of kernels */
};

struct lca_net {
    char name[LCA_NAME_MAX];
    struct lca_shape input;
    uint32_t classes;
    struct lca_layer *layer;    /* owned */
    unsigned n_layer;
    struct lca_table table;
    uint64_t P;             /* parameters */
    uint64_t flops;         /* per example, forward; loss and gradient cost 3 times that */
    uint64_t moved;         /* floats per example that loss and gradient read and write at the least,
                               activations and their gradients: forward a layer's input and output; back
                               the input, the gradient of the output and, but for the image, that of the
                               input. ReLU, dropout and flatten go with the layer before them. */
    bool batchnorm;         /* the loss of an example depends on its whole chunk */
    bool external;          /* no layers and no parameters are known here */
    uint32_t chunk;         /* of an external network: the usual one; 0: not said */
    char *json;             /* canonical description, owned: keys in fixed order, names and
                               defaults written out; parses to the same net, travels in HEAD */
};

/* Parses len bytes of JSON. On failure net is empty. */
int lca_net_parse(struct lca_net *net, const char *text, size_t len,
                  struct lca_err *err) LCA_MUST_USE;

/* Loads a built-in network by name, or a file: an argument with a slash or the
 * ending .json. An external network is refused (LCA_USAGE). Names are files NAME.json of $LCA_NETS, else of pipelines/nets or
 * share/lca/nets beside the executable's folder. */
int lca_net_load(struct lca_net *net, const char *name, struct lca_err *err) LCA_MUST_USE;

/* Calls each(arg, name) for the built-in networks, by name. */
void lca_net_list(void (*each)(void *arg, const char *name), void *arg);

void lca_net_clear(struct lca_net *net);

#endif
