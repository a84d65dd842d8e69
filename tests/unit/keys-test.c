/* Files of keys: what lca-keygen writes reads back, and what must not be used is refused. */
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
#include <zmq.h>

#include "link/keys.h"

static char folder[] = "/tmp/lca-keys-XXXXXX";
static struct lca_key made;

static void write_text(const char *name, mode_t mode, const char *text)
{
    FILE *file = fopen(name, "w");
    assert_non_null(file);
    fputs(text, file);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(chmod(name, mode), 0);
}

static int make_folder(void **state)
{
    (void)state;
    return mkdtemp(folder) && chdir(folder) == 0 && lca_key_make("a", NULL) == 0 &&
           lca_key_read_secret(&made, "a.key", NULL) == 0 ? 0 : -1;
}

static int remove_folder(void **state)
{
    (void)state;
    char command[80];
    snprintf(command, sizeof command, "rm -r %s", folder);
    return system(command);
}

static void refused(int result, const struct lca_err *err, const char *says)
{
    assert_int_equal(result, -1);
    assert_int_equal(err->status, LCA_USAGE);
    if (!strstr(err->text, says))
        fail_msg("'%s' does not say '%s'", err->text, says);
}

static void bad_secret(const char *name, const char *says)
{
    struct lca_key k;
    struct lca_err err = {0};
    int result = lca_key_read_secret(&k, name, &err);
    refused(result, &err, says);
    assert_null(strstr(err.text, made.secret_key));
}

static void bad_public(const char *name, const char *says)
{
    struct lca_key k;
    struct lca_err err = {0};
    int result = lca_key_read_public(&k, name, &err);
    refused(result, &err, says);
    assert_string_equal(k.secret_key, "");
}

