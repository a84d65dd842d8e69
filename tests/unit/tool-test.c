/* What all programs have in common: options from the line and from the environment,
 * bounds, lists, --help, exit statuses. Each call is a process of its own, since a
 * program parses once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/tool.h"

static struct {
    bool flag, other;
    const char *text, *secret;
    long count, any;
    double rate, free;
    struct lca_list list;
} opt = {.text = "none", .secret = "none", .count = 7, .any = 1, .rate = 0.5, .free = 1};

static const struct lca_opt opts[] = {
    {"flag", 'f', LCA_OPT_FLAG, &opt.flag, NULL, "A flag.", 0, 0, false},
    {"two-words", 0, LCA_OPT_FLAG, &opt.other, NULL, "Another flag.", 0, 0, false},
    {"text", 't', LCA_OPT_STR, &opt.text, "TEXT", "Some text.", 0, 0, false},
    {"secret", 0, LCA_OPT_STR, &opt.secret, "TEXT", "Not of the environment.", 0, 0, true},
    {"count", 'c', LCA_OPT_INT, &opt.count, "N", "A number with bounds.", 1, 100, false},
    {"any", 0, LCA_OPT_INT, &opt.any, "N", "A number without.", 0, 0, false},
    {0},
};
static const struct lca_opt more[] = {
    {"rate", 0, LCA_OPT_NUM, &opt.rate, "X", "A rate.", 0, 0.75, false},
    {"free", 0, LCA_OPT_NUM, &opt.free, "X", "A number without bounds.", 0, 0, false},
    {"item", 'i', LCA_OPT_LIST, &opt.list, "ITEM", "May be given again.", 0, 0, false},
    {0},
};

static int work(int argc, char **argv, struct lca_err *err)
{
    printf("flag=%d other=%d text=%s secret=%s count=%ld any=%ld rate=%g free=%g list=", opt.flag, opt.other, opt.text,
           opt.secret, opt.count, opt.any, opt.rate, opt.free);
    for (int k = 0; k < opt.list.n; k++)
        printf("%s%s", k ? "," : "", opt.list.item[k]);
    printf(" args=");
    for (int k = 0; k < argc; k++)
        printf("%s%s", k ? "," : "", argv[k]);
    printf("\n");
    if (argc > 0 && strncmp(argv[0], "fail", 4) == 0)
        return lca_fail(err, atoi(argv[0] + 4), "it failed: do better");
    return 0;
}

static struct lca_tool tool = {
    .name = "lca-try",
    .summary = "try things",
    .usage = "[OPTION]... [ARG]...",
    .about = "A first paragraph that is long enough to be wrapped at the width of a terminal, whatever its words.\n\n"
             "A second paragraph.",
    .examples = "  lca-try --flag",
    .opts = opts,
    .more = more,
    .max_args = 2,
    .built = "cpu",
    .run = work,
};

struct outcome {
    int status;
    char out[8192], err[4096];
};

static void slurp(FILE *f, char *to, size_t size)
{
    rewind(f);
    to[fread(to, 1, size - 1, f)] = 0;
    fclose(f);
}

/* Runs the tool with arguments and "NAME=VALUE" settings of the environment. */
static struct outcome run(const char *const *set, const char *const *args)
{
    struct outcome o;
    char *argv[64] = {(char *)"lca-try"};
    int argc = 1;
    for (; args[argc - 1]; argc++)
        argv[argc] = (char *)(uintptr_t)args[argc - 1];
    FILE *out = tmpfile(), *err = tmpfile();
    assert_non_null(out);
    assert_non_null(err);
    pid_t pid = fork();
    if (pid == 0) {
        for (; set && *set; set++)
            putenv((char *)(uintptr_t)*set);
        dup2(fileno(out), STDOUT_FILENO);
        dup2(fileno(err), STDERR_FILENO);
        exit(lca_tool_main(&tool, argc, argv));
    }
    assert_int_equal(waitpid(pid, &o.status, 0), pid);
    assert_true(WIFEXITED(o.status));
    o.status = WEXITSTATUS(o.status);
    slurp(out, o.out, sizeof o.out);
    slurp(err, o.err, sizeof o.err);
    return o;
}

#define ARGS(...) ((const char *const[]){__VA_ARGS__, NULL})
#define NO_ARGS ((const char *const[]){NULL})

static void has(const char *text, const char *part)
{
    if (!strstr(text, part))
        fail_msg("'%s' is not in '%s'", part, text);
}

static void refused(const char *const *set, const char *const *args, const char *says)
{
    struct outcome o = run(set, args);
    assert_string_equal(o.out, "");
    has(o.err, "lca-try: error: ");
    has(o.err, says);
    assert_int_equal(o.status, LCA_USAGE);
}

static void without_options_the_defaults_hold(void **state)
{
    (void)state;
    struct outcome o = run(NULL, NO_ARGS);
    assert_int_equal(o.status, 0);
    assert_string_equal(o.err, "");
    assert_string_equal(o.out, "flag=0 other=0 text=none secret=none count=7 any=1 rate=0.5 free=1 list= args=\n");
}

