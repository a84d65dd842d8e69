#include "frame/scan.h"

#include <stdint.h>
#include <string.h>

const struct lca_scan_limits lca_scan_frame = {.depth = 4, .nodes = 4096, .text = 4096};
const struct lca_scan_limits lca_scan_head = {.depth = 4, .nodes = 16384, .text = 4096};

enum { MAX_KEYS = 8192 };       /* of all maps that are open at once: 128 KiB of stack */

struct key {
    const uint8_t *text;
    uint32_t len, hash;
};

struct scan {
    const uint8_t *begin, *at, *end;
    const struct lca_scan_limits *limits;
    struct lca_err *err;
    unsigned nodes;
    const uint8_t *top;             /* the key of the outermost map that this is about */
    int top_len;
    unsigned n_keys;                /* keys of the maps around this place, outermost first */
    struct key keys[MAX_KEYS];
};

static int refuse(const struct scan *s, const char *what)
{
    size_t at = (size_t)(s->at - s->begin);
    if (!s->top)
        return lca_fail(s->err, LCA_CORRUPT, "%s at byte %zu", what, at);
    return lca_fail(s->err, LCA_CORRUPT, "key %.*s: %s at byte %zu", s->top_len,
                    (const char *)s->top, what, at);
}

static size_t left(const struct scan *s)
{
    return (size_t)(s->end - s->at);
}

/* Big-endian number of n bytes. */
static int number(struct scan *s, unsigned n, size_t *value)
{
    if (left(s) < n)
        return refuse(s, "the bytes end within a value");
    *value = 0;
    for (unsigned k = 0; k < n; k++)
        *value = *value << 8 | *s->at++;
    return 0;
}

static int skip(struct scan *s, size_t n)
{
    if (left(s) < n)
        return refuse(s, "the bytes end within a value");
    s->at += n;
    return 0;
}

/* Length in bytes of the UTF-8 sequence at p, 0 when it is none (RFC 3629, table 3-7
 * of the Unicode standard) or a zero byte, which would cut a C string short. */
static size_t utf8(const uint8_t *p, size_t n)
{
    if (p[0] < 0x80)
        return p[0] != 0;
    size_t len = p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
    if (p[0] < 0xc2 || p[0] > 0xf4 || n < len)
        return 0;
    uint8_t low = p[0] == 0xe0 ? 0xa0 : p[0] == 0xf0 ? 0x90 : 0x80;
    uint8_t high = p[0] == 0xed ? 0x9f : p[0] == 0xf4 ? 0x8f : 0xbf;
    if (p[1] < low || p[1] > high)
        return 0;
    for (size_t k = 2; k < len; k++)
        if ((p[k] & 0xc0) != 0x80)
            return 0;
    return len;
}

static int text(struct scan *s, size_t len)
{
    if (len > s->limits->text)
        return refuse(s, "text longer than 4 KiB");
    const uint8_t *p = s->at;
    if (skip(s, len) < 0)
        return -1;
    for (size_t k = 0; k < len;) {
        size_t n = utf8(p + k, len - k);
        if (n == 0)
            return refuse(s, p[k] ? "text that is not UTF-8" : "text with a zero byte");
        k += n;
    }
    return 0;
}

static int bytes(struct scan *s, size_t len)
{
    if (len > s->limits->text)
        return refuse(s, "bin longer than 4 KiB");
    return skip(s, len);
}

static int node(struct scan *s, unsigned depth);

