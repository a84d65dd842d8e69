#include "plot/plot-sheet.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/tool.h"

static const struct {
    const char *end, *terminal;         /* its size in pixels follows */
    double unit;                        /* one pixel in what the terminal counts in */
    const char *more;
} formats[] = {
    {".svg", "svg enhanced font 'sans-serif,13' background '#ffffff'", 1, ""},
    {".png", "pngcairo enhanced font 'sans-serif,15.5' background '#ffffff' linewidth 1.6", 1.6, ""},
    {".pdf", "pdfcairo enhanced color font 'sans-serif,10' background '#ffffff'", 1.0 / 96, "in"},
    {".gif", "gif animate delay 5 loop 0 enhanced font 'sans,9' background '#ffffff'", 1, ""},
    {".mp4", "pngcairo enhanced font 'sans-serif,10' background '#ffffff'", 1, ""},
    {".webm", "pngcairo enhanced font 'sans-serif,10' background '#ffffff'", 1, ""},
};
enum { FORMATS = sizeof formats / sizeof *formats };

static int format_of(const char *out)
{
    size_t len = strlen(out);
    for (int k = 0; k < FORMATS; k++) {
        size_t end = strlen(formats[k].end);
        if (len > end && strcmp(out + len - end, formats[k].end) == 0)
            return k;
    }
    return -1;
}

static void path_of(const struct lca_plot_sheet *s, const char *name, char path[1024])
{
    snprintf(path, 1024, "%s/%s", s->folder, name);
}

static FILE *make(struct lca_plot_sheet *s, const char *name, struct lca_err *err)
{
    char path[1024];
    path_of(s, name, path);
    FILE *file = fopen(path, "w");
    if (!file)
        lca_fail_errno(err, LCA_INTERNAL, "%s", path);
    return file;
}

int lca_plot_sheet_begin(struct lca_plot_sheet *s, const char *kind, const char *out, const char *keep,
                         struct lca_err *err)
{
    char name[64];
    int format = out ? format_of(out) : 0;
    s->kind = kind;
    if (format < 0)
        return lca_fail(err, LCA_USAGE, "--out %s: its name ends in none of .svg, .png, .pdf; of an animation: .gif, "
                        ".mp4, .webm", out);
    snprintf(s->out, sizeof s->out, "%s%s", kind, formats[format].end);
    if (keep) {
        if (mkdir(keep, 0777) < 0 && errno != EEXIST)
            return lca_fail_errno(err, LCA_USAGE, "--keep %s", keep);
        if (snprintf(s->folder, sizeof s->folder, "%s", keep) >= (int)sizeof s->folder)
            return lca_fail(err, LCA_USAGE, "--keep: the name is too long");
        s->keep = true;
    } else {
        const char *tmp = getenv("TMPDIR");
        if (snprintf(s->folder, sizeof s->folder, "%s/lca-plot-XXXXXX", tmp && *tmp ? tmp : "/tmp") >=
                (int)sizeof s->folder || !mkdtemp(s->folder)) {
            lca_fail_errno(err, LCA_INTERNAL, "cannot make the folder %s", s->folder);
            s->folder[0] = 0;
            return -1;
        }
    }
    snprintf(name, sizeof name, "%s.gp", kind);
    s->script = make(s, name, err);
    return s->script ? 0 : -1;
}

static void close_table(struct lca_plot_sheet *s)
{
    if (s->table && (ferror(s->table) | fclose(s->table)))
        s->torn = true;
    s->table = NULL;
}

FILE *lca_plot_sheet_table(struct lca_plot_sheet *s, const char *part, const char *columns, struct lca_err *err)
{
    char name[300];
    close_table(s);
    snprintf(name, sizeof name, "%s-%s.tsv", s->kind, part);
    s->table = make(s, name, err);
    if (s->table)
        fprintf(s->table, "# %s\n", columns);
    return s->table;
}

