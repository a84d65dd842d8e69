/* board-text.c: a board as text. */
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "run/board-inside.h"

enum { MAX_CELLS = 11, CELL = 200 };

struct cells {
    char text[MAX_CELLS][CELL];
    int mood;
};

struct table {
    struct cells *line;         /* [n], the first one is the head */
    int n, n_cell, n_left;      /* columns; the first n_left of them and the last are flush left */
    int state;                  /* the column that is coloured */
};

/* numbers, in few letters; what is not known stays empty */

static void count_text(char *to, double v)
{
    if (isnan(v))
        *to = 0;
    else
        snprintf(to, CELL, "%.0f", v);
}

static void rate_text(char *to, double v)
{
    if (isnan(v))
        *to = 0;
    else
        snprintf(to, CELL, v >= 99.95 ? "%.0f" : v >= 0.095 || v == 0 ? "%.1f" : "%.3f", v);
}

static void size_text(char *to, double v)
{
    if (isnan(v))
        *to = 0;
    else if (v >= 1024. * 1024 * 1024)
        snprintf(to, CELL, "%.2f GiB", v / (1024. * 1024 * 1024));
    else
        snprintf(to, CELL, "%.1f MiB", v / (1024. * 1024));
}

static void percent_text(char *to, double v)
{
    if (isnan(v))
        *to = 0;
    else
        snprintf(to, CELL, "%.0f%%", 100 * v);
}

static void seconds_text(char *to, double v)
{
    if (isnan(v))
        *to = 0;
    else
        snprintf(to, CELL, "%.3g", v);
}

/* tables */

static void stage_cells(const struct lca_row *r, struct cells *c)
{
    snprintf(c->text[0], CELL, "%s", r->name);
    snprintf(c->text[1], CELL, "%s", r->state);
    count_text(c->text[2], r->step);
    rate_text(c->text[3], r->steps_rate);
    rate_text(c->text[4], r->bytes_rate / 1e6);
    count_text(c->text[5], r->kept);
    count_text(c->text[6], r->behind);
    count_text(c->text[7], r->credit);
    size_text(c->text[8], r->memory);
    percent_text(c->text[9], r->cpu);
    snprintf(c->text[10], CELL, "%s%s", strcmp(r->state, "waits") == 0 && *r->note ? "for " : "", r->note);
    c->mood = r->mood;
}

static const char *const stage_head[] = {"STAGE", "STATE", "STEP", "STEPS/S", "MB/S", "KEPT", "BEHIND", "CREDIT",
                                         "MEMORY", "CPU", ""};

static void worker_cells(const struct lca_row *r, struct cells *c)
{
    snprintf(c->text[0], CELL, "%s", r->name);
    snprintf(c->text[1], CELL, "%s", r->state);
    count_text(c->text[2], r->held);
    count_text(c->text[3], r->done);
    seconds_text(c->text[4], r->mean);
    count_text(c->text[5], r->pid);
    snprintf(c->text[6], CELL, "%s", r->host);
    c->mood = r->mood;
}

static const char *const worker_head[] = {"WORKER", "STATE", "HELD", "DONE", "S/UNIT", "PID", "HOST"};

static int table_make(struct table *t, const struct lca_row *row, int n, const char *const *head, int n_cell,
                      void (*cells)(const struct lca_row *, struct cells *))
{
    *t = (struct table){.n = n + 1, .n_cell = n_cell, .n_left = 2, .state = 1};
    t->line = calloc((size_t)n + 1, sizeof *t->line);
    if (!t->line)
        return -1;
    for (int c = 0; c < n_cell; c++)
        snprintf(t->line[0].text[c], CELL, "%s", head[c]);
    for (int k = 0; k < n; k++)
        cells(&row[k], &t->line[k + 1]);
    return 0;
}

static const char *color_of(int mood)
{
    return mood == LCA_ROW_BAD ? "\033[31m" : mood == LCA_ROW_WAITS ? "\033[33m" : "";
}

/* One line of text, cut to `columns`; the bytes [from, to) in the colour of mood. */
static int put_line(struct lca_buf *out, const char *line, int columns, int from, int to, int mood, bool color)
{
    int len = (int)strlen(line), end = columns > 0 && len > columns ? columns : len;
    const char *on = color ? color_of(mood) : "";
    while (end > 0 && line[end - 1] == ' ')
        end--;
    from = from < end ? from : end;
    to = to < end ? to : end;
    return lca_buf_printf(out, "%.*s%s%.*s%s%.*s\n", from, line, on, to - from, line + from, *on ? "\033[0m" : "",
                          end - to, line + to);
}

