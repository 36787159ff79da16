/*
 * The SQL driver's backend for PostgreSQL. Runs in: worker, in a lane. Values
 * go as parameters of prepared statements, rows come one at a time. All waits
 * are libpq's asynchronous calls with a deadline around them.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#if __has_include(<libpq-fe.h>)
#include <libpq-fe.h>
#else
#include <postgresql/libpq-fe.h>
#endif

#include "base/mem.h"
#include "base/wheel.h"
#include "drivers/sql.h"

enum { TYPE_TEXT = 25 }; /* the object id of the type text */

struct statement {
	bool prepared;
	bool typed; /* types are set: the server asked for one */
	Oid types[SQL_PARAMS_MAX];
};

struct conn {
	PGconn *pg;
	const char *host;
	int64_t until;
	bool unnamed; /* something between us and the server loses prepared statements */
	struct statement slots[SQL_SLOTS];
	PGresult *row;	  /* the first, which execute() has waited for */
	bool at_end;	  /* no result is under way */
	bool too_big;	  /* it has seen a row without measure */
	uint64_t changed; /* rows, by the last statement */
};

/* ---- waiting ---- */

/* false: the time is over */
static bool wait_for(struct conn *c, short events)
{
	struct pollfd p = {.fd = PQsocket(c->pg), .events = events};
	int n;
	do {
		int64_t left = c->until - clock_ms();
		n = left > 0 ? poll(&p, 1, left < INT32_MAX ? (int)left : INT32_MAX) : 0;
	} while (n < 0 && errno == EINTR);
	return n > 0;
}

/* The next result, NULL at the end of them; *ok false: the connection or the time is over. */
static PGresult *next_result(struct conn *c, bool *ok)
{
	int unsent;
	*ok = true;
	while ((unsent = PQflush(c->pg)) > 0) {
		if (!wait_for(c, POLLIN | POLLOUT) || PQconsumeInput(c->pg) == 0) {
			*ok = false;
			return NULL;
		}
	}
	while (unsent == 0 && PQisBusy(c->pg) != 0) {
		if (!wait_for(c, POLLIN) || PQconsumeInput(c->pg) == 0) {
			*ok = false;
			return NULL;
		}
	}
	*ok = unsent == 0;
	return *ok ? PQgetResult(c->pg) : NULL;
}

/* To the end of the results, after which the connection can be used again. */
static bool drain(struct conn *c)
{
	bool ok;
	PGresult *r;
	while ((r = next_result(c, &ok)) != NULL)
		PQclear(r);
	return ok;
}

/* ---- errors ---- */

static bool in_list(const char *state, const char *const *list)
{
	for (; *list != NULL; list++) {
		if (strncmp(state, *list, strlen(*list)) == 0)
			return true;
	}
	return false;
}

/* libpq's messages end with a newline and may have several lines */
static void set_error(struct conn *c, const char *text, struct err *err)
{
	char line[300];
	snprintf(line, sizeof(line), "%s", text);
	size_t len = strlen(line);
	while (len > 0 && line[len - 1] == '\n')
		line[--len] = '\0';
	for (char *p = line; (p = strchr(p, '\n')) != NULL; p++)
		*p = ' ';
	err_set(err, EX_TEMPFAIL, "pgsql %s: %s", c->host, line);
}

static enum sql_result lost(struct conn *c, struct err *err)
{
	if (clock_ms() >= c->until) {
		err_set(err, EX_TEMPFAIL, "pgsql %s: no answer in time", c->host);
		return SQL_TIMEOUT;
	}
	set_error(c, PQerrorMessage(c->pg), err);
	return SQL_LOST;
}

static enum sql_result refused(struct conn *c, const char *state)
{
	/* the connection, the server's end or start, its limits; no such value in its encoding */
	static const char *const connection[] = {
	    "08", "57P01", "57P02", "57P03", "57P05", "53300", "25P03", NULL};
	static const char *const no_value[] = {"22021", "22P05", NULL};
	if (in_list(state, no_value))
		return SQL_NO_VALUE;
	if (PQstatus(c->pg) == CONNECTION_BAD || in_list(state, connection))
		return SQL_LOST;
	return sql_state_is_about_values(state) ? SQL_UNFIT : SQL_FAILED;
}

static const char *sqlstate(const PGresult *r)
{
	const char *state = PQresultErrorField(r, PG_DIAG_SQLSTATE);
	return state != NULL ? state : "";
}

/* ---- connecting ---- */

static void ignore_notice(void *ctx UNUSED, const char *message UNUSED)
{
}

static void conn_close(void *handle)
{
	struct conn *c = handle;
	PQclear(c->row);
	PQfinish(c->pg);
	mem_free(&c);
}

