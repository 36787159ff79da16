/*
 * What the files of the SQL driver share. sql-settings.c, sql-query.c and
 * sql-connect.c check the configuration and are part of the program; sql.c,
 * sql-pool.c and one backend make a module, one for each client library.
 */
#ifndef DRIVERS_SQL_H
#define DRIVERS_SQL_H

#include "drivers/driver.h"
#include "drivers/drivers.h"

/* ---- sql-query.c: queries are statements with parameters ---- */

enum sql_dialect {
	SQL_MYSQL,
	SQL_MYSQL_NO_ESCAPES, /* sql_mode NO_BACKSLASH_ESCAPES */
	SQL_PGSQL,
	SQL_SQLITE,
};

enum { SQL_PARAMS_MAX = 256 };

struct sql_param {
	struct template *value;
	bool bare; /* stood outside of quotes: a number when it looks like one */
};

struct sql_query {
	const char *text; /* placeholders are ? or, in PostgreSQL, $1 $2 ... */
	size_t count;
	struct sql_param params[SQL_PARAMS_MAX];
	bool shows_password; /* a parameter holds the password: keep the server's words quiet */
	bool double_quoted;  /* has "a literal" that is an identifier with sql_mode ANSI_QUOTES */
	bool changes;	     /* may change or lock something: it never goes with others */
	bool apart;    /* may mean something else, or be slower, as a part of another statement */
	unsigned slot; /* which prepared statement of a connection, below SQL_SLOTS */
};

/* NULL and *err, with an offset in the text, where a variable cannot be a value. */
struct sql_query *sql_query_parse(
    struct arena *a, enum sql_dialect dialect, struct span text, struct err *err) MUST_CHECK;
/* The same with variables that this query alone has. */
struct sql_query *sql_query_parse_with(struct arena *a, enum sql_dialect dialect, struct span text,
    const struct template_sources *sources, struct err *err) MUST_CHECK;

/* ---- sql-connect.c: the connect string ---- */

enum sql_backend_kind { SQL_KIND_MYSQL, SQL_KIND_PGSQL, SQL_KIND_SQLITE };

struct sql_connect {
	const char **hosts; /* names, addresses or paths of sockets; SQLite: the file */
	size_t host_count;
	const char *user, *password, *dbname; /* NULL: not given */
	unsigned port;
	unsigned long client_flags;
	uint64_t connect_timeout, read_timeout, write_timeout; /* ms */
	const char *ssl_cert, *ssl_key, *ssl_ca, *ssl_ca_path, *ssl_cipher;
	int ssl_verify; /* -1: as the library does */
	const char *option_file, *option_group;
	bool double_quoted;	  /* a query has "a literal" */
	unsigned max_connections; /* of one host; 0: as many as there are lanes */
	const char *rest;	  /* PostgreSQL: the other words, for libpq */
	const char *journal_mode; /* SQLite */
};

/* A connect string that begins with this has it between its words: values may hold blanks. */
enum { SQL_WORD_MARK = '\x1f' };

struct sql_connect *sql_connect_parse(
    struct arena *a, enum sql_backend_kind kind, struct span text, struct err *err) MUST_CHECK;

/* sql-24.c */
extern const struct driver_form_24 sql_form_24;

/* ---- sql-settings.c ---- */

enum { SQL_PASSWORD, SQL_USER, SQL_ITERATE, SQL_UPDATE, SQL_SLOTS };

struct sql_settings {
	const char *driver, *connect;
	struct template *password_query, *user_query, *iterate_query;
	const char *update_query; /* a template with variables of its own */
	const char *default_pass_scheme;
	bool multiple_passwords, ask_together;
	bool userdb_warning_disable;
	/* completed by the check */
	bool update_compares; /* %{old:password} is in it: it changes nothing else than what was
				 seen */
	uint64_t update_needs;
	enum sql_backend_kind kind;
	struct sql_connect *to;
	struct sql_query *queries[SQL_SLOTS];
	/* MySQL: the same for NO_BACKSLASH_ESCAPES; NULL where that cannot be */
	struct sql_query *plain_queries[SQL_SLOTS];
};

/* ---- a backend: sql-mysql.c, sql-pgsql.c, sql-sqlite.c ---- */

enum sql_result {
	SQL_FAILED = 0, /* the query cannot be run, whoever is asked for: *err says why */
	SQL_UNFIT,	/* the same for these values, or these rows; others may do */
	SQL_ROW,
	SQL_END,
	SQL_LOST,    /* the connection is of no more use; *err */
	SQL_TIMEOUT, /* the same, and nobody answered in time */
	SQL_BROKEN,  /* sql.c: lost among the rows of an answer, perhaps by what is in them */
	SQL_NO_VALUE /* a parameter that no column can hold: nothing matches it */
};

