/*
 * Rehash: after a login with a password whose stored hash is weak, a better one
 * takes its place. It begins when the answer is written, in one lane for all,
 * at low priority, and with the driver's compare-and-swap: a password that was
 * changed meanwhile stays. Runs in: worker.
 * Not fatal: it fails, is logged now and then, and is tried at the next login.
 */
#include <inttypes.h>
#include <sysexits.h>

#include "authd/worker-job.h"
#include "base/log.h"
#include "base/wheel.h"
#include "drivers/replacement.h"

enum { COMPLAIN_EACH_MS = 10 * 60 * 1000 };

static bool make_hash(
    struct rehash *re, struct secret password, struct arena *a, struct secret *out, struct err *err)
{
	const struct scheme_gen gen = {.rounds = re->rounds};
	*out = scheme_generate(span_of(re->scheme), &gen, password, a, err);
	return secret_is_set(*out);
}

/* What a login would wait for all its life is a slip of the pen. */
static bool rounds_are_possible(const struct rehash *re, struct err *err)
{
	static const struct {
		const char *scheme;
		unsigned most;
	} rows[] = {{"BLF-CRYPT", 16}, {"SHA256-CRYPT", 5000000}, {"SHA512-CRYPT", 5000000},
	    {"ARGON2I", 20}, {"ARGON2ID", 20}};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		if (strcmp(rows[i].scheme, re->scheme) == 0 && re->rounds > rows[i].most)
			return err_set(err, EX_CONFIG,
			    "auth_rehash_rounds = %u: for %s it is %u at most", re->rounds,
			    re->scheme, rows[i].most);
	}
	return true;
}

/* A hash of nothing, for its cost. */
static bool make_target(struct rehash *re, struct err *err)
{
	struct secret text;
	return make_hash(re, secret_of(SPAN_LIT("authd")), &re->arena, &text, err) &&
	       scheme_parse(text, NULL, false, &re->arena, &re->target, err);
}

bool rehash_init(struct asker *as, const struct worker_config *wc, struct err *err)
{
	struct rehash *re = &as->rehash;
	re->scheme = wc->rehash_scheme;
	re->rounds = wc->rehash_rounds;
	re->scram = wc->scram;
	re->on = wc->rehash && (as->can & CAN_STORE) != 0 && (as->can & CAN_SHOW) != 0 &&
		 as->driver->lanes != LANES_PROCESS; /* a second state is not possible there */
	if (wc->rehash && !re->on)
		log_warning(
		    "rehash = yes has no effect: driver %s stores nothing", as->driver->spec->name);
	if (!re->on)
		return true;
	return rounds_are_possible(re, err) && make_target(re, err);
}

void rehash_free(struct rehash *re)
{
	arena_free(&re->arena);
}

/*
 * What nobody has looked at does not become the password: its end may be a slip that the old hash
 * lets pass. Nor does it become one of which only the beginning counts.
 */
static bool all_of_it_counts(const struct rehash *re, const struct job *job)
{
	return scheme_reads_all(&job->hash, job->q.password) &&
	       scheme_reads_all(&re->target, job->q.password);
}

void rehash_note(struct asker *as, struct job *job)
{
	struct rehash *re = &as->rehash;
	atomic_fetch_add(&re->logins[scheme_kind_of(&job->hash)], 1);
	if (!re->on || (job->q.flags & ASK_REHASH) == 0 || !secret_is_set(job->stored) ||
	    !all_of_it_counts(re, job))
		return;
	job->rehash = scheme_is_weaker(&job->hash, &re->target) ||
		      (re->scram && job->more_count == 0 && verifier_is_missing(job));
}

struct channel_tally rehash_tally(const struct rehash *re)
{
	struct channel_tally t = {.upgraded = atomic_load(&re->upgraded),
	    .failed = atomic_load(&re->failed),
	    .outrun = atomic_load(&re->outrun)};
	for (size_t i = 0; i < SCHEME_KINDS; i++)
		t.logins[i] = atomic_load(&re->logins[i]);
	return t;
}

static void complain(struct asker *as, const char *why)
{
	struct rehash *re = &as->rehash;
	int64_t now = clock_ms();
	atomic_fetch_add(&re->failed, 1);
	if (re->complained_at != 0 && now - re->complained_at < COMPLAIN_EACH_MS) {
		re->complaints++;
		return;
	}
	log_error("%s: a stored password could not be brought to %s: %s (%u such failures since "
		  "this was said last; the logins were good)",
	    as->driver->spec->name, re->scheme, why, re->complaints);
	re->complained_at = now;
	re->complaints = 0;
}

/* Is it still what the user has logged in with? Saves the work when another login was quicker. */
static bool is_still_there(struct asker *as, void *state, struct job *job)
{
	enum verdict v = asker_driver(as, state, job, ASK_PASSDB);
	asker_take_passwords(as, job);
	const struct entry *e = &job->ask.entry;
	bool same = v == VERDICT_OK && secret_eq(e->password, job->stored);
	for (size_t i = 0; v == VERDICT_OK && i < e->more_count && !same; i++)
		same = secret_eq(e->more[i].password, job->stored);
	if (v == VERDICT_INTERNAL)
		complain(as, job->ask.err.text);
	else if (!same)
		atomic_fetch_add(&as->rehash.outrun, 1);
	return same;
}

static bool make_replacement(
    struct asker *as, struct job *job, struct replacement *r, struct lane_pool *hash_pool)
{
	struct rehash *re = &as->rehash;
	struct err err = {0};
	uint64_t memory = scheme_cost(&re->target).memory;
	if (!lane_borrow(hash_pool, memory)) {
		complain(
		    as, "there is too little memory for it (hash_memory_limit), or authd ends");
		return false;
	}
	r->old = job->stored;
	bool ok = make_hash(re, job->q.password, &job->arena, &r->password, &err);
	lane_give_back(hash_pool, memory);
	if (ok && re->scram) {
		r->scram_sha_256 = verifier_make(job->q.password, r->password, &job->arena, &err);
		ok = secret_is_set(r->scram_sha_256);
	}
	if (!ok)
		complain(as, err.text);
	return ok;
}

void rehash_run(struct asker *as, void *state, struct job *job, struct lane_pool *hash_pool)
{
	struct replacement r = {0};
	if (!is_still_there(as, state, job) || !make_replacement(as, job, &r, hash_pool))
		return;
	job->ask.err = (struct err){0};
	enum verdict v = as->driver->store(state, &job->ask, &r);
	if (v == VERDICT_OK) {
		atomic_fetch_add(&as->rehash.upgraded, 1);
		log_info("%s(%.*s): the stored password is %s now, it was %s",
		    as->driver->spec->name, SPAN_ARG(job->q.vars.v[VAR_USER]), as->rehash.scheme,
		    scheme_kinds[scheme_kind_of(&job->hash)].name);
	} else if (v == VERDICT_INTERNAL) {
		complain(as, job->ask.err.text);
	} else {
		atomic_fetch_add(&as->rehash.outrun, 1);
	}
}
