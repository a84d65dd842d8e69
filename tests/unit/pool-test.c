/* The pool with workers that answer when they are told to: who gets a unit when another
 * hangs or is slow, and what becomes of a second answer. */
#include <pthread.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "link/pool.h"
#include "link/worker.h"

enum { P = 3, HANDS = 4, ROWS = 32 };

/* A worker in a thread of its own. */
struct hand {
    const char *name;
    float value;            /* its gradient */
    atomic_int got;         /* units that it has begun */
    sem_t may;              /* units that it may still answer */
    pthread_t thread;
};

static struct {
    char folder[32];
    struct lca_link *link;
    struct lca_pool *pool;
    struct hand hand[HANDS];
    int n_hand;
    uint64_t row[ROWS];     /* units handed on, in order */
    int n_row, n_point;
} t;

static int on_row(void *arg, const struct lca_pool_row *row, struct lca_err *err)
{
    (void)arg, (void)err;
    t.row[t.n_row++ % ROWS] = row->u;
    return 0;
}

static int on_point(void *arg, uint64_t pt, struct lca_err *err)
{
    (void)arg, (void)pt, (void)err;
    t.n_point++;
    return 0;
}

static void *work(void *arg)
{
    struct hand *h = arg;
    struct lca_err err = {0};
    struct lca_frame *head;
    struct lca_job job;
    struct lca_link *l = lca_link_new(LCA_SIG_WORKER, &err);
    struct lca_worker_opts o = {.endpoint = "ipc:pool", .name = h->name, .dev = "cpu", .num = "n", .data = "d",
                                .lost = 0.1};
    struct lca_worker *w = l ? lca_worker_open(l, &o, &err) : NULL;
    float grad[P] = {h->value, h->value, h->value};
    int got = w ? lca_worker_head(w, &head, &err) : -1;
    while (got == 1 && (got = lca_worker_jobs(w, &job, 1, &err)) == 1) {
        struct lca_job_row row = {-1, 10, 5, 1.0, grad};
        atomic_fetch_add(&h->got, 1);
        sem_wait(&h->may);
        got = lca_worker_done(w, &job, &row, 1, 0.001, &err) < 0 ? -1 : 1;
    }
    lca_link_free(l);
    return NULL;
}

/* A worker that gives `value` as its gradient, and at first answers `may` units. */
static struct hand *join(const char *name, float value, unsigned may)
{
    struct hand *h = &t.hand[t.n_hand++];
    *h = (struct hand){.name = name, .value = value};
    sem_init(&h->may, 0, may);
    assert_int_equal(pthread_create(&h->thread, NULL, work, h), 0);
    return h;
}

static void answer(struct hand *h, int n)
{
    while (n-- > 0)
        sem_post(&h->may);
}

static int serve(struct lca_err *err)
{
    return lca_link_wait(t.link, 20, err);
}

static void until(const atomic_int *what, int n)
{
    struct lca_err err = {0};
    while (atomic_load(what) < n)
        if (serve(&err) < 0)
            fail_msg("%s", err.text);
}

static void until_points(int n)
{
    struct lca_err err = {0};
    while (t.n_point < n)
        if (serve(&err) < 0)
            fail_msg("%s", err.text);
}

static void open_pool(double lease, int units)
{
    struct lca_err err = {0};
    struct lca_pool_opts o = {.endpoint = "ipc:pool", .lease = lease, .row = on_row, .point = on_point};
    struct lca_frame h = LCA_FRAME(head);
    h.st = "pool";
    h.u.head.v = LCA_WIRE_VERSION;
    h.u.head.model = "small";
    h.u.head.P = P;
    h.u.head.nbmax = P * sizeof (float);
    h.u.head.num = "n";
    h.u.head.unit = "nat";
    h.u.head.def = json_object();
    h.u.head.prov = json_array();
    h.u.head.layers = json_array();
    h.u.head.classes = json_array();
    h.u.head.data = json_pack("{s:s, s:s, s:[{s:s, s:i, s:i}]}", "name", "d", "sha256", "d", "sets", "set", "train",
                              "N", 10 * units, "chunk", 10);
    lca_frame_payload(&h, "|u1", 2, "{}");
    t.link = lca_link_new(LCA_SIG_FILTER, &err);
    t.pool = t.link ? lca_pool_open(t.link, &o, &err) : NULL;
    if (!t.pool || lca_pool_head(t.pool, &h, &err) < 0)
        fail_msg("%s", err.text);
    json_decref(h.u.head.def);
    json_decref(h.u.head.prov);
    json_decref(h.u.head.layers);
    json_decref(h.u.head.classes);
    json_decref(h.u.head.data);
}

