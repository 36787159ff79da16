/*
 * The functions of templates: hashes and conditions; lists of fields. Hash
 * values are those of libdovecot 2.3.19 or of the algorithms' definitions.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "conf/template.h"

static struct arena arena;

static int teardown(void **state)
{
	(void)state;
	arena_free(&arena);
	return 0;
}

/* false: err says why, from parsing or from expanding */
static bool expand(const char *text, const char *user, struct span *got, struct err *err)
{
	struct fields passdb = fields_in(&arena);
	fields_set_str(&passdb, "x", "pdx");
	struct vars v = {.passdb = &passdb};
	v.v[VAR_USER] = span_of(user);
	v.v[VAR_SERVICE] = SPAN_LIT("imap");
	struct template *t = template_parse(&arena, span_of(text), err);
	*got = t != NULL ? template_expand(t, &v, &arena, NULL, NULL, err) : SPAN_NULL;
	return got->ptr != NULL;
}

static void check_user(const char *text, const char *user, const char *want)
{
	struct err err = {0};
	struct span got;
	if (!expand(text, user, &got, &err))
		fail_msg("%s: %s", text, err.text);
	if (!span_eq_str(got, want))
		fail_msg("%s gave \"%.*s\", not \"%s\"", text, SPAN_ARG(got), want);
}

static void check(const char *text, const char *want)
{
	check_user(text, "value", want);
}

static void refuse(const char *text, const char *why)
{
	struct err err = {0};
	if (template_parse(&arena, span_of(text), &err) != NULL)
		fail_msg("%s was accepted", text);
	if (strstr(err.text, why) == NULL)
		fail_msg("%s said \"%s\", not \"%s\"", text, err.text, why);
}

static void refuse_to_expand(const char *text, const char *user, const char *why)
{
	struct err err = {0};
	struct span got;
	assert_non_null(template_parse(&arena, span_of(text), &err));
	if (expand(text, user, &got, &err))
		fail_msg("%s gave \"%.*s\"", text, SPAN_ARG(got));
	if (strstr(err.text, why) == NULL)
		fail_msg("%s said \"%s\", not \"%s\"", text, err.text, why);
}

static void test_hashes(void **state)
{
	(void)state;
	check("%{md4:user}", "67db1342894775039232b9dd9d4bd535");
	check("%{md5:user}", "2063c1608d6e0baf80249c42e2be5804");
	check("%{sha1:user}", "f32b67c7e26342af42efabc674d441dca0a281c5");
	check("%{sha256:user}", "cd42404d52ad55ccfa9aca4adc828aa5800ad9d385a0671fbcbf724118320619");
	check("%{sha384:user}", "b46c7c39e15d3dc2cdc50e42a7a28181a074ceef18c7c4aa2f6d987fb80e1659"
				"3839c6aecf4fe38f879ce14e6dfd08c5");
	check("%{sha512:user}", "ec2c83edecb60304d154ebdb85bdfaf61a92bd142e71c4f7b25a15b9cb5f3c0a"
				"e301cfb3569cf240e4470031385348bc296d8d99d09e06b26f09591a97527296");
	check(
	    "%{sha3-256:user}", "82eea07adc84f770bb79d3c8c9a76427e3056850b2daddd3b3f50684db34ec7c");
	check("%{sha3-512:user}",
	    "2cdff30177247ab559c515fea4e242e6ada7f4c3f45ae868d64f5076e4a59fbd"
	    "b7815c8e740bd26193a1d6ae956185512cab7c4731ded5ba4233963745e88430");
	check("%{size:user}", "0000000000000005");
	check("%{size;salt=abc:user} %{size;rounds=2:user}", "0000000000000008 0000000000000008");
	check_user("%{md5:user}", "", "d41d8cd98f00b204e9800998ecf8427e");
}

