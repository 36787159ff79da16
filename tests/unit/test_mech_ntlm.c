/*
 * NTLM: the example of MS-NLMP section 4.2.4, and what must not let anybody in.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/utf16.h"
#include "tests/unit/mech-kit.h"

/* an answer: fields in a head of 64 bytes, then what they point at */
struct message {
	unsigned char bytes[1024];
	size_t len;
};

static void put(struct message *m, size_t at, struct span value)
{
	memcpy(m->bytes + m->len, value.ptr, value.len);
	m->bytes[at] = m->bytes[at + 2] = (unsigned char)value.len;
	m->bytes[at + 1] = m->bytes[at + 3] = (unsigned char)(value.len >> 8);
	m->bytes[at + 4] = (unsigned char)m->len;
	m->bytes[at + 5] = (unsigned char)(m->len >> 8);
	m->len += value.len;
}

#define WIDE(s) utf16_from_utf8(&r->arena, span_of(s))

/* section 4.2.4.1.3: from the version of the response to its end */
static const char temp[] = "\x01\x01\0\0\0\0\0\0"
			   "\0\0\0\0\0\0\0\0"
			   "\xaa\xaa\xaa\xaa\xaa\xaa\xaa\xaa"
			   "\0\0\0\0"
			   "\x02\0\x0c\0D\0o\0m\0a\0i\0n\0"
			   "\x01\0\x0c\0S\0e\0r\0v\0e\0r\0"
			   "\0\0\0\0"
			   "\0\0\0";
/* section 4.2.4.2.2 */
static const char proof[] = "\x68\xcd\x0a\xb8\x51\xe5\x1c\x96\xaa\xbc\x92\x7b\xeb\xef\x6a\x1c";
static const char server_challenge[] = "\x01\x23\x45\x67\x89\xab\xcd\xef";

static struct span response(struct mech_run *r)
{
	return arena_join(&r->arena, span_make(proof, 16), span_make(temp, sizeof(temp)));
}

static struct message authenticate(
    struct mech_run *r, struct span nt, const char *user, const char *domain)
{
	struct message m = {.bytes = "NTLMSSP\0\x03", .len = 64};
	put(&m, 12, SPAN_LIT(""));
	put(&m, 20, nt);
	put(&m, 28, WIDE(domain));
	put(&m, 36, WIDE(user));
	m.bytes[60] = 1;
	return m;
}

static void negotiate(struct mech_run *r)
{
	static const char message[16] = "NTLMSSP\0\x01\0\0\0\x01\x82\x08\xa0";
	mech_begin(r, "NTLM");
	r->context.hostname = SPAN_LIT("Server");
	r->context.nonce = SPAN_LIT("any");
	assert_int_equal(mech_message(r, span_make(message, sizeof(message))), MECH_CLIENT);
	/* the example's challenge in the place of the one that was drawn */
	unsigned char *drawn = memmem(r->state, r->mech->state_size, r->io.out.ptr + 24, 8);
	assert_non_null(drawn);
	memcpy(drawn, server_challenge, 8);
}

static enum mech_next answer(struct mech_run *r, const struct message *m)
{
	return mech_message(r, arena_dup(&r->arena, span_make(m->bytes, m->len)));
}

static void test_example(void **state)
{
	(void)state;
	struct mech_run run, *r = &run;
	struct scheme_gen g = {0};
	negotiate(r);
	struct message m = authenticate(r, response(r), "User", "Domain");
	assert_int_equal(answer(r, &m), MECH_CREDENTIAL);
	assert_string_equal(r->io.scheme, "NT");
	assert_true(span_eq_str(r->io.user, "User@Domain"));
	struct secret hash = mech_credential_of(r, "NT", &g, "Password");
	assert_int_equal(mech_credential(r, VERDICT_OK, hash), MECH_DONE);
	mech_end(r);
	for (int i = 0; i < 5; i++) {
		negotiate(r);
		m = authenticate(r, response(r), i == 0 ? "Usex" : "User", "Domain");
		if (i == 1)
			m.bytes[m.len - 30]++; /* the response's end or a name */
		assert_int_equal(answer(r, &m), MECH_CREDENTIAL);
		hash = mech_credential_of(r, "NT", &g, i == 2 ? "password" : "Password");
		if (i == 4)
			hash = secret_of(span_first(secret_reveal(hash), 15));
		enum verdict v = i == 3 ? VERDICT_UNKNOWN_USER : VERDICT_OK;
		assert_int_equal(mech_credential(r, v, hash), MECH_FAIL);
		mech_end(r);
	}
}

