/*
 * What one mechanism needs to know of a user, in a field beside the password:
 * password_scram_sha_1, password_scram_sha_256, password_scram_sha_512, a value
 * of that scheme. Runs in: worker. Owner of everything: the job's arena.
 *
 * A fifth part behind the value binds it to the password's hash as it was
 * stored at the time: when somebody changes the password and not this, the old
 * password must not go on to work. Without that part it always counts.
 */
#include <sodium.h>

#include "authd/worker-job.h"
#include "base/encode.h"

enum { BINDING_LEN = 8, PARTS = 4 /* rounds, salt, StoredKey, ServerKey */ };

static const struct {
	const char *field, *scheme;
} kinds[JOB_VERIFIERS] = {{"password_scram_sha_1", "SCRAM-SHA-1"},
    {"password_scram_sha_256", "SCRAM-SHA-256"}, {"password_scram_sha_512", "SCRAM-SHA-512"}};

void verifiers_take(struct job *job)
{
	struct fields *f = &job->ask.entry.fields;
	for (size_t i = 0; i < JOB_VERIFIERS; i++) {
		struct field *found = fields_find(f, kinds[i].field);
		if (found == NULL)
			continue;
		struct span text = found->value.ptr != NULL ? found->value : SPAN_LIT("");
		job->verifiers[i] = (struct job_verifier){kinds[i].scheme, text};
		fields_remove(f, kinds[i].field);
	}
}

/* Whoever may read both needs no secret to make it: it only tells which belongs to which. */
static struct span binding_of(struct secret stored, struct arena *a)
{
	unsigned char digest[crypto_generichash_BYTES];
	struct span s = secret_reveal(stored);
	crypto_generichash(digest, sizeof(digest), (const unsigned char *)s.ptr, s.len, NULL, 0);
	return hex_encode_arena(a, span_make(digest, BINDING_LEN));
}

/* Takes the binding off, when there is one. */
static struct span take_binding(struct span *value)
{
	size_t commas = 0;
	for (size_t i = 0; i < value->len; i++)
		commas += value->ptr[i] == ',';
	if (commas < PARTS)
		return SPAN_NULL;
	size_t comma = (size_t)span_rfind(*value, ',');
	struct span binding = span_skip(*value, comma + 1);
	*value = span_first(*value, comma);
	return binding;
}

static bool is_bound(struct job *job, struct span binding)
{
	struct secret stored = job->ask.entry.password;
	return binding.ptr == NULL ||
	       (secret_is_set(stored) && span_eq(binding, binding_of(stored, &job->arena)));
}

static bool read_verifier(struct job *job, const struct job_verifier *v, struct secret *out)
{
	struct scheme_hash h;
	struct span value = v->text, binding = take_binding(&value);
	if (value.len == 0 || !is_bound(job, binding) ||
	    !scheme_parse(secret_of(value), v->scheme, false, &job->arena, &h, NULL) ||
	    strcmp(h.scheme->name, v->scheme) != 0)
		return false;
	*out = h.raw;
	return true;
}

bool verifier_find(struct job *job, struct secret *out)
{
	for (size_t i = 0; i < JOB_VERIFIERS; i++) {
		const struct job_verifier *v = &job->verifiers[i];
		if (v->text.len > 0 && span_eq_ci(job->q.scheme, span_of(v->scheme)))
			return read_verifier(job, v, out);
	}
	return false;
}

bool verifier_is_missing(struct job *job)
{
	struct secret raw;
	const struct job_verifier *v = &job->verifiers[1];
	return v->text.ptr != NULL && !read_verifier(job, v, &raw);
}

struct secret verifier_make(
    struct secret password, struct secret stored, struct arena *a, struct err *err)
{
	static const struct scheme_gen gen;
	struct secret made = scheme_generate(SPAN_LIT("SCRAM-SHA-256"), &gen, password, a, err);
	if (!secret_is_set(made))
		return made;
	/* no braces: an extra field's parser might take them for its own */
	struct span value = span_skip(secret_reveal(made), strlen("{SCRAM-SHA-256}"));
	return secret_of(arena_printf(a, "%.*s,%s", SPAN_ARG(value), binding_of(stored, a).ptr));
}
