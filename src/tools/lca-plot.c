/* lca-plot: figures of what filters say, after those of Lan et al. 2019.
 *
 * In: the output of one filter (or its lines of JSON, or the folder of a run, which holds them). Out:
 * a figure, drawn by gnuplot from tables and a script that can be kept. */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/tool.h"
#include "link/link.h"
#include "plot/plot.h"

static struct {
    const char *out, *keep, *layer, *set, *by, *of;
    long pictures;
    struct lca_safety safety;
} opt = {.set = "train", .of = "lca", .pictures = 200};

static const struct lca_opt opts[] = {
    {"out", 'o', LCA_OPT_STR, &opt.out, "FILE", "Where the figure goes: .svg, .png or .pdf, of an animation .gif, "
     ".mp4 or .webm (default: SVG to stdout).", 0, 0, true},
    {"keep", 0, LCA_OPT_STR, &opt.keep, "DIR", "Keep the tables and the script in DIR: change KIND.gp, and `gnuplot "
     "KIND.gp` there draws it again.", 0, 0, true},
    {"layer", 'l', LCA_OPT_STR, &opt.layer, "NAME", "The layer that heatmap and curves show (default: the first), "
     "helping and saliency too (default: all).", 0, 0, true},
    {"set", 0, LCA_OPT_STR, &opt.set, "NAME", "The set whose loss is meant (default train).", 0, 0, true},
    {"by", 0, LCA_OPT_STR, &opt.by, "KEY", "The option that sweep shows: lr, momentum, batch, ... (default: the one in "
     "which the runs differ).", 0, 0, true},
    {"of", 0, LCA_OPT_STR, &opt.of, "SERIES", "What moments shows the peaks of: lca, move or eff, as lca-moments --of "
     "(default lca).", 0, 0, true},
    {"pictures", 0, LCA_OPT_INT, &opt.pictures, "N", "Pictures of an animation at most, 20 a second; each shows the "
     "steps since the one before (default 200).", 1, 10000, true},
    {0},
};
static const struct lca_opt link_opts[] = {LCA_SAFETY_OPTS(opt.safety), {0}};

static int read_lines(struct lca_plot_run *r, const char *path, struct lca_err *err)
{
    FILE *file = fopen(path, "r");
    char *line = NULL;
    size_t room = 0;
    ssize_t n = 0;
    int result = file ? 0 : lca_fail_errno(err, LCA_USAGE, "%s", path);
    while (result == 0 && (n = getline(&line, &room, file)) > 0)
        result = line[n - 1] == '\n' ? lca_plot_run_line(r, line, (size_t)n, err)
               : lca_fail(err, LCA_CORRUPT, "%s: the last line is cut off", path);
    if (result == 0 && ferror(file))
        result = lca_fail_errno(err, LCA_INTERNAL, "%s", path);
    if (result == 0 && !r->ended)
        result = lca_fail(err, LCA_CORRUPT, "%s: ends without EOS: the run was cut off, or still goes on", path);
    free(line);
    if (file)
        fclose(file);
    return result;
}

static int read_frames(struct lca_link *link, struct lca_plot_run *r, struct lca_err *err)
{
    struct lca_frame *f;
    struct lca_in *in = lca_in_open(link, &(struct lca_in_opts){.endpoint = r->name, .name = "lca-plot"}, err);
    int got = in ? 0 : -1;
    while (got >= 0 && !r->ended) {
        got = lca_in_next(in, &f, err);
        if (got == 0)
            return lca_fail(err, LCA_ABORTED, "interrupted");
        if (got == 1 && lca_plot_run_frame(r, f, err) < 0)
            got = -1;
        if (got == 1 && lca_kind_is_data(f->kind))
            lca_in_done(in, f->seq + 1);
    }
    if (got < 0)
        return -1;
    lca_in_end(in);
    return 0;
}

static bool ends_in(const char *text, const char *end)
{
    size_t n = strlen(text), m = strlen(end);
    return n >= m && strcmp(text + n - m, end) == 0;
}

/* A folder holds NAME.jsonl of the filter. */
static int read_input(struct lca_link *link, const struct lca_plot_kind *kind, struct lca_plot_run *r,
                      struct lca_err *err)
{
    struct stat s;
    char path[4096];
    if (stat(r->name, &s) < 0 || !S_ISDIR(s.st_mode))
        return ends_in(r->name, ".jsonl") ? read_lines(r, r->name, err) : read_frames(link, r, err);
    snprintf(path, sizeof path, "%s/%s.jsonl", r->name, kind->filter);
    if (access(path, F_OK) < 0)
        return lca_fail(err, LCA_USAGE, "%s has no %s.jsonl: run the pipeline with --filter '%s%s%s', or where there "
                        "is a recording: lca-%s%s%s --in %s/lca.lca | lca-plot %s", r->name, kind->filter, kind->filter,
                        kind->needs ? " " : "", kind->needs ? kind->needs : "", kind->filter, kind->needs ? " " : "",
                        kind->needs ? kind->needs : "", r->name, kind->name);
    return read_lines(r, path, err);
}

