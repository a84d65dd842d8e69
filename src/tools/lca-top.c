/* lca-top: how all stages of a run are, live.
 *
 * In: STATUS frames from the taps of the run's outputs, and the headers of its lca stream;
 * no stage waits for it. Out: a picture that is drawn again and again on a terminal, else
 * plain lines, or the STATUS frames as JSON. */
#include <errno.h>
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/tool.h"
#include "link/lookout.h"
#include "run/board.h"

enum { MAX_RUNS = 16 };

/* Seconds: from one picture to the next on a terminal, and from one set of plain lines to
 * the next; until the first, so that there are rates in it; between looks at the keys. */
#define LIVE 1.0
#define PLAIN 10.0
#define FIRST 1.5
#define KEYS 0.1

static struct {
    double interval;
    long count;
    bool json;
    struct lca_safety safety;
} opt;

static const struct lca_opt opts[] = {
    {"interval", 'i', LCA_OPT_NUM, &opt.interval, "SECONDS", "Time from one picture to the next (default 1 on a "
     "terminal, else 10).", 0.1, 86400, true},
    {"count", 'n', LCA_OPT_INT, &opt.count, "COUNT", "Exit after so many pictures, or lines of JSON.", 1, 1e15, true},
    {"json", 'j', LCA_OPT_FLAG, &opt.json, NULL, "Each STATUS frame as a line of JSON, as it comes.", 0, 0, true},
    {0},
};

static const struct lca_opt link_opts[] = {LCA_SAFETY_OPTS(opt.safety), {0}};

struct run {
    const char *at;
    struct lca_lookout *lookout;
    struct lca_board board;
    bool seen;
};

struct top {
    struct lca_link *link;
    struct run run[MAX_RUNS];
    int n_run;
    bool terminal, color;
    long shown;                 /* pictures, or lines of JSON */
    struct lca_buf text;
};

/* ---- the terminal: the other screen, without a cursor, keys at once ---- */

static volatile sig_atomic_t resized, to_stop;
static struct termios before;
static bool keys;           /* stdin is a terminal, and `before` is how it was */

static void on_resize(int signo)
{
    (void)signo;
    resized = 1;
}

static void on_stop(int signo)
{
    (void)signo;
    to_stop = 1;
}

static void put(const char *text, size_t len)
{
    while (len > 0) {
        ssize_t n = write(STDOUT_FILENO, text, len);
        if (n < 0 && errno != EINTR)
            return;
        text += n > 0 ? n : 0;
        len -= n > 0 ? (size_t)n : 0;
    }
}

static void enter(void)
{
    static const char on[] = "\033[?1049h\033[?25l";
    keys = tcgetattr(STDIN_FILENO, &before) == 0;
    if (keys) {
        struct termios raw = before;
        raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
        raw.c_cc[VMIN] = 0;
        raw.c_cc[VTIME] = 0;
        keys = tcsetattr(STDIN_FILENO, TCSANOW, &raw) == 0;
    }
    put(on, strlen(on));
}

static void leave(void)
{
    static const char off[] = "\033[?25h\033[?1049l";
    put(off, strlen(off));
    if (keys)
        tcsetattr(STDIN_FILENO, TCSANOW, &before);
}

/* Ctrl-Z: whoever gets the terminal finds it as it was. */
static void stop_for_a_while(void)
{
    to_stop = 0;
    leave();
    raise(SIGSTOP);
    enter();
    resized = 1;
}

static bool quit_key(void)
{
    char key;
    struct pollfd p = {.fd = STDIN_FILENO, .events = POLLIN};
    while (keys && poll(&p, 1, 0) == 1) {
        if (read(STDIN_FILENO, &key, 1) != 1) {
            keys = false;       /* it has hung up */
            return true;
        }
        if (key == 'q' || key == 'Q')
            return true;
    }
    return false;
}

