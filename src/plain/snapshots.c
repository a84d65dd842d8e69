#include "plain/snapshots.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"

enum { SHAPE = 200, IGNORED = 4096, LINE = 1024 };

static const char ENDING[] = ".safetensors";

/* files */

struct file {
    uint64_t number;
    char *name;
};

/* The last number in a name without its ending. */
static bool number_in(const char *name, uint64_t *number)
{
    size_t end = strlen(name) - strlen(ENDING), begin;
    while (end > 0 && !isdigit((unsigned char)name[end - 1]))
        end--;
    for (begin = end; begin > 0 && isdigit((unsigned char)name[begin - 1]);)
        begin--;
    errno = 0;
    *number = strtoull(name + begin, NULL, 10);
    return end > 0 && errno == 0;
}

static int by_number(const void *a, const void *b)
{
    const struct file *x = a, *y = b;
    return x->number < y->number ? -1 : x->number > y->number ? 1 : strcmp(x->name, y->name);
}

static int is_tensors(const struct dirent *d)
{
    size_t n = strlen(d->d_name);
    return n >= sizeof ENDING && strcmp(d->d_name + n - strlen(ENDING), ENDING) == 0;
}

/* Takes the names over into s->path, in order. */
static int order_files(struct lca_snapshots *s, const char *folder, struct dirent **entry, int n, struct lca_err *err)
{
    int result = -1;
    struct file *file = lca_alloc((size_t)n + 1, sizeof *file, err);
    s->path = lca_alloc((size_t)n + 1, sizeof *s->path, err);
    if (!file || !s->path)
        goto out;
    for (int k = 0; k < n; k++) {
        file[k].name = entry[k]->d_name;
        if (!number_in(file[k].name, &file[k].number)) {
            lca_fail(err, LCA_USAGE,
                     "%s/%s has no number in its name, which would say where in the training it belongs", folder,
                     file[k].name);
            goto out;
        }
    }
    qsort(file, (size_t)n, sizeof *file, by_number);
    for (int k = 0; k < n; k++) {
        if (k > 0 && file[k].number == file[k - 1].number) {
            lca_fail(err, LCA_USAGE, "%s: %s and %s have the same number, %" PRIu64 ": which comes first?", folder,
                     file[k - 1].name, file[k].name, file[k].number);
            goto out;
        }
        if (asprintf(&s->path[k], "%s/%s", folder, file[k].name) < 0) {
            s->path[k] = NULL;
            lca_fail(err, LCA_INTERNAL, "out of memory");
            goto out;
        }
        s->n++;
    }
    result = 0;
out:
    free(file);
    return result;
}

static int find_files(struct lca_snapshots *s, const char *folder, struct lca_err *err)
{
    struct dirent **entry;
    int n = scandir(folder, &entry, is_tensors, NULL);
    if (n < 0)
        return lca_fail_errno(err, LCA_USAGE, "cannot read the folder %s", folder);
    int result = n > 0 ? order_files(s, folder, entry, n, err)
                       : lca_fail(err, LCA_USAGE, "%s holds no *.safetensors", folder);
    for (int k = 0; k < n; k++)
        free(entry[k]);
    free(entry);
    return result;
}

/* whose tensor is whose */

static bool ends_in(const char *name, const char *end)
{
    size_t n = strlen(name), m = strlen(end);
    return n >= m && strcmp(name + n - m, end) == 0 && (n == m || name[n - m - 1] == '.');
}

static bool is_statistic(const char *name)
{
    return ends_in(name, "running_mean") || ends_in(name, "running_var") || ends_in(name, "num_batches_tracked");
}

static bool is_ignored(const struct lca_snapshots *s, const char *name)
{
    for (char **i = s->ignored; i && *i; i++)
        if (strcmp(*i, name) == 0)
            return true;
    return is_statistic(name);
}

static int take_name(struct lca_snapshots *s, unsigned k, const char *name, struct lca_err *err)
{
    free(s->theirs[k]);
    s->theirs[k] = strdup(name);
    return s->theirs[k] ? 0 : lca_fail(err, LCA_INTERNAL, "out of memory");
}

static int map_line(struct lca_snapshots *s, const char *ours, const char *theirs, bool *seen, unsigned *n_ignored,
                    struct lca_err *err)
{
    unsigned k = 0;
    if (strcmp(ours, "-") == 0) {
        if (*n_ignored == IGNORED)
            return lca_fail(err, LCA_USAGE, "more than %d lines that begin with -", IGNORED);
        s->ignored[*n_ignored] = strdup(theirs);
        return s->ignored[(*n_ignored)++] ? 0 : lca_fail(err, LCA_INTERNAL, "out of memory");
    }
    while (k < s->net->table.n_tensor && strcmp(s->net->table.tensor[k].name, ours) != 0)
        k++;
    if (k == s->net->table.n_tensor)
        return lca_fail(err, LCA_USAGE, "%s has no tensor %.100s: lca-net --table lists them", s->net->name, ours);
    if (seen[k])
        return lca_fail(err, LCA_USAGE, "%s is there twice", ours);
    seen[k] = true;
    return strcmp(theirs, "-") == 0 ? 0 : take_name(s, k, theirs, err);
}

