#include "base/tool.h"

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/sig.h"
#include "base/tool-inside.h"
#include "base/version.h"

static bool want_help, want_version, want_man, want_completion, want_config, want_verbose;

static const struct lca_opt common_opts[] = {
    {"verbose", 'v', LCA_OPT_FLAG, &want_verbose, NULL, "Say more on stderr.", 0, 0, false},
    {"help", 'h', LCA_OPT_FLAG, &want_help, NULL, "Print this text and exit.", 0, 0, true},
    {"version", 'V', LCA_OPT_FLAG, &want_version, NULL, "Print the version and exit.", 0, 0, true},
    {"man", 0, LCA_OPT_FLAG, &want_man, NULL, "Print the manual page as roff and exit.", 0, 0, true},
    {"completion", 0, LCA_OPT_FLAG, &want_completion, NULL, "Print the completion for bash and exit.", 0, 0, true},
    {"print-config", 0, LCA_OPT_FLAG, &want_config, NULL, "Print every option's value and where it comes from, and exit.",
     0, 0, true},
    {0},
};

static void collect(struct lca_opt_table *t, const struct lca_opt *opts)
{
    for (; opts && opts->name && t->n < LCA_OPTS_MAX; opts++)
        t->opt[t->n++] = opts;
}

/* values */

static int set(const struct lca_opt *o, const char *value, const char *from, struct lca_err *err)
{
    char *end;
    errno = 0;
    switch (o->type) {
    case LCA_OPT_FLAG:
        *(bool *)o->to = true;
        return 0;
    case LCA_OPT_STR:
        *(const char **)o->to = value;
        return 0;
    case LCA_OPT_LIST: {
        struct lca_list *list = o->to;
        int most = (int)(sizeof list->item / sizeof *list->item);
        if (list->n == most)
            return lca_fail(err, LCA_USAGE, "%s is given more than %d times", from, most);
        list->item[list->n++] = value;
        return 0;
    }
    case LCA_OPT_INT: {
        long x = strtol(value, &end, 10);
        if (end == value || *end || errno)
            return lca_fail(err, LCA_USAGE, "%s takes a whole number, not '%s'", from, value);
        if ((o->min != 0 || o->max != 0) && ((double)x < o->min || (double)x > o->max))
            return lca_fail(err, LCA_USAGE, "%s takes %.0f to %.0f, not %ld", from, o->min, o->max, x);
        *(long *)o->to = x;
        return 0;
    }
    case LCA_OPT_NUM: {
        double x = strtod(value, &end);
        if (end == value || *end || !isfinite(x))
            return lca_fail(err, LCA_USAGE, "%s takes a number, not '%s'", from, value);
        if ((o->min != 0 || o->max != 0) && (x < o->min || x > o->max))
            return lca_fail(err, LCA_USAGE, "%s takes %g to %g, not %s", from, o->min, o->max, value);
        *(double *)o->to = x;
        return 0;
    }
    }
    return lca_fail(err, LCA_INTERNAL, "%s has no type", from);
}

static int from_environment(struct lca_opt_table *t, struct lca_err *err)
{
    for (int k = 0; k < t->n; k++) {
        const struct lca_opt *o = t->opt[k];
        if (t->from[k] != LCA_OPT_DEFAULT || o->no_env || o->type == LCA_OPT_LIST)
            continue;
        char name[64];
        lca_opt_variable(o, name);
        const char *value = getenv(name);
        if (!value || !*value || (o->type == LCA_OPT_FLAG && strcmp(value, "0") == 0))
            continue;
        if (set(o, value, name, err) < 0)
            return -1;
        t->from[k] = LCA_OPT_ENVIRONMENT;
    }
    return 0;
}

/* What getopt_long stopped at: a letter (optopt), a flag with a value (optopt is its
 * code), or a name, which is the argument that it read last. */
static int unknown(const struct lca_opt_table *t, const char *last, struct lca_err *err)
{
    if (optopt >= 256)
        return lca_fail(err, LCA_USAGE, "--%s takes no value", t->opt[optopt - 256]->name);
    if (optopt)
        return lca_fail(err, LCA_USAGE, "unknown option -%c: see --help", optopt);
    return lca_fail(err, LCA_USAGE, "unknown option %s: see --help", last);
}

