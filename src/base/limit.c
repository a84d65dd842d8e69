#include "base/limit.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

int lca_limit_parse(const char *text, uint64_t *bytes, struct lca_err *err)
{
    static const char units[] = "KMGT";
    char *end;
    errno = 0;
    unsigned long long n = strtoull(text, &end, 10);
    const char *unit = *end ? strchr(units, toupper((unsigned char)*end)) : NULL;
    int shift = unit ? 10 * (int)(unit - units + 1) : 0;
    if (!isdigit((unsigned char)*text) || errno || n == 0 || (*end && (!unit || end[1])) || n > UINT64_MAX >> shift)
        return lca_fail(err, LCA_USAGE, "'%s' is no size: write 500M or 4G", text);
    *bytes = (uint64_t)n << shift;
    return 0;
}

/* Bytes of address space in use. */
static uint64_t in_use(void)
{
    unsigned long pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    if (file) {
        if (fscanf(file, "%lu", &pages) != 1)
            pages = 0;
        fclose(file);
    }
    return (uint64_t)pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

int lca_limit_memory(const char *text, struct lca_err *err)
{
    uint64_t bytes, used = in_use();
    struct rlimit limit;
    if (lca_limit_parse(text, &bytes, err) < 0)
        return -1;
    if (bytes <= used)
        return lca_fail(err, LCA_USAGE, "%s is less than the %" PRIu64 "M that the program itself takes", text,
                        (used >> 20) + 1);
    if (getrlimit(RLIMIT_AS, &limit) < 0)
        return lca_fail_errno(err, LCA_INTERNAL, "cannot limit memory");
    limit.rlim_cur = limit.rlim_max != RLIM_INFINITY && bytes > limit.rlim_max ? limit.rlim_max : bytes;
    if (setrlimit(RLIMIT_AS, &limit) < 0)
        return lca_fail_errno(err, LCA_INTERNAL, "cannot limit memory");
    return 0;
}
