/*
 * Expressions of Dovecot 2.4: every filter with known answers, what is
 * escaped and what is not, what is an error when it is loaded and what when
 * it is expanded.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "conf/template.h"

static struct arena arena;
static const char *const names[] = {"dir", TEMPLATE_LDAP_MULTI, NULL};
static const struct template_sources sources = {names, NULL, NULL};

static struct span value_of(void *ctx, struct arena *a, struct span name, struct span argument)
{
	(void)ctx;
	(void)a;
	if (span_eq_str(argument, "gone"))
		return SPAN_NULL;
	if (span_eq_str(name, TEMPLATE_LDAP_MULTI))
		return SPAN_LIT("one\tt\001tw\tthree");
	return SPAN_LIT("(from,dir)");
}

/* ( and , become \( and \, */
static struct span escape(void *ctx, struct arena *a, struct span value)
{
	(void)ctx;
	char *out = arena_alloc(a, value.len * 2 + 1);
	size_t n = 0;
	for (size_t i = 0; i < value.len; i++) {
		if (value.ptr[i] == ',' || value.ptr[i] == '(')
			out[n++] = '\\';
		out[n++] = value.ptr[i];
	}
	return span_make(out, n);
}

static struct template *parse(const char *text, struct err *err)
{
	struct span inside = template_from_24(&arena, span_of(text), err);
	return inside.ptr != NULL ? template_parse_with(&arena, inside, &sources, err) : NULL;
}

static struct span expand(const char *text, bool escaped, struct err *err)
{
	struct fields passdb = {.arena = &arena};
	struct template *t = parse(text, err);
	if (t == NULL)
		fail_msg("%s: %s", text, err->text);
	struct vars v = {.v = {[VAR_USER] = SPAN_LIT("user@test@domain"),
			     [VAR_SERVICE] = SPAN_LIT("hello"),
			     [VAR_LPORT] = SPAN_LIT("143"),
			     [VAR_LOGIN_USER] = SPAN_LIT("a(b,c"),
			     [VAR_LOCAL_NAME] = SPAN_LIT("test.dovecot.org"),
			     [VAR_SESSION] = SPAN_LIT("68656c6c6f"),
			     [VAR_SESSION_PID] = SPAN_LIT("1727121943"),
			     [VAR_CLIENT_ID] = SPAN_LIT("world")}};
	v.passdb = &passdb;
	fields_set(&passdb, SPAN_LIT("there"), SPAN_LIT("x"));
	const struct template_hooks hooks = {escaped ? escape : NULL, NULL, value_of, NULL};
	return template_expand_with(t, &v, &arena, &hooks, err);
}

static void check_as(const char *text, bool escaped, const char *want)
{
	struct err err = {0};
	struct span got = expand(text, escaped, &err);
	if (got.ptr == NULL)
		fail_msg("%s: %s", text, err.text);
	if (!span_eq_str(got, want))
		fail_msg("%s gave \"%.*s\", not \"%s\"", text, SPAN_ARG(got), want);
}

struct pair {
	const char *text, *want;
};

static void check_all(const struct pair *pairs, size_t count)
{
	for (size_t i = 0; i < count; i++)
		check_as(pairs[i].text, false, pairs[i].want);
}

static void test_text_and_variables(void **state)
{
	(void)state;
	static const struct pair pairs[] = {
	    {"plain", "plain"},
	    {"100%", "100%"},
	    {"%u %%", "%u %%"},
	    {"%%{user}", "%{user}"},
	    {"%%%{user}", "%%{user}"},
	    {"", ""},
	    {"hello%{}world", "helloworld"},
	    {"%{user}", "user@test@domain"},
	    {"<%{ user }>", "<user@test@domain>"},
	    {"%{lookup('protocol')}", "hello"},
	    {"%{local_port}/%{remote_port}", "143/0"},
	    {"%{domain_last}", "domain"},
	    {"%{passdb:there}", "x"},
	    {"%{dir:a}", "(from,dir)"},
	    {"%{literal('a b\\tc\\x41\\102\\'}{|')}", "a b\tcAB'}{|"},
	    {"%{literal(\"it's\")}", "it's"},
	};
	check_all(pairs, ARRAY_LEN(pairs));
}

