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

/* value: of the filter that this one is for some user */
static void check(const char *template, const char *before, const char *condition,
    const char *after, const char *names)
{
	static const char *const attrs[] = {"home", NULL};
	struct ldap_pattern p = pattern_of(template, attrs);
	struct buffer b = {0}, list = {0};
	ldap_pattern_put(&p, SPAN_LIT("VALUE"), &b);
	for (size_t i = 0; p.count > 0 && p.names[i] != NULL; i++)
		buffer_printf(&list, "%s%s", i > 0 ? " " : "", p.names[i]);
	if (p.count == 0 || !span_eq_str(p.before, before) || !span_eq_str(p.after, after) ||
	    !span_eq_str(buffer_span(&b), condition) || !span_eq_str(buffer_span(&list), names))
		fail_msg("%s gave %.*s, %.*s, %.*s (%.*s)", template, SPAN_ARG(p.before),
		    SPAN_ARG(buffer_span(&b)), SPAN_ARG(p.after), SPAN_ARG(buffer_span(&list)));
	assert_string_equal(p.attrs[0], "home");
	for (size_t i = 0; p.names[i] != NULL; i++)
		assert_string_equal(p.attrs[i + 1], p.names[i]);
	buffer_free(&b);
	buffer_free(&list);
}

static void test_parts(void **state)
{
	(void)state;
	check("(uid=%u)", "", "(uid=VALUE)", "", "uid");
	check("(&(objectClass=posixAccount)(uid=%u))", "(&(objectClass=posixAccount)",
	    "(uid=VALUE)", ")", "uid");
	check("(& (a=b)(&(!(x=y))(mail=%n@%d)(|(c=d)(e=f))))", "(& (a=b)(&(!(x=y))", "(mail=VALUE)",
	    "(|(c=d)(e=f))))", "mail");
	check("(&(a=\\28\\29)(uid=x%{user}y)(b=*))", "(&(a=\\28\\29)", "(uid=VALUE)", "(b=*))",
	    "uid");
	check("(|(uid=%u)(mail=%u))", "", "(|(uid=VALUE)(mail=VALUE))", "", "uid mail");
	check("(&(a=b)(|(uid=%u)(mail=%u)(x-y=%u))(c=d))", "(&(a=b)",
	    "(|(uid=VALUE)(mail=VALUE)(x-y=VALUE))", "(c=d))", "uid mail x-y");
	check("(|(uid=%u))", "", "(|(uid=VALUE))", "", "uid");
}

static void test_none(void **state)
{
	(void)state;
	static const char *const none[] = {
	    "(uid=alice)",
	    "uid=%u",
	    "(%u=x)",
	    "(|(uid=%u)(a=b))",
	    "(|(a=b)(uid=%u))",
	    "(|(uid=%u)(mail=%u*))",
	    "(|(uid=%u)(&(mail=%u)(a=b)))",
	    "(|(uid=%u)(mail=%u)",
	    "(!(|(uid=%u)(mail=%u)))",
	    "(|(a=b)(|(uid=%u)(mail=%u)))",
	    "(|(a=%u)(b=%u)(c=%u)(d=%u)(e=%u)(f=%u)(g=%u)(h=%u)(i=%u))",
	    "(|",
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
		if (pattern_of(none[i], attrs).count != 0)
			fail_msg("%s", none[i]);
	}
}

static void test_the_attribute_is_asked_for_once(void **state)
{
	(void)state;
	static const char *const attrs[] = {"UID", "home", NULL};
	struct ldap_pattern p = pattern_of("(|(uid=%u)(Home=%u)(mail=%u))", attrs);
	assert_string_equal(p.attrs[0], "UID");
	assert_string_equal(p.attrs[1], "home");
	assert_string_equal(p.attrs[2], "mail");
	assert_null(p.attrs[3]);
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
	p = pattern_of("(|(uid=%n)(mail=%u))", attrs);
	check_value(&p, "(|(uid=alice)(mail=alice))", "alice");
	check_value(&p, "(|(uid=alice)(mail=alice@e.org))", NULL);
	check_value(&p, "(|(uid=alice)(mail=alice)", NULL);
	p = pattern_of("(a=b)", attrs);
	check_value(&p, "(a=b)", NULL);
	p = pattern_of("(&(a=b)(mail=%u)(c=d))", attrs);
	struct span nul = span_make("(&(a=b)(mail=a\0)(c=d))", 21);
	assert_null(ldap_pattern_value(&p, nul).ptr);
}

static void test_alike(void **state)
{
	(void)state;
	static const struct {
		const char *x, *y;
		bool alike;
	} cases[] = {{"", "a", false}, {"A", "a", true}, {" a B", "ab", true},
	    {"\xc3\xa9", "e", true}, {"a\tb", "c", true}, {"a", "a", true}, {"a", "b", false},
	    {"a", "aa", false}, {"a-b", "ab", true}, {"-ab-", "a-b", true}, {"007", "7", true},
	    {"0-07", "7-", true}, {"70", "7", false}, {"0", "00", true}, {"a0", "a", false},
	    {"a.b", "ab", false}, {"a@b", "a_b", false}};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		if (ldap_pattern_alike(span_of(cases[i].x), span_of(cases[i].y)) != cases[i].alike)
			fail_msg("%s and %s", cases[i].x, cases[i].y);
	}
}

/* Of what is only read nobody's is all that has an accent. */
static void test_nearly(void **state)
{
	(void)state;
	assert_true(ldap_pattern_nearly(SPAN_LIT(" A-b"), SPAN_LIT("ab")));
	assert_true(ldap_pattern_nearly(SPAN_LIT("007"), SPAN_LIT("7")));
	assert_false(ldap_pattern_nearly(SPAN_LIT("\xc3\xa9"), SPAN_LIT("e")));
	assert_false(ldap_pattern_nearly(SPAN_LIT("abc"), SPAN_LIT("ab")));
}

static void test_seen(void **state)
{
	(void)state;
	static const char *const attrs[] = {"home", NULL};
	struct ldap_pattern p = pattern_of("(|(uid=%u)(mail=%u)(UID=%u))", attrs);
	assert_false(ldap_pattern_see(&p, "home"));
	assert_true(ldap_pattern_see(&p, "Uid"));
	assert_false(ldap_pattern_has_seen_all(&p));
	assert_false(ldap_pattern_see(&p, "mail;lang-de"));
	assert_false(ldap_pattern_has_seen_all(&p));
	assert_true(ldap_pattern_see(&p, "mail"));
	assert_true(ldap_pattern_has_seen_all(&p));
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
	    cmocka_unit_test(test_nearly),
	    cmocka_unit_test(test_seen),
	};
	return cmocka_run_group_tests(tests, NULL, end);
}
