/* log.h: messages to people, on stderr; frames go to stdout.
 *
 * One event is one line, built whole and written with one write(2), prefixed with
 * the program and, where one was given, the stage: "lca-grad[w2]: warning: ...".
 * Programs are quiet when all is well: only warnings and errors, and notes that a
 * person must not miss, appear without --verbose. */
#ifndef LCA_BASE_LOG_H
#define LCA_BASE_LOG_H

#include "base/err.h"

/* program and stage are borrowed for the life of the process; stage may be NULL. */
void lca_log_init(const char *program, const char *stage);
void lca_log_verbose(bool on);

void lca_error(const char *format, ...) LCA_PRINTF(1, 2);    /* the run ends */
void lca_warn(const char *format, ...) LCA_PRINTF(1, 2);     /* it goes on, something is off */
void lca_note(const char *format, ...) LCA_PRINTF(1, 2);     /* a state a person must know */
void lca_info(const char *format, ...) LCA_PRINTF(1, 2);     /* with --verbose only */

#endif
