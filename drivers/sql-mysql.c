/*
 * The SQL driver's backend for MySQL and MariaDB. Runs in: worker, in a lane.
 * Everything goes through prepared statements. The library's non-blocking
 * calls are used as blocking ones with a deadline in milliseconds: its own
 * time-outs are in seconds, for each packet, and fixed when it connects.
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include <mariadb/errmsg.h>
#include <mariadb/mysqld_error.h>

#include "base/mem.h"
#include "base/wheel.h"
#include "drivers/sql-mysql.h"

/* ---- waiting ---- */

/* What the library waits for, until it is there or the time is over. */
static int wait_for(struct mysql_conn *c, int events)
{
	struct pollfd p = {.fd = (int)mysql_get_socket(c->my)};
	if ((events & MYSQL_WAIT_READ) != 0)
		p.events |= POLLIN;
	if ((events & MYSQL_WAIT_WRITE) != 0)
		p.events |= POLLOUT;
	if ((events & MYSQL_WAIT_EXCEPT) != 0)
		p.events |= POLLPRI;
	int64_t left;
	int n;
	do {
		left = c->until - clock_ms();
		n = left > 0 ? poll(&p, 1, left < INT32_MAX ? (int)left : INT32_MAX) : 0;
	} while (n < 0 && errno == EINTR);
	if (n <= 0)
		return MYSQL_WAIT_TIMEOUT;
	int got = 0;
	if ((p.revents & (POLLIN | POLLHUP | POLLERR)) != 0)
		got |= MYSQL_WAIT_READ;
	if ((p.revents & (POLLOUT | POLLHUP | POLLERR)) != 0)
		got |= MYSQL_WAIT_WRITE;
	if ((p.revents & POLLPRI) != 0)
		got |= MYSQL_WAIT_EXCEPT;
	return got & events;
}

static bool run_connect(struct mysql_conn *c, const struct sql_connect *to)
{
	MYSQL *got = NULL;
	bool local = c->host[0] == '/';
	int events = mysql_real_connect_start(&got, c->my, local || !*c->host ? NULL : c->host,
	    to->user, to->password, to->dbname, to->port, local ? c->host : NULL, to->client_flags);
	while (events != 0)
		events = mysql_real_connect_cont(&got, c->my, wait_for(c, events));
	return got != NULL;
}

static bool run_query(struct mysql_conn *c, const char *sql)
{
	int rc = 1;
	int events = mysql_real_query_start(&rc, c->my, sql, strlen(sql));
	while (events != 0)
		events = mysql_real_query_cont(&rc, c->my, wait_for(c, events));
	return rc == 0;
}

static bool run_prepare(struct mysql_conn *c, MYSQL_STMT *st, const char *sql)
{
	int rc = 1;
	int events = mysql_stmt_prepare_start(&rc, st, sql, strlen(sql));
	while (events != 0)
		events = mysql_stmt_prepare_cont(&rc, st, wait_for(c, events));
	return rc == 0;
}

static bool run_execute(struct mysql_conn *c, MYSQL_STMT *st)
{
	int rc = 1;
	int events = mysql_stmt_execute_start(&rc, st);
	while (events != 0)
		events = mysql_stmt_execute_cont(&rc, st, wait_for(c, events));
	return rc == 0;
}

static int run_fetch(struct mysql_conn *c, MYSQL_STMT *st)
{
	int rc = 1;
	int events = mysql_stmt_fetch_start(&rc, st);
	while (events != 0)
		events = mysql_stmt_fetch_cont(&rc, st, wait_for(c, events));
	return rc;
}

static bool run_free_result(struct mysql_conn *c, MYSQL_STMT *st)
{
	my_bool rc = 1;
	int events = mysql_stmt_free_result_start(&rc, st);
	while (events != 0)
		events = mysql_stmt_free_result_cont(&rc, st, wait_for(c, events));
	return rc == 0;
}

/* ---- errors ---- */

