/* lca-import: a training path from elsewhere.
 *
 * In: the parameters of a network at one time after another, as PyTorch, JAX or the authors'
 * tools left them; the network's description and the data that it was trained on. Out: a
 * `theta` stream, as lca-train would have written it, for lca-integrate. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/digest.h"
#include "base/finite.h"
#include "base/tool.h"
#include "data/dataset.h"
#include "frame/head.h"
#include "link/link.h"
#include "plain/trajectory.h"

static struct {
    const char *net, *data, *layout, *dataset, *map;
    long examples;
    struct lca_link_args link;
} opt = {.layout = "ours"};

static const struct lca_opt opts[] = {
    {"net", 'N', LCA_OPT_STR, &opt.net, "NAME|FILE", "Network: a built-in name or a description (see lca-net).",
     0, 0, false},
    {"data", 'd', LCA_OPT_STR, &opt.data, "FILE", "Data file made by lca-data: what the network was trained on.", 0, 0,
     true},
    {"examples", 0, LCA_OPT_INT, &opt.examples, "N", "It was trained on the first N examples (default: all).", 1, 4e9,
     false},
    {"layout", 0, LCA_OPT_STR, &opt.layout, "NAME", "Of the tensors: ours, which is that of Keras, Flax and the "
     "authors' tools too, or torch, that of PyTorch (default ours).", 0, 0, true},
    {"map", 0, LCA_OPT_STR, &opt.map, "FILE", "Snapshots: which tensor is which, lines of OURS THEIRS; OURS -: zeros; "
     "- THEIRS: left out (default: by name, else by order).", 0, 0, true},
    {"dataset", 0, LCA_OPT_STR, &opt.dataset, "NAME", "HDF5: the dataset (default all_weights, else theta/values).", 0,
     0, true},
    {0},
};
static const struct lca_opt link_opts[] = {LCA_OUT_OPTS(opt.link), LCA_SAFETY_OPTS(opt.link.safety), {0}};

struct import {
    struct lca_net net;
    struct lca_dataset data;
    const struct lca_set *set;
    uint32_t N;                 /* training examples */
    enum lca_layout layout;
    struct lca_trajectory from;
    float *theta;
    json_t *def;
    struct lca_out *out;
};

static int open_all(struct import *x, const char *path, struct lca_err *err)
{
    if (!opt.net || !opt.data)
        return lca_fail(err, LCA_USAGE, "--net and --data are needed: see --help");
    if (lca_layout_parse(opt.layout, &x->layout, err) < 0 || lca_net_load(&x->net, opt.net, err) < 0 ||
        lca_dataset_open(&x->data, opt.data, err) < 0 || lca_dataset_verify(&x->data, err) < 0)
        return -1;
    if (!(x->set = lca_dataset_find(&x->data, "train", err)))
        return -1;
    if (x->net.classes != x->data.classes)
        return lca_fail(err, LCA_USAGE, "%s tells %u classes apart, %s has %u", x->net.name, x->net.classes, opt.data,
                        x->data.classes);
    if (opt.examples > (long)x->set->n)
        return lca_fail(err, LCA_USAGE, "--examples %ld: %s has %u training examples", opt.examples, opt.data,
                        x->set->n);
    x->N = opt.examples ? (uint32_t)opt.examples : x->set->n;
    struct lca_trajectory_opts o = {x->layout, opt.dataset, opt.map};
    x->theta = lca_alloc(x->net.P, sizeof *x->theta, err);
    return x->theta ? lca_trajectory_open(&x->from, path, &x->net, &o, err) : -1;
}

