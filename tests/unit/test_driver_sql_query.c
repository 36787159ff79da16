/*
 * The SQL driver's reading of queries and connect strings: what becomes a
 * parameter, what stays text, what is refused. No database is needed.
 */
#include "tests/unit/driver-kit.h"

#include "drivers/sql.h"

static struct arena arena;

static const char *show(enum sql_dialect dialect, const char *text)
{
	static char out[2000];
	struct err err = {0};
	struct sql_query *q = sql_query_parse(&arena, dialect, span_of(text), &err);
	if (q == NULL) {
		snprintf(out, sizeof(out), "error: %s", err.text);
		return out;
	}
	int n = snprintf(out, sizeof(out), "%s", q->text);
	for (size_t i = 0; i < q->count; i++)
		n += snprintf(out + n, sizeof(out) - (size_t)n, " [%s%s]",
		    template_text(q->params[i].value), q->params[i].bare ? " bare" : "");
	return out;
}

struct sample {
	enum sql_dialect dialect;
	const char *text, *want;
};

static void check_all(const struct sample *samples, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		const char *got = show(samples[i].dialect, samples[i].text);
		if (strncmp(samples[i].want, "error: ", 7) == 0
			? strstr(got, samples[i].want + 7) == NULL || strncmp(got, "error", 5) != 0
			: strcmp(got, samples[i].want) != 0)
			fail_msg(
			    "%s\n  gives %s\n  not   %s", samples[i].text, got, samples[i].want);
		arena_free(&arena);
	}
}

#define MY SQL_MYSQL
#define PLAIN SQL_MYSQL_NO_ESCAPES
#define PG SQL_PGSQL
#define LITE SQL_SQLITE

static void literals(void **state)
{
	static const struct sample samples[] = {
	    {MY, "SELECT a FROM t WHERE e = '%u'", "SELECT a FROM t WHERE e = ? [%u]"},
	    {PG, "SELECT a FROM t WHERE e = '%n' AND d='%d'",
		"SELECT a FROM t WHERE e = $1 AND d=$2 [%n] [%d]"},
	    {MY, "SELECT '/home/vmail/%d/%n' as home, 'Maildir' as mail",
		"SELECT ? as home, 'Maildir' as mail [/home/vmail/%d/%n]"},
	    {MY, "SELECT'%u'as x", "SELECT ? as x [%u]"},
	    {MY, "SELECT \"%u\", \"x\"", "SELECT ?, \"x\" [%u]"},
	    {MY, "SELECT 'it''s %u'", "SELECT ? [it's %u]"},
	    {MY, "SELECT 'it\\'s %u\\n'", "SELECT ? [it's %u\n]"},
	    {MY, "SELECT 'a\\\\', '%u'", "SELECT 'a\\\\', ? [%u]"},
	    {PLAIN, "SELECT 'a\\', '%u'", "SELECT 'a\\', ? [%u]"},
	    {PLAIN, "SELECT '\\%u\\'", "SELECT ? [\\%u\\]"},
	    {PG, "SELECT 'a\\', '%u'", "SELECT 'a\\', $1 [%u]"},
	    {LITE, "SELECT 'a\\', '%u'", "SELECT 'a\\', ? [%u]"},
	    {MY, "SELECT 'a\\', '%u'", "error: %u cannot be a value at offset 14"},
	    {MY, "SELECT e LIKE '%%x'", "SELECT e LIKE '%x'"},
	    {MY, "SELECT e LIKE '%%%u'", "SELECT e LIKE ? [%%%u]"},
	    {MY, "SELECT e LIKE 'a\\_\\%%%u'", "SELECT e LIKE ? [a\\_\\%%%u]"},
	    {MY, "SELECT '\\%u'", "error: this backslash escape"},
	    {MY, "SELECT '\\0%u'", "error: this backslash escape"},
	    {MY, "SELECT '\\0'", "SELECT '\\0'"},
	    {PG, "SELECT E'it\\'s', '%u'", "SELECT E'it\\'s', $1 [%u]"},
	    {PG, "SELECT E'it\\'s %u'", "SELECT   $1 [it's %u]"},
	    {PG, "SELECT E'\\x41%u'", "error: this backslash escape"},
	    {PG, "SELECT U&'%u'", "error: a literal of this type"},
	    {MY, "SELECT x'%u'", "error: a literal of this type"},
	    {MY, "SELECT _latin1 '%u'", "error: a literal of this type"},
	    {MY, "SELECT DATE '%n'", "error: a literal of this type"},
	    {MY, "SELECT DATE '2026-01-01', date('%n'), now() + INTERVAL '%n' DAY",
		"SELECT DATE '2026-01-01', date(?), now() + INTERVAL ? DAY [%n] [%n]"},
	    {PG, "SELECT a FROM t WHERE inet '%r' << net", "error: a literal of this type"},
	    {PG, "SELECT interval '%n'", "error: a literal of this type"},
	    {PG, "SELECT a FROM t WHERE '%r'::inet << net AND CAST('%n' AS date) = date",
		"SELECT a FROM t WHERE $1::inet << net AND CAST($2 AS date) = date [%r] [%n]"},
	    {PG, "SELECT $$it's$$, '%u'", "SELECT $$it's$$, $1 [%u]"},
	    {PG, "SELECT $a$it's %u $$ $a$, 1", "SELECT $1, 1 [it's %u $$ ]"},
	    {PG, "SELECT $a$ %u", "error: dollar quote is never closed"},
	    {MY, "SELECT '%{if;%u;eq;'x';a;b}'", "SELECT ? [%{if;%u;eq;'x';a;b}]"},
	    {MY, "SELECT '%u", "error: the quote is never closed, opened at offset 7"},
	    {MY, "SELECT '%Q'", "error: %Q"},
	};
	(void)state;
	check_all(samples, ARRAY_LEN(samples));
}

