/* keys.h: files of CURVE keys, as lca-keygen makes them.
 *
 * NAME.key holds a pair and stays on its machine; NAME.pub holds its public half and
 * goes to the other side, as --server-key or into the folder of --peers. Both are
 * text, in the layout of czmq's certificates, so that those serve as well:
 *
 *     # a comment
 *     curve
 *         public-key = "40 characters of Z85"
 *         secret-key = "40 characters of Z85"
 *
 * Only these two keys are read; a .pub has no secret-key. */
#ifndef LCA_LINK_KEYS_H
#define LCA_LINK_KEYS_H

#include "base/err.h"

enum { LCA_KEY_LEN = 40 };      /* characters; 32 bytes */

struct lca_key {
    char public_key[LCA_KEY_LEN + 1];
    char secret_key[LCA_KEY_LEN + 1];   /* "" where there is none */
};

/* Makes a pair and writes NAME.key (mode 0600) and NAME.pub. A file that is there
 * already is LCA_USAGE, and nothing is written. */
int lca_key_make(const char *name, struct lca_err *err) LCA_MUST_USE;

/* Reads a pair. LCA_USAGE where others than the owner, us, may read the file, or where
 * the halves do not belong together. */
int lca_key_read_secret(struct lca_key *k, const char *path, struct lca_err *err) LCA_MUST_USE;

/* Reads a public key. A file with a secret in it is refused: it is in the wrong place. */
int lca_key_read_public(struct lca_key *k, const char *path, struct lca_err *err) LCA_MUST_USE;

/* Looks for a public key in the *.pub of a folder, as they are now. 1: *name is the file's
 * without .pub; 0: not there, and err says which file could not be read, if any; -1: no
 * such folder. public_key NULL: looks through them all. */
int lca_key_find(const char *folder, const char *public_key, char name[64], struct lca_err *err) LCA_MUST_USE;

#endif
