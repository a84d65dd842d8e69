/* The board of a run: what stages say in, rows and text out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "run/board.h"

static struct lca_board board;
static struct lca_buf out;

static int clean(void **state)
{
    (void)state;
    lca_board_clear(&board);
    lca_buf_clear(&out);
    return 0;
}

static void LCA_PRINTF(3, 4) take(const char *tap, double now, const char *format, ...)
{
    char text[4096];
    struct lca_err err = {0};
    va_list ap;
    va_start(ap, format);
    vsnprintf(text, sizeof text, format, ap);
    va_end(ap);
    json_t *j = json_loads(text, 0, NULL);
    assert_non_null(j);
    assert_int_equal(lca_board_take(&board, j, tap, now, &err), 0);
    json_decref(j);
}

/* The trainer at step `it`, `up` seconds after it began, one second after another. */
static void train(double up, int it, const char *more)
{
    take("theta", 100 + up,
         "{\"t\":\"STATUS\",\"name\":\"train\",\"pid\":7,\"up\":%g,\"cpu\":%g,\"rss\":3145728,\"it\":%d%s,"
         "\"out\":[{\"st\":\"theta\",\"next\":%d,\"done\":%d,\"window\":64,\"frames\":%d,\"bytes\":%d}],"
         "\"consumers\":[{\"st\":\"theta\",\"name\":\"integrate\",\"state\":\"here\",\"done\":%d,\"sent\":%d,"
         "\"lim\":%d,\"it\":%d}]}", up, up / 4, it, more, it + 1, it - 9, it + 1, (it + 1) * 500000, it - 9, it + 1,
         it + 55, it - 9);
}

static void integrate(double up, int it, const char *workers)
{
    take("lca", 100 + up,
         "{\"t\":\"STATUS\",\"name\":\"integrate\",\"pid\":8,\"up\":%g,\"cpu\":%g,\"rss\":1073741824,\"it\":%d,"
         "\"wait\":\"check\",\"out\":[{\"st\":\"lca\",\"next\":%d,\"done\":%d,\"window\":96,\"frames\":1,\"bytes\":2}],"
         "\"consumers\":[{\"st\":\"lca\",\"name\":\"check\",\"state\":\"here\",\"done\":%d,\"sent\":%d,\"lim\":%d,"
         "\"it\":%d},"
         "{\"st\":\"lca\",\"name\":\"record\",\"state\":\"lost\",\"done\":4,\"sent\":5,\"lim\":6}],"
         "\"pool\":{\"waiting\":5,\"points\":2,\"units\":%d,\"again\":1},\"workers\":[%s]}", up, up, it, 2 * it + 2,
         2 * it - 4, 2 * it - 4, 2 * it + 2, 2 * it + 8, it - 2, 20 * it, workers);
}

static const char *lines(double now)
{
    out.len = 0;
    assert_int_equal(lca_board_lines(&board, now, "", &out), 0);
    assert_int_equal(lca_buf_append(&out, "", 1, NULL), 0);
    return (const char *)out.data;
}

static const char *picture(double now, int rows, int columns, bool color)
{
    out.len = 0;
    assert_int_equal(lca_board_picture(&board, now, rows, columns, color, &out), 0);
    assert_int_equal(lca_buf_append(&out, "", 1, NULL), 0);
    return (const char *)out.data;
}

#define WORKER(name, rest) "{\"name\":\"" name "\",\"host\":\"h\"," rest "}"
#define BUSY(name) WORKER(name, "\"pid\":9,\"state\":\"busy\",\"held\":2,\"done\":40,\"mean\":0.125")
#define LATE(name) WORKER(name, "\"pid\":10,\"state\":\"late\",\"held\":1,\"done\":3,\"mean\":0.5")

static void lines_say_what_stages_say(void **state)
{
    (void)state;
    for (int s = 1; s <= 8; s++) {
        integrate(s, 10 + 2 * s, BUSY("w.1") "," LATE("w.2"));
        train(s, 20 + 2 * s, "");
    }
    take("lca", 108, "{\"t\":\"HEAD\",\"it1\":100}");
    take("lca", 108, "{\"t\":\"lca\",\"it\":26,\"set\":\"train\",\"cls\":-1,\"L1\":0.5,\"res\":1e-6}");
    /* in the order that frames go through them, whoever spoke first */
    assert_string_equal(lines(108),
        "run: step 27/100  loss 0.5000  residual 1.0e-06\n"
        "train: runs, step 36, 2.0 steps/s, 1.0 MB/s, 10 kept, 3.0 MiB, 25% cpu\n"
        "integrate: waits for check, step 26, 2.0 steps/s, 0.0 MB/s, 6 kept, 10 behind, credit 54, 1.00 GiB, 100% cpu\n"
        "check: here, step 23, 2.0 steps/s, 6 behind, credit 6\n"
        "record: lost, 50 behind, credit 1\n"
        "pool: 5 units wait, 2 points in flight, 520 done, 1 given twice, 40.0 units/s, 1 worker late\n"
        "w.2: late, 1 held, 3 done, 0.5 s each, pid 10 on h\n"
        "w.1: busy, 2 held, 40 done, 0.125 s each, pid 9 on h\n");
    out.len = 0;
    assert_int_equal(lca_board_lines(&board, 108, "out: ", &out), 0);
    assert_memory_equal(out.data, "out: run: step 27/100", 21);
    assert_int_equal(lca_buf_append(&out, "", 1, NULL), 0);
    assert_non_null(strstr((char *)out.data, "\nout: w.2: late"));
}

