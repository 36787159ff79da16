/*
 * PRECIS: the examples of RFC 8265 (3.5, 4.3), each contextual rule of RFC
 * 5892, the Bidi rule of RFC 5893, and what is no text at all.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/precis.h"

#define MAPPED PRECIS_USERNAME_CASE_MAPPED
#define PRESERVED PRECIS_USERNAME_CASE_PRESERVED
#define OPAQUE PRECIS_OPAQUE_STRING

/* out NULL: it is refused */
static void check(enum precis_profile profile, const char *in, const char *out)
{
	struct arena a = {0};
	struct err err = {0};
	struct span got = precis_enforce(profile, span_of(in), &a, &err);
	if (out == NULL && got.ptr != NULL)
		fail_msg("\"%s\" became \"%.*s\"", in, SPAN_ARG(got));
	if (out != NULL && (got.ptr == NULL || !span_eq_str(got, out)))
		fail_msg(
		    "\"%s\" became \"%.*s\" (%s), not \"%s\"", in, SPAN_ARG(got), err.text, out);
	assert_true(out != NULL || err.text[0] != '\0');
	/* what is prepared stays as it is */
	if (out != NULL)
		assert_true(span_eq_str(precis_enforce(profile, got, &a, &err), out));
	arena_free(&a);
}

static void test_rfc8265_user_names(void **state UNUSED)
{
	check(MAPPED, "juliet@example.com", "juliet@example.com");
	check(MAPPED, "fussball", "fussball");
	check(MAPPED,
	    "fu\xc3\x9f"
	    "ball",
	    "fu\xc3\x9f"
	    "ball");
	check(MAPPED, "\xcf\x80", "\xcf\x80");	  /* pi */
	check(MAPPED, "\xce\xa3", "\xcf\x83");	  /* capital sigma */
	check(PRESERVED, "\xce\xa3", "\xce\xa3"); /* stays */
	check(MAPPED, "\xcf\x83", "\xcf\x83");
	check(MAPPED, "\xcf\x82", "\xcf\x82"); /* final sigma */
	check(MAPPED, "", NULL);
	check(MAPPED, "henry\xe2\x85\xa3", NULL); /* Roman numeral four */
	check(PRESERVED, "henry\xe2\x85\xa3", NULL);
	check(MAPPED, "\xe2\x99\x9a", NULL); /* black chess king */
	check(MAPPED, "foo bar", "foo bar"); /* two parts */
	check(MAPPED, " foo", NULL);
	check(MAPPED, "foo ", NULL);
}

static void test_rfc8265_passwords(void **state UNUSED)
{
	check(OPAQUE, "correct horse battery staple", "correct horse battery staple");
	check(OPAQUE, "Correct Horse Battery Staple", "Correct Horse Battery Staple");
	check(OPAQUE, "\xcf\x80\xc3\x9f\xc3\xa5", "\xcf\x80\xc3\x9f\xc3\xa5");
	check(OPAQUE, "Jack of \xe2\x99\xa6s", "Jack of \xe2\x99\xa6s");
	check(OPAQUE,
	    "foo\xe1\x9a\x80"
	    "bar",
	    "foo bar"); /* Ogham space mark */
	check(OPAQUE, "", NULL);
	check(OPAQUE, "my cat is a \tby", NULL);
}

static void test_forms(void **state UNUSED)
{
	/* A with ring: composed, of two characters, the Angstrom sign */
	check(PRESERVED, "\xc3\x85", "\xc3\x85");
	check(PRESERVED, "A\xcc\x8a", "\xc3\x85");
	check(MAPPED, "A\xcc\x8a", "\xc3\xa5");
	check(OPAQUE, "A\xcc\x8a", "\xc3\x85");
	check(OPAQUE, "\xe2\x84\xab", "\xc3\x85");
	/* fullwidth letters: names only */
	check(PRESERVED, "\xef\xbc\xb4\xef\xbd\x89\xef\xbd\x8d", "Tim");
	check(MAPPED, "\xef\xbc\xb4\xef\xbd\x89\xef\xbd\x8d", "tim");
	check(OPAQUE, "\xef\xbc\xb4", "\xef\xbc\xb4");
	check(MAPPED, "TIM", "tim");
	check(PRESERVED, "TIM", "TIM");
}

