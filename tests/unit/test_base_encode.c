/*
 * Tab-escaping as Dovecot's protocols have it, strict base64, hex.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <sodium.h>

#include "base/encode.h"

static void test_escape(void **state UNUSED)
{
	struct arena a = {0};
	struct buffer b = {0};
	struct span raw = SPAN_LIT("a\0b\x01"
				   "c\td\re\nf\x02\xff");
	struct span escaped = SPAN_LIT("a\x01"
				       "0b\x01"
				       "1c\x01td\x01re\x01nf\x02\xff");
	tab_escape(&b, raw);
	assert_true(span_eq(buffer_span(&b), escaped));
	assert_true(span_eq(tab_escape_arena(&a, raw), escaped));
	assert_true(span_eq(tab_unescape(&a, escaped), raw));
	tab_escape(&b, SPAN_NULL);
	assert_int_equal(b.len, escaped.len);
	buffer_free(&b);
	arena_free(&a);
}

static void test_unescape_odd(void **state UNUSED)
{
	struct arena a = {0};
	struct span plain = SPAN_LIT("nothing to do");
	assert_ptr_equal(tab_unescape(&a, plain).ptr, plain.ptr);
	assert_null(tab_unescape(&a, SPAN_NULL).ptr);
	/* a lone escape at the end is dropped, one before any other byte stands for that byte */
	assert_true(span_eq_str(tab_unescape(&a, SPAN_LIT("ab\x01")), "ab"));
	struct span nothing = tab_unescape(&a, SPAN_LIT("\x01"));
	assert_non_null(nothing.ptr);
	assert_int_equal(nothing.len, 0);
	assert_true(span_eq_str(tab_unescape(&a, SPAN_LIT("\x01zq")), "zq"));
	assert_true(span_eq_str(tab_unescape(&a, SPAN_LIT("\x01\x01"
							  "0")),
	    "\x01"
	    "0"));
	arena_free(&a);
}

static void test_escape_all_bytes(void **state UNUSED)
{
	struct arena a = {0};
	char all[256];
	for (int i = 0; i < 256; i++)
		all[i] = (char)i;
	struct span s = span_make(all, sizeof(all)), e = tab_escape_arena(&a, s);
	assert_int_equal(e.len, 256 + 5);
	assert_int_equal(span_find(e, '\t'), -1);
	assert_int_equal(span_find(e, '\n'), -1);
	assert_int_equal(span_find(e, '\r'), -1);
	assert_int_equal(span_find(e, '\0'), -1);
	assert_true(span_eq(tab_unescape(&a, e), s));
	arena_free(&a);
}

static void test_base64_good(void **state UNUSED)
{
	/* RFC 4648 section 10 */
	static const struct {
		const char *text, *bytes;
	} cases[] = {{"", ""}, {"Zg==", "f"}, {"Zm8=", "fo"}, {"Zm9v", "foo"}, {"Zm9vYg==", "foob"},
	    {"Zm9vYmE=", "fooba"}, {"Zm9vYmFy", "foobar"}, {"+/+/", "\xfb\xff\xbf"}};
	struct arena a = {0};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct buffer b = {0};
		struct span bytes = base64_decode(&a, span_of(cases[i].text));
		assert_non_null(bytes.ptr);
		assert_true(span_eq_str(bytes, cases[i].bytes));
		assert_true(span_eq_str(base64_encode_arena(&a, bytes), cases[i].text));
		base64_encode(&b, bytes);
		assert_true(span_eq_str(buffer_span(&b), cases[i].text));
		buffer_free(&b);
	}
	arena_free(&a);
}