static void test_filters_on_text(void **state)
{
	(void)state;
	static const struct pair pairs[] = {
	    {"%{protocol | upper}", "HELLO"},
	    {"%{protocol | upper | lower}", "hello"},
	    {"%{protocol | reverse}", "olleh"},
	    {"%{user | username}", "user"},
	    {"%{user | domain}", "test@domain"},
	    {"%{user | domain | domain}", "domain"},
	    {"%{literal('username') | domain}", ""},
	    {"%{user | index('@', 1)}", "test"},
	    {"%{user | index('@', -3)}", "user"},
	    {"%{user | index('@', -4) | default('hello')}", "hello"},
	    {"%{protocol | substr(0)}", "hello"},
	    {"%{protocol | substr(5, 0)}", ""},
	    {"%{protocol | substr(1, 2)}", "el"},
	    {"%{protocol | substr(-2, 2)}", "lo"},
	    {"%{protocol | substr(2, -2)}", "l"},
	    {"%{protocol | substr(-5, -1)}", "hell"},
	    {"%{protocol | truncate(4)}", "hell"},
	    {"%{protocol | truncate(6)}", "hello"},
	    {"%{protocol | truncate(bits=7)}", "4"},
	    {"%{protocol | concat(' ', client_id)}", "hello world"},
	    {"%{concat(protocol, ' ', client_id)}", "hello world"},
	    {"%{concat('%', user | username)}", NULL},
	    {"%{local_name | ldap_dn}", "test,dc=dovecot,dc=org"},
	    {"%{literal('1') | rfill(3)}", "100"},
	    {"%{literal('1') | lfill(3)}", "001"},
	    {"%{literal('1') | lfill(3, ' ')}", "  1"},
	    {"%{ldap_multi:x | list}", "one,t\tw,three"},
	    {"%{literal('hello world') | regexp('(.*) (.*)', '$2 $1')}", "world hello"},
	    {"%{literal('hello world') | regexp('(.*) (.*)', '\\\\2 \\\\1')}", "world hello"},
	    {"%{literal('hello') | regexp('l+', 'L')}", "heLo"},
	    {"%{literal('hello') | regexp('x', 'L')}", "hello"},
	    {"%{literal('a\\'b') | escape}", "a\\'b"},
	    {"%{protocol | safe}", "hello"},
	};
	struct err err = {0};
	for (size_t i = 0; i < ARRAY_LEN(pairs); i++) {
		if (pairs[i].want != NULL)
			check_as(pairs[i].text, false, pairs[i].want);
		else
			assert_null(parse(pairs[i].text, &err)); /* filters nest nowhere */
	}
}

static void test_defaults(void **state)
{
	(void)state;
	static const struct pair pairs[] = {
	    {"%{dir:gone | default}", ""},
	    {"%{dir:gone | default(protocol)}", "hello"},
	    {"%{dir:gone | upper | default('hello')}", "hello"},
	    {"%{passdb:missing | default('d')}", "d"},
	    {"%{session_pid | default('d')}", "1727121943"},
	    {"%{remote_ip | default('empty')}", "empty"},
	    {"%{default(protocol)}", "hello"},
	};
	check_all(pairs, ARRAY_LEN(pairs));
}

