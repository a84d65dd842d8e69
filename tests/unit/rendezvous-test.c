/* The file of a rendezvous: written whole and private, read with suspicion, removed by
 * who wrote it. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "link/rendezvous.h"

static char folder[64], file[96];

static int set_up(void **state)
{
    (void)state;
    strcpy(folder, "/tmp/lca-rendezvous-XXXXXX");
    assert_non_null(mkdtemp(folder));
    snprintf(file, sizeof file, "%s/pool", folder);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    unlink(file);
    return rmdir(folder);       /* nothing else was left there */
}

static void put(const char *text, mode_t mode)
{
    unlink(file);
    int fd = open(file, O_WRONLY | O_CREAT | O_EXCL, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    assert_int_equal(fchmod(fd, mode), 0);
    close(fd);
}

static void reads(const char *expected)
{
    char address[100];
    struct lca_err err = {0};
    if (lca_rendezvous_read(file, address, sizeof address, &err) != 1)
        fail_msg("%s", err.text);
    assert_string_equal(address, expected);
}

static void refused(const char *says)
{
    char address[100];
    struct lca_err err = {0};
    assert_int_equal(lca_rendezvous_read(file, address, sizeof address, &err), -1);
    assert_int_equal(err.status, LCA_USAGE);
    if (!strstr(err.text, says))
        fail_msg("'%s' does not say '%s'", err.text, says);
}

static void what_is_written_is_read_and_replaced(void **state)
{
    (void)state;
    char address[100];
    struct lca_err err = {0};
    struct stat s;
    assert_int_equal(lca_rendezvous_read(file, address, sizeof address, &err), 0);
    mode_t mask = umask(0);
    assert_int_equal(lca_rendezvous_write(file, "tcp://node7:41231", &err), 0);
    umask(mask);
    assert_int_equal(stat(file, &s), 0);
    assert_int_equal(s.st_mode & 0777, 0600);
    reads("tcp://node7:41231");
    assert_int_equal(lca_rendezvous_write(file, "tcp://node8:5", &err), 0);
    reads("tcp://node8:5");
}

static void lines_after_the_address_are_skipped(void **state)
{
    (void)state;
    put("tcp://h:1\nkey value\n", 0600);
    reads("tcp://h:1");
}

static void what_is_no_address_is_refused_and_not_overwritten(void **state)
{
    (void)state;
    static const char *const none[] = {"", "tcp://h:1", "{\"results\": 1}\n", "\ntcp://h:1\n", "ipc:///tmp/s\n"};
    struct lca_err err;
    char now[200];
    for (size_t k = 0; k < sizeof none / sizeof *none; k++) {
        put(none[k], 0600);
        refused("does not hold the address of a socket");
        err = (struct lca_err){0};
        assert_int_equal(lca_rendezvous_write(file, "tcp://h:2", &err), -1);
        assert_int_equal(err.status, LCA_USAGE);
        assert_non_null(strstr(err.text, "not overwritten"));
        int fd = open(file, O_RDONLY);
        ssize_t n = read(fd, now, sizeof now);
        close(fd);
        assert_int_equal(n, strlen(none[k]));
        assert_memory_equal(now, none[k], (size_t)n);
    }
    /* longer than there is room for */
    memset(now, 'h', sizeof now);
    memcpy(now, "tcp://", 6);
    strcpy(now + 150, ":1\n");
    put(now, 0600);
    refused("does not hold the address of a socket");
}

static void a_file_that_others_may_write_is_refused(void **state)
{
    (void)state;
    put("tcp://h:1\n", 0644);
    reads("tcp://h:1");
    put("tcp://h:1\n", 0620);
    refused("could have been written by somebody else");
    put("tcp://h:1\n", 0602);
    refused("could have been written by somebody else");
    if (geteuid() == 0) {
        put("tcp://h:1\n", 0600);
        assert_int_equal(chown(file, 12345, 12345), 0);
        refused("could have been written by somebody else");
    }
}

static void what_is_no_file_is_refused(void **state)
{
    (void)state;
    assert_int_equal(mkdir(file, 0700), 0);
    refused("does not hold the address of a socket");
    rmdir(file);
    assert_int_equal(mkfifo(file, 0600), 0);
    refused("does not hold the address of a socket");       /* and does not wait for a writer */
}

static void it_is_removed_by_who_wrote_it_alone(void **state)
{
    (void)state;
    struct lca_err err = {0};
    assert_int_equal(lca_rendezvous_write(file, "tcp://h:1", &err), 0);
    lca_rendezvous_remove(file, "tcp://h:2");
    reads("tcp://h:1");
    lca_rendezvous_remove(file, "tcp://h:1");
    assert_int_equal(access(file, F_OK), -1);
    lca_rendezvous_remove(file, "tcp://h:1");
}

static void where_it_cannot_be_written_is_said(void **state)
{
    (void)state;
    struct lca_err err = {0};
    assert_int_equal(lca_rendezvous_write("/proc/none/pool", "tcp://h:1", &err), -1);
    assert_int_equal(err.status, LCA_USAGE);
    assert_non_null(strstr(err.text, "cannot write /proc/none/pool: No such file or directory"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_is_written_is_read_and_replaced, set_up, tear_down),
        cmocka_unit_test_setup_teardown(lines_after_the_address_are_skipped, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_no_address_is_refused_and_not_overwritten, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_file_that_others_may_write_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_no_file_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(it_is_removed_by_who_wrote_it_alone, set_up, tear_down),
        cmocka_unit_test_setup_teardown(where_it_cannot_be_written_is_said, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
