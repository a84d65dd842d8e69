#include "web/feed.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/log.h"

/* Seconds: between looks for a run's socket, so that its first steps are not missed, and
 * after an end or an error. */
#define LOOK_EVERY 0.05
#define REST 1.0

static void say(struct lca_feed *f, const char *state, const char *why)
{
    if (f->state && strcmp(f->state, state) == 0 && strcmp(f->why, why) == 0)
        return;
    f->state = state;
    snprintf(f->why, sizeof f->why, "%s", why);
    f->version++;
}

static bool is_kind(const char *path, mode_t kind)
{
    struct stat s;
    return stat(path, &s) == 0 && (s.st_mode & S_IFMT) == kind;
}

static void shut(struct lca_feed *f)
{
    if (f->tap)
        lca_tap_close(f->tap);
    f->tap = NULL;
}

static int open_tap(struct lca_feed *f, struct lca_err *err)
{
    struct lca_tap_opts o = {.from = &f->from, .payloads = true};
    f->tap = lca_tap_open(f->link, &o, err);
    return f->tap ? 0 : -1;
}

static void name_it(struct lca_feed *f, const char *text, size_t len)
{
    while (len > 1 && text[len - 1] == '/')
        len--;
    const char *base = text + len;
    while (base > text && base[-1] != '/')
        base--;
    snprintf(f->name, sizeof f->name, "%.*s", (int)(text + len - base), base);
}

/* The sockets are in OUT/ipc while the run lasts; the path must be short, and that of the
 * link is not. */
static bool find_socket(const struct lca_feed *f, char where[PATH_MAX + 16])
{
    char ipc[PATH_MAX], folder[PATH_MAX], tap[PATH_MAX + 16];
    if (snprintf(ipc, sizeof ipc, "%s/ipc", f->at) >= (int)sizeof ipc ||
        (!realpath(ipc, folder) && !realpath(f->at, folder)))
        return false;
    snprintf(where, PATH_MAX + 16, "ipc://%s/lca", folder);
    snprintf(tap, sizeof tap, "%s/lca.tap", folder);
    return is_kind(tap, S_IFSOCK);
}

/* While there are sockets, a run goes on, or begins. */
static bool find_recording(const struct lca_feed *f, char where[PATH_MAX + 16])
{
    struct stat s;
    snprintf(where, PATH_MAX + 16, "%s/ipc", f->at);
    if (stat(where, &s) == 0)
        return false;
    snprintf(where, PATH_MAX + 16, "%s/lca.lca", f->at);
    return is_kind(where, S_IFREG);
}

/* A run's folder: a live run's socket, else, once, what a run has recorded that has not been
 * seen live: it may have been too quick. */
static int look(struct lca_feed *f, struct lca_err *err)
{
    char where[PATH_MAX + 16];
    f->look_at = lca_now() + LOOK_EVERY;
    bool live = find_socket(f, where);
    if (f->tap && live && strcmp(where, f->from.text) == 0)
        return 0;
    if (!live && (f->played || f->run.steps > 0 || !find_recording(f, where)))
        return 0;
    shut(f);
    f->is_file = !live;
    f->played |= !live;
    if (lca_endpoint_parse(&f->from, where, err) == 0 && open_tap(f, err) == 0)
        return 0;
    if (err->status == LCA_INTERNAL)
        return -1;
    say(f, "bad", err->text);
    return 0;
}

static int refuse_empty(const struct lca_feed *f, struct lca_err *err)
{
    char where[PATH_MAX + 16];
    struct stat s;
    if (find_socket(f, where) || find_recording(f, where))
        return 0;
    snprintf(where, sizeof where, "%s/summary.json", f->at);
    if (stat(where, &s) < 0)
        return 0;
    return lca_fail(err, LCA_USAGE, "the run of %s has ended, and has no recording to be played: --record keeps one",
                    f->at);
}

