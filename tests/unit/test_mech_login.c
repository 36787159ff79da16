/*
 * LOGIN: its two prompts, and the name being checked before the second one.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/mech-kit.h"

/* from the name on: user checked, password asked and given, verdict */
static void from_name_on(struct mech_run *r, enum mech_next after_name, enum verdict v)
{
	assert_int_equal(after_name, MECH_USER);
	assert_true(span_eq_str(r->io.user, "testuser"));
	r->io.user = SPAN_LIT("normalised");
	assert_int_equal(mech_message(r, SPAN_LIT("testuser")), MECH_CLIENT);
	assert_true(span_eq_str(r->io.out, "Password:"));
	assert_int_equal(mech_message(r, SPAN_LIT("testpass")), MECH_VERIFY);
	assert_true(span_eq_str(r->io.user, "normalised"));
	assert_true(span_eq_str(secret_reveal(r->io.password), "testpass"));
	assert_null(r->io.authzid.ptr);
	assert_int_equal(mech_verdict(r, v), v == VERDICT_OK ? MECH_DONE : MECH_FAIL);
}

static void test_prompts(void **state UNUSED)
{
	static const struct span starts[] = {{NULL, 0}, {"", 0}};
	for (size_t i = 0; i < ARRAY_LEN(starts); i++) {
		struct mech_run r;
		mech_begin(&r, "LOGIN");
		assert_int_equal(mech_message(&r, starts[i]), MECH_CLIENT);
		assert_true(span_eq_str(r.io.out, "Username:"));
		from_name_on(&r, mech_message(&r, SPAN_LIT("testuser")), VERDICT_OK);
		mech_end(&r);
	}
}

static void test_initial_response_is_the_name(void **state UNUSED)
{
	struct mech_run r;
	mech_begin(&r, "LOGIN");
	from_name_on(&r, mech_message(&r, SPAN_LIT("testuser")), VERDICT_OK);
	mech_end(&r);
}

static void test_only_ok_is_success(void **state UNUSED)
{
	for (int v = 0; v < VERDICT_COUNT; v++) {
		struct mech_run r;
		mech_begin(&r, "LOGIN");
		from_name_on(&r, mech_message(&r, SPAN_LIT("testuser")), (enum verdict)v);
		mech_end(&r);
	}
}

static void test_empty_answers(void **state UNUSED)
{
	struct mech_run r;
	mech_begin(&r, "LOGIN");
	assert_int_equal(mech_message(&r, SPAN_NULL), MECH_CLIENT);
	/* an empty name after the prompt is a name, for the check to refuse: no endless prompting
	 */
	assert_int_equal(mech_message(&r, SPAN_LIT("")), MECH_USER);
	assert_int_equal(r.io.user.len, 0);
	assert_int_equal(mech_message(&r, SPAN_LIT("")), MECH_CLIENT);
	assert_int_equal(mech_message(&r, SPAN_LIT("")), MECH_VERIFY);
	assert_true(secret_is_set(r.io.password));
	assert_int_equal(secret_reveal(r.io.password).len, 0);
	mech_end(&r);
}

static void test_copies(void **state UNUSED)
{
	struct mech_run r;
	char name[] = "testuser", password[] = "testpass";
	mech_begin(&r, "LOGIN");
	assert_int_equal(mech_message(&r, span_of(name)), MECH_USER);
	name[0] = '#';
	assert_true(span_eq_str(r.io.user, "testuser"));
	assert_int_equal(mech_message(&r, SPAN_NULL), MECH_CLIENT);
	assert_int_equal(mech_message(&r, span_of(password)), MECH_VERIFY);
	password[0] = '#';
	assert_true(span_eq_str(secret_reveal(r.io.password), "testpass"));
	mech_end(&r);
}

/* "testuser NUL user" must not get in: the front refuses NULs for who does not ask for them */
static void test_no_nul(void **state UNUSED)
{
	assert_int_equal(mech_find(SPAN_LIT("LOGIN"))->flags & MECH_ALLOW_NUL, 0);
	assert_int_not_equal(mech_find(SPAN_LIT("LOGIN"))->flags & MECH_SERVER_FIRST, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_prompts),
	    cmocka_unit_test(test_initial_response_is_the_name),
	    cmocka_unit_test(test_only_ok_is_success),
	    cmocka_unit_test(test_empty_answers),
	    cmocka_unit_test(test_copies),
	    cmocka_unit_test(test_no_nul),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
