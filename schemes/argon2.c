/*
 * ARGON2I, ARGON2ID, ARGON2, through libsodium. The stored string says itself
 * which of the two it is. Runs in workers and authctl.
 */
#include <errno.h>
#include <sodium.h>
#include <sys/mman.h>
#include <sysexits.h>

#include "base/mem.h"
#include "schemes/families.h"

enum { HASH_MAX = 512, PARALLEL_MAX = 255 };

struct argon2 {
	bool id;
	uint32_t kibibytes, passes, lanes;
	struct span salt, digest; /* decoded */
};

/* "k=NUMBER" and the separator that ends it */
static bool number_take(struct span *rest, const char *key, char end, uint32_t *out)
{
	struct span field;
	if (!span_split(rest, end, &field) || !span_starts(field, key) || rest->ptr == NULL)
		return false;
	return span_to_u32(span_skip(field, strlen(key)), out);
}

static bool bytes_take(struct span *rest, struct arena *a, struct span *out)
{
	struct span field;
	size_t len = 0;
	if (!span_split(rest, '$', &field))
		return false;
	char *bytes = arena_alloc(a, field.len + 1);
	if (field.len == 0 ||
	    sodium_base642bin((unsigned char *)bytes, field.len, field.ptr, field.len, NULL, &len,
		NULL, sodium_base64_VARIANT_ORIGINAL_NO_PADDING) != 0)
		return false;
	*out = span_make(bytes, len);
	return true;
}

/* $argon2id$v=19$m=65536,t=3,p=1$ */
static bool params_take(struct span *rest, struct argon2 *out)
{
	uint32_t version;
	if (span_starts(*rest, "$argon2id$"))
		out->id = true;
	else if (!span_starts(*rest, "$argon2i$"))
		return false;
	*rest = span_skip(*rest, out->id ? 10 : 9);
	return number_take(rest, "v=", '$', &version) && version == 19 &&
	       number_take(rest, "m=", ',', &out->kibibytes) &&
	       number_take(rest, "t=", ',', &out->passes) &&
	       number_take(rest, "p=", '$', &out->lanes);
}

static bool argon2_parse(struct span raw, struct arena *a, struct argon2 *out)
{
	struct span rest = raw;
	*out = (struct argon2){0};
	if (raw.len >= HASH_MAX || span_find(raw, '\0') >= 0 || !params_take(&rest, out) ||
	    !bytes_take(&rest, a, &out->salt) || !bytes_take(&rest, a, &out->digest))
		return false;
	return rest.ptr == NULL && out->lanes >= 1 && out->lanes <= PARALLEL_MAX &&
	       out->kibibytes >= 8 * out->lanes && out->passes >= 1 && out->salt.len >= 8 &&
	       out->digest.len >= 16;
}

static struct scheme_cost argon2_cost(struct span raw)
{
	struct argon2 h = {0};
	if (!params_take(&raw, &h))
		return (struct scheme_cost){0};
	return (struct scheme_cost){.expensive = true,
	    .memory = scheme_mul(h.kibibytes, 1024),
	    .usec = scheme_mul(h.kibibytes, h.passes)};
}

static enum verdict out_of_memory(const struct argon2 *h, struct err *err)
{
	err_set(err, EX_TEMPFAIL, "no memory for an Argon2 hash of %u KiB", h->kibibytes);
	return VERDICT_INTERNAL;
}

/* What libsodium itself makes has 16 bytes of salt and one lane. */
static bool argon2_ordinary(const struct argon2 *h)
{
	return h->lanes == 1 && h->salt.len == crypto_pwhash_SALTBYTES &&
	       (h->id || h->passes >= crypto_pwhash_argon2i_OPSLIMIT_MIN);
}

static enum verdict verify_ordinary(
    const struct argon2 *h, struct span plain, struct arena *a, struct err *err)
{
	unsigned char *made = arena_alloc(a, h->digest.len);
	int failed = crypto_pwhash(made, h->digest.len, plain.ptr, plain.len,
	    (const unsigned char *)h->salt.ptr, h->passes, (size_t)h->kibibytes * 1024,
	    h->id ? crypto_pwhash_ALG_ARGON2ID13 : crypto_pwhash_ALG_ARGON2I13);
	if (failed)
		return out_of_memory(h, err);
	return sodium_memcmp(made, h->digest.ptr, h->digest.len) == 0 ? VERDICT_OK
								      : VERDICT_MISMATCH;
}

/*
 * Other software's hashes go through crypto_pwhash_str_verify(), which calls
 * a failed allocation a mismatch; so see first that there is memory.
 */
