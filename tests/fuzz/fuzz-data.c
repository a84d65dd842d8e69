/* The project's own data file. Bytes: the JSON text of its header, ended by a zero, then
 * what follows the header in the file. Magic and padding are put around them. A file that
 * is taken says the same of itself when it is asked. */
#include <stdlib.h>
#include <string.h>

#include "data/dataset.h"
#include "fuzz.h"

static volatile unsigned char sink;     /* to which bytes are read */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *zero = memchr(data, 0, size);
    size_t text = zero ? (size_t)(zero - data) : size, body = zero ? size - text - 1 : 0;
    size_t len = LCA_DATASET_HEADER + body;
    if (text > LCA_DATASET_HEADER - 8)
        return 0;
    char *file = malloc(len);
    memset(file, ' ', LCA_DATASET_HEADER);
    memcpy(file, "LCADATA1", 8);
    memcpy(file + 8, data, text);
    if (body)
        memcpy(file + LCA_DATASET_HEADER, zero + 1, body);
    struct lca_dataset d;
    struct lca_err err = {0};
    if (lca_dataset_open(&d, fuzz_file(0, file, len), &err) < 0) {
        fuzz_told(&err);
        free(file);
        return 0;
    }
    uint32_t count[LCA_DATASET_CLASSES], n = 0;
    for (int s = 0; s < d.sets; s++) {
        for (size_t k = 0; k < d.set[s].n * lca_dataset_pixels(&d); k++)
            sink = d.set[s].images[k];
        lca_dataset_count(&d, &d.set[s], d.set[s].n, count);
        n += d.set[s].n;
    }
    fuzz_check(n > 0, "no examples");
    if (lca_dataset_verify(&d, &err) < 0)
        fuzz_told(&err);
    json_decref(lca_dataset_json(&d));
    lca_dataset_close(&d);
    free(file);
    return 0;
}
