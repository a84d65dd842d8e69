/* shift.h: which layers' biases the loss does not depend on. */
#ifndef LCA_NN_SHIFT_H
#define LCA_NN_SHIFT_H

#include "nn/net.h"

/* lost [net->n_layer], filled: adding a constant to each channel of the layer's output
 * changes nothing in the end, since on every path a batch norm, with the chunk's own
 * mean, takes it off again. Between the two may stand what hands a constant per channel
 * on as one: pools, flatten, add, dropout (off when the loss is taken), dense layers,
 * convolutions without padding. The bias of such a layer has gradient 0 but for
 * rounding. */
void lca_net_lost_shifts(const struct lca_net *net, bool *lost);

#endif
