/* pool.h: work between lca-integrate (d) and the gradient workers (w).
 *
 * An evaluation point is theta somewhere on a step; a unit is one chunk of one
 * set. The worker answers a WORK with one DONE per class present (or one in all),
 * each in slices, and the unit is done when the frame marked last has come. */
#define LCA_PROTO_JOIN(F)       /* w: first frame */                                  \
    F(uint, vmin,  R, "lowest wire version the worker speaks")                        \
    F(uint, vmax,  R, "highest")                                                      \
    F(str,  name,  R, "of the worker")                                                \
    F(str,  host,  R, "where it runs, for messages")                                  \
    F(uint, pid,   R, "likewise")                                                     \
    F(uint, slots, R, "units it holds at once, at work and waiting")       \
    F(str,  dev,   R, "cpu, cuda:0, ...")                                             \
    F(str,  num,   R, "numerics id, see HEAD")                                        \
    F(str,  data,  R, "SHA-256 of its data file, hex")

#define LCA_PROTO_POINT(F)      /* d: THETA, payload a slice of theta, <f4[n] */      \
    F(uint, pt,   R, "names the point in WORK and DONE")                              \
    F(uint, it,   R, "step t")                                                        \
    F(uint, j,    R, "the point lies at j/n of the way from theta_t to theta_t+1")    \
    F(uint, n,    R, "see j")                                                         \
    F(uint, off,  O, "first parameter of the slice")                                  \
    F(uint, part, O, "number of the slice")

#define LCA_PROTO_WORK(F)       /* d */                                               \
    F(uint, pt,       R, "point; its THETA came before")                              \
    F(uint, u,        R, "unit: chunk of HEAD.data.sets")                                        \
    F(uint, lease_ms, R, "milliseconds after which the unit also goes elsewhere")

#define LCA_PROTO_DONE(F)       /* w: payload a slice of the gradient summed over the unit, nat, <f4[n] */ \
    F(uint, pt,   R, "see WORK")                                                      \
    F(uint, u,    R, "see WORK")                                                      \
    F(int,  cls,  R, "class, or -1: all")                                             \
    F(uint, n,    R, "examples of this class in the unit")                            \
    F(f8,   loss, R, "nat, summed over those examples")                               \
    F(uint, hit,  R, "examples of them whose largest logit is their label's")         \
    F(f8,   sec,  R, "seconds of computing spent on the unit so far")                 \
    F(uint, off,  O, "first parameter of the slice")                                  \
    F(uint, part, O, "number of the slice")                                           \
    F(bool, last, O, "the unit's last frame")

#define LCA_PROTO_FAIL(F)       /* w */                                               \
    F(uint, pt,   R, "see WORK")                                                      \
    F(uint, u,    R, "see WORK")                                                      \
    F(str,  msg,  R, "for people")

#define LCA_PROTO_LEAVE(F)      /* w: gives back no unit, takes no more */            \
    F(str,  why,  O, "for people")
