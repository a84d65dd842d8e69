#include "run/watch.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "run/lines.h"

/* Seconds. */
static const double grace_failed = 5, grace_aborted = 2, grace_spare = 10, grace_strays = 2,
                    grace_tap = 0.5, early = 10;

struct child {
    pid_t pid;                      /* also its process group */
    bool alive, group;              /* the leader; any process of the group */
    int status;                     /* of the leader, once it has ended, and .. */
    double ended;                   /* .. when */
    struct lca_lines err, out;      /* out: of the tap only */
};

struct state {
    struct lca_watch *w;
    struct lca_err *err;
    struct child *stage;            /* [stages->n] */
    struct child tap;
    int live, live_others;          /* leaders alive: all, those that are no workers */
    int interrupts;
    bool by_parent;                 /* the first of them came from it, .. */
    double interrupted_at;
    bool failed, stopping;          /* a stage has failed; SIGTERM has been sent */
    double begun;
    double kill_at, spare_at;       /* when to SIGKILL, to stop spare workers; 0: never */
    double term_at;                 /* when to stop what an early interrupt has left; 0: never */
};

int lca_watch_report(const char *dir, const char *stage, char *path, size_t size)
{
    return snprintf(path, size, "%s/%s.report", dir, stage) < (int)size ? 0 : -1;
}

/* ---- starting -------------------------------------------------------------- */

/* In the child, up to exec. The group is told to the guard from here and not by the
 * parent, which may be killed between fork and telling: the guard sees the end of its
 * pipe only after this child's exec. */
_Noreturn static void become(const struct state *s, char *const *argv, const char *name, int out,
                             int err)
{
    char report[PATH_MAX];
    sigset_t none;
    setpgid(0, 0);
    lca_guard_add(s->w->guard, getpid());
    int null = open("/dev/null", O_RDONLY);
    bool ok = null >= 0 && dup2(null, 0) >= 0 && dup2(err, 2) >= 0 &&
              (out < 0 || dup2(out, 1) >= 0) &&
              lca_watch_report(s->w->dir, name, report, sizeof report) == 0 &&
              setenv("LCA_DIR", s->w->dir, 1) == 0 && setenv("LCA_OUT", s->w->out, 1) == 0 &&
              setenv("LCA_STAGE", name, 1) == 0 && setenv("LCA_REPORT", report, 1) == 0 &&
              (s->w->resume ? setenv("LCA_RESUME", "1", 1) : unsetenv("LCA_RESUME")) == 0 &&
              setenv("OPENBLAS_NUM_THREADS", "1", 1) == 0;
    if (null > 2)
        close(null);
    /* A shell has its background jobs ignore the first two, and a stage that inherits
     * that could not be interrupted. */
    static const int normal[] = {SIGINT, SIGQUIT, SIGTERM, SIGPIPE, SIGTTOU};
    for (size_t k = 0; k < sizeof normal / sizeof *normal; k++)
        signal(normal[k], SIG_DFL);
    /* How are you? ends nobody: neither who has not got to it yet, nor a shell in between. */
    signal(SIGUSR1, SIG_IGN);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    if (ok)
        execvp(argv[0], argv);
    dprintf(2, "lca-run[%s]: error: cannot start %s: %s\n", name, argv[0], strerror(errno));
    _exit(127);
}

static int start(struct state *s, struct child *c, char *const *argv, const char *name,
                 bool with_out)
{
    int err[2] = {-1, -1}, out[2] = {-1, -1};
    if (pipe2(err, O_CLOEXEC) < 0 || (with_out && pipe2(out, O_CLOEXEC) < 0) ||
        (c->pid = fork()) < 0) {
        lca_fail_errno(s->err, LCA_INTERNAL, "cannot start %s", name);
        for (int k = 0; k < 2; k++) {
            if (err[k] >= 0)
                close(err[k]);
            if (out[k] >= 0)
                close(out[k]);
        }
        return -1;
    }
    if (c->pid == 0)
        become(s, argv, name, out[1], err[1]);
    setpgid(c->pid, c->pid);        /* whoever comes first: signals may follow at once */
    c->alive = c->group = true;
    close(err[1]);
    lca_lines_open(&c->err, err[0]);
    if (with_out) {
        close(out[1]);
        lca_lines_open(&c->out, out[0]);
    }
    return 0;
}