static void test_hash_arguments(void **state)
{
	(void)state;
	check("%{sha1;rounds=1000,salt=seawater:user}", "800d89be67f5ed1f34029b9f086bae196fe58938");
	check("%{sha1;rounds=2:user}", "6dea71629f635c2048e552bc48120689e3f7bcaa");
	check("%{sha1;truncate=12:user} %{sha1;truncate=16:user}", "0f32 f32b");
	check("%{sha1;truncate=1:user} %{sha1;truncate=7:user}", "01 79");
	check("%{sha1;rounds=2,truncate=12:user}", "06de");
	check("%{sha1;truncate=0:user}", "f32b67c7e26342af42efabc674d441dca0a281c5");
	check("%{sha1;truncate=1000:user}", "f32b67c7e26342af42efabc674d441dca0a281c5");
	check("%{size;truncate=8:user}", "00");
	check("%{sha1;format=hex:user}", "f32b67c7e26342af42efabc674d441dca0a281c5");
	check("%{sha1;format=hexuc:user}", "F32B67C7E26342AF42EFABC674D441DCA0A281C5");
	check("%{sha1;format=base64:user}", "8ytnx+JjQq9C76vGdNRB3KCigcU=");
	check("%{sha1;salt=a;b:user}", "c30c37182311417a9ed04b0d0a2b642dbddd60b7");
	check("%{sha1;salt=:user}", "f32b67c7e26342af42efabc674d441dca0a281c5");
	check("%4.8{sha1:user} %U{sha1;truncate=16:user}", "67c7e263 F32B");
	check("%{sha1:md5:user}", "824324cbeb762a6dcf816bb73eecd9c6aeb6d720");
	check("%{sha1:passdb:x}", "5ee79bbdf417e2ac45e53391c06782c4e6ce4205");
	check("%{sha1:if;a;eq;a;value;no}", "f32b67c7e26342af42efabc674d441dca0a281c5");
}

static void test_hash_salts(void **state)
{
	(void)state;
	/* the SHA-1 of "imapvalue", "pdxvalue" and "sea,water:value" */
	check("%{sha1;salt=%s:user}", "019dd269d0008190e1ba42aef01d9aa90244422f");
	check("%{sha1;salt=%{passdb:x:def}:user}", "408d3cf8367f7d346ea9366da1878b74ffa62e3d");
	check("%{sha1;salt=%{if;a;eq;a;sea,water:;no}:user}",
	    "0bcc1487ab7412dc83ca43a18225ed2963f8ccb7");
}

static void test_pkcs5(void **state)
{
	(void)state;
	/* PBKDF2-HMAC-SHA256, 2048 rounds, salted with the name of the variable */
	check("%{pkcs5:user}", "c101cb3e102f8f1abeecb299579fd9c3f142555ce1b8b423a78dfd281951ec1a");
	check("%{pkcs5;salt=user:user}",
	    "c101cb3e102f8f1abeecb299579fd9c3f142555ce1b8b423a78dfd281951ec1a");
	check("%{pkcs5;rounds=1,salt=s:user}",
	    "0602427fbb2106dc6b23f26fc4a220299a479980a4b4c823a095c702d8d67d2f");
	check("%{pkcs5;rounds=1,truncate=64,salt=s:user}", "0602427fbb2106dc");
}

static void test_hash_errors(void **state)
{
	(void)state;
	refuse("%{sha1}", "a hash without a :variable at offset 2");
	refuse("%{sha1;rounds=2}", "a hash without a :variable at offset 2");
	refuse("%{sha1:}", "%{} without a name at offset 7");
	refuse("%{sha1:nope}", "unknown variable %{nope}");
	refuse("%{sha1:usr}", "did you mean %{user}?) at offset 7");
	refuse("%{sha1;rounds=0:user}", "rounds= must be at least 1 at offset 7");
	refuse("%{sha1;rounds=x:user}", "rounds= takes a number up to 1000000 at offset 14");
	refuse("%{sha1;rounds=1000001:user}", "rounds= takes a number up to 1000000");
	refuse("%{sha1;truncate=-1:user}", "truncate= takes a number");
	refuse("%{sha1;format=wrong:user}", "format= takes hex, hexuc or base64 at offset 14");
	refuse("%{sha1;foo=1:user}", "unknown argument \"foo\" of a hash");
	refuse("%{sha1;rounds:user}", "unknown argument \"rounds\"");
	refuse("%{sha1;salt=a,rounds=2:user}", "salt= must be the last argument");
	refuse("%{sha1;salt=%Q:user}", "unknown modifier 'Q' in %Q");
	refuse("%{sha1;salt=a:user", "without its }");
	refuse("%{sha1;salt=a", "without its }");
}