static const struct lca_plot_kind *find_kind(const char *name, struct lca_err *err)
{
    char known[400] = "";
    for (const struct lca_plot_kind *k = lca_plot_kinds; k->name; k++) {
        if (strcmp(k->name, name) == 0)
            return k;
        snprintf(known + strlen(known), sizeof known - strlen(known), "%s%s", *known ? ", " : "", k->name);
    }
    lca_fail(err, LCA_USAGE, "there is no figure '%s'; there are %s", name, known);
    return NULL;
}

static int check(const struct lca_plot_kind *kind, int inputs, struct lca_err *err)
{
    bool film = opt.out && (ends_in(opt.out, ".gif") || ends_in(opt.out, ".mp4") || ends_in(opt.out, ".webm"));
    if (strcmp(opt.of, "lca") != 0 && strcmp(opt.of, "move") != 0 && strcmp(opt.of, "eff") != 0)
        return lca_fail(err, LCA_USAGE, "--of takes lca, move or eff, not '%s'", opt.of);
    bool animation = strcmp(kind->name, "animation") == 0;
    if (inputs > 1 && !kind->many)
        return lca_fail(err, LCA_USAGE, "%s shows one run: give it one input", kind->name);
    if (animation && !film)
        return lca_fail(err, LCA_USAGE, "an animation needs --out FILE, whose name ends in .gif, .mp4 or .webm");
    if (!animation && film)
        return lca_fail(err, LCA_USAGE, "--out %s: %s does not move: give a name that ends in .svg, .png or .pdf",
                        opt.out, kind->name);
    if (inputs == 0 && isatty(STDIN_FILENO))
        return lca_fail(err, LCA_USAGE, "stdin is a terminal: give the output of lca-%s, as in lca-%s < run.lca | "
                        "lca-plot %s, or the folder of a run", kind->filter, kind->filter, kind->name);
    if (!opt.out && isatty(STDOUT_FILENO))
        return lca_fail(err, LCA_USAGE, "stdout is a terminal: give --out FILE.svg, .png or .pdf");
    return 0;
}

static int run(int argc, char **argv, struct lca_err *err)
{
    const struct lca_plot_kind *kind = find_kind(argv[0], err);
    struct lca_plot_sheet sheet = {0};
    int n = argc > 1 ? argc - 1 : 1, result = -1;
    if (!kind || check(kind, argc - 1, err) < 0)
        return -1;
    struct lca_plot_run *runs = lca_alloc((size_t)n, sizeof *runs, err);
    struct lca_link *link = runs ? lca_link_new(LCA_SIG_SOURCE, err) : NULL;
    struct lca_plot plot = {.run = runs, .n_run = (unsigned)n, .layer = opt.layer, .set = opt.set, .by = opt.by,
                            .of = opt.of, .pictures = (unsigned)opt.pictures, .sheet = &sheet};
    if (link && lca_link_secure(link, &opt.safety, err) == 0) {
        result = 0;
        for (int k = 0; k < n && result == 0; k++) {
            runs[k].takes = kind->takes;
            runs[k].name = argc > 1 ? argv[k + 1] : "-";
            result = read_input(link, kind, &runs[k], err);
        }
    }
    lca_link_free(link);
    if (result == 0)
        result = lca_plot_sheet_begin(&sheet, kind->name, opt.out, opt.keep, err);
    if (result == 0)
        result = lca_plot_draw(kind, &plot, err);
    if (result == 0)
        result = lca_plot_sheet_draw(&sheet, opt.out, err);
    lca_plot_sheet_end(&sheet);
    for (int k = 0; runs && k < n; k++)
        lca_plot_run_clear(&runs[k]);
    free(runs);
    return result;
}

/* The paragraphs of the help, with one for each kind. */
static char about[8192];

static void write_about(void)
{
    int n = snprintf(about, sizeof about, "Draws a figure of the KIND from INPUT: the output of the filter that is "
                     "named below, its lines of JSON (NAME.jsonl), or the folder of a run, which holds them; stdin "
                     "without INPUT. gnuplot does the drawing; films but .gif need ffmpeg, too. What helps is bluish "
                     "green, what hurts vermillion, which the colour-blind tell apart; below the title stands which "
                     "run it is.");
    for (const struct lca_plot_kind *k = lca_plot_kinds; k->name; k++)
        n += snprintf(about + n, sizeof about - (size_t)n, "\n\n%s: %s. From lca-%s%s%s%s.", k->name, k->shows,
                      k->filter, k->needs ? " " : "", k->needs ? k->needs : "", k->many ? "; of several INPUTs" : "");
}

static const struct lca_tool tool = {
    .name = "lca-plot",
    .summary = "draw figures of what filters say",
    .usage = "KIND [OPTION]... [INPUT]...",
    .about = about,
    .examples =
        "  lca-layers < run.lca | lca-plot layers > layers.svg\n"
        "  lca-plot loss --out loss.png out                     # of a run's folder\n"
        "  lca-plot layers --out spread.pdf seeds/seed-*/       # mean and spread\n"
        "  lca-plot heatmap --layer conv1 --keep fig --out fig/conv1.png out\n"
        "  lca-plot animation --out training.mp4 out",
    .opts = opts,
    .more = link_opts,
    .min_args = 1,
    .max_args = -1,
    .run = run,
};

int main(int argc, char **argv)
{
    write_about();
    return lca_tool_main(&tool, argc, argv);
}
