/*
 * The attribute language, read and expanded without a server, and the
 * checks of the settings file.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/buffer.h"
#include "drivers/drivers.h"
#include "drivers/ldap-settings.h"

static struct arena arena;

/* ---- entries: "attr: value" lines of each source ---- */

struct fixture {
	const char *const *lines[4];
	char several[128];
};

static const char *const own[] = {"uid: tim", "uidNumber: 1000", "gidNumber: 100", "gidNumber: 200",
    "cn: Tim, T.", "mailDN: cn=mail", "which: phone", "phone: 4711", "dots: a.b", "empty: ", NULL};
static const char *const mail[] = {"store: /srv/m", "phone: 42", "hostDN: cn=host", NULL};
static const char *const host[] = {"l: 192.0.2.1", NULL};

static struct ldap_values values_of(void *ctx, size_t source, const char *attr)
{
	const struct fixture *f = ctx;
	struct span *items = arena_alloc(&arena, 16 * sizeof(*items));
	size_t n = 0;
	for (size_t i = 0; f->lines[source] != NULL && f->lines[source][i] != NULL; i++) {
		struct span value = span_of(f->lines[source][i]), name;
		span_split(&value, ':', &name);
		if (span_eq_ci(name, span_of(attr)))
			items[n++] = span_trim(value).len > 0 ? span_trim(value) : SPAN_LIT("");
	}
	return (struct ldap_values){items, n};
}

static struct span dn_of(void *ctx, size_t source)
{
	(void)ctx;
	return source == 0 ? SPAN_LIT("uid=tim,dc=x") : SPAN_NULL;
}

static void several(void *ctx, const char *attr, const char *field)
{
	struct fixture *f = ctx;
	size_t n = strlen(f->several);
	snprintf(f->several + n, sizeof(f->several) - n, "%s>%s ", attr, field);
}

static struct ldap_attrs *parse(const char *text, const char *skip)
{
	struct err err = {0};
	struct ldap_attrs *attrs = ldap_attrs_parse(&arena, span_of(text), skip, &err);
	if (attrs == NULL)
		fail_msg("%s: %s", text, err.text);
	return attrs;
}

/* all fields as "key=value|key=value" */
static const char *fields_of(
    const struct ldap_attrs *attrs, struct fixture *f, bool userdb, struct err *err)
{
	struct vars vars = {.v[VAR_USER] = SPAN_LIT("tim@example.org")};
	const struct ldap_reader reader = {f, values_of, dn_of, several};
	struct fields out = fields_in(&arena);
	struct buffer b = {0};
	if (!ldap_attrs_expand(attrs, &vars, &reader, userdb, &out, err))
		return NULL;
	for (size_t i = 0; i < out.count; i++)
		buffer_printf(&b, "%s%.*s=%.*s", i > 0 ? "|" : "", SPAN_ARG(out.items[i].key),
		    SPAN_ARG(out.items[i].value));
	const char *text = arena_cstr(&arena, b.len > 0 ? buffer_span(&b) : SPAN_LIT(""));
	buffer_free(&b);
	return text;
}

static void check(const char *text, const char *want)
{
	struct fixture f = {.lines = {own, mail, host}};
	struct err err = {0};
	const char *got = fields_of(parse(text, NULL), &f, false, &err);
	if (got == NULL)
		fail_msg("%s: %s", text, err.text);
	if (strcmp(got, want) != 0)
		fail_msg("%s gave %s, not %s", text, got, want);
}

static void check_names(const struct ldap_source *source, const char *want)
{
	struct buffer b = {0};
	for (size_t i = 0; source->attrs[i] != NULL; i++)
		buffer_printf(&b, "%s%s", i > 0 ? " " : "", source->attrs[i]);
	assert_string_equal(arena_cstr(&arena, buffer_span(&b)), want);
	buffer_free(&b);
}

static void test_mappings(void **state)
{
	(void)state;
	check("uid=user", "user=tim");
	check(" uid = user , uidNumber=uid ", "user=tim|uid=1000");
	check("UID", "UID=tim");
	check("uid=home=/srv/", "home=/srv/tim");
	check("uid=home=/srv/%$/%n/%d/Maildir", "home=/srv/tim/tim/example.org/Maildir");
	check("uid=home=/srv/%1$/%U$", "home=/srv/t/TIM");
	check("=quota_rule=*:storage=1G", "quota_rule=*:storage=1G");
	check("=a=%{ldap:uid}-%{ldap:missing:none}-%{ldap:empty:def}", "a=tim-none-def");
	check("missing=x=%u,uid=user", "user=tim"); /* its source is not there */
	check("!uid, =a=%{ldap:uid}", "a=tim");
	check("=%{ldap:uid}_x=1", "tim_x=1");
	check("uid=userdb_%n", "userdb_tim=tim");
	check("uid=home,cn=home", "home=Tim, T.");
	check("missing=home:protected,uid=home:protected,=home:protected=x", "home:protected=tim");
	check("missing=userdb_x,uid=user,missing=userdb_y=%$", "userdb_=|user=tim");
	check("=a=%{ldap_dn:x}", "a=uid=tim,dc=x");
	check("=a=%{ldap_dn}.%3{ldap_dn}", "a=uid=tim,dc=x.uid");
	check("=dn=%Dd", "dn=example,dc=org");
	check("=a", "a=");
	check("", "");
	check(",, uid=user ,", "user=tim");
}