static void watch_terminal(void)
{
    struct sigaction resize = {.sa_handler = on_resize}, stop = {.sa_handler = on_stop};
    sigaction(SIGWINCH, &resize, NULL);
    sigaction(SIGTSTP, &stop, NULL);
}

/* ---- which runs ---- */

/* A run's folder that has ended tells no more. */
static int refuse_ended(const char *at, struct lca_err *err)
{
    char path[4096];
    struct stat s;
    if (snprintf(path, sizeof path, "%s/ipc", at) >= (int)sizeof path || stat(path, &s) == 0)
        return 0;
    snprintf(path, sizeof path, "%s/summary.json", at);
    if (stat(path, &s) < 0)
        return 0;
    return lca_fail(err, LCA_USAGE, "the run of %s has ended: %s has its results", at, path);
}

static int add_run(struct top *t, const char *at, struct lca_err *err)
{
    struct run *r = &t->run[t->n_run];
    if (t->n_run == MAX_RUNS)
        return lca_fail(err, LCA_USAGE, "more than %d runs at once", MAX_RUNS);
    *r = (struct run){.at = at};
    if (refuse_ended(at, err) < 0 || !(r->lookout = lca_lookout_open(t->link, at, err)))
        return -1;
    t->n_run++;
    return 0;
}

/* Without operands: the newest run there is. */
static int find_run(struct top *t, struct lca_err *err)
{
    static char *newest;
    const char *dir = getenv("LCA_DIR");
    int n = lca_lookout_find(&newest, 1);
    if (n == 0 && dir && *dir)
        return lca_fail(err, LCA_USAGE, "no stage is alive in %s, which LCA_DIR names: name the --out folder of a run",
                        dir);
    if (n == 0)
        return lca_fail(err, LCA_USAGE, "no run of yours is alive: name the --out folder of one, or a folder of "
                        "sockets");
    /* lca-run's folder of sockets leads back to its OUT */
    static char out[4096];
    char back[4096];
    ssize_t len = snprintf(back, sizeof back, "%s/.out", newest) < (int)sizeof back
                  ? readlink(back, out, sizeof out - 1) : -1;
    const char *at = len > 0 ? out : newest;
    if (n > 1)
        lca_note("%d runs are alive; this is the newest, %s", n, at);
    return add_run(t, at, err);
}

/* ---- what comes ---- */

static int print_json(struct top *t, const json_t *frame, struct lca_err *err)
{
    char *line = json_dumps(frame, JSON_COMPACT);
    if (!line)
        return lca_fail(err, LCA_INTERNAL, "out of memory");
    int bad = puts(line) == EOF || fflush(stdout) != 0;
    free(line);
    t->shown++;
    return bad ? lca_fail_errno(err, errno == EPIPE ? LCA_PIPE : LCA_INTERNAL, "cannot write to stdout") : 0;
}

static int take(struct top *t, struct run *r, struct lca_err *err)
{
    struct lca_frame *f;
    const char *tap;
    while (lca_lookout_next(r->lookout, &f, &tap) == 1) {
        if (!f) {
            lca_board_gone(&r->board, tap);
            continue;
        }
        json_t *j = lca_frame_json(f);
        bool status = f->kind == LCA_KIND_status;
        int result = j ? lca_board_take(&r->board, j, tap, lca_now(), err)
                       : lca_fail(err, LCA_INTERNAL, "out of memory");
        if (result == 0 && opt.json && status && !(opt.count && t->shown >= opt.count))
            result = print_json(t, j, err);
        json_decref(j);
        if (result < 0)
            return -1;
        r->seen |= status;
    }
    return 0;
}

/* ---- what is shown ---- */

static void size_of_terminal(int *rows, int *columns)
{
    struct winsize size = {0};
    *rows = *columns = 0;
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0) {
        *rows = size.ws_row;
        *columns = size.ws_col;
    }
}

