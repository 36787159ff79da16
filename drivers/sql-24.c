/*
 * The SQL driver's settings in the form of Dovecot 2.4: what stands in blocks
 * "mysql HOST {" and "pgsql HOST {" becomes the connect string.
 * Runs in: parent, authctl; pure.
 */
#include <inttypes.h>

#include "conf/form-24.h"
#include "drivers/sql.h"

/* ---- MySQL: a word for each setting ---- */

enum word_24 { AS_IT_IS, AS_SECONDS };

static const struct mysql_word {
	const char *name, *word;
	enum word_24 how;
} mysql_words[] = {
    {"mysql_port", "port", AS_IT_IS},
    {"mysql_user", "user", AS_IT_IS},
    {"mysql_password", "password", AS_IT_IS},
    {"mysql_dbname", "dbname", AS_IT_IS},
    {"mysql_client_flags", "client_flags", AS_IT_IS},
    {"mysql_connect_timeout", "connect_timeout", AS_SECONDS},
    {"mysql_read_timeout", "read_timeout", AS_SECONDS},
    {"mysql_write_timeout", "write_timeout", AS_SECONDS},
    {"mysql_connection_limit", "maxconns", AS_IT_IS},
    {"mysql_option_file", "option_file", AS_IT_IS},
    {"mysql_option_group", "option_group", AS_IT_IS},
};

/* with mysql_ssl = yes */
static const struct mysql_word tls_words[] = {
    {"ssl_client_ca_file", "ssl_ca", AS_IT_IS},
    {"ssl_client_ca_dir", "ssl_ca_path", AS_IT_IS},
    {"ssl_client_cert_file", "ssl_cert", AS_IT_IS},
    {"ssl_client_key_file", "ssl_key", AS_IT_IS},
    {"ssl_cipher_list", "ssl_cipher", AS_IT_IS},
};

static void put_word(struct buffer *out, const char *word, struct span value)
{
	buffer_append_char(out, SQL_WORD_MARK);
	buffer_printf(out, "%s=%.*s", word, SPAN_ARG(value));
}

static void put_seconds(
    struct form_24 *f, struct buffer *out, const struct mysql_word *w, const char *value)
{
	static const struct setting time = {.name = "time", .type = SETTING_TIME, .def = "0"};
	uint64_t ms = 0;
	struct err err = {0};
	struct arena *a = form_24_arena(f);
	if (setting_set(&time, &ms, span_of(value), a, &err))
		put_word(out, w->word, arena_printf(a, "%" PRIu64, (ms + 999) / 1000));
	else
		form_24_complain(f, w->name, err.text);
}

static const char *get(struct form_24 *f, const struct conf_node *block, const char *name)
{
	return block != NULL ? form_24_get_in(f, block, name) : form_24_get(f, name);
}

static void put_words(struct form_24 *f, const struct conf_node *block,
    const struct mysql_word *words, size_t count, struct buffer *out)
{
	for (size_t i = 0; i < count; i++) {
		const char *value = get(f, block, words[i].name);
		if (value == NULL)
			continue;
		if (words[i].how == AS_SECONDS)
			put_seconds(f, out, &words[i], value);
		else
			put_word(out, words[i].word, span_of(value));
	}
}

static void put_tls(struct form_24 *f, const struct conf_node *block, struct buffer *out)
{
	const char *on = get(f, block, "mysql_ssl");
	if (on == NULL || strcasecmp(on, "no") == 0)
		return;
	put_words(f, block, tls_words, ARRAY_LEN(tls_words), out);
	if (get(f, block, "ssl_client_ca_file") == NULL &&
	    get(f, block, "ssl_client_ca_dir") == NULL)
		put_word(out, "ssl_ca_path", SPAN_LIT("/etc/ssl/certs"));
	const char *verify = get(f, block, "ssl_client_require_valid_cert");
	bool no = verify != NULL && strcasecmp(verify, "no") == 0;
	put_word(out, "ssl_verify_server_cert", no ? SPAN_LIT("no") : SPAN_LIT("yes"));
}

/* All but the host, which must be the same for all of them: they are one pool of equal servers. */
static struct span mysql_rest(struct form_24 *f, const struct conf_node *block)
{
	struct buffer out = {0};
	put_words(f, block, mysql_words, ARRAY_LEN(mysql_words), &out);
	put_tls(f, block, &out);
	struct span s = arena_dup(form_24_arena(f), out.len > 0 ? buffer_span(&out) : SPAN_LIT(""));
	buffer_free(&out);
	return s;
}

static void compose_mysql(struct form_24 *f, struct buffer *out)
{
	const struct conf_node *block = form_24_block(f, "mysql", 0);
	struct span rest = mysql_rest(f, block);
	for (size_t i = 0; i == 0 || block != NULL; i++) {
		const char *host = get(f, block, "mysql_host");
		if (host == NULL && block != NULL)
			host = form_24_block_name(block);
		if (host != NULL)
			put_word(out, "host", span_of(host));
		if (block != NULL && !span_eq(rest, mysql_rest(f, block)))
			form_24_complain(f, NULL,
			    "the blocks mysql HOST { } must say the same of all hosts, which "
			    "authd takes for equal servers");
		block = form_24_block(f, "mysql", i + 1);
	}
	if (out->len == 0 && get(f, NULL, "mysql_option_file") == NULL)
		form_24_complain(
		    f, NULL, "there is no block mysql HOST { }: which server is to be asked?");
	buffer_append(out, rest);
}

/* ---- PostgreSQL: parameters of libpq ---- */

