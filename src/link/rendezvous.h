/* rendezvous.h: the file in which a program finds a socket on another machine.
 *
 * The side that binds leaves the socket's address in a file on a disk that both see; the
 * side that connects waits until it is there. The address is the file's first line;
 * lines after it are skipped. Others see it whole or not at all: it is written beside
 * its name and renamed. Its owner alone may have written it, since who writes it says
 * whom the others trust with their work. */
#ifndef LCA_LINK_RENDEZVOUS_H
#define LCA_LINK_RENDEZVOUS_H

#include <stddef.h>

#include "base/err.h"

/* Writes address to the file at path (mode 0600), in place of an address that is there.
 * Any other file of that name is left alone, LCA_USAGE. */
int lca_rendezvous_write(const char *path, const char *address, struct lca_err *err) LCA_MUST_USE;

/* Reads it into address[room]. 1; 0: there is no such file; -1: it is not what
 * lca_rendezvous_write leaves, or somebody else could have written it, LCA_USAGE. */
int lca_rendezvous_read(const char *path, char *address, size_t room, struct lca_err *err) LCA_MUST_USE;

/* Removes it, if it still says this address. */
void lca_rendezvous_remove(const char *path, const char *address);

#endif
