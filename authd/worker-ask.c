/*
 * One question of the channel turned into calls of the driver, and the
 * comparison of the password with what the driver found. Runs in: worker, in
 * the main thread or in a lane. Owner of everything: the job's arena.
 * The password and the hash end here: an answer holds a verdict, the public
 * fields and, when a mechanism asked for it, one credential.
 */
#include <stdarg.h>
#include <stdio.h>

#include "authd/worker-job.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/wheel.h"
#include "drivers/exchange.h"

void job_answer(struct job *job, enum verdict verdict, const char *fmt, ...)
{
	char text[sizeof(((struct err *)0)->text)];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	job->answer.serial = job->q.serial;
	job->answer.verdict = verdict;
	job->answer.detail = arena_dup(&job->arena, span_of(text));
}

void job_outage(struct job *job, enum backend_state backend, const char *why)
{
	job_answer(job, VERDICT_INTERNAL, "%s", why);
	job->answer.backend = backend;
}

bool job_is_late(const struct job *job)
{
	return job->q.deadline_ms > 0 && clock_coarse_ms() > job->q.deadline_ms;
}

void asker_init(struct asker *as)
{
	pthread_mutex_init(&as->kinds_lock, NULL);
	as->made = 1; /* until some are seen */
}

void asker_free(struct asker *as)
{
	for (size_t i = 0; i < ARRAY_LEN(as->kinds); i++)
		arena_free(&as->kinds[i].arena);
	pthread_mutex_destroy(&as->kinds_lock);
	rehash_free(&as->rehash);
}

/* ---- asking the driver ---- */

static void about(const struct job *job, char *out, size_t size)
{
	snprintf(out, size, "%.*s", SPAN_ARG(job->q.vars.v[VAR_USER]));
}

static void log_entry_error(const struct asker *as, const struct job *job, const char *what)
{
	char user[256];
	about(job, user, sizeof(user));
	log_error("%s(%s): %s", as->driver->spec->name, user, what);
}

static void question_begin(struct job *job, enum question_kind kind)
{
	struct question *q = &job->ask;
	job->q.vars.passdb = &job->q.passdb_fields;
	job->q.vars.userdb = &job->q.userdb_fields;
	job_clear_question(job);
	q->kind = kind;
	q->vars = &job->q.vars;
	q->password = kind == ASK_VERIFY ? job->q.password : SECRET_NULL;
	if (kind == ASK_PASSDB && job->q.ask == CHANNEL_CREDENTIAL)
		q->scheme = job->q.scheme;
	q->deadline_ms = job->q.deadline_ms;
	q->arena = &job->arena;
	q->entry.fields = fields_in(&job->arena);
	q->tell = fields_in(&job->arena);
	q->backend = BACKEND_ANSWERS;
}

enum verdict asker_driver(
    const struct asker *as, void *state, struct job *job, enum question_kind kind)
{
	bool ahead = job->asked && job->ask.kind == kind;
	job->asked = false;
	if (!ahead)
		question_begin(job, kind);
	enum verdict v = ahead ? job->verdict : as->driver->ask(state, &job->ask);
	if (v >= VERDICT_COUNT)
		v = VERDICT_INTERNAL;
	enum backend_state b = job->ask.backend;
	if (b >= BACKEND_STATE_COUNT || (b > BACKEND_ANSWERS && v != VERDICT_INTERNAL))
		b = BACKEND_ANSWERS;
	job->answer.backend = b;
	return v;
}

/* Fields "password" and "password_noscheme" of drivers that have columns or templates. */
static void take_password_field(const struct asker *as, struct job *job, const char *key)
{
	struct entry *e = &job->ask.entry;
	struct field *f = fields_find(&e->fields, key);
	if (f == NULL)
		return;
	if (secret_is_set(e->password)) {
		log_entry_error(as, job, "Multiple password values not supported");
	} else if (f->value.ptr != NULL) {
		e->password = secret_of(f->value);
		e->password_noscheme = strcmp(key, "password_noscheme") == 0;
	}
	fields_remove(&e->fields, key);
}

