/* control.h: opening, acknowledging and ending a stream. No payload.
 *
 * HELLO consumer -> producer, first. ACK consumer -> producer: credit. BYE either
 * way: I am leaving. ERR either way: refused, and why; then the sender closes.
 * EOS producer -> consumer: the last frame; also the last record of a file.
 * PING, PONG either way: dropped on receipt, a probe for peers that have gone. */
#define LCA_PROTO_HELLO(F)                                                            \
    F(uint, vmin, R, "lowest wire version the consumer speaks")                       \
    F(uint, vmax, R, "highest")                                                       \
    F(str,  name, R, "of the consumer, unique on this edge")                          \
    F(str,  from, O, "oldest, now, or a seq as digits: first frame wanted")           \
    F(uint, win,  O, "frames it may be sent before its first ACK; 0: HEAD only")      \
    F(uint, maxb, R, "bytes, largest payload it takes")                               \
    F(bool, take, O, "replace whoever holds this name")

#define LCA_PROTO_ACK(F)                                                              \
    F(uint, done, R, "next seq not yet processed: all before it are")                 \
    F(uint, lim,  R, "frames up to this seq, exclusive, may be sent")                 \
    F(bool, eos,  O, "EOS has been processed")

#define LCA_PROTO_BYE(F)                                                              \
    F(str,  why,  O, "for people")

#define LCA_PROTO_ERR(F)                                                              \
    F(str,  code, R, "version, name, run, gone, data, num, size, full, frame")        \
    F(str,  msg,  R, "for people: what is wrong, what to do")

#define LCA_PROTO_PING(F)
#define LCA_PROTO_PONG(F)

#define LCA_PROTO_EOS(F)                                                              \
    F(uint, next,   R, "number of data frames in the stream")                         \
    F(str,  status, R, "ok, interrupted or failed")                                   \
    F(str,  why,    O, "for people")                                                  \
    F(any,  final,  O, "map: this stage's keys for summary.json")