void lca_plot_sheet_head(struct lca_plot_sheet *s, const char *title, const char *caption, int rows, int columns)
{
    int format = format_of(s->out);
    double unit = formats[format].unit;
    bool pictures = format >= format_of("x.mp4");
    fprintf(s->script, "# %s: drawn again by `gnuplot %s.gp` in this folder.\n", title, s->kind);
    fprintf(s->script, "set terminal %s size %.6g%s,%.6g%s\n", formats[format].terminal, s->width * unit,
            formats[format].more, s->height * unit, formats[format].more);
    if (!pictures)
        fprintf(s->script, "set output '%s'\n", s->out);
    fprintf(s->script,
            "set encoding utf8\n"
            "set datafile separator tab\n"
            "set datafile missing NaN\n"
            "helps = '" LCA_PLOT_HELPS "'; hurts = '" LCA_PLOT_HURTS "'\n"
            "colour(change) = change < 0 ? 0x%s : 0x%s\n"
            "set palette defined (-1 helps, 0 '#ffffff', 1 hurts)\n"
            "set border 3 lc rgb '#444444'\n"
            "set tics nomirror out scale 0.6\n"
            "set grid y lc rgb '#dddddd' lt 1\n"
            "set style fill solid noborder\n"
            "set key top right samplen 1.5 spacing 1.1\n"
            "set xzeroaxis lc rgb '#444444' lt 1\n"
            "set linetype 1 lw 1.5\n", LCA_PLOT_HELPS + 1, LCA_PLOT_HURTS + 1);
    /* which run it is, in two lines: the network and its data; how it was trained */
    char network[600];
    size_t half = strcspn(caption, ";");
    snprintf(network, sizeof network, "%.*s", (int)half, caption);
    fprintf(s->script, "heading = \"{/:Bold \".%s.\"}\\n{/*0.85 \".%s.\"}\\n{/*0.85 \".%s.\"}\"\n",
            lca_plot_quote(title).text, lca_plot_quote(network).text,
            lca_plot_quote(caption + half + (caption[half] ? 1 + strspn(caption + half + 1, " ") : 0)).text);
    if (rows > 0)       /* the empty line keeps the pictures away */
        fprintf(s->script, "set multiplot layout %d,%d title heading.\"\\n \" offset 0,-0.3\n", rows, columns);
    else
        fprintf(s->script, "set title heading\n");
}

const char *lca_plot_sheet_image(const struct lca_plot_sheet *s, uint64_t cells)
{
    return cells > 10000 && strstr(s->out, ".svg") ? "image" : "image pixels";
}

/* The child: in the folder, its words into a pipe, and with the signals that we keep waiting. */
static void begin_child(const struct lca_plot_sheet *s, const char *const *argv, int words)
{
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    int null = open("/dev/null", O_RDONLY);
    if (null >= 0 && dup2(null, STDIN_FILENO) >= 0 && dup2(words, STDOUT_FILENO) >= 0 &&
        dup2(words, STDERR_FILENO) >= 0 && chdir(s->folder) == 0)
        execvp(argv[0], (char *const *)(uintptr_t)argv);
    _exit(errno == ENOENT ? 127 : 126);
}

/* SIGINT and SIGTERM are blocked (base/sig.h), and wait here for whoever looks. */
static bool is_stopped(void)
{
    sigset_t waiting;
    return sigpending(&waiting) == 0 && (sigismember(&waiting, SIGINT) || sigismember(&waiting, SIGTERM));
}

/* Reads what a child says until it is silent for good; keeps the beginning, where the mistake is
 * named. False: told to stop. */
static bool listen_to(int from, char *words, size_t size)
{
    char bytes[4096];
    size_t n = 0;
    for (;;) {
        struct pollfd p = {.fd = from, .events = POLLIN};
        int ready = poll(&p, 1, 200);
        if (is_stopped())
            return false;
        if (ready <= 0)
            continue;
        ssize_t got = read(from, bytes, sizeof bytes);
        if (got <= 0)
            break;
        for (ssize_t k = 0; k < got && n < size - 1; k++)
            words[n++] = (unsigned char)bytes[k] < ' ' ? ' ' : bytes[k];
    }
    words[n] = 0;
    return true;
}

int lca_plot_sheet_run(struct lca_plot_sheet *s, const char *const *argv, struct lca_err *err)
{
    char words[400] = "";
    int pipes[2], status = 0;
    if (pipe2(pipes, O_CLOEXEC) < 0)
        return lca_fail_errno(err, LCA_INTERNAL, "pipe");
    pid_t child = fork();
    if (child == 0)
        begin_child(s, argv, pipes[1]);
    close(pipes[1]);
    bool ended = child > 0 && listen_to(pipes[0], words, sizeof words);
    close(pipes[0]);
    if (child < 0)
        return lca_fail_errno(err, LCA_INTERNAL, "fork");
    if (!ended)
        kill(child, SIGTERM);
    while (waitpid(child, &status, 0) < 0 && errno == EINTR)
        continue;
    if (!ended)
        return lca_fail(err, LCA_ABORTED, "interrupted");
    if (WIFEXITED(status) && WEXITSTATUS(status) == 127)
        return lca_fail(err, LCA_USAGE, "there is no %s, which does the drawing: install the Debian package %s",
                        argv[0], strcmp(argv[0], "gnuplot") == 0 ? "gnuplot-nox" : argv[0]);
    if (status != 0)
        return lca_fail(err, LCA_INTERNAL, "%s failed: %s", argv[0], words + strspn(words, " "));
    return 0;
}

static int copy(FILE *from, FILE *to)
{
    char bytes[65536];
    size_t n;
    while ((n = fread(bytes, 1, sizeof bytes, from)) > 0 && fwrite(bytes, 1, n, to) == n)
        continue;
    return ferror(from) || ferror(to) ? -1 : 0;
}

