/*
 * The credential that a mechanism computes with: stored as such, or made from
 * a plaintext. What is slow to make (SCRAM: thousands of rounds) is made in a
 * hash lane, and where most users' has to be made, somebody who has none costs
 * as much: no challenge comes sooner for want of a user.
 * Runs in: worker, in the main thread or in a lane. Owner: the job's arena.
 */
#include "authd/worker-job.h"

enum { MADE_MAX = 100 };

static const struct scheme *wanted(const struct job *job)
{
	return scheme_find(job->q.scheme);
}

static bool is_slow(const struct job *job)
{
	const struct scheme *s = wanted(job);
	return s != NULL && s->cost != NULL;
}

static void note(struct asker *as, const struct job *job, int vote)
{
	int sum = as->made + vote;
	if (is_slow(job) && sum >= 0 && sum <= MADE_MAX)
		as->made = sum;
}

static enum verdict convert_hash(const struct asker *as, struct job *job,
    const struct scheme_hash *hash, struct secret *out, struct err *err)
{
	struct scheme_gen g = {
	    .user = job->q.vars.v[VAR_USER], .salt = job->q.salt, .prepare = as->password_precis};
	err_clear(err);
	return scheme_convert(
	    hash, arena_cstr(&job->arena, job->q.scheme), &g, &job->arena, out, err);
}

static void convert(const struct asker *as, struct job *job)
{
	struct secret out = SECRET_NULL;
	struct err err;
	enum verdict v = convert_hash(as, job, &job->hash, &out, &err);
	/* of several passwords the first that is, or can be made, what is wanted */
	for (size_t i = 0; i < job->more_count && v == VERDICT_NO_SCHEME; i++)
		v = convert_hash(as, job, &job->more[i].hash, &out, &err);
	job->ask.err = err;
	asker_answer(job, v);
	if (v == VERDICT_OK)
		job->answer.credential = out;
}

/* Is the first of his passwords that will do a plaintext? */
static bool has_to_be_made(const struct job *job)
{
	const struct scheme *target = wanted(job);
	for (size_t i = 0; target != NULL && i <= job->more_count; i++) {
		const struct scheme *s = i == 0 ? job->hash.scheme : job->more[i - 1].hash.scheme;
		if (strcmp(s->family, target->family) == 0)
			return false;
		if ((s->flags & SCHEME_PLAIN) != 0)
			return true;
	}
	return false;
}

/* The answer is known; false: it waits for a lane to spend the time that others' take. */
static bool refuse(const struct asker *as, struct job *job)
{
	enum verdict v = job->answer.verdict;
	bool owed = v == VERDICT_UNKNOWN_USER || v == VERDICT_NO_SCHEME;
	if (!owed || (job->q.flags & ASK_NO_DUMMY) != 0 || !is_slow(job) || as->made == 0)
		return true;
	job->makes = job->dummy = true;
	return false;
}

static bool found(struct asker *as, struct job *job)
{
	struct secret stored = SECRET_NULL;
	if (verifier_find(job, &stored)) {
		note(as, job, -1);
		asker_answer(job, VERDICT_OK);
		job->answer.credential = stored;
		return true;
	}
	if (!secret_is_set(job->ask.entry.password)) {
		asker_answer(job, VERDICT_NO_SCHEME);
		job->answer.detail = arena_printf(&job->arena,
		    "Requested %.*s scheme, but we have a NULL password", SPAN_ARG(job->q.scheme));
		return refuse(as, job);
	}
	if (!asker_parse(as, job))
		return true;
	if (is_slow(job) && has_to_be_made(job)) {
		note(as, job, 1);
		job->makes = true;
		return false;
	}
	convert(as, job);
	if (job->answer.verdict == VERDICT_OK)
		note(as, job, -1);
	return refuse(as, job);
}

bool asker_credential(struct asker *as, void *state, struct job *job)
{
	if ((as->can & CAN_SHOW) == 0)
		return asker_no_lookups(job);
	enum verdict v = asker_driver(as, state, job, ASK_PASSDB);
	asker_take_passwords(as, job);
	if (v == VERDICT_OK && fields_has(&job->ask.entry.fields, "noauthenticate"))
		v = VERDICT_NEXT;
	if (v == VERDICT_OK && job->q.scheme.len > 0)
		return found(as, job);
	asker_answer(job, v);
	return refuse(as, job);
}

void asker_make_credential(struct asker *as, struct job *job)
{
	if (!job->dummy) {
		convert(as, job);
		return;
	}
	struct scheme_gen g = {.user = job->q.vars.v[VAR_USER], .salt = job->q.salt};
	struct err err;
	err_clear(&err);
	(void)wanted(job)->generate(&g, secret_of(SPAN_LIT("nobody's")), &job->arena, &err);
}
