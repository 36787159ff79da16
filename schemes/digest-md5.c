/*
 * DIGEST-MD5: MD5(user:realm:password) of RFC 2831 section 2.1.2.1. The realm
 * is what follows the user's last @, unless the client has said how it splits
 * them. Runs in workers and authctl.
 */
#include <nettle/md5.h>
#include <sysexits.h>

#include "base/mem.h"
#include "schemes/families.h"

static struct span name_and_realm(struct span user, struct arena *a)
{
	ssize_t at = span_rfind(user, '@');
	if (at < 0)
		return arena_join(a, user, SPAN_LIT(":"));
	struct span name = arena_join(a, span_first(user, (size_t)at), SPAN_LIT(":"));
	return arena_join(a, name, span_skip(user, (size_t)at + 1));
}

static struct secret digest_md5_generate(
    const struct scheme_gen *g, struct secret password, struct arena *a, struct err *err)
{
	struct span plain = secret_reveal(password), name = g->salt;
	struct md5_ctx ctx;
	if (name.len == 0 && g->user.len == 0) {
		err_set(err, EX_USAGE, "DIGEST-MD5 needs a user name");
		return SECRET_NULL;
	}
	if (name.len == 0)
		name = name_and_realm(g->user, a);
	char *out = arena_alloc(a, MD5_DIGEST_SIZE);
	md5_init(&ctx);
	md5_update(&ctx, name.len, (const uint8_t *)name.ptr);
	md5_update(&ctx, 1, (const uint8_t *)":");
	md5_update(&ctx, plain.len, (const uint8_t *)plain.ptr);
	md5_digest(&ctx, MD5_DIGEST_SIZE, (uint8_t *)out);
	mem_wipe(&ctx, sizeof(ctx));
	return secret_of(span_make(out, MD5_DIGEST_SIZE));
}

const struct scheme scheme_digest_md5 = {.name = "DIGEST-MD5",
    .family = "DIGEST-MD5",
    .encoding = ENCODING_HEX,
    .raw_len = MD5_DIGEST_SIZE,
    .generate = digest_md5_generate};