/* A figure is there whole or not at all. */
static int deliver(struct lca_plot_sheet *s, const char *out, struct lca_err *err)
{
    char path[1024], part[1100];
    path_of(s, s->out, path);
    FILE *from = fopen(path, "r");
    if (!from)
        return lca_fail_errno(err, LCA_INTERNAL, "%s", path);
    if (!out) {
        int result = copy(from, stdout);
        fclose(from);
        return result < 0 ? lca_tool_stdout_failed(err) : 0;
    }
    snprintf(part, sizeof part, "%s.part", out);
    FILE *to = fopen(part, "w");
    int result = to ? copy(from, to) : -1;
    if (to && fclose(to) != 0)
        result = -1;
    if (result == 0)
        result = rename(part, out);
    if (result < 0) {
        lca_fail_errno(err, LCA_INTERNAL, "%s", out);
        unlink(part);
    }
    fclose(from);
    return result;
}

static int film(struct lca_plot_sheet *s, struct lca_err *err)
{
    char pictures[24];
    snprintf(pictures, sizeof pictures, "%u", s->pictures);
    const char *mp4[] = {"ffmpeg", "-loglevel", "error", "-y", "-framerate", "20", "-i", "animation-%05d.png",
                         "-frames:v", pictures, "-pix_fmt", "yuv420p", "-c:v", "libx264", "-crf", "20", s->out, NULL};
    const char *webm[] = {"ffmpeg", "-loglevel", "error", "-y", "-framerate", "20", "-i", "animation-%05d.png",
                          "-frames:v", pictures, "-pix_fmt", "yuv420p", "-c:v", "libvpx-vp9", "-crf", "32", "-b:v", "0",
                          s->out, NULL};
    return lca_plot_sheet_run(s, strstr(s->out, ".mp4") ? mp4 : webm, err);
}

int lca_plot_sheet_draw(struct lca_plot_sheet *s, const char *out, struct lca_err *err)
{
    char name[64];
    close_table(s);
    bool torn = ferror(s->script);
    torn |= fclose(s->script) != 0;
    s->script = NULL;
    if (torn || s->torn)
        return lca_fail(err, LCA_INTERNAL, "%s: cannot be written: is there room?", s->folder);
    snprintf(name, sizeof name, "%s.gp", s->kind);
    if (lca_plot_sheet_run(s, (const char *const[]){"gnuplot", name, NULL}, err) < 0)
        return -1;
    if (format_of(s->out) >= format_of("x.mp4") && film(s, err) < 0)
        return -1;
    return deliver(s, out, err);
}

/* The folder is flat, and ours. */
void lca_plot_sheet_end(struct lca_plot_sheet *s)
{
    close_table(s);
    if (s->script)
        fclose(s->script);
    s->script = NULL;
    DIR *folder = s->folder[0] && !s->keep ? opendir(s->folder) : NULL;
    for (struct dirent *entry; folder && (entry = readdir(folder));)
        unlinkat(dirfd(folder), entry->d_name, 0);
    if (folder) {
        closedir(folder);
        rmdir(s->folder);
    }
}

struct lca_plot_quoted lca_plot_quote(const char *text)
{
    struct lca_plot_quoted q;
    size_t n = 0;
    q.text[n++] = '\'';
    for (; *text && n < sizeof q.text - 4; text++) {
        if (*text == '\'')
            q.text[n++] = '\'';
        else if (strchr("\\^_{}@&~", *text))
            q.text[n++] = '\\';
        q.text[n++] = (unsigned char)*text < ' ' || *text == 127 ? ' ' : *text;
    }
    q.text[n++] = '\'';
    q.text[n] = 0;
    return q;
}

void lca_plot_number(FILE *to, double value, char after)
{
    if (isnan(value))
        fprintf(to, "NaN%c", after);
    else
        fprintf(to, "%.17g%c", value, after);
}

const char *lca_plot_colour(unsigned k, unsigned n)
{
    /* few: Okabe and Ito, but for the two that say helps and hurts; many: viridis, dark to light */
    static const char *const few[] = {"#0072b2", "#e69f00", "#cc79a7", "#000000", "#56b4e9", "#b8a900"};
    static const unsigned char many[][3] = {{68, 1, 84}, {70, 50, 127}, {54, 92, 141}, {39, 127, 142}, {31, 161, 135},
                                            {74, 194, 109}, {159, 218, 58}, {220, 200, 30}};
    static char text[8];
    if (n <= sizeof few / sizeof *few)
        return few[k];
    double at = (double)k / (n - 1) * (sizeof many / sizeof *many - 1);
    unsigned lo = (unsigned)at, hi = lo + 1 < sizeof many / sizeof *many ? lo + 1 : lo;
    unsigned c[3];
    for (int i = 0; i < 3; i++)
        c[i] = (unsigned)lround(many[lo][i] + (at - lo) * (many[hi][i] - many[lo][i]));
    snprintf(text, sizeof text, "#%02x%02x%02x", c[0] & 255, c[1] & 255, c[2] & 255);
    return text;
}
