/* err.h: how a function says what went wrong.
 *
 * A function that can fail takes a struct lca_err * as its last argument, returns
 * 0 or -1 (or NULL), and on failure has filled the struct with one sentence for a
 * person, "what is wrong: what to do about it", and the exit status that the
 * program should end with. It neither prints nor exits. A caller that adds to the
 * sentence calls lca_err_prefix. */
#ifndef LCA_BASE_ERR_H
#define LCA_BASE_ERR_H

#include <stdbool.h>

#define LCA_MUST_USE __attribute__((warn_unused_result))
#define LCA_PRINTF(f, a) __attribute__((format(printf, f, a)))

/* Exit statuses, the same in every program (EXIT STATUS in the manual pages). */
enum lca_status {
    LCA_OK       = 0,   /* all done, the end of the stream was seen */
    LCA_INTERNAL = 1,   /* our own failure, or a check that says no */
    LCA_USAGE    = 2,   /* options, versions, keys or data do not match */
    LCA_PEER     = 3,   /* a peer was lost for good */
    LCA_UPSTREAM = 4,   /* the stream ended with status "failed" */
    LCA_CORRUPT  = 5,   /* stream or file corrupt or truncated */
    LCA_DIFFER   = 6,   /* results that must be the same bytes are not */
    LCA_ABORTED  = 130, /* interrupted */
    LCA_PIPE     = 141, /* whoever read our output has gone */
};

struct lca_err {
    int  status;        /* enum lca_status */
    char text[600];
};

/* Fills err (which may be NULL) and returns -1, so that a failure is one line:
 *     return lca_fail(err, LCA_CORRUPT, "%s: bad magic", path);            */
int lca_fail(struct lca_err *err, int status, const char *format, ...) LCA_PRINTF(3, 4);

/* The same with ": " and the text of errno appended. */
int lca_fail_errno(struct lca_err *err, int status, const char *format, ...) LCA_PRINTF(3, 4);

/* Puts "prefix: " before the sentence that err holds; returns -1. */
int lca_err_prefix(struct lca_err *err, const char *format, ...) LCA_PRINTF(2, 3);

#endif
