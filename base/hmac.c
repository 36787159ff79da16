#include "base/hmac.h"

#include <nettle/hmac.h>

#include "base/mem.h"

/* room for any of nettle's hashes that is used here */
union context {
	struct md5_ctx md5;
	struct sha1_ctx sha1;
	struct sha256_ctx sha256;
	struct sha512_ctx sha512;
};

static void update(const struct nettle_hash *h, void *ctx, struct span bytes)
{
	if (bytes.len > 0)
		h->update(ctx, bytes.len, (const uint8_t *)bytes.ptr);
}

void hash_of(const struct nettle_hash *h, struct span bytes, uint8_t *out)
{
	hash_of_two(h, bytes, SPAN_NULL, out);
}

void hash_of_two(const struct nettle_hash *h, struct span x, struct span y, uint8_t *out)
{
	union context ctx;
	if (h->context_size > sizeof(ctx) || h->digest_size > HASH_MAX)
		mem_panic("a hash that is larger than expected");
	h->init(&ctx);
	update(h, &ctx, x);
	update(h, &ctx, y);
	h->digest(&ctx, h->digest_size, out);
	mem_wipe(&ctx, sizeof(ctx));
}

void hmac_of(const struct nettle_hash *h, struct span key, struct span bytes, uint8_t *out)
{
	union context outer, inner, ctx;
	if (h->context_size > sizeof(ctx) || h->digest_size > HASH_MAX)
		mem_panic("a hash that is larger than expected");
	hmac_set_key(
	    &outer, &inner, &ctx, h, key.len, (const uint8_t *)(key.ptr != NULL ? key.ptr : ""));
	update(h, &ctx, bytes);
	hmac_digest(&outer, &inner, &ctx, h, h->digest_size, out);
	mem_wipe(&outer, sizeof(outer));
	mem_wipe(&inner, sizeof(inner));
	mem_wipe(&ctx, sizeof(ctx));
}
