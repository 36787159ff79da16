/*
 * Making stored passwords, converting them, and dummies: each for every
 * scheme of the table.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <pthread.h>

#include "schemes/scheme.h"

static struct arena arena;

static int teardown(void **state)
{
	(void)state;
	arena_free(&arena);
	return 0;
}

static struct secret generate(const char *name, unsigned rounds, const char *password)
{
	struct err err = {0};
	struct scheme_gen g = {.user = SPAN_LIT("joe@example.com"), .rounds = rounds};
	struct secret made =
	    scheme_generate(span_of(name), &g, secret_of(span_of(password)), &arena, &err);
	if (!secret_is_set(made))
		fail_msg("%s: %s", name, err.text);
	return made;
}

static struct scheme_hash parsed(struct secret stored)
{
	struct scheme_hash h;
	struct err err = {0};
	if (!scheme_parse(stored, NULL, false, &arena, &h, &err))
		fail_msg("%s", err.text);
	return h;
}

static enum verdict verify(const struct scheme_hash *h, const char *password)
{
	struct err err = {0};
	enum verdict v = scheme_verify(
	    h, secret_of(span_of(password)), SPAN_LIT("joe@example.com"), &arena, &err);
	if (v == VERDICT_INTERNAL)
		fail_msg("%s: %s", h->scheme->name, err.text);
	return v;
}

static void generated_verifies(void **state)
{
	(void)state;
	static const char *const suffixes[] = {"", ".HEX", ".B64", ".BASE64", ".hex"};
	for (size_t i = 0; scheme_table[i] != NULL; i++) {
		for (size_t j = 0; j < ARRAY_LEN(suffixes); j++) {
			struct span name =
			    arena_printf(&arena, "%s%s", scheme_table[i]->name, suffixes[j]);
			struct secret made = generate(name.ptr, 0, "p\303\244ss {x}");
			struct scheme_hash h = parsed(made);
			assert_ptr_equal(h.scheme, scheme_table[i]);
			assert_int_equal(verify(&h, "p\303\244ss {x}"), VERDICT_OK);
			assert_int_equal(verify(&h, "p\303\244ss {y}"), VERDICT_MISMATCH);
			assert_int_equal(verify(&h, ""), VERDICT_MISMATCH);
			/* the name is written back in capitals */
			struct span text = secret_reveal(made);
			assert_true(span_eq_ci(span_make(text.ptr + 1, name.len), name));
			if (j < 4)
				assert_memory_equal(text.ptr + 1, name.ptr, name.len);
			else
				assert_memory_not_equal(text.ptr + 1, name.ptr, name.len);
		}
		arena_reset(&arena);
	}
}

/* salted ones differ each time, the others must not */
static void salts_are_fresh(void **state)
{
	(void)state;
	static const char *const fixed[] = {"PLAIN", "CLEAR", "CLEARTEXT", "PLAIN-TRUNC", "SHA",
	    "SHA1", "SHA256", "SHA512", "PLAIN-MD4", "PLAIN-MD5", "LDAP-MD5", "CRAM-MD5",
	    "HMAC-MD5", "DIGEST-MD5", "NT", "NTLM"};
	for (size_t i = 0; scheme_table[i] != NULL; i++) {
		const char *name = scheme_table[i]->name;
		bool same = false;
		for (size_t j = 0; j < ARRAY_LEN(fixed); j++)
			same = same || strcmp(fixed[j], name) == 0;
		/* two of 4096 DES salts may meet */
		if (strcmp(name, "DES-CRYPT") == 0)
			continue;
		assert_int_equal(
		    secret_eq(generate(name, 0, "test"), generate(name, 0, "test")), same);
	}
}

static void assert_begins(const char *name, unsigned rounds, const char *prefix, size_t len)
{
	struct span text = secret_reveal(generate(name, rounds, "test"));
	if (!span_starts(text, prefix))
		fail_msg("%s %u: %.*s", name, rounds, SPAN_ARG(text));
	if (len > 0)
		assert_int_equal(text.len, len);
}

