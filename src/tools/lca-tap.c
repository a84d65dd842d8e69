/* lca-tap: prints frames.
 *
 * In: the tap of any link of a running pipeline, which is never waited for, or any
 * file or pipe of frames. Out: lines of JSON or CSV, text of a format of one's own, or
 * the frames themselves. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/tool.h"
#include "frame/frame-raw.h"
#include "link/record.h"
#include "link/tap.h"
#include "tap/show.h"
#include "tap/value.h"

static struct {
    bool json, csv, raw, data, end;
    const char *format, *fields, *kind;
    long count;
    struct lca_safety safety;
} opt;

static const struct lca_opt opts[] = {
    {"json", 'j', LCA_OPT_FLAG, &opt.json, NULL, "One JSON object per frame and line: the header's "
     "keys, then data (for HEAD: network). The default.", 0, 0, true},
    {"csv", 'C', LCA_OPT_FLAG, &opt.csv, NULL, "A header line, then a row per frame: --fields, or "
     "what suits the first data frame's kind; for agg it, set and a column per value.", 0, 0, true},
    {"format", 'f', LCA_OPT_STR, &opt.format, "TEXT", "Text for each frame, with %{field}, "
     "%{field:.3f} (d x e f g s as for printf), %%, \\n, \\t and \\\\.", 0, 0, true},
    {"raw", 'r', LCA_OPT_FLAG, &opt.raw, NULL, "The frames themselves, as in a recording. Those "
     "that a live tap missed are missing there too.", 0, 0, true},
    {"fields", 'F', LCA_OPT_STR, &opt.fields, "A,B", "Only these keys; dots reach into maps and "
     "lists: final.loss_last, keys.layer.0, data.3. A frame that has none of them is not shown.",
     0, 0, true},
    {"data", 'd', LCA_OPT_FLAG, &opt.data, NULL, "All values of each payload, however many (else: "
     "at most 4096). Payloads over 32 KiB pass a live tap only with this or --raw.", 0, 0, true},
    {"kind", 'k', LCA_OPT_STR, &opt.kind, "A,B", "Only frames whose t, or kind of an agg, is one "
     "of these: lca,HEAD, layers_total, ...", 0, 0, true},
    {"count", 'c', LCA_OPT_INT, &opt.count, "N", "Exit after N data frames.", 1, 1e15, true},
    {"end", 'e', LCA_OPT_FLAG, &opt.end, NULL, "On sockets: exit status 3 when the producer goes "
     "without EOS (else: wait for another one).", 0, 0, true},
    {0},
};

static const struct lca_opt link_opts[] = {LCA_SAFETY_OPTS(opt.safety), {0}};

struct tap {
    struct lca_link *link;
    struct lca_tap *from;
    struct lca_show *show;          /* or: */
    struct lca_writer *raw;
    bool live;                      /* flush each frame */
    struct lca_buf line;
    uint8_t run[LCA_RUN_LEN];       /* of the first HEAD, once has_run */
    bool has_run;
};

static int check_opts(struct lca_err *err)
{
    if (opt.json + opt.csv + opt.raw + (opt.format != NULL) > 1)
        return lca_fail(err, LCA_USAGE, "only one of --json, --csv, --format and --raw");
    if (opt.fields && (opt.raw || opt.format))
        return lca_fail(err, LCA_USAGE, "--fields goes with --json and --csv, not with --raw or "
                        "--format");
    return 0;
}

/* In a pipeline Ctrl-C reaches all stages, and the end comes from upstream: the reader
 * of a pipe waits for it. Who looks at a file or from beside just leaves. */
static int open_all(struct tap *t, const char *text, struct lca_err *err)
{
    struct lca_endpoint from;
    struct stat s;
    if (lca_endpoint_parse(&from, text, err) < 0)
        return -1;
    bool is_stdin = from.kind == LCA_EP_STDIO;
    if (is_stdin && isatty(STDIN_FILENO))
        return lca_fail(err, LCA_USAGE, "stdin is a terminal: name a link or a file, such as "
                        "ipc:lca or OUT/lca.lca");
    bool is_file = from.kind == LCA_EP_FILE ||
                   (is_stdin && fstat(STDIN_FILENO, &s) == 0 && S_ISREG(s.st_mode));
    t->live = !is_file || isatty(STDOUT_FILENO);
    if (opt.raw) {
        t->raw = lca_writer_open(NULL, err);
        if (!t->raw)
            return -1;
    } else {
        struct lca_show_opts show = {.fields = opt.fields, .format = opt.format,
                                     .all_data = opt.data};
        show.as = opt.csv ? LCA_SHOW_CSV : opt.format ? LCA_SHOW_FORMAT : LCA_SHOW_JSON;
        t->show = lca_show_new(&show, err);
        if (!t->show)
            return -1;
    }
    t->link = lca_link_new(is_stdin && !is_file ? LCA_SIG_FILTER : LCA_SIG_SOURCE, err);
    if (!t->link || lca_link_secure(t->link, &opt.safety, err) < 0)
        return -1;
    struct lca_tap_opts o = {.from = &from, .payloads = opt.data || opt.raw, .must_end = opt.end};
    t->from = lca_tap_open(t->link, &o, err);
    return t->from ? lca_link_uses(t->link, STDOUT_FILENO, true, "stdout", err) : -1;
}

static bool is_among(const char *list, const char *name, size_t len)
{
    for (size_t n; *list; list += n + (list[n] == ',')) {
        n = strcspn(list, ",");
        if (n == len && memcmp(list, name, n) == 0)
            return true;
    }
    return false;
}

