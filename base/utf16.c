/*
 * UTF-16 from and to UTF-8. Pure; in the caller's arena.
 */
#include "base/utf16.h"

#include <unicase.h>
#include <unistr.h>

static size_t put_unit(char *out, unsigned unit)
{
	out[0] = (char)(unit & 0xff);
	out[1] = (char)(unit >> 8);
	return 2;
}

static size_t put_point(char *out, ucs4_t c)
{
	if (c < 0x10000)
		return put_unit(out, c);
	c -= 0x10000;
	put_unit(out, 0xd800 | c >> 10);
	put_unit(out + 2, 0xdc00 | (c & 0x3ff));
	return 4;
}

struct span utf16_from_utf8(struct arena *a, struct span text)
{
	const uint8_t *in = (const uint8_t *)text.ptr;
	char *out = arena_alloc(a, 2 * text.len + 1);
	size_t n = 0;
	for (size_t at = 0; at < text.len;) {
		ucs4_t c;
		int len = u8_mbtoucr(&c, in + at, text.len - at);
		if (len <= 0)
			return SPAN_NULL;
		at += (size_t)len;
		n += put_point(out + n, c);
	}
	return span_make(out, n);
}

static unsigned unit_at(struct span s, size_t at)
{
	return (unsigned char)s.ptr[at] | (unsigned)(unsigned char)s.ptr[at + 1] << 8;
}

/* The code point at a place, which is moved behind it; false: there is half of one. */
static bool take_point(struct span s, size_t *at, ucs4_t *c)
{
	if (s.len - *at < 2)
		return false;
	unsigned high = unit_at(s, *at);
	*at += 2;
	*c = high;
	if (high < 0xd800 || high > 0xdfff)
		return true;
	if (high > 0xdbff || s.len - *at < 2)
		return false;
	unsigned low = unit_at(s, *at);
	*at += 2;
	*c = 0x10000 + ((high & 0x3ff) << 10 | (low & 0x3ff));
	return low >= 0xdc00 && low <= 0xdfff;
}

struct span utf16_to_utf8(struct arena *a, struct span text)
{
	size_t room = text.len / 2 * 3 + 1, n = 0;
	uint8_t *out = arena_alloc(a, room);
	for (size_t at = 0; at < text.len;) {
		ucs4_t c;
		if (!take_point(text, &at, &c))
			return SPAN_NULL;
		int len = u8_uctomb(out + n, c, (ptrdiff_t)(room - n));
		if (len <= 0)
			return SPAN_NULL;
		n += (size_t)len;
	}
	return span_make(out, n);
}

struct span utf16_upper(struct arena *a, struct span text)
{
	/* another plane has no letter whose other case is in this one, or the other way round */
	char *out = arena_alloc(a, 2 * text.len + 4);
	size_t n = 0;
	for (size_t at = 0; at < text.len;) {
		ucs4_t c;
		if (!take_point(text, &at, &c))
			return text;
		n += put_point(out + n, uc_toupper(c));
	}
	return span_make(out, n);
}
