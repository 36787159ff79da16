/*
 * CRAM-MD5: the example of RFC 2195 section 2, and what must not pass.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/mech-kit.h"

#define CHALLENGE "<1896.697170952@postoffice.reston.mci.net>"
#define DIGEST "b913a602c7eda7a495b4e6e7334d3890"

static void begin(struct mech_run *r)
{
	mech_begin(r, "CRAM-MD5");
	r->context.nonce = SPAN_LIT("1896");
	r->context.now = 697170952;
	r->context.hostname = SPAN_LIT("postoffice.reston.mci.net");
	assert_int_equal(mech_message(r, SPAN_NULL), MECH_CLIENT);
	assert_true(mech_said(r, CHALLENGE));
}

static struct secret tims(struct mech_run *r)
{
	struct scheme_gen g = {0};
	return mech_credential_of(r, "CRAM-MD5", &g, "tanstaaftanstaaf");
}

static void test_example(void **state UNUSED)
{
	static const char *const answers[] = {
	    "tim " DIGEST, "tim B913A602C7EDA7A495B4E6E7334D3890"};
	for (size_t i = 0; i < ARRAY_LEN(answers); i++) {
		struct mech_run r;
		begin(&r);
		assert_int_equal(mech_message(&r, span_of(answers[i])), MECH_CREDENTIAL);
		assert_true(span_eq_str(r.io.user, "tim"));
		assert_string_equal(r.io.scheme, "CRAM-MD5");
		assert_int_equal(mech_credential(&r, VERDICT_OK, tims(&r)), MECH_DONE);
		mech_end(&r);
	}
}

static void test_user_with_spaces(void **state UNUSED)
{
	struct mech_run r;
	begin(&r);
	assert_int_equal(mech_message(&r, SPAN_LIT("a b c " DIGEST)), MECH_CREDENTIAL);
	assert_true(span_eq_str(r.io.user, "a b c"));
	mech_end(&r);
}

static void test_wrong(void **state UNUSED)
{
	struct mech_run r;
	begin(&r);
	assert_int_equal(
	    mech_message(&r, SPAN_LIT("tim b913a602c7eda7a495b4e6e7334d3891")), MECH_CREDENTIAL);
	assert_int_equal(mech_credential(&r, VERDICT_OK, tims(&r)), MECH_FAIL);
	mech_end(&r);
	/* the right answer, but the user is disabled, unknown ... and an outage */
	for (enum verdict v = 0; v < VERDICT_COUNT; v++) {
		if (v == VERDICT_OK)
			continue;
		begin(&r);
		assert_int_equal(mech_message(&r, SPAN_LIT("tim " DIGEST)), MECH_CREDENTIAL);
		struct secret c = v == VERDICT_INTERNAL ? SECRET_NULL : tims(&r);
		assert_int_equal(mech_credential(&r, v, c), MECH_FAIL);
		mech_end(&r);
	}
}

static void test_malformed(void **state UNUSED)
{
	static const char *const answers[] = {"", " ", "tim", "tim ", " " DIGEST, DIGEST,
	    "tim " DIGEST "0", "tim " DIGEST " ", "tim b913a602c7eda7a495b4e6e7334d389",
	    "tim g913a602c7eda7a495b4e6e7334d3890"};
	for (size_t i = 0; i < ARRAY_LEN(answers); i++) {
		struct mech_run r;
		begin(&r);
		assert_int_equal(mech_message(&r, span_of(answers[i])), MECH_FAIL);
		assert_null(r.io.user.ptr);
		mech_end(&r);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_example),
	    cmocka_unit_test(test_user_with_spaces),
	    cmocka_unit_test(test_wrong),
	    cmocka_unit_test(test_malformed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
