#include "data/fetch.h"

#include <errno.h>
#include <ftw.h>
#include <limits.h>
#include <openssl/evp.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/digest.h"

extern char **environ;

/* MNIST's sums are those of the files that both mirrors keep; CIFAR-10's is the one on
 * its authors' page. */
const struct lca_fetch_plan lca_fetch_plans[] = {
    {"mnist", NULL,
     {"https://ossci-datasets.s3.amazonaws.com/mnist/",
      "https://storage.googleapis.com/cvdf-datasets/mnist/"},
     {{"train-images-idx3-ubyte.gz", "SHA256",
       "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609"},
      {"train-labels-idx1-ubyte.gz", "SHA256",
       "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c"},
      {"t10k-images-idx3-ubyte.gz", "SHA256",
       "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6"},
      {"t10k-labels-idx1-ubyte.gz", "SHA256",
       "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6"}}},
    {"cifar10", "cifar-10-batches-bin",
     {"https://www.cs.toronto.edu/~kriz/"},
     {{"cifar-10-binary.tar.gz", "MD5", "c32a1d4ab5d03f1284b67883e8d87530"}}},
    {0},
};

/* dir/name and an ending. */
static int join(char path[PATH_MAX], const char *dir, const char *name, const char *ending,
                struct lca_err *err)
{
    int n = snprintf(path, PATH_MAX, "%s/%s%s", dir, name, ending);
    if (n < 0 || n >= PATH_MAX)
        return lca_fail(err, LCA_USAGE, "%s: the path is too long", dir);
    return 0;
}

