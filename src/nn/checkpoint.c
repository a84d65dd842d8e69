#include "nn/checkpoint.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/differ.h"
#include "base/digest.h"
#include "base/log.h"

static const char magic[8] = {'L', 'C', 'A', 'C', 'K', 'P', 'T', '1'};
static const char unfinished[] = ".unfinished.ckpt";

/* ---- a folder of checkpoints ---- */

struct steps {
    uint64_t *at;               /* ascending, owned */
    size_t n;
};

/* The step of a file's name, or -1: not a checkpoint's. */
static int step_of(const char *name, uint64_t *t)
{
    int end = 0;
    if (strncmp(name, "step-", 5) != 0 || name[5] < '0' || name[5] > '9')
        return -1;
    return sscanf(name, "step-%" SCNu64 ".ckpt%n", t, &end) == 1 && end > 0 && !name[end] ? 0 : -1;
}

static int path_of(char path[PATH_MAX], const char *dir, const char *name, struct lca_err *err)
{
    if (snprintf(path, PATH_MAX, "%s/%s", dir, name) >= PATH_MAX)
        return lca_fail(err, LCA_USAGE, "%s: the path is too long", dir);
    return 0;
}

static int step_path(char path[PATH_MAX], const char *dir, uint64_t t, struct lca_err *err)
{
    char name[40];
    snprintf(name, sizeof name, "step-%08" PRIu64 ".ckpt", t);
    return path_of(path, dir, name, err);
}

