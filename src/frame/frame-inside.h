/* frame-inside.h: what encoder, decoder and documentation of frames share.
 *
 * Each kind is a table of fields made from its list in proto/, so that struct,
 * bytes and reference cannot part ways. */
#ifndef LCA_FRAME_FRAME_INSIDE_H
#define LCA_FRAME_FRAME_INSIDE_H

#include <msgpack.h>

#include "frame/frame.h"

enum lca_field_type {
    LCA_FIELD_uint,
    LCA_FIELD_int,
    LCA_FIELD_f8,
    LCA_FIELD_bool,
    LCA_FIELD_str,
    LCA_FIELD_bin,
    LCA_FIELD_f8s,
    LCA_FIELD_any,
};

struct lca_field {
    const char *key;            /* a table ends with NULL */
    enum lca_field_type type;
    const char *type_name;
    char need;                  /* 'R', 'O' */
    size_t offset;              /* in lca_frame.u */
    const char *help;
};

/* Notices are written with opt true: who does not know one skips it. */
enum lca_kind_group { LCA_GROUP_CONTROL, LCA_GROUP_POOL, LCA_GROUP_DATA, LCA_GROUP_NOTICE };

enum { LCA_DT_LEN = 3, LCA_ANY_MAX = 16 };

struct lca_frame_inside {
    msgpack_zone zone;
    msgpack_object root;        /* the header; points into `bytes` and the zone */
    struct lca_buf bytes;       /* copy of the header */
    struct lca_buf text;        /* strings of the frame, zero-terminated */
    json_t *any[LCA_ANY_MAX];   /* owned; what the frame's own keys of type any hold */
    unsigned n_any;
};

/* Name of a kind, or "frame"; fields, group and allowed elements ("<f4<f8"). */
const struct lca_field *lca_kind_fields(enum lca_kind kind);
enum lca_kind_group lca_kind_group(enum lca_kind kind);
const char *lca_kind_elements(enum lca_kind kind);
enum lca_kind lca_kind_find(const char *name, size_t len);     /* NONE when unknown */

/* Bytes of an element of type dt; 0 when it is not one that frames carry, or not
 * among those that the kind allows. */
unsigned lca_dt_size(enum lca_kind kind, const char *dt, size_t len);

/* nb = product(sh) x size, within LCA_PAYLOAD_MAX; -1 when not. */
int lca_shape_bytes(const uint64_t *sh, unsigned n_sh, unsigned size, uint64_t *nb) LCA_MUST_USE;

/* MessagePack to JSON, returned to be freed with json_decref. Bytes become hex
 * text. What JSON cannot say (numbers that are not finite, or beyond 64 bits with
 * a sign) is refused: NULL with err filled; when lenient, it becomes null or the
 * nearest double. The object has passed lca_scan. */
json_t *lca_frame_to_json(const msgpack_object *o, bool lenient, struct lca_err *err) LCA_MUST_USE;

#endif
