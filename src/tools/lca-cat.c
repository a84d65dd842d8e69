/* lca-cat: moves streams between files, pipes and sockets: record, replay, join, repair.
 *
 * In: one stream, or the pieces of one in order. Out: the same frames, wherever they
 * are wanted. What it acknowledges is on disk. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/log.h"
#include "base/tool.h"
#include "link/endpoint.h"
#include "link/link.h"
#include "link/recording.h"

static struct lca_link_args args;
static const char *repair_arg;
static bool resume, in_place;

static const struct lca_opt opts[] = {
    {"resume", 'r', LCA_OPT_FLAG, &resume, NULL, "Go on with the recordings that --out names: what is whole in them "
     "stays, what follows is appended. A file that is not there is begun. lca-run --resume sets LCA_RESUME.", 0, 0, false},
    {"repair", 0, LCA_OPT_STR, &repair_arg, "FILE", "Write the whole steps of a recording that is damaged or cut off to "
     "--out, and say what is wrong with it.", 0, 0, true},
    {"in-place", 0, LCA_OPT_FLAG, &in_place, NULL, "With --repair: put the good part in the file's place; the old file "
     "stays as FILE.damaged.", 0, 0, true},
    {0},
};
static const struct lca_opt link_opts[] = {LCA_IN_OPTS(args), LCA_OUT_OPTS(args), LCA_SAFETY_OPTS(args.safety), {0}};

struct cat {
    struct lca_link *link;
    struct lca_out *out;
    bool has_head;
    uint8_t run[LCA_RUN_LEN];
    char st[64];
    uint64_t frames;
};

static int take_head(struct cat *c, struct lca_in *in, struct lca_frame *f, struct lca_err *err)
{
    if (!c->has_head) {
        struct lca_frame head = *f;
        head.inside = NULL;
        memcpy(c->run, f->run, LCA_RUN_LEN);
        snprintf(c->st, sizeof c->st, "%s", f->st);
        c->has_head = true;
        return lca_out_head(c->out, &head, err);
    }
    if (memcmp(c->run, f->run, LCA_RUN_LEN) != 0 || strcmp(c->st, f->st) != 0)
        return lca_fail(err, LCA_USAGE, "%s is not a piece of the same stream", lca_in_text(in));
    if (f->u.head.first > lca_out_next(c->out))
        return lca_fail(err, LCA_CORRUPT, "%s begins at seq %" PRIu64 ", and %" PRIu64 " is missing before it",
                        lca_in_text(in), f->u.head.first, lca_out_next(c->out));
    return 0;
}

/* Copies one input. 1: its EOS is in *eos (strings borrowed from in); 0: it ended
 * without, or we were told to stop. */
static int copy(struct cat *c, struct lca_in *in, struct lca_frame *eos, struct lca_err *err)
{
    struct lca_frame *f;
    uint64_t unsafe = 0, often = lca_in_window(in) / 4;
    for (;;) {
        int got = lca_in_poll(in, &f, err);
        /* acknowledged means on disk: sync when the input pauses, or a quarter of the
         * window waits for it */
        if (unsafe > 0 && (got <= 0 || f->kind == LCA_KIND_eos || unsafe > often)) {
            if (lca_out_sync(c->out, got < 0 ? NULL : err) < 0)
                return -1;
            uint64_t safe = lca_out_done(c->out);
            lca_in_done(in, safe);
            unsafe = safe < lca_out_next(c->out) ? 1 : 0;
        }
        if (got < 0)
            return -1;
        if (got == 0) {
            if (lca_in_left(in) || lca_link_want(c->link) == LCA_SIG_STOP)
                return 0;
            if (lca_link_wait(c->link, unsafe ? 20 : 1000, err) < 0)
                return -1;
        } else if (f->kind == LCA_KIND_head) {
            if (take_head(c, in, f, err) < 0)
                return -1;
            often = lca_in_window(in) / 4;
        } else if (f->kind == LCA_KIND_eos) {
            *eos = *f;
            eos->inside = NULL;
            return 1;
        } else if (f->seq >= lca_out_next(c->out)) {
            struct lca_frame data = *f;
            data.inside = NULL;
            if (lca_out_put(c->out, &data, err) < 0)
                return -1;
            unsafe++;
            c->frames++;
        }
    }
}

static bool is_socket(const char *text)
{
    struct lca_endpoint e;
    return lca_endpoint_parse(&e, text, NULL) == 0 && e.kind == LCA_EP_SOCKET;
}

static struct lca_out *open_out(struct lca_link *link, struct lca_err *err)
{
    struct lca_out_opts o = {.out = &args.out, .tap = &args.tap, .expect = args.expect, .resume = resume};
    return lca_link_lost(&args, &o.lost, &o.drop, err) < 0 ? NULL : lca_out_open(link, &o, err);
}

/* ---- repair ---- */

static void say_what(const struct lca_recording *r)
{
    uint64_t frames = r->next - r->first;
    if (r->parts)
        lca_note("%s %s; its last whole step is %" PRIu64 ", %" PRIu64 " steps are good", repair_arg, r->why,
                 r->it0 + r->next / r->parts - 1, frames / r->parts);
    else
        lca_note("%s %s; %" PRIu64 " frames are good", repair_arg, r->why, frames);
    if (!r->compressed)
        lca_note("%s: %" PRIu64 " bytes after them are cut", repair_arg, r->rest);
}

static bool same_file(const char *a, const char *b)
{
    struct stat s, t;
    return stat(a, &s) == 0 && stat(b, &t) == 0 && s.st_dev == t.st_dev && s.st_ino == t.st_ino;
}

