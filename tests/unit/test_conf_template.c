/*
 * Templates: keys, ranges, modifiers, fields, escaping, what they need, and
 * what is wrong with them. Functions are in test_conf_template_func.c.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "conf/template.h"

static struct arena arena;

static int setup(void **state)
{
	(void)state;
	setenv("AUTHD_TEST_ENV", "From Env", 1);
	setenv("AUTHD_TEST_EMPTY", "", 1);
	unsetenv("AUTHD_TEST_NONE");
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	arena_free(&arena);
	return 0;
}

static struct vars some_vars(void)
{
	static struct fields passdb, userdb;
	passdb = fields_in(&arena);
	fields_set_str(&passdb, "host", "10.0.0.1");
	fields_set_str(&passdb, "empty", "");
	fields_set(&passdb, SPAN_LIT("flag"), SPAN_NULL);
	userdb = fields_in(&arena);
	fields_set_str(&userdb, "home", "/home/x");
	struct vars v = {.passdb = &passdb, .userdb = &userdb};
	v.v[VAR_USER] = SPAN_LIT("User.Name@Dom1@dom2");
	v.v[VAR_SERVICE] = SPAN_LIT("imap");
	v.v[VAR_LIP] = SPAN_LIT("192.0.2.1");
	v.v[VAR_RIP] = SPAN_LIT("192.0.2.7");
	v.v[VAR_LPORT] = SPAN_LIT("143");
	v.v[VAR_RPORT] = SPAN_LIT("40000");
	v.v[VAR_PID] = SPAN_LIT("255");
	v.v[VAR_ID] = SPAN_LIT("3");
	v.v[VAR_MECH] = SPAN_LIT("PLAIN");
	v.v[VAR_SECURED] = SPAN_LIT("TLS");
	v.v[VAR_CERT] = SPAN_LIT("valid");
	v.v[VAR_LOGIN_USER] = SPAN_LIT("login@ld");
	v.v[VAR_SESSION] = SPAN_LIT("S1");
	v.v[VAR_REAL_LIP] = SPAN_LIT("r1");
	v.v[VAR_REAL_RIP] = SPAN_LIT("r2");
	v.v[VAR_REAL_LPORT] = SPAN_LIT("1001");
	v.v[VAR_REAL_RPORT] = SPAN_LIT("1002");
	v.v[VAR_MASTER_USER] = SPAN_LIT("master@md");
	v.v[VAR_SESSION_PID] = SPAN_LIT("4711");
	v.v[VAR_ORIGINAL_USER] = SPAN_LIT("orig@od");
	v.v[VAR_AUTH_USER] = SPAN_LIT("auth@ad");
	v.v[VAR_LOCAL_NAME] = SPAN_LIT("imap.example.com");
	v.v[VAR_CLIENT_ID] = SPAN_LIT("x-client");
	v.v[VAR_CERT_FP] = SPAN_LIT("fp");
	v.v[VAR_CERT_PUBKEY_FP] = SPAN_LIT("pfp");
	v.v[VAR_JA3_HASH] = SPAN_LIT("ja3");
	v.password = secret_of(SPAN_LIT("p\"a's\\s"));
	return v;
}

static struct template *parse(const char *text)
{
	struct err err = {0};
	struct template *t = template_parse(&arena, span_of(text), &err);
	if (t == NULL)
		fail_msg("%s: %s", text, err.text);
	assert_string_equal(template_text(t), text);
	return t;
}

static void check_vars(const char *text, const struct vars *vars, const char *want)
{
	struct err err = {0};
	struct span got = template_expand(parse(text), vars, &arena, NULL, NULL, &err);
	if (got.ptr == NULL)
		fail_msg("%s: %s", text, err.text);
	if (!span_eq_str(got, want))
		fail_msg("%s gave \"%.*s\", not \"%s\"", text, SPAN_ARG(got), want);
}

static void check(const char *text, const char *want)
{
	struct vars v = some_vars();
	check_vars(text, &v, want);
}

static void refuse(const char *text, const char *why)
{
	struct err err = {0};
	if (template_parse(&arena, span_of(text), &err) != NULL)
		fail_msg("%s was accepted", text);
	if (strstr(err.text, why) == NULL)
		fail_msg("%s said \"%s\", not \"%s\"", text, err.text, why);
}

static void test_text(void **state)
{
	(void)state;
	check("", "");
	check("plain text", "plain text");
	check("100%% {sure} \\n", "100% {sure} \\n");
	check("%%u%%", "%u%");
	check("a%sb%sc", "aimapbimapc");
}

static void test_short_keys(void **state)
{
	(void)state;
	check("%u %n %d", "User.Name@Dom1@dom2 User.Name Dom1@dom2");
	check("%s|%h|%l|%r|%a|%b", "imap||192.0.2.1|192.0.2.7|143|40000");
	check("%p %w %! %m %c %k", "255 p\"a's\\s 3 PLAIN TLS valid");
}

static void test_long_names(void **state)
{
	static const char *const rows[][2] = {
	    {"user", "User.Name@Dom1@dom2"},
	    {"username", "User.Name"},
	    {"domain", "Dom1@dom2"},
	    {"domain_first", "Dom1"},
	    {"domain_last", "dom2"},
	    {"owner_user", "User.Name@Dom1@dom2"},
	    {"service", "imap"},
	    {"protocol", "imap"},
	    {"home", ""},
	    {"lip", "192.0.2.1"},
	    {"local_ip", "192.0.2.1"},
	    {"rip", "192.0.2.7"},
	    {"remote_ip", "192.0.2.7"},
	    {"lport", "143"},
	    {"local_port", "143"},
	    {"rport", "40000"},
	    {"remote_port", "40000"},
	    {"pid", "255"},
	    {"client_pid", "255"},
	    {"id", "3"},
	    {"mech", "PLAIN"},
	    {"mechanism", "PLAIN"},
	    {"secured", "TLS"},
	    {"cert", "valid"},
	    {"login_user", "login@ld"},
	    {"login_username", "login"},
	    {"login_domain", "ld"},
	    {"session", "S1"},
	    {"real_lip", "r1"},
	    {"real_local_ip", "r1"},
	    {"real_rip", "r2"},
	    {"real_remote_ip", "r2"},
	    {"real_lport", "1001"},
	    {"real_local_port", "1001"},
	    {"real_rport", "1002"},
	    {"real_remote_port", "1002"},
	    {"master_user", "master@md"},
	    {"session_pid", "4711"},
	    {"orig_user", "orig@od"},
	    {"orig_username", "orig"},
	    {"orig_domain", "od"},
	    {"original_user", "orig@od"},
	    {"original_username", "orig"},
	    {"original_domain", "od"},
	    {"auth_user", "auth@ad"},
	    {"auth_username", "auth"},
	    {"auth_domain", "ad"},
	    {"local_name", "imap.example.com"},
	    {"client_id", "x-client"},
	    {"ssl_client_cert_fp", "fp"},
	    {"ssl_client_cert_pubkey_fp", "pfp"},
	    {"ssl_ja3_hash", "ja3"},
	    {"password", "p\"a's\\s"},
	};
	(void)state;
	assert_int_equal(ARRAY_LEN(rows), var_name_count); /* every name is here */
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		char text[64];
		snprintf(text, sizeof(text), "%%{%s}", rows[i][0]);
		check(text, rows[i][1]);
	}
}

