/*
 * EXTERNAL (RFC 4422 appendix A): who one is has been shown elsewhere, here by
 * a TLS certificate that the login process has checked. The message names whom
 * he wants to be, if not himself. The passdbs say whether he may log in so: they
 * are asked with an empty password, and only nopassword says yes to that.
 */
#include "mechanisms/mech.h"

static enum mech_next external_step(const struct mech *m UNUSED, void *state, struct mech_io *io)
{
	bool *asked = state;
	if (*asked)
		return io->verdict == VERDICT_OK ? MECH_DONE : MECH_FAIL;
	if (io->context->cert_username.len == 0) {
		io->why = "Username not known: no certificate, or auth_ssl_username_from_cert = no";
		return MECH_FAIL;
	}
	*asked = true;
	io->user = io->context->cert_username;
	io->authzid = arena_dup(io->arena, io->in);
	io->password = secret_of(SPAN_LIT(""));
	return MECH_VERIFY;
}

const struct mech mech_external = {
    .name = "EXTERNAL",
    .flags = MECH_NEEDS_VERIFY,
    .state_size = sizeof(bool),
    .step = external_step,
};