static void rounds_and_defaults(void **state)
{
	(void)state;
	assert_begins("CRYPT", 0, "{CRYPT}$2y$05$", 67);
	assert_begins("BLF-CRYPT", 6, "{BLF-CRYPT}$2y$06$", 71);
	assert_begins("BLF-CRYPT", 1, "{BLF-CRYPT}$2y$04$", 0);
	assert_begins("sha512-crypt", 0, "{SHA512-CRYPT}$6$", 14 + 3 + 16 + 1 + 86);
	assert_begins("SHA512-CRYPT", 5000, "{SHA512-CRYPT}$6$", 14 + 3 + 16 + 1 + 86);
	assert_begins("SHA512-CRYPT", 6000, "{SHA512-CRYPT}$6$rounds=6000$", 0);
	assert_begins("SHA256-CRYPT", 1, "{SHA256-CRYPT}$5$rounds=1000$", 0);
	assert_begins("MD5", 0, "{MD5}$1$", 5 + 3 + 8 + 1 + 22);
	assert_begins("DES-CRYPT", 0, "{DES-CRYPT}", 11 + 13);
	assert_begins("PBKDF2", 0, "{PBKDF2}$1$", 8 + 3 + 16 + 6 + 40);
	assert_begins("SCRAM-SHA-256", 1, "{SCRAM-SHA-256}4096,", 0);
	assert_begins("SCRAM-SHA-512", 0, "{SCRAM-SHA-512}4096,", 0);
	assert_begins("SCRAM-SHA-256", 5000, "{SCRAM-SHA-256}5000,", 0);
	assert_begins("ARGON2I", 0, "{ARGON2I}$argon2i$v=19$m=32768,t=4,p=1$", 0);
	assert_begins("ARGON2I", 1, "{ARGON2I}$argon2i$v=19$m=32768,t=3,p=1$", 0);
	assert_begins("ARGON2ID", 0, "{ARGON2ID}$argon2id$v=19$m=65536,t=3,p=1$", 0);
	assert_begins("ARGON2", 1, "{ARGON2}$argon2id$v=19$m=65536,t=3,p=1$", 0);
	assert_begins("OTP", 0, "{OTP}sha1 1024 ", 5 + 10 + 16 + 1 + 16);
	assert_begins("PLAIN-TRUNC", 0, "{PLAIN-TRUNC}5-test", 0);
	assert_begins("SHA256.hex", 0,
	    "{SHA256.HEX}9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08", 0);
}

static void assert_not_made(const char *name, struct span password, const char *message)
{
	struct err err = {0};
	struct scheme_gen g = {0};
	assert_false(
	    secret_is_set(scheme_generate(span_of(name), &g, secret_of(password), &arena, &err)));
	assert_string_equal(err.text, message);
}

static void what_cannot_be_made(void **state)
{
	(void)state;
	char huge[SCHEME_PASSWORD_MAX + 1];
	memset(huge, 'x', sizeof(huge));
	assert_not_made("FOO", SPAN_LIT("x"), "Unknown scheme: FOO");
	assert_not_made("SHA.FOO", SPAN_LIT("x"), "Unknown scheme: SHA.FOO");
	assert_not_made("DIGEST-MD5", SPAN_LIT("x"), "DIGEST-MD5 needs a user name");
	assert_not_made("CRYPT", SPAN_LIT("a\0b"),
	    "the password holds a NUL or is longer than 511 bytes, which crypt(3) cannot take");
	assert_not_made("SHA512-CRYPT", span_make(huge, 512),
	    "the password holds a NUL or is longer than 511 bytes, which crypt(3) cannot take");
	assert_not_made(
	    "SHA1", span_make(huge, sizeof(huge)), "The password is longer than 4096 bytes");
	assert_true(secret_is_set(generate("SHA1", 0, "")));
}

static enum verdict convert(
    const char *stored, const char *wanted, struct secret *out, struct err *err)
{
	struct scheme_hash h = parsed(secret_of(span_of(stored)));
	*err = (struct err){0};
	struct scheme_gen g = {.user = SPAN_LIT("testuser1")};
	return scheme_convert(&h, wanted, &g, &arena, out, err);
}

static void assert_converted(const char *stored, const char *wanted, struct span value)
{
	struct err err;
	struct secret out;
	assert_int_equal(convert(stored, wanted, &out, &err), VERDICT_OK);
	assert_true(span_eq(secret_reveal(out), value));
}

static void assert_no_scheme(const char *stored, const char *wanted, const char *message)
{
	struct err err;
	struct secret out;
	assert_int_equal(convert(stored, wanted, &out, &err), VERDICT_NO_SCHEME);
	assert_false(secret_is_set(out));
	assert_string_equal(err.text, message);
}

