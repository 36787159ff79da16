/*
 * Taking stored passwords apart: names, encodings, errors, weakness, cost.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <sys/resource.h>

#include "schemes/scheme.h"

#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED
#endif
#endif

static struct arena arena;

static int teardown(void **state)
{
	(void)state;
	arena_free(&arena);
	return 0;
}

static bool parse(
    const char *stored, const char *fallback, struct scheme_hash *out, struct err *err)
{
	*err = (struct err){0};
	return scheme_parse(secret_of(span_of(stored)), fallback, false, &arena, out, err);
}

static void assert_parsed(const char *stored, const char *fallback, const char *scheme,
    enum scheme_encoding encoding, const char *raw)
{
	struct scheme_hash h;
	struct err err;
	assert_true(parse(stored, fallback, &h, &err));
	assert_string_equal(h.scheme->name, scheme);
	assert_int_equal(h.encoding, encoding);
	assert_true(span_eq(secret_reveal(h.raw), span_of(raw)));
	assert_false(h.dummy);
}

static void assert_refused(const char *stored, const char *fallback, const char *message)
{
	struct scheme_hash h;
	struct err err;
	assert_false(parse(stored, fallback, &h, &err));
	assert_string_equal(err.text, message);
}

/* verdict for a stored value that scheme_parse() takes */
static enum verdict verify(const char *stored, struct span password, struct err *err)
{
	struct scheme_hash h;
	assert_true(parse(stored, "PLAIN", &h, err));
	return scheme_verify(&h, secret_of(password), span_of("joe"), &arena, err);
}

static void names(void **state)
{
	(void)state;
	assert_ptr_equal(
	    scheme_find(SPAN_LIT("sha512-crypt")), scheme_find(SPAN_LIT("SHA512-CRYPT")));
	assert_string_equal(scheme_find(SPAN_LIT("sha256.hex"))->name, "SHA256");
	assert_string_equal(scheme_find(SPAN_LIT("Ssha.Base64"))->name, "SSHA");
	assert_null(scheme_find(SPAN_LIT("SHA256.HEX.B64")));
	assert_null(scheme_find(SPAN_LIT("SHA256.")));
	assert_null(scheme_find(SPAN_LIT("SHA ")));
	assert_null(scheme_find(SPAN_LIT("")));
	assert_null(scheme_find(SPAN_NULL));
}

static void names_are_unique(void **state)
{
	(void)state;
	for (size_t i = 0; scheme_table[i] != NULL; i++) {
		const struct scheme *s = scheme_table[i];
		assert_ptr_equal(scheme_find(span_of(s->name)), s);
		assert_non_null(s->generate);
		/* a family is named after one of its members */
		assert_string_equal(scheme_find(span_of(s->family))->family, s->family);
	}
}

static void braces_and_default(void **state)
{
	(void)state;
	assert_parsed("{PLAIN}pass", NULL, "PLAIN", ENCODING_NONE, "pass");
	assert_parsed("{plain}{SHA}x", "SHA1", "PLAIN", ENCODING_NONE, "{SHA}x");
	assert_parsed("pass", "CLEARTEXT", "CLEARTEXT", ENCODING_NONE, "pass");
	assert_parsed("{PLAIN}", NULL, "PLAIN", ENCODING_NONE, "");
	assert_parsed("", "PLAIN", "PLAIN", ENCODING_NONE, "");
	assert_parsed("{half", "PLAIN", "PLAIN", ENCODING_NONE, "{half");
	assert_parsed("70617373", "PLAIN.HEX", "PLAIN", ENCODING_HEX, "pass");
	assert_parsed("{PLAIN.b64}cGFzcw==", NULL, "PLAIN", ENCODING_BASE64, "pass");
	assert_refused("{secretpart}rest", "PLAIN", "Unknown scheme");
	assert_refused("{}rest", "PLAIN", "Unknown scheme");
	assert_refused("rest", NULL, "Unknown scheme");
	assert_refused("{LANMAN}rest", "PLAIN", "Unknown scheme LANMAN");
	assert_refused("{SHA.OCT}rest", "PLAIN",
	    "Unknown encoding behind the scheme name (known: .HEX .B64 .BASE64)");
}

