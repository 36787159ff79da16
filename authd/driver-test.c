/*
 * authd --test-driver: one section's configuration, driver and backend, step
 * by step. Runs in: a process of its own, which reads the configuration as
 * the parent does and then becomes what the worker is. Nothing secret is
 * printed: of passwords the scheme only, of a query its placeholders.
 */
#include "authd/driver-test.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include <sodium.h>

#include "authd/parent.h"
#include "authd/privileges.h"
#include "authd/sandbox.h"
#include "authd/trace.h"
#include "authd/worker-job.h"
#include "base/mem.h"
#include "base/wheel.h"
#include "drivers/drivers.h"
#include "drivers/report.h"

enum { PASSWORD_MAX = 4096, PATIENCE_MS = 20000, WHAT_WIDTH = 14 };
/* for drivers that have none of their own */
static const struct driver_advice advice[] = {
    {"Permission denied", STEP_BROKEN,
	"the worker may not read it: change its owner or mode, or worker_user in %s"},
    {"No such file or directory", STEP_BROKEN, "is the path in %s right?"},
};
static const char nobody[] = "authctl-driver-test";

struct test {
	struct driver_report report; /* first: step() gets only this */
	const struct driver_test_options *options;
	int64_t last_us;
	int worst; /* exit status */
	/* the section */
	struct lineup *lineup;
	const struct config_db *db;
	const char *place; /* of it, for messages */
	bool userdb;
	struct worker_config *wc;
	const struct driver_spec *spec;
	const struct driver *driver;
	struct arena arena;
	void *settings, *state;
	struct secret password;
};

/* ---- steps ---- */

static void print_text(const char *text)
{
	for (; *text != '\0'; text++) {
		if (*text == '\n')
			printf("\n      %*s", WHAT_WIDTH + 2, "");
		else
			putchar((unsigned char)*text < ' ' || *text == 0x7f ? '?' : *text);
	}
}

static void step(struct driver_report *report, enum step kind, const char *what, const char *text)
{
	static const char *const marks[] = {"ok", "note", "FAIL", "DOWN"};
	struct test *t = (struct test *)report;
	int64_t now = clock_us();
	printf("%-4s  %-*s  ", marks[kind], WHAT_WIDTH, what);
	print_text(text);
	printf("  (%.1f ms)\n", (double)(now - t->last_us) / 1000);
	fflush(stdout);
	if (kind == STEP_BROKEN)
		t->worst = EX_CONFIG;
	else if (kind == STEP_DOWN && t->worst == EX_OK)
		t->worst = EX_TEMPFAIL;
	t->last_us = clock_us();
}

/* ---- which section ---- */

static bool is_meant(const struct config_db *db, struct span name)
{
	uint64_t number;
	if (span_to_u64(name, &number))
		return db->id == number;
	return span_eq_str(name, db->set->driver) || span_eq_str(name, db->set->name);
}

static const struct config_db *find_in(const struct config_db *dbs, size_t count, struct span name)
{
	for (size_t i = 0; i < count; i++) {
		if (is_meant(&dbs[i], name))
			return &dbs[i];
	}
	return NULL;
}

static bool find_section(struct test *t)
{
	struct span rest = span_of(t->options->section), word, name = span_trim(rest);
	bool passdbs = true, userdbs = true;
	const struct config *c = t->lineup->config;
	if (span_word(&rest, " ", &word) &&
	    (span_eq_str(word, "passdb") || span_eq_str(word, "userdb"))) {
		passdbs = span_eq_str(word, "passdb");
		userdbs = !passdbs;
		name = span_trim(rest);
		if (name.len == 0)
			name = SPAN_LIT("1");
	}
	for (size_t i = 0; i < c->scope_count && t->db == NULL; i++) {
		const struct config_scope *s = &c->scopes[i];
		if (passdbs)
			t->db = find_in(s->passdbs, s->passdb_count, name);
		if (t->db == NULL && userdbs) {
			t->db = find_in(s->userdbs, s->userdb_count, name);
			t->userdb = t->db != NULL;
		}
	}
	return t->db != NULL;
}

