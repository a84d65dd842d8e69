/* select.h: which steps, layers and classes a filter sees, the same way in all.
 *
 * Selecting takes away, it never renumbers parameters: what is left of the table
 * still says where in the vector [P] it lies. */
#ifndef LCA_FILTER_SELECT_H
#define LCA_FILTER_SELECT_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/tool.h"
#include "nn/table.h"

/* From a program's options; zeroed: everything. */
struct lca_select_args {
    const char *steps, *layers, *classes;
    long every;
};

#define LCA_SELECT_OPTS(a)                                                                        \
    {"steps", 0, LCA_OPT_STR, &(a).steps, "A:B", "Only steps A to B-1, counted from 0; either "   \
     "may be left out (default: all).", 0, 0, false},                                             \
    {"layers", 0, LCA_OPT_STR, &(a).layers, "PATTERN", "Only layers whose names match: shell "    \
     "patterns, parted by commas, such as 'conv*,dense1' (default: all).", 0, 0, false},          \
    {"classes", 0, LCA_OPT_STR, &(a).classes, "A,B", "Of frames by class only those of these "    \
     "classes, by name or number; frames of all classes stay (default: all).", 0, 0, false},      \
    {"every", 0, LCA_OPT_INT, &(a).every, "N", "Write frames about single steps only for steps "  \
     "0, N, 2N, ...; sums and totals still have every step (default 1).", 1, 1e15, false}

/* Steps [from, to), and of them the multiples of every. */
struct lca_steps_wanted {
    uint64_t from, to, every;
};

int lca_select_steps(struct lca_steps_wanted *w, const struct lca_select_args *a, struct lca_err *err) LCA_MUST_USE;

/* Takes the layers that match none of the patterns (NULL: keeps all) out of t, with
 * their tensors; t->P and all off stay. A pattern that matches no layer is
 * LCA_USAGE, naming the layers. */
int lca_select_layers(struct lca_table *t, const char *patterns, struct lca_err *err) LCA_MUST_USE;

/* classes: [{name, n}], HEAD's. place [their number], filled: where each class stands
 * among the selected, or -1. *kept: the selected in their order, a new reference.
 * names NULL: all. LCA_USAGE, naming the classes, for one that is not there. */
int lca_select_classes(const json_t *classes, const char *names, int *place, json_t **kept,
                       struct lca_err *err) LCA_MUST_USE;

/* Adds to args, which provenance keeps, what was given. */
void lca_select_note(json_t *args, const struct lca_select_args *a);

#endif
