/*
 * User names on their way in: master separator, realm, translation, allowed
 * characters, format.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/request-kit.h"

static const char all[] = ""; /* auth_username_chars: every byte but NUL */

static void test_normalise(void **state UNUSED)
{
	static const struct {
		const char *realm, *chars, *translation, *format, *in, *out; /* out NULL: refused */
	} cases[] = {
	    {"", NULL, "", "%Lu", "Tim", "tim"},
	    {"", NULL, "", NULL, "Tim", "Tim"},
	    {"", NULL, "", "", "Tim", "Tim"},
	    {"", NULL, "", "%Lu", "a b", NULL},
	    {"", NULL, "", "%Lu", "t\xc3\xafm", NULL},
	    {"", all, "", NULL, "t\xc3\xafm \x01", "t\xc3\xafm \x01"},
	    {"", "tim", "", NULL, "tim", "tim"},
	    {"", "tim", "", NULL, "tom", NULL},
	    /* the realm is for those without one; an empty one counts as one */
	    {"example.com", NULL, "", "%Lu", "Tim", "tim@example.com"},
	    {"example.com", NULL, "", "%Lu", "tim@x", "tim@x"},
	    {"example.com", NULL, "", "%Lu", "tim@", "tim@"},
	    /* the realm comes before translation and check, so both see it */
	    {"e!c", NULL, "", "%Lu", "tim", NULL},
	    {"e!c", NULL, "!.", "%Lu", "tim", "tim@e.c"},
	    /* translation comes before the check */
	    {"", NULL, "/@%@", "%Lu", "tim/x%y", "tim@x@y"},
	    {"", "tm@", "i@", NULL, "tim", "t@m"},
	    {"", NULL, "ab", NULL, "aab", "bbb"}, /* once, not again and again */
	    {"", NULL, "b", NULL, "b", "b"},	  /* half a pair */
	    /* the format */
	    {"", NULL, "", "%Ln", "Tim@Example.COM", "tim"},
	    {"", NULL, "", "%n-x@%d", "tim@e", "tim-x@e"},
	    {"", NULL, "", "%d", "tim", NULL}, /* expands to nothing */
	    /* nobody */
	    {"", NULL, "", "%Lu", "", NULL},
	    {"example.com", NULL, "", "%Lu", "", NULL},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct request_kit k;
		struct err err = {0};
		kit_begin(&k);
		k.auth.default_realm = cases[i].realm;
		k.auth.username_translation = cases[i].translation;
		if (cases[i].chars != NULL)
			k.auth.username_chars = cases[i].chars;
		assert_true(kit_compile(&k, cases[i].format));
		struct span got = username_normalise(&k.request, span_of(cases[i].in), &err);
		if (cases[i].out == NULL) {
			assert_null(got.ptr);
			assert_string_not_equal(err.text, "");
		} else {
			assert_non_null(got.ptr);
			assert_true(span_eq_str(got, cases[i].out));
		}
		kit_end(&k);
	}
}

/* a NUL is refused whatever is allowed, and nothing behind it is cut off on the way */
static void test_nul(void **state UNUSED)
{
	static const char *const realms[] = {"", "example.com"};
	for (size_t i = 0; i < ARRAY_LEN(realms); i++) {
		struct request_kit k;
		struct err err = {0};
		kit_begin(&k);
		k.auth.default_realm = realms[i];
		k.auth.username_chars = all;
		assert_true(kit_compile(&k, "%Lu"));
		assert_null(username_normalise(&k.request, SPAN_LIT("tim\0x"), &err).ptr);
		kit_end(&k);
	}
}

static void test_messages(void **state UNUSED)
{
	struct request_kit k;
	struct err err = {0};
	kit_begin(&k);
	assert_true(kit_compile(&k, "%Lu"));
	assert_null(username_normalise(&k.request, SPAN_LIT("a b"), &err).ptr);
	assert_string_equal(err.text, "Username character disallowed by auth_username_chars: 0x20 "
				      "(username: a b)");
	assert_null(username_normalise(&k.request, SPAN_LIT(""), &err).ptr);
	assert_string_equal(err.text, "Empty username");
	kit_end(&k);
}

