#include "frame/head.h"

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