static void ask(uint64_t pt)
{
    static const float theta[P];
    struct lca_err err = {0};
    if (lca_pool_point(t.pool, pt, pt, pt, 0, 1, theta, &err) < 0)
        fail_msg("%s", err.text);
}

static int begin(void **state)
{
    (void)state;
    memset(&t, 0, sizeof t);
    strcpy(t.folder, "/tmp/pool-test.XXXXXX");
    return mkdtemp(t.folder) && setenv("LCA_DIR", t.folder, 1) == 0 ? 0 : -1;
}

static int end(void **state)
{
    (void)state;
    for (int k = 0; k < t.n_hand; k++)
        answer(&t.hand[k], 100);
    lca_link_free(t.link);
    for (int k = 0; k < t.n_hand; k++) {
        pthread_join(t.hand[k].thread, NULL);
        sem_destroy(&t.hand[k].may);
    }
    char socket[64];
    snprintf(socket, sizeof socket, "%s/pool", t.folder);
    return unlink(socket) == 0 ? rmdir(t.folder) : -1;
}

static void results_leave_in_order_of_unit(void **state)
{
    (void)state;
    open_pool(3600, 3);
    struct hand *a = join("a", 1, 0);
    ask(0);
    until(&a->got, 1);
    struct hand *b = join("b", 1, 0);
    until(&b->got, 1);
    answer(b, 1);
    answer(a, 2);
    until_points(1);
    assert_int_equal(t.n_row, 3);
    for (int u = 0; u < 3; u++)
        assert_int_equal(t.row[u], u);
}

static void a_unit_goes_on_however_many_hang_with_it(void **state)
{
    (void)state;
    open_pool(0.02, 1);
    ask(0);
    struct hand *a = join("a", 1, 0);
    until(&a->got, 1);
    struct hand *b = join("b", 1, 0);
    until(&b->got, 1);              /* after the lease of a */
    join("c", 1, 1);
    until_points(1);                /* after the lease of b */
    struct lca_pool_stats s;
    lca_pool_stats(t.pool, &s);
    assert_int_equal(s.again, 2);
    assert_int_equal(s.units, 1);
}

/* a has shown its pace, and then stands still with unit 1. */
static struct hand *held(void)
{
    open_pool(3600, 1);
    struct hand *a = join("a", 1, 1);
    ask(0);
    until_points(1);
    ask(1);
    until(&a->got, 2);
    return a;
}

static void who_idles_takes_over_without_a_lease(void **state)
{
    (void)state;
    held();
    struct hand *b = join("b", 1, 1);
    until(&b->got, 1);
    until_points(2);
}

static void a_second_answer_with_the_same_bytes_is_dropped(void **state)
{
    (void)state;
    struct hand *a = held();
    join("b", 1, 2);
    until_points(2);
    answer(a, 1);
    ask(2);
    until_points(3);
    assert_int_equal(t.n_row, 3);
    struct lca_pool_stats s;
    lca_pool_stats(t.pool, &s);
    assert_int_equal(s.units, 3);
}

static void a_second_answer_with_other_bytes_ends_the_run(void **state)
{
    (void)state;
    struct lca_err err = {0};
    struct hand *a = held();
    join("b", 2, 1);
    until_points(2);
    answer(a, 1);
    while (serve(&err) == 0)
        ;
    assert_int_equal(err.status, LCA_DIFFER);
    assert_non_null(strstr(err.text, "unit 0 at step 1: a gives crc "));
    assert_non_null(strstr(err.text, ", b gave "));
}

static void who_is_past_its_lease_is_given_nothing_new(void **state)
{
    (void)state;
    open_pool(0.02, 1);
    struct hand *a = join("a", 1, 1);
    ask(0);
    until_points(1);
    ask(1);
    until(&a->got, 2);              /* and hangs */
    struct hand *b = join("b", 1, 1);
    until_points(2);
    ask(2);
    until(&b->got, 2);              /* not a, whose second slot is free */
    answer(b, 1);
    until_points(3);
    assert_int_equal(atomic_load(&a->got), 2);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(results_leave_in_order_of_unit),
        TEST(a_unit_goes_on_however_many_hang_with_it),
        TEST(who_idles_takes_over_without_a_lease),
        TEST(a_second_answer_with_the_same_bytes_is_dropped),
        TEST(a_second_answer_with_other_bytes_ends_the_run),
        TEST(who_is_past_its_lease_is_given_nothing_new),
    };
    alarm(60);      /* a unit that nobody gets would be waited for */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