/* Lines [0, n) of the table, as wide as all of them need. */
static int table_put(const struct table *t, int n, int columns, bool color, struct lca_buf *out)
{
    int width[MAX_CELLS] = {0}, result = 0;
    for (int c = 0; c < t->n_cell; c++)
        for (int k = 0; k < t->n; k++) {
            int len = (int)strlen(t->line[k].text[c]);
            width[c] = len > width[c] ? len : width[c];
        }
    for (int k = 0; k < n && result == 0; k++) {
        char line[MAX_CELLS * (CELL + 2) + 1];
        int at = 0, from = 0, to = 0;
        for (int c = 0; c < t->n_cell; c++) {
            bool left = c < t->n_left || c == t->n_cell - 1;
            const char *gap = c ? "  " : "";
            if (c == t->state)
                from = at + 2;
            at += left ? sprintf(line + at, "%s%-*s", gap, width[c], t->line[k].text[c])
                       : sprintf(line + at, "%s%*s", gap, width[c], t->line[k].text[c]);
            if (c == t->state)
                to = at;
        }
        result = put_line(out, line, columns, from, to, t->line[k].mood, color && k > 0);
    }
    return result;
}

/* what the pools say */

static double number(const json_t *map, const char *key)
{
    return json_number_value(json_object_get(map, key));
}

/* "41 units wait, 15 points in flight, 324 done, 0 given twice, 52.1 units/s, 1 worker late" */
static void pool_text(const struct lca_board *b, const json_t *status, char *to, size_t size)
{
    const json_t *pool = json_object_get(status, "pool");
    const struct lca_track *track = lca_board_track(b, json_string_value(json_object_get(status, "name")));
    double rate = lca_track_rate(track, offsetof(struct lca_sample, units));
    int late = 0;
    size_t k;
    json_t *w;
    json_array_foreach(json_object_get(status, "workers"), k, w) {
        const char *state = json_string_value(json_object_get(w, "state"));
        late += state && strcmp(state, "late") == 0;
    }
    snprintf(to, size, "%.0f units wait, %.0f points in flight, %.0f done, %.0f given twice", number(pool, "waiting"),
             number(pool, "points"), number(pool, "units"), number(pool, "again"));
    size_t n = strlen(to);
    if (!isnan(rate))
        n += (size_t)snprintf(to + n, size - n, ", %.1f units/s", rate);
    if (late)
        snprintf(to + n, size - n, ", %d worker%s late", late, late > 1 ? "s" : "");
}

static int put_pools(const struct lca_board *b, const char *prefix, int columns, struct lca_buf *out)
{
    int result = 0;
    for (int k = 0; k < b->n && result == 0; k++) {
        char what[200], line[CELL + 240];
        if (!json_object_get(b->stage[k].status, "pool"))
            continue;
        pool_text(b, b->stage[k].status, what, sizeof what);
        snprintf(line, sizeof line, "%spool: %s", prefix, what);
        result = put_line(out, line, columns, 0, 0, LCA_ROW_FINE, false);
    }
    return result;
}

static int put_progress(const struct lca_board *b, const char *prefix, int columns, struct lca_buf *out)
{
    char text[256], line[CELL + 300];
    if (b->progress.step == 0)
        return 0;
    lca_progress_text(&b->progress, text, sizeof text);
    snprintf(line, sizeof line, "%s%s", prefix, text);
    return put_line(out, line, columns, 0, 0, LCA_ROW_FINE, false);
}

/* the picture */

static int count_pools(const struct lca_board *b)
{
    int n = 0;
    for (int k = 0; k < b->n; k++)
        n += json_object_get(b->stage[k].status, "pool") != NULL;
    return n;
}

/* How many of a table's lines fit in `room`, its head among them; *left: of how many a
 * line of its own must tell, for which there is room then. */
static int fitting(int lines, int room, int *left)
{
    int n = lines <= room ? lines : room > 2 ? room - 1 : 0;
    *left = n > 0 ? lines - n : 0;
    return n;
}

static int put_left(int left, const char *what, int columns, struct lca_buf *out)
{
    char line[80];
    if (left == 0)
        return 0;
    snprintf(line, sizeof line, "... and %d more %s%s", left, what, left > 1 ? "s" : "");
    return put_line(out, line, columns, 0, 0, LCA_ROW_FINE, false);
}