/* Each run has its share of the rows, and a line above with its name. */
static int picture(struct top *t, int rows, int columns, struct lca_err *err)
{
    t->text.len = 0;
    int bad = 0;
    for (int k = 0; k < t->n_run && !bad; k++) {
        struct run *r = &t->run[k];
        const char *note = !r->seen ? ": no stage yet" : lca_lookout_over(r->lookout) ? ": has ended" : "";
        int wide = columns > 0 && columns < 1000 ? columns : 1000;
        char line[1024];
        snprintf(line, sizeof line, "lca-top  %s%s", r->at, note);
        bad = lca_buf_printf(&t->text, "%s%.*s\n", k ? "\n" : "", wide, line) < 0;
        if (!bad && r->seen)
            bad = lca_board_picture(&r->board, lca_now(), rows > 0 ? rows / t->n_run - 2 - (k > 0) : 0, columns,
                                    t->color, &t->text) < 0;
    }
    return bad ? lca_fail(err, LCA_INTERNAL, "out of memory") : 0;
}

/* Line by line, each wiped behind its end, then what is below: nothing flickers. */
static int draw(struct top *t, struct lca_err *err)
{
    static struct lca_buf screen;
    int rows, columns;
    size_of_terminal(&rows, &columns);
    if (picture(t, rows, columns, err) < 0)
        return -1;
    screen.len = 0;
    const char *at = (const char *)t->text.data, *end = at + t->text.len;
    int bad = lca_buf_printf(&screen, "\033[H") < 0;
    for (int row = 1; at < end && !bad && (rows == 0 || row < rows); row++) {
        const char *stop = memchr(at, '\n', (size_t)(end - at));
        bad = lca_buf_printf(&screen, "%.*s\033[K\n", (int)(stop - at), at) < 0;
        at = stop + 1;
    }
    if (bad || lca_buf_printf(&screen, "\033[J") < 0)
        return lca_fail(err, LCA_INTERNAL, "out of memory");
    put((const char *)screen.data, screen.len);
    return 0;
}

static int write_text(struct top *t, struct lca_err *err)
{
    if (t->text.len > 0 && (fwrite(t->text.data, 1, t->text.len, stdout) != t->text.len || fflush(stdout) != 0))
        return lca_fail_errno(err, errno == EPIPE ? LCA_PIPE : LCA_INTERNAL, "cannot write to stdout");
    return 0;
}

static int print_lines(struct top *t, struct lca_err *err)
{
    t->text.len = 0;
    for (int k = 0; k < t->n_run; k++) {
        char prefix[200] = "";
        if (t->n_run > 1)
            snprintf(prefix, sizeof prefix, "%.190s: ", t->run[k].at);
        if (lca_board_lines(&t->run[k].board, lca_now(), prefix, &t->text) < 0)
            return lca_fail(err, LCA_INTERNAL, "out of memory");
    }
    return write_text(t, err);
}

static int show(struct top *t, struct lca_err *err)
{
    return opt.json ? 0 : t->terminal ? draw(t, err) : print_lines(t, err);
}

/* What stays on the terminal afterwards. */
static int show_last(struct top *t, struct lca_err *err)
{
    int rows, columns;
    if (opt.json || !t->terminal)
        return 0;
    size_of_terminal(&rows, &columns);
    return picture(t, 0, columns, err) < 0 ? -1 : write_text(t, err);
}

/* ---- the loop ---- */

static bool any_seen(const struct top *t)
{
    bool seen = false;
    for (int k = 0; k < t->n_run; k++)
        seen |= t->run[k].seen;
    return seen;
}

static bool all_over(const struct top *t)
{
    for (int k = 0; k < t->n_run; k++)
        if (!lca_lookout_over(t->run[k].lookout))
            return false;
    return true;
}