static bool is_connection_error(unsigned code)
{
	static const unsigned codes[] = {ER_SERVER_SHUTDOWN, ER_CON_COUNT_ERROR,
	    ER_TOO_MANY_USER_CONNECTIONS, ER_CONNECTION_KILLED, ER_NET_READ_ERROR,
	    ER_NET_READ_INTERRUPTED, ER_NET_ERROR_ON_WRITE, ER_NET_WRITE_INTERRUPTED,
	    1047 /* Galera: the node is not ready */, 4031 /* MySQL 8: idle for too long */};
	if (code >= CR_MIN_ERROR && code <= CR_MAX_ERROR)
		return code != CR_NEW_STMT_METADATA;
	for (size_t i = 0; i < ARRAY_LEN(codes); i++) {
		if (code == codes[i])
			return true;
	}
	return false;
}

static bool is_charset_error(unsigned code)
{
	return code == ER_CANT_AGGREGATE_2COLLATIONS || code == ER_CANT_AGGREGATE_3COLLATIONS ||
	       code == ER_CANT_AGGREGATE_NCOLLATIONS || code == ER_INVALID_CHARACTER_STRING ||
	       code == ER_TRUNCATED_WRONG_VALUE_FOR_FIELD;
}

static enum sql_result failure(
    struct mysql_conn *c, unsigned code, const char *state, const char *text, struct err *err)
{
	bool late = clock_ms() >= c->until;
	if (late && (code == 0 || (code >= CR_MIN_ERROR && code <= CR_MAX_ERROR)))
		err_set(err, EX_TEMPFAIL, "mysql %s: no answer in time", c->host);
	else if (code == 0)
		err_set(err, EX_TEMPFAIL, "mysql %s: the connection broke off", c->host);
	else
		err_set(err, EX_TEMPFAIL, "mysql %s: %s (%u)", c->host, text, code);
	if (code == 0 || is_connection_error(code))
		return late ? SQL_TIMEOUT : SQL_LOST;
	bool about_values =
	    is_charset_error(code) || code == ER_REGEXP_ERROR || sql_state_is_about_values(state);
	return about_values ? SQL_UNFIT : SQL_FAILED;
}

static enum sql_result conn_failure(struct mysql_conn *c, struct err *err)
{
	return failure(c, mysql_errno(c->my), mysql_sqlstate(c->my), mysql_error(c->my), err);
}

static enum sql_result st_failure(struct mysql_conn *c, MYSQL_STMT *st, struct err *err)
{
	if (mysql_stmt_errno(st) == 0) /* of a row the connection alone is told */
		return conn_failure(c, err);
	return failure(c, mysql_stmt_errno(st), mysql_stmt_sqlstate(st), mysql_stmt_error(st), err);
}

/* ---- connecting ---- */

static pthread_once_t library_once = PTHREAD_ONCE_INIT;

static void init_library(void)
{
	if (mysql_library_init(0, NULL, NULL) != 0)
		mem_panic("mysql_library_init");
}

static void set_options(MYSQL *my, const struct sql_connect *to)
{
	unsigned connect = (unsigned)(to->connect_timeout / 1000);
	unsigned reading = (unsigned)(to->read_timeout / 1000);
	unsigned writing = (unsigned)(to->write_timeout / 1000), off = 0;
	unsigned long packet = SQL_ROW_MAX;
	const char *group = to->option_group != NULL ? to->option_group : "client";
	mysql_options(my, MYSQL_OPT_NONBLOCK, 0);
	mysql_options(my, MYSQL_OPT_CONNECT_TIMEOUT, &connect);
	mysql_options(my, MYSQL_OPT_READ_TIMEOUT, &reading);
	mysql_options(my, MYSQL_OPT_WRITE_TIMEOUT, &writing);
	/* a server must not be able to ask for files of this machine */
	mysql_options(my, MYSQL_OPT_LOCAL_INFILE, &off);
	/* nor have the library hold a gigabyte for it, as it would by itself */
	mysql_options(my, MYSQL_OPT_MAX_ALLOWED_PACKET, &packet);
	if (to->option_file != NULL)
		mysql_options(my, MYSQL_READ_DEFAULT_FILE, to->option_file);
	mysql_options(my, MYSQL_READ_DEFAULT_GROUP, group);
	if (to->ssl_ca != NULL || to->ssl_ca_path != NULL || to->ssl_cert != NULL)
		mysql_ssl_set(
		    my, to->ssl_key, to->ssl_cert, to->ssl_ca, to->ssl_ca_path, to->ssl_cipher);
	if (to->ssl_verify >= 0) {
		my_bool verify = to->ssl_verify > 0;
		mysql_options(my, MYSQL_OPT_SSL_VERIFY_SERVER_CERT, &verify);
	}
}

