/*
 * sql: users in a MySQL, PostgreSQL or SQLite database.
 * Runs in: worker, one question a lane; the connections are the pool's. A
 * question goes to one host after the other while its time lasts; that the
 * user does not exist is only said when a server said so.
 */
#include <stdatomic.h>
#include <sysexits.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/wheel.h"
#include "drivers/drivers.h"
#include "drivers/replacement.h"
#include "drivers/sql-row.h"

enum {
	NO_DEADLINE_MS = 60000,
	ROWS_MAX = 100, /* passwords of one user */
	ROWS_PAST = 16, /* of a userdb, behind the first: more are not waited for */
};

struct sql {
	const struct sql_settings *set;
	struct sql_pool *pool;
};

/* ---- one statement ---- */

/* %{old:...} and %{new:...} of update_query */
static struct span replacement_value(
    void *ctx, struct arena *a UNUSED, struct span name, struct span argument)
{
	const struct replacement *r = ctx;
	if (r == NULL)
		return SPAN_NULL;
	if (span_eq_str(name, "old"))
		return secret_reveal(r->old);
	return secret_reveal(span_eq_str(argument, "password") ? r->password : r->scram_sha_256);
}

static bool expand(const struct sql_query *q, const struct vars *vars, const struct replacement *r,
    struct arena *a, struct sql_value *values, struct err *err)
{
	const struct template_hooks hooks = {
	    .source = replacement_value, .source_ctx = (void *)(uintptr_t)r};
	for (size_t i = 0; i < q->count; i++) {
		values[i].bare = q->params[i].bare;
		values[i].bytes = template_expand_with(q->params[i].value, vars, a, &hooks, err);
		if (values[i].bytes.ptr == NULL)
			return false;
	}
	return true;
}

static const struct sql_query *pick_query(
    const struct sql *s, struct sql_conn *c, unsigned slot, struct err *err)
{
	if (sql_backend.dialect(c->handle) != SQL_MYSQL_NO_ESCAPES)
		return s->set->queries[slot];
	if (s->set->plain_queries[slot] == NULL)
		(void)err_set(err, EX_CONFIG,
		    "the query cannot be used while the server has sql_mode "
		    "NO_BACKSLASH_ESCAPES");
	return s->set->plain_queries[slot];
}

static enum sql_result execute(const struct sql *s, struct sql_conn *c, unsigned slot,
    const struct vars *vars, const struct replacement *replace, struct arena *a, int64_t until,
    struct err *err)
{
	struct err why = {0};
	const struct sql_query *q = pick_query(s, c, slot, err);
	if (q == NULL)
		return SQL_FAILED;
	struct sql_value *values = arena_alloc(a, (q->count + 1) * sizeof(*values));
	if (!expand(q, vars, replace, a, values, err))
		return SQL_UNFIT;
	enum sql_result r = sql_backend.execute(c->handle, q, values, until, &why);
	if ((r == SQL_FAILED || r == SQL_UNFIT) && q->shows_password)
		(void)err_set(err, why.code,
		    "the server refused the query (its words are not "
		    "shown, they may hold the password)");
	else
		*err = why;
	return r;
}

/*
 * A server that has begun to answer is there. What breaks off then may be the
 * fault of this one row, or of a reader who is too slow: nothing that should
 * keep others from the server.
 */
static enum sql_result next_row(
    struct sql_conn *c, struct arena *a, struct sql_row *row, int64_t until, struct err *err)
{
	enum sql_result r = sql_backend.next(c->handle, a, row, until, err);
	return r == SQL_LOST ? SQL_BROKEN : r;
}

static bool is_lost(enum sql_result r)
{
	return r == SQL_LOST || r == SQL_TIMEOUT || r == SQL_BROKEN;
}

/* ---- looking for one user ---- */

struct lookup {
	struct sql *sql;
	struct question *q;
	unsigned slot;
	unsigned rows;
	bool busy;	    /* no server was asked: all connections are in use */
	struct sql_row row; /* the first */
	struct sql_password passwords[ROWS_MAX];
};

static bool is_in_measure(const struct sql_row *row, struct err *err)
{
	size_t bytes = 0;
	for (size_t i = 0; i < row->count; i++)
		bytes += row->names[i].len + row->values[i].len + 16;
	return (bytes <= SQL_ROW_MAX && row->count <= SQL_COLUMNS_MAX) ||
	       err_set(err, EX_TEMPFAIL, "a row has more than %d bytes, or %d columns", SQL_ROW_MAX,
		   SQL_COLUMNS_MAX);
}

