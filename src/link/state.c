#include "link/state.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "link/member.h"

enum { MAX_NAMED = 8 };     /* consumers, or workers, that a line of text names */

/* gathering */

/* Bytes of memory that are resident: the second number of /proc/self/statm, in pages. */
static uint64_t resident(void)
{
    unsigned long long all, here = 0;
    FILE *f = fopen("/proc/self/statm", "re");
    if (f && fscanf(f, "%llu %llu", &all, &here) != 2)
        here = 0;
    if (f)
        fclose(f);
    return here * (uint64_t)sysconf(_SC_PAGESIZE);
}

static double processor_time(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static json_t *unless_empty(json_t *list)
{
    if (json_array_size(list) > 0)
        return list;
    json_decref(list);
    return NULL;
}

int lca_state_gather(struct lca_state *s, const struct lca_link *l, struct lca_err *err)
{
    *s = (struct lca_state){0};
    struct lca_frame_status *f = &s->frame;
    const char *stage = getenv("LCA_STAGE");
    snprintf(s->name, sizeof s->name, "%s", stage && *stage ? stage : program_invocation_short_name);
    if (gethostname(s->host, sizeof s->host - 1) < 0)
        strcpy(s->host, "?");
    *f = (struct lca_frame_status){.name = s->name, .prog = program_invocation_short_name, .host = s->host,
                                   .pid = (uint64_t)getpid(), .cpu = processor_time(), .rss = resident(), .it = -1,
                                   .in = json_array(), .out = json_array(), .consumers = json_array(),
                                   .workers = json_array()};
    if (!f->in || !f->out || !f->consumers || !f->workers) {
        lca_state_clear(s);
        return lca_fail(err, LCA_INTERNAL, "out of memory");
    }
    lca_link_status(l, s);
    f->in = unless_empty(f->in);
    f->out = unless_empty(f->out);
    f->consumers = unless_empty(f->consumers);
    f->workers = unless_empty(f->workers);
    f->wait = *s->wait ? s->wait : NULL;
    return 0;
}

void lca_state_clear(struct lca_state *s)
{
    json_t *own[] = {s->frame.in, s->frame.out, s->frame.consumers, s->frame.pool, s->frame.workers, s->frame.work};
    for (size_t k = 0; k < sizeof own / sizeof *own; k++)
        json_decref(own[k]);
    *s = (struct lca_state){0};
}

void lca_state_wait(struct lca_state *s, enum lca_wait why, const char *format, ...)
{
    if (why <= s->why)
        return;
    va_list ap;
    va_start(ap, format);
    vsnprintf(s->wait, sizeof s->wait, format, ap);
    va_end(ap);
    s->why = why;
}

/* text */

struct text {
    char *at;
    size_t left;
};

static void LCA_PRINTF(2, 3) say(struct text *t, const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    int n = vsnprintf(t->at, t->left, format, ap);
    va_end(ap);
    size_t used = n < 0 ? 0 : (size_t)n < t->left ? (size_t)n : t->left ? t->left - 1 : 0;
    t->at += used;
    t->left -= used;
}

static json_int_t number(const json_t *map, const char *key)
{
    return json_integer_value(json_object_get(map, key));
}

static double real(const json_t *map, const char *key)
{
    return json_number_value(json_object_get(map, key));
}

static const char *string(const json_t *map, const char *key)
{
    const char *text = json_string_value(json_object_get(map, key));
    return text ? text : "?";
}

static void say_consumers(struct text *t, const json_t *list, const json_t *out)
{
    const char *st = string(out, "st");
    size_t k, n = 0, more = 0;
    json_t *c;
    json_array_foreach(list, k, c) {
        const char *state = string(c, "state");
        if (strcmp(string(c, "st"), st) != 0)
            continue;
        if (n == MAX_NAMED) {
            more++;
            continue;
        }
        say(t, "%s%s", n++ ? ", " : " for ", string(c, "name"));
        if (strcmp(state, "here") != 0)
            say(t, " (%s)", state);
        else
            say(t, " (%" JSON_INTEGER_FORMAT " behind, credit %" JSON_INTEGER_FORMAT ")",
                number(out, "next") - number(c, "done"), number(c, "lim") - number(c, "sent"));
    }
    if (more)
        say(t, " and %zu more", more);
}

static void say_workers(struct text *t, const json_t *list)
{
    size_t k, more = 0;
    json_t *w;
    json_array_foreach(list, k, w) {
        if (k >= MAX_NAMED && strcmp(string(w, "state"), "busy") == 0) {
            more++;
            continue;
        }
        say(t, ", %s %s (%" JSON_INTEGER_FORMAT " held, %" JSON_INTEGER_FORMAT " done, %.3g s each)",
            string(w, "name"), string(w, "state"), number(w, "held"), number(w, "done"), real(w, "mean"));
    }
    if (more)
        say(t, ", %zu more busy", more);
}

void lca_state_text(const struct lca_frame_status *s, char *text, size_t size)
{
    struct text t = {text, size};
    size_t k;
    json_t *x;
    say(&t, "up %.0f s", s->up);
    if (s->it >= 0)
        say(&t, ", step %" PRId64, s->it);
    if (s->wait)
        say(&t, ", waits for %s", s->wait);
    if (s->end)
        say(&t, ", its stream has ended: %s", s->end);
    json_array_foreach(s->in, k, x) {
        say(&t, "; in %s: %" JSON_INTEGER_FORMAT " frames", string(x, "from"), number(x, "seq"));
        if (number(x, "seq") > number(x, "done"))
            say(&t, ", %" JSON_INTEGER_FORMAT " under way", number(x, "seq") - number(x, "done"));
        say(&t, ", the last %.1f s ago", real(x, "age"));
    }
    json_array_foreach(s->out, k, x) {
        say(&t, "; out %s: %" JSON_INTEGER_FORMAT " frames, %.1f MB", string(x, "st"), number(x, "frames"),
            real(x, "bytes") / 1e6);
        if (json_object_get(x, "window"))
            say(&t, ", %" JSON_INTEGER_FORMAT " of %" JSON_INTEGER_FORMAT " kept",
                number(x, "next") - number(x, "done"), number(x, "window"));
        say_consumers(&t, s->consumers, x);
    }
    if (s->pool) {
        say(&t, "; pool: %" JSON_INTEGER_FORMAT " units wait, %" JSON_INTEGER_FORMAT " points in flight, %"
            JSON_INTEGER_FORMAT " done, %" JSON_INTEGER_FORMAT " given twice", number(s->pool, "waiting"),
            number(s->pool, "points"), number(s->pool, "units"), number(s->pool, "again"));
        say_workers(&t, s->workers);
    }
    if (s->work)
        say(&t, "; work of %s: %" JSON_INTEGER_FORMAT " units done, %" JSON_INTEGER_FORMAT " held, %.1f s computing",
            string(s->work, "pool"), number(s->work, "units"), number(s->work, "held"), real(s->work, "sec"));
    if (s->refused)
        say(&t, "; %" PRIu64 " frames refused", s->refused);
    say(&t, "; %.1f MiB, %.1f s of processor time", (double)s->rss / (1 << 20), s->cpu);
}
