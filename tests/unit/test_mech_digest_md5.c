/*
 * DIGEST-MD5: the example of RFC 2831 section 4, what is optional in an answer,
 * and what must not pass.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/buffer.h"
#include "tests/unit/mech-kit.h"

#define USER "username=\"chris\""
#define REALM "realm=\"elwood.innosoft.com\""
#define NONCE "nonce=\"OA6MG9tEQGm2hh\""
#define CNONCE "cnonce=\"OA6MHXh6VqTrRk\""
#define URI "digest-uri=\"imap/elwood.innosoft.com\""
#define RESPONSE "response=d388dad90d4bbd760a152321f2143af7"
#define REST NONCE "," CNONCE "," URI "," RESPONSE
#define ANSWER "charset=utf-8," USER "," REALM ",nc=00000001,qop=auth," REST

static void begin(struct mech_run *r, const char *realms)
{
	mech_begin(r, "DIGEST-MD5");
	r->context.nonce = SPAN_LIT("OA6MG9tEQGm2hh");
	r->context.realms = span_of(realms);
	assert_int_equal(mech_message(r, SPAN_NULL), MECH_CLIENT);
}

static struct secret secret(struct mech_run *r)
{
	struct scheme_gen g = {.salt = r->io.salt};
	return mech_credential_of(r, "DIGEST-MD5", &g, "secret");
}

static void test_challenge(void **state UNUSED)
{
	static const struct {
		const char *realms, *begins;
	} cases[] = {{"", "realm=\"\",nonce"}, {"a.example", "realm=\"a.example\",nonce"},
	    {"a.example b.example", "realm=\"a.example\",realm=\"b.example\",nonce"},
	    {"a\"b\\", "realm=\"a\\\"b\\\\\",nonce"}};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct mech_run r;
		char text[200];
		begin(&r, cases[i].realms);
		snprintf(text, sizeof(text),
		    "%s=\"OA6MG9tEQGm2hh\",qop=\"auth\",charset=utf-8,algorithm=md5-sess",
		    cases[i].begins);
		assert_true(mech_said(&r, text));
		mech_end(&r);
	}
}

static void accepted(const char *answer, const char *user)
{
	struct mech_run r;
	begin(&r, "elwood.innosoft.com");
	assert_int_equal(mech_message(&r, span_of(answer)), MECH_CREDENTIAL);
	assert_true(span_eq_str(r.io.user, user));
	assert_string_equal(r.io.scheme, "DIGEST-MD5");
	assert_int_equal(mech_credential(&r, VERDICT_OK, secret(&r)), MECH_DONE);
	assert_true(mech_said(&r, "rspauth=ea40f60335c427b5527b84dbabcdfffd"));
	mech_end(&r);
}

static void test_example(void **state UNUSED)
{
	static const char *const answers[] = {ANSWER,
	    /* what may be left out, other spelling, white space, unknown words, empty elements */
	    USER "," REALM "," REST,
	    " , " USER " ,\t" REALM ",,cipher=rc4, x=\"a,b\\\"=\" ," REST " ,",
	    "USERNAME=\"ch\\ris\"," REALM ",realm=\"other\",maxbuf=1024," REST,
	    USER ",realm=\"\"," REALM "," NONCE "," CNONCE "," URI
		 ",response=D388DAD90D4BBD760A152321F2143AF7",
	    USER "," REALM ",qop=\"auth\"," REST};
	for (size_t i = 0; i < ARRAY_LEN(answers); i++)
		accepted(answers[i], "chris@elwood.innosoft.com");
}

static void test_user_with_a_domain_keeps_it(void **state UNUSED)
{
	struct mech_run r;
	begin(&r, "");
	assert_int_equal(
	    mech_message(&r, SPAN_LIT("username=\"t\xc3\xa4@a.example\"," REALM "," REST)),
	    MECH_CREDENTIAL);
	assert_true(span_eq_str(r.io.user, "t\xc3\xa4@a.example"));
	assert_true(span_eq_str(r.io.salt, "t\xc3\xa4@a.example:elwood.innosoft.com"));
	mech_end(&r);
	begin(&r, "");
	assert_int_equal(
	    mech_message(&r, SPAN_LIT(USER "," REST ",authzid=\"boss\"")), MECH_CREDENTIAL);
	assert_true(span_eq_str(r.io.user, "chris"));
	assert_true(span_eq_str(r.io.salt, "chris:"));
	assert_true(span_eq_str(r.io.authzid, "boss"));
	mech_end(&r);
}