static void test_numbers_and_bytes(void **state)
{
	(void)state;
	static const struct pair pairs[] = {
	    {"%{literal('1') + 1}", "2"},
	    {"%{literal('5') - 7}", "-2"},
	    {"%{local_port % 5}", "3"},
	    {"%{local_port*2|hex}", "11e"},
	    {"%{local_port / -2}", "-71"},
	    {"%{literal('31') | unhexlify | text * 5}", "5"},
	    {"%{literal('31') | unhex * 5}", "245"},
	    {"%{session | unhexlify | text}", "hello"},
	    {"%{session | unhexlify}", "68656c6c6f"},
	    {"%{literal('3') | hexlify(4)}", "0033"},
	    {"%{literal('3') | hex | unhex}", "3"},
	    {"%{literal('3') | hex(2)}", "03"},
	    {"%{session_pid | hex(2)}", "17"},
	    {"%{session_pid | hex(-2)}", "66"},
	    {"%{session_pid | hex }", "66f1ca17"},
	    {"%{literal('0102') | unhexlify | lenumber}", "513"},
	    {"%{literal('0102') | unhexlify | benumber}", "258"},
	    {"%{protocol | base64}", "aGVsbG8="},
	    {"%{protocol | base64 | unbase64 | text}", "hello"},
	    {"%{protocol | base64(pad=0)}", "aGVsbG8"},
	    {"%{literal('aGVsbG8') | unbase64(pad=0) | text}", "hello"},
	    {"%{literal('<<?\?\?>>') | base64(url=1)}", "PDw_Pz8-Pg=="},
	    {"%{literal('<<?\?\?>>') | base64(pad=0,url=1)}", "PDw_Pz8-Pg"},
	    {"%{protocol | sha1}", "aaf4c61ddcc5e8a2dabede0f3b482cd9aea9434d"},
	    {"%{protocol | hash('sha1')}", "aaf4c61ddcc5e8a2dabede0f3b482cd9aea9434d"},
	    {"%{protocol | sha1(rounds=1000)}", "c0ddea212ee1af8d6401947d29c8bfab31f8ad93"},
	    {"%{protocol | sha1(salt='world')}", "5715790a892990382d98858c4aa38d0617151575"},
	    {"%{protocol | sha1(rounds=1000,salt=client_id)}",
		"a314ec3ef5103223a4c5bd285dbe4ea5534d4334"},
	    {"%{protocol | md5 | hexlify(8)}", "5d41402a"},
	    {"%{protocol | md5 | substr(4,4) }", "bc4b2a76"},
	    {"%{protocol | md5 | substr(0,8) % 256 | hex}", "76"},
	    {"%{protocol | md5 % 256 | hex}", "92"},
	    {"%{protocol | sha512 % 256 | hex }", "43"},
	    {"%{protocol | md5 % 30 | hex(4) }", "0016"},
	    {"%{protocol | md5 % 30 | hex(-4) }", "1600"},
	};
	check_all(pairs, ARRAY_LEN(pairs));
}

static void test_choices(void **state)
{
	(void)state;
	static const struct pair pairs[] = {
	    {"%{if(1, '==', 1, 'yes', 'no')}", "yes"},
	    {"%{local_port | if('<', 100, 'yes', 'no')}", "no"},
	    {"%{local_port | if('>=', 143, 'yes', 'no')}", "yes"},
	    {"%{protocol | if('eq', 'hello', user, 'no')}", "user@test@domain"},
	    {"%{protocol | if('ne', protocol, 'a', 'b') | upper}", "B"},
	    {"%{literal('a') | if('*', '*a*', 'yes', 'no')}", "yes"},
	    {"%{literal('a') | if('!*', '*a*', 'yes', 'no')}", "no"},
	    {"%{literal('this is test') | if('~', '^test', 'yes', 'no')}", "no"},
	    {"%{literal('this is test') | if('!~', '^test', 'yes', 'no')}", "yes"},
	    {"%{switch(protocol, 'eq', 'a', '1', 'hello', '2', '3')}", "2"},
	    {"%{local_port | switch('==', 1, 2, 2, 3, 3, 4, -1)}", "-1"},
	    {"%{literal('0') | switch('==', 1, 2, 2, 3) | default}", ""},
	};
	check_all(pairs, ARRAY_LEN(pairs));
}

