/* lca-run: starts the stages of a run, watches and stops them, and gathers what they
 * report. It carries no frames: the stages talk to each other. */
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <limits.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/log.h"
#include "base/tool.h"
#include "run/resume.h"
#include "run/summary.h"
#include "run/watch.h"

/* Of a socket's path, what is left for the name in the private folder. */
enum { SOCKET_NAME = 40, MAX_STAGE_FILE = 1 << 20 };

/* Seconds that the end of the last run in the folder may take: its guard's work. */
#define LAST_RUN 8.0

static const char *out_arg, *progress_arg, *resume_arg;
static long iterations;
static bool quiet;
static struct lca_list set_keys, run_keys;
static char **all_args;
static int n_args;

static const struct lca_opt opts[] = {
    {"out", 'o', LCA_OPT_STR, &out_arg, "DIR",
     "Where the results go; made if it is missing. It must not hold another run.", 0, 0, true},
    {"resume", 'r', LCA_OPT_STR, &resume_arg, "DIR",
     "Go on with the run in DIR, which was cut off: the same stages, with LCA_RESUME=1 in their environment.",
     0, 0, true},
    {"progress", 'p', LCA_OPT_STR, &progress_arg, "EP",
     "Show how far the run is, with lca-tap at this endpoint, such as ipc:lca.", 0, 0, false},
    {"iterations", 0, LCA_OPT_INT, &iterations, "N",
     "Training steps of the run: for the time left and for seconds_per_step.", 1, 1e15, false},
    {"quiet", 'q', LCA_OPT_FLAG, &quiet, NULL,
     "Show no progress.", 0, 0, false},
    {"set", 0, LCA_OPT_LIST, &set_keys, "KEY=JSON",
     "A key of summary.json, which a stage's report may replace; may be given several times.",
     0, 0, true},
    {"run", 0, LCA_OPT_LIST, &run_keys, "KEY=JSON",
     "A further key of run.json; may be given several times.", 0, 0, true},
    {0},
};

struct places {
    char out[PATH_MAX], run_json[PATH_MAX + 16], summary_json[PATH_MAX + 16], log[PATH_MAX + 16];
    char link[PATH_MAX + 16];       /* out/ipc, to dir */
    char dir[sizeof ((struct sockaddr_un *)0)->sun_path];
    char mark[sizeof ((struct sockaddr_un *)0)->sun_path + 16];
};

static int read_stages(struct lca_stages *stages, const char *path, struct lca_err *err)
{
    bool is_stdin = strcmp(path, "-") == 0;
    const char *name = is_stdin ? "stdin" : path;
    FILE *f = is_stdin ? stdin : fopen(path, "re");
    if (!f)
        return lca_fail_errno(err, LCA_USAGE, "cannot read %s", path);
    char *text = lca_alloc(MAX_STAGE_FILE, 1, err);
    size_t len = text ? fread(text, 1, MAX_STAGE_FILE, f) : 0;
    int result = -1;
    if (text && ferror(f))
        lca_fail_errno(err, LCA_USAGE, "cannot read %s", name);
    else if (text && len == MAX_STAGE_FILE)
        lca_fail(err, LCA_USAGE, "%s: longer than %d bytes: not a stage file", name,
                 MAX_STAGE_FILE - 1);
    else if (text)
        result = lca_stages_parse(stages, text, len, name, err);
    free(text);
    if (!is_stdin)
        fclose(f);
    return result;
}

static int make_folders(const char *path)
{
    char part[PATH_MAX];
    if (snprintf(part, sizeof part, "%s", path) >= (int)sizeof part) {
        errno = ENAMETOOLONG;
        return -1;
    }
    for (char *slash = part + 1; (slash = strchr(slash, '/')) != NULL; slash++) {
        *slash = 0;
        if (mkdir(part, 0777) < 0 && errno != EEXIST)
            return -1;
        *slash = '/';
    }
    return mkdir(part, 0777) < 0 && errno != EEXIST ? -1 : 0;
}

static int find_places(struct places *p, const char *out, struct lca_err *err)
{
    if (!out || !*out)
        return lca_fail(err, LCA_USAGE, "--out DIR is missing: where do the results go?");
    if (!resume_arg && make_folders(out) < 0)
        return lca_fail_errno(err, LCA_USAGE, "cannot make the folder %s", out);
    if (!realpath(out, p->out))
        return lca_fail_errno(err, LCA_USAGE, "cannot find the folder %s", out);
    snprintf(p->run_json, sizeof p->run_json, "%s/run.json", p->out);
    snprintf(p->summary_json, sizeof p->summary_json, "%s/summary.json", p->out);
    snprintf(p->log, sizeof p->log, "%s/log", p->out);
    snprintf(p->link, sizeof p->link, "%s/ipc", p->out);
    if (!resume_arg && access(p->run_json, F_OK) == 0)
        return lca_fail(err, LCA_USAGE, "%s already holds a run: choose another --out or remove it; --resume %s goes "
                        "on with one that was cut off", p->out, out);
    return 0;
}

