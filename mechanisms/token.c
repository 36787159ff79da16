/*
 * DOVECOT-TOKEN: logs in with a token that this server gave out. One message:
 * service NUL pid NUL user NUL session NUL token.
 */
#include "mechanisms/token.h"

#include <nettle/hmac.h>

#include "base/encode.h"
#include "mechanisms/mech.h"

static void update(struct hmac_sha1_ctx *ctx, struct span s)
{
	if (s.len > 0)
		hmac_sha1_update(ctx, s.len, (const uint8_t *)s.ptr);
}

struct secret token_make(const struct token_source *s, struct secret server_secret, struct arena *a)
{
	struct hmac_sha1_ctx ctx;
	uint8_t digest[SHA1_DIGEST_SIZE];
	hmac_sha1_set_key(&ctx, s->user.len, (const uint8_t *)s->user.ptr);
	update(&ctx, s->session_pid);
	update(&ctx, s->session);
	update(&ctx, s->service);
	update(&ctx, secret_reveal(server_secret));
	hmac_sha1_digest(&ctx, sizeof(digest), digest);
	return secret_of(hex_encode_arena(a, span_make(digest, sizeof(digest))));
}

static enum mech_next refuse(struct mech_io *io, const char *why)
{
	io->why = why;
	return MECH_FAIL;
}

static enum mech_next token_step(const struct mech *m UNUSED, void *state, struct mech_io *io)
{
	struct token_source s;
	struct span rest = io->in, token;
	(void)state;
	if (!secret_is_set(io->context->token_secret))
		return refuse(io, "there is no token secret");
	if (!span_split(&rest, '\0', &s.service) || !span_split(&rest, '\0', &s.session_pid) ||
	    !span_split(&rest, '\0', &s.user) || !span_split(&rest, '\0', &s.session) ||
	    !span_split(&rest, '\0', &token) || rest.ptr != NULL || s.user.len == 0)
		return refuse(io, "invalid input");
	struct secret want = token_make(&s, io->context->token_secret, io->arena);
	if (!secret_eq(want, secret_of(token)))
		return refuse(io, "the token does not match");
	io->user = arena_dup(io->arena, s.user);
	fields_set(io->fields, SPAN_LIT("userdb_client_service"), s.service);
	return MECH_DONE;
}

const struct mech mech_dovecot_token = {
    .name = "DOVECOT-TOKEN",
    .flags = MECH_ALLOW_NUL,
    .state_size = 1,
    .step = token_step,
};