static void put_pg(struct buffer *out, const char *key, const char *value)
{
	buffer_printf(out, "%s='", key);
	for (; *value != '\0'; value++) {
		if (*value == '\'' || *value == '\\')
			buffer_append_char(out, '\\');
		buffer_append_char(out, *value);
	}
	buffer_append_str(out, "' ");
}

static struct span pgsql_rest(struct form_24 *f, const struct conf_node *block)
{
	struct buffer out = {0};
	const char *key, *value, *limit = form_24_get_in(f, block, "pgsql_connection_limit");
	for (size_t i = 0; form_24_item(f, block, "parameters", i, &key, &value); i++) {
		if (strcmp(key, "host") != 0)
			put_pg(&out, key, value);
	}
	if (limit != NULL)
		put_pg(&out, "maxconns", limit);
	struct span s = arena_dup(form_24_arena(f), out.len > 0 ? buffer_span(&out) : SPAN_LIT(""));
	buffer_free(&out);
	return s;
}

/* The name of the block is the host, unless the parameters name one. */
static const char *pgsql_host(struct form_24 *f, const struct conf_node *block)
{
	const char *key, *value, *host = form_24_block_name(block);
	for (size_t i = 0; form_24_item(f, block, "parameters", i, &key, &value); i++) {
		if (strcmp(key, "host") == 0)
			host = value;
	}
	return host;
}

static void compose_pgsql(struct form_24 *f, struct buffer *out)
{
	const struct conf_node *block = form_24_block(f, "pgsql", 0);
	if (block == NULL) {
		form_24_complain(
		    f, NULL, "there is no block pgsql HOST { }: which server is to be asked?");
		return;
	}
	struct span rest = pgsql_rest(f, block);
	for (size_t i = 0; block != NULL; block = form_24_block(f, "pgsql", ++i)) {
		put_pg(out, "host", pgsql_host(f, block));
		if (!span_eq(rest, pgsql_rest(f, block)))
			form_24_complain(f, NULL,
			    "the blocks pgsql HOST { } must say the same of all hosts, which "
			    "authd takes for equal servers");
	}
	buffer_append(out, rest);
}

/* ---- SQLite ---- */

static void compose_sqlite(struct form_24 *f, struct buffer *out)
{
	const char *path = form_24_get(f, "sqlite_path");
	const char *mode = form_24_get(f, "sqlite_journal_mode");
	if (path == NULL || *path == '\0') {
		form_24_complain(f, NULL, "sqlite_path is missing: which file is the database?");
		return;
	}
	buffer_append_char(out, SQL_WORD_MARK);
	buffer_append_str(out, path);
	if (mode != NULL)
		put_word(out, "journal_mode", span_of(mode));
}

/* ---- the whole ---- */

static void compose(struct form_24 *f, bool passdb)
{
	const char *driver = form_24_get(f, "sql_driver");
	struct buffer out = {0};
	if (driver != NULL && strcmp(driver, "mysql") == 0)
		compose_mysql(f, &out);
	else if (driver != NULL && strcmp(driver, "pgsql") == 0)
		compose_pgsql(f, &out);
	else if (driver != NULL && strcmp(driver, "sqlite") == 0)
		compose_sqlite(f, &out);
	/* with none the error has been said, here or of the driver's name */
	form_24_set(f, "connect",
	    out.len > 0 ? arena_dup(form_24_arena(f), buffer_span(&out)) : SPAN_LIT("host=/none"));
	buffer_free(&out);
	if (passdb && !form_24_has(f, "default_pass_scheme"))
		form_24_set(f, "default_pass_scheme", SPAN_LIT("CRYPT"));
	if (!passdb && !form_24_has(f, "iterate_query")) /* nor is there a default of that */
		form_24_set(f, "iterate_query", SPAN_LIT(""));
	if (!form_24_has(f, passdb ? "password_query" : "user_query"))
		form_24_complain(f, NULL,
		    passdb ? "passdb_sql_query is missing" : "userdb_sql_query is missing");
}

static const struct driver_name_24 names[] = {
    {.name = "sql_driver", .row = "driver"},
    {.name = "passdb_sql_query", .row = "password_query"},
    {.name = "userdb_sql_query", .row = "user_query"},
    {.name = "userdb_sql_iterate_query", .row = "iterate_query"},
    {.name = "passdb_sql_update_query", .row = "update_query", .variables = true},
    {.name = "passdb_default_password_scheme", .row = "default_pass_scheme"},
    {.name = "passdb_sql_multiple_passwords", .row = "multiple_passwords"},
    {.name = "sql_ask_together", .row = "ask_together"},
    {.name = "sqlite_path"},
    {.name = "sqlite_journal_mode"},
    {.name = "sqlite_readonly"},
    {.name = "mysql_host"},
    {.name = "mysql_port"},
    {.name = "mysql_user"},
    {.name = "mysql_password"},
    {.name = "mysql_dbname"},
    {.name = "mysql_ssl"},
    {.name = "mysql_client_flags"},
    {.name = "mysql_connect_timeout"},
    {.name = "mysql_read_timeout"},
    {.name = "mysql_write_timeout"},
    {.name = "mysql_connection_limit"},
    {.name = "mysql_option_file"},
    {.name = "mysql_option_group"},
    {.name = "pgsql_host"},
    {.name = "pgsql_connection_limit"},
    {.name = "ssl_client_ca_file"},
    {.name = "ssl_client_ca_dir"},
    {.name = "ssl_client_cert_file"},
    {.name = "ssl_client_key_file"},
    {.name = "ssl_client_require_valid_cert"},
    {.name = "ssl_cipher_list"},
    {.name = NULL},
};

const struct driver_form_24 sql_form_24 = {
    .names = names,
    .blocks = "mysql pgsql",
    .provider = "sql",
    .compose = compose,
};
