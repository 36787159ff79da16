/*
 * SCRAM: the examples of RFC 5802 section 5 and RFC 7677 section 3, an exchange
 * with SHA-512 and a channel binding made with Python, and what must not pass.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/encode.h"
#include "tests/unit/mech-kit.h"

struct example {
	const char *mech, *nonce, *salt, *first, *challenge, *final, *proof_of_server;
};

static const struct example sha1 = {"SCRAM-SHA-1", "3rfcNHYJY1ZVvWVs7j", "QSXCR+Q6sek8bf92",
    "n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL",
    "r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096",
    "c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=",
    "v=rmF9pqV8S7suAoZWja4dJRkFsKQ="};
static const struct example sha256 = {"SCRAM-SHA-256", "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0",
    "W22ZaJ0SNY7soEsUEjb6gQ==", "n,,n=user,r=rOprNGfwEbeRWgbNEkqO",
    "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
    "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
    "p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
    "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="};
static const struct example sha512_plus = {"SCRAM-SHA-512-PLUS", "snonce",
    "AAECAwQFBgcICQoLDA0ODw==", "p=tls-exporter,,n=user,r=cnonce",
    "r=cnoncesnonce,s=AAECAwQFBgcICQoLDA0ODw==,i=4096",
    "c=cD10bHMtZXhwb3J0ZXIsLAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f,r=cnoncesnonce,"
    "p=gypnHqcQec7EPcT17qqRmBFo6wIyYnlQl5Mmu8odu+YtaxRc/"
    "cBKsHd7PY4PpeafccF3g8CdaHkauNJ64zyJrQ==",
    "v=8gHKWzW2gqdcUZWNRZf7b5oxiCcJCMHibeadawOTYoummGE0Qxd2H9TIpLiASWPWrjZCC0O2iz53sNk3VkJQug="
    "="};

static struct secret pencil(struct mech_run *r, const struct example *e)
{
	struct scheme_gen g = {.salt = base64_decode(&r->arena, span_of(e->salt))};
	return mech_credential_of(r, r->io.scheme, &g, "pencil");
}

static void begin(struct mech_run *r, const struct example *e)
{
	mech_begin(r, e->mech);
	r->context.nonce = span_of(e->nonce);
}

/* Up to the challenge; binding: NULL where the mechanism has none. */
static enum mech_next first(struct mech_run *r, const struct example *e, struct span binding)
{
	begin(r, e);
	enum mech_next next = mech_message(r, span_of(e->first));
	if (next == MECH_BINDING) {
		r->io.binding = binding;
		next = r->mech->step(r->mech, r->state, &r->io);
	}
	return next;
}

static struct span exporter(void)
{
	static unsigned char bytes[32];
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (unsigned char)i;
	return span_make(bytes, sizeof(bytes));
}

static void challenged(struct mech_run *r, const struct example *e, enum verdict v)
{
	assert_int_equal(first(r, e, exporter()), MECH_CREDENTIAL);
	assert_true(span_eq_str(r->io.user, "user"));
	assert_int_equal(mech_credential(r, v, pencil(r, e)), MECH_CLIENT);
	assert_true(mech_said(r, e->challenge));
}

static void test_examples(void **state UNUSED)
{
	const struct example *const examples[] = {&sha1, &sha256, &sha512_plus};
	for (size_t i = 0; i < ARRAY_LEN(examples); i++) {
		struct mech_run r;
		challenged(&r, examples[i], VERDICT_OK);
		assert_int_equal(mech_message(&r, span_of(examples[i]->final)), MECH_DONE);
		assert_true(mech_said(&r, examples[i]->proof_of_server));
		assert_int_equal(r.io.authzid.len, 0);
		mech_end(&r);
	}
}

static void test_any_change_is_refused(void **state UNUSED)
{
	const struct example *const examples[] = {&sha256, &sha512_plus};
	for (size_t i = 0; i < ARRAY_LEN(examples); i++) {
		char message[512];
		size_t len = strlen(examples[i]->final);
		memcpy(message, examples[i]->final, len);
		for (size_t at = 0; at < len; at++) {
			struct mech_run r;
			message[at] ^= 1;
			challenged(&r, examples[i], VERDICT_OK);
			assert_int_equal(mech_message(&r, span_make(message, len)), MECH_FAIL);
			assert_null(r.io.out.ptr);
			mech_end(&r);
			message[at] ^= 1;
		}
	}
}

/* The right proof, but for a credential that came with another verdict than ok. */
static void test_verdicts(void **state UNUSED)
{
	for (enum verdict v = 0; v < VERDICT_COUNT; v++) {
		struct mech_run r;
		if (v == VERDICT_OK || v == VERDICT_INTERNAL)
			continue;
		challenged(&r, &sha256, v);
		assert_int_equal(mech_message(&r, span_of(sha256.final)), MECH_FAIL);
		mech_end(&r);
	}
	struct mech_run r;
	assert_int_equal(first(&r, &sha256, SPAN_NULL), MECH_CREDENTIAL);
	assert_int_equal(mech_credential(&r, VERDICT_INTERNAL, SECRET_NULL), MECH_FAIL);
	assert_null(r.io.out.ptr);
	mech_end(&r);
}