void asker_take_passwords(const struct asker *as, struct job *job)
{
	take_password_field(as, job, "password");
	take_password_field(as, job, "password_noscheme");
	verifiers_take(job);
	/* an empty column means "no password", never "the empty password" */
	if (secret_reveal(job->ask.entry.password).len == 0)
		job->ask.entry.password = SECRET_NULL;
}

/* nopassword counts only where there is no password: a forgotten one must not open the door */
static bool any_password_will_do(const struct asker *as, struct job *job)
{
	struct entry *e = &job->ask.entry;
	bool field = fields_has(&e->fields, "nopassword");
	if (!field && (job->q.flags & ASK_NOPASSWORD) == 0)
		return false;
	if (!secret_is_set(e->password))
		return true;
	log_entry_error(as, job, "nopassword set but password is non-empty");
	fields_remove(&e->fields, "nopassword");
	return false;
}

void asker_answer(struct job *job, enum verdict v)
{
	const char *why = job->ask.err.text;
	if (why[0] == '\0') {
		switch (v) {
		case VERDICT_INTERNAL:
			why = "the driver gave no reason";
			break;
		case VERDICT_MISMATCH:
			why = "Password mismatch";
			break;
		case VERDICT_UNKNOWN_USER:
			why = "unknown user";
			break;
		case VERDICT_DISABLED:
			why = "User is disabled";
			break;
		case VERDICT_EXPIRED:
			why = "Password expired";
			break;
		default:
			break;
		}
	}
	job->answer.serial = job->q.serial;
	job->answer.verdict = v;
	job->answer.detail = span_of(why);
	job->answer.keep_ms = job->ask.keep_ms;
	job->answer.tell = job->ask.tell;
	bool found = v != VERDICT_INTERNAL && v != VERDICT_UNKNOWN_USER;
	job->answer.fields = found ? job->ask.entry.fields : fields_in(&job->arena);
}

static bool parse_one(const struct asker *as, struct job *job, struct secret password,
    bool noscheme, struct scheme_hash *hash, struct err *err)
{
	const char *def = job->ask.entry.default_scheme, *name;
	if (!scheme_parse(password, def != NULL ? def : "CRYPT", noscheme, &job->arena, hash, err))
		return false;
	if (scheme_is_weak(hash, &name) && !as->allow_weak_schemes)
		return err_set(err, 0, "Weak password scheme '%s' used and refused", name);
	return true;
}

/* The stored password taken apart, or an answer that says why not. */
static bool parse_hash(const struct asker *as, struct job *job)
{
	const struct entry *e = &job->ask.entry;
	struct err err;
	err_clear(&err);
	if (parse_one(as, job, e->password, e->password_noscheme, &job->hash, &err)) {
		job->stored = e->password_noscheme ? SECRET_NULL : e->password;
		return true;
	}
	job_answer(job, VERDICT_INTERNAL, "%s", err.text);
	return false;
}

/* All of the user's passwords. One that cannot be read does not keep the others from letting in. */
bool asker_parse(const struct asker *as, struct job *job)
{
	const struct entry *e = &job->ask.entry;
	struct err err = {0};
	if (e->more_count == 0)
		return parse_hash(as, job);
	struct job_hash *all = arena_alloc(&job->arena, (e->more_count + 1) * sizeof(*all));
	size_t count = 0;
	for (size_t i = 0; i <= e->more_count; i++) {
		struct entry_password p = {e->password, e->password_noscheme, e->password_name};
		if (i > 0)
			p = e->more[i - 1];
		all[count].name = p.name;
		all[count].stored = p.noscheme ? SECRET_NULL : p.password;
		if (parse_one(as, job, p.password, p.noscheme, &all[count].hash, &err))
			count++;
	}
	if (err.text[0] != '\0')
		job->unread = arena_cstr(&job->arena, span_of(err.text));
	if (count == 0) {
		job_answer(job, VERDICT_INTERNAL, "%s", err.text);
		return false;
	}
	job->hash = all[0].hash;
	job->hash_name = all[0].name;
	job->stored = all[0].stored;
	job->more = all + 1;
	job->more_count = count - 1;
	return true;
}

