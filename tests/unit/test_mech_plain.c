/*
 * PLAIN: the message's two NULs (RFC 4616 section 2), then the verdict.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/mech-kit.h"

#define MSG(s) SPAN_LIT(s)

static void check(struct span message, const char *authzid, const char *user, const char *password)
{
	struct mech_run r;
	mech_begin(&r, "PLAIN");
	assert_int_equal(mech_message(&r, message), MECH_VERIFY);
	assert_true(span_eq_str(r.io.authzid, authzid));
	assert_true(span_eq_str(r.io.user, user));
	assert_true(span_eq_str(secret_reveal(r.io.password), password));
	assert_int_equal(mech_verdict(&r, VERDICT_OK), MECH_DONE);
	assert_null(r.io.out.ptr);
	mech_end(&r);
}

static void test_good(void **state UNUSED)
{
	check(MSG("\0testuser\0testpass"), "", "testuser", "testpass");
	check(MSG("normaluser\0masteruser\0masterpass"), "normaluser", "masteruser", "masterpass");
	check(MSG("normaluser\0normaluser\0p"), "normaluser", "normaluser", "p");
	/* RFC 4616 section 4 */
	check(MSG("\0tim\0tanstaaftanstaaf"), "", "tim", "tanstaaftanstaaf");
	check(MSG("Ursel\0Kurt\0xipj3plmq"), "Ursel", "Kurt", "xipj3plmq");
	/* who is empty is told by those who check names, not here */
	check(MSG("\0\0"), "", "", "");
	check(MSG("\0tim\0"), "", "tim", "");
	check(MSG("\0t\xc3\xafm\0p\x01\tq"), "", "t\xc3\xafm", "p\x01\tq");
}

static void test_bad(void **state UNUSED)
{
	static const struct span bad[] = {
	    {"", 0},
	    {"testuser", 8},
	    {"\0testuser", 9},
	    {"\0", 1},
	    {"\0\0\0", 3},
	    {"\0testuser\0testpass\0", 19},
	    {"a\0b\0c\0d", 7},
	    {NULL, 0},
	};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct mech_run r;
		mech_begin(&r, "PLAIN");
		assert_int_equal(mech_message(&r, bad[i]), MECH_FAIL);
		assert_null(r.io.user.ptr);
		assert_null(r.io.authzid.ptr);
		assert_false(secret_is_set(r.io.password));
		assert_string_equal(r.io.why, "invalid input");
		mech_end(&r);
	}
}

static void test_only_ok_is_success(void **state UNUSED)
{
	for (int v = 0; v < VERDICT_COUNT; v++) {
		struct mech_run r;
		mech_begin(&r, "plain");
		assert_int_equal(mech_message(&r, MSG("\0tim\0x")), MECH_VERIFY);
		assert_int_equal(
		    mech_verdict(&r, (enum verdict)v), v == VERDICT_OK ? MECH_DONE : MECH_FAIL);
		mech_end(&r);
	}
}

static void test_table(void **state UNUSED)
{
	assert_null(mech_find(SPAN_LIT("")));
	assert_null(mech_find(SPAN_LIT("PLAI")));
	assert_null(mech_find(SPAN_LIT("PLAIN\0")));
	assert_ptr_equal(mech_find(SPAN_LIT("pLaIn")), mech_find(SPAN_LIT("PLAIN")));
	for (size_t i = 0; mech_table[i] != NULL; i++) {
		assert_ptr_equal(mech_find(span_of(mech_table[i]->name)), mech_table[i]);
		assert_true(mech_table[i]->state_size > 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_good),
	    cmocka_unit_test(test_bad),
	    cmocka_unit_test(test_only_ok_is_success),
	    cmocka_unit_test(test_table),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
