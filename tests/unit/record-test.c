/* Records on pipes and in files: layout, splits, damage, truncation, full disks. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/digest.h"
#include "link/record.h"

static char dir[] = "/tmp/lca-record-XXXXXX";
static char path[64], path_zst[64];

static int make_dir(void **state)
{
    (void)state;
    if (!mkdtemp(dir))
        return -1;
    snprintf(path, sizeof path, "%s/a.lca", dir);
    snprintf(path_zst, sizeof path_zst, "%s/a.lca.zst", dir);
    return 0;
}

static int remove_dir(void **state)
{
    (void)state;
    unlink(path);
    unlink(path_zst);
    return rmdir(dir);
}

static void must(int result, const struct lca_err *err)
{
    if (result < 0)
        fail_msg("%s", err->text);
}

static float *make_values(uint64_t n)
{
    float *v = malloc((n + 1) * sizeof *v);
    assert_non_null(v);
    for (uint64_t k = 0; k < n; k++)
        v[k] = (float)((k * 2654435761u) % 1000) / 7;
    return v;
}

static struct lca_frame theta(uint64_t it, uint64_t n, const float *values)
{
    struct lca_frame f = LCA_FRAME(theta);
    memcpy(f.run, "0123456789abcdef", LCA_RUN_LEN);
    f.st = "theta";
    f.seq = it;
    f.u.theta.it = it;
    f.u.theta.lr = 0.5;
    lca_frame_payload(&f, "<f4", n, values);
    return f;
}

/* Lengths of payloads around the sizes of buffers, and of nothing. */
static const uint64_t lengths[] = {3, 0, 1, 16384, 40000, 2, 1000003, 5};
enum { FRAMES = sizeof lengths / sizeof *lengths };

static void write_frames(const char *to)
{
    struct lca_err err;
    struct lca_writer *w = lca_writer_open(to, &err);
    must(w ? 0 : -1, &err);
    for (unsigned k = 0; k < FRAMES; k++) {
        float *v = make_values(lengths[k]);
        struct lca_frame f = theta(k, lengths[k], v);
        must(lca_writer_frame(w, &f, &err), &err);
        if (k == 2)
            must(lca_writer_flush(w, true, &err), &err);
        free(v);
    }
    must(lca_writer_close(w, &err), &err);
}

static void read_frames(struct lca_reader *r, unsigned times)
{
    struct lca_err err;
    struct lca_frame f = {0};
    for (unsigned k = 0; k < times * FRAMES; k++) {
        must(lca_reader_next(r, &f, &err), &err);
        assert_int_equal(f.kind, LCA_KIND_theta);
        assert_int_equal(f.u.theta.it, k % FRAMES);
        assert_int_equal(lca_frame_count(&f), lengths[k % FRAMES]);
        assert_int_equal((uintptr_t)f.payload % 64, 0);
        float *v = make_values(lengths[k % FRAMES]);
        if (f.nb > 0)
            assert_memory_equal(f.payload, v, f.nb);
        free(v);
    }
    assert_int_equal(lca_reader_next(r, &f, &err), 0);
    assert_int_equal(lca_reader_next(r, &f, &err), 0);
    lca_frame_clear(&f);
}

static struct lca_reader *must_open(const char *from)
{
    struct lca_err err;
    struct lca_reader *r = lca_reader_open(from, &err);
    must(r ? 0 : -1, &err);
    return r;
}

static struct lca_buf slurp(const char *from)
{
    struct lca_buf b = {0};
    struct stat st;
    int fd = open(from, O_RDONLY);
    assert_int_equal(fstat(fd, &st), 0);
    assert_int_equal(lca_buf_reserve(&b, (size_t)st.st_size, NULL), 0);
    assert_int_equal(read(fd, b.data, (size_t)st.st_size), st.st_size);
    b.len = (size_t)st.st_size;
    close(fd);
    return b;
}

static void spill(const char *to, const void *data, size_t len)
{
    int fd = open(to, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, data, len), len);
    close(fd);
}