static void test_commas_in_braces(void **state)
{
	(void)state;
	check("=a=%{if;%{ldap:uid};eq;tim;x,y;no},uid=user", "a=x,y|user=tim");
	check("=a=%{sha1;rounds=1,format=hex:user},uid=user",
	    "a=781c78e847ce0e58f0581fa0bc1ab24c7f89bea5|user=tim");
	check("uid=home={,cn=b", "home={tim|b=Tim, T.");
}

static void test_sub_queries(void **state)
{
	(void)state;
	check("@mail=%{ldap:mailDN}, store@mail=mail=maildir:%$", "mail=maildir:/srv/m");
	check("@mail=%{ldap:mailDN}, =x=%{ldap:phone@mail}/%{ldap:phone}", "x=42/4711");
	check("@mail=%{ldap:mailDN},@host=%{ldap:hostDN@mail},l@host=host", "host=192.0.2.1");
	check("store@mail=m,@mail=%{ldap:mailDN}", "m=/srv/m");
	check("=x=%{ldap_ptr:which}", "x=4711");
	check("@mail=%{ldap:mailDN},=x=%{ldap_ptr:which@mail}", "x=42");
	check("@mail=%{ldap:mailDN},nope@mail=m,=x=%{ldap:nope@mail:def}", "x=def");
}

static void test_dn_of_a_sub_query(void **state)
{
	(void)state;
	struct fixture f = {.lines = {own}};
	struct err err = {0};
	struct vars vars = {.v[VAR_USER] = SPAN_LIT("a,b=c")};
	const struct ldap_reader reader = {&f, values_of, dn_of, several};
	const struct ldap_attrs *attrs =
	    parse("@m=%{ldap:mailDN},@u=cn=%u,dc=x,@none=%{ldap:missing}", NULL);
	/* a comma ends the item: such a DN is an attribute's value or has none */
	assert_int_equal(attrs->source_count, 4);
	assert_true(span_eq_str(ldap_attrs_dn(attrs, 1, &vars, &reader, &arena, &err), "cn=mail"));
	assert_true(
	    span_eq_str(ldap_attrs_dn(attrs, 2, &vars, &reader, &arena, &err), "cn=a\\2cb\\3dc"));
	struct span none = ldap_attrs_dn(attrs, 3, &vars, &reader, &arena, &err);
	assert_non_null(none.ptr);
	assert_int_equal(none.len, 0);
}

static void test_several_values(void **state)
{
	(void)state;
	struct err err = {0};
	struct fixture f = {.lines = {own}};
	assert_string_equal(fields_of(parse("gidNumber=gid", NULL), &f, true, &err), "gid=100,200");
	assert_string_equal(f.several, "");
	assert_string_equal(
	    fields_of(parse("gidNumber=gid=1%$", NULL), &f, true, &err), "gid=1100,1200");
	assert_string_equal(fields_of(parse("gidNumber=gid", NULL), &f, false, &err), "gid=100");
	assert_string_equal(f.several, "gidNumber>gid ");
	assert_string_equal(
	    fields_of(parse("gidNumber=gid=x%$", NULL), &f, true, &err), "gid=x100");
	f.several[0] = '\0';
	assert_string_equal(
	    fields_of(parse("=a=%{ldap:gidNumber}", NULL), &f, true, &err), "a=100");
	assert_string_equal(f.several, "gidNumber>a ");
}

static void test_what_is_asked_for(void **state)
{
	(void)state;
	const struct ldap_attrs *a =
	    parse("uid=user,userPassword=password,!x,=y=%{ldap:z}%{ldap:UID},@s=%{ldap:dn1},b@s=c",
		"password");
	check_names(&a->sources[0], "uid x z dn1");
	check_names(&a->sources[1], "b");
	assert_int_equal(a->count, 3);
	a = parse("=a=b", NULL);
	check_names(&a->sources[0], "1.1"); /* none at all, not all of them */
	a = parse("=x=%{ldap_ptr:which}", NULL);
	check_names(&a->sources[0], "which *");
	assert_int_equal(parse("=x=%r,=%w=%d", NULL)->needs,
	    VAR_BIT(VAR_RIP) | VAR_BIT(VAR_PASSWORD) | VAR_BIT(VAR_USER));
}

static void refuse(const char *text, const char *want)
{
	struct err err = {0};
	if (ldap_attrs_parse(&arena, span_of(text), NULL, &err) != NULL)
		fail_msg("%s was accepted", text);
	if (strstr(err.text, want) == NULL)
		fail_msg("%s: %s", text, err.text);
}