int lca_feed_open(struct lca_feed *f, struct lca_link *l, const char *text, struct lca_err *err)
{
    const char *equals = strchr(text, '=');
    struct stat s;
    bool named = equals && equals > text && !memchr(text, '/', (size_t)(equals - text)) && stat(text, &s) < 0;
    f->link = l;
    f->at = named ? equals + 1 : text;
    name_it(f, named ? text : f->at, named ? (size_t)(equals - text) : strlen(f->at));
    say(f, "waiting", "");
    f->is_folder = is_kind(f->at, S_IFDIR);
    if (f->is_folder)
        return refuse_empty(f, err) < 0 ? -1 : look(f, err);
    if (lca_endpoint_parse(&f->from, f->at, err) < 0)
        return -1;
    f->is_file = f->from.kind == LCA_EP_FILE;
    return open_tap(f, err);
}

static int fail(struct lca_feed *f, struct lca_err *err)
{
    if (err->status == LCA_INTERNAL)
        return -1;
    if (strcmp(f->why, err->text) != 0)
        lca_warn("%s: %s", f->name, err->text);
    say(f, "bad", err->text);
    shut(f);
    f->look_at = lca_now() + REST;
    return 0;
}

static void end(struct lca_feed *f, const struct lca_frame *eos)
{
    const char *status = eos->u.eos.status, *why = eos->u.eos.why ? eos->u.eos.why : "";
    say(f, strcmp(status, "ok") == 0 ? "ended" : strcmp(status, "failed") == 0 ? "failed" : "interrupted", why);
    /* the socket of an output may be bound again; a run's folder is looked into */
    if (f->is_folder || f->from.kind != LCA_EP_SOCKET)
        shut(f);
    f->look_at = lca_now() + REST;
}

static int take_one(struct lca_feed *f, const struct lca_frame *frame, struct lca_err *err)
{
    unsigned beginning = f->run.beginning;
    uint64_t steps = f->run.steps;
    if (lca_watched_take(&f->run, frame, lca_now(), err) < 0)
        return fail(f, err);
    f->version += f->run.beginning != beginning;
    if (frame->kind == LCA_KIND_eos)
        end(f, frame);
    else if (lca_kind_is_data(frame->kind))
        say(f, f->from.kind == LCA_EP_SOCKET ? "live" : "playing", "");
    if (f->pace > 0 && f->is_file && f->run.steps != steps)
        f->step_at = (f->step_at > 0 ? f->step_at : lca_now()) + 1 / f->pace;
    return 0;
}

int lca_feed_take(struct lca_feed *f, double seconds, struct lca_err *err)
{
    double now = lca_now(), until = now + seconds;
    struct lca_frame *frame;
    int got = 1;
    if (f->is_folder && now >= f->look_at && look(f, err) < 0)
        return -1;
    /* what came from an output's socket was damaged: the next producer's may be good */
    if (!f->is_folder && !f->tap && f->from.kind == LCA_EP_SOCKET && now >= f->look_at && open_tap(f, err) < 0 &&
        fail(f, err) < 0)
        return -1;
    while (f->tap && got == 1 && (now = lca_now()) < until && now >= f->step_at) {
        got = lca_tap_poll(f->tap, &frame, err);
        if (got == 1 ? take_one(f, frame, err) < 0 : got < 0 && fail(f, err) < 0)
            return -1;
    }
    if (f->tap && f->from.kind == LCA_EP_SOCKET && lca_tap_gone(f->tap)) {
        if (strcmp(f->state, "live") == 0)
            say(f, "gone", "");
        if (f->is_folder)
            shut(f);
    }
    return f->tap && got == 1 && now >= f->step_at;
}

double lca_feed_due(const struct lca_feed *f)
{
    double now = lca_now(), due = 1;
    if (f->is_folder && f->look_at - now < due)
        due = f->look_at - now;
    if (f->tap && f->step_at > now && f->step_at - now < due)
        due = f->step_at - now;
    return due > 0 ? due : 0;
}

void lca_feed_clear(struct lca_feed *f)
{
    lca_watched_clear(&f->run);
}
