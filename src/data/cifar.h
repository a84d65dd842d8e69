/* cifar.h: the binary format of CIFAR-10: records of 3,073 bytes, the label, then
 * 1,024 red, 1,024 green and 1,024 blue bytes, each plane row by row. */
#ifndef LCA_DATA_CIFAR_H
#define LCA_DATA_CIFAR_H

#include "data/examples.h"

/* Fills e, to be cleared, from `files` batch files one after the other, planes
 * turned into pixels. LCA_CORRUPT when one is damaged or has a label above 9. */
int lca_cifar_read(struct lca_examples *e, const char *const *paths, int files,
                   struct lca_err *err) LCA_MUST_USE;

#endif
