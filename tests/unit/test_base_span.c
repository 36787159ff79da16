/*
 * Spans: what counts as absent, empty, a field, a word, a number, a match.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/span.h"

static void split_into(char *out, size_t size, struct span rest, char sep)
{
	struct span field;
	size_t n = 0;
	out[0] = '\0';
	while (span_split(&rest, sep, &field))
		n += (size_t)snprintf(out + n, size - n, "<%.*s>", SPAN_ARG(field));
}

static void test_split(void **state UNUSED)
{
	static const struct {
		const char *in, *out;
	} cases[] = {
	    {NULL, ""},
	    {"", "<>"},
	    {"a", "<a>"},
	    {"a\t", "<a><>"},
	    {"\ta", "<><a>"},
	    {"\t", "<><>"},
	    {"a\t\tb", "<a><><b>"},
	    {"OK\t1\tuser=tim\t", "<OK><1><user=tim><>"},
	};
	char out[64];
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		split_into(out, sizeof(out), span_of(cases[i].in), '\t');
		assert_string_equal(out, cases[i].out);
	}
}

static void test_split_on_nul(void **state UNUSED)
{
	struct span rest = SPAN_LIT("a\0\0b"), field;
	assert_true(span_split(&rest, '\0', &field));
	assert_true(span_eq_str(field, "a"));
	assert_true(span_split(&rest, '\0', &field));
	assert_int_equal(field.len, 0);
	assert_non_null(field.ptr);
	assert_true(span_split(&rest, '\0', &field));
	assert_true(span_eq_str(field, "b"));
	assert_false(span_split(&rest, '\0', &field));
	assert_false(span_split(&rest, '\0', &field));
}

static void words_into(char *out, size_t size, struct span rest)
{
	struct span word;
	size_t n = 0;
	out[0] = '\0';
	while (span_word(&rest, " ,\t", &word))
		n += (size_t)snprintf(out + n, size - n, "<%.*s>", SPAN_ARG(word));
	assert_null(rest.ptr);
}

static void test_words(void **state UNUSED)
{
	static const struct {
		const char *in, *out;
	} cases[] = {
	    {NULL, ""},
	    {"", ""},
	    {" ,\t, ", ""},
	    {"plain", "<plain>"},
	    {"  plain,login ", "<plain><login>"},
	    {"a,,b\t c", "<a><b><c>"},
	};
	char out[64];
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		words_into(out, sizeof(out), span_of(cases[i].in));
		assert_string_equal(out, cases[i].out);
	}
}

static void test_nul_is_no_separator(void **state UNUSED)
{
	struct span rest = SPAN_LIT("a\0b c"), word;
	assert_true(span_word(&rest, " ", &word));
	assert_int_equal(word.len, 3);
}

static void test_numbers(void **state UNUSED)
{
	static const char *const bad[] = {"", " 1", "1 ", "+1", "-1", "0x1", "1a",
	    "18446744073709551616", "99999999999999999999"};
	uint64_t v = 7;
	uint32_t w = 7;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		assert_false(span_to_u64(span_of(bad[i]), &v));
		assert_false(span_to_u32(span_of(bad[i]), &w));
	}
	assert_false(span_to_u64(SPAN_NULL, &v));
	assert_false(span_to_u64(SPAN_LIT("1\0"), &v));
	assert_int_equal(v, 7);
	assert_true(span_to_u64(SPAN_LIT("18446744073709551615"), &v));
	assert_true(v == UINT64_MAX);
	assert_true(span_to_u64(SPAN_LIT("0000000000000000000000012"), &v));
	assert_int_equal(v, 12);
	assert_true(span_to_u32(SPAN_LIT("4294967295"), &w));
	assert_true(w == UINT32_MAX);
	assert_false(span_to_u32(SPAN_LIT("4294967296"), &w));
}

static void test_wildcards(void **state UNUSED)
{
	static const struct {
		const char *s, *pattern;
		bool match, folded;
	} cases[] = {
	    {"", "", true, true},
	    {"", "*", true, true},
	    {"", "**", true, true},
	    {"", "?", false, false},
	    {"a", "", false, false},
	    {"a", "?", true, true},
	    {"ab", "?", false, false},
	    {"Tim", "tim", false, true},
	    {"tim@Example.com", "*@example.com", false, true},
	    {"tim@example.com", "*@*", true, true},
	    {"tim", "*@*", false, false},
	    {"aab", "*ab", true, true},
	    {"ababab", "*ab?b", true, true},
	    {"abcabd", "a*c*d", true, true},
	    {"abcabd", "a*c*e", false, false},
	    {"mississippi", "m*iss*ip?i", true, true},
	    {"*", "?", true, true},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct span s = span_of(cases[i].s), p = span_of(cases[i].pattern);
		assert_int_equal(span_matches(s, p, false), cases[i].match);
		assert_int_equal(span_matches(s, p, true), cases[i].folded);
	}
	/* many stars over a long name must come to an end */
	char name[512], pattern[] = "*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*b";
	memset(name, 'a', sizeof(name));
	assert_false(span_matches(span_make(name, sizeof(name)), span_of(pattern), false));
}

