#include "filter/passes.h"

#include <string.h>
#include <sys/stat.h>

static bool from_stdin(const struct lca_filter_args *args)
{
    return !args->link.in || strcmp(args->link.in, "-") == 0;
}

static bool is_file(const struct lca_filter_args *args)
{
    struct stat st;
    const char *in = args->link.in;
    if (from_stdin(args))
        return fstat(0, &st) == 0 && S_ISREG(st.st_mode);
    return stat(strncmp(in, "file:", 5) == 0 ? in + 5 : in, &st) == 0 && S_ISREG(st.st_mode);
}

int lca_filter_needs_file(const struct lca_filter_args *args, const char *what, const char *times, struct lca_err *err)
{
    if (is_file(args))
        return 0;
    return lca_fail(err, LCA_USAGE, "%s reads the stream %s, which a socket or a pipe does not allow: record it with "
                    "lca-cat and give --in FILE", what, times);
}

int lca_filter_passes(struct lca_filter *pass, unsigned n, const struct lca_filter_args *args, struct lca_err *err)
{
    struct lca_filter_args again = *args;
    int result = 0;
    if (n > 1 && from_stdin(args))
        again.link.in = "file:/dev/stdin";      /* opened anew: from its beginning each time */
    for (unsigned k = 0; k < n && result == 0; k++) {
        result = lca_filter_run(&pass[k], &again, err);
        if (pass[k].stopped)
            break;
    }
    return result;
}