int lca_board_picture(const struct lca_board *b, double now, int rows, int columns, bool color, struct lca_buf *out)
{
    int n_stage, n_worker, result = -1, left_stages = 0, left_workers = 0;
    struct table stages = {0}, workers = {0};
    struct lca_row *stage = lca_board_rows(b, now, &n_stage), *worker = lca_board_workers(b, now, &n_worker);
    if (!stage || !worker || table_make(&stages, stage, n_stage, stage_head, 11, stage_cells) < 0 ||
        table_make(&workers, worker, n_worker, worker_head, 7, worker_cells) < 0)
        goto out;
    int n_pool = count_pools(b), show_stages = stages.n, show_workers = n_worker ? workers.n : 0;
    if (rows > 0) {
        int room = rows - (b->progress.step > 0) - 1;
        show_stages = fitting(stages.n, room, &left_stages);
        room -= show_stages + (left_stages > 0);
        n_pool = room > n_pool ? n_pool : 0;
        room -= n_pool ? n_pool + 1 : 0;
        show_workers = n_pool ? fitting(show_workers, room, &left_workers) : 0;
    }
    if (put_progress(b, "", columns, out) < 0 || lca_buf_printf(out, "\n") < 0 ||
        table_put(&stages, show_stages, columns, color, out) < 0 || put_left(left_stages, "stage", columns, out) < 0)
        goto out;
    if (n_pool && (lca_buf_printf(out, "\n") < 0 || put_pools(b, "", columns, out) < 0))
        goto out;
    if (table_put(&workers, show_workers, columns, color, out) < 0 ||
        put_left(left_workers, "worker", columns, out) < 0)
        goto out;
    result = 0;
out:
    free(stage);
    free(worker);
    free(stages.line);
    free(workers.line);
    return result;
}

/* plain lines */

static void append(char *line, size_t size, const char *format, const char *value)
{
    size_t n = strlen(line);
    if (*value)
        snprintf(line + n, size - n, format, value);
}

static void stage_line(const struct lca_row *r, const char *prefix, char *line, size_t size)
{
    struct cells c = {0};
    stage_cells(r, &c);
    snprintf(line, size, "%s%s: %s", prefix, r->name, r->state);
    append(line, size, " %s", c.text[10]);
    append(line, size, ", step %s", c.text[2]);
    append(line, size, ", %s steps/s", c.text[3]);
    append(line, size, ", %s MB/s", c.text[4]);
    append(line, size, ", %s kept", c.text[5]);
    append(line, size, ", %s behind", c.text[6]);
    append(line, size, ", credit %s", c.text[7]);
    append(line, size, ", %s", c.text[8]);
    append(line, size, ", %s cpu", c.text[9]);
}

static void worker_line(const struct lca_row *r, const char *prefix, char *line, size_t size)
{
    struct cells c = {0};
    worker_cells(r, &c);
    snprintf(line, size, "%s%s: %s", prefix, r->name, r->state);
    append(line, size, ", %s held", c.text[2]);
    append(line, size, ", %s done", c.text[3]);
    append(line, size, ", %s s each", c.text[4]);
    append(line, size, ", pid %s", c.text[5]);
    append(line, size, " on %s", c.text[6]);
}

int lca_board_lines(const struct lca_board *b, double now, const char *prefix, struct lca_buf *out)
{
    int n_stage, n_worker, result = -1;
    struct lca_row *stage = lca_board_rows(b, now, &n_stage), *worker = lca_board_workers(b, now, &n_worker);
    char line[1200], run[CELL];
    if (!stage || !worker)
        goto out;
    snprintf(run, sizeof run, "%.180srun: ", prefix);
    result = put_progress(b, run, 0, out);
    for (int k = 0; k < n_stage && result == 0; k++) {
        stage_line(&stage[k], prefix, line, sizeof line);
        result = put_line(out, line, 0, 0, 0, LCA_ROW_FINE, false);
    }
    if (result == 0)
        result = put_pools(b, prefix, 0, out);
    for (int k = 0; k < n_worker && result == 0; k++) {
        worker_line(&worker[k], prefix, line, sizeof line);
        result = put_line(out, line, 0, 0, 0, LCA_ROW_FINE, false);
    }
out:
    free(stage);
    free(worker);
    return result;
}
