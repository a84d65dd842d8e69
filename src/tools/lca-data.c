/* lca-data: from the files that authors publish, or a generator, to the data file
 * that all programs read; shows, checks and fetches data. No frames flow here. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/tool.h"
#include "data/dataset.h"
#include "data/fetch.h"
#include "data/source.h"

static struct {
    const char *out, *classes, *name, *set, *mirror;
    long val, index;
    bool json;
} option = {.set = "train", .val = LCA_SOURCE_DEFAULT};

static void print_table(const struct lca_dataset *d)
{
    uint32_t count[LCA_DATASET_SETS][LCA_DATASET_CLASSES];
    printf("%s: %u x %u x %u, %u classes\n%-16s", d->name, d->height, d->width, d->channels,
           d->classes, "");
    for (int k = 0; k < d->sets; k++) {
        printf(" %9s", d->set[k].name);
        lca_dataset_count(d, &d->set[k], d->set[k].n, count[k]);
    }
    printf("\n%-16s", "examples");
    for (int k = 0; k < d->sets; k++)
        printf(" %9u", d->set[k].n);
    for (uint32_t c = 0; c < d->classes; c++) {
        printf("\n  %-14s", d->class_name[c]);
        for (int k = 0; k < d->sets; k++)
            printf(" %9u", count[k][c]);
    }
    printf("\nsha256 %s\n", d->sha256);
}

/* The file's header, and per set the examples of each class. */
static int print_json(const struct lca_dataset *d, struct lca_err *err)
{
    json_t *root = lca_dataset_json(d);
    if (!root)
        return lca_fail(err, LCA_INTERNAL, "out of memory");
    for (int k = 0; k < d->sets; k++) {
        uint32_t count[LCA_DATASET_CLASSES];
        json_t *per_class = json_array();
        lca_dataset_count(d, &d->set[k], d->set[k].n, count);
        for (uint32_t c = 0; c < d->classes; c++)
            json_array_append_new(per_class, json_integer(count[c]));
        json_object_set_new(json_array_get(json_object_get(root, "sets"), (size_t)k), "per_class",
                            per_class);
    }
    json_dumpf(root, stdout, JSON_COMPACT);
    putchar('\n');
    json_decref(root);
    return 0;
}

static int print(const struct lca_dataset *d, struct lca_err *err)
{
    if (option.json)
        return print_json(d, err);
    print_table(d);
    return 0;
}

static int run_make(const char *what, struct lca_err *err)
{
    struct lca_source s;
    if (!option.out)
        return lca_fail(err, LCA_USAGE, "make needs --out FILE, the data file to write");
    if (lca_source_open(&s, what, option.val, err) < 0)
        return -1;
    int result = -1;
    if (lca_source_name(&s, option.name, option.classes, err) == 0 &&
        lca_dataset_write(&s.data, option.out, err) == 0)
        result = print(&s.data, err);
    lca_source_close(&s);
    return result;
}

static int run_show(const char *what, struct lca_err *err)
{
    struct lca_dataset d;
    if (lca_dataset_open(&d, what, err) < 0)
        return -1;
    int result = print(&d, err);
    lca_dataset_close(&d);
    return result;
}

static int run_digest(const char *what, struct lca_err *err)
{
    struct lca_dataset d;
    if (lca_dataset_open(&d, what, err) < 0)
        return -1;
    int result = lca_dataset_verify(&d, err);
    if (result == 0)
        printf("%s\n", d.sha256);
    else
        lca_err_prefix(err, "%s", what);
    lca_dataset_close(&d);
    return result;
}

static int print_image(const struct lca_dataset *d, struct lca_err *err)
{
    const struct lca_set *set = lca_dataset_find(d, option.set, err);
    if (!set)
        return -1;
    if (option.index >= set->n)
        return lca_fail(err, LCA_USAGE, "set %s has %u examples: --index takes 0 to %u", set->name,
                        set->n, set->n - 1);
    if (d->channels != 1 && d->channels != 3)
        return lca_fail(err, LCA_USAGE, "images of %u channels are neither grey nor colour: only 1 "
                        "and 3 can be shown", d->channels);
    size_t bytes = lca_dataset_pixels(d);
    printf("P%c\n# %s %s %ld: %s\n%u %u\n255\n", d->channels == 1 ? '5' : '6', d->name, set->name,
           option.index, d->class_name[set->labels[option.index]], d->width, d->height);
    fwrite(set->images + (size_t)option.index * bytes, 1, bytes, stdout);
    return 0;
}