static char *conninfo(const struct sql_connect *to, const char *host)
{
	struct buffer b = {0};
	buffer_append_str(&b, "fallback_application_name='authd' ");
	buffer_append_str(&b, to->rest);
	if (*host != '\0')
		buffer_append_str(&b, "host='");
	for (const char *p = host; *p != '\0'; p++) {
		if (*p == '\'' || *p == '\\')
			buffer_append_char(&b, '\\');
		buffer_append_char(&b, *p);
	}
	if (*host != '\0')
		buffer_append_char(&b, '\'');
	buffer_append_char(&b, '\0');
	char *text = mem_strdup(buffer_span(&b).ptr);
	buffer_free(&b);
	return text;
}

static bool run_connect(struct conn *c)
{
	PostgresPollingStatusType st = PGRES_POLLING_WRITING;
	while (PQstatus(c->pg) != CONNECTION_BAD) {
		if (st == PGRES_POLLING_OK)
			return PQsetnonblocking(c->pg, 1) == 0;
		if (st == PGRES_POLLING_FAILED)
			return false;
		if (!wait_for(c, st == PGRES_POLLING_READING ? POLLIN : POLLOUT))
			return false;
		st = PQconnectPoll(c->pg);
	}
	return false;
}

/* Backslashes in '...' were read as plain bytes, so they must be that here, too. */
static bool make_standard(struct conn *c)
{
	const char *now = PQparameterStatus(c->pg, "standard_conforming_strings");
	if (now == NULL || strcmp(now, "on") == 0)
		return true;
	return PQsendQuery(c->pg, "SET standard_conforming_strings = on") != 0 && drain(c);
}

static void *conn_open(
    const struct sql_connect *to, const char *host, int64_t until, struct err *err)
{
	struct conn *c = mem_alloc(sizeof(*c));
	char *info = conninfo(to, host);
	c->host = *host != '\0' ? host : "(default)";
	c->until = until;
	c->at_end = true;
	c->pg = PQconnectStart(info);
	mem_wipe(info, strlen(info));
	mem_free(&info);
	if (c->pg == NULL)
		mem_panic("PQconnectStart");
	PQsetNoticeProcessor(c->pg, ignore_notice, NULL);
	if (run_connect(c) && make_standard(c))
		return c;
	(void)lost(c, err);
	conn_close(c);
	return NULL;
}

static enum sql_dialect conn_dialect(void *handle UNUSED)
{
	return SQL_PGSQL;
}

/* ---- statements ---- */

static bool send_prepare(struct conn *c, const struct sql_query *q)
{
	char name[16];
	const struct statement *s = &c->slots[q->slot];
	snprintf(name, sizeof(name), "authd%u", q->slot);
	return PQsendPrepare(c->pg, name, q->text, s->typed ? (int)q->count : 0,
		   s->typed ? s->types : NULL) != 0;
}

static bool send_prepared(struct conn *c, const struct sql_query *q, const char *const *values)
{
	char name[16];
	snprintf(name, sizeof(name), "authd%u", q->slot);
	return PQsendQueryPrepared(c->pg, name, (int)q->count, values, NULL, NULL, 0) != 0;
}

static bool send_query(struct conn *c, const struct sql_query *q, const char *const *values)
{
	const struct statement *s = &c->slots[q->slot];
	bool sent = c->unnamed ? PQsendQueryParams(c->pg, q->text, (int)q->count,
				     s->typed ? s->types : NULL, values, NULL, NULL, 0) != 0
			       : send_prepared(c, q, values);
	return sent && PQsetSingleRowMode(c->pg) != 0;
}

/*
 * The server cannot tell of which type a parameter is, where a literal would
 * have been text: so it is text. True: worth another attempt.
 */
static bool settle_type(struct statement *s, const struct sql_query *q, const PGresult *r)
{
	const char *message = PQresultErrorField(r, PG_DIAG_MESSAGE_PRIMARY);
	const char *dollar = message != NULL ? strchr(message, '$') : NULL;
	unsigned long n = dollar != NULL ? strtoul(dollar + 1, NULL, 10) : 0;
	if (strcmp(sqlstate(r), "42P18") != 0 || n == 0 || n > q->count ||
	    s->types[n - 1] == TYPE_TEXT)
		return false;
	s->types[n - 1] = TYPE_TEXT;
	s->typed = true;
	return true;
}

/* The statement is not what or where it was. True: worth another attempt. */
static bool recover(struct conn *c, struct statement *s, const char *state)
{
	static const char *const no_names[] = {"26000", "42P05", NULL};
	static const char *const changed[] = {"0A000", NULL};
	if (c->unnamed || !(in_list(state, no_names) || (s->prepared && in_list(state, changed))))
		return false;
	c->unnamed = true;
	return true;
}

