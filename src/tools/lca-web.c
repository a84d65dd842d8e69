/* lca-web: a page on which a network can be watched as it learns.
 *
 * In: the taps of the lca streams of running pipelines, which never wait for it, or
 * recordings. Out: a page on 127.0.0.1, for a browser of this user, and the numbers that
 * it shows as server-sent events (docs/live-page.md). */
#include <inttypes.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/limit.h"
#include "base/log.h"
#include "base/tool.h"
#include "link/lookout.h"
#include "web/feed.h"
#include "web/http.h"
#include "web/page.h"
#include "web/view.h"

enum { MAX_RUNS = 8, PORT = 8787 };

/* Seconds that reading may take before browsers are answered. */
#define TURN 0.02

static struct {
    long port;
    double rate, pace;
    const char *history, *page;
    struct lca_safety safety;
} opt = {.port = PORT, .rate = 10, .history = "64M"};

static const struct lca_opt opts[] = {
    {"port", 'p', LCA_OPT_INT, &opt.port, "PORT", "Port on 127.0.0.1 (default 8787); 0: one that is free.", 0, 65535,
     false},
    {"rate", 'r', LCA_OPT_NUM, &opt.rate, "N", "Most updates of the page in a second (default 10).", 0.1, 60, false},
    {"history", 0, LCA_OPT_STR, &opt.history, "SIZE", "Memory for the steps of each run that one can go back to "
     "(default 64M); there are at least 16, and at most 1024.", 0, 0, false},
    {"pace", 0, LCA_OPT_NUM, &opt.pace, "N", "Steps in a second at which recordings are played (default: as fast as "
     "they can be read).", 0.001, 1e6, false},
    {"page", 0, LCA_OPT_STR, &opt.page, "FOLDER", "Where the files of the page are (default: web/ beside the program, "
     "which `make web` builds).", 0, 0, false},
    {0},
};

static const struct lca_opt link_opts[] = {LCA_SAFETY_OPTS(opt.safety), {0}};

/* What one page looks at, and has been told. */
struct viewer {
    struct lca_view view;
    struct {
        bool wanted, told;              /* told: has been told of it at all */
        unsigned version, beginning, thinned;
        int64_t it, trace_it;           /* -1: none yet */
    } run[MAX_RUNS];
};

struct web {
    struct lca_link *link;
    struct lca_http *http;
    struct lca_page page;
    struct lca_feed feed[MAX_RUNS];
    int n_feed;
    struct lca_buf text, events;
    bool no_memory;
    double tick_at;
};

/* ---- JSON ---- */

static int put_string(struct lca_buf *out, const char *name, const char *s)
{
    json_t *j = json_string(s);
    char *text = j ? json_dumps(j, JSON_COMPACT | JSON_ENCODE_ANY) : NULL;
    int bad = lca_buf_printf(out, "\"%s\":%s,", name, text ? text : "null");
    free(text);
    json_decref(j);
    return bad;
}

/* {"id", "name", "at", "state", "why", "beginning"} and, once HEAD has come, its keys. */
static int put_run(const struct web *x, int k, struct lca_buf *out)
{
    const struct lca_feed *f = &x->feed[k];
    int bad = lca_buf_printf(out, "{\"id\":%d,", k);
    bad |= put_string(out, "name", f->name) | put_string(out, "at", f->at) | put_string(out, "state", f->state);
    bad |= put_string(out, "why", f->why);
    bad |= lca_buf_printf(out, "\"beginning\":%u", f->run.beginning);
    if (f->run.begun) {
        /* {"head": ...}: its first brace makes way for a comma */
        size_t at = out->len;
        bad |= lca_view_head(&f->run, out);
        if (!bad)
            out->data[at] = ',';
        return bad;
    }
    return bad | lca_buf_printf(out, "}");
}

static int put_view(const struct web *x, int k, const struct lca_view *v, struct lca_buf *out)
{
    const struct lca_watched *w = &x->feed[k].run;
    struct lca_view mine = *v;
    if (mine.cls >= (int)w->n_class)
        mine.cls = -1;
    if (mine.layer >= (int)w->table.n_layer)
        mine.layer = -1;
    int bad = lca_buf_printf(out, "{\"run\":%d,\"class\":%d,\"layer\":%d,\"window\":%" PRIu64 ",", k, mine.cls,
                             mine.layer, mine.window);
    return bad | lca_view_step(w, &mine, out);
}

