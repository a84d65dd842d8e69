/* args.c: links from a program's options, and its report to lca-run. */
#include <stdlib.h>
#include <string.h>

#include "link/link.h"

static const char *consumer_name(const struct lca_link_args *a)
{
    return a->name ? a->name : getenv("LCA_STAGE");
}

int lca_link_lost(const struct lca_link_args *a, double *seconds, bool *drop, struct lca_err *err)
{
    *seconds = 0;
    *drop = a->lost && strcmp(a->lost, "drop") == 0;
    if (!a->lost || *drop)
        return 0;
    char *end;
    *seconds = strtod(a->lost, &end);
    if (*end || !(*seconds > 0))
        return lca_fail(err, LCA_USAGE, "--lost takes seconds or 'drop', not '%s'", a->lost);
    return 0;
}

struct lca_in *lca_in_from_args(struct lca_link *l, const struct lca_link_args *a, struct lca_err *err)
{
    struct lca_in_opts o = {.endpoint = a->in, .name = consumer_name(a), .from = a->from, .take = a->take};
    bool drop;      /* says what becomes of consumers; a producer is waited for */
    if (lca_link_secure(l, &a->safety, err) < 0 || lca_link_lost(a, &o.lost, &drop, err) < 0)
        return NULL;
    return lca_in_open(l, &o, err);
}

struct lca_out *lca_out_from_args(struct lca_link *l, const struct lca_link_args *a, struct lca_err *err)
{
    struct lca_out_opts o = {.out = &a->out, .tap = &a->tap, .expect = a->expect};
    if (lca_link_secure(l, &a->safety, err) < 0 || lca_link_lost(a, &o.lost, &o.drop, err) < 0)
        return NULL;
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