static void test_if(void **state)
{
	(void)state;
	check("%{if;a;eq;a;yes;no} %{if;a;eq;b;yes;no}", "yes no");
	check("<%{if;a;eq;b;yes}>", "<>");
	check("<%{if;a;eq;a;;no}>", "<>");
	check("%{if;;eq;;yes;no}", "yes");
	check("%{if;%u;eq;value;%s-%u;no}", "imap-value");
	check("%{if;%{user};ne;value;yes;%{service}}", "imap");
	check("%{if;%{passdb:x};eq;pdx;yes;no}", "yes");
	check("%{if; a ;eq; a ;yes;no}", "yes");
	check("%U{if;a;eq;a;abc;no} %2{if;a;eq;a;ABC;no}", "ABC AB");
	check("%{if;a;eq;a;%{if;b;eq;c;inner;%u};outer}", "value");
	check("%{if;%{if;a;eq;a;1;2};==;1;yes;no}", "yes");
}

static void test_if_escapes(void **state)
{
	(void)state;
	check("%{if;a\\;b;eq;a\\;b;x\\;y;no}", "x;y");
	check("%{if;a\\:b;eq;a:b;http://x;no}", "http://x");
	check("%{if;a;eq;a;100\\%;no} %{if;a;eq;a;\\%u;no}", "100% %u");
	check("%{if;a;eq;a;a\\{b;no} %{if;a;eq;a;a\\}b;no}", "a{b a}b");
	check("%{if;a;eq;a;a{b}c;no}", "a{b}c");
	check("%{if;a;eq;a;a\\\\b\\c;no}", "a\\bc");
	check("%{if;a;eq;a;%{if;b;eq;b;in\\;ner;no};outer}", "in;ner");
	check("%{if;a;eq;a;%{passdb:no:a;b};no}", "a;b");
	check("a\\;b", "a\\;b");
}

static void test_if_numbers(void **state)
{
	static const char *const rows[][4] = {
	    /* 1 op 2, 2 op 2, 3 op 2 */
	    {"==", "no", "yes", "no"},
	    {"!=", "yes", "no", "yes"},
	    {"<", "yes", "no", "no"},
	    {"<=", "yes", "yes", "no"},
	    {">", "no", "no", "yes"},
	    {">=", "no", "yes", "yes"},
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		for (int n = 1; n <= 3; n++) {
			char text[64], user[2] = {(char)('0' + n), '\0'};
			snprintf(text, sizeof(text), "%%{if;%%u;%s;2;yes;no}", rows[i][0]);
			check_user(text, user, rows[i][n]);
		}
	}
	check("%{if;007;==;7;yes;no} %{if;-3;<;2;yes;no} %{if;10;>;9;yes;no}", "yes yes yes");
	check("%{if;-9223372036854775808;<;9223372036854775807;yes;no}", "yes");
	refuse("%{if;+1;<;2;yes;no}", "%{if}: \"+1\" is not a number at offset 2");
	refuse("%{if;%u;<;x;yes;no}", "\"x\" is not a number");
	refuse("%{if;9223372036854775808;<;2;yes;no}", "is not a number");
	refuse("%{if;-9223372036854775809;<;2;yes;no}", "is not a number");
	refuse("%{if;-;<;2;yes;no}", "is not a number");
	refuse_to_expand("%{if;%u;<;2;yes;no}", "abc", "\"abc\" is not a number");
	refuse_to_expand("%{if;2;<;%u;yes;no}", "", "\"\" is not a number");
}

