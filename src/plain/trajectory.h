/* trajectory.h: the parameters of a network at one time after another, from files of other
 * programs: an HDF5 file or a .npy array [vectors][parameters], or a folder of snapshots. */
#ifndef LCA_PLAIN_TRAJECTORY_H
#define LCA_PLAIN_TRAJECTORY_H

#include "data/npy.h"
#include "plain/hdf5-in.h"
#include "plain/snapshots.h"

struct lca_trajectory_opts {
    enum lca_layout layout;     /* of the tensors, which in a matrix follow one another in our order */
    const char *dataset;        /* HDF5: its name, or NULL */
    const char *map;            /* snapshots: see there; or NULL */
};

struct lca_trajectory {         /* zeroed: none */
    const struct lca_net *net;  /* borrowed */
    uint64_t n;                 /* vectors */
    struct lca_laid *laid;      /* owned, and so is the rest */
    bool permuted;
    float *row;                 /* [P], where the layout is another */
    struct lca_hdf5_in *hdf5;
    struct lca_npy_rows npy;
    struct lca_snapshots snapshots;
    enum { LCA_FROM_NONE, LCA_FROM_HDF5, LCA_FROM_NPY, LCA_FROM_SNAPSHOTS } from;
};

/* LCA_USAGE where path or its contents do not fit, LCA_CORRUPT where it is damaged. */
int lca_trajectory_open(struct lca_trajectory *t, const char *path, const struct lca_net *net,
                        const struct lca_trajectory_opts *o, struct lca_err *err) LCA_MUST_USE;

/* Vector k < n in our order: theta [P]. */
int lca_trajectory_read(struct lca_trajectory *t, uint64_t k, float *theta, struct lca_err *err) LCA_MUST_USE;

void lca_trajectory_close(struct lca_trajectory *t);

#endif