static enum verdict verify_other(
    const struct argon2 *h, const char *text, struct span plain, struct err *err)
{
	size_t size = (size_t)h->kibibytes * 1024;
	void *probe = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (probe == MAP_FAILED)
		return out_of_memory(h, err);
	munmap(probe, size);
	errno = 0;
	if (crypto_pwhash_str_verify(text, plain.ptr, plain.len) == 0)
		return VERDICT_OK;
	if (errno == EINVAL)
		return VERDICT_MISMATCH;
	return scheme_invalid(err, "not an Argon2 hash that libsodium can verify");
}

static enum verdict argon2_verify(const struct scheme_hash *h, struct secret password,
    struct span user, struct arena *a, struct err *err)
{
	(void)user;
	struct argon2 parsed;
	struct span raw = secret_reveal(h->raw), plain = secret_reveal(password);
	if (!argon2_parse(raw, a, &parsed))
		return scheme_invalid(err, "not a valid %s hash", h->scheme->name);
	/* picks the fast implementation; does nothing the second time */
	if (sodium_init() < 0)
		mem_panic("sodium_init failed");
	if (argon2_ordinary(&parsed))
		return verify_ordinary(&parsed, plain, a, err);
	return verify_other(&parsed, arena_cstr(a, raw), plain, err);
}

static struct secret argon2_result(int failed, const char *text, struct arena *a, struct err *err)
{
	if (!failed)
		return secret_of(arena_dup(a, span_of(text)));
	err_set(err, EX_TEMPFAIL, "making an Argon2 hash failed: %s", strerror(errno));
	return SECRET_NULL;
}

/* More passes than "interactive" also mean more memory, as libsodium pairs them. */
static struct secret argon2i_generate(
    const struct scheme_gen *g, struct secret password, struct arena *a, struct err *err)
{
	char text[crypto_pwhash_argon2i_STRBYTES];
	struct span plain = secret_reveal(password);
	unsigned passes = g->rounds > 0 ? g->rounds : crypto_pwhash_argon2i_OPSLIMIT_INTERACTIVE;
	size_t memory = crypto_pwhash_argon2i_MEMLIMIT_INTERACTIVE;
	if (passes >= crypto_pwhash_argon2i_OPSLIMIT_SENSITIVE)
		memory = crypto_pwhash_argon2i_MEMLIMIT_SENSITIVE;
	else if (passes >= crypto_pwhash_argon2i_OPSLIMIT_MODERATE)
		memory = crypto_pwhash_argon2i_MEMLIMIT_MODERATE;
	if (passes < crypto_pwhash_argon2i_OPSLIMIT_MIN)
		passes = crypto_pwhash_argon2i_OPSLIMIT_MIN;
	if (sodium_init() < 0)
		mem_panic("sodium_init failed");
	return argon2_result(
	    crypto_pwhash_argon2i_str(text, plain.ptr, plain.len, passes, memory), text, a, err);
}

static struct secret argon2id_generate(
    const struct scheme_gen *g, struct secret password, struct arena *a, struct err *err)
{
	char text[crypto_pwhash_argon2id_STRBYTES];
	struct span plain = secret_reveal(password);
	unsigned passes = g->rounds;
	size_t memory = crypto_pwhash_argon2id_MEMLIMIT_INTERACTIVE;
	if (passes >= crypto_pwhash_argon2id_OPSLIMIT_SENSITIVE)
		memory = crypto_pwhash_argon2id_MEMLIMIT_SENSITIVE;
	else if (passes >= crypto_pwhash_argon2id_OPSLIMIT_MODERATE)
		memory = crypto_pwhash_argon2id_MEMLIMIT_MODERATE;
	if (passes < 3)
		passes = 3;
	if (sodium_init() < 0)
		mem_panic("sodium_init failed");
	return argon2_result(
	    crypto_pwhash_argon2id_str(text, plain.ptr, plain.len, passes, memory), text, a, err);
}

const struct scheme scheme_argon2 = {.name = "ARGON2",
    .family = "ARGON2ID",
    .verify = argon2_verify,
    .generate = argon2id_generate,
    .cost = argon2_cost};
const struct scheme scheme_argon2id = {.name = "ARGON2ID",
    .family = "ARGON2ID",
    .verify = argon2_verify,
    .generate = argon2id_generate,
    .cost = argon2_cost};
const struct scheme scheme_argon2i = {.name = "ARGON2I",
    .family = "ARGON2I",
    .verify = argon2_verify,
    .generate = argon2i_generate,
    .cost = argon2_cost};
