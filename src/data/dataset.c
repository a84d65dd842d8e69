#include "data/dataset.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static const char magic[8] = {'L', 'C', 'A', 'D', 'A', 'T', 'A', '1'};
static const char *const set_names[LCA_DATASET_SETS] = {"train", "val", "test"};

/* Place of a set in the order train, val, test; -1: no such name. */
static int rank(const char *name)
{
    for (int k = 0; k < LCA_DATASET_SETS; k++)
        if (strcmp(name, set_names[k]) == 0)
            return k;
    return -1;
}

/* Bytes after the header; images only, or with the labels. */
static size_t image_bytes(const struct lca_dataset *d)
{
    size_t n = 0;
    for (int k = 0; k < d->sets; k++)
        n += d->set[k].n * lca_dataset_pixels(d);
    return n;
}

static size_t body_bytes(const struct lca_dataset *d)
{
    size_t n = image_bytes(d);
    for (int k = 0; k < d->sets; k++)
        n += d->set[k].n;
    return n;
}

/* reading */

static int bad_header(struct lca_err *err, const char *what)
{
    return lca_fail(err, LCA_CORRUPT, "the header is damaged (%s): make the file again with "
                    "'lca-data make'", what);
}

static int get_size(const json_t *root, const char *key, uint32_t most, uint32_t *to)
{
    const json_t *x = json_object_get(root, key);
    json_int_t v = json_integer_value(x);
    if (!json_is_integer(x) || v < 1 || v > most)
        return -1;
    *to = (uint32_t)v;
    return 0;
}

static int get_name(const json_t *x, char to[LCA_DATASET_NAME])
{
    const char *text = json_string_value(x);
    if (!text || !*text || strlen(text) >= LCA_DATASET_NAME)
        return -1;
    strcpy(to, text);
    return 0;
}

static int get_sets(struct lca_dataset *d, const json_t *sets, struct lca_err *err)
{
    size_t n = json_array_size(sets);
    if (n < 1 || n > LCA_DATASET_SETS)
        return bad_header(err, "sets");
    for (int last = -1; d->sets < (int)n; d->sets++) {
        const json_t *x = json_array_get(sets, (size_t)d->sets);
        const char *name = json_string_value(json_object_get(x, "set"));
        int at = name ? rank(name) : -1;
        struct lca_set *set = &d->set[d->sets];
        if (at <= last || get_size(x, "n", INT32_MAX, &set->n) < 0)
            return bad_header(err, "sets");
        set->name = set_names[at];
        last = at;
    }
    return 0;
}

static int get_header(struct lca_dataset *d, const json_t *root, struct lca_err *err)
{
    if (get_name(json_object_get(root, "name"), d->name) < 0)
        return bad_header(err, "name");
    if (get_size(root, "height", 4096, &d->height) < 0 ||
        get_size(root, "width", 4096, &d->width) < 0 ||
        get_size(root, "channels", 64, &d->channels) < 0)
        return bad_header(err, "height, width, channels");
    const json_t *classes = json_object_get(root, "classes");
    size_t n = json_array_size(classes);
    if (n < 1 || n > LCA_DATASET_CLASSES)
        return bad_header(err, "classes");
    for (; d->classes < n; d->classes++)
        if (get_name(json_array_get(classes, d->classes), d->class_name[d->classes]) < 0)
            return bad_header(err, "classes");
    uint8_t digest[LCA_SHA256_LEN];
    const char *hex = json_string_value(json_object_get(root, "sha256"));
    if (!hex || lca_unhex(hex, digest, sizeof digest) < 0)
        return bad_header(err, "sha256");
    strcpy(d->sha256, hex);
    return get_sets(d, json_object_get(root, "sets"), err);
}

/* Fails with that status where a label is none of the classes. */
static int check_labels(const struct lca_dataset *d, int status, const char *cure,
                        struct lca_err *err)
{
    for (int k = 0; k < d->sets; k++)
        for (uint32_t i = 0; i < d->set[k].n; i++)
            if (d->set[k].labels[i] >= d->classes)
                return lca_fail(err, status, "label %u of example %u of set %s is none of the %u "
                                "classes: %s", d->set[k].labels[i], i, d->set[k].name, d->classes,
                                cure);
    return 0;
}