static void test_if_strings(void **state)
{
	static const char *const rows[][5] = {
	    /* a op b, b op b, c op b, bb op b */
	    {"eq", "no", "yes", "no", "no"},
	    {"ne", "yes", "no", "yes", "yes"},
	    {"lt", "yes", "no", "no", "no"},
	    {"le", "yes", "yes", "no", "no"},
	    {"gt", "no", "no", "yes", "yes"},
	    {"ge", "no", "yes", "yes", "yes"},
	};
	static const char *const users[] = {"a", "b", "c", "bb"};
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		for (size_t u = 0; u < ARRAY_LEN(users); u++) {
			char text[64];
			snprintf(text, sizeof(text), "%%{if;%%u;%s;b;yes;no}", rows[i][0]);
			check_user(text, users[u], rows[i][u + 1]);
		}
	}
	check_user("%{if;%u;lt;b;yes;no}", "", "yes");
	check_user("%{if;%u;gt;z;yes;no}", "\xff", "yes");
	check_user("%{if;%u;eq;b;yes;no}", "B", "no");
}

static void test_if_wildcards(void **state)
{
	(void)state;
	check_user("%{if;%u;*;*@*.com;yes;no}", "x@y.com", "yes");
	check_user("%{if;%u;*;*@*.com;yes;no}", "x@y.org", "no");
	check_user("%{if;%u;!*;a?c;yes;no}", "abc", "no");
	check_user("%{if;%u;!*;a?c;yes;no}", "abbc", "yes");
	check_user("%{if;%u;*;A*;yes;no}", "abc", "no");
	check_user("%{if;abc;*;%u;yes;no}", "*b*", "yes");
}

static void test_if_regex(void **state)
{
	(void)state;
	check_user("%{if;%u;~;^a.c$;yes;no}", "abc", "yes");
	check_user("%{if;%u;~;^A.c$;yes;no}", "abc", "no");
	check_user("%{if;%u;!~;^a.c$;yes;no}", "abc", "no");
	check_user("%{if;%u;~;^[0-9]{1,3}(\\\\.[0-9]{1,3}){3}$;yes;no}", "192.0.2.7", "yes");
	check_user("%{if;%u;~;^[0-9]{1,3}(\\\\.[0-9]{1,3}){3}$;yes;no}", "192x0x2x7", "no");
	check_user("%{if;%u;~;^([[:alpha:]]|-)+[])x]$;yes;no}", "ab-]", "yes");
	check_user("%{if;abc;~;%u;yes;no}", "^a.c$", "yes");
	check_user("%{if;%u;~;b;yes;no}", "", "no");
	struct err err = {0};
	struct template *t = template_parse(&arena, SPAN_LIT("%{if;%u;~;c$;yes;no}"), &err);
	struct vars v = {0};
	assert_non_null(t);
	v.v[VAR_USER] = SPAN_LIT("a\0bc"); /* bytes after a NUL count too */
	assert_true(span_eq_str(template_expand(t, &v, &arena, NULL, NULL, &err), "yes"));
	v.v[VAR_USER] = span_make("abcX", 3); /* not terminated */
	assert_true(span_eq_str(template_expand(t, &v, &arena, NULL, NULL, &err), "yes"));
}

