/*
 * The hash functions of %{sha256;...:variable}. One table of nettle's hashes;
 * pkcs5 and size stand beside them. Pure functions; runs in all processes.
 */
#include "conf/template-parts.h"

#include <nettle/nettle-meta.h>
#include <nettle/pbkdf2.h>
#include <nettle/sha2.h>

#include "base/encode.h"

enum { PKCS5_ROUNDS = 2048, DIGEST_MAX = SHA512_DIGEST_SIZE };

enum hash_kind { HASH_DIGEST, HASH_PBKDF2, HASH_SIZE };

struct hash_method {
	const char *name;
	enum hash_kind kind;
	const struct nettle_hash *nettle;
};

static const struct hash_method methods[] = {
    {"md4", HASH_DIGEST, &nettle_md4},
    {"md5", HASH_DIGEST, &nettle_md5},
    {"sha1", HASH_DIGEST, &nettle_sha1},
    {"sha256", HASH_DIGEST, &nettle_sha256},
    {"sha384", HASH_DIGEST, &nettle_sha384},
    {"sha512", HASH_DIGEST, &nettle_sha512},
    {"sha3-256", HASH_DIGEST, &nettle_sha3_256},
    {"sha3-512", HASH_DIGEST, &nettle_sha3_512},
    {"size", HASH_SIZE, NULL},
    {"pkcs5", HASH_PBKDF2, &nettle_sha256},
};

const struct hash_method *hash_method_find(struct span name)
{
	for (size_t i = 0; i < ARRAY_LEN(methods); i++)
		if (span_eq_str(name, methods[i].name))
			return &methods[i];
	return NULL;
}

const char *hash_method_name(size_t i)
{
	return i < ARRAY_LEN(methods) ? methods[i].name : NULL;
}

void hash_defaults(struct part_hash *h, const struct hash_method *m)
{
	h->method = m;
	h->rounds = m->kind == HASH_PBKDF2 ? PKCS5_ROUNDS : 1;
}

bool hash_salts_with_name(const struct hash_method *m)
{
	return m->kind == HASH_PBKDF2;
}

/* Each round hashes the salt and what the round before it left. */
static size_t digest(
    const struct part_hash *h, struct span salt, struct span value, struct arena *a, uint8_t *out)
{
	const struct nettle_hash *n = h->method->nettle;
	void *ctx = arena_alloc(a, n->context_size);
	n->init(ctx);
	for (unsigned round = 0; round < h->rounds; round++) {
		if (salt.len > 0)
			n->update(ctx, salt.len, (const uint8_t *)salt.ptr);
		n->update(ctx, value.len, (const uint8_t *)value.ptr);
		n->digest(ctx, n->digest_size, out); /* and starts afresh */
		value = span_make(out, n->digest_size);
	}
	return n->digest_size;
}

/* 64 bits, the highest byte first; hashing that again always gives 8 */
static size_t size_of(const struct part_hash *h, struct span salt, struct span value, uint8_t *out)
{
	uint64_t size = value.len;
	if (h->rounds > 1)
		size = sizeof(size);
	size += salt.len;
	for (size_t i = 0; i < sizeof(size); i++)
		out[i] = (uint8_t)(size >> (56 - 8 * i));
	return sizeof(size);
}

size_t template_truncate_bits(uint8_t *bytes, size_t len, size_t bits)
{
	if (bits >= len * 8)
		return len;
	size_t keep = (bits + 7) / 8;
	unsigned shift = (unsigned)(keep * 8 - bits);
	for (size_t i = keep; shift > 0 && i-- > 0;) {
		unsigned above = i > 0 ? bytes[i - 1] : 0;
		bytes[i] = (uint8_t)((above << 8 | bytes[i]) >> shift);
	}
	return keep;
}

static struct span hex_upper(struct arena *a, struct span bytes)
{
	static const char digits[] = "0123456789ABCDEF";
	char *out = arena_alloc(a, bytes.len * 2 + 1);
	for (size_t i = 0; i < bytes.len; i++) {
		out[2 * i] = digits[(uint8_t)bytes.ptr[i] >> 4];
		out[2 * i + 1] = digits[(uint8_t)bytes.ptr[i] & 15];
	}
	return span_make(out, bytes.len * 2);
}

struct span hash_run(
    const struct part_hash *h, struct span salt, struct span value, struct arena *a)
{
	uint8_t *out = arena_alloc(a, DIGEST_MAX);
	size_t len;
	switch (h->method->kind) {
	case HASH_PBKDF2:
		len = h->method->nettle->digest_size;
		pbkdf2_hmac_sha256(value.len, (const uint8_t *)value.ptr, h->rounds, salt.len,
		    (const uint8_t *)salt.ptr, len, out);
		break;
	case HASH_SIZE:
		len = size_of(h, salt, value, out);
		break;
	default:
		len = digest(h, salt, value, a, out);
	}
	if (h->truncate_bits > 0)
		len = template_truncate_bits(out, len, h->truncate_bits);
	struct span bytes = span_make(out, len);
	switch (h->format) {
	case HASH_HEX_UPPER:
		return hex_upper(a, bytes);
	case HASH_BASE64:
		return base64_encode_arena(a, bytes);
	default:
		return hex_encode_arena(a, bytes);
	}
}
