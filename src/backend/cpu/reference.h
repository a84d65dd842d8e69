/* reference.h: the text of each operation, for one type. Included by reference.c
 * once per `real`; NAME(x) makes the public name. reference-ops.h says what each does. */

void NAME(dense)(const real *x, const real *w, const real *b, real *y, size_t n, size_t in,
                 size_t out)
{
    for (size_t e = 0; e < n; e++)
        for (size_t o = 0; o < out; o++) {
            real s = b[o];
            for (size_t i = 0; i < in; i++)
                s += x[e * in + i] * w[i * out + o];
            y[e * out + o] = s;
        }
}

void NAME(dense_gradient)(const real *x, const real *w, const real *dy, real *dw, real *db,
                          real *dx, size_t n, size_t in, size_t out)
{
    for (size_t e = 0; e < n; e++)
        for (size_t o = 0; o < out; o++) {
            real d = dy[e * out + o];
            db[o] += d;
            for (size_t i = 0; i < in; i++) {
                dw[i * out + o] += x[e * in + i] * d;
                if (dx)
                    dx[e * in + i] += w[i * out + o] * d;
            }
        }
}

void NAME(conv)(const struct lca_geometry *g, const real *x, const real *w, const real *b, real *y,
                size_t n)
{
    size_t in = g->in.c, out = g->out.c;
    EACH_OUTPUT(g, n) {
        real *to = &y[at(g->out, e, oh, ow, 0)];
        for (size_t o = 0; o < out; o++)
            to[o] = b[o];
        EACH_IN_WINDOW(g)
            for (size_t i = 0; i < in; i++)
                for (size_t o = 0; o < out; o++)
                    to[o] += x[at(g->in, e, ih, iw, i)] *
                             w[((kh * g->kernel + kw) * in + i) * out + o];
    }
}

void NAME(conv_gradient)(const struct lca_geometry *g, const real *x, const real *w, const real *dy,
                         real *dw, real *db, real *dx, size_t n)
{
    size_t in = g->in.c, out = g->out.c;
    EACH_OUTPUT(g, n) {
        const real *d = &dy[at(g->out, e, oh, ow, 0)];
        for (size_t o = 0; o < out; o++)
            db[o] += d[o];
        EACH_IN_WINDOW(g)
            for (size_t i = 0; i < in; i++) {
                size_t from = at(g->in, e, ih, iw, i);
                size_t k = ((kh * g->kernel + kw) * in + i) * out;
                for (size_t o = 0; o < out; o++)
                    dw[k + o] += x[from] * d[o];
                for (size_t o = 0; dx && o < out; o++)
                    dx[from] += w[k + o] * d[o];
            }
    }
}

/* The first largest value of channel c in the window of output [e][oh][ow]: its place. */
static size_t NAME(largest)(const struct lca_geometry *g, const real *x, size_t e, size_t oh,
                            size_t ow, size_t c)
{
    size_t best = at(g->in, e, oh * g->stride, ow * g->stride, c);
    EACH_IN_WINDOW(g)
        if (x[at(g->in, e, ih, iw, c)] > x[best])
            best = at(g->in, e, ih, iw, c);
    return best;
}

void NAME(maxpool)(const struct lca_geometry *g, const real *x, real *y, size_t n)
{
    EACH_OUTPUT(g, n)
        for (size_t c = 0; c < g->out.c; c++)
            y[at(g->out, e, oh, ow, c)] = x[NAME(largest)(g, x, e, oh, ow, c)];
}

void NAME(maxpool_gradient)(const struct lca_geometry *g, const real *x, const real *dy, real *dx,
                            size_t n)
{
    EACH_OUTPUT(g, n)
        for (size_t c = 0; c < g->out.c; c++)
            dx[NAME(largest)(g, x, e, oh, ow, c)] += dy[at(g->out, e, oh, ow, c)];
}

void NAME(avgpool)(const struct lca_geometry *g, const real *x, real *y, size_t n)
{
    real size = (real)(g->kernel * g->kernel);
    EACH_OUTPUT(g, n)
        for (size_t c = 0; c < g->out.c; c++) {
            real s = 0;
            EACH_IN_WINDOW(g)
                s += x[at(g->in, e, ih, iw, c)];
            y[at(g->out, e, oh, ow, c)] = s / size;
        }
}

void NAME(avgpool_gradient)(const struct lca_geometry *g, const real *dy, real *dx, size_t n)
{
    real size = (real)(g->kernel * g->kernel);
    EACH_OUTPUT(g, n)
        for (size_t c = 0; c < g->out.c; c++)
            EACH_IN_WINDOW(g)
                dx[at(g->in, e, ih, iw, c)] += dy[at(g->out, e, oh, ow, c)] / size;
}