/* Runs a program to its end; its exit status, or -1 when it cannot be run. */
static int run(const char *const *argv)
{
    pid_t pid;
    int status;
    if (posix_spawnp(&pid, argv[0], NULL, NULL, (char *const *)argv, environ) != 0)
        return -1;
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            return -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* 1: the file has that sum, 0: it has another, -1: it cannot be read or summed. */
static int matches(const char *path, const struct lca_fetch_file *file)
{
    unsigned char piece[1 << 14], digest[EVP_MAX_MD_SIZE];
    unsigned len = 0;
    char hex[2 * EVP_MAX_MD_SIZE + 1];
    int result = -1;
    FILE *f = fopen(path, "rbe");
    if (!f)
        return -1;
    EVP_MD_CTX *sum = EVP_MD_CTX_new();
    if (!sum || !EVP_DigestInit_ex(sum, EVP_get_digestbyname(file->algorithm), NULL))
        goto out;
    for (size_t n; (n = fread(piece, 1, sizeof piece, f)) > 0;)
        if (!EVP_DigestUpdate(sum, piece, n))
            goto out;
    if (ferror(f) || !EVP_DigestFinal_ex(sum, digest, &len))
        goto out;
    lca_hex(digest, len, hex);
    result = strcmp(hex, file->digest) == 0;
out:
    EVP_MD_CTX_free(sum);
    fclose(f);
    return result;
}

/* One file from one mirror to path, checked. */
static int download(const struct lca_fetch_file *file, const char *mirror, const char *path,
                    struct lca_err *err)
{
    char url[2048];
    size_t len = strlen(mirror);
    int n = snprintf(url, sizeof url, "%s%s%s", mirror, len && mirror[len - 1] == '/' ? "" : "/",
                     file->name);
    if (n < 0 || n >= (int)sizeof url)
        return lca_fail(err, LCA_USAGE, "the mirror's address is too long");
    const char *const curl[] = {"curl", "--fail", "--location", "--silent", "--show-error",
                                "--proto", "=https,http,file", "--connect-timeout", "20",
                                "--retry", "2", "--output", path, "--url", url, NULL};
    int status = run(curl);
    if (status < 0 || status == 127)
        return lca_fail(err, LCA_USAGE, "curl cannot be run: install the package curl");
    if (status != 0)
        return lca_fail(err, LCA_PEER, "%s cannot be had (curl ends with %d): check the network, "
                        "or name a mirror with --mirror", url, status);
    int good = matches(path, file);
    if (good < 0)
        return lca_fail(err, LCA_INTERNAL, "the %s sum of %s cannot be computed", file->algorithm,
                        path);
    if (good == 0)
        return lca_fail(err, LCA_CORRUPT, "%s has another %s sum than published: try again, or "
                        "another mirror with --mirror", url, file->algorithm);
    return 0;
}

/* Gets one file from the first mirror that has it whole, unless it is there. */
static int get(const struct lca_fetch_plan *plan, const struct lca_fetch_file *file,
               const char *mirror, const char *dir, struct lca_err *err)
{
    char path[PATH_MAX], part[PATH_MAX];
    if (join(part, dir, file->name, ".part", err) < 0 || join(path, dir, file->name, "", err) < 0)
        return -1;
    if (matches(path, file) == 1)
        return 0;
    int result = -1;
    if (mirror)
        result = download(file, mirror, part, err);
    for (int k = 0; !mirror && result < 0 && plan->mirrors[k]; k++)
        result = download(file, plan->mirrors[k], part, err);
    if (result == 0 && rename(part, path) < 0)
        result = lca_fail_errno(err, LCA_USAGE, "cannot write %s", path);
    if (result < 0)
        unlink(part);
    return result;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *walk)
{
    (void)st, (void)type, (void)walk;
    return remove(path);
}

static void remove_tree(const char *path)
{
    nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static int make_folder(const char *path, struct lca_err *err)
{
    if (mkdir(path, 0777) < 0 && errno != EEXIST)
        return lca_fail_errno(err, LCA_USAGE, "cannot make the folder %s", path);
    return 0;
}

/* Unpacks beside the place where the folder then goes in one piece. */
static int unpack(const struct lca_fetch_plan *plan, const char *archive, const char *dir,
                  struct lca_err *err)
{
    char aside[PATH_MAX], inside[PATH_MAX], target[PATH_MAX];
    if (join(aside, dir, plan->holds, ".part", err) < 0 ||
        join(target, dir, plan->holds, "", err) < 0 ||
        join(inside, aside, plan->holds, "", err) < 0)
        return -1;
    remove_tree(aside);
    if (make_folder(aside, err) < 0)
        return -1;
    const char *const tar[] = {"tar", "-xzf", archive, "-C", aside, "--no-same-owner", NULL};
    int result = 0, status = run(tar);
    if (status != 0)
        result = lca_fail(err, LCA_INTERNAL, "%s cannot be unpacked (tar ends with %d)", archive,
                          status);
    else if (rename(inside, target) < 0)
        result = lca_fail_errno(err, LCA_INTERNAL, "cannot make %s of %s", target, archive);
    remove_tree(aside);
    return result;
}

static int get_archive(const struct lca_fetch_plan *plan, const char *mirror, const char *dir,
                       struct lca_err *err)
{
    char archive[PATH_MAX], target[PATH_MAX];
    if (join(archive, dir, plan->files[0].name, "", err) < 0 ||
        join(target, dir, plan->holds, "", err) < 0)
        return -1;
    if (access(target, F_OK) == 0)
        return 0;       /* it came there in one piece */
    if (get(plan, &plan->files[0], mirror, dir, err) < 0 ||
        unpack(plan, archive, dir, err) < 0)
        return -1;
    unlink(archive);
    return 0;
}

static int get_files(const struct lca_fetch_plan *plan, const char *mirror, const char *dir,
                     struct lca_err *err)
{
    for (const struct lca_fetch_file *file = plan->files; file->name; file++)
        if (get(plan, file, mirror, dir, err) < 0)
            return -1;
    return 0;
}

int lca_fetch(const struct lca_fetch_plan *plan, const char *mirror, const char *dir,
              struct lca_err *err)
{
    if (make_folder(dir, err) < 0)
        return -1;
    int result = plan->holds ? get_archive(plan, mirror, dir, err)
                             : get_files(plan, mirror, dir, err);
    if (result < 0)
        rmdir(dir);     /* succeeds only when it is empty */
    return result;
}