static int ascending(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static int list(struct steps *s, const char *dir, struct lca_err *err)
{
    *s = (struct steps){0};
    size_t room = 0;
    DIR *d = opendir(dir);
    if (!d)
        return lca_fail_errno(err, LCA_USAGE, "cannot read the folder %s", dir);
    for (struct dirent *e; (e = readdir(d));) {
        uint64_t t;
        if (step_of(e->d_name, &t) < 0)
            continue;
        if (s->n == room) {
            room = room ? 2 * room : 16;
            uint64_t *more = realloc(s->at, room * sizeof *more);
            if (!more) {
                closedir(d);
                free(s->at);
                return lca_fail(err, LCA_INTERNAL, "out of memory");
            }
            s->at = more;
        }
        s->at[s->n++] = t;
    }
    closedir(d);
    if (s->n)
        qsort(s->at, s->n, sizeof *s->at, ascending);
    return 0;
}

/* Whether path is the folder dir, or a file in it. */
static bool is_within(const char *path, const char *dir)
{
    char up[PATH_MAX];
    struct stat a, b;
    if (stat(dir, &a) < 0 || stat(path, &b) < 0)
        return false;
    if (!S_ISDIR(b.st_mode)) {
        const char *slash = strrchr(path, '/');
        int n = slash ? (int)(slash - path) + 1 : 0;
        if (n >= PATH_MAX || stat(n ? (snprintf(up, sizeof up, "%.*s", n, path), up) : ".", &b) < 0)
            return false;
    }
    return a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

int lca_checkpoint_dir(const char *dir, const char *going_on, struct lca_err *err)
{
    struct steps s;
    if (mkdir(dir, 0777) < 0 && errno != EEXIST)
        return lca_fail_errno(err, LCA_USAGE, "--checkpoint: cannot make the folder %s", dir);
    if (list(&s, dir, err) < 0)
        return lca_err_prefix(err, "--checkpoint");
    free(s.at);
    if (access(dir, W_OK) < 0)
        return lca_fail_errno(err, LCA_USAGE, "--checkpoint: cannot write into the folder %s", dir);
    if (s.n == 0 || (going_on && is_within(going_on, dir)))
        return 0;
    return lca_fail(err, LCA_USAGE, "--checkpoint: %s holds checkpoints already: go on from them with --resume %s, or "
                    "give another folder", dir, dir);
}

bool lca_checkpoint_any(const char *dir)
{
    struct steps s;
    if (list(&s, dir, NULL) < 0)
        return false;
    free(s.at);
    return s.n > 0;
}

/* Deletes what is older than step t and no longer needed. */
static int prune(const char *dir, uint64_t t, uint64_t needed, struct lca_err *err)
{
    struct steps s;
    char path[PATH_MAX];
    if (list(&s, dir, err) < 0)
        return -1;
    size_t older = 0, keep = 0;
    while (older < s.n && s.at[older] < t)
        older++;
    while (keep + 1 < older && s.at[keep + 1] <= needed)
        keep++;
    int result = 0;
    for (size_t k = 0; result == 0 && k < keep; k++) {
        result = step_path(path, dir, s.at[k], err);
        if (result == 0 && unlink(path) < 0 && errno != ENOENT)
            result = lca_fail_errno(err, LCA_INTERNAL, "cannot delete %s", path);
    }
    free(s.at);
    return result;
}

/* ---- writing ---- */

/* The arrays after the header; their number. */
static unsigned arrays(const struct lca_checkpoint *c, struct iovec a[4])
{
    const struct lca_optim *o = c->optim;
    size_t bytes = o->table->P * sizeof(float);
    unsigned n = 0;
    a[n++] = (struct iovec){c->theta, bytes};
    a[n++] = (struct iovec){o->m, bytes};
    if (o->v)
        a[n++] = (struct iovec){o->v, bytes};
    if (o->n_ring)
        a[n++] = (struct iovec){o->ring, o->n_ring * sizeof(float)};
    return n;
}

static char *make_header(const struct lca_checkpoint *c)
{
    char mb[2 * LCA_CHECKPOINT_MB + 1];
    lca_hex(c->mb, sizeof c->mb, mb);
    json_t *root = json_pack("{s:O, s:s, s:I, s:I, s:I, s:f, s:f, s:I, s:s}", "def", (json_t *)(uintptr_t)c->def, "num",
                             c->num, "t", (json_int_t)c->optim->t, "parameters", (json_int_t)c->optim->table->P,
                             "waiting", (json_int_t)c->optim->n_ring, "lr", c->lr, "mbloss", c->mbloss, "epoch",
                             (json_int_t)c->epoch, "mb", mb);
    char *text = root ? json_dumps(root, JSON_COMPACT) : NULL;
    json_decref(root);
    return text;
}

static int write_all(int fd, const struct iovec *piece, unsigned n)
{
    for (unsigned k = 0; k < n; k++) {
        for (size_t at = 0; at < piece[k].iov_len;) {
            ssize_t done = write(fd, (const char *)piece[k].iov_base + at, piece[k].iov_len - at);
            if (done < 0 && errno != EINTR)
                return -1;
            at += done > 0 ? (size_t)done : 0;
        }
    }
    return 0;
}

/* A new name lasts when its folder is on disk. */
static int sync_dir(const char *dir)
{
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int result = fd < 0 ? -1 : fsync(fd);
    if (fd >= 0)
        close(fd);
    return result;
}

int lca_checkpoint_save(const struct lca_checkpoint *c, const char *dir, uint64_t needed, struct lca_err *err)
{
    char path[PATH_MAX], other[PATH_MAX];
    if (step_path(path, dir, c->optim->t, err) < 0 || path_of(other, dir, unfinished, err) < 0)
        return -1;
    char *header = make_header(c);
    if (!header)
        return lca_fail(err, LCA_INTERNAL, "out of memory");
    uint64_t len = strlen(header);
    uint8_t digest[LCA_SHA256_LEN];
    struct iovec piece[8] = {{(void *)(uintptr_t)magic, sizeof magic}, {&len, sizeof len}, {header, len}};
    unsigned n = 3 + arrays(c, piece + 3);
    lca_sha256_pieces(piece, n, digest);
    piece[n++] = (struct iovec){digest, sizeof digest};

    int result = -1;
    int fd = open(other, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    bool written = fd >= 0 && write_all(fd, piece, n) == 0 && fsync(fd) == 0;
    if (fd >= 0 && close(fd) < 0)
        written = false;
    if (!written || rename(other, path) < 0 || sync_dir(dir) < 0) {
        lca_fail_errno(err, LCA_INTERNAL, "cannot write the checkpoint %s", path);
        if (fd >= 0)
            unlink(other);
        goto out;
    }
    result = prune(dir, c->optim->t, needed, err);
out:
    free(header);
    return result;
}

/* ---- reading ---- */

static int is_damaged(const char *what, struct lca_err *err)
{
    return lca_fail(err, LCA_CORRUPT, "the checkpoint is damaged (%s): go on from the one before it", what);
}

/* Everything but opening. */
static int understand(struct lca_checkpoint *c, const char *bytes, size_t size, struct lca_err *err)
{
    uint64_t len;
    uint8_t digest[LCA_SHA256_LEN], mb[LCA_CHECKPOINT_MB];
    size_t before = sizeof magic + sizeof len;
    if (size < sizeof magic || memcmp(bytes, magic, sizeof magic) != 0)
        return lca_fail(err, LCA_USAGE, "this is not a checkpoint of lca-train");
    if (size < before + sizeof digest)
        return is_damaged("it is cut short", err);
    size_t body = size - sizeof digest;
    lca_sha256(bytes, body, digest);
    if (memcmp(bytes + body, digest, sizeof digest) != 0)
        return is_damaged("its digest does not match: cut short, or changed", err);
    memcpy(&len, bytes + sizeof magic, sizeof len);
    json_t *root = len <= body - before ? json_loadb(bytes + before, len, 0, NULL) : NULL;
    const char *num = NULL, *hex = NULL;
    json_t *def = NULL;
    json_int_t t = -1, P = -1, waiting = -1, epoch = -1;
    struct iovec a[4];
    int result = -1;
    if (!root || json_unpack(root, "{s:o, s:s, s:I, s:I, s:I, s:F, s:F, s:I, s:s}", "def", &def, "num", &num, "t", &t,
                             "parameters", &P, "waiting", &waiting, "lr", &c->lr, "mbloss", &c->mbloss, "epoch", &epoch,
                             "mb", &hex) < 0 ||
        t < 0 || epoch < 0 || lca_unhex(hex, mb, sizeof mb) < 0) {
        is_damaged("its header", err);
        goto out;
    }
    char what[400];
    if (lca_differ(def, c->def, what, sizeof what)) {
        lca_fail(err, LCA_USAGE, "the checkpoint is of another run: %s: give the options and data that it was made "
                 "with", what);
        goto out;
    }
    if (strcmp(num, c->num) != 0) {
        lca_fail(err, LCA_USAGE, "the checkpoint was computed by %s, here computes %s: it would go on to other bits",
                 num, c->num);
        goto out;
    }
    unsigned n = arrays(c, a);
    size_t want = 0;
    for (unsigned k = 0; k < n; k++)
        want += a[k].iov_len;
    if ((uint64_t)P != c->optim->table->P || (uint64_t)waiting != c->optim->n_ring || body - before - len != want) {
        is_damaged("its size", err);
        goto out;
    }
    const char *from = bytes + before + len;
    for (unsigned k = 0; k < n; from += a[k++].iov_len)
        memcpy(a[k].iov_base, from, a[k].iov_len);
    c->optim->t = (uint64_t)t;
    c->epoch = (uint64_t)epoch;
    memcpy(c->mb, mb, sizeof mb);
    result = 0;
out:
    json_decref(root);
    return result;
}

static int load_file(struct lca_checkpoint *c, const char *path, struct lca_err *err)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return lca_fail_errno(err, LCA_USAGE, "cannot open the checkpoint %s", path);
    int result = fstat(fd, &st);
    void *map = MAP_FAILED;
    if (result == 0 && st.st_size > 0)
        map = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    close(fd);
    if (result == 0 && st.st_size == 0)
        return lca_fail(err, LCA_CORRUPT, "%s: the checkpoint is empty: go on from the one before it", path);
    if (map == MAP_FAILED)
        return lca_fail_errno(err, LCA_USAGE, "cannot read the checkpoint %s", path);
    result = understand(c, map, (size_t)st.st_size, err);
    munmap(map, (size_t)st.st_size);
    return result < 0 ? lca_err_prefix(err, "%s", path) : 0;
}

int lca_checkpoint_load(struct lca_checkpoint *c, const char *path, bool oldest, struct lca_err *err)
{
    struct stat st;
    if (stat(path, &st) < 0)
        return lca_fail_errno(err, LCA_USAGE, "--resume %s", path);
    if (!S_ISDIR(st.st_mode))
        return load_file(c, path, err);
    struct steps s;
    if (list(&s, path, err) < 0)
        return lca_err_prefix(err, "--resume");
    int result = s.n ? -1 : lca_fail(err, LCA_USAGE, "--resume: the folder %s holds no checkpoint", path);
    for (size_t k = 0; k < s.n; k++) {
        char file[PATH_MAX];
        struct lca_err why = {0};
        result = step_path(file, path, s.at[oldest ? k : s.n - 1 - k], &why);
        if (result == 0)
            result = load_file(c, file, &why);
        if (result < 0 && err)
            *err = why;
        if (result == 0 || why.status != LCA_CORRUPT)
            break;
        lca_warn("%s", why.text);
        lca_fail(err, LCA_CORRUPT, "--resume: none of the %zu checkpoints in %s is good: without them training begins "
                 "at step 0", s.n, path);
    }
    free(s.at);
    return result;
}
