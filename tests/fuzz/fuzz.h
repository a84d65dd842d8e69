/* fuzz.h: what the fuzz targets share. A target is one file fuzz-NAME.c with the
 * function that libFuzzer calls, LLVMFuzzerTestOneInput; the head of the file says what
 * its bytes mean and what must hold of them. */
#ifndef LCA_FUZZ_FUZZ_H
#define LCA_FUZZ_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Ends the program, as a failure that libFuzzer keeps the input of. */
void fuzz_fail(const char *format, ...) LCA_PRINTF(1, 2) __attribute__((noreturn));

/* Holds, or what is said has been found. */
#define fuzz_check(holds, ...) ((holds) ? (void)0 : fuzz_fail(__VA_ARGS__))

/* After a failure: it must have been told in a sentence, with a status of its kind. */
void fuzz_told(const struct lca_err *err);

/* A file that holds these bytes, as a path that stays good until the next call with the
 * same place, 0 to 3. Readers see a regular file. */
const char *fuzz_file(int place, const void *bytes, size_t len);

/* Seconds, for lca_now: see clock.h. Every look at it takes a microsecond. */
extern double fuzz_now;

/* Bytes as they are asked for; past the end, zeros. */
struct fuzz_bytes {
    const uint8_t *at, *end;
};
uint64_t fuzz_take(struct fuzz_bytes *b, unsigned n);           /* n bytes, little-endian */
struct fuzz_bytes fuzz_piece(struct fuzz_bytes *b, size_t len); /* of len bytes, or what is left */
static inline size_t fuzz_left(const struct fuzz_bytes *b)
{
    return (size_t)(b->end - b->at);
}

/* Writes the checksums of a record, or of a header and its payload, that the bytes ought
 * to have, so that what lies behind them is reached. Lengths that lead nowhere are left. */
void fuzz_mend_record(uint8_t *record, size_t len);

#endif
