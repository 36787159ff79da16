/*
 * NTLM (MS-NLMP), version 2 alone: what version 1 and LM send can be computed
 * back to the password's hash. The credential is that hash, MD4 of the password.
 * Off unless auth_mechanisms names it; for clients that know nothing better.
 */
#include <nettle/hmac.h>
#include <sodium.h>

#include "base/mem.h"
#include "base/utf16.h"
#include "mechanisms/mech.h"
#include "mechanisms/ntlm-message.h"

enum {
	PROOF_LEN = MD5_DIGEST_SIZE,
	RESPONSE_V1_LEN = 24,
	RESPONSE_LEAST = PROOF_LEN + 28, /* the proof, and what it must be about */
	NAME_MAX_LEN = 512,
};

struct ntlm_state {
	enum { START, CHALLENGE_SENT, CREDENTIAL_WANTED } at;
	uint32_t flags;
	uint8_t challenge[NTLM_CHALLENGE_LEN];
	struct ntlm_answer answer; /* in the arena */
};

static enum mech_next refuse(struct mech_io *io, const char *why)
{
	io->why = why;
	return MECH_FAIL;
}

static enum mech_next send_challenge(struct ntlm_state *s, struct mech_io *io)
{
	struct span random = io->context->nonce;
	unsigned char bytes[2 * NTLM_CHALLENGE_LEN];
	if (!ntlm_read_negotiate(io->in, &s->flags))
		return refuse(io, "invalid input");
	/* the nonce is text; all of it counts */
	crypto_generichash(
	    bytes, sizeof(bytes), (const unsigned char *)random.ptr, random.len, NULL, 0);
	memcpy(s->challenge, bytes, sizeof(s->challenge));
	io->out = ntlm_write_challenge(io->arena, s->flags, io->context->hostname, s->challenge);
	s->at = CHALLENGE_SENT;
	return MECH_CLIENT;
}

/* ---- the answer ---- */

static bool take_text(
    const struct ntlm_state *s, struct arena *a, struct span raw, struct span *out)
{
	if (raw.len > NAME_MAX_LEN)
		return false;
	*out = (s->flags & NTLM_UNICODE) != 0 ? utf16_to_utf8(a, raw) : arena_dup(a, raw);
	return out->ptr != NULL && span_find(*out, '\0') < 0;
}

/* user@domain, unless the name is whole or the domain is only what we have called ourselves. */
static bool take_name(struct ntlm_state *s, struct mech_io *io)
{
	struct span user, domain;
	if (!take_text(s, io->arena, s->answer.user, &user) ||
	    !take_text(s, io->arena, s->answer.domain, &domain) || user.len == 0)
		return false;
	io->user = user;
	bool ours = domain.len == 0 || span_eq_ci(domain, io->context->hostname);
	if (!ours && span_find(user, '@') < 0)
		io->user = arena_printf(io->arena, "%.*s@%.*s", SPAN_ARG(user), SPAN_ARG(domain));
	return true;
}

static enum mech_next take_answer(struct ntlm_state *s, struct mech_io *io)
{
	/* the message goes before the credential comes */
	if (!ntlm_read_authenticate(arena_dup(io->arena, io->in), &s->answer))
		return refuse(io, "invalid input");
	if (s->answer.nt_response.len == RESPONSE_V1_LEN)
		return refuse(io, "the client uses NTLM version 1, which is not accepted");
	if (s->answer.nt_response.len < RESPONSE_LEAST || !take_name(s, io))
		return refuse(io, "invalid input");
	io->scheme = "NT";
	s->at = CREDENTIAL_WANTED;
	return MECH_CREDENTIAL;
}

static void hmac(struct span key, struct span x, struct span y, uint8_t out[MD5_DIGEST_SIZE])
{
	struct hmac_md5_ctx ctx;
	hmac_md5_set_key(&ctx, key.len, (const uint8_t *)key.ptr);
	if (x.len > 0)
		hmac_md5_update(&ctx, x.len, (const uint8_t *)x.ptr);
	if (y.len > 0)
		hmac_md5_update(&ctx, y.len, (const uint8_t *)y.ptr);
	hmac_md5_digest(&ctx, MD5_DIGEST_SIZE, out);
	mem_wipe(&ctx, sizeof(ctx));
}

/* In UTF-16 whatever the messages are in; the domain's letters stay as they are. */
static struct span wide(const struct ntlm_state *s, struct arena *a, struct span raw)
{
	return (s->flags & NTLM_UNICODE) != 0 ? raw : utf16_from_utf8(a, raw);
}

/* Section 3.3.2: the proof is about our challenge and about what follows it in the response. */
static bool is_proven(const struct ntlm_state *s, struct mech_io *io)
{
	uint8_t key[MD5_DIGEST_SIZE], proof[MD5_DIGEST_SIZE];
	struct span nt_hash = secret_reveal(io->credential);
	struct span response = s->answer.nt_response;
	if (nt_hash.len != MD5_DIGEST_SIZE)
		return false;
	hmac(nt_hash, utf16_upper(io->arena, wide(s, io->arena, s->answer.user)),
	    wide(s, io->arena, s->answer.domain), key);
	hmac(span_make(key, sizeof(key)), span_make(s->challenge, sizeof(s->challenge)),
	    span_skip(response, PROOF_LEN), proof);
	mem_wipe(key, sizeof(key));
	return secret_eq(
	    secret_of(span_make(proof, sizeof(proof))), secret_of(span_first(response, PROOF_LEN)));
}

static enum mech_next ntlm_step(const struct mech *m UNUSED, void *state, struct mech_io *io)
{
	struct ntlm_state *s = state;
	switch (s->at) {
	case START:
		return send_challenge(s, io);
	case CHALLENGE_SENT:
		return take_answer(s, io);
	case CREDENTIAL_WANTED:
		break;
	}
	return is_proven(s, io) && io->verdict == VERDICT_OK ? MECH_DONE
							     : refuse(io, "Password mismatch");
}

const struct mech mech_ntlm = {
    .name = "NTLM",
    .flags = MECH_DICTIONARY | MECH_ACTIVE | MECH_ALLOW_NUL | MECH_NEEDS_LOOKUP,
    .state_size = sizeof(struct ntlm_state),
    .step = ntlm_step,
};
