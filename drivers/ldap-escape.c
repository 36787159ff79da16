/*
 * Escaping for LDAP filters and distinguished names. Pure functions.
 * Runs in: worker (and wherever a configuration is checked).
 */
#include "drivers/ldap-escape.h"

static void put_hex(char *out, size_t *n, char c)
{
	static const char digits[] = "0123456789abcdef";
	out[(*n)++] = '\\';
	out[(*n)++] = digits[(uint8_t)c >> 4];
	out[(*n)++] = digits[(uint8_t)c & 15];
}

/* Bytes of the character that begins at p, 0 when there is none. */
static size_t utf8_length(const uint8_t *p, size_t len)
{
	size_t n = p[0] < 0x80 ? 1 : p[0] < 0xc2 ? 0 : p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
	if (n == 0 || n > len || p[0] > 0xf4 || p[0] == 0)
		return 0;
	for (size_t i = 1; i < n; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	}
	bool overlong = (p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xf0 && p[1] < 0x90);
	bool surrogate = p[0] == 0xed && p[1] > 0x9f;
	bool beyond = p[0] == 0xf4 && p[1] > 0x8f;
	return overlong || surrogate || beyond ? 0 : n;
}

bool ldap_is_utf8(struct span s)
{
	for (size_t i = 0, n; i < s.len; i += n) {
		n = utf8_length((const uint8_t *)s.ptr + i, s.len - i);
		if (n == 0)
			return false;
	}
	return true;
}

static bool refused(bool *flag, struct span value)
{
	bool bad = !ldap_is_utf8(value);
	if (bad && flag != NULL)
		*flag = true;
	return bad;
}

struct span ldap_escape_filter(void *ctx, struct arena *a, struct span value)
{
	if (refused(ctx, value))
		return SPAN_NULL;
	char *out = arena_alloc(a, value.len * 3 + 1);
	size_t n = 0;
	for (size_t i = 0; i < value.len; i++) {
		if (strchr("*()\\", value.ptr[i]) != NULL)
			put_hex(out, &n, value.ptr[i]);
		else
			out[n++] = value.ptr[i];
	}
	return span_make(out, n);
}

struct span ldap_escape_dn(void *ctx, struct arena *a, struct span value)
{
	if (refused(ctx, value))
		return SPAN_NULL;
	char *out = arena_alloc(a, value.len * 3 + 1);
	size_t n = 0;
	for (size_t i = 0; i < value.len; i++) {
		char c = value.ptr[i];
		bool first = i == 0, last = i + 1 == value.len;
		if (strchr(",+\"\\<>;=", c) != NULL || (c == ' ' && (first || last)) ||
		    (c == '#' && first))
			put_hex(out, &n, c);
		else
			out[n++] = c;
	}
	return span_make(out, n);
}
