/*
 * A span is a pointer and a length: bytes that somebody else owns.
 * Bytes from outside stay spans until they have been checked; they may hold
 * NULs and are not terminated. ptr == NULL means "absent", len == 0 with a
 * pointer means "present and empty".
 */
#ifndef BASE_SPAN_H
#define BASE_SPAN_H

#include <string.h>
#include <strings.h>

#include "base/macros.h"

struct span {
	const char *ptr;
	size_t len;
};

#define SPAN_NULL ((struct span){NULL, 0})
#define SPAN_LIT(s) ((struct span){("" s), sizeof(s) - 1})
/* for printf("%.*s"): the caller is responsible for what the log may show */
#define SPAN_ARG(s) (int)(s).len, ((s).ptr != NULL ? (s).ptr : "")

static inline struct span span_of(const char *cstr)
{
	return (struct span){cstr, cstr != NULL ? strlen(cstr) : 0};
}

static inline struct span span_make(const void *ptr, size_t len)
{
	return (struct span){(const char *)ptr, len};
}

static inline bool span_eq(struct span a, struct span b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

static inline bool span_eq_str(struct span a, const char *b)
{
	return span_eq(a, span_of(b));
}

/* ASCII case-insensitive */
static inline bool span_eq_ci(struct span a, struct span b)
{
	return a.len == b.len && (a.len == 0 || strncasecmp(a.ptr, b.ptr, a.len) == 0);
}

static inline bool span_starts(struct span s, const char *prefix)
{
	size_t n = strlen(prefix);
	return s.len >= n && memcmp(s.ptr, prefix, n) == 0;
}

/* s without its first n bytes (n is cut to the length) */
static inline struct span span_skip(struct span s, size_t n)
{
	if (s.ptr == NULL)
		return s;
	if (n > s.len)
		n = s.len;
	return (struct span){s.ptr + n, s.len - n};
}

static inline struct span span_first(struct span s, size_t n)
{
	return (struct span){s.ptr, n < s.len ? n : s.len};
}

/* offset of the first / last byte c, or -1 */
static inline ssize_t span_find(struct span s, char c)
{
	const char *p = s.len > 0 ? memchr(s.ptr, c, s.len) : NULL;
	return p != NULL ? p - s.ptr : -1;
}

static inline ssize_t span_rfind(struct span s, char c)
{
	const char *p = s.len > 0 ? memrchr(s.ptr, c, s.len) : NULL;
	return p != NULL ? p - s.ptr : -1;
}

/*
 * Cuts the next field off the front of *rest, up to the separator, which is
 * dropped. False when there is nothing left (rest->ptr == NULL). An empty
 * *rest yields one empty field, so "a\t" has two fields.
 */
static inline bool span_split(struct span *rest, char sep, struct span *field)
{
	if (rest->ptr == NULL)
		return false;
	ssize_t at = span_find(*rest, sep);
	if (at < 0) {
		*field = *rest;
		*rest = SPAN_NULL;
	} else {
		*field = span_make(rest->ptr, (size_t)at);
		*rest = span_make(rest->ptr + at + 1, rest->len - (size_t)at - 1);
	}
	return true;
}

/* the same for words: runs of any byte in seps separate, empty words never appear */
bool span_word(struct span *rest, const char *seps, struct span *word);

struct span span_trim(struct span s); /* white space off both ends */

/* Unsigned decimal, digits only, no sign, no space, at least one digit. */
bool span_to_u64(struct span s, uint64_t *out) MUST_CHECK;
bool span_to_u32(struct span s, uint32_t *out) MUST_CHECK;

bool span_has_control(struct span s); /* a byte below 0x20, or 0x7f */

/* Wildcards * and ?; the comparison is ASCII case-insensitive when fold. */
bool span_matches(struct span s, struct span pattern, bool fold);

/* Copies at most size - 1 bytes and terminates. False if it was cut or has a NUL. */
bool span_to_cstr(struct span s, char *buf, size_t size);

#endif