void sql_mysql_drop(struct mysql_statement *s)
{
	if (s->meta != NULL)
		mysql_free_result(s->meta);
	if (s->st != NULL)
		mysql_stmt_close(s->st);
	mem_free(&s->binds);
	if (s->columns != NULL)
		mem_wipe(s->columns, (s->count + 1) * sizeof(*s->columns));
	mem_free(&s->columns);
	*s = (struct mysql_statement){0};
}

static void conn_close(void *handle)
{
	struct mysql_conn *c = handle;
	/* first the connection: statements without one need not read what is left */
	mysql_close(c->my);
	for (size_t i = 0; i < SQL_SLOTS; i++)
		sql_mysql_drop(&c->slots[i]);
	for (size_t i = 0; i < MYSQL_MANY_SLOTS; i++) {
		for (size_t j = 0; j < MYSQL_MANY_SIZES; j++)
			sql_mysql_drop(&c->many[i][j]);
	}
	mem_free(&c);
}

static void *conn_open(
    const struct sql_connect *to, const char *host, int64_t until, struct err *err)
{
	pthread_once(&library_once, init_library);
	struct mysql_conn *c = mem_alloc(sizeof(*c));
	c->my = mysql_init(NULL);
	c->host = host;
	c->until = until;
	if (c->my == NULL)
		mem_panic("mysql_init");
	set_options(c->my, to);
	bool ok = run_connect(c, to);
	/* "..." with variables was read as a literal, so it must be one here, too */
	if (ok && to->double_quoted)
		ok = run_query(c, "SET SESSION sql_mode = "
				  "REPLACE(@@SESSION.sql_mode, 'ANSI_QUOTES', '')");
	if (ok)
		return c;
	(void)conn_failure(c, err);
	conn_close(c);
	return NULL;
}

static enum sql_dialect conn_dialect(void *handle)
{
	const struct mysql_conn *c = handle;
	return (c->my->server_status & SERVER_STATUS_NO_BACKSLASH_ESCAPES) != 0
		   ? SQL_MYSQL_NO_ESCAPES
		   : SQL_MYSQL;
}

/* ---- statements ---- */

enum sql_result sql_mysql_prepare(
    struct mysql_conn *c, struct mysql_statement *s, const char *text, struct err *err)
{
	s->st = mysql_stmt_init(c->my);
	if (s->st == NULL)
		mem_panic("mysql_stmt_init");
	if (run_prepare(c, s->st, text))
		return SQL_ROW;
	enum sql_result r = st_failure(c, s->st, err);
	/* a lost connection's statements are closed after it */
	if (r == SQL_FAILED || r == SQL_UNFIT)
		sql_mysql_drop(s);
	return r;
}

static void bind_columns(struct mysql_statement *s)
{
	if (s->columns == NULL) {
		s->columns = mem_alloc((s->count + 1) * sizeof(*s->columns));
		s->binds = mem_alloc((s->count + 1) * sizeof(*s->binds));
	}
	for (unsigned i = 0; i < s->count; i++) {
		s->binds[i] = (MYSQL_BIND){
		    .buffer_type = MYSQL_TYPE_STRING,
		    .buffer = s->columns[i].bytes,
		    .buffer_length = MYSQL_COLUMN_SIZE,
		    .length = &s->columns[i].len,
		    .is_null = &s->columns[i].null,
		    .error = &s->columns[i].cut,
		};
	}
}

/*
 * A table that was altered under the statement may have other columns in the
 * place of those that there were ("SELECT *"). The library hears of it once,
 * with the first result, and goes on to show the names of before.
 */
static bool has_other_names(const struct mysql_conn *c, const struct mysql_statement *s)
{
	const MYSQL_FIELD *now = c->my->fields, *then = mysql_fetch_fields(s->meta);
	if (now == NULL || c->my->field_count != s->count)
		return now != NULL;
	for (unsigned i = 0; i < s->count; i++) {
		if (now[i].name_length != then[i].name_length ||
		    memcmp(now[i].name, then[i].name, now[i].name_length) != 0)
			return true;
	}
	return false;
}