static void noscheme_keeps_braces(void **state)
{
	(void)state;
	struct scheme_hash h;
	struct err err = {0};
	assert_true(scheme_parse(secret_of(SPAN_LIT("{SHA}x")), "PLAIN", true, &arena, &h, &err));
	assert_string_equal(h.scheme->name, "PLAIN");
	assert_true(span_eq_str(secret_reveal(h.raw), "{SHA}x"));
	assert_true(scheme_parse(secret_of(SPAN_LIT("$1$a$b")), "PLAIN", true, &arena, &h, &err));
	assert_string_equal(h.scheme->name, "PLAIN");
	assert_false(scheme_parse(SECRET_NULL, "PLAIN", true, &arena, &h, &err));
	assert_string_equal(err.text, "No password is stored");
}

static void bare_md5_crypt(void **state)
{
	(void)state;
	const char *hash = "$1$wmyrgRuV$kImF6.9MAFQNHe23kq5vI/";
	assert_parsed(hash, "PLAIN", "MD5-CRYPT", ENCODING_NONE, hash);
	assert_parsed(
	    "$1$wmyrgRuV$kImF6.9MAFQNHe23kq5vI/$note$x", "CRYPT", "MD5-CRYPT", ENCODING_NONE, hash);
	assert_parsed("$1$nosecond", "PLAIN", "PLAIN", ENCODING_NONE, "$1$nosecond");
	assert_parsed("{CRYPT}$1$a$b", "PLAIN", "CRYPT", ENCODING_NONE, "$1$a$b");
	const char *pbkdf2 = "$1$salt$1$0c60c80f961f0e71f3a9b524af6012062fe037a6";
	assert_parsed(pbkdf2, "PBKDF2", "PBKDF2", ENCODING_NONE, pbkdf2);
}

static void encodings_are_guessed(void **state)
{
	(void)state;
	assert_parsed("{SHA1}qUqP5cyxm6YcTAhz05Hph5gvu9M=", NULL, "SHA1", ENCODING_BASE64,
	    "\xa9\x4a\x8f\xe5\xcc\xb1\x9b\xa6\x1c\x4c\x08\x73\xd3\x91\xe9\x87\x98\x2f\xbb\xd3");
	assert_parsed("{SHA1}a94a8fe5ccb19ba61c4c0873d391e987982fbbd3", NULL, "SHA1", ENCODING_HEX,
	    "\xa9\x4a\x8f\xe5\xcc\xb1\x9b\xa6\x1c\x4c\x08\x73\xd3\x91\xe9\x87\x98\x2f\xbb\xd3");
	assert_parsed("{SHA}A94A8FE5CCB19BA61C4C0873D391E987982FBBD3", NULL, "SHA", ENCODING_HEX,
	    "\xa9\x4a\x8f\xe5\xcc\xb1\x9b\xa6\x1c\x4c\x08\x73\xd3\x91\xe9\x87\x98\x2f\xbb\xd3");
	/* the default of these is hexadecimal, base64 is understood all the same */
	assert_parsed("{PLAIN-MD5}CY9rzUYh03PK3k6DJie09g==", NULL, "PLAIN-MD5", ENCODING_BASE64,
	    "\x09\x8f\x6b\xcd\x46\x21\xd3\x73\xca\xde\x4e\x83\x26\x27\xb4\xf6");
	assert_parsed("{LDAP-MD5}098f6bcd4621d373cade4e832627b4f6", NULL, "LDAP-MD5", ENCODING_HEX,
	    "\x09\x8f\x6b\xcd\x46\x21\xd3\x73\xca\xde\x4e\x83\x26\x27\xb4\xf6");
	/* asked for hexadecimal, was base64: taken, as Dovecot does */
	assert_parsed("{SMD5.HEX}dGVzdA==", NULL, "SMD5", ENCODING_BASE64, "test");
	/* a suffix forces: 40 digits are also base64, of 30 bytes */
	assert_refused("{SHA1.B64}a94a8fe5ccb19ba61c4c0873d391e987982fbbd3", NULL,
	    "Password data is not valid for scheme SHA1: Input length isn't valid (30 instead of "
	    "20)");
}

