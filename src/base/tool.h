/* tool.h: what all programs have in common: options from one table, which also
 * makes --help and the manual page; --version; errors and exit status.
 *
 * A program is a struct lca_tool and
 *     int main(int argc, char **argv) { return lca_tool_main(&tool, argc, argv); }
 * An option's value comes from the command line, else from the environment
 * (--max-pieces: LCA_MAX_PIECES; a flag by any value but 0), else it stays what the
 * variable held. */
#ifndef LCA_BASE_TOOL_H
#define LCA_BASE_TOOL_H

#include "base/err.h"

/* A repeatable option: its values in the order given. Borrowed from argv. */
struct lca_list {
    const char *item[32];
    int n;
};

enum lca_opt_type {
    LCA_OPT_FLAG,   /* bool, set true */
    LCA_OPT_STR,    /* const char *, borrowed from argv or the environment */
    LCA_OPT_INT,    /* long, within [min, max] */
    LCA_OPT_NUM,    /* double, within [min, max], finite */
    LCA_OPT_LIST,   /* struct lca_list */
};

struct lca_opt {
    const char *name;           /* without dashes; a table ends with a NULL name */
    char letter;                /* or 0 */
    enum lca_opt_type type;
    void *to;
    const char *arg;            /* what --help calls the value; NULL for a flag */
    const char *help;           /* one or two sentences, no line breaks */
    double min, max;            /* INT and NUM; both 0: no bounds but the type's */
    bool no_env;                /* not taken from the environment */
};

struct lca_tool {
    const char *name;           /* "lca-layers" */
    const char *summary;        /* one line without a full stop: "sum loss changes per layer" */
    const char *usage;          /* after the name: "[OPTION]... [FILE]" */
    const char *about;          /* paragraphs, parted by an empty line */
    const char *examples;       /* lines to paste, each "command   # what it does"; or NULL */
    const struct lca_opt *opts;
    const struct lca_opt *more; /* a second table, such as that of the links; or NULL */
    int min_args, max_args;     /* operands; max -1: any number */
    const char *built;          /* for --version, "cpu" for instance; or NULL */
    /* Does the work; operands are argv[0 .. argc-1]. 0, or -1 with err filled. */
    int (*run)(int argc, char **argv, struct lca_err *err);
};

/* Parses, runs, says what went wrong, and returns the exit status. stdout is
 * flushed and checked: a full disk is an error. */
int lca_tool_main(const struct lca_tool *tool, int argc, char **argv) LCA_MUST_USE;

/* Fails, with errno: stdout cannot be written. The file that it leads to is named. */
int lca_tool_stdout_failed(struct lca_err *err);

/* Fails with LCA_USAGE when stdout is a terminal (frames are never shown raw). */
int lca_tool_refuse_terminal(struct lca_err *err) LCA_MUST_USE;

#endif