static void test_names_of_variables(void **state)
{
	(void)state;
	for (unsigned v = 0; v < VAR_COUNT; v++) {
		const struct var_name *name = var_find(span_of(var_long_name((enum var)v)));
		assert_non_null(name);
		assert_int_equal(name->var, v);
		assert_int_equal(name->cut, CUT_NONE);
	}
	assert_string_equal(var_long_name(VAR_SERVICE), "service");
	assert_string_equal(var_long_name(VAR_RIP), "rip");
	assert_string_equal(var_long_name(VAR_PASSDB), "passdb");
	assert_null(var_find_key('\0'));
}

static void test_users_without_domain(void **state)
{
	(void)state;
	struct vars v = {0};
	v.v[VAR_USER] = SPAN_LIT("user");
	check_vars("%n|%d|%{domain_first}|%{domain_last}", &v, "user|||");
	v.v[VAR_USER] = SPAN_LIT("user@");
	check_vars("%n|%d|%{domain_first}|%{domain_last}", &v, "user|||");
	v.v[VAR_USER] = SPAN_LIT("@a@b@c");
	check_vars("%n|%d|%{domain_first}|%{domain_last}", &v, "|a@b@c|a|c");
}

static void test_absent_values(void **state)
{
	(void)state;
	struct vars v = {0};
	check_vars("%u|%n|%d|%s|%w|%{session}|%{passdb:x}|%{userdb:x:d}", &v, "|||||||d");
	check_vars("%a %b %{real_lport} %{real_rport}", &v, "0 0 0 0");
}