/* ---- events ---- */

static int put_updates(const struct web *x, struct viewer *v, int k, struct lca_buf *out)
{
    const struct lca_feed *f = &x->feed[k];
    const struct lca_watched *w = &f->run;
    int bad = 0;
    if (!v->run[k].told || v->run[k].version != f->version) {
        bad |= lca_buf_printf(out, "event: run\ndata: ");
        bad |= put_run(x, k, out);
        bad |= lca_buf_printf(out, "\n\n");
    }
    bool anew = !v->run[k].told || v->run[k].beginning != w->beginning;
    v->run[k].told = true;
    v->run[k].version = f->version;
    v->run[k].beginning = w->beginning;
    if (anew)
        v->run[k].it = v->run[k].trace_it = -1;
    if (!w->begun || w->past.n == 0)
        return bad;
    int64_t it = (int64_t)w->past.item[w->past.n - 1].it;
    if (it == v->run[k].it)
        return bad;
    if (v->run[k].thinned != w->trace->thinned)
        v->run[k].trace_it = -1;
    bad |= lca_buf_printf(out, "event: view\ndata: ");
    bad |= put_view(x, k, &v->view, out);
    bad |= lca_buf_printf(out, ",\"trace\":");
    bad |= lca_view_trace(w->trace, v->run[k].trace_it, out);
    bad |= lca_buf_printf(out, "}\n\n");
    v->run[k].it = v->run[k].trace_it = it;
    v->run[k].thinned = w->trace->thinned;
    return bad;
}

/* Whoever has taken what was sent is sent what is new. */
static void update(struct web *x)
{
    for (struct lca_events *e = lca_events_next(x->http, NULL); e; e = lca_events_next(x->http, e)) {
        struct viewer *v = lca_events_state(e);
        if (!lca_events_idle(e))
            continue;
        x->events.len = 0;
        for (int k = 0; k < x->n_feed; k++)
            if (v->run[k].wanted && put_updates(x, v, k, &x->events) != 0)
                x->no_memory = true;
        if (x->events.len > 0 && !x->no_memory)
            lca_events_send(e, &x->events);
    }
}

/* ---- answers ---- */

static long query_number(const struct lca_request *r, const char *key, long otherwise)
{
    const char *s = lca_request_query(r, key);
    char *end;
    if (!s || !*s)
        return otherwise;
    long v = strtol(s, &end, 10);
    return *end ? otherwise : v;
}

static struct lca_view query_view(const struct lca_request *r)
{
    long window = query_number(r, "window", 1), at = query_number(r, "at", -1);
    struct lca_view v = {.at = at < 0 ? UINT64_MAX : (uint64_t)at, .window = window < 0 ? 0 : (uint64_t)window};
    long cls = query_number(r, "class", -1), layer = query_number(r, "layer", -1);
    v.cls = cls < 0 || cls > INT_MAX - 1 ? -1 : (int)cls;
    v.layer = layer < 0 || layer > INT_MAX - 1 ? -1 : (int)layer;
    return v;
}

/* runs=0,2; all where it is not given. */
static struct viewer *new_viewer(const struct web *x, const struct lca_request *r)
{
    struct viewer *v = lca_alloc(1, sizeof *v, NULL);
    const char *runs = lca_request_query(r, "runs");
    if (!v)
        return NULL;
    v->view = query_view(r);
    v->view.at = UINT64_MAX;
    for (int k = 0; k < x->n_feed; k++)
        v->run[k].wanted = !runs || strchr(runs, '0' + k);
    return v;
}

static void answer_json(struct web *x, struct lca_answer *a, int bad)
{
    a->status = bad ? 500 : 200;
    a->type = "application/json";
    a->body = x->text.data;
    a->len = bad ? 0 : x->text.len;
}

static void answer_text(struct lca_answer *a, int status, const char *text)
{
    a->status = status;
    a->type = "text/plain; charset=utf-8";
    a->body = text;
    a->len = strlen(text);
}