static void list_sections(const struct config *c)
{
	for (size_t i = 0; i < c->scope_count; i++) {
		const struct config_scope *s = &c->scopes[i];
		for (size_t n = 0; n < s->passdb_count; n++)
			fprintf(stderr, "  passdb %u (%s)\n", s->passdbs[n].id,
			    s->passdbs[n].set->driver);
		for (size_t n = 0; n < s->userdb_count; n++)
			fprintf(stderr, "  userdb %u (%s)\n", s->userdbs[n].id,
			    s->userdbs[n].set->driver);
	}
}

/* ---- becoming the worker ---- */

static bool take_worker_config(struct test *t, struct err *err)
{
	struct buffer blob = {0};
	config_export_worker(t->lineup->config, (size_t)t->db->pool, &blob);
	t->wc = config_import_worker(buffer_span(&blob), err);
	mem_wipe(blob.data, blob.size);
	buffer_free(&blob);
	return t->wc != NULL;
}

/* A library would look into the home of who runs this. */
static void leave_environment(struct test *t)
{
	const char *values[32] = {NULL};
	for (size_t i = 0; child_inherits[i] != NULL && i < ARRAY_LEN(values); i++) {
		const char *value = getenv(child_inherits[i]);
		values[i] = value != NULL ? arena_cstr(&t->arena, span_of(value)) : NULL;
	}
	clearenv();
	for (size_t i = 0; child_inherits[i] != NULL && i < ARRAY_LEN(values); i++) {
		if (values[i] != NULL)
			setenv(child_inherits[i], values[i], 1);
	}
}

static bool confine(struct test *t, struct err *err)
{
	const struct lineup *l = t->lineup;
	leave_environment(t);
	if (l->drops_privileges && !privileges_drop(&l->pool_ids[t->db->pool], err))
		return false;
	if (!privileges_confine(getppid(), err))
		return false;
	if (sodium_init() < 0)
		return err_set(err, EX_SOFTWARE, "libsodium does not start");
	bool programs =
	    geteuid() == 0 || (t->db->spec != NULL && (t->db->spec->use & DRIVER_EXEC) != 0);
	return sandbox_enter(programs ? SANDBOX_WORKER_PROGRAMS : SANDBOX_WORKER, err);
}

/* As a worker does it. */
static bool load_driver(struct test *t, struct err *err)
{
	const struct driver_module *module = NULL;
	t->spec = worker_known_spec(t->wc->driver);
	if (t->spec != NULL)
		t->settings = driver_args_parse(
		    t->spec, span_of(t->wc->args), span_of(t->wc->file_text), &t->arena, err);
	if (t->spec != NULL && t->settings == NULL)
		return false;
	if (t->spec != NULL && t->spec->module != NULL)
		module = t->spec->module(t->settings);
	t->driver = worker_find_driver(t->wc->driver, module, t->wc->process->driver_dir, err);
	if (t->driver != NULL && t->settings == NULL)
		t->settings = driver_args_parse(t->driver->spec, span_of(t->wc->args),
		    span_of(t->wc->file_text), &t->arena, err);
	driver_limits.first_valid_uid = t->wc->process->first_valid_uid;
	driver_limits.last_valid_uid = t->wc->process->last_valid_uid;
	return t->driver != NULL && t->settings != NULL;
}

/* What is said of the section, kept when the rest of the configuration goes. */
static void note_section(struct test *t)
{
	const struct config_db *db = t->db;
	/* in the form of 2.4 there is no file of the driver's own */
	bool own = db->spec != NULL && db->spec->args == ARGS_FILE && db->set->args[0] != '\0';
	const char *file = own ? t->wc->args : db->place.file;
	t->report.file = arena_cstr(&t->arena, span_of(file));
	t->report.userdb = t->userdb;
	t->report.advice = advice;
	t->report.advice_count = ARRAY_LEN(advice);
	t->report.module_dir = t->wc->process->driver_dir;
	t->place = arena_printf(&t->arena, "%s of %s line %u", t->userdb ? "userdb" : "passdb",
	    db->place.file, db->place.line)
		       .ptr;
}

/* From here on there is no more in this process than in a worker. */
static bool become_worker(struct test *t, struct err *err)
{
	if (!take_worker_config(t, err))
		return false;
	note_section(t);
	if (!confine(t, err))
		return false;
	t->db = NULL;
	lineup_free(&t->lineup);
	return load_driver(t, err);
}

