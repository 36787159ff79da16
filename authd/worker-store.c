/*
 * Another password in the place of a stored one, as the front asks for it.
 * Runs in: worker, in a lane. Owner of everything: the job's arena.
 * The front knows the value in a scheme; which of the user's stored passwords
 * that is, and how it is written, is found out here.
 */
#include "authd/worker-job.h"
#include "drivers/replacement.h"

/* The stored password with the value that the front saw; false: none of them. */
static bool stored_as(const struct entry *e, struct job *job, struct entry_password *out)
{
	const char *def = e->default_scheme != NULL ? e->default_scheme : "CRYPT";
	const struct scheme *wanted = scheme_find(job->q.scheme);
	for (size_t i = 0; i <= e->more_count; i++) {
		struct entry_password p = {e->password, e->password_noscheme, SPAN_NULL};
		struct scheme_hash h;
		if (i > 0)
			p = e->more[i - 1];
		if (scheme_parse(p.password, def, p.noscheme, &job->arena, &h, NULL) &&
		    h.scheme == wanted && secret_eq(h.raw, job->q.password)) {
			*out = p;
			return true;
		}
	}
	return false;
}

static bool can_store(const struct asker *as, struct job *job)
{
	if ((as->can & CAN_STORE) != 0 && (as->can & CAN_SHOW) != 0)
		return true;
	job_answer(job, VERDICT_INTERNAL,
	    "a new %.*s value must be stored, and driver %s stores nothing",
	    SPAN_ARG(job->q.scheme), as->driver->spec->name);
	return false;
}

void asker_store(struct asker *as, void *state, struct job *job)
{
	if (!can_store(as, job))
		return;
	enum verdict v = asker_driver(as, state, job, ASK_PASSDB);
	asker_take_passwords(as, job);
	if (v != VERDICT_OK) {
		asker_answer(job, v == VERDICT_UNKNOWN_USER ? v : VERDICT_INTERNAL);
		return;
	}
	struct entry_password p;
	if (!stored_as(&job->ask.entry, job, &p)) {
		job_answer(job, VERDICT_MISMATCH, "the stored one is another by now");
		return;
	}
	struct replacement r = {.old = p.password, .password = job->q.replacement};
	if (!p.noscheme)
		r.password = secret_of(arena_join(&job->arena,
		    arena_printf(&job->arena, "{%.*s}", SPAN_ARG(job->q.scheme)),
		    secret_reveal(job->q.replacement)));
	asker_answer(job, as->driver->store(state, &job->ask, &r));
	job->answer.fields = fields_in(&job->arena);
}
