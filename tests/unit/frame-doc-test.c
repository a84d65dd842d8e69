/* docs/frames.md against proto/ and against a reader in another language. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buf.h"
#include "link/record.h"

static char *page;

/* From the root of the tree, where make runs the tests, or with ROOT set. */
static int read_page(void **state)
{
    (void)state;
    const char *root = getenv("ROOT");
    char name[4096];
    snprintf(name, sizeof name, "%s/docs/frames.md", root ? root : ".");
    FILE *in = fopen(name, "r");
    if (!in)
        return -1;
    page = calloc(1, 1 << 20);
    size_t n = page ? fread(page, 1, (1 << 20) - 1, in) : 0;
    fclose(in);
    return n > 0 ? 0 : -1;
}

static int free_page(void **state)
{
    (void)state;
    free(page);
    return 0;
}

struct section {
    const char *kind;
    char *text;
    size_t rows;
};

static void expect_row(void *arg, const char *key, const char *type, char need, const char *help)
{
    struct section *s = arg;
    struct lca_buf row = {0};
    lca_buf_printf(&row, "\n| `%s` | %s | %c | ", key, type, need);
    for (const char *p = help; *p; p++)
        lca_buf_printf(&row, "%s%c", *p == '|' ? "\\" : "", *p);
    lca_buf_printf(&row, " |\n");
    if (!strstr(s->text, (char *)row.data))
        fail_msg("docs/frames.md, section %s: this row is missing:%s", s->kind, (char *)row.data);
    lca_buf_clear(&row);
    s->rows++;
}

static void tables_are_those_of_proto(void **state)
{
    (void)state;
    for (enum lca_kind kind = LCA_KIND_NONE + 1; kind < LCA_KINDS; kind++) {
        char title[32];
        snprintf(title, sizeof title, "\n### %s\n", lca_kind_name(kind));
        const char *from = strstr(page, title);
        if (!from)
            fail_msg("docs/frames.md: no section %s", lca_kind_name(kind));
        from += strlen(title) - 1;
        const char *to = strstr(from, "\n##");
        struct section s = {lca_kind_name(kind), strndup(from, to ? (size_t)(to + 1 - from)
                                                                  : strlen(from)), 0};
        lca_frame_describe(kind, expect_row, &s);
        size_t there = 0;
        for (const char *p = s.text; (p = strstr(p, "\n| `")); p++)
            there++;
        assert_int_equal(there, s.rows);
        free(s.text);
    }
}

static void write_stream(const char *path)
{
    static const float values[] = {0.25f, -0.75f, 1};
    struct lca_err err;
    struct lca_writer *w = lca_writer_open(path, &err);
    assert_non_null(w);
    struct lca_frame head = LCA_FRAME(head), lca = LCA_FRAME(lca), eos = LCA_FRAME(eos);
    struct lca_frame_head *h = &head.u.head;
    head.st = lca.st = eos.st = "lca";
    h->model = "tiny";
    h->P = 3;
    h->layers = h->classes = h->prov = json_array();
    h->data = h->def = json_object();
    lca_frame_payload(&head, "|u1", 2, "{}");
    lca.u.lca.it = 7;
    lca.u.lca.set = "train";
    lca_frame_payload(&lca, "<f4", 3, values);
    eos.u.eos.status = "ok";
    eos.u.eos.next = 1;
    if (lca_writer_frame(w, &head, &err) < 0 || lca_writer_frame(w, &lca, &err) < 0 ||
        lca_writer_frame(w, &eos, &err) < 0 || lca_writer_close(w, &err) < 0)
        fail_msg("%s", err.text);
    json_decref(h->layers);
    json_decref(h->data);
}

/* The program of the page, pasted and run. */
static void the_reader_in_python_reads(void **state)
{
    (void)state;
    if (system("/usr/bin/python3 -c 'import msgpack, numpy' 2>/dev/null") != 0) {
        print_message("no python3-msgpack, python3-numpy here\n");
        skip();
    }
    char dir[] = "/tmp/lca-doc-XXXXXX", file[64], program[64], command[256], said[256] = "";
    assert_non_null(mkdtemp(dir));
    snprintf(file, sizeof file, "%s/a.lca", dir);
    snprintf(program, sizeof program, "%s/reader.py", dir);
    const char *from = strstr(page, "```python\n");
    assert_non_null(from);
    from += strlen("```python\n");
    const char *to = strstr(from, "```");
    assert_non_null(to);
    FILE *out = fopen(program, "w");
    assert_non_null(out);
    fwrite(from, 1, (size_t)(to - from), out);
    assert_int_equal(fclose(out), 0);
    write_stream(file);

    snprintf(command, sizeof command, "/usr/bin/python3 %s < %s", program, file);
    FILE *in = popen(command, "r");
    assert_non_null(in);
    size_t n = fread(said, 1, sizeof said - 1, in);
    assert_int_equal(pclose(in), 0);
    assert_true(n > 0);
    assert_string_equal(said, "tiny 3 parameters\nstep 7 train sum 0.5\n");
    unlink(file);
    unlink(program);
    rmdir(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tables_are_those_of_proto),
        cmocka_unit_test(the_reader_in_python_reads),
    };
    return cmocka_run_group_tests(tests, read_page, free_page);
}
