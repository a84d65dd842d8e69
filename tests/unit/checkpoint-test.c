/* Checkpoints: what goes in comes out, training goes on to the same bits, nothing is
 * lost, and what does not fit is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/digest.h"
#include "nn/checkpoint.h"

enum { P = 5 };

/* Two layers: a (2 parameters), b (3). */
static struct lca_table table;
static char folder[] = "/tmp/checkpoint-test-XXXXXX";
static int made;

struct training {
    struct lca_optim optim;
    float theta[P];
    json_t *def;
    struct lca_checkpoint at;
};

static void start(struct training *t, enum lca_optim_kind kind, double lr)
{
    struct lca_err err = {0};
    *t = (struct training){.theta = {1, 2, 3, 4, 5}};
    if (lca_optim_init(&t->optim, &table, kind, lr, 0.9, &err) < 0 || lca_optim_delay(&t->optim, "b=2", &err) < 0)
        fail_msg("%s", err.text);
    t->def = json_pack("{s:s, s:f}", "network", "small", "lr", lr);
    t->at = (struct lca_checkpoint){.def = t->def, .num = "cpu/test", .optim = &t->optim, .theta = t->theta};
}

static void end(struct training *t)
{
    lca_optim_clear(&t->optim);
    json_decref(t->def);
}

static void steps(struct training *t, int n)
{
    for (int k = 0; k < n; k++) {
        float g[P];
        for (int i = 0; i < P; i++)
            g[i] = (float)(i + 1) / (float)(3 + t->optim.t);
        lca_optim_step(&t->optim, t->theta, g);
        t->at.mbloss = 1.0 / (double)t->optim.t;
        t->at.lr = 0.1;
        t->at.epoch = t->optim.t / 2;
        t->at.mb[7] = (uint8_t)t->optim.t;
    }
}

/* A new folder for each test. */
static const char *fresh(void)
{
    static char dir[80];
    snprintf(dir, sizeof dir, "%s/%d", folder, made++);
    return dir;
}

static const char *in(const char *dir, const char *name)
{
    static char path[120];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    return path;
}

static void save(const struct training *t, const char *dir, uint64_t needed)
{
    struct lca_err err = {0};
    if (lca_checkpoint_save(&t->at, dir, needed, &err) < 0)
        fail_msg("%s", err.text);
}

static void load(struct training *t, const char *path, bool oldest)
{
    struct lca_err err = {0};
    if (lca_checkpoint_load(&t->at, path, oldest, &err) < 0)
        fail_msg("%s", err.text);
}

/* It is refused with that status and words, and nothing has changed. */
static void refused(struct training *t, const char *path, int status, const char *words)
{
    struct lca_err err = {0};
    float before[P];
    memcpy(before, t->theta, sizeof before);
    uint64_t at = t->optim.t;
    assert_int_equal(lca_checkpoint_load(&t->at, path, false, &err), -1);
    if (err.status != status || !strstr(err.text, words))
        fail_msg("status %d: %s", err.status, err.text);
    assert_memory_equal(before, t->theta, sizeof before);
    assert_int_equal(t->optim.t, at);
}

static void make(const char *dir)
{
    struct lca_err err = {0};
    if (lca_checkpoint_dir(dir, NULL, &err) < 0)
        fail_msg("%s", err.text);
}

static void goes_on_to_the_same_bits(void **state)
{
    (void)state;
    for (int kind = 0; kind < 2; kind++) {
        for (int before = 1; before < 5; before++) {
            struct training whole, first, second;
            const char *dir = fresh();
            make(dir);
            start(&whole, kind ? LCA_ADAM : LCA_SGD, 0.1);
            start(&first, kind ? LCA_ADAM : LCA_SGD, 0.1);
            start(&second, kind ? LCA_ADAM : LCA_SGD, 0.1);
            steps(&whole, 8);
            steps(&first, before);
            save(&first, dir, 0);
            load(&second, dir, false);
            assert_int_equal(second.optim.t, before);
            assert_true(second.at.mbloss == 1.0 / before && second.at.lr == 0.1);
            assert_int_equal(second.at.epoch, before / 2);
            assert_int_equal(second.at.mb[7], before);
            steps(&second, 8 - before);
            assert_memory_equal(whole.theta, second.theta, sizeof whole.theta);
            assert_memory_equal(whole.optim.m, second.optim.m, P * sizeof(float));
            assert_memory_equal(whole.optim.ring, second.optim.ring, whole.optim.n_ring * sizeof(float));
            end(&whole);
            end(&first);
            end(&second);
        }
    }
}

