#include "run/board.h"

#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "run/board-inside.h"

/* Seconds. A stage tells once a second; after the first of these it is silent. What a stage
 * has told of and tells of no more is shown for as long as the second. */
#define SILENT 3.0
#define REMEMBERED 60.0

static const char *text(const json_t *map, const char *key)
{
    const char *t = json_string_value(json_object_get(map, key));
    return t ? t : "";
}

static double number(const json_t *map, const char *key)
{
    const json_t *v = json_object_get(map, key);
    return json_is_number(v) ? json_number_value(v) : NAN;
}

/* What a peer wrote must not move the cursor of whoever reads it. */
static void copy(char *to, size_t size, const char *from)
{
    snprintf(to, size, "%s", from);
    for (char *p = to; *p; p++)
        if (*p < 0x20 || *p > 0x7e)
            *p = '?';
}

/* rates */

const struct lca_track *lca_board_track(const struct lca_board *b, const char *name)
{
    for (int k = 0; k < b->n_track; k++)
        if (strcmp(b->track[k].name, name) == 0)
            return &b->track[k];
    return NULL;
}

static int sample(struct lca_board *b, const char *name, const struct lca_sample *s, struct lca_err *err)
{
    struct lca_track *t = (struct lca_track *)lca_board_track(b, name);
    if (!t) {
        t = realloc(b->track, (size_t)(b->n_track + 1) * sizeof *t);
        if (!t)
            return lca_fail(err, LCA_INTERNAL, "out of memory");
        b->track = t;
        t += b->n_track++;
        *t = (struct lca_track){0};
        snprintf(t->name, sizeof t->name, "%s", name);
    }
    const struct lca_sample *last = t->n ? &t->sample[(t->at + LCA_BOARD_SAMPLES - 1) % LCA_BOARD_SAMPLES] : NULL;
    if (last && s->up < last->up)
        t->n = t->at = 0;           /* another process has taken its place */
    else if (last && s->up < last->up + 0.2)
        return 0;                   /* the same status, from another tap */
    t->sample[t->at] = *s;
    t->at = (t->at + 1) % LCA_BOARD_SAMPLES;
    t->n += t->n < LCA_BOARD_SAMPLES;
    return 0;
}

double lca_track_rate(const struct lca_track *t, size_t field)
{
    static const double enough = 10, seconds = 5;
    double up[2] = {0}, value[2] = {NAN, NAN};
    for (int k = 1; t && k <= t->n; k++) {
        const struct lca_sample *s = &t->sample[(t->at + LCA_BOARD_SAMPLES - k) % LCA_BOARD_SAMPLES];
        double v;
        memcpy(&v, (const char *)s + field, sizeof v);
        if (isnan(v))
            break;
        up[k > 1] = s->up;
        value[k > 1] = v;
        if (k > 1 && up[0] - up[1] >= seconds && value[0] - value[1] >= enough)
            break;
    }
    return up[0] > up[1] ? (value[0] - value[1]) / (up[0] - up[1]) : NAN;
}

/* what comes */

static void key_of(char *key, size_t size, const json_t *producer, const json_t *consumer)
{
    snprintf(key, size, "%.70s/%.70s", text(producer, "name"), text(consumer, "name"));
}

/* The stage's numbers, and those of who is known by it alone. */
static int take_samples(struct lca_board *b, const json_t *status, struct lca_err *err)
{
    struct lca_sample s = {.up = number(status, "up"), .it = number(status, "it"), .cpu = number(status, "cpu"),
                           .units = number(json_object_get(status, "pool"), "units")};
    size_t k;
    json_t *x;
    json_array_foreach(json_object_get(status, "out"), k, x)
        s.bytes += number(x, "bytes");
    if (sample(b, text(status, "name"), &s, err) < 0)
        return -1;
    json_array_foreach(json_object_get(status, "consumers"), k, x) {
        char key[sizeof b->track->name];
        struct lca_sample c = {.up = s.up, .it = number(x, "it"), .bytes = NAN, .cpu = NAN, .units = NAN};
        key_of(key, sizeof key, status, x);
        if (sample(b, key, &c, err) < 0)
            return -1;
    }
    return 0;
}

