/* out-file.c: an output on a file or pipe; a file may be one that is gone on with. */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "link/out-inside.h"

/* Called while the disk is full. */
static bool go_on_waiting(void *link)
{
    poll(NULL, 0, 1000);
    return lca_link_want(link) == LCA_SIG_GO;
}

static int open_writer(struct lca_out *o, struct target *t, struct lca_err *err)
{
    t->writer = lca_writer_open(t->endpoint.where, err);
    if (!t->writer)
        return -1;
    lca_writer_patience(t->writer, go_on_waiting, o->link);
    return 0;
}

/* Two that write one file lose both of theirs: a recorder that an earlier run left alive,
 * say. The lock goes with the process. */
static int lock(const struct target *t, struct lca_err *err)
{
    struct stat s;
    int fd = lca_writer_fd(t->writer);
    if (fd == STDOUT_FILENO || fstat(fd, &s) < 0 || !S_ISREG(s.st_mode))
        return 0;
    if (flock(fd, LOCK_EX | LOCK_NB) < 0 && errno == EWOULDBLOCK)
        return lca_fail(err, LCA_USAGE, "%s is being written by another program: wait for its end, or give another file",
                        t->endpoint.text);
    return 0;
}

/* A file is torn by what ends its writer: what is not acknowledged, a window of frames at
 * most. More than that is damage of another kind, and nothing to be cut unasked. */
static int check_rest(const struct lca_recording *r, const char *path, struct lca_err *err)
{
    struct lca_frame_head h = {.parts = r->parts, .nbmax = r->nbmax};
    uint64_t most = (lca_window(&h) + r->parts) * (r->nbmax + 1024);
    if (r->compressed || r->rest <= most)
        return 0;
    return lca_fail(err, LCA_CORRUPT, "%s: %s; %" PRIu64 " bytes follow the last whole step%s, more than a writer that "
                    "was ended leaves: lca-cat --repair --in-place %s cuts them", path, r->why, r->rest,
                    lca_recording_step(r).text, path);
}

static int take_up(struct lca_out *o, struct target *t, struct lca_err *err)
{
    const char *path = t->endpoint.where;
    struct lca_recording *r = &t->past;
    if (lca_recording_look(r, path, err) < 0)
        return lca_err_prefix(err, "cannot go on with %s", path);
    if (!r->has_head)
        return 0;
    if (check_rest(r, path, err) < 0)
        return -1;
    lca_info("%s: going on after seq %" PRId64 "%s", path, (int64_t)r->next - 1, lca_recording_step(r).text);
    struct stat s;
    if (r->compressed && !r->whole) {
        /* there is no cutting within compressed data: the good part is written anew */
        if (lca_recording_mend(r, path, NULL, false, err) < 0 || lca_writer_close(t->writer, err) < 0)
            return -1;
        t->writer = NULL;
        if (open_writer(o, t, err) < 0 || lock(t, err) < 0)
            return -1;
    }
    if (fstat(lca_writer_fd(t->writer), &s) < 0 || fdatasync(lca_writer_fd(t->writer)) < 0)
        return lca_fail_errno(err, LCA_INTERNAL, "%s: cannot go on with it", path);
    lca_writer_keep(t->writer, r->compressed ? (uint64_t)s.st_size : r->bytes);
    return 0;
}

int lca_out_file(struct lca_out *o, struct target *t, bool resume, struct lca_err *err)
{
    struct stat s;
    if (open_writer(o, t, err) < 0 ||
        lca_link_uses(o->link, lca_writer_fd(t->writer), true, lca_writer_name(t->writer), err) < 0 ||
        lock(t, err) < 0)
        return -1;
    bool is_file = t->endpoint.kind == LCA_EP_FILE && fstat(lca_writer_fd(t->writer), &s) == 0 && S_ISREG(s.st_mode);
    return resume && is_file && s.st_size > 0 ? take_up(o, t, err) : 0;
}

static int record(struct target *t, struct lca_packet *p, bool sync, struct lca_err *err)
{
    struct lca_packet_parts parts;
    if (lca_packet_open(p, &parts, err) < 0 ||
        lca_writer_put(t->writer, parts.header, parts.header_len, parts.payload, parts.payload_len, err) < 0)
        return -1;
    return lca_writer_flush(t->writer, sync, err);
}

int lca_out_file_head(struct lca_out *o, struct target *t, struct lca_err *err)
{
    const struct lca_recording *r = &t->past;
    if (!r->has_head)
        return record(t, &o->head_packet, false, err);
    t->refused = true;
    if (lca_recording_same(r, t->endpoint.where, &o->head, err) < 0)
        return -1;
    if (o->first > r->next)
        return lca_fail(err, LCA_CORRUPT, "%s ends after seq %" PRId64 "%s, and the stream begins at seq %" PRIu64 ": "
                        "what lies between is missing", t->endpoint.where, (int64_t)r->next - 1,
                        lca_recording_step(r).text, o->first);
    t->refused = false;
    return 0;
}

int lca_out_file_data(struct target *t, const struct lca_frame *f, struct lca_packet *p, struct lca_err *err)
{
    const struct lca_recording *r = &t->past;
    if (f->seq >= r->next)
        return record(t, p, false, err);
    t->refused |= f->seq + 1 == r->next && f->crc != r->crc;
    if (t->refused)
        return lca_fail(err, LCA_DIFFER, "%s has other bytes for seq %" PRIu64 "%s: the run diverged", t->endpoint.where,
                        f->seq, lca_recording_step(r).text);
    return 0;
}

int lca_out_file_eos(struct lca_out *o, struct target *t, struct lca_err *err)
{
    const struct lca_recording *r = &t->past;
    /* a stream that ends before what the file has changes nothing, nor where that is all */
    if (t->refused || o->next < r->next || (r->whole && o->next == r->next))
        return 0;
    return record(t, &o->eos_packet, true, err);
}
