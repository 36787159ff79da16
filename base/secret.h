/*
 * A secret: a password, a hash, a token. Its bytes are hidden from anything
 * that prints; secret_reveal() marks each place that really needs them.
 * The bytes belong to an arena (which wipes) or to the caller.
 */
#ifndef BASE_SECRET_H
#define BASE_SECRET_H

#include "base/arena.h"

struct secret {
	struct span hidden;
};

#define SECRET_NULL ((struct secret){{NULL, 0}})

static inline struct secret secret_of(struct span s)
{
	return (struct secret){s};
}

static inline struct span secret_reveal(struct secret s)
{
	return s.hidden;
}

static inline bool secret_is_set(struct secret s)
{
	return s.hidden.ptr != NULL;
}

struct secret secret_dup(struct arena *a, struct secret s);
/* constant time in the bytes; lengths are not secret */
bool secret_eq(struct secret a, struct secret b);
bool secret_bytes_eq(const void *a, const void *b, size_t len);

#endif