static bool prepare(struct test *t)
{
	struct err err = {0};
	if (!become_worker(t, &err)) {
		driver_step(&t->report, STEP_BROKEN, "configuration", "%s", err.text);
		return false;
	}
	driver_step(&t->report, STEP_GOOD, "configuration", "%s: driver %s, as uid %lu", t->place,
	    t->wc->driver, (unsigned long)geteuid());
	return true;
}

/* ---- asking ---- */

static bool is_hidden(const struct field *f)
{
	return f->value.ptr != NULL && trace_hides(f->key);
}

/* Its scheme, and whether a login can be verified with it: with some nobody is ever let in. */
static void tell_password(struct test *t, const struct entry *e)
{
	struct span hash = secret_reveal(e->password);
	bool braces = hash.ptr[0] == '{' && !e->password_noscheme;
	ssize_t end = braces ? span_find(hash, '}') : -1;
	const char *def = e->default_scheme != NULL ? e->default_scheme : "CRYPT", *weak;
	struct scheme_hash parsed;
	struct err err = {0};
	struct span scheme = end > 0 ? arena_dup(&t->arena, span_first(hash, (size_t)end + 1))
				     : arena_printf(&t->arena, "%s (the default scheme)", def);
	if (!scheme_parse(e->password, def, e->password_noscheme, &t->arena, &parsed, &err))
		driver_step(&t->report, STEP_BROKEN, "password", "%.*s, hidden: %s",
		    SPAN_ARG(scheme), err.text);
	else if (scheme_is_weak(&parsed, &weak) && !t->wc->allow_weak_schemes)
		driver_step(&t->report, STEP_BROKEN, "password",
		    "%.*s, hidden: %s is weak and refused without auth_allow_weak_schemes",
		    SPAN_ARG(scheme), weak);
	else
		driver_step(&t->report, STEP_GOOD, "password", "%.*s, hidden", SPAN_ARG(scheme));
}

static void tell_fields(struct test *t, const struct job *job)
{
	const struct fields *fields = &job->answer.fields;
	if (secret_reveal(job->ask.entry.password).len > 0)
		tell_password(t, &job->ask.entry);
	for (size_t i = 0; i < fields->count; i++) {
		const struct field *f = &fields->items[i];
		bool hidden = is_hidden(f);
		driver_step(&t->report, STEP_GOOD, "field", "%.*s%s%.*s", SPAN_ARG(f->key),
		    f->value.ptr != NULL ? "=" : "",
		    SPAN_ARG(hidden ? SPAN_LIT("<hidden>") : f->value));
	}
}

static void tell_answer(struct test *t, const struct job *job)
{
	const char *user = t->options->user;
	struct span why = job->answer.detail;
	switch (job->answer.verdict) {
	case VERDICT_OK:
	case VERDICT_NEXT:
		driver_step(&t->report, STEP_GOOD, "user", "%s: %s", user != NULL ? user : nobody,
		    secret_is_set(t->password) ? "the password is right" : "found");
		tell_fields(t, job);
		return;
	case VERDICT_UNKNOWN_USER:
		driver_step(&t->report, user == NULL ? STEP_GOOD : STEP_NOTE, "user",
		    user == NULL ? "%s: there is no such user, as it should be"
				 : "%s: there is no such user",
		    user != NULL ? user : nobody);
		if (user != NULL && t->worst == EX_OK)
			t->worst = EX_NOUSER;
		return;
	case VERDICT_NO_SCHEME:
		driver_step(&t->report, STEP_NOTE, "user",
		    "not asked: this backend only judges passwords; name a user and give one (-p)");
		return;
	case VERDICT_INTERNAL:
		driver_failed(&t->report, "query", arena_cstr(&t->arena, why),
		    job->answer.backend > BACKEND_ANSWERS ? STEP_DOWN : STEP_BROKEN);
		return;
	default:
		driver_step(&t->report, STEP_NOTE, "user", "%s: %.*s", user != NULL ? user : nobody,
		    SPAN_ARG(why));
		if (t->worst == EX_OK)
			t->worst = EX_NOPERM;
	}
}

