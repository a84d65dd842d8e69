/* record.h: frames on pipes and in files.
 *
 * One frame is one MessagePack array of four, with fixed-width lengths:
 *   94  ce HHHH <header>  c6 PPPP <payload>  ce CCCC
 * CCCC = CRC-32C of header and payload. A .lca file is exactly that stream; a name
 * that ends in .zst is compressed with zstd on the way (read: told by its bytes). */
#ifndef LCA_LINK_RECORD_H
#define LCA_LINK_RECORD_H

#include "base/err.h"
#include "frame/frame.h"

struct lca_reader;      /* opaque */
struct lca_writer;

/* " (step T)", for messages. */
struct lca_step_text {
    char text[40];
};

/* path NULL or "-": stdin, stdout. A writer to a file creates it, or replaces what it
 * holds when the first frame comes, and refuses a terminal. */
struct lca_reader *lca_reader_open(const char *path, struct lca_err *err) LCA_MUST_USE;
struct lca_writer *lca_writer_open(const char *path, struct lca_err *err) LCA_MUST_USE;

/* Reads the next frame, payload attached (64-byte aligned, valid until the next
 * read). Returns 1: a frame; 0: the bytes end here, between frames; -1: error, of
 * status LCA_CORRUPT when the bytes are damaged or end within a frame. It checks
 * single frames only: HEAD first, seq without a gap, EOS last are lca_in's care. */
int lca_reader_next(struct lca_reader *r, struct lca_frame *f, struct lca_err *err) LCA_MUST_USE;

/* Descriptor to wait on before a blocking read, or -1 when input is already
 * buffered or a regular file. */
int lca_reader_poll(const struct lca_reader *r);
int lca_reader_fd(const struct lca_reader *r);
const char *lca_reader_name(const struct lca_reader *r);     /* for messages */
uint64_t lca_reader_offset(const struct lca_reader *r);      /* bytes of whole frames read, uncompressed */
bool lca_reader_torn(const struct lca_reader *r);       /* the bytes ended within a frame */
bool lca_reader_compressed(const struct lca_reader *r);
bool lca_reader_is_file(const struct lca_reader *r);    /* a regular file: what lca-cat --repair can mend */
void lca_reader_close(struct lca_reader *r);

/* A file goes on after its first `bytes` bytes: what follows them is cut when the first
 * frame comes. To be called before that. */
void lca_writer_keep(struct lca_writer *w, uint64_t bytes);

/* What to do when there is no room on the disk: `wait` is called again and again, about
 * once a second, and says whether to go on waiting. Without it a full disk is an error. */
void lca_writer_patience(struct lca_writer *w, bool (*wait)(void *arg), void *arg);

/* Writes one frame: header as lca_frame_encode made it, payload of f. Raw frames
 * go through unchanged. */
int lca_writer_put(struct lca_writer *w, const void *header, size_t header_len,
                   const void *payload, size_t payload_len, struct lca_err *err) LCA_MUST_USE;
int lca_writer_frame(struct lca_writer *w, struct lca_frame *f, struct lca_err *err) LCA_MUST_USE;

/* Pushes what is buffered to the kernel (and, sync, to the disk: fdatasync). */
int lca_writer_flush(struct lca_writer *w, bool sync, struct lca_err *err) LCA_MUST_USE;

const char *lca_writer_name(const struct lca_writer *w);     /* for messages */
int lca_writer_fd(const struct lca_writer *w);

/* Ends the stream (zstd frame, flush) and reports what fails; frees w always. */
int lca_writer_close(struct lca_writer *w, struct lca_err *err) LCA_MUST_USE;

#endif
