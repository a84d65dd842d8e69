/* lca-train: trains a network and tells every step.
 *
 * In: a data file. Out: a `theta` stream: HEAD, then theta_0 .. theta_T, each with
 * what led to it. Training is deterministic: seed and options give the bytes. It is
 * what it would be without anybody watching (Lan et al. 2019, section 3): mini-batch
 * gradients, SGD with momentum or Adam, no weight decay. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/digest.h"
#include "base/log.h"
#include "base/tool.h"
#include "data/batch.h"
#include "data/dataset.h"
#include "frame/head.h"
#include "link/link.h"
#include "nn/chunk.h"
#include "nn/init.h"
#include "nn/net.h"
#include "nn/train.h"

static struct {
    const char *net, *data, *optimizer, *dropout, *lr_steps;
    long examples, iterations, batch, seed;
    double lr, momentum;
    struct lca_list freeze, layer_lr, layer_momentum, delay;
    struct lca_link_args link;
} opt = {.optimizer = "sgd", .dropout = "on", .examples = 0, .iterations = 0, .batch = 250, .seed = 1,
         .lr = 0, .momentum = 0.9};

static const struct lca_opt opts[] = {
    {"net", 'N', LCA_OPT_STR, &opt.net, "NAME|FILE", "Network: a built-in name or a description (see lca-net).",
     0, 0, false},
    {"data", 'd', LCA_OPT_STR, &opt.data, "FILE", "Data file made by lca-data.", 0, 0, true},
    {"examples", 0, LCA_OPT_INT, &opt.examples, "N", "Train on the first N examples (default: all).", 1, 4e9, false},
    {"iterations", 'T', LCA_OPT_INT, &opt.iterations, "N", "Training steps (default: 4 epochs).", 1, 1e9, false},
    {"batch", 'b', LCA_OPT_INT, &opt.batch, "N", "Examples of a mini-batch (default 250).", 1, 1e9, false},
    {"optimizer", 'O', LCA_OPT_STR, &opt.optimizer, "NAME", "sgd or adam (default sgd).", 0, 0, false},
    {"lr", 0, LCA_OPT_NUM, &opt.lr, "X", "Learning rate (default: sgd 0.05, adam 0.002).", 1e-12, 1e6, false},
    {"momentum", 'm', LCA_OPT_NUM, &opt.momentum, "X", "Momentum of sgd, 0 for none (default 0.9).", 0, 0.999999,
     false},
    {"seed", 's', LCA_OPT_INT, &opt.seed, "N", "Seed of initial weights, batches and dropout (default 1).", 0,
     4294967295.0, false},
    {"dropout", 0, LCA_OPT_STR, &opt.dropout, "on|off", "Whether dropout layers act in training (default on).", 0, 0,
     false},
    {"lr-steps", 0, LCA_OPT_STR, &opt.lr_steps, "T=X,...", "From step T on the learning rate is X.", 0, 0, true},
    {"freeze", 0, LCA_OPT_LIST, &opt.freeze, "LAYER[@T]", "Keep a layer as it is from step T on (default 0).", 0, 0,
     true},
    {"layer-lr", 0, LCA_OPT_LIST, &opt.layer_lr, "LAYER=X", "Another learning rate for a layer.", 0, 0, true},
    {"layer-momentum", 0, LCA_OPT_LIST, &opt.layer_momentum, "LAYER=X", "Another momentum for a layer.", 0, 0, true},
    {"delay", 0, LCA_OPT_LIST, &opt.delay, "LAYER=D", "Apply a layer's gradients D steps late.", 0, 0, true},
    {0},
};
static const struct lca_opt link_opts[] = {LCA_OUT_OPTS(opt.link), {0}};

struct train {
    struct lca_net net;
    struct lca_dataset data;
    const struct lca_set *set;
    struct lca_eval *eval;
    struct lca_optim optim;
    struct lca_batch batch;
    uint32_t N;             /* training examples used */
    uint64_t T;             /* steps */
    bool dropout;
    float *theta, *grad;
    struct lca_frame head;
    json_t *def;
};

static int apply(struct lca_optim *o, const struct lca_list *list,
                 int (*one)(struct lca_optim *, const char *, struct lca_err *), struct lca_err *err)
{
    for (int k = 0; k < list->n; k++)
        if (one(o, list->item[k], err) < 0)
            return -1;
    return 0;
}

