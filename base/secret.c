/*
 * Copying and comparing secrets.
 */
#include "base/secret.h"

#include <sodium.h>

struct secret secret_dup(struct arena *a, struct secret s)
{
	return secret_of(arena_dup(a, s.hidden));
}

bool secret_eq(struct secret a, struct secret b)
{
	if (a.hidden.ptr == NULL || b.hidden.ptr == NULL || a.hidden.len != b.hidden.len)
		return false;
	return sodium_memcmp(a.hidden.ptr, b.hidden.ptr, a.hidden.len) == 0;
}
