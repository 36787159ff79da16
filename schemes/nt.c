/*
 * NT, also called NTLM: MD4 of the password in UTF-16, what Windows stores and
 * the mechanism NTLM computes with. Not salted: who has the hash can log in with
 * it, so it is for that mechanism only. Runs in workers and authctl.
 */
#include <nettle/md4.h>
#include <sodium.h>
#include <sysexits.h>

#include "base/mem.h"
#include "base/utf16.h"
#include "schemes/families.h"

static struct secret nt_generate(
    const struct scheme_gen *g, struct secret password, struct arena *a, struct err *err)
{
	(void)g;
	struct md4_ctx ctx;
	struct span text = utf16_from_utf8(a, secret_reveal(password));
	if (text.ptr == NULL) {
		err_set(err, EX_DATAERR, "the password is not valid UTF-8, which an NT hash needs");
		return SECRET_NULL;
	}
	uint8_t *out = arena_alloc(a, MD4_DIGEST_SIZE);
	md4_init(&ctx);
	md4_update(&ctx, text.len, (const uint8_t *)text.ptr);
	md4_digest(&ctx, MD4_DIGEST_SIZE, out);
	mem_wipe(&ctx, sizeof(ctx));
	return secret_of(span_make(out, MD4_DIGEST_SIZE));
}

/* No hash was ever made of one that is not UTF-8. */
static enum verdict nt_verify(const struct scheme_hash *h, struct secret password, struct span user,
    struct arena *a, struct err *err)
{
	(void)user;
	(void)err;
	struct secret made = nt_generate(NULL, password, a, NULL);
	return secret_is_set(made) && secret_eq(made, h->raw) ? VERDICT_OK : VERDICT_MISMATCH;
}

const struct scheme scheme_nt = {.name = "NT",
    .family = "NT",
    .encoding = ENCODING_HEX,
    .raw_len = MD4_DIGEST_SIZE,
    .verify = nt_verify,
    .generate = nt_generate};
const struct scheme scheme_ntlm = {.name = "NTLM",
    .family = "NT",
    .encoding = ENCODING_HEX,
    .raw_len = MD4_DIGEST_SIZE,
    .verify = nt_verify,
    .generate = nt_generate};