static struct lca_board_stage *place(struct lca_board *b, const json_t *status, double now)
{
    const char *name = text(status, "name");
    double pid = number(status, "pid");
    for (int k = 0; k < b->n; k++) {
        struct lca_board_stage *t = &b->stage[k];
        if (strcmp(text(t->status, "name"), name) == 0 &&
            (number(t->status, "pid") == pid || t->gone || now > t->at + SILENT))
            return t;
    }
    return b->n < LCA_BOARD_STAGES ? &b->stage[b->n++] : NULL;
}

static bool same(const json_t *a, const json_t *b)
{
    return strcmp(text(a, "name"), text(b, "name")) == 0 && strcmp(text(a, "st"), text(b, "st")) == 0;
}

/* Consumers, or workers, that were in the status before and are not in this one have gone:
 * they are added to it as such. */
static int remember(json_t *status, const json_t *before, const char *list, double now)
{
    size_t k, n;
    json_t *old, *x;
    json_array_foreach(json_object_get(before, list), k, old) {
        double since = number(old, "gone");
        bool there = false;
        json_array_foreach(json_object_get(status, list), n, x)
            there |= same(x, old);
        if (there || now > since + REMEMBERED)
            continue;
        if (!json_object_get(status, list) && json_object_set_new(status, list, json_array()) < 0)
            return -1;
        if ((isnan(since) && json_object_set_new(old, "gone", json_real(now)) < 0) ||
            json_array_append(json_object_get(status, list), old) < 0)
            return -1;
    }
    return 0;
}

static int take_status(struct lca_board *b, const json_t *status, const char *tap, double now, struct lca_err *err)
{
    struct lca_board_stage *t = place(b, status, now);
    json_t *own = t ? json_deep_copy(status) : NULL;
    if (!t)
        return 0;       /* more than a screen holds */
    /* another process of that name has yet to meet those that the one before it knew */
    const json_t *before = number(status, "pid") == number(t->status, "pid") ? t->status : NULL;
    if (!own || remember(own, before, "consumers", now) < 0 || remember(own, before, "workers", now) < 0) {
        json_decref(own);
        return lca_fail(err, LCA_INTERNAL, "out of memory");
    }
    json_decref(t->status);
    *t = (struct lca_board_stage){.status = own, .at = now};
    snprintf(t->tap, sizeof t->tap, "%s", tap);
    return take_samples(b, status, err);
}

int lca_board_take(struct lca_board *b, const json_t *frame, const char *tap, double now, struct lca_err *err)
{
    const char *t = text(frame, "t");
    if (strcmp(t, "STATUS") == 0)
        return take_status(b, frame, tap, now, err);
    if (strcmp(t, "HEAD") == 0 && json_is_integer(json_object_get(frame, "it1")))
        b->progress.iterations = (long)json_integer_value(json_object_get(frame, "it1"));
    if (strcmp(t, "lca") == 0)
        lca_progress_take(&b->progress, frame, now);
    return 0;
}

void lca_board_gone(struct lca_board *b, const char *tap)
{
    for (int k = 0; k < b->n; k++)
        if (strcmp(b->stage[k].tap, tap) == 0)
            b->stage[k].gone = true;
}

void lca_board_clear(struct lca_board *b)
{
    for (int k = 0; k < b->n; k++)
        json_decref(b->stage[k].status);
    free(b->track);
    *b = (struct lca_board){0};
}

/* rows */

static const struct lca_row empty = {
    .state = "", .step = NAN, .steps_rate = NAN, .bytes_rate = NAN, .kept = NAN, .behind = NAN, .credit = NAN,
    .memory = NAN, .cpu = NAN, .held = NAN, .done = NAN, .mean = NAN, .pid = NAN};

static void set_state(struct lca_row *r, const char *state, int mood)
{
    r->state = state;
    r->mood = mood;
}