static void bare(void **state)
{
	static const struct sample samples[] = {
	    {MY, "SELECT a FROM t WHERE e = %u", "SELECT a FROM t WHERE e = ? [%u bare]"},
	    {PG, "SELECT a FROM t WHERE e IN (%u,%d)",
		"SELECT a FROM t WHERE e IN ($1,$2) [%u bare] [%d bare]"},
	    {PG, "SELECT f(%u)::text, a=%{lport}::int FROM t WHERE b=%d",
		"SELECT f($1)::text, a=$2::int FROM t WHERE b=$3 [%u bare] [%{lport} bare] [%d "
		"bare]"},
	    {PG, "SELECT a FROM get_user(%u)", "SELECT a FROM get_user($1) [%u bare]"},
	    {MY, "SELECT 5 %% 2", "SELECT 5 % 2"},
	    {MY, "SELECT a FROM t_%d", "error: part of something longer"},
	    {MY, "SELECT a FROM %d", "error: at offset 14: no operator stands before it"},
	    {MY, "SELECT a FROM x, %d", "error: the clause FROM takes no variables"},
	    {MY, "SELECT a FROM x WHERE e=%u LIMIT 1,%{lport}",
		"error: the clause LIMIT takes no variables"},
	    {MY, "SELECT a FROM x LIMIT %{lport}", "error: no operator"},
	    {MY, "SELECT a FROM x LIMIT 1 + %{lport}", "error: the clause LIMIT"},
	    {MY, "SELECT a AS %u", "error: no operator"},
	    {MY, "SELECT t.%u", "error: part of something longer"},
	    {MY, "SELECT %u.a", "error: part of something longer"},
	    {MY, "SELECT %u@%d", "error: part of something longer"},
	    {MY, "SELECT %u%d", "error: part of something longer"},
	    {MY, "SELECT %u'x'", "error: part of something longer"},
	    {MY, "%u", "error: no operator"},
	    {MY, "SELECT `a%u`", "error: the name of a table or column"},
	    {PG, "SELECT \"%u\"", "error: write '...'"},
	    {LITE, "SELECT \"%u\"", "error: write '...'"},
	    {LITE, "SELECT [%u]", "error: the name of a table or column"},
	    {PG, "SELECT \"a\"\"'\", '%u'", "SELECT \"a\"\"'\", $1 [%u]"},
	    {MY, "SELECT `a``'`, '%u'", "SELECT `a``'`, ? [%u]"},
	};
	(void)state;
	check_all(samples, ARRAY_LEN(samples));
}

