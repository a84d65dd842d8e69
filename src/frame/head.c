#include "frame/head.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/digest.h"
#include "base/version.h"

int lca_run_id(const json_t *def, uint8_t run[LCA_RUN_LEN], struct lca_err *err)
{
    char *text = json_dumps(def, JSON_COMPACT | JSON_SORT_KEYS | JSON_REAL_PRECISION(17));
    uint8_t digest[LCA_SHA256_LEN];
    if (!text)
        return lca_fail(err, LCA_INTERNAL, "the run's definition cannot be written as JSON");
    lca_sha256(text, strlen(text), digest);
    memcpy(run, digest, LCA_RUN_LEN);
    free(text);
    return 0;
}

int lca_head_keep(struct lca_frame *to, struct lca_buf *bytes, const struct lca_frame *from, struct lca_err *err)
{
    struct lca_frame f = *from;
    if (lca_frame_encode(&f, bytes, err) < 0 || lca_frame_decode(to, bytes->data, bytes->len, err) < 0)
        return -1;
    bytes->len = 0;
    return lca_buf_append(bytes, from->payload, from->nb, err) < 0 ? -1
         : lca_frame_attach(to, bytes->data, bytes->len, err);
}

json_t *lca_prov_add(const json_t *prov, const char *prog, json_t *args)
{
    json_t *all = prov ? json_copy((json_t *)(uintptr_t)prov) : json_array();
    json_t *entry = json_pack("{s:s, s:s, s:o}", "prog", prog, "version", LCA_VERSION, "args",
                              args ? args : json_object());
    if (!all || !entry || json_array_append_new(all, entry) < 0) {
        json_decref(all);
        return NULL;
    }
    return all;
}

int lca_head_set(const struct lca_frame_head *head, const char *name, uint64_t *N, uint64_t *chunk,
                 struct lca_err *err)
{
    char names[200] = "";
    size_t k;
    json_t *set;
    json_array_foreach(json_object_get(head->data, "sets"), k, set) {
        const char *its = json_string_value(json_object_get(set, "set"));
        if (!its)
            continue;
        if (strcmp(its, name) == 0) {
            *N = (uint64_t)json_integer_value(json_object_get(set, "N"));
            *chunk = (uint64_t)json_integer_value(json_object_get(set, "chunk"));
            return 0;
        }
        if (strlen(names) + strlen(its) + 2 < sizeof names)
            strcat(strcat(names, " "), its);
    }
    return lca_fail(err, LCA_USAGE, "the stream has no set %s: it has%s", name, *names ? names : " none");
}

static int check_sets(const json_t *sets, struct lca_err *err)
{
    uint64_t units = 0;
    size_t k;
    json_t *set;
    if (sets && !json_is_array(sets))
        return lca_fail(err, LCA_CORRUPT, "key data: sets is no list");
    if (json_array_size(sets) > LCA_SETS_MAX)
        return lca_fail(err, LCA_CORRUPT, "key data: more than %d sets", LCA_SETS_MAX);
    json_array_foreach(sets, k, set) {
        const json_t *chunk = json_object_get(set, "chunk");
        json_int_t N = json_integer_value(json_object_get(set, "N")), n = chunk ? json_integer_value(chunk) : N;
        if (!json_is_string(json_object_get(set, "set")) || N < 1 || N > INT32_MAX || n < 1 || n > N)
            return lca_fail(err, LCA_CORRUPT, "key data: set %zu is no {set, N, chunk} of 1 to 2147483647 examples", k);
        units += chunk ? (uint64_t)(N / n) : 0;
    }
    if (units > LCA_UNITS_MAX)
        return lca_fail(err, LCA_CORRUPT, "key data: %" PRIu64 " chunks, more than %" PRIu64, units, LCA_UNITS_MAX);
    return 0;
}

int lca_head_check(const struct lca_frame_head *head, struct lca_err *err)
{
    const struct {
        const char *key;
        uint64_t value, most;
    } numbers[] = {
        {"P", head->P, LCA_P_MAX}, {"parts", head->parts, LCA_PARTS_MAX}, {"nbmax", head->nbmax, LCA_PAYLOAD_MAX},
        {"it0", head->it0, INT64_MAX}, {"first", head->first, INT64_MAX},
    };
    for (size_t k = 0; k < sizeof numbers / sizeof *numbers; k++)
        if (numbers[k].value > numbers[k].most)
            return lca_fail(err, LCA_CORRUPT, "key %s: %" PRIu64 " is more than %" PRIu64, numbers[k].key,
                            numbers[k].value, numbers[k].most);
    if (!json_is_array(head->classes) || json_array_size(head->classes) > LCA_CLASSES_MAX)
        return lca_fail(err, LCA_CORRUPT, "key classes: no list of at most %d", LCA_CLASSES_MAX);
    if (!json_is_array(head->layers))
        return lca_fail(err, LCA_CORRUPT, "key layers: no list");
    if (!json_is_object(head->data))
        return lca_fail(err, LCA_CORRUPT, "key data: no map");
    return check_sets(json_object_get(head->data, "sets"), err);
}

uint64_t lca_head_units(const struct lca_frame_head *head)
{
    uint64_t units = 0;
    size_t k;
    json_t *set;
    json_array_foreach(json_object_get(head->data, "sets"), k, set) {
        json_int_t N = json_integer_value(json_object_get(set, "N"));
        json_int_t chunk = json_integer_value(json_object_get(set, "chunk"));
        if (N > 0 && chunk > 0)
            units += (uint64_t)(N / chunk);
    }
    return units;
}
