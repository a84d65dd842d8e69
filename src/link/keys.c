#include "link/keys.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zmq.h>

/* reading */

/* A line 'name = "value"'. 1: *value filled; 0: another line; -1: not a key. */
static int key_line(const char *line, const char *name, char value[LCA_KEY_LEN + 1])
{
    uint8_t bytes[32];
    size_t len = strlen(name);
    line += strspn(line, " \t");
    if (strncmp(line, name, len) != 0)
        return 0;
    line += len + strspn(line + len, " \t");
    if (*line++ != '=')
        return 0;
    line += strspn(line, " \t");
    if (*line++ != '"' || strcspn(line, "\"") != LCA_KEY_LEN)
        return -1;
    memcpy(value, line, LCA_KEY_LEN);
    value[LCA_KEY_LEN] = 0;
    line += LCA_KEY_LEN + 1;
    return line[strspn(line, " \t\r\n")] == 0 && zmq_z85_decode(bytes, value) ? 1 : -1;
}

static int parse(struct lca_key *k, FILE *file, const char *path, struct lca_err *err)
{
    char line[256];
    for (int n = 1; fgets(line, sizeof line, file); n++) {
        int is_public = key_line(line, "public-key", k->public_key);
        int is_secret = is_public ? 0 : key_line(line, "secret-key", k->secret_key);
        explicit_bzero(line, sizeof line);
        if (is_public < 0 || is_secret < 0)
            return lca_fail(err, LCA_USAGE, "%s, line %d: a key is 40 characters of Z85 in double quotes: make one "
                            "with lca-keygen", path, n);
    }
    if (ferror(file))
        return lca_fail_errno(err, LCA_USAGE, "cannot read %s", path);
    if (!*k->public_key)
        return lca_fail(err, LCA_USAGE, "%s has no line 'public-key = \"...\"': make keys with lca-keygen", path);
    return 0;
}

static int read_file(struct lca_key *k, const char *path, struct stat *st, struct lca_err *err)
{
    *k = (struct lca_key){0};
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    FILE *file = fd < 0 ? NULL : fdopen(fd, "r");
    if (!file || fstat(fd, st) < 0) {
        lca_fail_errno(err, LCA_USAGE, "cannot read the key %s", path);
        if (file)
            fclose(file);
        else if (fd >= 0)
            close(fd);
        return -1;
    }
    int result = S_ISREG(st->st_mode) ? parse(k, file, path, err)
                                      : lca_fail(err, LCA_USAGE, "the key %s is no regular file", path);
    fclose(file);
    return result;
}

int lca_key_read_secret(struct lca_key *k, const char *path, struct lca_err *err)
{
    char its_public[LCA_KEY_LEN + 1];
    struct stat st;
    if (read_file(k, path, &st, err) < 0)
        return -1;
    if (!*k->secret_key)
        return lca_fail(err, LCA_USAGE, "%s has no line 'secret-key = \"...\"': --key takes the .key file of "
                        "lca-keygen", path);
    if (st.st_uid != geteuid())
        return lca_fail(err, LCA_USAGE, "the secret key %s belongs to another user: make one of your own with lca-keygen",
                        path);
    if ((st.st_mode & 077) != 0)
        return lca_fail(err, LCA_USAGE, "others may read the secret key %s (mode %03o): chmod 600 it, and make another "
                        "if somebody may have read it", path, (unsigned)st.st_mode & 0777);
    if (zmq_curve_public(its_public, k->secret_key) < 0)
        return lca_fail(err, LCA_INTERNAL, "this ZeroMQ has no CURVE: install one that was built with libsodium");
    if (strcmp(its_public, k->public_key) != 0)
        return lca_fail(err, LCA_USAGE, "%s: its public key is not that of its secret key: make another with "
                        "lca-keygen", path);
    return 0;
}