static void comments(void **state)
{
	static const struct sample samples[] = {
	    {MY, "SELECT 1 # it's\n, '%u'", "SELECT 1 # it's\n, ? [%u]"},
	    {PG, "SELECT 1 # '%u'", "SELECT 1 # $1 [%u]"},
	    {MY, "SELECT 1 -- it's\n, '%u'", "SELECT 1 -- it's\n, ? [%u]"},
	    {MY, "SELECT 1--'%u'", "SELECT 1--? [%u]"},
	    {PG, "SELECT 1--'%u", "SELECT 1 "},
	    {MY, "SELECT /* it's %u */ '%u'", "SELECT   ? [%u]"},
	    {PG, "SELECT /* a /* ' */ b */ '%u'", "SELECT /* a /* ' */ b */ $1 [%u]"},
	    {MY, "SELECT /* a /* ' */ '%u'", "SELECT /* a /* ' */ ? [%u]"},
	    {MY, "SELECT /*!50000 '%u', */ 1", "SELECT /*!50000 ?, */ 1 [%u]"},
	    {MY, "SELECT /* ", "error: the comment is never closed"},
	};
	(void)state;
	check_all(samples, ARRAY_LEN(samples));
}

static void statements(void **state)
{
	static const struct sample samples[] = {
	    {MY, "SELECT 1; ", "SELECT 1"},
	    {MY, "SELECT 1; DROP TABLE users", "error: only one statement is possible"},
	    {MY, "SELECT ?, '%u'", "error: placeholders are authd's own"},
	    {LITE, "SELECT :x", "error: placeholders"},
	    {LITE, "SELECT ?1", "error: placeholders"},
	    {PG, "SELECT a ? 'b'", "SELECT a ? 'b'"},
	    {PG, "SELECT $1", "error: placeholders"},
	    {PG, "SELECT a$1", "SELECT a$1"},
	    {MY, "SELECT (1", "error: a parenthesis is never closed"},
	};
	(void)state;
	check_all(samples, ARRAY_LEN(samples));
	char deep[400] = "SELECT ";
	memset(deep + 7, '(', 300);
	assert_non_null(strstr(show(MY, deep), "too many parentheses"));
	char wide[3000] = "SELECT '%u'";
	for (int i = 0; i < 300; i++)
		strcat(wide, ",'%u'");
	assert_non_null(strstr(show(MY, wide), "too many variables"));
	arena_free(&arena);
}

static void flags(void **state)
{
	struct err err = {0};
	(void)state;
	struct sql_query *q = sql_query_parse(&arena, MY, SPAN_LIT("SELECT '%w', \"%u\""), &err);
	assert_true(q->shows_password);
	assert_true(q->double_quoted);
	q = sql_query_parse(&arena, MY, SPAN_LIT("SELECT '%u', \"x\""), &err);
	assert_false(q->shows_password);
	assert_false(q->double_quoted);
	arena_free(&arena);
}

/* ---- connect strings ---- */

static struct sql_connect *connect_of(enum sql_backend_kind kind, const char *text, struct err *err)
{
	*err = (struct err){0};
	return sql_connect_parse(&arena, kind, span_of(text), err);
}

static void expect_error(enum sql_backend_kind kind, const char *text, const char *want)
{
	struct err err;
	assert_null(connect_of(kind, text, &err));
	if (strstr(err.text, want) == NULL)
		fail_msg("%s: \"%s\" is not in \"%s\"", text, want, err.text);
}

