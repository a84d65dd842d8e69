/* fetch.h: gets public data sets with curl and checks them against published sums. */
#ifndef LCA_DATA_FETCH_H
#define LCA_DATA_FETCH_H

#include "base/err.h"

struct lca_fetch_file {
    const char *name;       /* below each mirror, and in the folder; NULL ends a list */
    const char *algorithm;  /* as OpenSSL calls it: "SHA256", "MD5" */
    const char *digest;     /* hex, lower case */
};

struct lca_fetch_plan {
    const char *name;       /* what the user asks for; NULL ends the table */
    const char *holds;      /* folder that the first file, a .tar.gz, unpacks to, and the
                             * archive is not kept; NULL: the files are kept as they are */
    const char *mirrors[4]; /* URLs that end in '/', tried in order; NULL ends */
    struct lca_fetch_file files[5];
};

extern const struct lca_fetch_plan lca_fetch_plans[];   /* mnist, cifar10 */

/* Gets what the plan lists into folder dir, which is made when missing. What is there
 * with the right sum is kept, and a file appears under its name only when whole and
 * checked. mirror: one URL to use instead of the plan's; or NULL. LCA_PEER: no mirror
 * has it; LCA_CORRUPT: none has it with that sum; LCA_USAGE: dir cannot be written. */
int lca_fetch(const struct lca_fetch_plan *plan, const char *mirror, const char *dir,
              struct lca_err *err) LCA_MUST_USE;

#endif