static void the_layout_is_as_written_down(void **state)
{
    (void)state;
    struct lca_err err;
    struct lca_buf header = {0};
    static const float values[] = {1, -2};
    struct lca_frame f = theta(1, 2, values);
    must(lca_frame_encode(&f, &header, &err), &err);
    struct lca_writer *w = lca_writer_open(path, &err);
    must(w ? 0 : -1, &err);
    must(lca_writer_put(w, header.data, header.len, values, 8, &err), &err);
    must(lca_writer_close(w, &err), &err);

    struct lca_buf b = slurp(path);
    size_t h = header.len;
    assert_int_equal(b.len, 6 + h + 5 + 8 + 5);
    assert_memory_equal(b.data, "\x94\xce\0\0", 4);
    assert_int_equal(b.data[4] << 8 | b.data[5], h);
    assert_memory_equal(b.data + 6, header.data, h);
    assert_memory_equal(b.data + 6 + h, "\xc6\0\0\0\x08" "\0\0\x80\x3f\0\0\0\xc0" "\xce", 14);
    uint32_t crc = lca_crc32c(lca_crc32c(0, header.data, h), values, 8);
    for (unsigned k = 0; k < 4; k++)
        assert_int_equal(b.data[b.len - 4 + k], crc >> (24 - 8 * k) & 255);

    struct lca_reader *r = must_open(path);
    struct lca_frame back = {0};
    assert_int_equal(lca_reader_poll(r), -1);
    assert_string_equal(lca_reader_name(r), path);
    assert_int_equal(lca_reader_offset(r), 0);
    assert_int_equal(lca_reader_next(r, &back, &err), 1);
    assert_int_equal(lca_reader_offset(r), b.len);
    lca_reader_close(r);
    lca_frame_clear(&back);
    lca_buf_clear(&b);
    lca_buf_clear(&header);
}

static void files_come_back(void **state)
{
    (void)state;
    write_frames(path);
    struct lca_reader *r = must_open(path);
    read_frames(r, 1);
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(lca_reader_offset(r), st.st_size);
    lca_reader_close(r);
}

/* Compressed by name, recognised by bytes, and two files in a row are one. */
static void zstd_comes_back(void **state)
{
    (void)state;
    write_frames(path);
    write_frames(path_zst);
    struct lca_buf plain = slurp(path), b = slurp(path_zst);
    assert_memory_equal(b.data, "\x28\xb5\x2f\xfd", 4);
    assert_true(b.len < plain.len / 2);
    struct lca_reader *r = must_open(path_zst);
    read_frames(r, 1);
    assert_int_equal(lca_reader_offset(r), plain.len);
    lca_reader_close(r);

    assert_int_equal(lca_buf_reserve(&b, 2 * b.len, NULL), 0);
    memcpy(b.data + b.len, b.data, b.len);
    spill(path, b.data, 2 * b.len);
    r = must_open(path);
    read_frames(r, 2);
    lca_reader_close(r);

    struct lca_err err;
    for (size_t cut = 1; cut < b.len; cut += b.len / 23) {
        spill(path, b.data, cut);
        r = must_open(path);
        struct lca_frame f = {0};
        int got;
        while ((got = lca_reader_next(r, &f, &err)) == 1)
            ;
        assert_int_equal(got, -1);
        assert_int_equal(err.status, LCA_CORRUPT);
        lca_frame_clear(&f);
        lca_reader_close(r);
    }
    lca_buf_clear(&b);
    lca_buf_clear(&plain);
}

/* Whatever way the bytes arrive: in pieces of 1, 2, 3, 7 ... bytes, then larger. */
static void pipes_may_split_anywhere(void **state)
{
    (void)state;
    const char *files[] = {path, path_zst};
    for (int z = 0; z < 2; z++) {
        write_frames(files[z]);
        struct lca_buf b = slurp(files[z]);
        int fd[2];
        assert_int_equal(pipe(fd), 0);
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            static const size_t sizes[] = {1, 2, 3, 7, 64, 1000, 65536, 300000};
            close(fd[0]);
            for (size_t at = 0, k = 0; at < b.len; k++) {
                size_t n = sizes[at < 2000 ? k % 4 : k % 8];
                ssize_t done = write(fd[1], b.data + at, n < b.len - at ? n : b.len - at);
                if (done < 0)
                    _exit(1);
                at += (size_t)done;
            }
            _exit(0);
        }
        close(fd[1]);
        assert_int_equal(fcntl(fd[0], F_SETFL, O_NONBLOCK), 0);
        char name[32];
        snprintf(name, sizeof name, "/dev/fd/%d", fd[0]);
        struct lca_reader *r = must_open(name);
        read_frames(r, 1);
        lca_reader_close(r);
        close(fd[0]);
        int status;
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_int_equal(status, 0);
        lca_buf_clear(&b);
    }
}

