#include "run/progress.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

bool lca_progress_read(struct lca_progress *p, const char *text, size_t len, double now)
{
    json_t *line = json_loadb(text, len, 0, NULL);
    bool news = lca_progress_take(p, line, now);
    json_decref(line);
    return news;
}

bool lca_progress_take(struct lca_progress *p, const json_t *line, double now)
{
    const json_t *it = json_object_get(line, "it"), *cls = json_object_get(line, "cls");
    const char *set = json_string_value(json_object_get(line, "set"));
    bool use = json_is_integer(it) && json_integer_value(it) >= 0 &&
               (!set || strcmp(set, "train") == 0);
    long step = use ? (long)json_integer_value(it) + 1 : 0;
    bool news = use && step >= p->step;
    if (news && step > p->step) {
        if (!p->first) {
            p->first = step;
            p->since = now;
            p->loss = p->res = NAN;
        }
        p->step = step;
        p->at = now;
    }
    /* A frame of one class holds that class's share of the loss, not the loss. */
    if (news && !(json_is_integer(cls) && json_integer_value(cls) >= 0)) {
        const json_t *loss = json_object_get(line, "L1"), *res = json_object_get(line, "res");
        p->loss = json_is_number(loss) ? json_number_value(loss) : NAN;
        p->res = json_is_number(res) ? json_number_value(res) : NAN;
    }
    return news;
}

void lca_progress_text(const struct lca_progress *p, char *out, size_t size)
{
    char of[32] = "", loss[32] = "", res[40] = "", rate[48] = "", eta[48] = "";
    double per_second = p->step > p->first && p->at > p->since
                        ? (double)(p->step - p->first) / (p->at - p->since) : 0;
    if (p->iterations > 0)
        snprintf(of, sizeof of, "/%ld", p->iterations);
    if (!isnan(p->loss))
        snprintf(loss, sizeof loss, "  loss %.4f", p->loss);
    if (!isnan(p->res))
        snprintf(res, sizeof res, "  residual %.1e", p->res);
    if (per_second > 0)
        snprintf(rate, sizeof rate, "  %.*f steps/min", per_second < 1. / 6 ? 1 : 0,
                 60 * per_second);
    if (per_second > 0 && p->iterations > p->step) {
        double left = (double)(p->iterations - p->step) / per_second;
        if (left < 1e8) {
            long s = lround(left);
            snprintf(eta, sizeof eta, "  ETA %ld:%02ld:%02ld", s / 3600, s / 60 % 60, s % 60);
        }
    }
    snprintf(out, size, "step %ld%s%s%s%s%s", p->step, of, loss, res, rate, eta);
}

bool lca_progress_due(struct lca_progress *p, bool live, double now)
{
    if (p->step == 0 || p->step == p->shown)
        return false;
    double wait = live ? 0.2 : 10;
    bool tenth = !live && p->iterations > 0 &&
                 p->step * 10 / p->iterations > p->shown * 10 / p->iterations;
    if (p->shown && !tenth && p->step != p->iterations && now - p->shown_at < wait)
        return false;
    p->shown = p->step;
    p->shown_at = now;
    return true;
}