static int read_map(struct lca_snapshots *s, const char *path, struct lca_err *err)
{
    char line[LINE], ours[LINE], theirs[LINE], more[2];
    unsigned number = 0, n_ignored = 0;
    int result = -1;
    FILE *f = fopen(path, "r");
    if (!f)
        return lca_fail_errno(err, LCA_USAGE, "cannot open the map %s", path);
    bool *seen = lca_alloc(s->net->table.n_tensor + 1, sizeof *seen, err);
    s->ignored = lca_alloc(IGNORED + 1, sizeof *s->ignored, err);
    if (!seen || !s->ignored)
        goto out;
    while (fgets(line, sizeof line, f)) {
        number++;
        if (strlen(line) == sizeof line - 1) {
            lca_fail(err, LCA_USAGE, "%s: line %u is too long", path, number);
            goto out;
        }
        line[strcspn(line, "#\n")] = 0;
        int n = sscanf(line, "%s %s %1s", ours, theirs, more);
        if (n <= 0)
            continue;
        if (n != 2) {
            lca_fail(err, LCA_USAGE, "%s: line %u is not two names: OURS THEIRS", path, number);
            goto out;
        }
        if (map_line(s, ours, theirs, seen, &n_ignored, err) < 0) {
            lca_err_prefix(err, "%s: line %u", path, number);
            goto out;
        }
    }
    for (unsigned k = 0; k < s->net->table.n_tensor; k++)
        if (!seen[k]) {
            lca_fail(err, LCA_USAGE, "%s says nothing of %s: add a line '%s THEIRS', or '%s -' where it is zero", path,
                     s->net->table.tensor[k].name, s->net->table.tensor[k].name, s->net->table.tensor[k].name);
            goto out;
        }
    result = 0;
out:
    free(seen);
    fclose(f);
    return result;
}

static bool has_all_names(const struct lca_snapshots *s, const struct lca_safetensors *file)
{
    for (unsigned k = 0; k < s->net->table.n_tensor; k++)
        if (!lca_safetensors_find(file, s->laid[k].name))
            return false;
    return true;
}

/* Length of the module's name, what stands before the last dot; 0: none. */
static size_t module_length(const char *name)
{
    const char *dot = strrchr(name, '.');
    return dot ? (size_t)(dot - name) : 0;
}

static int rank(const char *name)
{
    const char *const first[] = {"weight", "kernel", "scale", "gamma"};
    for (size_t k = 0; k < sizeof first / sizeof *first; k++)
        if (ends_in(name, first[k]))
            return 0;
    return 1;
}

static int by_module(const void *a, const void *b)
{
    const char *x = *(const char *const *)a, *y = *(const char *const *)b;
    char mx[LINE], my[LINE];
    snprintf(mx, sizeof mx, "%.*s", (int)module_length(x), x);
    snprintf(my, sizeof my, "%.*s", (int)module_length(y), y);
    int order = strverscmp(mx, my);
    order = order ? order : rank(x) - rank(y);
    return order ? order : strverscmp(x, y);
}

static int match_by_order(struct lca_snapshots *s, const struct lca_safetensors *file, struct lca_err *err)
{
    unsigned n = 0, n_ours = s->net->table.n_tensor;
    int result = 0;
    const char **name = lca_alloc(file->n + 1, sizeof *name, err);
    if (!name)
        return -1;
    for (unsigned k = 0; k < file->n; k++)
        if (!is_ignored(s, file->tensor[k].name))
            name[n++] = file->tensor[k].name;
    qsort(name, n, sizeof *name, by_module);
    if (n != n_ours)
        result = lca_fail(err, LCA_USAGE, "%s has %u tensors of parameters (the first %.100s), %s has %u (the first "
                          "%s): say with --map which is which", file->path, n, n ? name[0] : "none", s->net->name,
                          n_ours, s->net->table.tensor[0].name);
    for (unsigned k = 0; k < n_ours && result == 0; k++)
        result = take_name(s, k, name[k], err);
    free(name);
    return result;
}

/* shapes */

static bool fits(const struct lca_stored *theirs, const struct lca_laid *ours)
{
    return theirs->n_shape == ours->n_shape &&
           memcmp(theirs->shape, ours->shape, ours->n_shape * sizeof *ours->shape) == 0;
}

