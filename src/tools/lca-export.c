/* lca-export: a stream as plain files, for programs that know no frames.
 *
 * In: any stream of ours. Out: NumPy arrays, tables in CSV or JSON lines, HDF5, or
 * safetensors. Nothing grows with the number of steps but the files. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/tool.h"
#include "filter/select.h"
#include "frame/head.h"
#include "link/link.h"
#include "plain/export.h"

static struct {
    const char *to, *out, *kind, *sets, *layout;
    bool tidy;
    long at;
    struct lca_select_args select;
    struct lca_link_args link;
} opt = {.at = -1};

static const struct lca_opt opts[] = {
    {"to", 't', LCA_OPT_STR, &opt.to, "FORMAT", "npy, csv, jsonl, hdf5 or safetensors.", 0, 0, true},
    {"out", 'o', LCA_OPT_STR, &opt.out, "FILE|DIR/", "Where to (default: stdout; hdf5 needs a file). A name that ends "
     "in / is a folder, made as needed: a file in it for each series, with safetensors for each step.", 0, 0, true},
    {"kind", 'k', LCA_OPT_STR, &opt.kind, "A,B", "Only frames whose t, or kind of an agg, is one of these: lca,move, "
     "layers_total, ... (default: all).", 0, 0, true},
    {"sets", 0, LCA_OPT_STR, &opt.sets, "A,B", "Of frames about a set only those about these: train, val, test "
     "(default: all).", 0, 0, false},
    LCA_SELECT_OPTS(opt.select),
    {"tidy", 0, LCA_OPT_FLAG, &opt.tidy, NULL, "csv, jsonl: a row per value, its labels before it; of vectors every "
     "parameter's.", 0, 0, true},
    {"layout", 0, LCA_OPT_STR, &opt.layout, "NAME", "hdf5: ours, or paper, as the authors' tools write it; "
     "safetensors: ours, or torch, as PyTorch's state dict (default ours).", 0, 0, true},
    {"at", 0, LCA_OPT_INT, &opt.at, "STEP", "safetensors: the step (default: the last).", 0, 1e15, true},
    {0},
};
static const struct lca_opt link_opts[] = {LCA_IN_OPTS(opt.link), LCA_LOST_OPT(opt.link),
                                           LCA_SAFETY_OPTS(opt.link.safety), {0}};

struct task {
    const struct lca_format *format;
    struct lca_export_opts o;
    char *folder;
    struct lca_steps_wanted wanted;
    struct lca_frame head;
    struct lca_buf head_bytes;
    int *class_place;               /* [n_classes]; -1: not selected */
    json_t *classes;
    size_t n_classes;
    struct lca_export x;
    bool begun, any;
};

/* options */

static int check_layout(struct task *t, struct lca_err *err)
{
    const char *layout = opt.layout ? opt.layout : "ours";
    bool hdf5 = t->format == &lca_format_hdf5, tensors = t->format == &lca_format_safetensors;
    t->o.paper = hdf5 && strcmp(layout, "paper") == 0;
    if (hdf5 && !t->o.paper && strcmp(layout, "ours") != 0)
        return lca_fail(err, LCA_USAGE, "--layout of hdf5 is ours or paper, not '%s'", layout);
    if (tensors)
        return lca_layout_parse(layout, &t->o.layout, err);
    return hdf5 || !opt.layout ? 0 : lca_fail(err, LCA_USAGE, "--layout goes with --to hdf5 and safetensors");
}

/* Makes the folder that `out` names; drops the slash at its end. */
static int open_folder(struct task *t, struct lca_err *err)
{
    struct stat s;
    size_t n = opt.out ? strlen(opt.out) : 0;
    bool slash = n > 1 && opt.out[n - 1] == '/', is = opt.out && stat(opt.out, &s) == 0 && S_ISDIR(s.st_mode);
    if (!slash && !is)
        return 0;
    if (!t->format->folders)
        return lca_fail(err, LCA_USAGE, "--to %s writes one file: --out %s is a folder", t->format->name, opt.out);
    if (opt.at >= 0)
        return lca_fail(err, LCA_USAGE, "--at is one step, and --out %s a folder for all", opt.out);
    t->folder = strndup(opt.out, n - slash);
    if (!t->folder)
        return lca_fail(err, LCA_INTERNAL, "out of memory");
    if (!is && mkdir(t->folder, 0777) < 0)
        return lca_fail_errno(err, LCA_USAGE, "%s: cannot make this folder", t->folder);
    t->o.out = t->folder;
    t->o.folder = true;
    return 0;
}