static void bad_encodings(void **state)
{
	(void)state;
	assert_refused("{SHA1}qUqP", NULL,
	    "Password data is not valid for scheme SHA1: Input length isn't valid (3 instead of "
	    "20)");
	assert_refused("{SHA1}", NULL,
	    "Password data is not valid for scheme SHA1: Input length isn't valid (0 instead of "
	    "20)");
	assert_refused("{SSHA}not base64!", NULL,
	    "Password data is not valid for scheme SSHA: Input isn't valid base64");
	assert_refused("{SSHA.HEX}xyz", NULL,
	    "Password data is not valid for scheme SSHA: Input isn't valid hexadecimal or base64");
}

static const struct {
	const char *stored;
	enum verdict verdict;
} malformed[] = {
    {"{SSHA}qUqP5cyxm6YcTAhz05Hph5gvu9M=", VERDICT_INTERNAL}, /* no salt */
    {"{SMD5}", VERDICT_INTERNAL},
    {"{PLAIN-TRUNC}secret", VERDICT_INTERNAL},
    {"{PLAIN-TRUNC}-secret", VERDICT_INTERNAL},
    {"{PLAIN-TRUNC}0-", VERDICT_INTERNAL}, /* would match everything */
    {"{PLAIN-TRUNC}99999999999999999999-x", VERDICT_INTERNAL},
    {"{CRYPT}", VERDICT_MISMATCH},
    {"{CRYPT}!", VERDICT_MISMATCH}, /* locked, as in /etc/shadow */
    {"{CRYPT}*", VERDICT_MISMATCH},
    {"{CRYPT}!$6$salt$x", VERDICT_MISMATCH},
    {"{SHA512-CRYPT}", VERDICT_MISMATCH},
    {"{MD5-CRYPT}", VERDICT_MISMATCH},
    {"{BLF-CRYPT}", VERDICT_MISMATCH},
    {"{CRYPT}x", VERDICT_MISMATCH}, /* as in /etc/passwd */
    {"{CRYPT}secret", VERDICT_INTERNAL},
    {"{CRYPT}$unknown$salt$hash", VERDICT_INTERNAL},
    {"{CRYPT}$6$saltsalt$cutshort", VERDICT_INTERNAL},
    {"{CRYPT}$6$saltsalt", VERDICT_INTERNAL},
    {"{CRYPT}$2y$99$11ipvo5dR6CwkzwmhwM26OXgzXwhV2PyPuLV.Qi31ILcRcThQpEiW", VERDICT_INTERNAL},
    {"{CRYPT}$2y$05$11ipvo5dR6Cwkzwm", VERDICT_INTERNAL},
    {"{CRYPT}$y$", VERDICT_INTERNAL},
    /* these would take hours */
    {"{CRYPT}$sha1$-1$abcdefgh$M4cLFSrKXW6fo7CGMX0/1./QSlzd", VERDICT_INTERNAL},
    {"{CRYPT}$2y$31$11ipvo5dR6CwkzwmhwM26OXgzXwhV2PyPuLV.Qi31ILcRcThQpEiW", VERDICT_INTERNAL},
    {"{PBKDF2}$1$salt$4294967295$0c60c80f961f0e71f3a9b524af6012062fe037a6", VERDICT_INTERNAL},
    {"{CRYPT.B64}JDYkAGE=", VERDICT_INTERNAL}, /* a NUL inside */
    {"{BLF-CRYPT}$1$wmyrgRuV$kImF6.9MAFQNHe23kq5vI/", VERDICT_INTERNAL},
    {"{MD5-CRYPT}//EsnG9FLTKjo", VERDICT_INTERNAL},
    {"{MD5}zz8f6bcd4621d373cade4e832627b4f6", VERDICT_INTERNAL},
    {"{ARGON2ID}", VERDICT_INTERNAL},
    {"{ARGON2ID}$argon2id$", VERDICT_INTERNAL},
    {"{ARGON2ID}$argon2d$v=19$m=1024,t=2,p=1$c29tZXNhbHQ$AAAAAAAAAAAAAAAAAAAAAA", VERDICT_INTERNAL},
    {"{ARGON2ID}$argon2id$v=16$m=64,t=1,p=1$c29tZXNhbHQ$AAAAAAAAAAAAAAAAAAAAAA", VERDICT_INTERNAL},
    {"{ARGON2ID}$argon2id$v=19$m=64,t=0,p=1$c29tZXNhbHQ$AAAAAAAAAAAAAAAAAAAAAA", VERDICT_INTERNAL},
    {"{ARGON2ID}$argon2id$v=19$m=64,t=1,p=0$c29tZXNhbHQ$AAAAAAAAAAAAAAAAAAAAAA", VERDICT_INTERNAL},
    {"{ARGON2ID}$argon2id$v=19$m=7,t=1,p=1$c29tZXNhbHQ$AAAAAAAAAAAAAAAAAAAAAA", VERDICT_INTERNAL},
    {"{ARGON2ID}$argon2id$v=19$m=64,t=1,p=1$c29tZXNhbHQ$short", VERDICT_INTERNAL},
    {"{ARGON2ID}$argon2id$v=19$m=64,t=1,p=1$c29$AAAAAAAAAAAAAAAAAAAAAA", VERDICT_INTERNAL},
    {"{ARGON2ID}$argon2id$v=19$m=64,t=1,p=1$c29tZXNhbHQ$AAAAAAAAAAAAAAAAAAAAAA$", VERDICT_INTERNAL},
    {"{ARGON2ID}$argon2id$v=19$t=1,m=64,p=1$c29tZXNhbHQ$AAAAAAAAAAAAAAAAAAAAAA", VERDICT_INTERNAL},
    {"{PBKDF2}$1$salt$0$0c60c80f961f0e71f3a9b524af6012062fe037a6", VERDICT_INTERNAL},
    {"{PBKDF2}$2$salt$1$0c60c80f961f0e71f3a9b524af6012062fe037a6", VERDICT_INTERNAL},
    {"{PBKDF2}$1$salt$4294967296$0c60c80f961f0e71f3a9b524af6012062fe037a6", VERDICT_INTERNAL},
    {"{PBKDF2}$1$salt$1$0c60c80f961f0e71f3a9b524af6012062fe037", VERDICT_INTERNAL},
    {"{PBKDF2}$1$salt$1$0c60c80f961f0e71f3a9b524af6012062fe037zz", VERDICT_INTERNAL},
    {"{PBKDF2}$1$salt", VERDICT_INTERNAL},
    {"{SCRAM-SHA-1}4095,GetyLXdBuHzf1FWf8SLz2Q==,NA/OqmF4hhrsrB9KR7po+dliTGM=,"
     "QBiURvQaE6H6qYTmeghDHLANBFQ=",
	VERDICT_INTERNAL},
    {"{SCRAM-SHA-1}4096,GetyLXdBuHzf1FWf8SLz2Q==,NA/OqmF4hhrsrB9KR7po+dliTGM=", VERDICT_INTERNAL},
    {"{SCRAM-SHA-256}4096,GetyLXdBuHzf1FWf8SLz2Q==,NA/OqmF4hhrsrB9KR7po+dliTGM=,"
     "QBiURvQaE6H6qYTmeghDHLANBFQ=",
	VERDICT_INTERNAL},
    {"{SCRAM-SHA-1}4096,,NA/OqmF4hhrsrB9KR7po+dliTGM=,QBiURvQaE6H6qYTmeghDHLANBFQ=",
	VERDICT_INTERNAL},
    {"{OTP}", VERDICT_INTERNAL},
    {"{OTP}sha1 1024 ae6b49aa481f7233 f69fc7f98b8fbf", VERDICT_INTERNAL},
    {"{OTP}sha2 1024 ae6b49aa481f7233 f69fc7f98b8fbf54", VERDICT_INTERNAL},
    {"{OTP}sha1 4000000000 ae6b49aa481f7233 f69fc7f98b8fbf54", VERDICT_INTERNAL},
};

