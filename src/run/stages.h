/* stages.h: the stage file of a run. One line per stage:
 *
 *     NAME: command           a stage; its end with anything but 0 ends the run
 *     NAME*N: command         N pool workers, named NAME.1 .. NAME.N; one may be lost
 *
 * NAME is made of a-z 0-9 . _ - and is unique. Empty lines and lines that begin with
 * '#' are skipped; a backslash at the end of a line joins the next one to it. */
#ifndef LCA_RUN_STAGES_H
#define LCA_RUN_STAGES_H

#include <stddef.h>

#include "base/err.h"

enum { LCA_STAGES_MAX = 256, LCA_STAGE_NAME = 48 };

struct lca_stage {
    char name[LCA_STAGE_NAME + 16]; /* with .k for a worker */
    char pool[LCA_STAGE_NAME];      /* without it */
    char *command;                  /* owned */
    int line;                       /* first line in the file, from 1 */
    int copy, copies;               /* worker: 1 .. copies; other stages: 0 of 0 */
};

struct lca_stages {
    struct lca_stage *item;         /* [n], in the order of the file */
    int n;
};

/* Reads text[len]; file is its name in messages. On failure (LCA_USAGE, naming the
 * line) s is empty. Clear with lca_stages_clear, also when zeroed. */
int lca_stages_parse(struct lca_stages *s, const char *text, size_t len, const char *file,
                     struct lca_err *err) LCA_MUST_USE;
void lca_stages_clear(struct lca_stages *s);

#endif
