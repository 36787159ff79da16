/* Values in LDAP filters and distinguished names; what cannot be written. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "drivers/ldap-escape.h"

static struct arena arena;

static void check(template_escape *escape, const char *value, const char *want)
{
	bool refused = false;
	struct span got = escape(&refused, &arena, span_of(value));
	if (!span_eq_str(got, want))
		fail_msg("%s gave \"%.*s\", not \"%s\"", value, SPAN_ARG(got), want);
	assert_non_null(got.ptr);
	assert_false(refused);
}

static void test_dn(void **state)
{
	(void)state;
	check(ldap_escape_dn, "", "");
	check(ldap_escape_dn, " ", "\\20");
	check(ldap_escape_dn, "foo ", "foo\\20");
	check(ldap_escape_dn, " foo", "\\20foo");
	check(ldap_escape_dn, "s p a c e", "s p a c e");
	check(ldap_escape_dn, ",", "\\2c");
	check(ldap_escape_dn, "# x#", "\\23 x#");
	check(ldap_escape_dn, "middle:,+\"\\<>;=", "middle:\\2c\\2b\\22\\5c\\3c\\3e\\3b\\3d");
	check(ldap_escape_dn, "jos\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80",
	    "jos\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80");
	check(ldap_escape_dn, "(*)", "(*)");
}

static void test_filter(void **state)
{
	(void)state;
	check(ldap_escape_filter, "", "");
	check(ldap_escape_filter, "*", "\\2a");
	check(ldap_escape_filter, "a)(uid=*", "a\\29\\28uid=\\2a");
	check(ldap_escape_filter, "\\2a", "\\5c2a");
	check(ldap_escape_filter, "x&|!=~<>,#\"' ", "x&|!=~<>,#\"' ");
	check(ldap_escape_filter, "jos\xc3\xa9", "jos\xc3\xa9");
}

static void refuse(struct span value)
{
	template_escape *const both[] = {ldap_escape_dn, ldap_escape_filter};
	for (size_t i = 0; i < ARRAY_LEN(both); i++) {
		bool refused = false;
		assert_null(both[i](&refused, &arena, value).ptr);
		assert_true(refused);
		assert_null(both[i](NULL, &arena, value).ptr);
	}
}

static void test_what_no_entry_can_have(void **state)
{
	(void)state;
	refuse(SPAN_LIT("a\0b"));
	refuse(SPAN_LIT("\xff"));
	refuse(SPAN_LIT("a\x80"));
	refuse(SPAN_LIT("\xc3"));
	refuse(SPAN_LIT("\xc0\xaa"));	      /* overlong * */
	refuse(SPAN_LIT("\xe0\x80\xaa"));     /* and again */
	refuse(SPAN_LIT("\xf0\x80\x80\xaa")); /* and again */
	refuse(SPAN_LIT("\xed\xa0\x80"));     /* a surrogate */
	refuse(SPAN_LIT("\xf4\x90\x80\x80")); /* beyond Unicode */
	refuse(SPAN_LIT("\xf5\x80\x80\x80"));
	refuse(SPAN_LIT("ok\xe2\x82"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_dn),
	    cmocka_unit_test(test_filter),
	    cmocka_unit_test(test_what_no_entry_can_have),
	};
	int rc = cmocka_run_group_tests(tests, NULL, NULL);
	arena_free(&arena);
	return rc;
}
