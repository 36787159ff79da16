/* Which filters have one assertion that depends on the user, and what it is for a user. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "drivers/ldap-pattern.h"

static struct arena arena;

static struct ldap_pattern pattern_of(const char *filter, const char *const *attrs)
{
	struct err err = {0};
	struct ldap_pattern p;
	struct template *t = template_parse(&arena, span_of(filter), &err);
	assert_non_null(t);
	ldap_pattern_make(&arena, t, attrs, &p);
	return p;
}

static void check_parts(const char *filter, const char *before, const char *leaf, const char *after)
{
	static const char *const attrs[] = {"home", NULL};
	struct ldap_pattern p = pattern_of(filter, attrs);
	if (p.attr == NULL)
		fail_msg("%s is none", filter);
	if (!span_eq_str(p.before, before) || !span_eq_str(p.leaf, leaf) ||
	    !span_eq_str(p.after, after))
		fail_msg("%s gave %.*s, %.*s, %.*s", filter, SPAN_ARG(p.before), SPAN_ARG(p.leaf),
		    SPAN_ARG(p.after));
	assert_string_equal(p.attrs[0], "home");
	assert_string_equal(p.attrs[1], p.attr);
	assert_null(p.attrs[2]);
}

static void test_parts(void **state)
{
	(void)state;
	check_parts("(uid=%u)", "", "(uid=", "");
	check_parts(
	    "(&(objectClass=posixAccount)(uid=%u))", "(&(objectClass=posixAccount)", "(uid=", ")");
	check_parts("(& (a=b)(&(!(x=y))(mail=%n@%d)(|(c=d)(e=f))))", "(& (a=b)(&(!(x=y))",
	    "(mail=", "(|(c=d)(e=f))))");
	check_parts("(&(a=\\28\\29)(uid=x%{user}y)(b=*))", "(&(a=\\28\\29)", "(uid=", "(b=*))");
}

static void test_none(void **state)
{
	(void)state;
	static const char *const none[] = {
	    "(uid=alice)",
	    "uid=%u",
	    "(%u=x)",
	    "(|(uid=%u)(mail=%u))",
	    "(|(uid=%u)(a=b))",
	    "(!(uid=%u))",
	    "(&(a=b)(!(uid=%u)))",
	    "(&(uid=%u)(domain=%d))",
	    "(uid~=%u)",
	    "(uid>=%u)",
	    "(uid:caseExactMatch:=%u)",
	    "(uid:dn:=%u)",
	    "(uid;lang-de=%u)",
	    "(=%u)",
	    "(&(a=b))(uid=%u)(uid=%u)",
	    "(a=b))(uid=%u)",
	    "(uid=%u",
	    "((((((((((((((((((((uid=%u))))))))))))))))))))",
	};
	static const char *const attrs[] = {"home", NULL};
	for (size_t i = 0; i < ARRAY_LEN(none); i++) {
		if (pattern_of(none[i], attrs).attr != NULL)
			fail_msg("%s", none[i]);
	}
}

static void test_the_attribute_is_asked_for_once(void **state)
{
	(void)state;
	static const char *const attrs[] = {"UID", "home", NULL};
	assert_ptr_equal(pattern_of("(uid=%u)", attrs).attrs, attrs);
}

static void check_value(const struct ldap_pattern *p, const char *filter, const char *want)
{
	struct span got = ldap_pattern_value(p, span_of(filter));
	if (want == NULL ? got.ptr != NULL : !span_eq_str(got, want))
		fail_msg("%s gave %.*s", filter, SPAN_ARG(got));
}

static void test_value(void **state)
{
	(void)state;
	static const char *const attrs[] = {"home", NULL};
	struct ldap_pattern p = pattern_of("(&(a=b)(mail=%u)(c=d))", attrs);
	check_value(&p, "(&(a=b)(mail=alice)(c=d))", "alice");
	check_value(&p, "(&(a=b)(mail=a.b-c_d0@e.org)(c=d))", "a.b-c_d0@e.org");
	check_value(&p, "(&(a=b)(mail=)(c=d))", NULL);
	check_value(&p, "(&(a=b)(mail=Alice)(c=d))", NULL); /* asked for alone */
	check_value(&p, "(&(a=b)(mail=a*)(c=d))", NULL);
	check_value(&p, "(&(a=b)(mail=a b)(c=d))", NULL);
	check_value(&p, "(&(a=b)(mail=a)(mail=b)(c=d))", NULL);
	check_value(&p, "(&(a=b)(mail=\\28)(c=d))", NULL);
	check_value(&p, "(&(a=b)(mail=jos\xc3\xa9)(c=d))", NULL);
	check_value(&p, "(&(a=x)(mail=alice)(c=d))", NULL); /* %{if} chose another text */
	check_value(&p, "(&(a=b)(mail=alice)(c=x))", NULL);
	check_value(&p, "(&(a=b)(mail=", NULL);
	check_value(&p, "", NULL);
	struct span nul = span_make("(&(a=b)(mail=a\0)(c=d))", 21);
	assert_null(ldap_pattern_value(&p, nul).ptr);
}

static void test_alike(void **state)
{
	(void)state;
	static const struct {
		const char *x, *y;
		bool alike;
	} cases[] = {{"a", "a", true}, {"a", "b", false}, {"a", "aa", false}, {"a-b", "ab", true},
	    {"-ab-", "a-b", true}, {"007", "7", true}, {"0-07", "7-", true}, {"70", "7", false},
	    {"0", "00", true}, {"a0", "a", false}, {"a.b", "ab", false}, {"a@b", "a_b", false}};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		assert_int_equal(
		    ldap_pattern_alike(span_of(cases[i].x), span_of(cases[i].y)), cases[i].alike);
		assert_int_equal(
		    ldap_pattern_alike(span_of(cases[i].y), span_of(cases[i].x)), cases[i].alike);
	}
}

static int end(void **state)
{
	(void)state;
	arena_free(&arena);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_parts),
	    cmocka_unit_test(test_none),
	    cmocka_unit_test(test_the_attribute_is_asked_for_once),
	    cmocka_unit_test(test_value),
	    cmocka_unit_test(test_alike),
	};
	return cmocka_run_group_tests(tests, NULL, end);
}