static void options_are_taken_in_every_form(void **state)
{
    (void)state;
    struct outcome o = run(NULL, ARGS("-f", "--two-words", "--text=a b", "-c5", "--any", "-12", "--rate", "1e-1", "--free",
                                      "-2.5", "x", "-i", "1", "--item", "2", "--secret", "s", "y"));
    assert_int_equal(o.status, 0);
    assert_string_equal(o.out, "flag=1 other=1 text=a b secret=s count=5 any=-12 rate=0.1 free=-2.5 list=1,2 args=x,y\n");
    o = run(NULL, ARGS("-fc", "6", "--", "--flag"));
    has(o.out, "flag=1");
    has(o.out, "count=6");
    has(o.out, "args=--flag");
}

static void the_environment_fills_what_the_line_leaves_open(void **state)
{
    (void)state;
    const char *const *set = ARGS("LCA_FLAG=1", "LCA_TWO_WORDS=yes", "LCA_TEXT=env", "LCA_SECRET=env", "LCA_COUNT=9",
                                  "LCA_ITEM=env", "LCA_RATE=0.25", "LCA_ANY=");
    struct outcome o = run(set, NO_ARGS);
    assert_int_equal(o.status, 0);
    assert_string_equal(o.out, "flag=1 other=1 text=env secret=none count=9 any=1 rate=0.25 free=1 list= args=\n");
    o = run(set, ARGS("--text", "line", "-c", "3"));
    has(o.out, "text=line");
    has(o.out, "count=3");
    has(o.out, "rate=0.25");
    o = run(ARGS("LCA_FLAG=0"), NO_ARGS);
    has(o.out, "flag=0");
    refused(ARGS("LCA_COUNT=101"), NO_ARGS, "LCA_COUNT takes 1 to 100, not 101");
    refused(ARGS("LCA_RATE=fast"), NO_ARGS, "LCA_RATE takes a number, not 'fast'");
    /* help is there whatever the environment holds */
    assert_int_equal(run(ARGS("LCA_COUNT=101"), ARGS("--help")).status, 0);
}

static void numbers_keep_within_their_bounds(void **state)
{
    (void)state;
    has(run(NULL, ARGS("-c", "1", "--rate", "0")).out, "count=1 any=1 rate=0 ");
    has(run(NULL, ARGS("-c", "100", "--rate", "0.75")).out, "count=100 any=1 rate=0.75");
    refused(NULL, ARGS("-c", "0"), "--count takes 1 to 100, not 0");
    refused(NULL, ARGS("--count", "101"), "--count takes 1 to 100, not 101");
    refused(NULL, ARGS("--count=-1"), "not -1");
    refused(NULL, ARGS("--count", ""), "a whole number, not ''");
    refused(NULL, ARGS("--count", "5x"), "'5x'");
    refused(NULL, ARGS("--count", "5.0"), "'5.0'");
    refused(NULL, ARGS("--any", "99999999999999999999"), "'99999999999999999999'");
    refused(NULL, ARGS("--rate", "0.76"), "--rate takes 0 to 0.75, not 0.76");
    refused(NULL, ARGS("--rate", "-0.1"), "not -0.1");
    refused(NULL, ARGS("--free", "nan"), "'nan'");
    refused(NULL, ARGS("--free", "inf"), "'inf'");
    refused(NULL, ARGS("--free", "1e999"), "'1e999'");
    refused(NULL, ARGS("--free", "1,5"), "'1,5'");
}

static void a_list_has_an_end(void **state)
{
    (void)state;
    const char *args[34] = {0};
    for (int k = 0; k < 32; k++)
        args[k] = "-ix";
    assert_int_equal(run(NULL, args).status, 0);
    args[32] = "-ix";
    refused(NULL, args, "--item is given more than 32 times");
}

static void what_is_unknown_is_named(void **state)
{
    (void)state;
    refused(NULL, ARGS("--bogus"), "unknown option --bogus");
    refused(NULL, ARGS("--bogus=3", "x"), "unknown option --bogus");
    refused(NULL, ARGS("x", "--bogus"), "unknown option --bogus");
    refused(NULL, ARGS("x", "y", "-f", "--bogus", "z"), "unknown option --bogus");
    refused(NULL, ARGS("-q"), "unknown option -q");
    refused(NULL, ARGS("-fq"), "unknown option -q");
    refused(NULL, ARGS("x", "-q"), "unknown option -q");
    refused(NULL, ARGS("--t"), "--t");      /* could be two */
    refused(NULL, ARGS("--flag=3"), "--flag takes no value");
}

static void what_lacks_its_value_is_named(void **state)
{
    (void)state;
    refused(NULL, ARGS("--text"), "--text needs a value");
    refused(NULL, ARGS("x", "--text"), "--text needs a value");
    refused(NULL, ARGS("-c"), "-c needs a value");
}