static void test_context(void **state UNUSED)
{
	check(MAPPED, "l\xc2\xb7l", "l\xc2\xb7l"); /* middle dot between two l */
	check(MAPPED, "a\xc2\xb7l", NULL);
	check(MAPPED, "l\xc2\xb7", NULL);
	check(MAPPED, "\xcd\xb5\xce\xb1", "\xcd\xb5\xce\xb1"); /* keraia before Greek */
	check(MAPPED,
	    "\xcd\xb5"
	    "a",
	    NULL);
	check(MAPPED, "\xd7\x90\xd7\xb3", "\xd7\x90\xd7\xb3"); /* geresh after Hebrew */
	check(MAPPED, "a\xd7\xb3", NULL);
	check(MAPPED, "\xd7\x90\xd7\xb4\xd7\x91", "\xd7\x90\xd7\xb4\xd7\x91"); /* gershayim */
	check(
	    MAPPED, "\xe3\x82\xab\xe3\x83\xbb\xe3\x82\xab", "\xe3\x82\xab\xe3\x83\xbb\xe3\x82\xab");
	check(MAPPED, "a\xe3\x83\xbb", NULL);	 /* katakana middle dot alone */
	check(MAPPED, "\xd9\xa1\xdb\xb1", NULL); /* both kinds of Arabic digits */
	check(MAPPED, "\xd8\xa7\xd9\xa1", "\xd8\xa7\xd9\xa1");
	check(MAPPED, "\xd8\xa7\xdb\xb1", "\xd8\xa7\xdb\xb1");
	/* joiners: after a virama, or between letters that join */
	check(
	    MAPPED, "\xe0\xa4\x95\xe0\xa5\x8d\xe2\x80\x8d", "\xe0\xa4\x95\xe0\xa5\x8d\xe2\x80\x8d");
	check(MAPPED,
	    "a\xe2\x80\x8d"
	    "b",
	    NULL);
	check(MAPPED, "\xd8\xa8\xe2\x80\x8c\xd8\xa8", "\xd8\xa8\xe2\x80\x8c\xd8\xa8");
	check(MAPPED,
	    "a\xe2\x80\x8c"
	    "b",
	    NULL);
	check(MAPPED, "\xe2\x80\x8c", NULL);
}

/* Rules about the whole text, also where its first such character is not the first of all. */
static void test_context_of_many(void **state UNUSED)
{
	check(PRESERVED, "\xe3\x83\xbb\xe3\x83\xbb\xe3\x82\xab\xe3\x83\xbb",
	    "\xe3\x83\xbb\xe3\x83\xbb\xe3\x82\xab\xe3\x83\xbb");
	check(PRESERVED, "a\xe3\x83\xbb\xe3\x83\xbb", NULL);
	check(OPAQUE, "\xd9\xa0\xd9\xa1\xd9\xa9", "\xd9\xa0\xd9\xa1\xd9\xa9");
	check(OPAQUE, "\xd9\xa0\xd9\xa1\xdb\xb0", NULL);
	check(OPAQUE, "\xdb\xb0\xdb\xb1\xd9\xa0", NULL);
	check(OPAQUE, "\xdb\xb0\xdb\xb1", "\xdb\xb0\xdb\xb1");
}

static void test_directions(void **state UNUSED)
{
	check(MAPPED, "\xd7\x90\xd7\x91", "\xd7\x90\xd7\x91");
	check(MAPPED,
	    "\xd7\x90"
	    "1",
	    "\xd7\x90"
	    "1");
	check(MAPPED, "1\xd7\x90", NULL); /* does not begin with a letter */
	check(MAPPED,
	    "\xd7\x90"
	    "a",
	    NULL);
	check(MAPPED, "a\xd7\x90", NULL);
	check(MAPPED, "\xd7\x90-", NULL);		       /* ends with a neutral one */
	check(MAPPED, "\xd7\x90\xd6\xb8", "\xd7\x90\xd6\xb8"); /* a point after the letter */
	check(MAPPED,
	    "\xd8\xa7\xd9\xa1"
	    "1",
	    NULL); /* European and Arabic digits */
	check(OPAQUE,
	    "1\xd7\x90"
	    "a",
	    "1\xd7\x90"
	    "a"); /* passwords are free */
}

static void test_what_is_never_allowed(void **state UNUSED)
{
	static const char *const never[] = {
	    "\xff",
	    "a\xc3",
	    "\xc0\x80",
	    "\xed\xa0\x80",
	    "\xf4\x90\x80\x80", /* no UTF-8 */
	    "a\xc2\xad"
	    "b",	    /* soft hyphen */
	    "\xe2\x81\xa0", /* word joiner */
	    "\xef\xb7\x90", /* no character */
	    "\xe1\x84\x80", /* conjoining jamo */
	    "\xee\x80\x80", /* private use */
	    "\xd9\x80",	    /* tatweel */
	    "a\x7f",
	    "a\x01",
	};
	for (size_t i = 0; i < ARRAY_LEN(never); i++) {
		check(MAPPED, never[i], NULL);
		check(PRESERVED, never[i], NULL);
		check(OPAQUE, never[i], NULL);
	}
	struct arena a = {0};
	struct err err = {0};
	assert_null(precis_enforce(OPAQUE, span_make("a\0b", 3), &a, &err).ptr);
	arena_free(&a);
}

/* The message must not help who reads the log to guess the password. */
static void test_messages_hide_passwords(void **state UNUSED)
{
	struct arena a = {0};
	struct err err = {0};
	assert_null(precis_enforce(OPAQUE, SPAN_LIT("geheim\xc2\xad"), &a, &err).ptr);
	assert_null(strstr(err.text, "geheim"));
	assert_null(strstr(err.text, "U+"));
	assert_null(precis_enforce(MAPPED, SPAN_LIT("tim\xc2\xad"), &a, &err).ptr);
	assert_non_null(strstr(err.text, "U+00AD"));
	arena_free(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_rfc8265_user_names),
	    cmocka_unit_test(test_rfc8265_passwords),
	    cmocka_unit_test(test_forms),
	    cmocka_unit_test(test_context),
	    cmocka_unit_test(test_context_of_many),
	    cmocka_unit_test(test_directions),
	    cmocka_unit_test(test_what_is_never_allowed),
	    cmocka_unit_test(test_messages_hide_passwords),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
