/*
 * Keys and signatures of JSON Web Tokens, by OpenSSL. Runs in: worker.
 * A key is used with algorithms of its own kind only: a public key is never
 * taken for the shared secret of HS256, and there is no "none".
 */
#include <sysexits.h>

#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/hmac.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#include "base/encode.h"
#include "base/mem.h"
#include "drivers/oauth2-parts.h"

enum { RSA_BITS_MIN = 2048, EC_FIELD_MAX = 66 };

enum alg_kind { ALG_HMAC, ALG_RSA, ALG_PSS, ALG_EC, ALG_ED };

/* RFC 7518 section 3.1, RFC 8037 section 3.1 */
static const struct oauth2_alg {
	const char *name;
	enum alg_kind kind;
	const EVP_MD *(*digest)(void);
	const char *curve; /* OpenSSL's name */
	size_t half;	   /* bytes of R and of S */
} algs[] = {
    {"HS256", ALG_HMAC, EVP_sha256, NULL, 0},
    {"HS384", ALG_HMAC, EVP_sha384, NULL, 0},
    {"HS512", ALG_HMAC, EVP_sha512, NULL, 0},
    {"RS256", ALG_RSA, EVP_sha256, NULL, 0},
    {"RS384", ALG_RSA, EVP_sha384, NULL, 0},
    {"RS512", ALG_RSA, EVP_sha512, NULL, 0},
    {"PS256", ALG_PSS, EVP_sha256, NULL, 0},
    {"PS384", ALG_PSS, EVP_sha384, NULL, 0},
    {"PS512", ALG_PSS, EVP_sha512, NULL, 0},
    {"ES256", ALG_EC, EVP_sha256, "prime256v1", 32},
    {"ES384", ALG_EC, EVP_sha384, "secp384r1", 48},
    {"ES512", ALG_EC, EVP_sha512, "secp521r1", 66},
    {"EdDSA", ALG_ED, NULL, NULL, 0},
};

const struct oauth2_alg *oauth2_alg_find(struct span name)
{
	for (size_t i = 0; i < ARRAY_LEN(algs); i++) {
		if (span_eq_str(name, algs[i].name))
			return &algs[i];
	}
	return NULL;
}

const char *oauth2_alg_name(const struct oauth2_alg *alg)
{
	return alg->name;
}

bool oauth2_alg_is_hmac(const struct oauth2_alg *alg)
{
	return alg->kind == ALG_HMAC;
}

/* ---- which key is for what ---- */

static bool is_on_curve(const EVP_PKEY *pkey, const char *curve)
{
	char name[64];
	size_t len;
	return EVP_PKEY_get_group_name(pkey, name, sizeof(name), &len) == 1 &&
	       strcmp(name, curve) == 0;
}

bool oauth2_key_is_for(const struct oauth2_key *key, const struct oauth2_alg *alg)
{
	if (key->alg != NULL && strcmp(key->alg, alg->name) != 0)
		return false;
	if (alg->kind == ALG_HMAC || key->pkey == NULL)
		return alg->kind == ALG_HMAC && key->pkey == NULL && secret_is_set(key->hmac);
	int type = EVP_PKEY_get_base_id(key->pkey);
	switch (alg->kind) {
	case ALG_RSA:
		return type == EVP_PKEY_RSA && EVP_PKEY_get_bits(key->pkey) >= RSA_BITS_MIN;
	case ALG_PSS:
		return (type == EVP_PKEY_RSA || type == EVP_PKEY_RSA_PSS) &&
		       EVP_PKEY_get_bits(key->pkey) >= RSA_BITS_MIN;
	case ALG_EC:
		return type == EVP_PKEY_EC && is_on_curve(key->pkey, alg->curve);
	case ALG_ED:
		return type == EVP_PKEY_ED25519 || type == EVP_PKEY_ED448;
	default:
		return false;
	}
}

/* ---- signatures ---- */

static const unsigned char *bytes(struct span s)
{
	return (const unsigned char *)(s.ptr != NULL ? s.ptr : "");
}

static bool hmac_fits(struct secret key, const EVP_MD *md, struct span text, struct span signature)
{
	unsigned char mac[EVP_MAX_MD_SIZE];
	unsigned len = 0;
	struct span k = secret_reveal(key);
	if (HMAC(md, bytes(k), (int)k.len, bytes(text), text.len, mac, &len) == NULL)
		return false;
	return secret_eq(secret_of(span_make(mac, len)), secret_of(signature));
}