static void the_last_two_stay_and_those_that_are_needed(void **state)
{
    (void)state;
    struct training t;
    const char *dir = fresh();
    make(dir);
    start(&t, LCA_SGD, 0.1);
    for (int k = 1; k <= 4; k++) {
        steps(&t, 1);
        save(&t, dir, UINT64_MAX);
    }
    assert_int_not_equal(access(in(dir, "step-00000002.ckpt"), F_OK), 0);
    assert_int_equal(access(in(dir, "step-00000003.ckpt"), F_OK), 0);
    assert_int_equal(access(in(dir, "step-00000004.ckpt"), F_OK), 0);
    for (int k = 5; k <= 9; k++) {
        steps(&t, 1);
        save(&t, dir, 5);       /* a reader has not got beyond step 5 */
    }
    assert_int_not_equal(access(in(dir, "step-00000004.ckpt"), F_OK), 0);
    for (int k = 5; k <= 9; k++) {
        char name[32];
        snprintf(name, sizeof name, "step-%08d.ckpt", k);
        assert_int_equal(access(in(dir, name), F_OK), 0);
    }
    load(&t, dir, true);
    assert_int_equal(t.optim.t, 5);
    load(&t, dir, false);
    assert_int_equal(t.optim.t, 9);
    load(&t, in(dir, "step-00000007.ckpt"), false);
    assert_int_equal(t.optim.t, 7);
    /* going on from an older one: younger ones are not older copies */
    steps(&t, 1);
    save(&t, dir, UINT64_MAX);
    assert_int_equal(access(in(dir, "step-00000007.ckpt"), F_OK), 0);
    assert_int_equal(access(in(dir, "step-00000009.ckpt"), F_OK), 0);
    end(&t);
}

static void damage_is_found_and_passed_over(void **state)
{
    (void)state;
    struct training t, u;
    const char *dir = fresh();
    char path[120];
    make(dir);
    start(&t, LCA_ADAM, 0.1);
    start(&u, LCA_ADAM, 0.1);
    steps(&t, 1);
    save(&t, dir, UINT64_MAX);
    steps(&t, 1);
    save(&t, dir, UINT64_MAX);
    snprintf(path, sizeof path, "%s", in(dir, "step-00000002.ckpt"));
    FILE *f = fopen(path, "r+");
    assert_non_null(f);
    fseek(f, 0, SEEK_END);
    long size = ftell(f);
    /* any byte, and any length */
    for (long at = 0; at < size; at += 7) {
        fseek(f, at, SEEK_SET);
        int c = fgetc(f);
        fseek(f, at, SEEK_SET);
        fputc(c ^ 4, f);
        fflush(f);
        refused(&u, path, at < 8 ? LCA_USAGE : LCA_CORRUPT, at < 8 ? "not a checkpoint" : "damaged");
        fseek(f, at, SEEK_SET);
        fputc(c, f);
        fflush(f);
    }
    load(&u, path, false);
    assert_int_equal(u.optim.t, 2);
    fclose(f);
    assert_int_equal(truncate(path, size - 1), 0);
    refused(&u, path, LCA_CORRUPT, "damaged");
    load(&u, dir, false);
    assert_int_equal(u.optim.t, 1);
    assert_int_equal(truncate(path, 0), 0);
    refused(&u, path, LCA_CORRUPT, "empty");
    end(&t);
    end(&u);
}

/* A file with a digest that is right, whatever is in it. */
static void forge(const char *path, const char *header, uint64_t claimed)
{
    uint8_t digest[LCA_SHA256_LEN];
    char head[16] = "LCACKPT1";
    memcpy(head + 8, &claimed, sizeof claimed);
    const struct iovec piece[2] = {{head, sizeof head}, {(void *)(uintptr_t)header, strlen(header)}};
    lca_sha256_pieces(piece, 2, digest);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fwrite(head, sizeof head, 1, f);
    fwrite(header, strlen(header), 1, f);
    fwrite(digest, sizeof digest, 1, f);
    fclose(f);
}

