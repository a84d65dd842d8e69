/* digest.h: SHA-256 (OpenSSL) where content is identified, CRC-32C (ISA-L) where
 * bytes are checked on their way. */
#ifndef LCA_BASE_DIGEST_H
#define LCA_BASE_DIGEST_H

#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "base/err.h"

#define LCA_SHA256_LEN 32
#define LCA_SHA256_HEX 65       /* 64 digits and the final zero */

void lca_sha256(const void *data, size_t len, uint8_t out[LCA_SHA256_LEN]);
void lca_sha256_pieces(const struct iovec *piece, unsigned n, uint8_t out[LCA_SHA256_LEN]);
void lca_hex(const uint8_t *data, size_t len, char *out);           /* out[2*len+1] */
int lca_unhex(const char *text, uint8_t *data, size_t len) LCA_MUST_USE;    /* -1: not 2*len hex digits */

/* CRC-32C of the bytes, going on from `crc` (0 to begin):
 * lca_crc32c(lca_crc32c(0, a), b) is that of a followed by b. */
uint32_t lca_crc32c(uint32_t crc, const void *data, size_t len);

#endif