/* What may go to the server together with others: "changes", "apart" or nothing. */
static void together(void **state)
{
	static const struct sample samples[] = {
	    {MY, "SELECT email AS user, concat(a, '@', b) FROM t WHERE e = '%u'", ""},
	    {MY, "SELECT if(a, replace(b, 'x', ''), lower ('%u')) FROM (SELECT 1) t", ""},
	    {MY, "SELECT '@x LIMIT 1', `group`, \"found_rows()\" FROM t", ""},
	    {MY, "SELECT 1 FROM a JOIN b USING (c) WHERE d IN (1) AND EXISTS (SELECT 2)", ""},
	    {MY, "SELECT a FROM t LIMIT\t1", "apart"},
	    {MY, "SELECT a FROM t GROUP\nBY a", "apart"},
	    {MY, "SELECT distinctrow a FROM t", "apart"},
	    {MY, "SELECT FOUND_ROWS() AS a", "apart"},
	    {MY, "SELECT row_count () AS a", "apart"},
	    {MY, "SELECT logged('%u') AS a", "apart"},
	    {MY, "SELECT `concat`('%u') AS a", "apart"},
	    {MY, "SELECT db.concat('%u') AS a", "apart"},
	    {MY, "SELECT @x AS a", "apart"},
	    {MY, "SELECT @@identity AS a", "apart"},
	    {MY, "SELECT NEXT VALUE FOR s", "apart"},
	    {MY, "SELECT a /*! INTO @x */ FROM t", "apart"},
	    {MY, "SELECT a FROM t FOR UPDATE", "changes"},
	    {MY, "SELECT a FROM t LOCK IN SHARE MODE", "changes"},
	    {MY, "CALL p('%u')", "apart changes"},
	    {PG, "UPDATE t SET a = now() WHERE e = '%u' RETURNING password", "changes"},
	    {PG, "WITH x AS (DELETE FROM t WHERE e = '%u') SELECT 1", "changes"},
	    {PG, "SELECT a FROM t WHERE e = '%u' FOR NO KEY UPDATE", "changes"},
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(samples); i++) {
		const struct sample *s = &samples[i];
		struct err err = {0};
		struct sql_query *q = sql_query_parse(&arena, s->dialect, span_of(s->text), &err);
		assert_non_null(q);
		if (q->apart != (strstr(s->want, "apart") != NULL) ||
		    q->changes != (strstr(s->want, "changes") != NULL))
			fail_msg("%s\n  is not \"%s\"", s->text, s->want);
		arena_free(&arena);
	}
}

static void connect_mysql(void **state)
{
	struct err err;
	(void)state;
	struct sql_connect *to = connect_of(SQL_KIND_MYSQL,
	    "host=a  host=/run/s port=3307 user=u password=p=q dbname=d connect_timeout=2 "
	    "read_timeout=3 ssl_verify_server_cert=no maxconns=4 client_flags=2",
	    &err);
	assert_non_null(to);
	assert_int_equal(to->host_count, 2);
	assert_string_equal(to->hosts[1], "/run/s");
	assert_string_equal(to->password, "p=q");
	assert_int_equal(to->port, 3307);
	assert_int_equal(to->connect_timeout, 2000);
	assert_int_equal(to->read_timeout, 3000);
	assert_int_equal(to->write_timeout, 30000);
	assert_int_equal(to->ssl_verify, 0);
	assert_int_equal(to->max_connections, 4);
	assert_int_equal(to->client_flags, 2);
	assert_non_null(connect_of(SQL_KIND_MYSQL, "option_file=/etc/x", &err));
	assert_int_equal(connect_of(SQL_KIND_MYSQL, "host=x", &err)->ssl_verify, -1);
	assert_int_equal(connect_of(SQL_KIND_MYSQL, "host=x ssl_ca=/c", &err)->ssl_verify, 1);
	assert_int_equal(connect_of(SQL_KIND_MYSQL, "host=x ssl_ca_path=/c", &err)->ssl_verify, 1);
	to = connect_of(SQL_KIND_MYSQL, "host=x ssl_ca=/c ssl_verify_server_cert=no", &err);
	assert_int_equal(to->ssl_verify, 0);
	expect_error(SQL_KIND_MYSQL, "user=x", "host= is missing");
	expect_error(SQL_KIND_MYSQL, "host=x pasword=secret", "did you mean \"password\"");
	expect_error(SQL_KIND_MYSQL, "host=x port=abc", "port is not a number");
	expect_error(SQL_KIND_MYSQL, "host=x secret", "not of the form key=value");
	expect_error(SQL_KIND_MYSQL, "host=x ssl_verify_server_cert=1", "neither yes nor no");
	arena_free(&arena);
}

