/* frame.h: frames in memory, and their headers as MessagePack bytes.
 *
 * A struct lca_frame is one frame: its kind, the common keys, and the kind's own
 * keys as the struct that proto/ lists (f.u.lca.sum, f.u.head.P ...). Zero it to
 * begin (LCA_FRAME(kind) does), reuse it at will, end with lca_frame_clear.
 *
 * Nothing here trusts its input: sizes, depth and counts are checked before
 * anything is allocated, unknown keys are skipped, a missing or mistyped key, a
 * duplicate key or bytes left over are errors (LCA_CORRUPT). */
#ifndef LCA_FRAME_FRAME_H
#define LCA_FRAME_FRAME_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "proto/common.h"

#define LCA_HEADER_MAX   (64u * 1024)           /* bytes of a header */
#define LCA_PAYLOAD_MAX  (64u * 1024 * 1024)    /* bytes of a payload, the hard cap */
#define LCA_SLICE        (4u * 1024 * 1024)     /* parameters per slice of a vector: 16 MiB of <f4 */
#define LCA_RUN_LEN      16

struct lca_bin {
    const uint8_t *data;    /* borrowed */
    size_t len;
};

struct lca_f8s {
    double v[8];
    unsigned n;
};

/* struct lca_frame_hello, struct lca_frame_theta, ... from proto/ */
#define LCA_C_uint uint64_t
#define LCA_C_int  int64_t
#define LCA_C_f8   double
#define LCA_C_bool bool
#define LCA_C_str  const char *
#define LCA_C_bin  struct lca_bin
#define LCA_C_f8s  struct lca_f8s
#define LCA_C_any  json_t *
#define LCA_FRAME_MEMBER(type, key, need, help) LCA_C_##type key;
#define LCA_FRAME_STRUCT(name, LIST) struct lca_frame_##name { LIST(LCA_FRAME_MEMBER) char unused_; };
LCA_FRAME_STRUCT(hello, LCA_PROTO_HELLO)
LCA_FRAME_STRUCT(ack, LCA_PROTO_ACK)
LCA_FRAME_STRUCT(bye, LCA_PROTO_BYE)
LCA_FRAME_STRUCT(err, LCA_PROTO_ERR)
LCA_FRAME_STRUCT(ping, LCA_PROTO_PING)
LCA_FRAME_STRUCT(pong, LCA_PROTO_PONG)
LCA_FRAME_STRUCT(head, LCA_PROTO_HEAD)
LCA_FRAME_STRUCT(eos, LCA_PROTO_EOS)
LCA_FRAME_STRUCT(join, LCA_PROTO_JOIN)
LCA_FRAME_STRUCT(point, LCA_PROTO_POINT)
LCA_FRAME_STRUCT(work, LCA_PROTO_WORK)
LCA_FRAME_STRUCT(done, LCA_PROTO_DONE)
LCA_FRAME_STRUCT(fail, LCA_PROTO_FAIL)
LCA_FRAME_STRUCT(leave, LCA_PROTO_LEAVE)
LCA_FRAME_STRUCT(theta, LCA_PROTO_THETA)
LCA_FRAME_STRUCT(lca, LCA_PROTO_LCA)
LCA_FRAME_STRUCT(move, LCA_PROTO_MOVE)
LCA_FRAME_STRUCT(grad, LCA_PROTO_GRAD)
LCA_FRAME_STRUCT(eff, LCA_PROTO_EFF)
LCA_FRAME_STRUCT(agg, LCA_PROTO_AGG)
LCA_FRAME_STRUCT(status, LCA_PROTO_STATUS)

enum lca_kind {
    LCA_KIND_NONE,
#define LCA_FRAME_KIND(name, wire, group, elements) LCA_KIND_##name,
    LCA_PROTO_KINDS(LCA_FRAME_KIND)
    LCA_KINDS
};

struct lca_frame {
    enum lca_kind kind;         /* LCA_KIND_NONE: a kind we do not know, marked opt */
    uint8_t run[LCA_RUN_LEN];
    const char *st;             /* stream; borrowed */
    uint64_t inc, seq;
    union {
#define LCA_FRAME_UNION(name, wire, group, elements) struct lca_frame_##name name;
        LCA_PROTO_KINDS(LCA_FRAME_UNION)
    } u;

    /* payload: n_sh 0 means none. To encode, set dt, sh and n_sh, and payload. */
    char dt[4];                 /* "<f4" */
    uint64_t sh[4];
    unsigned n_sh;
    uint64_t nb;                /* bytes; filled by encode and decode */
    uint32_t crc;               /* filled by encode and decode */
    const void *payload;        /* borrowed: the caller's to encode, the carrier's after a
                                   read, valid until the next read of the same link */

    struct lca_frame_inside *inside;    /* what decode owns */
};

#define LCA_FRAME(k) ((struct lca_frame){.kind = LCA_KIND_##k})

const char *lca_kind_name(enum lca_kind kind);      /* "HEAD"; "?" for NONE */
bool lca_kind_is_data(enum lca_kind kind);

/* The step of a data frame; 0 for other kinds. */
uint64_t lca_frame_it(const struct lca_frame *f);

/* Sets the payload to n elements of dt ("<f4") at data, borrowed. */
void lca_frame_payload(struct lca_frame *f, const char *dt, uint64_t n, const void *data);

/* Number of payload elements: product(sh), 0 without payload. */
uint64_t lca_frame_count(const struct lca_frame *f);

/* Writes the header's bytes to `header` (emptied first) and fills nb and crc. */
int lca_frame_encode(struct lca_frame *f, struct lca_buf *header, struct lca_err *err) LCA_MUST_USE;

/* Reads a header of len bytes. Strings and json_t of f belong to f until its next
 * decode or clear. payload is left NULL; the carrier sets it by lca_frame_attach. */
int lca_frame_decode(struct lca_frame *f, const void *header, size_t len, struct lca_err *err) LCA_MUST_USE;

/* Gives a decoded frame its payload: checks the length and the CRC. data borrowed. */
int lca_frame_attach(struct lca_frame *f, const void *data, size_t len, struct lca_err *err) LCA_MUST_USE;

/* The whole header of a decoded frame, unknown keys too, keys in wire order, bytes
 * as hex text. Returned to be freed with json_decref; NULL: no memory. */
json_t *lca_frame_json(const struct lca_frame *f);

/* The documentation of kind's own keys, for reference pages and tests:
 * calls each(key, type, need 'R' or 'O', help). */
void lca_frame_describe(enum lca_kind kind,
                        void (*each)(void *arg, const char *key, const char *type, char need, const char *help),
                        void *arg);

void lca_frame_clear(struct lca_frame *f);

#endif
