/*
 * The connect string of the SQL driver: words "key=value" (MySQL, and
 * PostgreSQL with libpq's quoting), or a path and words (SQLite).
 * Runs in: parent, authctl, worker; pure. Owner of the result: the arena.
 */
#include <stdio.h>
#include <sysexits.h>

#include "drivers/sql.h"

struct reader {
	struct arena *arena;
	struct sql_connect *to;
	struct buffer rest;
	struct err *err;
};

enum word_type { WORD_TEXT, WORD_SECONDS, WORD_UINT, WORD_ULONG, WORD_VERIFY, WORD_HOST };

struct word_key {
	const char *name;
	enum word_type type;
	size_t offset;
};

#define TO(member) offsetof(struct sql_connect, member)

static const struct word_key mysql_keys[] = {
    {"host", WORD_HOST, 0},
    {"hostaddr", WORD_HOST, 0},
    {"port", WORD_UINT, TO(port)},
    {"user", WORD_TEXT, TO(user)},
    {"password", WORD_TEXT, TO(password)},
    {"dbname", WORD_TEXT, TO(dbname)},
    {"client_flags", WORD_ULONG, TO(client_flags)},
    {"connect_timeout", WORD_SECONDS, TO(connect_timeout)},
    {"read_timeout", WORD_SECONDS, TO(read_timeout)},
    {"write_timeout", WORD_SECONDS, TO(write_timeout)},
    {"ssl_cert", WORD_TEXT, TO(ssl_cert)},
    {"ssl_key", WORD_TEXT, TO(ssl_key)},
    {"ssl_ca", WORD_TEXT, TO(ssl_ca)},
    {"ssl_ca_path", WORD_TEXT, TO(ssl_ca_path)},
    {"ssl_cipher", WORD_TEXT, TO(ssl_cipher)},
    {"ssl_verify_server_cert", WORD_VERIFY, TO(ssl_verify)},
    {"option_file", WORD_TEXT, TO(option_file)},
    {"option_group", WORD_TEXT, TO(option_group)},
    {"maxconns", WORD_UINT, TO(max_connections)},
};

static const struct word_key sqlite_keys[] = {
    {"journal_mode", WORD_TEXT, TO(journal_mode)},
    {"maxconns", WORD_UINT, TO(max_connections)},
};

/* The others are libpq's business. */
static const struct word_key pgsql_keys[] = {
    {"host", WORD_HOST, 0},
    {"connect_timeout", WORD_SECONDS, TO(connect_timeout)},
    {"maxconns", WORD_UINT, TO(max_connections)},
};

static bool add_host(struct reader *r, struct span value)
{
	struct sql_connect *to = r->to;
	if (to->host_count == 64)
		return err_set(r->err, EX_CONFIG, "more than 64 hosts");
	const char **hosts = arena_alloc(r->arena, (to->host_count + 1) * sizeof(*hosts));
	for (size_t i = 0; i < to->host_count; i++)
		hosts[i] = to->hosts[i];
	hosts[to->host_count++] = arena_cstr(r->arena, value);
	to->hosts = hosts;
	return true;
}

static bool set_verify(struct span value, int *out)
{
	bool yes = span_eq_str(value, "yes"), no = span_eq_str(value, "no");
	*out = yes;
	return yes || no;
}

static bool set_number(enum word_type type, struct span value, void *at)
{
	uint64_t n;
	if (!span_to_u64(value, &n) || n > UINT32_MAX)
		return false;
	if (type == WORD_UINT)
		*(unsigned *)at = (unsigned)n;
	else if (type == WORD_ULONG)
		*(unsigned long *)at = (unsigned long)n;
	else
		*(uint64_t *)at = n * 1000;
	return true;
}

static bool set_word(struct reader *r, const struct word_key *k, struct span value)
{
	void *at = (char *)r->to + k->offset;
	switch (k->type) {
	case WORD_HOST:
		return add_host(r, value);
	case WORD_TEXT:
		*(const char **)at = arena_cstr(r->arena, value);
		return true;
	case WORD_VERIFY:
		return set_verify(value, at) ||
		       err_set(r->err, EX_CONFIG, "%s is neither yes nor no", k->name);
	default:
		return set_number(k->type, value, at) ||
		       err_set(r->err, EX_CONFIG, "%s is not a number", k->name);
	}
}

static const struct word_key *find_key(const struct word_key *keys, size_t count, struct span name)
{
	for (size_t i = 0; i < count; i++) {
		if (span_eq_str(name, keys[i].name))
			return &keys[i];
	}
	return NULL;
}

static bool unknown_key(
    struct reader *r, const struct word_key *keys, size_t count, struct span name)
{
	const char *names[ARRAY_LEN(mysql_keys)];
	for (size_t i = 0; i < count; i++)
		names[i] = keys[i].name;
	const char *near = nearest_name(name, names, count);
	if (near != NULL)
		return err_set(r->err, EX_CONFIG, "unknown word \"%.*s\", did you mean \"%s\"?",
		    SPAN_ARG(name), near);
	return err_set(r->err, EX_CONFIG, "unknown word \"%.*s\"", SPAN_ARG(name));
}

static const char *blanks_of(struct span text)
{
	static const char mark[] = {SQL_WORD_MARK, '\0'};
	return text.len > 0 && text.ptr[0] == SQL_WORD_MARK ? mark : " \t";
}

static bool read_words(struct reader *r, const struct word_key *keys, size_t count,
    const char *blanks, struct span text)
{
	struct span word, name;
	while (span_word(&text, blanks, &word)) {
		if (span_find(word, '=') < 0)
			return err_set(
			    r->err, EX_CONFIG, "there is a word that is not of the form key=value");
		(void)span_split(&word, '=', &name);
		const struct word_key *k = find_key(keys, count, name);
		if (k == NULL)
			return unknown_key(r, keys, count, name);
		if (!set_word(r, k, word.ptr != NULL ? word : SPAN_LIT("")))
			return false;
	}
	return true;
}

