/*
 * What hashes the users here have, so that a login of an unknown user costs as
 * much as one of a user who is known. Runs in: worker, any thread.
 */
#include <crypt.h>

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

/* What crypt(3) prefers here, and so what users of the system mostly have. */
static bool system_hash(struct arena *a, struct scheme_hash *out)
{
	char *setting = arena_alloc(a, CRYPT_GENSALT_OUTPUT_SIZE);
	struct err err = {0};
	return crypt_gensalt_rn(NULL, 0, NULL, 0, setting, CRYPT_GENSALT_OUTPUT_SIZE) != NULL &&
	       scheme_parse(secret_of(span_of(setting)), "CRYPT", true, a, out, &err);
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
	if (!known && as->hashed_elsewhere)
		return false;
	if (!known && (as->can & HASHES_HERE) != 0)
		known = system_hash(&job->arena, &like);
	return scheme_dummy(known ? &like : NULL, &job->arena, &job->hash);
}