static void fd_says_whether_bytes_wait(void **state)
{
    (void)state;
    struct lca_err err;
    static const float values[] = {1, -2};
    for (int z = 0; z < 2; z++) {
        const char *file = z ? path_zst : path;
        struct lca_writer *w = lca_writer_open(file, &err);
        must(w ? 0 : -1, &err);
        for (unsigned k = 0; k < 2; k++) {
            struct lca_frame f = theta(k, 2, values);
            must(lca_writer_frame(w, &f, &err), &err);
        }
        must(lca_writer_close(w, &err), &err);
        struct lca_buf b = slurp(file);
        int fd[2];
        assert_int_equal(pipe(fd), 0);
        assert_int_equal(write(fd[1], b.data, b.len), b.len);
        char name[32];
        snprintf(name, sizeof name, "/dev/fd/%d", fd[0]);
        struct lca_reader *r = must_open(name);
        struct lca_frame f = {0};
        assert_true(lca_reader_poll(r) >= 0);
        assert_int_equal(lca_reader_next(r, &f, &err), 1);
        assert_int_equal(lca_reader_poll(r), -1);
        assert_int_equal(lca_reader_next(r, &f, &err), 1);
        assert_true(lca_reader_poll(r) >= 0);
        close(fd[1]);
        assert_int_equal(lca_reader_next(r, &f, &err), 0);
        assert_int_equal(lca_reader_poll(r), -1);
        lca_reader_close(r);
        lca_frame_clear(&f);
        lca_buf_clear(&b);
        close(fd[0]);
    }
}

/* Decompressed bytes that end where the reader's buffer does must not count as bytes
 * that wait: a filter would stop looking at its signals. */
static void fd_is_right_when_zstd_fills_a_buffer(void **state)
{
    (void)state;
    enum { BUFFER = 256 * 1024 };
    static const char pad[] = "theta---";
    struct lca_err err;
    float *v = make_values(BUFFER / 4);
    struct lca_writer *w = lca_writer_open(path_zst, &err);
    must(w ? 0 : -1, &err);
    struct lca_buf header = {0};
    uint64_t n = BUFFER / 4 - 64;
    for (unsigned k = 0; k < 8; k++) {      /* until header and payload fill it exactly */
        struct lca_frame f = theta(0, n, v);
        f.st = pad + k;
        must(lca_frame_encode(&f, &header, &err), &err);
        size_t total = 16 + header.len + f.nb;
        if ((BUFFER - total) % 4 != 0)
            continue;
        f = theta(0, n + (BUFFER - total) / 4, v);
        f.st = pad + k;
        must(lca_frame_encode(&f, &header, &err), &err);
        if (16 + header.len + f.nb == BUFFER) {
            must(lca_writer_frame(w, &f, &err), &err);
            break;
        }
    }
    must(lca_writer_close(w, &err), &err);
    struct lca_buf b = slurp(path_zst);
    assert_true(b.len > 1000);

    int fd[2];
    assert_int_equal(pipe(fd), 0);
    assert_true(fcntl(fd[1], F_SETPIPE_SZ, BUFFER * 2) >= (int)b.len);
    assert_int_equal(write(fd[1], b.data, b.len), b.len);
    char name[32];
    snprintf(name, sizeof name, "/dev/fd/%d", fd[0]);
    struct lca_reader *r = must_open(name);
    struct lca_frame f = {0};
    assert_int_equal(lca_reader_next(r, &f, &err), 1);
    assert_int_equal(lca_reader_offset(r), BUFFER);
    assert_true(lca_reader_poll(r) >= 0);
    lca_reader_close(r);
    lca_frame_clear(&f);
    lca_buf_clear(&b);
    lca_buf_clear(&header);
    close(fd[0]);
    close(fd[1]);
    free(v);
}

