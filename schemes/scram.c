/*
 * SCRAM-SHA-1 and SCRAM-SHA-256 (RFC 5802 section 3, RFC 7677): iterations,
 * salt, StoredKey and ServerKey, the last three in base64.
 * Runs in workers and authctl.
 */
#include <nettle/hmac.h>
#include <nettle/pbkdf2.h>
#include <sodium.h>

#include "base/encode.h"
#include "base/mem.h"
#include "schemes/families.h"

enum { ROUNDS = 4096, SALT_LEN = 16, KEY_MAX = SHA256_DIGEST_SIZE };

struct scram_hash {
	size_t len;
	void (*pbkdf2)(size_t key_len, const uint8_t *key, unsigned rounds, size_t salt_len,
	    const uint8_t *salt, size_t out_len, uint8_t *out);
	void (*hmac)(const uint8_t *key, const char *text, uint8_t *out);
	void (*digest)(const uint8_t *bytes, uint8_t *out);
};

struct scram {
	uint32_t rounds;
	struct span salt, stored_key, server_key; /* decoded */
};

static void hmac_sha1(const uint8_t *key, const char *text, uint8_t *out)
{
	struct hmac_sha1_ctx ctx;
	hmac_sha1_set_key(&ctx, SHA1_DIGEST_SIZE, key);
	hmac_sha1_update(&ctx, strlen(text), (const uint8_t *)text);
	hmac_sha1_digest(&ctx, SHA1_DIGEST_SIZE, out);
	mem_wipe(&ctx, sizeof(ctx));
}

static void digest_sha1(const uint8_t *bytes, uint8_t *out)
{
	struct sha1_ctx ctx;
	sha1_init(&ctx);
	sha1_update(&ctx, SHA1_DIGEST_SIZE, bytes);
	sha1_digest(&ctx, SHA1_DIGEST_SIZE, out);
	mem_wipe(&ctx, sizeof(ctx));
}

static void hmac_sha256(const uint8_t *key, const char *text, uint8_t *out)
{
	struct hmac_sha256_ctx ctx;
	hmac_sha256_set_key(&ctx, SHA256_DIGEST_SIZE, key);
	hmac_sha256_update(&ctx, strlen(text), (const uint8_t *)text);
	hmac_sha256_digest(&ctx, SHA256_DIGEST_SIZE, out);
	mem_wipe(&ctx, sizeof(ctx));
}

static void digest_sha256(const uint8_t *bytes, uint8_t *out)
{
	struct sha256_ctx ctx;
	sha256_init(&ctx);
	sha256_update(&ctx, SHA256_DIGEST_SIZE, bytes);
	sha256_digest(&ctx, SHA256_DIGEST_SIZE, out);
	mem_wipe(&ctx, sizeof(ctx));
}

static const struct scram_hash sha1 = {SHA1_DIGEST_SIZE, pbkdf2_hmac_sha1, hmac_sha1, digest_sha1};
static const struct scram_hash sha256 = {
    SHA256_DIGEST_SIZE, pbkdf2_hmac_sha256, hmac_sha256, digest_sha256};

static bool rounds_take(struct span *rest, uint32_t *rounds)
{
	struct span field;
	return span_split(rest, ',', &field) && span_to_u32(field, rounds) && *rounds >= ROUNDS;
}

static bool bytes_take(struct span *rest, struct arena *a, struct span *out)
{
	struct span field;
	if (!span_split(rest, ',', &field))
		return false;
	*out = base64_decode(a, field);
	return out->ptr != NULL && out->len > 0;
}

static bool scram_parse(
    const struct scram_hash *hash, struct span raw, struct arena *a, struct scram *out)
{
	return rounds_take(&raw, &out->rounds) && bytes_take(&raw, a, &out->salt) &&
	       bytes_take(&raw, a, &out->stored_key) && bytes_take(&raw, a, &out->server_key) &&
	       raw.ptr == NULL && out->stored_key.len == hash->len &&
	       out->server_key.len == hash->len;
}

