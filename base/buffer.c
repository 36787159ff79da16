/*
 * The byte queue. Fatal: out of memory.
 */
#include "base/buffer.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"

char *buffer_reserve(struct buffer *b, size_t n)
{
	if (b->data != NULL && b->size - b->start - b->len >= n)
		return b->data + b->start + b->len;
	if (b->start > 0 && b->size - b->len >= n && b->start >= b->len) {
		if (b->len > 0)
			memcpy(b->data, b->data + b->start, b->len);
		b->start = 0;
		return b->data + b->len;
	}
	/* a fresh block and not realloc, so that the old bytes can be wiped */
	size_t size = b->size > 0 ? b->size * 2 : 512;
	while (size < b->len + n)
		size *= 2;
	char *data = mem_realloc(NULL, size); /* not zeroed: nobody reads beyond len */
	if (b->len > 0)
		memcpy(data, b->data + b->start, b->len);
	mem_wipe(b->data, b->size);
	free(b->data);
	b->data = data;
	b->start = 0;
	b->size = size;
	return b->data + b->len;
}

char *put_u64_text(char *at, uint64_t v)
{
	size_t n = 1;
	for (uint64_t rest = v; rest >= 10; rest /= 10)
		n++;
	char *end = at + n, *p = end;
	/* most fit in 32 bits, which are divided several times as fast */
	for (; v > UINT32_MAX; v /= 10)
		*--p = (char)('0' + v % 10);
	for (uint32_t rest = (uint32_t)v; p > at; rest /= 10)
		*--p = (char)('0' + rest % 10);
	return end;
}

void buffer_append_u64_text(struct buffer *b, uint64_t v)
{
	char digits[20];
	buffer_append(b, span_make(digits, (size_t)(put_u64_text(digits, v) - digits)));
}

void buffer_printf(struct buffer *b, const char *fmt, ...)
{
	va_list ap, again;
	va_start(ap, fmt);
	va_copy(again, ap);
	int n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (n < 0)
		mem_panic("bad format");
	char *p = buffer_reserve(b, (size_t)n + 1);
	vsnprintf(p, (size_t)n + 1, fmt, again);
	va_end(again);
	b->len += (size_t)n;
}

void buffer_consume(struct buffer *b, size_t n)
{
	if (n > b->len)
		mem_panic("buffer_consume past the end");
	b->start += n;
	b->len -= n;
	if (b->len == 0)
		b->start = 0;
}

void buffer_free(struct buffer *b)
{
	if (b->data != NULL)
		mem_wipe(b->data, b->size);
	free(b->data);
	*b = (struct buffer){0};
}
