/*
 * Fake credentials: pseudo-random bytes from a key, the scheme and the user's
 * name, in the shape of the scheme. Runs in: front.
 */
#include "authd/fake.h"

#include <nettle/hmac.h>

#include "base/encode.h"
#include "base/mem.h"
#include "base/otp.h"
#include "schemes/scheme.h"

enum { VOTES_MAX = 1000, ROUNDS = 4096, TEXT_LEN = 32 };
enum { OTP_FAKE_LEAST = 900, OTP_FAKE_RANGE = 124 };
enum { PART_SALT = 0, PART_REST = 1 }; /* apart: a longer salt leaves the rest as it is */

static const struct scram_row {
	const char *scheme;
	size_t key_len;
} scram_rows[] = {{"SCRAM-SHA-1", 20}, {"SCRAM-SHA-256", 32}, {"SCRAM-SHA-512", 64}};

static int scram_row(const char *scheme)
{
	for (size_t i = 0; i < ARRAY_LEN(scram_rows); i++) {
		if (strcasecmp(scheme, scram_rows[i].scheme) == 0)
			return (int)i;
	}
	return -1;
}

static void hmac(struct secret key, const struct span *parts, size_t count, uint8_t *out)
{
	struct hmac_sha256_ctx ctx;
	struct span k = secret_reveal(key);
	hmac_sha256_set_key(&ctx, k.len, (const uint8_t *)k.ptr);
	for (size_t i = 0; i < count; i++) {
		if (parts[i].len > 0)
			hmac_sha256_update(&ctx, parts[i].len, (const uint8_t *)parts[i].ptr);
	}
	hmac_sha256_digest(&ctx, SHA256_DIGEST_SIZE, out);
	mem_wipe(&ctx, sizeof(ctx));
}

struct secret fake_key(struct secret server_secret, struct arena *a)
{
	struct span label = SPAN_LIT("authd: credentials of users who have none");
	uint8_t *out = arena_alloc(a, SHA256_DIGEST_SIZE);
	hmac(server_secret, &label, 1, out);
	return secret_of(span_make(out, SHA256_DIGEST_SIZE));
}

/* As many bytes as wanted, for this scheme, user and part. */
static struct span stretch(
    struct secret key, const char *scheme, struct span user, int part, size_t len, struct arena *a)
{
	uint8_t *out = arena_alloc(a, len + SHA256_DIGEST_SIZE);
	for (size_t at = 0, block = 0; at < len; at += SHA256_DIGEST_SIZE, block++) {
		unsigned char head[2] = {(unsigned char)part, (unsigned char)block};
		struct span parts[] = {
		    span_make(head, sizeof(head)), span_make(scheme, strlen(scheme) + 1), user};
		hmac(key, parts, ARRAY_LEN(parts), out + at);
	}
	return span_make(out, len);
}

struct span fake_salt(struct secret key, const char *scheme, struct span user, struct arena *a)
{
	int row = scram_row(scheme);
	if (row < 0 || !secret_is_set(key))
		return SPAN_NULL;
	return stretch(key, scram_rows[row].scheme, user, PART_SALT, FAKE_SALT_LEN, a);
}

static bool take_shape(struct span text, struct fake_shape *shape)
{
	struct span rounds, salt;
	if (!span_split(&text, ',', &rounds) || !span_to_u32(rounds, &shape->rounds) ||
	    !span_split(&text, ',', &salt) || salt.len < 4)
		return false;
	struct span padding = span_skip(salt, salt.len - 2);
	shape->salt_len = (uint32_t)(salt.len / 4 * 3);
	shape->salt_len -= (padding.ptr[0] == '=') + (padding.ptr[1] == '=');
	return shape->salt_len > 0 && shape->salt_len <= FAKE_SALT_MAX;
}

void fake_note(struct fakes *f, const char *scheme, struct secret credential)
{
	struct fake_shape seen;
	int row = scram_row(scheme);
	if (row < 0 || !take_shape(secret_reveal(credential), &seen))
		return;
	/* a majority vote: single users who differ do not change what is shown */
	struct fake_shape *s = &f->shapes[row];
	if (s->votes == 0)
		*s = (struct fake_shape){seen.rounds, seen.salt_len, 1};
	else if (s->rounds != seen.rounds || s->salt_len != seen.salt_len)
		s->votes--;
	else if (s->votes < VOTES_MAX)
		s->votes++;
}

static struct secret fake_scram(
    const struct fakes *f, int row, struct secret key, struct span user, struct arena *a)
{
	const struct scram_row *scram = &scram_rows[row];
	const struct fake_shape *s = &f->shapes[row];
	size_t salt_len = s->salt_len > 0 ? s->salt_len : FAKE_SALT_LEN;
	struct span salt = stretch(key, scram->scheme, user, PART_SALT, salt_len, a);
	struct span keys = stretch(key, scram->scheme, user, PART_REST, 2 * scram->key_len, a);
	return secret_of(arena_printf(a, "%u,%s,%s,%s", s->rounds > 0 ? s->rounds : ROUNDS,
	    base64_encode_arena(a, salt).ptr,
	    base64_encode_arena(a, span_first(keys, scram->key_len)).ptr,
	    base64_encode_arena(a, span_skip(keys, scram->key_len)).ptr));
}

/* As authctl pw makes it; how far somebody has come with his is nobody else's business. */
static struct secret fake_otp(struct secret key, struct span user, struct arena *a)
{
	struct span bytes = stretch(key, "OTP", user, PART_REST, OTP_LEN + 10, a);
	const unsigned char *at = (const unsigned char *)bytes.ptr + OTP_LEN + 8;
	struct otp o = {.hash = otp_hash_find(SPAN_LIT("sha1")),
	    .sequence = OTP_FAKE_LEAST + (at[0] << 8 | at[1]) % OTP_FAKE_RANGE,
	    .seed = hex_encode_arena(a, span_make(bytes.ptr + OTP_LEN, 8))};
	memcpy(o.last, bytes.ptr, OTP_LEN);
	return secret_of(otp_format(&o, a));
}

struct secret fake_credential(
    const struct fakes *f, struct secret key, const char *scheme, struct span user, struct arena *a)
{
	int row = scram_row(scheme);
	if (row >= 0)
		return fake_scram(f, row, key, user, a);
	const struct scheme *s = scheme_find(span_of(scheme));
	if (strcmp(scheme, "OTP") == 0)
		return fake_otp(key, user, a);
	bool is_text = s == NULL || s->raw_len == 0;
	struct span bytes =
	    stretch(key, scheme, user, PART_REST, is_text ? TEXT_LEN : s->raw_len, a);
	return secret_of(is_text ? hex_encode_arena(a, bytes) : bytes);
}
