/*
 * EXTERNAL (RFC 4422 appendix A), ANONYMOUS (RFC 4505) and APOP, with the
 * example of RFC 1939 section 7 but for the numbers in its challenge.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/mech-kit.h"

static void test_external(void **state UNUSED)
{
	struct mech_run r;
	mech_begin(&r, "EXTERNAL");
	r.context.cert_username = SPAN_LIT("ext");
	assert_int_equal(mech_message(&r, SPAN_LIT("")), MECH_VERIFY);
	assert_true(span_eq_str(r.io.user, "ext"));
	assert_int_equal(r.io.authzid.len, 0);
	assert_true(secret_is_set(r.io.password));
	assert_int_equal(secret_reveal(r.io.password).len, 0);
	assert_int_equal(mech_verdict(&r, VERDICT_OK), MECH_DONE);
	mech_end(&r);
	mech_begin(&r, "EXTERNAL");
	r.context.cert_username = SPAN_LIT("ext");
	assert_int_equal(mech_message(&r, SPAN_LIT("other")), MECH_VERIFY);
	assert_true(span_eq_str(r.io.user, "ext"));
	assert_true(span_eq_str(r.io.authzid, "other"));
	assert_int_equal(mech_verdict(&r, VERDICT_MISMATCH), MECH_FAIL);
	mech_end(&r);
	mech_begin(&r, "EXTERNAL");
	assert_int_equal(mech_message(&r, SPAN_LIT("ext")), MECH_FAIL);
	assert_null(r.io.user.ptr);
	mech_end(&r);
}

static void test_anonymous(void **state UNUSED)
{
	static const struct span traces[] = {
	    {"", 0}, {"sirhc@example.com", 17}, {"a\0b", 3}, {"\xff\xfe\n", 3}};
	for (size_t i = 0; i < ARRAY_LEN(traces); i++) {
		struct mech_run r;
		mech_begin(&r, "ANONYMOUS");
		r.context.anonymous_username = SPAN_LIT("guest");
		assert_int_equal(mech_message(&r, traces[i]), MECH_DONE);
		assert_true(span_eq_str(r.io.user, "guest"));
		assert_true((r.io.why != NULL) == (i > 0));
		mech_end(&r);
	}
	struct mech_run r;
	mech_begin(&r, "ANONYMOUS");
	assert_int_equal(mech_message(&r, SPAN_LIT("x")), MECH_FAIL);
	mech_end(&r);
}

/* Server 0x760, connection 0x2a, since 0x64; now it is 0x1f4. */
#define CHALLENGE "<760.2a.C8.x@dbc.mtview.ca.us>"
/* md5(CHALLENGE "tanstaaf") */
#define DIGEST "\x08\x7a\xca\x22\x37\x26\x17\x81\x09\xa7\x66\xd3\x5b\xfc\xd1\x6d"

static void apop_begin(struct mech_run *r)
{
	mech_begin(r, "APOP");
	r->context.server_pid = 0x760;
	r->context.connect_uid = 0x2a;
	r->context.server_started = 0x64;
	r->context.now = 0x1f4;
}

static void test_apop(void **state UNUSED)
{
	for (enum verdict v = 0; v < VERDICT_COUNT; v++) {
		struct mech_run r;
		apop_begin(&r);
		assert_int_equal(
		    mech_message(&r, SPAN_LIT(CHALLENGE "\0mrose\0" DIGEST)), MECH_CREDENTIAL);
		assert_true(span_eq_str(r.io.user, "mrose"));
		assert_string_equal(r.io.scheme, "PLAIN");
		struct secret c =
		    v == VERDICT_INTERNAL ? SECRET_NULL : secret_of(SPAN_LIT("tanstaaf"));
		assert_int_equal(
		    mech_credential(&r, v, c), v == VERDICT_OK ? MECH_DONE : MECH_FAIL);
		mech_end(&r);
	}
	struct mech_run r;
	apop_begin(&r);
	assert_int_equal(mech_message(&r, SPAN_LIT(CHALLENGE "\0mrose\0" DIGEST)), MECH_CREDENTIAL);
	assert_int_equal(
	    mech_credential(&r, VERDICT_OK, secret_of(SPAN_LIT("tanstaag"))), MECH_FAIL);
	mech_end(&r);
}

static void test_apop_malformed(void **state UNUSED)
{
#define BAD(text)                                                                                  \
	{                                                                                          \
		text, sizeof(text) - 1                                                             \
	}
	static const struct span bad[] = {BAD(""), BAD(CHALLENGE), BAD(CHALLENGE "\0mrose"),
	    BAD(CHALLENGE "\0mrose\0"), BAD(CHALLENGE "\0mrose\0" DIGEST "x"),
	    BAD(CHALLENGE "\0mrose\0123456789012345"), BAD(CHALLENGE "\0\0" DIGEST),
	    /* another server, another connection, before this server, in the future */
	    BAD("<761.2a.C8.x@h>\0mrose\0" DIGEST), BAD("<760.2b.C8.x@h>\0mrose\0" DIGEST),
	    BAD("<760.2a.63.x@h>\0mrose\0" DIGEST), BAD("<760.2a.1f5.x@h>\0mrose\0" DIGEST),
	    BAD("760.2a.C8.x@h>\0mrose\0" DIGEST), BAD("<760.2a.C8>\0mrose\0" DIGEST),
	    BAD("<760..C8.x@h>\0mrose\0" DIGEST), BAD("<760.2a.g.x@h>\0mrose\0" DIGEST),
	    BAD("<760.2a.000000000000000C8.x@h>\0mrose\0" DIGEST)};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct mech_run r;
		apop_begin(&r);
		assert_int_equal(mech_message(&r, bad[i]), MECH_FAIL);
		mech_end(&r);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_external),
	    cmocka_unit_test(test_anonymous),
	    cmocka_unit_test(test_apop),
	    cmocka_unit_test(test_apop_malformed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
