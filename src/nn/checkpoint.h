/* checkpoint.h: the state of training in a file, from which it goes on to the same bits.
 *
 * A checkpoint of step t holds what the steps from t on depend on and options and data
 * do not say: theta_t and the optimiser's m, v and waiting gradients; and what a theta
 * frame tells of the step that led to theta_t. Batches and dropout are functions of the
 * step and need no state. DIR/step-00000100.ckpt is
 *   LCACKPT1 | bytes of the header, u64 | header, JSON | theta, m, v, waiting: <f4 | SHA-256 of all before
 * written under another name, put on disk and renamed: what has that name is whole. */
#ifndef LCA_NN_CHECKPOINT_H
#define LCA_NN_CHECKPOINT_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "nn/optim.h"

#define LCA_CHECKPOINT_MB 8

struct lca_checkpoint {
    const json_t *def;          /* the run's definition, borrowed */
    const char *num;            /* numerics id, borrowed: another one would go on to other bits */
    struct lca_optim *optim;    /* borrowed; its t is the step of the checkpoint */
    float *theta;               /* [P], borrowed */
    /* of the step that led to theta; 0 at step 0 */
    double lr, mbloss;
    uint64_t epoch;
    uint8_t mb[LCA_CHECKPOINT_MB];
};

/* Makes the folder if need be. LCA_USAGE when it holds checkpoints, unless `going_on`, the
 * file or folder that training goes on from (or NULL), is in it: a new run must not take
 * the place of an old one's. */
int lca_checkpoint_dir(const char *dir, const char *going_on, struct lca_err *err) LCA_MUST_USE;

/* Writes c into dir. Older ones are then deleted, but for the last before it and those back
 * to the newest not after step `needed`, from which readers may still want to be served. */
int lca_checkpoint_save(const struct lca_checkpoint *c, const char *dir, uint64_t needed,
                        struct lca_err *err) LCA_MUST_USE;

/* Whether the folder holds a checkpoint; false also where there is no such folder. */
bool lca_checkpoint_any(const char *dir);

/* Fills theta, optim's state and the rest of c from a file; or from a folder's newest
 * checkpoint (its oldest, if `oldest`), passing over damaged ones with a warning. optim must
 * be as the options made it. LCA_USAGE when it is of another run (what differs is said),
 * LCA_CORRUPT when it is damaged; theta and optim are then as they were. */
int lca_checkpoint_load(struct lca_checkpoint *c, const char *path, bool oldest,
                        struct lca_err *err) LCA_MUST_USE;

#endif