static void refused_first(const char *mech, const char *message, bool plus_offered)
{
	struct mech_run r;
	mech_begin(&r, mech);
	r.context.nonce = SPAN_LIT("snonce");
	r.context.plus_offered = plus_offered;
	assert_int_equal(mech_message(&r, span_of(message)), MECH_FAIL);
	assert_non_null(r.io.why);
	mech_end(&r);
}

static void test_first_messages(void **state UNUSED)
{
	static const char *const bad[] = {"", ",", "n", "n,", "n,,", "q,,n=u,r=n", "nn,,n=u,r=n",
	    "n,,m=x,n=u,r=n", "n,,m=x,,", "n,,r=n,n=u", "n,,n=u", "n,,n=,r=n",
	    "n,,n=u,r=", "n,,n=a=20b,r=n", "n,,n=a=,r=n", "n,a,n=u,r=n", "n,a=,n=u,r=n",
	    "n,a=x=2,n=u,r=n", "n,,n=u,r=a b", "n,,n=u,r=\x7f", "p=tls-exporter,,n=u,r=n",
	    "p=,,n=u,r=n", "u"};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		refused_first("SCRAM-SHA-256", bad[i], false);
}

static void test_names(void **state UNUSED)
{
	struct mech_run r;
	mech_begin(&r, "SCRAM-SHA-1");
	r.context.nonce = SPAN_LIT("snonce");
	assert_int_equal(
	    mech_message(&r, SPAN_LIT("n,a=frop=2Cfriep=3Dfrml,n=a=3Db=2Cc,r=n,x=ext")),
	    MECH_CREDENTIAL);
	assert_true(span_eq_str(r.io.authzid, "frop,friep=frml"));
	assert_true(span_eq_str(r.io.user, "a=b,c"));
	mech_end(&r);
}

static void test_binding_flags(void **state UNUSED)
{
	static const char *const mechs[] = {"SCRAM-SHA-1", "SCRAM-SHA-256", "SCRAM-SHA-512"};
	static const char *const pluses[] = {
	    "SCRAM-SHA-1-PLUS", "SCRAM-SHA-256-PLUS", "SCRAM-SHA-512-PLUS"};
	for (size_t i = 0; i < ARRAY_LEN(mechs); i++) {
		struct mech_run r;
		/* who would bind but saw nothing to bind with: somebody hid it from him */
		refused_first(mechs[i], "y,,n=u,r=n", true);
		mech_begin(&r, mechs[i]);
		assert_int_equal(mech_message(&r, SPAN_LIT("y,,n=u,r=n")), MECH_CREDENTIAL);
		mech_end(&r);
		mech_begin(&r, mechs[i]);
		r.context.plus_offered = true;
		assert_int_equal(mech_message(&r, SPAN_LIT("n,,n=u,r=n")), MECH_CREDENTIAL);
		mech_end(&r);
		refused_first(pluses[i], "n,,n=u,r=n", true);
		refused_first(pluses[i], "y,,n=u,r=n", true);
		refused_first(pluses[i], "p=tls-unheard-of,,n=u,r=n", true);
		refused_first(pluses[i], "p=_x,,n=u,r=n", true);
	}
}

static void test_binding_types(void **state UNUSED)
{
	static const char *const types[] = {"tls-exporter", "tls-server-end-point", "tls-unique"};
	for (size_t i = 0; i < ARRAY_LEN(types); i++) {
		struct mech_run r;
		char message[64];
		snprintf(message, sizeof(message), "p=%s,,n=u,r=n", types[i]);
		mech_begin(&r, "SCRAM-SHA-256-PLUS");
		assert_int_equal(mech_message(&r, span_of(message)), MECH_BINDING);
		assert_string_equal(r.io.binding_type, types[i]);
		mech_end(&r);
	}
}

static void test_no_or_another_binding(void **state UNUSED)
{
	struct mech_run r;
	assert_int_equal(first(&r, &sha512_plus, SPAN_NULL), MECH_FAIL);
	mech_end(&r);
	assert_int_equal(first(&r, &sha512_plus, SPAN_LIT("")), MECH_FAIL);
	mech_end(&r);
	/* a man in the middle has another channel to each side */
	assert_int_equal(first(&r, &sha512_plus, SPAN_LIT("other")), MECH_CREDENTIAL);
	assert_int_equal(mech_credential(&r, VERDICT_OK, pencil(&r, &sha512_plus)), MECH_CLIENT);
	assert_int_equal(mech_message(&r, span_of(sha512_plus.final)), MECH_FAIL);
	assert_string_equal(r.io.why, "Channel binding does not match");
	mech_end(&r);
}

static void test_broken_credentials(void **state UNUSED)
{
	static const char *const bad[] = {
	    "", "4096", "4096,AAAA", "4096,AAAA,AAAA,AAAA", "4096,AAAA,!,!", "x"};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct mech_run r;
		assert_int_equal(first(&r, &sha256, SPAN_NULL), MECH_CREDENTIAL);
		assert_int_equal(
		    mech_credential(&r, VERDICT_OK, secret_of(span_of(bad[i]))), MECH_FAIL);
		mech_end(&r);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_examples),
	    cmocka_unit_test(test_any_change_is_refused),
	    cmocka_unit_test(test_verdicts),
	    cmocka_unit_test(test_first_messages),
	    cmocka_unit_test(test_names),
	    cmocka_unit_test(test_binding_flags),
	    cmocka_unit_test(test_binding_types),
	    cmocka_unit_test(test_no_or_another_binding),
	    cmocka_unit_test(test_broken_credentials),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
