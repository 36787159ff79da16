/*
 * CRYPT and its named relatives, through libxcrypt: bcrypt, SHA-crypt,
 * MD5-crypt, DES, yescrypt, scrypt and whatever else it knows.
 * Runs in workers and authctl; every thread has its own scratch memory, wiped
 * after each use.
 */
#include <crypt.h>
#include <errno.h>
#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <sysexits.h>

#include "base/encode.h"
#include "base/mem.h"
#include "schemes/families.h"

enum {
	BCRYPT_READS = 72, /* bytes of a password; the rest never counted */
	BCRYPT_COST = 5,
	SHA_ROUNDS = 5000,
	SHA_SALT = 16,
	MD5_SALT = 8,
	MD5_HEX = 32,
};

static _Thread_local struct crypt_data scratch;

/* The password as the library can take it; NULL: no hash was ever made from it. */
static const char *crypt_phrase(struct span setting, struct secret password, struct arena *a)
{
	struct span plain = secret_reveal(password);
	if (span_find(plain, '\0') >= 0)
		return NULL;
	if (span_starts(setting, "$2"))
		plain = span_first(plain, BCRYPT_READS);
	if (plain.len >= CRYPT_MAX_PASSPHRASE_SIZE)
		return NULL;
	return arena_cstr(a, plain);
}

/* The finished string in the arena; SPAN_NULL and errno when libxcrypt refuses. */
static struct span crypt_run(const char *phrase, const char *setting, struct arena *a)
{
	const char *hash = crypt_rn(phrase, setting, &scratch, sizeof(scratch));
	int saved = errno;
	struct span out = arena_dup(a, span_of(hash));
	mem_wipe(&scratch, sizeof(scratch));
	errno = saved;
	return out;
}

static bool is_locked(struct span raw)
{
	return raw.len == 0 || raw.ptr[0] == '!' || raw.ptr[0] == '*' || span_eq_str(raw, "x");
}

bool scheme_is_locked(const struct scheme_hash *h)
{
	return (h->scheme->flags & SCHEME_CRYPT) != 0 && is_locked(secret_reveal(h->raw));
}

static enum verdict crypt_compare(
    const char *name, struct span raw, struct secret password, struct arena *a, struct err *err)
{
	if (is_locked(raw))
		return VERDICT_MISMATCH;
	if (raw.len >= CRYPT_OUTPUT_SIZE || span_find(raw, '\0') >= 0)
		return scheme_invalid(err, "not a valid %s hash", name);
	const char *phrase = crypt_phrase(raw, password, a);
	if (phrase == NULL)
		return VERDICT_MISMATCH;
	struct span made = crypt_run(phrase, arena_cstr(a, raw), a);
	/* libxcrypt does not tell yescrypt's lack of memory from bad parameters */
	uint64_t memory = scheme_crypt_cost(raw).memory;
	if (made.ptr == NULL && memory > 0)
		return scheme_invalid(err,
		    "not a valid %s hash, or no memory for it (%" PRIu64 " KiB)", name,
		    memory / 1024);
	if (made.ptr == NULL)
		return scheme_invalid(err, "not a valid %s hash", name);
	if (made.len != raw.len)
		return scheme_invalid(err, "not a valid %s hash: its length is %zu instead of %zu",
		    name, raw.len, made.len);
	return sodium_memcmp(made.ptr, raw.ptr, raw.len) == 0 ? VERDICT_OK : VERDICT_MISMATCH;
}

static enum verdict crypt_verify(const struct scheme_hash *h, struct secret password,
    struct span user, struct arena *a, struct err *err)
{
	(void)user;
	return crypt_compare(h->scheme->name, secret_reveal(h->raw), password, a, err);
}

static enum verdict blf_verify(const struct scheme_hash *h, struct secret password,
    struct span user, struct arena *a, struct err *err)
{
	struct span raw = secret_reveal(h->raw);
	if (raw.len > 0 && !span_starts(raw, "$2"))
		return scheme_invalid(err, "not a valid BLF-CRYPT hash: it does not begin with $2");
	return crypt_verify(h, password, user, a, err);
}

/* Old tables hold the hexadecimal digest under the same name. */
static enum verdict md5_verify(const struct scheme_hash *h, struct secret password,
    struct span user, struct arena *a, struct err *err)
{
	struct span raw = secret_reveal(h->raw);
	if (raw.len == MD5_HEX && !span_starts(raw, "$")) {
		struct scheme_hash plain = {
		    .scheme = &scheme_plain_md5, .raw = secret_of(hex_decode(a, raw))};
		if (!secret_is_set(plain.raw))
			return scheme_invalid(err, "not a valid MD5 hash");
		return scheme_verify(&plain, password, user, a, err);
	}
	if (raw.len > 0 && !span_starts(raw, "$1$"))
		return scheme_invalid(
		    err, "not a valid %s hash: it does not begin with $1$", h->scheme->name);
	/* anything behind the hash is not part of it: $1$salt$hash$comment */
	struct span rest = span_skip(raw, 3), salt, hash;
	if (span_split(&rest, '$', &salt) && span_split(&rest, '$', &hash) && hash.len > 0)
		raw = span_first(raw, (size_t)(hash.ptr + hash.len - raw.ptr));
	return crypt_compare(h->scheme->name, raw, password, a, err);
}

