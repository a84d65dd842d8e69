/* snapshots.h: a folder of safetensors files, each the parameters of a network at a time.
 *
 * Files *.safetensors are ordered by the last number in their names. A file's tensors are
 * found for ours in one of three ways:
 *   by a map, a text file of lines: OURS THEIRS (dense1/kernel fc1.weight), OURS - (it is
 *       zero throughout) and - THEIRS (it is left out); # begins a comment
 *   by name, where the file has a tensor of each name that the layout gives
 *   by order: their modules, what stands before the last dot, in order of name, numbers in it
 *       by value; within a module weight, kernel, scale or gamma first, then bias or beta
 * Statistics of batch norm (running_mean, running_var, num_batches_tracked) are left out. What
 * remains on either side, or has another shape, is an error. */
#ifndef LCA_PLAIN_SNAPSHOTS_H
#define LCA_PLAIN_SNAPSHOTS_H

#include "plain/layout.h"
#include "plain/safetensors.h"

struct lca_snapshots {              /* zeroed: none */
    char **path;                    /* owned, [n], in order */
    uint64_t n;
    const struct lca_net *net;      /* borrowed */
    const struct lca_laid *laid;    /* borrowed, [net->table.n_tensor] */
    enum lca_layout layout;
    char **theirs;                  /* owned: the name for each of our tensors; NULL: zeros */
    char **ignored;                 /* owned, NULL at the end: - THEIRS */
    float *tensor;                  /* of the longest */
};

/* map: path, or NULL. LCA_USAGE or LCA_CORRUPT. */
int lca_snapshots_open(struct lca_snapshots *s, const char *folder, const struct lca_net *net,
                       const struct lca_laid *laid, enum lca_layout layout, const char *map,
                       struct lca_err *err) LCA_MUST_USE;

/* The parameters of snapshot k < n: theta [net->P]. */
int lca_snapshots_read(struct lca_snapshots *s, uint64_t k, float *theta, struct lca_err *err) LCA_MUST_USE;

void lca_snapshots_close(struct lca_snapshots *s);

#endif
