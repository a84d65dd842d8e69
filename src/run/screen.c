#include "run/screen.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <unistd.h>

/* Back to the first column, and clear to the end of the line (ECMA-48, EL). */
static const char wipe[] = "\r\033[K";

static void put(int fd, const char *before, const char *text, size_t len, const char *after)
{
    struct iovec parts[] = {
        {(void *)before, strlen(before)}, {(void *)text, len}, {(void *)after, strlen(after)},
    };
    ssize_t written = writev(fd, parts, 3);
    (void)written;      /* a run goes on without its audience; the log may be full */
}

void lca_screen_init(struct lca_screen *s)
{
    const char *term = getenv("TERM");
    *s = (struct lca_screen){.log = -1};
    s->terminal = isatty(STDERR_FILENO) && term && *term && strcmp(term, "dumb") != 0;
}

void lca_screen_log(struct lca_screen *s, const char *text, size_t len)
{
    if (s->log >= 0)
        put(s->log, "", text, len, "\n");
}

void lca_screen_line(struct lca_screen *s, const char *text, size_t len)
{
    char after[sizeof s->live + 8] = "\n";
    if (s->live[0])
        snprintf(after, sizeof after, "\n%s\r", s->live);
    put(STDERR_FILENO, s->live[0] ? wipe : "", text, len, after);
    lca_screen_log(s, text, len);
}

void lca_screen_say(struct lca_screen *s, const char *format, ...)
{
    char line[800] = "lca-run: ";
    size_t used = strlen(line);
    va_list ap;
    va_start(ap, format);
    vsnprintf(line + used, sizeof line - used, format, ap);
    va_end(ap);
    lca_screen_line(s, line, strlen(line));
}

void lca_screen_progress(struct lca_screen *s, const char *text)
{
    if (!s->terminal) {
        put(STDERR_FILENO, "", text, strlen(text), "\n");
        return;
    }
    /* A line as wide as the terminal would wrap and could not be wiped. The cursor
     * waits in the first column, where the stdout of a stage writes over the line. */
    struct winsize size = {0};
    size_t most = sizeof s->live - 1;
    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 1 && size.ws_col - 1u < most)
        most = size.ws_col - 1u;
    snprintf(s->live, most + 1, "%s", text);
    put(STDERR_FILENO, wipe, s->live, strlen(s->live), "\r");
}

void lca_screen_end(struct lca_screen *s)
{
    if (s->live[0])
        put(STDERR_FILENO, "", s->live, strlen(s->live), "\n");
    s->live[0] = 0;
}
