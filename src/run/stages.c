#include "run/stages.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"

static const char name_chars[] = "abcdefghijklmnopqrstuvwxyz0123456789._-";

struct reader {
    const char *at, *end;
    const char *file;
    int line;
};

/* Joins physical lines into the next stage line, ended by a zero, in out.
 * 1; 0 at the end of the file; -1. *first is the number of its first line. */
static int next_line(struct reader *r, struct lca_buf *out, int *first, struct lca_err *err)
{
    bool joined = false;
    out->len = 0;
    while (r->at < r->end) {
        const char *text = r->at, *stop = memchr(text, '\n', (size_t)(r->end - text));
        size_t len = (size_t)((stop ? stop : r->end) - text), blank = 0;
        r->at = stop ? stop + 1 : r->end;
        r->line++;
        if (len && text[len - 1] == '\r')
            len--;
        if (!joined) {
            while (blank < len && strchr(" \t", text[blank]))
                blank++;
            if (blank == len || text[blank] == '#')
                continue;
            *first = r->line;
        }
        joined = len && text[len - 1] == '\\';
        if (lca_buf_append(out, text, len - joined, err) < 0)
            return -1;
        if (!joined)
            return lca_buf_append(out, "", 1, err) < 0 ? -1 : 1;
    }
    if (joined)
        return lca_fail(err, LCA_USAGE, "%s:%d: ends with a backslash and nothing follows",
                        r->file, r->line);
    return 0;
}

static int add(struct lca_stages *s, const struct lca_stage *stage, const char *command,
               const char *file, struct lca_err *err)
{
    for (int k = 0; k < s->n; k++)
        if (strcmp(s->item[k].name, stage->name) == 0)
            return lca_fail(err, LCA_USAGE, "%s:%d: the name %s is taken by line %d", file,
                            stage->line, stage->name, s->item[k].line);
    if (s->n == LCA_STAGES_MAX)
        return lca_fail(err, LCA_USAGE, "%s:%d: more than %d processes", file, stage->line,
                        LCA_STAGES_MAX);
    s->item[s->n] = *stage;
    s->item[s->n].command = strdup(command);
    if (!s->item[s->n].command)
        return lca_fail(err, LCA_INTERNAL, "out of memory");
    s->n++;
    return 0;
}

/* text is one joined line; blanks at its end are cut off in place. */
static int parse(struct lca_stages *s, char *text, int line, const char *file, struct lca_err *err)
{
    struct lca_stage stage = {.line = line};
    text += strspn(text, " \t");
    size_t len = strspn(text, name_chars);
    if (len == 0)
        return lca_fail(err, LCA_USAGE, "%s:%d: write NAME: COMMAND, NAME made of a-z 0-9 . _ -",
                        file, line);
    if (len >= sizeof stage.pool)
        return lca_fail(err, LCA_USAGE, "%s:%d: the name is longer than %zu letters", file, line,
                        sizeof stage.pool - 1);
    memcpy(stage.pool, text, len);
    text += len;
    if (*text == '*') {
        char *end;
        long n = strtol(text + 1, &end, 10);
        if (!strchr("123456789", text[1]) || n < 1 || n > LCA_STAGES_MAX)
            return lca_fail(err, LCA_USAGE, "%s:%d: after %s* comes a number of workers, 1 to %d",
                            file, line, stage.pool, LCA_STAGES_MAX);
        stage.copies = (int)n;
        text = end;
    }
    text += strspn(text, " \t");
    if (*text != ':')
        return lca_fail(err, LCA_USAGE, "%s:%d: a colon is missing after the name %s", file, line,
                        stage.pool);
    text++;
    text += strspn(text, " \t");
    size_t end = strlen(text);
    while (end && strchr(" \t", text[end - 1]))
        end--;
    text[end] = 0;
    if (!*text)
        return lca_fail(err, LCA_USAGE, "%s:%d: %s has no command", file, line, stage.pool);
    if (!stage.copies) {
        strcpy(stage.name, stage.pool);
        return add(s, &stage, text, file, err);
    }
    for (stage.copy = 1; stage.copy <= stage.copies; stage.copy++) {
        snprintf(stage.name, sizeof stage.name, "%s.%d", stage.pool, stage.copy);
        if (add(s, &stage, text, file, err) < 0)
            return -1;
    }
    return 0;
}

int lca_stages_parse(struct lca_stages *s, const char *text, size_t len, const char *file,
                     struct lca_err *err)
{
    struct reader r = {.at = text, .end = text + len, .file = file};
    struct lca_buf joined = {0};
    int line = 0, more = -1, others = 0;
    *s = (struct lca_stages){.item = lca_alloc(LCA_STAGES_MAX, sizeof *s->item, err)};
    if (!s->item)
        return -1;
    if (memchr(text, 0, len)) {
        lca_fail(err, LCA_USAGE, "%s: not a text file", file);
        goto out;
    }
    while ((more = next_line(&r, &joined, &line, err)) > 0)
        if (parse(s, (char *)joined.data, line, file, err) < 0) {
            more = -1;
            break;
        }
    for (int k = 0; k < s->n; k++)
        others += !s->item[k].copies;
    if (more == 0 && !others)
        more = lca_fail(err, LCA_USAGE, "%s: no stage%s", file, s->n ? " but workers" : "");
out:
    lca_buf_clear(&joined);
    if (more < 0)
        lca_stages_clear(s);
    return more;
}

void lca_stages_clear(struct lca_stages *s)
{
    for (int k = 0; k < s->n; k++)
        free(s->item[k].command);
    free(s->item);
    *s = (struct lca_stages){0};
}
