/* The status line: what it says of a stage, and that it stays one line. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "link/link.h"
#include "link/state.h"

static void expect(const struct lca_frame_status *s, const char *text)
{
    char line[960];
    lca_state_text(s, line, sizeof line);
    assert_string_equal(line, text);
}

static void a_stage_in_the_middle(void **state)
{
    (void)state;
    struct lca_frame_status s = {
        .up = 12.4, .cpu = 3.25, .rss = 64 << 20, .it = 812, .wait = "check", .refused = 3,
        .in = json_pack("[{s:s, s:i, s:i, s:i, s:f}]", "from", "ipc:theta", "seq", 830, "done", 813, "lim", 877,
                        "age", 0.25),
        .out = json_pack("[{s:s, s:i, s:i, s:i, s:i, s:i}]", "st", "lca", "next", 1624, "done", 1600, "window", 98,
                         "frames", 1624, "bytes", 33100000),
        .consumers = json_pack("[{s:s, s:s, s:s, s:i, s:i, s:i}, {s:s, s:s, s:s}]", "st", "lca", "name", "check",
                               "state", "here", "done", 1600, "sent", 1624, "lim", 1698, "st", "lca", "name", "record",
                               "state", "lost"),
        .pool = json_pack("{s:i, s:i, s:i, s:i}", "waiting", 3, "points", 2, "units", 512, "again", 1),
        .workers = json_pack("[{s:s, s:s, s:i, s:i, s:f}]", "name", "w.1", "state", "late", "held", 2, "done", 256,
                             "mean", 0.125)};
    expect(&s, "up 12 s, step 812, waits for check; in ipc:theta: 830 frames, 17 under way, the last 0.2 s ago; "
               "out lca: 1624 frames, 33.1 MB, 24 of 98 kept for check (24 behind, credit 74), record (lost); pool: 3 "
               "units wait, 2 points in flight, 512 done, 1 given twice, w.1 late (2 held, 256 done, 0.125 s each); 3 "
               "frames refused; 64.0 MiB, 3.2 s of processor time");
    /* cut, it still is text */
    for (size_t size = 1; size < 400; size++) {
        char line[400];
        memset(line, 'x', sizeof line);
        lca_state_text(&s, line, size);
        assert_true(strlen(line) < size);
        assert_memory_equal(line, "up 12 s, step 812, waits for check; in ipc:theta: 830 frames, 17 under way, ",
                            strlen(line) < 76 ? strlen(line) : 76);
    }
    json_t *own[] = {s.in, s.out, s.consumers, s.pool, s.workers};
    for (size_t k = 0; k < sizeof own / sizeof *own; k++)
        json_decref(own[k]);
}

static void a_worker_and_an_end(void **state)
{
    (void)state;
    struct lca_frame_status s = {.up = 1, .it = -1, .work = json_pack("{s:s, s:i, s:i, s:f}", "pool", "ipc:pool",
                                                                      "units", 7, "held", 0, "sec", 0.5),
                                 .wait = "work of ipc:pool"};
    expect(&s, "up 1 s, waits for work of ipc:pool; work of ipc:pool: 7 units done, 0 held, 0.5 s computing; 0.0 MiB, "
               "0.0 s of processor time");
    json_decref(s.work);
    s = (struct lca_frame_status){.up = 1, .it = 5, .end = "interrupted"};
    expect(&s, "up 1 s, step 5, its stream has ended: interrupted; 0.0 MiB, 0.0 s of processor time");
}

/* 64 workers do not fit a line: eight are named, and all that are not simply busy. */
static void many_workers(void **state)
{
    (void)state;
    struct lca_frame_status s = {.it = -1, .pool = json_object(), .workers = json_array()};
    char name[16], line[960];
    for (int k = 1; k <= 64; k++) {
        snprintf(name, sizeof name, "w.%d", k);
        json_array_append_new(s.workers, json_pack("{s:s, s:s}", "name", name, "state", k == 50 ? "late" : "busy"));
    }
    lca_state_text(&s, line, sizeof line);
    assert_non_null(strstr(line, ", w.8 busy"));
    assert_null(strstr(line, ", w.9 "));
    assert_non_null(strstr(line, ", w.50 late (0 held, 0 done, 0 s each), 55 more busy; 0.0 MiB"));
    json_decref(s.pool);
    json_decref(s.workers);
}

/* What is said of this process can be sent. */
static void a_link_without_members(void **state)
{
    (void)state;
    struct lca_err err = {0};
    struct lca_state s;
    struct lca_buf header = {0};
    struct lca_link *link = lca_link_new(LCA_SIG_FILTER, &err);
    assert_non_null(link);
    assert_int_equal(lca_state_gather(&s, link, &err), 0);
    assert_string_equal(s.frame.prog, "state-test");
    assert_true(s.frame.rss > 1 << 20);
    assert_true(s.frame.up >= 0 && s.frame.up < 3600);
    assert_null(s.frame.in);
    assert_null(s.frame.wait);
    struct lca_frame f = LCA_FRAME(status);
    f.u.status = s.frame;
    f.st = "lca";
    if (lca_frame_encode(&f, &header, &err) < 0)
        fail_msg("%s", err.text);
    lca_buf_clear(&header);
    lca_state_clear(&s);
    lca_link_free(link);
}

static void what_says_more_wins(void **state)
{
    (void)state;
    struct lca_state s = {0};
    lca_state_wait(&s, LCA_WAIT_INPUT, "%s", "in");
    assert_string_equal(s.wait, "in");
    lca_state_wait(&s, LCA_COMPUTES, "%s", "");
    assert_string_equal(s.wait, "");
    lca_state_wait(&s, LCA_WAIT_INPUT, "%s", "in");
    assert_string_equal(s.wait, "");
    lca_state_wait(&s, LCA_WAIT_CONSUMER, "%s", "check");
    lca_state_wait(&s, LCA_WAIT_WORKERS, "%s", "workers");
    assert_string_equal(s.wait, "check");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_stage_in_the_middle),
        cmocka_unit_test(a_worker_and_an_end),
        cmocka_unit_test(many_workers),
        cmocka_unit_test(a_link_without_members),
        cmocka_unit_test(what_says_more_wins),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
