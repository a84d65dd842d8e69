/* source.h: from what a user names to a data set in memory, ready to be written.
 *
 *   mnist:DIR      four IDX files, gzipped or not: t10k-images-idx3-ubyte(.gz), ...
 *   cifar10:DIR    data_batch_1.bin .. data_batch_5.bin and test_batch.bin, in DIR or
 *                  in DIR/cifar-10-batches-bin
 *   npy:IMAGES.npy,LABELS.npy[,TEST-IMAGES.npy,TEST-LABELS.npy]
 *   synth:SEED,N   N generated training examples, N/11 for validation and N/5 for
 *                  testing (rounded, at least 1); the examples of a set are the
 *                  first ones of the same series for any N
 *   DIR            one of the first two, by what it holds
 *
 * Training examples that are held out for validation are the last ones. By default
 * they are one of twelve of an MNIST (5,000 of 60,000; 55,000 stay), none of others. */
#ifndef LCA_DATA_SOURCE_H
#define LCA_DATA_SOURCE_H

#include "base/err.h"
#include "data/dataset.h"
#include "data/examples.h"

#define LCA_SOURCE_DEFAULT (-1)

struct lca_source {
    struct lca_dataset data;                /* its arrays lie in the others */
    struct lca_examples train, val, test;   /* val: generated; else it is the end of train */
};

/* Reads all that `text` names; val is the number of validation examples, 0 for none,
 * or LCA_SOURCE_DEFAULT. LCA_USAGE or LCA_CORRUPT, the sentence names the file. */
int lca_source_open(struct lca_source *s, const char *text, long val, struct lca_err *err)
    LCA_MUST_USE;

/* Gives the data set and its classes other names; either may be NULL. classes: names
 * parted by commas. LCA_USAGE when they are empty, too long or fewer than the labels. */
int lca_source_name(struct lca_source *s, const char *name, const char *classes,
                    struct lca_err *err) LCA_MUST_USE;

void lca_source_close(struct lca_source *s);

#endif
