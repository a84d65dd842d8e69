/* What is kept of a run: all of the latest steps, fewer of the older, in bounded memory;
 * and curves that thin out evenly. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>

#include "web/past.h"
#include "web/trace.h"

enum { STEPS = 20000 };

static void the_latest_are_all_kept_and_the_first_and_gaps_grow_with_age(void **state)
{
    (void)state;
    struct lca_past p;
    assert_int_equal(lca_past_init(&p, 1, 2, 100, 256 * 500, NULL), 0);
    unsigned room = p.room;
    assert_in_range(room, 200, 300);
    for (uint64_t it = 0; it < STEPS; it++) {
        struct lca_moment *m = lca_past_add(&p, it);
        m->sum[0] = m->cell[99] = (float)it;
        m->now[1] = -(double)it;
    }
    assert_int_equal(p.n, room);
    assert_int_equal(p.item[0].it, 0);
    for (unsigned k = 0; k < 25; k++)
        assert_int_equal(p.item[p.n - 1 - k].it, STEPS - 1 - k);
    for (unsigned k = 0; k < p.n; k++) {
        const struct lca_moment *m = &p.item[k];
        /* the arrays have moved along with their step */
        assert_true(m->sum[0] == (double)m->it && m->cell[99] == (float)m->it && m->now[1] == -(double)m->it);
        if (k == 0)
            continue;
        uint64_t gap = m->it - p.item[k - 1].it, age = STEPS - p.item[k - 1].it;
        assert_true(gap >= 1 && gap <= 1 + age / 10);
    }
    lca_past_clear(&p);
}

static void a_step_is_found_or_the_one_before(void **state)
{
    (void)state;
    struct lca_past p;
    assert_int_equal(lca_past_init(&p, 1, 1, 1, 1 << 20, NULL), 0);
    assert_int_equal(p.room, 1024);
    assert_int_equal(lca_past_find(&p, 5), -1);
    for (uint64_t it = 10; it < 40; it += 10)
        lca_past_add(&p, it);
    assert_int_equal(lca_past_find(&p, 9), -1);
    assert_int_equal(lca_past_find(&p, 10), 0);
    assert_int_equal(lca_past_find(&p, 29), 1);
    assert_int_equal(lca_past_find(&p, UINT64_MAX), 2);
    lca_past_clear(&p);
}

static void little_memory_still_keeps_sixteen(void **state)
{
    (void)state;
    struct lca_past p;
    assert_int_equal(lca_past_init(&p, 11, 20, 50000, 1, NULL), 0);
    assert_int_equal(p.room, 16);
    for (uint64_t it = 0; it < 1000; it++)
        lca_past_add(&p, it);
    assert_int_equal(p.item[0].it, 0);
    assert_int_equal(p.item[15].it, 999);
    lca_past_clear(&p);
}

static void curves_keep_steps_evenly_and_say_when_they_thin_out(void **state)
{
    (void)state;
    struct lca_trace *t = calloc(1, sizeof *t);
    for (uint64_t it = 7; it < STEPS + 7; it++)
        lca_trace_add(t, &(struct lca_trace_point){.it = it, .loss = (double)it});
    assert_in_range(t->n, LCA_TRACE_MOST / 2, LCA_TRACE_MOST);
    assert_int_equal(t->every, 16);
    assert_int_equal(t->thinned, 4);
    for (unsigned k = 0; k < t->n; k++) {
        assert_int_equal(t->at[k].it, 7 + 16 * k);
        assert_true(t->at[k].loss == (double)t->at[k].it);
    }
    assert_int_equal(lca_trace_after(t, 6), 0);
    assert_int_equal(lca_trace_after(t, 7), 1);
    assert_int_equal(lca_trace_after(t, 22), 1);
    assert_int_equal(lca_trace_after(t, STEPS + 7), t->n);
    free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_latest_are_all_kept_and_the_first_and_gaps_grow_with_age),
        cmocka_unit_test(a_step_is_found_or_the_one_before),
        cmocka_unit_test(little_memory_still_keeps_sixteen),
        cmocka_unit_test(curves_keep_steps_evenly_and_say_when_they_thin_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
