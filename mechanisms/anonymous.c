/*
 * ANONYMOUS (RFC 4505): a trace of who it might be, for the log, and he is
 * auth_anonymous_username. No passdb is asked.
 */
#include "mechanisms/mech.h"

enum { TRACE_MAX = 255 };

static enum mech_next anonymous_step(const struct mech *m UNUSED, void *state, struct mech_io *io)
{
	(void)state;
	struct span trace = span_first(io->in, TRACE_MAX);
	if (trace.len > 0)
		io->why = arena_printf(io->arena, "anonymous login: %.*s", SPAN_ARG(trace)).ptr;
	io->user = io->context->anonymous_username;
	return io->user.len > 0 ? MECH_DONE : MECH_FAIL;
}

const struct mech mech_anonymous = {
    .name = "ANONYMOUS",
    .flags = MECH_ANONYMOUS | MECH_ALLOW_NUL,
    .state_size = 1,
    .step = anonymous_step,
};
