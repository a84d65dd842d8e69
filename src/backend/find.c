/* find.c: the devices of this build, by name. */
#include <string.h>

#include "backend/backend.h"

static bool names(const char *device, const char *kind)
{
    size_t n = strlen(kind);
    return !strncmp(device, kind, n) && (device[n] == 0 || device[n] == ':');
}

const struct lca_backend *lca_backend_find(const char *device, struct lca_err *err)
{
    if (names(device, "cpu"))
        return &lca_backend_cpu;
    if (names(device, "cuda")) {
#ifdef LCA_CUDA
        return &lca_backend_cuda;
#else
        lca_fail(err, LCA_USAGE, "device %.40s: this build has no CUDA: make CUDA=1 builds it", device);
        return NULL;
#endif
    }
    lca_fail(err, LCA_USAGE, "no device '%.40s': say cpu or cuda", device);
    return NULL;
}