/* a broken entry is nobody's wrong password, and the message does not show it */
static void malformed_values(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(malformed); i++) {
		struct err err;
		enum verdict v = verify(malformed[i].stored, SPAN_LIT("any"), &err);
		if (v != malformed[i].verdict)
			fail_msg("%s: %s", malformed[i].stored, verdict_name(v));
		assert_int_equal(v == VERDICT_INTERNAL, err.text[0] != '\0');
		const char *value = strchr(malformed[i].stored, '}') + 1;
		assert_true(*value == '\0' || *value == 'x' || strstr(err.text, value) == NULL);
	}
}

static void passwords_of_any_bytes(void **state)
{
	(void)state;
	struct err err;
	char huge[SCHEME_PASSWORD_MAX + 1];
	memset(huge, 'x', sizeof(huge));
	/* "test" and "t": crypt(3) would stop at the NUL */
	struct span nul = SPAN_LIT("08/15!test~4711\0");
	assert_int_equal(verify("{DES-CRYPT}JBOZ0DgmtucwE", nul, &err), VERDICT_MISMATCH);
	nul.len--;
	assert_int_equal(verify("{DES-CRYPT}JBOZ0DgmtucwE", nul, &err), VERDICT_OK);
	assert_int_equal(verify("{PLAIN.HEX}610062", SPAN_LIT("a\0b"), &err), VERDICT_OK);
	assert_int_equal(verify("{PLAIN.HEX}610062", SPAN_LIT("a\0c"), &err), VERDICT_MISMATCH);
	assert_int_equal(verify("{PLAIN}a", SPAN_LIT("a\0"), &err), VERDICT_MISMATCH);
	assert_int_equal(verify("{PLAIN}", SPAN_NULL, &err), VERDICT_OK);
	assert_int_equal(
	    verify("{SHA1}2jmj7l5rSw0yVb/vlWAYkK/YBwk=", SPAN_LIT(""), &err), VERDICT_OK);
	/* longer than crypt(3) takes, longer than anything takes */
	assert_int_equal(verify("{CRYPT}$5$rounds=1000$0123456789abcdef$K/DksR0DT01hGc8g/kt9McEgrbF"
				"MKi9qrb1jehe7hn4",
			     span_make(huge, 512), &err),
	    VERDICT_MISMATCH);
	assert_int_equal(
	    verify("{SHA1}2jmj7l5rSw0yVb/vlWAYkK/YBwk=", span_make(huge, sizeof(huge)), &err),
	    VERDICT_MISMATCH);
}