static void test_ranges(void **state)
{
	(void)state;
	check("%3u", "Use");
	check("%03u", "User.Name@Dom1@dom2");
	check("%3.2u", "r.");
	check("%-4.2u", "do");
	check("%-4.u", "dom2");
	check("%0.-5u", "User.Name@Dom1");
	check("%-4.-1u", "dom");
	check("%10.-10u|", "Dom1@dom2|"); /* more off than there is */
	check("%10.-9u|", "|");
	check("%100.2u|", "|");
	check("%-100.2u|", "Us|");
	check("%-3u", "Use"); /* a sign means nothing without an offset */
	check("%06p %02p %1.04p", "000255 255 0055");
	check("%5.U{service}|%1.2U{service}", "|MA");
	check("%5%", "%");
}

static void test_modifiers(void **state)
{
	(void)state;
	check("%Lu %Uu", "user.name@dom1@dom2 USER.NAME@DOM1@DOM2");
	check("%Ew", "p\\\"a\\'s\\\\s");
	check("%Xp %Xu %X{lport}", "ff 0 8f");
	check("%Rs", "pami");
	check("%Mu", "36a9ec39a67c88bdfa14dc6bafc27353");
	check("%LMu %MLu", "539dabd5e3bafdbf1757926d246ab97c 36a9ec39a67c88bdfa14dc6bafc27353");
	check("%D{local_name}", "imap,dc=example,dc=com");
	check("%3.2LRu", "d@"); /* range after modifiers */
	check("%2.4Mu", "a9ec");
	check("%LU{service}%UL{service}", "IMAPimap");
	struct vars v = {0};
	v.v[VAR_USER] = SPAN_LIT("  sp \t\r\n\v\f");
	check_vars("[%Tu]", &v, "[  sp]");
	v.v[VAR_USER] = SPAN_LIT(" \t");
	check_vars("[%Tu]", &v, "[]");
	v.v[VAR_USER] = SPAN_LIT("18446744073709551615");
	check_vars("%Xu", &v, "ffffffffffffffff");
	v.v[VAR_USER] = SPAN_LIT("18446744073709551616");
	check_vars("%Xu", &v, "0");
	check_vars("%LUEXRMDT{session}", &v, "cfcd208495d565ef66e7dff9f98764da");
}

/* the values are those of libdovecot 2.3.19 */
static void test_hash_modifiers(void **state)
{
	(void)state;
	struct vars v = {0};
	check("%2.256Hu %2.256Nu", "52 bd");
	v.v[VAR_USER] = SPAN_LIT("value");
	check_vars("%Hu %50Hu %Nu %50Nu", &v, "7c83b5 1f 8d6e0baf 25");
	check_vars("%8.Nu %10.16Nu %-3.16Nu", &v, "8d6e0baf 000000000f f");
	check_vars("%3.-16Nu %3.-16Hu", &v, "8d6e0baf 7c83b5");
	check_vars("%4.16HUu", &v, "0005");
	v.v[VAR_USER] = SPAN_LIT("value2");
	check_vars("%50Hu %50Nu", &v, "2e e");
	v.v[VAR_USER] = SPAN_LIT("\xc3\xa9\xc3\xbc\xc3\xb1\xe2\x82\xac");
	check_vars("%Hu", &v, "f8e349c");
	v.v[VAR_USER] = SPAN_LIT("");
	check_vars("%Hu %4.Hu", &v, "0 0000");
}