static void test_regex_bounds(void **state)
{
	(void)state;
	static char user[600];
	memset(user, 'a', 512);
	check_user("%{if;%u;~;^a*$;yes;no}", user, "yes");
	user[512] = 'a';
	refuse_to_expand("%{if;%u;~;^a*$;yes;no}", user,
	    "513 bytes are too many for a regular expression (512)");
	refuse("%{if;%u;~;^(;yes;no}", "the regular expression is not valid: ");
	refuse("%{if;%u;~;(a)\\\\1;yes;no}", "back references are not supported");
	refuse("%{if;%u;~;((a{255}){255}){255};yes;no}", "the regular expression is too large");
	refuse("%{if;%u;~;a{200}{200};yes;no}", "the regular expression is too large");
	refuse("%{if;%u;~;a++++++++++++++++++++++++;yes;no}", "too large");
	refuse("%{if;%u;~;[ab]{30000};yes;no}", "the regular expression is too large");
	refuse("%{if;%u;~;((((((((((((((((((a))))))))))))))))));yes;no}", "too large");
	refuse_to_expand(
	    "%{if;%u;~;%u;yes;no}", user, "are too many for a regular expression (256)");
	refuse_to_expand("%{if;a;~;%u;yes;no}", "[ab]{200}", "too large");
	refuse_to_expand("%{if;a;~;%u;yes;no}", "(a)\\1", "back references");
	refuse_to_expand("%{if;a;~;%u;yes;no}", "a{9999}", "too large");
	refuse_to_expand("%{if;a;~;%u;yes;no}", "[", "not valid");
	check("%{if;%u;~;^[a-z0-9]{32}-([a-z]{1,20}){1,5}$;yes;no}", "no");
	check_user("%{if;%u;~;^[({9999})]+$;yes;no}", "{9}", "yes"); /* no repetition at all */
}

/* more patterns than are kept compiled */
static void test_many_patterns(void **state)
{
	(void)state;
	for (int i = 0; i < 300; i++) {
		char text[64], user[16];
		snprintf(text, sizeof(text), "%%{if;%%u;~;^x%d$;yes;no}", i);
		snprintf(user, sizeof(user), "x%d", i);
		check_user(text, user, "yes");
		check_user(text, "x", "no");
	}
}

static void test_if_errors(void **state)
{
	(void)state;
	refuse("x%{if;a;eq;b}", "%{if} needs 4 or 5 arguments");
	refuse("%{if}", "unknown variable %{if}");
	refuse("%{if;}", "%{if} needs 4 or 5 arguments");
	refuse("%{if;a;eq;a;b;c;d}", "%{if} has more than 5 arguments at offset 2");
	refuse("%{if;a;zz;c;yes;no}", "%{if} knows no operator \"zz\" (only == != <");
	refuse("%{if;a; eq ;a;yes;no}", "%{if} knows no operator \" eq \"");
	refuse("%{if;a;%u;a;yes;no}", "operator");
	refuse("%{if;a;eq;a;yes;no", "%{ without its }");
	refuse("%{if;a;eq;a;yes;no\\}", "%{ without its }");
	refuse("%{if;a;eq;a;%{nope};no}", "unknown variable %{nope} at offset 14");
}

/* ---- lists of fields ---- */

static struct template_fields *parse_fields(const char *text)
{
	struct err err = {0};
	struct template_fields *tf = template_fields_parse(&arena, span_of(text), &err);
	if (tf == NULL)
		fail_msg("%s: %s", text, err.text);
	assert_string_equal(tf->text, text);
	return tf;
}

static void check_field(
    const struct template_fields *tf, size_t i, const char *key, const char *value)
{
	struct err err = {0};
	struct vars v = {0};
	v.v[VAR_USER] = SPAN_LIT("joe@example.com");
	assert_true(i < tf->count);
	struct span got = template_expand(tf->items[i].key, &v, &arena, NULL, NULL, &err);
	assert_true(span_eq_str(got, key));
	if (value == NULL) {
		assert_null(tf->items[i].value);
		return;
	}
	assert_non_null(tf->items[i].value);
	got = template_expand(tf->items[i].value, &v, &arena, NULL, NULL, &err);
	if (!span_eq_str(got, value))
		fail_msg("field %s is \"%.*s\", not \"%s\"", key, SPAN_ARG(got), value);
}

