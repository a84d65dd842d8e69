/* tool-inside.h: what tool.c and tool-text.c share. */
#ifndef LCA_BASE_TOOL_INSIDE_H
#define LCA_BASE_TOOL_INSIDE_H

#include "base/tool.h"

enum { LCA_OPTS_MAX = 64 };

enum lca_opt_from { LCA_OPT_DEFAULT, LCA_OPT_ENVIRONMENT, LCA_OPT_COMMAND };

/* All options of a program, its own before those that all have. */
struct lca_opt_table {
    const struct lca_opt *opt[LCA_OPTS_MAX];
    enum lca_opt_from from[LCA_OPTS_MAX];       /* where the value comes from */
    int n;
};

/* LCA_MAX_PIECES for max-pieces. */
void lca_opt_variable(const struct lca_opt *o, char name[64]);

/* --help, --man, --completion and --print-config: to stdout. */
void lca_tool_help(const struct lca_tool *tool, const struct lca_opt_table *t);
void lca_tool_man(const struct lca_tool *tool, const struct lca_opt_table *t);
void lca_tool_completion(const struct lca_tool *tool, const struct lca_opt_table *t);
void lca_tool_config(const struct lca_tool *tool, const struct lca_opt_table *t);

#endif
