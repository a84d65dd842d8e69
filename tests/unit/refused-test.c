/* What is refused: counted by reason, said once per peer, ignored from then on. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "frame/frame.h"
#include "link/refused.h"
#include "nn/table.h"

static struct lca_heard from(uint8_t peer)
{
    struct lca_heard h = {.where = "ipc:x", .from = {.data = {peer, 1, 2, 3, 4}, .len = 5}};
    zmq_msg_init(&h.packet.msg);
    return h;
}

/* Lines that are said while f runs. */
static int lines(void (*f)(struct lca_refusals *), struct lca_refusals *r, char *text, size_t room)
{
    char path[] = "/tmp/refused-test-XXXXXX";
    int file = mkstemp(path), before = dup(STDERR_FILENO), n = 0;
    assert_true(file >= 0);
    unlink(path);
    dup2(file, STDERR_FILENO);
    f(r);
    dup2(before, STDERR_FILENO);
    ssize_t len = pread(file, text, room - 1, 0);
    text[len > 0 ? len : 0] = 0;
    for (const char *p = text; (p = strchr(p, '\n')); p++)
        n++;
    close(before);
    close(file);
    return n;
}

static void two_peers(struct lca_refusals *r)
{
    struct lca_heard a = from(1), b = from(2);
    assert_false(lca_refusals_ignore(r, &a.from));
    lca_refuse(r, LCA_REFUSED_ATTACH, &a, "a consumer", false, "no place");
    lca_refuse(r, LCA_REFUSED_ATTACH, &a, "a consumer", false, "no place still");
    assert_false(lca_refusals_ignore(r, &a.from));
    lca_refuse(r, LCA_REFUSED_RUN, &b, "a message", true, "another run");
    assert_true(lca_refusals_ignore(r, &b.from));
    lca_refuse(r, LCA_REFUSED_MALFORMED, &a, "a message", true, "no frame");
    assert_true(lca_refusals_ignore(r, &a.from));
    lca_refusals_say(r, "ipc:x");
}

static void counted_and_said_once(void **state)
{
    (void)state;
    struct lca_refusals r = {0};
    char text[2000];
    assert_int_equal(lines(two_peers, &r, text, sizeof text), 4);
    assert_non_null(strstr(text, "ipc:x: refused a consumer: no place\n"));
    assert_null(strstr(text, "still"));
    assert_non_null(strstr(text, "ipc:x: refused a message: another run; it is ignored from now on\n"));
    assert_non_null(strstr(text, "ipc:x: refused a message: no frame; it is ignored from now on\n"));
    assert_non_null(strstr(text, "refused 6 messages in all: 1 malformed, 1 run, 2 attach, 2 ignored\n"));
    json_t *all = json_object();
    lca_refusals_report(&r, "x", all);
    lca_refusals_report(&r, "x", all);      /* two links of one name: their sum */
    assert_int_equal(json_integer_value(json_object_get(json_object_get(all, "x"), "attach")), 4);
    assert_null(json_object_get(json_object_get(all, "x"), "version"));
    json_decref(all);
}

static void flood(struct lca_refusals *r)
{
    for (int k = 0; k < 1000; k++) {
        struct lca_heard h = from(0);
        h.from.data[1] = (uint8_t)k;
        h.from.data[2] = (uint8_t)(k >> 8);
        lca_refuse(r, LCA_REFUSED_MALFORMED, &h, "a message", true, "no frame");
    }
}

static void a_flood_fills_neither_log_nor_memory(void **state)
{
    (void)state;
    struct lca_refusals r = {0};
    static char text[20000];
    assert_int_equal(lines(flood, &r, text, sizeof text), LCA_REFUSED_PEERS);
    assert_non_null(strstr(text, "others will only be counted\n"));
    assert_int_equal(r.n[LCA_REFUSED_MALFORMED], 1000);
    assert_int_equal(lca_refusals_total(&r), 1000);
    json_t *all = json_object();
    struct lca_refusals none = {0};
    lca_refusals_report(&none, "x", all);
    assert_int_equal(json_object_size(all), 0);
    json_decref(all);
}

/* A network that can be described can be announced, and the other way about. */
static void one_limit_of_parameters(void **state)
{
    (void)state;
    assert_int_equal(LCA_P_MAX, LCA_PARAMETERS_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counted_and_said_once),
        cmocka_unit_test(a_flood_fills_neither_log_nor_memory),
        cmocka_unit_test(one_limit_of_parameters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
