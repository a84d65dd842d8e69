#include "run/guard.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "run/stages.h"
#include "run/strays.h"

enum { MAX_GROUPS = LCA_STAGES_MAX + 8, DIR_SIZE = sizeof ((struct sockaddr_un *)0)->sun_path };

/* One record: a group, minus a group, or 0 for the farewell. Smaller than PIPE_BUF, so
 * that several processes may write. */
static void tell(const struct lca_guard *g, int32_t what)
{
    ssize_t n = write(g->fd, &what, sizeof what);
    (void)n;            /* a guard that somebody killed is missed only when needed */
}

void lca_guard_add(const struct lca_guard *g, pid_t group)
{
    tell(g, group);
}

void lca_guard_drop(const struct lca_guard *g, pid_t group)
{
    tell(g, -group);
}

static int remove_one(const char *path, const struct stat *s, int type, struct FTW *ftw)
{
    (void)s, (void)type, (void)ftw;
    remove(path);
    return 0;
}

void lca_guard_remove(const char *dir, const char *link)
{
    char to[PATH_MAX];
    ssize_t n = readlink(link, to, sizeof to - 1);
    if (n > 0) {
        to[n] = 0;
        if (strcmp(to, dir) == 0)
            unlink(link);
    }
    nftw(dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static void watch(int fd, const char *mark, const char *dir, const char *link)
{
    static pid_t group[MAX_GROUPS];
    int n = 0;
    for (;;) {
        int32_t what;
        ssize_t got = read(fd, &what, sizeof what);
        if (got < 0 && errno == EINTR)
            continue;
        if (got != sizeof what)
            break;
        if (what == 0)
            return;
        if (what > 0 && n < MAX_GROUPS)
            group[n++] = what;
        for (int k = 0; what < 0 && k < n; k++)
            if (group[k] == -what)
                group[k--] = group[--n];
    }
    /* SIGTERM once: to our programs a second one means to leave at once. */
    struct lca_strays strays = {.mark = mark, .group = group, .n_groups = n};
    double died = lca_now();
    for (int sig = SIGTERM; lca_strays(&strays, sig) > 0 && lca_now() < died + 5;) {
        sig = lca_now() < died + 2 ? 0 : SIGKILL;
        usleep(20000);
    }
    lca_guard_remove(dir, link);
}

/* What the guard says once. */
struct made {
    int error;              /* errno, or 0 */
    char dir[DIR_SIZE];
};

static void guard(int from, int to, int lock, char *dir, const char *link)
{
    int ignored[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGPIPE, SIGUSR1};
    for (size_t k = 0; k < sizeof ignored / sizeof *ignored; k++)
        signal(ignored[k], SIG_IGN);
    setsid();
    prctl(PR_SET_NAME, "lca-run-guard");
    struct made made = {0};
    if (!mkdtemp(dir))
        made.error = errno;
    snprintf(made.dir, sizeof made.dir, "%s", dir);
    ssize_t n = write(to, &made, sizeof made);
    (void)n;                /* an lca-run that has died already is the end of the pipe */
    if (made.error || chdir("/") < 0)
        _exit(1);
    int null = open("/dev/null", O_RDWR);
    for (int fd = 0; null >= 0 && fd < 3; fd++)
        dup2(null, fd);
    /* Not even a pipe of the caller's is kept open. */
    if (lock > 0)
        lock = fcntl(lock, F_DUPFD, from + 5);      /* out of the way of the next line */
    dup2(from, 3);
    if (lock > 0)
        dup2(lock, 4);
    close_range(lock > 0 ? 5 : 4, ~0u, 0);
    char mark[sizeof LCA_GUARD_MARK + DIR_SIZE];
    snprintf(mark, sizeof mark, LCA_GUARD_MARK "%s", dir);
    watch(3, mark, dir, link);
    _exit(0);
}

int lca_guard_start(struct lca_guard *g, char *dir, const char *link, struct lca_err *err)
{
    int down[2], up[2];
    if (strlen(dir) >= DIR_SIZE)
        return lca_fail(err, LCA_INTERNAL, "the path %s is too long for sockets", dir);
    if (pipe2(down, O_CLOEXEC) < 0)
        return lca_fail_errno(err, LCA_INTERNAL, "cannot make a pipe");
    if (pipe2(up, O_CLOEXEC) < 0) {
        close(down[0]);
        close(down[1]);
        return lca_fail_errno(err, LCA_INTERNAL, "cannot make a pipe");
    }
    pid_t pid = fork();
    if (pid == 0)
        guard(down[0], up[1], g->lock, dir, link);
    int failed = errno;
    close(down[0]);
    close(up[1]);
    struct made made = {.error = pid < 0 ? failed : ECHILD};
    ssize_t got;
    do {
        got = pid < 0 ? 0 : read(up[0], &made, sizeof made);
    } while (got < 0 && errno == EINTR);
    close(up[0]);
    *g = (struct lca_guard){.pid = pid, .fd = down[1], .lock = g->lock};
    if (made.error) {
        if (pid < 0)
            close(down[1]);
        else
            lca_guard_end(g);
        *g = (struct lca_guard){.fd = -1, .lock = g->lock};
        errno = made.error;
        return lca_fail_errno(err, LCA_INTERNAL, "cannot make %s", pid < 0 ? "the guard process" : dir);
    }
    strcpy(dir, made.dir);
    return 0;
}

void lca_guard_end(struct lca_guard *g)
{
    if (g->pid <= 0)
        return;
    tell(g, 0);
    close(g->fd);
    while (waitpid(g->pid, NULL, 0) < 0 && errno == EINTR)
        ;
    *g = (struct lca_guard){.fd = -1};
}
