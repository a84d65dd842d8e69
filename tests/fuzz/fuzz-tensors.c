/* Files of named tensors, and the folder of snapshots that lca-import reads. Bytes: two, the
 * length of a map; the map's text, where it is not empty; then the file. A file that is taken
 * is covered by its tensors, each of which can be read or is refused by its type; as a
 * snapshot of a small network it gives every parameter, in either layout. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fuzz.h"
#include "plain/snapshots.h"

static const char NET[] =
    "{\"name\":\"n\",\"input\":[2,2,1],\"classes\":2,\"layers\":[{\"type\":\"conv\",\"name\":\"c\",\"channels\":2,"
    "\"kernel\":1},{\"type\":\"batchnorm\",\"name\":\"b\"},{\"type\":\"dense\",\"name\":\"d\",\"units\":2}]}";

static volatile float sink;

static void tensors(const char *path)
{
    struct lca_safetensors s;
    struct lca_err err = {0};
    uint64_t bytes = 0;
    if (lca_safetensors_open(&s, path, &err) < 0) {
        fuzz_told(&err);
        return;
    }
    for (unsigned k = 0; k < s.n; k++) {
        const struct lca_stored *t = &s.tensor[k];
        bytes += t->end - t->begin;
        fuzz_check(lca_safetensors_find(&s, t->name) == t, "a name leads elsewhere");
        if (t->count > 1 << 16)
            continue;           /* of a type without size */
        float *v = malloc((t->count + 1) * sizeof *v);
        if (lca_safetensors_read(&s, t, v, &err) < 0)
            fuzz_told(&err);
        for (uint64_t i = 0; i < t->count && !err.text[0]; i++)
            sink = v[i];
        free(v);
        err.text[0] = 0;
    }
    uint64_t end = 0;
    for (unsigned k = 0; k < s.n; k++)
        end = s.tensor[k].end > end ? s.tensor[k].end : end;
    fuzz_check(bytes == end, "tensors of %llu bytes cover %llu", (unsigned long long)bytes, (unsigned long long)end);
    lca_safetensors_close(&s);
}

static void snapshot(const char *folder, const char *map, enum lca_layout layout)
{
    static struct lca_net net;
    struct lca_err err = {0};
    struct lca_snapshots s;
    float theta[64];
    if (!net.P)
        fuzz_check(lca_net_parse(&net, NET, strlen(NET), &err) == 0 && net.P <= 64, "the network: %s", err.text);
    struct lca_laid *laid = lca_layout_tensors(&net, layout, &err);
    fuzz_check(laid != NULL, "its layout: %s", err.text);
    if (lca_snapshots_open(&s, folder, &net, laid, layout, map, &err) < 0) {
        fuzz_told(&err);
    } else {
        fuzz_check(s.n == 1, "%llu files of one", (unsigned long long)s.n);
        if (lca_snapshots_read(&s, 0, theta, &err) < 0)
            fuzz_told(&err);
        else
            for (uint64_t i = 0; i < net.P; i++)
                sink = theta[i];
        lca_snapshots_close(&s);
    }
    free(laid);
}

/* A folder whose only file is this one, that of place 0; in $TMPDIR, which run.sh removes. */
static const char *folder_of(const char *file)
{
    static char folder[4096], name[4200];
    const char *tmp = getenv("TMPDIR");
    if (!*name) {
        snprintf(folder, sizeof folder, "%s/lca-fuzz-XXXXXX", tmp ? tmp : "/tmp");
        fuzz_check(mkdtemp(folder) != NULL, "no folder");
        snprintf(name, sizeof name, "%s/1.safetensors", folder);
        fuzz_check(symlink(file, name) == 0, "no link");
    }
    return folder;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_bytes b = {data, data + size};
    struct fuzz_bytes text = fuzz_piece(&b, fuzz_take(&b, 2));
    const char *map = fuzz_left(&text) ? fuzz_file(1, text.at, fuzz_left(&text)) : NULL;
    const char *file = fuzz_file(0, b.at, fuzz_left(&b));
    tensors(file);
    snapshot(folder_of(file), map, LCA_LAYOUT_OURS);
    snapshot(folder_of(file), map, LCA_LAYOUT_TORCH);
    return 0;
}