static struct secret crypt_make(
    const char *setting, struct secret password, struct arena *a, struct err *err)
{
	const char *phrase = crypt_phrase(span_of(setting), password, a);
	if (phrase == NULL) {
		err_set(err, EX_DATAERR,
		    "the password holds a NUL or is longer than %d bytes, which crypt(3) "
		    "cannot take",
		    CRYPT_MAX_PASSPHRASE_SIZE - 1);
		return SECRET_NULL;
	}
	struct span made = crypt_run(phrase, setting, a);
	if (made.ptr == NULL)
		err_set(err, EX_UNAVAILABLE, "crypt(3) failed: %s", strerror(errno));
	return secret_of(made);
}

static unsigned clamp(unsigned value, unsigned low, unsigned high)
{
	if (value < low)
		return low;
	return value > high ? high : value;
}

static struct secret blf_generate(
    const struct scheme_gen *g, struct secret password, struct arena *a, struct err *err)
{
	char setting[CRYPT_GENSALT_OUTPUT_SIZE], random[16];
	unsigned cost = g->rounds == 0 ? BCRYPT_COST : clamp(g->rounds, 4, 31);
	randombytes_buf(random, sizeof(random));
	if (crypt_gensalt_rn("$2y$", cost, random, sizeof(random), setting, sizeof(setting)) ==
	    NULL) {
		err_set(err, EX_UNAVAILABLE, "crypt_gensalt(3) failed: %s", strerror(errno));
		return SECRET_NULL;
	}
	return crypt_make(setting, password, a, err);
}

static struct secret des_generate(
    const struct scheme_gen *g, struct secret password, struct arena *a, struct err *err)
{
	(void)g;
	char setting[3] = {0};
	scheme_salt(setting, 2);
	return crypt_make(setting, password, a, err);
}

static struct secret md5_generate(
    const struct scheme_gen *g, struct secret password, struct arena *a, struct err *err)
{
	(void)g;
	char salt[MD5_SALT + 1] = {0}, setting[sizeof(salt) + 8];
	scheme_salt(salt, MD5_SALT);
	snprintf(setting, sizeof(setting), "$1$%s$", salt);
	return crypt_make(setting, password, a, err);
}

static struct secret sha_generate(const char *prefix, const struct scheme_gen *g,
    struct secret password, struct arena *a, struct err *err)
{
	char salt[SHA_SALT + 1] = {0}, rounds[32] = "", setting[sizeof(salt) + 40];
	scheme_salt(salt, SHA_SALT);
	if (g->rounds != 0 && g->rounds != SHA_ROUNDS)
		snprintf(rounds, sizeof(rounds), "rounds=%u$", clamp(g->rounds, 1000, 999999999));
	snprintf(setting, sizeof(setting), "%s%s%s$", prefix, rounds, salt);
	return crypt_make(setting, password, a, err);
}

static struct secret sha256_generate(
    const struct scheme_gen *g, struct secret password, struct arena *a, struct err *err)
{
	return sha_generate("$5$", g, password, a, err);
}

static struct secret sha512_generate(
    const struct scheme_gen *g, struct secret password, struct arena *a, struct err *err)
{
	return sha_generate("$6$", g, password, a, err);
}

const struct scheme scheme_crypt = {.name = "CRYPT",
    .family = "CRYPT",
    .flags = SCHEME_CRYPT,
    .verify = crypt_verify,
    .generate = blf_generate,
    .cost = scheme_crypt_cost};
const struct scheme scheme_blf_crypt = {.name = "BLF-CRYPT",
    .family = "CRYPT",
    .flags = SCHEME_CRYPT,
    .verify = blf_verify,
    .generate = blf_generate,
    .cost = scheme_crypt_cost};
const struct scheme scheme_des_crypt = {.name = "DES-CRYPT",
    .family = "DES-CRYPT",
    .flags = SCHEME_CRYPT | SCHEME_WEAK,
    .verify = crypt_verify,
    .generate = des_generate,
    .cost = scheme_crypt_cost};
const struct scheme scheme_md5_crypt = {.name = "MD5-CRYPT",
    .family = "MD5-CRYPT",
    .flags = SCHEME_CRYPT | SCHEME_WEAK,
    .verify = md5_verify,
    .generate = md5_generate,
    .cost = scheme_crypt_cost};
const struct scheme scheme_md5 = {.name = "MD5",
    .family = "MD5-CRYPT",
    .flags = SCHEME_CRYPT | SCHEME_WEAK,
    .verify = md5_verify,
    .generate = md5_generate,
    .cost = scheme_crypt_cost};
const struct scheme scheme_sha256_crypt = {.name = "SHA256-CRYPT",
    .family = "SHA256-CRYPT",
    .flags = SCHEME_CRYPT,
    .verify = crypt_verify,
    .generate = sha256_generate,
    .cost = scheme_crypt_cost};
const struct scheme scheme_sha512_crypt = {.name = "SHA512-CRYPT",
    .family = "SHA512-CRYPT",
    .flags = SCHEME_CRYPT,
    .verify = crypt_verify,
    .generate = sha512_generate,
    .cost = scheme_crypt_cost};