/* What comes from a request is escaped whatever is done to it; what was written is not. */
static void test_escaping(void **state)
{
	(void)state;
	check_as("(%{login_user})", true, "(a\\(b\\,c)");
	check_as("%{login_user | upper}", true, "A\\(B\\,C");
	check_as("%{login_user | safe}", true, "a\\(b\\,c");
	check_as("%{login_user | concat('(') | safe}", true, "a\\(b\\,c\\(");
	check_as("%{literal('(x)')}", true, "\\(x)");
	check_as("%{literal('(x)') | safe}", true, "(x)");
	check_as("%{protocol | if('eq', 'hello', '(x)', '(y)') | safe}", true, "(x)");
	check_as("%{protocol | if('eq', 'hello', login_user, '(y)') | safe}", true, "a\\(b\\,c");
	check_as("%{passdb:missing | default('(x)') | safe}", true, "(x)");
	check_as("%{literal('x') | regexp('x', login_user) | safe}", true, "a\\(b\\,c");
	check_as("%{literal('(') | concat(login_user) | safe}", true, "\\(a\\(b\\,c");
	check_as("%{literal('(') | lfill(6, login_user) | safe}", true, "a\\(b\\,c\\(");
	check_as("%{login_user | default('(') | safe}", true, "a\\(b\\,c");
	check_as("%{concat('(', login_user) | ldap_dn}", true, "\\(a\\(b\\,c");
	check_as("dc=%{local_name | ldap_dn}", true, "dc=test,dc=dovecot,dc=org");
	check_as("dc=%{local_name | ldap_dn | safe}", true, "dc=test,dc=dovecot,dc=org");
	check_as("%{local_name | ldap_dn | upper}", true, "TEST\\,DC=DOVECOT\\,DC=ORG");
}

static void test_errors_when_expanded(void **state)
{
	(void)state;
	static const struct pair pairs[] = {
	    {"%{passdb:missing}", "no value"},
	    {"%{dir:gone | upper}", "no value"},
	    {"%{protocol | substr(6)}", "beyond"},
	    {"%{protocol | substr(1, 5)}", "beyond"},
	    {"%{user | index('@', 3)}", "no piece"},
	    {"%{protocol + 1}", "not a number"},
	    {"%{local_port / 0}", "zero"},
	    {"%{local_port * 9223372036854775807}", "too large"},
	    {"%{protocol | if('==', 1, 'a', 'b')}", "not a number"},
	    {"%{protocol | switch('eq', 'a', 'b')}", "no default"},
	    {"%{protocol | unhexlify}", "not in hex"},
	};
	for (size_t i = 0; i < ARRAY_LEN(pairs); i++) {
		struct err err = {0};
		assert_null(expand(pairs[i].text, false, &err).ptr);
		if (err.code == 0 || strstr(err.text, pairs[i].want) == NULL)
			fail_msg("%s said \"%s\"", pairs[i].text, err.text);
	}
	struct err err = {0};
	assert_null(expand("%{dir:gone}", false, &err).ptr);
	assert_int_equal(err.code, TEMPLATE_NO_VALUE);
}

