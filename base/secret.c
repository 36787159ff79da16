/*
 * Copying and comparing secrets.
 */
#include "base/secret.h"

struct secret secret_dup(struct arena *a, struct secret s)
{
	return secret_of(arena_dup(a, s.hidden));
}

/* libsodium's goes byte by byte through memory */
bool secret_bytes_eq(const void *a, const void *b, size_t len)
{
	const unsigned char *x = a, *y = b;
	uint64_t diff = 0, left, right;
	for (; len >= sizeof(left); len -= sizeof(left)) {
		memcpy(&left, x, sizeof(left));
		memcpy(&right, y, sizeof(right));
		diff |= left ^ right;
		x += sizeof(left);
		y += sizeof(right);
		/* the compiler must not know that some bits are set already, or it could stop */
		__asm__("" : "+r"(diff));
	}
	for (; len > 0; len--) {
		diff |= (uint64_t)(*x++ ^ *y++);
		__asm__("" : "+r"(diff));
	}
	return diff == 0;
}

bool secret_eq(struct secret a, struct secret b)
{
	if (a.hidden.ptr == NULL || b.hidden.ptr == NULL || a.hidden.len != b.hidden.len)
		return false;
	return secret_bytes_eq(a.hidden.ptr, b.hidden.ptr, a.hidden.len);
}
