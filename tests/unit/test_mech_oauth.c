/*
 * OAUTHBEARER and XOAUTH2: the examples of RFC 7628 section 4 and of Google's
 * documentation, and what must be refused.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/mech-kit.h"

#define BEARER "OAUTHBEARER"
#define A "\x01"

static void accepts(const char *mech, struct span in, const char *user, const char *token)
{
	struct mech_run r;
	mech_begin(&r, mech);
	assert_int_equal(mech_message(&r, in), MECH_VERIFY);
	assert_true(span_eq_str(r.io.user, user));
	assert_null(r.io.authzid.ptr);
	assert_true(span_eq_str(secret_reveal(r.io.password), token));
	assert_int_equal(mech_verdict(&r, VERDICT_OK), MECH_DONE);
	assert_null(r.io.out.ptr);
	assert_true(span_eq_str(r.io.user, user));
	mech_end(&r);
}

static void refuses(const char *mech, struct span in)
{
	struct mech_run r;
	mech_begin(&r, mech);
	if (mech_message(&r, in) != MECH_FAIL)
		fail_msg("%s took %.*s", mech, SPAN_ARG(in));
	assert_non_null(r.io.why);
	assert_null(r.io.user.ptr);
	assert_false(secret_is_set(r.io.password));
	assert_true(span_eq_str(r.io.out,
	    strcmp(mech, BEARER) == 0 ? "{\"status\":\"invalid_request\",\"scope\":\"mail\"}"
				      : "{\"status\":\"400\",\"schemes\":\"bearer\","
					"\"scope\":\"mail\"}"));
	mech_end(&r);
}

static void test_rfc_7628(void **state UNUSED)
{
	accepts(BEARER,
	    SPAN_LIT("n,a=user@example.com," A "host=server.example.com" A "port=143" A
		     "auth=Bearer vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==" A A),
	    "user@example.com", "vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==");
	accepts(BEARER, SPAN_LIT("y,a=frop=2Cfriep=3Dfrml," A "auth=bEARER  t" A A),
	    "frop,friep=frml", "t");
	accepts(BEARER, SPAN_LIT("n,a=r\xc3\xa9mi," A "auth=Bearer a=b" A "x=\t\r\n" A A),
	    "r\xc3\xa9mi", "a=b");
}

static void test_xoauth2(void **state UNUSED)
{
	accepts("XOAUTH2",
	    SPAN_LIT("user=someuser@example.com" A "auth=Bearer ya29.vF9dft4qmTc2Nvb3RlckBhdH"
		     "RhdmlzdGEuY29tCg" A A),
	    "someuser@example.com", "ya29.vF9dft4qmTc2Nvb3RlckBhdHRhdmlzdGEuY29tCg");
	accepts("XOAUTH2", SPAN_LIT("auth=bearer t" A "user=r\xc3\xa9mi" A A), "r\xc3\xa9mi", "t");
}

static void test_bad_headers(void **state UNUSED)
{
	static const char *const bad[] = {"", ",", "n", "n,", "n,,", "q,,", "nn,,", "p,,", "p=,,",
	    "p=tls-exporter,a=u,", "p=_frop,,", "n,a,", "n,a=,", "n,a=fr=p,", "n,a=fr=20p,",
	    "n,a=fr=2cp,", "n,a=x=3", "n,a==,", "Fn,,", "F,n,a=u,", "n,a=u", "n,u=u,", "N,a=u,",
	    "n,a=u,x,", "n,a=u" A ",", " n,a=u,"};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct arena a = {0};
		refuses(BEARER, arena_join(&a, span_of(bad[i]), SPAN_LIT(A "auth=Bearer t" A A)));
		refuses(BEARER, span_of(bad[i]));
		arena_free(&a);
	}
	refuses(BEARER, SPAN_LIT("n,a=u\0v," A "auth=Bearer t" A A));
	refuses(BEARER, SPAN_LIT(A));
	refuses(BEARER, SPAN_NULL);
}

static void test_bad_pairs(void **state UNUSED)
{
	static const char *const bad[] = {"", A, A A, "auth=Bearer t", "auth=Bearer t" A,
	    "auth=Bearer t" A A A, "auth=Bearer t" A A "x", "auth=token" A A, "auth=" A A,
	    "auth=Bearer" A A, "auth=Bearer " A A, "auth=Basic t" A A, "auth=Bearer a b" A A,
	    "auth=Bearer a\r" A A, "auth=Bearer a\xc3\xa9" A A, "Bearer t" A A, "=Bearer t" A A,
	    "auth=Bearer t" A "auth=Bearer s" A A, "au th=Bearer t" A A, "host" A A,
	    "auth=Bearer t" A "h0st=x" A A, "auth=Bearer t" A "host=\x7f" A A,
	    A "auth=Bearer t" A A, "auth=Bearer a\tb" A A};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct arena a = {0};
		refuses(BEARER, arena_join(&a, SPAN_LIT("n,a=u," A), span_of(bad[i])));
		refuses("XOAUTH2", arena_join(&a, SPAN_LIT("user=u" A), span_of(bad[i])));
		refuses(
		    "XOAUTH2", arena_join(&a, SPAN_LIT("user=u" A "user=u" A), span_of(bad[i])));
		refuses("XOAUTH2", span_of(bad[i]));
		arena_free(&a);
	}
	refuses("XOAUTH2", SPAN_LIT("auth=Bearer t" A A));
	refuses("XOAUTH2", SPAN_LIT("user=" A "auth=Bearer t" A A));
	refuses("XOAUTH2", SPAN_LIT("user=a" A "user=b" A "auth=Bearer t" A A));
	refuses(BEARER, SPAN_LIT("user=u" A "auth=Bearer t" A A));
}

/* Every message cut anywhere is refused: the end is marked. */
static void test_cut(void **state UNUSED)
{
	struct span bearer = SPAN_LIT("n,a=u," A "auth=Bearer t" A A);
	struct span xoauth2 = SPAN_LIT("user=u" A "auth=Bearer t" A A);
	for (size_t i = 0; i < bearer.len; i++)
		refuses(BEARER, span_first(bearer, i));
	for (size_t i = 0; i < xoauth2.len; i++)
		refuses("XOAUTH2", span_first(xoauth2, i));
}