static void connect_pgsql(void **state)
{
	struct err err;
	(void)state;
	struct sql_connect *to = connect_of(SQL_KIND_PGSQL,
	    "host=a host = b dbname='my db' password='it\\'s' maxconns=3 sslmode=verify-full",
	    &err);
	assert_non_null(to);
	assert_int_equal(to->host_count, 2);
	assert_string_equal(to->hosts[1], "b");
	assert_string_equal(to->rest, "dbname='my db' password='it\\'s' sslmode='verify-full' ");
	assert_int_equal(to->max_connections, 3);
	to = connect_of(SQL_KIND_PGSQL, "dbname=x", &err);
	assert_int_equal(to->host_count, 1);
	assert_string_equal(to->hosts[0], "");
	expect_error(SQL_KIND_PGSQL, "host=a password='x", "a quote is never closed");
	expect_error(SQL_KIND_PGSQL, "host=a secret", "not of the form key=value");
	arena_free(&arena);
}

static void connect_sqlite(void **state)
{
	struct err err;
	(void)state;
	struct sql_connect *to = connect_of(SQL_KIND_SQLITE, "/a/b journal_mode=wal", &err);
	assert_non_null(to);
	assert_string_equal(to->hosts[0], "/a/b");
	assert_string_equal(to->journal_mode, "wal");
	expect_error(SQL_KIND_SQLITE, "", "path");
	expect_error(SQL_KIND_SQLITE, "a/b", "does not begin with /");
	expect_error(SQL_KIND_SQLITE, "/a journal_mode=x;drop", "journal_mode is not one of");
	arena_free(&arena);
}

/* ---- the file as a whole ---- */

static void check_file(const char *file, const char *want)
{
	struct err err = {0};
	void *s = driver_args_parse(&spec_sql, SPAN_LIT("/x"), span_of(file), &arena, &err);
	if (want == NULL && s == NULL)
		fail_msg("%s", err.text);
	if (want != NULL && (s != NULL || strstr(err.text, want) == NULL))
		fail_msg("\"%s\" is not in \"%s\"", want, err.text);
	if (s != NULL)
		assert_non_null(spec_sql.module(s)->name);
	arena_free(&arena);
}

static void files(void **state)
{
	(void)state;
	check_file("driver = mysql\nconnect = host=x\n", NULL);
	check_file("driver = pgsql\nconnect = host=x\n", NULL);
	check_file("driver = sqlite\nconnect = /x\n", NULL);
	check_file("driver = mysql\nconnect = host=x\nuser_query = SELECT 1 \\\n# of all:\n\n"
		   "  FROM t WHERE a = '%u'\n",
	    NULL);
	check_file("driver = mysq\nconnect = host=x\n", "line 1: driver: \"mysq\" is not one of");
	check_file("driver = cassandra\nconnect = host=x\n", "cassandra is not possible");
	check_file("driver = mysql\n", "connect is missing");
	check_file("driver = mysql\nconnect = host=x prt=1\n",
	    "line 2: connect: unknown word \"prt\", did you mean \"port\"?");
	check_file("driver = mysql\nconnect = host=x\n\npassword_query = SELECT %u.x\n",
	    "line 4: password_query: %u cannot be a value at offset 7");
	check_file("driver = mysql\nconnect = host=x\nupdate_query = UPDATE %u\n",
	    "line 3: update_query: %u cannot be a value");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(literals),
	    cmocka_unit_test(bare),
	    cmocka_unit_test(comments),
	    cmocka_unit_test(statements),
	    cmocka_unit_test(flags),
	    cmocka_unit_test(together),
	    cmocka_unit_test(connect_mysql),
	    cmocka_unit_test(connect_pgsql),
	    cmocka_unit_test(connect_sqlite),
	    cmocka_unit_test(files),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