static bool take_row(struct lookup *l, const struct sql_row *row)
{
	const struct sql_settings *set = l->sql->set;
	struct question *q = l->q;
	bool passdb = l->slot == SQL_PASSWORD;
	if (l->rows > 0 && !passdb)
		return true; /* the first counts, as in Dovecot */
	if (l->rows > 0 && !set->multiple_passwords)
		return err_set(&q->err, EX_CONFIG, "password_query returned multiple matches");
	if (!is_in_measure(row, &q->err))
		return false;
	if (l->rows == ROWS_MAX)
		return err_set(
		    &q->err, EX_CONFIG, "password_query returned more than %d passwords", ROWS_MAX);
	if (l->rows == 0)
		l->row = *row;
	if (passdb && !sql_row_password(row, q->arena, &l->passwords[l->rows], &q->err))
		return false;
	l->rows++;
	return true;
}

static enum sql_result take_rows(struct lookup *l, struct sql_conn *c, int64_t until)
{
	struct question *q = l->q;
	struct sql_row row;
	enum sql_result r;
	unsigned past = 0;
	l->rows = 0;
	while ((r = next_row(c, q->arena, &row, until, &q->err)) == SQL_ROW) {
		if (!take_row(l, &row))
			return SQL_UNFIT;
		if (l->slot == SQL_USER && past++ == ROWS_PAST)
			return SQL_END;
	}
	return r;
}

static void end_attempt(
    struct sql_try *t, struct sql_conn *c, enum sql_result r, const struct err *err)
{
	if (is_lost(r))
		sql_pool_drop(t, c, r, err);
	else if (sql_backend.finish(c->handle))
		sql_pool_give(t->pool, c);
	else
		sql_pool_drop(t, c, SQL_END, err);
}

/* One attempt after the other, until a server has answered or the time is over. */
static enum sql_result look(struct lookup *l)
{
	struct question *q = l->q;
	enum sql_result r = SQL_LOST;
	int64_t now = clock_ms();
	struct sql_try t = {.pool = l->sql->pool,
	    .deadline = q->deadline_ms > 0 ? q->deadline_ms : now + NO_DEADLINE_MS};
	while (is_lost(r)) {
		struct sql_conn *c = sql_pool_take(&t, &q->err);
		if (c == NULL) {
			l->busy = t.busy;
			return r;
		}
		q->err = (struct err){0};
		r = execute(l->sql, c, l->slot, q->vars, NULL, q->arena, t.until, &q->err);
		if (r == SQL_ROW)
			r = take_rows(l, c, t.until);
		end_attempt(&t, c, r, &q->err);
	}
	return r;
}

/* The first is the password, the others stand beside it; what is NULL or empty is none. */
static void show_passwords(const struct lookup *l, struct entry *e)
{
	struct entry_password *more = NULL;
	for (unsigned i = 0; i < l->rows; i++) {
		const struct sql_password *p = &l->passwords[i];
		if (secret_reveal(p->password).len == 0)
			continue;
		if (!secret_is_set(e->password)) {
			e->password = p->password;
			e->password_noscheme = p->noscheme;
			e->password_name = p->name;
			continue;
		}
		if (more == NULL)
			more = arena_alloc(l->q->arena, ROWS_MAX * sizeof(*more));
		more[e->more_count++] = (struct entry_password){p->password, p->noscheme, p->name};
		e->more = more;
	}
}

static enum verdict found(struct lookup *l)
{
	struct entry *e = &l->q->entry;
	bool passdb = l->slot == SQL_PASSWORD;
	sql_row_fields(&l->row, passdb, &e->fields);
	if (!passdb)
		return VERDICT_OK;
	e->default_scheme = l->sql->set->default_pass_scheme;
	show_passwords(l, e);
	return VERDICT_OK;
}

static unsigned slot_of(const struct question *q)
{
	return q->kind == ASK_USERDB ? SQL_USER : SQL_PASSWORD;
}