static int start_all(struct state *s)
{
    const struct lca_stages *stages = s->w->stages;
    if (s->w->tap) {
        char *argv[] = {"lca-tap", "--json", "--fields", LCA_PROGRESS_FIELDS, (char *)s->w->tap,
                        NULL};
        if (start(s, &s->tap, argv, "lca-run", true) < 0)
            return -1;
    }
    for (int k = 0; k < stages->n; k++) {
        const struct lca_stage *t = &stages->item[k];
        char *argv[] = {"bash", "-o", "pipefail", "-c", t->command, NULL};
        if (start(s, &s->stage[k], argv, t->name, false) < 0)
            return -1;
        s->live++;
        s->live_others += !t->copies;
    }
    return 0;
}

/* ---- stopping -------------------------------------------------------------- */

/* Signals a group, or with 0 only looks whether it still is. The number of a group
 * that has ended may be given to another, so it is forgotten at once. */
static void signal_group(struct state *s, struct child *c, int sig)
{
    if (!c->group || kill(-c->pid, sig) == 0 || c->alive)
        return;
    c->group = false;
    lca_guard_drop(s->w->guard, c->pid);
}

static void signal_all(struct state *s, int sig)
{
    for (int k = 0; k < s->w->stages->n; k++)
        signal_group(s, &s->stage[k], sig);
}

static void stop(struct state *s, double grace)
{
    s->stopping = true;
    signal_all(s, SIGTERM);
    double at = lca_now() + grace;
    if (!s->kill_at || at < s->kill_at)
        s->kill_at = at;
}

/* Of the terminal, or of a whole process group, a script and we have the same signal; a script
 * that passes it on tells us twice. */
static bool passed_on(const struct state *s, pid_t from)
{
    return s->interrupts == 1 && (from == getppid()) != s->by_parent && lca_now() < s->interrupted_at + 2;
}

static void interrupt(struct state *s, pid_t from)
{
    if (passed_on(s, from))
        return;
    if (++s->interrupts == 1) {
        s->by_parent = from == getppid();
        s->interrupted_at = lca_now();
        /* a source may have gone before the others met it, and they would wait for ever */
        if (s->interrupted_at < s->begun + early)
            s->term_at = s->interrupted_at + early;
        lca_screen_say(s->w->screen, "interrupted: the stages finish what is under way; "
                       "once more to abort");
        if (!s->stopping)
            signal_all(s, SIGINT);
        return;
    }
    if (s->interrupts == 2)
        lca_screen_say(s->w->screen, "aborted");
    stop(s, grace_aborted);
}

/* ---- SIGUSR1 --------------------------------------------------------------- */

/* Says how the run is, and lets the stages say how they are. */
static void tell(struct state *s)
{
    struct lca_buf line = {0};
    char progress[256] = "";
    int n = 0;
    if (s->w->progress->step > 0)
        lca_progress_text(s->w->progress, progress, sizeof progress);
    lca_buf_printf(&line, "lca-run: status: up %.0f s%s%s; %d of %d stages run", lca_now() - s->begun,
                   *progress ? ", " : "", progress, s->live, s->w->stages->n);
    for (int k = 0; k < s->w->stages->n; k++)
        if (s->stage[k].alive)
            lca_buf_printf(&line, "%s%s", n++ ? ", " : ": ", s->w->stages->item[k].name);
    n = 0;
    for (int k = 0; k < s->w->stages->n; k++)
        if (!s->stage[k].alive)
            lca_buf_printf(&line, "%s%s (status %d, after %.0f s)", n++ ? ", " : "; ended: ",
                           s->w->stages->item[k].name, s->stage[k].status, s->stage[k].ended - s->begun);
    if (line.data)
        lca_screen_line(s->w->screen, (const char *)line.data, line.len);
    lca_buf_clear(&line);
    signal_all(s, SIGUSR1);
}

/* ---- ends of stages -------------------------------------------------------- */

static int remaining(const struct state *s, const char *pool)
{
    int n = 0;
    for (int k = 0; k < s->w->stages->n; k++)
        n += s->stage[k].alive && strcmp(s->w->stages->item[k].pool, pool) == 0;
    return n;
}

