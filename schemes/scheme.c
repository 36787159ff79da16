/*
 * Schemes as everybody else sees them: find, take a stored value apart,
 * verify, generate, convert. Runs in workers and authctl.
 * Messages name schemes and lengths, never a value.
 */
#include "schemes/scheme.h"

#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <sysexits.h>

#include "base/buffer.h"
#include "base/encode.h"
#include "base/precis.h"
#include "schemes/families.h"

/* Names that are schemes elsewhere; any other unknown name might be half a password. */
static const char *const elsewhere[] = {"LANMAN", "RPA", "SKEY", "SASL", "KERBEROS", "SHA384",
    "SSHA384", "SHA3-256", "SHA3-512", "PBKDF2-SHA1", "PBKDF2-SHA256", "PBKDF2-SHA512", "BCRYPT",
    "YESCRYPT", "SCRYPT", "MD4", "APR1"};

void scheme_salt(char *out, size_t n)
{
	static const char alphabet[] =
	    "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
	randombytes_buf(out, n);
	for (size_t i = 0; i < n; i++)
		out[i] = alphabet[(unsigned char)out[i] % 64];
}

enum verdict scheme_invalid(struct err *err, const char *fmt, ...)
{
	char text[256];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	err_set(err, EX_DATAERR, "%s", text);
	return VERDICT_INTERNAL;
}

/* What a name with an optional suffix means. */
struct scheme_name {
	const struct scheme *scheme; /* NULL: unknown */
	const char *suffix;	     /* "", ".HEX", ... as it is written back */
	enum scheme_encoding encoding;
	bool known_base; /* the part before the dot is a scheme */
};

static const struct {
	const char *suffix;
	enum scheme_encoding encoding;
} suffixes[] = {{".HEX", ENCODING_HEX}, {".B64", ENCODING_BASE64}, {".BASE64", ENCODING_BASE64}};

static struct scheme_name name_parse(struct span name)
{
	struct scheme_name out = {.suffix = ""};
	ssize_t dot = span_find(name, '.');
	struct span base = dot < 0 ? name : span_first(name, (size_t)dot);
	const struct scheme *const *row = scheme_table;
	while (*row != NULL && !span_eq_ci(base, span_of((*row)->name)))
		row++;
	out.known_base = *row != NULL;
	if (*row != NULL && dot < 0) {
		out.scheme = *row;
		out.encoding = (*row)->encoding;
	}
	for (size_t i = 0; *row != NULL && dot >= 0 && i < ARRAY_LEN(suffixes); i++) {
		if (span_eq_ci(span_skip(name, (size_t)dot), span_of(suffixes[i].suffix))) {
			out.scheme = *row;
			out.suffix = suffixes[i].suffix;
			out.encoding = suffixes[i].encoding;
		}
	}
	return out;
}

const struct scheme *scheme_find(struct span name)
{
	return name_parse(name).scheme;
}

static bool unknown_scheme(struct span name, const struct scheme_name *parsed, struct err *err)
{
	if (parsed->known_base)
		return err_set(err, EX_DATAERR,
		    "Unknown encoding behind the scheme name (known: .HEX .B64 .BASE64)");
	for (size_t i = 0; i < ARRAY_LEN(elsewhere); i++) {
		if (span_eq_ci(name, span_of(elsewhere[i])))
			return err_set(err, EX_DATAERR, "Unknown scheme %s", elsewhere[i]);
	}
	return err_set(err, EX_DATAERR, "Unknown scheme");
}

/* "$1$salt$hash[$ignored]" written without braces */
static bool bare_md5_crypt(struct span value, struct span *hash)
{
	if (!span_starts(value, "$1$"))
		return false;
	ssize_t salt_end = span_find(span_skip(value, 3), '$');
	if (salt_end < 0)
		return false;
	size_t at = 3 + (size_t)salt_end + 1;
	ssize_t end = span_find(span_skip(value, at), '$');
	*hash = end < 0 ? value : span_first(value, at + (size_t)end);
	return true;
}

/* Splits the scheme's name off; what is left in *value is the encoded hash. */
static struct span name_take(struct span *value, const char *default_scheme, bool noscheme)
{
	struct span fallback = span_of(default_scheme);
	ssize_t brace = span_starts(*value, "{") ? span_find(*value, '}') : -1;
	if (noscheme)
		return fallback;
	if (brace > 0) {
		struct span name = span_make(value->ptr + 1, (size_t)brace - 1);
		*value = span_skip(*value, (size_t)brace + 1);
		return name;
	}
	/* PBKDF2 values look the same and have their own meaning */
	if (name_parse(fallback).scheme != scheme_find(SPAN_LIT("PBKDF2")) ||
	    fallback.ptr == NULL) {
		if (bare_md5_crypt(*value, value))
			return SPAN_LIT("MD5-CRYPT");
	}
	return fallback;
}

