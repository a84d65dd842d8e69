#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zstd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/sig.h"
#include "base/tool.h"
#include "link/bytes.h"

enum { GATHER = 64 * 1024, MAX_PIECES = 8, ZSTD_LEVEL = 3 };

struct lca_sink {
    int fd;
    char *name;
    unsigned char *data;        /* gathered, or compressed, not yet written */
    size_t len, cap;
    ZSTD_CCtx *zstd;            /* NULL: not compressed */
    bool begun;                 /* something has been put */
    bool is_file;
    bool old;                   /* the file still holds what was there before, .. */
    uint64_t keep;              /* .. of which so many bytes are to stay */
    bool (*wait)(void *arg);    /* for room on the disk; NULL: not at all */
    void *wait_arg;
    bool failed;
    struct lca_err first;
};

static bool ends_in(const char *name, const char *end)
{
    size_t n = strlen(name), m = strlen(end);
    return n >= m && strcmp(name + n - m, end) == 0;
}

/* A terminal would show frames as noise. */
static int open_file(const char *path, struct lca_err *err)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOCTTY, 0666);
    if (fd < 0)
        return lca_fail_errno(err, LCA_USAGE, "%s: cannot write", path);
    if (isatty(fd)) {
        close(fd);
        return lca_fail(err, LCA_USAGE, "%s: is a terminal and frames are binary", path);
    }
    return fd;
}

struct lca_sink *lca_sink_open(const char *path, struct lca_err *err)
{
    bool is_stdout = !path || strcmp(path, "-") == 0;
    if (is_stdout && lca_tool_refuse_terminal(err) < 0)
        return NULL;
    int fd = is_stdout ? STDOUT_FILENO : open_file(path, err);
    if (fd < 0)
        return NULL;
    struct lca_sink *s = calloc(1, sizeof *s);
    if (!s)
        goto no_memory;
    s->fd = fd;
    struct stat st;
    s->is_file = fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
    s->old = !is_stdout && s->is_file;
    s->name = strdup(is_stdout ? "stdout" : path);
    s->cap = GATHER > ZSTD_CStreamOutSize() ? GATHER : ZSTD_CStreamOutSize();
    s->data = malloc(s->cap);
    if (!s->name || !s->data)
        goto no_memory;
    if (!is_stdout && ends_in(path, ".zst")) {
        s->zstd = ZSTD_createCCtx();
        if (!s->zstd ||
            ZSTD_isError(ZSTD_CCtx_setParameter(s->zstd, ZSTD_c_compressionLevel, ZSTD_LEVEL)))
            goto no_memory;
    }
    return s;
no_memory:
    lca_fail(err, LCA_INTERNAL, "out of memory");
    if (!is_stdout)
        close(fd);
    if (s) {
        ZSTD_freeCCtx(s->zstd);
        free(s->data);
        free(s->name);
        free(s);
    }
    return NULL;
}

void lca_sink_keep(struct lca_sink *s, uint64_t bytes)
{
    s->keep = bytes;
}

void lca_sink_patience(struct lca_sink *s, bool (*wait)(void *arg), void *arg)
{
    s->wait = wait;
    s->wait_arg = arg;
}

/* writev(2) that reports a reader who has gone as EPIPE alone: the signal would end
 * the program before it can say good-bye on its other links. It also comes with a
 * write that was cut short, which is no error yet. */
static ssize_t write_quietly(int fd, const struct iovec *piece, int n)
{
    sigset_t pipe_only, old, pending;
    sigemptyset(&pipe_only);
    sigaddset(&pipe_only, SIGPIPE);
    sigpending(&pending);
    pthread_sigmask(SIG_BLOCK, &pipe_only, &old);
    lca_sig_hear();
    ssize_t done = writev(fd, piece, n);
    int saved = errno;
    lca_sig_deaf();
    if (!sigismember(&pending, SIGPIPE)) {
        static const struct timespec now = {0};
        while (sigtimedwait(&pipe_only, NULL, &now) < 0 && errno == EINTR)
            ;
    }
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    errno = saved;
    return done;
}

static int fail(struct lca_sink *s)
{
    struct lca_err *e = &s->first;
    s->failed = true;
    if (errno == EPIPE)
        return lca_fail(e, LCA_PIPE, "%s: whoever read it has gone", s->name);
    if (errno == ENOSPC || errno == EDQUOT)
        return lca_fail_errno(e, LCA_INTERNAL, "%s: the disk is full, and what is there is cut short: lca-cat "
                              "--repair keeps its whole steps", s->name);
    return lca_fail_errno(e, LCA_INTERNAL, "%s: cannot write", s->name);
}

/* After a write that found no room: whether to try again. Whoever feeds us waits too, since
 * nothing is acknowledged meanwhile. */
static bool wait_for_room(struct lca_sink *s, double *since)
{
    int saved = errno;
    if ((saved != ENOSPC && saved != EDQUOT) || !s->is_file || !s->wait)
        return false;
    if (*since == 0) {
        lca_warn("%s: no space, waiting: make room on the disk, and it goes on", s->name);
        *since = lca_now();
    }
    bool again = s->wait(s->wait_arg);
    errno = saved;
    return again;
}

