/* recording.h: what a file of frames holds that can be relied on: for who goes on with a
 * recording that was cut off, and for who repairs it.
 *
 * What counts are whole iterations: HEAD.parts data frames each (of a stream without a
 * fixed number of frames per iteration, single frames). The rest of the file, a torn frame,
 * frames of an iteration that did not come to its end, an EOS, is what may be cut. */
#ifndef LCA_LINK_RECORDING_H
#define LCA_LINK_RECORDING_H

#include "base/err.h"
#include "frame/frame.h"
#include "link/record.h"

struct lca_recording {
    bool has_head;              /* false: nothing of it is whole */
    uint8_t run[LCA_RUN_LEN];
    char st[64], num[256];
    json_t *def, *it1;          /* owned; it1 may be NULL */
    uint64_t P, parts, it0, first, nbmax;
    uint64_t next;              /* seq after the last whole iteration */
    uint32_t crc;               /* of the payload of frame next - 1 */
    uint64_t bytes;             /* of all up to there, uncompressed */
    uint64_t rest;              /* bytes of the file that follow; of a compressed one 1, if any do */
    bool compressed;
    bool ended;                 /* EOS follows at once, with status ok or interrupted .. */
    bool whole;                 /* .. and it is ok */
    char why[300];              /* "ends within a frame after 120 whole frames"; "" if whole */
};

/* Reads the file at path to its end, or to what is wrong with it. A file that is empty, or
 * torn within HEAD, is a recording of nothing. -1: it cannot be read, LCA_USAGE; or
 * it is no recording at all, LCA_CORRUPT. r is to be cleared in any case. */
int lca_recording_look(struct lca_recording *r, const char *path, struct lca_err *err) LCA_MUST_USE;

/* LCA_USAGE, saying what differs, unless head is of the same stream as r and its
 * numerics the same. */
int lca_recording_same(const struct lca_recording *r, const char *path, const struct lca_frame *head,
                       struct lca_err *err) LCA_MUST_USE;

/* The last whole one, or "" where there is none. */
struct lca_step_text lca_recording_step(const struct lca_recording *r);

/* Copies the whole iterations of path, which lca_recording_look has seen, to the endpoint
 * `to` (a file or "-"), then, unless eos is NULL, EOS with status interrupted and that as
 * its reason; all is on disk when it returns. */
int lca_recording_copy(const struct lca_recording *r, const char *path, const char *to, const char *eos,
                       struct lca_err *err) LCA_MUST_USE;

/* The same over path itself: written beside, put on disk, renamed. keep: the old file stays
 * as PATH.damaged, which must not exist. */
int lca_recording_mend(const struct lca_recording *r, const char *path, const char *eos, bool keep,
                       struct lca_err *err) LCA_MUST_USE;

void lca_recording_clear(struct lca_recording *r);

#endif
