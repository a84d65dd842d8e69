/* packet.c: frames as messages: the layout, what comes back, what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "link/packet.h"

static const float values[3] = {1, -2, 0.5f};

static struct lca_frame theta(void)
{
    struct lca_frame f = LCA_FRAME(theta);
    f.st = "theta";
    f.u.theta.it = 7;
    lca_frame_payload(&f, "<f4", 3, values);
    return f;
}

static void make(struct lca_packet *p, struct lca_frame f)
{
    struct lca_err err = {0};
    if (lca_packet_make(p, &f, &err) < 0)
        fail_msg("%s", err.text);
}

/* A message of these bytes. */
static void message(struct lca_packet *p, const void *bytes, size_t len)
{
    assert_int_equal(zmq_msg_init_size(&p->msg, len), 0);
    if (len)
        memcpy(zmq_msg_data(&p->msg), bytes, len);
}

static void the_layout_is_as_written_down(void **state)
{
    (void)state;
    struct lca_packet p;
    make(&p, theta());
    const unsigned char *b = zmq_msg_data(&p.msg);
    size_t header = (size_t)b[6] << 8 | b[7], at = (8 + header + 7) / 8 * 8;
    assert_memory_equal(b, "f\1\0\0\0\0", 6);
    assert_memory_equal(b + 9, "\xa3lca\1", 5);       /* a map, and its first key */
    for (size_t k = 8 + header; k < at; k++)
        assert_int_equal(b[k], 0);
    assert_int_equal(zmq_msg_size(&p.msg), at + sizeof values);
    assert_memory_equal(b + at, values, sizeof values);
    lca_packet_close(&p);

    struct lca_frame ping = LCA_FRAME(ping);
    ping.st = "x";
    make(&p, ping);
    b = zmq_msg_data(&p.msg);
    assert_memory_equal(b, "f\0\0\0\0\0\0", 7);
    assert_int_equal(zmq_msg_size(&p.msg), 8 + b[7]);
    lca_packet_close(&p);
}

static void frames_come_back(void **state)
{
    (void)state;
    struct lca_packet p, shared;
    struct lca_frame f = {0};
    struct lca_buf aligned = {0};
    make(&p, theta());
    lca_packet_share(&shared, &p);
    lca_packet_close(&p);
    assert_int_equal(lca_packet_frame(&shared, &f, &aligned, NULL), 0);
    assert_int_equal(f.kind, LCA_KIND_theta);
    assert_int_equal(f.u.theta.it, 7);
    assert_memory_equal(f.payload, values, sizeof values);
    lca_packet_close(&shared);

    /* no element is a payload too */
    struct lca_frame none = theta();
    lca_frame_payload(&none, "<f4", 0, NULL);
    make(&p, none);
    assert_int_equal(lca_packet_frame(&p, &f, &aligned, NULL), 0);
    assert_int_equal(f.n_sh, 1);
    assert_int_equal(f.nb, 0);
    lca_packet_close(&p);
    lca_frame_clear(&f);
    lca_buf_clear(&aligned);
}

static void unaligned_bytes_are_aligned(void **state)
{
    (void)state;
    struct lca_packet p, odd;
    struct lca_frame f = {0};
    struct lca_buf aligned = {0};
    make(&p, theta());
    size_t len = zmq_msg_size(&p.msg);
    unsigned char *room = malloc(len + 1);
    memcpy(room + 1, zmq_msg_data(&p.msg), len);
    zmq_msg_init_data(&odd.msg, room + 1, len, NULL, NULL);
    assert_int_equal(lca_packet_frame(&odd, &f, &aligned, NULL), 0);
    assert_int_equal((uintptr_t)f.payload % 8, 0);
    assert_memory_equal(f.payload, values, sizeof values);
    lca_packet_close(&odd);
    lca_packet_close(&p);
    free(room);
    lca_frame_clear(&f);
    lca_buf_clear(&aligned);
}

