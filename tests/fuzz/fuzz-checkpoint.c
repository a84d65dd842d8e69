/* A checkpoint of training. Bytes: one that says, if odd, that the digest is to be mended,
 * and by its next bits which optimiser reads it; the rest is the file. Refused, it leaves
 * parameters and optimiser as they were. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/digest.h"
#include "fuzz.h"
#include "nn/checkpoint.h"
#include "nn/net.h"

static const char text[] = "{\"name\":\"n\",\"input\":[2,1,1],\"classes\":2,\"layers\":["
                           "{\"type\":\"dense\",\"name\":\"d\",\"units\":2}]}";

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct lca_net net;
    static json_t *def;
    struct lca_err err = {0};
    if (!net.layer) {
        fuzz_check(lca_net_parse(&net, text, sizeof text - 1, &err) == 0, "%s", err.text);
        def = json_pack("{s:s, s:i}", "network", "n", "seed", 1);
    }
    if (size < 1)
        return 0;
    struct lca_optim optim;
    float theta[8];
    fuzz_check(net.P <= 8 && lca_optim_init(&optim, &net.table, data[0] & 2 ? LCA_ADAM : LCA_SGD, 0.1, 0.9, &err) == 0,
               "%s", err.text);
    if (data[0] & 4)
        fuzz_check(lca_optim_delay(&optim, "d=2", &err) == 0, "%s", err.text);
    for (uint64_t k = 0; k < net.P; k++)
        theta[k] = 7;

    uint8_t *file = malloc(size);
    size_t len = size - 1;
    memcpy(file, data + 1, len);
    if (data[0] & 1 && len >= LCA_SHA256_LEN)
        lca_sha256(file, len - LCA_SHA256_LEN, file + len - LCA_SHA256_LEN);
    struct lca_checkpoint c = {.def = def, .num = "num", .optim = &optim, .theta = theta};
    if (lca_checkpoint_load(&c, fuzz_file(0, file, len), false, &err) < 0) {
        fuzz_told(&err);
        fuzz_check(optim.t == 0, "refused, and yet at step %llu", (unsigned long long)optim.t);
        for (uint64_t k = 0; k < net.P; k++)
            fuzz_check(theta[k] == 7 && optim.m[k] == 0, "refused, and yet parameters have changed");
    }
    free(file);
    lca_optim_clear(&optim);
    return 0;
}
