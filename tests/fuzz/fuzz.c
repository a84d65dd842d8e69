#include "fuzz.h"

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/digest.h"

double fuzz_now = 1000;

double lca_now(void)
{
    return fuzz_now += 1e-6;
}

void fuzz_fail(const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    fputs("found: ", stderr);
    vfprintf(stderr, format, ap);
    fputc('\n', stderr);
    va_end(ap);
    abort();
}

void fuzz_told(const struct lca_err *err)
{
    static const int of_input[] = {LCA_USAGE, LCA_CORRUPT, LCA_UPSTREAM, LCA_DIFFER, LCA_PEER};
    fuzz_check(err->text[0], "a failure without a sentence");
    for (size_t k = 0; k < sizeof of_input / sizeof *of_input; k++)
        if (err->status == of_input[k])
            return;
    fuzz_fail("status %d for bad input: %s", err->status, err->text);
}

const char *fuzz_file(int place, const void *bytes, size_t len)
{
    static int fd[4];
    static char path[4][32];
    if (!fd[place]) {
        fd[place] = memfd_create("fuzz", MFD_CLOEXEC);
        fuzz_check(fd[place] > 0, "no file in memory");
        snprintf(path[place], sizeof path[place], "/proc/self/fd/%d", fd[place]);
    }
    fuzz_check(ftruncate(fd[place], 0) == 0 && pwrite(fd[place], bytes, len, 0) == (ssize_t)len, "cannot write");
    return path[place];
}

uint64_t fuzz_take(struct fuzz_bytes *b, unsigned n)
{
    uint64_t x = 0;
    for (unsigned k = 0; k < n && b->at < b->end; k++)
        x |= (uint64_t)*b->at++ << 8 * k;
    return x;
}

struct fuzz_bytes fuzz_piece(struct fuzz_bytes *b, size_t len)
{
    struct fuzz_bytes piece = {b->at, b->at + (len < fuzz_left(b) ? len : fuzz_left(b))};
    b->at = piece.end;
    return piece;
}

static void put32(uint8_t *p, uint32_t x)
{
    for (int k = 0; k < 4; k++)
        p[k] = (uint8_t)(x >> (24 - 8 * k));
}

static uint32_t get32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* The value of key crc is the last of a header that has one, as our own encoder writes
 * it: five bytes when it takes 32 bits, which all but one of 65,536 do. */
static void mend_header(uint8_t *header, size_t len, const uint8_t *payload, size_t payload_len)
{
    static const uint8_t key[] = {0xa3, 'c', 'r', 'c', 0xce};
    if (len >= sizeof key + 4 && memcmp(header + len - sizeof key - 4, key, sizeof key) == 0)
        put32(header + len - 4, lca_crc32c(0, payload, payload_len));
}

void fuzz_mend_record(uint8_t *record, size_t len)
{
    enum { OPEN = 6, MIDDLE = 5, CLOSE = 5 };
    if (len < OPEN + MIDDLE + CLOSE)
        return;
    size_t header_len = get32(record + 2);
    if (header_len > len - OPEN - MIDDLE - CLOSE)
        return;
    uint8_t *header = record + OPEN, *payload = header + header_len + MIDDLE;
    size_t payload_len = get32(payload - 4);
    if (payload_len > (size_t)(record + len - CLOSE - payload))
        return;
    mend_header(header, header_len, payload, payload_len);
    put32(payload + payload_len + 1, lca_crc32c(lca_crc32c(0, header, header_len), payload, payload_len));
    fuzz_mend_record(payload + payload_len + CLOSE, (size_t)(record + len - payload) - payload_len - CLOSE);
}

/* $FUZZ_CPU seconds of the processor, however many others want it: libFuzzer's own limit
 * is one of wall time. It ends in order on SIGUSR2; SIGUSR1 asks stages how they are. */
__attribute__((constructor)) static void limit_cpu(void)
{
    const char *seconds = getenv("FUZZ_CPU");
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR2};
    struct itimerspec when = {.it_value.tv_sec = seconds ? atol(seconds) : 0};
    timer_t timer;
    if (when.it_value.tv_sec > 0 && timer_create(CLOCK_PROCESS_CPUTIME_ID, &event, &timer) == 0)
        timer_settime(timer, 0, &when, NULL);
}