static void note_changed(struct conn *c, PGresult *r)
{
	uint64_t n;
	c->changed = span_to_u64(span_of(PQcmdTuples(r)), &n) ? n : 0;
}

/* One round: prepared when it must be, sent, the first result waited for. */
static enum sql_result attempt(struct conn *c, const struct sql_query *q, const char *const *values,
    bool *again, struct err *err)
{
	struct statement *s = &c->slots[q->slot];
	bool ok, preparing = !s->prepared && !c->unnamed;
	*again = false;
	if (!(preparing ? send_prepare(c, q) : send_query(c, q, values)))
		return lost(c, err);
	PGresult *r = next_result(c, &ok);
	if (r == NULL)
		return lost(c, err);
	ExecStatusType status = PQresultStatus(r);
	if (status == PGRES_SINGLE_TUPLE) {
		c->row = r;
		return SQL_ROW;
	}
	enum sql_result result = SQL_ROW;
	if (status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK) {
		s->prepared = s->prepared || preparing;
		note_changed(c, r);
		*again = preparing;
	} else {
		set_error(c, PQresultErrorMessage(r), err);
		*again = settle_type(s, q, r) || recover(c, s, sqlstate(r));
		result = refused(c, sqlstate(r));
	}
	PQclear(r);
	c->at_end = true;
	return drain(c) ? result : lost(c, err);
}

static enum sql_result conn_execute(void *handle, const struct sql_query *q,
    const struct sql_value *values, int64_t until, struct err *err)
{
	struct conn *c = handle;
	const char *texts[SQL_PARAMS_MAX];
	struct arena a = {0};
	enum sql_result r = SQL_ROW;
	c->until = until;
	for (size_t i = 0; i < q->count; i++) {
		texts[i] = arena_cstr(&a, values[i].bytes);
		if (span_find(values[i].bytes, '\0') >= 0)
			r = SQL_NO_VALUE; /* no text of PostgreSQL has a NUL */
	}
	bool again = r == SQL_ROW;
	/* each parameter may want its type settled, then prepare and run */
	for (size_t rounds = 0; again && rounds < q->count + 4; rounds++) {
		c->at_end = false;
		r = attempt(c, q, texts, &again, err);
		again = again && (r == SQL_ROW || r == SQL_FAILED || r == SQL_UNFIT);
	}
	arena_free(&a);
	return r;
}

/* ---- rows ---- */

/* libpq holds as much as the server sends; then its connection is better closed than kept. */
static bool is_in_measure(struct conn *c, const PGresult *r, struct err *err)
{
	size_t bytes = 0;
	for (int i = 0; i < PQnfields(r) && PQntuples(r) > 0; i++)
		bytes += (size_t)PQgetlength(r, 0, i);
	c->too_big = c->too_big || bytes > SQL_ROW_MAX;
	return bytes <= SQL_ROW_MAX ||
	       err_set(err, EX_TEMPFAIL, "pgsql %s: a row has more than %d bytes", c->host,
		   SQL_ROW_MAX);
}

/* The first row of a result. */
static void take_row(const PGresult *r, struct arena *a, struct sql_row *row)
{
	int n = PQnfields(r);
	struct span *names = arena_alloc(a, 2 * (size_t)(n + 1) * sizeof(*names));
	struct span *values = names + n;
	for (int i = 0; i < n; i++) {
		names[i] = arena_dup(a, span_of(PQfname(r, i)));
		if (PQgetisnull(r, 0, i) == 0)
			values[i] = arena_dup(
			    a, span_make(PQgetvalue(r, 0, i), (size_t)PQgetlength(r, 0, i)));
	}
	*row = (struct sql_row){(size_t)n, names, values};
}

static enum sql_result conn_next(
    void *handle, struct arena *a, struct sql_row *row, int64_t until, struct err *err)
{
	struct conn *c = handle;
	bool ok = true;
	if (c->at_end)
		return SQL_END;
	c->until = until;
	PGresult *r = c->row != NULL ? c->row : next_result(c, &ok);
	c->row = NULL;
	if (r == NULL && !ok)
		return lost(c, err);
	if (r != NULL && PQresultStatus(r) == PGRES_SINGLE_TUPLE) {
		bool good = is_in_measure(c, r, err);
		if (good)
			take_row(r, a, row);
		PQclear(r);
		return good ? SQL_ROW : SQL_UNFIT;
	}
	enum sql_result result = SQL_END;
	if (r != NULL)
		note_changed(c, r);
	if (r != NULL && PQresultStatus(r) != PGRES_TUPLES_OK) {
		set_error(c, PQresultErrorMessage(r), err);
		result = refused(c, sqlstate(r));
	}
	PQclear(r);
	c->at_end = true;
	return drain(c) ? result : lost(c, err);
}

