#include "data/source.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "data/cifar.h"
#include "data/idx.h"
#include "data/npy.h"
#include "data/synth.h"

enum { BATCHES = 5 };

static const char cifar_folder[] = "cifar-10-batches-bin";
static const char cifar_classes[] =
    "airplane,automobile,bird,cat,deer,dog,frog,horse,ship,truck";

static bool is_folder(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

/* path = dir/name followed by the first of the endings with which it is there. */
static bool find(char path[PATH_MAX], const char *dir, const char *name)
{
    static const char *const endings[] = {"", ".gz"};
    for (size_t k = 0; k < sizeof endings / sizeof *endings; k++) {
        int n = snprintf(path, PATH_MAX, "%s/%s%s", dir, name, endings[k]);
        if (n > 0 && n < PATH_MAX && access(path, F_OK) == 0)
            return true;
    }
    return false;
}

static int need(char path[PATH_MAX], const char *dir, const char *name, const char *what,
                struct lca_err *err)
{
    if (find(path, dir, name))
        return 0;
    if (!is_folder(dir))
        return lca_fail(err, LCA_USAGE, "there is no folder %s: name the one that holds the files "
                        "of %s, or get them with 'lca-data fetch %s --out %s'", dir, what, what,
                        dir);
    return lca_fail(err, LCA_USAGE, "folder %s has no %s, gzipped or not: get the files with "
                    "'lca-data fetch %s --out %s'", dir, name, what, dir);
}

/* the sources */

static int read_idx_pair(struct lca_examples *e, const char *dir, const char *part,
                         struct lca_err *err)
{
    char images[64], labels[64], x[PATH_MAX], y[PATH_MAX];
    snprintf(images, sizeof images, "%s-images-idx3-ubyte", part);
    snprintf(labels, sizeof labels, "%s-labels-idx1-ubyte", part);
    if (need(x, dir, images, "mnist", err) < 0 || need(y, dir, labels, "mnist", err) < 0)
        return -1;
    return lca_idx_read(e, x, y, err);
}

static int open_mnist(struct lca_source *s, const char *dir, long *val, struct lca_err *err)
{
    if (read_idx_pair(&s->train, dir, "train", err) < 0 ||
        read_idx_pair(&s->test, dir, "t10k", err) < 0)
        return -1;
    if (*val == LCA_SOURCE_DEFAULT)
        *val = s->train.n / 12;
    strcpy(s->data.name, "mnist");
    s->data.classes = 10;
    return 0;
}

static int open_cifar(struct lca_source *s, const char *dir, long *val, struct lca_err *err)
{
    char inner[PATH_MAX], path[BATCHES][PATH_MAX], test[PATH_MAX];
    const char *paths[BATCHES], *test_path = test;
    int n = snprintf(inner, sizeof inner, "%s/%s", dir, cifar_folder);
    if (n > 0 && n < PATH_MAX && is_folder(inner))
        dir = inner;
    for (int k = 0; k < BATCHES; k++) {
        char name[32];
        snprintf(name, sizeof name, "data_batch_%d.bin", k + 1);
        if (need(path[k], dir, name, "cifar10", err) < 0)
            return -1;
        paths[k] = path[k];
    }
    if (need(test, dir, "test_batch.bin", "cifar10", err) < 0 ||
        lca_cifar_read(&s->train, paths, BATCHES, err) < 0 ||
        lca_cifar_read(&s->test, &test_path, 1, err) < 0)
        return -1;
    if (*val == LCA_SOURCE_DEFAULT)
        *val = 0;
    strcpy(s->data.name, "cifar10");
    return lca_source_name(s, NULL, cifar_classes, err);
}

static int open_npy(struct lca_source *s, const char *text, long *val, struct lca_err *err)
{
    char *copy = strdup(text), *path[4];
    if (!copy)
        return lca_fail(err, LCA_INTERNAL, "out of memory");
    int n = 0, result = -1;
    char *rest = copy;
    for (char *p; (p = strsep(&rest, ","));) {
        if (n < 4)
            path[n] = p;
        n++;
    }
    if (n != 2 && n != 4) {
        lca_fail(err, LCA_USAGE, "npy:%s names %d files: it takes npy:IMAGES.npy,LABELS.npy and, "
                 "if there is a test set, two more", text, n);
        goto out;
    }
    if (lca_npy_read(&s->train, path[0], path[1], err) < 0 ||
        (n == 4 && lca_npy_read(&s->test, path[2], path[3], err) < 0))
        goto out;
    if (*val == LCA_SOURCE_DEFAULT)
        *val = 0;
    strcpy(s->data.name, "npy");
    result = 0;
out:
    free(copy);
    return result;
}

/* Far from each other, so that no N makes one set run into the next. */
#define SYNTH_VAL  (UINT64_C(1) << 40)
#define SYNTH_TEST (UINT64_C(2) << 40)

/* n / of, rounded, at least 1. */
static uint32_t share(uint32_t n, uint32_t of)
{
    uint32_t x = (uint32_t)(((uint64_t)n + of / 2) / of);
    return x > 0 ? x : 1;
}

static int open_synth(struct lca_source *s, const char *text, long *val, struct lca_err *err)
{
    char *end;
    errno = 0;
    unsigned long long seed = strtoull(text, &end, 10), n = 0;
    bool good = *text >= '0' && *text <= '9' && *end == ',' && end[1] >= '0' && end[1] <= '9';
    if (good)
        n = strtoull(end + 1, &end, 10);
    if (!good || *end || errno || seed > UINT32_MAX || n < 1 || n > 10000000)
        return lca_fail(err, LCA_USAGE, "synth:%s: it takes synth:SEED,N with a seed of 0 to "
                        "4294967295 and 1 to 10000000 training examples", text);
    if (*val > 10000000)
        return lca_fail(err, LCA_USAGE, "--val %ld: at most 10000000 can be generated", *val);
    uint32_t held = *val == LCA_SOURCE_DEFAULT ? share((uint32_t)n, 11) : (uint32_t)*val;
    if (lca_synth_examples(&s->train, (uint32_t)seed, 0, (uint32_t)n, err) < 0 ||
        (held > 0 && lca_synth_examples(&s->val, (uint32_t)seed, SYNTH_VAL, held, err) < 0) ||
        lca_synth_examples(&s->test, (uint32_t)seed, SYNTH_TEST, share((uint32_t)n, 5), err) < 0)
        return -1;
    *val = 0;
    strcpy(s->data.name, "synth");
    s->data.classes = LCA_SYNTH_CLASSES;
    return 0;
}

static int open_folder(struct lca_source *s, const char *dir, long *val, struct lca_err *err)
{
    char path[PATH_MAX];
    if (!is_folder(dir))
        return lca_fail(err, LCA_USAGE, "%s is no folder, nor mnist:DIR, cifar10:DIR, npy:FILES or "
                        "synth:SEED,N: see --help", dir);
    if (find(path, dir, "train-images-idx3-ubyte"))
        return open_mnist(s, dir, val, err);
    if (find(path, dir, cifar_folder) || find(path, dir, "data_batch_1.bin"))
        return open_cifar(s, dir, val, err);
    return lca_fail(err, LCA_USAGE, "folder %s holds neither train-images-idx3-ubyte(.gz) nor %s "
                    "nor data_batch_1.bin: get data with 'lca-data fetch', or use synth:SEED,N",
                    dir, cifar_folder);
}

static const struct {
    const char *prefix;
    int (*open)(struct lca_source *s, const char *rest, long *val, struct lca_err *err);
} sources[] = {
    {"mnist:", open_mnist}, {"cifar10:", open_cifar}, {"npy:", open_npy}, {"synth:", open_synth},
    {"", open_folder},
};

/* what they have in common */

static uint32_t labels_up_to(const struct lca_examples *e)
{
    uint32_t most = 0;
    for (uint32_t i = 0; i < e->n; i++)
        if (e->labels[i] >= most)
            most = e->labels[i] + 1U;
    return most;
}

static int assemble(struct lca_source *s, long val, struct lca_err *err)
{
    struct lca_dataset *d = &s->data;
    const struct lca_examples *train = &s->train, *test = &s->test;
    if (test->n > 0 && (test->height != train->height || test->width != train->width ||
                        test->channels != train->channels))
        return lca_fail(err, LCA_USAGE, "the test images are %u x %u x %u and the training images "
                        "%u x %u x %u: they must be alike", test->height, test->width,
                        test->channels, train->height, train->width, train->channels);
    if (val >= train->n)
        return lca_fail(err, LCA_USAGE, "--val %ld leaves none of %u training examples: give less",
                        val, train->n);
    d->height = train->height;
    d->width = train->width;
    d->channels = train->channels;
    uint32_t n = train->n - (uint32_t)val;
    lca_dataset_add(d, "train", n, train->images, train->labels);
    lca_dataset_add(d, "val", (uint32_t)val, train->images + n * lca_dataset_pixels(d),
                    train->labels + n);
    lca_dataset_add(d, "val", s->val.n, s->val.images, s->val.labels);
    lca_dataset_add(d, "test", test->n, test->images, test->labels);

    uint32_t seen = labels_up_to(train), seen_in_test = labels_up_to(test);
    if (seen_in_test > seen)
        seen = seen_in_test;
    if (seen > d->classes)
        d->classes = seen;
    for (uint32_t c = 0; c < d->classes; c++)
        if (!d->class_name[c][0])
            snprintf(d->class_name[c], LCA_DATASET_NAME, "%u", c);
    return 0;
}

int lca_source_open(struct lca_source *s, const char *text, long val, struct lca_err *err)
{
    *s = (struct lca_source){0};
    size_t k = 0;
    while (strncmp(text, sources[k].prefix, strlen(sources[k].prefix)) != 0)
        k++;
    if (sources[k].open(s, text + strlen(sources[k].prefix), &val, err) < 0 ||
        assemble(s, val, err) < 0) {
        lca_source_close(s);
        return -1;
    }
    return 0;
}

int lca_source_name(struct lca_source *s, const char *name, const char *classes,
                    struct lca_err *err)
{
    struct lca_dataset *d = &s->data;
    if (name) {
        if (!*name || strlen(name) >= LCA_DATASET_NAME)
            return lca_fail(err, LCA_USAGE, "a data set's name has 1 to %d bytes, not '%s'",
                            LCA_DATASET_NAME - 1, name);
        strcpy(d->name, name);
    }
    if (!classes)
        return 0;
    uint32_t n = 0;
    for (const char *p = classes;; n++) {
        size_t len = strcspn(p, ",");
        if (len < 1 || len >= LCA_DATASET_NAME || n == LCA_DATASET_CLASSES)
            return lca_fail(err, LCA_USAGE, "'%s' are no names of classes: give at most %d of 1 to "
                            "%d bytes, parted by commas", classes, LCA_DATASET_CLASSES,
                            LCA_DATASET_NAME - 1);
        memset(d->class_name[n], 0, LCA_DATASET_NAME);
        memcpy(d->class_name[n], p, len);
        p += len;
        if (!*p++)
            break;
    }
    d->classes = n + 1;
    return 0;
}

void lca_source_close(struct lca_source *s)
{
    lca_examples_clear(&s->train);
    lca_examples_clear(&s->val);
    lca_examples_clear(&s->test);
    *s = (struct lca_source){0};
}
