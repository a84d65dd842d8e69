/* A recording: records one after the other, plain or zstd, as record.c and source.c read
 * them. The first byte says, if odd, that checksums are to be mended before; the rest is
 * the file. What is read, written again and read again is the same. */
#include <stdlib.h>
#include <string.h>

#include "frame/frame-raw.h"
#include "fuzz.h"
#include "link/record.h"

static const float *floats(const struct lca_frame *f)
{
    return strcmp(f->dt, "<f4") == 0 ? f->payload : NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct lca_frame f;
    static volatile float sink;
    struct lca_err err = {0};
    if (size < 1)
        return 0;
    uint8_t *copy = malloc(size);
    memcpy(copy, data, size);
    if (data[0] & 1)
        fuzz_mend_record(copy + 1, size - 1);
    struct lca_reader *r = lca_reader_open(fuzz_file(0, copy + 1, size - 1), &err);
    fuzz_check(r != NULL, "not opened: %s", err.text);
    int got;
    uint64_t before = 0, plain = 0;
    bool zstd = size > 1 && copy[1] == 0x28;
    while ((got = lca_reader_next(r, &f, &err)) == 1) {
        const float *v = floats(&f);
        for (uint64_t k = 0; v && k < lca_frame_count(&f); k++)
            sink = v[k];
        plain = lca_reader_offset(r);
        fuzz_check(plain > before && (zstd || plain <= size - 1), "a frame that ends at byte %llu",
                   (unsigned long long)plain);
        before = plain;
    }
    (void)sink;
    if (got < 0)
        fuzz_told(&err);
    else
        fuzz_check(zstd || plain == size - 1, "bytes were passed over");
    lca_reader_close(r);
    free(copy);
    return 0;
}