/* Sockets do not live under --out, since their paths must fit in 107 bytes. */
static int make_private(struct places *p, struct lca_guard *guard, struct lca_err *err)
{
    const char *base[] = {getenv("XDG_RUNTIME_DIR"), "/tmp"};
    for (int k = 0; k < 2; k++) {
        if (!base[k] || base[k][0] != '/' ||
            strlen(base[k]) + strlen("/lca-XXXXXX/") + SOCKET_NAME >= sizeof p->dir)
            continue;
        snprintf(p->dir, sizeof p->dir, "%s/lca-XXXXXX", base[k]);
        if (lca_guard_start(guard, p->dir, p->link, err) == 0) {
            snprintf(p->mark, sizeof p->mark, LCA_GUARD_MARK "%s", p->dir);
            return 0;
        }
    }
    p->dir[0] = 0;
    return lca_err_prefix(err, "no private folder in $XDG_RUNTIME_DIR or /tmp");
}

/* What a new run must know to be gone on with: where the stages run, and the options. */
static int remember(json_t *run, const json_t *summary, struct lca_err *err)
{
    char folder[PATH_MAX];
    if (!getcwd(folder, sizeof folder))
        return lca_fail_errno(err, LCA_USAGE, "cannot tell the folder that this is");
    json_object_set_new(run, "folder", json_string(folder));
    json_object_set_new(run, "set", json_deep_copy(summary));
    if (progress_arg)
        json_object_set_new(run, "progress", json_string(progress_arg));
    if (iterations)
        json_object_set_new(run, "iterations", json_integer(iterations));
    return 0;
}

static json_t *new_run(const struct lca_stages *stages, const json_t *summary, struct lca_err *err)
{
    json_t *run = lca_run_describe(stages, n_args, all_args, err);
    if (run && remember(run, summary, err) == 0 && lca_keys_put(run, &run_keys, "--run", err) == 0)
        return run;
    json_decref(run);
    return NULL;
}

/* The run of before, its stages and options; --progress may be given anew. */
static json_t *old_run(const struct places *p, struct lca_stages *stages, json_t *summary, struct lca_err *err)
{
    json_t *run = lca_resume_read(p->run_json, err);
    int times = -1;
    if (run && lca_resume_stages(stages, run, p->run_json, err) == 0)
        times = lca_resume_note(run, stages, n_args, all_args, err);
    const char *folder = json_string_value(json_object_get(run, "folder"));
    if (times > 0 && chdir(folder) < 0)
        times = lca_fail_errno(err, LCA_USAGE, "the run's stages were started in %s: cannot enter it", folder);
    if (times < 0) {
        json_decref(run);
        return NULL;
    }
    json_object_update(summary, json_object_get(run, "set"));
    json_object_set_new(summary, "resumed", json_integer(times));
    if (!progress_arg)
        progress_arg = json_string_value(json_object_get(run, "progress"));
    iterations = (long)json_integer_value(json_object_get(run, "iterations"));
    return run;
}

/* The stages' reports, in the order of the stage file, over the keys of --set. */
static int write_summary(const struct places *p, const struct lca_watch *w, json_t *summary,
                         struct lca_err *err)
{
    static const char *const ends[] = {"ok", "interrupted", "failed"};
    struct lca_buf changed = {0};
    int result = 0;
    for (int k = 0; k < w->stages->n && result == 0; k++) {
        const char *name = w->stages->item[k].name;
        char path[PATH_MAX];
        json_error_t at;
        if (lca_watch_report(p->dir, name, path, sizeof path) < 0 || access(path, F_OK) < 0)
            continue;
        json_t *report = json_load_file(path, 0, &at);
        changed.len = 0;
        if (!json_is_object(report))
            lca_screen_say(w->screen, "warning: the report of %s is left out: %s", name,
                           report ? "not a JSON object" : at.text);
        else
            result = lca_summary_merge(summary, report, &changed, err);
        if (changed.len)
            lca_screen_say(w->screen, "warning: %s reports another value than before: %.*s", name,
                           (int)changed.len, (char *)changed.data);
        json_decref(report);
    }
    lca_buf_clear(&changed);
    if (result < 0)
        return -1;
    const json_t *steps = json_object_get(summary, "iterations");
    double n = json_is_number(steps) ? json_number_value(steps) : (double)iterations;
    json_object_set_new(summary, "seconds_total", json_real(round(w->seconds * 1e3) / 1e3));
    if (w->end == LCA_WATCH_OK && n > 0 && !resume_arg)      /* else some steps were done before */
        json_object_set_new(summary, "seconds_per_step",
                            json_real(round(w->seconds / n * 1e6) / 1e6));
    json_object_set_new(summary, "status", json_string(ends[w->end]));
    return lca_json_save(summary, p->summary_json, false, err);
}

