#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/digest.h"
#include "data/glyphs.h"
#include "data/synth.h"

static void an_example_depends_on_seed_and_index_only(void **state)
{
    (void)state;
    struct lca_examples all, part;
    uint8_t one[LCA_SYNTH_PIXELS], other[LCA_SYNTH_PIXELS];
    assert_int_equal(lca_synth_examples(&all, 5, 0, 40, NULL), 0);
    assert_int_equal(lca_synth_examples(&part, 5, 13, 27, NULL), 0);
    assert_memory_equal(all.images + 13 * LCA_SYNTH_PIXELS, part.images, 27 * LCA_SYNTH_PIXELS);
    assert_memory_equal(all.labels + 13, part.labels, 27);
    assert_int_equal(lca_synth_example(5, 20, one), all.labels[20]);
    assert_memory_equal(one, all.images + 20 * LCA_SYNTH_PIXELS, sizeof one);
    lca_synth_example(6, 20, other);
    assert_memory_not_equal(one, other, sizeof one);
    lca_examples_clear(&all);
    lca_examples_clear(&part);
}

/* The default data set: when this digest moves, so do all results on it. */
static void the_bytes_are_known(void **state)
{
    (void)state;
    struct lca_examples e;
    uint8_t digest[LCA_SHA256_LEN];
    char hex[LCA_SHA256_HEX];
    assert_int_equal(lca_synth_examples(&e, 1, 0, 500, NULL), 0);
    lca_sha256(e.images, 500 * LCA_SYNTH_PIXELS, digest);
    lca_hex(digest, sizeof digest, hex);
    assert_string_equal(hex,
                        "939ea9fd5a607e3a005e3fa796eca3ddf86234612be474bff7f2697683e0d957");
    lca_examples_clear(&e);
}

static void each_ten_hold_each_digit(void **state)
{
    (void)state;
    struct lca_examples e;
    int as_before = 0;
    assert_int_equal(lca_synth_examples(&e, 9, 0, 100, NULL), 0);
    for (int block = 0; block < 100; block += 10) {
        unsigned seen = 0;
        for (int i = block; i < block + 10; i++)
            seen |= 1U << e.labels[i];
        assert_int_equal(seen, 1023);
        as_before += block > 0 && memcmp(e.labels + block, e.labels + block - 10, 10) == 0;
    }
    assert_int_equal(as_before, 0);
    lca_examples_clear(&e);
}

/* Ink between a thin 1 and a fat 8; corners black; no two images alike. */
static void images_look_like_written_digits(void **state)
{
    (void)state;
    struct lca_examples e;
    const int side = LCA_SYNTH_SIDE;
    assert_int_equal(lca_synth_examples(&e, 2, 0, 2000, NULL), 0);
    double ink = 0;
    for (uint32_t i = 0; i < e.n; i++) {
        const uint8_t *x = e.images + (size_t)i * LCA_SYNTH_PIXELS;
        long sum = 0;
        uint8_t most = 0;
        for (int k = 0; k < LCA_SYNTH_PIXELS; k++) {
            sum += x[k];
            most = x[k] > most ? x[k] : most;
        }
        assert_in_range(sum, 3000, 80000);
        assert_in_range(most, 120, 255);
        assert_int_equal(x[0] + x[side - 1] + x[side * (side - 1)] + x[side * side - 1], 0);
        ink += (double)sum;
        if (i > 0)
            assert_memory_not_equal(x, x - LCA_SYNTH_PIXELS, LCA_SYNTH_PIXELS);
    }
    ink /= 255.0 * e.n * LCA_SYNTH_PIXELS;      /* MNIST: 0.131 */
    assert_true(ink > 0.08 && ink < 0.15);
    lca_examples_clear(&e);
}

static void glyphs_are_within_their_square(void **state)
{
    (void)state;
    for (int digit = 0; digit < LCA_GLYPH_DIGITS; digit++) {
        assert_true(lca_glyph_variants(digit) >= 3);
        for (int v = 0; v < lca_glyph_variants(digit); v++) {
            const struct lca_glyph_point *g = lca_glyph(digit, v);
            assert_int_equal(g[0].kind, LCA_GLYPH_START);
            int n = 0;
            for (; g[n].kind != LCA_GLYPH_END; n++) {
                assert_true(n < LCA_GLYPH_POINTS - 1);
                assert_in_range(g[n].x, 0, 100);
                assert_in_range(g[n].y, 0, 100);
            }
            assert_true(n >= 3);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_example_depends_on_seed_and_index_only),
        cmocka_unit_test(the_bytes_are_known),
        cmocka_unit_test(each_ten_hold_each_digit),
        cmocka_unit_test(images_look_like_written_digits),
        cmocka_unit_test(glyphs_are_within_their_square),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
