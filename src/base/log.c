#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

static const char *the_program = "lca";
static const char *the_stage;
static bool verbose;

void lca_log_init(const char *program, const char *stage)
{
    the_program = program;
    the_stage = stage;
}

void lca_log_verbose(bool on)
{
    verbose = on;
}

static void put(const char *level, const char *format, va_list ap)
{
    char line[1024];
    int n = the_stage ? snprintf(line, sizeof line, "%s[%s]: %s", the_program, the_stage, level)
                      : snprintf(line, sizeof line, "%s: %s", the_program, level);
    if (n < 0 || n >= (int)sizeof line)
        return;
    int m = vsnprintf(line + n, sizeof line - (size_t)n - 1, format, ap);
    if (m < 0)
        return;
    n += m;
    if (n > (int)sizeof line - 2)
        n = (int)sizeof line - 2;
    /* what a peer wrote must not move the cursor of whoever reads it */
    for (int k = 0; k < n; k++)
        if ((unsigned char)line[k] < 0x20 || line[k] == 0x7f)
            line[k] = '?';
    line[n++] = '\n';
    ssize_t written = write(STDERR_FILENO, line, (size_t)n);
    (void)written;      /* there is nowhere left to say that stderr fails */
}

#define PUT(level) va_list ap; va_start(ap, format); put(level, format, ap); va_end(ap)

void lca_error(const char *format, ...)
{
    PUT("error: ");
}

void lca_warn(const char *format, ...)
{
    PUT("warning: ");
}

void lca_note(const char *format, ...)
{
    PUT("");
}

void lca_info(const char *format, ...)
{
    if (!verbose)
        return;
    PUT("");
}
