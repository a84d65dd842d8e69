/* The IDX files of MNIST. Bytes: two, the length of the first file, then the file of
 * images and that of labels, each gzipped or not. */
#include "data/idx.h"
#include "fuzz.h"

static volatile unsigned char sink;     /* to which bytes are read */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_bytes b = {data, data + size};
    struct fuzz_bytes images = fuzz_piece(&b, fuzz_take(&b, 2));
    struct lca_examples e;
    struct lca_err err = {0};
    if (lca_idx_read(&e, fuzz_file(0, images.at, fuzz_left(&images)), fuzz_file(1, b.at, fuzz_left(&b)), &err) < 0) {
        fuzz_told(&err);
        return 0;
    }
    for (size_t k = 0; k < (size_t)e.n * lca_examples_pixels(&e); k++)
        sink = e.images[k];
    for (uint32_t k = 0; k < e.n; k++)
        sink = e.labels[k];
    lca_examples_clear(&e);
    return 0;
}