/* ---- a login's two names ---- */

struct login_case {
	const char *separator, *authcid, *authzid;
	bool good;
	const char *user, *original, *login_user; /* login_user NULL: no master login */
};

static void login(const struct login_case *c)
{
	struct request_kit k;
	struct err err = {0};
	kit_begin(&k);
	k.auth.master_user_separator = c->separator;
	assert_true(kit_compile(&k, "%Lu"));
	bool good = username_set_login(&k.request, span_of(c->authcid), span_of(c->authzid), &err);
	assert_int_equal(good, c->good);
	assert_true(var_is(&k, VAR_USER, c->user));
	assert_true(var_is(&k, VAR_ORIGINAL_USER, c->original));
	if (good) {
		assert_true(var_is(&k, VAR_AUTH_USER, c->original));
		assert_true(var_is(&k, VAR_LOGIN_USER, c->login_user));
		assert_true(k.request.user_set);
	} else {
		assert_string_not_equal(err.text, "");
	}
	assert_int_equal(
	    k.request.master, good && c->login_user != NULL ? MASTER_WANTED : MASTER_NONE);
	kit_end(&k);
}

static void test_login(void **state UNUSED)
{
	static const struct login_case cases[] = {
	    {"", "Tim", NULL, true, "tim", "Tim", NULL},
	    {"", "Tim", "", true, "tim", "Tim", NULL},
	    {"", "tim", "tim", true, "tim", "tim", NULL},
	    {"", "Master", "Tim", true, "master", "Master", "tim"},
	    /* one name in two spellings is one user */
	    {"", "tim", "TIM", true, "tim", "tim", NULL},
	    /* the separator: its first place; left the target, right the master */
	    {"*", "tim*master", NULL, true, "master", "master", "tim"},
	    {"*", "Tim*Master", "", true, "master", "Master", "tim"},
	    {"*", "tim", NULL, true, "tim", "tim", NULL},
	    {"*", "tim*tim", NULL, true, "tim", "tim", NULL},
	    {"", "tim*master", NULL, false, "tim*master", "tim*master", NULL},
	    {"*", "tim*master*x", NULL, false, "tim*master*x", "master*x", NULL},
	    {"*", "*master", NULL, false, "*master", "*master", NULL},
	    {"*", "tim*", NULL, false, "tim*", "", NULL},
	    /* who gives an authzid has said whom he means */
	    {"*", "tim*master", "joe", false, "tim*master", "tim*master", NULL},
	    /* refused: shown as it came */
	    {"", "a b", NULL, false, "a b", "a b", NULL},
	    {"", "", NULL, false, "", "", NULL},
	    {"", "master", "a b", false, "master", "master", NULL},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		login(&cases[i]);
}

static void test_lookup(void **state UNUSED)
{
	struct request_kit k;
	struct err err = {0};
	kit_begin(&k);
	k.auth.master_user_separator = "*";
	k.auth.username_chars = all;
	assert_true(kit_compile(&k, "%Lu"));
	assert_true(username_set_lookup(&k.request, SPAN_LIT("Tim*Master"), &err));
	assert_true(var_is(&k, VAR_USER, "tim*master"));
	assert_true(var_is(&k, VAR_ORIGINAL_USER, "Tim*Master"));
	assert_int_equal(k.request.master, MASTER_NONE);
	assert_true(k.request.user_set);
	kit_end(&k);
	kit_begin(&k);
	assert_true(kit_compile(&k, "%Lu"));
	assert_false(username_set_lookup(&k.request, SPAN_LIT("a b"), &err));
	assert_false(k.request.user_set);
	kit_end(&k);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_normalise),
	    cmocka_unit_test(test_nul),
	    cmocka_unit_test(test_messages),
	    cmocka_unit_test(test_login),
	    cmocka_unit_test(test_lookup),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
