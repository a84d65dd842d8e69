/* filter.h: the one loop that all aggregators share.
 *
 * An aggregator reads an `lca` stream and writes `agg` frames. It is a struct of
 * running sums and three functions: start sees HEAD, step gets each vector of each
 * step whole (slices are put together here), end writes the totals. What it says for
 * summary.json is `final`. Memory does not grow with the number of steps unless the
 * aggregator says so. */
#ifndef LCA_FILTER_FILTER_H
#define LCA_FILTER_FILTER_H

#include "link/link.h"
#include "nn/table.h"

/* HEAD of the stream that comes in. */
struct lca_stream {
    const struct lca_frame_head *head;      /* borrowed for the run */
    struct lca_table table;                 /* tensors and layers */
    uint64_t P, it0;
    unsigned n_classes;
    json_t *classes;                        /* [{name, n}], borrowed */
    double N;                               /* training examples */
};

/* One vector of one step. */
struct lca_step {
    enum lca_kind kind;                     /* LCA_KIND_lca, _move, _grad, _eff */
    uint64_t it;
    const char *set;                        /* "" for move */
    int cls;                                /* -1: all classes */
    const struct lca_frame_lca *lca;        /* its numbers, for kind lca; else NULL */
    const float *v;                         /* [P] */
};

/* What an aggregator writes; all borrowed for the call but keys and more, which are
 * taken over (NULL: none). */
struct lca_agg {
    const char *kind;                       /* "layers", "layers_total" */
    uint64_t it;
    const char *set, *unit;
    const char *dims[4];                    /* names of the axes */
    uint64_t shape[4];
    unsigned n_dims;
    const char *dt;                         /* "<f8", "<u8", ... */
    const void *data;
    json_t *keys, *more;
};

struct lca_emit;                            /* where they go */
int lca_emit_agg(struct lca_emit *e, struct lca_agg *a, struct lca_err *err) LCA_MUST_USE;

struct lca_filter {
    const char *prog;                       /* "lca-layers" */
    const char *stream;                     /* "layers"; NULL: writes no frames */
    json_t *args;                           /* options that change results, taken over; or NULL */
    uint64_t payload;                       /* bytes of the largest agg payload; 0: 1 MiB */
    void *self;
    int (*start)(void *self, const struct lca_stream *s, struct lca_err *err);
    int (*step)(void *self, const struct lca_step *step, struct lca_emit *e, struct lca_err *err);
    int (*end)(void *self, struct lca_emit *e, struct lca_err *err);
    json_t *(*final)(void *self);           /* new reference; NULL function: none */
};

/* Runs the filter from HEAD to EOS. start may still set f->payload and f->args. */
int lca_filter_run(struct lca_filter *f, const struct lca_link_args *args, struct lca_err *err) LCA_MUST_USE;

/* Labels for lca_agg.keys: {"axis": [names]} of layers or tensors or classes. */
json_t *lca_filter_layer_names(const struct lca_stream *s) LCA_MUST_USE;
json_t *lca_filter_tensor_names(const struct lca_stream *s) LCA_MUST_USE;
json_t *lca_filter_class_names(const struct lca_stream *s) LCA_MUST_USE;

#endif