/* Writes the pieces whole; uses them up. */
static int write_all(struct lca_sink *s, struct iovec *piece, unsigned n)
{
    double waiting = 0;
    if (s->old && (ftruncate(s->fd, (off_t)s->keep) < 0 || lseek(s->fd, (off_t)s->keep, SEEK_SET) < 0))
        return fail(s);
    s->old = false;
    while (n > 0) {
        if (piece->iov_len == 0) {
            piece++;
            n--;
            continue;
        }
        ssize_t done = write_quietly(s->fd, piece, (int)n);
        if (done < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
            struct pollfd p = {.fd = s->fd, .events = POLLOUT};
            lca_sig_hear();
            poll(&p, 1, -1);
            lca_sig_deaf();
        } else if (done < 0 && errno != EINTR && !wait_for_room(s, &waiting)) {
            return fail(s);
        }
        if (done > 0 && waiting > 0) {
            lca_note("%s: there is space again after %.0f s", s->name, lca_now() - waiting);
            waiting = 0;
        }
        for (size_t left = done > 0 ? (size_t)done : 0; left > 0;) {
            size_t used = left < piece->iov_len ? left : piece->iov_len;
            piece->iov_base = (char *)piece->iov_base + used;
            piece->iov_len -= used;
            left -= used;
            if (piece->iov_len == 0) {
                piece++;
                n--;
            }
        }
    }
    return 0;
}

static int drain(struct lca_sink *s)
{
    struct iovec piece = {s->data, s->len};
    s->len = 0;
    return write_all(s, &piece, 1);
}

/* Compresses one piece into data, which is written as often as it is full. */
static int compress(struct lca_sink *s, const void *data, size_t len, ZSTD_EndDirective how)
{
    ZSTD_inBuffer in = {data, len, 0};
    for (;;) {
        if (s->len == s->cap && drain(s) < 0)
            return -1;
        ZSTD_outBuffer out = {s->data, s->cap, s->len};
        size_t left = ZSTD_compressStream2(s->zstd, &out, &in, how);
        if (ZSTD_isError(left)) {
            s->failed = true;
            return lca_fail(&s->first, LCA_INTERNAL, "%s: zstd: %s", s->name,
                            ZSTD_getErrorName(left));
        }
        s->len = out.pos;
        if (how == ZSTD_e_continue ? in.pos == in.size : left == 0)
            return 0;
    }
}

static int put(struct lca_sink *s, const struct iovec *piece, unsigned n)
{
    if (s->zstd) {
        for (unsigned k = 0; k < n; k++)
            if (compress(s, piece[k].iov_base, piece[k].iov_len, ZSTD_e_continue) < 0)
                return -1;
        return 0;
    }
    size_t total = 0;
    for (unsigned k = 0; k < n; k++)
        total += piece[k].iov_len;
    if (total > s->cap - s->len) {
        struct iovec all[MAX_PIECES + 1] = {{s->data, s->len}};
        memcpy(all + 1, piece, n * sizeof *piece);
        s->len = 0;
        return write_all(s, all, n + 1);
    }
    for (unsigned k = 0; k < n; k++) {
        if (piece[k].iov_len > 0)
            memcpy(s->data + s->len, piece[k].iov_base, piece[k].iov_len);
        s->len += piece[k].iov_len;
    }
    return 0;
}

/* What every call ends with: the first failure, now and ever after. */
static int answer(const struct lca_sink *s, struct lca_err *err)
{
    if (!s->failed)
        return 0;
    if (err)
        *err = s->first;
    return -1;
}

int lca_sink_write(struct lca_sink *s, const struct iovec *piece, unsigned n, struct lca_err *err)
{
    if (n > MAX_PIECES)
        return lca_fail(err, LCA_INTERNAL, "%s: more than %d pieces at once", s->name, MAX_PIECES);
    s->begun = true;
    if (!s->failed)
        s->failed = put(s, piece, n) < 0;
    return answer(s, err);
}

static int flush(struct lca_sink *s, ZSTD_EndDirective how)
{
    if (!s->begun)
        return 0;
    if (s->zstd && compress(s, NULL, 0, how) < 0)
        return -1;
    return drain(s);
}

int lca_sink_flush(struct lca_sink *s, bool sync, struct lca_err *err)
{
    if (!s->failed && flush(s, ZSTD_e_flush) == 0 && sync && fdatasync(s->fd) < 0 &&
        errno != EINVAL && errno != EROFS)      /* pipes have no disk to wait for */
        fail(s);
    return answer(s, err);
}

int lca_sink_fd(const struct lca_sink *s)
{
    return s->fd;
}

const char *lca_sink_name(const struct lca_sink *s)
{
    return s->name;
}

int lca_sink_close(struct lca_sink *s, struct lca_err *err)
{
    if (!s)
        return 0;
    if (!s->failed)
        s->failed = flush(s, ZSTD_e_end) < 0;
    if (s->fd != STDOUT_FILENO && close(s->fd) < 0 && !s->failed)
        fail(s);
    int result = answer(s, err);
    ZSTD_freeCCtx(s->zstd);
    free(s->data);
    free(s->name);
    free(s);
    return result;
}
