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

int lca_filter_passes(struct lca_filter *pass, unsigned n, const char *what, const char *times,
                      const struct lca_filter_args *args, struct lca_err *err)
{
    struct lca_filter_args again = *args;
    unsigned k = 0;
    int result = 0;
    if (!is_file(args))
        result = lca_fail(err, LCA_USAGE, "%s reads the stream %s, which a socket or a pipe does not allow: record it "
                          "with lca-cat and give --in FILE", what, times);
    if (from_stdin(args))
        again.link.in = "file:/dev/stdin";      /* opened anew: from its beginning each time */
    while (k < n && result == 0) {
        result = lca_filter_run(&pass[k], &again, err);
        bool stopped = pass[k++].stopped;
        if (result == 0 && stopped && k < n)
            result = lca_fail(err, LCA_ABORTED, "told to stop before the last time that %s reads the stream", what);
    }
    for (; k < n; k++)
        json_decref(pass[k].args);
    return result;
}