static int parse(struct lca_opt_table *t, int argc, char **argv, struct lca_err *err)
{
    struct option longs[LCA_OPTS_MAX + 1] = {0};
    char letters[2 * LCA_OPTS_MAX + 2] = ":";
    size_t n = 1;
    for (int k = 0; k < t->n; k++) {
        const struct lca_opt *o = t->opt[k];
        longs[k] = (struct option){o->name, o->arg ? required_argument : no_argument, NULL, 256 + k};
        if (o->letter) {
            letters[n++] = o->letter;
            if (o->arg)
                letters[n++] = ':';
        }
    }
    letters[n] = 0;
    opterr = 0;
    for (;;) {
        int c = getopt_long(argc, argv, letters, longs, NULL);
        if (c == -1)
            break;
        if (c == ':')
            return lca_fail(err, LCA_USAGE, "%s needs a value: see --help", argv[optind - 1]);
        if (c == '?')
            return unknown(t, argv[optind - 1], err);
        for (int k = 0; k < t->n; k++) {
            if (c != 256 + k && c != t->opt[k]->letter)
                continue;
            char from[64];
            snprintf(from, sizeof from, "--%s", t->opt[k]->name);
            if (set(t->opt[k], optarg, from, err) < 0)
                return -1;
            t->from[k] = LCA_OPT_COMMAND;
            break;
        }
    }
    if (want_help || want_version || want_man || want_completion)
        return 0;
    return from_environment(t, err);
}

static int run(const struct lca_tool *tool, int argc, char **argv, struct lca_err *err)
{
    struct lca_opt_table t = {0};
    collect(&t, tool->opts);
    collect(&t, tool->more);
    collect(&t, common_opts);
    if (parse(&t, argc, argv, err) < 0)
        return -1;
    lca_log_verbose(want_verbose);
    if (want_help || want_man || want_completion || want_config) {
        (want_help ? lca_tool_help : want_man ? lca_tool_man : want_completion ? lca_tool_completion
                                                                               : lca_tool_config)(tool, &t);
        return 0;
    }
    if (want_version) {
        printf("%s %s%s%s%s\n", tool->name, LCA_VERSION, tool->built ? " (" : "",
               tool->built ? tool->built : "", tool->built ? ")" : "");
        return 0;
    }
    argc -= optind;
    argv += optind;
    if (argc < tool->min_args)
        return lca_fail(err, LCA_USAGE, "usage: %s %s", tool->name, tool->usage);
    if (tool->max_args >= 0 && argc > tool->max_args)
        return lca_fail(err, LCA_USAGE, "unexpected '%s': usage: %s %s", argv[tool->max_args],
                        tool->name, tool->usage);
    return tool->run(argc, argv, err);
}

int lca_tool_main(const struct lca_tool *tool, int argc, char **argv)
{
    struct lca_err err = {0};
    lca_sig_early();
    lca_log_init(tool->name, getenv("LCA_STAGE"));
    int status = LCA_OK;
    signal(SIGXFSZ, SIG_IGN);       /* a limit on the size of files is an error of write(2) */
    if (run(tool, argc, argv, &err) < 0) {
        status = err.status ? err.status : LCA_INTERNAL;
        if (status != LCA_PIPE && err.text[0])
            lca_error("%s", err.text);
    }
    if (fflush(stdout) != 0 || ferror(stdout)) {
        lca_tool_stdout_failed(&err);
        if (status == LCA_OK && err.status != LCA_PIPE)
            lca_error("%s", err.text);
        if (status == LCA_OK)
            status = err.status;
    }
    return status;
}

int lca_tool_stdout_failed(struct lca_err *err)
{
    char path[PATH_MAX];
    struct stat s;
    int why = errno;
    ssize_t n = readlink("/proc/self/fd/1", path, sizeof path - 1);
    bool is_file = n > 0 && fstat(STDOUT_FILENO, &s) == 0 && S_ISREG(s.st_mode);
    path[n > 0 ? n : 0] = 0;
    errno = why;
    if (why == EPIPE)
        return lca_fail(err, LCA_PIPE, "whoever read stdout has gone");
    if (why == ENOSPC || why == EDQUOT)
        return lca_fail_errno(err, LCA_INTERNAL, "cannot write to stdout%s%.400s: the disk is full: make room and start "
                              "again", is_file ? ", " : "", is_file ? path : "");
    return lca_fail_errno(err, LCA_INTERNAL, "cannot write to stdout%s%.400s", is_file ? ", " : "", is_file ? path : "");
}

int lca_tool_refuse_terminal(struct lca_err *err)
{
    if (isatty(STDOUT_FILENO))
        return lca_fail(err, LCA_USAGE, "stdout is a terminal and frames are binary: "
                        "write to a file, a pipe or --out, or look with '| lca-tap'");
    return 0;
}
