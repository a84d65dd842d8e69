#include "base/digest.h"

#include <isa-l/crc.h>
#include <limits.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

void lca_sha256(const void *data, size_t len, uint8_t out[LCA_SHA256_LEN])
{
    /* fails only when OpenSSL was built without SHA-256 */
    if (!EVP_Digest(data, len, out, NULL, EVP_sha256(), NULL))
        abort();
}

void lca_sha256_pieces(const struct iovec *piece, unsigned n, uint8_t out[LCA_SHA256_LEN])
{
    EVP_MD_CTX *c = EVP_MD_CTX_new();
    bool good = c && EVP_DigestInit_ex(c, EVP_sha256(), NULL);
    for (unsigned k = 0; good && k < n; k++)
        good = EVP_DigestUpdate(c, piece[k].iov_base, piece[k].iov_len);
    if (!good || !EVP_DigestFinal_ex(c, out, NULL))
        abort();
    EVP_MD_CTX_free(c);
}

void lca_hex(const uint8_t *data, size_t len, char *out)
{
    static const char digit[] = "0123456789abcdef";
    for (size_t k = 0; k < len; k++) {
        out[2 * k] = digit[data[k] >> 4];
        out[2 * k + 1] = digit[data[k] & 15];
    }
    out[2 * len] = 0;
}

static int value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return -1;
}

int lca_unhex(const char *text, uint8_t *data, size_t len)
{
    if (strlen(text) != 2 * len)
        return -1;
    for (size_t k = 0; k < len; k++) {
        int high = value(text[2 * k]), low = value(text[2 * k + 1]);
        if (high < 0 || low < 0)
            return -1;
        data[k] = (uint8_t)(high << 4 | low);
    }
    return 0;
}

uint32_t lca_crc32c(uint32_t crc, const void *data, size_t len)
{
    unsigned char *p = (unsigned char *)(uintptr_t)data;    /* ISA-L reads it only */
    crc = ~crc;
    while (len > 0) {
        int piece = len > INT_MAX / 2 ? INT_MAX / 2 : (int)len;
        crc = crc32_iscsi(p, piece, crc);
        p += piece;
        len -= (size_t)piece;
    }
    return ~crc;
}