/* RFC 7518 section 3.4: R and S one behind the other; OpenSSL wants them in DER. */
static struct span ec_signature(const struct oauth2_alg *alg, struct span sig, unsigned char **der)
{
	ECDSA_SIG *both = ECDSA_SIG_new();
	int len = 0;
	if (both != NULL && sig.len == 2 * alg->half) {
		int half = (int)alg->half;
		BIGNUM *r = BN_bin2bn(bytes(sig), half, NULL);
		BIGNUM *s = BN_bin2bn(bytes(sig) + half, half, NULL);
		if (r != NULL && s != NULL && ECDSA_SIG_set0(both, r, s) == 1) {
			len = i2d_ECDSA_SIG(both, der);
		} else {
			BN_free(r);
			BN_free(s);
		}
	}
	ECDSA_SIG_free(both);
	return len > 0 ? span_make(*der, (size_t)len) : SPAN_NULL;
}

static bool set_pss(EVP_PKEY_CTX *ctx, const EVP_MD *md)
{
	/* RFC 7518 section 3.5: the salt is as long as the hash, MGF1 has the same hash */
	return EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PSS_PADDING) == 1 &&
	       EVP_PKEY_CTX_set_rsa_mgf1_md(ctx, md) == 1 &&
	       EVP_PKEY_CTX_set_rsa_pss_saltlen(ctx, RSA_PSS_SALTLEN_DIGEST) == 1;
}

static bool public_key_fits(
    EVP_PKEY *pkey, const struct oauth2_alg *alg, struct span text, struct span signature)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	EVP_PKEY_CTX *how = NULL;
	const EVP_MD *md = alg->digest != NULL ? alg->digest() : NULL;
	bool ok = ctx != NULL && EVP_DigestVerifyInit(ctx, &how, md, NULL, pkey) == 1;
	if (ok && alg->kind == ALG_PSS)
		ok = set_pss(how, md);
	if (ok && alg->kind == ALG_RSA)
		ok = EVP_PKEY_CTX_set_rsa_padding(how, RSA_PKCS1_PADDING) == 1;
	/* 1 and nothing else is yes: negative numbers are errors */
	ok = ok &&
	     EVP_DigestVerify(ctx, bytes(signature), signature.len, bytes(text), text.len) == 1;
	EVP_MD_CTX_free(ctx);
	return ok;
}

bool oauth2_key_verifies(const struct oauth2_key *key, const struct oauth2_alg *alg,
    struct span signed_part, struct span signature)
{
	if (!oauth2_key_is_for(key, alg) || signature.len == 0)
		return false;
	if (alg->kind == ALG_HMAC)
		return hmac_fits(key->hmac, alg->digest(), signed_part, signature);
	if (alg->kind != ALG_EC)
		return public_key_fits(key->pkey, alg, signed_part, signature);
	unsigned char *der = NULL;
	struct span sig = ec_signature(alg, signature, &der);
	bool ok = sig.ptr != NULL && public_key_fits(key->pkey, alg, signed_part, sig);
	OPENSSL_free(der);
	return ok;
}

/* ---- keys in files ---- */

bool oauth2_key_of_file(struct oauth2_key *key, const struct oauth2_alg *alg, struct span text,
    struct arena *a, struct err *err)
{
	*key = (struct oauth2_key){0};
	if (alg->kind == ALG_HMAC) {
		struct span raw = base64_decode(a, span_trim(text));
		if (raw.len > 0)
			key->hmac = secret_of(raw);
		return raw.len > 0 || err_set(err, EX_CONFIG, "holds no base64");
	}
	BIO *bio = BIO_new_mem_buf(text.ptr, (int)text.len);
	if (bio != NULL)
		key->pkey = PEM_read_bio_PUBKEY(bio, NULL, NULL, NULL);
	BIO_free(bio);
	return key->pkey != NULL || err_set(err, EX_CONFIG, "holds no public key in PEM");
}

void oauth2_key_free(struct oauth2_key *key)
{
	EVP_PKEY_free(key->pkey);
	mem_free(&key->kid);
	mem_free(&key->alg);
	key->pkey = NULL;
	key->hmac = SECRET_NULL;
}

/* ---- JSON Web Keys ---- */

static const char *member(const json_t *jwk, const char *name)
{
	const char *s = json_string_value(json_object_get(jwk, name));
	return s != NULL ? s : "";
}

static struct span number(const json_t *jwk, const char *name, struct arena *a)
{
	return base64url_decode(a, span_of(member(jwk, name)));
}

