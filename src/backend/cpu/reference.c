/* reference.c: plain C, in float and in double: the oracle of the tests. */
#include "backend/cpu/reference-ops.h"

#include <math.h>

/* Place of [e][h][w][c] among examples of shape s. */
static size_t at(struct lca_shape s, size_t e, size_t h, size_t w, size_t c)
{
    return ((e * s.h + h) * s.w + w) * s.c + c;
}

/* Each index of an output, and of a window: of its rows and columns, those inside the
 * input. ih and iw wrap around above and left of it, and so are not below its size. */
#define EACH_OUTPUT(g, n)                                                                       \
    for (size_t e = 0; e < (n); e++)                                                            \
        for (size_t oh = 0; oh < (g)->out.h; oh++)                                              \
            for (size_t ow = 0; ow < (g)->out.w; ow++)
#define EACH_IN_WINDOW(g)                                                                       \
    for (size_t kh = 0, ih; kh < (g)->kernel; kh++)                                             \
        if ((ih = oh * (g)->stride + kh - (g)->pad_top) < (g)->in.h)                            \
            for (size_t kw = 0, iw; kw < (g)->kernel; kw++)                                     \
                if ((iw = ow * (g)->stride + kw - (g)->pad_left) < (g)->in.w)

#define real float
#define NAME(x) lca_reference_##x##_f
#include "backend/cpu/reference.h"
#undef real
#undef NAME

#define real double
#define NAME(x) lca_reference_##x##_d
#include "backend/cpu/reference.h"
