/*
 * The GS2 header: what RFC 5801 section 4 allows, and nothing else.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "mechanisms/gs2.h"

static void test_good(void **state UNUSED)
{
	static const struct {
		const char *header;
		char flag;
		const char *type, *authzid;
	} cases[] = {{"n,,", 'n', NULL, NULL}, {"y,,", 'y', NULL, NULL},
	    {"p=tls-exporter,,", 'p', "tls-exporter", NULL},
	    {"p=vnd.example.com-frop,,", 'p', "vnd.example.com-frop", NULL},
	    {"n,a=frop=2Cfriep=3Dfrml,", 'n', NULL, "frop,friep=frml"},
	    {"p=x,a=\xc3\xa4,", 'p', "x", "\xc3\xa4"}};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct arena a = {0};
		struct gs2_header h;
		struct span in = arena_join(&a, span_of(cases[i].header), SPAN_LIT("n=u,r=x"));
		assert_true(gs2_take_header(&a, &in, &h));
		assert_true(span_eq_str(in, "n=u,r=x"));
		assert_true(span_eq_str(h.text, cases[i].header));
		assert_int_equal(h.flag, cases[i].flag);
		assert_true(span_eq(h.binding_type, span_of(cases[i].type)));
		assert_true(span_eq(h.authzid, span_of(cases[i].authzid)));
		arena_free(&a);
	}
}

static void test_bad(void **state UNUSED)
{
	static const char *const cases[] = {"", ",", ",,", "n", "n,", "q,,", "nn,", "nn,,", "p,,",
	    "p=,,", "p=_frop,,", "p=a b,,", "n=x,,", "n,a,", "n,a=,", "n,a=fr=p,", "n,a=fr=20p,",
	    "n,a=fr=", "n,a=fr=2,", "n,b=x,", "Fn,,", "F,n,,", "N,,"};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct arena a = {0};
		struct gs2_header h;
		struct span in = span_of(cases[i]);
		assert_false(gs2_take_header(&a, &in, &h));
		arena_free(&a);
	}
	struct arena a = {0};
	struct gs2_header h;
	struct span nul = SPAN_LIT("n,a=x\0y,"), absent = SPAN_NULL;
	assert_false(gs2_take_header(&a, &nul, &h));
	assert_false(gs2_take_header(&a, &absent, &h));
	arena_free(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_good),
	    cmocka_unit_test(test_bad),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
