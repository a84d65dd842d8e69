#include "link/recording.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/differ.h"
#include "frame/frame-raw.h"
#include "link/member.h"
#include "link/record.h"

/* ---- looking ---- */

static void LCA_PRINTF(2, 3) stopped(struct lca_recording *r, const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    vsnprintf(r->why, sizeof r->why, format, ap);
    va_end(ap);
}

static void take_head(struct lca_recording *r, const struct lca_frame *f)
{
    const struct lca_frame_head *h = &f->u.head;
    memcpy(r->run, f->run, LCA_RUN_LEN);
    snprintf(r->st, sizeof r->st, "%s", f->st);
    snprintf(r->num, sizeof r->num, "%s", h->num ? h->num : "");
    r->def = json_incref(h->def);
    r->it1 = json_incref(h->it1);
    r->P = h->P;
    r->parts = h->parts;
    r->it0 = h->it0;
    r->nbmax = h->nbmax;
    r->first = r->next = h->first;
    r->has_head = true;
}

/* What is wrong, without the name before it, which the caller says anyway. */
static const char *without_name(const char *text, const char *name)
{
    size_t n = strlen(name);
    if (strncmp(text, name, n) != 0)
        return text;
    text += n;
    return text + strspn(text, ": ");
}

static int read_all(struct lca_recording *r, struct lca_reader *from, struct lca_err *err)
{
    struct lca_frame f = {0};
    struct lca_err why = {0};
    uint64_t seq = 0;
    int got;
    while ((got = lca_reader_next(from, &f, &why)) == 1) {
        if (!r->has_head) {
            if (f.kind != LCA_KIND_head) {
                lca_fail(&why, LCA_CORRUPT, "begins with a %s frame instead of HEAD", lca_kind_name(f.kind));
                got = -1;
                break;
            }
            take_head(r, &f);
            seq = r->next;
            r->bytes = lca_reader_offset(from);
            continue;
        }
        if (memcmp(r->run, f.run, LCA_RUN_LEN) != 0) {
            stopped(r, "has a frame of another run after seq %" PRId64, (int64_t)seq - 1);
            break;
        }
        if (f.kind == LCA_KIND_eos) {
            r->ended = strcmp(f.u.eos.status, "failed") != 0 && f.u.eos.next == seq && seq == r->next;
            r->whole = r->ended && strcmp(f.u.eos.status, "ok") == 0;
            if (!r->whole)
                stopped(r, "ends as %s%s%s", f.u.eos.status, f.u.eos.why ? ": " : "", f.u.eos.why ? f.u.eos.why : "");
            break;
        }
        if (!lca_kind_is_data(f.kind))
            continue;
        if (f.seq != seq) {
            stopped(r, "has seq %" PRIu64 " where %" PRIu64 " is due", f.seq, seq);
            break;
        }
        seq++;
        if (r->parts == 0 || seq % r->parts == 0) {
            r->next = seq;
            r->crc = f.crc;
            r->bytes = lca_reader_offset(from);
        }
    }
    if (got == 0 && r->has_head)
        stopped(r, "ends after seq %" PRId64 " without EOS", (int64_t)seq - 1);
    else if (got == 0)
        stopped(r, "is empty");
    else if (got < 0)
        stopped(r, "%s", without_name(why.text, lca_reader_name(from)));
    lca_frame_clear(&f);
    if (got >= 0 || (r->has_head && why.status == LCA_CORRUPT) || lca_reader_torn(from))
        return 0;
    if (err)
        *err = why;
    return -1;
}

int lca_recording_look(struct lca_recording *r, const char *path, struct lca_err *err)
{
    *r = (struct lca_recording){0};
    struct lca_reader *from = lca_reader_open(path, err);
    struct stat s;
    if (!from)
        return -1;
    int result = read_all(r, from, err);
    r->compressed = lca_reader_compressed(from);
    if (result == 0 && !r->whole && fstat(lca_reader_fd(from), &s) == 0)
        r->rest = r->compressed ? s.st_size > 0 : (uint64_t)s.st_size > r->bytes ? (uint64_t)s.st_size - r->bytes : 0;
    lca_reader_close(from);
    return result;
}

struct lca_step_text lca_recording_step(const struct lca_recording *r)
{
    struct lca_frame_head h = {.parts = r->parts, .it0 = r->it0};
    return r->next > r->first ? lca_step_of(&h, r->next - 1) : (struct lca_step_text){""};
}

/* ---- comparing ---- */

static bool same_json(json_t *a, json_t *b)
{
    return a && b ? json_equal(a, b) : a == b;
}

