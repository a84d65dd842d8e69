/* filter.h: the one loop that all aggregators share.
 *
 * An aggregator reads an `lca` stream and writes `agg` frames. It is a struct of
 * running sums and three functions: start sees HEAD, step gets each vector of each
 * step whole (slices are put together here), end writes the totals. What it says for
 * summary.json is `final`. Memory does not grow with the number of steps unless the
 * aggregator says so.
 *
 * --steps, --layers, --classes and --every are the loop's care. What the user did not
 * select does not exist for the aggregator: such steps and classes never reach it, and
 * the table has the selected layers alone. It must go by the table (or by `range`),
 * never over the whole of v, and number classes as lca_stream.classes does.
 *
 * A value that is NaN or infinite ends the run (LCA_CORRUPT, the step and the
 * parameter named) before step sees it. */
#ifndef LCA_FILTER_FILTER_H
#define LCA_FILTER_FILTER_H

#include "filter/select.h"
#include "link/link.h"
#include "nn/table.h"

enum { LCA_SETS = 3 };                      /* train, val, test */

struct lca_range {
    uint64_t off, len;                      /* parameters */
};

/* HEAD of the stream that comes in, and what of it is selected. */
struct lca_stream {
    const struct lca_frame *frame;          /* HEAD's, with the network's description as payload */
    const struct lca_frame_head *head;      /* its keys: all layers and classes */
    struct lca_table table;                 /* the selected tensors and layers; off is a place in v [P],
                                               so that there may be gaps */
    uint64_t P, it0;                        /* P: length of vectors */
    uint64_t K;                             /* selected parameters */
    const struct lca_range *range;          /* the same as few contiguous ranges, [n_range] */
    unsigned n_range;
    unsigned n_classes;                     /* selected */
    json_t *classes;                        /* the same, [{name, n}], borrowed */
    struct {
        char name[8];
        double N;                           /* examples */
    } set[LCA_SETS];                        /* as HEAD lists them, train first */
    unsigned n_set;
    double N;                               /* training examples */
};

/* One vector of one step. */
struct lca_step {
    enum lca_kind kind;                     /* LCA_KIND_lca, _move, _grad, _eff */
    uint64_t it;
    const char *set;                        /* "" for move */
    unsigned s;                             /* place of set in lca_stream.set; move: 0 */
    int cls;                                /* place in lca_stream.classes; -1: all classes of the set */
    const struct lca_frame_lca *lca;        /* its numbers, for kind lca; else NULL */
    const float *v;                         /* [P]; only what the table has may be read */
    bool shown;                             /* --every wants frames about this step */
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
    bool window;                            /* sums up several steps: --every does not leave it out */
};

/* Sends it. From step, for a step that --every leaves out, it drops it instead. */
struct lca_emit;
int lca_emit_agg(struct lca_emit *e, struct lca_agg *a, struct lca_err *err) LCA_MUST_USE;

/* Kinds of frames, as a set: LCA_TAKES(lca) | LCA_TAKES(move) */
#define LCA_TAKES(kind) (1u << LCA_KIND_##kind)

struct lca_filter {
    const char *prog;                       /* "lca-layers" */
    const char *stream;                     /* "layers"; NULL: writes no frames */
    json_t *args;                           /* options that change results, taken over; or NULL */
    uint64_t payload;                       /* bytes of the largest agg payload, at least 1 MiB */
    unsigned takes;                         /* kinds that step is to see; 0: lca */
    unsigned needs;                         /* of them those without which there is no result: a step that
                                               lacks one ends the run (LCA_USAGE, naming --emit) */
    bool any_value;                         /* NaN and infinity reach step */
    bool stopped;                           /* set by the run: it was told to stop before EOS */
    void *self;
    int (*start)(void *self, const struct lca_stream *s, struct lca_err *err);
    int (*step)(void *self, const struct lca_step *step, struct lca_emit *e, struct lca_err *err);
    int (*end)(void *self, struct lca_emit *e, struct lca_err *err);
    json_t *(*final)(void *self);           /* new reference; NULL function: none */
};

/* Options of every aggregator. */
struct lca_filter_args {
    struct lca_link_args link;
    struct lca_select_args select;
};
#define LCA_FILTER_OPTS(a)                                                                        \
    LCA_IN_OPTS((a).link), LCA_OUT_OPTS((a).link), LCA_SELECT_OPTS((a).select), LCA_SAFETY_OPTS((a).link.safety)

/* Runs the filter from HEAD to EOS. start may still set f->payload and f->args; what
 * was selected is added to args. */
int lca_filter_run(struct lca_filter *f, const struct lca_filter_args *args, struct lca_err *err) LCA_MUST_USE;

/* Labels for lca_agg.keys: {"axis": [names]} of the selected layers, tensors, classes. */
json_t *lca_filter_layer_names(const struct lca_stream *s) LCA_MUST_USE;
json_t *lca_filter_tensor_names(const struct lca_stream *s) LCA_MUST_USE;
json_t *lca_filter_class_names(const struct lca_stream *s) LCA_MUST_USE;

/* "all", then the layers: labels for sums over everything and over each layer. */
json_t *lca_filter_group_names(const struct lca_stream *s) LCA_MUST_USE;

/* What the step did to the set's loss, for lca_agg.more: {L0, L1, res, fo}, as in proto/lca.h. */
json_t *lca_filter_loss(const struct lca_frame_lca *f) LCA_MUST_USE;

/* Puts a number into `more` or `final`, unless it is NaN or infinite, which JSON lacks. */
void lca_filter_number(json_t *object, const char *key, double value);

#endif
