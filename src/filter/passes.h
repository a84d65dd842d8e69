/* passes.h: aggregators that read a recording more than once. */
#ifndef LCA_FILTER_PASSES_H
#define LCA_FILTER_PASSES_H

#include "filter/filter.h"

/* Runs pass[0 .. n-1] over the same recording, one after the other, until one fails or
 * is told to stop (before the last one ends: LCA_ABORTED); takes over the args of all. All but the last have no stream of their
 * own, so that HEAD and EOS are written once. Where --in (or stdin, where it is not
 * given) is no file, and so cannot be read again, it fails with LCA_USAGE: "WHAT reads
 * the stream TIMES, which ...", times being "twice". */
int lca_filter_passes(struct lca_filter *pass, unsigned n, const char *what, const char *times,
                      const struct lca_filter_args *args, struct lca_err *err) LCA_MUST_USE;

#endif
