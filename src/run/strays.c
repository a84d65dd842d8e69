#include "run/strays.h"

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"

/* Puts /proc/PID/what into b, with a zero after its b->len bytes. */
static bool slurp(struct lca_buf *b, pid_t pid, const char *what)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, what);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = -1;
    b->len = 0;
    while (fd >= 0 && lca_buf_reserve(b, b->len + 4097, NULL) == 0) {
        n = read(fd, b->data + b->len, 4096);
        if (n <= 0)
            break;
        b->len += (size_t)n;
    }
    if (fd >= 0)
        close(fd);
    if (b->data)
        b->data[b->len] = 0;
    return n == 0;
}

static bool marked(const struct lca_buf *environment, const char *mark)
{
    size_t len = strlen(mark) + 1;      /* with the zero that ends the entry */
    const char *text = (const char *)environment->data, *at = text, *end = text + environment->len;
    while (at < end && (at = memmem(at, (size_t)(end - at), mark, len)) != NULL) {
        if (at == text || at[-1] == 0)
            return true;
        at++;
    }
    return false;
}

static bool among(const pid_t *list, int n, pid_t pid)
{
    for (int k = 0; k < n; k++)
        if (list[k] == pid)
            return true;
    return false;
}

/* State, parent and group of a process; the name before them may hold anything. */
static bool look(struct lca_buf *b, pid_t pid, char *state, int *parent, int *group)
{
    if (!slurp(b, pid, "stat") || !b->len)
        return false;
    const char *after = strrchr((const char *)b->data, ')');
    return after && sscanf(after + 1, " %c %d %d", state, parent, group) == 3;
}

static int walk(const struct lca_strays *s, struct lca_strays *spare, int sig)
{
    DIR *proc = opendir("/proc");
    struct lca_buf b = {0};
    int n = 0;
    for (struct dirent *d; proc && (d = readdir(proc)) != NULL;) {
        pid_t pid = isdigit((unsigned char)d->d_name[0]) ? (pid_t)atoi(d->d_name) : 0;
        char state;
        int parent, group;
        if (pid < 2 || pid == getpid() || among(s->spared, s->n_spared, pid))
            continue;
        if (!look(&b, pid, &state, &parent, &group) || state == 'Z' || state == 'X')
            continue;
        bool child = s->parent && parent == s->parent;
        if (spare) {
            if (child && spare->n_spared < LCA_SPARED_MAX)
                spare->spared[spare->n_spared++] = pid;
            continue;
        }
        if (!child && !among(s->group, s->n_groups, group) &&
            !(slurp(&b, pid, "environ") && b.len && marked(&b, s->mark)))
            continue;
        n++;
        if (sig)
            kill(pid, sig);
    }
    if (proc)
        closedir(proc);
    lca_buf_clear(&b);
    return n;
}

int lca_strays(const struct lca_strays *s, int sig)
{
    return walk(s, NULL, sig);
}

void lca_strays_spare(struct lca_strays *s)
{
    walk(s, s, 0);
}
