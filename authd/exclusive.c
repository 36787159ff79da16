/*
 * The names that are held. Runs in: front.
 */
#include "authd/exclusive.h"

#include <sodium.h>

#include "authd/request.h"

static struct request **bucket_of(const struct request *r)
{
	static unsigned char key[crypto_shorthash_KEYBYTES];
	static bool has_key;
	unsigned char hash[crypto_shorthash_BYTES];
	struct span name = r->vars.v[VAR_USER];
	if (!has_key)
		randombytes_buf(key, sizeof(key));
	has_key = true;
	crypto_shorthash(hash, (const unsigned char *)name.ptr, name.len, key);
	return &r->conn->front->exclusive[hash[0] % EXCLUSIVE_BUCKETS];
}

bool exclusive_take(struct request *r)
{
	if (r->is_exclusive)
		return true;
	struct request **bucket = bucket_of(r);
	for (const struct request *other = *bucket; other != NULL; other = other->next_exclusive) {
		if (span_eq(other->exclusive_name, r->vars.v[VAR_USER]))
			return false;
	}
	r->exclusive_name = r->vars.v[VAR_USER];
	r->exclusive_bucket = bucket;
	r->next_exclusive = *bucket;
	*bucket = r;
	r->is_exclusive = true;
	return true;
}

void exclusive_give(struct request *r)
{
	if (!r->is_exclusive)
		return;
	struct request **at = r->exclusive_bucket;
	while (*at != r)
		at = &(*at)->next_exclusive;
	*at = r->next_exclusive;
	r->is_exclusive = false;
}
