#include "link/endpoint.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static bool starts(const char *text, const char *with)
{
    return strncmp(text, with, strlen(with)) == 0;
}

static bool is_socket(const char *path)
{
    struct stat s;
    return stat(path, &s) == 0 && S_ISSOCK(s.st_mode);
}

/* The kernel's limit on the length is checked here rather than met in bind. A relative
 * path stays one: made absolute it might be too long. */
static int socket_at(struct lca_endpoint *e, const char *path, struct lca_err *err)
{
    if (strlen(path) + strlen(".tap.lock") >= sizeof ((struct sockaddr_un *)0)->sun_path)
        return lca_fail(err, LCA_USAGE, "%s: the socket path %s is longer than %zu bytes: set LCA_DIR "
                        "to a shorter folder", e->text, path,
                        sizeof ((struct sockaddr_un *)0)->sun_path - strlen(".tap.lock") - 1);
    e->kind = LCA_EP_SOCKET;
    snprintf(e->where, sizeof e->where, "ipc://%s", path);
    return 0;
}

static int named_socket(struct lca_endpoint *e, const char *name, struct lca_err *err)
{
    char path[256];
    const char *dir = getenv("LCA_DIR"), *runtime = getenv("XDG_RUNTIME_DIR");
    if (!*name || strchr(name, '/'))
        return lca_fail(err, LCA_USAGE, "%s: write ipc:NAME or ipc:///PATH", e->text);
    if (dir && *dir)
        snprintf(path, sizeof path, "%s/%s", dir, name);
    else if (runtime && *runtime)
        snprintf(path, sizeof path, "%s/lca/%s", runtime, name);
    else
        snprintf(path, sizeof path, "/tmp/lca-%u/%s", (unsigned)getuid(), name);
    return socket_at(e, path, err);
}

/* "tcp://HOST:PORT", before which the caller has taken off what follows the comma. */
static int tcp_socket(struct lca_endpoint *e, const char *address, struct lca_err *err)
{
    if (!strrchr(address + 6, ':'))
        return lca_fail(err, LCA_USAGE, "%s: write tcp://HOST:PORT", e->text);
    e->kind = LCA_EP_SOCKET;
    strcpy(e->where, address);
    return 0;
}

/* address, bound where that of the file at `at` is wanted. */
static int told_socket(struct lca_endpoint *e, const char *address, const char *at, struct lca_err *err)
{
    if (!*at || strlen(at) + strlen(".tap") >= sizeof e->at)
        return lca_fail(err, LCA_USAGE, "%s: write at:FILE or tcp://HOST:PORT,at:FILE", e->text);
    strcpy(e->at, at);
    return tcp_socket(e, address, err);
}

int lca_endpoint_parse(struct lca_endpoint *e, const char *text, struct lca_err *err)
{
    *e = (struct lca_endpoint){0};
    if (strlen(text) >= sizeof e->text)
        return lca_fail(err, LCA_USAGE, "the endpoint %.40s... is too long", text);
    strcpy(e->text, text);
    if (starts(text, "bind+")) {
        e->side = LCA_EP_BIND;
        text += 5;
    } else if (starts(text, "connect+")) {
        e->side = LCA_EP_CONNECT;
        text += 8;
    }
    if (strcmp(text, "-") == 0) {
        e->kind = LCA_EP_STDIO;
        strcpy(e->where, "-");
        return 0;
    }
    if (starts(text, "ipc:///"))
        return socket_at(e, text + 6, err);
    if (starts(text, "ipc:"))
        return named_socket(e, text + 4, err);
    if (starts(text, "at:"))
        return told_socket(e, "tcp://*:0", text + 3, err);
    if (starts(text, "tcp://")) {
        char address[sizeof e->text];
        const char *at = strstr(text, ",at:");
        snprintf(address, sizeof address, "%.*s", (int)(at ? at - text : (long)strlen(text)), text);
        return at ? told_socket(e, address, at + 4, err) : tcp_socket(e, address, err);
    }
    if (starts(text, "file:"))
        text += 5;
    else if (strstr(text, "://"))
        return lca_fail(err, LCA_USAGE, "%s: not an endpoint: write -, FILE.lca, ipc:NAME or tcp://HOST:PORT",
                        e->text);
    else {
        char tap[200], path[200];
        snprintf(path, sizeof path, "%s", text);
        snprintf(tap, sizeof tap, "%s.tap", text);
        if (is_socket(path) || is_socket(tap))
            return socket_at(e, path, err);
    }
    if (!*text)
        return lca_fail(err, LCA_USAGE, "an empty endpoint: write -, FILE.lca, ipc:NAME or tcp://HOST:PORT");
    e->kind = LCA_EP_FILE;
    strcpy(e->where, text);
    return 0;
}

int lca_endpoint_tap(struct lca_endpoint *tap, const struct lca_endpoint *e, struct lca_err *err)
{
    *tap = *e;
    if (e->kind != LCA_EP_SOCKET)
        return lca_fail(err, LCA_USAGE, "%s: only a socket has a tap", e->text);
    if (starts(e->where, "ipc://")) {
        strcat(tap->where, ".tap");     /* socket_at left room */
        return 0;
    }
    char *port = strrchr(tap->where, ':') + 1, *end;
    if (*tap->at)
        strcat(tap->at, ".tap");        /* told_socket left room */
    if (*tap->at && strcmp(port, "0") == 0)
        return 0;
    long number = strtol(port, &end, 10);
    if (*end || number < 1 || number > 65534)
        return lca_fail(err, LCA_USAGE, "%s: the port must be 1 to 65534", e->text);
    size_t room = sizeof tap->where - (size_t)(port - tap->where);
    if ((size_t)snprintf(port, room, "%ld", number + 1) >= room)    /* 99 to 100 */
        return lca_fail(err, LCA_USAGE, "the endpoint %.40s... is too long", e->text);
    return 0;
}
