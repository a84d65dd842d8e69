/* The stage file: what is read, and that each mistake names its line. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "run/stages.h"

static int parse(struct lca_stages *s, const char *text, struct lca_err *err)
{
    /* A copy without room behind it, for the sanitizer. */
    size_t len = strlen(text);
    char *copy = malloc(len ? len : 1);
    assert_non_null(copy);
    memcpy(copy, text, len);
    int result = lca_stages_parse(s, copy, len, "f", err);
    free(copy);
    return result;
}

static void reads_stages(void **state)
{
    (void)state;
    struct lca_stages s;
    struct lca_err err = {0};
    assert_int_equal(parse(&s, "# what\n\n  \t# more\ntrain: lca-train --lr 1 \n"
                           "layers.2 :\tx | y: z\r\n", &err), 0);
    assert_int_equal(s.n, 2);
    assert_string_equal(s.item[0].name, "train");
    assert_string_equal(s.item[0].command, "lca-train --lr 1");
    assert_int_equal(s.item[0].line, 4);
    assert_int_equal(s.item[0].copies, 0);
    assert_string_equal(s.item[1].name, "layers.2");
    assert_string_equal(s.item[1].command, "x | y: z");
    lca_stages_clear(&s);
}

static void copies_workers(void **state)
{
    (void)state;
    struct lca_stages s;
    struct lca_err err = {0};
    assert_int_equal(parse(&s, "grad*12: g\na: b", &err), 0);
    assert_int_equal(s.n, 13);
    assert_string_equal(s.item[0].name, "grad.1");
    assert_string_equal(s.item[11].name, "grad.12");
    assert_string_equal(s.item[11].pool, "grad");
    assert_string_equal(s.item[11].command, "g");
    assert_int_equal(s.item[11].copy, 12);
    assert_int_equal(s.item[11].copies, 12);
    assert_string_equal(s.item[12].name, "a");
    lca_stages_clear(&s);
}

static void joins_lines(void **state)
{
    (void)state;
    struct lca_stages s;
    struct lca_err err = {0};
    assert_int_equal(parse(&s, "a: one \\\n  two \\\r\n# three\nb: c\n# not joined \\\nd: e",
                           &err), 0);
    assert_int_equal(s.n, 3);
    assert_string_equal(s.item[0].command, "one   two # three");
    assert_int_equal(s.item[0].line, 1);
    assert_int_equal(s.item[1].line, 4);
    assert_string_equal(s.item[2].name, "d");
    lca_stages_clear(&s);
}

static void names_the_line(void **state)
{
    (void)state;
    static const struct {
        const char *text, *message;
    } wrong[] = {
        {"", "f: no stage"},
        {"# only\n", "f: no stage"},
        {"w*2: x\n", "f: no stage but workers"},
        {"\nA: x", "f:2: write NAME: COMMAND"},
        {": x", "f:1: write NAME: COMMAND"},
        {"a b: x", "f:1: a colon is missing after the name a"},
        {"a", "f:1: a colon is missing"},
        {"a/b: x", "f:1: a colon is missing"},
        {"a:\n", "f:1: a has no command"},
        {"a: \t \n", "f:1: a has no command"},
        {"a*: x", "f:1: after a* comes a number"},
        {"a*0: x", "f:1: after a* comes a number"},
        {"a*-1: x", "f:1: after a* comes a number"},
        {"a*99999999999999999999: x", "f:1: after a* comes a number"},
        {"a*2x: x", "f:1: a colon is missing"},
        {"a: x\n\na: y", "f:3: the name a is taken by line 1"},
        {"a.2: x\na*2: y", "f:2: the name a.2 is taken by line 1"},
        {"a: x \\", "f:1: ends with a backslash"},
        {"a: x\nb*256: y", "f:2: more than 256 processes"},
        {"abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz: x",
         "f:1: the name is longer than 47 letters"},
    };
    for (size_t k = 0; k < sizeof wrong / sizeof *wrong; k++) {
        struct lca_stages s;
        struct lca_err err = {0};
        assert_int_equal(parse(&s, wrong[k].text, &err), -1);
        assert_int_equal(err.status, LCA_USAGE);
        if (strncmp(err.text, wrong[k].message, strlen(wrong[k].message)) != 0)
            fail_msg("'%s': '%s' does not begin with '%s'", wrong[k].text, err.text,
                     wrong[k].message);
        assert_null(s.item);
    }
}

static void refuses_binary(void **state)
{
    (void)state;
    struct lca_stages s;
    struct lca_err err = {0};
    assert_int_equal(lca_stages_parse(&s, "a: b\0c", 6, "f", &err), -1);
    assert_string_equal(err.text, "f: not a text file");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_stages), cmocka_unit_test(copies_workers),
        cmocka_unit_test(joins_lines),
        cmocka_unit_test(names_the_line), cmocka_unit_test(refuses_binary),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
