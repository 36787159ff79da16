/*
 * PRECIS profiles (RFC 8265): the steps, in their order, until nothing
 * changes any more. Pure; copies of a password are wiped.
 */
#include "base/precis.h"

#include <stdlib.h>
#include <sysexits.h>
#include <unicase.h>
#include <unictype.h>
#include <uninorm.h>
#include <unistr.h>

#include "base/mem.h"

enum { ROUNDS_MAX = 4 };

struct text {
	uint32_t *c;
	size_t len;
};

static bool is_plain_ascii(enum precis_profile profile, struct span s)
{
	for (size_t i = 0; i < s.len; i++) {
		unsigned char c = (unsigned char)s.ptr[i];
		bool upper = c >= 'A' && c <= 'Z' && profile == PRECIS_USERNAME_CASE_MAPPED;
		bool space = c == ' ' && profile != PRECIS_OPAQUE_STRING;
		if (c < 0x20 || c > 0x7e || upper || space)
			return false;
	}
	return true;
}

static bool decode(struct span s, struct arena *a, struct text *out)
{
	out->c = arena_alloc(a, (s.len + 1) * sizeof(*out->c));
	out->len = 0;
	while (s.len > 0) {
		int n = u8_mbtoucr(&out->c[out->len], (const uint8_t *)s.ptr, s.len);
		if (n <= 0)
			return false;
		s = span_skip(s, (size_t)n);
		out->len++;
	}
	return true;
}

static struct span encode(const struct text *t, struct arena *a)
{
	uint8_t *out = arena_alloc(a, t->len * 4 + 1);
	size_t len = 0;
	for (size_t i = 0; i < t->len; i++)
		len += (size_t)u8_uctomb(out + len, t->c[i], 4);
	return span_make(out, len);
}

/* Takes over what libunistring allocated. False: it could not. */
static bool take(struct text *t, uint32_t *made, size_t len, struct arena *a)
{
	if (made == NULL)
		return false;
	*t = (struct text){arena_alloc(a, (len + 1) * sizeof(*t->c)), len};
	memcpy(t->c, made, len * sizeof(*made));
	mem_wipe(made, len * sizeof(*made));
	free(made);
	return true;
}

/* Fullwidth and halfwidth characters become the ordinary ones. */
static void map_width(struct text *t)
{
	for (size_t i = 0; i < t->len; i++) {
		int tag = 0;
		ucs4_t to[UC_DECOMPOSITION_MAX_LENGTH];
		int n = uc_decomposition(t->c[i], &tag, to);
		if (n == 1 && (tag == UC_DECOMP_WIDE || tag == UC_DECOMP_NARROW))
			t->c[i] = to[0];
	}
}

static void map_spaces(struct text *t)
{
	for (size_t i = 0; i < t->len; i++) {
		if (t->c[i] > 0x7e && uc_is_general_category(t->c[i], UC_CATEGORY_Zs))
			t->c[i] = ' ';
	}
}

static bool map(enum precis_profile profile, struct text *t, struct arena *a)
{
	size_t len = 0;
	uint32_t *made;
	if (profile == PRECIS_OPAQUE_STRING)
		map_spaces(t);
	else
		map_width(t);
	if (profile == PRECIS_USERNAME_CASE_MAPPED) {
		made = u32_tolower(t->c, t->len, NULL, NULL, NULL, &len);
		if (!take(t, made, len, a))
			return false;
	}
	made = u32_normalize(UNINORM_NFC, t->c, t->len, NULL, &len);
	return take(t, made, len, a);
}

/* Parts of a name with spaces between them (RFC 8265, 3.1) are names of their own. */
static bool part_allowed(const uint32_t *c, size_t len, struct err *err)
{
	for (size_t i = 0; i < len; i++) {
		if (!precis_identifier_allows(c, len, i))
			return err_set(err, EX_DATAERR,
			    "character U+%04X is not allowed there in a user name (RFC 8265)",
			    (unsigned)c[i]);
	}
	return precis_bidi_allows(c, len) ||
	       err_set(
		   err, EX_DATAERR, "a user name must not mix directions of writing (RFC 5893)");
}

static bool name_allowed(const struct text *t, struct err *err)
{
	size_t start = 0;
	if (t->c[0] == ' ' || t->c[t->len - 1] == ' ')
		return err_set(err, EX_DATAERR, "a space at an end of the user name (RFC 8265)");
	for (size_t i = 0; i <= t->len; i++) {
		if (i < t->len && t->c[i] != ' ')
			continue;
		if (!part_allowed(t->c + start, i - start, err))
			return false;
		start = i + 1;
	}
	return true;
}

static bool password_allowed(const struct text *t, struct err *err)
{
	for (size_t i = 0; i < t->len; i++) {
		if (t->c[i] != ' ' && !precis_freeform_allows(t->c, t->len, i))
			return err_set(
			    err, EX_DATAERR, "a character is not allowed in a password (RFC 8265)");
	}
	return true;
}

/* One pass of the profile's rules; *changed: the next one may change it again. */
static bool enforce(
    enum precis_profile profile, struct text *t, struct arena *a, bool *changed, struct err *err)
{
	struct text before = {arena_alloc(a, (t->len + 1) * sizeof(*t->c)), t->len};
	memcpy(before.c, t->c, t->len * sizeof(*t->c));
	if (!map(profile, t, a) || t->len == 0)
		return err_set(err, EX_DATAERR, "nothing is left of it (RFC 8264)");
	*changed = t->len != before.len || memcmp(t->c, before.c, t->len * sizeof(*t->c)) != 0;
	return profile == PRECIS_OPAQUE_STRING ? password_allowed(t, err) : name_allowed(t, err);
}

struct span precis_enforce(
    enum precis_profile profile, struct span s, struct arena *a, struct err *err)
{
	struct text t;
	bool changed = true;
	if (s.len > 0 && is_plain_ascii(profile, s))
		return s;
	if (s.len == 0 || !decode(s, a, &t)) {
		err_set(err, EX_DATAERR, s.len == 0 ? "it is empty" : "it is not valid UTF-8");
		return SPAN_NULL;
	}
	/* RFC 8264, 7: some strings are not stable at once */
	for (int i = 0; changed && i < ROUNDS_MAX; i++) {
		if (!enforce(profile, &t, a, &changed, err))
			return SPAN_NULL;
	}
	if (changed) {
		err_set(err, EX_DATAERR, "it does not become stable (RFC 8264, section 7)");
		return SPAN_NULL;
	}
	return encode(&t, a);
}
