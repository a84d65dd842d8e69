/* value.h: what a frame holds, found by name and put as text.
 *
 * Names are the header's keys, and two more: `data`, the payload's values in row major
 * order as one flat list, and for HEAD `network`, its payload, the description of the
 * network. (HEAD has a key named data of its own.) Dots reach into maps by key and into
 * lists by index: final.loss_last, keys.layer.0, data.3.
 *
 * Numbers are put with as few digits as read back to the same bits: f4 to f4, f8 to f8. */
#ifndef LCA_TAP_VALUE_H
#define LCA_TAP_VALUE_H

#include <msgpack.h>

#include "base/buf.h"
#include "frame/frame.h"

/* Text under way: where it is appended to. Once memory is out, nothing more is put,
 * and failed says so at the end. */
struct lca_text {
    struct lca_buf *to;
    bool failed;
};

void lca_text_put(struct lca_text *t, const void *data, size_t len);

struct lca_value {
    enum { LCA_VALUE_NONE, LCA_VALUE_ONE, LCA_VALUE_DATA, LCA_VALUE_NETWORK } is;
    msgpack_object one;             /* ONE; points into the frame */
    const struct lca_frame *frame;  /* DATA, NETWORK; borrowed */
};

/* The value named by path in a decoded frame; NONE when there is none, or when `data`
 * as a whole has more than `most` values (single ones, data.3, may always be had). */
struct lca_value lca_value_find(const struct lca_frame *f, const char *path, uint64_t most);

/* Element k < lca_frame_count(f) of the payload, which must be there. */
msgpack_object lca_value_element(const struct lca_frame *f, uint64_t k);

/* As JSON; not a number and the infinities as strings. Nothing for NONE. */
void lca_value_json(struct lca_text *t, const struct lca_value *v);

/* For people and tables: strings as they are but for control characters, null and
 * NONE as nothing, lists and maps as JSON. */
void lca_value_plain(struct lca_text *t, const struct lca_value *v);

/* The same as a cell of CSV: quoted where it must be, as RFC 4180 says. */
void lca_value_cell(struct lca_text *t, const struct lca_value *v);

/* Text as such a value; it is borrowed. */
struct lca_value lca_value_text(const char *text);

/* The whole frame as one JSON object: the header in wire order, then data or network. */
void lca_value_frame(struct lca_text *t, const struct lca_frame *f, uint64_t most);

/* A JSON string with its quotes. What is not UTF-8 becomes U+FFFD. */
void lca_value_quote(struct lca_text *t, const char *s, size_t len);

#endif
