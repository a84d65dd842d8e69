#include "frame/frame-raw.h"

#include "frame/frame-inside.h"

const struct lca_buf *lca_frame_bytes(const struct lca_frame *f)
{
    return &f->inside->bytes;
}

const msgpack_object *lca_frame_root(const struct lca_frame *f)
{
    return &f->inside->root;
}
