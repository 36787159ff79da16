/*
 * A growing buffer that leaves nothing behind, the protocols' escaping, and
 * base64 (RFC 4648, section 4). Out of memory is a return value.
 * Runs in: programs that use libauthd-client.
 */
#include "client-lib/internal.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

enum { FIRST_SIZE = 512 };

/* Space for more bytes after the end. realloc() would leave a copy behind unwiped. */
static bool bytes_reserve(struct libauthd_bytes *b, size_t more)
{
	size_t length = libauthd_length(b);
	if (more <= b->size - b->end)
		return true;
	if (more > SIZE_MAX / 4 || length > SIZE_MAX / 4)
		return false;
	if (length + more <= b->size / 2) { /* much was eaten: move to the front instead */
		memmove(b->data, b->data + b->start, length);
		explicit_bzero(b->data + length, b->end - length);
		b->start = 0;
		b->end = length;
		return true;
	}
	size_t size = b->size == 0 ? FIRST_SIZE : b->size;
	while (size < length + more)
		size *= 2;
	char *data = malloc(size);
	if (data == NULL)
		return false;
	if (b->data != NULL) {
		memcpy(data, b->data + b->start, length);
		explicit_bzero(b->data, b->end);
		free(b->data);
	}
	*b = (struct libauthd_bytes){.data = data, .end = length, .size = size};
	return true;
}

bool libauthd_put(struct libauthd_bytes *b, const void *data, size_t length)
{
	if (length == 0)
		return true;
	if (!bytes_reserve(b, length))
		return false;
	memcpy(b->data + b->end, data, length);
	b->end += length;
	return true;
}

bool libauthd_put_text(struct libauthd_bytes *b, const char *text)
{
	return libauthd_put(b, text, strlen(text));
}

bool libauthd_put_uint(struct libauthd_bytes *b, uint32_t n)
{
	char text[16];
	int length = snprintf(text, sizeof(text), "%u", (unsigned)n);
	return libauthd_put(b, text, (size_t)length);
}

bool libauthd_put_escaped(struct libauthd_bytes *b, const char *text)
{
	static const char special[] = "\001\t\r\n", letters[] = "1trn";
	for (;;) {
		size_t plain = strcspn(text, special);
		if (!libauthd_put(b, text, plain))
			return false;
		text += plain;
		if (*text == '\0')
			return true;
		char pair[2] = {'\001', letters[strchr(special, *text) - special]};
		if (!libauthd_put(b, pair, sizeof(pair)))
			return false;
		text++;
	}
}

bool libauthd_put_base64(struct libauthd_bytes *b, const void *data, size_t length)
{
	static const char digits[] =
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const unsigned char *p = data;
	if (length > SIZE_MAX / 4 || !bytes_reserve(b, (length + 2) / 3 * 4))
		return false;
	char *out = b->data + b->end;
	for (; length > 0; p += 3, length = length > 3 ? length - 3 : 0) {
		uint32_t bits = (uint32_t)p[0] << 16;
		if (length > 1)
			bits |= (uint32_t)p[1] << 8;
		if (length > 2)
			bits |= p[2];
		*out++ = digits[bits >> 18];
		*out++ = digits[bits >> 12 & 63];
		*out++ = length > 1 ? digits[bits >> 6 & 63] : '=';
		*out++ = length > 2 ? digits[bits & 63] : '=';
	}
	if (out != NULL)
		b->end = (size_t)(out - b->data);
	return true;
}

void libauthd_eat(struct libauthd_bytes *b, size_t length)
{
	if (length == 0)
		return;
	if (length > libauthd_length(b))
		length = libauthd_length(b);
	explicit_bzero(b->data + b->start, length);
	b->start += length;
	if (b->start == b->end)
		b->start = b->end = 0;
}

void libauthd_cut(struct libauthd_bytes *b, size_t length)
{
	if (length >= libauthd_length(b))
		return;
	explicit_bzero(b->data + b->start + length, libauthd_length(b) - length);
	b->end = b->start + length;
}

void libauthd_bytes_free(struct libauthd_bytes *b)
{
	if (b->data != NULL)
		explicit_bzero(b->data, b->end);
	free(b->data);
	*b = (struct libauthd_bytes){0};
}

size_t libauthd_unescape(char *text, size_t length)
{
	static const char letters[] = "01trn", bytes[] = {'\0', '\001', '\t', '\r', '\n'};
	const char *in = memchr(text, '\001', length), *end = text + length;
	if (in == NULL)
		return length;
	char *out = text + (in - text);
	while (in < end) {
		char byte = *in++;
		if (byte == '\001') {
			if (in == end)
				break; /* a lone one at the end is dropped */
			byte = *in++;
			const char *letter = memchr(letters, byte, sizeof(letters) - 1);
			if (letter != NULL)
				byte = bytes[letter - letters];
		}
		*out++ = byte;
	}
	return (size_t)(out - text);
}

static int base64_digit(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

bool libauthd_base64_decode(char *text, size_t *length)
{
	if (*length % 4 != 0)
		return false;
	size_t digits = *length;
	for (int pad = 0; pad < 2 && digits > 0 && text[digits - 1] == '='; pad++)
		digits--;
	uint32_t bits = 0;
	size_t out = 0;
	for (size_t i = 0; i < digits; i++) {
		int digit = base64_digit(text[i]);
		if (digit < 0)
			return false;
		bits = bits << 6 | (uint32_t)digit;
		if (i % 4 != 0)
			text[out++] = (char)(bits >> (6 - i % 4 * 2) & 0xff);
	}
	/* what is left over of the last digit must be zero: one text for each value */
	if (digits % 4 != 0 && (bits & (digits % 4 == 2 ? 15u : 3u)) != 0)
		return false;
	*length = out;
	return true;
}

bool libauthd_parse_uint(const char *text, uint32_t *n)
{
	uint64_t value = 0;
	size_t i = 0;
	for (; text[i] >= '0' && text[i] <= '9'; i++) {
		value = value * 10 + (uint64_t)(text[i] - '0');
		if (value > UINT32_MAX)
			return false;
	}
	*n = (uint32_t)value;
	return i > 0 && text[i] == '\0';
}