/* Compares with one password after the other until one fits. */
static enum verdict verify_hashes(const struct asker *as, struct job *job, struct err *err)
{
	struct span user = job->q.vars.v[VAR_USER];
	enum verdict v = scheme_verify(&job->hash, job->q.password, user, &job->arena, err);
	for (size_t i = 0; i < job->more_count && v == VERDICT_MISMATCH; i++) {
		job->hash = job->more[i].hash;
		job->hash_name = job->more[i].name;
		job->stored = job->more[i].stored;
		v = scheme_verify(&job->hash, job->q.password, user, &job->arena, err);
	}
	if (v == VERDICT_MISMATCH && job->unread != NULL) {
		err_set(err, 0, "%s", job->unread);
		return VERDICT_INTERNAL; /* it might have been that one */
	}
	if (v == VERDICT_OK && job->hash_name.len > 0)
		log_info("%s(%.*s): the password is \"%.*s\"", as->driver->spec->name,
		    SPAN_ARG(user), SPAN_ARG(job->hash_name));
	return v;
}

/* Whatever the comparison says, which is for its time, and for what the user may hear. */
static bool answer_is_known(struct job *job)
{
	if (job->dummy || job->refused)
		asker_answer(job, job->verdict);
	return job->dummy || job->refused;
}

void asker_hash(struct asker *as, struct job *job)
{
	if (job->makes) {
		asker_make_credential(as, job);
		return;
	}
	/* for an unknown or refused user what the driver said stays */
	bool keep = job->dummy || job->refused;
	struct err of_dummy, *err = keep ? &of_dummy : &job->ask.err;
	err_clear(err);
	enum verdict v = verify_hashes(as, job, err);
	if (job->dummy) {
		(void)answer_is_known(job);
		return;
	}
	bool compared = v == VERDICT_OK || v == VERDICT_MISMATCH;
	if (compared && !scheme_is_locked(&job->hash))
		asker_note_kind(as, &job->hash);
	if (answer_is_known(job)) {
		job->answer.has_password = v == VERDICT_OK;
		return;
	}
	if (v == VERDICT_OK)
		rehash_note(as, job);
	asker_answer(job, compared ? v : VERDICT_INTERNAL);
	job->answer.has_password = compared;
}

/* True: done here; false: job->hash waits for a hash lane. */
static bool hash_here_or_later(struct asker *as, struct job *job)
{
	struct scheme_cost cost = scheme_cost(&job->hash);
	for (size_t i = 0; i < job->more_count; i++) {
		struct scheme_cost other = scheme_cost(&job->more[i].hash);
		cost.expensive = cost.expensive || other.expensive;
		cost.memory = other.memory > cost.memory ? other.memory : cost.memory;
		cost.usec = other.usec > cost.usec ? other.usec : cost.usec;
	}
	if (!cost.expensive) {
		asker_hash(as, job);
		return true;
	}
	if (as->hash_time_limit != 0 && cost.usec / 1000 > as->hash_time_limit) {
		if (!answer_is_known(job))
			job_answer(job, VERDICT_INTERNAL,
			    "The %s hash would take about %llu seconds, more than hash_time_limit "
			    "allows",
			    job->hash.scheme->name, (unsigned long long)(cost.usec / 1000000));
		return true;
	}
	if (as->hash_memory_limit != 0 && cost.memory > as->hash_memory_limit) {
		if (!answer_is_known(job))
			job_answer(job, VERDICT_INTERNAL,
			    "The %s hash needs %llu MiB of memory, more than this worker's part "
			    "of hash_memory_limit (%llu MiB)",
			    job->hash.scheme->name, (unsigned long long)(cost.memory >> 20),
			    (unsigned long long)(as->hash_memory_limit >> 20));
		return true;
	}
	job->hash_memory = cost.memory;
	return false;
}