static EVP_PKEY *from_params(const char *type, OSSL_PARAM_BLD *build)
{
	EVP_PKEY *pkey = NULL;
	OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(build);
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
	if (params == NULL || ctx == NULL || EVP_PKEY_fromdata_init(ctx) != 1 ||
	    EVP_PKEY_fromdata(ctx, &pkey, EVP_PKEY_PUBLIC_KEY, params) != 1)
		pkey = NULL;
	EVP_PKEY_CTX_free(ctx);
	OSSL_PARAM_free(params);
	return pkey;
}

static EVP_PKEY *rsa_key(const json_t *jwk, struct arena *a)
{
	struct span n = number(jwk, "n", a), e = number(jwk, "e", a);
	OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
	BIGNUM *bn = BN_bin2bn(bytes(n), (int)n.len, NULL),
	       *be = BN_bin2bn(bytes(e), (int)e.len, NULL);
	EVP_PKEY *pkey = NULL;
	if (n.len > 0 && e.len > 0 && build != NULL && bn != NULL && be != NULL &&
	    OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_N, bn) == 1 &&
	    OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_E, be) == 1)
		pkey = from_params("RSA", build);
	OSSL_PARAM_BLD_free(build);
	BN_free(bn);
	BN_free(be);
	return pkey;
}

static const struct {
	const char *crv, *group;
	size_t size;
} curves[] = {
    {"P-256", "prime256v1", 32},
    {"P-384", "secp384r1", 48},
    {"P-521", "secp521r1", 66},
};

static EVP_PKEY *ec_key(const json_t *jwk, struct arena *a)
{
	unsigned char point[1 + 2 * EC_FIELD_MAX] = {POINT_CONVERSION_UNCOMPRESSED};
	struct span x = number(jwk, "x", a), y = number(jwk, "y", a);
	size_t i = 0;
	while (i < ARRAY_LEN(curves) && strcmp(member(jwk, "crv"), curves[i].crv) != 0)
		i++;
	if (i == ARRAY_LEN(curves) || x.len != curves[i].size || y.len != curves[i].size)
		return NULL;
	memcpy(point + 1, x.ptr, x.len);
	memcpy(point + 1 + x.len, y.ptr, y.len);
	OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
	EVP_PKEY *pkey = NULL;
	if (build != NULL &&
	    OSSL_PARAM_BLD_push_utf8_string(
		build, OSSL_PKEY_PARAM_GROUP_NAME, curves[i].group, 0) == 1 &&
	    OSSL_PARAM_BLD_push_octet_string(
		build, OSSL_PKEY_PARAM_PUB_KEY, point, 1 + 2 * curves[i].size) == 1)
		pkey = from_params("EC", build);
	OSSL_PARAM_BLD_free(build);
	return pkey;
}

static EVP_PKEY *ed_key(const json_t *jwk, struct arena *a)
{
	struct span x = number(jwk, "x", a);
	bool ed448 = strcmp(member(jwk, "crv"), "Ed448") == 0;
	if (!ed448 && strcmp(member(jwk, "crv"), "Ed25519") != 0)
		return NULL;
	return EVP_PKEY_new_raw_public_key(
	    ed448 ? EVP_PKEY_ED448 : EVP_PKEY_ED25519, NULL, bytes(x), x.len);
}

/* RFC 7517 sections 4.2 and 4.3: a key for encryption verifies nothing. */
static bool is_for_signatures(const json_t *jwk)
{
	const json_t *ops = json_object_get(jwk, "key_ops"), *op;
	const char *use = member(jwk, "use");
	size_t i;
	if (use[0] != '\0' && strcmp(use, "sig") != 0)
		return false;
	if (!json_is_array(ops))
		return ops == NULL;
	json_array_foreach(ops, i, op)
	{
		const char *s = json_string_value(op);
		if (s != NULL && strcmp(s, "verify") == 0)
			return true;
	}
	return false;
}

bool oauth2_key_of_jwk(struct oauth2_key *key, const json_t *jwk, struct arena *a)
{
	const char *kty = member(jwk, "kty");
	*key = (struct oauth2_key){0};
	if (!json_is_object(jwk) || !is_for_signatures(jwk))
		return false;
	/* "oct" is a shared secret: it has no place in a set that a provider shows to everybody */
	if (strcmp(kty, "RSA") == 0)
		key->pkey = rsa_key(jwk, a);
	else if (strcmp(kty, "EC") == 0)
		key->pkey = ec_key(jwk, a);
	else if (strcmp(kty, "OKP") == 0)
		key->pkey = ed_key(jwk, a);
	if (key->pkey == NULL)
		return false;
	if (json_is_string(json_object_get(jwk, "kid")))
		key->kid = mem_strdup(member(jwk, "kid"));
	if (json_is_string(json_object_get(jwk, "alg")))
		key->alg = mem_strdup(member(jwk, "alg"));
	return true;
}