/* One key: text, and not yet one of the keys from `first` on. */
static int map_key(struct scan *s, unsigned first, unsigned depth)
{
    uint8_t b = *s->at;
    if ((b < 0xa0 || b > 0xbf) && (b < 0xd9 || b > 0xdb))
        return refuse(s, "a key that is not text");
    size_t head = b == 0xd9 ? 2 : b == 0xda ? 3 : b == 0xdb ? 5 : 1;
    const uint8_t *p = s->at + head;
    if (node(s, depth) < 0)
        return -1;
    struct key key = {p, (uint32_t)(s->at - p), 2166136261u};
    for (uint32_t k = 0; k < key.len; k++)
        key.hash = (key.hash ^ p[k]) * 16777619u;
    if (depth == 2) {
        s->top = p;
        s->top_len = key.len < 40 ? (int)key.len : 40;
    }
    for (unsigned k = first; k < s->n_keys; k++)
        if (s->keys[k].hash == key.hash && s->keys[k].len == key.len &&
            memcmp(s->keys[k].text, p, key.len) == 0)
            return refuse(s, "the same key twice in one map");
    if (s->n_keys == MAX_KEYS)
        return refuse(s, "too many keys");
    s->keys[s->n_keys++] = key;
    return 0;
}

static int map(struct scan *s, size_t n, unsigned depth)
{
    if (n > left(s) / 2)
        return refuse(s, "a map of more entries than bytes are left");
    if (depth > s->limits->depth)
        return refuse(s, "maps and lists nested too deep");
    unsigned first = s->n_keys;
    for (size_t k = 0; k < n; k++) {
        if (left(s) == 0)
            return refuse(s, "the bytes end within a map");
        if (map_key(s, first, depth + 1) < 0 || node(s, depth + 1) < 0)
            return -1;
    }
    s->n_keys = first;
    return 0;
}

static int list(struct scan *s, size_t n, unsigned depth)
{
    if (n > left(s))
        return refuse(s, "a list of more values than bytes are left");
    if (depth > s->limits->depth)
        return refuse(s, "maps and lists nested too deep");
    for (size_t k = 0; k < n; k++)
        if (node(s, depth + 1) < 0)
            return -1;
    return 0;
}

/* One value, which stands within depth - 1 maps and lists. */
static int node(struct scan *s, unsigned depth)
{
    if (left(s) == 0)
        return refuse(s, "the bytes end where a value should begin");
    if (++s->nodes > s->limits->nodes)
        return refuse(s, "too many values");
    uint8_t b = *s->at++;
    size_t n = 0;
    if (b <= 0x7f || b >= 0xe0)
        return 0;
    if (b <= 0x8f)
        return map(s, b & 15, depth);
    if (b <= 0x9f)
        return list(s, b & 15, depth);
    if (b <= 0xbf)
        return text(s, b & 31);
    switch (b) {
    case 0xc0: case 0xc2: case 0xc3:
        return 0;
    case 0xc4: case 0xc5: case 0xc6:
        return number(s, 1u << (b - 0xc4), &n) < 0 ? -1 : bytes(s, n);
    case 0xca: case 0xcb:
        return skip(s, 4u << (b - 0xca));
    case 0xcc: case 0xcd: case 0xce: case 0xcf:
        return skip(s, 1u << (b - 0xcc));
    case 0xd0: case 0xd1: case 0xd2: case 0xd3:
        return skip(s, 1u << (b - 0xd0));
    case 0xd9: case 0xda: case 0xdb:
        return number(s, 1u << (b - 0xd9), &n) < 0 ? -1 : text(s, n);
    case 0xdc: case 0xdd:
        return number(s, 2u << (b - 0xdc), &n) < 0 ? -1 : list(s, n, depth);
    case 0xde: case 0xdf:
        return number(s, 2u << (b - 0xde), &n) < 0 ? -1 : map(s, n, depth);
    default:
        return refuse(s, "a type that frames do not use");
    }
}

int lca_scan(const void *data, size_t len, const struct lca_scan_limits *limits,
             struct lca_err *err)
{
    struct scan s;      /* not zeroed: only the keys in use are ever looked at */
    s.begin = s.at = data;
    s.end = s.begin + len;
    s.limits = limits;
    s.err = err;
    s.top = NULL;
    s.nodes = s.n_keys = 0;
    if (len == 0)
        return refuse(&s, "nothing");
    if ((*s.at & 0xf0) != 0x80 && *s.at != 0xde && *s.at != 0xdf)
        return refuse(&s, "not a map");
    if (node(&s, 1) < 0)
        return -1;
    return s.at == s.end ? 0 : refuse(&s, "bytes after the end of the map");
}