static void ended(struct state *s, int k, int how)
{
    const struct lca_stage *t = &s->w->stages->item[k];
    int status = WIFSIGNALED(how) ? 128 + WTERMSIG(how) : WEXITSTATUS(how);
    char what[64];
    s->stage[k].alive = false;
    s->stage[k].status = status;
    s->stage[k].ended = lca_now();
    s->live--;
    s->live_others -= !t->copies;
    if (WIFSIGNALED(how))
        snprintf(what, sizeof what, "killed by signal %d", WTERMSIG(how));
    else
        snprintf(what, sizeof what, "exited with status %d", status);
    bool expected = status == 0 || s->stopping || (s->interrupts && status == LCA_ABORTED);
    if (!expected && t->copies) {
        int left = remaining(s, t->pool);
        if (left)
            lca_screen_say(s->w->screen, "worker %s %s; the run goes on with %d", t->name, what,
                           left);
        else
            lca_screen_say(s->w->screen, "worker %s %s; no %s is left", t->name, what, t->pool);
    } else if (!expected) {
        s->failed = true;
        lca_fail(s->err, status, "stage %s %s", t->name, what);
        if (s->live)
            lca_screen_say(s->w->screen, "stage %s %s: stopping the others", t->name, what);
        stop(s, grace_failed);
    }
}

static void reap(struct state *s)
{
    int how;
    for (pid_t pid; (pid = waitpid(-1, &how, WNOHANG)) > 0;) {
        if (pid == s->tap.pid)
            s->tap.alive = false;
        if (pid == s->w->guard->pid)
            s->w->guard->pid = 0;
        for (int k = 0; k < s->w->stages->n; k++)
            if (pid == s->stage[k].pid && s->stage[k].alive)
                ended(s, k, how);
    }
    for (int k = 0; k < s->w->stages->n; k++)
        if (!s->stage[k].alive)
            signal_group(s, &s->stage[k], 0);
    if (s->tap.pid && !s->tap.alive)
        signal_group(s, &s->tap, 0);
}

/* ---- lines ----------------------------------------------------------------- */

static void show_progress(struct state *s)
{
    struct lca_watch *w = s->w;
    char text[256];
    if (w->quiet || !lca_progress_due(w->progress, w->screen->terminal, lca_now()))
        return;
    lca_progress_text(w->progress, text, sizeof text);
    lca_screen_progress(w->screen, text);
}

/* Passes on what the pipes hold now. */
static void read_lines(struct state *s)
{
    const char *line;
    size_t len;
    for (int k = 0; k < s->w->stages->n; k++) {
        struct lca_lines *l = &s->stage[k].err;
        lca_lines_read(l);
        while ((line = lca_lines_next(l, &len)) != NULL)
            lca_screen_line(s->w->screen, line, len);
    }
    if (!s->tap.pid)
        return;
    lca_lines_read(&s->tap.err);
    while ((line = lca_lines_next(&s->tap.err, &len)) != NULL)
        lca_screen_log(s->w->screen, line, len);
    lca_lines_read(&s->tap.out);
    while ((line = lca_lines_next(&s->tap.out, &len)) != NULL)
        lca_progress_read(s->w->progress, line, len, lca_now());
    show_progress(s);
}

/* ---- the loop -------------------------------------------------------------- */

/* Waits for a line, a signal or the time `until`, and deals with what came. */
static void turn(struct state *s, double until)
{
    struct pollfd p[LCA_STAGES_MAX + 3] = {{.fd = s->w->signals, .events = POLLIN}};
    nfds_t n = 1;
    for (int k = 0; k < s->w->stages->n; k++)
        p[n++] = (struct pollfd){.fd = s->stage[k].err.fd, .events = POLLIN};
    p[n++] = (struct pollfd){.fd = s->tap.err.fd, .events = POLLIN};
    p[n++] = (struct pollfd){.fd = s->tap.out.fd, .events = POLLIN};
    double left = until - lca_now();
    poll(p, n, left <= 0 ? 0 : left < 60 ? (int)ceil(left * 1000) : 60000);
    struct signalfd_siginfo info;
    while (read(s->w->signals, &info, sizeof info) == sizeof info) {
        if (info.ssi_signo == SIGUSR1)
            tell(s);
        else if (info.ssi_signo != SIGCHLD)
            interrupt(s, (pid_t)info.ssi_pid);
    }
    reap(s);
    read_lines(s);
}