/* Until the runs end, somebody quits, or there have been enough pictures. */
static int watch(struct top *t, struct lca_err *err)
{
    double now = lca_now(), due = t->terminal ? now : now + 1e9;
    bool counts = false;        /* pictures before the first stage is there do not */
    for (;;) {
        double left = due - lca_now();
        double most = t->terminal && left > KEYS ? KEYS : left < 0 ? 0 : left;
        if (lca_link_wait(t->link, most > 0.5 ? 500 : (int)ceil(most * 1e3), err) < 0)
            return -1;
        for (int k = 0; k < t->n_run; k++)
            if (take(t, &t->run[k], err) < 0)
                return -1;
        if (to_stop)
            stop_for_a_while();
        if (lca_link_want(t->link) == LCA_SIG_STOP || (t->terminal && quit_key()))
            return 0;
        now = lca_now();
        if (!counts && any_seen(t)) {
            counts = true;
            double first = now + (opt.interval < FIRST ? opt.interval : FIRST);
            due = t->terminal && due < first ? due : first;
        }
        bool over = all_over(t);
        if (now >= due || resized || over) {
            bool early = resized && now < due;
            resized = 0;
            if (show(t, err) < 0)
                return -1;
            if (!early)
                due = now + opt.interval;
            t->shown += counts && !early && !opt.json;
        }
        if (over || (opt.count && t->shown >= opt.count))
            return 0;
    }
}

static int run(int argc, char **argv, struct lca_err *err)
{
    struct top t = {0};
    const char *term = getenv("TERM"), *no_color = getenv("NO_COLOR");
    int result = -1;
    t.terminal = isatty(STDOUT_FILENO) && term && *term && strcmp(term, "dumb") != 0 && !opt.json;
    t.color = t.terminal && !(no_color && *no_color);
    if (opt.interval == 0)
        opt.interval = t.terminal ? LIVE : PLAIN;
    if (!(t.link = lca_link_new(LCA_SIG_SOURCE, err)) || lca_link_secure(t.link, &opt.safety, err) < 0)
        goto out;
    for (int k = 0; k < argc; k++)
        if (add_run(&t, argv[k], err) < 0)
            goto out;
    if (argc == 0 && find_run(&t, err) < 0)
        goto out;
    if (t.terminal) {
        watch_terminal();
        enter();
    }
    result = watch(&t, err);
    if (t.terminal)
        leave();
    if (result == 0)
        result = show_last(&t, err);
out:
    lca_link_free(t.link);
    for (int k = 0; k < t.n_run; k++)
        lca_board_clear(&t.run[k].board);
    lca_buf_clear(&t.text);
    return result;
}

static const struct lca_tool tool = {
    .name = "lca-top",
    .summary = "watch the stages of a run",
    .usage = "[OPTION]... [OUT|DIR|EP]...",
    .about =
        "Shows how the stages of a live run are: state, step, rates, frames that wait, credit, memory, the workers of "
        "the pool, the residual of the latest step and the time left. OUT is the run's --out folder; a folder of "
        "sockets, or a single output's endpoint, does as well. Without one it is $LCA_DIR, else the newest of your "
        "runs. No stage waits for it.\n\n"
        "STATE: runs; waits (for what stands at the end of the line); silent: has not told for 3 s, because it "
        "computes for long or is stopped; gone; done, stopped or failed after its end. Recorders and others "
        "without an output of their own are told of by the stage that they read from: here, lost (their frames are "
        "kept) or awaited. Workers are idle, busy, leaving, or late: past the time after which their unit is given to "
        "another as well. KEPT: frames sent that not all consumers have processed. BEHIND: frames of its "
        "input that it has not processed. CREDIT: frames that it may still be sent.\n\n"
        "On a terminal the picture is drawn again every second; q or Ctrl-C leaves. NO_COLOR in the environment "
        "keeps it from colours. Elsewhere it prints a line for each stage and worker every 10 s. When the run "
        "ends it exits with 0 and leaves the last picture.",
    .examples =
        "  lca-top out                      # the run of --out out\n"
        "  lca-top -n 1 out | grep late     # a look, once\n"
        "  lca-top --json out > status.jsonl",
    .opts = opts,
    .more = link_opts,
    .max_args = -1,
    .run = run,
};

int main(int argc, char **argv)
{
    return lca_tool_main(&tool, argc, argv);
}