static void row_of_stage(const struct lca_board *b, const struct lca_board_stage *t, double now, struct lca_row *r)
{
    const json_t *s = t->status;
    const struct lca_track *track = lca_board_track(b, text(s, "name"));
    const char *end = text(s, "end"), *wait = text(s, "wait");
    double refused = number(s, "refused");
    size_t k;
    json_t *x;
    *r = empty;
    copy(r->name, sizeof r->name, text(s, "name"));
    if (*end)
        set_state(r, strcmp(end, "ok") == 0 ? "done" : strcmp(end, "interrupted") == 0 ? "stopped" : "failed",
                  strcmp(end, "failed") == 0 ? LCA_ROW_BAD : LCA_ROW_FINE);
    else if (t->gone)
        set_state(r, "gone", LCA_ROW_BAD);
    else if (now > t->at + SILENT)
        set_state(r, "silent", LCA_ROW_WAITS);
    else
        set_state(r, *wait ? "waits" : "runs", LCA_ROW_FINE);
    if (strcmp(r->state, "silent") == 0)
        snprintf(r->note, sizeof r->note, "for %.0f s", now - t->at);
    else if (strcmp(r->state, "waits") == 0)
        copy(r->note, sizeof r->note, wait);
    if (refused > 0 && !*r->note)
        snprintf(r->note, sizeof r->note, "%.0f frames refused", refused);
    r->step = number(s, "it");
    if (r->step < 0)
        r->step = NAN;
    r->kept = 0;
    json_array_foreach(json_object_get(s, "out"), k, x)
        if (json_object_get(x, "window"))
            r->kept += number(x, "next") - number(x, "done");
    r->memory = number(s, "rss");
    if (*end || t->gone)
        return;
    r->steps_rate = lca_track_rate(track, offsetof(struct lca_sample, it));
    r->bytes_rate = lca_track_rate(track, offsetof(struct lca_sample, bytes));
    r->cpu = lca_track_rate(track, offsetof(struct lca_sample, cpu));
}

static void add_edge(struct lca_row *r, const json_t *producer, const json_t *c)
{
    size_t k;
    json_t *out;
    json_array_foreach(json_object_get(producer, "out"), k, out) {
        if (strcmp(text(out, "st"), text(c, "st")) != 0)
            continue;
        double behind = number(out, "next") - number(c, "done");
        if (json_object_get(c, "gone")) {
            /* who leaves before the end has no part in it; after it, all was processed */
            if (*text(producer, "end") && !(r->behind >= 0))
                r->behind = 0;
            return;
        }
        if (r->behind >= behind)
            return;         /* of several inputs the one that is farthest behind */
        r->behind = behind;
        r->credit = number(c, "lim") - number(c, "sent");
    }
}

static void row_of_consumer(const struct lca_board *b, const struct lca_board_stage *t, const json_t *c,
                            struct lca_row *r)
{
    char key[sizeof b->track->name];
    const char *state = text(c, "state"), *end = text(t->status, "end");
    key_of(key, sizeof key, t->status, c);
    *r = empty;
    copy(r->name, sizeof r->name, text(c, "name"));
    add_edge(r, t->status, c);
    if (json_object_get(c, "gone"))
        set_state(r, *end ? "done" : "gone", *end ? LCA_ROW_FINE : LCA_ROW_BAD);
    else if (strcmp(state, "here") == 0)
        set_state(r, *end && r->behind == 0 ? "done" : t->gone ? "?" : "here", LCA_ROW_FINE);
    else if (strcmp(state, "lost") == 0)
        set_state(r, "lost", LCA_ROW_BAD);
    else
        set_state(r, "awaited", LCA_ROW_WAITS);
    r->step = number(c, "it") - 1;      /* it: of the first frame not processed */
    if (strcmp(r->state, "done") == 0)
        r->step = number(t->status, "it");
    if (r->step < 0)
        r->step = NAN;
    if (!*end && !t->gone)
        r->steps_rate = lca_track_rate(lca_board_track(b, key), offsetof(struct lca_sample, it));
}

static int by_depth(const void *a, const void *b)
{
    return ((const struct lca_row *)a)->depth - ((const struct lca_row *)b)->depth;
}