static int check_opts(struct task *t, struct lca_err *err)
{
    if (!opt.to)
        return lca_fail(err, LCA_USAGE, "--to is needed: npy, csv, jsonl, hdf5 or safetensors");
    if (!(t->format = lca_format_find(opt.to, err)))
        return -1;
    bool table = t->format == &lca_format_csv || t->format == &lca_format_jsonl;
    if (opt.out && strcmp(opt.out, "-") == 0)
        opt.out = NULL;
    if (!opt.out && !t->format->pipes)
        return lca_fail(err, LCA_USAGE, "--to %s needs --out FILE: it goes back and forth in the file, which stdout "
                        "does not allow", t->format->name);
    if (!opt.out && !table && isatty(STDOUT_FILENO))
        return lca_fail(err, LCA_USAGE, "stdout is a terminal and %s is binary: name a file with --out",
                        t->format->name);
    if (opt.tidy && !table)
        return lca_fail(err, LCA_USAGE, "--tidy goes with --to csv and jsonl");
    if (opt.at >= 0 && t->format != &lca_format_safetensors)
        return lca_fail(err, LCA_USAGE, "--at goes with --to safetensors: take --steps A:B");
    t->o.out = opt.out;
    t->o.tidy = opt.tidy;
    t->o.at = opt.at;
    return check_layout(t, err) < 0 || open_folder(t, err) < 0 || lca_select_steps(&t->wanted, &opt.select, err) < 0
         ? -1 : 0;
}

/* The file is made here, so that writing what is read is refused; it is emptied when HEAD has
 * come. A named pipe is opened once alone. */
static int check_out(struct task *t, struct lca_link *link, struct lca_err *err)
{
    struct stat s;
    if (!t->o.out)
        return lca_link_uses(link, STDOUT_FILENO, true, "stdout", err);
    if (t->o.folder)
        return 0;
    bool other = stat(t->o.out, &s) == 0 && !S_ISREG(s.st_mode);
    if (other && !t->format->pipes)
        return lca_fail(err, LCA_USAGE, "--to %s needs a file to go back and forth in, which %s is not",
                        t->format->name, t->o.out);
    if (other)
        return 0;
    int fd = open(t->o.out, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOCTTY, 0666);
    if (fd < 0)
        return lca_fail_errno(err, LCA_USAGE, "%s: cannot write", t->o.out);
    int result = lca_link_uses(link, fd, true, t->o.out, err);
    close(fd);
    return result;
}

/* selection */

static bool is_among(const char *list, const char *name)
{
    size_t len = strlen(name);
    for (size_t n; list && *list; list += n + (list[n] == ',')) {
        n = strcspn(list, ",");
        if (n == len && memcmp(list, name, n) == 0)
            return true;
    }
    return !list;
}

/* The set and class that a frame is about; "": none, -1: all. */
static const char *set_of(const struct lca_frame *f, int64_t *cls)
{
    *cls = f->kind == LCA_KIND_lca ? f->u.lca.cls : f->kind == LCA_KIND_grad ? f->u.grad.cls
         : f->kind == LCA_KIND_eff ? f->u.eff.cls : -1;
    return f->kind == LCA_KIND_lca ? f->u.lca.set : f->kind == LCA_KIND_grad ? f->u.grad.set
         : f->kind == LCA_KIND_eff ? f->u.eff.set : f->kind == LCA_KIND_agg && f->u.agg.set ? f->u.agg.set : "";
}

/* 1: it is selected; 0; -1. */
static int is_wanted(const struct task *t, const struct lca_frame *f, struct lca_err *err)
{
    int64_t cls;
    const char *set = set_of(f, &cls);
    bool agg = f->kind == LCA_KIND_agg;
    uint64_t it = lca_frame_it(f);
    if (cls < -1 || cls >= (int64_t)t->n_classes)
        return lca_fail(err, LCA_CORRUPT, "seq %" PRIu64 ": class %" PRId64 " of %zu", f->seq, cls, t->n_classes);
    if (opt.kind && !(is_among(opt.kind, lca_kind_name(f->kind)) || (agg && is_among(opt.kind, f->u.agg.kind))))
        return 0;
    if (*set && !is_among(opt.sets, set))
        return 0;
    const struct lca_select_args *a = &opt.select;
    if (agg && (a->steps || a->layers || a->classes || a->every > 1))
        return lca_fail(err, LCA_USAGE, "--steps, --layers, --classes and --every are for vectors of parameters: what "
                        "aggregators say is selected where it is made, by their own options of these names");
    return agg || (it >= t->wanted.from && it < t->wanted.to && it % t->wanted.every == 0 &&
                   (cls < 0 || t->class_place[cls] >= 0));
}

/* Steps that will be selected; 0: HEAD does not say. */
static uint64_t count_steps(const struct task *t, const struct lca_frame_head *h)
{
    json_int_t it1 = json_integer_value(h->it1);
    uint64_t from = h->it0 + (h->parts ? h->first / h->parts : 0), every = t->wanted.every;
    uint64_t to = it1 > 0 ? (uint64_t)it1 : 0;
    from = from > t->wanted.from ? from : t->wanted.from;
    to = to < t->wanted.to ? to : t->wanted.to;
    return to <= from ? 0 : (to + every - 1) / every - (from + every - 1) / every;
}

