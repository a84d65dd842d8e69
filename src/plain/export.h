/* export.h: a stream as plain files.
 *
 * The frames of a stream are sorted into series: rows of one shape, a row per step. A series
 * of vectors is all frames of one kind, set and class, its rows put together from slices; one
 * of aggregates all that have kind, set, shape and labels in common. A format writes the
 * series, each in its own way, as their frames come. */
#ifndef LCA_PLAIN_EXPORT_H
#define LCA_PLAIN_EXPORT_H

#include <stdbool.h>

#include "frame/frame.h"
#include "nn/table.h"
#include "plain/layout.h"

struct lca_series {
    struct lca_series *next;
    char name[256];             /* theta, lca.train, lca.train.3 (a class), layers.train, units.train.conv1 */
    char table[224];            /* the same without set and class: lca, units.conv1 */
    enum lca_kind kind;
    char set[8];                /* "": none */
    int cls;                    /* -1: all classes */
    const char *agg;            /* aggregates: their kind, .. */
    json_t *dims, *keys;        /* .. axes and labels; owned */
    const char *layer;          /* .. the one layer that they are about; NULL: not one */
    char dt[4];                 /* elements, "<f4" */
    uint64_t shape[4];          /* of a row; vectors: [selected parameters] */
    unsigned n_shape;
    uint64_t it, got;           /* step and parameters so far of the row under way */
    uint64_t rows;              /* whole ones */
    void *to;                   /* the format's */
    bool taken;                 /* the format writes it */
};

/* A frame of a series: which part of its vector it is. Aggregates are always whole. */
struct lca_slice {
    uint64_t it, off, n;        /* parameters [off, off + n) of P */
    bool first, last;           /* of the row */
};

struct lca_export_opts {
    const char *out;            /* file or folder; NULL: stdout */
    bool folder;                /* `out` is one: a file for each series, or step */
    enum lca_layout layout;     /* safetensors */
    bool paper;                 /* hdf5: as the authors' tools write it */
    bool tidy;                  /* csv, jsonl: a row per value */
    bool live;                  /* csv, jsonl: whoever reads wants each row at once */
    int64_t at;                 /* safetensors: the step; -1: the last */
};

/* Parameters that follow one another. */
struct lca_columns {
    uint64_t off, len, column;  /* in the vector; among the selected */
};

struct lca_export {
    const struct lca_export_opts *o;
    const struct lca_format *format;
    const struct lca_frame *head;   /* HEAD, borrowed */
    struct lca_table table;         /* of the selected layers; off is a place in the vector */
    uint64_t P, K;                  /* parameters; selected */
    struct lca_columns *columns;    /* the selected, owned, [n_columns] */
    unsigned n_columns;
    uint64_t rows;                  /* steps that the stream will have; 0: it does not say */
    struct lca_series *series;      /* in the order in which they came, [n_series] */
    unsigned n_series;
    void *self;                     /* the format's */
};

struct lca_format {
    const char *name;           /* of --to, and the ending of file names */
    bool pipes;                 /* may go to stdout */
    bool folders;               /* may go to a folder */
    int (*begin)(struct lca_export *x, struct lca_err *err);
    /* A new series. 1: it will be written; 0: it is left out; -1. */
    int (*open)(struct lca_export *x, struct lca_series *s, const struct lca_frame *f, struct lca_err *err);
    int (*put)(struct lca_export *x, struct lca_series *s, const struct lca_frame *f, const struct lca_slice *slice,
               struct lca_err *err);
    /* status: of EOS; "cut" where the stream broke off. What is written so far becomes good
     * files of whole rows. Frees what the format holds. */
    int (*end)(struct lca_export *x, const char *status, struct lca_err *err);
};

extern const struct lca_format lca_format_npy, lca_format_csv, lca_format_jsonl, lca_format_hdf5,
                               lca_format_safetensors;

/* NULL with LCA_USAGE when there is no such format. */
const struct lca_format *lca_format_find(const char *name, struct lca_err *err) LCA_MUST_USE;

/* To be called with HEAD. layers: patterns as of --layers, or NULL. rows: see above. */
int lca_export_begin(struct lca_export *x, const struct lca_export_opts *o, const struct lca_format *format,
                     const struct lca_frame *head, const char *layers, uint64_t rows, struct lca_err *err) LCA_MUST_USE;

/* A data frame. LCA_CORRUPT where slices do not fit together. */
int lca_export_put(struct lca_export *x, const struct lca_frame *f, struct lca_err *err) LCA_MUST_USE;

/* Ends and frees, also after a failure: what has come whole is kept. */
int lca_export_end(struct lca_export *x, const char *status, struct lca_err *err) LCA_MUST_USE;

/* Names of the series that were left out, "lca.val, lca.train.0, ..."; NULL: none. Until end. */
const char *lca_export_left_out(const struct lca_export *x, char *text, size_t size);

/* "12 rows of lca.train, 11 of lca.val": what is written; NULL: nothing. Until end. */
const char *lca_export_kept(const struct lca_export *x, char *text, size_t size);

/* For formats: the part of a slice that is in columns[k]: *column of the first, *n of them at
 * the pointer returned; NULL: none of it. */
const float *lca_export_part(const struct lca_export *x, const struct lca_frame *f, const struct lca_slice *slice,
                             unsigned k, uint64_t *column, uint64_t *n);

/* Where a series or table called name goes: a path in the folder, to be freed, or a copy of
 * `out`; *path NULL: stdout. */
int lca_export_path(const struct lca_export *x, const char *name, char **path, struct lca_err *err) LCA_MUST_USE;

/* Keys of a kind of vectors that are one number per step, parted by commas; "": none. */
const char *lca_export_scalars(enum lca_kind kind);

#endif
