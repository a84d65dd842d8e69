/* The progress line: what it is made of, and when it is due. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "run/progress.h"

static bool feed(struct lca_progress *p, const char *line, double now)
{
    return lca_progress_read(p, line, strlen(line), now);
}

static void expect_text(const struct lca_progress *p, const char *text)
{
    char out[256];
    lca_progress_text(p, out, sizeof out);
    assert_string_equal(out, text);
}

static void tells_speed_and_time_left(void **state)
{
    (void)state;
    struct lca_progress p = {.iterations = 880};
    assert_true(feed(&p, "{\"it\":2,\"L1\":2.25,\"res\":-1.5e-6,\"n\":2}", 100));
    expect_text(&p, "step 3/880  loss 2.2500  residual -1.5e-06");
    /* 120 steps in 180 s are 40 a minute; 757 more take 1135.5 s. */
    assert_true(feed(&p, "{\"it\":122,\"L1\":0.3121,\"res\":1.2e-06,\"n\":2}", 280));
    expect_text(&p, "step 123/880  loss 0.3121  residual 1.2e-06  40 steps/min  ETA 0:18:56");
    p.iterations = 0;
    expect_text(&p, "step 123  loss 0.3121  residual 1.2e-06  40 steps/min");
}

static void skips_what_is_not_a_step(void **state)
{
    (void)state;
    struct lca_progress p = {0};
    static const char *const other[] = {
        "", "{", "[]", "3", "{\"t\":\"head\"}", "{\"it\":\"1\"}", "{\"it\":-1}",
        "{\"it\":7,\"set\":\"val\",\"L1\":1}",
    };
    for (size_t k = 0; k < sizeof other / sizeof *other; k++)
        assert_false(feed(&p, other[k], 1));
    assert_int_equal(p.step, 0);
    assert_true(feed(&p, "{\"it\":7,\"set\":\"train\",\"cls\":-1,\"L1\":1}", 1));
    assert_false(feed(&p, "{\"it\":6,\"L1\":5}", 2));       /* an earlier step */
    assert_int_equal(p.step, 8);
}

static void does_not_take_a_class_for_the_whole(void **state)
{
    (void)state;
    struct lca_progress p = {0};
    feed(&p, "{\"it\":0,\"cls\":-1,\"L1\":2,\"res\":0.5}", 1);
    feed(&p, "{\"it\":0,\"cls\":0,\"L1\":0.2,\"res\":0.1}", 1);
    expect_text(&p, "step 1  loss 2.0000  residual 5.0e-01");
    struct lca_progress q = {0};
    feed(&q, "{\"it\":0,\"cls\":0,\"L1\":0.2}", 1);
    expect_text(&q, "step 1");
}

static void is_due_now_and_then(void **state)
{
    (void)state;
    struct lca_progress p = {.iterations = 100};
    assert_false(lca_progress_due(&p, true, 0));
    p.step = 1;
    assert_true(lca_progress_due(&p, true, 0));
    assert_false(lca_progress_due(&p, true, 9));            /* nothing new */
    p.step = 2;
    assert_false(lca_progress_due(&p, true, 0.1));          /* five times a second */
    assert_true(lca_progress_due(&p, true, 0.2));
    p.step = 100;
    assert_true(lca_progress_due(&p, true, 0.21));          /* the end is always shown */

    struct lca_progress q = {.iterations = 100, .step = 1};
    assert_true(lca_progress_due(&q, false, 0));
    q.step = 9;
    assert_false(lca_progress_due(&q, false, 9.9));
    assert_true(lca_progress_due(&q, false, 10));
    q.step = 10;
    assert_true(lca_progress_due(&q, false, 10.1));         /* a tenth */
    q.step = 19;
    assert_false(lca_progress_due(&q, false, 11));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tells_speed_and_time_left), cmocka_unit_test(skips_what_is_not_a_step),
        cmocka_unit_test(does_not_take_a_class_for_the_whole),
        cmocka_unit_test(is_due_now_and_then),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