enum verdict sql_ask(void *state, struct question *q)
{
	struct lookup l = {.sql = state, .q = q, .slot = slot_of(q)};
	switch (look(&l)) {
	case SQL_END:
		return l.rows > 0 ? found(&l) : VERDICT_UNKNOWN_USER;
	case SQL_NO_VALUE:
		q->err = (struct err){0};
		return VERDICT_UNKNOWN_USER;
	case SQL_UNFIT:
	case SQL_BROKEN:
		return VERDICT_INTERNAL;
	default:
		q->backend = l.busy ? BACKEND_AWAY : BACKEND_DOWN;
		return VERDICT_INTERNAL;
	}
}

/* ---- storing ---- */

/* Rows that an UPDATE returns say nothing that its number of rows does not. */
static enum sql_result skip_rows(struct sql_conn *c, struct question *q, int64_t until)
{
	struct sql_row row;
	enum sql_result r;
	while ((r = next_row(c, q->arena, &row, until, &q->err)) == SQL_ROW)
		continue;
	return r;
}

/* Once: of a connection that is lost meanwhile nobody knows whether it was done. */
static enum sql_result update(
    struct sql *s, struct question *q, const struct replacement *r, uint64_t *changed)
{
	int64_t now = clock_ms();
	struct sql_try t = {.pool = s->pool,
	    .deadline = q->deadline_ms > 0 ? q->deadline_ms : now + NO_DEADLINE_MS};
	struct vars vars = *q->vars;
	vars.password = r->password;
	struct sql_conn *c = sql_pool_take(&t, &q->err);
	if (c == NULL)
		return SQL_LOST;
	q->err = (struct err){0};
	enum sql_result result = execute(s, c, SQL_UPDATE, &vars, r, q->arena, t.until, &q->err);
	if (result == SQL_ROW)
		result = skip_rows(c, q, t.until);
	*changed = result == SQL_END ? sql_backend.changed(c->handle) : 0;
	end_attempt(&t, c, result, &q->err);
	return result;
}

enum verdict sql_store(void *state, struct question *q, const struct replacement *r)
{
	struct sql *s = state;
	uint64_t changed = 0;
	if (s->set->multiple_passwords && !s->set->update_compares) {
		err_set(&q->err, EX_CONFIG,
		    "update_query needs %%{old:password} in its WHERE to tell "
		    "the user's several passwords apart");
		return VERDICT_INTERNAL;
	}
	if (update(s, q, r, &changed) != SQL_END)
		return VERDICT_INTERNAL;
	return changed > 0 ? VERDICT_OK : VERDICT_MISMATCH;
}

/* ---- several users at once ---- */

/* Those that can be asked together; which[] says where each stands in questions. */
static size_t make_items(const struct sql *s, struct sql_conn *c, struct question *const *questions,
    size_t count, struct sql_item *items, size_t *which)
{
	size_t n = 0;
	for (size_t i = 0; s->set->ask_together && i < count; i++) {
		struct question *q = questions[i];
		struct err ignored = {0}; /* alone it will be said */
		unsigned slot = slot_of(q);
		const struct sql_query *query = pick_query(s, c, slot, &ignored);
		if (query == NULL || query->changes ||
		    (slot == SQL_PASSWORD && s->set->multiple_passwords))
			continue;
		struct sql_value *values =
		    arena_alloc(q->arena, (query->count + 1) * sizeof(*values));
		if (!expand(query, q->vars, NULL, q->arena, values, &ignored))
			continue;
		items[n] = (struct sql_item){.query = query, .values = values, .arena = q->arena};
		which[n++] = i;
	}
	return n;
}

/* false: it is to be asked alone */
static bool take_item(
    struct sql *s, struct question *q, const struct sql_item *item, enum verdict *v)
{
	struct lookup l = {.sql = s, .q = q, .slot = slot_of(q)};
	if (item->rows > 1 || (item->rows == 1 && !take_row(&l, &item->row)))
		return false;
	*v = item->rows == 1 ? found(&l) : VERDICT_UNKNOWN_USER;
	return true;
}

