/*
 * Variables of a driver's own in templates (%{dir:attr}, %$), and %D, whose
 * value is escaped before the dots become syntax.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "conf/template.h"

static struct arena arena;
static const char *const names[] = {"dir", "$", NULL};
static char noted[256];

static bool note(void *ctx, struct span name, struct span argument, struct err *err)
{
	assert_ptr_equal(ctx, &arena);
	if (span_eq_str(argument, "bad"))
		return err_set(err, 1, "no such thing as %.*s", SPAN_ARG(argument));
	size_t n = strlen(noted);
	snprintf(noted + n, sizeof(noted) - n, "[%.*s %.*s]", SPAN_ARG(name), SPAN_ARG(argument));
	return true;
}

static const struct template_sources sources = {names, note, &arena};

static struct span value_of(void *ctx, struct arena *a, struct span name, struct span argument)
{
	assert_string_equal(ctx, "ctx");
	if (span_eq_str(name, "$"))
		return SPAN_LIT("Dollar,x");
	if (span_eq_str(argument, "gone"))
		return SPAN_NULL;
	return arena_printf(a, "<%.*s>", SPAN_ARG(argument));
}

static struct span escape(void *ctx, struct arena *a, struct span value)
{
	(void)ctx;
	char *out = arena_alloc(a, value.len * 2 + 1);
	size_t n = 0;
	for (size_t i = 0; i < value.len; i++) {
		if (value.ptr[i] == ',')
			out[n++] = '\\';
		out[n++] = value.ptr[i];
	}
	return span_make(out, n);
}

static void check(const char *text, const char *want)
{
	struct err err = {0};
	struct vars v = {.v[VAR_USER] = SPAN_LIT("u,v@a,b.c")};
	const struct template *t = template_parse_with(&arena, span_of(text), &sources, &err);
	if (t == NULL)
		fail_msg("%s: %s", text, err.text);
	const struct template_hooks hooks = {escape, NULL, value_of, (void *)"ctx"};
	struct span got = template_expand_with(t, &v, &arena, &hooks, &err);
	if (!span_eq_str(got, want))
		fail_msg("%s gave \"%.*s\", not \"%s\"", text, SPAN_ARG(got), want);
}

static void test_values(void **state)
{
	(void)state;
	check("%$", "Dollar,x"); /* what the driver gives is its own business, not escaped */
	check("%L$|%2U$", "dollar,x|DO");
	check("a%{dir:x}b%{dir:gone}c%{dir:gone:other}d", "a<x>bcotherd");
	check("%{dir:x;lang-de}", "<x;lang-de>");
	check("%{if;%{dir:x};eq;<x>;%{dir:yes};no}", "<yes>");
	check("%{md5:dir:x}", "ccef51d6689c7e6b294cf5aedac859da");
	check("%n %$", "u\\,v Dollar,x");
}

static void test_without_a_source_defaults_count(void **state)
{
	(void)state;
	struct err err = {0};
	struct vars v = {0};
	const struct template *t =
	    template_parse_with(&arena, SPAN_LIT("[%$%{dir:x:def}]"), &sources, &err);
	assert_non_null(t);
	assert_false(template_is_constant(t));
	assert_true(span_eq_str(template_expand(t, &v, &arena, NULL, NULL, &err), "[def]"));
}

static void test_noted_while_parsed(void **state)
{
	(void)state;
	struct err err = {0};
	noted[0] = '\0';
	assert_non_null(template_parse_with(
	    &arena, SPAN_LIT("%{dir:a:x}%$%{if;%{dir:b};eq;c;%{dir:c@d};}"), &sources, &err));
	assert_string_equal(noted, "[dir a][$ ][dir b][dir c@d]");
	assert_null(template_parse_with(&arena, SPAN_LIT("ab%{dir:bad}"), &sources, &err));
	assert_string_equal(err.text, "no such thing as bad at offset 8");
	assert_null(template_parse_with(&arena, SPAN_LIT("%{dir:}"), &sources, &err));
	assert_string_equal(err.text, "%{dir:} without a name at offset 6");
}

static void test_known_to_their_driver_only(void **state)
{
	(void)state;
	struct err err = {0};
	const struct template_sources few = {names + 1, NULL, NULL};
	assert_null(template_parse(&arena, SPAN_LIT("%$"), &err));
	assert_null(template_parse(&arena, SPAN_LIT("%{dir:x}"), &err));
	assert_null(template_parse_with(&arena, SPAN_LIT("%{dir:x}"), &few, &err));
	assert_non_null(template_parse_with(&arena, SPAN_LIT("%$"), &few, &err));
}

static void test_dn_of_a_domain(void **state)
{
	(void)state;
	check("dc=%Dd", "dc=a\\,b,dc=c");
	check("dc=%UDd", "dc=A\\,B,dc=C");
	/* a range could cut through what was escaped: then all of it is a value */
	check("%3.20Dd", "\\,dc=c");
	check("%DUd", "A\\,B\\,DC=C");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_values),
	    cmocka_unit_test(test_without_a_source_defaults_count),
	    cmocka_unit_test(test_noted_while_parsed),
	    cmocka_unit_test(test_known_to_their_driver_only),
	    cmocka_unit_test(test_dn_of_a_domain),
	};
	int rc = cmocka_run_group_tests(tests, NULL, NULL);
	arena_free(&arena);
	return rc;
}
