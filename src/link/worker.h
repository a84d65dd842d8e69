/* worker.h: a gradient worker's side of the pool. */
#ifndef LCA_LINK_WORKER_H
#define LCA_LINK_WORKER_H

#include "link/link.h"

struct lca_worker;

struct lca_worker_opts {
    const char *endpoint;
    const char *name;           /* NULL: $LCA_STAGE, else the program's and its pid */
    const char *dev, *num;      /* see proto/pool.h */
    const char *data;           /* SHA-256 of the data file, hex */
    double lost;                /* seconds to wait for a pool that has gone; 0: 60 */
    unsigned slots;             /* units held at a time, 1 to LCA_WORKER_SLOTS; 0: 2, one at work and the next */
};

enum { LCA_WORKER_SLOTS = 4 };

/* A unit of work. theta is valid until the job is answered. */
struct lca_job {
    uint64_t pt, u, it;
    const float *theta;         /* [P] */
    uint64_t theta_id;          /* > 0; jobs of the same id have the same theta, also after a pool
                                   has gone and come back */
};

/* The gradient of a unit, or of one class of it. */
struct lca_job_row {
    int cls;                    /* -1: all */
    uint64_t n, hit;
    double loss;                /* nat, sum over n examples */
    const float *grad;          /* [P], sum over them */
};

struct lca_worker *lca_worker_open(struct lca_link *l, const struct lca_worker_opts *o, struct lca_err *err) LCA_MUST_USE;

/* Waits for the run's HEAD. 1: *head, valid as long as the worker; 0: told to stop
 * before it came. */
int lca_worker_head(struct lca_worker *w, struct lca_frame **head, struct lca_err *err) LCA_MUST_USE;

/* Waits for work. How many of the jobs that we hold were filled, in their order, at most
 * `room`; 0: the run is over, or we were told to stop and all that we held is done: the pool
 * has then been told that we leave. A job that was given before and is not here now is no
 * longer ours. */
int lca_worker_jobs(struct lca_worker *w, struct lca_job *job, int room, struct lca_err *err) LCA_MUST_USE;

/* Answers the first job with n rows in order of class; sec: seconds that computing took. */
int lca_worker_done(struct lca_worker *w, const struct lca_job *job, const struct lca_job_row *row, int n,
                    double sec, struct lca_err *err) LCA_MUST_USE;
void lca_worker_fail(struct lca_worker *w, const struct lca_job *job, const char *why);

#endif
