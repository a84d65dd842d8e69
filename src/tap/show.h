/* show.h: frames as lines of text: JSON, CSV, or a format of one's own. A format is
 * read once into a list, and the list is run for each frame.
 *
 * Where fields are chosen, by name, by a format or by the default columns of CSV, a
 * frame that has none of them is not shown: HEAD and EOS leave no empty rows. */
#ifndef LCA_TAP_SHOW_H
#define LCA_TAP_SHOW_H

#include "base/buf.h"
#include "frame/frame.h"

#define LCA_SHOW_MOST 4096      /* values of a payload that are shown without being asked for */

struct lca_show;

struct lca_show_opts {
    enum { LCA_SHOW_JSON, LCA_SHOW_CSV, LCA_SHOW_FORMAT } as;
    const char *fields;     /* "a,b.c": only these (see value.h); NULL: all, or CSV's default */
    const char *format;     /* FORMAT: text with %{field}, %{field:.3f}, %%, \n \t \\ */
    bool records;           /* JSON: rows of the table that CSV would be, as flat objects */
    bool all_data;          /* payloads of more than LCA_SHOW_MOST values too */
};

/* LCA_USAGE, naming the place, when fields or format cannot be read. */
struct lca_show *lca_show_new(const struct lca_show_opts *o, struct lca_err *err) LCA_MUST_USE;

/* Appends f to `out`: a JSON object and a line break; rows of CSV (before the first one
 * the header line), quoted as RFC 4180 says but with plain line breaks; or the format.
 *
 * CSV without fields is one table, that of the first data frame: its kind's columns, or
 * for agg `it`, `set` where it names one, and a column per value, named by dims and keys
 * ("layer" labels joined by ':'). Later frames of another kind or size are left out.
 * Returns 1; 0: not shown; -1: no memory, or an agg of too many values for columns. */
int lca_show_frame(struct lca_show *s, const struct lca_frame *f, struct lca_buf *out,
                   struct lca_err *err) LCA_MUST_USE;

/* Kind of the first data frame that did not fit the table; NULL: none. */
const char *lca_show_left_out(const struct lca_show *s);

void lca_show_free(struct lca_show *s);

#endif
