/*
 * Counts of which kind the stored passwords are: every user that the driver
 * lists is looked up. Runs in: worker, in a lane; for an administrator who asks
 * how many users are left, not for logins. Owner of everything: the job's arena.
 */
#include <stdio.h>

#include "authd/worker-job.h"
#include "base/log.h"

struct census {
	struct buffer names; /* each with its length before it */
	struct job *job;
	uint64_t kinds[SCHEME_KINDS], none, unreadable;
	bool incomplete;
};

/* The list first: some backends cannot answer another question meanwhile. */
static bool keep_name(void *ctx, struct span user)
{
	struct census *c = ctx;
	wire_put_span(&c->names, user);
	return !job_is_late(c->job) && !atomic_load(&c->job->cancelled);
}

static void count_one(struct census *c, const struct question *q)
{
	const struct entry *e = &q->entry;
	const char *def = e->default_scheme != NULL ? e->default_scheme : "CRYPT";
	struct scheme_hash h;
	if (secret_reveal(e->password).len == 0)
		c->none++;
	else if (scheme_parse(e->password, def, e->password_noscheme, q->arena, &h, NULL))
		c->kinds[scheme_kind_of(&h)]++;
	else
		c->unreadable++;
}

/* The main job's arena would grow with the users: each has one of his own. */
static void look_up(struct census *c, struct asker *as, void *state, struct job *one)
{
	enum verdict v = asker_driver(as, state, one, ASK_PASSDB);
	asker_take_passwords(as, one);
	if (v == VERDICT_INTERNAL)
		c->incomplete = true;
	else if (v == VERDICT_OK)
		count_one(c, &one->ask);
}

static void look_all_up(struct census *c, struct asker *as, void *state)
{
	struct wire_reader r = wire_reader_of(buffer_span(&c->names));
	while (r.at < r.end && !r.failed) {
		struct job one = {.q = {.vars = c->job->q.vars}};
		if (job_is_late(c->job) || atomic_load(&c->job->cancelled)) {
			c->incomplete = true;
			return;
		}
		one.q.passdb_fields = fields_in(&one.arena);
		one.q.userdb_fields = fields_in(&one.arena);
		one.q.vars.v[VAR_USER] = wire_get_span(&r);
		look_up(c, as, state, &one);
		arena_free(&one.arena);
	}
}

static void tell(struct job *job, const char *name, uint64_t count)
{
	char text[24];
	snprintf(text, sizeof(text), "%llu", (unsigned long long)count);
	if (count > 0)
		fields_set_str(&job->answer.fields, name, text);
}

void asker_census(struct asker *as, void *state, struct job *job)
{
	struct census c = {.job = job};
	struct err err = {0};
	if (as->driver->list == NULL || (as->can & CAN_LIST) == 0 || (as->can & CAN_SHOW) == 0) {
		job_answer(job, VERDICT_NO_SCHEME, "driver %s cannot show all users",
		    as->driver->spec->name);
		return;
	}
	job->q.vars.passdb = &job->q.passdb_fields;
	if (!as->driver->list(state, &job->q.vars, keep_name, &c, &err)) {
		c.incomplete = true;
		log_warning("%s: counting stored passwords: %s", as->driver->spec->name, err.text);
	}
	look_all_up(&c, as, state);
	buffer_free(&c.names);
	job_answer(job, VERDICT_OK, "%s", "");
	for (size_t i = 0; i < SCHEME_KINDS; i++)
		tell(job, scheme_kinds[i].name, c.kinds[i]);
	tell(job, "(none)", c.none);
	tell(job, "(unreadable)", c.unreadable);
	tell(job, "(incomplete)", c.incomplete);
}
