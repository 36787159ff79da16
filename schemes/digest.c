/*
 * Plain and salted digests: SHA*, SSHA*, SMD5, PLAIN-MD4, PLAIN-MD5, LDAP-MD5.
 * Salted ones are digest, then salt of any length of at least one byte.
 * Runs in workers and authctl.
 */
#include <nettle/md4.h>
#include <nettle/md5.h>
#include <nettle/nettle-meta.h>
#include <nettle/sha1.h>
#include <nettle/sha2.h>
#include <sodium.h>

#include "base/mem.h"
#include "schemes/families.h"

enum { SALT_LEN = 4 };

union digest_state {
	struct md4_ctx md4;
	struct md5_ctx md5;
	struct sha1_ctx sha1;
	struct sha256_ctx sha256;
	struct sha512_ctx sha512;
};

/* out has room for the digest */
static void digest(
    const struct nettle_hash *hash, struct secret password, struct span salt, char *out)
{
	union digest_state state;
	struct span plain = secret_reveal(password);
	if (hash->context_size > sizeof(state))
		mem_panic("digest state too large");
	hash->init(&state);
	if (plain.len > 0)
		hash->update(&state, plain.len, (const uint8_t *)plain.ptr);
	if (salt.len > 0)
		hash->update(&state, salt.len, (const uint8_t *)salt.ptr);
	hash->digest(&state, hash->digest_size, (uint8_t *)out);
	mem_wipe(&state, sizeof(state));
}

static struct secret digest_plain(
    const struct nettle_hash *hash, struct secret password, struct arena *a)
{
	char *out = arena_alloc(a, hash->digest_size);
	digest(hash, password, SPAN_NULL, out);
	return secret_of(span_make(out, hash->digest_size));
}

static struct secret digest_salted(
    const struct nettle_hash *hash, struct secret password, struct arena *a)
{
	char *out = arena_alloc(a, hash->digest_size + SALT_LEN);
	char *salt = out + hash->digest_size;
	randombytes_buf(salt, SALT_LEN);
	digest(hash, password, span_make(salt, SALT_LEN), out);
	return secret_of(span_make(out, hash->digest_size + SALT_LEN));
}

static enum verdict digest_verify(const struct nettle_hash *hash, const struct scheme_hash *h,
    struct secret password, struct arena *a, struct err *err)
{
	struct span raw = secret_reveal(h->raw);
	if (raw.len <= hash->digest_size)
		return scheme_invalid(err, "%s value has no salt", h->scheme->name);
	char *out = arena_alloc(a, hash->digest_size);
	digest(hash, password, span_skip(raw, hash->digest_size), out);
	return sodium_memcmp(out, raw.ptr, hash->digest_size) == 0 ? VERDICT_OK : VERDICT_MISMATCH;
}

static struct secret md4_generate(
    const struct scheme_gen *g, struct secret password, struct arena *a, struct err *err)
{
	(void)g;
	(void)err;
	return digest_plain(&nettle_md4, password, a);
}

static struct secret md5_generate(
    const struct scheme_gen *g, struct secret password, struct arena *a, struct err *err)
{
	(void)g;
	(void)err;
	return digest_plain(&nettle_md5, password, a);
}

static struct secret sha1_generate(
    const struct scheme_gen *g, struct secret password, struct arena *a, struct err *err)
{
	(void)g;
	(void)err;
	return digest_plain(&nettle_sha1, password, a);
}

static struct secret sha256_generate(
    const struct scheme_gen *g, struct secret password, struct arena *a, struct err *err)
{
	(void)g;
	(void)err;
	return digest_plain(&nettle_sha256, password, a);
}

static struct secret sha512_generate(
    const struct scheme_gen *g, struct secret password, struct arena *a, struct err *err)
{
	(void)g;
	(void)err;
	return digest_plain(&nettle_sha512, password, a);
}

static struct secret smd5_generate(
    const struct scheme_gen *g, struct secret password, struct arena *a, struct err *err)
{
	(void)g;
	(void)err;
	return digest_salted(&nettle_md5, password, a);
}

