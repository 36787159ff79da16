/*
 * GSSAPI (RFC 4752) and GSS-SPNEGO (RFC 4178): Kerberos, without passwords.
 * The messages go on to a worker that has the keys and the library; what is
 * decided here is only what comes after what.
 */
#include "mechanisms/mech.h"

struct gssapi_state {
	enum { CLIENT_SPEAKS, HELPER_SPEAKS, NAMED, LOOKED_UP, AUTHORIZED } at;
	struct secret last; /* the server's last message, with the success */
};

static enum mech_next hand_over(struct gssapi_state *s, struct mech_io *io)
{
	s->at = HELPER_SPEAKS;
	io->exchange.message = secret_of(arena_dup(io->arena, io->in));
	return MECH_EXCHANGE;
}

static enum mech_next helper_spoke(struct gssapi_state *s, struct mech_io *io)
{
	if (io->verdict == VERDICT_NEXT) {
		s->at = CLIENT_SPEAKS;
		io->out = secret_reveal(io->exchange.message);
		return MECH_CLIENT;
	}
	if (io->verdict != VERDICT_OK)
		return MECH_FAIL;
	s->last = io->exchange.message;
	s->at = NAMED;
	return MECH_USER;
}

/* A user whom no passdb has may log in all the same: his ticket says who he is. */
static bool may_go_on(enum verdict v)
{
	return v != VERDICT_INTERNAL && v != VERDICT_DISABLED && v != VERDICT_EXPIRED;
}

static enum mech_next gssapi_step(const struct mech *m UNUSED, void *state, struct mech_io *io)
{
	struct gssapi_state *s = state;
	switch (s->at) {
	case CLIENT_SPEAKS:
		return hand_over(s, io);
	case HELPER_SPEAKS:
		return helper_spoke(s, io);
	case NAMED:
		s->at = LOOKED_UP;
		io->scheme = "";
		return MECH_CREDENTIAL;
	case LOOKED_UP:
		if (!may_go_on(io->verdict))
			return MECH_FAIL;
		s->at = AUTHORIZED;
		io->exchange.authorize = true;
		io->exchange.message = SECRET_NULL;
		return MECH_EXCHANGE;
	case AUTHORIZED:
		break;
	}
	if (io->verdict != VERDICT_OK)
		return MECH_FAIL;
	if (secret_reveal(s->last).len > 0)
		io->out = secret_reveal(s->last);
	return MECH_DONE;
}

const struct mech mech_gssapi = {
    .name = "GSSAPI",
    .flags = MECH_ALLOW_NUL,
    .helper = "gssapi",
    .state_size = sizeof(struct gssapi_state),
    .step = gssapi_step,
};

const struct mech mech_gss_spnego = {
    .name = "GSS-SPNEGO",
    .flags = MECH_ALLOW_NUL,
    .helper = "gssapi",
    .state_size = sizeof(struct gssapi_state),
    .step = gssapi_step,
};
