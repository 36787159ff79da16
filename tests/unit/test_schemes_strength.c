/*
 * Which stored password is weaker than which.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "schemes/scheme.h"

#define ARGON "{ARGON2ID}$argon2id$v=19$m=65536,t=3,p=1$vBb99oJ12p3WAdYlaMHz1A$jtFOtbo/sYV9OSlTxDo/"
#define SHA512                                                                                     \
	"ZIAd5WqfyLkpvsVCVUU1GrvqaZTqvhJoouxdSqJO71l9Ld3tVrfOatEjarhghvEYADkq//LpDnTeO90tcbtHR1"

static struct scheme_hash parse(const char *text, struct arena *a)
{
	struct scheme_hash h;
	struct err err = {0};
	if (!scheme_parse(secret_of(span_of(text)), "CRYPT", false, a, &h, &err))
		fail_msg("%s: %s", text, err.text);
	return h;
}

static void test_kinds(void **state)
{
	(void)state;
	static const struct {
		const char *stored, *kind;
	} rows[] = {
	    {"{PLAIN}x", "PLAIN"},
	    {"{CRYPT}$6$abc$" SHA512, "SHA512-CRYPT"},
	    {"{SHA512-CRYPT}$5$abc$x", "SHA256-CRYPT"},
	    {"$2y$05$11ipvo5dR6CwkzwmhwM26OXgzXwhV2PyPuLV.Qi31ILcRcThQpEiW", "BLF-CRYPT"},
	    {"{CRYPT}$y$j9T$abc$x", "YESCRYPT"},
	    {"{MD5}$1$wmyrgRuV$kImF6.9MAFQNHe23kq5vI/", "MD5-CRYPT"},
	    {"{MD5}098f6bcd4621d373cade4e832627b4f6", "MD5"},
	    {"//EsnG9FLTKjo", "DES-CRYPT"},
	    {"{ARGON2}$argon2i$v=19$m=32768,t=4,p=1$a$b", "ARGON2I"},
	    {ARGON, "ARGON2ID"},
	    {"{CRYPT}$new$x", "OTHER"},
	};
	struct arena a = {0};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct scheme_hash h = parse(rows[i].stored, &a);
		assert_string_equal(scheme_kinds[scheme_kind_of(&h)].name, rows[i].kind);
	}
	arena_free(&a);
}

/* Each scheme of the table is a kind: a new one must say what it is worth. */
static void test_complete(void **state)
{
	(void)state;
	for (size_t i = 0; scheme_table[i] != NULL; i++) {
		struct scheme_hash h = {.scheme = scheme_table[i], .raw = secret_of(SPAN_LIT("x"))};
		bool crypt = (scheme_table[i]->flags & SCHEME_CRYPT) != 0;
		if (!crypt && strcmp(scheme_kinds[scheme_kind_of(&h)].name, "OTHER") == 0)
			fail_msg("%s is no kind", scheme_table[i]->name);
	}
}

static void test_weaker(void **state)
{
	(void)state;
	static const struct {
		const char *stored, *than;
		bool weaker;
	} rows[] = {
	    {"{PLAIN}x", ARGON, true},
	    {"{SSHA}H/zrDv8FXUu1JmwvVYijfrYEF34jVZcO", "{CRYPT}$6$abc$x", true},
	    {"{CRYPT}$6$abc$x", "{SSHA}H/zrDv8FXUu1JmwvVYijfrYEF34jVZcO", false},
	    {"{CRYPT}$6$abc$x", ARGON, true},
	    {"{CRYPT}$6$abc$x", "{CRYPT}$6$abc$x", false},
	    {"{CRYPT}$6$rounds=4999$abc$x", "{CRYPT}$6$abc$x", true},
	    {"{CRYPT}$6$rounds=5001$abc$x", "{CRYPT}$6$abc$x", false},
	    {"{CRYPT}$2y$05$x", "{CRYPT}$2y$10$x", true},
	    {"{CRYPT}$2y$12$x", "{CRYPT}$2y$10$x", false},
	    {"{CRYPT}$2y$12$x", ARGON, true},
	    {ARGON, "{CRYPT}$2y$12$x", false},
	    {"{CRYPT}$y$j9T$abc$x", ARGON, false},
	    /* more of the one and less of the other is neither */
	    {"{ARGON2ID}$argon2id$v=19$m=131072,t=1,p=1$a$b", ARGON, false},
	    {"{ARGON2ID}$argon2id$v=19$m=32768,t=3,p=1$a$b", ARGON, true},
	    /* some mechanism needs these as they are */
	    {"{CRAM-MD5}e02d374fde0dc75a17a557039a3a5338c7743304777dccd376f332bee68d2cf6", ARGON,
		false},
	    {"{OTP}sha1 1024 ae6b49aa481f7233 f69fc7f98b8fbf54", ARGON, false},
	    {"{CRYPT}$new$x", ARGON, false},
	};
	struct arena a = {0};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct scheme_hash h = parse(rows[i].stored, &a), than = parse(rows[i].than, &a);
		if (scheme_is_weaker(&h, &than) != rows[i].weaker)
			fail_msg("%s than %s", rows[i].stored, rows[i].than);
	}
	arena_free(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_kinds),
	    cmocka_unit_test(test_complete),
	    cmocka_unit_test(test_weaker),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
