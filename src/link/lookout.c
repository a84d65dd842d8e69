#include "link/lookout.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "link/member.h"

enum { MAX_TAPS = 64, HWM = 256, MAX_FOUND = 256 };

/* Seconds: between two looks into the folder, and without any stage until all is over. */
#define LOOK_EVERY 0.25
#define OVER_AFTER 2.0

/* An output's tap, once seen in the folder. */
struct watched {
    struct lca_sock sock;
    char name[NAME_MAX + 1];        /* without .tap */
    bool here, gone;                /* connected; it has gone, and that has not been told yet */
    bool headers;                   /* subscribed to the headers as well */
};

struct lca_lookout {
    struct lca_member member;
    struct lca_link *link;
    char at[PATH_MAX];              /* a folder, .. */
    bool is_folder;                 /* .. or it has one tap alone */
    struct watched tap[MAX_TAPS];
    int n_tap, turn;                /* turn: whose frame comes next */
    struct lca_frame frame;
    struct lca_packet packet;
    bool has_packet, said_bad, said_full;
    struct lca_buf aligned;
    double look_at, last_here;      /* last_here: when a stage was there last; 0: never */
};

static struct lca_lookout *self(struct lca_member *m)
{
    return (struct lca_lookout *)m;
}

static bool ends_in(const char *name, const char *end)
{
    size_t n = strlen(name), m = strlen(end);
    return n > m && strcmp(name + n - m, end) == 0;
}

/* taps come and go */

static int add(struct lca_lookout *o, const char *name, const struct lca_endpoint *e, struct lca_err *err)
{
    static const struct lca_sock_opts sub = {.type = ZMQ_SUB, .hwm = HWM, .max_message = LCA_PACKET_MAX, .topic = "s"};
    struct watched *w = &o->tap[o->n_tap];
    struct lca_endpoint at;
    *w = (struct watched){.sock.lock = -1};
    snprintf(w->name, sizeof w->name, "%s", name);
    if (lca_endpoint_tap(&at, e, err) < 0 ||
        lca_sock_open(&w->sock, lca_link_context(o->link), &sub, &at, false, err) < 0)
        return -1;
    o->n_tap++;
    return 0;
}

static bool knows(const struct lca_lookout *o, const char *name)
{
    for (int k = 0; k < o->n_tap; k++)
        if (strcmp(o->tap[k].name, name) == 0)
            return true;
    return false;
}

/* The folder of the sockets: OUT/ipc, as long as there is one, else OUT. The path of a
 * socket must be short, and that of a link is not. */
static bool folder(const struct lca_lookout *o, char path[PATH_MAX])
{
    char ipc[PATH_MAX + 8];
    snprintf(ipc, sizeof ipc, "%s/ipc", o->at);
    return realpath(ipc, path) || realpath(o->at, path);
}

static void look(struct lca_lookout *o)
{
    char path[PATH_MAX], where[PATH_MAX + NAME_MAX + 16];
    DIR *d = folder(o, path) ? opendir(path) : NULL;
    for (struct dirent *entry; d && (entry = readdir(d));) {
        char *name = entry->d_name;
        struct lca_endpoint e;
        struct stat s;
        if (!ends_in(name, ".tap") || fstatat(dirfd(d), name, &s, 0) < 0 || !S_ISSOCK(s.st_mode))
            continue;
        name[strlen(name) - strlen(".tap")] = 0;
        if (knows(o, name))
            continue;
        if (o->n_tap == MAX_TAPS) {
            if (!o->said_full)
                lca_warn("%s has more than %d taps; the others are not shown", path, MAX_TAPS);
            o->said_full = true;
            continue;
        }
        snprintf(where, sizeof where, "ipc://%s/%s", path, name);
        if (lca_endpoint_parse(&e, where, NULL) == 0 && add(o, name, &e, NULL) < 0)
            lca_info("cannot look at %s", where);
    }
    if (d)
        closedir(d);
}