static void rates_are_of_the_last_seconds(void **state)
{
    (void)state;
    train(1, 10, "");
    assert_null(strstr(lines(101), "steps/s"));     /* one look tells no rate */
    for (int s = 2; s <= 20; s++)
        train(s, 10 + s, "");
    for (int s = 21; s <= 30; s++)
        train(s, 30 + 10 * (s - 20), "");
    assert_non_null(strstr(lines(130), "train: runs, step 130, 10.0 steps/s"));
    /* one step a minute needs the whole of what is remembered */
    for (int s = 31; s <= 160; s++)
        train(s, 130 + (s - 30) / 60, "");
    assert_non_null(strstr(lines(260), "step 132, 0.016 steps/s"));
    /* another process of that name begins anew */
    take("theta", 300, "{\"t\":\"STATUS\",\"name\":\"train\",\"pid\":70,\"up\":1,\"cpu\":0,\"rss\":0,\"it\":5}");
    assert_string_equal(lines(300), "train: runs, step 5, 0 kept, 0.0 MiB\n");
}

static void who_goes_is_seen(void **state)
{
    (void)state;
    train(1, 20, "");
    integrate(1, 12, BUSY("w.1") "," BUSY("w.2"));
    integrate(2, 12, BUSY("w.1"));
    assert_memory_equal(lines(102), "train: runs", 11);
    assert_non_null(strstr(lines(102), "w.2: gone"));
    integrate(63, 12, BUSY("w.1"));
    integrate(64, 12, BUSY("w.1"));
    assert_null(strstr(lines(164), "w.2"));
    /* it has not told for a minute, then it goes */
    assert_non_null(strstr(lines(164), "train: silent for 63 s"));
    lca_board_gone(&board, "theta");
    assert_non_null(strstr(lines(164), "train: gone, step 20"));
    assert_non_null(strstr(lines(164), "integrate: waits for check"));
    /* and is back */
    train(65, 30, "");
    assert_non_null(strstr(lines(165), "train: runs, step 30"));
    /* an end in order is none of that */
    train(66, 31, ",\"end\":\"ok\"");
    lca_board_gone(&board, "theta");
    assert_non_null(strstr(lines(300), "train: done, step 31"));
    train(67, 31, ",\"end\":\"failed\"");
    assert_non_null(strstr(lines(300), "train: failed"));
    /* of workers nothing is known without who gives them work */
    assert_non_null(strstr(lines(300), "w.1: ?"));
}

static void a_picture_fits(void **state)
{
    (void)state;
    train(1, 20, "");
    integrate(1, 12, BUSY("w.1") "," BUSY("w.2") "," BUSY("w.3") "," LATE("w.4"));
    assert_string_equal(picture(101, 0, 0, false),
        "\n"
        "STAGE      STATE  STEP  STEPS/S  MB/S  KEPT  BEHIND  CREDIT    MEMORY  CPU\n"
        "train      runs     20                   10                   3.0 MiB\n"
        "integrate  waits    12                    6      10      54  1.00 GiB       for check\n"
        "check      here      9                            6       6\n"
        "record     lost                                  22       1\n"
        "\n"
        "pool: 5 units wait, 2 points in flight, 240 done, 1 given twice, 1 worker late\n"
        "WORKER  STATE  HELD  DONE  S/UNIT  PID  HOST\n"
        "w.4     late      1     3     0.5   10  h\n"
        "w.1     busy      2    40   0.125    9  h\n"
        "w.2     busy      2    40   0.125    9  h\n"
        "w.3     busy      2    40   0.125    9  h\n");
    /* any window: never more lines, never longer ones, and the late worker as long as any */
    for (int rows = 3; rows <= 14; rows++)
        for (int columns = 1; columns < 90; columns += 11) {
            const char *p = picture(101, rows, columns, false);
            int n = 0;
            for (const char *end; *p; p = end + 1, n++) {
                end = strchr(p, '\n');
                assert_true(end - p <= columns);
            }
            assert_true(n <= rows);
        }
    assert_string_equal(strstr(picture(101, 11, 0, false), "WORKER"),
        "WORKER  STATE  HELD  DONE  S/UNIT  PID  HOST\n"
        "w.4     late      1     3     0.5   10  h\n"
        "... and 3 more workers\n");
    assert_null(strstr(picture(101, 8, 0, false), "WORKER"));
    assert_non_null(strstr(picture(101, 8, 0, false), "1 worker late\n"));
    assert_string_equal(strstr(picture(101, 4, 0, false), "train"),
        "train      runs     20                   10                   3.0 MiB\n"
        "... and 3 more stages\n");
}

