/*
 * The settings of the SQL driver: Dovecot's dovecot-sql.conf.ext, checked as
 * a whole (queries and connect string) without any client library.
 * Runs in: parent, authctl (to check), worker (to run).
 */
#include <stdio.h>

#include "drivers/drivers.h"
#include "drivers/sql.h"

#define AT(member) offsetof(struct sql_settings, member)

static const struct setting rows[] = {
    {"driver", SETTING_STRING, AT(driver), "",
	"The database: mysql (MySQL, MariaDB), pgsql (PostgreSQL) or sqlite.", NULL,
	SETTING_REQUIRED, NULL},
    {"connect", SETTING_STRING, AT(connect), "",
	"Where the database is and who asks: words key=value, for sqlite the path of the file.",
	NULL, SETTING_REQUIRED | SETTING_SECRET, NULL},
    {"password_query", SETTING_TEMPLATE, AT(password_query),
	"SELECT username, domain, password FROM users WHERE username = '%n' AND domain = '%d'",
	"Finds a user's password. It must return a column password or password_noscheme; the "
	"others are extra fields.",
	NULL, 0, NULL},
    {"user_query", SETTING_TEMPLATE, AT(user_query),
	"SELECT home, uid, gid FROM users WHERE username = '%n' AND domain = '%d'",
	"Finds a user's uid, gid, home and other fields for a userdb.", NULL, 0, NULL},
    {"iterate_query", SETTING_TEMPLATE, AT(iterate_query), "SELECT username, domain FROM users",
	"Lists all users: a first column user, or the columns username and perhaps domain.", NULL,
	0, NULL},
    {"update_query", SETTING_STRING, AT(update_query),
	"UPDATE users SET password = '%w' WHERE username = '%n' AND domain = '%d' AND "
	"password = '%{old:password}'",
	"Puts a new password in the place of the one that was found: for one-time passwords, and "
	"for "
	"rehash in the passdb. %w or %{new:password} is the new one with its {SCHEME}, "
	"%{old:password} the old one as it was found: with it in the WHERE, a password that "
	"somebody "
	"else has changed meanwhile stays. %{new:scram_sha_256}: what SCRAM-SHA-256 needs to know "
	"of "
	"the new one, or empty.",
	NULL, 0, NULL},
    {"default_pass_scheme", SETTING_STRING, AT(default_pass_scheme), "MD5",
	"The scheme of passwords without a {SCHEME} in front.", NULL, SETTING_REQUIRED, NULL},
    {"multiple_passwords", SETTING_BOOL, AT(multiple_passwords), "no",
	"Several rows of password_query are several passwords of one user, of which any lets in. "
	"Without it a second row is an error.",
	NULL, 0, NULL},
    {"ask_together", SETTING_BOOL, AT(ask_together), "yes",
	"Questions that wait may go to the server together. no: each alone, for queries that do "
	"more "
	"than look up, and for proxies in front of a server.",
	NULL, 0, NULL},
    {"userdb_warning_disable", SETTING_BOOL, AT(userdb_warning_disable), "no",
	"Accepted for compatibility, without effect.", NULL, 0, NULL},
};

static const struct setting_table table = {
    "sql", rows, ARRAY_LEN(rows), sizeof(struct sql_settings)};

/* ---- the check ---- */

static const struct backend_name {
	const char *name;
	enum sql_backend_kind kind;
	enum sql_dialect dialect;
	struct driver_module module;
} backends[] = {
    {"mysql", SQL_KIND_MYSQL, SQL_MYSQL, {"sql-mysql", "libmariadb3", "libmariadb-dev"}},
    {"pgsql", SQL_KIND_PGSQL, SQL_PGSQL, {"sql-pgsql", "libpq5", "libpq-dev"}},
    {"sqlite", SQL_KIND_SQLITE, SQL_SQLITE, {"sql-sqlite", "libsqlite3-0", "libsqlite3-dev"}},
};

static const struct backend_name *find_backend(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(backends); i++) {
		if (strcmp(backends[i].name, name) == 0)
			return &backends[i];
	}
	return NULL;
}

