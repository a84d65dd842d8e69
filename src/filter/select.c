#include "filter/select.h"

#include <ctype.h>
#include <errno.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A step number at *text, or fallback where there is none. -1: too large. */
static int number(const char **text, uint64_t fallback, uint64_t *n)
{
    char *end;
    *n = fallback;
    if (!isdigit((unsigned char)**text))
        return 0;
    errno = 0;
    *n = strtoull(*text, &end, 10);
    *text = end;
    return errno ? -1 : 0;
}

int lca_select_steps(struct lca_steps_wanted *w, const struct lca_select_args *a, struct lca_err *err)
{
    *w = (struct lca_steps_wanted){0, UINT64_MAX, a->every > 1 ? (uint64_t)a->every : 1};
    if (!a->steps)
        return 0;
    const char *p = a->steps;
    if (number(&p, 0, &w->from) < 0 || *p++ != ':' || number(&p, UINT64_MAX, &w->to) < 0 || *p)
        return lca_fail(err, LCA_USAGE, "--steps takes A:B, A: or :B, not '%s'", a->steps);
    if (w->from >= w->to)
        return lca_fail(err, LCA_USAGE, "--steps %s has no steps: it means A to B-1", a->steps);
    return 0;
}

/* Calls match(arg, item) for each item between commas; 0: none matched. */
static int each_item(const char *list, bool (*match)(void *arg, const char *item), void *arg, char *item, size_t size)
{
    for (const char *p = list;; p++) {
        size_t n = strcspn(p, ",");
        snprintf(item, size, "%.*s", (int)n, p);
        if (n >= size || !match(arg, item))
            return 0;
        p += n;
        if (!*p)
            return 1;
    }
}

/* "dense1 dense2 dense3", cut where it is too long for a message. */
static void add_name(char *names, size_t size, const char *name)
{
    size_t n = strlen(names);
    if (n + strlen(name) + 6 < size)
        snprintf(names + n, size - n, " %s", name);
    else if (n >= 4 && strcmp(names + n - 4, " ...") != 0)
        snprintf(names + n, size - n, " ...");
}

struct layers {
    const struct lca_table *t;
    bool *keep;
};

static bool match_layers(void *arg, const char *pattern)
{
    struct layers *x = arg;
    bool any = false;
    for (unsigned l = 0; l < x->t->n_layer; l++)
        if (fnmatch(pattern, x->t->layer[l].name, 0) == 0)
            any = x->keep[l] = true;
    return any;
}

int lca_select_layers(struct lca_table *t, const char *patterns, struct lca_err *err)
{
    if (!patterns)
        return 0;
    char item[2 * LCA_NAME_MAX], names[400] = "";
    struct layers x = {t, calloc(t->n_layer + 1, sizeof *x.keep)};
    if (!x.keep)
        return lca_fail(err, LCA_INTERNAL, "out of memory");
    if (!each_item(patterns, match_layers, &x, item, sizeof item)) {
        for (unsigned l = 0; l < t->n_layer; l++)
            add_name(names, sizeof names, t->layer[l].name);
        free(x.keep);
        return lca_fail(err, LCA_USAGE, "--layers: no layer matches '%s'; there are%s", item, names);
    }
    unsigned n_layer = 0, n_tensor = 0;
    for (unsigned l = 0; l < t->n_layer; l++) {
        struct lca_group g = t->layer[l];
        if (!x.keep[l])
            continue;
        memmove(t->tensor + n_tensor, t->tensor + g.first, g.n * sizeof *t->tensor);
        g.first = n_tensor;
        for (unsigned k = 0; k < g.n; k++)
            t->tensor[n_tensor++].layer = n_layer;
        t->layer[n_layer++] = g;
    }
    t->n_layer = n_layer;
    t->n_tensor = n_tensor;
    free(x.keep);
    return 0;
}

struct classes {
    const json_t *all;
    int *place;
};

/* A name, or where no class has it, a number. */
static bool match_class(void *arg, const char *item)
{
    struct classes *x = arg;
    size_t n = json_array_size(x->all), c;
    for (c = 0; c < n; c++) {
        const char *name = json_string_value(json_object_get(json_array_get(x->all, c), "name"));
        if (name && strcmp(name, item) == 0)
            break;
    }
    if (c == n && isdigit((unsigned char)*item)) {
        char *end;
        unsigned long number = strtoul(item, &end, 10);
        c = *end || number >= n ? n : number;
    }
    if (c < n)
        x->place[c] = 1;
    return c < n;
}

int lca_select_classes(const json_t *classes, const char *names, int *place, json_t **kept, struct lca_err *err)
{
    size_t n = json_array_size(classes);
    char item[256], there[400] = "";
    struct classes x = {classes, place};
    for (size_t c = 0; c < n; c++)
        place[c] = names ? -1 : 1;
    if (names && !each_item(names, match_class, &x, item, sizeof item)) {
        for (size_t c = 0; c < n; c++) {
            const char *name = json_string_value(json_object_get(json_array_get(classes, c), "name"));
            add_name(there, sizeof there, name ? name : "?");
        }
        return lca_fail(err, LCA_USAGE, "--classes: there is no class '%s'; there are%s", item, there);
    }
    *kept = json_array();
    for (size_t c = 0; c < n; c++) {
        if (place[c] < 0)
            continue;
        place[c] = (int)json_array_size(*kept);
        json_array_append(*kept, json_array_get(classes, c));
    }
    return *kept ? 0 : lca_fail(err, LCA_INTERNAL, "out of memory");
}

void lca_select_note(json_t *args, const struct lca_select_args *a)
{
    if (a->steps)
        json_object_set_new(args, "steps", json_string(a->steps));
    if (a->layers)
        json_object_set_new(args, "layers", json_string(a->layers));
    if (a->classes)
        json_object_set_new(args, "classes", json_string(a->classes));
    if (a->every > 1)
        json_object_set_new(args, "every", json_integer(a->every));
}