static void test_bytes(void **state)
{
	(void)state;
	struct vars v = {0};
	v.v[VAR_USER] = SPAN_LIT("a\0B\xff");
	struct err err = {0};
	struct span got = template_expand(parse("<%Lu%Ru>"), &v, &arena, NULL, NULL, &err);
	assert_true(span_eq(got, SPAN_LIT("<a\0b\xff\xff"
					  "B\0a>")));
	struct template *t = template_parse(&arena, SPAN_LIT("x\0%u"), &err);
	assert_non_null(t);
	got = template_expand(t, &v, &arena, NULL, NULL, &err);
	assert_true(span_eq(got, SPAN_LIT("x\0a\0B\xff")));
	assert_null(template_parse(&arena, SPAN_LIT("%\0"), &err));
	assert_null(template_parse(&arena, SPAN_LIT("%{user\0}"), &err));
}

static void test_passdb_userdb(void **state)
{
	(void)state;
	check("%{passdb:host} %{userdb:home}", "10.0.0.1 /home/x");
	check("%{passdb:host:def}", "10.0.0.1");
	check("%{passdb:nope}|%{passdb:nope:def}|%{passdb:nope:}", "|def|");
	check("%{passdb:empty:def} %{passdb:flag:def}", "def def");
	check("%{userdb:nope:a:b{c};d}", "a:b{c};d");
	check("%U{userdb:home}", "/HOME/X");
	refuse("%{passdb:}", "%{passdb:} without a field at offset 9");
	refuse("%{userdb:x", "without its }");
	refuse("%{passdb}", "unknown variable %{passdb}");
}

static void test_environment(void **state)
{
	(void)state;
	check("%{env:AUTHD_TEST_ENV}", "From Env");
	check("%U{env:AUTHD_TEST_ENV}", "FROM ENV");
	check("%{env:AUTHD_TEST_NONE}|%{env:AUTHD_TEST_NONE:x}|%{env:AUTHD_TEST_EMPTY:y}", "|x|y");
	struct template *t = parse("%{env:AUTHD_TEST_ENV}");
	setenv("AUTHD_TEST_ENV", "later", 1); /* read when parsed */
	struct err err = {0};
	struct vars v = some_vars();
	assert_true(span_eq_str(template_expand(t, &v, &arena, NULL, NULL, &err), "From Env"));
	refuse("a%{env:}", "%{env:} without a name at offset 7");
}

static void test_process(void **state)
{
	(void)state;
	char want[300], host[256];
	gethostname(host, sizeof(host));
	snprintf(want, sizeof(want), "%u %u %s", (unsigned)geteuid(), (unsigned)getegid(), host);
	check("%{uid} %{gid} %{hostname}", want);
}

static void resolve(const char *text, const char *want)
{
	struct span got = template_resolve_env(&arena, span_of(text));
	if (!span_eq_str(got, want))
		fail_msg("%s became %.*s", text, SPAN_ARG(got));
}