static void a_pair_reads_back(void **state)
{
    (void)state;
    struct lca_key k;
    struct stat st;
    char its_public[LCA_KEY_LEN + 1];
    assert_int_equal(stat("a.key", &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(zmq_curve_public(its_public, made.secret_key), 0);
    assert_string_equal(its_public, made.public_key);
    assert_int_equal(lca_key_read_public(&k, "a.pub", NULL), 0);
    assert_string_equal(k.public_key, made.public_key);
    assert_string_equal(k.secret_key, "");
}

static void two_pairs_differ(void **state)
{
    (void)state;
    struct lca_key k;
    assert_int_equal(lca_key_make("b", NULL), 0);
    assert_int_equal(lca_key_read_secret(&k, "b.key", NULL), 0);
    assert_string_not_equal(k.secret_key, made.secret_key);
}

static void nothing_is_replaced(void **state)
{
    (void)state;
    struct lca_err err = {0};
    refused(lca_key_make("a", &err), &err, "a.pub is there already");
    assert_int_equal(rename("a.pub", "a.away"), 0);
    refused(lca_key_make("a", &err), &err, "a.key is there already");
    assert_int_equal(access("a.pub", F_OK), -1);
    assert_int_equal(rename("a.away", "a.pub"), 0);
    refused(lca_key_make("no-such-folder/x", &err), &err, "cannot make no-such-folder/x.key");
    refused(lca_key_make("", &err), &err, "no name for a key");
    refused(lca_key_make("x/", &err), &err, "no name for a key");
}

static void certificates_of_czmq_are_read(void **state)
{
    (void)state;
    struct lca_key k;
    char text[600];
    snprintf(text, sizeof text, "#   ****  Generated on 2024-01-01 by CZMQ  ****\n#   ZeroMQ CURVE **Secret** Certificate\n"
             "\nmetadata\n    name = \"host = \\\"3\\\"\"\ncurve\n    public-key = \"%s\"\n    secret-key = \"%s\"\n",
             made.public_key, made.secret_key);
    write_text("czmq", 0600, text);
    assert_int_equal(lca_key_read_secret(&k, "czmq", NULL), 0);
    assert_memory_equal(&k, &made, sizeof k);
    snprintf(text, sizeof text, "curve\n\tpublic-key=\"%s\"\r\n", made.public_key);
    write_text("dos.pub", 0644, text);
    assert_int_equal(lca_key_read_public(&k, "dos.pub", NULL), 0);
    assert_string_equal(k.public_key, made.public_key);
}

static void what_others_may_read_is_no_secret(void **state)
{
    (void)state;
    static const mode_t modes[] = {0604, 0640, 0602, 0644, 0610};
    for (size_t k = 0; k < sizeof modes / sizeof *modes; k++) {
        assert_int_equal(chmod("a.key", modes[k]), 0);
        bad_secret("a.key", "chmod 600");
    }
    assert_int_equal(chmod("a.key", 0400), 0);
    struct lca_key k;
    assert_int_equal(lca_key_read_secret(&k, "a.key", NULL), 0);
    if (geteuid() == 0) {
        assert_int_equal(chown("a.key", 65534, 65534), 0);
        bad_secret("a.key", "another user");
        assert_int_equal(chown("a.key", 0, 0), 0);
    }
    assert_int_equal(chmod("a.key", 0600), 0);
}

static void damaged_files_are_refused(void **state)
{
    (void)state;
    char text[400], other[LCA_KEY_LEN + 1], other_secret[LCA_KEY_LEN + 1];
    bad_secret("none.key", "cannot read the key");
    bad_secret(".", "no regular file");
    bad_secret("a.pub", "--key takes the .key file");
    bad_public("a.key", "must not leave its machine");
    write_text("empty.pub", 0600, "");
    bad_public("empty.pub", "no line");
    write_text("short.pub", 0600, "curve\n    public-key = \"abc\"\n");
    bad_public("short.pub", "line 2");
    snprintf(text, sizeof text, "public-key = \"%.39s~\"\n", made.public_key);     /* ~ is not of Z85 */
    write_text("z85.pub", 0600, text);
    bad_public("z85.pub", "line 1");
    snprintf(text, sizeof text, "public-key = \"%s\" more\n", made.public_key);
    write_text("more.pub", 0600, text);
    bad_public("more.pub", "line 1");
    snprintf(text, sizeof text, "public-key = \"%s\n", made.public_key);
    write_text("open.pub", 0600, text);
    bad_public("open.pub", "line 1");
    assert_int_equal(zmq_curve_keypair(other, other_secret), 0);
    snprintf(text, sizeof text, "public-key = \"%s\"\nsecret-key = \"%s\"\n", other, made.secret_key);
    write_text("mixed.key", 0600, text);
    bad_secret("mixed.key", "not that of its secret key");
}

static void a_folder_is_looked_through_as_it_is_now(void **state)
{
    (void)state;
    char name[64];
    struct lca_err err = {0};
    assert_int_equal(mkdir("peers", 0700), 0);
    assert_int_equal(lca_key_find("peers", made.public_key, name, &err), 0);
    assert_int_equal(err.status, 0);
    assert_int_equal(link("a.pub", "peers/first.pub"), 0);
    assert_int_equal(lca_key_find("peers", made.public_key, name, &err), 1);
    assert_string_equal(name, "first");
    assert_int_equal(lca_key_find("peers", NULL, name, &err), 0);
    assert_int_equal(err.status, 0);
    /* other names are not looked at, so that a key is taken out by renaming it */
    assert_int_equal(rename("peers/first.pub", "peers/first.off"), 0);
    assert_int_equal(lca_key_find("peers", made.public_key, name, &err), 0);
    /* a bad one keeps nobody else out, and is told of where nothing is found */
    write_text("peers/bad.pub", 0644, "nothing");
    assert_int_equal(rename("peers/first.off", "peers/z.pub"), 0);
    assert_int_equal(lca_key_find("peers", made.public_key, name, &err), 1);
    assert_int_equal(err.status, 0);
    assert_int_equal(lca_key_find("peers", NULL, name, &err), 0);
    assert_non_null(strstr(err.text, "peers/bad.pub"));
    refused(lca_key_find("no-such-folder", made.public_key, name, &err), &err, "no-such-folder");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_pair_reads_back),
        cmocka_unit_test(two_pairs_differ),
        cmocka_unit_test(nothing_is_replaced),
        cmocka_unit_test(certificates_of_czmq_are_read),
        cmocka_unit_test(what_others_may_read_is_no_secret),
        cmocka_unit_test(damaged_files_are_refused),
        cmocka_unit_test(a_folder_is_looked_through_as_it_is_now),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
