/* Merging of reports, KEY=JSON, lines out of pipes, and writing a file whole. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "run/lines.h"
#include "run/summary.h"

static void expect_json(json_t *json, const char *text)
{
    char *got = json_dumps(json, JSON_COMPACT);
    assert_string_equal(got, text);
    free(got);
}

static void merges_key_by_key(void **state)
{
    (void)state;
    struct lca_err err = {0};
    struct lca_buf changed = {0};
    json_t *into = json_loads("{\"z\":1,\"o\":{\"a\":1,\"p\":{\"q\":2}},\"l\":[1,2]}", 0, NULL);
    json_t *from = json_loads("{\"o\":{\"b\":3,\"a\":1,\"p\":{\"q\":5}},\"l\":[3],"
                              "\"a\":null,\"z\":1}", 0, NULL);
    char *before = json_dumps(from, 0);
    assert_int_equal(lca_summary_merge(into, from, &changed, &err), 0);
    expect_json(into, "{\"z\":1,\"o\":{\"a\":1,\"p\":{\"q\":5},\"b\":3},\"l\":[3],\"a\":null}");
    assert_int_equal(changed.len, strlen("o.p.q l"));
    assert_memory_equal(changed.data, "o.p.q l", changed.len);
    /* A key that comes new is a copy: a later report does not change this one. */
    json_t *empty = json_object(), *more = json_loads("{\"o\":{\"c\":1}}", 0, NULL);
    assert_int_equal(lca_summary_merge(empty, from, NULL, &err), 0);
    assert_int_equal(lca_summary_merge(empty, more, NULL, &err), 0);
    char *after = json_dumps(from, 0);
    assert_string_equal(before, after);
    free(before);
    free(after);
    lca_buf_clear(&changed);
    json_decref(into);
    json_decref(from);
    json_decref(empty);
    json_decref(more);
}

static void reads_keys(void **state)
{
    (void)state;
    struct lca_err err = {0};
    json_t *o = json_object();
    struct lca_list good = {{"lr=0.05", "net=\"mnist-fc\"", "x={\"y\":[1,null]}", "e=\"a=b\"",
                             "lr=1"}, 5};
    assert_int_equal(lca_keys_put(o, &good, "--set", &err), 0);
    expect_json(o, "{\"lr\":1,\"net\":\"mnist-fc\",\"x\":{\"y\":[1,null]},\"e\":\"a=b\"}");
    static const char *const wrong[] = {"lr", "=1", "net=mnist-fc", "lr=", "a=1 2"};
    for (size_t k = 0; k < sizeof wrong / sizeof *wrong; k++) {
        struct lca_list bad = {{wrong[k]}, 1};
        assert_int_equal(lca_keys_put(o, &bad, "--set", &err), -1);
        assert_int_equal(err.status, LCA_USAGE);
        assert_non_null(strstr(err.text, wrong[k]));
    }
    json_decref(o);
}

static void saves_once(void **state)
{
    (void)state;
    struct lca_err err = {0};
    char dir[] = "/tmp/lca-summary-XXXXXX", path[64];
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/x.json", dir);
    json_t *one = json_loads("{\"a\":0.1}", 0, NULL), *two = json_loads("{\"a\":2}", 0, NULL);
    assert_int_equal(lca_json_save(one, path, true, &err), 0);
    assert_int_equal(lca_json_save(two, path, true, &err), -1);
    assert_int_equal(err.status, LCA_USAGE);
    char text[64] = "";
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    assert_true(fread(text, 1, sizeof text - 1, f) > 0);
    fclose(f);
    assert_string_equal(text, "{\n  \"a\": 0.1\n}\n");
    assert_int_equal(lca_json_save(two, path, false, &err), 0);
    json_t *back = json_load_file(path, 0, NULL);
    assert_true(json_equal(back, two));
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rmdir(dir), 0);        /* nothing else is left there */
    json_decref(one);
    json_decref(two);
    json_decref(back);
}

static void expect_line(struct lca_lines *l, const char *text)
{
    size_t len = 0;
    const char *line = lca_lines_next(l, &len);
    assert_non_null(line);
    assert_int_equal(len, strlen(text));
    assert_memory_equal(line, text, len);
}

static void cuts_lines(void **state)
{
    (void)state;
    int fd[2];
    size_t len;
    struct lca_lines l;
    assert_int_equal(pipe(fd), 0);
    lca_lines_open(&l, fd[0]);
    assert_int_equal(lca_lines_read(&l), 0);
    assert_null(lca_lines_next(&l, &len));
    assert_int_equal(write(fd[1], "one\n\ntw", 7), 7);
    assert_int_equal(lca_lines_read(&l), 1);
    expect_line(&l, "one");
    expect_line(&l, "");
    assert_null(lca_lines_next(&l, &len));
    assert_int_equal(write(fd[1], "o\nend", 5), 5);
    assert_int_equal(lca_lines_read(&l), 1);
    expect_line(&l, "two");
    assert_null(lca_lines_next(&l, &len));
    close(fd[1]);
    assert_int_equal(lca_lines_read(&l), 0);
    expect_line(&l, "end");
    assert_null(lca_lines_next(&l, &len));
    assert_int_equal(l.fd, -1);
    lca_lines_close(&l);
}

static void cuts_an_endless_line(void **state)
{
    (void)state;
    enum { TOTAL = 3 * LCA_LINE_MAX + 5 };
    static char text[TOTAL];
    int fd[2];
    size_t len, got = 0, most = 0;
    struct lca_lines l;
    memset(text, 'x', sizeof text);
    assert_int_equal(pipe(fd), 0);
    assert_int_equal(write(fd[1], text, sizeof text), TOTAL);
    close(fd[1]);
    lca_lines_open(&l, fd[0]);
    while (l.fd >= 0) {
        lca_lines_read(&l);
        while (lca_lines_next(&l, &len)) {
            got += len;
            most = len > most ? len : most;
        }
    }
    assert_int_equal(got, TOTAL);
    assert_int_equal(most, LCA_LINE_MAX);
    lca_lines_close(&l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(merges_key_by_key), cmocka_unit_test(reads_keys),
        cmocka_unit_test(saves_once),
        cmocka_unit_test(cuts_lines), cmocka_unit_test(cuts_an_endless_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
