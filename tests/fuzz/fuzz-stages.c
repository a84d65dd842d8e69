/* The stage file of a run. Bytes: the file. */
#include <string.h>

#include "fuzz.h"
#include "run/stages.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct lca_stages s;
    struct lca_err err = {0};
    if (lca_stages_parse(&s, (const char *)data, size, "run", &err) < 0) {
        fuzz_told(&err);
        return 0;
    }
    fuzz_check(s.n > 0 && s.n <= LCA_STAGES_MAX, "%d stages", s.n);
    for (int k = 0; k < s.n; k++)
        fuzz_check(*s.item[k].name && *s.item[k].command && s.item[k].line > 0, "a stage without a name or command");
    lca_stages_clear(&s);
    return 0;
}