/* Everything but opening; the map stands, the caller closes. */
static int understand(struct lca_dataset *d, struct lca_err *err)
{
    const char *text = d->map;
    if (d->map_len < sizeof magic || memcmp(text, magic, sizeof magic) != 0)
        return lca_fail(err, LCA_USAGE, "this is not a data file: make one with 'lca-data make'");
    if (d->map_len < LCA_DATASET_HEADER)
        return lca_fail(err, LCA_CORRUPT, "the file is truncated within its header: make it again "
                        "with 'lca-data make'");
    json_t *root = json_loadb(text + sizeof magic, LCA_DATASET_HEADER - sizeof magic,
                              JSON_REJECT_DUPLICATES, NULL);
    if (!root)
        return bad_header(err, "no JSON");
    int result = get_header(d, root, err);
    json_decref(root);
    if (result < 0)
        return -1;
    if (d->map_len - LCA_DATASET_HEADER != body_bytes(d))
        return lca_fail(err, LCA_CORRUPT, "the file has %zu bytes and its header announces %zu: "
                        "it is truncated or damaged, make it again with 'lca-data make'",
                        d->map_len, LCA_DATASET_HEADER + body_bytes(d));
    const uint8_t *images = (const uint8_t *)d->map + LCA_DATASET_HEADER;
    const uint8_t *labels = images + image_bytes(d);
    for (int k = 0; k < d->sets; k++) {
        d->set[k].images = images;
        d->set[k].labels = labels;
        images += d->set[k].n * lca_dataset_pixels(d);
        labels += d->set[k].n;
    }
    return check_labels(d, LCA_CORRUPT, "make the file again with 'lca-data make'", err);
}

int lca_dataset_open(struct lca_dataset *d, const char *path, struct lca_err *err)
{
    *d = (struct lca_dataset){0};
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return lca_fail_errno(err, LCA_USAGE, "cannot open %s", path);
    int result = -1;
    struct stat st;
    if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
        lca_fail(err, LCA_USAGE, "%s is not a file: make a data file with 'lca-data make'", path);
        goto out;
    }
    if (st.st_size == 0) {
        lca_fail(err, LCA_CORRUPT, "%s is empty: make it again with 'lca-data make'", path);
        goto out;
    }
    void *map = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0);
    if (map == MAP_FAILED) {
        lca_fail_errno(err, LCA_INTERNAL, "cannot map %s", path);
        goto out;
    }
    d->map = map;
    d->map_len = (size_t)st.st_size;
    result = understand(d, err);
    if (result < 0) {
        lca_err_prefix(err, "%s", path);
        lca_dataset_close(d);
    }
out:
    close(fd);
    return result;
}

static void hex_digest(const void *body, size_t len, char hex[LCA_SHA256_HEX])
{
    uint8_t digest[LCA_SHA256_LEN];
    lca_sha256(body, len, digest);
    lca_hex(digest, sizeof digest, hex);
}

int lca_dataset_verify(const struct lca_dataset *d, struct lca_err *err)
{
    char hex[LCA_SHA256_HEX];
    hex_digest((const char *)d->map + LCA_DATASET_HEADER, d->map_len - LCA_DATASET_HEADER, hex);
    if (strcmp(hex, d->sha256) == 0)
        return 0;
    return lca_fail(err, LCA_CORRUPT, "the data have the digest %s, their header says %s: the file "
                    "is damaged, make it again with 'lca-data make'", hex, d->sha256);
}

void lca_dataset_close(struct lca_dataset *d)
{
    if (d->map)
        munmap(d->map, d->map_len);
    *d = (struct lca_dataset){0};
}

const struct lca_set *lca_dataset_find(const struct lca_dataset *d, const char *name,
                                       struct lca_err *err)
{
    char list[64] = "";
    for (int k = 0; k < d->sets; k++) {
        if (strcmp(d->set[k].name, name) == 0)
            return &d->set[k];
        strcat(list, k ? ", " : "");
        strcat(list, d->set[k].name);
    }
    lca_fail(err, LCA_USAGE, "data set %s has no set '%s': it has %s", d->name, name, list);
    return NULL;
}

void lca_dataset_count(const struct lca_dataset *d, const struct lca_set *set, uint32_t n,
                       uint32_t *count)
{
    memset(count, 0, d->classes * sizeof *count);
    for (uint32_t i = 0; i < n; i++)
        count[set->labels[i]]++;
}

json_t *lca_dataset_sets(const struct lca_dataset *d, const struct lca_set *train, uint32_t N)
{
    json_t *sets = json_array();
    for (int k = 0; k < d->sets; k++) {
        const struct lca_set *set = &d->set[k];
        json_array_append_new(sets, json_pack("{s:s, s:I}", "set", set->name, "N",
                                              (json_int_t)(set == train ? N : set->n)));
    }
    return sets;
}

json_t *lca_dataset_classes(const struct lca_dataset *d, const struct lca_set *train, uint32_t N)
{
    json_t *classes = json_array();
    uint32_t count[LCA_DATASET_CLASSES];
    lca_dataset_count(d, train, N, count);
    for (uint32_t c = 0; c < d->classes; c++)
        json_array_append_new(classes, json_pack("{s:s, s:I}", "name", d->class_name[c], "n", (json_int_t)count[c]));
    return classes;
}

/* writing */