/* Reads vector k; a value that is none ends the import. */
static int read_vector(struct import *x, uint64_t k, struct lca_err *err)
{
    if (lca_trajectory_read(&x->from, k, x->theta, err) < 0)
        return -1;
    uint64_t bad = lca_finite(x->theta, x->net.P);
    if (bad == x->net.P)
        return 0;
    unsigned t = 0;
    while (t + 1 < x->net.table.n_tensor && x->net.table.tensor[t + 1].off <= bad)
        t++;
    return lca_fail(err, LCA_CORRUPT, "vector %" PRIu64 ": parameter %" PRIu64 ", of %s, is %g: the training diverged",
                    k, bad, x->net.table.tensor[t].name, (double)x->theta[bad]);
}

static int add_digest(struct import *x, const char *key, uint64_t k, struct lca_err *err)
{
    uint8_t digest[LCA_SHA256_LEN];
    char hex[LCA_SHA256_HEX];
    if (read_vector(x, k, err) < 0)
        return -1;
    lca_sha256(x->theta, x->net.P * sizeof *x->theta, digest);
    lca_hex(digest, sizeof digest, hex);
    return json_object_set_new(x->def, key, json_string(hex)) < 0 ? lca_fail(err, LCA_INTERNAL, "out of memory") : 0;
}

/* What the path is, without reading all of it first: its ends and their distance. */
static int define(struct import *x, struct lca_err *err)
{
    uint8_t digest[LCA_SHA256_LEN];
    char hex[LCA_SHA256_HEX];
    lca_sha256(x->net.json, strlen(x->net.json), digest);
    lca_hex(digest, sizeof digest, hex);
    x->def = json_pack("{s:s, s:s, s:s, s:I, s:I}", "network", x->net.name, "network_sha256", hex, "data_sha256",
                       x->data.sha256, "examples", (json_int_t)x->N, "imported", (json_int_t)x->from.n);
    if (!x->def)
        return lca_fail(err, LCA_INTERNAL, "out of memory");
    return add_digest(x, "first_sha256", 0, err) < 0 ? -1 : add_digest(x, "last_sha256", x->from.n - 1, err);
}

static int send_head(struct import *x, struct lca_err *err)
{
    struct lca_frame f = LCA_FRAME(head);
    struct lca_frame_head *h = &f.u.head;
    if (define(x, err) < 0 || lca_run_id(x->def, f.run, err) < 0)
        return -1;
    f.st = "theta";
    *h = (struct lca_frame_head){.v = LCA_WIRE_VERSION, .model = x->net.name, .P = x->net.P,
                                 .parts = lca_slices(x->net.P), .unit = "1", .nbmax = lca_slice_bytes(x->net.P),
                                 .def = x->def};
    h->layers = lca_table_json(&x->net.table);
    h->classes = lca_dataset_classes(&x->data, x->set, x->N);
    h->data = json_pack("{s:s, s:s, s:o}", "name", x->data.name, "sha256", x->data.sha256, "sets",
                        lca_dataset_sets(&x->data, x->set, x->N));
    h->it1 = json_integer((json_int_t)x->from.n);
    h->prov = lca_prov_add(NULL, "lca-import", json_pack("{s:s}", "layout", opt.layout));
    lca_frame_payload(&f, "|u1", strlen(x->net.json), x->net.json);
    int result = h->layers && h->classes && h->data && h->prov ? lca_out_head(x->out, &f, err)
                                                               : lca_fail(err, LCA_INTERNAL, "out of memory");
    json_decref(h->layers);
    json_decref(h->classes);
    json_decref(h->data);
    json_decref(h->it1);
    json_decref(h->prov);
    return result;
}

/* What led to a vector, its file does not say. */
static int send_vector(struct import *x, uint64_t k, struct lca_err *err)
{
    struct lca_frame f = LCA_FRAME(theta);
    struct lca_frame_theta *h = &f.u.theta;
    double unknown = k == 0 ? 0 : NAN;
    *h = (struct lca_frame_theta){.it = k, .lr = unknown, .mbloss = unknown};
    if (read_vector(x, k, err) < 0 || lca_out_wait(x->out, err) < 0)
        return -1;
    return lca_out_vector(x->out, &f, &h->off, &h->part, x->theta, x->net.P, err);
}

