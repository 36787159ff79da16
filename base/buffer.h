/*
 * A growing byte queue: append at the end, consume at the front. Used for
 * what waits to be written and for half a message that was read.
 * Owner: whoever embeds it; buffer_free() wipes.
 */
#ifndef BASE_BUFFER_H
#define BASE_BUFFER_H

#include "base/span.h"

struct buffer {
	char *data;
	size_t start; /* first byte not yet consumed */
	size_t len;   /* bytes waiting */
	size_t size;  /* allocated */
};

static inline struct span buffer_span(const struct buffer *b)
{
	return span_make(b->data != NULL ? b->data + b->start : NULL, b->len);
}

char *buffer_reserve(struct buffer *b, size_t n); /* room for n more at the end */
static inline void buffer_commit(struct buffer *b, size_t n)
{
	b->len += n;
}
static inline void buffer_append(struct buffer *b, struct span s)
{
	if (s.len == 0)
		return;
	char *at = b->size - b->start - b->len >= s.len ? b->data + b->start + b->len
							: buffer_reserve(b, s.len);
	memcpy(at, s.ptr, s.len);
	b->len += s.len;
}

static inline void buffer_append_str(struct buffer *b, const char *s)
{
	buffer_append(b, span_make(s, strlen(s)));
}

static inline void buffer_append_char(struct buffer *b, char c)
{
	buffer_append(b, span_make(&c, 1));
}

char *put_u64_text(char *at, uint64_t v); /* decimal, at most 20 bytes; returns the end */
void buffer_append_u64_text(struct buffer *b, uint64_t v); /* decimal */
void buffer_printf(struct buffer *b, const char *fmt, ...) PRINTF_LIKE(2, 3);
void buffer_consume(struct buffer *b, size_t n);
void buffer_free(struct buffer *b); /* wipes */

#endif
