/* Digests against published values. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/digest.h"

static void crc32c_of_the_check_string(void **state)
{
    (void)state;
    assert_int_equal(lca_crc32c(0, "123456789", 9), 0xe3069283);
    assert_int_equal(lca_crc32c(0, "", 0), 0);
    /* RFC 3720, appendix B.4 */
    uint8_t block[32] = {0};
    assert_int_equal(lca_crc32c(0, block, 32), 0x8a9136aa);
    memset(block, 0xff, 32);
    assert_int_equal(lca_crc32c(0, block, 32), 0x62a8ab43);
    for (int k = 0; k < 32; k++)
        block[k] = (uint8_t)k;
    assert_int_equal(lca_crc32c(0, block, 32), 0x46dd794e);
}

static void crc32c_goes_on(void **state)
{
    (void)state;
    const char *text = "123456789";
    for (size_t k = 0; k <= 9; k++)
        assert_int_equal(lca_crc32c(lca_crc32c(0, text, k), text + k, 9 - k), 0xe3069283);
}

static void sha256_of_abc(void **state)
{
    (void)state;
    uint8_t digest[LCA_SHA256_LEN], back[LCA_SHA256_LEN];
    char hex[LCA_SHA256_HEX];
    lca_sha256("abc", 3, digest);
    lca_hex(digest, sizeof digest, hex);
    assert_string_equal(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    assert_int_equal(lca_unhex(hex, back, sizeof back), 0);
    assert_memory_equal(digest, back, sizeof back);
}

static void unhex_refuses(void **state)
{
    (void)state;
    uint8_t out[2];
    assert_int_equal(lca_unhex("00ff", out, 2), 0);
    assert_int_equal(out[1], 255);
    assert_int_equal(lca_unhex("00f", out, 2), -1);
    assert_int_equal(lca_unhex("00fff", out, 2), -1);
    assert_int_equal(lca_unhex("00fg", out, 2), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(crc32c_of_the_check_string),
        cmocka_unit_test(crc32c_goes_on),
        cmocka_unit_test(sha256_of_abc),
        cmocka_unit_test(unhex_refuses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
