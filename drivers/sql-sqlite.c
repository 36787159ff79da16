/*
 * The SQL driver's backend for SQLite. Runs in: worker, in a lane. The file
 * must exist; it is opened for writing only where its permissions allow it,
 * as a database in WAL mode wants.
 */
#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>

#include <sqlite3.h>

#include "base/mem.h"
#include "base/wheel.h"
#include "drivers/sql.h"

struct conn {
	sqlite3 *db;
	const char *path;
	struct stat file;
	sqlite3_stmt *slots[SQL_SLOTS];
	sqlite3_stmt *running;
	bool has_row; /* the first, which execute() has stepped to */
	int64_t until;
};

static int give_up(void *ctx)
{
	return clock_ms() > ((struct conn *)ctx)->until;
}

static int busy(void *ctx, int tries)
{
	if (give_up(ctx))
		return 0;
	sqlite3_sleep(tries < 5 ? 2 : 20);
	return 1;
}

static void conn_close(void *handle)
{
	struct conn *c = handle;
	for (size_t i = 0; i < SQL_SLOTS; i++)
		sqlite3_finalize(c->slots[i]);
	sqlite3_close(c->db);
	mem_free(&c);
}

static bool set_journal_mode(struct conn *c, const char *mode)
{
	char sql[64];
	if (mode == NULL)
		return true;
	sqlite3_snprintf(sizeof(sql), sql, "PRAGMA journal_mode=%s", mode);
	return sqlite3_exec(c->db, sql, NULL, NULL, NULL) == SQLITE_OK;
}

/* Nobody asks how much memory it uses, and to count that all lanes would take one lock. */
static void set_up(void)
{
	(void)sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
}

static void *conn_open(
    const struct sql_connect *to, const char *path, int64_t until, struct err *err)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	pthread_once(&once, set_up);
	struct conn *c = mem_alloc(sizeof(*c));
	c->until = until;
	c->path = path;
	(void)!stat(path, &c->file); /* opening it says what is wrong */
	int rc = sqlite3_open_v2(path, &c->db,
	    SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, NULL);
	if (rc == SQLITE_OK) {
		sqlite3_busy_handler(c->db, busy, c);
		sqlite3_progress_handler(c->db, 10000, give_up, c);
		(void)sqlite3_limit(c->db, SQLITE_LIMIT_LENGTH, 2 * SQL_ROW_MAX);
	}
	if (rc == SQLITE_OK && set_journal_mode(c, to->journal_mode))
		return c;
	err_set(err, EX_TEMPFAIL, "sqlite: %s: %s", path,
	    c->db != NULL ? sqlite3_errmsg(c->db) : sqlite3_errstr(rc));
	conn_close(c);
	return NULL;
}

/* A database that was made anew and moved into its place is another file under the same name. */
static bool is_same_file(const struct conn *c, struct err *err)
{
	struct stat st;
	if (stat(c->path, &st) != 0)
		return err_set(err, EX_TEMPFAIL, "sqlite: %s: %s", c->path, strerror(errno));
	return (st.st_dev == c->file.st_dev && st.st_ino == c->file.st_ino) ||
	       err_set(err, EX_TEMPFAIL, "sqlite: %s was replaced", c->path);
}

static enum sql_dialect conn_dialect(void *handle UNUSED)
{
	return SQL_SQLITE;
}

static enum sql_result failure(struct conn *c, int rc, struct err *err)
{
	err_set(err, EX_TEMPFAIL, "sqlite: %s", sqlite3_errmsg(c->db));
	switch (rc & 0xff) {
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
	case SQLITE_INTERRUPT:
		return SQL_TIMEOUT;
	case SQLITE_IOERR:
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
	case SQLITE_CANTOPEN:
	case SQLITE_FULL:
		return SQL_LOST; /* perhaps another file is there by now */
	case SQLITE_TOOBIG:
		return SQL_NO_VALUE;
	case SQLITE_MISMATCH:
	case SQLITE_RANGE:
		return SQL_UNFIT;
	default:
		return SQL_FAILED;
	}
}

/* Of a statement that ran. If its text is still a good one, it was this row and nobody else's. */
static enum sql_result step_failure(struct conn *c, int rc, struct err *err)
{
	enum sql_result r = failure(c, rc, err);
	sqlite3_stmt *again = NULL;
	if (r == SQL_NO_VALUE)
		return SQL_UNFIT;
	if (r == SQL_FAILED &&
	    sqlite3_prepare_v3(c->db, sqlite3_sql(c->running), -1, 0, &again, NULL) == SQLITE_OK)
		r = SQL_UNFIT;
	sqlite3_finalize(again);
	return r;
}

static sqlite3_stmt *prepared(struct conn *c, const struct sql_query *q, int *rc)
{
	sqlite3_stmt **st = &c->slots[q->slot];
	*rc = SQLITE_OK;
	if (*st == NULL)
		*rc = sqlite3_prepare_v3(c->db, q->text, -1, SQLITE_PREPARE_PERSISTENT, st, NULL);
	return *st;
}

static bool is_integer(struct span s, sqlite3_int64 *out)
{
	bool negative = s.len > 0 && s.ptr[0] == '-';
	uint64_t n;
	if (!span_to_u64(span_skip(s, negative), &n) || n > INT64_MAX)
		return false;
	*out = negative ? -(sqlite3_int64)n : (sqlite3_int64)n;
	return true;
}

