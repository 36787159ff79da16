/*
 * PBKDF2: $1$salt$rounds$hash, HMAC-SHA1, 20 bytes in hexadecimal; the salt's
 * characters are used as they are. Runs in workers and authctl.
 */
#include <nettle/pbkdf2.h>
#include <nettle/sha1.h>
#include <sodium.h>

#include "base/encode.h"
#include "schemes/families.h"

enum { ROUNDS = 5000, SALT_LEN = 16, DIGEST_LEN = SHA1_DIGEST_SIZE };

struct pbkdf2 {
	struct span salt, hex;
	uint32_t rounds;
};

static bool pbkdf2_parse(struct span raw, struct pbkdf2 *out)
{
	struct span rest = span_skip(raw, 3), rounds;
	return span_starts(raw, "$1$") && span_split(&rest, '$', &out->salt) &&
	       span_split(&rest, '$', &rounds) && span_split(&rest, '$', &out->hex) &&
	       rest.ptr == NULL && out->salt.len > 0 && span_to_u32(rounds, &out->rounds) &&
	       out->rounds > 0 && out->hex.len == 2 * DIGEST_LEN;
}

static struct span derive(
    struct secret password, struct span salt, uint32_t rounds, struct arena *a)
{
	struct span plain = secret_reveal(password);
	char *out = arena_alloc(a, DIGEST_LEN);
	pbkdf2_hmac_sha1(plain.len, (const uint8_t *)plain.ptr, rounds, salt.len,
	    (const uint8_t *)salt.ptr, DIGEST_LEN, (uint8_t *)out);
	return span_make(out, DIGEST_LEN);
}

static enum verdict pbkdf2_verify(const struct scheme_hash *h, struct secret password,
    struct span user, struct arena *a, struct err *err)
{
	(void)user;
	struct pbkdf2 stored;
	if (!pbkdf2_parse(secret_reveal(h->raw), &stored))
		return scheme_invalid(err, "not a valid PBKDF2 hash");
	struct span digest = hex_decode(a, stored.hex);
	if (digest.ptr == NULL)
		return scheme_invalid(err, "not a valid PBKDF2 hash");
	struct span made = derive(password, stored.salt, stored.rounds, a);
	return sodium_memcmp(made.ptr, digest.ptr, DIGEST_LEN) == 0 ? VERDICT_OK : VERDICT_MISMATCH;
}

static struct secret pbkdf2_generate(
    const struct scheme_gen *g, struct secret password, struct arena *a, struct err *err)
{
	(void)err;
	char salt[SALT_LEN];
	unsigned rounds = g->rounds > 0 ? g->rounds : ROUNDS;
	scheme_salt(salt, sizeof(salt));
	struct span made = derive(password, span_make(salt, sizeof(salt)), rounds, a);
	return secret_of(arena_printf(
	    a, "$1$%.*s$%u$%s", SALT_LEN, salt, rounds, hex_encode_arena(a, made).ptr));
}

static struct scheme_cost pbkdf2_cost(struct span raw)
{
	struct pbkdf2 stored;
	if (!pbkdf2_parse(raw, &stored))
		return (struct scheme_cost){0};
	return (struct scheme_cost){.expensive = true, .usec = stored.rounds};
}

const struct scheme scheme_pbkdf2 = {.name = "PBKDF2",
    .family = "PBKDF2",
    .verify = pbkdf2_verify,
    .generate = pbkdf2_generate,
    .cost = pbkdf2_cost};