static void test_challenge(void **state)
{
	(void)state;
	struct mech_run run, *r = &run, other;
	negotiate(r);
	struct span out = r->io.out;
	assert_true(out.len > 48 && memcmp(out.ptr, "NTLMSSP\0\x02\0\0\0", 12) == 0);
	/* Unicode, and the server's names */
	assert_int_equal(out.ptr[20] & 3, 1);
	assert_non_null(memmem(out.ptr, out.len, "\x02\0\x0c\0S\0e\0r\0v\0e\0r\0", 16));
	mech_begin(&other, "NTLM");
	other.context.nonce = SPAN_LIT("another");
	assert_int_equal(mech_message(&other, span_make("NTLMSSP\0\x01\0\0\0\x01\x82\x08\xa0", 16)),
	    MECH_CLIENT);
	assert_memory_not_equal(other.io.out.ptr + 24, out.ptr + 24, 8);
	mech_end(r);
	mech_end(&other);
}

static void test_names(void **state)
{
	(void)state;
	static const struct {
		const char *user, *domain, *name;
	} rows[] = {
	    {"tim", "", "tim"},
	    {"tim", "SERVER", "tim"},
	    {"tim@example.com", "WORK", "tim@example.com"},
	    {"tim", "example.com", "tim@example.com"},
	    {"j\303\274rgen", "", "j\303\274rgen"},
	};
	struct mech_run run, *r = &run;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		negotiate(r);
		struct message m = authenticate(r, response(r), rows[i].user, rows[i].domain);
		assert_int_equal(answer(r, &m), MECH_CREDENTIAL);
		assert_true(span_eq_str(r->io.user, rows[i].name));
		mech_end(r);
	}
}

static void refused(struct mech_run *r, const struct message *m, const char *why)
{
	assert_int_equal(answer(r, m), MECH_FAIL);
	assert_string_equal(r->io.why, why);
	mech_end(r);
}

static void test_refused(void **state)
{
	(void)state;
	static const char v1[24] = "twenty-four bytes of it";
	static const char *const v1_why = "the client uses NTLM version 1, which is not accepted";
	struct mech_run run, *r = &run;
	struct message m;
	negotiate(r);
	m = authenticate(r, span_make(v1, sizeof(v1)), "User", "Domain");
	refused(r, &m, v1_why);
	negotiate(r);
	m = authenticate(r, span_first(response(r), 43), "User", "Domain");
	refused(r, &m, "invalid input");
	negotiate(r);
	m = authenticate(r, SPAN_LIT(""), "User", "Domain");
	refused(r, &m, "invalid input");
	negotiate(r);
	m = authenticate(r, response(r), "", "Domain");
	refused(r, &m, "invalid input");
	/* places outside of the message, numbers that wrap */
	for (size_t at = 20; at <= 36; at += 8) {
		for (size_t byte = 0; byte < 8; byte++) {
			negotiate(r);
			m = authenticate(r, response(r), "User", "Domain");
			m.bytes[at + byte] = 0xff;
			if (byte != 2 && byte != 3 && (byte == 1 || byte > 4))
				refused(r, &m, "invalid input");
			else
				mech_end(r);
		}
	}
	for (size_t len = 0; len < 64; len++) {
		negotiate(r);
		m = authenticate(r, response(r), "User", "Domain");
		m.len = len;
		refused(r, &m, "invalid input");
	}
	for (size_t len = 0; len < 16; len++) {
		mech_begin(r, "NTLM");
		assert_int_equal(
		    mech_message(r, span_make("NTLMSSP\0\x01\0\0\0\x01\x82\x08\xa0", len)),
		    MECH_FAIL);
		mech_end(r);
	}
	/* half of a pair of surrogates is no name */
	negotiate(r);
	m = authenticate(r, response(r), "User", "");
	memcpy(m.bytes + m.len - 2, "\x00\xd8", 2);
	refused(r, &m, "invalid input");
}

static void test_utf16(void **state)
{
	(void)state;
	struct arena a = {0};
	struct span wide = utf16_from_utf8(&a, SPAN_LIT("a\303\274\360\237\230\200"));
	assert_int_equal(wide.len, 8);
	assert_memory_equal(wide.ptr, "a\0\xfc\0\x3d\xd8\x00\xde", 8);
	assert_true(span_eq_str(utf16_to_utf8(&a, wide), "a\303\274\360\237\230\200"));
	assert_memory_equal(utf16_upper(&a, wide).ptr, "A\0\xdc\0\x3d\xd8\x00\xde", 8);
	assert_null(utf16_from_utf8(&a, SPAN_LIT("a\377")).ptr);
	assert_null(utf16_to_utf8(&a, SPAN_LIT("abc")).ptr);
	assert_null(utf16_to_utf8(&a, span_make("\x00\xdc", 2)).ptr);
	assert_int_equal(utf16_from_utf8(&a, SPAN_LIT("")).len, 0);
	arena_free(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_example),
	    cmocka_unit_test(test_challenge),
	    cmocka_unit_test(test_names),
	    cmocka_unit_test(test_refused),
	    cmocka_unit_test(test_utf16),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