static void test_errors(void **state)
{
	(void)state;
	refuse("uid=", "the name of the field is missing");
	refuse("=", "the name of the field is missing");
	refuse("==x", "the name of the field is missing");
	refuse("!", "the name of the attribute is missing");
	refuse("!uid=x", "what is only fetched (!) has no field");
	refuse("u id=x", "is no name of an attribute");
	refuse("uid=x=%{ldp:y}", "unknown variable %{ldp}");
	refuse("uid=x=%{ldap:}", "%{ldap:} without a name");
	refuse("uid=x=%{ldap:a b}", "\"a b\" is no name of an attribute");
	refuse("uid=x=%{ldap:a@b}", "there is no @b=... to read a@b from");
	refuse("a@b=x", "there is no @b=...");
	refuse("a@=x", "there is no @=...");
	refuse("@x", "a sub-query is written @name=");
	refuse("@=y", "a sub-query is written @name=");
	refuse("@x y=z", "a sub-query's name");
	refuse("@x=%{ldap:a},@x=%{ldap:b}", "this name is used twice");
	refuse("@x=%{ldap:a@x}", "@x is read before its own DN is known");
	refuse("@x=%{ldap:a@y},@y=%{ldap:b}", "@y is read before");
	refuse("uid=user=%", "a lone %");
}

/* ---- the settings file ---- */

static const struct ldap_settings *load(const char *text, struct err *err)
{
	return driver_args_parse(&spec_ldap, SPAN_LIT("/x"), span_of(text), &arena, err);
}

static void refuse_file(const char *text, const char *want)
{
	struct err err = {0};
	if (load(text, &err) != NULL)
		fail_msg("accepted: %s", text);
	if (strstr(err.text, want) == NULL)
		fail_msg("%s: %s", text, err.text);
}

static void test_settings(void **state)
{
	(void)state;
	struct err err = {0};
	const struct ldap_settings *s = load("hosts = a b:390\nbase = dc=x\n", &err);
	assert_non_null(s);
	assert_int_equal(s->server_count, 2);
	assert_string_equal(s->servers[0], "ldap://a");
	assert_string_equal(s->servers[1], "ldap://b:390");
	assert_int_equal(s->user->count, 3);
	check_names(&s->pass->sources[0], "uid userPassword");
	s = load(
	    "uris = LDAPS://A ldapi://%2Fx\nauth_bind = yes\nscope = Base\nderef = ALWAYS\n", &err);
	assert_non_null(s);
	assert_string_equal(s->servers[0], "ldaps://A");
	assert_int_equal(s->scope, SCOPE_BASE);
	assert_int_equal(s->deref, DEREF_ALWAYS);
	check_names(&s->pass->sources[0], "uid");
	s = load("uris = ldap://a\nauth_bind_userdn = uid=%u,dc=x\n", &err);
	assert_true(s != NULL && s->userdn_is_dn);
	s = load("uris = ldap://a\nauth_bind_userdn = %{if;%d;eq;a=b;%u;%u@x}\n", &err);
	assert_true(s != NULL && !s->userdn_is_dn);
}

static void test_settings_errors(void **state)
{
	(void)state;
	refuse_file("base = x\n", "uris is missing");
	refuse_file("uris = http://x\n", "line 1: uris: \"http://x\" begins with none of");
	refuse_file("hosts = ldap://x\n", "line 1: hosts: \"ldap://x\" belongs into uris");
	refuse_file("tls = yes\nuris = ldaps://x\n", "line 1: tls: tls=yes is StartTLS");
	refuse_file("uris = ldap://x\ndn = cn=x\n", "dn: without dnpass");
	refuse_file("uris = ldap://x\npass_filter = (uid=%u\n", "line 2: pass_filter: a ( without");
	refuse_file("uris = ldap://x\nuser_filter = (uid=%u))\n", "user_filter: a ) without its (");
	refuse_file("uris = ldap://x\nuser_filter = uid\n", "user_filter: \"uid\" is no filter");
	refuse_file("uris = ldap://x\nuser_attrs = =x=%{ldap:a@b}\n", "line 2: user_attrs: \"=x=");
	refuse_file("uris = ldap://x\niterate_attrs = uid=user,@x=%{ldap:y}\n", "in a list");
	refuse_file("uris = ldap://x\nldap_version = 4\n", "ldap_version: is 3, or 2");
	refuse_file("uris = ldap://x\ntls_cert_file = /x\n", "need each other");
	refuse_file("uris = ldap://x\nscope = tree\n", "is not one of: subtree onelevel base");
	refuse_file("uris = ldap://x\nauth_bnid = yes\n", "did you mean \"auth_bind\"?");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_mappings),
	    cmocka_unit_test(test_commas_in_braces),
	    cmocka_unit_test(test_sub_queries),
	    cmocka_unit_test(test_dn_of_a_sub_query),
	    cmocka_unit_test(test_several_values),
	    cmocka_unit_test(test_what_is_asked_for),
	    cmocka_unit_test(test_errors),
	    cmocka_unit_test(test_settings),
	    cmocka_unit_test(test_settings_errors),
	};
	int rc = cmocka_run_group_tests(tests, NULL, NULL);
	arena_free(&arena);
	return rc;
}