/* ---- PostgreSQL: key = value or key = 'value', with backslashes ---- */

static void skip_blanks(struct span *text)
{
	while (text->len > 0 && strchr(" \t\r\n", text->ptr[0]) != NULL)
		*text = span_skip(*text, 1);
}

static bool pg_value(struct reader *r, struct span *text, struct buffer *value)
{
	bool quoted = text->len > 0 && text->ptr[0] == '\'';
	if (quoted)
		*text = span_skip(*text, 1);
	for (; text->len > 0; *text = span_skip(*text, 1)) {
		char c = text->ptr[0];
		if (quoted ? c == '\'' : strchr(" \t\r\n", c) != NULL)
			break;
		if (c == '\\' && text->len > 1) {
			*text = span_skip(*text, 1);
			c = text->ptr[0];
		}
		buffer_append_char(value, c);
	}
	if (quoted && text->len == 0)
		return err_set(r->err, EX_CONFIG, "a quote is never closed");
	if (quoted)
		*text = span_skip(*text, 1);
	return true;
}

/* For libpq again, quoted. */
static void keep_word(struct reader *r, struct span name, struct span value)
{
	buffer_append(&r->rest, name);
	buffer_append_str(&r->rest, "='");
	for (size_t i = 0; i < value.len; i++) {
		if (value.ptr[i] == '\'' || value.ptr[i] == '\\')
			buffer_append_char(&r->rest, '\\');
		buffer_append_char(&r->rest, value.ptr[i]);
	}
	buffer_append_str(&r->rest, "' ");
}

static bool read_pg_word(struct reader *r, struct span *text)
{
	size_t n = 0;
	while (n < text->len && strchr("= \t\r\n", text->ptr[n]) == NULL)
		n++;
	struct span name = span_first(*text, n);
	*text = span_skip(*text, n);
	skip_blanks(text);
	if (name.len == 0 || text->len == 0 || text->ptr[0] != '=')
		return err_set(
		    r->err, EX_CONFIG, "there is a word that is not of the form key=value");
	*text = span_skip(*text, 1);
	skip_blanks(text);
	struct buffer value = {0};
	bool ok = pg_value(r, text, &value);
	struct span v = value.len > 0 ? buffer_span(&value) : SPAN_LIT("");
	const struct word_key *k = find_key(pgsql_keys, ARRAY_LEN(pgsql_keys), name);
	if (ok && k != NULL)
		ok = set_word(r, k, v);
	else if (ok)
		keep_word(r, name, v);
	if (ok && span_eq_str(name, "dbname"))
		r->to->dbname = arena_cstr(r->arena, v);
	buffer_free(&value);
	return ok;
}

static bool read_pgsql(struct reader *r, struct span text)
{
	bool ok = true;
	for (skip_blanks(&text); ok && text.len > 0; skip_blanks(&text))
		ok = read_pg_word(r, &text);
	r->to->rest = arena_cstr(r->arena, r->rest.len > 0 ? buffer_span(&r->rest) : SPAN_LIT(""));
	buffer_free(&r->rest);
	return ok;
}

static bool read_sqlite(struct reader *r, struct span text)
{
	static const char *const modes[] = {
	    "delete", "truncate", "persist", "memory", "wal", "off", NULL};
	const char *blanks = blanks_of(text);
	struct span path;
	if (!span_word(&text, blanks, &path))
		return err_set(r->err, EX_CONFIG, "the path of the database is missing");
	if (path.ptr[0] != '/')
		return err_set(r->err, EX_CONFIG, "\"%.*s\" does not begin with /", SPAN_ARG(path));
	if (!add_host(r, path) || !read_words(r, sqlite_keys, ARRAY_LEN(sqlite_keys), blanks, text))
		return false;
	if (r->to->journal_mode == NULL)
		return true;
	for (size_t i = 0; modes[i] != NULL; i++) {
		if (strcmp(r->to->journal_mode, modes[i]) == 0)
			return true;
	}
	return err_set(r->err, EX_CONFIG,
	    "journal_mode is not one of: delete truncate persist memory wal off");
}

struct sql_connect *sql_connect_parse(
    struct arena *a, enum sql_backend_kind kind, struct span text, struct err *err)
{
	struct sql_connect *to = arena_alloc(a, sizeof(*to));
	struct reader r = {.arena = a, .to = to, .err = err};
	bool ok = false;
	to->connect_timeout = 5000;
	to->read_timeout = kind == SQL_KIND_MYSQL ? 30000 : 60000;
	to->write_timeout = 30000;
	to->ssl_verify = -1;
	if (kind == SQL_KIND_MYSQL)
		ok = read_words(&r, mysql_keys, ARRAY_LEN(mysql_keys), blanks_of(text), text);
	else if (kind == SQL_KIND_PGSQL)
		ok = read_pgsql(&r, text);
	else
		ok = read_sqlite(&r, text);
	/* who names an authority wants its word, or the library would do without TLS, too */
	if (to->ssl_verify < 0 && (to->ssl_ca != NULL || to->ssl_ca_path != NULL))
		to->ssl_verify = 1;
	if (ok && to->host_count == 0 && (kind == SQL_KIND_PGSQL || to->option_file != NULL))
		ok = add_host(&r, SPAN_LIT("")); /* the library knows where */
	if (ok && to->host_count == 0)
		ok = err_set(err, EX_CONFIG, "host= is missing");
	return ok ? to : NULL;
}
