#include "web/page.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"

enum { MOST = 64 };

static const char *type_of(const char *name)
{
    static const char *const types[][2] = {
        {".html", "text/html; charset=utf-8"}, {".js", "text/javascript; charset=utf-8"},
        {".css", "text/css; charset=utf-8"}, {".svg", "image/svg+xml"}, {".txt", "text/plain; charset=utf-8"},
    };
    const char *end = strrchr(name, '.');
    for (unsigned k = 0; end && k < sizeof types / sizeof *types; k++)
        if (strcmp(end, types[k][0]) == 0)
            return types[k][1];
    return NULL;
}

static int read_file(struct lca_page *p, const char *path, const char *name, struct lca_err *err)
{
    struct lca_buf b = {0};
    FILE *f = fopen(path, "re");
    size_t got = 1;
    int bad = f ? 0 : -1;
    while (!bad && got > 0) {
        bad = lca_buf_reserve(&b, b.len + 65536, err);
        got = bad ? 0 : fread(b.data + b.len, 1, 65536, f);
        b.len += got;
    }
    if (!f || ferror(f))
        bad = lca_fail_errno(err, LCA_INTERNAL, "cannot read %s", path);
    if (f)
        fclose(f);
    struct lca_page_file *to = &p->file[p->n];
    *to = (struct lca_page_file){.type = type_of(name), .data = b.data, .len = b.len};
    to->name = bad ? NULL : strdup(name);
    if (!to->name) {
        lca_buf_clear(&b);
        return bad ? -1 : lca_fail(err, LCA_INTERNAL, "out of memory");
    }
    p->n++;
    return 0;
}

int lca_page_read(struct lca_page *p, const char *folder, struct lca_err *err)
{
    *p = (struct lca_page){.file = lca_alloc(MOST, sizeof *p->file, err)};
    DIR *d = p->file ? opendir(folder) : NULL;
    int result = p->file ? 0 : -1;
    for (struct dirent *entry; d && result == 0 && (entry = readdir(d)) && p->n < MOST;) {
        char path[PATH_MAX];
        if (entry->d_name[0] != '.' && type_of(entry->d_name) &&
            snprintf(path, sizeof path, "%s/%s", folder, entry->d_name) < (int)sizeof path)
            result = read_file(p, path, entry->d_name, err);
    }
    if (d)
        closedir(d);
    if (result < 0 || !lca_page_find(p, "index.html"))
        lca_page_clear(p);
    return result;
}

const struct lca_page_file *lca_page_find(const struct lca_page *p, const char *name)
{
    for (unsigned k = 0; k < p->n; k++)
        if (strcmp(p->file[k].name, name) == 0)
            return &p->file[k];
    return NULL;
}

void lca_page_clear(struct lca_page *p)
{
    for (unsigned k = 0; k < p->n; k++) {
        free(p->file[k].name);
        free(p->file[k].data);
    }
    free(p->file);
    *p = (struct lca_page){0};
}