/* What a row may have in all, so that it is an answer which reaches the front. */
enum { SQL_ROW_MAX = 15 << 20, SQL_COLUMNS_MAX = 900 };

struct sql_row {
	size_t count;
	const struct span *names;
	const struct span *values; /* SPAN_NULL: NULL */
};

struct sql_value {
	struct span bytes;
	bool bare;
};

/* One of several questions that are asked together. */
struct sql_item {
	const struct sql_query *query;
	const struct sql_value *values;
	struct arena *arena; /* for the row */
	/* out */
	bool alone; /* this one is to be asked alone all the same */
	unsigned rows;
	struct sql_row row; /* the first */
};

/* Of one host, for a test: how to reach it. */
struct sql_target {
	const char *server; /* "MariaDB or MySQL" */
	char port[16];	    /* "": not over the network */
	bool tls;	    /* it is asked for */
	bool unverified;    /* and any certificate will do */
	bool any_name;	    /* and a trusted one for any name will do */
	char ca_file[256], ca_dir[256];
};

struct sql_backend {
	enum sql_backend_kind kind;
	void (*describe)(const struct sql_connect *to, const char *host, struct sql_target *target);
	/* NULL and *err; bounded by until (clock_ms()) */
	void *(*connect)(
	    const struct sql_connect *to, const char *host, int64_t until, struct err *err);
	/* The dialect of the connection, as only the server knows it. */
	enum sql_dialect (*dialect)(void *conn);
	/* SQL_ROW: there may be rows, take them with next() */
	enum sql_result (*execute)(void *conn, const struct sql_query *query,
	    const struct sql_value *values, int64_t until, struct err *err);
	/* SQL_ROW or SQL_END; the row lives in the arena */
	enum sql_result (*next)(
	    void *conn, struct arena *a, struct sql_row *row, int64_t until, struct err *err);
	/* After SQL_END: how many rows the statement has changed. */
	uint64_t (*changed)(void *conn);
	/*
	 * All in one round. SQL_END: the rows of all are there but for those that are to be
	 * asked alone; else of none, nothing has happened, and each is to be asked alone.
	 */
	enum sql_result (*execute_all)(
	    void *conn, struct sql_item *items, size_t count, int64_t until, struct err *err);
	/* Ends the result, however much of it was taken. false: close the connection. */
	bool (*finish)(void *conn);
	void (*close)(void *conn);
};

/* Of SQLSTATE: what it says is about values, not about the server, its tables or rights. */
bool sql_state_is_about_values(const char *state);

/* the module's own */
extern const struct sql_backend sql_backend;
extern const struct driver authd_driver;

/* ---- sql.c ---- */

void *sql_open(const void *settings, struct err *err);
enum verdict sql_ask(void *state, struct question *q);
void sql_ask_many(void *state, struct question *const *questions, enum verdict *verdicts,
    size_t count, driver_early *early, void *ctx);
bool sql_list(void *state, const struct vars *vars, driver_emit *emit, void *ctx, struct err *err);
enum verdict sql_store(void *state, struct question *q, const struct replacement *r);
uint64_t sql_needs(void *state);
void sql_close(void *state);
/* sql-test.c */
bool sql_test(const void *settings, struct driver_report *r);

/* what the drivers of all backends have */
#define SQL_DRIVER                                                                                 \
	.abi = DRIVER_ABI, .spec = &spec_sql, .can = CAN_SHOW | CAN_LIST | CAN_STORE,              \
	.lanes = LANES_OWN, .open = sql_open, .ask = sql_ask, .list = sql_list,                    \
	.store = sql_store, .needs = sql_needs, .close = sql_close, .test = sql_test

/* ---- sql-pool.c: the connections of all lanes ---- */

struct sql_pool;
struct sql_host;

struct sql_conn {
	struct sql_conn *next;
	struct sql_host *host;
	void *handle;
	bool fresh; /* not used since it was made */
};

/* The pool of these settings, shared by all lanes. */
struct sql_pool *sql_pool_open(const struct sql_settings *set);
void sql_pool_close(struct sql_pool *pool);

/* One question's way through the hosts. */
struct sql_try {
	struct sql_pool *pool;
	uint64_t tried;	  /* hosts, by number */
	int64_t deadline; /* clock_ms() */
	int64_t until;	  /* of this attempt */
	int64_t started;
	bool broken; /* the last attempt ended amid an answer: once may be chance */
	bool busy;   /* out: the time ran out in waiting for a connection */
};

/* A connection to a host that was not tried yet, or NULL and *err. */
struct sql_conn *sql_pool_take(struct sql_try *t, struct err *err) MUST_CHECK;
void sql_pool_give(struct sql_pool *pool, struct sql_conn *conn);
/* The connection failed in the middle of this attempt. */
void sql_pool_drop(
    struct sql_try *t, struct sql_conn *conn, enum sql_result why, const struct err *err);

#endif