void NAME(gap)(const struct lca_geometry *g, const real *x, real *y, size_t n)
{
    size_t places = (size_t)g->in.h * g->in.w, channels = g->in.c;
    for (size_t e = 0; e < n; e++)
        for (size_t c = 0; c < channels; c++) {
            real s = 0;
            for (size_t p = 0; p < places; p++)
                s += x[(e * places + p) * channels + c];
            y[e * channels + c] = s / (real)places;
        }
}

void NAME(gap_gradient)(const struct lca_geometry *g, const real *dy, real *dx, size_t n)
{
    size_t places = (size_t)g->in.h * g->in.w, channels = g->in.c;
    for (size_t e = 0; e < n; e++)
        for (size_t p = 0; p < places; p++)
            for (size_t c = 0; c < channels; c++)
                dx[(e * places + p) * channels + c] += dy[e * channels + c] / (real)places;
}

/* Mean of channel c over the m rows of x, and 1 / sqrt(variance + eps). */
static real NAME(mean)(const real *x, size_t m, size_t channels, size_t c, double eps, real *scale)
{
    real sum = 0, squares = 0;
    for (size_t r = 0; r < m; r++)
        sum += x[r * channels + c];
    real mean = sum / (real)m;
    for (size_t r = 0; r < m; r++)
        squares += (x[r * channels + c] - mean) * (x[r * channels + c] - mean);
    *scale = 1 / (real)sqrt((double)(squares / (real)m) + eps);
    return mean;
}

void NAME(batchnorm)(const struct lca_geometry *g, const real *x, const real *gamma,
                     const real *beta, real *y, size_t n)
{
    size_t m = n * g->in.h * g->in.w, channels = g->in.c;
    for (size_t c = 0; c < channels; c++) {
        real scale, mean = NAME(mean)(x, m, channels, c, g->eps, &scale);
        for (size_t r = 0; r < m; r++)
            y[r * channels + c] = gamma[c] * (x[r * channels + c] - mean) * scale + beta[c];
    }
}

/* With u = (x - mean) scale: dx = gamma scale (dy - mean(dy) - u mean(u dy)). */
void NAME(batchnorm_gradient)(const struct lca_geometry *g, const real *x, const real *gamma,
                              const real *dy, real *dgamma, real *dbeta, real *dx, size_t n)
{
    size_t m = n * g->in.h * g->in.w, channels = g->in.c;
    for (size_t c = 0; c < channels; c++) {
        real scale, mean = NAME(mean)(x, m, channels, c, g->eps, &scale);
        real sum = 0, sum_u = 0;
        for (size_t r = 0; r < m; r++) {
            sum += dy[r * channels + c];
            sum_u += dy[r * channels + c] * (x[r * channels + c] - mean) * scale;
        }
        dgamma[c] += sum_u;
        dbeta[c] += sum;
        for (size_t r = 0; dx && r < m; r++) {
            real u = (x[r * channels + c] - mean) * scale;
            dx[r * channels + c] += gamma[c] * scale *
                                    (dy[r * channels + c] - sum / (real)m - u * sum_u / (real)m);
        }
    }
}

void NAME(relu)(const real *x, real *y, size_t n)
{
    for (size_t i = 0; i < n; i++)
        y[i] = x[i] > 0 ? x[i] : 0;
}

void NAME(relu_gradient)(const real *y, real *dy, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!(y[i] > 0))
            dy[i] = 0;
}

void NAME(add)(const real *x, const real *x2, real *y, size_t n)
{
    for (size_t i = 0; i < n; i++)
        y[i] = x[i] + x2[i];
}

void NAME(add_gradient)(const real *dy, real *dx, real *dx2, size_t n)
{
    for (size_t i = 0; dx && i < n; i++)
        dx[i] += dy[i];
    for (size_t i = 0; dx2 && i < n; i++)
        dx2[i] += dy[i];
}

void NAME(dropout)(const real *x, const uint8_t *kept, double rate, real *y, size_t n)
{
    for (size_t i = 0; i < n; i++)
        y[i] = kept[i] ? x[i] * (real)(1 / (1 - rate)) : 0;
}

double NAME(loss)(const real *z, const uint8_t *label, real *dz, size_t n, size_t classes)
{
    double sum = 0;
    for (size_t e = 0; e < n; e++, z += classes) {
        double most = (double)z[0], total = 0;
        for (size_t c = 1; c < classes; c++)
            most = fmax(most, (double)z[c]);
        for (size_t c = 0; c < classes; c++)
            total += exp((double)z[c] - most);
        sum += log(total) + most - (double)z[label[e]];
        for (size_t c = 0; dz && c < classes; c++)
            dz[e * classes + c] = (real)(exp((double)z[c] - most) / total - (c == label[e]));
    }
    return sum;
}