static void answer_page(const struct web *x, const char *name, struct lca_answer *a)
{
    const struct lca_page_file *f = lca_page_find(&x->page, *name ? name : "index.html");
    if (f)
        *a = (struct lca_answer){.status = 200, .type = f->type, .body = f->data, .len = f->len};
    else if (x->page.n == 0 && !*name)
        answer_text(a, 503, "The page is not built: run `make web` (it needs npm), then start lca-web again.\n");
    else
        answer_text(a, 404, "There is no such page.\n");
}

static void answer(void *arg, const char *path, const struct lca_request *r, struct lca_answer *a)
{
    struct web *x = arg;
    int bad = 0;
    x->text.len = 0;
    if (strncmp(path, "/api/", 5) != 0) {
        answer_page(x, path + (*path == '/'), a);
    } else if (strcmp(path, "/api/events") == 0) {
        a->events = new_viewer(x, r);
        a->status = 500;
        x->tick_at = 0;
    } else if (strcmp(path, "/api/runs") == 0) {
        bad |= lca_buf_printf(&x->text, "[");
        for (int k = 0; k < x->n_feed; k++) {
            bad |= lca_buf_printf(&x->text, k ? "," : "");
            bad |= put_run(x, k, &x->text);
        }
        answer_json(x, a, bad | lca_buf_printf(&x->text, "]\n"));
    } else if (strcmp(path, "/api/view") == 0 || strcmp(path, "/api/steps") == 0) {
        long k = query_number(r, "run", 0);
        struct lca_view v = query_view(r);
        if (k < 0 || k >= x->n_feed) {
            answer_text(a, 404, "There is no such run.\n");
        } else if (x->feed[k].run.past.n == 0) {
            answer_text(a, 404, "No step of this run has come yet.\n");
        } else if (path[5] == 'v') {
            bad |= put_view(x, (int)k, &v, &x->text);
            answer_json(x, a, bad | lca_buf_printf(&x->text, "}\n"));
        } else {
            bad |= lca_view_steps(&x->feed[k].run.past, &x->text);
            answer_json(x, a, bad | lca_buf_printf(&x->text, "\n"));
        }
    } else {
        answer_text(a, 404, "There is no such page.\n");
    }
}

static void left(void *arg, void *events)
{
    (void)arg;
    free(events);
}

/* ---- the loop ---- */

static int take(struct web *x, bool *more, struct lca_err *err)
{
    *more = false;
    for (int k = 0; k < x->n_feed; k++) {
        int got = lca_feed_take(&x->feed[k], TURN / x->n_feed, err);
        if (got < 0)
            return -1;
        *more |= got == 1;
    }
    return 0;
}

static double due(const struct web *x, double now)
{
    double least = lca_events_next(x->http, NULL) && x->tick_at > now ? x->tick_at - now : 1;
    for (int k = 0; k < x->n_feed; k++)
        least = fmin(least, lca_feed_due(&x->feed[k]));
    return least;
}

static int watch(struct web *x, struct lca_err *err)
{
    bool more;
    while (lca_link_want(x->link) == LCA_SIG_GO) {
        if (take(x, &more, err) < 0)
            return -1;
        double now = lca_now();
        if (now >= x->tick_at) {
            update(x);
            x->tick_at = now + 1 / opt.rate;
        }
        if (x->no_memory)
            return lca_fail(err, LCA_INTERNAL, "out of memory");
        if (lca_link_wait(x->link, more ? 0 : (int)ceil(due(x, now) * 1e3), err) < 0)
            return -1;
    }
    return 0;
}

/* web/ beside the program, in a source tree; share/lca/web where it is installed. */
static int find_page(struct lca_page *page, struct lca_err *err)
{
    static const char *const beside[] = {"web", "../share/lca/web"};
    char path[PATH_MAX + 32];
    ssize_t n = readlink("/proc/self/exe", path, PATH_MAX);
    while (n > 0 && path[n - 1] != '/')
        n--;
    for (size_t k = 0; page->n == 0 && k < sizeof beside / sizeof *beside; k++) {
        snprintf(path + (n > 0 ? n : 0), 32, "%s", beside[k]);
        if (lca_page_read(page, path, err) < 0)
            return -1;
    }
    return 0;
}