static void hears(const char *mech, enum verdict v, const char *status, const char *want)
{
	struct mech_run r;
	bool bearer = strcmp(mech, BEARER) == 0;
	mech_begin(&r, mech);
	assert_int_equal(mech_message(&r, bearer ? SPAN_LIT("n,a=u," A "auth=Bearer t" A A)
						 : SPAN_LIT("user=u" A "auth=Bearer t" A A)),
	    MECH_VERIFY);
	r.io.told = fields_in(&r.arena);
	if (status != NULL) {
		fields_set_str(&r.io.told, "status", status);
		fields_set_str(&r.io.told, "scope", "a \"b\\\n");
		fields_set_str(&r.io.told, "openid_configuration", "https://id.example/");
	}
	assert_int_equal(mech_verdict(&r, v), MECH_FAIL);
	if (want == NULL)
		assert_null(r.io.out.ptr);
	else
		assert_true(span_eq_str(r.io.out, want));
	mech_end(&r);
}

static void test_refusals(void **state UNUSED)
{
#define TOLD "\"scope\":\"a \\\"b\\\\\\u000a\""
#define MORE ",\"openid-configuration\":\"https://id.example/\"}"
	hears(BEARER, VERDICT_MISMATCH, NULL, "{\"status\":\"invalid_token\",\"scope\":\"mail\"}");
	hears(BEARER, VERDICT_UNKNOWN_USER, "invalid_token",
	    "{\"status\":\"invalid_token\"," TOLD MORE);
	hears(BEARER, VERDICT_DISABLED, "insufficient_scope",
	    "{\"status\":\"insufficient_scope\"," TOLD MORE);
	hears("XOAUTH2", VERDICT_MISMATCH, NULL,
	    "{\"status\":\"401\",\"schemes\":\"bearer\",\"scope\":\"mail\"}");
	hears("XOAUTH2", VERDICT_DISABLED, "insufficient_scope",
	    "{\"status\":\"403\",\"schemes\":\"bearer\"," TOLD "}");
}

static void test_an_outage_says_nothing_of_the_token(void **state UNUSED)
{
	hears(BEARER, VERDICT_INTERNAL, NULL, NULL);
	hears(BEARER, VERDICT_INTERNAL, "invalid_token", NULL);
	hears("XOAUTH2", VERDICT_INTERNAL, "invalid_token", NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_rfc_7628),
	    cmocka_unit_test(test_xoauth2),
	    cmocka_unit_test(test_bad_headers),
	    cmocka_unit_test(test_bad_pairs),
	    cmocka_unit_test(test_cut),
	    cmocka_unit_test(test_refusals),
	    cmocka_unit_test(test_an_outage_says_nothing_of_the_token),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
