#include "data/synth.h"

#include <math.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/rng.h"
#include "data/glyphs.h"

enum {
    PARTS = 5,                              /* straight pieces of a curve between two points */
    PATH = LCA_GLYPH_POINTS * PARTS + 1,
    SPECKS = 6,
};

/* One example's random numbers, in the order of drawing. */
struct dice {
    struct lca_rng rng;
    uint64_t index;
    uint32_t word[4];
    int left;
};

static uint32_t word(struct dice *d)
{
    if (d->left == 0) {
        lca_rng_words(&d->rng, d->index++, 0, d->word);
        d->left = 4;
    }
    return d->word[--d->left];
}

static float uniform(struct dice *d, float low, float high)
{
    return low + (high - low) * ((float)(word(d) >> 8) * 0x1p-24F);
}

/* A whole number from 0 to n - 1. */
static int below(struct dice *d, int n)
{
    return (int)((uint64_t)word(d) * (uint64_t)n >> 32);
}

/* Close to normal, of the given deviation, within 3.5 of them: the sum of four. */
static float bell(struct dice *d, float deviation)
{
    float sum = 0;
    for (int k = 0; k < 4; k++)
        sum += uniform(d, -1, 1);
    return sum * 0.8660254F * deviation;
}

struct point {
    float x, y, r;          /* pixels; r: half the pen's width */
    bool down;              /* the pen draws on the way here */
};

/* How one writer writes this digit. */
struct hand {
    float xx, xy, yx, yy;   /* from the glyph's square to pixels, about its middle */
    float bend_x, bend_y;   /* how far lines bow out */
    float wobble;           /* of each point, in the glyph's units */
    float pen, pressure;    /* half width in pixels; its relative change from point to point */
};

static struct hand hold_pen(struct dice *d)
{
    float height = 19 + bell(d, 1.5F), width = height * (0.88F + bell(d, 0.14F));
    float slant = 0.1F + bell(d, 0.26F), a = bell(d, 0.14F);
    float c = 1 - a * a / 2, s = a - a * a * a / 6;     /* cosine and sine, near enough */
    return (struct hand){
        .xx = c * width, .xy = -s * height - slant * c * width,
        .yx = s * width, .yy = c * height - slant * s * width,
        .bend_x = bell(d, 0.2F), .bend_y = bell(d, 0.2F),
        .wobble = 0.015F + uniform(d, 0, 0.04F),
        .pen = uniform(d, 0.75F, 1.65F), .pressure = 0.12F,
    };
}

/* Puts a point of the glyph where this hand puts it. */
static struct point place(const struct hand *h, const struct lca_glyph_point *g, struct dice *d)
{
    float u = (float)g->x / 100 - 0.5F + bell(d, h->wobble);
    float v = (float)g->y / 100 - 0.5F + bell(d, h->wobble);
    float x = u + h->bend_x * (v * v - 0.125F), y = v + h->bend_y * (u * u - 0.125F);
    return (struct point){
        .x = h->xx * x + h->xy * y,
        .y = h->yx * x + h->yy * y,
        .r = h->pen * (1 + bell(d, h->pressure)),
        .down = g->kind != LCA_GLYPH_START,
    };
}

/* Catmull-Rom's curve from b to c, with neighbours a and d, at s of the way. */
static float curve(float a, float b, float c, float d, float s)
{
    return b + 0.5F * s * ((c - a) + s * ((2 * a - 5 * b + 4 * c - d) +
                                          s * (3 * (b - c) + d - a)));
}

/* The path of the pen in short straight pieces; returns their number plus one. */
static int trace(const struct lca_glyph_point *g, const struct hand *h, struct dice *d,
                 struct point *path)
{
    struct point p[LCA_GLYPH_POINTS];
    int n = 0, length = 0;
    for (; g[n].kind != LCA_GLYPH_END; n++)
        p[n] = place(h, &g[n], d);
    for (int k = 0; k < n; k++) {
        if (!p[k].down) {
            path[length++] = p[k];
            continue;
        }
        const struct point *b = &p[k - 1], *c = &p[k];
        const struct point *before = g[k - 1].kind == LCA_GLYPH_SMOOTH ? b - 1 : b;
        bool goes_on = g[k].kind == LCA_GLYPH_SMOOTH && k + 1 < n && c[1].down;
        const struct point *after = goes_on ? c + 1 : c;
        for (int s = 1; s <= PARTS; s++) {
            float at = (float)s / PARTS;
            path[length++] = (struct point){
                .x = curve(before->x, b->x, c->x, after->x, at),
                .y = curve(before->y, b->y, c->y, after->y, at),
                .r = b->r + at * (c->r - b->r),
                .down = true,
            };
        }
    }
    return length;
}