static void test_environment_for_children(void **state)
{
	(void)state;
	setenv("AUTHD_TEST_ENV", "a b;}%", 1);
	resolve("", "");
	resolve("no env: here, env:AUTHD_TEST_ENV", "no env: here, env:AUTHD_TEST_ENV");
	resolve("x%{env:AUTHD_TEST_ENV}y", "x%{fixed:6120623b7d25}y");
	resolve("%{env:AUTHD_TEST_NONE}|%{env:AUTHD_TEST_NONE:ab}", "%{fixed:}|%{fixed:6162}");
	resolve("%%{env:AUTHD_TEST_ENV}", "%%{env:AUTHD_TEST_ENV}");
	resolve("%2.3L{env:AUTHD_TEST_ENV}", "%2.3L{fixed:6120623b7d25}");
	resolve("%{if;%{env:AUTHD_TEST_ENV};eq;x;%u;%{env:AUTHD_TEST_NONE}}",
	    "%{if;%{fixed:6120623b7d25};eq;x;%u;%{fixed:}}");
	resolve("%{sha1;salt=%{env:AUTHD_TEST_ENV}:md5:env:AUTHD_TEST_ENV}%u",
	    "%{sha1;salt=%{fixed:6120623b7d25}:md5:fixed:6120623b7d25}%u");
	resolve("%{passdb:env:x}", "%{passdb:env:x}");
	resolve("%{env:AUTHD_TEST_ENV", "%{fixed:6120623b7d25");
	check("%U{fixed:6120623b7d25}", "A B;}%");
	refuse("%{fixed:6}", "hexadecimal");
	static const char *const same[] = {"%{if;%{env:AUTHD_TEST_ENV};eq;a b\\;\\}%%;%u;n}",
	    "%{sha256;salt=%{env:AUTHD_TEST_ENV}:env:AUTHD_TEST_ENV}", "%3R{env:AUTHD_TEST_ENV}",
	    "%{pkcs5:env:AUTHD_TEST_ENV}", "%{pkcs5;rounds=2:md5:env:AUTHD_TEST_NONE:x:y}",
	    "%{pkcs5;rounds=2,salt=x:env:AUTHD_TEST_ENV}"};
	struct vars v = some_vars();
	for (size_t i = 0; i < ARRAY_LEN(same); i++) {
		struct err err = {0};
		struct span here = template_expand(parse(same[i]), &v, &arena, NULL, NULL, &err);
		struct span sent = template_resolve_env(&arena, span_of(same[i]));
		unsetenv("AUTHD_TEST_ENV");
		check(arena_cstr(&arena, sent), arena_cstr(&arena, here));
		setenv("AUTHD_TEST_ENV", "a b;}%", 1);
	}
}

static void test_needs(void **state)
{
	(void)state;
	assert_int_equal(template_needs(parse("text %% %{env:HOME} %{hostname} %{uid}")), 0);
	assert_int_equal(template_needs(parse("%u")), VAR_BIT(VAR_USER));
	assert_int_equal(template_needs(parse("%d/%n")), VAR_BIT(VAR_USER));
	assert_int_equal(template_needs(parse("%w%r")), VAR_BIT(VAR_PASSWORD) | VAR_BIT(VAR_RIP));
	assert_int_equal(template_needs(parse("%{passdb:a}%{userdb:b}")),
	    VAR_BIT(VAR_PASSDB) | VAR_BIT(VAR_USERDB));
	assert_int_equal(template_needs(parse("%{if;%s;eq;%m;%l;%{if;%a;==;1;%b;%p}}")),
	    VAR_BIT(VAR_SERVICE) | VAR_BIT(VAR_MECH) | VAR_BIT(VAR_LIP) | VAR_BIT(VAR_LPORT) |
		VAR_BIT(VAR_RPORT) | VAR_BIT(VAR_PID));
	assert_int_equal(template_needs(parse("%{sha1;salt=%{session}:md5:password}")),
	    VAR_BIT(VAR_SESSION) | VAR_BIT(VAR_PASSWORD));
	assert_int_equal(template_needs(parse("%{login_domain}%{auth_user}%{orig_user}")),
	    VAR_BIT(VAR_LOGIN_USER) | VAR_BIT(VAR_AUTH_USER) | VAR_BIT(VAR_ORIGINAL_USER));
}