/* Two small records, for tests that damage them. */
static struct lca_buf two_records(size_t *first)
{
    struct lca_err err;
    static const float values[] = {1, -2};
    struct lca_writer *w = lca_writer_open(path, &err);
    must(w ? 0 : -1, &err);
    for (unsigned k = 0; k < 2; k++) {
        struct lca_frame f = theta(k, 2, values);
        must(lca_writer_frame(w, &f, &err), &err);
    }
    must(lca_writer_close(w, &err), &err);
    struct lca_buf b = slurp(path);
    *first = b.len / 2;
    return b;
}

static int count_frames(struct lca_err *err)
{
    struct lca_reader *r = must_open(path);
    struct lca_frame f = {0};
    int got, n = 0;
    while ((got = lca_reader_next(r, &f, err)) == 1)
        n++;
    lca_frame_clear(&f);
    lca_reader_close(r);
    return got < 0 ? -1 - n : n;
}

static void every_truncation_is_seen(void **state)
{
    (void)state;
    size_t first;
    struct lca_err err;
    struct lca_buf b = two_records(&first);
    for (size_t n = 0; n <= b.len; n++) {
        spill(path, b.data, n);
        int got = count_frames(&err);
        if (n % first == 0) {
            assert_int_equal(got, n / first);
            continue;
        }
        char says[160];
        snprintf(says, sizeof says, "%s: ends within a frame after %zu whole frames", path,
                 n / first);
        assert_int_equal(got, -1 - (int)(n / first));
        assert_string_equal(err.text, says);
        assert_int_equal(err.status, LCA_CORRUPT);
    }
    lca_buf_clear(&b);
}

static void every_flip_is_seen(void **state)
{
    (void)state;
    size_t first;
    struct lca_err err;
    struct lca_buf b = two_records(&first);
    for (size_t n = 0; n < first; n++)
        for (int bit = 0; bit < 9; bit++) {
            uint8_t flip = bit < 8 ? (uint8_t)(1 << bit) : 0xff;
            b.data[n] ^= flip;
            spill(path, b.data, b.len);
            int got = count_frames(&err);
            if (got != -1 || err.status != LCA_CORRUPT || !strstr(err.text, path))
                fail_msg("byte %zu, flipped by %02x: %d, status %d, \"%s\"", n, flip, got,
                         err.status, err.text);
            b.data[n] ^= flip;
        }
    lca_buf_clear(&b);
}

static void lengths_are_bounded_before_memory_is_asked_for(void **state)
{
    (void)state;
    size_t first;
    struct lca_err err;
    struct lca_buf b = two_records(&first);
    size_t header = (size_t)b.data[4] << 8 | b.data[5];

    memcpy(b.data + 2, "\xff\xff\xff\xff", 4);
    spill(path, b.data, b.len);
    assert_int_equal(count_frames(&err), -1);
    assert_non_null(strstr(err.text, "frame 0 at byte 0: a header of more than 64 KiB"));

    lca_buf_clear(&b);
    b = two_records(&first);
    memcpy(b.data + first + 6 + header + 1, "\x04\x00\x00\x01", 4);
    spill(path, b.data, b.len);
    assert_int_equal(count_frames(&err), -2);
    char says[160];
    snprintf(says, sizeof says, "frame 1 at byte %zu: a payload of more than 64 MiB", first);
    assert_non_null(strstr(err.text, says));

    spill(path, "hello, world", 12);
    assert_int_equal(count_frames(&err), -1);
    assert_non_null(strstr(err.text, "no frames"));
    spill(path, "\x28\xb5\x2f\xfd-no-zstd-at-all-", 20);
    assert_int_equal(count_frames(&err), -1);
    assert_non_null(strstr(err.text, "zstd"));
    assert_int_equal(err.status, LCA_CORRUPT);
    lca_buf_clear(&b);
}

static void a_reader_who_goes_is_status_pipe(void **state)
{
    (void)state;
    struct lca_err err;
    int fd[2];
    assert_int_equal(pipe(fd), 0);
    char name[32];
    snprintf(name, sizeof name, "/dev/fd/%d", fd[1]);
    struct lca_writer *w = lca_writer_open(name, &err);
    must(w ? 0 : -1, &err);
    close(fd[0]);
    float *v = make_values(100000);
    struct lca_frame f = theta(0, 100000, v);
    /* SIGPIPE has its default here: the test program would end */
    assert_int_equal(lca_writer_frame(w, &f, &err), -1);
    assert_int_equal(err.status, LCA_PIPE);
    err = (struct lca_err){0};
    assert_int_equal(lca_writer_close(w, &err), -1);
    assert_int_equal(err.status, LCA_PIPE);
    close(fd[1]);
    free(v);
}

