/*
 * CRAM-MD5 (RFC 2195): a challenge, then the user name and HMAC-MD5 of the
 * challenge under the password. The credential is the HMAC begun with the
 * password: MD5's state after the outer and after the inner pad.
 */
#include <nettle/md5.h>

#include "base/encode.h"
#include "base/mem.h"
#include "mechanisms/mech.h"

enum { CONTEXT_LEN = 2 * MD5_DIGEST_SIZE, NONCE_LEN = 16 };

struct cram_state {
	enum { START, CHALLENGE_SENT, CREDENTIAL_WANTED } at;
	struct span challenge, answer;
};

/* Goes on where the pad ended. */
static void resume(struct md5_ctx *ctx, const unsigned char *half)
{
	md5_init(ctx);
	for (size_t i = 0; i < MD5_DIGEST_SIZE / 4; i++) {
		const unsigned char *p = half + 4 * i;
		ctx->state[i] = (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 |
				(uint32_t)p[3] << 24;
	}
	ctx->count = 1; /* one block */
	ctx->index = 0;
}

static bool fits(const struct cram_state *s, struct secret credential)
{
	struct span halves = secret_reveal(credential);
	struct md5_ctx ctx;
	uint8_t digest[MD5_DIGEST_SIZE];
	if (halves.len != CONTEXT_LEN)
		return false;
	const unsigned char *outer = (const unsigned char *)halves.ptr;
	resume(&ctx, outer + MD5_DIGEST_SIZE);
	md5_update(&ctx, s->challenge.len, (const uint8_t *)s->challenge.ptr);
	md5_digest(&ctx, sizeof(digest), digest);
	resume(&ctx, outer);
	md5_update(&ctx, sizeof(digest), digest);
	md5_digest(&ctx, sizeof(digest), digest);
	mem_wipe(&ctx, sizeof(ctx));
	return secret_eq(secret_of(span_make(digest, sizeof(digest))), secret_of(s->answer));
}

static enum mech_next send_challenge(struct cram_state *s, struct mech_io *io)
{
	s->challenge = arena_printf(io->arena, "<%.*s.%lld@%.*s>",
	    SPAN_ARG(span_first(io->context->nonce, NONCE_LEN)), (long long)io->context->now,
	    SPAN_ARG(io->context->hostname));
	s->at = CHALLENGE_SENT;
	io->out = s->challenge;
	return MECH_CLIENT;
}

static enum mech_next take_answer(struct cram_state *s, struct mech_io *io)
{
	/* names may hold spaces */
	ssize_t space = span_rfind(io->in, ' ');
	if (space > 0)
		s->answer = hex_decode(io->arena, span_skip(io->in, (size_t)space + 1));
	if (s->answer.len != MD5_DIGEST_SIZE) {
		io->why = "invalid input";
		return MECH_FAIL;
	}
	io->user = arena_dup(io->arena, span_first(io->in, (size_t)space));
	io->scheme = "CRAM-MD5";
	s->at = CREDENTIAL_WANTED;
	return MECH_CREDENTIAL;
}

static enum mech_next cram_step(const struct mech *m UNUSED, void *state, struct mech_io *io)
{
	struct cram_state *s = state;
	switch (s->at) {
	case START:
		return send_challenge(s, io); /* an initial response has no meaning */
	case CHALLENGE_SENT:
		return take_answer(s, io);
	case CREDENTIAL_WANTED:
		break;
	}
	if (fits(s, io->credential) && io->verdict == VERDICT_OK)
		return MECH_DONE;
	io->why = "Password mismatch";
	return MECH_FAIL;
}

const struct mech mech_cram_md5 = {
    .name = "CRAM-MD5",
    .flags = MECH_DICTIONARY | MECH_ACTIVE | MECH_SERVER_FIRST | MECH_NEEDS_LOOKUP,
    .state_size = sizeof(struct cram_state),
    .step = cram_step,
};