static void test_no_needless_copies(void **state)
{
	(void)state;
	struct vars v = some_vars();
	struct arena empty = {0};
	struct err err = {0};
	struct template *t = parse("/var/mail/100%%");
	assert_true(template_is_constant(t));
	struct span once = template_expand(t, &v, &empty, NULL, NULL, &err);
	assert_ptr_equal(once.ptr, template_expand(t, &v, &empty, NULL, NULL, &err).ptr);
	t = parse("%u");
	assert_false(template_is_constant(t));
	assert_ptr_equal(template_expand(t, &v, &empty, NULL, NULL, &err).ptr, v.v[VAR_USER].ptr);
	assert_ptr_equal(
	    template_expand(parse("%{if;a;eq;a;%n;x}"), &v, &empty, NULL, NULL, &err).ptr,
	    v.v[VAR_USER].ptr);
	assert_null(empty.chunks);
	assert_true(template_is_constant(parse("%{env:HOME}/%{hostname}")));
	assert_false(template_is_constant(parse("%{uid}")));
}

/* puts ' around a value and doubles the ' inside, and refuses what holds a ! */
static struct span quote(void *ctx, struct arena *a, struct span value)
{
	++*(int *)ctx;
	char *out = arena_alloc(a, value.len * 2 + 3);
	size_t n = 0;
	out[n++] = '\'';
	for (size_t i = 0; i < value.len; i++) {
		if (value.ptr[i] == '!')
			return SPAN_NULL;
		if (value.ptr[i] == '\'')
			out[n++] = '\'';
		out[n++] = value.ptr[i];
	}
	out[n++] = '\'';
	return span_make(out, n);
}

static void check_quoted(const char *text, const char *want, int want_calls)
{
	struct vars v = some_vars();
	struct err err = {0};
	int calls = 0;
	struct span got = template_expand(parse(text), &v, &arena, quote, &calls, &err);
	if (!span_eq_str(got, want))
		fail_msg("%s gave \"%.*s\", not \"%s\"", text, SPAN_ARG(got), want);
	assert_int_equal(calls, want_calls);
}

static void test_escape(void **state)
{
	(void)state;
	setenv("AUTHD_TEST_ENV", "e'v", 1);
	check_quoted("it's text %%", "it's text %", 0);
	check_quoted("u='%u'", "u=''User.Name@Dom1@dom2''", 1);
	check_quoted("%w", "'p\"a''s\\s'", 1);
	check_quoted("%2.2w", "'a'''", 1); /* after the range: cutting cannot undo it */
	check_quoted("%{env:AUTHD_TEST_ENV}", "'e''v'", 1);
	check_quoted("%{passdb:nope:d'f}", "'d''f'", 1);
	check_quoted("%{md5:service}", "'b2a4d1002579716e40261daba3be0fc7'", 1);
	check_quoted("%{sha1;salt=%s:user}x", "'e51be55b0768619a22103d98539854ae3b7e9de7'x", 1);
}

static void test_escape_in_if(void **state)
{
	(void)state;
	check_quoted("%{if;%w;eq;p\"a's\\\\s;it's %s;no}", "it's 'imap'", 1);
	check_quoted("%{if;%s;eq;imap;it's;no}", "it's", 0);
	/* a modifier mixes text and values, so that the whole is one value */
	check_quoted("%U{if;%s;eq;imap;it's %s;no}", "'IT''S IMAP'", 1);
	check_quoted("%{if;%s;eq;x;a;%{if;a;eq;a;b%s;c}}", "b'imap'", 1);
}

static void test_escape_refuses(void **state)
{
	(void)state;
	struct vars v = {0};
	struct err err = {0};
	int calls = 0;
	v.v[VAR_USER] = SPAN_LIT("a!");
	assert_null(template_expand(parse("x%u"), &v, &arena, quote, &calls, &err).ptr);
	assert_string_equal(err.text, "a variable's value cannot be written here");
	assert_null(template_expand(parse("%u"), &v, &arena, quote, &calls, NULL).ptr);
	assert_null(
	    template_expand(parse("%{if;a;eq;a;%u;}"), &v, &arena, quote, &calls, &err).ptr);
}

