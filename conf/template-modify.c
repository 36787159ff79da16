/*
 * Modifiers and ranges of variables: %Lu, %3.5u, %2.256Hu. Pure functions.
 * Runs in: all processes. Results belong to the arena or are parts of the
 * value that came in.
 */
#include "conf/template-parts.h"

#include <ctype.h>
#include <nettle/md5.h>

#include "base/encode.h"

struct range {
	int offset, width;
};

static struct span lower(struct arena *a, struct span v)
{
	char *out = arena_alloc(a, v.len + 1);
	for (size_t i = 0; i < v.len; i++)
		out[i] = v.ptr[i] >= 'A' && v.ptr[i] <= 'Z' ? (char)(v.ptr[i] + 32) : v.ptr[i];
	return span_make(out, v.len);
}

static struct span upper(struct arena *a, struct span v)
{
	char *out = arena_alloc(a, v.len + 1);
	for (size_t i = 0; i < v.len; i++)
		out[i] = v.ptr[i] >= 'a' && v.ptr[i] <= 'z' ? (char)(v.ptr[i] - 32) : v.ptr[i];
	return span_make(out, v.len);
}

static struct span backslash(struct arena *a, struct span v)
{
	char *out = arena_alloc(a, v.len * 2 + 1);
	size_t n = 0;
	for (size_t i = 0; i < v.len; i++) {
		if (v.ptr[i] == '"' || v.ptr[i] == '\'' || v.ptr[i] == '\\')
			out[n++] = '\\';
		out[n++] = v.ptr[i];
	}
	return span_make(out, n);
}

static struct span number_to_hex(struct arena *a, struct span v)
{
	uint64_t n = 0;
	return arena_printf(a, "%llx", (unsigned long long)(span_to_u64(v, &n) ? n : 0));
}

static struct span reverse(struct arena *a, struct span v)
{
	char *out = arena_alloc(a, v.len + 1);
	for (size_t i = 0; i < v.len; i++)
		out[i] = v.ptr[v.len - 1 - i];
	return span_make(out, v.len);
}

/* dots to the components of a distinguished name: a.b becomes a,dc=b */
static struct span ldap_dn(struct arena *a, struct span v)
{
	char *out = arena_alloc(a, v.len * 4 + 1);
	size_t n = 0;
	for (size_t i = 0; i < v.len; i++) {
		if (v.ptr[i] == '.') {
			memcpy(out + n, ",dc=", 4);
			n += 4;
		} else {
			out[n++] = v.ptr[i];
		}
	}
	return span_make(out, n);
}

static struct span trim_right(struct span v)
{
	while (v.len > 0 && strchr(" \t\n\v\f\r", v.ptr[v.len - 1]) != NULL &&
	       v.ptr[v.len - 1] != '\0')
		v.len--;
	return v;
}

static void md5(struct span v, uint8_t digest[MD5_DIGEST_SIZE])
{
	struct md5_ctx ctx;
	md5_init(&ctx);
	md5_update(&ctx, v.len, (const uint8_t *)v.ptr);
	md5_digest(&ctx, MD5_DIGEST_SIZE, digest);
}

static struct span md5_hex(struct arena *a, struct span v)
{
	uint8_t digest[MD5_DIGEST_SIZE];
	md5(v, digest);
	return hex_encode_arena(a, span_make(digest, sizeof(digest)));
}

/* For H and N the range is not a range: the offset is a minimum length, the width a modulus. */
static struct span hash_text(struct arena *a, uint32_t value, struct range *r)
{
	struct span v = arena_printf(a, "%0*x", r->offset > 0 ? r->offset : 0, value);
	*r = (struct range){0, 0};
	return v;
}

/* the string hash of the ELF object format */
static struct span elf_hash(struct arena *a, struct span v, struct range *r)
{
	uint32_t h = 0, g;
	for (size_t i = 0; i < v.len; i++) {
		h = (h << 4) + (uint8_t)v.ptr[i];
		if ((g = h & 0xf0000000U) != 0) {
			h ^= g >> 24;
			h ^= g;
		}
	}
	if (r->width != 0)
		h %= (uint32_t)r->width;
	return hash_text(a, h, r);
}

static struct span md5_hash(struct arena *a, struct span v, struct range *r)
{
	uint8_t digest[MD5_DIGEST_SIZE];
	uint64_t h = 0;
	md5(v, digest);
	for (size_t i = 0; i < sizeof(h); i++)
		h = h << 8 | digest[i];
	if (r->width != 0)
		h %= (uint64_t)(int64_t)r->width;
	return hash_text(a, (uint32_t)h, r);
}

static struct span modify_one(char key, struct span v, struct range *r, struct arena *a)
{
	switch (key) {
	case 'L':
		return lower(a, v);
	case 'U':
		return upper(a, v);
	case 'E':
		return backslash(a, v);
	case 'X':
		return number_to_hex(a, v);
	case 'R':
		return reverse(a, v);
	case 'H':
		return elf_hash(a, v, r);
	case 'N':
		return md5_hash(a, v, r);
	case 'M':
		return md5_hex(a, v);
	case 'D':
		return ldap_dn(a, v);
	default: /* T */
		return trim_right(v);
	}
}

bool modifier_is_known(char key)
{
	return key != '\0' && strchr("LUEXRHNMDT", key) != NULL;
}

static size_t magnitude(int n)
{
	return n < 0 ? (size_t) - (int64_t)n : (size_t)n;
}

static struct span cut(struct span v, struct range r)
{
	if (r.offset >= 0)
		v = span_skip(v, magnitude(r.offset));
	else if (v.len > magnitude(r.offset))
		v = span_skip(v, v.len - magnitude(r.offset));
	if (r.width > 0)
		return span_first(v, magnitude(r.width));
	/* as Dovecot: more to leave off than there is leaves it whole */
	if (r.width < 0 && v.len >= magnitude(r.width))
		return span_first(v, v.len - magnitude(r.width));
	return v;
}

static struct span pad(struct span v, struct range r, struct arena *a)
{
	size_t width = r.width > 0 ? magnitude(r.width) : 0;
	v = cut(v, (struct range){r.offset, 0});
	if (v.len >= width)
		return v;
	char *out = arena_alloc(a, width + 1);
	memset(out, '0', width - v.len);
	if (v.len > 0)
		memcpy(out + width - v.len, v.ptr, v.len);
	return span_make(out, width);
}

struct span template_modify(const struct part_modifiers *mod, struct span value, struct arena *a)
{
	struct range r = {mod->offset, mod->width};
	for (const char *key = mod->keys; *key != '\0'; key++)
		value = modify_one(*key, value, &r, a);
	return mod->zero_pad ? pad(value, r, a) : cut(value, r);
}
