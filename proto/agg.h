/* agg.h: what an aggregator says: a small array with named axes.
 *
 * Per step with kind NAME, and once before EOS with kind NAME_total. Payload:
 * <f4, <f8, <u4 or <u8, of the shape that dims names. */
#define LCA_PROTO_AGG(F)                                                              \
    F(uint, it,   R, "step t that it is about, or the last one that it sums up to")   \
    F(str,  kind, R, "what it is: layers, layers_total, ...")                         \
    F(str,  set,  O, "train, val or test")                                            \
    F(any,  dims, R, "[str]: the name of each axis: layer, tensor, class, bin, ...")  \
    F(any,  keys, O, "{axis: [label]}: what the places along an axis are called")     \
    F(str,  unit, O, "of the values: nat, 1, %, ...")                                 \
    F(any,  more, O, "{key: number}: single numbers that go with the array")