static int open_all(struct train *t, struct lca_err *err)
{
    bool adam = strcmp(opt.optimizer, "adam") == 0;
    if (!opt.net || !opt.data)
        return lca_fail(err, LCA_USAGE, "--net and --data are needed: see --help");
    if (!adam && strcmp(opt.optimizer, "sgd") != 0)
        return lca_fail(err, LCA_USAGE, "--optimizer takes sgd or adam, not '%s'", opt.optimizer);
    t->dropout = strcmp(opt.dropout, "on") == 0;
    if (!t->dropout && strcmp(opt.dropout, "off") != 0)
        return lca_fail(err, LCA_USAGE, "--dropout takes on or off, not '%s'", opt.dropout);
    if (opt.lr == 0)
        opt.lr = adam ? 0.002 : 0.05;
    if (lca_net_load(&t->net, opt.net, err) < 0 || lca_dataset_open(&t->data, opt.data, err) < 0 ||
        lca_dataset_verify(&t->data, err) < 0)
        return -1;
    t->set = lca_dataset_find(&t->data, "train", err);
    if (!t->set)
        return -1;
    if (t->net.classes != t->data.classes)
        return lca_fail(err, LCA_USAGE, "%s tells %u classes apart, %s has %u", t->net.name, t->net.classes, opt.data,
                        t->data.classes);
    if (opt.examples > (long)t->set->n)
        return lca_fail(err, LCA_USAGE, "--examples %ld: %s has %u training examples", opt.examples, opt.data, t->set->n);
    t->N = opt.examples ? (uint32_t)opt.examples : t->set->n;
    if (lca_batch_init(&t->batch, (uint32_t)opt.seed, t->N, (uint32_t)opt.batch, err) < 0)
        return -1;
    t->T = opt.iterations ? (uint64_t)opt.iterations : 4 * (uint64_t)t->batch.steps;

    const struct lca_set *test = lca_dataset_find(&t->data, "test", NULL);
    uint32_t chunk = test ? lca_chunk_divisor(&t->net, test->n) : 0, most = chunk > (uint32_t)opt.batch ? chunk : (uint32_t)opt.batch;
    struct lca_images images = {t->data.set[0].images, t->data.set[0].labels, 0, lca_dataset_pixels(&t->data)};
    for (int k = 0; k < t->data.sets; k++)
        images.n += t->data.set[k].n;
    t->eval = lca_eval_new(&t->net, "cpu", &images, most, err);
    t->theta = lca_alloc(t->net.P, sizeof *t->theta, err);
    t->grad = lca_alloc(t->net.P, sizeof *t->grad, err);
    if (!t->eval || !t->theta || !t->grad ||
        lca_optim_init(&t->optim, &t->net.table, adam ? LCA_ADAM : LCA_SGD, opt.lr, opt.momentum, err) < 0 ||
        apply(&t->optim, &opt.freeze, lca_optim_freeze, err) < 0 ||
        apply(&t->optim, &opt.layer_lr, lca_optim_layer_lr, err) < 0 ||
        apply(&t->optim, &opt.layer_momentum, lca_optim_layer_momentum, err) < 0 ||
        apply(&t->optim, &opt.delay, lca_optim_delay, err) < 0)
        return -1;
    if (opt.lr_steps && lca_optim_lr_steps(&t->optim, opt.lr_steps, err) < 0)
        return -1;
    if (adam && opt.momentum != 0.9)
        lca_note("--momentum has no meaning with adam and is ignored");
    lca_init(&t->net, (uint32_t)opt.seed, t->theta);
    return 0;
}

/* HEAD */

static json_t *list_json(const struct lca_list *list)
{
    json_t *a = json_array();
    for (int k = 0; k < list->n; k++)
        json_array_append_new(a, json_string(list->item[k]));
    return a;
}

/* Everything that determines theta_0, theta_1, ...; never where it ran. */
static json_t *definition(const struct train *t)
{
    char hex[LCA_SHA256_HEX];
    uint8_t digest[LCA_SHA256_LEN];
    lca_sha256(t->net.json, strlen(t->net.json), digest);
    lca_hex(digest, sizeof digest, hex);
    json_t *def = json_pack("{s:s, s:s, s:s, s:I, s:I, s:s, s:f, s:I}", "network", t->net.name, "network_sha256", hex,
                            "data_sha256", t->data.sha256, "examples", (json_int_t)t->N, "batch",
                            (json_int_t)opt.batch, "optimizer", opt.optimizer, "lr", opt.lr, "seed",
                            (json_int_t)opt.seed);
    if (t->optim.kind == LCA_SGD)
        json_object_set_new(def, "momentum", json_real(opt.momentum));
    json_object_set_new(def, "dropout", json_string(t->dropout ? "on" : "off"));
    const struct {
        const char *key;
        const struct lca_list *list;
    } lists[] = {{"freeze", &opt.freeze}, {"layer_lr", &opt.layer_lr}, {"layer_momentum", &opt.layer_momentum},
                 {"delay", &opt.delay}};
    for (size_t k = 0; k < sizeof lists / sizeof *lists; k++)
        if (lists[k].list->n)
            json_object_set_new(def, lists[k].key, list_json(lists[k].list));
    if (opt.lr_steps)
        json_object_set_new(def, "lr_steps", json_string(opt.lr_steps));
    return def;
}

