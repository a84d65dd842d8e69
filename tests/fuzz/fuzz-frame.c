/* The header of a frame. Bytes: a header, as scan.c and frame-decode.c see it.
 * What is decoded can be shown as JSON, and encoded again: the new header decodes to the
 * same frame, and encoding that gives the same bytes. */
#include <string.h>

#include "frame/frame-raw.h"
#include "frame/frame.h"
#include "frame/head.h"
#include "fuzz.h"

/* Payloads for encoding: the bytes are not there, their number is. */
static const unsigned char *zeros(uint64_t n)
{
    static struct lca_buf b;
    if (b.cap < n) {
        fuzz_check(lca_buf_reserve(&b, n, NULL) == 0, "no memory for %llu bytes", (unsigned long long)n);
        memset(b.data, 0, b.cap);
    }
    return b.data;
}

static void encode(struct lca_frame *f, struct lca_buf *to)
{
    struct lca_err err = {0};
    enum { MUCH = 1 << 20 };
    if (f->n_sh > 0 && f->nb > MUCH)
        f->n_sh = 0;
    f->payload = f->n_sh > 0 ? zeros(f->nb + 1) : NULL;
    /* HEAD's limits are wider than those of a value of it */
    fuzz_check(lca_frame_encode(f, to, &err) == 0, "decoded, but not encoded: %s", err.text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct lca_frame f, again;
    static struct lca_buf first, second;
    struct lca_err err = {0};
    if (lca_frame_decode(&f, data, size, &err) < 0) {
        fuzz_told(&err);
        return 0;
    }
    json_t *json = lca_frame_json(&f);
    fuzz_check(json && json_is_object(json), "no JSON of a frame");
    json_decref(json);
    fuzz_check(lca_frame_bytes(&f)->len == size, "a copy of another length");
    if (f.kind == LCA_KIND_NONE)
        return 0;
    uint64_t count = lca_frame_count(&f), N, chunk;
    fuzz_check(count <= LCA_PAYLOAD_MAX, "%llu elements", (unsigned long long)count);
    if (f.kind == LCA_KIND_head && lca_head_set(&f.u.head, "train", &N, &chunk, &err) == 0)
        (void)lca_head_units(&f.u.head);
    encode(&f, &first);
    fuzz_check(lca_frame_decode(&again, first.data, first.len, &err) == 0, "encoded, but not decoded: %s", err.text);
    fuzz_check(again.kind == f.kind && again.seq == f.seq && again.n_sh == f.n_sh, "another frame came back");
    encode(&again, &second);
    fuzz_check(first.len == second.len && memcmp(first.data, second.data, first.len) == 0,
               "encoded twice, with different bytes");
    return 0;
}
