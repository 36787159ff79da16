/*
 * Text encodings. base64 and hex are libsodium's.
 */
#include "base/encode.h"

#include <sodium.h>

static char escape_code(char c)
{
	switch (c) {
	case '\0':
		return '0';
	case '\x01':
		return '1';
	case '\t':
		return 't';
	case '\r':
		return 'r';
	case '\n':
		return 'n';
	default:
		return '\0';
	}
}

static char unescape_code(char c)
{
	switch (c) {
	case '0':
		return '\0';
	case '1':
		return '\x01';
	case 't':
		return '\t';
	case 'r':
		return '\r';
	case 'n':
		return '\n';
	default:
		return c;
	}
}

/* out must have room for 2 * s.len bytes; returns the bytes written */
static size_t escape_into(char *out, struct span s)
{
	size_t n = 0;
	for (size_t i = 0; i < s.len; i++) {
		char code = escape_code(s.ptr[i]);
		if (code != '\0') {
			out[n++] = '\x01';
			out[n++] = code;
		} else {
			out[n++] = s.ptr[i];
		}
	}
	return n;
}

void tab_escape(struct buffer *out, struct span s)
{
	if (s.len > 0)
		buffer_commit(out, escape_into(buffer_reserve(out, s.len * 2), s));
}

struct span tab_escape_arena(struct arena *a, struct span s)
{
	char *out = arena_alloc(a, s.len * 2 + 1);
	return span_make(out, escape_into(out, s));
}

struct span tab_unescape(struct arena *a, struct span s)
{
	if (span_find(s, '\x01') < 0)
		return s;
	char *out = arena_alloc(a, s.len + 1);
	size_t n = 0;
	for (size_t i = 0; i < s.len; i++) {
		if (s.ptr[i] != '\x01')
			out[n++] = s.ptr[i];
		else if (++i < s.len)
			out[n++] = unescape_code(s.ptr[i]);
	}
	return span_make(out, n);
}

static bool is_ascii(struct span s)
{
	unsigned char all = 0;
	for (size_t i = 0; i < s.len; i++)
		all |= (unsigned char)s.ptr[i];
	return all < 0x80;
}

static struct span decode64(struct arena *a, struct span text, int variant)
{
	size_t max = text.len / 4 * 3 + 3, len = 0;
	char *out = arena_alloc(a, max + 1);
	if (text.len == 0)
		return span_make(out, 0);
	/* libsodium 1.0.18 takes bytes from 0x80 on for plus signs */
	if (!is_ascii(text))
		return SPAN_NULL;
	/* without an explicit end pointer libsodium rejects trailing bytes */
	if (sodium_base642bin(
		(unsigned char *)out, max, text.ptr, text.len, NULL, &len, NULL, variant) != 0)
		return SPAN_NULL;
	return span_make(out, len);
}

struct span base64_decode(struct arena *a, struct span text)
{
	return decode64(a, text, sodium_base64_VARIANT_ORIGINAL);
}

struct span base64url_decode(struct arena *a, struct span text)
{
	return decode64(a, text, sodium_base64_VARIANT_URLSAFE_NO_PADDING);
}

struct span base64_encode_arena(struct arena *a, struct span bytes)
{
	size_t size = sodium_base64_encoded_len(bytes.len, sodium_base64_VARIANT_ORIGINAL);
	char *out = arena_alloc(a, size);
	if (bytes.len > 0)
		sodium_bin2base64(out, size, (const unsigned char *)bytes.ptr, bytes.len,
		    sodium_base64_VARIANT_ORIGINAL);
	return span_make(out, size - 1);
}

void base64_encode(struct buffer *out, struct span bytes)
{
	if (bytes.len == 0)
		return;
	size_t size = sodium_base64_encoded_len(bytes.len, sodium_base64_VARIANT_ORIGINAL);
	sodium_bin2base64(buffer_reserve(out, size), size, (const unsigned char *)bytes.ptr,
	    bytes.len, sodium_base64_VARIANT_ORIGINAL);
	buffer_commit(out, size - 1);
}

struct span hex_encode_arena(struct arena *a, struct span bytes)
{
	char *out = arena_alloc(a, bytes.len * 2 + 1);
	sodium_bin2hex(out, bytes.len * 2 + 1, (const unsigned char *)bytes.ptr, bytes.len);
	return span_make(out, bytes.len * 2);
}

struct span hex_decode(struct arena *a, struct span text)
{
	size_t len = 0;
	char *out = arena_alloc(a, text.len / 2 + 1);
	if (text.len % 2 != 0)
		return SPAN_NULL;
	if (text.len > 0 && sodium_hex2bin((unsigned char *)out, text.len / 2, text.ptr, text.len,
				NULL, &len, NULL) != 0)
		return SPAN_NULL;
	return span_make(out, len);
}