/* SPAN_NULL when the text is neither. */
static struct span decode(
    const struct scheme_name *n, struct span text, struct arena *a, enum scheme_encoding *used)
{
	struct span raw = SPAN_NULL;
	bool guess = n->suffix[0] == '\0' && n->scheme->raw_len != 0;
	*used = n->encoding;
	if (guess && *used != ENCODING_NONE)
		*used = text.len == 2 * n->scheme->raw_len ? ENCODING_HEX : ENCODING_BASE64;
	if (*used == ENCODING_NONE)
		return text;
	if (*used == ENCODING_HEX)
		raw = hex_decode(a, text);
	/* some lengths are possible in both encodings */
	if (raw.ptr == NULL) {
		raw = base64_decode(a, text);
		*used = ENCODING_BASE64;
	}
	return raw;
}

bool scheme_parse(struct secret stored, const char *default_scheme, bool noscheme, struct arena *a,
    struct scheme_hash *out, struct err *err)
{
	struct span value = secret_reveal(stored);
	if (value.ptr == NULL)
		return err_set(err, EX_DATAERR, "No password is stored");
	struct span name = name_take(&value, default_scheme, noscheme);
	struct scheme_name parsed = name_parse(name);
	if (parsed.scheme == NULL)
		return unknown_scheme(name, &parsed, err);
	*out = (struct scheme_hash){.scheme = parsed.scheme};
	struct span raw = decode(&parsed, value, a, &out->encoding);
	if (raw.ptr == NULL)
		return err_set(err, EX_DATAERR,
		    "Password data is not valid for scheme %s: Input isn't valid %s",
		    parsed.scheme->name,
		    parsed.encoding == ENCODING_HEX ? "hexadecimal or base64" : "base64");
	if (parsed.scheme->raw_len != 0 && raw.len != parsed.scheme->raw_len)
		return err_set(err, EX_DATAERR,
		    "Password data is not valid for scheme %s: Input length isn't valid (%zu "
		    "instead of %zu)",
		    parsed.scheme->name, raw.len, parsed.scheme->raw_len);
	out->raw = secret_of(raw);
	return true;
}

struct scheme_cost scheme_cost(const struct scheme_hash *h)
{
	if (h->scheme->cost == NULL)
		return (struct scheme_cost){0};
	return h->scheme->cost(secret_reveal(h->raw));
}

bool scheme_is_weak(const struct scheme_hash *h, const char **name)
{
	struct span raw = secret_reveal(h->raw);
	const char *counts_as = h->scheme->name;
	bool locked = scheme_is_locked(h); /* nobody gets in by it */
	bool weak = !locked && (h->scheme->flags & SCHEME_WEAK);
	/* a weak hash stays weak under the name of a strong one */
	if (!weak && !locked && (h->scheme->flags & SCHEME_CRYPT)) {
		weak = true;
		if (raw.ptr[0] != '$')
			counts_as = "DES-CRYPT";
		else if (span_starts(raw, "$1"))
			counts_as = "MD5-CRYPT";
		else
			weak = span_starts(raw, "$3$");
	}
	if (name != NULL)
		*name = counts_as;
	return weak;
}

static enum verdict compare_generated(const struct scheme_hash *h, struct secret password,
    struct span user, struct arena *a, struct err *err)
{
	struct scheme_gen g = {.user = user};
	struct secret made = h->scheme->generate(&g, password, a, err);
	if (!secret_is_set(made))
		return VERDICT_INTERNAL;
	return secret_eq(made, h->raw) ? VERDICT_OK : VERDICT_MISMATCH;
}

enum verdict scheme_verify(const struct scheme_hash *h, struct secret password, struct span user,
    struct arena *a, struct err *err)
{
	enum verdict verdict;
	if (!secret_is_set(password))
		password = secret_of(SPAN_LIT(""));
	if (secret_reveal(password).len > SCHEME_PASSWORD_MAX)
		return VERDICT_MISMATCH;
	/* it would hold a lane for hours, and no client waits that long */
	if (scheme_cost(h).usec > SCHEME_USEC_MAX)
		verdict = scheme_invalid(err, "the %s hash would take too long", h->scheme->name);
	else if (h->scheme->verify != NULL)
		verdict = h->scheme->verify(h, password, user, a, err);
	else
		verdict = compare_generated(h, password, user, a, err);
	return h->dummy ? VERDICT_MISMATCH : verdict;
}

