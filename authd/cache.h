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
	unsigned char bytes[16]; /* of the whole question but the password */
	unsigned char
	    person[16];	     /* of pool and user name alone, whatever the case of its letters */
	uint64_t asked;	     /* when: a number that grows with each question */
	uint64_t epoch;	     /* of the pool */
	bool reads_password; /* the backend sees it (%w): it may decide any answer */
};

struct cache_stats {
	uint64_t hits, misses, positive, negative, positive_size, negative_size, used, max;
};

struct cache *cache_new(const struct cache_limits *limits);
void cache_free(struct cache **cache);

/* epoch: changes when the pool's backend said that its data changed */
struct cache_key cache_key_of(struct cache *c, uint32_t pool, uint64_t epoch,
    const struct channel_question *q, uint64_t needs);

enum cache_use {
	CACHE_FRESH,	   /* within its time */
	CACHE_EVEN_EXPIRED /* the backend is down: a yes, within expired_limit_ms after it */
};

/*
 * May a new question with an equal key share the answer of one that was asked
 * earlier and is under way? Not when the user was flushed since, or has shown
 * a new password.
 */
bool cache_is_current(const struct cache *c, const struct cache_key *earlier);

/*
 * Fills *an in the arena. To VERIFY a yes is given only with the password that
 * it was given for the last time, whether or not that was compared; another
 * one is a miss, for the backend to judge: a changed password works at once.
 */
bool cache_answer(struct cache *c, const struct cache_key *key, const struct channel_question *q,
    enum cache_use use, int64_t now_ms, struct arena *a, struct channel_answer *an);

/*
 * Keeps an answer, if it is one to keep; replaces what was known under the key
 * unless that is newer. A password that is new for the user makes doubtful what
 * is known of him with another one: the backend is asked before it counts again.
 */
void cache_keep(struct cache *c, const struct cache_key *key, const struct channel_question *q,
    const struct channel_answer *an, int64_t now_ms);

/*
 * Forgets one user, or those whom a mask with wildcards matches, or (absent)
 * all, by the name asked for or the name answered. Returns how many entries.
 */
size_t cache_flush(struct cache *c, struct span mask);

struct cache_stats cache_stats(const struct cache *c);
void cache_reset_stats(struct cache *c);

#endif
