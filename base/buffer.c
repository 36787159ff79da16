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
	static const char pairs[] = "00010203040506070809101112131415161718192021222324"
				    "25262728293031323334353637383940414243444546474849"
				    "50515253545556575859606162636465666768697071727374"
				    "75767778798081828384858687888990919293949596979899";
	char digits[20], *p = digits + sizeof(digits);
	/* most fit in 32 bits, which are divided faster */
	for (; v > UINT32_MAX; v /= 10)
		*--p = (char)('0' + v % 10);
	uint32_t rest = (uint32_t)v;
	for (; rest >= 100; rest /= 100)
		memcpy(p -= 2, pairs + rest % 100 * 2, 2);
	if (rest >= 10)
		memcpy(p -= 2, pairs + rest * 2, 2);
	else
		*--p = (char)('0' + rest);
	size_t n = (size_t)(digits + sizeof(digits) - p);
	memcpy(at, p, n);
	return at + n;
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
