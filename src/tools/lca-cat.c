/* lca-cat: moves streams between files, pipes and sockets: record, replay, join.
 *
 * In: one stream, or the pieces of one in order. Out: the same frames, wherever they
 * are wanted. What it acknowledges is on disk. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/tool.h"
#include "link/link.h"

static struct lca_link_args args;
static const struct lca_opt opts[] = {LCA_IN_OPTS(args), LCA_OUT_OPTS(args), LCA_SAFETY_OPTS(args.safety), {0}};

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

static int run(int argc, char **argv, struct lca_err *err)
{
    struct cat c = {0};
    struct lca_frame eos = LCA_FRAME(eos);
    struct lca_in *in = NULL;
    int result = -1, got = 0, n = argc ? argc : 1;
    if (argc && args.in)
        return lca_fail(err, LCA_USAGE, "give inputs as operands or by --in, not both");
    c.link = lca_link_new(LCA_SIG_FILTER, err);
    /* a piece must not be overwritten before its turn comes */
    for (int k = 0; c.link && k < argc; k++)
        if (lca_link_reads(c.link, argv[k], err) < 0)
            goto out;
    if (!c.link || !(c.out = lca_out_from_args(c.link, &args, err)))
        goto out;
    eos.u.eos.status = "interrupted";
    eos.u.eos.why = "told to stop";
    for (int k = 0; k < n; k++) {
        if (argc)
            args.in = argv[k];
        in = lca_in_from_args(c.link, &args, err);
        got = in ? copy(&c, in, &eos, err) : -1;
        if (got < 0 && in && k + 1 < n && c.has_head && err->status == LCA_CORRUPT && lca_in_seq(in) > 0) {
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
    .summary = "record, replay and join streams",
    .usage = "[OPTION]... [EP]...",
    .about = "Copies a stream from --in (or the operands) to every --out. From a socket to a file it records, and "
             "acknowledges only what is on disk; from a file to a socket it replays, and whoever reads cannot tell. "
             "Several inputs must be pieces of one stream in order; where they overlap the first copy is taken. A name "
             "that ends in .zst is compressed with zstd.",
    .examples = "  lca-cat --in ipc:lca --out run.lca.zst       # record\n"
                "  lca-cat --in run.lca --out ipc:lca           # replay\n"
                "  lca-cat --in ipc:lca | python3 mine.py       # frames on a pipe\n"
                "  lca-cat first.lca second.lca > whole.lca     # join",
    .opts = opts,
    .max_args = -1,
    .run = run,
};

int main(int argc, char **argv)
{
    return lca_tool_main(&tool, argc, argv);
}