static bool is_wanted(const struct lca_frame *f)
{
    static const char *const names[] = {"t", "kind"};
    if (!opt.kind || (opt.raw && !lca_kind_is_data(f->kind)))
        return true;
    for (int k = 0; k < (f->kind == LCA_KIND_agg ? 2 : 1); k++) {
        struct lca_value v = lca_value_find(f, names[k], 0);
        if (is_among(opt.kind, v.one.via.str.ptr, v.one.via.str.size))
            return true;
    }
    return false;
}

static int write_out(struct tap *t, struct lca_err *err)
{
    if (fwrite(t->line.data, 1, t->line.len, stdout) != t->line.len ||
        (t->live && fflush(stdout) != 0))
        return lca_tool_stdout_failed(err);
    return 0;
}

static int put_lost(struct tap *t, const struct lca_frame *f, uint64_t n, struct lca_err *err)
{
    if (t->raw || opt.csv || opt.format) {
        if (lca_kind_is_data(f->kind))
            lca_note("lost %" PRIu64 " before seq %" PRIu64, n, f->seq);
        else
            lca_note("lost %" PRIu64 " before EOS", n);
        return 0;
    }
    t->line.len = 0;
    if (lca_buf_printf(&t->line, "{\"lost\":%" PRIu64 "}\n", n) < 0)
        return lca_fail(err, LCA_INTERNAL, "out of memory");
    return write_out(t, err);
}

static int put_raw(struct tap *t, const struct lca_frame *f, struct lca_err *err)
{
    if (f->kind == LCA_KIND_head) {
        if (t->has_run && memcmp(t->run, f->run, LCA_RUN_LEN) != 0)
            return lca_fail(err, LCA_USAGE, "another run has begun, which cannot go on in this "
                            "recording");
        memcpy(t->run, f->run, LCA_RUN_LEN);
        t->has_run = true;
    }
    const struct lca_buf *header = lca_frame_bytes(f);
    if (lca_writer_put(t->raw, header->data, header->len, f->payload, f->nb, err) < 0)
        return -1;
    return t->live ? lca_writer_flush(t->raw, false, err) : 0;
}

static int put(struct tap *t, const struct lca_frame *f, struct lca_err *err)
{
    if (t->raw)
        return put_raw(t, f, err);
    t->line.len = 0;
    int shown = lca_show_frame(t->show, f, &t->line, err);
    return shown == 1 && t->line.len > 0 ? write_out(t, err) : shown;
}

static int take(struct tap *t, struct lca_err *err)
{
    struct lca_frame *f;
    long n = 0;
    int got;
    while ((got = lca_tap_next(t->from, &f, err)) == 1) {
        uint64_t lost = lca_tap_lost(t->from);
        if (lost > 0 && put_lost(t, f, lost, err) < 0)
            return -1;
        if (is_wanted(f)) {
            if (put(t, f, err) < 0)
                return -1;
            n += lca_kind_is_data(f->kind);
            if (opt.count && n == opt.count)
                return 0;
        }
        if (f->kind != LCA_KIND_eos)
            continue;
        if (strcmp(f->u.eos.status, "failed") == 0)
            return lca_fail(err, LCA_UPSTREAM, "the stream ended as failed: %s",
                            f->u.eos.why ? f->u.eos.why : "it does not say why");
        return 0;
    }
    return got;
}

static int run(int argc, char **argv, struct lca_err *err)
{
    struct tap t = {0};
    int result = -1;
    if (check_opts(err) == 0 && open_all(&t, argc > 0 ? argv[0] : "-", err) == 0)
        result = take(&t, err);
    const char *other = t.show ? lca_show_left_out(t.show) : NULL;
    if (other)
        lca_note("left out frames that do not fit the table, the first a %s: choose with --kind",
                 other);
    lca_link_free(t.link);
    lca_show_free(t.show);
    lca_buf_clear(&t.line);
    if (lca_writer_close(t.raw, result < 0 ? NULL : err) < 0)
        result = -1;
    return result;
}

static const struct lca_tool tool = {
    .name = "lca-tap",
    .summary = "look at the frames of any link or file",
    .usage = "[OPTION]... [EP]",
    .about =
        "Prints the frames of EP: stdin, a recording, or a link of a running pipeline (ipc:NAME, "
        "tcp://HOST:PORT, OUT/ipc/NAME). The run does not wait for a tap and does not notice when "
        "it comes or goes; what a tap is too slow for is counted, {\"lost\":n} in JSON and a line "
        "on stderr otherwise. Ctrl-C detaches, status 0.\n\n"
        "A live tap gets headers, and payloads of up to 32 KiB with them; --data and --raw ask for "
        "all payloads. HEAD comes first. Numbers are printed so that they read back to the same "
        "bits; NaN, Infinity and -Infinity are strings in JSON.\n\n"
        "The tap ends with EOS: status 0, or 4 when the stream failed. A file or pipe that ends "
        "without EOS, or is damaged, is status 5, after all good frames.",
    .examples =
        "  lca-tap --fields it,mbloss OUT/ipc/theta       # watch the training\n"
        "  lca-layers < run.lca | lca-tap --csv --kind layers > layers.csv\n"
        "  lca-tap --kind lca --format '%{it} %{res:.2e}\\n' run.lca\n"
        "  lca-tap --raw OUT/ipc/lca > part.lca           # save what passes",
    .opts = opts,
    .more = link_opts,
    .min_args = 0,
    .max_args = 1,
    .run = run,
};

int main(int argc, char **argv)
{
    return lca_tool_main(&tool, argc, argv);
}
