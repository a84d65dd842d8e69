/* netfile.c: where descriptions of networks lie. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "nn/net.h"

enum { PLACES = 3, PATH_LEN = 4096 };

/* The folder number k, or false. */
static bool place(int k, char path[PATH_LEN])
{
    if (k == 0) {
        const char *nets = getenv("LCA_NETS");
        return nets && *nets && snprintf(path, PATH_LEN, "%s", nets) < PATH_LEN;
    }
    static const char *const beside[] = {"pipelines/nets", "share/lca/nets"};
    char exe[PATH_LEN];
    ssize_t n = readlink("/proc/self/exe", exe, sizeof exe - 1);
    if (n <= 0)
        return false;
    exe[n] = 0;
    for (int up = 0; up < 2; up++) {
        char *slash = strrchr(exe, '/');
        if (!slash)
            return false;
        *slash = 0;
    }
    return snprintf(path, PATH_LEN, "%s/%s", exe, beside[k - 1]) < PATH_LEN;
}

static int load_file(struct lca_net *net, const char *path, struct lca_err *err)
{
    int result = -1;
    char *text = NULL;
    FILE *f = fopen(path, "r");
    if (!f) {
        lca_fail_errno(err, LCA_USAGE, "cannot open network %s", path);
        goto out;
    }
    text = lca_alloc(LCA_NET_TEXT_MAX + 1, 1, err);     /* one more: it is then refused */
    if (!text)
        goto out;
    size_t n = fread(text, 1, LCA_NET_TEXT_MAX + 1, f);
    if (ferror(f)) {
        lca_fail_errno(err, LCA_USAGE, "cannot read network %s", path);
        goto out;
    }
    if (lca_net_parse(net, text, n, err) < 0) {
        lca_err_prefix(err, "%s", path);
        goto out;
    }
    if (net->external) {
        lca_fail(err, LCA_USAGE, "%s is external: only a program of its own computes it (docs/python.md)", path);
        lca_net_clear(net);
        goto out;
    }
    result = 0;
out:
    free(text);
    if (f)
        fclose(f);
    return result;
}

int lca_net_load(struct lca_net *net, const char *name, struct lca_err *err)
{
    *net = (struct lca_net){0};
    size_t n = strlen(name);
    if (strchr(name, '/') || (n > 5 && !strcmp(name + n - 5, ".json")))
        return load_file(net, name, err);
    for (int k = 0; k < PLACES; k++) {
        char folder[PATH_LEN], path[PATH_LEN + 264];
        if (!place(k, folder) || n > 250)
            continue;
        snprintf(path, sizeof path, "%s/%s.json", folder, name);
        if (access(path, F_OK) == 0)
            return load_file(net, path, err);
    }
    return lca_fail(err, LCA_USAGE,
                    "no network '%.100s': see lca-net --list, or give a .json file", name);
}

static int is_json(const struct dirent *d)
{
    size_t n = strlen(d->d_name);
    return n > 5 && !strcmp(d->d_name + n - 5, ".json");
}

void lca_net_list(void (*each)(void *arg, const char *name), void *arg)
{
    for (int k = 0; k < PLACES; k++) {
        char folder[PATH_LEN];
        struct dirent **entry;
        int n = place(k, folder) ? scandir(folder, &entry, is_json, alphasort) : -1;
        if (n < 0)
            continue;
        for (int e = 0; e < n; e++) {
            entry[e]->d_name[strlen(entry[e]->d_name) - 5] = 0;
            each(arg, entry[e]->d_name);
            free(entry[e]);
        }
        free(entry);
        if (n > 0)
            return;
    }
}
