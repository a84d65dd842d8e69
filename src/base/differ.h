/* differ.h: in what two definitions of a run differ, for messages. */
#ifndef LCA_BASE_DIFFER_H
#define LCA_BASE_DIFFER_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

/* Writes the first key in which two JSON objects (or NULL) differ, as
 *     "its lr is 0.05, here it is 0.06"
 * to text[size]. false: they are equal, and text is empty. */
bool lca_differ(const json_t *theirs, const json_t *ours, char *text, size_t size);

#endif