static json_t *sets_json(const struct train *t)
{
    json_t *sets = json_array();
    for (int k = 0; k < t->data.sets; k++) {
        const struct lca_set *set = &t->data.set[k];
        json_array_append_new(sets, json_pack("{s:s, s:I}", "set", set->name, "N",
                                              (json_int_t)(set == t->set ? t->N : set->n)));
    }
    return sets;
}

static json_t *classes_json(const struct train *t)
{
    json_t *classes = json_array();
    uint32_t count[LCA_DATASET_CLASSES];
    lca_dataset_count(&t->data, t->set, t->N, count);
    for (uint32_t c = 0; c < t->data.classes; c++)
        json_array_append_new(classes, json_pack("{s:s, s:I}", "name", t->data.class_name[c], "n",
                                                 (json_int_t)count[c]));
    return classes;
}

static int send_head(struct train *t, struct lca_out *out, struct lca_err *err)
{
    struct lca_frame *f = &t->head;
    *f = LCA_FRAME(head);
    t->def = definition(t);
    if (lca_run_id(t->def, f->run, err) < 0)
        return -1;
    f->st = "theta";
    struct lca_frame_head *h = &f->u.head;
    h->v = LCA_WIRE_VERSION;
    h->model = t->net.name;
    h->P = t->net.P;
    h->layers = lca_table_json(&t->net.table);
    h->classes = classes_json(t);
    h->data = json_pack("{s:s, s:s, s:o}", "name", t->data.name, "sha256", t->data.sha256, "sets", sets_json(t));
    h->parts = lca_slices(t->net.P);
    h->it0 = 0;
    h->it1 = json_integer((json_int_t)t->T + 1);
    h->unit = "1";
    h->num = lca_eval_num(t->eval);
    h->nbmax = lca_slice_bytes(t->net.P);
    h->def = t->def;
    h->prov = lca_prov_add(NULL, "lca-train", json_pack("{s:I}", "iterations", (json_int_t)t->T));
    lca_frame_payload(f, "|u1", strlen(t->net.json), t->net.json);
    int result = h->layers && h->classes && h->data && h->prov ? lca_out_head(out, f, err)
                                                               : lca_fail(err, LCA_INTERNAL, "out of memory");
    json_decref(h->layers);
    json_decref(h->classes);
    json_decref(h->data);
    json_decref(h->it1);
    json_decref(h->prov);
    return result;
}

/* the steps */

static int train(struct train *t, struct lca_link *link, struct lca_out *out, const char **status, uint64_t *steps,
                 struct lca_err *err)
{
    struct lca_frame f = LCA_FRAME(theta);
    uint8_t hash[LCA_BATCH_HASH];
    *status = "ok";
    for (uint64_t it = 0;; it++) {
        f.u.theta.it = it;
        if (lca_out_wait(out, err) < 0 ||
            lca_out_vector(out, &f, &f.u.theta.off, &f.u.theta.part, t->theta, t->net.P, err) < 0)
            return -1;
        *steps = it;
        if (it == t->T)
            return 0;
        if (lca_link_want(link) != LCA_SIG_GO) {
            *status = "interrupted";
            return 0;
        }
        struct lca_loss sum = {0};
        uint64_t epoch;
        const uint32_t *index = lca_batch_at(&t->batch, it, &epoch);
        double lr = lca_optim_lr(&t->optim, it);
        if (lca_train_step(t->eval, &t->optim, t->theta, t->grad, index, (uint32_t)opt.batch,
                           t->dropout ? opt.seed : -1, &sum, err) < 0)
            return -1;
        f.u.theta.lr = lr;
        f.u.theta.mbloss = sum.loss / (double)sum.n;
        f.u.theta.epoch = epoch;
        lca_batch_hash(index, (uint32_t)opt.batch, hash);
        f.u.theta.mb = (struct lca_bin){hash, sizeof hash};
        if (!isfinite(f.u.theta.mbloss))
            return lca_fail(err, LCA_INTERNAL, "step %" PRIu64 ": the mini-batch loss is %g: training diverged; "
                            "lower --lr", it, f.u.theta.mbloss);
        if (!lca_train_finite(t->theta, t->net.P))
            return lca_fail(err, LCA_INTERNAL, "step %" PRIu64 ": it led to parameters that are no numbers: training "
                            "diverged; lower --lr", it);
    }
}

