/*
 * PLAIN (RFC 4616): authzid NUL authcid NUL password, in one message.
 */
#include "mechanisms/mech.h"

/* A message has exactly two NULs (section 2); the password ends where it ends. */
static bool split(struct mech_io *io)
{
	struct span rest = io->in, authzid, authcid, password;
	if (!span_split(&rest, '\0', &authzid) || !span_split(&rest, '\0', &authcid) ||
	    !span_split(&rest, '\0', &password) || rest.ptr != NULL)
		return false;
	io->authzid = authzid;
	io->user = authcid;
	io->password = secret_of(password);
	return true;
}

static enum mech_next plain_step(const struct mech *m UNUSED, void *state, struct mech_io *io)
{
	bool *asked = state;
	if (*asked)
		return io->verdict == VERDICT_OK ? MECH_DONE : MECH_FAIL;
	if (!split(io)) {
		io->why = "invalid input";
		return MECH_FAIL;
	}
	*asked = true;
	return MECH_VERIFY;
}

const struct mech mech_plain = {
    .name = "PLAIN",
    .flags = MECH_PLAINTEXT | MECH_ALLOW_NUL | MECH_NEEDS_VERIFY,
    .state_size = sizeof(bool),
    .step = plain_step,
};
