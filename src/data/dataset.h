/* dataset.h: the data file, what every program reads.
 *
 * Bytes of the file: the magic LCADATA1, then a header in JSON padded with spaces to
 * byte 4,095 and a line feed; from byte 4,096 on the images of all sets, one set
 * after the other, [n][height][width][channels] bytes each; then the labels of all
 * sets, in the same order, one byte each; nothing else. The header:
 *     {name, height, width, channels, classes: [name],
 *      sets: [{set: train | val | test, n}], sha256: of all that follows the header}
 * The digest identifies the data in a run's definition. The same data give the same
 * file, byte for byte. */
#ifndef LCA_DATA_DATASET_H
#define LCA_DATA_DATASET_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "base/digest.h"
#include "base/err.h"

enum {
    LCA_DATASET_HEADER = 4096,
    LCA_DATASET_SETS = 3,
    LCA_DATASET_CLASSES = 256,  /* at most */
    LCA_DATASET_NAME = 48,      /* bytes of a name with its final zero */
};

struct lca_set {
    const char *name;           /* "train", "val" or "test", static */
    uint32_t n;                 /* at least 1 */
    const uint8_t *images;      /* [n][height][width][channels], 0 .. 255 */
    const uint8_t *labels;      /* [n], below classes */
};

/* A zeroed struct is empty. */
struct lca_dataset {
    char name[LCA_DATASET_NAME];
    uint32_t height, width, channels, classes;
    char class_name[LCA_DATASET_CLASSES][LCA_DATASET_NAME];
    struct lca_set set[LCA_DATASET_SETS];   /* train, val, test as far as present */
    int sets;
    char sha256[LCA_SHA256_HEX];
    void *map;                  /* the file in memory, owned; NULL unless opened */
    size_t map_len;
};

/* Maps a data file and checks every size and label, but not the digest. LCA_USAGE:
 * it cannot be opened or is no data file; LCA_CORRUPT: damaged or truncated. */
int lca_dataset_open(struct lca_dataset *d, const char *path, struct lca_err *err) LCA_MUST_USE;

/* Computes the digest of an opened file again; LCA_CORRUPT when it is another. */
int lca_dataset_verify(const struct lca_dataset *d, struct lca_err *err) LCA_MUST_USE;

void lca_dataset_close(struct lca_dataset *d);  /* d is empty and usable again */

/* Bytes of one image. */
static inline size_t lca_dataset_pixels(const struct lca_dataset *d)
{
    return (size_t)d->height * d->width * d->channels;
}

/* The set of that name; NULL with LCA_USAGE, naming those there are. */
const struct lca_set *lca_dataset_find(const struct lca_dataset *d, const char *name,
                                       struct lca_err *err) LCA_MUST_USE;

/* Examples per class among the first n of a set: count[d->classes] is filled. */
void lca_dataset_count(const struct lca_dataset *d, const struct lca_set *set, uint32_t n,
                       uint32_t *count);

/* The header as JSON, for json_decref; NULL when a name is not UTF-8. */
json_t *lca_dataset_json(const struct lca_dataset *d) LCA_MUST_USE;

/* What HEAD says of the data of a run that trains on the first N examples of `train`: sets,
 * [{set, N}], and classes, [{name, n}] with their examples among those N. For json_decref. */
json_t *lca_dataset_sets(const struct lca_dataset *d, const struct lca_set *train, uint32_t N);
json_t *lca_dataset_classes(const struct lca_dataset *d, const struct lca_set *train, uint32_t N);

/* Adds a set to a data set that is to be written; arrays are borrowed. Order: train,
 * val, test. The name is one of these. A set of 0 examples is left out. */
void lca_dataset_add(struct lca_dataset *d, const char *name, uint32_t n, const uint8_t *images,
                     const uint8_t *labels);

/* Writes a data file: to PATH.part first, which then takes the place of path. Fills
 * d->sha256. LCA_USAGE: a label or a name does not fit, the path cannot be written. */
int lca_dataset_write(struct lca_dataset *d, const char *path, struct lca_err *err) LCA_MUST_USE;

#endif