static void test_cutting(void **state UNUSED)
{
	struct span s = SPAN_LIT("abc");
	assert_true(span_eq_str(span_skip(s, 1), "bc"));
	assert_int_equal(span_skip(s, 9).len, 0);
	assert_non_null(span_skip(s, 9).ptr);
	assert_null(span_skip(SPAN_NULL, 9).ptr);
	assert_true(span_eq_str(span_first(s, 2), "ab"));
	assert_true(span_eq_str(span_first(s, 9), "abc"));
	assert_int_equal(span_find(SPAN_LIT("a@b@c"), '@'), 1);
	assert_int_equal(span_rfind(SPAN_LIT("a@b@c"), '@'), 3);
	assert_int_equal(span_find(s, '@'), -1);
	assert_int_equal(span_find(SPAN_NULL, '@'), -1);
	assert_true(span_eq_str(span_trim(SPAN_LIT(" \t a b\r\n")), "a b"));
	assert_int_equal(span_trim(SPAN_LIT(" \t ")).len, 0);
	assert_int_equal(span_trim(SPAN_NULL).len, 0);
}

static void test_comparing(void **state UNUSED)
{
	assert_true(span_eq(SPAN_NULL, SPAN_LIT(""))); /* as values; absence is told by ptr */
	assert_false(span_eq(SPAN_LIT("a"), SPAN_LIT("a\0")));
	assert_true(span_eq_ci(SPAN_LIT("PLAIN"), SPAN_LIT("plain")));
	assert_false(span_eq_ci(SPAN_LIT("PLAIN"), SPAN_LIT("plai")));
	assert_true(span_starts(SPAN_LIT("userdb_x"), "userdb_"));
	assert_false(span_starts(SPAN_LIT("userdb"), "userdb_"));
}

static void test_to_cstr(void **state UNUSED)
{
	char buf[4];
	assert_true(span_to_cstr(SPAN_LIT("abc"), buf, sizeof(buf)));
	assert_string_equal(buf, "abc");
	assert_false(span_to_cstr(SPAN_LIT("abcd"), buf, sizeof(buf)));
	assert_string_equal(buf, "abc");
	assert_false(span_to_cstr(SPAN_LIT("a\0c"), buf, sizeof(buf)));
	assert_true(span_to_cstr(SPAN_NULL, buf, sizeof(buf)));
	assert_string_equal(buf, "");
}

/* Each byte at each place, in lengths below, at and above the sixteen that are looked at together.
 */
static void test_has_control(void **state UNUSED)
{
	char text[40];
	for (size_t len = 0; len <= sizeof(text); len++) {
		memset(text, 'a', sizeof(text));
		assert_false(span_has_control(span_make(text, len)));
		for (size_t at = 0; at < sizeof(text); at++) {
			for (int c = 0; c < 256; c++) {
				text[at] = (char)c;
				assert_int_equal(span_has_control(span_make(text, len)),
				    at < len && (c < 0x20 || c == 0x7f));
			}
			text[at] = 'a';
		}
	}
	assert_false(span_has_control(SPAN_NULL));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_split),
	    cmocka_unit_test(test_split_on_nul),
	    cmocka_unit_test(test_words),
	    cmocka_unit_test(test_nul_is_no_separator),
	    cmocka_unit_test(test_numbers),
	    cmocka_unit_test(test_wildcards),
	    cmocka_unit_test(test_cutting),
	    cmocka_unit_test(test_comparing),
	    cmocka_unit_test(test_to_cstr),
	    cmocka_unit_test(test_has_control),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
