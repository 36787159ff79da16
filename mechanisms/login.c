/*
 * LOGIN (draft-murchison-sasl-login): two prompts, user name and password.
 * The user name is checked before the password is asked for.
 */
#include "mechanisms/mech.h"

enum login_state { START, NAME_ASKED, PASSWORD_WANTED, PASSWORD_ASKED, VERDICT_WANTED };

static enum mech_next prompt(struct mech_io *io, const char *text)
{
	io->out = span_of(text);
	return MECH_CLIENT;
}

static enum mech_next take_name(enum login_state *state, struct mech_io *io)
{
	io->user = arena_dup(io->arena, io->in);
	*state = PASSWORD_WANTED;
	return MECH_USER;
}

static enum mech_next login_step(const struct mech *m UNUSED, void *state, struct mech_io *io)
{
	enum login_state *at = state;
	switch (*at) {
	case START:
		/* an initial response may hold the name; an empty one does not */
		if (io->in.len > 0)
			return take_name(at, io);
		*at = NAME_ASKED;
		return prompt(io, "Username:");
	case NAME_ASKED:
		return take_name(at, io);
	case PASSWORD_WANTED:
		*at = PASSWORD_ASKED;
		return prompt(io, "Password:");
	case PASSWORD_ASKED:
		io->password = secret_of(arena_dup(io->arena, io->in));
		*at = VERDICT_WANTED;
		return MECH_VERIFY;
	case VERDICT_WANTED:
		break;
	}
	return io->verdict == VERDICT_OK ? MECH_DONE : MECH_FAIL;
}

const struct mech mech_login = {
    .name = "LOGIN",
    .flags = MECH_PLAINTEXT | MECH_SERVER_FIRST | MECH_NEEDS_VERIFY,
    .state_size = sizeof(enum login_state),
    .step = login_step,
};
