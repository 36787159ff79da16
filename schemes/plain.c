/*
 * PLAIN, CLEAR, CLEARTEXT: the password itself. PLAIN-TRUNC: "N-prefix", for
 * databases that keep only the first N bytes of a password.
 * Runs in workers and authctl.
 */
#include "schemes/families.h"

static struct secret plain_generate(
    const struct scheme_gen *g, struct secret password, struct arena *a, struct err *err)
{
	(void)g;
	(void)err;
	return secret_dup(a, password);
}

static bool trunc_parse(struct span raw, uint32_t *limit, struct span *prefix)
{
	ssize_t dash = span_find(raw, '-');
	/* a limit of 0 would let every password in */
	if (dash < 0 || !span_to_u32(span_first(raw, (size_t)dash), limit) || *limit == 0)
		return false;
	*prefix = span_skip(raw, (size_t)dash + 1);
	return true;
}

static enum verdict trunc_verify(const struct scheme_hash *h, struct secret password,
    struct span user, struct arena *a, struct err *err)
{
	(void)user;
	(void)a;
	struct span given = secret_reveal(password), prefix;
	uint32_t limit;
	if (!trunc_parse(secret_reveal(h->raw), &limit, &prefix))
		return scheme_invalid(err, "PLAIN-TRUNC value does not begin with a length and -");
	/* as long as the limit: it may have been cut, so only the beginning counts */
	if (prefix.len == limit)
		given = span_first(given, limit);
	return secret_eq(secret_of(prefix), secret_of(given)) ? VERDICT_OK : VERDICT_MISMATCH;
}

/* A limit that the password does not reach: it is not cut and matches as a whole. */
static struct secret trunc_generate(
    const struct scheme_gen *g, struct secret password, struct arena *a, struct err *err)
{
	(void)g;
	(void)err;
	struct span plain = secret_reveal(password);
	return secret_of(arena_join(a, arena_printf(a, "%zu-", plain.len + 1), plain));
}

struct secret scheme_plain_trunc_full(struct secret raw)
{
	uint32_t limit;
	struct span prefix;
	if (!trunc_parse(secret_reveal(raw), &limit, &prefix) || prefix.len == limit)
		return SECRET_NULL;
	return secret_of(prefix);
}

const struct scheme scheme_plain = {
    .name = "PLAIN", .family = "PLAIN", .flags = SCHEME_PLAIN, .generate = plain_generate};
const struct scheme scheme_clear = {
    .name = "CLEAR", .family = "PLAIN", .flags = SCHEME_PLAIN, .generate = plain_generate};
const struct scheme scheme_cleartext = {
    .name = "CLEARTEXT", .family = "PLAIN", .flags = SCHEME_PLAIN, .generate = plain_generate};
const struct scheme scheme_plain_trunc = {.name = "PLAIN-TRUNC",
    .family = "PLAIN",
    .flags = SCHEME_PLAIN,
    .verify = trunc_verify,
    .generate = trunc_generate};