static int wrong_shape(const struct lca_snapshots *s, const struct lca_safetensors *file, unsigned k,
                       const struct lca_stored *theirs, struct lca_err *err)
{
    bool torch = s->layout == LCA_LAYOUT_TORCH;
    char is[SHAPE], should[SHAPE];
    struct lca_laid *laid = lca_layout_tensors(s->net, torch ? LCA_LAYOUT_OURS : LCA_LAYOUT_TORCH, NULL);
    const char *advice = !laid || !fits(theirs, &laid[k]) ? "say with --map which tensor is which"
                       : torch ? "it would fit with --layout ours" : "it would fit with --layout torch";
    free(laid);
    lca_layout_shape(theirs->shape, theirs->n_shape, is, sizeof is);
    lca_layout_shape(s->laid[k].shape, s->laid[k].n_shape, should, sizeof should);
    return lca_fail(err, LCA_USAGE, "%s: %.100s is %s, and %s of %s is %s in the layout %s: %s", file->path,
                    theirs->name, *is ? is : "[]", s->net->table.tensor[k].name, s->net->name, should,
                    torch ? "torch" : "ours", advice);
}

/* What the file has beyond what we take. */
static int check_rest(const struct lca_snapshots *s, const struct lca_safetensors *file, struct lca_err *err)
{
    for (unsigned t = 0; t < file->n; t++) {
        const char *name = file->tensor[t].name;
        char shape[SHAPE];
        unsigned k = 0;
        while (k < s->net->table.n_tensor && (!s->theirs[k] || strcmp(s->theirs[k], name) != 0))
            k++;
        if (k == s->net->table.n_tensor && !is_ignored(s, name))
            return lca_fail(err, LCA_USAGE, "%s: %.100s %s is no tensor of %s: leave it out with a line '- %.100s' in "
                            "--map", file->path, name, lca_layout_shape(file->tensor[t].shape, file->tensor[t].n_shape,
                            shape, sizeof shape), s->net->name, name);
    }
    return 0;
}

int lca_snapshots_open(struct lca_snapshots *s, const char *folder, const struct lca_net *net,
                       const struct lca_laid *laid, enum lca_layout layout, const char *map, struct lca_err *err)
{
    struct lca_safetensors first = {0};
    uint64_t longest = 1;
    *s = (struct lca_snapshots){.net = net, .laid = laid, .layout = layout};
    for (unsigned k = 0; k < net->table.n_tensor; k++)
        longest = laid[k].len > longest ? laid[k].len : longest;
    s->theirs = lca_alloc(net->table.n_tensor + 1, sizeof *s->theirs, err);
    s->tensor = lca_alloc(longest, sizeof *s->tensor, err);
    if (!s->theirs || !s->tensor || find_files(s, folder, err) < 0 || lca_safetensors_open(&first, s->path[0], err) < 0)
        goto fail;
    int result = 0;
    if (map)
        result = read_map(s, map, err);
    else if (!has_all_names(s, &first))
        result = match_by_order(s, &first, err);
    else
        for (unsigned k = 0; k < net->table.n_tensor && result == 0; k++)
            result = take_name(s, k, laid[k].name, err);
    lca_safetensors_close(&first);
    if (result == 0)
        return 0;
fail:
    lca_snapshots_close(s);
    return -1;
}

static int read_tensor(struct lca_snapshots *s, const struct lca_safetensors *file, unsigned k, float *theta,
                       struct lca_err *err)
{
    const struct lca_tensor *ours = &s->net->table.tensor[k];
    if (!s->theirs[k]) {
        memset(theta + ours->off, 0, ours->len * sizeof *theta);
        return 0;
    }
    const struct lca_stored *theirs = lca_safetensors_find(file, s->theirs[k]);
    if (!theirs)
        return lca_fail(err, LCA_USAGE, "%s has no tensor %.100s, which is to be %s", file->path, s->theirs[k],
                        ours->name);
    if (!fits(theirs, &s->laid[k]))
        return wrong_shape(s, file, k, theirs, err);
    if (lca_safetensors_read(file, theirs, s->tensor, err) < 0)
        return -1;
    lca_layout_in(&s->laid[k], theta + ours->off, s->tensor);
    return 0;
}

int lca_snapshots_read(struct lca_snapshots *s, uint64_t k, float *theta, struct lca_err *err)
{
    struct lca_safetensors file;
    if (lca_safetensors_open(&file, s->path[k], err) < 0)
        return -1;
    int result = 0;
    for (unsigned t = 0; t < s->net->table.n_tensor && result == 0; t++)
        result = read_tensor(s, &file, t, theta, err);
    if (result == 0)
        result = check_rest(s, &file, err);
    lca_safetensors_close(&file);
    return result;
}

void lca_snapshots_close(struct lca_snapshots *s)
{
    for (uint64_t k = 0; k < s->n; k++)
        free(s->path[k]);
    for (unsigned k = 0; s->theirs && k < s->net->table.n_tensor; k++)
        free(s->theirs[k]);
    for (char **i = s->ignored; i && *i; i++)
        free(*i);
    free(s->path);
    free(s->theirs);
    free(s->ignored);
    free(s->tensor);
    *s = (struct lca_snapshots){0};
}