static void conversions(void **state)
{
	(void)state;
	static const char digest[] = "{DIGEST-MD5}77c1a8c437c9b08ba2f460fe5d58db5d";
	static const char cram[] =
	    "e02d374fde0dc75a17a557039a3a5338c7743304777dccd376f332bee68d2cf6";
	struct span cram_raw =
	    secret_reveal(parsed(secret_of(arena_printf(&arena, "{CRAM-MD5}%s", cram))).raw);
	struct span hmac = arena_printf(&arena, "{HMAC-MD5}%s", cram);
	struct span digest_raw = secret_reveal(parsed(secret_of(span_of(digest))).raw);
	assert_converted("{PLAIN}test", "PLAIN", SPAN_LIT("test"));
	assert_converted("{CLEARTEXT}test", "PLAIN", SPAN_LIT("test"));
	assert_converted("{PLAIN-TRUNC}5-test", "PLAIN", SPAN_LIT("test"));
	assert_converted("{PLAIN}test", "CRAM-MD5", cram_raw);
	assert_converted("{PLAIN-TRUNC}5-test", "cram-md5", cram_raw);
	assert_converted("{PLAIN}test", "DIGEST-MD5", digest_raw);
	assert_converted(digest, "DIGEST-MD5", digest_raw);
	assert_converted(hmac.ptr, "CRAM-MD5", cram_raw);
	assert_no_scheme("{SHA512-CRYPT}$6$x$x", "CRAM-MD5",
	    "Requested CRAM-MD5 scheme, but we have only SHA512-CRYPT");
	assert_no_scheme(digest, "PLAIN", "Requested PLAIN scheme, but we have only DIGEST-MD5");
	/* a password that was cut off is not the password */
	assert_no_scheme(
	    "{PLAIN-TRUNC}4-test", "PLAIN", "Requested PLAIN scheme, but we have only PLAIN-TRUNC");
	assert_no_scheme("{PLAIN-TRUNC}4-test", "CRAM-MD5",
	    "Requested CRAM-MD5 scheme, but we have only PLAIN-TRUNC");
	assert_no_scheme(
	    "{PLAIN}test", "LANMAN", "Requested LANMAN scheme, but we have only PLAIN");
	/* MS-NLMP 4.2.2.1.2, as PLAIN and under the other name */
	struct span nt = secret_reveal(
	    parsed(secret_of(SPAN_LIT("{NTLM}a4f49c406510bdcab6824ee7c30fd852"))).raw);
	assert_converted("{PLAIN}Password", "NT", nt);
	assert_converted("{NTLM}a4f49c406510bdcab6824ee7c30fd852", "NT", nt);
	/* a chain that nobody has begun cannot be used up */
	assert_no_scheme("{PLAIN}test", "OTP", "Requested OTP scheme, but we have only PLAIN");
}

static void plaintext_becomes_scram(void **state)
{
	(void)state;
	struct err err;
	struct secret out;
	assert_int_equal(convert("{PLAIN}test", "SCRAM-SHA-256", &out, &err), VERDICT_OK);
	struct span text = arena_join(&arena, SPAN_LIT("{SCRAM-SHA-256}"), secret_reveal(out));
	struct scheme_hash h = parsed(secret_of(text));
	assert_int_equal(verify(&h, "test"), VERDICT_OK);
}

static bool same_cost(const struct scheme_hash *x, const struct scheme_hash *y)
{
	struct scheme_cost a = scheme_cost(x), b = scheme_cost(y);
	return a.expensive == b.expensive && a.memory == b.memory && a.usec == b.usec;
}

/* a dummy must be well-formed, or it would cost nothing */
static void dummies_are_real_hashes(void **state)
{
	(void)state;
	for (size_t i = 0; scheme_table[i] != NULL; i++) {
		struct scheme_hash dummy, like = parsed(generate(scheme_table[i]->name, 0, "test"));
		struct err err = {0};
		assert_true(scheme_dummy(&like, &arena, &dummy));
		assert_ptr_equal(dummy.scheme, like.scheme);
		assert_true(same_cost(&dummy, &like));
		assert_int_equal(secret_reveal(dummy.raw).len, secret_reveal(like.raw).len);
		assert_false(secret_eq(dummy.raw, like.raw));
		assert_int_equal(verify(&dummy, "test"), VERDICT_MISMATCH);
		/* PLAIN-TRUNC is the exception, and is cheap */
		dummy.dummy = false;
		enum verdict v = scheme_verify(
		    &dummy, secret_of(SPAN_LIT("test")), SPAN_LIT("joe"), &arena, &err);
		if (strcmp(dummy.scheme->name, "PLAIN-TRUNC") != 0)
			assert_int_equal(v, VERDICT_MISMATCH);
		arena_reset(&arena);
	}
}

