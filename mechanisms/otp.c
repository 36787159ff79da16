/*
 * OTP (RFC 2444): the server names the number of a one-time password, the
 * client sends it, as hexadecimal digits or six words, or with the beginning of
 * a new chain. Its place is taken by storing it before anybody is let in, so
 * that none is good twice.
 */
#include "base/otp.h"

#include "mechanisms/mech.h"

struct otp_state {
	enum { START, CREDENTIAL_WANTED, CHALLENGE_SENT, STORING } at;
	struct otp stored;
};

static enum mech_next refuse(struct mech_io *io, const char *why)
{
	io->why = why;
	return MECH_FAIL;
}

/* authzid NUL authcid */
static enum mech_next take_names(struct otp_state *s, struct mech_io *io)
{
	struct span rest = io->in, authzid, authcid;
	if (!span_split(&rest, '\0', &authzid) || !span_split(&rest, '\0', &authcid) ||
	    rest.ptr != NULL || authcid.len == 0)
		return refuse(io, "invalid input");
	io->authzid = arena_dup(io->arena, authzid);
	io->user = arena_dup(io->arena, authcid);
	io->scheme = "OTP";
	s->at = CREDENTIAL_WANTED;
	return MECH_CREDENTIAL;
}

static enum mech_next send_challenge(struct otp_state *s, struct mech_io *io)
{
	if (!secret_is_set(io->credential))
		return refuse(io, "nobody knows the user's one-time passwords");
	struct secret stored = secret_dup(io->arena, io->credential);
	if (!otp_parse(secret_reveal(stored), &s->stored))
		return refuse(io, "the stored one-time password is not valid");
	if (s->stored.sequence == 0)
		return refuse(io, "all one-time passwords are used up");
	io->out = arena_printf(io->arena, "otp-%s %u %.*s ext", otp_hash_name(s->stored.hash),
	    s->stored.sequence - 1, SPAN_ARG(s->stored.seed));
	s->at = CHALLENGE_SENT;
	return MECH_CLIENT;
}

/* ---- the answer (RFC 2444 section 3, RFC 2243) ---- */

struct answer {
	uint8_t link[OTP_LEN];
	bool begins; /* a new chain follows */
	struct otp chain;
};

static bool take_kind(struct span *text, const char *kind)
{
	struct span start = span_first(*text, strlen(kind));
	if (!span_eq_ci(start, span_of(kind)))
		return false;
	*text = span_skip(*text, strlen(kind));
	return true;
}

/* "current:md5 499 seed:new" */
static bool take_chain(
    struct span text, bool (*decode)(struct span text, uint8_t *link), struct answer *a)
{
	struct span current, parameters;
	a->begins = true;
	return span_split(&text, ':', &current) && decode(current, a->link) &&
	       span_split(&text, ':', &parameters) && otp_take_parameters(&parameters, &a->chain) &&
	       parameters.ptr == NULL && a->chain.sequence > 0 && text.ptr != NULL &&
	       decode(text, a->chain.last);
}

static bool take_answer(struct span text, struct answer *a)
{
	*a = (struct answer){0};
	if (take_kind(&text, "hex:"))
		return otp_from_hex(text, a->link);
	if (take_kind(&text, "word:"))
		return otp_from_words(text, a->link);
	if (take_kind(&text, "init-hex:"))
		return take_chain(text, otp_from_hex, a);
	return take_kind(&text, "init-word:") && take_chain(text, otp_from_words, a);
}

static bool follows(const struct otp *stored, const uint8_t link[OTP_LEN])
{
	uint8_t next[OTP_LEN];
	memcpy(next, link, OTP_LEN);
	otp_next(stored, next);
	return secret_eq(
	    secret_of(span_make(next, OTP_LEN)), secret_of(span_make(stored->last, OTP_LEN)));
}

/* A chain with the old one's seed would have its links again. */
static bool is_old_chain(const struct otp *old, const struct otp *chain)
{
	return old->hash == chain->hash && span_eq_ci(old->seed, chain->seed);
}

static enum mech_next check_answer(struct otp_state *s, struct mech_io *io)
{
	struct answer a;
	if (!take_answer(io->in, &a))
		return refuse(io, "invalid input");
	if (!follows(&s->stored, a.link))
		return refuse(io, "the one-time password is wrong");
	if (a.begins && is_old_chain(&s->stored, &a.chain))
		return refuse(io, "the new one-time passwords have the seed of the old ones");
	struct otp next = s->stored;
	next.sequence--;
	memcpy(next.last, a.link, OTP_LEN);
	io->replacement = secret_of(otp_format(a.begins ? &a.chain : &next, io->arena));
	s->at = STORING;
	return MECH_STORE;
}

static enum mech_next otp_step(const struct mech *m UNUSED, void *state, struct mech_io *io)
{
	struct otp_state *s = state;
	switch (s->at) {
	case START:
		return take_names(s, io);
	case CREDENTIAL_WANTED:
		return send_challenge(s, io);
	case CHALLENGE_SENT:
		return check_answer(s, io);
	case STORING:
		break;
	}
	return io->verdict == VERDICT_OK ? MECH_DONE
					 : refuse(io, "the one-time password was used meanwhile");
}

const struct mech mech_otp = {
    .name = "OTP",
    .flags =
	MECH_DICTIONARY | MECH_ACTIVE | MECH_ALLOW_NUL | MECH_NEEDS_LOOKUP | MECH_ONE_AT_A_TIME,
    .state_size = sizeof(struct otp_state),
    .step = otp_step,
};
