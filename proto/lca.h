/* lca.h: what one training step did, parameter by parameter.
 *
 * Frames of a step come in order of kind (lca, move, grad, eff), set, class (-1,
 * then 0, 1, ...), slice. Payload of each: a slice, <f4[n].
 *   lca   A[t,i], nat: change of the set's mean loss that parameter i made in step t
 *   move  d[t,i] = theta[t+1,i] - theta[t,i]
 *   grad  gradient of the set's mean loss at theta_t, nat
 *   eff   G[t,i], the gradient averaged along the step, nat: A = d G
 * A filter lca-grad writes `grad` frames too, one per theta frame and class; and
 * lca-train --gradients, of the set `batch`: the mini-batch's mean gradient that
 * moves theta_t. */
#define LCA_PROTO_LCA(F)                                                              \
    F(uint, it,   R, "step t, from theta_t to theta_t+1")                             \
    F(str,  set,  R, "train, val or test")                                            \
    F(int,  cls,  R, "class, or -1: all. By class L0, L1 and A are additive: (n_c/N) L_c") \
    F(uint, off,  O, "first parameter of the slice")                                  \
    F(uint, part, O, "number of the slice")                                           \
    F(f8,   L0,   R, "nat, mean loss at theta_t")                                     \
    F(f8,   L1,   R, "nat, at theta_t+1")                                             \
    F(f8,   sum,  R, "nat, sum of A over all parameters, in double before rounding")  \
    F(f8,   res,  R, "nat, L1 - L0 - sum")                                            \
    F(f8,   abs,  R, "nat, sum of |A|, in double before rounding")                    \
    F(f8,   fo,   R, "nat, sum of d G with G the gradient at theta_t: first order")   \
    F(uint, n,    R, "pieces")                                                        \
    F(uint, ev,   R, "full gradients newly evaluated for this step")                  \
    F(f8s,  tr,   R, "nat, the residual at each refinement, the last is res")

#define LCA_PROTO_MOVE(F)                                                             \
    F(uint, it,   R, "step t")                                                        \
    F(uint, off,  O, "first parameter of the slice")                                  \
    F(uint, part, O, "number of the slice")

#define LCA_PROTO_GRAD(F)                                                             \
    F(uint, it,   R, "step t")                                                        \
    F(str,  set,  R, "train, val, test, or batch: the mini-batch of the step")        \
    F(int,  cls,  R, "class, or -1: all; by class additive")                          \
    F(f8,   loss, R, "nat, mean loss at theta_t; by class additive")                  \
    F(uint, off,  O, "first parameter of the slice")                                  \
    F(uint, part, O, "number of the slice")

#define LCA_PROTO_EFF(F)                                                              \
    F(uint, it,   R, "step t")                                                        \
    F(str,  set,  R, "train, val or test")                                            \
    F(int,  cls,  R, "class, or -1: all; by class additive")                          \
    F(uint, off,  O, "first parameter of the slice")                                  \
    F(uint, part, O, "number of the slice")
