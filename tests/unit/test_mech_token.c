/*
 * DOVECOT-TOKEN: the token is HMAC-SHA1 (RFC 2104) keyed with the user name;
 * the two vectors were made with Python's hmac module.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "mechanisms/token.h"
#include "tests/unit/mech-kit.h"

#define TOKEN "c776f2e2ec1939f68a91496db0c7428283573e65"
#define TOKEN_NO_SESSION "cd17afbf1269444a276cb30f67a2507d0884bfbd"
#define GOOD                                                                                       \
	"imap\0"                                                                                   \
	"4711\0tim\0sess1\0" TOKEN

static struct secret server_secret(void)
{
	static char bytes[32];
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (char)i;
	return secret_of(span_make(bytes, sizeof(bytes)));
}

static void begin(struct mech_run *r)
{
	mech_begin(r, "DOVECOT-TOKEN");
	r->context.token_secret = server_secret();
}

static void test_make(void **state UNUSED)
{
	struct arena a = {0};
	struct token_source s = {.user = SPAN_LIT("tim"),
	    .session_pid = SPAN_LIT("4711"),
	    .session = SPAN_LIT("sess1"),
	    .service = SPAN_LIT("imap")};
	assert_true(span_eq_str(secret_reveal(token_make(&s, server_secret(), &a)), TOKEN));
	s.session = SPAN_NULL;
	assert_true(
	    span_eq_str(secret_reveal(token_make(&s, server_secret(), &a)), TOKEN_NO_SESSION));
	arena_free(&a);
}

static void test_good(void **state UNUSED)
{
	struct mech_run r;
	begin(&r);
	assert_int_equal(mech_message(&r, SPAN_LIT(GOOD)), MECH_DONE);
	assert_true(span_eq_str(r.io.user, "tim"));
	assert_null(r.io.authzid.ptr);
	assert_true(span_eq_str(fields_get(&r.fields, "userdb_client_service"), "imap"));
	mech_end(&r);
	begin(&r);
	assert_int_equal(mech_message(&r, SPAN_LIT("imap\0"
						   "4711\0tim\0\0" TOKEN_NO_SESSION)),
	    MECH_DONE);
	mech_end(&r);
}

static void refused(struct span message)
{
	struct mech_run r;
	begin(&r);
	assert_int_equal(mech_message(&r, message), MECH_FAIL);
	assert_non_null(r.io.why);
	assert_null(r.io.user.ptr);
	assert_int_equal(r.fields.count, 0);
	mech_end(&r);
}

static void test_any_change_is_refused(void **state UNUSED)
{
	char message[] = GOOD;
	size_t len = sizeof(message) - 1;
	for (size_t i = 0; i < len; i++) {
		message[i] ^= 1;
		refused(span_make(message, len));
		message[i] ^= 1;
	}
	for (size_t i = 0; i < len; i++)
		refused(span_make(message, i));
	refused(SPAN_LIT(GOOD "\0"));
	refused(SPAN_LIT(GOOD "0"));
	refused(SPAN_LIT("pop3\0"
			 "4711\0tim\0sess1\0" TOKEN));
	refused(SPAN_LIT("imap\0"
			 "4711\0\0sess1\0" TOKEN));
	refused(SPAN_NULL);
}

static void test_no_secret_no_login(void **state UNUSED)
{
	struct mech_run r;
	mech_begin(&r, "DOVECOT-TOKEN");
	assert_int_equal(mech_message(&r, SPAN_LIT(GOOD)), MECH_FAIL);
	mech_end(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_make),
	    cmocka_unit_test(test_good),
	    cmocka_unit_test(test_any_change_is_refused),
	    cmocka_unit_test(test_no_secret_no_login),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