static int run_image(const char *what, struct lca_err *err)
{
    struct lca_dataset d;
    if (isatty(STDOUT_FILENO))
        return lca_fail(err, LCA_USAGE, "stdout is a terminal and an image is binary: write to a "
                        "file or a pipe");
    if (lca_dataset_open(&d, what, err) < 0)
        return -1;
    int result = print_image(&d, err);
    lca_dataset_close(&d);
    return result;
}

static int run_fetch(const char *what, struct lca_err *err)
{
    const struct lca_fetch_plan *plan = lca_fetch_plans;
    while (plan->name && strcmp(plan->name, what) != 0)
        plan++;
    if (!plan->name)
        return lca_fail(err, LCA_USAGE, "'%s' cannot be fetched: mnist and cifar10 can", what);
    if (!option.out)
        return lca_fail(err, LCA_USAGE, "fetch needs --out DIR, the folder for the files");
    return lca_fetch(plan, option.mirror, option.out, err);
}

static const struct {
    const char *name;
    int (*run)(const char *what, struct lca_err *err);
} commands[] = {
    {"make", run_make}, {"show", run_show}, {"digest", run_digest}, {"image", run_image},
    {"fetch", run_fetch},
};

static int run(int argc, char **argv, struct lca_err *err)
{
    (void)argc;
    for (size_t k = 0; k < sizeof commands / sizeof *commands; k++)
        if (strcmp(argv[0], commands[k].name) == 0)
            return commands[k].run(argv[1], err);
    return lca_fail(err, LCA_USAGE, "unknown command '%s': make, show, digest, image or fetch",
                    argv[0]);
}

/* Not from the environment: --out of a whole run means another thing. */
static const struct lca_opt opts[] = {
    {"out", 'o', LCA_OPT_STR, &option.out, "PATH",
     "make: the data file to write. fetch: the folder for the files.", 0, 0, true},
    {"val", 0, LCA_OPT_INT, &option.val, "N",
     "make: hold the last N training examples out for validation; 0: none. By default one of "
     "twelve of an MNIST, one of eleven of generated data, none of others.", 0, 1e9, true},
    {"classes", 0, LCA_OPT_STR, &option.classes, "A,B,...", "make: names of the classes.",
     0, 0, true},
    {"name", 0, LCA_OPT_STR, &option.name, "NAME", "make: name of the data set.", 0, 0, true},
    {"json", 0, LCA_OPT_FLAG, &option.json, NULL, "make, show: print JSON.", 0, 0, true},
    {"set", 0, LCA_OPT_STR, &option.set, "SET", "image: train, val or test; by default train.",
     0, 0, true},
    {"index", 'i', LCA_OPT_INT, &option.index, "I", "image: which example, from 0.", 0, 1e10, true},
    {"mirror", 0, LCA_OPT_STR, &option.mirror, "URL",
     "fetch: where the files are, instead of the mirrors known.", 0, 0, true},
    {0},
};

static const struct lca_tool tool = {
    .name = "lca-data",
    .summary = "make, show, check and fetch data files",
    .usage = "COMMAND WHAT [OPTION]...",
    .about =
        "Turns published data sets, or generated ones, into the data file that all programs "
        "read: images and labels as bytes, split into train, val and test.\n\n"
        "make SOURCE --out FILE: writes a data file, and prints what it holds. SOURCE is mnist:DIR "
        "(four IDX files, gzipped or not), cifar10:DIR (the binary batches), "
        "npy:IMAGES.npy,LABELS.npy (uint8 images, integer labels; two more files make a test set), "
        "synth:SEED,N (N generated digits, no files needed), or a folder of the first two "
        "kinds.\n\n"
        "show FILE: prints sets, counts, classes and digest.\n\n"
        "digest FILE: computes the SHA-256 of the data again, compares, and prints it.\n\n"
        "image FILE: writes one example as PGM or PPM.\n\n"
        "fetch mnist or fetch cifar10, --out DIR: downloads the files, with curl, and checks them "
        "against the sums published.",
    .examples =
        "lca-data make synth:1,11000 --out digits.data   # generated digits\n"
        "lca-data fetch mnist --out mnist && lca-data make mnist --out mnist.data\n"
        "lca-data image mnist.data --set test --index 3 > three.pgm",
    .opts = opts,
    .min_args = 2,
    .max_args = 2,
    .run = run,
};

int main(int argc, char **argv)
{
    return lca_tool_main(&tool, argc, argv);
}
