/* tool-text.c: what a program says of itself, made from its option table. */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "base/tool-inside.h"
#include "base/version.h"

enum { WIDTH = 79, INDENT = 26 };

static const struct {
    int status;
    const char *text;
} statuses[] = {
    {LCA_OK, "all done, and the end of the stream was seen"},
    {LCA_INTERNAL, "internal failure, or a check that says no"},
    {LCA_USAGE, "options, versions, keys or data do not match"},
    {LCA_PEER, "a peer was lost for good"},
    {LCA_UPSTREAM, "an earlier stage failed"},
    {LCA_CORRUPT, "a stream or file is corrupt or truncated"},
    {LCA_DIFFER, "results that must be the same bytes differ"},
    {LCA_ABORTED, "interrupted"},
    {LCA_PIPE, "whoever read the output has gone"},
};

/* --help */

static void wrap(const char *text, int column, int indent)
{
    while (*text) {
        size_t word = strcspn(text, " \n");
        if (column > indent && column + (int)word + 1 > WIDTH) {
            printf("\n%*s", indent, "");
            column = indent;
        } else if (column > indent) {
            putchar(' ');
            column++;
        }
        printf("%.*s", (int)word, text);
        column += (int)word;
        text += word;
        if (text[0] == '\n' && text[1] == '\n') {
            printf("\n\n%*s", indent, "");
            column = indent;
            text += 2;
        }
        text += strspn(text, " \n");
    }
    putchar('\n');
}

void lca_tool_help(const struct lca_tool *tool, const struct lca_opt_table *t)
{
    printf("usage: %s %s\n\n", tool->name, tool->usage);
    wrap(tool->about, 0, 0);
    printf("\nOptions:\n");
    for (int k = 0; k < t->n; k++) {
        const struct lca_opt *o = t->opt[k];
        char left[64];
        char letter[8] = "    ";
        if (o->letter)
            snprintf(letter, sizeof letter, "-%c, ", o->letter);
        int n = snprintf(left, sizeof left, "  %s--%s%s%s", letter, o->name,
                         o->arg ? " " : "", o->arg ? o->arg : "");
        printf("%s", left);
        if (n >= INDENT) {
            printf("\n%*s", INDENT, "");
        } else {
            printf("%*s", INDENT - n, "");
        }
        wrap(o->help, INDENT, INDENT);
    }
    if (tool->examples)
        printf("\nExamples:\n%s\n", tool->examples);
}

/* --man */

static void roff(const char *text)
{
    bool start = true;
    for (; *text; text++) {
        if (start && (*text == '.' || *text == '\''))
            printf("\\&");
        if (text[0] == '\n' && text[1] == '\n') {
            printf("\n.PP\n");
            text++;
            start = true;
            continue;
        }
        if (*text == '-')
            printf("\\-");
        else if (*text == '\\')
            printf("\\e");
        else
            putchar(*text);
        start = *text == '\n';
    }
    putchar('\n');
}

void lca_tool_man(const struct lca_tool *tool, const struct lca_opt_table *t)
{
    char upper[64];
    size_t n = 0;
    for (; tool->name[n] && n < sizeof upper - 1; n++)
        upper[n] = (char)toupper((unsigned char)tool->name[n]);
    upper[n] = 0;
    printf(".TH %s 1 \"\" \"lca %s\" \"Loss Change Allocation\"\n.SH NAME\n", upper, LCA_VERSION);
    printf("%s \\- %s\n.SH SYNOPSIS\n.B %s\n", tool->name, tool->summary, tool->name);
    roff(tool->usage);
    printf(".SH DESCRIPTION\n");
    roff(tool->about);
    printf(".SH OPTIONS\n");
    for (int k = 0; k < t->n; k++) {
        const struct lca_opt *o = t->opt[k];
        printf(".TP\n");
        if (o->letter)
            printf("\\fB\\-%c\\fR, ", o->letter);
        printf("\\fB\\-\\-");
        for (const char *c = o->name; *c; c++)
            *c == '-' ? printf("\\-") : putchar(*c);
        printf("\\fR");
        if (o->arg)
            printf(" \\fI%s\\fR", o->arg);
        putchar('\n');
        roff(o->help);
    }
    printf(".SH ENVIRONMENT\nAn option that is not given is taken from the environment: "
           "\\-\\-an\\-option\nfrom LCA_AN_OPTION; a flag is set by any value but 0. \\-\\-data is not.\n.SH EXIT STATUS\n");
    for (size_t k = 0; k < sizeof statuses / sizeof *statuses; k++)
        printf(".TP\n%d\n%s\n", statuses[k].status, statuses[k].text);
    if (tool->examples) {
        printf(".SH EXAMPLES\n.nf\n");
        roff(tool->examples);
        printf(".fi\n");
    }
    printf(".SH SEE ALSO\n.BR lca (7)\n");
}

/* --completion: the words that may stand where one begins with a dash, and files elsewhere. */

void lca_tool_completion(const struct lca_tool *tool, const struct lca_opt_table *t)
{
    char name[64];
    size_t n = 0;
    for (; tool->name[n] && n < sizeof name - 1; n++)
        name[n] = tool->name[n] == '-' ? '_' : tool->name[n];
    name[n] = 0;
    printf("# bash completion for %s\n_%s()\n{\n", tool->name, name);
    printf("    [[ $2 != -* ]] || COMPREPLY=($(compgen -W '");
    for (int k = 0; k < t->n; k++)
        printf("%s--%s", k ? " " : "", t->opt[k]->name);
    printf("' -- \"$2\"))\n}\ncomplete -o default -F _%s %s\n", name, tool->name);
}

/* --print-config */

void lca_opt_variable(const struct lca_opt *o, char name[64])
{
    size_t n = (size_t)snprintf(name, 64, "LCA_");
    for (const char *c = o->name; *c && n < 63; c++)
        name[n++] = *c == '-' ? '_' : (char)toupper((unsigned char)*c);
    name[n] = 0;
}

static void print_value(const struct lca_opt *o)
{
    const char *text;
    const struct lca_list *list = o->to;
    switch (o->type) {
    case LCA_OPT_FLAG:
        printf("%s", *(bool *)o->to ? "yes" : "no");
        return;
    case LCA_OPT_STR:
        text = *(const char **)o->to;
        printf("%s", text ? text : "");
        return;
    case LCA_OPT_INT:
        printf("%ld", *(long *)o->to);
        return;
    case LCA_OPT_NUM:
        printf("%.17g", *(double *)o->to);
        return;
    case LCA_OPT_LIST:
        for (int k = 0; k < list->n; k++)
            printf("%s%s", k ? " " : "", list->item[k]);
        return;
    }
}

void lca_tool_config(const struct lca_tool *tool, const struct lca_opt_table *t)
{
    char variable[64];
    (void)tool;
    for (int k = 0; k < t->n; k++) {
        const struct lca_opt *o = t->opt[k];
        if (o->type == LCA_OPT_FLAG && o->no_env)
            continue;               /* --help and its like are no settings */
        lca_opt_variable(o, variable);
        printf("%s=", o->name);
        print_value(o);
        printf("\t%s%s\n", t->from[k] == LCA_OPT_COMMAND ? "option" : t->from[k] == LCA_OPT_DEFAULT ? "default" : "",
               t->from[k] == LCA_OPT_ENVIRONMENT ? variable : "");
    }
}
