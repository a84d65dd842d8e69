/* reference.h: the text of each operation, for one type. Included by reference.c
 * once per `real`; NAME(x) makes the public name. */

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
                          real *dx,
                          size_t n, size_t in, size_t out)
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

/* Sum of -log softmax(z)[label]; dz, unless NULL, = softmax - onehot. */
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