static void test_fields(void **state)
{
	(void)state;
	struct template_fields *tf = parse_fields(" uid=vmail  home=/m/%d/%n\tnopassword\n a= ");
	assert_int_equal(tf->count, 4);
	check_field(tf, 0, "uid", "vmail");
	check_field(tf, 1, "home", "/m/example.com/joe");
	check_field(tf, 2, "nopassword", NULL);
	check_field(tf, 3, "a", "");
	assert_int_equal(template_fields_needs(tf), VAR_BIT(VAR_USER));
	assert_int_equal(parse_fields("")->count, 0);
	assert_int_equal(parse_fields("  ")->count, 0);
	assert_int_equal(template_fields_needs(parse_fields("a=b c")), 0);
}

static void test_fields_with_variables(void **state)
{
	(void)state;
	struct template_fields *tf = parse_fields(
	    "%n:protected=x=%d quota=%{if;%d;eq;example.com;1 GB;%{if;1;==;2;c d;e}} x=%%{a b");
	assert_int_equal(tf->count, 4);
	check_field(tf, 0, "joe:protected", "x=example.com");
	check_field(tf, 2, "x", "%{a");
	check_field(tf, 3, "b", NULL);
	tf = parse_fields("%{if;1;==;2;c;d}=v k=%1.2L{if;a;eq;a;\\} \\;;x}");
	assert_int_equal(tf->count, 2);
	check_field(tf, 0, "d", "v");
	check_field(tf, 1, "k", " ;");
	assert_int_equal(template_fields_needs(parse_fields("%s=%{passdb:x}")),
	    VAR_BIT(VAR_SERVICE) | VAR_BIT(VAR_PASSDB));
}

static void test_fields_quoted(void **state)
{
	(void)state;
	struct template_fields *tf = parse_fields(
	    "a=\"x y\" b=\"\" c=\"q\\\"r\\\\s\\t\" d=e\"f g=\"%{if;%n;eq;joe;a b;}\" \"h");
	assert_int_equal(tf->count, 6);
	check_field(tf, 0, "a", "x y");
	check_field(tf, 1, "b", "");
	check_field(tf, 2, "c", "q\"r\\s\\t");
	check_field(tf, 3, "d", "e\"f");
	check_field(tf, 4, "g", "a b");
	check_field(tf, 5, "\"h", NULL);
}

static void refuse_fields(const char *text, const char *why)
{
	struct err err = {0};
	assert_null(template_fields_parse(&arena, span_of(text), &err));
	if (strstr(err.text, why) == NULL)
		fail_msg("%s said \"%s\", not \"%s\"", text, err.text, why);
}

static void test_fields_errors(void **state)
{
	(void)state;
	refuse_fields("a=b =c", "a field without a name at offset 4");
	refuse_fields("a=b x=%{usr}", "did you mean %{user}?) at offset 8");
	refuse_fields("a=\"%{usr}\"", "at offset 5");
	refuse_fields("a%z=b", "unknown variable %z");
	refuse_fields("a=\"b c", "missing the closing quote of \" at offset 2");
	refuse_fields("a=\"b\"c", "text right after a closing quote at offset 5");
	refuse_fields("a=%{if;a;eq;b c;d;e", "without its }");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_hashes),
	    cmocka_unit_test(test_hash_arguments),
	    cmocka_unit_test(test_hash_salts),
	    cmocka_unit_test(test_pkcs5),
	    cmocka_unit_test(test_hash_errors),
	    cmocka_unit_test(test_if),
	    cmocka_unit_test(test_if_escapes),
	    cmocka_unit_test(test_if_numbers),
	    cmocka_unit_test(test_if_strings),
	    cmocka_unit_test(test_if_wildcards),
	    cmocka_unit_test(test_if_regex),
	    cmocka_unit_test(test_regex_bounds),
	    cmocka_unit_test(test_many_patterns),
	    cmocka_unit_test(test_if_errors),
	    cmocka_unit_test(test_fields),
	    cmocka_unit_test(test_fields_with_variables),
	    cmocka_unit_test(test_fields_quoted),
	    cmocka_unit_test(test_fields_errors),
	};
	return cmocka_run_group_tests(tests, NULL, teardown);
}
