/*
 * CRAM-MD5 (RFC 2195), SCRAM (RFC 5802), EXTERNAL and ANONYMOUS from the
 * client's side, to try a server with. Runs in: authctl.
 */
#include "authctl/sasl.h"

#include <nettle/md5.h>
#include <nettle/pbkdf2.h>
#include <sodium.h>

#include "base/encode.h"
#include "base/hmac.h"
#include "base/mem.h"

enum { ROUNDS_MAX = 10 * 1000 * 1000 };

struct sasl_mech {
	const char *name;
	bool no_password, master;
	struct span (*begin)(struct sasl *s);
	bool (*respond)(struct sasl *s, struct span challenge, struct span *answer);
	const struct nettle_hash *hash;
	void (*pbkdf2)(size_t key_len, const uint8_t *key, unsigned rounds, size_t salt_len,
	    const uint8_t *salt, size_t out_len, uint8_t *out);
};

static bool give_up(struct sasl *s, const char *why)
{
	s->wrong = why;
	return false;
}

/* ---- the simple ones ---- */

static struct span nothing(struct sasl *s UNUSED)
{
	return SPAN_NULL;
}

static bool cram_respond(struct sasl *s, struct span challenge, struct span *answer)
{
	uint8_t digest[MD5_DIGEST_SIZE];
	hmac_of(&nettle_md5, secret_reveal(s->password), challenge, digest);
	struct span hex = hex_encode_arena(s->arena, span_make(digest, sizeof(digest)));
	*answer = arena_printf(s->arena, "%.*s %.*s", SPAN_ARG(s->user), SPAN_ARG(hex));
	return true;
}

static struct span external_begin(struct sasl *s)
{
	return s->user;
}

static bool no_respond(struct sasl *s, struct span challenge UNUSED, struct span *answer UNUSED)
{
	return give_up(s, "the server asks for more than the mechanism has");
}

/* ---- SCRAM ---- */

static struct span saslname(struct arena *a, struct span name)
{
	char *out = arena_alloc(a, 3 * name.len + 1);
	size_t n = 0;
	for (size_t i = 0; i < name.len; i++) {
		char c = name.ptr[i];
		if (c == ',' || c == '=') {
			memcpy(out + n, c == ',' ? "=2C" : "=3D", 3);
			n += 3;
		} else {
			out[n++] = c;
		}
	}
	return span_make(out, n);
}

static struct span scram_header(struct sasl *s)
{
	if (s->master.len == 0)
		return SPAN_LIT("n,,");
	return arena_printf(s->arena, "n,a=%.*s,", SPAN_ARG(saslname(s->arena, s->user)));
}

static struct span scram_begin(struct sasl *s)
{
	unsigned char random[18];
	randombytes_buf(random, sizeof(random));
	struct span name = saslname(s->arena, s->master.len > 0 ? s->master : s->user);
	struct span nonce = base64_encode_arena(s->arena, span_make(random, sizeof(random)));
	s->first = arena_printf(s->arena, "n=%.*s,r=%.*s", SPAN_ARG(name), SPAN_ARG(nonce));
	return arena_join(s->arena, scram_header(s), s->first);
}

struct scram_challenge {
	struct span nonce, salt;
	uint32_t rounds;
};

static bool take(struct span *rest, const char *key, struct span *value)
{
	if (!span_split(rest, ',', value) || !span_starts(*value, key))
		return false;
	*value = span_skip(*value, strlen(key));
	return true;
}

static bool parse_challenge(struct sasl *s, struct span text, struct scram_challenge *c)
{
	struct span salt, rounds;
	struct span ours = span_skip(s->first, (size_t)span_rfind(s->first, '=') + 1);
	if (!take(&text, "r=", &c->nonce) || !take(&text, "s=", &salt) ||
	    !take(&text, "i=", &rounds) || !span_to_u32(rounds, &c->rounds))
		return false;
	c->salt = base64_decode(s->arena, salt);
	return c->salt.len > 0 && c->rounds > 0 && c->rounds <= ROUNDS_MAX &&
	       c->nonce.len > ours.len && span_eq(span_first(c->nonce, ours.len), ours);
}

static struct span hmac(struct sasl *s, struct span key, struct span text)
{
	uint8_t *out = arena_alloc(s->arena, s->mech->hash->digest_size);
	hmac_of(s->mech->hash, key, text, out);
	return span_make(out, s->mech->hash->digest_size);
}

