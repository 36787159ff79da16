/*
 * Text encodings. Hex and the making of base64 are libsodium's.
 */
#include "base/encode.h"

#include <endian.h>
#include <sodium.h>

#include "base/mem.h"

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
	if (!span_has_control(s)) /* as nearly always: all that is escaped is one */
		buffer_append(out, s);
	else
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

/* ---- base64 ---- */

typedef unsigned char bytes16 __attribute__((vector_size(16)));

static inline bytes16 in_range(bytes16 c, unsigned char from, unsigned char to)
{
	return (bytes16)(c >= from) & (bytes16)(c <= to);
}

/* Eight values of six bits, the first in the lowest byte as it stands in memory, to six bytes. */
static inline void pack_eight(char *out, const char *values)
{
	uint64_t v;
	memcpy(&v, values, sizeof(v));
	v = be64toh(v);
	v = (v >> 2 & UINT64_C(0x0fc00fc00fc00fc0)) | (v & UINT64_C(0x003f003f003f003f));
	v = (v >> 4 & UINT64_C(0x00fff00000fff000)) | (v & UINT64_C(0x00000fff00000fff));
	v = (v >> 8 & UINT64_C(0xffffff000000)) | (v & 0xffffff);
	v = htobe64(v << 16);
	memcpy(out, &v, 6);
}

/*
 * Sixteen characters to twelve bytes at once; *bad gets bits where one is no
 * base64. No table and no branch, so the time says nothing about a password;
 * several times as fast as libsodium's.
 */
static inline void decode_sixteen(char *out, const char *text, bytes16 *bad)
{
	bytes16 c;
	char values[sizeof(c)];
	memcpy(&c, text, sizeof(c));
	bytes16 upper = in_range(c, 'A', 'Z'), lower = in_range(c, 'a', 'z'),
		digit = in_range(c, '0', '9'), plus = in_range(c, '+', '+'),
		slash = in_range(c, '/', '/');
	*bad |= ~(upper | lower | digit | plus | slash);
	c += (digit & 4) + (plus & 19) + (slash & 16) - (upper & 65) - (lower & 71);
	memcpy(values, &c, sizeof(values));
	pack_eight(out, values);
	pack_eight(out + 6, values + 8);
}

struct span base64_decode(struct arena *a, struct span text)
{
	enum { STEP = 16 };
	size_t len = text.len / 4 * 3, at = 0, padding = 0;
	/* the last step writes twelve bytes, whatever is left */
	char *out = arena_alloc(a, len + 12), last[STEP];
	if (text.len == 0)
		return span_make(out, 0);
	if (text.len % 4 != 0)
		return SPAN_NULL;
	while (padding < 2 && text.ptr[text.len - 1 - padding] == '=')
		padding++;
	bytes16 bad = {0};
	for (; text.len - at > STEP; at += STEP)
		decode_sixteen(out + at / 4 * 3, text.ptr + at, &bad);
	/* what is missing at the end counts as zeros */
	memset(last, 'A', sizeof(last));
	memcpy(last, text.ptr + at, text.len - at - padding);
	decode_sixteen(out + at / 4 * 3, last, &bad);
	mem_wipe(last, sizeof(last));
	uint64_t wrong[2];
	memcpy(wrong, &bad, sizeof(wrong));
	/* bits that the padding stands for are zero */
	for (size_t i = len - padding; i < len; i++)
		wrong[0] |= (unsigned char)out[i];
	return (wrong[0] | wrong[1]) == 0 ? span_make(out, len - padding) : SPAN_NULL;
}

/* of tokens, a few at a time: libsodium's will do */
struct span base64url_decode(struct arena *a, struct span text)
{
	size_t max = text.len / 4 * 3 + 3, len = 0;
	char *out = arena_alloc(a, max + 1);
	unsigned char all = 0;
	for (size_t i = 0; i < text.len; i++)
		all |= (unsigned char)text.ptr[i];
	/* libsodium 1.0.18 takes bytes from 0x80 on for plus signs; without an explicit end pointer
	 * it rejects trailing bytes
	 */
	if (all >= 0x80 ||
	    (text.len > 0 && sodium_base642bin((unsigned char *)out, max, text.ptr, text.len, NULL,
				 &len, NULL, sodium_base64_VARIANT_URLSAFE_NO_PADDING) != 0))
		return SPAN_NULL;
	return span_make(out, len);
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