static void operands_are_counted(void **state)
{
    (void)state;
    assert_int_equal(run(NULL, ARGS("a", "b")).status, 0);
    refused(NULL, ARGS("a", "b", "c"), "unexpected 'c'");
    tool.min_args = 1;
    refused(NULL, NO_ARGS, "usage: lca-try [OPTION]... [ARG]...");
    assert_int_equal(run(NULL, ARGS("--help")).status, 0);
    tool.min_args = 0;
    tool.max_args = -1;
    assert_int_equal(run(NULL, ARGS("a", "b", "c", "d", "e")).status, 0);
    tool.max_args = 2;
}

static void help_names_every_option_within_the_width(void **state)
{
    (void)state;
    static const char *const more_names[] = {"-v, --verbose", "-h, --help", "-V, --version", "--man"};
    struct outcome o = run(NULL, ARGS("--help"));
    assert_int_equal(o.status, 0);
    assert_string_equal(o.err, "");
    assert_memory_equal(o.out, "usage: lca-try [OPTION]... [ARG]...\n", 35);
    const struct lca_opt *const tables[] = {opts, more};
    for (int t = 0; t < 2; t++) {
        for (const struct lca_opt *p = tables[t]; p->name; p++) {
            char left[64], letter[8] = "    ";
            if (p->letter)
                snprintf(letter, sizeof letter, "-%c, ", p->letter);
            snprintf(left, sizeof left, "\n  %s--%s%s%s ", letter, p->name, p->arg ? " " : "", p->arg ? p->arg : "");
            has(o.out, left);
            has(o.out, p->help);
        }
    }
    for (size_t k = 0; k < sizeof more_names / sizeof *more_names; k++)
        has(o.out, more_names[k]);
    has(o.out, "Examples:\n  lca-try --flag\n");
    for (const char *line = o.out; *line;) {
        size_t n = strcspn(line, "\n");
        assert_in_range(n, 0, 80);
        line += n + (line[n] == '\n');
    }
}

static void the_manual_page_has_the_same_table(void **state)
{
    (void)state;
    struct outcome o = run(NULL, ARGS("--man"));
    assert_int_equal(o.status, 0);
    has(o.out, ".TH LCA-TRY 1");
    has(o.out, "lca-try \\- try things");
    has(o.out, "\\fB\\-\\-two\\-words\\fR\n");
    has(o.out, "\\fB\\-c\\fR, \\fB\\-\\-count\\fR \\fIN\\fR\nA number with bounds.");
    has(o.out, ".SH EXIT STATUS\n");
    static const char *const status[] = {"0", "1", "2", "3", "4", "5", "6", "130", "141"};
    for (size_t k = 0; k < sizeof status / sizeof *status; k++) {
        char part[32];
        snprintf(part, sizeof part, ".TP\n%s\n", status[k]);
        has(o.out, part);
    }
}

static void version_says_name_and_number(void **state)
{
    (void)state;
    struct outcome o = run(NULL, ARGS("--version"));
    assert_int_equal(o.status, 0);
    assert_memory_equal(o.out, "lca-try ", 8);
    assert_true(o.out[8] >= '0' && o.out[8] <= '9');
    has(o.out, "(cpu)\n");
    assert_string_equal(run(NULL, ARGS("-V")).out, o.out);
}

static void the_status_is_the_error_s(void **state)
{
    (void)state;
    struct outcome o = run(NULL, ARGS("fail5"));
    assert_int_equal(o.status, 5);
    assert_string_equal(o.err, "lca-try: error: it failed: do better\n");
    o = run(ARGS("LCA_STAGE=w2"), ARGS("fail130"));
    assert_int_equal(o.status, 130);
    assert_string_equal(o.err, "lca-try[w2]: error: it failed: do better\n");
    /* a failure that says no status is ours; a reader who has gone is no news */
    assert_int_equal(run(NULL, ARGS("fail0")).status, 1);
    o = run(NULL, ARGS("fail141"));
    assert_int_equal(o.status, 141);
    assert_string_equal(o.err, "");
}

int main(void)
{
    static const char *const own[] = {"LCA_FLAG", "LCA_TWO_WORDS", "LCA_TEXT", "LCA_SECRET", "LCA_COUNT", "LCA_ANY",
                                      "LCA_RATE", "LCA_FREE", "LCA_ITEM", "LCA_STAGE", "LCA_VERBOSE"};
    for (size_t k = 0; k < sizeof own / sizeof *own; k++)
        unsetenv(own[k]);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_options_the_defaults_hold),
        cmocka_unit_test(options_are_taken_in_every_form),
        cmocka_unit_test(the_environment_fills_what_the_line_leaves_open),
        cmocka_unit_test(numbers_keep_within_their_bounds),
        cmocka_unit_test(a_list_has_an_end),
        cmocka_unit_test(what_is_unknown_is_named),
        cmocka_unit_test(what_lacks_its_value_is_named),
        cmocka_unit_test(operands_are_counted),
        cmocka_unit_test(help_names_every_option_within_the_width),
        cmocka_unit_test(the_manual_page_has_the_same_table),
        cmocka_unit_test(version_says_name_and_number),
        cmocka_unit_test(the_status_is_the_error_s),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