static void test_malformed(void **state UNUSED)
{
	static const char *const bad[] = {"", ",", "x", "=", "=x", USER, "username=\"chris", "a=\"",
	    "a=\"b\"c," USER "," REST, REALM "," REST, "username=\"\"," REST,
	    USER "," CNONCE "," URI "," RESPONSE, USER "," NONCE "," URI "," RESPONSE,
	    USER ",nonce=\"x\"," CNONCE "," URI "," RESPONSE,
	    USER ",cnonce=\"\"," NONCE "," RESPONSE, USER "," NONCE "," CNONCE "," URI,
	    USER "," NONCE "," CNONCE ",response=d388",
	    USER "," NONCE "," CNONCE ",response=d388dad90d4bbd760a152321f2143af",
	    USER "," NONCE "," CNONCE ",response=x388dad90d4bbd760a152321f2143af7",
	    USER ",nc=00000002," REST, USER ",nc=1," REST, USER ",nc=," REST,
	    USER ",qop=auth-int," REST, USER ",qop=," REST, USER ",charset=iso-8859-1," REST,
	    USER ",maxbuf=0," REST, USER ",maxbuf=x," REST, USER ",authzid=\"\"," REST,
	    USER "," USER "," REST, USER "," CNONCE "," REST, USER "," NONCE "," REST,
	    USER ",nc=00000001,nc=00000001," REST, USER ",maxbuf=1,maxbuf=1," REST,
	    USER ",authzid=a,authzid=a," REST,
	    USER "," NONCE "," CNONCE ",digest-uri=\"imap\"," RESPONSE};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct mech_run r;
		begin(&r, "");
		assert_int_equal(mech_message(&r, span_of(bad[i])), MECH_FAIL);
		assert_non_null(r.io.why);
		mech_end(&r);
	}
}

static size_t arena_used(const struct arena *a)
{
	size_t used = 0;
	for (const struct arena_chunk *c = a->chunks; c != NULL; c = c->next)
		used += c->used;
	return used;
}

/* A message is short; what is made of it must be, too, while many of them wait to be refused. */
static void test_many_values_cost_no_more_than_their_length(void **state UNUSED)
{
	struct buffer b = {0};
	struct mech_run r;
	begin(&r, "");
	while (b.len < 12000)
		buffer_append_str(&b, "x=\"\",");
	buffer_append_str(&b, "x=\"never closed\\");
	size_t before = arena_used(&r.arena);
	assert_int_equal(mech_message(&r, buffer_span(&b)), MECH_FAIL);
	assert_true(arena_used(&r.arena) - before < 8 * b.len);
	mech_end(&r);
	buffer_free(&b);
}

static enum mech_next login_with(struct span answer)
{
	struct mech_run r;
	begin(&r, "");
	enum mech_next next = mech_message(&r, answer);
	struct scheme_gen g = {.salt = SPAN_LIT("chris:elwood.innosoft.com")};
	if (next == MECH_CREDENTIAL)
		next = mech_credential(
		    &r, VERDICT_OK, mech_credential_of(&r, "DIGEST-MD5", &g, "secret"));
	mech_end(&r);
	return next;
}

static void test_any_change_of_a_value_is_refused(void **state UNUSED)
{
	static const char *const values[] = {"00000001", "auth,", "OA6MG9tEQGm2hh",
	    "OA6MHXh6VqTrRk", "imap/", "d388dad90d4bbd760a152321f2143af7"};
	char message[] = ANSWER;
	struct span all = span_make(message, sizeof(message) - 1);
	assert_int_equal(login_with(all), MECH_DONE);
	for (size_t i = 0; i < ARRAY_LEN(values); i++) {
		char *value = strstr(message, values[i]);
		for (size_t at = 0; at < strlen(values[i]); at++) {
			value[at] ^= 1;
			assert_int_equal(login_with(all), MECH_FAIL);
			value[at] ^= 1;
		}
	}
}

static void test_verdicts(void **state UNUSED)
{
	for (enum verdict v = 0; v < VERDICT_COUNT; v++) {
		struct mech_run r;
		if (v == VERDICT_OK)
			continue;
		begin(&r, "");
		assert_int_equal(mech_message(&r, SPAN_LIT(ANSWER)), MECH_CREDENTIAL);
		struct secret c = v == VERDICT_INTERNAL ? SECRET_NULL : secret(&r);
		assert_int_equal(mech_credential(&r, v, c), MECH_FAIL);
		assert_null(r.io.out.ptr);
		mech_end(&r);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_challenge),
	    cmocka_unit_test(test_example),
	    cmocka_unit_test(test_user_with_a_domain_keeps_it),
	    cmocka_unit_test(test_malformed),
	    cmocka_unit_test(test_many_values_cost_no_more_than_their_length),
	    cmocka_unit_test(test_any_change_of_a_value_is_refused),
	    cmocka_unit_test(test_verdicts),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
