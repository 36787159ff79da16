/*
 * Drivers that judge passwords themselves. Where they do so with libraries that
 * hash in this process (PAM), a hash that is computed twice in a row is computed
 * once, and whoever is refused without one costs one all the same. Runs in:
 * worker, in a lane. Owner of everything: the job's arena.
 */
#include "authd/crypt-once.h"
#include "authd/worker-job.h"

/* What was hashed here is what users here have; the digest is nobody's business afterwards. */
static void note_hash(struct asker *as, struct job *job, const struct crypt_once *once)
{
	struct scheme_hash seen, like;
	struct err err = {0};
	struct secret stored = secret_of(span_of(once->setting));
	if (scheme_parse(stored, "CRYPT", true, &job->arena, &seen, &err) &&
	    scheme_dummy(&seen, &job->arena, &like))
		asker_note_kind(as, &like);
}

static enum verdict ask_hashing(struct asker *as, void *state, struct job *job, bool *hashed)
{
	struct crypt_once once;
	crypt_once_begin(&once);
	enum verdict v = asker_driver(as, state, job, ASK_VERIFY);
	*hashed = once.computed > 0;
	if (once.setting[0] != '\0')
		note_hash(as, job, &once);
	else if (v == VERDICT_OK && !*hashed)
		as->hashed_elsewhere = true;
	crypt_once_end(&once);
	return v;
}

/*
 * Unknown, locked, or turned away before the password was looked at. What is
 * computed for that is computed where PAM does it: in this thread, at its priority.
 */
static bool owes_hash(struct asker *as, struct job *job, enum verdict v)
{
	return (v == VERDICT_UNKNOWN_USER || v == VERDICT_MISMATCH) &&
	       secret_is_set(job->q.password) && (job->q.flags & ASK_NO_DUMMY) == 0 &&
	       asker_dummy_hash(as, job);
}

void asker_judge(struct asker *as, void *state, struct job *job)
{
	bool hashes = (as->can & HASHES_HERE) != 0, hashed = false;
	enum verdict v = hashes ? ask_hashing(as, state, job, &hashed)
				: asker_driver(as, state, job, ASK_VERIFY);
	asker_take_passwords(as, job);
	bool next = v == VERDICT_OK && fields_has(&job->ask.entry.fields, "noauthenticate");
	asker_answer(job, next ? VERDICT_NEXT : v);
	bool judged = v == VERDICT_OK || v == VERDICT_MISMATCH;
	job->answer.has_password = judged || v == VERDICT_DISABLED || v == VERDICT_EXPIRED;
	if (hashes && !hashed && owes_hash(as, job, v)) {
		job->dummy = true;
		job->verdict = v;
		asker_hash(as, job);
	}
}
