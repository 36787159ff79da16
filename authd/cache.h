/*
 * The cache of answers, in the front: what a pool said to a question, found
 * again by all that the question was made of. It holds no password and no
 * hash of one that could be computed elsewhere, only a digest under a key
 * that lives as long as this cache.
 *
 * The key is made from the very bytes that a worker is sent
 * (channel_put_inputs()), so nothing that a driver sees can be missing in it;
 * and a cache belongs to one generation.
 * Runs in: front. Owner: the generation.
 */
#ifndef AUTHD_CACHE_H
#define AUTHD_CACHE_H

#include "authd/channel.h"

struct cache;

struct cache_limits {
	uint64_t size;		 /* bytes in all, entries and their bookkeeping */
	int64_t ttl_ms;		 /* of what was found */
	int64_t negative_ttl_ms; /* of "unknown user"; 0: not kept */
	int64_t
	    expired_limit_ms; /* an expired entry may answer for a backend that is down; 0: never */
};

struct cache_key {
	unsigned char bytes[16];
};

struct cache_stats {
	uint64_t hits, misses, positive, negative, positive_size, negative_size, used, max;
};

struct cache *cache_new(const struct cache_limits *limits);
void cache_free(struct cache **cache);

/* epoch: changes when the pool's backend said that its data changed */
struct cache_key cache_key_of(const struct cache *c, uint32_t pool, uint64_t epoch,
    const struct channel_question *q, uint64_t needs);

enum cache_use {
	CACHE_FRESH,	   /* within its time */
	CACHE_EVEN_EXPIRED /* the backend is down: within expired_limit_ms after it */
};

/*
 * Fills *an in the arena. With a VERIFY question the password must be the one
 * that was right the last time; another one is a miss, for the backend to
 * judge: a changed password works at once.
 */
bool cache_answer(struct cache *c, const struct cache_key *key, const struct channel_question *q,
    enum cache_use use, int64_t now_ms, struct arena *a, struct channel_answer *an);

/* Keeps an answer, if it is one to keep; replaces what was known under the key. */
void cache_keep(struct cache *c, const struct cache_key *key, const struct channel_question *q,
    const struct channel_answer *an, int64_t now_ms);

/* Forgets one user, or those whom a mask with wildcards matches, or (absent) all. Returns how many.
 */
size_t cache_flush(struct cache *c, struct span mask);

struct cache_stats cache_stats(const struct cache *c);
void cache_reset_stats(struct cache *c);

#endif
