/*
 * Tokens and keys for the tests of driver oauth2, made with OpenSSL. The
 * module's files are compiled into the test.
 */
#ifndef TESTS_UNIT_OAUTH2_KIT_H
#define TESTS_UNIT_OAUTH2_KIT_H

#include <time.h>

#include <openssl/core_names.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#include <sodium.h>

#include "tests/unit/driver-kit.h"

#include "drivers/curl-setup.c"
#include "drivers/oauth2-ask.c"
#include "drivers/oauth2-claims.c"
#include "drivers/oauth2-http.c"
#undef PATIENCE_MS
#include "drivers/oauth2-jwt.c"
#include "drivers/oauth2-key.c"
#include "drivers/oauth2-keys.c"
#include "drivers/oauth2.c"

#define HMAC_KEY "0123456789abcdef0123456789abcdef"
#define HMAC_FILE "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=\n"

static inline struct span b64url(struct arena *a, struct span s)
{
	size_t size = sodium_base64_encoded_len(s.len, sodium_base64_VARIANT_URLSAFE_NO_PADDING);
	char *out = arena_alloc(a, size);
	sodium_bin2base64(out, size, (const unsigned char *)s.ptr, s.len,
	    sodium_base64_VARIANT_URLSAFE_NO_PADDING);
	return span_of(out);
}

/* ---- keys; made once, they take time ---- */

static inline EVP_PKEY *key_for(const char *alg)
{
	static EVP_PKEY *rsa, *p256, *p384, *p521, *ed;
	EVP_PKEY **at = alg[0] == 'R' || alg[0] == 'P' ? &rsa
			: strcmp(alg, "ES256") == 0    ? &p256
			: strcmp(alg, "ES384") == 0    ? &p384
			: strcmp(alg, "ES512") == 0    ? &p521
						       : &ed;
	if (*at == NULL && at == &rsa)
		*at = EVP_RSA_gen(2048);
	if (*at == NULL && at == &ed)
		*at = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	if (*at == NULL)
		*at = EVP_EC_gen(at == &p256 ? "P-256" : at == &p384 ? "P-384" : "P-521");
	assert_non_null(*at);
	return *at;
}

static inline struct span pem_of(struct arena *a, EVP_PKEY *pkey)
{
	char *text;
	BIO *bio = BIO_new(BIO_s_mem());
	assert_int_equal(PEM_write_bio_PUBKEY(bio, pkey), 1);
	long n = BIO_get_mem_data(bio, &text);
	struct span s = arena_dup(a, span_make(text, (size_t)n));
	BIO_free(bio);
	return s;
}

static inline struct span bn_of(struct arena *a, EVP_PKEY *pkey, const char *name, int size)
{
	BIGNUM *bn = NULL;
	unsigned char raw[600];
	assert_int_equal(EVP_PKEY_get_bn_param(pkey, name, &bn), 1);
	int n = size > 0 ? BN_bn2binpad(bn, raw, size) : BN_bn2bin(bn, raw);
	BN_free(bn);
	return b64url(a, span_make(raw, (size_t)n));
}

/* "more" goes into the object as it is: ,"kid":"x" */
static inline struct span jwk_of(struct arena *a, EVP_PKEY *pkey, const char *more)
{
	unsigned char raw[64];
	size_t n = sizeof(raw);
	int size = (EVP_PKEY_get_bits(pkey) + 7) / 8;
	switch (EVP_PKEY_get_base_id(pkey)) {
	case EVP_PKEY_RSA:
		return arena_printf(a, "{\"kty\":\"RSA\",\"n\":\"%s\",\"e\":\"%s\"%s}",
		    bn_of(a, pkey, "n", 0).ptr, bn_of(a, pkey, "e", 0).ptr, more);
	case EVP_PKEY_EC:
		return arena_printf(a,
		    "{\"kty\":\"EC\",\"crv\":\"P-%d\",\"x\":\"%s\",\"y\":\"%s\"%s}",
		    EVP_PKEY_get_bits(pkey), bn_of(a, pkey, OSSL_PKEY_PARAM_EC_PUB_X, size).ptr,
		    bn_of(a, pkey, OSSL_PKEY_PARAM_EC_PUB_Y, size).ptr, more);
	default:
		assert_int_equal(EVP_PKEY_get_raw_public_key(pkey, raw, &n), 1);
		return arena_printf(a, "{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"%s\"%s}",
		    b64url(a, span_make(raw, n)).ptr, more);
	}
}

/* ---- signing ---- */

static inline struct span ec_plain(struct arena *a, struct span der, int half)
{
	const unsigned char *at = (const unsigned char *)der.ptr;
	ECDSA_SIG *sig = d2i_ECDSA_SIG(NULL, &at, (long)der.len);
	unsigned char *raw = arena_alloc(a, 2 * (size_t)half);
	assert_int_equal(BN_bn2binpad(ECDSA_SIG_get0_r(sig), raw, half), half);
	assert_int_equal(BN_bn2binpad(ECDSA_SIG_get0_s(sig), raw + half, half), half);
	ECDSA_SIG_free(sig);
	return span_make(raw, 2 * (size_t)half);
}

static inline const EVP_MD *digest_of(const char *alg)
{
	if (alg[0] == '\0' || strcmp(alg, "EdDSA") == 0)
		return NULL;
	return alg[2] == '2' ? EVP_sha256() : alg[2] == '3' ? EVP_sha384() : EVP_sha512();
}

static inline struct span sign(struct arena *a, const char *alg, EVP_PKEY *pkey, struct span text)
{
	unsigned char *sig = arena_alloc(a, 1024);
	size_t n = 1024;
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	EVP_PKEY_CTX *how;
	assert_int_equal(EVP_DigestSignInit(ctx, &how, digest_of(alg), NULL, pkey), 1);
	if (alg[0] == 'P') {
		assert_int_equal(EVP_PKEY_CTX_set_rsa_padding(how, RSA_PKCS1_PSS_PADDING), 1);
		assert_int_equal(EVP_PKEY_CTX_set_rsa_pss_saltlen(how, RSA_PSS_SALTLEN_DIGEST), 1);
	}
	assert_int_equal(
	    EVP_DigestSign(ctx, sig, &n, (const unsigned char *)text.ptr, text.len), 1);
	EVP_MD_CTX_free(ctx);
	struct span s = span_make(sig, n);
	bool ec = alg[0] == 'E' && alg[1] == 'S';
	return ec ? ec_plain(a, s, (EVP_PKEY_get_bits(pkey) + 7) / 8) : s;
}

/* hmac: NULL to sign with pkey */
static inline struct span token_of(struct arena *a, const char *alg, const char *header,
    struct span claims, EVP_PKEY *pkey, const char *hmac)
{
	unsigned char mac[EVP_MAX_MD_SIZE];
	unsigned n = 0;
	struct span text =
	    arena_printf(a, "%s.%s", b64url(a, span_of(header)).ptr, b64url(a, claims).ptr);
	struct span sig = SPAN_NULL;
	if (hmac != NULL && digest_of(alg) != NULL) {
		HMAC(digest_of(alg), hmac, (int)strlen(hmac), (const unsigned char *)text.ptr,
		    text.len, mac, &n);
		sig = span_make(mac, n);
	} else if (pkey != NULL) {
		sig = sign(a, alg, pkey, text);
	}
	return arena_printf(
	    a, "%s.%s", text.ptr, b64url(a, sig.ptr != NULL ? sig : SPAN_LIT("")).ptr);
}

#endif
