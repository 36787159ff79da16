/*
 * HMAC: the second test case of RFC 2202 and RFC 4231, a key longer than a
 * block (RFC 4231, case 6), and hashes of nothing.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/encode.h"
#include "base/hmac.h"

static void is_hex(const struct nettle_hash *h, const uint8_t *digest, const char *hex)
{
	struct arena a = {0};
	assert_true(span_eq_str(hex_encode_arena(&a, span_make(digest, h->digest_size)), hex));
	arena_free(&a);
}

static void test_hmac(void **state UNUSED)
{
	static const struct {
		const struct nettle_hash *hash;
		const char *hex;
	} cases[] = {{&nettle_md5, "750c783e6ab0b503eaa86e310a5db738"},
	    {&nettle_sha1, "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79"},
	    {&nettle_sha256, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"},
	    {&nettle_sha512, "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea250554"
			     "9758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737"}};
	uint8_t out[HASH_MAX];
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		hmac_of(
		    cases[i].hash, SPAN_LIT("Jefe"), SPAN_LIT("what do ya want for nothing?"), out);
		is_hex(cases[i].hash, out, cases[i].hex);
	}
	char key[131];
	memset(key, 0xaa, sizeof(key));
	hmac_of(&nettle_sha256, span_make(key, sizeof(key)),
	    SPAN_LIT("Test Using Larger Than Block-Size Key - Hash Key First"), out);
	is_hex(&nettle_sha256, out,
	    "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
}

static void test_nothing(void **state UNUSED)
{
	uint8_t out[HASH_MAX];
	hash_of(&nettle_md5, SPAN_NULL, out);
	is_hex(&nettle_md5, out, "d41d8cd98f00b204e9800998ecf8427e");
	hash_of(&nettle_sha1, SPAN_LIT("abc"), out);
	is_hex(&nettle_sha1, out, "a9993e364706816aba3e25717850c26c9cd0d89d");
	hmac_of(&nettle_md5, SPAN_NULL, SPAN_NULL, out);
	is_hex(&nettle_md5, out, "74e6f7298a9c2d168935f58c001bad88");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_hmac),
	    cmocka_unit_test(test_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