static void assert_dummy(const char *like, const char *dummy)
{
	struct scheme_hash d, h = parsed(secret_of(span_of(like)));
	assert_true(scheme_dummy(&h, &arena, &d));
	assert_true(span_eq_str(secret_reveal(d.raw), dummy));
	assert_true(same_cost(&d, &h));
	assert_int_equal(verify(&d, "x"), VERDICT_MISMATCH);
}

static void dummies_keep_no_digest(void **state)
{
	(void)state;
	assert_dummy("{PLAIN}sec$ret", "AAAAAAA");
	assert_dummy("{PLAIN}AAAAAAA", "AAAAAAA");
	assert_dummy("{CRYPT}//EsnG9FLTKjo", "AAAAAAAAAAAAA");
	assert_dummy("{CRYPT}_J9..abcdx/cgK8gMibw", "_J9..AAAAAAAAAAAAAAA");
	assert_dummy(
	    "{CRYPT}$3$$0cb6948805f797bf2a82807973b89537", "$3$$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA");
	assert_dummy("{CRYPT}$2y$04$abcdefghijklmnopqrstuuoD8yw7MmybLKVooaTGGZAt3HXugv2.a",
	    "$2y$04$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA");
	assert_dummy("{CRYPT}$md5,rounds=10$abcdefgh$$7sbDn48IjBXJDL8e/eqE11",
	    "$md5,rounds=10$abcdefgh$$AAAAAAAAAAAAAAAAAAAAAA");
	assert_dummy("{CRYPT}", "");
}

static void dummy_without_example(void **state)
{
	(void)state;
	struct scheme_hash dummy;
	assert_true(scheme_dummy(NULL, &arena, &dummy));
	assert_string_equal(dummy.scheme->name, "SHA512-CRYPT");
	assert_int_equal(scheme_cost(&dummy).usec, 5000);
	assert_int_equal(secret_reveal(dummy.raw).len, 3 + 16 + 1 + 86);
	assert_int_equal(verify(&dummy, "test"), VERDICT_MISMATCH);
}

struct user {
	pthread_t thread;
	const char *password;
	enum verdict expected;
	struct arena arena; /* freed by the main thread: a thread keeps spare chunks */
	size_t wrong;
};

static void *verify_often(void *arg)
{
	struct user *u = arg;
	struct err err = {0};
	struct scheme_hash h;
	struct span stored = SPAN_LIT("{CRYPT}$1$wmyrgRuV$kImF6.9MAFQNHe23kq5vI/");
	for (int i = 0; i < 200; i++) {
		enum verdict v = VERDICT_INTERNAL;
		if (scheme_parse(secret_of(stored), NULL, false, &u->arena, &h, &err))
			v = scheme_verify(
			    &h, secret_of(span_of(u->password)), SPAN_NULL, &u->arena, &err);
		u->wrong += v != u->expected;
	}
	return NULL;
}

static void threads_do_not_mix(void **state)
{
	(void)state;
	struct user users[4];
	for (size_t i = 0; i < ARRAY_LEN(users); i++) {
		bool right = i % 2 == 0;
		users[i] = (struct user){.password = right ? "test" : "tesT",
		    .expected = right ? VERDICT_OK : VERDICT_MISMATCH};
		assert_int_equal(
		    pthread_create(&users[i].thread, NULL, verify_often, &users[i]), 0);
	}
	for (size_t i = 0; i < ARRAY_LEN(users); i++) {
		assert_int_equal(pthread_join(users[i].thread, NULL), 0);
		assert_int_equal(users[i].wrong, 0);
		arena_free(&users[i].arena);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_teardown(generated_verifies, teardown),
	    cmocka_unit_test_teardown(salts_are_fresh, teardown),
	    cmocka_unit_test_teardown(rounds_and_defaults, teardown),
	    cmocka_unit_test_teardown(what_cannot_be_made, teardown),
	    cmocka_unit_test_teardown(conversions, teardown),
	    cmocka_unit_test_teardown(plaintext_becomes_scram, teardown),
	    cmocka_unit_test_teardown(dummies_are_real_hashes, teardown),
	    cmocka_unit_test_teardown(dummies_keep_no_digest, teardown),
	    cmocka_unit_test_teardown(dummy_without_example, teardown),
	    cmocka_unit_test(threads_do_not_mix),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
