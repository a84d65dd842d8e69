#include "data/input.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sys/stat.h>
#include <unistd.h>

/* A deflate stream grows to at most 1032 times its length. */
enum { MOST_PER_BYTE = 1032, PIECE = 1 << 24 };

int lca_input_open(struct lca_input *in, const char *path, struct lca_err *err)
{
    *in = (struct lca_input){.path = path};
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return lca_fail_errno(err, LCA_USAGE, "cannot open %s", path);
    struct stat st;
    if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
        close(fd);
        return lca_fail(err, LCA_USAGE, "%s is not a file: name the file itself", path);
    }
    in->file = gzdopen(fd, "rb");
    if (!in->file) {
        close(fd);
        return lca_fail(err, LCA_INTERNAL, "%s: out of memory", path);
    }
    gzbuffer(in->file, 1 << 17);
    in->most = (uint64_t)st.st_size * (gzdirect(in->file) ? 1 : MOST_PER_BYTE);
    return 0;
}

int lca_input_room(const struct lca_input *in, uint64_t bytes, struct lca_err *err)
{
    if (in->done <= in->most && bytes <= in->most - in->done)
        return 0;
    return lca_fail(err, LCA_CORRUPT, "%s announces %" PRIu64 " bytes more than it has room for: "
                    "it is truncated or damaged, get it again", in->path,
                    bytes - (in->most - in->done));
}

static int damaged(const struct lca_input *in, struct lca_err *err)
{
    int code;
    const char *why = gzerror(in->file, &code);
    return lca_fail(err, LCA_CORRUPT, "%s is damaged (%s): get it again", in->path,
                    code == Z_ERRNO ? "read error" : why);
}

int lca_input_read(struct lca_input *in, void *to, size_t n, struct lca_err *err)
{
    unsigned char *p = to;
    for (size_t left = n; left > 0;) {
        int got = gzread(in->file, p, left < PIECE ? (unsigned)left : PIECE);
        if (got < 0)
            return damaged(in, err);
        if (got == 0)
            return lca_fail(err, LCA_CORRUPT, "%s ends after %" PRIu64 " bytes where %zu more were "
                            "to come: it is truncated, get it again", in->path, in->done, left);
        p += got;
        left -= (size_t)got;
        in->done += (uint64_t)got;
    }
    return 0;
}

int lca_input_seek(struct lca_input *in, uint64_t at, struct lca_err *err)
{
    if (at == in->done)
        return 0;
    if (gzseek(in->file, (z_off_t)at, SEEK_SET) < 0)
        return damaged(in, err);
    in->done = at;
    return 0;
}

int lca_input_end(struct lca_input *in, struct lca_err *err)
{
    unsigned char more;
    int got = gzread(in->file, &more, 1);
    int code;
    gzerror(in->file, &code);
    if (got < 0 || code == Z_BUF_ERROR)
        return damaged(in, err);
    if (got > 0)
        return lca_fail(err, LCA_CORRUPT, "%s goes on after the %" PRIu64 " bytes that its header "
                        "announces: it is damaged, get it again", in->path, in->done);
    return 0;
}

void lca_input_close(struct lca_input *in)
{
    if (in->file)
        gzclose_r(in->file);
    *in = (struct lca_input){0};
}