/* Moves the path so that the middle of its extent comes to (x, y). */
static void centre(struct point *path, int n, float x, float y)
{
    float left = path[0].x, right = left, top = path[0].y, bottom = top;
    for (int k = 1; k < n; k++) {
        left = fminf(left, path[k].x);
        right = fmaxf(right, path[k].x);
        top = fminf(top, path[k].y);
        bottom = fmaxf(bottom, path[k].y);
    }
    x -= (left + right) / 2;
    y -= (top + bottom) / 2;
    for (int k = 0; k < n; k++) {
        path[k].x += x;
        path[k].y += y;
    }
}

static int clip(float x)
{
    return x < 0 ? 0 : x > LCA_SYNTH_SIDE - 1 ? LCA_SYNTH_SIDE - 1 : (int)x;
}

/* Inks the pixels near the piece from a to b: full within the pen's width, fading
 * over the next pixel. ink keeps the most of all pieces, so that joints do not show. */
static void draw(float *ink, const struct point *a, const struct point *b)
{
    float reach = fmaxf(a->r, b->r) + 0.5F;
    float dx = b->x - a->x, dy = b->y - a->y, length = dx * dx + dy * dy;
    float inverse = length > 1e-12F ? 1 / length : 0;
    int x0 = clip(fminf(a->x, b->x) - reach), x1 = clip(fmaxf(a->x, b->x) + reach + 1);
    int y0 = clip(fminf(a->y, b->y) - reach), y1 = clip(fmaxf(a->y, b->y) + reach + 1);
    for (int y = y0; y <= y1; y++)
        for (int x = x0; x <= x1; x++) {
            float px = (float)x - a->x, py = (float)y - a->y;
            float s = fminf(fmaxf((px * dx + py * dy) * inverse, 0), 1);
            float ex = px - s * dx, ey = py - s * dy;
            float cover = a->r + s * (b->r - a->r) + 0.5F - sqrtf(ex * ex + ey * ey);
            float *p = &ink[y * LCA_SYNTH_SIDE + x];
            *p = fmaxf(*p, fminf(cover, 1));
        }
}

/* Specks of dirt, in one image of three, within the disc that writing covers: the
 * corners of the square stay black, as they do in scanned digits. */
static void specks(float *ink, struct dice *d)
{
    int n = below(d, 3) == 0 ? 1 + below(d, SPECKS) : 0;
    for (int k = 0; k < n; k++) {
        float x = uniform(d, -11, 11), y = uniform(d, -11, 11);
        struct point p = {13.5F + x, 13.5F + y, uniform(d, 0, 0.5F), true};
        if (x * x + y * y <= 121)
            draw(ink, &p, &p);
    }
}

/* Ink to bytes: contrast of the whole, grain of each inked pixel. */
static void develop(uint8_t *image, const float *ink, struct dice *d)
{
    float contrast = 255 * (1 - uniform(d, 0, 0.3F)), grain = uniform(d, 0, 0.25F) / 256;
    for (int k = 0; k < LCA_SYNTH_PIXELS; k += 4) {
        uint32_t w = word(d);
        for (int j = 0; j < 4; j++) {
            float dark = 1 - grain * (float)(w >> 8 * j & 255);
            image[k + j] = (uint8_t)(contrast * dark * ink[k + j] + 0.5F);
        }
    }
}

/* The digit of example i: its place in a permutation of its ten. */
static uint8_t label(uint32_t seed, uint64_t i)
{
    struct lca_rng r = {seed, LCA_RNG_SYNTH, i / LCA_SYNTH_CLASSES | UINT64_C(1) << 63};
    uint32_t order[LCA_SYNTH_CLASSES];
    lca_rng_permute(&r, order, LCA_SYNTH_CLASSES);
    return (uint8_t)order[i % LCA_SYNTH_CLASSES];
}

uint8_t lca_synth_example(uint32_t seed, uint64_t i, uint8_t image[LCA_SYNTH_PIXELS])
{
    struct dice d = {.rng = {seed, LCA_RNG_SYNTH, i}};
    uint8_t digit = label(seed, i);
    int variant = below(&d, lca_glyph_variants(digit));
    struct hand h = hold_pen(&d);
    struct point path[PATH] = {0};
    int n = trace(lca_glyph(digit, variant), &h, &d, path);
    float middle = (float)(LCA_SYNTH_SIDE - 1) / 2;
    centre(path, n, middle + bell(&d, 1.1F), middle + bell(&d, 1.1F));
    float ink[LCA_SYNTH_PIXELS] = {0};
    for (int k = 1; k < n; k++)
        if (path[k].down)
            draw(ink, &path[k - 1], &path[k]);
    specks(ink, &d);
    develop(image, ink, &d);
    return digit;
}

int lca_synth_examples(struct lca_examples *e, uint32_t seed, uint64_t first, uint32_t n,
                       struct lca_err *err)
{
    if (lca_examples_alloc(e, n, LCA_SYNTH_SIDE, LCA_SYNTH_SIDE, 1, err) < 0)
        return -1;
    for (uint32_t i = 0; i < n; i++)
        e->labels[i] = lca_synth_example(seed, first + i, e->images + (size_t)i * LCA_SYNTH_PIXELS);
    return 0;
}