static int open_signals(struct lca_err *err)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    if (signal(SIGHUP, SIG_DFL) == SIG_IGN)     /* under nohup */
        signal(SIGHUP, SIG_IGN);
    else
        sigaddset(&set, SIGHUP);
    sigaddset(&set, SIGCHLD);
    sigaddset(&set, SIGUSR1);
    signal(SIGPIPE, SIG_IGN);       /* the run goes on without its audience, .. */
    signal(SIGTTOU, SIG_IGN);       /* .. and in the background */
    int fd = -1;
    if (sigprocmask(SIG_BLOCK, &set, NULL) == 0)
        fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    return fd < 0 ? lca_fail_errno(err, LCA_INTERNAL, "cannot watch for signals") : fd;
}

/* Stages find the programs that are beside this one, whatever the caller's PATH. */
static int extend_path(struct lca_err *err)
{
    char self[PATH_MAX], all[2 * PATH_MAX];
    const char *path = getenv("PATH");
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    if (n <= 0)
        return 0;
    self[n] = 0;
    *strrchr(self, '/') = 0;
    if (snprintf(all, sizeof all, "%s%s%s", path ? path : "", path && *path ? ":" : "", self) >= (int)sizeof all)
        return 0;
    return setenv("PATH", all, 1) == 0 ? 0 : lca_fail_errno(err, LCA_INTERNAL, "cannot set PATH");
}

static int check_args(int argc, struct lca_err *err)
{
    if (resume_arg && (argc || out_arg || iterations || set_keys.n || run_keys.n))
        return lca_fail(err, LCA_USAGE, "--resume DIR goes on with the stages and options of the run in DIR: give no "
                        "FILE, and of the options --progress and --quiet alone");
    if (!resume_arg && !argc)
        return lca_fail(err, LCA_USAGE, "usage: lca-run --out DIR [OPTION]... FILE, or lca-run --resume DIR");
    return 0;
}

/* Reads what is to be run; the folder is locked from here on. 1: nothing is to be done. */
static int prepare(struct places *p, struct lca_stages *stages, const char *file, int *lock, json_t *summary,
                   json_t **run, struct lca_err *err)
{
    if ((file && read_stages(stages, file, err) < 0) || find_places(p, resume_arg ? resume_arg : out_arg, err) < 0 ||
        (*lock = lca_resume_lock(p->out, resume_arg ? LAST_RUN : 0, err)) < 0)
        return -1;
    if (resume_arg && access(p->run_json, F_OK) == 0 && lca_resume_is_done(p->summary_json)) {
        lca_note("the run in %s has ended in order: there is nothing to do", resume_arg);
        return 1;
    }
    *run = resume_arg ? old_run(p, stages, summary, err) : new_run(stages, summary, err);
    return *run ? 0 : -1;
}