static void plain_trunc(void **state)
{
	(void)state;
	struct err err;
	assert_int_equal(verify("{PLAIN-TRUNC}4-test", SPAN_LIT("testing"), &err), VERDICT_OK);
	assert_int_equal(verify("{PLAIN-TRUNC}4-test", SPAN_LIT("test"), &err), VERDICT_OK);
	assert_int_equal(
	    verify("{PLAIN-TRUNC}5-test", SPAN_LIT("testing"), &err), VERDICT_MISMATCH);
	assert_int_equal(verify("{PLAIN-TRUNC}5-test", SPAN_LIT("test"), &err), VERDICT_OK);
	assert_int_equal(verify("{PLAIN-TRUNC}4-test", SPAN_LIT("tes"), &err), VERDICT_MISMATCH);
	assert_int_equal(verify("{PLAIN-TRUNC}4-test", SPAN_LIT(""), &err), VERDICT_MISMATCH);
}

static void assert_weak(const char *stored, const char *counts_as)
{
	struct scheme_hash h;
	struct err err;
	const char *name = NULL;
	assert_true(parse(stored, "PLAIN", &h, &err));
	assert_int_equal(scheme_is_weak(&h, &name), counts_as != NULL);
	if (counts_as != NULL)
		assert_string_equal(name, counts_as);
}

