/* frame-raw.h: the header of a decoded frame as it came, for who passes frames on
 * unchanged or shows keys that proto/ does not list.
 *
 * What is returned belongs to the frame and holds until its next decode or clear. */
#ifndef LCA_FRAME_FRAME_RAW_H
#define LCA_FRAME_FRAME_RAW_H

#include <msgpack.h>

#include "frame/frame.h"

/* The bytes of the header. */
const struct lca_buf *lca_frame_bytes(const struct lca_frame *f);

/* The header as a map with string keys, in wire order; it has passed lca_scan. */
const msgpack_object *lca_frame_root(const struct lca_frame *f);

#endif