/* Ready to fetch rows. The shape of the result may have changed since it ran last. */
static enum sql_result prepare_result(
    struct mysql_conn *c, struct mysql_statement *s, struct err *err)
{
	unsigned count = mysql_stmt_field_count(s->st);
	if (s->meta == NULL || count != s->count) {
		if (s->meta != NULL)
			mysql_free_result(s->meta);
		mem_free(&s->columns);
		mem_free(&s->binds);
		s->meta = mysql_stmt_result_metadata(s->st);
		s->count = s->meta != NULL ? mysql_num_fields(s->meta) : 0;
	}
	c->at_end = s->count == 0;
	if (s->count == 0)
		return SQL_ROW;
	if (has_other_names(c, s)) { /* what other connections have prepared is no better */
		err_set(err, EX_TEMPFAIL, "mysql %s: the table was altered", c->host);
		return SQL_LOST;
	}
	bind_columns(s);
	return mysql_stmt_bind_result(s->st, s->binds) == 0 ? SQL_ROW : st_failure(c, s->st, err);
}

/*
 * Always as text: to MySQL the number 0 is equal to each text that is no
 * number, so a user named "0" would be everybody. And of a length that
 * varies: what has a fixed one loses blanks at its end in a UNION.
 */
void sql_mysql_bind(MYSQL_BIND *b, struct span value)
{
	*b = (MYSQL_BIND){
	    .buffer_type = MYSQL_TYPE_VAR_STRING,
	    .buffer = (void *)(uintptr_t)value.ptr,
	    .buffer_length = value.len,
	};
}

enum sql_result sql_mysql_run(struct mysql_conn *c, struct mysql_statement *s, MYSQL_BIND *binds,
    size_t count, struct err *err)
{
	if (mysql_stmt_param_count(s->st) != count) {
		err_set(err, EX_CONFIG, "mysql %s: the server sees %lu placeholders, not %zu",
		    c->host, mysql_stmt_param_count(s->st), count);
		return SQL_FAILED;
	}
	if (count > 0 && mysql_stmt_bind_param(s->st, binds) != 0)
		return st_failure(c, s->st, err);
	return run_execute(c, s->st) ? prepare_result(c, s, err) : st_failure(c, s->st, err);
}

static bool has_high_bytes(const struct sql_query *q, const struct sql_value *values)
{
	for (size_t i = 0; i < q->count; i++) {
		for (size_t j = 0; j < values[i].bytes.len; j++) {
			if ((unsigned char)values[i].bytes.ptr[j] >= 0x80)
				return true;
		}
	}
	return false;
}

static enum sql_result conn_execute(void *handle, const struct sql_query *q,
    const struct sql_value *values, int64_t until, struct err *err)
{
	struct mysql_conn *c = handle;
	struct mysql_statement *s = &c->slots[q->slot];
	enum sql_result r = SQL_ROW;
	bool cached = s->st != NULL;
	MYSQL_BIND binds[SQL_PARAMS_MAX];
	c->until = until;
	for (size_t i = 0; i < q->count; i++)
		sql_mysql_bind(&binds[i], values[i].bytes);
	for (;;) {
		if (s->st == NULL)
			r = sql_mysql_prepare(c, s, q->text, err);
		if (r == SQL_ROW)
			r = sql_mysql_run(c, s, binds, q->count, err);
		if (r != SQL_FAILED && r != SQL_UNFIT)
			break;
		unsigned code = s->st != NULL ? mysql_stmt_errno(s->st) : 0;
		sql_mysql_drop(s);
		if (is_charset_error(code) && has_high_bytes(q, values))
			return SQL_NO_VALUE;
		if (!cached)
			break;
		cached = false; /* the tables may have changed under it: once more, from the text */
		r = SQL_ROW;
	}
	c->running = r == SQL_ROW ? s : NULL;
	return r;
}

/* ---- rows ---- */

/* The whole of a column that did not fit; the row is still in the library's buffer. */
static bool fetch_long(struct mysql_statement *s, unsigned i, char *to, unsigned long len)
{
	MYSQL_BIND b = {
	    .buffer_type = MYSQL_TYPE_STRING, .buffer = to, .buffer_length = len, .length = &len};
	my_bool null = 0, cut = 0;
	b.is_null = &null;
	b.error = &cut;
	return mysql_stmt_fetch_column(s->st, &b, i, 0) == 0;
}

