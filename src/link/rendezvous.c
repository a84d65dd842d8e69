#include "link/rendezvous.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char scheme[] = "tcp://";

/* The folder's entry has to be on disk too, or a restarted machine shows the old one. */
static int sync_folder(const char *path)
{
    char folder[PATH_MAX];
    snprintf(folder, sizeof folder, "%s", path);
    char *slash = strrchr(folder, '/');
    if (slash)
        slash[slash == folder] = 0;
    int fd = open(slash ? folder : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return -1;
    int result = fsync(fd) < 0 && errno != EINVAL ? -1 : 0;     /* some file systems have no such thing */
    close(fd);
    return result;
}

int lca_rendezvous_write(const char *path, const char *address, struct lca_err *err)
{
    char part[PATH_MAX], old[PATH_MAX];
    if (lca_rendezvous_read(path, old, sizeof old, err) < 0)
        return lca_err_prefix(err, "not overwritten");
    if (snprintf(part, sizeof part, "%s.part-%ld", path, (long)getpid()) >= (int)sizeof part)
        return lca_fail(err, LCA_USAGE, "%s: the path is too long", path);
    unlink(part);
    int fd = open(part, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return lca_fail_errno(err, LCA_USAGE, "cannot write %s", path);
    bool written = dprintf(fd, "%s\n", address) > 0 && fsync(fd) == 0;
    if (close(fd) < 0 || !written || rename(part, path) < 0 || sync_folder(path) < 0) {
        lca_fail_errno(err, LCA_INTERNAL, "cannot write %s", path);
        unlink(part);
        return -1;
    }
    return 0;
}

int lca_rendezvous_read(const char *path, char *address, size_t room, struct lca_err *err)
{
    char text[4096];
    struct stat s;
    int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    /* stale: on a network disk the file was replaced while it was opened */
    if (fd < 0 && (errno == ENOENT || errno == ESTALE))
        return 0;
    if (fd < 0 || fstat(fd, &s) < 0) {
        lca_fail_errno(err, LCA_USAGE, "cannot read %s", path);
        if (fd >= 0)
            close(fd);
        return -1;
    }
    ssize_t n = S_ISREG(s.st_mode) ? read(fd, text, sizeof text - 1) : 0;
    bool stale = n < 0 && errno == ESTALE;
    close(fd);
    if (stale)
        return 0;
    text[n > 0 ? n : 0] = 0;
    char *end = strchr(text, '\n');
    if (!end || strncmp(text, scheme, strlen(scheme)) != 0 || (size_t)(end - text) >= room)
        return lca_fail(err, LCA_USAGE, "%s does not hold the address of a socket: remove it, or give another name", path);
    if ((s.st_uid != geteuid() && s.st_uid != 0) || s.st_mode & (S_IWGRP | S_IWOTH))
        return lca_fail(err, LCA_USAGE, "%s could have been written by somebody else: it must be yours, and writable "
                        "by you alone", path);
    *end = 0;
    strcpy(address, text);
    return 1;
}

void lca_rendezvous_remove(const char *path, const char *address)
{
    char now[PATH_MAX];
    if (lca_rendezvous_read(path, now, sizeof now, NULL) == 1 && strcmp(now, address) == 0)
        unlink(path);
}