static int begin(struct task *t, const struct lca_frame *f, struct lca_err *err)
{
    const struct lca_frame_head *h = &t->head.u.head;
    if (lca_head_keep(&t->head, &t->head_bytes, f, err) < 0)
        return -1;
    if (opt.select.classes && !h->bycls)
        return lca_fail(err, LCA_USAGE, "--classes: the stream has no frames by class");
    t->n_classes = json_array_size(h->classes);
    t->class_place = calloc(t->n_classes + 1, sizeof *t->class_place);
    if (!t->class_place)
        return lca_fail(err, LCA_INTERNAL, "out of memory");
    if (lca_select_classes(h->classes, opt.select.classes, t->class_place, &t->classes, err) < 0)
        return -1;
    t->begun = true;
    return lca_export_begin(&t->x, &t->o, t->format, &t->head, opt.select.layers, count_steps(t, h), err);
}

/* the stream */

static int take(struct task *t, struct lca_in *in, const char **status, struct lca_err *err)
{
    struct lca_frame *f;
    for (;;) {
        int got = lca_in_next(in, &f, err);
        if (got < 0)
            return -1;
        if (got == 0) {
            lca_note("told to stop");
            *status = "interrupted";
            lca_in_leave(in);
            return 0;
        }
        if (f->kind == LCA_KIND_head) {
            if (begin(t, f, err) < 0)
                return -1;
            continue;
        }
        if (f->kind == LCA_KIND_eos) {
            *status = strcmp(f->u.eos.status, "ok") == 0 ? "ok" : "interrupted";
            return 0;
        }
        int wanted = is_wanted(t, f, err);
        if (wanted < 0 || (wanted && lca_export_put(&t->x, f, err) < 0))
            return -1;
        t->any |= wanted;
        lca_in_done(in, f->seq + 1);
    }
}

/* Ends the files, and says what is not in them. */
static int finish(struct task *t, const char *status, struct lca_err *err)
{
    char names[700];
    bool cut = strcmp(status, "cut") == 0;
    if (!t->begun)
        return 0;
    if (cut && lca_export_kept(&t->x, names, sizeof names))
        lca_note("the stream broke off; what came whole is kept: %s", names);
    if (!cut && lca_export_left_out(&t->x, names, sizeof names))
        lca_note("left out %s: %s", names, t->o.paper ? "the layout paper has no place for them"
                 : t->o.folder ? "a folder of snapshots holds one series: choose with --kind and --sets"
                 : "choose with --kind and --sets, or name a folder with --out DIR/");
    if (!t->any && !cut)
        lca_warn("nothing of the stream was selected");
    return lca_export_end(&t->x, status, err);
}

static int run(int argc, char **argv, struct lca_err *err)
{
    struct task t = {0};
    struct lca_err later = {0};
    const char *status = "cut";
    struct stat s;
    (void)argc, (void)argv;
    if (check_opts(&t, err) < 0) {
        free(t.folder);
        return -1;
    }
    struct lca_link *link = lca_link_new(LCA_SIG_FILTER, err);
    struct lca_in *in = link ? lca_in_from_args(link, &opt.link, err) : NULL;
    t.o.live = opt.link.in ? !(stat(opt.link.in, &s) == 0 && S_ISREG(s.st_mode))
                           : fstat(STDIN_FILENO, &s) < 0 || !S_ISREG(s.st_mode);
    int result = in && check_out(&t, link, err) == 0 ? take(&t, in, &status, err) : -1;
    if (finish(&t, status, result < 0 ? &later : err) < 0 && result == 0)
        result = -1;
    else if (result == 0)
        lca_in_end(in);
    if (later.text[0])
        lca_err_prefix(err, "%s; before that", later.text);
    lca_link_free(link);
    lca_frame_clear(&t.head);
    lca_buf_clear(&t.head_bytes);
    json_decref(t.classes);
    free(t.class_place);
    free(t.folder);
    return result;
}

static const struct lca_tool tool = {
    .name = "lca-export",
    .summary = "a stream as plain files: NumPy, HDF5, tables, safetensors",
    .usage = "--to FORMAT [--out FILE|DIR/] [OPTION]...",
    .about =
        "Reads any stream (theta, lca, gradients, what aggregators say) and writes what it holds to files that other "
        "programs open. docs/exports.md describes their contents.\n\n"
        "npy: an array of a row per step, of the stream's first series, or each series to its own file in a folder. "
        "csv, jsonl: a table of the numbers that there are once a step, or of an aggregate's values; with --tidy a row "
        "per value. hdf5: everything in one file, with names and axes. safetensors: the vector of a step as named "
        "tensors, or in a folder those of each step.\n\n"
        "Vectors in slices are put together. Memory does not grow with the number of steps. Of a stream that breaks "
        "off, what came whole is kept, and the exit status is 5.",
    .examples =
        "  lca-export --to npy --out A.npy < lca.lca                # float32 [steps][parameters]\n"
        "  lca-export --to hdf5 --out lca.h5 < lca.lca\n"
        "  lca-export --to hdf5 --layout paper --out weights.h5 < theta.lca\n"
        "  lca-layers < lca.lca | lca-export --to csv --kind layers > layers.csv\n"
        "  lca-export --to safetensors --layout torch --at 100 --out theta.safetensors < theta.lca",
    .opts = opts,
    .more = link_opts,
    .max_args = 0,
    .run = run,
};

int main(int argc, char **argv)
{
    return lca_tool_main(&tool, argc, argv);
}
