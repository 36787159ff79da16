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
void buffer_append(struct buffer *b, struct span s);
void buffer_append_str(struct buffer *b, const char *s);
void buffer_append_char(struct buffer *b, char c);
void buffer_append_u64_text(struct buffer *b, uint64_t v); /* decimal */
void buffer_printf(struct buffer *b, const char *fmt, ...) PRINTF_LIKE(2, 3);
void buffer_consume(struct buffer *b, size_t n);
void buffer_free(struct buffer *b); /* wipes */

#endif
