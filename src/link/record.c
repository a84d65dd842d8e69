#include "link/record.h"

#include <stdlib.h>
#include <string.h>

#include "base/digest.h"
#include "link/bytes.h"

/*  94 ce HHHH | header | c6 PPPP | payload | ce CCCC  */
enum { ARRAY_OF_4 = 0x94, UINT_32 = 0xce, BIN_32 = 0xc6, OPEN = 6, MIDDLE = 5, CLOSE = 5 };

struct lca_reader {
    struct lca_source *from;
    struct lca_buf header, payload;
    uint64_t frames, offset;
    bool torn;
};

struct lca_writer {
    struct lca_sink *to;
    struct lca_buf header;
};

static uint32_t get32(const unsigned char *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static void put32(unsigned char *p, size_t value)
{
    for (int k = 0; k < 4; k++)
        p[k] = (unsigned char)(value >> (24 - 8 * k));
}

struct lca_reader *lca_reader_open(const char *path, struct lca_err *err)
{
    struct lca_reader *r = calloc(1, sizeof *r);
    if (!r) {
        lca_fail(err, LCA_INTERNAL, "out of memory");
        return NULL;
    }
    r->from = lca_source_open(path, err);
    if (!r->from) {
        free(r);
        return NULL;
    }
    return r;
}

/* Reads n bytes of a record; their end is an error. */
static int need(struct lca_reader *r, void *to, size_t n, struct lca_err *err)
{
    size_t got;
    if (lca_source_read(r->from, to, n, &got, err) < 0)
        return -1;
    r->torn = got < n;
    if (r->torn)
        return lca_fail(err, LCA_CORRUPT, "%s: ends within a frame after %llu whole frames",
                        lca_source_name(r->from), (unsigned long long)r->frames);
    return 0;
}

static int damaged(const struct lca_reader *r, const char *what, struct lca_err *err)
{
    return lca_fail(err, LCA_CORRUPT, "%s: frame %llu at byte %llu: %s", lca_source_name(r->from),
                    (unsigned long long)r->frames, (unsigned long long)r->offset, what);
}

/* A part of the record with its length before it: type, length, bytes into `to`. */
static int part(struct lca_reader *r, const unsigned char *length, size_t limit, struct lca_buf *to,
                struct lca_err *err)
{
    to->len = 0;
    size_t n = get32(length);
    if (n > limit)
        return damaged(r, limit == LCA_HEADER_MAX ? "a header of more than 64 KiB"
                                                  : "a payload of more than 64 MiB", err);
    if (lca_buf_reserve(to, n, err) < 0 || need(r, to->data, n, err) < 0)
        return -1;
    to->len = n;
    return 0;
}

int lca_reader_next(struct lca_reader *r, struct lca_frame *f, struct lca_err *err)
{
    unsigned char open[OPEN], middle[MIDDLE], end[CLOSE];
    size_t got;
    if (lca_source_read(r->from, open, 1, &got, err) < 0)
        return -1;
    if (got == 0)
        return 0;
    if (open[0] != ARRAY_OF_4)
        return damaged(r, "these are no frames", err);
    if (need(r, open + 1, OPEN - 1, err) < 0)
        return -1;
    if (open[1] != UINT_32)
        return damaged(r, "these are no frames", err);
    if (part(r, open + 2, LCA_HEADER_MAX, &r->header, err) < 0 ||
        need(r, middle, MIDDLE, err) < 0)
        return -1;
    if (middle[0] != BIN_32)
        return damaged(r, "no payload after the header", err);
    if (part(r, middle + 1, LCA_PAYLOAD_MAX, &r->payload, err) < 0 ||
        need(r, end, CLOSE, err) < 0)
        return -1;
    if (end[0] != UINT_32)
        return damaged(r, "no CRC after the payload", err);
    uint32_t crc = lca_crc32c(0, r->header.data, r->header.len);
    if (lca_crc32c(crc, r->payload.data, r->payload.len) != get32(end + 1))
        return damaged(r, "damaged: its CRC-32C does not match", err);

    if (lca_frame_decode(f, r->header.data, r->header.len, err) < 0 ||
        lca_frame_attach(f, r->payload.data, r->payload.len, err) < 0)
        return lca_err_prefix(err, "%s: frame %llu at byte %llu", lca_source_name(r->from),
                              (unsigned long long)r->frames, (unsigned long long)r->offset);
    r->frames++;
    r->offset += OPEN + r->header.len + MIDDLE + r->payload.len + CLOSE;
    return 1;
}

int lca_reader_poll(const struct lca_reader *r)
{
    return lca_source_poll(r->from);
}

int lca_reader_fd(const struct lca_reader *r)
{
    return lca_source_fd(r->from);
}

const char *lca_reader_name(const struct lca_reader *r)
{
    return lca_source_name(r->from);
}

uint64_t lca_reader_offset(const struct lca_reader *r)
{
    return r->offset;
}

bool lca_reader_torn(const struct lca_reader *r)
{
    return r->torn || lca_source_torn(r->from);
}

bool lca_reader_compressed(const struct lca_reader *r)
{
    return lca_source_compressed(r->from);
}

bool lca_reader_is_file(const struct lca_reader *r)
{
    return lca_source_is_file(r->from);
}

void lca_reader_close(struct lca_reader *r)
{
    if (!r)
        return;
    lca_source_close(r->from);
    lca_buf_clear(&r->header);
    lca_buf_clear(&r->payload);
    free(r);
}

struct lca_writer *lca_writer_open(const char *path, struct lca_err *err)
{
    struct lca_writer *w = calloc(1, sizeof *w);
    if (!w) {
        lca_fail(err, LCA_INTERNAL, "out of memory");
        return NULL;
    }
    w->to = lca_sink_open(path, err);
    if (!w->to) {
        free(w);
        return NULL;
    }
    return w;
}

void lca_writer_keep(struct lca_writer *w, uint64_t bytes)
{
    lca_sink_keep(w->to, bytes);
}

void lca_writer_patience(struct lca_writer *w, bool (*wait)(void *arg), void *arg)
{
    lca_sink_patience(w->to, wait, arg);
}

int lca_writer_put(struct lca_writer *w, const void *header, size_t header_len,
                   const void *payload, size_t payload_len, struct lca_err *err)
{
    if (header_len > LCA_HEADER_MAX || payload_len > LCA_PAYLOAD_MAX)
        return lca_fail(err, LCA_INTERNAL, "%s: a frame of %zu + %zu bytes is over the limits",
                        lca_sink_name(w->to), header_len, payload_len);
    unsigned char open[OPEN] = {ARRAY_OF_4, UINT_32}, middle[MIDDLE] = {BIN_32},
                  end[CLOSE] = {UINT_32};
    put32(open + 2, header_len);
    put32(middle + 1, payload_len);
    put32(end + 1, lca_crc32c(lca_crc32c(0, header, header_len), payload, payload_len));
    const struct iovec pieces[] = {
        {open, OPEN}, {(void *)(uintptr_t)header, header_len}, {middle, MIDDLE},
        {(void *)(uintptr_t)payload, payload_len}, {end, CLOSE},
    };
    return lca_sink_write(w->to, pieces, sizeof pieces / sizeof *pieces, err);
}

int lca_writer_frame(struct lca_writer *w, struct lca_frame *f, struct lca_err *err)
{
    if (lca_frame_encode(f, &w->header, err) < 0)
        return lca_err_prefix(err, "%s", lca_sink_name(w->to));
    return lca_writer_put(w, w->header.data, w->header.len, f->payload, f->nb, err);
}

int lca_writer_flush(struct lca_writer *w, bool sync, struct lca_err *err)
{
    return lca_sink_flush(w->to, sync, err);
}

const char *lca_writer_name(const struct lca_writer *w)
{
    return lca_sink_name(w->to);
}

int lca_writer_fd(const struct lca_writer *w)
{
    return lca_sink_fd(w->to);
}

int lca_writer_close(struct lca_writer *w, struct lca_err *err)
{
    if (!w)
        return 0;
    int result = lca_sink_close(w->to, err);
    lca_buf_clear(&w->header);
    free(w);
    return result;
}