static struct span column_value(struct mysql_statement *s, unsigned i, struct arena *a)
{
	const struct mysql_column *col = &s->columns[i];
	if (col->null)
		return SPAN_NULL;
	if (col->len <= MYSQL_COLUMN_SIZE)
		return arena_dup(a, span_make(col->bytes, col->len));
	char *whole = arena_alloc(a, col->len + 1);
	return fetch_long(s, i, whole, col->len) ? span_make(whole, col->len) : SPAN_NULL;
}

enum sql_result sql_mysql_fetch(struct mysql_conn *c, struct err *err)
{
	struct mysql_statement *s = c->running;
	if (c->at_end)
		return SQL_END;
	int rc = run_fetch(c, s->st);
	if (rc == MYSQL_NO_DATA) {
		c->at_end = true;
		return SQL_END;
	}
	if (rc == 0 || rc == MYSQL_DATA_TRUNCATED)
		return SQL_ROW;
	unsigned code = mysql_errno(c->my);
	/* the server's word about one row ends the result, and nothing else */
	c->at_end = code != 0 && !is_connection_error(code);
	enum sql_result r = st_failure(c, s->st, err);
	if (r == SQL_LOST) /* the library does not say which of these */
		err_set(err, EX_TEMPFAIL,
		    "mysql %s: the connection broke off, or a row has more than %d bytes", c->host,
		    SQL_ROW_MAX);
	return r;
}

void sql_mysql_row(struct mysql_statement *s, unsigned first, struct arena *a, struct sql_row *row)
{
	unsigned n = s->count - first;
	struct span *names = arena_alloc(a, 2 * (size_t)(n + 1) * sizeof(*names));
	struct span *values = names + n;
	const MYSQL_FIELD *fields = mysql_fetch_fields(s->meta) + first;
	for (unsigned i = 0; i < n; i++) {
		names[i] = arena_dup(a, span_make(fields[i].name, fields[i].name_length));
		values[i] = column_value(s, first + i, a);
	}
	*row = (struct sql_row){n, names, values};
}

static enum sql_result conn_next(
    void *handle, struct arena *a, struct sql_row *row, int64_t until, struct err *err)
{
	struct mysql_conn *c = handle;
	c->until = until;
	enum sql_result r = sql_mysql_fetch(c, err);
	if (r == SQL_ROW)
		sql_mysql_row(c->running, 0, a, row);
	return r;
}

static uint64_t conn_changed(void *handle)
{
	const struct mysql_conn *c = handle;
	return c->running != NULL ? mysql_stmt_affected_rows(c->running->st) : 0;
}

bool sql_mysql_finish(void *handle)
{
	struct mysql_conn *c = handle;
	struct mysql_statement *s = c->running;
	c->running = NULL;
	if (s == NULL)
		return true;
	/* the rest could be millions of rows */
	return c->at_end && run_free_result(c, s->st);
}

static void describe(const struct sql_connect *to, const char *host, struct sql_target *t)
{
	t->server = "MariaDB or MySQL";
	t->tls = to->ssl_ca != NULL || to->ssl_ca_path != NULL || to->ssl_cert != NULL ||
		 to->ssl_verify > 0;
	/* an authority that is named is believed, whatever ssl_verify_server_cert says */
	t->any_name = to->ssl_verify <= 0;
	t->unverified = t->any_name && to->ssl_ca == NULL && to->ssl_ca_path == NULL;
	if (to->ssl_ca != NULL)
		snprintf(t->ca_file, sizeof(t->ca_file), "%s", to->ssl_ca);
	if (to->ssl_ca_path != NULL)
		snprintf(t->ca_dir, sizeof(t->ca_dir), "%s", to->ssl_ca_path);
	/* the library takes "localhost" for its socket */
	if (host[0] != '/' && host[0] != '\0' && strcmp(host, "localhost") != 0)
		snprintf(t->port, sizeof(t->port), "%u", to->port != 0 ? to->port : 3306);
}

const struct sql_backend sql_backend = {
    .kind = SQL_KIND_MYSQL,
    .describe = describe,
    .connect = conn_open,
    .dialect = conn_dialect,
    .execute = conn_execute,
    .next = conn_next,
    .changed = conn_changed,
    .execute_all = sql_mysql_execute_all,
    .finish = sql_mysql_finish,
    .close = conn_close,
};

const struct driver authd_driver = {SQL_DRIVER, .ask_many = sql_ask_many};
