/* idx.h: the IDX format of MNIST and its relatives: big-endian header (magic 2051,
 * n, rows, columns for images; magic 2049, n for labels), then one byte each. */
#ifndef LCA_DATA_IDX_H
#define LCA_DATA_IDX_H

#include "data/examples.h"

/* Fills e, to be cleared, from a file of images and its file of labels, each
 * gzipped or not. LCA_CORRUPT when they are damaged or their counts differ. */
int lca_idx_read(struct lca_examples *e, const char *images, const char *labels,
                 struct lca_err *err) LCA_MUST_USE;

#endif