int lca_recording_same(const struct lca_recording *r, const char *path, const struct lca_frame *head,
                       struct lca_err *err)
{
    const struct lca_frame_head *h = &head->u.head;
    const char *num = h->num ? h->num : "";
    char what[400];
    if (memcmp(r->run, head->run, LCA_RUN_LEN) != 0) {
        bool known = lca_differ(r->def, h->def, what, sizeof what);
        return lca_fail(err, LCA_USAGE, "%s is of another run%s%s: give the options and data that it was made with, or "
                        "another file", path, known ? ": " : "", what);
    }
    if (strcmp(r->st, head->st) != 0)
        return lca_fail(err, LCA_USAGE, "%s holds the stream %s, not %s: give another file", path, r->st, head->st);
    if (strcmp(r->num, num) != 0)
        return lca_fail(err, LCA_USAGE, "%s was computed by %s, here computes %s: it would go on to other bits", path,
                        r->num, num);
    if (!same_json(r->it1, h->it1) || r->parts != h->parts)
        return lca_fail(err, LCA_USAGE, "%s was begun for %" JSON_INTEGER_FORMAT " iterations of %" PRIu64 " frames, "
                        "this stream has %" JSON_INTEGER_FORMAT " of %" PRIu64 ": give the options that it was made "
                        "with", path, json_integer_value(r->it1), r->parts, json_integer_value(h->it1), h->parts);
    return 0;
}

/* ---- copying ---- */

static int copy(const struct lca_recording *r, struct lca_reader *from, struct lca_writer *to, const char *eos,
                struct lca_err *err)
{
    struct lca_frame f = {0};
    int got = 1;
    while (got == 1 && lca_reader_offset(from) < r->bytes) {
        got = lca_reader_next(from, &f, err);
        if (got == 0)
            got = lca_fail(err, LCA_CORRUPT, "%s has become shorter", lca_reader_name(from));
        const struct lca_buf *header = got == 1 ? lca_frame_bytes(&f) : NULL;
        if (header && lca_writer_put(to, header->data, header->len, f.payload, f.nb, err) < 0)
            got = -1;
    }
    lca_frame_clear(&f);
    if (got == 1 && eos) {
        struct lca_frame end = LCA_FRAME(eos);
        end.st = r->st;
        memcpy(end.run, r->run, LCA_RUN_LEN);
        end.u.eos.next = r->next;
        end.u.eos.status = "interrupted";
        end.u.eos.why = eos;
        got = lca_writer_frame(to, &end, err) < 0 ? -1 : 1;
    }
    return got < 0 || lca_writer_flush(to, true, err) < 0 ? -1 : 0;
}

int lca_recording_copy(const struct lca_recording *r, const char *path, const char *to, const char *eos,
                       struct lca_err *err)
{
    struct lca_reader *from = lca_reader_open(path, err);
    struct lca_writer *w = from ? lca_writer_open(to, err) : NULL;
    int result = w ? copy(r, from, w, eos, err) : -1;
    if (lca_writer_close(w, result < 0 ? NULL : err) < 0)
        result = -1;
    lca_reader_close(from);
    return result;
}

static int sync_at(const char *path, int flags)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | flags);
    int result = fd < 0 ? -1 : fsync(fd);
    if (fd >= 0)
        close(fd);
    return result;
}

/* A new name lasts when its folder is on disk. */
static int sync_folder(const char *path)
{
    char dir[PATH_MAX];
    const char *slash = strrchr(path, '/');
    snprintf(dir, sizeof dir, "%.*s", slash ? (int)(slash - path) + 1 : 1, slash ? path : ".");
    return sync_at(dir, O_DIRECTORY);
}

int lca_recording_mend(const struct lca_recording *r, const char *path, const char *eos, bool keep,
                       struct lca_err *err)
{
    char part[PATH_MAX], old[PATH_MAX];
    struct stat s;
    if (snprintf(part, sizeof part, "%s.part-%d%s", path, (int)getpid(), r->compressed ? ".zst" : "") >= PATH_MAX ||
        snprintf(old, sizeof old, "%s.damaged", path) >= PATH_MAX)
        return lca_fail(err, LCA_USAGE, "%s: the path is too long", path);
    if (keep && lstat(old, &s) == 0)
        return lca_fail(err, LCA_USAGE, "%s is there already, from an earlier repair: move it away first", old);
    if (lca_recording_copy(r, path, part, eos, err) < 0) {
        unlink(part);
        return -1;
    }
    /* closing a compressed file has written to it once more */
    if (sync_at(part, 0) < 0 || (keep && link(path, old) < 0) || rename(part, path) < 0 || sync_folder(path) < 0) {
        lca_fail_errno(err, LCA_INTERNAL, "cannot put the repaired %s in its place", path);
        unlink(part);
        return -1;
    }
    return 0;
}

void lca_recording_clear(struct lca_recording *r)
{
    json_decref(r->def);
    json_decref(r->it1);
    *r = (struct lca_recording){0};
}
