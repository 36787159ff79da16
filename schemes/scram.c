/*
 * SCRAM-SHA-1, -256 and -512 (RFC 5802 section 3, RFC 7677): iterations,
 * salt, StoredKey and ServerKey, the last three in base64.
 * Runs in workers and authctl.
 */
#include <nettle/pbkdf2.h>
#include <sodium.h>

#include "base/encode.h"
#include "base/hmac.h"
#include "base/mem.h"
#include "schemes/families.h"

enum { ROUNDS = 4096, SALT_LEN = 16 };

struct scram_hash {
	const struct nettle_hash *hash;
	void (*pbkdf2)(size_t key_len, const uint8_t *key, unsigned rounds, size_t salt_len,
	    const uint8_t *salt, size_t out_len, uint8_t *out);
};

struct scram {
	uint32_t rounds;
	struct span salt, stored_key, server_key; /* decoded */
};

static const struct scram_hash sha1 = {&nettle_sha1, pbkdf2_hmac_sha1};
static const struct scram_hash sha256 = {&nettle_sha256, pbkdf2_hmac_sha256};
static const struct scram_hash sha512 = {&nettle_sha512, pbkdf2_hmac_sha512};

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
	       raw.ptr == NULL && out->stored_key.len == hash->hash->digest_size &&
	       out->server_key.len == hash->hash->digest_size;
}

/* StoredKey and ServerKey from rounds and salt */
static void scram_derive(
    const struct scram_hash *hash, struct secret password, struct arena *a, struct scram *s)
{
	struct span plain = secret_reveal(password);
	size_t len = hash->hash->digest_size;
	uint8_t salted_bytes[HASH_MAX], client_key[HASH_MAX];
	uint8_t *stored = arena_alloc(a, len), *server = arena_alloc(a, len);
	struct span salted = span_make(salted_bytes, len);
	hash->pbkdf2(plain.len, (const uint8_t *)plain.ptr, s->rounds, s->salt.len,
	    (const uint8_t *)s->salt.ptr, len, salted_bytes);
	hmac_of(hash->hash, salted, SPAN_LIT("Client Key"), client_key);
	hash_of(hash->hash, span_make(client_key, len), stored);
	hmac_of(hash->hash, salted, SPAN_LIT("Server Key"), server);
	s->stored_key = span_make(stored, len);
	s->server_key = span_make(server, len);
	mem_wipe(salted_bytes, sizeof(salted_bytes));
	mem_wipe(client_key, sizeof(client_key));
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
	struct scram s = {.rounds = g->rounds > ROUNDS ? g->rounds : ROUNDS, .salt = g->salt};
	if (s.salt.len == 0) {
		randombytes_buf(salt, sizeof(salt));
		s.salt = span_make(salt, sizeof(salt));
	}
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

static enum verdict sha512_verify(const struct scheme_hash *h, struct secret password,
    struct span user, struct arena *a, struct err *err)
{
	(void)user;
	return scram_verify(&sha512, h, password, a, err);
}

static struct secret sha512_generate(
    const struct scheme_gen *g, struct secret password, struct arena *a, struct err *err)
{
	(void)err;
	return scram_generate(&sha512, g, password, a);
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
const struct scheme scheme_scram_sha512 = {.name = "SCRAM-SHA-512",
    .family = "SCRAM-SHA-512",
    .verify = sha512_verify,
    .generate = sha512_generate,
    .cost = scram_cost};