static int read_page(struct web *x, struct lca_err *err)
{
    if ((opt.page ? lca_page_read(&x->page, opt.page, err) : find_page(&x->page, err)) < 0)
        return -1;
    if (x->page.n == 0 && opt.page)
        return lca_fail(err, LCA_USAGE, "--page %s: there is no index.html", opt.page);
    if (x->page.n == 0)
        lca_note("the page is not built: run `make web`, which needs npm; until then there is /api/ alone");
    return 0;
}

static int add_feed(struct web *x, const char *at, struct lca_err *err)
{
    struct lca_feed *f = &x->feed[x->n_feed];
    uint64_t memory;
    if (x->n_feed == MAX_RUNS)
        return lca_fail(err, LCA_USAGE, "more than %d runs at once", MAX_RUNS);
    if (lca_limit_parse(opt.history, &memory, err) < 0)
        return lca_err_prefix(err, "--history");
    *f = (struct lca_feed){.run.memory = memory, .pace = opt.pace};
    if (lca_feed_open(f, x->link, at, err) < 0)
        return -1;
    x->n_feed++;
    return 0;
}

/* Without operands: the newest run there is. */
static int find_run(struct web *x, struct lca_err *err)
{
    static char *newest;
    int n = lca_lookout_find(&newest, 1);
    if (n == 0)
        return lca_fail(err, LCA_USAGE, "no run of yours is alive: name the --out folder of one, or a recording");
    if (n > 1)
        lca_note("%d runs are alive; this is the newest, %s", n, newest);
    return add_feed(x, newest, err);
}

static int run(int argc, char **argv, struct lca_err *err)
{
    static struct web x;
    int result = -1;
    struct lca_http_opts http = {.port = (int)opt.port, .answer = answer, .left = left, .arg = &x};
    if (!(x.link = lca_link_new(LCA_SIG_SOURCE, err)) || lca_link_secure(x.link, &opt.safety, err) < 0 ||
        read_page(&x, err) < 0)
        goto out;
    for (int k = 0; k < argc; k++)
        if (add_feed(&x, argv[k], err) < 0)
            goto out;
    if ((argc == 0 && find_run(&x, err) < 0) || !(x.http = lca_http_open(&http, err)))
        goto out;
    struct lca_beside beside = {lca_http_fd(x.http), lca_http_due, lca_http_serve, x.http};
    if (lca_link_beside(x.link, &beside, err) < 0)
        goto out;
    printf("http://127.0.0.1:%d/\n", lca_http_port(x.http));
    if (fflush(stdout) != 0)
        lca_tool_stdout_failed(err);
    else
        result = watch(&x, err);
out:
    lca_http_close(x.http);
    lca_link_free(x.link);
    for (int k = 0; k < x.n_feed; k++)
        lca_feed_clear(&x.feed[k]);
    lca_page_clear(&x.page);
    lca_buf_clear(&x.text);
    lca_buf_clear(&x.events);
    return result;
}

static const struct lca_tool tool = {
    .name = "lca-web",
    .summary = "watch a network learn, in a browser",
    .usage = "[OPTION]... [[NAME=]OUT|EP|FILE]...",
    .about =
        "Serves a page on 127.0.0.1 that shows runs as they go: loss and residual, how many parameters helped, the "
        "loss change of each layer and class, and the network itself, a picture of each layer whose cells turn green "
        "where they help and red where they hurt. It can be paused and gone back in; several runs stand side by "
        "side. It prints its address, and ends with Ctrl-C.\n\n"
        "OUT is a run's --out folder: the run may begin later, end, and begin again; one that has ended is played from "
        "its recording, OUT/lca.lca. EP is the output of an lca stream, and FILE a recording. Without an operand it is "
        "$LCA_DIR, else the newest of your runs. No run waits for it: what it is too slow for is missed, and "
        "counted.\n\n"
        "Only processes of the same user on this machine are answered, the page loads nothing from elsewhere, and "
        "there is nothing on it that changes a run. The page itself is built by `make web`.",
    .examples =
        "  lca-web out                          # the run of --out out\n"
        "  lca-web sgd=out1 adam=out2           # side by side\n"
        "  lca-web --pace 10 out/lca.lca        # a recording, ten steps a second",
    .opts = opts,
    .more = link_opts,
    .max_args = -1,
    .run = run,
};

int main(int argc, char **argv)
{
    return lca_tool_main(&tool, argc, argv);
}