static void weakness(void **state)
{
	(void)state;
	assert_weak("{PLAIN}test", NULL);
	assert_weak("{CRYPT}//EsnG9FLTKjo", "DES-CRYPT");
	assert_weak("{SHA512-CRYPT}//EsnG9FLTKjo", "DES-CRYPT");
	assert_weak("{CRYPT}_J9..abcdx/cgK8gMibw", "DES-CRYPT");
	assert_weak("{CRYPT}$1$wmyrgRuV$kImF6.9MAFQNHe23kq5vI/", "MD5-CRYPT");
	assert_weak("$1$wmyrgRuV$kImF6.9MAFQNHe23kq5vI/", "MD5-CRYPT");
	assert_weak("{CRYPT}$3$$0cb6948805f797bf2a82807973b89537", "CRYPT");
	assert_weak("{CRYPT}$2y$05$11ipvo5dR6CwkzwmhwM26OXgzXwhV2PyPuLV.Qi31ILcRcThQpEiW", NULL);
	assert_weak("{CRYPT}$y$j9T$abcdefgh$x", NULL);
	assert_weak("{CRYPT}", NULL);
	assert_weak("{MD5}098f6bcd4621d373cade4e832627b4f6", "MD5");
	assert_weak("{SMD5}JTu1KRwptKZJg/RLd+6Vn5GUd0M=", "SMD5");
	assert_weak("{PLAIN-MD4}db346d691d7acc4dc2625db19f9e3f52", "PLAIN-MD4");
	assert_weak("{PLAIN-MD5}098f6bcd4621d373cade4e832627b4f6", "PLAIN-MD5");
	assert_weak("{LDAP-MD5}CY9rzUYh03PK3k6DJie09g==", "LDAP-MD5");
	assert_weak("{HMAC-MD5}e02d374fde0dc75a17a557039a3a5338c7743304777dccd376f332bee68d2cf6",
	    "HMAC-MD5");
	assert_weak(
	    "{CRAM-MD5}e02d374fde0dc75a17a557039a3a5338c7743304777dccd376f332bee68d2cf6", NULL);
	assert_weak("{DIGEST-MD5}77c1a8c437c9b08ba2f460fe5d58db5d", NULL);
	assert_weak("{SSHA}H/zrDv8FXUu1JmwvVYijfrYEF34jVZcO", NULL);
}

static void assert_cost(const char *stored, bool expensive, uint64_t memory, uint64_t usec)
{
	struct scheme_hash h;
	struct err err;
	assert_true(parse(stored, "PLAIN", &h, &err));
	struct scheme_cost cost = scheme_cost(&h);
	if (cost.expensive != expensive || cost.memory != memory || cost.usec != usec)
		fail_msg("%s: %d %llu %llu", stored, cost.expensive,
		    (unsigned long long)cost.memory, (unsigned long long)cost.usec);
}

static void costs(void **state)
{
	(void)state;
	const uint64_t mib = 1 << 20;
	assert_cost("{PLAIN}test", false, 0, 0);
	assert_cost("{SSHA512}AAAA", false, 0, 0);
	assert_cost("{CRYPT}//EsnG9FLTKjo", false, 0, 0);
	assert_cost("{CRYPT}", false, 0, 0);
	assert_cost("{CRYPT}!", false, 0, 0);
	assert_cost("{CRYPT}$6$salt$x", true, 0, 5000);
	assert_cost("{CRYPT}$5$rounds=1000$salt$x", true, 0, 1000);
	assert_cost("{CRYPT}$6$rounds=99999999999999999999999$salt$x", true, 0, 999999999);
	assert_cost("{CRYPT}$6$rounds=18446744073709551615$salt$x", true, 0, 999999999);
	assert_cost("{CRYPT}$2y$05$x", true, 0, 1920);
	assert_cost("{CRYPT}$2y$31$x", true, 0, 128849018880);
	assert_cost("{CRYPT}$2y$32$x", false, 0, 0);
	assert_cost("{CRYPT}$2", false, 0, 0);
	assert_cost("{CRYPT}$1$salt$x", true, 0, 300);
	/* 16 MiB, as Debian makes them; N = 4096, r = 32 */
	assert_cost("{CRYPT}$y$j9T$abcdefgh$x", true, 16 * mib + 4096, 32768);
	assert_cost("{CRYPT}$gy$j9T$abcdefgh$x", true, 16 * mib + 4096, 32768);
	assert_cost("{CRYPT}$7$CU..../....abcdefgh$x", true, 64 * mib + 4096, 131072);
	assert_cost("{CRYPT}$y$jzzzzzzzzzzzz$x$x", true, UINT64_MAX, UINT64_MAX / 4);
	assert_cost("{CRYPT}$7$zzzzzzzzzzzz$x", true, UINT64_MAX, UINT64_MAX / 4);
	assert_cost("{CRYPT}$y$", false, 0, 0);
	assert_cost("{CRYPT}$7$CU", false, 0, 0);
	/* strtoul() in the library stops at its largest number */
	assert_cost("{CRYPT}$sha1$100$salt$x", true, 0, 100);
	assert_cost("{CRYPT}$sha1$23333333333333333333333333$salt$x", true, 0, UINT64_MAX);
	assert_cost("{CRYPT}$sha1$-1$salt$x", true, 0, UINT64_MAX);
	assert_cost("{CRYPT}$md5,rounds=10$salt$x", true, 0, 8212);
	assert_cost("{CRYPT}$md5,rounds=-1$salt$x", true, 0, UINT64_MAX);
	assert_cost("{CRYPT}_J9..abcdx/cgK8gMibw", true, 0, 181);
	assert_cost("{ARGON2ID}$argon2id$v=19$m=65536,t=3,p=1$x$x", true, 64 * mib, 196608);
	assert_cost("{ARGON2ID}$argon2id$v=19$m=4294967295,t=4294967295,p=1$x$x", true,
	    4294967295ull * 1024, 4294967295ull * 4294967295ull);
	assert_cost("{ARGON2ID}$argon2id$v=19$m=4294967296,t=3,p=1$x$x", false, 0, 0);
	assert_cost("{PBKDF2}$1$salt$4096$4B007901B765489ABEAD49D926F721D065A429C1", true, 0, 4096);
	assert_cost("{SCRAM-SHA-1}4294967295,x", true, 0, 4294967295);
	assert_cost("{OTP}sha1 1024 ae6b49aa481f7233 f69fc7f98b8fbf54", true, 0, 1024);
}

