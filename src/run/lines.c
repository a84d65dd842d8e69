#include "run/lines.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

void lca_lines_open(struct lca_lines *l, int fd)
{
    *l = (struct lca_lines){.fd = fd};
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
}

int lca_lines_read(struct lca_lines *l)
{
    if (l->fd < 0)
        return 0;
    if (l->at) {
        memmove(l->buf.data, l->buf.data + l->at, l->buf.len - l->at);
        l->buf.len -= l->at;
        l->at = 0;
    }
    ssize_t n = -1;
    if (lca_buf_reserve(&l->buf, l->buf.len + LCA_LINE_MAX, NULL) == 0)
        n = read(l->fd, l->buf.data + l->buf.len, LCA_LINE_MAX);
    else
        errno = ENOMEM;
    if (n > 0) {
        l->buf.len += (size_t)n;
        return 1;
    }
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return 0;
    close(l->fd);
    l->fd = -1;
    return 0;
}

const char *lca_lines_next(struct lca_lines *l, size_t *len)
{
    size_t left = l->buf.len - l->at;
    if (left == 0)
        return NULL;
    const unsigned char *line = l->buf.data + l->at, *end = memchr(line, '\n', left);
    if (!end && l->fd >= 0 && left < LCA_LINE_MAX)
        return NULL;
    *len = end ? (size_t)(end - line) : left;
    bool cut = *len > LCA_LINE_MAX;
    if (cut)
        *len = LCA_LINE_MAX;
    l->at += *len + (end && !cut);
    return (const char *)line;
}

void lca_lines_close(struct lca_lines *l)
{
    if (l->fd >= 0)
        close(l->fd);
    lca_buf_clear(&l->buf);
    *l = (struct lca_lines){.fd = -1};
}