static int lookout_serve(struct lca_member *m, struct lca_err *err)
{
    struct lca_lookout *o = self(m);
    double now = lca_now();
    bool any = false;
    if (o->is_folder && now >= o->look_at) {
        look(o);
        o->look_at = now + LOOK_EVERY;
    }
    for (int k = 0; k < o->n_tap; k++) {
        struct watched *w = &o->tap[k];
        enum lca_sock_event event;
        while ((event = lca_sock_event(&w->sock)) != LCA_SOCK_NOTHING) {
            w->gone = event == LCA_SOCK_LOST && (w->here || w->gone);
            w->here = event == LCA_SOCK_CONNECTED;
        }
        if (lca_sock_check(&w->sock, err) < 0)
            return -1;
        any |= w->here;
    }
    if (any)
        o->last_here = now;
    return 0;
}

static int lookout_items(struct lca_member *m, zmq_pollitem_t *items, int room)
{
    struct lca_lookout *o = self(m);
    int n = 0;
    for (int k = 0; k < o->n_tap; k++)
        n += lca_member_poll_sock(&o->tap[k].sock, items + n, room - n);
    return n;
}

static int lookout_due(struct lca_member *m)
{
    return self(m)->is_folder ? lca_member_ms(self(m)->look_at) : -1;
}

static void lookout_status(const struct lca_member *m, struct lca_state *s)
{
    const struct lca_lookout *o = (const struct lca_lookout *)m;
    for (int k = 0; k < o->n_tap; k++)
        json_array_append_new(s->frame.in, json_pack("{s:s}", "from", o->tap[k].name));
}

static void drop_packet(struct lca_lookout *o)
{
    if (o->has_packet)
        lca_packet_close(&o->packet);
    o->has_packet = false;
}

static void lookout_close(struct lca_member *m)
{
    struct lca_lookout *o = self(m);
    drop_packet(o);
    for (int k = 0; k < o->n_tap; k++)
        lca_sock_close(&o->tap[k].sock);
    lca_frame_clear(&o->frame);
    lca_buf_clear(&o->aligned);
    free(o);
}

struct lca_lookout *lca_lookout_open(struct lca_link *l, const char *at, struct lca_err *err)
{
    struct lca_lookout *o = lca_alloc(1, sizeof *o, err);
    struct lca_endpoint e;
    struct stat s;
    if (!o)
        return NULL;
    o->link = l;
    o->member = (struct lca_member){.items = lookout_items, .serve = lookout_serve, .due = lookout_due,
                                    .status = lookout_status, .close = lookout_close};
    o->is_folder = stat(at, &s) == 0 && S_ISDIR(s.st_mode);
    if (o->is_folder) {
        snprintf(o->at, sizeof o->at, "%s", at);
    } else if (lca_endpoint_parse(&e, at, err) < 0) {
        goto fail;
    } else if (e.kind != LCA_EP_SOCKET) {
        lca_fail(err, LCA_USAGE, "%s is neither a run's folder nor an output's socket", at);
        goto fail;
    } else if (add(o, at, &e, err) < 0) {
        goto fail;
    }
    lca_link_add(l, &o->member);
    return o;
fail:
    lookout_close(&o->member);
    return NULL;
}

/* what comes */

/* 1: a frame; 0: nothing now. */
static int fetch(struct lca_lookout *o, struct watched *w)
{
    for (;;) {
        struct lca_err err = {0};
        drop_packet(o);
        int got = lca_sock_receive(&w->sock, NULL, &o->packet);
        if (got == 0)
            return 0;
        o->has_packet = got > 0;
        if (got > 0 && lca_packet_glance(&o->packet, &o->frame, &o->aligned, &err) == 0)
            return 1;
        if (!o->said_bad)
            lca_warn("%s: a message that is no frame: %s", w->name, got > 0 ? err.text : "it has several parts");
        o->said_bad = true;
    }
}

/* Headers are wanted of the lca stream, until its end: its producer waits a moment for
 * those who do not take EOS. */