static void test_base64_bad(void **state UNUSED)
{
	static const char *const bad[] = {
	    "!!!", "=", "==", "====", "Z", "Zg", "Zg=", "Zg===", "Zm8", "Zm9vY", /* length */
	    "Zh==", "Zm9=",							 /* spare bits */
	    " Zg==", "Zg== ", "Zg==\n", "Zm9v\r\n", "Zm 9v",			 /* space */
	    "Zg==Zg==", "Z=g=", "-_-_", "Zm9v\xff", "Zm9\xff", "\xff\xff\xff\xff",
	    "0491\xc3\xa9==", /* alphabet */
	};
	struct arena a = {0};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_null(base64_decode(&a, span_of(bad[i])).ptr);
	assert_null(base64_decode(&a, SPAN_LIT("Zm9v\0")).ptr);
	assert_null(base64_decode(&a, SPAN_LIT("Zm\0v")).ptr);
	arena_free(&a);
}

static void test_base64url(void **state UNUSED)
{
	static const char *const bad[] = {"Zm9vYg==", "+/", "Zm 9v", "Z", "Zh", "Zm9v\n", "\xfb"};
	struct arena a = {0};
	assert_true(span_eq_str(base64url_decode(&a, SPAN_LIT("Zm9vYg")), "foob"));
	assert_true(span_eq_str(base64url_decode(&a, SPAN_LIT("-_8")), "\xfb\xff"));
	assert_non_null(base64url_decode(&a, SPAN_LIT("")).ptr);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_null(base64url_decode(&a, span_of(bad[i])).ptr);
	arena_free(&a);
}

static void test_base64_lengths(void **state UNUSED)
{
	unsigned char bytes[600];
	struct arena a = {0};
	srand(2);
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (unsigned char)rand();
	for (size_t n = 0; n <= sizeof(bytes); n++) {
		struct span s = span_make(bytes, n), text = base64_encode_arena(&a, s);
		assert_int_equal(text.len, (n + 2) / 3 * 4);
		assert_true(span_eq(base64_decode(&a, text), s));
	}
	arena_free(&a);
}

/* Every byte at every place of three lengths, as libsodium sees it (which takes 0x80 and up for
 * plus). */
static void test_base64_each_byte(void **state UNUSED)
{
	struct arena a = {0};
	static const char *const texts[] = {"Zm9vYmFyYmF6cXV4", "Zm9vYmFyYmE=", "Zm9vYg=="};
	for (size_t t = 0; t < ARRAY_LEN(texts); t++) {
		char text[20];
		size_t len = strlen(texts[t]);
		for (size_t at = 0; at < len; at++) {
			for (int c = 0; c < 256; c++) {
				unsigned char want[16];
				size_t want_len;
				memcpy(text, texts[t], len);
				text[at] = (char)c;
				bool good = c < 0x80 && sodium_base642bin(want, sizeof(want), text,
							    len, NULL, &want_len, NULL,
							    sodium_base64_VARIANT_ORIGINAL) == 0;
				struct span got = base64_decode(&a, span_make(text, len));
				assert_int_equal(got.ptr != NULL, good);
				if (good)
					assert_true(span_eq(got, span_make(want, want_len)));
			}
		}
		arena_reset(&a);
	}
	arena_free(&a);
}

static void test_hex(void **state UNUSED)
{
	static const char *const bad[] = {"0", "0g", "abc", "00 ", " 00", "0x00", "00:00", "zz"};
	struct arena a = {0};
	assert_true(span_eq_str(hex_encode_arena(&a, SPAN_LIT("\x00\x9f\xff")), "009fff"));
	assert_true(span_eq_str(hex_encode_arena(&a, SPAN_LIT("")), ""));
	assert_true(span_eq(hex_decode(&a, SPAN_LIT("009fFF")), SPAN_LIT("\x00\x9f\xff")));
	assert_non_null(hex_decode(&a, SPAN_LIT("")).ptr);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_null(hex_decode(&a, span_of(bad[i])).ptr);
	arena_free(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_escape),
	    cmocka_unit_test(test_unescape_odd),
	    cmocka_unit_test(test_escape_all_bytes),
	    cmocka_unit_test(test_base64_good),
	    cmocka_unit_test(test_base64_bad),
	    cmocka_unit_test(test_base64_lengths),
	    cmocka_unit_test(test_base64url),
	    cmocka_unit_test(test_base64_each_byte),
	    cmocka_unit_test(test_hex),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
