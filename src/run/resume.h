/* resume.h: a run that was cut off, taken up again from its run.json. */
#ifndef LCA_RUN_RESUME_H
#define LCA_RUN_RESUME_H

#include <jansson.h>
#include <stdbool.h>

#include "base/err.h"
#include "run/stages.h"

/* Locks the folder of a run, for as long as the descriptor is open anywhere; -1: the lock
 * is held, after `seconds` of waiting, or there is no such folder. */
int lca_resume_lock(const char *dir, double seconds, struct lca_err *err) LCA_MUST_USE;

/* run.json of the run, to be freed with json_decref; NULL with LCA_USAGE where there is
 * none, or none that says how to go on. */
json_t *lca_resume_read(const char *path, struct lca_err *err) LCA_MUST_USE;

/* The run in whose summary.json this is has ended in order: there is nothing to do. */
bool lca_resume_is_done(const char *summary);

/* The stages as run.json (at path, for messages) lists them. */
int lca_resume_stages(struct lca_stages *stages, const json_t *run, const char *path, struct lca_err *err) LCA_MUST_USE;

/* Adds how it is gone on with, {argv, versions, machine, started}, to run's list `resumed`.
 * Returns how many times that makes, or -1. */
int lca_resume_note(json_t *run, const struct lca_stages *stages, int argc, char **argv,
                    struct lca_err *err) LCA_MUST_USE;

#endif