/* qsort may change the order of equals: a merge of that few rows by insertion does not. */
static void sort(struct lca_row *row, int n, int (*order)(const void *, const void *))
{
    for (int k = 1; k < n; k++) {
        struct lca_row r = row[k];
        int at = k;
        for (; at > 0 && order(&row[at - 1], &r) > 0; at--)
            row[at] = row[at - 1];
        row[at] = r;
    }
}

static int find(const struct lca_board *b, const char *name)
{
    for (int k = 0; k < b->n; k++)
        if (strcmp(text(b->stage[k].status, "name"), name) == 0)
            return k;
    return -1;
}

struct lca_row *lca_board_rows(const struct lca_board *b, double now, int *n)
{
    size_t most = (size_t)b->n, k;
    json_t *c;
    for (int p = 0; p < b->n; p++)
        most += json_array_size(json_object_get(b->stage[p].status, "consumers"));
    struct lca_row *row = calloc(most + 1, sizeof *row);
    *n = 0;
    if (!row)
        return NULL;
    for (int p = 0; p < b->n; p++)
        row_of_stage(b, &b->stage[p], now, &row[(*n)++]);
    /* as often as there are stages: then every depth has reached the last one */
    for (int turn = 0; turn < b->n; turn++)
        for (int p = 0; p < b->n; p++)
            json_array_foreach(json_object_get(b->stage[p].status, "consumers"), k, c) {
                int to = find(b, text(c, "name"));
                if (to >= 0 && row[to].depth <= row[p].depth && row[p].depth < b->n)
                    row[to].depth = row[p].depth + 1;
            }
    for (int p = 0; p < b->n; p++)
        json_array_foreach(json_object_get(b->stage[p].status, "consumers"), k, c) {
            int to = find(b, text(c, "name"));
            if (to >= 0) {
                add_edge(&row[to], b->stage[p].status, c);
                continue;
            }
            row_of_consumer(b, &b->stage[p], c, &row[*n]);
            row[(*n)++].depth = row[p].depth + 1;
        }
    sort(row, *n, by_depth);
    return row;
}

/* known: who gives it work has told lately. */
static void worker_state(struct lca_row *r, const json_t *w, bool ended, bool known)
{
    static const struct {
        const char *name;
        int mood;
    } states[] = {{"idle", LCA_ROW_FINE}, {"busy", LCA_ROW_FINE}, {"leaving", LCA_ROW_WAITS}, {"late", LCA_ROW_BAD}};
    if (ended)
        set_state(r, "done", LCA_ROW_FINE);
    else if (json_object_get(w, "gone"))
        set_state(r, "gone", LCA_ROW_BAD);
    else
        set_state(r, "?", LCA_ROW_WAITS);
    for (size_t s = 0; known && strcmp(r->state, "?") == 0 && s < sizeof states / sizeof *states; s++)
        if (strcmp(text(w, "state"), states[s].name) == 0)
            set_state(r, states[s].name, states[s].mood);
}

static int late_first(const void *a, const void *b)
{
    return (int)((const struct lca_row *)b)->mood - (int)((const struct lca_row *)a)->mood;
}

struct lca_row *lca_board_workers(const struct lca_board *b, double now, int *n)
{
    size_t most = 0, k;
    json_t *w;
    for (int p = 0; p < b->n; p++)
        most += json_array_size(json_object_get(b->stage[p].status, "workers"));
    struct lca_row *row = calloc(most + 1, sizeof *row);
    *n = 0;
    for (int p = 0; row && p < b->n; p++) {
        const struct lca_board_stage *t = &b->stage[p];
        bool known = !t->gone && now <= t->at + SILENT;
        json_array_foreach(json_object_get(t->status, "workers"), k, w) {
            struct lca_row *r = &row[(*n)++];
            *r = empty;
            worker_state(r, w, *text(t->status, "end"), known);
            copy(r->name, sizeof r->name, text(w, "name"));
            copy(r->host, sizeof r->host, text(w, "host"));
            r->held = number(w, "held");
            r->done = number(w, "done");
            r->mean = number(w, "mean");
            r->pid = number(w, "pid");
        }
    }
    if (row)
        sort(row, *n, late_first);
    return row;
}
