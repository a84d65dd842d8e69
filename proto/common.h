/* common.h: what every frame has, and the notation of this folder.
 *
 * A frame is a header (one MessagePack map) and a payload (raw little-endian
 * array, row major) or none. Each file here lists one kind's own keys as
 *     F(type, key, need, "what it is, its unit")
 * C makes a struct, an encoder and a decoder of the list (src/frame/frame.h); the
 * reference in docs/frames.md is the same list. Types on the wire and in C:
 *     uint   unsigned integer                uint64_t
 *     int    signed integer                  int64_t
 *     f8     float 64                        double
 *     bool   true, false                     bool
 *     str    text, at most 4 KiB             const char *, NULL when absent
 *     bin    bytes                           struct lca_bin
 *     f8s    at most 8 float 64              struct lca_f8s
 *     any    lists and maps of the above     json_t *, NULL when absent
 * need: R required; O may be absent, which reads as 0, false, NULL or empty, and
 * such a value is not written.
 *
 * Before its own keys every header has, in this order:
 *     lca  uint    wire version, 1; always the first key, so it is the magic too
 *     t    str     kind of frame
 *     run  bin 16  run id: SHA-256 of the run's definition, cut to 16 bytes
 *     st   str     stream: theta, lca, layers, ...
 *     inc  uint    control frames: incarnation of the producer (absent: 0)
 *     seq  uint    data frames: position in the stream, from 0
 *     opt  bool    notices: true, a reader that does not know the kind skips it
 * and, where there is a payload, after them:
 *     dt   str     element: <f4 <f8 <u4 <u8 <i4 |u1
 *     sh   [uint]  shape, at most 4 axes
 *     nb   uint    bytes = product(sh) x size(dt)
 *     crc  uint    CRC-32C of the payload
 *
 * Kinds, with the payload each has: control on a stream, data on a stream, pool, and
 * notices, which are for whoever cares. */
#ifndef LCA_PROTO_COMMON_H
#define LCA_PROTO_COMMON_H

#define LCA_WIRE_VERSION 1

/* K(C name, wire name, group, payload elements allowed) */
#define LCA_PROTO_KINDS(K)                       \
    K(hello,  "HELLO",  CONTROL, "")             \
    K(ack,    "ACK",    CONTROL, "")             \
    K(bye,    "BYE",    CONTROL, "")             \
    K(err,    "ERR",    CONTROL, "")             \
    K(ping,   "PING",   CONTROL, "")             \
    K(pong,   "PONG",   CONTROL, "")             \
    K(head,   "HEAD",   CONTROL, "|u1")          \
    K(eos,    "EOS",    CONTROL, "")             \
    K(join,   "JOIN",   POOL,    "")             \
    K(point,  "THETA",  POOL,    "<f4")          \
    K(work,   "WORK",   POOL,    "")             \
    K(done,   "DONE",   POOL,    "<f4")          \
    K(fail,   "FAIL",   POOL,    "")             \
    K(leave,  "LEAVE",  POOL,    "")             \
    K(theta,  "theta",  DATA,    "<f4")          \
    K(lca,    "lca",    DATA,    "<f4")          \
    K(move,   "move",   DATA,    "<f4")          \
    K(grad,   "grad",   DATA,    "<f4")          \
    K(eff,    "eff",    DATA,    "<f4")          \
    K(agg,    "agg",    DATA,    "<f4<f8<u4<u8") \
    K(status, "STATUS", NOTICE,  "")

#include "proto/control.h"
#include "proto/head.h"
#include "proto/pool.h"
#include "proto/theta.h"
#include "proto/lca.h"
#include "proto/agg.h"
#include "proto/status.h"

#endif
