#include "run/summary.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "base/version.h"

int lca_keys_put(json_t *object, const struct lca_list *keys, const char *option,
                 struct lca_err *err)
{
    for (int k = 0; k < keys->n; k++) {
        const char *equals = strchr(keys->item[k], '=');
        char key[64];
        json_error_t at;
        if (!equals || equals == keys->item[k] || equals - keys->item[k] >= (long)sizeof key)
            return lca_fail(err, LCA_USAGE, "%s takes KEY=JSON, not '%s'", option, keys->item[k]);
        snprintf(key, sizeof key, "%.*s", (int)(equals - keys->item[k]), keys->item[k]);
        json_t *value = json_loads(equals + 1, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, &at);
        if (!value)
            return lca_fail(err, LCA_USAGE, "%s %s: not JSON (%s): a string needs quotes, "
                            "%s='\"...\"'", option, keys->item[k], at.text, key);
        if (json_object_set_new(object, key, value) < 0)
            return lca_fail(err, LCA_USAGE, "%s %s: the key is not UTF-8", option, keys->item[k]);
    }
    return 0;
}

static int merge(json_t *into, json_t *from, const char *path, struct lca_buf *changed,
                 struct lca_err *err)
{
    const char *key;
    json_t *value;
    json_object_foreach(from, key, value) {
        json_t *old = json_object_get(into, key);
        char name[256];
        snprintf(name, sizeof name, "%s%s%s", path, *path ? "." : "", key);
        if (json_is_object(old) && json_is_object(value)) {
            if (merge(old, value, name, changed, err) < 0)
                return -1;
            continue;
        }
        if (old && changed && !json_equal(old, value) &&
            lca_buf_printf(changed, "%s%s", changed->len ? " " : "", name) < 0)
            return lca_fail(err, LCA_INTERNAL, "out of memory");
        /* A copy, so that a later merge into it leaves `from` as it is. */
        if (json_object_set_new(into, key, json_deep_copy(value)) < 0)
            return lca_fail(err, LCA_INTERNAL, "out of memory");
    }
    return 0;
}

int lca_summary_merge(json_t *into, json_t *from, struct lca_buf *changed, struct lca_err *err)
{
    return merge(into, from, "", changed, err);
}

static json_t *describe_stages(const struct lca_stages *stages)
{
    json_t *list = json_array();
    for (int k = 0; k < stages->n; k++) {
        const struct lca_stage *s = &stages->item[k];
        if (s->copy > 1)
            continue;
        json_t *one = json_pack("{s:s, s:s}", "name", s->pool, "command", s->command);
        if (one && s->copies)
            json_object_set_new(one, "workers", json_integer(s->copies));
        json_array_append_new(list, one);
    }
    return list;
}

static json_t *describe_machine(void)
{
    struct utsname u = {0};
    char line[512], cpu[256] = "";
    FILE *f = fopen("/proc/cpuinfo", "r");
    while (f && !*cpu && fgets(line, sizeof line, f))
        if (strncmp(line, "model name", 10) == 0 && strchr(line, ':'))
            sscanf(strchr(line, ':') + 1, " %255[^\n]", cpu);
    if (f)
        fclose(f);
    uname(&u);
    double gib = (double)sysconf(_SC_PHYS_PAGES) * (double)sysconf(_SC_PAGESIZE) / (1 << 30);
    return json_pack("{s:s, s:s, s:s, s:s, s:s, s:i, s:f}", "host", u.nodename, "system", u.sysname,
                     "release", u.release, "arch", u.machine, "cpu", cpu,
                     "cores", (int)sysconf(_SC_NPROCESSORS_ONLN), "memory_gib",
                     (double)(long)(gib * 10) / 10);
}

json_t *lca_run_describe(const struct lca_stages *stages, int argc, char **argv,
                         struct lca_err *err)
{
    char started[32];
    time_t now = time(NULL);
    struct tm tm;
    strftime(started, sizeof started, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&now, &tm));
    json_t *args = json_array();
    for (int k = 0; k < argc; k++)
        if (json_array_append_new(args, json_string(argv[k])) < 0) {
            json_decref(args);
            lca_fail(err, LCA_USAGE, "argument %d is not UTF-8", k);
            return NULL;
        }
    json_t *stage_list = describe_stages(stages);
    size_t lines = 0;
    for (int k = 0; k < stages->n; k++)
        lines += stages->item[k].copy <= 1;
    if (json_array_size(stage_list) != lines) {
        json_decref(args);
        json_decref(stage_list);
        lca_fail(err, LCA_USAGE, "the stage file is not UTF-8");
        return NULL;
    }
    json_t *all = json_pack("{s:o, s:o, s:{s:s}, s:o, s:s}", "stages", stage_list, "argv", args,
                            "versions", "lca", LCA_VERSION, "machine", describe_machine(),
                            "started", started);
    if (!all)
        lca_fail(err, LCA_INTERNAL, "cannot describe the run");
    return all;
}

int lca_json_save(const json_t *json, const char *path, bool fresh, struct lca_err *err)
{
    char part[PATH_MAX];
    if (snprintf(part, sizeof part, "%s.part-%d", path, (int)getpid()) >= (int)sizeof part)
        return lca_fail(err, LCA_USAGE, "%s: the path is too long", path);
    FILE *f = fopen(part, "we");
    if (!f)
        return lca_fail_errno(err, LCA_INTERNAL, "cannot write %s", path);
    /* 15 digits: 0.1 is written so and not as 0.10000000000000001. */
    int bad = json_dumpf(json, f, JSON_INDENT(2) | JSON_REAL_PRECISION(15)) < 0 ||
              fputc('\n', f) == EOF || fflush(f) != 0 || fsync(fileno(f)) < 0;
    if (fclose(f) != 0 || bad) {
        lca_fail_errno(err, LCA_INTERNAL, "cannot write %s", path);
        unlink(part);
        return -1;
    }
    /* rename would replace what another run has just put there; link does not. */
    int result = fresh ? link(part, path) : rename(part, path);
    if (result < 0)
        lca_fail_errno(err, errno == EEXIST ? LCA_USAGE : LCA_INTERNAL, "cannot make %s", path);
    if (fresh || result < 0)
        unlink(part);
    return result;
}