void lca_dataset_add(struct lca_dataset *d, const char *name, uint32_t n, const uint8_t *images,
                     const uint8_t *labels)
{
    if (n > 0)
        d->set[d->sets++] = (struct lca_set){set_names[rank(name)], n, images, labels};
}

json_t *lca_dataset_json(const struct lca_dataset *d)
{
    json_t *classes = json_array(), *sets = json_array();
    for (uint32_t c = 0; c < d->classes; c++)
        json_array_append_new(classes, json_string(d->class_name[c]));
    for (int k = 0; k < d->sets; k++)
        json_array_append_new(sets, json_pack("{s:s, s:I}", "set", d->set[k].name, "n",
                                              (json_int_t)d->set[k].n));
    bool whole = json_array_size(classes) == d->classes;
    json_t *root = json_pack("{s:s, s:I, s:I, s:I, s:o, s:o, s:s}", "name", d->name,
                             "height", (json_int_t)d->height, "width", (json_int_t)d->width,
                             "channels", (json_int_t)d->channels, "classes", classes,
                             "sets", sets, "sha256", d->sha256);
    if (whole)
        return root;
    json_decref(root);
    return NULL;
}

static int make_header(const struct lca_dataset *d, char header[LCA_DATASET_HEADER],
                       struct lca_err *err)
{
    json_t *root = lca_dataset_json(d);
    if (!root)
        return lca_fail(err, LCA_USAGE, "the names are not UTF-8: give others with --name and "
                        "--classes");
    size_t room = LCA_DATASET_HEADER - sizeof magic - 1;
    memset(header, ' ', LCA_DATASET_HEADER);
    memcpy(header, magic, sizeof magic);
    header[LCA_DATASET_HEADER - 1] = '\n';
    size_t n = json_dumpb(root, header + sizeof magic, room, JSON_COMPACT);
    json_decref(root);
    if (n == 0 || n > room)
        return lca_fail(err, LCA_USAGE, "the names of the classes take more than the header's %zu "
                        "bytes: give shorter ones with --classes", room);
    return 0;
}

static int write_body(const struct lca_dataset *d, FILE *f)
{
    static const char blank[LCA_DATASET_HEADER];
    if (fwrite(blank, sizeof blank, 1, f) != 1)
        return -1;
    for (int k = 0; k < d->sets; k++)
        if (fwrite(d->set[k].images, lca_dataset_pixels(d), d->set[k].n, f) != d->set[k].n)
            return -1;
    for (int k = 0; k < d->sets; k++)
        if (fwrite(d->set[k].labels, 1, d->set[k].n, f) != d->set[k].n)
            return -1;
    return fflush(f);
}

/* The digest of what write_body left in the file: the arrays lie apart in memory. */
static int digest_body(struct lca_dataset *d, FILE *f)
{
    size_t len = LCA_DATASET_HEADER + body_bytes(d);
    void *map = mmap(NULL, len, PROT_READ, MAP_SHARED, fileno(f), 0);
    if (map == MAP_FAILED)
        return -1;
    hex_digest((const char *)map + LCA_DATASET_HEADER, len - LCA_DATASET_HEADER, d->sha256);
    return munmap(map, len);
}

static int write_file(struct lca_dataset *d, FILE *f, const char *path, struct lca_err *err)
{
    char header[LCA_DATASET_HEADER];
    if (write_body(d, f) < 0 || digest_body(d, f) < 0)
        return lca_fail_errno(err, LCA_INTERNAL, "cannot write %s", path);
    if (make_header(d, header, err) < 0)
        return -1;
    rewind(f);
    if (fwrite(header, sizeof header, 1, f) != 1 || fflush(f) != 0 || fsync(fileno(f)) < 0)
        return lca_fail_errno(err, LCA_INTERNAL, "cannot write %s", path);
    return 0;
}

int lca_dataset_write(struct lca_dataset *d, const char *path, struct lca_err *err)
{
    if (d->sets == 0)
        return lca_fail(err, LCA_USAGE, "there are no examples to write to %s", path);
    if (check_labels(d, LCA_USAGE, "name them all with --classes", err) < 0)
        return -1;
    char *part;
    if (asprintf(&part, "%s.part", path) < 0)
        return lca_fail(err, LCA_INTERNAL, "out of memory");
    int result = -1;
    FILE *f = fopen(part, "w+be");
    if (!f) {
        lca_fail_errno(err, LCA_USAGE, "cannot write %s", part);
        goto out;
    }
    result = write_file(d, f, part, err);
    if (fclose(f) != 0 && result == 0)
        result = lca_fail_errno(err, LCA_INTERNAL, "cannot write %s", part);
    if (result == 0 && rename(part, path) < 0)
        result = lca_fail_errno(err, LCA_USAGE, "cannot write %s", path);
    if (result < 0)
        unlink(part);
out:
    free(part);
    return result;
}
