#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zstd.h>

#include "base/buf.h"
#include "base/sig.h"
#include "link/bytes.h"

enum { RAW_SIZE = 128 * 1024, PLAIN_SIZE = 256 * 1024, ZSTD_FIRST_BYTE = 0x28 };

struct lca_source {
    int fd;
    char *name;
    bool is_file, begun, ended, torn;
    unsigned char *raw;         /* as read */
    ZSTD_inBuffer in;           /* what of raw is there, what is used */

    ZSTD_DCtx *zstd;            /* NULL: raw bytes are the bytes */
    unsigned char *plain;       /* decompressed */
    size_t at, end;             /* what of plain is still to be given */
    bool more;                  /* zstd may hold bytes for which plain had no room */
    bool within;                /* a zstd frame is open */
};

struct lca_source *lca_source_open(const char *path, struct lca_err *err)
{
    bool is_stdin = !path || strcmp(path, "-") == 0;
    struct lca_source *s = calloc(1, sizeof *s);
    if (s)
        s->name = strdup(is_stdin ? "stdin" : path);
    if (!s || !s->name) {
        free(s);
        lca_fail(err, LCA_INTERNAL, "out of memory");
        return NULL;
    }
    s->fd = is_stdin ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
    struct stat st;
    if (s->fd < 0 || fstat(s->fd, &st) < 0) {
        lca_fail_errno(err, LCA_USAGE, "%s: cannot read", s->name);
        goto fail;
    }
    if (S_ISDIR(st.st_mode)) {
        lca_fail(err, LCA_USAGE, "%s: cannot read: it is a directory", s->name);
        goto fail;
    }
    s->is_file = S_ISREG(st.st_mode);
    s->raw = lca_alloc(RAW_SIZE, 1, err);
    if (!s->raw)
        goto fail;
    s->in.src = s->raw;
    return s;
fail:
    lca_source_close(s);
    return NULL;
}

/* read(2) that waits: the descriptor may have come with O_NONBLOCK. Returns the
 * bytes read, 0 at the end, -1 with err set. */
static ssize_t read_some(struct lca_source *s, void *to, size_t n, struct lca_err *err)
{
    for (;;) {
        lca_sig_hear();
        ssize_t got = read(s->fd, to, n);
        int saved = errno;
        lca_sig_deaf();
        errno = saved;
        if (got >= 0) {
            s->ended = got == 0;
            return got;
        }
        if (errno == EAGAIN || errno == EWOULDBLOCK) {
            struct pollfd p = {.fd = s->fd, .events = POLLIN};
            lca_sig_hear();
            poll(&p, 1, -1);
            lca_sig_deaf();
        } else if (errno != EINTR) {
            return lca_fail_errno(err, LCA_INTERNAL, "%s: cannot read", s->name);
        }
    }
}

static int fill_raw(struct lca_source *s, struct lca_err *err)
{
    ssize_t got = read_some(s, s->raw, RAW_SIZE, err);
    if (got < 0)
        return -1;
    s->in.pos = 0;
    s->in.size = (size_t)got;
    if (s->begun || got == 0)
        return 0;
    s->begun = true;
    if (s->raw[0] != ZSTD_FIRST_BYTE)
        return 0;
    s->plain = lca_alloc(PLAIN_SIZE, 1, err);
    s->zstd = s->plain ? ZSTD_createDCtx() : NULL;
    if (!s->zstd)
        return lca_fail(err, LCA_INTERNAL, "out of memory");
    return 0;
}

static int decompress(struct lca_source *s, struct lca_err *err)
{
    ZSTD_outBuffer out = {s->plain, PLAIN_SIZE, 0};
    size_t used = s->in.pos;
    size_t hint = ZSTD_decompressStream(s->zstd, &out, &s->in);
    if (ZSTD_isError(hint))
        return lca_fail(err, LCA_CORRUPT, "%s: damaged zstd data: %s", s->name,
                        ZSTD_getErrorName(hint));
    /* without progress the hint is about a frame that has not begun */
    if (s->in.pos > used || out.pos > 0)
        s->within = hint != 0;
    s->at = 0;
    s->end = out.pos;
    s->more = out.pos == out.size;
    return 0;
}

/* Gives what is at hand, up to n bytes; reads only when nothing is. */
static int take(struct lca_source *s, unsigned char *to, size_t n, size_t *got,
                struct lca_err *err)
{
    *got = 0;
    for (;;) {
        const unsigned char *from = s->zstd ? s->plain + s->at : s->raw + s->in.pos;
        size_t there = s->zstd ? s->end - s->at : s->in.size - s->in.pos;
        if (there > 0) {
            *got = there < n ? there : n;
            memcpy(to, from, *got);
            *(s->zstd ? &s->at : &s->in.pos) += *got;
            return 0;
        }
        if (s->zstd && (s->more || s->in.pos < s->in.size)) {
            if (decompress(s, err) < 0)
                return -1;
            continue;
        }
        if (s->ended) {
            s->torn = s->within;
            if (s->torn)
                return lca_fail(err, LCA_CORRUPT, "%s: ends within the zstd data", s->name);
            return 0;
        }
        if (s->begun && !s->zstd && n >= RAW_SIZE) {
            ssize_t direct = read_some(s, to, n, err);
            if (direct < 0)
                return -1;
            *got = (size_t)direct;
            return 0;
        }
        if (fill_raw(s, err) < 0)
            return -1;
    }
}

int lca_source_read(struct lca_source *s, void *to, size_t n, size_t *got, struct lca_err *err)
{
    size_t piece;
    for (*got = 0; *got < n; *got += piece) {
        if (take(s, (unsigned char *)to + *got, n - *got, &piece, err) < 0)
            return -1;
        if (piece == 0)
            return 0;
    }
    /* Settle whether anything is left, or lca_source_poll could claim so wrongly. */
    if (s->zstd && s->at == s->end && (s->more || s->in.pos < s->in.size))
        return decompress(s, err);
    return 0;
}

int lca_source_fd(const struct lca_source *s)
{
    return s->fd;
}

int lca_source_poll(const struct lca_source *s)
{
    bool waiting = s->in.pos < s->in.size || s->at < s->end || s->more;
    return s->is_file || s->ended || waiting ? -1 : s->fd;
}

bool lca_source_is_file(const struct lca_source *s)
{
    return s->is_file;
}

bool lca_source_compressed(const struct lca_source *s)
{
    return s->zstd != NULL;
}

bool lca_source_torn(const struct lca_source *s)
{
    return s->torn;
}

const char *lca_source_name(const struct lca_source *s)
{
    return s->name;
}

void lca_source_close(struct lca_source *s)
{
    if (!s)
        return;
    if (s->fd > STDIN_FILENO)
        close(s->fd);
    ZSTD_freeDCtx(s->zstd);
    free(s->plain);
    free(s->raw);
    free(s->name);
    free(s);
}
