/*
 * GSSAPI and GSS-SPNEGO as the front sees them: what comes after what. What
 * the helper does with real tickets is in tests/e2e/test_mech_gssapi.py.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/mech-kit.h"

static enum mech_next helper_says(struct mech_run *r, enum verdict v, struct span message)
{
	r->io.exchange.message = secret_of(message);
	if (v == VERDICT_OK && !r->io.exchange.authorize)
		r->io.user = SPAN_LIT("tim");
	return mech_verdict(r, v);
}

/* Up to the question whether he may be that user. */
static void go_to_authorize(struct mech_run *r, const char *name, struct span last, enum verdict v)
{
	mech_begin(r, name);
	assert_int_equal(mech_message(r, SPAN_LIT("ticket")), MECH_EXCHANGE);
	assert_true(span_eq_str(secret_reveal(r->io.exchange.message), "ticket"));
	assert_false(r->io.exchange.authorize);
	assert_int_equal(helper_says(r, VERDICT_NEXT, SPAN_LIT("token")), MECH_CLIENT);
	assert_true(span_eq_str(r->io.out, "token"));
	assert_int_equal(mech_message(r, SPAN_LIT("")), MECH_EXCHANGE);
	assert_int_equal(helper_says(r, VERDICT_OK, last), MECH_USER);
	assert_int_equal(mech_verdict(r, VERDICT_OK), MECH_CREDENTIAL);
	assert_string_equal(r->io.scheme, "");
	assert_int_equal(mech_verdict(r, v), MECH_EXCHANGE);
	assert_true(r->io.exchange.authorize);
}

static void test_login(void **state UNUSED)
{
	struct mech_run r;
	go_to_authorize(&r, "GSSAPI", SPAN_NULL, VERDICT_OK);
	assert_int_equal(helper_says(&r, VERDICT_OK, SPAN_NULL), MECH_DONE);
	assert_null(r.io.out.ptr);
	mech_end(&r);
}

static void test_last_message_goes_with_the_success(void **state UNUSED)
{
	struct mech_run r;
	go_to_authorize(&r, "GSS-SPNEGO", SPAN_LIT("bye"), VERDICT_OK);
	assert_int_equal(helper_says(&r, VERDICT_OK, SPAN_NULL), MECH_DONE);
	assert_true(span_eq_str(r.io.out, "bye"));
	mech_end(&r);
}

static void test_every_other_verdict_of_the_helper_fails(void **state UNUSED)
{
	for (int v = 0; v < VERDICT_COUNT; v++) {
		struct mech_run r;
		if (v == VERDICT_OK)
			continue;
		go_to_authorize(&r, "GSSAPI", SPAN_NULL, VERDICT_UNKNOWN_USER);
		assert_int_equal(helper_says(&r, (enum verdict)v, SPAN_NULL), MECH_FAIL);
		mech_end(&r);
		if (v == VERDICT_NEXT)
			continue;
		mech_begin(&r, "GSSAPI");
		assert_int_equal(mech_message(&r, SPAN_LIT("ticket")), MECH_EXCHANGE);
		assert_int_equal(helper_says(&r, (enum verdict)v, SPAN_NULL), MECH_FAIL);
		mech_end(&r);
	}
}

/* The ticket says who he is; the passdbs can only forbid, or fail to say. */
static void test_what_passdbs_say(void **state UNUSED)
{
	static const enum verdict stops[] = {VERDICT_INTERNAL, VERDICT_DISABLED, VERDICT_EXPIRED};
	static const enum verdict goes_on[] = {
	    VERDICT_OK, VERDICT_UNKNOWN_USER, VERDICT_MISMATCH, VERDICT_NO_SCHEME};
	struct mech_run r;
	for (size_t i = 0; i < ARRAY_LEN(goes_on); i++) {
		go_to_authorize(&r, "GSSAPI", SPAN_NULL, goes_on[i]);
		mech_end(&r);
	}
	for (size_t i = 0; i < ARRAY_LEN(stops); i++) {
		mech_begin(&r, "GSSAPI");
		assert_int_equal(mech_message(&r, SPAN_LIT("ticket")), MECH_EXCHANGE);
		assert_int_equal(helper_says(&r, VERDICT_OK, SPAN_NULL), MECH_USER);
		assert_int_equal(mech_verdict(&r, VERDICT_OK), MECH_CREDENTIAL);
		assert_int_equal(mech_verdict(&r, stops[i]), MECH_FAIL);
		mech_end(&r);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_login),
	    cmocka_unit_test(test_last_message_goes_with_the_success),
	    cmocka_unit_test(test_every_other_verdict_of_the_helper_fails),
	    cmocka_unit_test(test_what_passdbs_say),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