static struct span scram_proof(struct sasl *s, const struct scram_challenge *c, struct span message)
{
	size_t len = s->mech->hash->digest_size;
	struct span password = secret_reveal(s->password);
	uint8_t *salted = arena_alloc(s->arena, len), *proof = arena_alloc(s->arena, len);
	uint8_t stored[HASH_MAX];
	s->mech->pbkdf2(password.len, (const uint8_t *)password.ptr, c->rounds, c->salt.len,
	    (const uint8_t *)c->salt.ptr, len, salted);
	struct span key = hmac(s, span_make(salted, len), SPAN_LIT("Client Key"));
	struct span server = hmac(s, span_make(salted, len), SPAN_LIT("Server Key"));
	hash_of(s->mech->hash, key, stored);
	struct span signature = hmac(s, span_make(stored, len), message);
	for (size_t i = 0; i < len; i++)
		proof[i] = (uint8_t)(key.ptr[i] ^ signature.ptr[i]);
	s->expected = arena_join(
	    s->arena, SPAN_LIT("v="), base64_encode_arena(s->arena, hmac(s, server, message)));
	return base64_encode_arena(s->arena, span_make(proof, len));
}

static bool scram_respond(struct sasl *s, struct span challenge, struct span *answer)
{
	struct scram_challenge c;
	if (s->expected.ptr != NULL) {
		s->proven = span_eq(challenge, s->expected);
		*answer = SPAN_LIT("");
		return s->proven || give_up(s, "the server does not know the password");
	}
	if (!parse_challenge(s, challenge, &c))
		return give_up(s, "the server's challenge is not valid");
	struct span header = base64_encode_arena(s->arena, scram_header(s));
	struct span without =
	    arena_printf(s->arena, "c=%.*s,r=%.*s", SPAN_ARG(header), SPAN_ARG(c.nonce));
	struct span message = arena_printf(
	    s->arena, "%.*s,%.*s,%.*s", SPAN_ARG(s->first), SPAN_ARG(challenge), SPAN_ARG(without));
	struct span proof = scram_proof(s, &c, message);
	*answer = arena_printf(s->arena, "%.*s,p=%.*s", SPAN_ARG(without), SPAN_ARG(proof));
	return true;
}

/* ---- the table ---- */

static const struct sasl_mech mechs[] = {
    {.name = "CRAM-MD5", .begin = nothing, .respond = cram_respond},
    {.name = "SCRAM-SHA-1",
	.master = true,
	.begin = scram_begin,
	.respond = scram_respond,
	.hash = &nettle_sha1,
	.pbkdf2 = pbkdf2_hmac_sha1},
    {.name = "SCRAM-SHA-256",
	.master = true,
	.begin = scram_begin,
	.respond = scram_respond,
	.hash = &nettle_sha256,
	.pbkdf2 = pbkdf2_hmac_sha256},
    {.name = "SCRAM-SHA-512",
	.master = true,
	.begin = scram_begin,
	.respond = scram_respond,
	.hash = &nettle_sha512,
	.pbkdf2 = pbkdf2_hmac_sha512},
    {.name = "EXTERNAL", .no_password = true, .begin = external_begin, .respond = no_respond},
    {.name = "ANONYMOUS", .no_password = true, .begin = external_begin, .respond = no_respond},
};

const struct sasl_mech *sasl_find(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(mechs); i++) {
		if (strcasecmp(name, mechs[i].name) == 0)
			return &mechs[i];
	}
	return NULL;
}

bool sasl_takes_password(const struct sasl_mech *m)
{
	return !m->no_password;
}

bool sasl_takes_master(const struct sasl_mech *m)
{
	return m->master;
}

struct span sasl_begin(struct sasl *s)
{
	return s->mech->begin(s);
}

bool sasl_respond(
    void *context, const void *challenge, size_t length, const void **answer, size_t *answer_length)
{
	struct sasl *s = context;
	struct span text = arena_dup(s->arena, span_make(length > 0 ? challenge : "", length)), out;
	if (!s->mech->respond(s, text, &out))
		return false;
	*answer = out.ptr;
	*answer_length = out.len;
	return true;
}

bool sasl_is_complete(const struct sasl *s)
{
	return s->mech->hash == NULL || s->proven;
}