/* A fault of ours and not a wrong password. An address sanitizer needs all the room itself. */
static void no_memory_is_no_mismatch(void **state)
{
	(void)state;
#ifdef SANITIZED
	skip();
#endif
	static const char digest[] =
	    "$vBb99oJ12p3WAdYlaMHz1A$jtFOtbo/sYV9OSlTxDo/nVNq3uArHd5GJSEx0ty85Cc";
	struct rlimit old, low = {1u << 30, 1u << 30};
	struct err err;
	char stored[200];
	assert_int_equal(getrlimit(RLIMIT_AS, &old), 0);
	low.rlim_max = old.rlim_max;
	assert_int_equal(setrlimit(RLIMIT_AS, &low), 0);
	for (int lanes = 1; lanes <= 2; lanes++) {
		snprintf(stored, sizeof(stored), "{ARGON2ID}$argon2id$v=19$m=2097152,t=1,p=%d%s",
		    lanes, digest);
		assert_int_equal(verify(stored, SPAN_LIT("test"), &err), VERDICT_INTERNAL);
		assert_string_equal(err.text, "no memory for an Argon2 hash of 2097152 KiB");
	}
	/* N = 2^20, r = 32: 4 GiB */
	assert_int_equal(
	    verify("{CRYPT}$y$jHT$abcdefgh$0D0FAkY7TwqVv2j/JPzxTRIUuKA8VLsAgVDBYQHBU16",
		SPAN_LIT("test"), &err),
	    VERDICT_INTERNAL);
	assert_string_equal(err.text, "not a valid CRYPT hash, or no memory for it (4194308 KiB)");
	assert_int_equal(setrlimit(RLIMIT_AS, &old), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(names),
	    cmocka_unit_test(names_are_unique),
	    cmocka_unit_test_teardown(braces_and_default, teardown),
	    cmocka_unit_test_teardown(noscheme_keeps_braces, teardown),
	    cmocka_unit_test_teardown(bare_md5_crypt, teardown),
	    cmocka_unit_test_teardown(encodings_are_guessed, teardown),
	    cmocka_unit_test_teardown(bad_encodings, teardown),
	    cmocka_unit_test_teardown(malformed_values, teardown),
	    cmocka_unit_test_teardown(passwords_of_any_bytes, teardown),
	    cmocka_unit_test_teardown(plain_trunc, teardown),
	    cmocka_unit_test_teardown(weakness, teardown),
	    cmocka_unit_test_teardown(costs, teardown),
	    cmocka_unit_test_teardown(no_memory_is_no_mismatch, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
