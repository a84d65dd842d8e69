#include "run/resume.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "run/summary.h"

int lca_resume_lock(const char *dir, double seconds, struct lca_err *err)
{
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return lca_fail_errno(err, LCA_USAGE, "cannot open the folder %s", dir);
    bool said = false;
    for (double until = lca_now() + seconds; flock(fd, LOCK_EX | LOCK_NB) < 0; usleep(50000)) {
        if (errno == EWOULDBLOCK && lca_now() < until) {
            if (!said)
                lca_note("%s is in use: waiting %.0f s for the end of the run in it", dir, seconds);
            said = true;
            continue;
        }
        close(fd);
        return errno == EWOULDBLOCK ? lca_fail(err, LCA_USAGE, "the run in %s is still going on", dir)
                                    : lca_fail_errno(err, LCA_USAGE, "cannot lock the folder %s", dir);
    }
    return fd;
}

json_t *lca_resume_read(const char *path, struct lca_err *err)
{
    json_error_t at;
    if (access(path, F_OK) < 0) {
        lca_fail_errno(err, LCA_USAGE, "there is no run to go on with: cannot read %s", path);
        return NULL;
    }
    json_t *run = json_load_file(path, 0, &at);
    if (json_is_array(json_object_get(run, "stages")) && json_is_string(json_object_get(run, "folder")))
        return run;
    lca_fail(err, LCA_USAGE, "%s: %s", path, run ? "it does not say how to go on (stages, folder)" : at.text);
    json_decref(run);
    return NULL;
}

bool lca_resume_is_done(const char *path)
{
    json_t *summary = json_load_file(path, 0, NULL);
    const char *status = json_string_value(json_object_get(summary, "status"));
    bool done = status && strcmp(status, "ok") == 0;
    json_decref(summary);
    return done;
}

int lca_resume_stages(struct lca_stages *stages, const json_t *run, const char *path, struct lca_err *err)
{
    struct lca_buf text = {0};
    size_t k;
    json_t *one;
    int result = 0;
    json_array_foreach(json_object_get(run, "stages"), k, one) {
        const char *name = NULL, *command = NULL;
        int workers = 0;
        char copies[16] = "";
        if (json_unpack(one, "{s:s, s:s, s?i}", "name", &name, "command", &command, "workers", &workers) < 0) {
            result = lca_fail(err, LCA_USAGE, "%s: stage %zu has no name or command", path, k + 1);
            break;
        }
        if (workers)
            snprintf(copies, sizeof copies, "*%d", workers);
        if (lca_buf_printf(&text, "%s%s: %s\n", name, copies, command) < 0) {
            result = lca_fail(err, LCA_INTERNAL, "out of memory");
            break;
        }
    }
    if (result == 0)
        result = lca_stages_parse(stages, (char *)text.data, text.len, path, err);
    lca_buf_clear(&text);
    return result;
}

int lca_resume_note(json_t *run, const struct lca_stages *stages, int argc, char **argv, struct lca_err *err)
{
    json_t *how = lca_run_describe(stages, argc, argv, err), *all = json_object_get(run, "resumed");
    if (!how)
        return -1;
    json_object_del(how, "stages");
    if (!json_is_array(all)) {
        all = json_array();
        json_object_set_new(run, "resumed", all);
    }
    if (json_array_append_new(all, how) < 0)
        return lca_fail(err, LCA_INTERNAL, "out of memory");
    return (int)json_array_size(all);
}