static int send_all(struct import *x, struct lca_link *link, struct lca_err *err)
{
    struct lca_frame eos = LCA_FRAME(eos);
    uint64_t k = 0;
    for (; k < x->from.n && lca_link_want(link) == LCA_SIG_GO; k++)
        if (send_vector(x, k, err) < 0)
            return -1;
    bool whole = k == x->from.n;
    eos.u.eos.status = whole ? "ok" : "interrupted";
    json_t *final = json_pack("{s:s, s:I, s:I, s:I}", "network", x->net.name, "parameters", (json_int_t)x->net.P,
                              "iterations", (json_int_t)(k > 0 ? k - 1 : 0), "examples", (json_int_t)x->N);
    if (!final)
        return lca_fail(err, LCA_INTERNAL, "out of memory");
    eos.u.eos.final = final;
    int result = lca_out_end(x->out, &eos, err) < 0 ? -1 : lca_report(link, final, err);
    json_decref(final);
    return result < 0 || whole ? result : lca_fail(err, LCA_ABORTED, "interrupted after vector %" PRIu64, k);
}

/* What is read must not be written over. */
static int name_files(const struct import *x, struct lca_link *link, const char *path, struct lca_err *err)
{
    if (lca_link_reads(link, opt.data, err) < 0 || lca_link_reads(link, opt.net, err) < 0)
        return -1;
    for (uint64_t k = 0; k < x->from.snapshots.n; k++)
        if (lca_link_reads(link, x->from.snapshots.path[k], err) < 0)
            return -1;
    return x->from.from == LCA_FROM_SNAPSHOTS ? 0 : lca_link_reads(link, path, err);
}

static int run(int argc, char **argv, struct lca_err *err)
{
    struct import x = {0};
    struct lca_link *link = NULL;
    int result = -1;
    (void)argc;
    if (open_all(&x, argv[0], err) < 0 || !(link = lca_link_new(LCA_SIG_SOURCE, err)) ||
        name_files(&x, link, argv[0], err) < 0 || !(x.out = lca_out_from_args(link, &opt.link, err)) ||
        send_head(&x, err) < 0 || send_all(&x, link, err) < 0)
        goto out;
    result = 0;
out:
    if (result < 0 && x.out)
        lca_out_abort(x.out, err->text);
    lca_link_free(link);
    json_decref(x.def);
    lca_trajectory_close(&x.from);
    lca_dataset_close(&x.data);
    lca_net_clear(&x.net);
    free(x.theta);
    return result;
}

static const struct lca_tool tool = {
    .name = "lca-import",
    .summary = "a training path from PyTorch, JAX or HDF5 as a theta stream",
    .usage = "--net NET --data FILE [OPTION]... TRAJECTORY",
    .about =
        "Writes the parameters that another program's training went through as a theta stream, for lca-integrate. "
        "docs/importing.md shows how, for PyTorch and JAX.\n\n"
        "TRAJECTORY is an HDF5 file or a .npy array [vectors][parameters], float32 or float64, or a folder of "
        "safetensors files, ordered by the last number in their names. A step of the stream leads from one vector to "
        "the next. float64 is rounded to float32.\n\n"
        "The network must be what was trained, and its loss the cross-entropy on the data: lca-net --table prints its "
        "tensors, with --layout torch those of PyTorch are rearranged. A tensor that does not fit is named, with both "
        "shapes, and the exit status is 2.",
    .examples =
        "  lca-import --net mnist-fc --data mnist.data --layout torch snapshots/ > theta.lca\n"
        "  lca-import --net my.json --data my.data path.npy | lca-integrate --pool ipc:pool > lca.lca\n"
        "  lca-import --net mnist-fc --data mnist.data weights.h5 | lca-tap --fields it",
    .opts = opts,
    .more = link_opts,
    .min_args = 1,
    .max_args = 1,
    .run = run,
};

int main(int argc, char **argv)
{
    return lca_tool_main(&tool, argc, argv);
}