/* Who is unknown, or has nothing to compare with: it takes as long as any other user's login. */
static bool refuse(struct asker *as, struct job *job, enum verdict v)
{
	bool owed = secret_is_set(job->q.password) && (job->q.flags & ASK_NO_DUMMY) == 0;
	if (owed && asker_dummy_hash(as, job)) {
		job->dummy = true;
		job->verdict = v;
		job->more_count = 0;
		return hash_here_or_later(as, job);
	}
	asker_answer(job, v);
	return true;
}

static bool is_locked(const struct job *job)
{
	bool locked = job->unread == NULL && scheme_is_locked(&job->hash);
	for (size_t i = 0; i < job->more_count && locked; i++)
		locked = scheme_is_locked(&job->more[i].hash);
	return locked;
}

static bool compare(struct asker *as, struct job *job)
{
	asker_take_passwords(as, job);
	if (fields_has(&job->ask.entry.fields, "noauthenticate")) {
		asker_answer(job, VERDICT_NEXT);
	} else if ((job->q.flags & ASK_SKIP_PASSWORD) != 0 || any_password_will_do(as, job)) {
		asker_answer(job, VERDICT_OK);
	} else if (!secret_is_set(job->ask.entry.password)) {
		err_set(&job->ask.err, 0,
		    "Password mismatch: No password returned (and no nopassword)");
		return refuse(as, job, VERDICT_MISMATCH);
	} else if (!secret_is_set(job->q.password)) {
		job_answer(job, VERDICT_INTERNAL, "the question came without a password");
	} else if (asker_parse(as, job)) {
		return is_locked(job) ? refuse(as, job, VERDICT_MISMATCH)
				      : hash_here_or_later(as, job);
	}
	return true;
}

/* Disabled or expired. It takes as long as any other user's login. */
static bool refused_user(struct asker *as, struct job *job, enum verdict v)
{
	asker_take_passwords(as, job);
	bool comparable = secret_is_set(job->ask.entry.password) && secret_is_set(job->q.password);
	if (comparable && asker_parse(as, job)) {
		job->refused = true;
		job->verdict = v;
		return hash_here_or_later(as, job);
	}
	asker_answer(job, v);
	return true;
}

bool asker_no_lookups(struct job *job)
{
	job_answer(job, VERDICT_NO_SCHEME,
	    "passdb doesn't support lookups, can't verify user's existence");
	return true;
}

static bool verify(struct asker *as, void *state, struct job *job)
{
	bool skip = (job->q.flags & ASK_SKIP_PASSWORD) != 0;
	if ((as->can & CAN_VERIFY) != 0 && !skip) {
		asker_judge(as, state, job);
		return true;
	}
	if ((as->can & CAN_SHOW) == 0)
		return asker_no_lookups(job);
	enum verdict v = asker_driver(as, state, job, ASK_PASSDB);
	if (v == VERDICT_OK)
		return compare(as, job);
	if (v == VERDICT_UNKNOWN_USER && !skip)
		return refuse(as, job, VERDICT_UNKNOWN_USER);
	if ((v == VERDICT_DISABLED || v == VERDICT_EXPIRED) && !skip)
		return refused_user(as, job, v);
	asker_take_passwords(as, job);
	asker_answer(job, v);
	return true;
}

static bool userdb(struct asker *as, void *state, struct job *job)
{
	if ((as->can & CAN_SHOW) == 0) {
		job_answer(
		    job, VERDICT_INTERNAL, "driver %s has no user entries", as->driver->spec->name);
		return true;
	}
	enum verdict v = asker_driver(as, state, job, ASK_USERDB);
	fields_remove(&job->ask.entry.fields, "password");
	fields_remove(&job->ask.entry.fields, "password_noscheme");
	verifiers_take(job);
	asker_answer(job, v);
	return true;
}