static json_t *summary(struct train *t, uint64_t steps, struct lca_err *err)
{
    json_t *final = json_pack("{s:s, s:I, s:I, s:I, s:I, s:s, s:f, s:I}", "network", t->net.name, "parameters",
                              (json_int_t)t->net.P, "iterations", (json_int_t)steps, "examples", (json_int_t)t->N,
                              "seed", (json_int_t)opt.seed, "optimizer", opt.optimizer, "lr", opt.lr, "batch",
                              (json_int_t)opt.batch);
    if (t->optim.kind == LCA_SGD)
        json_object_set_new(final, "momentum", json_real(opt.momentum));
    const struct lca_set *test = lca_dataset_find(&t->data, "test", NULL);
    if (!test)
        return final;
    uint32_t first = (uint32_t)(test->labels - t->data.set[0].labels), chunk = lca_chunk_divisor(&t->net, test->n);
    struct lca_loss all = {0};
    for (uint32_t lo = 0; lo < test->n; lo += chunk) {
        struct lca_loss sum = {0};
        if (lca_eval_unit(t->eval, t->theta, first + lo, first + lo + chunk, NULL, &sum, err) < 0) {
            json_decref(final);
            return NULL;
        }
        all.loss += sum.loss;
        all.hits += sum.hits;
    }
    json_object_set_new(final, "loss_test", json_real(all.loss / test->n));
    json_object_set_new(final, "accuracy_test", json_real(100.0 * (double)all.hits / test->n));
    return final;
}

static int run(int argc, char **argv, struct lca_err *err)
{
    (void)argc, (void)argv;
    struct train t = {0};
    struct lca_frame eos = LCA_FRAME(eos);
    struct lca_link *link = NULL;
    struct lca_out *out = NULL;
    uint64_t steps = 0;
    int result = -1;
    if (open_all(&t, err) < 0)
        goto out;
    link = lca_link_new(LCA_SIG_SOURCE, err);
    if (!link || lca_link_reads(link, opt.data, err) < 0 || lca_link_reads(link, opt.net, err) < 0 ||
        !(out = lca_out_from_args(link, &opt.link, err)) || send_head(&t, out, err) < 0 ||
        train(&t, link, out, &eos.u.eos.status, &steps, err) < 0 || !(eos.u.eos.final = summary(&t, steps, err)) ||
        lca_out_end(out, &eos, err) < 0 || lca_report(eos.u.eos.final, err) < 0)
        goto out;
    result = strcmp(eos.u.eos.status, "ok") == 0 ? 0 : lca_fail(err, LCA_ABORTED, "interrupted after step %" PRIu64, steps);
out:
    if (result < 0 && out)
        lca_out_abort(out, err->text);
    lca_link_free(link);
    json_decref(eos.u.eos.final);
    json_decref(t.def);
    lca_eval_free(t.eval);
    lca_optim_clear(&t.optim);
    lca_batch_clear(&t.batch);
    lca_dataset_close(&t.data);
    lca_net_clear(&t.net);
    free(t.theta);
    free(t.grad);
    return result;
}

static const struct lca_tool tool = {
    .name = "lca-train",
    .summary = "train a network and tell every step",
    .usage = "--net NET --data FILE [OPTION]...",
    .about = "Trains a network on the training set of a data file and writes its parameters after every step as a "
             "theta stream, for lca-integrate.\n\nThe same options give the same bytes. A first SIGINT ends the "
             "stream after the current step, status interrupted; exit status 130.",
    .examples = "  lca-train --net mnist-fc --data mnist.data --iterations 10 > thetas.lca\n"
                "  lca-train --net mnist-fc --data mnist.data --optimizer adam | lca-tap --fields it,mbloss",
    .opts = opts,
    .more = link_opts,
    .max_args = 0,
    .run = run,
};

int main(int argc, char **argv)
{
    return lca_tool_main(&tool, argc, argv);
}