static double earlier(double a, double b)
{
    return b && b < a ? b : a;
}

static void loop(struct state *s)
{
    while (s->live) {
        turn(s, earlier(earlier(earlier(lca_now() + 60, s->kill_at), s->spare_at), s->term_at));
        double now = lca_now();
        if (s->term_at && now >= s->term_at) {
            s->term_at = 0;
            if (s->live && !s->stopping)
                stop(s, grace_failed);
        }
        if (!s->live_others && s->live && !s->stopping && !s->spare_at)
            s->spare_at = now + grace_spare;
        if (s->spare_at && now >= s->spare_at) {
            s->spare_at = 0;
            if (s->live && !s->stopping) {
                lca_screen_say(s->w->screen, "all stages are done: stopping %d worker%s left",
                               s->live, s->live > 1 ? "s" : "");
                stop(s, grace_failed);
            }
        }
        if (s->kill_at && now >= s->kill_at) {
            signal_all(s, SIGKILL);
            s->kill_at = now + 1;
        }
    }
}

/* Waits for, then ends, what the stages have left behind: what they started in the
 * background may still be writing. */
static void sweep(struct state *s)
{
    double begun = lca_now();
    double term_at = begun + (s->stopping ? 0 : grace_strays), kill_at = term_at + grace_strays;
    bool termed = false;
    for (;;) {
        double now = lca_now();
        int sig = now >= kill_at ? SIGKILL : now >= term_at && !termed ? SIGTERM : 0;
        termed |= sig == SIGTERM;
        if (s->tap.alive && (s->stopping || now >= begun + grace_tap))
            kill(-s->tap.pid, SIGKILL);
        signal_all(s, sig == SIGKILL ? sig : 0);    /* lca_strays sends SIGTERM, once */
        bool groups = s->tap.pid && s->tap.alive;
        for (int k = 0; k < s->w->stages->n; k++)
            groups |= s->stage[k].group;
        if (lca_strays(s->w->strays, sig) == 0 && !groups)
            break;
        if (now >= kill_at + 5) {
            lca_screen_say(s->w->screen, "warning: a process of the run does not end "
                           "even by SIGKILL");
            break;
        }
        if (s->interrupts > 1 && term_at > now)
            kill_at = (term_at = now) + grace_aborted;
        turn(s, now + 0.02);
    }
    reap(s);
    for (int k = 0; k < s->w->stages->n; k++) {
        struct lca_lines *l = &s->stage[k].err;
        const char *line;
        size_t len;
        while (lca_lines_read(l))
            while ((line = lca_lines_next(l, &len)) != NULL)
                lca_screen_line(s->w->screen, line, len);
        while ((line = lca_lines_next(l, &len)) != NULL)
            lca_screen_line(s->w->screen, line, len);
    }
}

int lca_watch(struct lca_watch *w, struct lca_err *err)
{
    struct state s = {.w = w, .err = err, .tap = {.err.fd = -1, .out.fd = -1}};
    s.begun = lca_now();
    s.stage = lca_alloc((size_t)w->stages->n, sizeof *s.stage, err);
    if (!s.stage)
        return -1;
    for (int k = 0; k < w->stages->n; k++)
        s.stage[k].err.fd = s.stage[k].out.fd = -1;
    if (start_all(&s) < 0) {
        s.failed = true;
        stop(&s, grace_failed);
    }
    loop(&s);
    w->seconds = lca_now() - s.begun;
    sweep(&s);
    lca_screen_end(w->screen);
    w->end = s.failed ? LCA_WATCH_FAILED : s.interrupts ? LCA_WATCH_INTERRUPTED : LCA_WATCH_OK;
    if (w->end == LCA_WATCH_INTERRUPTED)
        lca_fail(err, LCA_ABORTED, "interrupted");
    for (int k = 0; k < w->stages->n; k++)
        lca_lines_close(&s.stage[k].err);
    lca_lines_close(&s.tap.err);
    lca_lines_close(&s.tap.out);
    free(s.stage);
    return w->end == LCA_WATCH_OK ? 0 : -1;
}