static void test_errors(void **state)
{
	(void)state;
	refuse("a%", "a lone % at the end (%% is a percent sign) at offset 1");
	refuse("a%3.2L", "a lone % at the end");
	refuse("%z", "unknown variable %z (%% is a percent sign) at offset 0");
	refuse("50% of", "unknown variable % ");
	refuse("x%LZu", "unknown modifier 'Z' in %LZ (modifiers are L U E X R H N M D T)");
	refuse("%{usrname}", "unknown variable %{usrname} (did you mean %{username}?) at offset 2");
	refuse("ab %L{remoteip}", "did you mean %{remote_ip}?) at offset 6");
	refuse("%{sha265:user}", "did you mean %{sha256}?");
	refuse("%{zzzzzzzzzz}", "unknown variable %{zzzzzzzzzz} at offset 2");
	refuse("%{user", "%{ without its }");
	refuse("%{", "%{ without its }");
	refuse("%{}", "%{} without a name at offset 2");
	refuse("%{user:x}", "%{user} takes no argument at offset 2");
	refuse("%{user;x}", "%{user} takes no argument at offset 2");
	refuse("%{user | upper}", "filters after | are of Dovecot 2.4's language");
	refuse("%LLLLLLLLLLLu", "more than 10 modifiers at offset 1");
	refuse("%99999999999u", "number too large at offset 1");
	refuse("%2.99999999999u", "number too large at offset 3");
	refuse("%099999u", "width 99999 is too large for padding with zeros (at most 4096)");
	refuse("%99999.Hu", "length 99999 of a hash is too large (at most 4096)");
	refuse("%$", "%$ is only known inside the LDAP and dict drivers at offset 0");
	refuse("%{ldap:mail}", "%{ldap} is only known inside the LDAP driver at offset 2");
	refuse("%{ldap_dn:x}", "LDAP driver");
	refuse("%{ldap_ptr:x}", "LDAP driver");
	refuse("%{dict:key}", "%{dict} is only known inside the dict driver");
	refuse("%{oauth2:sub}", "OAuth 2.0 driver");
}

static void test_deep_nesting(void **state)
{
	(void)state;
	char text[4096] = "";
	for (int i = 0; i < 15; i++)
		strcat(text, "%{if;1;==;1;");
	strcat(text, "%u");
	for (int i = 0; i < 15; i++)
		strcat(text, ";}");
	check(text, "User.Name@Dom1@dom2");
	text[0] = '\0';
	for (int i = 0; i < 100; i++)
		strcat(text, "%{if;1;==;1;");
	refuse(text, "more than 16 braces in each other");
	refuse("%{md5:md5:md5:md5:md5:md5:md5:md5:md5:md5:md5:md5:md5:md5:md5:md5:md5:user}",
	    "more than 16 braces in each other");
}

static void test_many_parts(void **state)
{
	(void)state;
	check("%s-%s-%s-%s-%s-%s-%s-%s-%s-%s", "imap-imap-imap-imap-imap-imap-imap-imap-imap-imap");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_text),
	    cmocka_unit_test(test_short_keys),
	    cmocka_unit_test(test_long_names),
	    cmocka_unit_test(test_names_of_variables),
	    cmocka_unit_test(test_users_without_domain),
	    cmocka_unit_test(test_absent_values),
	    cmocka_unit_test(test_ranges),
	    cmocka_unit_test(test_modifiers),
	    cmocka_unit_test(test_hash_modifiers),
	    cmocka_unit_test(test_bytes),
	    cmocka_unit_test(test_passdb_userdb),
	    cmocka_unit_test(test_environment),
	    cmocka_unit_test(test_process),
	    cmocka_unit_test(test_environment_for_children),
	    cmocka_unit_test(test_needs),
	    cmocka_unit_test(test_no_needless_copies),
	    cmocka_unit_test(test_escape),
	    cmocka_unit_test(test_escape_in_if),
	    cmocka_unit_test(test_escape_refuses),
	    cmocka_unit_test(test_errors),
	    cmocka_unit_test(test_deep_nesting),
	    cmocka_unit_test(test_many_parts),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