static void short_ones_are_for_taps_alone(void **state)
{
    (void)state;
    struct lca_packet whole, p;
    struct lca_frame f = {0};
    struct lca_buf aligned = {0};
    struct lca_err err = {0};
    make(&whole, theta());

    assert_int_equal(lca_packet_short(&p, &whole, sizeof values, NULL), 0);
    assert_memory_equal(zmq_msg_data(&p.msg), "h\1", 2);
    assert_int_equal(lca_packet_glance(&p, &f, &aligned, NULL), 0);
    assert_memory_equal(f.payload, values, sizeof values);
    lca_packet_close(&p);

    assert_int_equal(lca_packet_short(&p, &whole, sizeof values - 1, NULL), 0);
    assert_memory_equal(zmq_msg_data(&p.msg), "h\0", 2);
    assert_int_equal(lca_packet_glance(&p, &f, &aligned, NULL), 0);
    assert_int_equal(f.u.theta.it, 7);
    assert_null(f.payload);
    assert_int_equal(lca_packet_frame(&p, &f, &aligned, &err), -1);
    assert_int_equal(err.status, LCA_CORRUPT);
    assert_string_equal(err.text, "a theta frame without the payload of its header");
    lca_packet_close(&p);

    lca_packet_close(&whole);
    lca_frame_clear(&f);
    lca_buf_clear(&aligned);
}

static void what_is_no_frame_is_refused(void **state)
{
    (void)state;
    struct lca_packet p, whole;
    struct lca_packet_parts parts;
    struct lca_frame f = {0};
    struct lca_buf aligned = {0};
    static const struct {
        const char *bytes;
        size_t len;
    } bad[] = {
        {"", 0}, {"f\0\0\0\0\0\0", 7},
        {"x\0\0\0\0\0\0\0", 8},                 /* another first byte */
        {"f\2\0\0\0\0\0\0", 8},
        {"f\0\0\0\0\0\0\1", 8},                 /* a header that is not there */
        {"f\0\0\0\377\377\377\377a", 9},
        {"f\1\0\0\377\377\377\377a", 9},
        {"f\0\0\0\0\0\0\1ab", 10},              /* bytes after the header */
        {"f\1\0\0\0\0\0\1a", 9},                /* cut within the padding */
    };
    for (size_t k = 0; k < sizeof bad / sizeof *bad; k++) {
        struct lca_err err = {0};
        message(&p, bad[k].bytes, bad[k].len);
        assert_int_equal(lca_packet_open(&p, &parts, &err), -1);
        assert_int_equal(err.status, LCA_CORRUPT);
        lca_packet_close(&p);
    }

    /* every cut of a frame, and a payload that its header does not describe */
    make(&whole, theta());
    for (size_t len = 0; len < zmq_msg_size(&whole.msg); len++) {
        struct lca_err err = {0};
        message(&p, zmq_msg_data(&whole.msg), len);
        assert_int_equal(lca_packet_frame(&p, &f, &aligned, &err), -1);
        assert_int_equal(err.status, LCA_CORRUPT);
        lca_packet_close(&p);
    }
    lca_packet_close(&whole);
    struct lca_frame ping = LCA_FRAME(ping);
    ping.st = "x";
    make(&whole, ping);
    unsigned char more[256] = {0};
    memcpy(more, zmq_msg_data(&whole.msg), zmq_msg_size(&whole.msg));
    more[1] = 1;
    message(&p, more, (zmq_msg_size(&whole.msg) + 7) / 8 * 8 + 4);
    struct lca_err err = {0};
    assert_int_equal(lca_packet_glance(&p, &f, &aligned, &err), -1);
    assert_string_equal(err.text, "a PING frame with a payload where its header has none");
    lca_packet_close(&p);
    lca_packet_close(&whole);
    lca_frame_clear(&f);
    lca_buf_clear(&aligned);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_layout_is_as_written_down),
        cmocka_unit_test(frames_come_back),
        cmocka_unit_test(unaligned_bytes_are_aligned),
        cmocka_unit_test(short_ones_are_for_taps_alone),
        cmocka_unit_test(what_is_no_frame_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
