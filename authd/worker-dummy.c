/*
 * What hashes the users here have, so that a login of an unknown user costs as
 * much as one of a user who is known. Runs in: worker, any thread.
 */
#include "authd/worker-job.h"
#include "base/mem.h"

enum { SAMPLE_EVERY = 16 };

void asker_note_kind(struct asker *as, const struct scheme_hash *h)
{
	pthread_mutex_lock(&as->kinds_lock);
	struct hash_kind *k = &as->kinds[0];
	for (size_t i = 0; i < ARRAY_LEN(as->kinds); i++) {
		if (as->kinds[i].scheme == h->scheme) {
			k = &as->kinds[i];
			break;
		}
		if (as->kinds[i].seen < k->seen)
			k = &as->kinds[i];
	}
	if (k->scheme != h->scheme)
		k->seen = 0;
	if (k->seen++ % SAMPLE_EVERY == 0) {
		arena_reset(&k->arena);
		k->scheme = h->scheme;
		k->sample = *h;
		k->sample.raw = secret_dup(&k->arena, h->raw);
	}
	pthread_mutex_unlock(&as->kinds_lock);
}

bool asker_dummy_hash(struct asker *as, struct job *job)
{
	struct scheme_hash like;
	const struct hash_kind *k = &as->kinds[0];
	pthread_mutex_lock(&as->kinds_lock);
	for (size_t i = 1; i < ARRAY_LEN(as->kinds); i++) {
		if (as->kinds[i].seen > k->seen)
			k = &as->kinds[i];
	}
	bool known = k->seen > 0;
	if (known) {
		like = k->sample;
		like.raw = secret_dup(&job->arena, k->sample.raw);
	}
	pthread_mutex_unlock(&as->kinds_lock);
	return scheme_dummy(known ? &like : NULL, &job->arena, &job->hash);
}