static void choose_topics(struct watched *w, const struct lca_frame *f)
{
    bool ended = f->kind == LCA_KIND_eos || (f->kind == LCA_KIND_status && f->u.status.end);
    bool want = ended ? false : w->headers || (f->kind == LCA_KIND_status && strcmp(f->st, "lca") == 0);
    if (want != w->headers)
        lca_sock_subscribe(&w->sock, "h", want);
    w->headers = want;
}

int lca_lookout_next(struct lca_lookout *o, struct lca_frame **f, const char **tap)
{
    for (int k = 0; k < o->n_tap; k++) {
        struct watched *w = &o->tap[o->turn];
        o->turn = (o->turn + 1) % o->n_tap;
        *tap = w->name;
        if (fetch(o, w) == 1) {
            choose_topics(w, &o->frame);
            *f = &o->frame;
            return 1;
        }
        if (w->gone) {
            w->gone = false;
            *f = NULL;
            return 1;
        }
    }
    return 0;
}

bool lca_lookout_over(const struct lca_lookout *o)
{
    return o->last_here > 0 && lca_now() > o->last_here + OVER_AFTER;
}

/* finding */

struct found {
    char *path;
    struct timespec at;
};

/* The folder is this user's and a stage in it is alive: the lock beside a tap names its
 * process. */
static bool is_live(const char *path, struct stat *s)
{
    bool live = false;
    DIR *d = lstat(path, s) == 0 && S_ISDIR(s->st_mode) && s->st_uid == getuid() ? opendir(path) : NULL;
    for (struct dirent *entry; d && !live && (entry = readdir(d));) {
        char lock[PATH_MAX], pid[24] = "";
        if (!ends_in(entry->d_name, ".tap.lock") ||
            snprintf(lock, sizeof lock, "%s/%s", path, entry->d_name) >= (int)sizeof lock)
            continue;
        FILE *f = fopen(lock, "re");
        if (f && fgets(pid, sizeof pid, f) && atol(pid) > 0)
            live = kill((pid_t)atol(pid), 0) == 0;
        if (f)
            fclose(f);
    }
    if (d)
        closedir(d);
    return live;
}

static void consider(const char *path, struct found *found, int *n)
{
    struct stat s;
    for (int k = 0; k < *n; k++)
        if (strcmp(found[k].path, path) == 0)
            return;
    if (*n == MAX_FOUND || !is_live(path, &s))
        return;
    char *copy = strdup(path);
    int at = copy ? (*n)++ : 0;
    for (; copy && at > 0 && (found[at - 1].at.tv_sec < s.st_mtim.tv_sec ||
                              (found[at - 1].at.tv_sec == s.st_mtim.tv_sec &&
                               found[at - 1].at.tv_nsec < s.st_mtim.tv_nsec)); at--)
        found[at] = found[at - 1];
    if (copy)
        found[at] = (struct found){copy, s.st_mtim};
}

/* base/lca and base/lca-*: folders of ipc:NAME, and of lca-run. */
static void consider_in(const char *base, struct found *found, int *n)
{
    DIR *d = base && *base == '/' ? opendir(base) : NULL;
    for (struct dirent *entry; d && (entry = readdir(d));) {
        char path[PATH_MAX];
        if (strcmp(entry->d_name, "lca") != 0 && strncmp(entry->d_name, "lca-", 4) != 0)
            continue;
        if (snprintf(path, sizeof path, "%s/%s", base, entry->d_name) < (int)sizeof path)
            consider(path, found, n);
    }
    if (d)
        closedir(d);
}

int lca_lookout_find(char **dir, int room)
{
    struct found found[MAX_FOUND];
    const char *own = getenv("LCA_DIR");
    int n = 0;
    if (own && *own) {
        consider(own, found, &n);
    } else {
        /* /tmp is where they are without a folder of the user's own */
        consider_in(getenv("XDG_RUNTIME_DIR"), found, &n);
        if (n == 0)
            consider_in("/tmp", found, &n);
    }
    for (int k = 0; k < n; k++) {
        if (k < room)
            dir[k] = found[k].path;
        else
            free(found[k].path);
    }
    return n;
}