static void a_full_disk_is_an_error(void **state)
{
    (void)state;
    if (access("/dev/full", W_OK) < 0)
        skip();
    struct lca_err err = {0};
    static const float values[] = {1, -2};
    struct lca_frame f = theta(0, 2, values);
    struct lca_writer *w = lca_writer_open("/dev/full", &err);
    must(w ? 0 : -1, &err);
    must(lca_writer_frame(w, &f, &err), &err);      /* still gathered */
    assert_int_equal(lca_writer_flush(w, false, &err), -1);
    assert_non_null(strstr(err.text, "/dev/full: the disk is full"));
    err = (struct lca_err){0};
    assert_int_equal(lca_writer_frame(w, &f, &err), -1);
    assert_int_equal(lca_writer_close(w, &err), -1);
    assert_non_null(strstr(err.text, "/dev/full: the disk is full"));

    w = lca_writer_open("/dev/full", &err);
    must(lca_writer_frame(w, &f, &err), &err);
    assert_int_equal(lca_writer_close(w, &err), -1);
}

static void names_that_do_not_open(void **state)
{
    (void)state;
    struct lca_err err = {0};
    assert_null(lca_reader_open("/tmp/no-such-file.lca", &err));
    assert_non_null(strstr(err.text, "/tmp/no-such-file.lca: cannot read: No such file"));
    assert_int_equal(err.status, LCA_USAGE);
    assert_null(lca_reader_open(dir, &err));
    assert_non_null(strstr(err.text, "directory"));
    assert_null(lca_writer_open("/tmp/no-such-folder/x.lca", &err));
    assert_non_null(strstr(err.text, "/tmp/no-such-folder/x.lca: cannot write"));

    int terminal = posix_openpt(O_RDWR | O_NOCTTY);
    if (terminal < 0 || grantpt(terminal) < 0 || unlockpt(terminal) < 0)
        skip();
    assert_null(lca_writer_open(ptsname(terminal), &err));
    assert_non_null(strstr(err.text, "terminal"));
    assert_int_equal(err.status, LCA_USAGE);
    close(terminal);
}

static void a_frame_over_the_limits_is_not_written(void **state)
{
    (void)state;
    struct lca_err err;
    struct lca_writer *w = lca_writer_open(path, &err);
    must(w ? 0 : -1, &err);
    assert_int_equal(lca_writer_put(w, "", LCA_HEADER_MAX + 1, NULL, 0, &err), -1);
    assert_int_equal(lca_writer_put(w, "", 1, "", LCA_PAYLOAD_MAX + 1, &err), -1);
    struct lca_frame f = LCA_FRAME(ping);
    assert_int_equal(lca_writer_frame(w, &f, &err), -1);
    assert_non_null(strstr(err.text, "PING: not written: key st"));
    /* none of it is the stream's fault: it goes on */
    f.st = "x";
    must(lca_writer_frame(w, &f, &err), &err);
    must(lca_writer_close(w, &err), &err);
    assert_int_equal(count_frames(&err), 1);
    assert_int_equal(lca_writer_close(NULL, &err), 0);
    lca_reader_close(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_layout_is_as_written_down),
        cmocka_unit_test(files_come_back),
        cmocka_unit_test(zstd_comes_back),
        cmocka_unit_test(pipes_may_split_anywhere),
        cmocka_unit_test(fd_says_whether_bytes_wait),
        cmocka_unit_test(fd_is_right_when_zstd_fills_a_buffer),
        cmocka_unit_test(every_truncation_is_seen),
        cmocka_unit_test(every_flip_is_seen),
        cmocka_unit_test(lengths_are_bounded_before_memory_is_asked_for),
        cmocka_unit_test(a_reader_who_goes_is_status_pipe),
        cmocka_unit_test(a_full_disk_is_an_error),
        cmocka_unit_test(names_that_do_not_open),
        cmocka_unit_test(a_frame_over_the_limits_is_not_written),
    };
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