static void complain_of_driver(const char *name, driver_complain *complain, void *ctx)
{
	char text[200];
	if (strcmp(name, "cassandra") == 0)
		snprintf(text, sizeof(text), "cassandra is not possible; mysql, pgsql, sqlite are");
	else
		snprintf(text, sizeof(text), "\"%.60s\" is not one of: mysql pgsql sqlite", name);
	complain(ctx, "driver", text);
}

static struct sql_query *check_query(struct arena *a, enum sql_dialect dialect, unsigned slot,
    const struct template *text, struct err *err)
{
	struct sql_query *q = sql_query_parse(a, dialect, span_of(template_text(text)), err);
	if (q != NULL)
		q->slot = slot;
	return q;
}

/* ---- update_query: what it has beyond the others ---- */

static bool note_source(void *ctx, struct span name, struct span argument, struct err *err)
{
	struct sql_settings *set = ctx;
	bool old = span_eq_str(name, "old");
	if (old && span_eq_str(argument, "password"))
		set->update_compares = true;
	else if (old ||
		 !(span_eq_str(argument, "password") || span_eq_str(argument, "scram_sha_256")))
		return err_set(err, 0,
		    "there are %%{old:password}, %%{new:password} and "
		    "%%{new:scram_sha_256}");
	return true;
}

static struct sql_query *check_update(
    struct sql_settings *set, struct arena *a, enum sql_dialect dialect, struct err *err)
{
	static const char *const names[] = {"old", "new", NULL};
	const struct template_sources sources = {.names = names, .note = note_source, .ctx = set};
	struct sql_query *q =
	    sql_query_parse_with(a, dialect, span_of(set->update_query), &sources, err);
	if (q == NULL)
		return NULL;
	q->slot = SQL_UPDATE;
	q->shows_password = true;
	for (size_t i = 0; i < q->count; i++)
		set->update_needs |= template_needs(q->params[i].value);
	set->update_needs &= ~VAR_BIT(VAR_PASSWORD); /* %w is the new one here */
	return q;
}

static void check(void *settings, struct arena *a, driver_complain *complain, void *ctx)
{
	struct sql_settings *set = settings;
	const struct backend_name *b = find_backend(set->driver);
	struct err err = {0};
	driver_check_scheme(&(struct driver_check){a, complain, ctx}, "default_pass_scheme",
	    set->default_pass_scheme);
	if (b == NULL) {
		complain_of_driver(set->driver, complain, ctx);
		return;
	}
	const struct {
		const char *row;
		const struct template *text;
	} queries[] = {
	    [SQL_PASSWORD] = {"password_query", set->password_query},
	    [SQL_USER] = {"user_query", set->user_query},
	    [SQL_ITERATE] = {"iterate_query", set->iterate_query},
	    [SQL_UPDATE] = {"update_query", NULL},
	};
	set->kind = b->kind;
	set->to = sql_connect_parse(a, b->kind, span_of(set->connect), &err);
	if (set->to == NULL)
		complain(ctx, "connect", err.text);
	for (unsigned i = 0; i < ARRAY_LEN(queries); i++) {
		struct sql_query *q = i == SQL_UPDATE
					  ? check_update(set, a, b->dialect, &err)
					  : check_query(a, b->dialect, i, queries[i].text, &err);
		if (q == NULL)
			complain(ctx, queries[i].row, err.text);
		set->queries[i] = q;
		if (q != NULL && set->to != NULL && q->double_quoted)
			set->to->double_quoted = true;
		if (b->dialect == SQL_MYSQL)
			set->plain_queries[i] =
			    i == SQL_UPDATE
				? check_update(set, a, SQL_MYSQL_NO_ESCAPES, NULL)
				: check_query(a, SQL_MYSQL_NO_ESCAPES, i, queries[i].text, NULL);
	}
}

static const struct driver_module *module_of(const void *settings)
{
	return &find_backend(((const struct sql_settings *)settings)->driver)->module;
}

const struct driver_spec spec_sql = {
    .name = "sql",
    .use = DRIVER_PASSDB | DRIVER_USERDB,
    .args = ARGS_FILE,
    .settings = &table,
    .form_24 = &sql_form_24,
    .check = check,
    .module = module_of,
};
