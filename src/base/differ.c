#include "base/differ.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

bool lca_differ(const json_t *theirs, const json_t *ours, char *text, size_t size)
{
    const json_t *both[2] = {theirs, ours};
    *text = 0;
    for (int k = 0; k < 2; k++) {
        const char *key;
        json_t *value;
        json_object_foreach((json_t *)(uintptr_t)both[k], key, value) {
            const json_t *a = json_object_get(theirs, key), *b = json_object_get(ours, key);
            if (a && b && json_equal((json_t *)(uintptr_t)a, (json_t *)(uintptr_t)b))
                continue;
            size_t how = JSON_ENCODE_ANY | JSON_REAL_PRECISION(15);
            char *x = a ? json_dumps(a, how) : NULL, *y = b ? json_dumps(b, how) : NULL;
            snprintf(text, size, "its %s is %.150s, here it is %.150s", key, x ? x : "not set", y ? y : "not set");
            free(x);
            free(y);
            return true;
        }
    }
    return false;
}
