/* pool-inside.h: what the pool is made of; for pool*.c only.
 *
 * pool-work.c knows the points, their units and the workers that hold them; pool.c talks
 * with the workers and the program; pool-status.c says how it is. */
#ifndef LCA_LINK_POOL_INSIDE_H
#define LCA_LINK_POOL_INSIDE_H

#include "link/member.h"
#include "link/pool.h"

enum { MAX_WORKERS = 64, MAX_SLOTS = 8, MAX_FAILS = 3, TIMES = 32 };

/* A slice as it came, kept until its unit's turn. */
struct slice {
    struct lca_pool_row row;
    struct lca_packet packet;       /* holds row.grad, unless copy does */
    struct lca_buf copy;
};

struct result {
    struct slice *slice;
    size_t n, cap;
    uint32_t crc;                   /* over all slices: two workers must agree */
    bool bad;                       /* a value is not finite */
};

struct unit {
    bool done;
    int holders, late;              /* workers that have it; those past their lease */
    int failed[MAX_FAILS], n_failed, n_bad;     /* workers that could not do it; of them, by numbers */
    char by[64], num[128];          /* who did it first, and its numerics */
    struct result result;
};

struct point {
    struct point *next;             /* by order */
    uint64_t pt, order, it;
    struct lca_packet *theta;       /* [n_theta] slices */
    size_t n_theta;
    struct unit *unit;
    uint64_t handed, n_done;        /* units handed on; units done */
};

struct held {
    struct point *point;
    uint64_t u;
    bool late;                      /* its worker is past the lease */
};

struct worker {
    struct lca_peer_id id;
    int serial;
    char name[64], host[64], dev[16], num[128];     /* as it says in JOIN */
    uint64_t pid;
    bool leaving;
    uint64_t slots;
    struct held held[MAX_SLOTS];        /* in the order in which it does them */
    uint64_t n_held;
    double begun;                       /* when held[0] became the first */
    double pace;                        /* seconds that a unit takes it; 0: not known yet */
    bool late, told;                    /* past its lease; and that has been said */
    uint64_t kept[MAX_SLOTS], n_kept;   /* points whose theta it has, least recent first */
    struct result result;               /* of the unit that it is sending */
    double joined, last_done, busy;
    uint64_t n_done;                /* units; busy: seconds of computing them */
};

struct lca_pool {
    struct lca_member member;
    struct lca_link *link;
    struct lca_pool_opts opts;
    struct lca_endpoint endpoint;
    struct lca_sock sock;
    struct lca_frame head;
    struct lca_packet head_packet;
    struct lca_buf aligned;
    bool has_head, ended;
    char num[128], data[80];
    uint64_t n_units, n_cls, P;
    struct worker worker[MAX_WORKERS];
    int n_worker, serial;
    struct point *points;
    double times[TIMES];                /* seconds of the latest units */
    uint64_t n_times;
    double median;                      /* of these; 0: none */
    double first_work, last_done, left_time, left_busy;
    double alone_since;                 /* no worker since; 0: there is one */
    bool said_alone;
    struct lca_pool_stats stats;
    int probes;
    double probe_from;
};

void lca_pool_result_clear(struct result *r);
void lca_pool_point_free(struct lca_pool *p, struct point *pt);

/* Frees the points that are finished and that no worker holds a twin of. */
void lca_pool_sweep(struct lca_pool *p);

/* Hands the results of pt on that are next in order of unit. */
int lca_pool_hand_on(struct lca_pool *p, struct point *pt, struct lca_err *err) LCA_MUST_USE;

/* w no longer has its k-th unit. */
void lca_pool_drop_held(struct worker *w, uint64_t k);

/* Whether a worker that takes units has not failed at this one. */
bool lca_pool_untried(const struct lca_pool *p, const struct unit *unit);

/* Its units are to be done again; the last worker takes its place in the list. */
void lca_pool_remove_worker(struct lca_pool *p, struct worker *w);

/* The same, said and counted. */
void lca_pool_worker_gone(struct lca_pool *p, struct worker *w);

/* w has spent so many seconds on a unit. */
void lca_pool_time(struct lca_pool *p, struct worker *w, double sec);

/* Gives units to whoever has a free slot. */
void lca_pool_dispatch(struct lca_pool *p);

/* When dispatch has something to do although nothing came: a lease runs out, or somebody
 * idle may take over from a slower one. 0: never. */
double lca_pool_dispatch_due(const struct lca_pool *p);

/* The function of the member. */
void lca_pool_status(const struct lca_member *m, struct lca_state *s);

#endif
