/* args.c: links from a program's options, and its report to lca-run. */
#include <stdlib.h>
#include <string.h>

#include "link/link.h"

static const char *consumer_name(const struct lca_link_args *a)
{
    return a->name ? a->name : getenv("LCA_STAGE");
}

struct lca_in *lca_in_from_args(struct lca_link *l, const struct lca_link_args *a, struct lca_err *err)
{
    struct lca_in_opts o = {.endpoint = a->in, .name = consumer_name(a), .from = a->from, .take = a->take};
    return lca_in_open(l, &o, err);
}

struct lca_out *lca_out_from_args(struct lca_link *l, const struct lca_link_args *a, struct lca_err *err)
{
    struct lca_out_opts o = {.out = &a->out, .tap = &a->tap, .expect = a->expect};
    if (a->lost && strcmp(a->lost, "drop") == 0) {
        o.drop = true;
    } else if (a->lost) {
        char *end;
        o.lost = strtod(a->lost, &end);
        if (*end || !(o.lost > 0)) {
            lca_fail(err, LCA_USAGE, "--lost takes seconds or 'drop', not '%s'", a->lost);
            return NULL;
        }
    }
    return lca_out_open(l, &o, err);
}

int lca_report(json_t *keys, struct lca_err *err)
{
    const char *path = getenv("LCA_REPORT");
    if (!path || !*path)
        return 0;
    if (json_dump_file(keys, path, JSON_INDENT(2)) < 0)
        return lca_fail_errno(err, LCA_INTERNAL, "cannot write the report %s", path);
    return 0;
}