static enum verdict smd5_verify(const struct scheme_hash *h, struct secret password,
    struct span user, struct arena *a, struct err *err)
{
	(void)user;
	return digest_verify(&nettle_md5, h, password, a, err);
}

static struct secret ssha_generate(
    const struct scheme_gen *g, struct secret password, struct arena *a, struct err *err)
{
	(void)g;
	(void)err;
	return digest_salted(&nettle_sha1, password, a);
}

static enum verdict ssha_verify(const struct scheme_hash *h, struct secret password,
    struct span user, struct arena *a, struct err *err)
{
	(void)user;
	return digest_verify(&nettle_sha1, h, password, a, err);
}

static struct secret ssha256_generate(
    const struct scheme_gen *g, struct secret password, struct arena *a, struct err *err)
{
	(void)g;
	(void)err;
	return digest_salted(&nettle_sha256, password, a);
}

static enum verdict ssha256_verify(const struct scheme_hash *h, struct secret password,
    struct span user, struct arena *a, struct err *err)
{
	(void)user;
	return digest_verify(&nettle_sha256, h, password, a, err);
}

static struct secret ssha512_generate(
    const struct scheme_gen *g, struct secret password, struct arena *a, struct err *err)
{
	(void)g;
	(void)err;
	return digest_salted(&nettle_sha512, password, a);
}

static enum verdict ssha512_verify(const struct scheme_hash *h, struct secret password,
    struct span user, struct arena *a, struct err *err)
{
	(void)user;
	return digest_verify(&nettle_sha512, h, password, a, err);
}

const struct scheme scheme_sha = {.name = "SHA",
    .family = "SHA1",
    .encoding = ENCODING_BASE64,
    .raw_len = SHA1_DIGEST_SIZE,
    .generate = sha1_generate};
const struct scheme scheme_sha1 = {.name = "SHA1",
    .family = "SHA1",
    .encoding = ENCODING_BASE64,
    .raw_len = SHA1_DIGEST_SIZE,
    .generate = sha1_generate};
const struct scheme scheme_sha256 = {.name = "SHA256",
    .family = "SHA256",
    .encoding = ENCODING_BASE64,
    .raw_len = SHA256_DIGEST_SIZE,
    .generate = sha256_generate};
const struct scheme scheme_sha512 = {.name = "SHA512",
    .family = "SHA512",
    .encoding = ENCODING_BASE64,
    .raw_len = SHA512_DIGEST_SIZE,
    .generate = sha512_generate};
const struct scheme scheme_plain_md4 = {.name = "PLAIN-MD4",
    .family = "PLAIN-MD4",
    .encoding = ENCODING_HEX,
    .raw_len = MD4_DIGEST_SIZE,
    .flags = SCHEME_WEAK,
    .generate = md4_generate};
const struct scheme scheme_plain_md5 = {.name = "PLAIN-MD5",
    .family = "PLAIN-MD5",
    .encoding = ENCODING_HEX,
    .raw_len = MD5_DIGEST_SIZE,
    .flags = SCHEME_WEAK,
    .generate = md5_generate};
const struct scheme scheme_ldap_md5 = {.name = "LDAP-MD5",
    .family = "PLAIN-MD5",
    .encoding = ENCODING_BASE64,
    .raw_len = MD5_DIGEST_SIZE,
    .flags = SCHEME_WEAK,
    .generate = md5_generate};
const struct scheme scheme_ssha = {.name = "SSHA",
    .family = "SSHA",
    .encoding = ENCODING_BASE64,
    .verify = ssha_verify,
    .generate = ssha_generate};
const struct scheme scheme_ssha256 = {.name = "SSHA256",
    .family = "SSHA256",
    .encoding = ENCODING_BASE64,
    .verify = ssha256_verify,
    .generate = ssha256_generate};
const struct scheme scheme_ssha512 = {.name = "SSHA512",
    .family = "SSHA512",
    .encoding = ENCODING_BASE64,
    .verify = ssha512_verify,
    .generate = ssha512_generate};
const struct scheme scheme_smd5 = {.name = "SMD5",
    .family = "SMD5",
    .encoding = ENCODING_BASE64,
    .flags = SCHEME_WEAK,
    .verify = smd5_verify,
    .generate = smd5_generate};
