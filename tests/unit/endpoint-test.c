/* Endpoints: every form, where named sockets lie, taps, and what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "link/endpoint.h"

static struct lca_endpoint good(const char *text)
{
    struct lca_endpoint e;
    struct lca_err err = {0};
    if (lca_endpoint_parse(&e, text, &err) < 0)
        fail_msg("%s", err.text);
    assert_string_equal(e.text, text);
    return e;
}

static void bad(const char *text, const char *says)
{
    struct lca_endpoint e;
    struct lca_err err = {0};
    assert_int_equal(lca_endpoint_parse(&e, text, &err), -1);
    assert_int_equal(err.status, LCA_USAGE);
    if (!strstr(err.text, says))
        fail_msg("'%s' does not say '%s'", err.text, says);
}

static void every_form_is_known(void **state)
{
    (void)state;
    setenv("LCA_DIR", "/run/x", 1);
    static const struct {
        const char *text;
        enum lca_endpoint_kind kind;
        const char *where;
        int side;
        const char *at;
    } of[] = {
        {"-", LCA_EP_STDIO, "-", LCA_EP_USUAL, NULL},
        {"run.lca", LCA_EP_FILE, "run.lca", LCA_EP_USUAL, NULL},
        {"./a/run.lca.zst", LCA_EP_FILE, "./a/run.lca.zst", LCA_EP_USUAL, NULL},
        {"file:-", LCA_EP_FILE, "-", LCA_EP_USUAL, NULL},
        {"file:ipc:x", LCA_EP_FILE, "ipc:x", LCA_EP_USUAL, NULL},
        {"file:/a b/c", LCA_EP_FILE, "/a b/c", LCA_EP_USUAL, NULL},
        {"ipc:lca", LCA_EP_SOCKET, "ipc:///run/x/lca", LCA_EP_USUAL, NULL},
        {"ipc:///tmp/s", LCA_EP_SOCKET, "ipc:///tmp/s", LCA_EP_USUAL, NULL},
        {"tcp://127.0.0.1:5555", LCA_EP_SOCKET, "tcp://127.0.0.1:5555", LCA_EP_USUAL, NULL},
        {"tcp://[::1]:5555", LCA_EP_SOCKET, "tcp://[::1]:5555", LCA_EP_USUAL, NULL},
        {"bind+ipc:lca", LCA_EP_SOCKET, "ipc:///run/x/lca", LCA_EP_BIND, NULL},
        {"connect+tcp://h:1", LCA_EP_SOCKET, "tcp://h:1", LCA_EP_CONNECT, NULL},
        {"connect+ipc:///tmp/s", LCA_EP_SOCKET, "ipc:///tmp/s", LCA_EP_CONNECT, NULL},
        {"at:/shared/pool", LCA_EP_SOCKET, "tcp://*:0", LCA_EP_USUAL, "/shared/pool"},
        {"at:a,at:b", LCA_EP_SOCKET, "tcp://*:0", LCA_EP_USUAL, "a,at:b"},
        {"connect+at:pool", LCA_EP_SOCKET, "tcp://*:0", LCA_EP_CONNECT, "pool"},
        {"tcp://ib0:0,at:pool", LCA_EP_SOCKET, "tcp://ib0:0", LCA_EP_USUAL, "pool"},
        {"bind+tcp://h:5555,at:/a b/c", LCA_EP_SOCKET, "tcp://h:5555", LCA_EP_BIND, "/a b/c"},
    };
    for (size_t k = 0; k < sizeof of / sizeof *of; k++) {
        struct lca_endpoint e = good(of[k].text);
        assert_int_equal(e.kind, of[k].kind);
        assert_string_equal(e.where, of[k].where);
        assert_int_equal(e.side, of[k].side);
        assert_string_equal(e.at, of[k].at ? of[k].at : "");
    }
}

static void named_sockets_lie_in_the_first_folder_there_is(void **state)
{
    (void)state;
    char path[64];
    setenv("LCA_DIR", "/a", 1);
    setenv("XDG_RUNTIME_DIR", "/b", 1);
    assert_string_equal(good("ipc:n").where, "ipc:///a/n");
    setenv("LCA_DIR", "", 1);
    assert_string_equal(good("ipc:n").where, "ipc:///b/lca/n");
    unsetenv("LCA_DIR");
    assert_string_equal(good("ipc:n").where, "ipc:///b/lca/n");
    setenv("XDG_RUNTIME_DIR", "", 1);
    snprintf(path, sizeof path, "ipc:///tmp/lca-%u/n", (unsigned)getuid());
    assert_string_equal(good("ipc:n").where, path);
    unsetenv("XDG_RUNTIME_DIR");
    assert_string_equal(good("ipc:n").where, path);
}

static void what_is_no_endpoint_is_refused(void **state)
{
    (void)state;
    setenv("LCA_DIR", "/a", 1);
    bad("", "empty");
    bad("bind+", "empty");
    bad("file:", "empty");
    bad("ipc:", "ipc:NAME");
    bad("ipc:a/b", "ipc:NAME");
    bad("ipc://", "ipc:NAME");
    bad("ipc://a", "ipc:NAME");
    bad("tcp://127.0.0.1", "tcp://HOST:PORT");
    bad("tcp://", "tcp://HOST:PORT");
    bad("at:", "at:FILE");
    bad("tcp://h:0,at:", "at:FILE");
    bad("tcp://h,at:f", "tcp://HOST:PORT");
    bad("udp://127.0.0.1:1", "not an endpoint");
    bad("http://x/y.lca", "not an endpoint");
}

static void what_is_too_long_is_refused_and_what_just_fits_is_not(void **state)
{
    (void)state;
    /* the kernel takes 107 bytes and a zero, and the tap's lock adds nine */
    char text[LCA_ENDPOINT_SIZE + 100] = "ipc:///";
    size_t room = sizeof ((struct sockaddr_un *)0)->sun_path - 1 - strlen(".tap.lock");
    memset(text + 7, 'p', room - 1);
    text[7 + room - 1] = 0;
    struct lca_endpoint e = good(text), tap;
    struct lca_err err = {0};
    assert_int_equal(lca_endpoint_tap(&tap, &e, &err), 0);
    assert_int_equal(strlen(tap.where), strlen("ipc://") + room + strlen(".tap"));
    strcat(text, "p");
    bad(text, "LCA_DIR");

    char dir[300];
    memset(dir, 'd', sizeof dir - 1);
    dir[0] = '/';
    dir[sizeof dir - 1] = 0;
    setenv("LCA_DIR", dir, 1);
    bad("ipc:n", "LCA_DIR");

    struct lca_endpoint any;
    memset(text, 'f', sizeof text);
    text[sizeof any.text - 1] = 0;
    assert_int_equal(good(text).kind, LCA_EP_FILE);
    text[sizeof any.text - 1] = 'f';
    text[sizeof any.text] = 0;
    bad(text, "too long");

    /* the tap's file has ".tap" at its end */
    memcpy(text, "at:", 3);
    text[3 + sizeof any.at - 1 - 4] = 0;
    e = good(text);
    assert_int_equal(lca_endpoint_tap(&tap, &e, &err), 0);
    assert_int_equal(strlen(tap.at), sizeof any.at - 1);
}