static struct span derive_key(
    const struct scram_hash *hash, const uint8_t *salted, const char *label, struct arena *a)
{
	uint8_t *out = arena_alloc(a, hash->len);
	hash->hmac(salted, label, out);
	return span_make(out, hash->len);
}

/* StoredKey and ServerKey from rounds and salt */
static void scram_derive(
    const struct scram_hash *hash, struct secret password, struct arena *a, struct scram *s)
{
	struct span plain = secret_reveal(password);
	uint8_t salted[KEY_MAX], *stored = arena_alloc(a, hash->len);
	hash->pbkdf2(plain.len, (const uint8_t *)plain.ptr, s->rounds, s->salt.len,
	    (const uint8_t *)s->salt.ptr, hash->len, salted);
	struct span client_key = derive_key(hash, salted, "Client Key", a);
	hash->digest((const uint8_t *)client_key.ptr, stored);
	s->stored_key = span_make(stored, hash->len);
	s->server_key = derive_key(hash, salted, "Server Key", a);
	mem_wipe(salted, sizeof(salted));
}

static enum verdict scram_verify(const struct scram_hash *hash, const struct scheme_hash *h,
    struct secret password, struct arena *a, struct err *err)
{
	struct scram stored, made;
	if (!scram_parse(hash, secret_reveal(h->raw), a, &stored))
		return scheme_invalid(err, "not a valid %s credential", h->scheme->name);
	made = stored;
	scram_derive(hash, password, a, &made);
	return secret_eq(secret_of(made.stored_key), secret_of(stored.stored_key))
		   ? VERDICT_OK
		   : VERDICT_MISMATCH;
}

static struct secret scram_generate(const struct scram_hash *hash, const struct scheme_gen *g,
    struct secret password, struct arena *a)
{
	char salt[SALT_LEN];
	struct scram s = {.rounds = g->rounds > ROUNDS ? g->rounds : ROUNDS,
	    .salt = span_make(salt, sizeof(salt))};
	randombytes_buf(salt, sizeof(salt));
	scram_derive(hash, password, a, &s);
	return secret_of(arena_printf(a, "%u,%s,%s,%s", s.rounds,
	    base64_encode_arena(a, s.salt).ptr, base64_encode_arena(a, s.stored_key).ptr,
	    base64_encode_arena(a, s.server_key).ptr));
}

static struct scheme_cost scram_cost(struct span raw)
{
	uint32_t rounds;
	if (!rounds_take(&raw, &rounds))
		return (struct scheme_cost){0};
	return (struct scheme_cost){.expensive = true, .usec = rounds};
}

static enum verdict sha1_verify(const struct scheme_hash *h, struct secret password,
    struct span user, struct arena *a, struct err *err)
{
	(void)user;
	return scram_verify(&sha1, h, password, a, err);
}

static struct secret sha1_generate(
    const struct scheme_gen *g, struct secret password, struct arena *a, struct err *err)
{
	(void)err;
	return scram_generate(&sha1, g, password, a);
}

static enum verdict sha256_verify(const struct scheme_hash *h, struct secret password,
    struct span user, struct arena *a, struct err *err)
{
	(void)user;
	return scram_verify(&sha256, h, password, a, err);
}

static struct secret sha256_generate(
    const struct scheme_gen *g, struct secret password, struct arena *a, struct err *err)
{
	(void)err;
	return scram_generate(&sha256, g, password, a);
}

const struct scheme scheme_scram_sha1 = {.name = "SCRAM-SHA-1",
    .family = "SCRAM-SHA-1",
    .verify = sha1_verify,
    .generate = sha1_generate,
    .cost = scram_cost};
const struct scheme scheme_scram_sha256 = {.name = "SCRAM-SHA-256",
    .family = "SCRAM-SHA-256",
    .verify = sha256_verify,
    .generate = sha256_generate,
    .cost = scram_cost};
