/*
 * Fakes: the same for the same name, in the shape of what users have.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "authd/fake.h"
#include "base/encode.h"
#include "schemes/scheme.h"

static struct arena arena;

static struct secret key_of(const char *text)
{
	return fake_key(secret_of(span_of(text)), &arena);
}

static struct span fake(
    const struct fakes *f, const char *key, const char *scheme, const char *user)
{
	return secret_reveal(fake_credential(f, key_of(key), scheme, span_of(user), &arena));
}

static void test_stable_and_apart(void **state UNUSED)
{
	static const char *const schemes[] = {
	    "CRAM-MD5", "DIGEST-MD5", "PLAIN", "SCRAM-SHA-1", "SCRAM-SHA-256", "SCRAM-SHA-512"};
	struct fakes f = {0};
	for (size_t i = 0; i < ARRAY_LEN(schemes); i++) {
		struct span tim = fake(&f, "k", schemes[i], "tim");
		assert_true(tim.len > 0);
		assert_true(span_eq(tim, fake(&f, "k", schemes[i], "tim")));
		assert_false(span_eq(tim, fake(&f, "k", schemes[i], "tin")));
		assert_false(span_eq(tim, fake(&f, "other", schemes[i], "tim")));
		const struct scheme *s = scheme_find(span_of(schemes[i]));
		if (s->raw_len > 0)
			assert_int_equal(tim.len, s->raw_len);
	}
	arena_free(&arena);
}

/* salt and rounds of a SCRAM credential */
static struct span head_of(struct span credential)
{
	ssize_t first = span_find(credential, ',');
	ssize_t second = span_find(span_skip(credential, (size_t)first + 1), ',');
	return span_first(credential, (size_t)(first + 1 + second));
}

static void test_salt_is_that_of_plaintext_users(void **state UNUSED)
{
	struct fakes f = {0};
	struct span salt = fake_salt(key_of("k"), "SCRAM-SHA-256", SPAN_LIT("tim"), &arena);
	struct span made = arena_join(&arena, SPAN_LIT("4096,"), base64_encode_arena(&arena, salt));
	assert_int_equal(salt.len, FAKE_SALT_LEN);
	assert_true(span_eq(head_of(fake(&f, "k", "SCRAM-SHA-256", "tim")), made));
	assert_true(span_eq(head_of(fake(&f, "k", "scram-sha-256", "tim")), made));
	assert_null(fake_salt(key_of("k"), "CRAM-MD5", SPAN_LIT("tim"), &arena).ptr);
	arena_free(&arena);
}

static void test_is_a_valid_credential(void **state UNUSED)
{
	static const char *const schemes[] = {"SCRAM-SHA-1", "SCRAM-SHA-256", "SCRAM-SHA-512"};
	struct fakes f = {0};
	for (size_t i = 0; i < ARRAY_LEN(schemes); i++) {
		struct scheme_hash h;
		struct err err = {0};
		struct span c = fake(&f, "k", schemes[i], "tim");
		assert_true(scheme_parse(secret_of(c), schemes[i], true, &arena, &h, &err));
		assert_int_equal(
		    scheme_verify(&h, secret_of(SPAN_LIT("x")), SPAN_LIT("tim"), &arena, &err),
		    VERDICT_MISMATCH);
	}
	arena_free(&arena);
}

static void note(struct fakes *f, const char *credential)
{
	fake_note(f, "SCRAM-SHA-256", secret_of(span_of(credential)));
}

static void test_follows_the_majority(void **state UNUSED)
{
	struct fakes f = {0};
	for (int i = 0; i < 3; i++)
		note(&f, "10000,AAAAAAAAAAAAAAAAAAAAAAAAAAA=,x,y"); /* 20 bytes */
	note(&f, "5000,AAAAAAAA,x,y");
	struct span head = head_of(fake(&f, "k", "SCRAM-SHA-256", "tim"));
	assert_true(span_starts(head, "10000,"));
	assert_int_equal(base64_decode(&arena, span_skip(head, 6)).len, 20);
	/* the other hash has shown nothing yet */
	assert_true(span_starts(fake(&f, "k", "SCRAM-SHA-1", "tim"), "4096,"));
	for (int i = 0; i < 10; i++)
		note(&f, "5000,AAAAAAAA,x,y");
	assert_true(span_starts(fake(&f, "k", "SCRAM-SHA-256", "tim"), "5000,"));
	/* no sense in it: nothing is learned */
	for (int i = 0; i < 30; i++) {
		note(&f, "");
		note(&f, "x,y");
		note(&f, "4096");
		note(&f, "4096,");
		note(&f, "4096,=");
	}
	assert_true(span_starts(fake(&f, "k", "SCRAM-SHA-256", "tim"), "5000,"));
	arena_free(&arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_stable_and_apart),
	    cmocka_unit_test(test_salt_is_that_of_plaintext_users),
	    cmocka_unit_test(test_is_a_valid_credential),
	    cmocka_unit_test(test_follows_the_majority),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