static void colours_are_for_what_needs_a_look(void **state)
{
    (void)state;
    train(1, 20, "");
    integrate(1, 12, LATE("w.1"));
    assert_null(strchr(picture(101, 0, 0, false), '\033'));
    const char *p = picture(101, 0, 0, true);
    assert_non_null(strstr(p, "record     \033[31mlost \033[0m"));
    assert_non_null(strstr(p, "w.1     \033[31mlate \033[0m"));
    assert_non_null(strstr(p, "train      runs "));
    assert_non_null(strstr(picture(110, 0, 0, true), "train      \033[33msilent\033[0m"));
    /* cut within the state: the colour still ends */
    assert_non_null(strstr(picture(101, 0, 13, true), "record     \033[31mlo\033[0m\n"));
}

/* Names and reasons come from peers. */
static void nothing_moves_the_cursor(void **state)
{
    (void)state;
    take("a", 1, "{\"t\":\"STATUS\",\"name\":\"a\\u001b[2J\\u009bx\",\"pid\":1,\"up\":1,\"it\":-1,\"wait\":\"\\nb\","
         "\"workers\":[{\"name\":\"\\u0007\",\"host\":\"\\u001b\"}]}");
    for (const char *p = picture(1, 0, 0, false); *p; p++)
        assert_true((*p >= 0x20 && *p < 0x7f) || *p == '\n');
    assert_non_null(strstr(lines(1), "a?[2J??x: waits for ?b,"));
}

/* What is no STATUS, or one with nothing in it, or with other types, is survived. */
static void odd_frames_are_survived(void **state)
{
    (void)state;
    static const char *const odd[] = {
        "{}", "[]", "{\"t\":3}", "{\"t\":\"STATUS\"}", "{\"t\":\"HEAD\",\"it1\":\"x\"}", "{\"t\":\"lca\"}",
        "{\"t\":\"STATUS\",\"name\":\"x\",\"pid\":1,\"out\":3,\"consumers\":{},\"workers\":[3],\"pool\":[]}",
        "{\"t\":\"STATUS\",\"name\":\"x\",\"pid\":1,\"up\":\"1\",\"out\":[{}],\"consumers\":[{}],"
            "\"workers\":[{}],\"pool\":{}}",
    };
    for (size_t k = 0; k < sizeof odd / sizeof *odd; k++) {
        take("t", 1, "%s", odd[k]);
        take("t", 2, "%s", odd[k]);
    }
    assert_non_null(strstr(lines(2), "x: runs"));
    picture(2, 5, 20, true);
    /* a stage that reads from itself ends no loop */
    take("t", 3, "{\"t\":\"STATUS\",\"name\":\"y\",\"pid\":1,\"up\":1,\"it\":0,"
         "\"out\":[{\"st\":\"s\",\"next\":1,\"done\":0}],\"consumers\":[{\"st\":\"s\","
         "\"name\":\"y\",\"state\":\"here\",\"done\":0,\"sent\":0,\"lim\":0}]}");
    assert_non_null(strstr(lines(3), "y: runs, step 0, 0 kept, 1 behind"));
    /* nor do more stages than there is room for */
    for (int k = 0; k < 2 * LCA_BOARD_STAGES; k++)
        take("t", 4, "{\"t\":\"STATUS\",\"name\":\"n%d\",\"pid\":%d,\"up\":1,\"it\":0}", k, k);
    assert_int_equal(board.n, LCA_BOARD_STAGES);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(lines_say_what_stages_say, clean),
        cmocka_unit_test_teardown(rates_are_of_the_last_seconds, clean),
        cmocka_unit_test_teardown(who_goes_is_seen, clean),
        cmocka_unit_test_teardown(a_picture_fits, clean),
        cmocka_unit_test_teardown(colours_are_for_what_needs_a_look, clean),
        cmocka_unit_test_teardown(nothing_moves_the_cursor, clean),
        cmocka_unit_test_teardown(odd_frames_are_survived, clean),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