static void test_errors_when_loaded(void **state)
{
	(void)state;
	static const struct pair pairs[] = {
	    {"%{usr}", "did you mean \"user\"?"},
	    {"%{user | lowr}", "did you mean \"lower\"?"},
	    {"%{passd:x}", "did you mean \"passdb\"?"},
	    {"%{ldap:uid}", "driver"},
	    {"%{user", "without its }"},
	    {"%{user | literal('x}", "never closed"},
	    {"%{literal('\\z')}", "backslash"},
	    {"%{literal('\\xgg')}", "backslash"},
	    {"%{literal('\\999')}", "backslash"},
	    {"%{user;x}", "unknown variable"},
	    {"%{user & x}", "'&' means nothing"},
	    {"%{user |}", "filter is missing"},
	    {"%{user | lower(1)}", "takes 0 to 0"},
	    {"%{user | md5(fail=1)}", "no argument fail="},
	    {"%{user | hash('crc')}", "no hash named"},
	    {"%{user | if('=', 1, 2, 3)}", "no operator \"=\""},
	    {"%{user | if('==', 'a', 2, 3)}", "not a number"},
	    {"%{user | if('~', '(', 2, 3)}", "not valid"},
	    {"%{user | regexp('(', '')}", "not valid"},
	    {"%{user | if('eq', 1, 2)}", "takes 4 to 5"},
	    {"%{user | switch('eq', 1)}", "takes 3"},
	    {"%{user | encrypt}", "not built into"},
	    {"%{user | safe | upper}", "last"},
	    {"%{substr(1)}", "no value before"},
	    {"%{lookup(user)}", "in quotes"},
	    {"%{user | concat('a'}", "a ) is missing"},
	    {"%{process:ppid}", "unknown provider"},
	};
	for (size_t i = 0; i < ARRAY_LEN(pairs); i++) {
		struct err err = {0};
		if (parse(pairs[i].text, &err) != NULL)
			fail_msg("%s was taken", pairs[i].text);
		if (strstr(err.text, pairs[i].want) == NULL)
			fail_msg("%s said \"%s\"", pairs[i].text, err.text);
	}
}

static void test_needs(void **state)
{
	(void)state;
	struct err err = {0};
	const struct template *t = parse("%{user | if('eq', password, rip, passdb:x)}", &err);
	assert_non_null(t);
	assert_int_equal(template_needs(t),
	    VAR_BIT(VAR_USER) | VAR_BIT(VAR_PASSWORD) | VAR_BIT(VAR_RIP) | VAR_BIT(VAR_PASSDB));
}

/* Nothing in an expression can be taken for the syntax around it, and it can be shown again. */
static void test_inside_and_back(void **state)
{
	(void)state;
	const char *text = "a%{user | default('}{,= \\'\\\\\\x01') | lower}%b%%{c";
	struct span inside = template_from_24(&arena, span_of(text), NULL);
	assert_null(memmem(inside.ptr, inside.len, " ", 1));
	assert_null(memmem(inside.ptr, inside.len, ",", 1));
	assert_null(memmem(inside.ptr, inside.len, "=", 1));
	struct span back = template_to_24(&arena, inside);
	assert_string_equal(arena_cstr(&arena, back), text);
	setenv("AUTHD_TEST_24", "it's {me}", 1);
	inside = template_from_24(&arena, SPAN_LIT("%{env:AUTHD_TEST_24}"), NULL);
	unsetenv("AUTHD_TEST_24");
	assert_null(memmem(inside.ptr, inside.len, "env:", 4));
	struct err err = {0};
	const struct template *t = template_parse(&arena, inside, &err);
	assert_non_null(t);
	static const struct vars none;
	assert_true(span_eq_str(template_expand(t, &none, &arena, NULL, NULL, &err), "it's {me}"));
}

/* The mark cannot be typed: in a 2.3 text an expression stays an error. */
static void test_not_in_23(void **state)
{
	(void)state;
	struct err err = {0};
	assert_null(template_parse(&arena, SPAN_LIT("%{user | lower}"), &err));
	assert_non_null(strstr(err.text, "2.4"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_text_and_variables),
	    cmocka_unit_test(test_filters_on_text),
	    cmocka_unit_test(test_defaults),
	    cmocka_unit_test(test_numbers_and_bytes),
	    cmocka_unit_test(test_choices),
	    cmocka_unit_test(test_escaping),
	    cmocka_unit_test(test_errors_when_expanded),
	    cmocka_unit_test(test_errors_when_loaded),
	    cmocka_unit_test(test_needs),
	    cmocka_unit_test(test_inside_and_back),
	    cmocka_unit_test(test_not_in_23),
	};
	int rc = cmocka_run_group_tests(tests, NULL, NULL);
	arena_free(&arena);
	return rc;
}