static void taps_are_beside_their_socket(void **state)
{
    (void)state;
    setenv("LCA_DIR", "/a", 1);
    static const struct {
        const char *text, *where;
    } of[] = {
        {"ipc:n", "ipc:///a/n.tap"},
        {"ipc:///s", "ipc:///s.tap"},
        {"tcp://h:5555", "tcp://h:5556"},
        {"tcp://h:99", "tcp://h:100"},
        {"tcp://[::1]:65534", "tcp://[::1]:65535"},
    };
    struct lca_endpoint e, tap;
    struct lca_err err = {0};
    for (size_t k = 0; k < sizeof of / sizeof *of; k++) {
        e = good(of[k].text);
        assert_int_equal(lca_endpoint_tap(&tap, &e, &err), 0);
        assert_string_equal(tap.where, of[k].where);
        assert_string_equal(tap.text, of[k].text);
    }
    e = good("tcp://h:0,at:f");
    assert_int_equal(lca_endpoint_tap(&tap, &e, &err), 0);
    assert_string_equal(tap.where, "tcp://h:0");
    assert_string_equal(tap.at, "f.tap");
    e = good("tcp://h:5555,at:f");
    assert_int_equal(lca_endpoint_tap(&tap, &e, &err), 0);
    assert_string_equal(tap.where, "tcp://h:5556");
    assert_string_equal(tap.at, "f.tap");
    static const char *const none[] = {"tcp://h:65535", "tcp://h:0", "tcp://h:x", "tcp://h:", "tcp://h:55x", "-", "a.lca"};
    for (size_t k = 0; k < sizeof none / sizeof *none; k++) {
        e = good(none[k]);
        err = (struct lca_err){0};
        if (lca_endpoint_tap(&tap, &e, &err) == 0)
            fail_msg("%s has the tap %s", none[k], tap.where);
        assert_int_equal(err.status, LCA_USAGE);
    }
}

static void a_tap_with_a_longer_port_still_fits(void **state)
{
    (void)state;
    struct lca_endpoint e, tap;
    struct lca_err err = {0};
    char text[sizeof e.text];
    memset(text, 'h', sizeof text);
    memcpy(text, "tcp://", 6);
    strcpy(text + sizeof text - 1 - 2, ":9");
    e = good(text);
    int result = lca_endpoint_tap(&tap, &e, &err);
    assert_int_equal(strlen(e.where), sizeof text - 1);
    if (result == 0)
        assert_string_equal(tap.where + strlen(tap.where) - 3, ":10");
    else
        assert_int_equal(err.status, LCA_USAGE);
}

static void a_path_to_a_socket_is_that_socket(void **state)
{
    (void)state;
    char dir[] = "/tmp/lca-endpoint-XXXXXX", path[64], where[80];
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/lca", dir);
    assert_int_equal(good(path).kind, LCA_EP_FILE);
    static const char *const name[] = {"lca", "lca.tap"};
    for (int k = 0; k < 2; k++) {
        struct sockaddr_un at = {.sun_family = AF_UNIX};
        snprintf(at.sun_path, sizeof at.sun_path, "%s/%s", dir, name[k]);
        int fd = socket(AF_UNIX, SOCK_STREAM, 0);
        assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof at), 0);
        struct lca_endpoint e = good(path);
        snprintf(where, sizeof where, "ipc://%s", path);
        assert_int_equal(e.kind, LCA_EP_SOCKET);
        assert_string_equal(e.where, where);
        close(fd);
        unlink(at.sun_path);
    }
    rmdir(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_form_is_known),
        cmocka_unit_test(named_sockets_lie_in_the_first_folder_there_is),
        cmocka_unit_test(what_is_no_endpoint_is_refused),
        cmocka_unit_test(what_is_too_long_is_refused_and_what_just_fits_is_not),
        cmocka_unit_test(taps_are_beside_their_socket),
        cmocka_unit_test(a_tap_with_a_longer_port_still_fits),
        cmocka_unit_test(a_path_to_a_socket_is_that_socket),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