static void ask_together(struct sql *s, struct question *const *questions, enum verdict *verdicts,
    bool *answered, size_t count)
{
	struct sql_item items[ASK_MANY_MAX];
	size_t which[ASK_MANY_MAX];
	struct err err = {0};
	struct sql_try t = {.pool = s->pool, .deadline = clock_ms() + NO_DEADLINE_MS};
	for (size_t i = 0; i < count; i++) {
		int64_t deadline = questions[i]->deadline_ms;
		if (deadline > 0 && deadline < t.deadline)
			t.deadline = deadline;
	}
	struct sql_conn *c = sql_pool_take(&t, &err);
	if (c == NULL)
		return;
	size_t n = make_items(s, c, questions, count, items, which);
	enum sql_result r = sql_backend.execute_all(c->handle, items, n, t.until, &err);
	end_attempt(&t, c, r, &err);
	for (size_t i = 0; r == SQL_END && i < n; i++) {
		size_t at = which[i];
		if (items[i].alone)
			continue;
		answered[at] = take_item(s, questions[at], &items[i], &verdicts[at]);
	}
}

void sql_ask_many(void *state, struct question *const *questions, enum verdict *verdicts,
    size_t count, driver_early *early UNUSED, void *ctx UNUSED)
{
	bool answered[ASK_MANY_MAX] = {false};
	ask_together(state, questions, verdicts, answered, count);
	for (size_t i = 0; i < count; i++) {
		if (!answered[i])
			verdicts[i] = sql_ask(state, questions[i]);
	}
}

/* ---- listing ---- */

static enum sql_result list_rows(
    struct sql_conn *c, driver_emit *emit, void *ctx, int64_t timeout, struct err *err)
{
	struct arena a = {0};
	struct sql_row row;
	enum sql_result r;
	while ((r = next_row(c, &a, &row, clock_ms() + timeout, err)) == SQL_ROW) {
		struct span user = sql_row_user(&row, &a);
		if (user.ptr == NULL) {
			(void)err_set(err, EX_CONFIG,
			    "iterate_query must return a first column 'user', or 'username'");
			r = SQL_FAILED;
			break;
		}
		if (user.len > 0 && !emit(ctx, user)) {
			(void)err_set(err, 0, "stopped");
			r = SQL_FAILED;
			break;
		}
		arena_reset(&a);
	}
	arena_free(&a);
	return r;
}

bool sql_list(void *state, const struct vars *vars, driver_emit *emit, void *ctx, struct err *err)
{
	struct sql *s = state;
	struct arena a = {0};
	struct sql_try t = {.pool = s->pool, .deadline = clock_ms() + NO_DEADLINE_MS};
	enum sql_result r = SQL_LOST;
	struct sql_conn *c;
	if (s->set->queries[SQL_ITERATE]->text[0] == '\0')
		return err_set(err, EX_CONFIG, "there is no query that lists the users");
	/* as for a lookup; but once rows were taken there is no second attempt */
	while (is_lost(r) && (c = sql_pool_take(&t, err)) != NULL) {
		*err = (struct err){0};
		r = execute(s, c, SQL_ITERATE, vars, NULL, &a, t.until, err);
		if (r == SQL_ROW) {
			r = list_rows(c, emit, ctx, (int64_t)s->set->to->read_timeout, err);
			end_attempt(&t, c, r, err);
			break;
		}
		end_attempt(&t, c, r, err);
	}
	arena_free(&a);
	return r == SQL_END;
}

/* ---- the driver ---- */

static void warn_of_update(const struct sql_settings *set)
{
	static atomic_flag said = ATOMIC_FLAG_INIT; /* each lane opens the driver */
	if (driver_limits.stores && !set->update_compares && !atomic_flag_test_and_set(&said))
		log_warning(
		    "sql: update_query has no %%{old:password} in its WHERE: a password that "
		    "is changed at the same moment by something else may be lost");
}

void *sql_open(const void *settings, struct err *err)
{
	const struct sql_settings *set = settings;
	if (set->kind != sql_backend.kind) {
		err_set(err, EX_SOFTWARE, "this module is not for driver = %s", set->driver);
		return NULL;
	}
	struct sql *s = mem_alloc(sizeof(*s));
	s->set = set;
	s->pool = sql_pool_open(set);
	warn_of_update(set);
	return s;
}

/* What a lookup reads is in the settings' templates; this is for store(). */
uint64_t sql_needs(void *state)
{
	const struct sql *s = state;
	return driver_limits.stores ? s->set->update_needs : 0;
}

void sql_close(void *state)
{
	struct sql *s = state;
	sql_pool_close(s->pool);
	mem_free(&s);
}
