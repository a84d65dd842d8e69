/* theta.h: the parameter vector after t training steps. Payload: a slice of
 * theta_t, <f4[n]. T steps give the T+1 vectors theta_0 .. theta_T. */
#define LCA_PROTO_THETA(F)                                                            \
    F(uint, it,     R, "t")                                                           \
    F(uint, off,    O, "first parameter of the slice")                                \
    F(uint, part,   O, "number of the slice; seq = (it - it0) x parts + part")        \
    F(f8,   lr,     R, "learning rate of the step that led here; 0 at it0, NaN: not known") \
    F(f8,   mbloss, R, "nat, mean loss of that step's mini-batch, before the step; 0 at it0, NaN: not known") \
    F(uint, epoch,  R, "epoch of that step, from 0")                                  \
    F(bin,  mb,     O, "XXH64 of the mini-batch's indices, 8 bytes")