/* What a request for this user would have; addresses are those of this machine. */
static void fill_question(const struct test *t, struct channel_question *q)
{
	struct span user = span_of(t->options->user != NULL ? t->options->user : nobody);
	q->ask = t->userdb		      ? CHANNEL_USERDB
		 : secret_is_set(t->password) ? CHANNEL_VERIFY
					      : CHANNEL_CREDENTIAL;
	q->deadline_ms = clock_ms() + PATIENCE_MS;
	q->password = q->vars.password = t->password;
	q->vars.v[VAR_USER] = q->vars.v[VAR_ORIGINAL_USER] = q->vars.v[VAR_LOGIN_USER] = user;
	q->vars.v[VAR_AUTH_USER] = user;
	q->vars.v[VAR_SERVICE] = SPAN_LIT("imap");
	q->vars.v[VAR_RIP] = q->vars.v[VAR_LIP] = SPAN_LIT("127.0.0.1");
	q->vars.v[VAR_SECURED] = SPAN_LIT("secured");
}

static void ask(struct test *t)
{
	struct asker as = {.driver = t->driver, .allow_weak_schemes = t->wc->allow_weak_schemes};
	struct job job = {0};
	as.can = t->driver->can_with != NULL ? t->driver->can_with(t->settings) : t->driver->can;
	if (t->driver->ask == NULL)
		return;
	asker_init(&as);
	fill_question(t, &job.q);
	job.q.passdb_fields = fields_in(&job.arena);
	job.q.userdb_fields = fields_in(&job.arena);
	job.answer.fields = fields_in(&job.arena);
	if (!asker_ask(&as, t->state, &job))
		asker_hash(&as, &job);
	tell_answer(t, &job);
	asker_free(&as);
	arena_free(&job.arena);
}

static void try_backend(struct test *t)
{
	struct err err = {0};
	if (t->driver->test != NULL && !t->driver->test(t->settings, &t->report))
		return;
	t->state = t->driver->open(t->settings, &err);
	if (t->state == NULL) {
		driver_failed(&t->report, "open", err.text, STEP_BROKEN);
		return;
	}
	driver_step(&t->report, STEP_GOOD, "open", "the driver has started");
	ask(t);
	t->driver->close(t->state);
}

/* ---- all of it ---- */

static bool read_password(struct test *t)
{
	static char line[PASSWORD_MAX];
	size_t len = 0;
	ssize_t n;
	if (!t->options->password_on_stdin)
		return true;
	while (len < sizeof(line) && (n = read(STDIN_FILENO, line + len, sizeof(line) - len)) > 0)
		len += (size_t)n;
	t->password = secret_of(arena_dup(&t->arena, span_make(line, len)));
	mem_wipe(line, sizeof(line));
	if (len == 0)
		fputs("authd: no password on standard input\n", stderr);
	return len > 0;
}

static int run(struct test *t)
{
	struct parent p = {.config_path = t->options->config_path, .dovecot = t->options->dovecot};
	struct config_report errors = {.plain = true};
	t->lineup = lineup_load(&p, &errors);
	if (t->lineup == NULL)
		return EX_CONFIG;
	log_init("driver test", LOG_FORMAT_TEXT, false);
	if (!find_section(t)) {
		fprintf(
		    stderr, "authd: there is no section \"%s\"; there are:\n", t->options->section);
		list_sections(t->lineup->config);
		return EX_USAGE;
	}
	if (t->db->pool < 0) {
		driver_step(&t->report, STEP_GOOD, "configuration",
		    "driver %s has no backend to test", t->db->set->driver);
		return EX_OK;
	}
	if (prepare(t))
		try_backend(t);
	return t->worst;
}

int driver_test_main(const struct driver_test_options *options)
{
	struct test t = {
	    .report = {.step = step,
		.reach = driver_test_reach,
		.certificate = driver_test_certificate},
	    .options = options,
	    .last_us = clock_us(),
	};
	signal(SIGPIPE, SIG_IGN); /* as workers have it from the parent */
	int status = read_password(&t) ? run(&t) : EX_USAGE;
	worker_config_free(&t.wc);
	lineup_free(&t.lineup);
	arena_free(&t.arena);
	return status;
}
