/* lca-net: looks at the description of a network.
 *
 * In: the name of a built-in network or a JSON file. Out: its number of
 * parameters, its layers and cost, or the canonical description. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/tool.h"
#include "nn/net.h"

static bool want_table, want_json, want_check, want_list, want_dot;

static const struct lca_opt opts[] = {
    {"table", 't', LCA_OPT_FLAG, &want_table, NULL,
     "Print layers, shapes, tensors, parameters and cost per example.", 0, 0, true},
    {"json", 'j', LCA_OPT_FLAG, &want_json, NULL,
     "Print the canonical description: names and defaults written out, keys in a fixed order.", 0,
         0, true},
    {"check", 'c', LCA_OPT_FLAG, &want_check, NULL,
     "Print nothing; the exit status says whether the description is good.", 0, 0, true},
    {"dot", 'd', LCA_OPT_FLAG, &want_dot, NULL, "Print its layers as a graph, for Graphviz: lca-net --dot NAME | "
     "dot -Tsvg > NAME.svg. Those with parameters are grey.", 0, 0, true},
    {"list", 'l', LCA_OPT_FLAG, &want_list, NULL, "Print the names of the built-in networks.", 0,
     0, true},
    {0},
};

static const char *shape_text(struct lca_shape s, char text[40])
{
    if (s.h == 1 && s.w == 1)
        snprintf(text, 40, "%" PRIu32, s.c);
    else
        snprintf(text, 40, "%" PRIu32 "x%" PRIu32 "x%" PRIu32, s.h, s.w, s.c);
    return text;
}

static void print_table(const struct lca_net *net)
{
    char in[40], out[40];
    printf("%s: input %s, %" PRIu32 " classes, %" PRIu64 " parameters\n\n", net->name,
           shape_text(net->input, in), net->classes, net->P);
    printf("%-24s %-10s %-12s %-12s %10s %10s\n", "layer", "type", "input", "output", "parameters",
           "MFLOP");
    for (unsigned k = 0; k < net->n_layer; k++) {
        const struct lca_layer *l = &net->layer[k];
        printf("%-24s %-10s %-12s %-12s %10" PRIu64 " %10.3f\n", l->name,
               lca_layer_type_name[l->g.type],
               shape_text(l->g.in, in), shape_text(l->g.out, out), l->params,
                   1e-6 * (double)l->flops);
    }
    printf("\n%-32s %10s %10s  %s\n", "tensor", "offset", "parameters", "shape");
    for (unsigned k = 0; k < net->table.n_tensor; k++) {
        const struct lca_tensor *t = &net->table.tensor[k];
        printf("%-32s %10" PRIu64 " %10" PRIu64 "  ", t->name, t->off, t->len);
        for (unsigned d = 0; d < t->n_shape; d++)
            printf("%s%" PRIu32, d ? "x" : "", t->shape[d]);
        putchar('\n');
    }
    printf("\nMFLOP per example: forward %.3f, loss and gradient %.3f\n", 1e-6 * (double)net->flops,
           3e-6 * (double)net->flops);
}

/* What a layer's type leaves open. */
static void print_details(const struct lca_geometry *g)
{
    if (g->type == LCA_CONV || g->type == LCA_MAXPOOL || g->type == LCA_AVGPOOL)
        printf(" %" PRIu32 "x%" PRIu32, g->kernel, g->kernel);
    if ((g->type == LCA_CONV && g->stride > 1) ||
        ((g->type == LCA_MAXPOOL || g->type == LCA_AVGPOOL) && g->stride != g->kernel))
        printf(", stride %" PRIu32, g->stride);
    if (g->type == LCA_DROPOUT)
        printf(" %g", g->rate);
}

/* The output of layer `from` (-1: the image) goes to node `to`. */
static void print_edge(const struct lca_net *net, int from, const char *to)
{
    char shape[40];
    struct lca_shape s = from < 0 ? net->input : net->layer[from].g.out;
    if (from < 0)
        printf("    input -> %s", to);
    else
        printf("    l%d -> %s", from, to);
    printf(" [label=\"%s\"]\n", shape_text(s, shape));
}

/* Names are letters, digits and _-.+/, which need no escapes. */
static void print_dot(const struct lca_net *net)
{
    char to[16];
    printf("digraph \"%s\" {\n    label=\"%s, %" PRIu64 " parameters\"\n    labelloc=t\n"
           "    node [shape=box, fontname=\"sans-serif\", fontsize=11]\n"
           "    edge [fontname=\"sans-serif\", fontsize=9]\n    input [shape=ellipse]\n", net->name, net->name, net->P);
    for (unsigned k = 0; k < net->n_layer; k++) {
        const struct lca_layer *l = &net->layer[k];
        printf("    l%u [label=\"%s\\n%s", k, l->name, lca_layer_type_name[l->g.type]);
        print_details(&l->g);
        if (l->params > 0)
            printf("\\n%" PRIu64 " parameters\", style=filled, fillcolor=\"#e8e8e8", l->params);
        printf("\"]\n");
    }
    printf("    loss [label=\"softmax cross-entropy\\n%" PRIu32 " classes\", shape=ellipse]\n", net->classes);
    for (unsigned k = 0; k < net->n_layer; k++) {
        const struct lca_layer *l = &net->layer[k];
        snprintf(to, sizeof to, "l%u", k);
        print_edge(net, l->from, to);
        if (l->g.type == LCA_ADD)
            print_edge(net, l->other, to);
    }
    print_edge(net, (int)net->n_layer - 1, "loss");
    puts("}");
}

static void print_name(void *arg, const char *name)
{
    (void)arg;
    puts(name);
}

static int run(int argc, char **argv, struct lca_err *err)
{
    if (want_list) {
        if (argc)
            return lca_fail(err, LCA_USAGE, "--list takes no network");
        lca_net_list(print_name, NULL);
        return 0;
    }
    if (argc != 1)
        return lca_fail(err, LCA_USAGE, "which network? A name of --list, or a .json file");
    struct lca_net net;
    if (lca_net_load(&net, argv[0], err) < 0)
        return -1;
    if (want_table)
        print_table(&net);
    else if (want_json)
        puts(net.json);
    else if (want_dot)
        print_dot(&net);
    else if (!want_check)
        printf("%" PRIu64 "\n", net.P);
    lca_net_clear(&net);
    return 0;
}

static const struct lca_tool tool = {
    .name = "lca-net",
    .summary = "look at the description of a network",
    .usage = "[OPTION]... NAME|FILE",
    .about =
        "Reads the description of a network and prints its number of parameters, or what the "
        "options ask for. NAME is a built-in network; an argument with a slash or the ending .json "
        "is a file.\n\n"
        "A description is {\"name\", \"input\": [height, width, channels], \"classes\", "
        "\"layers\": [...]}; each layer has a type, may have a name, and has the keys of its type: "
        "dense units; conv channels, kernel, stride, pad; maxpool and avgpool size, stride; gap; "
        "batchnorm eps; relu; dropout rate; flatten; residual layers, shortcut.",
    .examples =
        "  lca-net mnist-fc              # 84060\n"
        "  lca-net --table cifar-resnet20\n"
        "  lca-net --json my.json\n"
        "  lca-net --dot cifar-resnet20 | dot -Tsvg > resnet20.svg",
    .opts = opts,
    .min_args = 0,
    .max_args = 1,
    .run = run,
};

int main(int argc, char **argv)
{
    return lca_tool_main(&tool, argc, argv);
}
