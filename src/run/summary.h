/* summary.h: run.json, what is needed to repeat a run, and summary.json, what came out
 * of it, merged from the objects that the stages leave. */
#ifndef LCA_RUN_SUMMARY_H
#define LCA_RUN_SUMMARY_H

#include <jansson.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/tool.h"
#include "run/stages.h"

/* Puts each "KEY=JSON" into object, whose values they replace; option names the option
 * in messages. LCA_USAGE when one cannot be read. */
int lca_keys_put(json_t *object, const struct lca_list *keys, const char *option,
                 struct lca_err *err) LCA_MUST_USE;

/* Puts the keys of `from` into `into`: objects key by key, anything else is replaced.
 * The names of keys that had another value before are appended to changed, as
 * "a.b c" (may be NULL). */
int lca_summary_merge(json_t *into, json_t *from, struct lca_buf *changed,
                      struct lca_err *err) LCA_MUST_USE;

/* {stages, argv, versions, machine, started}; to be freed with json_decref. */
json_t *lca_run_describe(const struct lca_stages *stages, int argc, char **argv,
                         struct lca_err *err) LCA_MUST_USE;

/* Writes the file whole or not at all. fresh: fails with LCA_USAGE if it exists. */
int lca_json_save(const json_t *json, const char *path, bool fresh,
                  struct lca_err *err) LCA_MUST_USE;

#endif
