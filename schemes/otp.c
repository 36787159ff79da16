/*
 * OTP: "sha1 1024 seed 16hex", the last used one-time password of RFC 2289.
 * A password matches when its chain arrives there. Runs in workers, authctl.
 */
#include <nettle/md4.h>
#include <nettle/md5.h>
#include <nettle/sha1.h>
#include <sodium.h>

#include "base/encode.h"
#include "base/mem.h"
#include "schemes/families.h"

/* RFC 2289 section 6: sequence numbers and seeds */
enum { OTP_LEN = 8, SEQUENCE = 1024, SEQUENCE_MAX = 9999, SEED_MAX = 16, SEED_LEN = 8 };

struct otp_hash {
	const char *name;
	void (*fold)(struct span x, struct span y, uint8_t *out);
};

struct otp {
	const struct otp_hash *hash;
	uint32_t sequence;
	struct span seed, last; /* last is decoded */
};

static void xor_halves(const uint8_t *digest, uint8_t *out)
{
	for (size_t i = 0; i < OTP_LEN; i++)
		out[i] = digest[i] ^ digest[i + OTP_LEN];
}

static void fold_md4(struct span x, struct span y, uint8_t *out)
{
	struct md4_ctx ctx;
	uint8_t digest[MD4_DIGEST_SIZE];
	md4_init(&ctx);
	md4_update(&ctx, x.len, (const uint8_t *)x.ptr);
	md4_update(&ctx, y.len, (const uint8_t *)y.ptr);
	md4_digest(&ctx, sizeof(digest), digest);
	xor_halves(digest, out);
	mem_wipe(&ctx, sizeof(ctx));
}

static void fold_md5(struct span x, struct span y, uint8_t *out)
{
	struct md5_ctx ctx;
	uint8_t digest[MD5_DIGEST_SIZE];
	md5_init(&ctx);
	md5_update(&ctx, x.len, (const uint8_t *)x.ptr);
	md5_update(&ctx, y.len, (const uint8_t *)y.ptr);
	md5_digest(&ctx, sizeof(digest), digest);
	xor_halves(digest, out);
	mem_wipe(&ctx, sizeof(ctx));
}

/* RFC 2289 appendix A: the fifth word joins the first; words go out little-endian */
static void fold_sha1(struct span x, struct span y, uint8_t *out)
{
	struct sha1_ctx ctx;
	uint8_t digest[SHA1_DIGEST_SIZE];
	sha1_init(&ctx);
	sha1_update(&ctx, x.len, (const uint8_t *)x.ptr);
	sha1_update(&ctx, y.len, (const uint8_t *)y.ptr);
	sha1_digest(&ctx, sizeof(digest), digest);
	for (size_t i = 0; i < 4; i++) {
		out[3 - i] = digest[i] ^ digest[i + 8] ^ digest[i + 16];
		out[7 - i] = digest[i + 4] ^ digest[i + 12];
	}
	mem_wipe(&ctx, sizeof(ctx));
}

static const struct otp_hash otp_hashes[] = {
    {"md4", fold_md4}, {"md5", fold_md5}, {"sha1", fold_sha1}};

/* Everything but the last word; cheap enough to price a value with. */
static bool otp_begin(struct span *rest, struct otp *out)
{
	struct span name, sequence;
	*out = (struct otp){0};
	if (!span_split(rest, ' ', &name) || !span_split(rest, ' ', &sequence) ||
	    !span_split(rest, ' ', &out->seed))
		return false;
	for (size_t i = 0; i < ARRAY_LEN(otp_hashes); i++) {
		if (span_eq_ci(name, span_of(otp_hashes[i].name)))
			out->hash = &otp_hashes[i];
	}
	return out->hash != NULL && span_to_u32(sequence, &out->sequence) &&
	       out->sequence <= SEQUENCE_MAX && out->seed.len > 0 && out->seed.len <= SEED_MAX;
}

static bool otp_parse(struct span raw, struct arena *a, struct otp *out)
{
	if (!otp_begin(&raw, out))
		return false;
	out->last = hex_decode(a, raw);
	return out->last.ptr != NULL && out->last.len == OTP_LEN;
}

static struct span chain(const struct otp *o, struct secret password, struct arena *a)
{
	uint8_t *out = arena_alloc(a, OTP_LEN);
	o->hash->fold(o->seed, secret_reveal(password), out);
	for (uint32_t i = 0; i < o->sequence; i++)
		o->hash->fold(span_make(out, OTP_LEN), SPAN_LIT(""), out);
	return span_make(out, OTP_LEN);
}

static enum verdict otp_verify(const struct scheme_hash *h, struct secret password,
    struct span user, struct arena *a, struct err *err)
{
	(void)user;
	struct otp stored;
	if (!otp_parse(secret_reveal(h->raw), a, &stored))
		return scheme_invalid(err, "not valid OTP data");
	struct span made = chain(&stored, password, a);
	return sodium_memcmp(made.ptr, stored.last.ptr, OTP_LEN) == 0 ? VERDICT_OK
								      : VERDICT_MISMATCH;
}

static struct secret otp_generate(
    const struct scheme_gen *g, struct secret password, struct arena *a, struct err *err)
{
	(void)g;
	(void)err;
	char random[SEED_LEN];
	randombytes_buf(random, sizeof(random));
	struct otp o = {.hash = &otp_hashes[2],
	    .sequence = SEQUENCE,
	    .seed = hex_encode_arena(a, span_make(random, sizeof(random)))};
	return secret_of(arena_printf(a, "%s %u %s %s", o.hash->name, o.sequence, o.seed.ptr,
	    hex_encode_arena(a, chain(&o, password, a)).ptr));
}

static struct scheme_cost otp_cost(struct span raw)
{
	struct otp stored;
	if (!otp_begin(&raw, &stored))
		return (struct scheme_cost){0};
	return (struct scheme_cost){.expensive = true, .usec = stored.sequence};
}

const struct scheme scheme_otp = {.name = "OTP",
    .family = "OTP",
    .verify = otp_verify,
    .generate = otp_generate,
    .cost = otp_cost};
