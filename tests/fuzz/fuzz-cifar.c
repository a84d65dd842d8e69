/* The batch files of CIFAR-10. Bytes: a bit string of where one file ends and the next
 * begins is not needed: the first byte's lowest two bits say how many files, 1 to 4, each
 * of an equal share of the rest. */
#include "data/cifar.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_bytes b = {data, data + size};
    int files = (int)(fuzz_take(&b, 1) & 3) + 1;
    const char *path[4];
    size_t share = fuzz_left(&b) / (unsigned)files;
    for (int k = 0; k < files; k++) {
        struct fuzz_bytes f = fuzz_piece(&b, k + 1 < files ? share : fuzz_left(&b));
        path[k] = fuzz_file(k, f.at, fuzz_left(&f));
    }
    struct lca_examples e;
    struct lca_err err = {0};
    if (lca_cifar_read(&e, path, files, &err) < 0) {
        fuzz_told(&err);
        return 0;
    }
    fuzz_check((size_t)e.n * 3073 == size - 1, "%u examples of %zu bytes", e.n, size - 1);
    for (uint32_t k = 0; k < e.n; k++)
        fuzz_check(e.labels[k] < 10, "label %u", e.labels[k]);
    lca_examples_clear(&e);
    return 0;
}