static int repair(struct lca_err *err)
{
    struct lca_endpoint from, to;
    struct lca_recording r = {0};
    char why[80];
    int result = -1;
    if (args.in || args.tap.n || args.out.n > 1 || (in_place && args.out.n))
        return lca_fail(err, LCA_USAGE, "--repair FILE takes one --out, or --in-place");
    if (lca_endpoint_parse(&from, repair_arg, err) < 0 ||
        lca_endpoint_parse(&to, args.out.n ? args.out.item[0] : "-", err) < 0)
        return -1;
    if (from.kind != LCA_EP_FILE || to.kind == LCA_EP_SOCKET)
        return lca_fail(err, LCA_USAGE, "--repair goes from a file to a file or stdout");
    if (to.kind == LCA_EP_FILE && same_file(from.where, to.where))
        return lca_fail(err, LCA_USAGE, "%s is read and would be written over: give --in-place", repair_arg);
    if (lca_recording_look(&r, from.where, err) < 0)
        goto out;
    if (r.next == r.first) {
        lca_fail(err, LCA_CORRUPT, "%s %s; no step of it is whole: there is nothing to keep", repair_arg, r.why);
        goto out;
    }
    if (r.ended)
        lca_note("%s is whole: there is nothing to repair", repair_arg);
    else
        say_what(&r);
    snprintf(why, sizeof why, "was cut off, and repaired%s", lca_recording_step(&r).text);
    if (!in_place)
        result = lca_recording_copy(&r, from.where, to.kind == LCA_EP_FILE ? to.where : "-", why, err);
    else
        result = r.ended ? 0 : lca_recording_mend(&r, from.where, why, true, err);
out:
    lca_recording_clear(&r);
    return result;
}

static int run(int argc, char **argv, struct lca_err *err)
{
    struct cat c = {0};
    struct lca_frame eos = LCA_FRAME(eos);
    struct lca_in *in = NULL;
    int result = -1, got = 0, n = argc ? argc : 1;
    if (repair_arg)
        return argc ? lca_fail(err, LCA_USAGE, "--repair takes one FILE, and no operands") : repair(err);
    if (in_place)
        return lca_fail(err, LCA_USAGE, "--in-place goes with --repair FILE");
    if (argc && args.in)
        return lca_fail(err, LCA_USAGE, "give inputs as operands or by --in, not both");
    c.link = lca_link_new(LCA_SIG_FILTER, err);
    /* a piece must not be overwritten before its turn comes */
    for (int k = 0; c.link && k < argc; k++)
        if (lca_link_reads(c.link, argv[k], err) < 0)
            goto out;
    if (!c.link || !(c.out = open_out(c.link, err)))
        goto out;
    eos.u.eos.status = "interrupted";
    eos.u.eos.why = "told to stop";
    for (int k = 0; k < n; k++) {
        char from[24];
        if (argc)
            args.in = argv[k];
        if (k > 0 && c.has_head) {      /* a socket is asked for what the piece before it lacks */
            snprintf(from, sizeof from, "%" PRIu64, lca_out_next(c.out));
            args.from = from;
        }
        in = lca_in_from_args(c.link, &args, err);
        got = in ? copy(&c, in, &eos, err) : -1;
        /* a recording may have just been begun: the socket after it has the rest */
        bool rest = k + 1 < n && ((c.has_head && in && lca_in_seq(in) > 0) || is_socket(argv[k + 1]));
        if (got < 0 && in && rest && err->status == LCA_CORRUPT) {
            lca_warn("%s; going on with the next piece", err->text);
            got = 0;
        }
        if (got < 0)
            goto out;
        if (lca_in_left(in) || lca_link_want(c.link) == LCA_SIG_STOP)
            break;
    }
    if (got == 0)
        lca_in_leave(in);
    if (c.has_head && lca_out_end(c.out, &eos, err) < 0)
        goto out;
    lca_in_end(in);
    lca_info("%" PRIu64 " frames", c.frames);
    result = 0;
out:
    if (result < 0 && in && err->status == LCA_PIPE)
        lca_in_leave(in);       /* the reader had enough: that is an end in order */
    if (result < 0 && c.out)
        lca_out_abort(c.out, err->text);
    lca_link_free(c.link);
    return result;
}

static const struct lca_tool tool = {
    .name = "lca-cat",
    .summary = "record, replay, join and repair streams",
    .usage = "[OPTION]... [EP]...",
    .about = "Copies a stream from --in (or the operands) to every --out. From a socket to a file it records, and "
             "acknowledges only what is on disk; from a file to a socket it replays, and whoever reads cannot tell. "
             "Several inputs must be pieces of one stream in order; where they overlap the first copy is taken; the last "
             "may be a socket, to read a recording and then go on live. A name that ends in .zst is compressed with "
             "zstd.\n\nA recorder that finds no space says so and waits for it; whoever feeds it waits too. A file that "
             "was cut off, by a crash or a power failure, is detected by every reader. --repair keeps its whole steps "
             "and ends them with an EOS of status interrupted, so that all programs read it; --resume goes on with it.",
    .examples = "  lca-cat --in ipc:lca --out run.lca.zst       # record\n"
                "  lca-cat --in run.lca --out ipc:lca           # replay\n"
                "  lca-cat --in ipc:lca | python3 mine.py       # frames on a pipe\n"
                "  lca-cat first.lca second.lca > whole.lca     # join\n"
                "  lca-cat --repair cut.lca --out good.lca\n"
                "  lca-cat --name layers run.lca ipc:lca | lca-layers   # what is recorded, then live",
    .opts = opts,
    .more = link_opts,
    .max_args = -1,
    .run = run,
};

int main(int argc, char **argv)
{
    return lca_tool_main(&tool, argc, argv);
}