static int bind(sqlite3_stmt *st, int i, const struct sql_value *v)
{
	sqlite3_int64 n;
	if (v->bare && is_integer(v->bytes, &n))
		return sqlite3_bind_int64(st, i, n);
	return sqlite3_bind_text64(
	    st, i, v->bytes.ptr, v->bytes.len, SQLITE_TRANSIENT, SQLITE_UTF8);
}

static enum sql_result start(
    struct conn *c, const struct sql_query *q, const struct sql_value *values, struct err *err)
{
	int rc;
	sqlite3_stmt *st = prepared(c, q, &rc);
	if (st == NULL)
		return rc == SQLITE_OK ? SQL_END : failure(c, rc, err);
	c->running = st;
	for (size_t i = 0; i < q->count; i++) {
		rc = bind(st, (int)i + 1, &values[i]);
		if (rc != SQLITE_OK)
			return failure(c, rc, err);
	}
	rc = sqlite3_step(st);
	c->has_row = rc == SQLITE_ROW;
	return rc == SQLITE_ROW || rc == SQLITE_DONE ? SQL_ROW : step_failure(c, rc, err);
}

static enum sql_result conn_execute(void *handle, const struct sql_query *q,
    const struct sql_value *values, int64_t until, struct err *err)
{
	struct conn *c = handle;
	c->until = until;
	return is_same_file(c, err) ? start(c, q, values, err) : SQL_LOST;
}

static struct span column(sqlite3_stmt *st, int i, struct arena *a)
{
	if (sqlite3_column_type(st, i) == SQLITE_NULL)
		return SPAN_NULL;
	/* text first: it converts numbers, and the length is then of the text */
	const void *bytes = sqlite3_column_type(st, i) == SQLITE_BLOB ? sqlite3_column_blob(st, i)
								      : sqlite3_column_text(st, i);
	int len = sqlite3_column_bytes(st, i);
	return arena_dup(a, span_make(bytes != NULL ? bytes : "", (size_t)len));
}

static enum sql_result conn_next(
    void *handle, struct arena *a, struct sql_row *row, int64_t until, struct err *err)
{
	struct conn *c = handle;
	sqlite3_stmt *st = c->running;
	c->until = until;
	int rc = SQLITE_DONE;
	if (c->has_row)
		rc = SQLITE_ROW;
	else if (sqlite3_stmt_busy(st))
		rc = sqlite3_step(st);
	c->has_row = false;
	if (rc == SQLITE_DONE)
		return SQL_END;
	if (rc != SQLITE_ROW)
		return step_failure(c, rc, err);
	int n = sqlite3_column_count(st);
	struct span *names = arena_alloc(a, 2 * (size_t)(n + 1) * sizeof(*names));
	struct span *values = names + n;
	for (int i = 0; i < n; i++) {
		names[i] = arena_dup(a, span_of(sqlite3_column_name(st, i)));
		values[i] = column(st, i, a);
	}
	*row = (struct sql_row){(size_t)n, names, values};
	return SQL_ROW;
}

static uint64_t conn_changed(void *handle)
{
	return (uint64_t)sqlite3_changes(((struct conn *)handle)->db);
}

static bool conn_finish(void *handle)
{
	struct conn *c = handle;
	if (c->running != NULL) {
		sqlite3_reset(c->running);
		sqlite3_clear_bindings(c->running);
	}
	c->running = NULL;
	c->has_row = false;
	return true;
}

/* ---- several at once ---- */

static enum sql_result run_item(struct conn *c, struct sql_item *item, struct err *err)
{
	enum sql_result r = start(c, item->query, item->values, err);
	struct sql_row row;
	item->rows = 0;
	while (r == SQL_ROW && item->rows < 2) {
		r = conn_next(c, item->arena, &row, c->until, err);
		if (r == SQL_ROW && item->rows++ == 0)
			item->row = row;
	}
	(void)conn_finish(c);
	return r;
}

/* In one transaction: the file is locked and looked at once. */
static enum sql_result conn_execute_all(
    void *handle, struct sql_item *items, size_t count, int64_t until, struct err *err)
{
	struct conn *c = handle;
	enum sql_result r = SQL_END;
	c->until = until;
	if (!is_same_file(c, err))
		return SQL_LOST;
	if (sqlite3_exec(c->db, "BEGIN", NULL, NULL, NULL) != SQLITE_OK)
		return SQL_FAILED;
	for (size_t i = 0; i < count && (r == SQL_END || r == SQL_ROW); i++)
		r = run_item(c, &items[i], err);
	bool good = (r == SQL_END || r == SQL_ROW) &&
		    sqlite3_exec(c->db, "COMMIT", NULL, NULL, NULL) == SQLITE_OK;
	if (good)
		return SQL_END;
	/* some errors have ended it already */
	if (sqlite3_get_autocommit(c->db) == 0)
		(void)sqlite3_exec(c->db, "ROLLBACK", NULL, NULL, NULL);
	return r == SQL_LOST || r == SQL_TIMEOUT ? r : SQL_FAILED;
}

static void describe(
    const struct sql_connect *to UNUSED, const char *host UNUSED, struct sql_target *t)
{
	t->server = "SQLite";
}

const struct sql_backend sql_backend = {
    .kind = SQL_KIND_SQLITE,
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

/* what a transaction costs beside its questions is as much as a few of them */
const struct driver authd_driver = {SQL_DRIVER, .ask_many = sql_ask_many, .many = ASK_MANY_MAX};
