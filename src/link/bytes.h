/* bytes.h: streams of bytes to and from a descriptor, with zstd on the way where
 * wanted; what record.c reads and writes records through. */
#ifndef LCA_LINK_BYTES_H
#define LCA_LINK_BYTES_H

#include <stdint.h>
#include <sys/uio.h>

#include "base/err.h"

struct lca_source;      /* opaque: bytes in */
struct lca_sink;        /* opaque: bytes out */

/* path NULL or "-": stdin. Whether the bytes are zstd is told by the first of them. */
struct lca_source *lca_source_open(const char *path, struct lca_err *err) LCA_MUST_USE;

/* Reads n bytes, however the other side split them; fewer only at the end. */
int lca_source_read(struct lca_source *s, void *to, size_t n, size_t *got,
                    struct lca_err *err) LCA_MUST_USE;

/* Descriptor to poll before a blocking read; -1: bytes wait here, or a regular file. */
int lca_source_poll(const struct lca_source *s);
int lca_source_fd(const struct lca_source *s);
bool lca_source_is_file(const struct lca_source *s);        /* a regular file */
bool lca_source_compressed(const struct lca_source *s);
bool lca_source_torn(const struct lca_source *s);           /* ended within the zstd data */
const char *lca_source_name(const struct lca_source *s);
void lca_source_close(struct lca_source *s);

/* path NULL or "-": stdout. A name that ends in .zst is compressed. A terminal is
 * refused. A file that is there keeps what it holds until the first bytes are written. */
struct lca_sink *lca_sink_open(const char *path, struct lca_err *err) LCA_MUST_USE;

/* Of a file: the first `bytes` bytes stay when the first are written, which go after them. */
void lca_sink_keep(struct lca_sink *s, uint64_t bytes);

/* Where a file finds no room on the disk, `wait` is called about once a second, and the
 * write is tried again while it says so. */
void lca_sink_patience(struct lca_sink *s, bool (*wait)(void *arg), void *arg);

/* Takes n pieces in one go; n <= 8. Small ones are gathered, large ones go straight
 * to the kernel. After a failure every later call reports that first one. */
int lca_sink_write(struct lca_sink *s, const struct iovec *piece, unsigned n,
                   struct lca_err *err) LCA_MUST_USE;

/* Hands everything to the kernel; sync: waits until it is on the disk. */
int lca_sink_flush(struct lca_sink *s, bool sync, struct lca_err *err) LCA_MUST_USE;
int lca_sink_fd(const struct lca_sink *s);
const char *lca_sink_name(const struct lca_sink *s);

/* Ends the stream and reports what fails, or failed before; frees s always. */
int lca_sink_close(struct lca_sink *s, struct lca_err *err) LCA_MUST_USE;

#endif