static uint64_t conn_changed(void *handle)
{
	return ((struct conn *)handle)->changed;
}

/* ---- several at once ---- */

static bool send_item(struct conn *c, const struct sql_item *item)
{
	const char *texts[SQL_PARAMS_MAX];
	if (!c->slots[item->query->slot].prepared)
		return false; /* alone it will be */
	for (size_t i = 0; i < item->query->count; i++) {
		if (span_find(item->values[i].bytes, '\0') >= 0)
			return false;
		texts[i] = arena_cstr(item->arena, item->values[i].bytes);
	}
	return send_prepared(c, item->query, texts);
}

/* false: the connection is lost, or the time over; *good turns false when there is no result */
static bool take_item(struct conn *c, struct sql_item *item, bool *good)
{
	bool ok;
	PGresult *r;
	item->rows = 0;
	while ((r = next_result(c, &ok)) != NULL) {
		ExecStatusType status = PQresultStatus(r);
		unsigned rows = (unsigned)PQntuples(r);
		struct err ignored = {0}; /* it will be asked alone */
		if (!is_in_measure(c, r, &ignored))
			*good = false;
		else if (rows > 0 && item->rows == 0)
			take_row(r, item->arena, &item->row);
		item->rows += rows;
		/* libpq does not always leave the mode of single rows */
		*good = *good && (status == PGRES_TUPLES_OK || status == PGRES_SINGLE_TUPLE);
		PQclear(r);
	}
	return ok;
}

/* To the end of the pipeline; an error here is one of the transaction's end. */
static bool take_sync(struct conn *c, bool *good)
{
	for (;;) {
		bool ok;
		PGresult *r = next_result(c, &ok);
		if (!ok)
			return false;
		if (r == NULL)
			continue;
		ExecStatusType status = PQresultStatus(r);
		PQclear(r);
		if (status == PGRES_PIPELINE_SYNC)
			return true;
		*good = false;
		if (PQstatus(c->pg) == CONNECTION_BAD)
			return false;
	}
}

/*
 * One pipeline is one transaction: when a statement in it fails, nothing of
 * it has happened, and each can be asked again.
 */
static enum sql_result conn_execute_all(
    void *handle, struct sql_item *items, size_t count, int64_t until, struct err *err)
{
	struct conn *c = handle;
	bool good = true;
	size_t sent = 0;
	c->until = until;
	if (c->unnamed || PQenterPipelineMode(c->pg) == 0)
		return SQL_FAILED;
	while (sent < count && send_item(c, &items[sent]))
		sent++;
	if (PQpipelineSync(c->pg) == 0)
		return lost(c, err);
	for (size_t i = 0; i < sent; i++) {
		if (!take_item(c, &items[i], &good))
			return lost(c, err);
	}
	if (!take_sync(c, &good) || PQexitPipelineMode(c->pg) == 0)
		return lost(c, err);
	return good && sent == count ? SQL_END : SQL_FAILED;
}

static bool conn_finish(void *handle)
{
	struct conn *c = handle;
	PQclear(c->row);
	c->row = NULL;
	/* the rest could be millions of rows */
	return c->at_end && !c->too_big;
}

static void describe(const struct sql_connect *to, const char *host, struct sql_target *t)
{
	PQconninfoOption *all = PQconninfoParse(to->rest, NULL);
	const char *port = "5432", *mode = "";
	t->server = "PostgreSQL";
	for (PQconninfoOption *o = all; o != NULL && o->keyword != NULL; o++) {
		if (o->val == NULL)
			continue;
		if (strcmp(o->keyword, "port") == 0)
			port = o->val;
		else if (strcmp(o->keyword, "sslmode") == 0)
			mode = o->val;
		else if (strcmp(o->keyword, "sslrootcert") == 0)
			snprintf(t->ca_file, sizeof(t->ca_file), "%s", o->val);
	}
	t->tls = strcmp(mode, "require") == 0 || strncmp(mode, "verify", 6) == 0;
	t->any_name = strcmp(mode, "verify-full") != 0;
	t->unverified = strcmp(mode, "require") == 0 && t->ca_file[0] == '\0';
	if (host[0] != '/' && host[0] != '\0')
		snprintf(t->port, sizeof(t->port), "%s", port);
	PQconninfoFree(all);
}

const struct sql_backend sql_backend = {
    .kind = SQL_KIND_PGSQL,
    .describe = describe,
    .connect = conn_open,
    .dialect = conn_dialect,
    .execute = conn_execute,
    .next = conn_next,
    .changed = conn_changed,
    .execute_all = conn_execute_all,
    .finish = conn_finish,
    .close = conn_close,
};

const struct driver authd_driver = {SQL_DRIVER, .ask_many = sql_ask_many};
