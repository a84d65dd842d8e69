/* head.h: HEAD describes a stream; the first frame that each consumer, pipe, file
 * and pool worker gets. Payload: the network description, JSON text, |u1[bytes].
 *
 * Everything that a consumer needs about the parameters stands here, so that no
 * stage works out an offset for itself. */
#define LCA_PROTO_HEAD(F)                                                             \
    F(uint, v,       R, "wire version chosen")                                        \
    F(str,  model,   R, "name of the network")                                        \
    F(uint, P,       R, "parameters")                                                 \
    F(any,  layers,  R, "[{n name, l layer, k kernel|bias|gamma|beta, off, len, sh}]: the tensors in order of off") \
    F(any,  classes, R, "[{name, n}]: classes and their number of training examples") \
    F(any,  data,    R, "{name, sha256, sets: [{set, N, chunk}]}; chunk absent in a theta stream. Unit u of the pool is the u-th chunk, counted through the sets in order") \
    F(uint, parts,   R, "data frames per iteration; 0: not fixed")                    \
    F(uint, it0,     R, "first iteration")                                            \
    F(any,  it1,     O, "last iteration + 1; absent while open")                      \
    F(str,  rule,    O, "first-order, trapezoid, midpoint, simpson, boole")           \
    F(str,  unit,    O, "of the payloads' values: nat")                               \
    F(str,  num,     O, "numerics: device class, library, instruction set; the same id gives the same bytes") \
    F(bool, bycls,   O, "frames per class are in the stream, or wanted of the worker") \
    F(uint, nbmax,   R, "bytes of the largest payload to come")                       \
    F(uint, first,   O, "first seq that this consumer gets")                          \
    F(any,  def,     R, "the run's definition; run is its hash")                      \
    F(any,  prov,    R, "[{prog, version, args}], one per stage so far; no host, path, endpoint or worker count")