/* What the client is sent is the answer's credential; who he is and which exchange, told apart. */
static bool exchange(struct asker *as, void *state, struct job *job)
{
	struct exchange ex = {
	    .mechanism = job->q.scheme,
	    .handle = job->q.handle,
	    .authorize = (job->q.flags & ASK_AUTHORIZE) != 0,
	    .input = job->q.password,
	};
	if (as->driver->exchange == NULL) {
		job_answer(job, VERDICT_INTERNAL, "driver %s carries out no mechanism",
		    as->driver->spec->name);
		return true;
	}
	question_begin(job, ASK_PASSDB);
	enum verdict v = as->driver->exchange(state, &job->ask, &ex);
	job->answer.backend = BACKEND_ANSWERS; /* whatever it says is about this client */
	asker_answer(job, v < VERDICT_COUNT ? v : VERDICT_INTERNAL);
	if (v != VERDICT_OK && v != VERDICT_NEXT)
		return true;
	job->answer.credential = ex.output;
	fields_set(&job->answer.tell, SPAN_LIT("handle"), ex.handle);
	fields_set(&job->answer.tell, SPAN_LIT("user"), ex.user);
	return true;
}

bool asker_ask(struct asker *as, void *state, struct job *job)
{
	switch (job->q.ask) {
	case CHANNEL_VERIFY:
		return verify(as, state, job);
	case CHANNEL_CREDENTIAL:
		return asker_credential(as, state, job);
	case CHANNEL_USERDB:
		return userdb(as, state, job);
	case CHANNEL_STORE:
		asker_store(as, state, job);
		return true;
	case CHANNEL_EXCHANGE:
		return exchange(as, state, job);
	case CHANNEL_CENSUS: /* worker-census.c */
	case CHANNEL_LIST:   /* worker-list.c */
		break;
	}
	job_answer(job, VERDICT_INTERNAL, "driver %s cannot do this", as->driver->spec->name);
	return true;
}

/* What asker_ask() will ask the driver first; false: nothing that this driver is asked. */
static bool first_question(const struct asker *as, const struct job *job, enum question_kind *kind)
{
	bool judge = job->q.ask == CHANNEL_VERIFY && (as->can & CAN_VERIFY) != 0 &&
		     (job->q.flags & ASK_SKIP_PASSWORD) == 0;
	*kind = judge ? ASK_VERIFY : job->q.ask == CHANNEL_USERDB ? ASK_USERDB : ASK_PASSDB;
	return job->q.ask != CHANNEL_LIST && (judge || (as->can & CAN_SHOW) != 0);
}

struct ahead {
	struct job *jobs[ASK_MANY_MAX];
	void (*early)(void *ctx, struct job *job);
	void *ctx;
};

static void take_early(void *ctx, size_t number, enum verdict v)
{
	struct ahead *a = ctx;
	struct job *job = a->jobs[number];
	a->jobs[number] = NULL;
	job->asked = true;
	job->verdict = v;
	a->early(a->ctx, job);
}

void asker_ask_ahead(struct asker *as, void *state, struct job *const *jobs, size_t count,
    void (*early)(void *ctx, struct job *job), void *ctx)
{
	struct ahead a = {.early = early, .ctx = ctx};
	struct question *questions[ASK_MANY_MAX];
	enum verdict verdicts[ASK_MANY_MAX];
	size_t n = 0;
	for (size_t i = 0; i < count; i++) {
		enum question_kind kind;
		if (!first_question(as, jobs[i], &kind))
			continue;
		question_begin(jobs[i], kind);
		questions[n] = &jobs[i]->ask;
		verdicts[n] = VERDICT_INTERNAL;
		a.jobs[n++] = jobs[i];
	}
	if (n == 0)
		return;
	as->driver->ask_many(state, questions, verdicts, n, take_early, &a);
	for (size_t i = 0; i < n; i++) {
		if (a.jobs[i] == NULL)
			continue;
		a.jobs[i]->asked = true;
		a.jobs[i]->verdict = verdicts[i];
	}
}