struct secret scheme_generate(struct span name, const struct scheme_gen *g, struct secret password,
    struct arena *a, struct err *err)
{
	struct scheme_name parsed = name_parse(name);
	if (parsed.scheme == NULL) {
		err_set(err, EX_USAGE, "Unknown scheme: %.*s", SPAN_ARG(name));
		return SECRET_NULL;
	}
	if (!secret_is_set(password))
		password = secret_of(SPAN_LIT(""));
	if (secret_reveal(password).len > SCHEME_PASSWORD_MAX) {
		err_set(
		    err, EX_DATAERR, "The password is longer than %d bytes", SCHEME_PASSWORD_MAX);
		return SECRET_NULL;
	}
	struct secret raw = parsed.scheme->generate(g, password, a, err);
	if (!secret_is_set(raw))
		return raw;
	struct span text = secret_reveal(raw);
	if (parsed.encoding == ENCODING_HEX)
		text = hex_encode_arena(a, text);
	else if (parsed.encoding == ENCODING_BASE64)
		text = base64_encode_arena(a, text);
	struct span prefix = arena_printf(a, "{%s%s}", parsed.scheme->name, parsed.suffix);
	return secret_of(arena_join(a, prefix, text));
}

static bool same_family(const struct scheme *x, const struct scheme *y)
{
	return strcmp(x->family, y->family) == 0;
}

/* The password itself when the stored value is one; unset otherwise. */
static struct secret plaintext_of(const struct scheme_hash *h)
{
	if (h->scheme == &scheme_plain_trunc)
		return scheme_plain_trunc_full(h->raw);
	return h->scheme->flags & SCHEME_PLAIN ? h->raw : SECRET_NULL;
}

static bool prepare(const struct scheme *target, const struct scheme_gen *g, struct secret *plain,
    struct arena *a, struct err *err)
{
	if (!g->prepare || strncmp(target->name, "SCRAM-", 6) != 0)
		return true;
	*plain = secret_of(precis_enforce(PRECIS_OPAQUE_STRING, secret_reveal(*plain), a, err));
	return secret_is_set(*plain);
}

enum verdict scheme_convert(const struct scheme_hash *h, const char *wanted,
    const struct scheme_gen *g, struct arena *a, struct secret *out, struct err *err)
{
	const struct scheme *target = scheme_find(span_of(wanted));
	struct secret plain = plaintext_of(h);
	*out = SECRET_NULL;
	if (target != NULL && target->flags & SCHEME_PLAIN)
		*out = plain;
	else if (target != NULL && same_family(target, h->scheme))
		*out = h->raw;
	else if (target != NULL && target != &scheme_otp && secret_is_set(plain) &&
		 prepare(target, g, &plain, a, err))
		*out = target->generate(g, plain, a, err);
	if (secret_is_set(*out))
		return VERDICT_OK;
	err_set(err, EX_UNAVAILABLE, "Requested %s scheme, but we have only %s", wanted,
	    h->scheme->name);
	return VERDICT_NO_SCHEME;
}

/* How much of a crypt(3), Argon2, SCRAM or OTP string comes before what is secret in it. */
static size_t cost_prefix(struct span raw)
{
	ssize_t dollar = span_rfind(raw, '$'), comma = span_find(raw, ',');
	if (dollar >= 0)
		return (size_t)dollar + 1;
	if (span_starts(raw, "_"))
		return raw.len < 5 ? raw.len : 5;
	return (size_t)(comma >= 0 ? comma : span_rfind(raw, ' ')) + 1;
}

/*
 * Keeps what the value costs and its shape; the digest is somebody's and is
 * not kept. 'A' is a digit in each of the encodings.
 */
static void blank_digest(const struct scheme *s, struct span raw, char *out)
{
	bool shaped = s->encoding == ENCODING_NONE && !(s->flags & SCHEME_PLAIN);
	size_t keep = shaped ? cost_prefix(raw) : 0;
	for (size_t i = 0; i < raw.len; i++) {
		char c = raw.ptr[i];
		bool part = i < keep || c == ',' || c == '=';
		out[i] = shaped && part ? c : 'A';
	}
}

bool scheme_dummy(const struct scheme_hash *like, struct arena *a, struct scheme_hash *out)
{
	static const char ordinary_raw[] =
	    "$6$AAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
	    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
	static const struct scheme_hash ordinary = {
	    .scheme = &scheme_sha512_crypt, .raw = {{ordinary_raw, sizeof(ordinary_raw) - 1}}};
	if (like == NULL)
		like = &ordinary;
	struct span raw = secret_reveal(like->raw);
	if (raw.ptr == NULL)
		raw = SPAN_LIT("");
	char *copy = arena_alloc(a, raw.len + 1);
	blank_digest(like->scheme, raw, copy);
	*out = (struct scheme_hash){.scheme = like->scheme,
	    .encoding = like->encoding,
	    .raw = secret_of(span_make(copy, raw.len)),
	    .dummy = true};
	return true;
}
