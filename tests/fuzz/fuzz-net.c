/* The description of a network. Bytes: the text, as lca-net reads it from a file and every
 * stage from HEAD. What is taken has a canonical text that is taken too and says the same,
 * a parameter table that survives HEAD, and a plan of computing whose arrays fit. */
#include <stdlib.h>
#include <string.h>

#include "backend/backend.h"
#include "fuzz.h"
#include "nn/net.h"
#include "nn/plan.h"

static void plan(const struct lca_net *net)
{
    static const struct lca_backend *cpu;
    struct lca_plan p;
    struct lca_err err = {0};
    if (!cpu)
        cpu = lca_backend_find("cpu", &err);
    fuzz_check(cpu != NULL, "no backend: %s", err.text);
    if (lca_plan_init(&p, net, cpu, 7, &err) < 0) {
        fuzz_told(&err);
        return;
    }
    for (unsigned k = 0; k < net->n_layer; k++) {
        const struct lca_plan_layer *l = &p.layer[k];
        size_t size = lca_ld(lca_shape_size(net->layer[k].g.out));
        if (!l->ops || l->fused)
            continue;
        fuzz_check(l->stage < p.stages, "layer %s in stage %u of %u", net->layer[k].name, l->stage, p.stages);
        fuzz_check(l->y.at + size * (l->y.kept ? 1 : p.room[l->stage]) <= (l->y.kept ? p.kept : p.slice),
                   "layer %s lies outside", net->layer[k].name);
    }
    lca_plan_clear(&p);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct lca_net net, again;
    struct lca_table table = {0};
    struct lca_err err = {0};
    if (lca_net_parse(&net, (const char *)data, size, &err) < 0) {
        fuzz_told(&err);
        return 0;
    }
    fuzz_check(lca_net_parse(&again, net.json, strlen(net.json), &err) == 0, "its own text is refused: %s", err.text);
    fuzz_check(strcmp(net.json, again.json) == 0, "its text changes");
    fuzz_check(net.P == again.P && net.n_layer == again.n_layer && net.flops == again.flops, "another network");
    json_t *layers = lca_table_json(&net.table);
    fuzz_check(lca_table_parse(&table, layers, net.P, &err) == 0, "its table is refused: %s", err.text);
    fuzz_check(table.n_tensor == net.table.n_tensor && table.n_layer == net.table.n_layer, "another table");
    json_decref(layers);
    if (!net.external)
        plan(&net);
    lca_table_clear(&table);
    lca_net_clear(&again);
    lca_net_clear(&net);
    return 0;
}
