/* version.h: the version of all programs. */
#ifndef LCA_BASE_VERSION_H
#define LCA_BASE_VERSION_H

#define LCA_VERSION "0.1.0"

#endif