int lca_key_read_public(struct lca_key *k, const char *path, struct lca_err *err)
{
    struct stat st;
    if (read_file(k, path, &st, err) < 0)
        return -1;
    bool secret = *k->secret_key;
    explicit_bzero(k->secret_key, sizeof k->secret_key);
    if (secret)
        return lca_fail(err, LCA_USAGE, "%s holds a secret key, which must not leave its machine: give the .pub file",
                        path);
    return 0;
}

int lca_key_find(const char *folder, const char *public_key, char name[64], struct lca_err *err)
{
    DIR *dir = opendir(folder);
    struct dirent *entry;
    struct lca_err first = {0};
    int found = 0;
    if (!dir)
        return lca_fail_errno(err, LCA_USAGE, "cannot read the folder of keys %s", folder);
    while (!found && (entry = readdir(dir))) {
        char path[4096];
        struct lca_key k;
        size_t len = strlen(entry->d_name);
        if (len < 5 || entry->d_name[0] == '.' || strcmp(entry->d_name + len - 4, ".pub") != 0)
            continue;
        if (snprintf(path, sizeof path, "%s/%s", folder, entry->d_name) >= (int)sizeof path)
            continue;       /* open would refuse it, too */
        if (lca_key_read_public(&k, path, first.status ? NULL : &first) < 0)
            continue;
        if (public_key && strcmp(k.public_key, public_key) == 0) {
            snprintf(name, 64, "%.*s", (int)(len - 4), entry->d_name);
            found = 1;
        }
    }
    closedir(dir);
    if (!found && first.status && err)
        *err = first;
    return found;
}

/* writing */

static int write_file(const char *path, mode_t mode, const char *what, const char *name, const struct lca_key *k,
                      struct lca_err *err)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
    if (fd < 0 && errno == EEXIST)
        return lca_fail(err, LCA_USAGE, "%s is there already: choose another name, or remove it if nobody uses it",
                        path);
    FILE *file = fd < 0 ? NULL : fdopen(fd, "w");
    if (!file) {
        if (fd >= 0)
            close(fd);
        return lca_fail_errno(err, LCA_USAGE, "cannot make %s", path);
    }
    fprintf(file, "# %s of %s, made by lca-keygen\ncurve\n    public-key = \"%s\"\n", what, name, k->public_key);
    if (*k->secret_key)
        fprintf(file, "    secret-key = \"%s\"\n", k->secret_key);
    bool bad = fflush(file) != 0 || fsync(fd) < 0;
    bad |= fclose(file) != 0;
    if (!bad)
        return 0;
    lca_fail_errno(err, LCA_INTERNAL, "cannot write %s", path);
    unlink(path);
    return -1;
}

int lca_key_make(const char *name, struct lca_err *err)
{
    char secret_path[4096], public_path[4096];
    struct lca_key pair;
    const char *slash = strrchr(name, '/'), *base = slash ? slash + 1 : name;
    if (!*base || strpbrk(base, "\n\r") ||
        snprintf(secret_path, sizeof secret_path, "%s.key", name) >= (int)sizeof secret_path ||
        snprintf(public_path, sizeof public_path, "%s.pub", name) >= (int)sizeof public_path)
        return lca_fail(err, LCA_USAGE, "'%s' is no name for a key: write NAME or FOLDER/NAME", name);
    if (access(public_path, F_OK) == 0)
        return lca_fail(err, LCA_USAGE, "%s is there already: choose another name, or remove it if nobody uses it",
                        public_path);
    if (zmq_curve_keypair(pair.public_key, pair.secret_key) < 0)
        return lca_fail(err, LCA_INTERNAL, "this ZeroMQ has no CURVE: install one that was built with libsodium");
    int result = write_file(secret_path, 0600, "Secret key", base, &pair, err);
    if (result == 0) {
        explicit_bzero(pair.secret_key, sizeof pair.secret_key);
        result = write_file(public_path, 0644, "Public key", base, &pair, err);
        if (result < 0)
            unlink(secret_path);
    }
    explicit_bzero(&pair, sizeof pair);
    return result;
}