static int run(int argc, char **argv, struct lca_err *err)
{
    struct places p = {0};
    struct lca_stages stages = {0};
    struct lca_guard guard = {.fd = -1};
    struct lca_screen screen;
    struct lca_progress progress = {0};
    struct lca_strays strays = {.mark = p.mark, .parent = getpid()};
    struct lca_watch w = {.stages = &stages, .guard = &guard, .strays = &strays, .screen = &screen,
                          .progress = &progress, .dir = p.dir, .out = p.out, .resume = resume_arg != NULL,
                          .quiet = quiet, .signals = -1};
    json_t *summary = json_object(), *described = NULL;
    int result = -1, lock = -1;

    lca_screen_init(&screen);
    if (check_args(argc, err) < 0 || lca_keys_put(summary, &set_keys, "--set", err) < 0)
        goto out;
    int done = prepare(&p, &stages, argc ? argv[0] : NULL, &lock, summary, &described, err);
    if (done != 0) {
        result = done > 0 ? 0 : -1;
        goto out;
    }
    w.tap = progress_arg;
    progress.iterations = iterations;
    guard.lock = lock;
    if ((w.signals = open_signals(err)) < 0 || make_private(&p, &guard, err) < 0 || extend_path(err) < 0)
        goto out;
    /* so that lca-top can tell whose sockets these are */
    char back[sizeof p.dir + 8];
    snprintf(back, sizeof back, "%s/.out", p.dir);
    if (symlink(p.out, back) < 0) {
        lca_fail_errno(err, LCA_INTERNAL, "cannot write %s", back);
        goto out;
    }
    lca_strays_spare(&strays);
    if (prctl(PR_SET_CHILD_SUBREAPER, 1) < 0) {
        lca_fail_errno(err, LCA_INTERNAL, "cannot become the reaper of the stages");
        goto out;
    }
    if (lca_json_save(described, p.run_json, !resume_arg, err) < 0)
        goto out;
    screen.log = open(p.log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    unlink(p.link);     /* a leftover; a folder of that name stays, and symlink says so */
    if (screen.log < 0 || symlink(p.dir, p.link) < 0) {
        lca_fail_errno(err, LCA_INTERNAL, "cannot write %s", screen.log < 0 ? p.log : p.link);
        if (!resume_arg)
            unlink(p.run_json);
        goto out;
    }
    if (resume_arg)
        lca_screen_say(&screen, "going on with the run in %s", p.out);
    result = lca_watch(&w, err);
    if (result < 0)
        lca_screen_log(&screen, err->text, strlen(err->text));
    struct lca_err later = {0};
    if (write_summary(&p, &w, summary, &later) < 0) {
        if (result == 0)
            *err = later;
        else
            lca_screen_say(&screen, "%s", later.text);
        result = -1;
    }
out:
    if (p.dir[0])
        lca_guard_remove(p.dir, p.link);
    lca_guard_end(&guard);
    if (screen.log >= 0)
        close(screen.log);
    if (w.signals >= 0)
        close(w.signals);
    if (lock >= 0)
        close(lock);
    lca_stages_clear(&stages);
    json_decref(described);
    json_decref(summary);
    return result;
}

static const struct lca_tool tool = {
    .name = "lca-run",
    .summary = "start, watch and stop the stages of a run",
    .usage = "--out DIR [OPTION]... FILE | --resume DIR",
    .about =
        "Runs the stages that FILE lists (- for stdin), each line a stage: 'NAME: command', or "
        "'NAME*N: command' for N workers NAME.1 to NAME.N. NAME is made of a-z 0-9 . _ - . "
        "Lines that begin with # are comments, and a backslash at the end of a line joins the "
        "next one to it.\n\n"
        "All stages start at once, in any order, each by bash with pipefail, with stdin empty "
        "and with LCA_DIR (a private folder, for ipc:NAME), LCA_OUT (DIR, absolute), LCA_STAGE "
        "(its name) and LCA_REPORT (a file where it may leave a JSON object) in the "
        "environment. What they write to stderr is passed on line by line and kept in DIR/log. "
        "While the run lasts, DIR/ipc leads to the private folder, so that 'lca-tap "
        "DIR/ipc/lca' looks at a stream.\n\n"
        "A worker that dies is reported and the run goes on. Any other stage that ends with a "
        "status but 0 ends the run: the others get SIGTERM, and SIGKILL 5 s later. The exit "
        "status is that of the first stage that failed, 128 and the signal's number if it was "
        "killed. SIGINT (Ctrl-C) or SIGTERM ends the run in order, a second one at once; the "
        "status is then 130. Nothing that the stages started outlives lca-run, not even when "
        "that is killed.\n\n"
        "With --resume DIR a run that was cut off, by a failed stage, a full disk, Ctrl-C or a power "
        "failure, is gone on with: its stages are started again, with LCA_RESUME=1 in their "
        "environment, and begin where what is on disk ends (lca-train --resume, lca-integrate "
        "--resume, lca-cat --resume). DIR then holds what it would hold had nothing "
        "happened. run.json tells of it. A run that has ended in order is left alone.\n\n"
        "SIGUSR1 asks how the run is: lca-run says in one line which stages run and which have "
        "ended, and passes the signal on, so that every stage says how it is. Commands of a "
        "stage that know nothing of this ignore it.\n\n"
        "DIR/run.json says how to repeat the run. DIR/summary.json holds the keys of --set and "
        "of the stages' reports, seconds_total, seconds_per_step, and status: ok, interrupted "
        "or failed.",
    .examples =
        "  lca-run --out out --progress ipc:lca --iterations 880 stages\n"
        "  lca-run --resume out                                  # after a crash\n"
        "  printf 'a: echo hello >&2\\n' | lca-run --out out -   # one stage",
    .opts = opts,
    .min_args = 0,
    .max_args = 1,
    .run = run,
};

int main(int argc, char **argv)
{
    /* Closed standard descriptors would be taken by pipes. */
    int fd = open("/dev/null", O_RDWR);
    while (fd >= 0 && fd < 3)
        fd = dup(fd);
    if (fd > 2)
        close(fd);
    n_args = argc;
    all_args = calloc((size_t)argc + 1, sizeof *all_args);      /* getopt_long shuffles argv */
    if (!all_args)
        return LCA_INTERNAL;
    memcpy(all_args, argv, (size_t)argc * sizeof *argv);
    int status = lca_tool_main(&tool, argc, argv);
    free(all_args);
    return status;
}