/* A digest can be made for anything: what is behind it is not trusted. */
static void what_a_header_claims_is_checked(void **state)
{
    (void)state;
    struct training t;
    const char *dir = fresh();
    char path[120], *deep = malloc((1 << 20) + 2);
    make(dir);
    snprintf(path, sizeof path, "%s", in(dir, "step-00000001.ckpt"));
    start(&t, LCA_SGD, 0.1);
    forge(path, "{}", 2);
    refused(&t, path, LCA_CORRUPT, "its header");
    forge(path, "{}", UINT64_MAX);
    refused(&t, path, LCA_CORRUPT, "its header");
    /* more JSON than a header has is not parsed */
    memset(deep, ' ', (1 << 20) + 1);
    memcpy(deep, "{}", 2);
    deep[(1 << 20) + 1] = 0;
    forge(path, deep, (1 << 20) + 1);
    refused(&t, path, LCA_CORRUPT, "its header");
    /* all as it must be, but for the parameters that it says it has, and lacks */
    static const char *const claims[] = {"5", "5000000000", "-1", "9223372036854775807"};
    for (int k = 0; k < 4; k++) {
        snprintf(deep, 1 << 20, "{\"def\": {\"network\": \"small\", \"lr\": 0.1}, \"num\": \"cpu/test\", \"t\": 1, "
                 "\"parameters\": %s, \"waiting\": 0, \"lr\": 0.1, \"mbloss\": 1.0, \"epoch\": 0, "
                 "\"mb\": \"0000000000000000\"}", claims[k]);
        forge(path, deep, strlen(deep));
        refused(&t, path, LCA_CORRUPT, "its size");
    }
    free(deep);
    end(&t);
}

static void another_run_is_refused_by_name(void **state)
{
    (void)state;
    struct training t, u;
    const char *dir = fresh();
    make(dir);
    start(&t, LCA_SGD, 0.1);
    steps(&t, 3);
    save(&t, dir, 0);
    start(&u, LCA_SGD, 0.2);
    refused(&u, dir, LCA_USAGE, "its lr is 0.1, here it is 0.2");
    json_object_set_new(u.def, "lr", json_real(0.1));
    json_object_set_new(u.def, "freeze", json_string("a"));
    refused(&u, dir, LCA_USAGE, "its freeze is not set, here it is \"a\"");
    json_object_del(u.def, "freeze");
    u.at.num = "cpu/other";
    refused(&u, dir, LCA_USAGE, "cpu/test, here computes cpu/other");
    end(&t);
    end(&u);
}

static void a_folder_in_use_is_refused(void **state)
{
    (void)state;
    struct training t;
    struct lca_err err = {0};
    char dir[80];
    snprintf(dir, sizeof dir, "%s", fresh());
    make(dir);
    make(dir);                  /* empty: fine */
    start(&t, LCA_SGD, 0.1);
    refused(&t, dir, LCA_USAGE, "holds no checkpoint");
    refused(&t, in(dir, "none"), LCA_USAGE, "No such file");
    steps(&t, 1);
    save(&t, dir, 0);
    assert_int_equal(lca_checkpoint_dir(dir, NULL, &err), -1);
    assert_int_equal(err.status, LCA_USAGE);
    assert_non_null(strstr(err.text, "--resume"));
    assert_int_equal(lca_checkpoint_dir(dir, folder, &err), -1);
    assert_int_equal(lca_checkpoint_dir(dir, dir, &err), 0);
    assert_int_equal(lca_checkpoint_dir(dir, in(dir, "step-00000001.ckpt"), &err), 0);
    assert_int_equal(lca_checkpoint_dir("/proc/none", NULL, &err), -1);
    assert_int_equal(lca_checkpoint_save(&t.at, "/proc/none", 0, &err), -1);
    end(&t);
}

static int setup(void **state)
{
    (void)state;
    uint32_t two = 2, three = 3;
    return !mkdtemp(folder) || lca_table_add(&table, "a", "a/kernel", LCA_KERNEL, &two, 1, NULL) ||
           lca_table_add(&table, "b", "b/kernel", LCA_KERNEL, &three, 1, NULL);
}

static int teardown(void **state)
{
    (void)state;
    char command[120];
    lca_table_clear(&table);
    snprintf(command, sizeof command, "rm -rf %s", folder);
    return system(command);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(goes_on_to_the_same_bits),
        cmocka_unit_test(the_last_two_stay_and_those_that_are_needed),
        cmocka_unit_test(damage_is_found_and_passed_over),
        cmocka_unit_test(what_a_header_claims_is_checked),
        cmocka_unit_test(another_run_is_refused_by_name),
        cmocka_unit_test(a_folder_in_use_is_refused),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
